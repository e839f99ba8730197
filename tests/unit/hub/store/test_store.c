#include "common/base/file.h"
#include "common/base/mem.h"
#include "hub/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct cox_loop *loop;
static char *dir;
static struct cox_error broken;

static void on_broken(void *ctx, const struct cox_error *err)
{
	(void)ctx;
	broken = *err;
}

static int try_open(struct hub_store **ret, bool restored, struct cox_error *err)
{
	return hub_store_open(loop,
			      &(struct hub_store_options){
				      .dir = dir, .restored = restored, .on_broken = on_broken},
			      ret, err);
}

static struct hub_store *open_store(void)
{
	struct hub_store *s = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (try_open(&s, false, &err) < 0)
		fail_msg("%s", err.message);
	return s;
}

static int setup(void **state)
{
	char template[] = "/tmp/coxswain-store-XXXXXX";

	(void)state;
	broken = COX_ERROR_INIT;
	assert_int_equal(cox_loop_new(&loop, NULL), 0);
	dir = cox_strdup(mkdtemp(template));
	return 0;
}

static int teardown(void **state)
{
	_cleanup_free_ char *command = cox_asprintf("rm -rf '%s'", dir);

	(void)state;
	cox_loop_free(loop);
	assert_int_equal(system(command), 0);
	free(dir);
	return 0;
}

static int said[64], n_said;

static void say(void *arg)
{
	said[n_said++] = (int)(intptr_t)arg;
}

static bool n_are_said(void *arg)
{
	return n_said == (int)(intptr_t)arg;
}

static void wait_said(int n)
{
	assert_int_equal(cox_loop_wait(loop, n_are_said, (void *)(intptr_t)n, 10000, NULL), 0);
}

static void put(struct hub_store *s, enum hub_table table, const char *key, const char *body,
		bool sealed, int number)
{
	struct hub_batch *b = hub_batch_new();

	if (sealed)
		hub_batch_put_sealed(b, table, key, cox_str(body));
	else
		hub_batch_put(b, table, key, cox_str(body));
	hub_batch_after(b, say, (void *)(intptr_t)number, NULL);
	hub_store_commit(s, b);
}

static void check_row(struct hub_store *s, enum hub_table table, const char *key, const char *want)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int r = hub_store_get(s, table, key, &text, NULL);

	assert_int_equal(r, want ? 0 : -COX_NOT_FOUND);
	if (want)
		assert_string_equal(cox_buf_cstr(&text), want);
}

static void test_keeps(void **state)
{
	struct hub_store *s = open_store();
	struct hub_batch *b;
	char instance[64];

	(void)state;
	n_said = 0;
	assert_true(hub_store_is_new(s));
	assert_int_equal(hub_store_epoch(s), 1);
	snprintf(instance, sizeof(instance), "%s", hub_store_instance(s));
	put(s, HUB_TABLE_OBJECT, "Application/a/b", "one", false, 1);
	put(s, HUB_TABLE_OBJECT, "Application/a/b", "two", false, 2);
	put(s, HUB_TABLE_OBJECT, "Application/a/c", "three", false, 3);
	b = hub_batch_new();
	hub_batch_delete(b, HUB_TABLE_OBJECT, "Application/a/c");
	hub_batch_after(b, say, (void *)4, NULL);
	hub_store_commit(s, b);
	wait_said(4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(said[i], i + 1);
	hub_store_free(s);

	s = open_store();
	assert_false(hub_store_is_new(s));
	assert_string_equal(hub_store_instance(s), instance);
	assert_int_equal(hub_store_epoch(s), 1);
	check_row(s, HUB_TABLE_OBJECT, "Application/a/b", "two");
	check_row(s, HUB_TABLE_OBJECT, "Application/a/c", NULL);
	hub_store_free(s);
}

/* What was committed when the store is closed is on the disk, told or not. */
static void test_close_commits(void **state)
{
	struct hub_store *s = open_store();

	(void)state;
	n_said = 0;
	put(s, HUB_TABLE_ROLLOUT, "r", "kept", false, 1);
	hub_store_free(s);
	s = open_store();
	check_row(s, HUB_TABLE_ROLLOUT, "r", "kept");
	hub_store_free(s);
}

static void test_groups(void **state)
{
	struct hub_store *s = open_store();
	struct hub_store_stats stats;

	(void)state;
	n_said = 0;
	for (int i = 0; i < 50; i++)
		put(s, HUB_TABLE_REPORT, "dev/1", "x", false, i);
	wait_said(50);
	hub_store_stats(s, &stats);
	assert_int_equal(stats.batches, 50);
	assert_true(stats.transactions < 50);
	hub_store_free(s);
}

static bool disk_holds(const char *word)
{
	_cleanup_free_ char *command = cox_asprintf("grep -qr -- '%s' '%s'", word, dir);

	return system(command) == 0;
}

static void test_seals(void **state)
{
	_cleanup_free_ char *key = cox_path_join(dir, "key"), *db = cox_path_join(dir, "hub.db");
	struct hub_store *s = open_store();
	struct stat st;

	(void)state;
	n_said = 0;
	put(s, HUB_TABLE_OBJECT, "Secret/a/b", "hunter2-plain", true, 1);
	put(s, HUB_TABLE_BUNDLE, "00", "bundle-plain", false, 2);
	put(s, HUB_TABLE_OBJECT, "Application/a/b", "public-plain", false, 3);
	wait_said(3);
	hub_store_free(s);
	assert_true(disk_holds("public-plain"));
	assert_false(disk_holds("hunter2-plain"));
	assert_false(disk_holds("bundle-plain"));
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(db, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	s = open_store();
	check_row(s, HUB_TABLE_OBJECT, "Secret/a/b", "hunter2-plain");
	check_row(s, HUB_TABLE_BUNDLE, "00", "bundle-plain");
	hub_store_free(s);
	/* Without its key a state is not opened, let alone with a new one. */
	assert_int_equal(remove(key), 0);
	assert_int_equal(try_open(&s, false, NULL), -COX_NOT_FOUND);
}

static void test_one_hub_only(void **state)
{
	struct hub_store *s = open_store(), *second = NULL;
	struct cox_error err = COX_ERROR_INIT;

	(void)state;
	assert_int_equal(try_open(&second, false, &err), -COX_UNAVAILABLE);
	assert_non_null(strstr(err.message, "another cox-hub"));
	hub_store_free(s);
}

static void test_restored(void **state)
{
	struct hub_store *s = open_store();

	(void)state;
	hub_store_free(s);
	assert_int_equal(try_open(&s, true, NULL), 0);
	assert_int_equal(hub_store_epoch(s), 2);
	hub_store_free(s);
	s = open_store();
	assert_int_equal(hub_store_epoch(s), 2);
	hub_store_free(s);
}

static bool is_broken(void *arg)
{
	(void)arg;
	return broken.code != 0;
}

static int n_freed;

static void free_on_loop(void *arg)
{
	(void)arg;
	assert_true(cox_loop_is_owner(loop));
	n_freed++;
}

/* Somebody raised the epoch behind our back: nothing is written any more, and who waited for it is
 * let go on the loop. */
static void test_fenced(void **state)
{
	_cleanup_free_ char *path = cox_path_join(dir, "hub.db");
	struct hub_store *s = open_store();

	(void)state;
	n_said = 0;
	put(s, HUB_TABLE_OBJECT, "Application/a/b", "before", false, 1);
	wait_said(1);
	{
		_cleanup_free_ char *command = cox_asprintf(
			"python3 -c \"import sqlite3; c = sqlite3.connect('%s'); "
			"c.execute(\\\"UPDATE meta "
			"SET body = CAST('7' AS BLOB) WHERE key = 'epoch'\\\"); c.commit()\"",
			path);

		assert_int_equal(system(command), 0);
	}
	struct hub_batch *batch = hub_batch_new();

	hub_batch_put(batch, HUB_TABLE_OBJECT, "Application/a/b", COX_STR("after"));
	hub_batch_after(batch, say, (void *)2, free_on_loop);
	hub_store_commit(s, batch);
	assert_int_equal(cox_loop_wait(loop, is_broken, NULL, 10000, NULL), 0);
	assert_int_equal(broken.code, COX_ABORTED);
	assert_int_equal(n_said, 1);
	assert_int_equal(n_freed, 1);
	hub_store_free(s);
	s = open_store();
	check_row(s, HUB_TABLE_OBJECT, "Application/a/b", "before");
	assert_int_equal(hub_store_epoch(s), 7);
	hub_store_free(s);
}

static char *read_text;
static int read_code;

static void got(void *arg, struct cox_buf *body, const struct cox_error *err)
{
	read_text = body ? cox_buf_take(body) : NULL;
	read_code = err ? err->code : 0;
	say(arg);
}

static void test_reads_behind_writes(void **state)
{
	struct hub_store *s = open_store();

	(void)state;
	n_said = 0;
	put(s, HUB_TABLE_BUNDLE, "aa", "fresh", false, 1);
	hub_store_read(s, HUB_TABLE_BUNDLE, "aa", got, (void *)2);
	wait_said(2);
	assert_string_equal(read_text, "fresh");
	free(read_text);
	hub_store_read(s, HUB_TABLE_BUNDLE, "bb", got, (void *)3);
	wait_said(3);
	assert_null(read_text);
	assert_int_equal(read_code, COX_NOT_FOUND);
	hub_store_free(s);
}

static int n_freed;

static void count_free(void *arg)
{
	(void)arg;
	n_freed++;
}

static void test_dropped_batch_frees(void **state)
{
	struct hub_batch *b = hub_batch_new();

	(void)state;
	n_freed = 0;
	hub_batch_after(b, say, NULL, count_free);
	hub_batch_free(b);
	assert_int_equal(n_freed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keeps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_commits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_hub_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fenced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_behind_writes, setup, teardown),
		cmocka_unit_test(test_dropped_batch_frees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
