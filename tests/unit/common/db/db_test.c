#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/db/db.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct cox_db_migration schema[] = {
	{"first", "CREATE TABLE app(uid TEXT PRIMARY KEY, generation INTEGER NOT NULL, body BLOB,"
		  " weight REAL) STRICT;"
		  "CREATE TABLE target(app TEXT NOT NULL REFERENCES app(uid), name TEXT UNIQUE)"},
	{"second", "ALTER TABLE app ADD COLUMN note TEXT"},
};

struct fixture {
	char dir[64];
	char *path;
	struct cox_db *db;
};

static int setup(void **state)
{
	struct fixture *f = cox_new(struct fixture);

	strcpy(f->dir, "/tmp/cox-db-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->path = cox_asprintf("%s/state/hub.db", f->dir);
	assert_int_equal(cox_db_open(f->path, schema, COX_ARRAY_LEN(schema), &f->db, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".copy"};
	struct fixture *f = *state;

	cox_db_close(f->db);
	for (size_t i = 0; i < COX_ARRAY_LEN(ends); i++) {
		_cleanup_free_ char *path = cox_asprintf("%s%s", f->path, ends[i]);

		unlink(path);
	}
	*strrchr(f->path, '/') = '\0';
	assert_int_equal(rmdir(f->path), 0);
	assert_int_equal(rmdir(f->dir), 0);
	free(f->path);
	free(f);
	return 0;
}

static int64_t ask(struct cox_db *db, const char *sql)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;

	assert_int_equal(cox_stmt_begin(&q, db, sql, NULL), 0);
	assert_int_equal(cox_stmt_step(&q, NULL), 1);
	return cox_stmt_int(&q, 0);
}

static void put(struct cox_db *db, const char *uid, int64_t generation)
{
	assert_int_equal(cox_db_run(db, NULL, "INSERT INTO app(uid, generation) VALUES(?,?)", "si",
				    uid, generation),
			 0);
}

static void test_settings(void **state)
{
	struct fixture *f = *state;
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	_cleanup_free_ char *wal = cox_asprintf("%s-wal", f->path);
	_cleanup_free_ char *dir = cox_asprintf("%s/state", f->dir);
	struct stat st;

	assert_int_equal(cox_stmt_begin(&q, f->db, "PRAGMA journal_mode", NULL), 0);
	assert_int_equal(cox_stmt_step(&q, NULL), 1);
	assert_string_equal(cox_stmt_text(&q, 0), "wal");
	assert_int_equal(ask(f->db, "PRAGMA synchronous"), 2);
	assert_int_equal(ask(f->db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(cox_db_version(f->db), 2);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(cox_db_check(f->db, NULL), 0);
}

static void test_types(void **state)
{
	struct fixture *f = *state;
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;

	assert_int_equal(cox_db_run(f->db, NULL,
				    "INSERT INTO app(uid, generation, body, weight, note) "
				    "VALUES(?,?,?,?,?)",
				    "tibds", cox_str_n("a\0b", 3), (int64_t)INT64_MIN,
				    cox_str_n("\0\xff", 2), 0.5, "n\xc3\xa9"),
			 0);
	assert_int_equal(cox_db_changes(f->db), 1);
	assert_int_equal(cox_db_run(f->db, NULL,
				    "INSERT INTO app(uid, generation, body, note) VALUES(?,?,?,?)",
				    "sibs", "b", (int64_t)2, COX_STR(""), (const char *)NULL),
			 0);
	assert_int_equal(cox_stmt_begin(&q, f->db,
					"SELECT uid, generation, body, weight, note FROM app "
					"ORDER BY generation",
					NULL),
			 0);
	assert_int_equal(cox_stmt_step(&q, NULL), 1);
	assert_true(cox_str_eq(cox_stmt_str(&q, 0), cox_str_n("a\0b", 3)));
	assert_true(cox_stmt_int(&q, 1) == INT64_MIN);
	assert_true(cox_str_eq(cox_stmt_blob(&q, 2), cox_str_n("\0\xff", 2)));
	assert_true(cox_stmt_double(&q, 3) == 0.5);
	assert_string_equal(cox_stmt_text(&q, 4), "n\xc3\xa9");
	assert_int_equal(cox_stmt_step(&q, NULL), 1);
	assert_int_equal(cox_stmt_blob(&q, 2).len, 0);
	assert_non_null(cox_stmt_blob(&q, 2).ptr);
	assert_false(cox_stmt_is_null(&q, 2));
	assert_true(cox_stmt_is_null(&q, 3));
	assert_true(cox_stmt_is_null(&q, 4));
	assert_null(cox_stmt_str(&q, 4).ptr);
	assert_string_equal(cox_stmt_text(&q, 4), "");
	assert_int_equal(cox_stmt_step(&q, NULL), 0);
}

static void test_statement_cache(void **state)
{
	static const char sql[] = "SELECT uid FROM app WHERE generation = ?";
	struct fixture *f = *state;
	_cleanup_stmt_ struct cox_stmt one = COX_STMT_INIT, two = COX_STMT_INIT;
	void *native;

	put(f->db, "a", 1);
	put(f->db, "b", 2);
	assert_int_equal(cox_stmt_begin(&one, f->db, sql, NULL), 0);
	native = one.native;
	/* The same text again while the first is in use. */
	assert_int_equal(cox_stmt_begin(&two, f->db, sql, NULL), 0);
	assert_ptr_not_equal(one.native, two.native);
	cox_stmt_bind(&one, "i", (int64_t)1);
	cox_stmt_bind(&two, "i", (int64_t)2);
	assert_int_equal(cox_stmt_step(&one, NULL), 1);
	assert_int_equal(cox_stmt_step(&two, NULL), 1);
	assert_string_equal(cox_stmt_text(&one, 0), "a");
	assert_string_equal(cox_stmt_text(&two, 0), "b");
	cox_stmt_end(&one);
	cox_stmt_end(&one);
	assert_int_equal(cox_stmt_begin(&one, f->db, sql, NULL), 0);
	assert_ptr_equal(one.native, native);
	/* What was bound before is gone. */
	assert_int_equal(cox_stmt_step(&one, NULL), 0);
}

static void test_constraints(void **state)
{
	struct fixture *f = *state;
	struct cox_error err;

	put(f->db, "a", 1);
	assert_int_equal(
		cox_db_run(f->db, &err, "INSERT INTO app(uid, generation) VALUES('a', 1)", ""),
		-COX_ALREADY_EXISTS);
	assert_non_null(strstr(err.message, f->path));
	assert_int_equal(
		cox_db_run(f->db, &err, "INSERT INTO target(app, name) VALUES('x', 'n')", ""),
		-COX_FAILED_PRECONDITION);
	assert_int_equal(
		cox_db_run(f->db, &err, "INSERT INTO app(uid, generation) VALUES('b', NULL)", ""),
		-COX_FAILED_PRECONDITION);
	/* Parameters that do not fit the statement are found, not guessed. */
	assert_int_equal(cox_db_run(f->db, &err, "DELETE FROM app WHERE uid = ?", ""),
			 -COX_INTERNAL);
	assert_int_equal(cox_db_run(f->db, &err, "DELETE FROM app; DELETE FROM target", ""),
			 -COX_INTERNAL);
	assert_int_equal(ask(f->db, "SELECT count(*) FROM app"), 1);
}

static void test_transactions(void **state)
{
	struct fixture *f = *state;

	{
		_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;

		assert_int_equal(cox_tx_begin(&tx, f->db, NULL), 0);
		put(f->db, "gone", 1);
	}
	assert_int_equal(ask(f->db, "SELECT count(*) FROM app"), 0);
	{
		_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;

		assert_int_equal(cox_tx_begin(&tx, f->db, NULL), 0);
		put(f->db, "kept", 1);
		{
			_cleanup_tx_ struct cox_tx inner = COX_TX_INIT;

			assert_int_equal(cox_tx_begin(&inner, f->db, NULL), 0);
			put(f->db, "dropped", 1);
		}
		{
			_cleanup_tx_ struct cox_tx inner = COX_TX_INIT;

			assert_int_equal(cox_tx_begin(&inner, f->db, NULL), 0);
			put(f->db, "kept too", 1);
			assert_int_equal(cox_tx_commit(&inner, NULL), 0);
		}
		assert_int_equal(cox_tx_commit(&tx, NULL), 0);
	}
	assert_int_equal(ask(f->db, "SELECT count(*) FROM app"), 2);
	assert_int_equal(ask(f->db, "SELECT count(*) FROM app WHERE uid = 'dropped'"), 0);
}

/* A full database ends the transaction, and nothing that follows in it runs alone. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	_cleanup_free_ char *big = cox_calloc(1, 1 << 20);
	struct cox_error err;

	assert_int_equal(cox_db_exec(f->db, "PRAGMA max_page_count = 20", NULL), 0);
	assert_int_equal(cox_tx_begin(&tx, f->db, NULL), 0);
	put(f->db, "a", 1);
	assert_int_equal(cox_db_run(f->db, &err,
				    "INSERT INTO app(uid, generation, body) VALUES('b', 1, ?)", "b",
				    cox_str_n(big, 1 << 20)),
			 -COX_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(err.message, f->path));
	assert_non_null(strstr(err.message, "free some space"));
	if (cox_db_run(f->db, &err, "INSERT INTO app(uid, generation) VALUES('c', 1)", "") == 0) {
		/* SQLite undid the statement alone: the transaction is whole. */
		assert_int_equal(cox_tx_commit(&tx, &err), 0);
		assert_int_equal(ask(f->db, "SELECT count(*) FROM app"), 2);
		return;
	}
	assert_int_equal(err.code, COX_ABORTED);
	assert_int_equal(cox_tx_commit(&tx, &err), -COX_ABORTED);
	assert_int_equal(ask(f->db, "SELECT count(*) FROM app"), 0);
}

/* The transaction vanishes under the caller, as on an input/output error. */
static void test_vanished_transaction(void **state)
{
	struct fixture *f = *state;
	struct cox_tx tx = COX_TX_INIT, inner = COX_TX_INIT;
	struct cox_error err;

	assert_int_equal(cox_tx_begin(&tx, f->db, NULL), 0);
	put(f->db, "a", 1);
	assert_int_equal(cox_db_exec(f->db, "ROLLBACK", NULL), 0);
	assert_int_equal(
		cox_db_run(f->db, &err, "INSERT INTO app(uid, generation) VALUES('b', 1)", ""),
		-COX_ABORTED);
	assert_int_equal(cox_tx_begin(&inner, f->db, &err), -COX_ABORTED);
	assert_int_equal(cox_tx_commit(&tx, &err), -COX_ABORTED);
	assert_int_equal(ask(f->db, "SELECT count(*) FROM app"), 0);
	put(f->db, "c", 1);
	assert_int_equal(ask(f->db, "SELECT count(*) FROM app"), 1);
}

static void test_reopen_and_migrate(void **state)
{
	struct fixture *f = *state;
	struct cox_db_migration longer[3] = {
		schema[0], schema[1], {"third", "CREATE TABLE more(x); broken"}};
	struct cox_error err;

	put(f->db, "a", 7);
	cox_db_close(TAKE(f->db));
	/* A migration that fails leaves nothing of itself. */
	assert_true(cox_db_open(f->path, longer, 3, &f->db, &err) < 0);
	assert_non_null(strstr(err.message, "third"));
	longer[2].sql = "CREATE TABLE more(x)";
	assert_int_equal(cox_db_open(f->path, longer, 3, &f->db, &err), 0);
	assert_int_equal(cox_db_version(f->db), 3);
	assert_int_equal(ask(f->db, "SELECT generation FROM app WHERE uid = 'a'"), 7);
	cox_db_close(TAKE(f->db));
	/* An older program does not touch it. */
	assert_int_equal(cox_db_open(f->path, schema, 2, &f->db, &err), -COX_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, "newer version"));
}

static void test_read_only_and_backup(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *copy = cox_asprintf("%s.copy", f->path);
	_cleanup_db_ struct cox_db *reader = NULL, *restored = NULL;
	struct cox_error err;
	struct stat st;

	put(f->db, "a", 1);
	assert_int_equal(cox_db_open_read(f->path, &reader, &err), 0);
	assert_int_equal(ask(reader, "SELECT count(*) FROM app"), 1);
	assert_int_equal(cox_db_run(reader, &err, "DELETE FROM app", ""), -COX_PERMISSION_DENIED);
	assert_int_equal(cox_db_backup(f->db, copy, &err), 0);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(cox_db_backup(f->db, copy, &err), -COX_ALREADY_EXISTS);
	assert_int_equal(cox_db_checkpoint(f->db, &err), 0);
	assert_int_equal(cox_db_open_read(copy, &restored, &err), 0);
	assert_int_equal(ask(restored, "SELECT count(*) FROM app"), 1);
	assert_int_equal(cox_db_check(restored, &err), 0);
}

static void test_damage(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = -1;
	struct cox_error err = COX_ERROR_INIT;
	char junk[4096];
	int r;

	for (int i = 0; i < 500; i++) {
		char uid[16];

		snprintf(uid, sizeof(uid), "app-%d", i);
		put(f->db, uid, i);
	}
	cox_db_close(TAKE(f->db));
	memset(junk, 0x5a, sizeof(junk));
	fd = open(f->path, O_WRONLY | O_CLOEXEC);
	assert_true(pwrite(fd, junk, sizeof(junk), 4096) == sizeof(junk));
	r = cox_db_open(f->path, schema, 2, &f->db, &err);
	if (r == 0)
		r = cox_db_check(f->db, &err);
	assert_int_equal(r, -COX_DATA_LOSS);
	assert_non_null(strstr(err.message, f->path));
	cox_db_close(TAKE(f->db));
	assert_true(pwrite(fd, "not a database at all", 21, 0) == 21);
	assert_int_equal(cox_db_open(f->path, schema, 2, &f->db, &err), -COX_DATA_LOSS);
}

/* What was committed is there after kill -9; what was not is not. */
static void test_kill(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	cox_db_close(TAKE(f->db));
	pid = fork();
	if (pid == 0) {
		struct cox_tx tx = COX_TX_INIT;
		struct cox_db *db;

		if (cox_db_open(f->path, schema, 2, &db, NULL) < 0 ||
		    cox_db_run(db, NULL, "INSERT INTO app(uid, generation) VALUES('a', 1)", "") <
			    0 ||
		    cox_tx_begin(&tx, db, NULL) < 0 ||
		    cox_db_run(db, NULL, "INSERT INTO app(uid, generation) VALUES('b', 1)", "") < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(cox_db_open(f->path, schema, 2, &f->db, NULL), 0);
	assert_int_equal(ask(f->db, "SELECT count(*) FROM app"), 1);
	assert_int_equal(cox_db_check(f->db, NULL), 0);
}

static void *use_it(void *arg)
{
	put(arg, "from the thread", 1);
	return NULL;
}

/* Opened here, used there, closed here. */
static void test_hand_over(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, use_it, f->db), 0);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statement_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_constraints, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transactions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vanished_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reopen_and_migrate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only_and_backup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hand_over, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
