/* A collection followed through pages, events, broken streams, and a server that forgets. The script
 * keeps a small store of ConfigMaps, so that what the watch tells can be compared with the truth. */
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/kube/meta.h"
#include "common/kube/watch.h"
#include "scripted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct cox_kube_resource config_maps = {"",	   "v1", "ConfigMap",
						     "configmaps", true, 255};

/* ---- the server's side ---- */

enum { MAX_NAMES = 200 };
static bool exists[MAX_NAMES];
static int version, fail_lists, fail_streams, expire_continue, n_streams;
static bool compacted; /* old versions are forgotten */
static struct cox_http_request *stream;

static void on_gone(void *arg)
{
	(void)arg;
	stream = NULL;
}

static void write_item(struct cox_buf *out, int i, bool with_kind)
{
	cox_buf_printf(out,
		       "{%s\"metadata\":{\"name\":\"c%d\",\"namespace\":\"ns\","
		       "\"resourceVersion\":\"%d\"},\"data\":{\"k\":\"v\"}}",
		       with_kind ? "\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\"," : "", i,
		       version);
}

static void serve_list(struct cox_http_request *r)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	const char *from = cox_http_query(r, "continue");
	const char *limit = cox_http_query(r, "limit");
	int left = (int)strtol(limit, NULL, 10), i = from ? (int)strtol(from, NULL, 10) : 0;
	const char *comma = "";

	if (fail_lists > 0) {
		fail_lists--;
		reply_status(r, 500, "InternalError", "no list");
		return;
	}
	if (from && expire_continue > 0) {
		expire_continue--;
		reply_status(r, 410, "Expired", "that list is too old");
		return;
	}
	cox_buf_puts(&out, "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"items\":[");
	for (; i < MAX_NAMES && left > 0; i++) {
		if (!exists[i])
			continue;
		cox_buf_puts(&out, comma);
		write_item(&out, i, false);
		comma = ",";
		left--;
	}
	while (i < MAX_NAMES && !exists[i])
		i++;
	cox_buf_printf(&out, "],\"metadata\":{\"resourceVersion\":\"%d\"", version);
	if (i < MAX_NAMES)
		cox_buf_printf(&out, ",\"continue\":\"%d\"", i);
	cox_buf_puts(&out, "}}");
	reply_json(r, 200, out.ptr);
}

static void emit(const char *text)
{
	cox_http_write(stream, cox_str(text));
}

static void serve(void *arg, struct cox_http_request *r)
{
	(void)arg;
	if (!cox_http_query(r, "watch")) {
		serve_list(r);
		return;
	}
	if (fail_streams > 0) {
		fail_streams--;
		reply_status(r, 500, "InternalError", "no watch");
		return;
	}
	n_streams++;
	stream = r;
	cox_http_on_gone(r, on_gone, NULL);
	cox_http_start(r, 200, "application/json");
	if (compacted) {
		compacted = false;
		emit("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
		     "\"reason\":\"Expired\",\"message\":\"too old\"}}\n");
	}
}

static void event(const char *type, int i)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	version++;
	exists[i] = strcmp(type, "DELETED") != 0;
	cox_buf_printf(&out, "{\"type\":\"%s\",\"object\":", type);
	write_item(&out, i, true);
	cox_buf_puts(&out, "}\n");
	emit(out.ptr);
}

/* ---- the watcher's side ---- */

static struct cox_map told; /* what it says exists */
static int n_upserts, n_removes, n_bare_removes, n_synced, n_failed;
static struct cox_error last_error;
static struct cox_watch *watch;
static bool free_in_upsert, may_be_untold;

static void on_upsert(void *arg, struct cox_doc *object)
{
	const struct cox_node *root = cox_doc_root(object);

	(void)arg;
	n_upserts++;
	COX_ASSERT(cox_str_is(cox_meta_kind(root), "ConfigMap"));
	COX_ASSERT(cox_str_is(cox_meta_api_version(root), "v1"));
	COX_ASSERT(cox_str_is(cox_node_str(COX_GET(root, "data", "k")), "v"));
	cox_map_set_str(&told, cox_meta_name(root), &told);
	if (free_in_upsert) {
		cox_watch_free(watch);
		watch = NULL;
	}
}

static void on_remove(void *arg, const char *namespace, const char *name, struct cox_doc *object)
{
	(void)arg;
	n_removes++;
	n_bare_removes += !object;
	COX_ASSERT(strcmp(namespace, "ns") == 0);
	COX_ASSERT(cox_map_remove(&told, name) || may_be_untold);
}

static void on_synced(void *arg)
{
	(void)arg;
	n_synced++;
}

static void on_failed(void *arg, const struct cox_kube_answer *answer)
{
	(void)arg;
	n_failed++;
	last_error = *answer->error;
}

static bool is_following(void *arg)
{
	(void)arg;
	return stream && cox_watch_is_synced(watch);
}

/* Whether what was told is what exists. */
static bool agrees(void *arg)
{
	unsigned n = 0;
	char name[8];

	(void)arg;
	for (int i = 0; i < MAX_NAMES; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		if (exists[i] != cox_map_has(&told, name))
			return false;
		n += exists[i];
	}
	return stream && told.n == n && cox_watch_len(watch) == n;
}

static int setup(void **state)
{
	(void)state;
	memset(exists, 0, sizeof(exists));
	version = 100;
	fail_lists = fail_streams = expire_continue = n_streams = 0;
	compacted = free_in_upsert = may_be_untold = false;
	n_upserts = n_removes = n_bare_removes = n_synced = n_failed = 0;
	stream = NULL;
	told = COX_MAP_INIT;
	scripted_start(serve, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cox_watch_free(watch);
	watch = NULL;
	scripted_stop();
	cox_map_fini(&told);
	return 0;
}

static void begin(struct cox_watch_options o)
{
	o.resource = &config_maps;
	o.backoff_ms = 10;
	o.max_backoff_ms = 40;
	o.upsert = on_upsert;
	o.remove = on_remove;
	o.synced = on_synced;
	o.failed = on_failed;
	watch = cox_watch_new(kube, &o);
}

static void pages_then_events(void **state)
{
	(void)state;
	for (int i = 0; i < 120; i++)
		exists[i] = true;
	begin((struct cox_watch_options){.label_selector = "a=b"});
	assert_false(cox_watch_is_synced(watch));
	wait_until(agrees, NULL);
	assert_int_equal(n_upserts, 120);
	assert_int_equal(n_synced, 1);
	assert_int_equal(n_seen("labelSelector=a%3Db&limit=50"), 3);
	assert_int_equal(n_seen("watch=true&allowWatchBookmarks=true&resourceVersion=100&"), 1);
	event("ADDED", 150);
	event("MODIFIED", 0);
	event("DELETED", 7);
	wait_until(agrees, NULL);
	assert_int_equal(n_upserts, 122);
	assert_int_equal(n_removes, 1);
	assert_int_equal(n_bare_removes, 0);
	assert_int_equal(n_failed, 0);
}

static void events_may_come_in_pieces(void **state)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	(void)state;
	begin((struct cox_watch_options){0});
	wait_until(is_following, NULL);
	cox_buf_puts(&out, "{\"type\":\"ADDED\",\"object\":");
	exists[3] = true;
	write_item(&out, 3, true);
	cox_buf_puts(&out, "}\n");
	for (size_t i = 0; i < out.len; i++)
		cox_http_write(stream, cox_str_n(out.ptr + i, 1));
	wait_until(agrees, NULL);
}

static int streams_before;

static bool has_new_stream(void *arg)
{
	(void)arg;
	return stream && n_streams > streams_before;
}

static void a_broken_stream_goes_on_where_it_was(void **state)
{
	(void)state;
	exists[1] = true;
	begin((struct cox_watch_options){0});
	wait_until(agrees, NULL);
	event("ADDED", 2); /* version 101 */
	wait_until(agrees, NULL);
	emit("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"ConfigMap\",\"metadata\":{"
	     "\"resourceVersion\":\"150\"}}}\n");
	version = 150;
	event("ADDED", 3); /* 151 */
	wait_until(agrees, NULL);
	streams_before = n_streams;
	cox_http_abort(stream);
	stream = NULL;
	fail_streams = 2;
	wait_until(has_new_stream, NULL);
	assert_int_equal(n_seen("resourceVersion=151&"), 3);
	assert_int_equal(n_failed, 3);
	event("DELETED", 1);
	wait_until(agrees, NULL);
	streams_before = n_streams;
	cox_http_end(stream); /* the server's time is up: no failure */
	stream = NULL;
	wait_until(has_new_stream, NULL);
	assert_int_equal(n_seen("resourceVersion=152&"), 1);
	assert_int_equal(n_failed, 3);
	assert_int_equal(n_synced, 1);
	assert_int_equal(n_seen("limit=50"), 1);
}

static void what_vanished_unseen_is_removed(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		exists[i] = true;
	begin((struct cox_watch_options){.page = 3});
	wait_until(agrees, NULL);
	cox_http_abort(stream);
	stream = NULL;
	exists[4] = exists[9] = false;
	exists[20] = true;
	version = 500;
	compacted = true;
	wait_until(agrees, NULL);
	assert_int_equal(n_synced, 2);
	assert_int_equal(n_removes, 2);
	assert_int_equal(n_bare_removes, 2);
	event("MODIFIED", 20);
	wait_until(agrees, NULL);
}

static void a_list_that_expires_begins_anew(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		exists[i] = true;
	expire_continue = 1;
	fail_lists = 1;
	begin((struct cox_watch_options){.page = 4});
	wait_until(agrees, NULL);
	assert_int_equal(n_failed, 2);
	assert_int_equal(n_synced, 1);
	assert_int_equal(last_error.code, COX_OUT_OF_RANGE);
}

static void a_line_that_is_no_event_begins_anew(void **state)
{
	(void)state;
	exists[0] = true;
	begin((struct cox_watch_options){0});
	wait_until(agrees, NULL);
	streams_before = n_streams;
	emit("{\"type\":\"ADD\n");
	exists[5] = true;
	wait_until(has_new_stream, NULL);
	wait_until(agrees, NULL);
	assert_int_equal(n_failed, 1);
	assert_int_equal(n_synced, 2);
}

static bool is_freed(void *arg)
{
	(void)arg;
	return !watch;
}

static bool has_no_stream(void *arg)
{
	(void)arg;
	return !stream;
}

static void may_be_freed_inside_its_callbacks(void **state)
{
	(void)state;
	exists[0] = exists[1] = true;
	free_in_upsert = true;
	begin((struct cox_watch_options){0});
	wait_until(is_freed, NULL);
	assert_int_equal(n_upserts, 1);
	free_in_upsert = false;
	begin((struct cox_watch_options){0});
	wait_until(is_following, NULL);
	free_in_upsert = true;
	event("ADDED", 2);
	event("ADDED", 3);
	wait_until(is_freed, NULL);
	wait_until(has_no_stream, NULL);
	assert_int_equal(n_upserts, 4);
}

static void metadata_alone_is_asked_for(void **state)
{
	(void)state;
	begin((struct cox_watch_options){.metadata_only = true, .namespace = "ns"});
	wait_until(is_following, NULL);
	assert_non_null(strstr(cox_http_header(stream, "accept"), "as=PartialObjectMetadata;"));
	assert_string_equal(cox_http_path(stream), "/api/v1/namespaces/ns/configmaps");
}

static bool has_removed_two(void *arg)
{
	(void)arg;
	return n_removes == 2;
}

static bool has_synced_twice(void *arg)
{
	(void)arg;
	return n_synced == 2;
}

/* Nothing is kept: who watches finds out what vanished, and deletions of what was never told come. */
static void forgets_what_it_told(void **state)
{
	(void)state;
	exists[1] = exists[2] = true;
	may_be_untold = true;
	begin((struct cox_watch_options){.forget = true});
	wait_until(is_following, NULL);
	assert_int_equal(n_upserts, 2);
	assert_int_equal(cox_watch_len(watch), 0);
	assert_int_equal(cox_watch_round(watch), 1);
	assert_string_equal(cox_watch_version(watch), "100");
	event("DELETED", 7); /* which never was */
	event("DELETED", 1);
	wait_until(has_removed_two, NULL);
	assert_int_equal(n_bare_removes, 0);
	assert_string_equal(cox_watch_version(watch), "102");
	cox_http_abort(stream);
	stream = NULL;
	exists[2] = false;
	exists[3] = true;
	version = 500;
	compacted = true;
	wait_until(has_synced_twice, NULL);
	assert_int_equal(n_removes, 2);
	assert_int_equal(n_upserts, 3);
	assert_int_equal(cox_watch_round(watch), 2);
	assert_string_equal(cox_watch_version(watch), "500");
}

int main(void)
{
#define WATCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WATCH_TEST(pages_then_events),
		WATCH_TEST(forgets_what_it_told),
		WATCH_TEST(events_may_come_in_pieces),
		WATCH_TEST(a_broken_stream_goes_on_where_it_was),
		WATCH_TEST(what_vanished_unseen_is_removed),
		WATCH_TEST(a_list_that_expires_begins_anew),
		WATCH_TEST(a_line_that_is_no_event_begins_anew),
		WATCH_TEST(may_be_freed_inside_its_callbacks),
		WATCH_TEST(metadata_alone_is_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
