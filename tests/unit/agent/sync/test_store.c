#include "agent/sync/store.h"

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/zip/zip.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[128];

static struct agent_store *reopen(struct agent_store *old)
{
	struct agent_store *s;
	struct cox_error err;

	agent_store_close(old);
	if (agent_store_open(dir, &s, &err) < 0)
		fail_msg("%s", err.message);
	return s;
}

static int setup(void **state)
{
	char template[] = "/tmp/cox-store-XXXXXX";

	(void)state;
	if (!mkdtemp(template))
		return -1;
	snprintf(dir, sizeof(dir), "%s/state", template);
	return 0;
}

static void remove_tree(const char *path)
{
	DIR *d = opendir(path);

	for (struct dirent *e; d && (e = readdir(d));) {
		_cleanup_free_ char *name = cox_path_join(path, e->d_name);

		if (e->d_type == DT_REG)
			unlink(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static int teardown(void **state)
{
	(void)state;
	remove_tree(dir);
	*strrchr(dir, '/') = '\0';
	rmdir(dir);
	return 0;
}

static void test_values_survive_and_are_sealed(void **state)
{
	_cleanup_free_ char *path = NULL;
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT, raw = COX_BUF_INIT;
	struct agent_store *s = reopen(NULL);
	struct stat st;
	uint64_t number;

	(void)state;
	assert_int_equal(agent_store_get(s, "x", &out, NULL), 0);
	assert_int_equal(agent_store_put(s, "x", COX_STR("a canary in clear text"), NULL), 0);
	assert_int_equal(agent_store_put_int(s, "n", UINT64_MAX, NULL), 0);
	s = reopen(s);
	assert_int_equal(agent_store_get(s, "x", &out, NULL), 1);
	assert_string_equal(cox_buf_cstr(&out), "a canary in clear text");
	assert_int_equal(agent_store_get_int(s, "n", &number, NULL), 0);
	assert_true(number == UINT64_MAX);
	assert_int_equal(agent_store_get_int(s, "none", &number, NULL), 0);
	assert_int_equal(number, 0);
	agent_store_close(s);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	path = cox_path_join(dir, "agent.db");
	assert_int_equal(cox_file_read(path, 10 << 20, &raw, NULL), 0);
	assert_null(memmem(raw.ptr, raw.len, "canary", 6));
}

static int count(void *ctx, const struct agent_app_row *row, struct cox_error *err)
{
	struct cox_buf *out = ctx;

	(void)err;
	cox_buf_printf(out, "%s %d %llu.%llu %.*s\n", row->uid, row->tombstone,
		       (unsigned long long)row->epoch, (unsigned long long)row->generation,
		       COX_STR_ARG(row->body));
	return 0;
}

static int list_objects(void *ctx, const struct agent_inventory_row *row, struct cox_error *err)
{
	(void)err;
	cox_buf_printf(ctx, "%s %s %s %lld %u\n", row->key_text, row->version, row->object_uid,
		       (long long)row->wave, row->options);
	return 0;
}

static void test_apps_and_inventory(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf apps = COX_BUF_INIT, objects = COX_BUF_INIT;
	struct agent_store *s = reopen(NULL);
	struct agent_app_row b = {.uid = "b", .epoch = 1, .generation = 2, .body = COX_STR("two")};
	struct agent_app_row a = {.uid = "a", .epoch = 1, .generation = 1, .body = COX_STR("one")};
	struct agent_inventory_row x = {.key_text = "/ConfigMap/n/x",
					.version = "v1",
					.object_uid = "",
					.wave = -3,
					.options = 5};

	(void)state;
	assert_int_equal(agent_store_put_app(s, &b, NULL), 0);
	assert_int_equal(agent_store_put_app(s, &a, NULL), 0);
	b.tombstone = true;
	b.generation = 3;
	b.body = COX_STR("three");
	assert_int_equal(agent_store_put_app(s, &b, NULL), 0);
	assert_int_equal(agent_store_put_object(s, "a", &x, NULL), 0);
	x.object_uid = "u";
	assert_int_equal(agent_store_put_object(s, "a", &x, NULL), 0);
	assert_int_equal(agent_store_put_object(s, "b", &x, NULL), 0);
	s = reopen(s);
	assert_int_equal(agent_store_each_app(s, count, &apps, NULL), 0);
	assert_string_equal(cox_buf_cstr(&apps), "a 0 1.1 one\nb 1 1.3 three\n");
	assert_int_equal(agent_store_each_object(s, "a", list_objects, &objects, NULL), 0);
	assert_string_equal(cox_buf_cstr(&objects), "/ConfigMap/n/x v1 u -3 5\n");
	assert_int_equal(agent_store_drop_app(s, "a", NULL), 0);
	cox_buf_clear(&objects);
	assert_int_equal(agent_store_each_object(s, "a", list_objects, &objects, NULL), 0);
	assert_int_equal(objects.len, 0);
	assert_int_equal(agent_store_each_object(s, "b", list_objects, &objects, NULL), 0);
	assert_int_not_equal(objects.len, 0);
	assert_int_equal(agent_store_drop_app(s, "b", NULL), 0);
	agent_store_close(s);
}

static void test_what_is_not_committed_is_not_there(void **state)
{
	struct agent_store *s = reopen(NULL);
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	(void)state;
	{
		_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;

		assert_int_equal(agent_store_begin(s, &tx, NULL), 0);
		assert_int_equal(agent_store_put(s, "torn", COX_STR("1"), NULL), 0);
	}
	assert_int_equal(agent_store_get(s, "torn", &out, NULL), 0);
	agent_store_close(s);
}

static void put_bundle(struct agent_store *s, const char *text, uint8_t digest[COX_SHA256_BYTES])
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf packed = COX_BUF_INIT;

	cox_sha256(cox_str(text), digest);
	cox_zip_compress(cox_str(text), 0, &packed);
	assert_int_equal(agent_store_put_bundle(s, digest, cox_buf_str(&packed), NULL), 0);
}

static void test_bundles(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT, packed = COX_BUF_INIT;
	struct agent_store *s = reopen(NULL);
	uint8_t digests[2][COX_SHA256_BYTES], wrong[COX_SHA256_BYTES] = {1};

	(void)state;
	put_bundle(s, "[1]", digests[0]);
	put_bundle(s, "[2]", digests[1]);
	put_bundle(s, "[1]", digests[0]);
	assert_int_equal(agent_store_get_bundle(s, digests[1], &out, NULL), 0);
	assert_string_equal(cox_buf_cstr(&out), "[2]");
	assert_int_equal(agent_store_get_bundle(s, wrong, &out, NULL), -COX_NOT_FOUND);
	/* stored under a digest that it hasn't */
	cox_zip_compress(COX_STR("[3]"), 0, &packed);
	assert_int_equal(agent_store_put_bundle(s, wrong, cox_buf_str(&packed), NULL), 0);
	assert_int_equal(agent_store_get_bundle(s, wrong, &out, NULL), -COX_DATA_LOSS);
	assert_int_equal(agent_store_keep_bundles(s, (const uint8_t(*)[32]) & digests[1], 1, NULL),
			 0);
	assert_false(agent_store_has_bundle(s, digests[0]));
	assert_true(agent_store_has_bundle(s, digests[1]));
	assert_false(agent_store_has_bundle(s, wrong));
	agent_store_close(s);
}

static int last(void *ctx, const struct agent_operation_row *row, struct cox_error *err)
{
	(void)err;
	cox_buf_printf(ctx, "%s %d %.*s %.*s", row->id, row->running, COX_STR_ARG(row->spec),
		       COX_STR_ARG(row->state));
	return 0;
}

static void put_operation(struct agent_store *s, const char *id, bool from_hub, bool running,
			  const char *state)
{
	assert_int_equal(
		agent_store_put_operation(s,
					  &(struct agent_operation_row){.id = id,
									.app_uid = "app",
									.running = running,
									.from_hub = from_hub,
									.started_ms = 7,
									.spec = cox_str(id),
									.state = cox_str(state)},
					  NULL),
		0);
}

static void test_operations(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;
	struct agent_store *s = reopen(NULL);

	(void)state;
	assert_int_equal(agent_store_has_operation(s, "hub", NULL), 0);
	put_operation(s, "hub", true, true, "a");
	put_operation(s, "hub", true, false, "b");
	assert_int_equal(agent_store_has_operation(s, "hub", NULL), 1);
	/* n - 1, n, n + 1 of its own: the hub's stays, the oldest of its own goes at n + 1 */
	for (int i = 0; i <= COX_LIMIT_AGENT_OPERATIONS; i++) {
		char id[16];

		snprintf(id, sizeof(id), "own%d", i);
		put_operation(s, id, false, false, "c");
		assert_int_equal(agent_store_has_operation(s, "own0", NULL),
				 i < COX_LIMIT_AGENT_OPERATIONS);
	}
	assert_int_equal(agent_store_has_operation(s, "hub", NULL), 1);
	put_operation(s, "new", true, true, "d");
	s = reopen(s);
	agent_store_last_operation(s, "app", last, &out, NULL);
	assert_string_equal(cox_buf_cstr(&out), "new 1 new d");
	assert_int_equal(agent_store_last_operation(s, "other", last, &out, NULL), 0);
	agent_store_close(s);
}

static int list_hook(void *ctx, const struct agent_hook_row *row, struct cox_error *err)
{
	(void)err;
	cox_buf_printf(ctx, "%s/%u/%d %s %s state %d%s%s policy %u at %lld '%s'\n", row->operation,
		       row->attempt, row->phase, row->key_text, row->object_uid, row->state,
		       row->released ? " released" : "", row->gone ? " gone" : "", row->hook_delete,
		       (long long)row->started_ms, row->message);
	return 0;
}

static void put_hook(struct agent_store *s, const char *operation, uint32_t attempt,
		     const char *key, enum agent_hook_state state, bool gone, const char *message)
{
	assert_int_equal(
		agent_store_put_hook(s, "app",
				     &(struct agent_hook_row){.operation = operation,
							      .attempt = attempt,
							      .phase = 2,
							      .key_text = key,
							      .version = "v1",
							      .object_uid = state ? "uid" : "",
							      .state = state,
							      .released = gone,
							      .gone = gone,
							      .hook_delete = 4,
							      .started_ms = state ? 5 : 0,
							      .message = message},
				     NULL),
		0);
}

static const char *hooks_of(struct agent_store *s, const char *operation)
{
	static char text[1024];
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	assert_int_equal(agent_store_each_hook(s, "app", operation, list_hook, &out, NULL), 0);
	snprintf(text, sizeof(text), "%s", cox_buf_cstr(&out));
	return text;
}

static void test_hooks(void **state)
{
	struct agent_store *s = reopen(NULL);

	(void)state;
	put_hook(s, "op-1", 1, "b/Job/n/z", AGENT_HOOK_INTENT, false, "");
	put_hook(s, "op-1", 1, "b/Job/n/a", AGENT_HOOK_INTENT, false, "");
	put_hook(s, "op-1", 1, "b/Job/n/z", AGENT_HOOK_ENDED_BADLY, false, "canary-message");
	put_hook(s, "op-1", 2, "b/Job/n/z", AGENT_HOOK_CREATED, false, "");
	s = reopen(s);
	assert_string_equal(hooks_of(s, "op-1"),
			    "op-1/1/2 b/Job/n/z uid state 3 policy 4 at 5 'canary-message'\n"
			    "op-1/1/2 b/Job/n/a  state 0 policy 4 at 0 ''\n"
			    "op-1/2/2 b/Job/n/z uid state 1 policy 4 at 5 ''\n");
	assert_string_equal(hooks_of(s, "op-2"), "");
	/* what a later run made anew, and what is gone, is forgotten once that run is over */
	put_hook(s, "op-2", 1, "b/Job/n/z", AGENT_HOOK_ENDED_WELL, true, "");
	put_hook(s, "op-2", 1, "b/Job/n/y", AGENT_HOOK_ENDED_WELL, true, "");
	assert_int_equal(agent_store_drop_old_hooks(s, "app", "op-2", NULL), 0);
	assert_string_equal(hooks_of(s, NULL),
			    "op-1/1/2 b/Job/n/a  state 0 policy 4 at 0 ''\n"
			    "op-2/1/2 b/Job/n/z uid state 2 released gone policy 4 at 5 ''\n"
			    "op-2/1/2 b/Job/n/y uid state 2 released gone policy 4 at 5 ''\n");
	assert_int_equal(agent_store_drop_old_hooks(s, "app", "op-3", NULL), 0);
	assert_string_equal(hooks_of(s, NULL), "op-1/1/2 b/Job/n/a  state 0 policy 4 at 0 ''\n");
	/* a later run that made nothing has not taken the older one's place */
	put_hook(s, "op-3", 1, "b/Job/n/x", AGENT_HOOK_CREATED, false, "");
	put_hook(s, "op-4", 1, "b/Job/n/x", AGENT_HOOK_INTENT, true, "");
	assert_int_equal(agent_store_drop_old_hooks(s, "app", "op-4", NULL), 0);
	assert_string_equal(hooks_of(s, "op-3"),
			    "op-3/1/2 b/Job/n/x uid state 1 policy 4 at 5 ''\n");
	assert_int_equal(agent_store_drop_app(s, "app", NULL), 0);
	assert_string_equal(hooks_of(s, NULL), "");
	agent_store_close(s);
}

static int failing(void *ctx, const struct agent_operation_row *row, struct cox_error *err)
{
	(void)err;
	cox_buf_printf(ctx, "%u '%.*s'", row->tried, COX_STR_ARG(row->failing));
	return 0;
}

static void test_how_far_an_operation_is(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;
	struct agent_store *s = reopen(NULL);
	struct agent_operation_row row = {
		.id = "far", .app_uid = "app", .running = true, .failing = COX_STR("")};

	(void)state;
	assert_int_equal(agent_store_put_operation(s, &row, NULL), 0);
	row.tried = 3;
	row.failing = COX_STR("Job/mute: broken");
	assert_int_equal(agent_store_put_operation(s, &row, NULL), 0);
	s = reopen(s);
	agent_store_last_operation(s, "app", failing, &out, NULL);
	assert_string_equal(cox_buf_cstr(&out), "3 'Job/mute: broken'");
	agent_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_survive_and_are_sealed),
		cmocka_unit_test(test_apps_and_inventory),
		cmocka_unit_test(test_what_is_not_committed_is_not_there),
		cmocka_unit_test(test_bundles),
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_how_far_an_operation_is),
		cmocka_unit_test(test_hooks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
