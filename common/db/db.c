#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/db/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define BUSY_TIMEOUT_MS 5000

static const struct {
	int native; /* a primary code, or an extended one, which then stands first */
	enum cox_code code;
	const char *hint;
} translations[] = {
	{SQLITE_CONSTRAINT_PRIMARYKEY, COX_ALREADY_EXISTS, NULL},
	{SQLITE_CONSTRAINT_UNIQUE, COX_ALREADY_EXISTS, NULL},
	{SQLITE_CONSTRAINT_ROWID, COX_ALREADY_EXISTS, NULL},
	{SQLITE_CONSTRAINT, COX_FAILED_PRECONDITION, NULL},
	{SQLITE_FULL, COX_RESOURCE_EXHAUSTED, "free some space on its disk"},
	{SQLITE_NOMEM, COX_RESOURCE_EXHAUSTED, NULL},
	{SQLITE_TOOBIG, COX_RESOURCE_EXHAUSTED, NULL},
	{SQLITE_BUSY, COX_UNAVAILABLE, "another process holds it"},
	{SQLITE_LOCKED, COX_UNAVAILABLE, NULL},
	{SQLITE_READONLY, COX_PERMISSION_DENIED, "it cannot be written"},
	{SQLITE_PERM, COX_PERMISSION_DENIED, NULL},
	{SQLITE_AUTH, COX_PERMISSION_DENIED, NULL},
	{SQLITE_CANTOPEN, COX_PERMISSION_DENIED, NULL},
	{SQLITE_CORRUPT, COX_DATA_LOSS, "restore it from a backup"},
	{SQLITE_NOTADB, COX_DATA_LOSS, "it is not a database"},
	{SQLITE_IOERR, COX_DATA_LOSS, "the disk does not work"},
	{SQLITE_INTERRUPT, COX_CANCELLED, NULL},
	{SQLITE_ABORT, COX_ABORTED, NULL},
	{SQLITE_SCHEMA, COX_ABORTED, NULL},
	{SQLITE_RANGE, COX_INTERNAL, NULL},
	{SQLITE_MISUSE, COX_INTERNAL, NULL},
};

int db_error(struct cox_db *db, struct cox_error *err, const char *doing)
{
	int extended = sqlite3_extended_errcode(db->native);
	const char *hint = NULL, *said = sqlite3_errmsg(db->native);
	enum cox_code code = COX_INTERNAL;

	for (size_t i = 0; i < COX_ARRAY_LEN(translations); i++) {
		if (translations[i].native != extended &&
		    translations[i].native != (extended & 0xff))
			continue;
		code = translations[i].code;
		hint = translations[i].hint;
		break;
	}
	if (hint)
		return cox_error(err, code, "cannot %s '%s': %s (%s)", doing, db->path, said, hint);
	return cox_error(err, code, "cannot %s '%s': %s", doing, db->path, said);
}

void db_own(struct cox_db *db)
{
	if (!db->has_owner) {
		db->has_owner = true;
		db->owner = pthread_self();
	}
	COX_ASSERT(pthread_equal(db->owner, pthread_self()));
}

static bool is_memory(const char *path)
{
	return strcmp(path, ":memory:") == 0;
}

/* The directory 0700 and the file 0600, before SQLite makes it with what the umask says; the files
 * beside it take its mode. */
static int make_file(const char *path, struct cox_error *err)
{
	_cleanup_free_ char *dir = cox_strdup(path);
	char *slash = strrchr(dir, '/');
	_cleanup_close_ int fd = -1;
	int r;

	if (slash && slash != dir) {
		*slash = '\0';
		r = cox_dir_make(dir, 0700, err);
		if (r < 0)
			return r;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return cox_error_sys(err, errno, "cannot open database '%s'", path);
	return 0;
}

static int open_native(struct cox_db *db, int flags, struct cox_error *err)
{
	int r = sqlite3_open_v2(db->path, &db->native, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (!db->native)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "no memory for database '%s'",
				 db->path);
	if (r != SQLITE_OK)
		return db_error(db, err, "open database");
	sqlite3_extended_result_codes(db->native, 1);
	sqlite3_busy_timeout(db->native, BUSY_TIMEOUT_MS);
	sqlite3_db_config(db->native, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->native, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return 0;
}

int cox_db_version(struct cox_db *db)
{
	sqlite3_stmt *stmt;
	int version = 0;

	if (sqlite3_prepare_v2(db->native, "PRAGMA user_version", -1, &stmt, NULL) != SQLITE_OK)
		return 0;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		version = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return version;
}

static int migrate_one(struct cox_db *db, const struct cox_db_migration *m, int version,
		       struct cox_error *err)
{
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	char bump[64];
	int r;

	r = cox_tx_begin(&tx, db, err);
	if (r < 0)
		return r;
	/* Another process may have done it while we waited for the lock. */
	if (cox_db_version(db) != version)
		return 0;
	r = cox_db_exec(db, m->sql, err);
	if (r < 0)
		return cox_error_wrap(err, "migration '%s'", m->name);
	snprintf(bump, sizeof(bump), "PRAGMA user_version = %d", version + 1);
	r = cox_db_exec(db, bump, err);
	if (r < 0)
		return r;
	return cox_tx_commit(&tx, err);
}

static int migrate(struct cox_db *db, const struct cox_db_migration *migrations, size_t n,
		   struct cox_error *err)
{
	int version;

	while ((version = cox_db_version(db)) < (int)n) {
		int r = migrate_one(db, &migrations[version], version, err);

		if (r < 0)
			return r;
	}
	if (version > (int)n)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "database '%s' is of schema %d, this program knows %zu: it was "
				 "written by a newer version, use that one",
				 db->path, version, n);
	return 0;
}

static const char settings[] = "PRAGMA journal_mode = WAL;"
			       "PRAGMA synchronous = FULL;"
			       "PRAGMA foreign_keys = ON;"
			       "PRAGMA cell_size_check = ON;"
			       "PRAGMA journal_size_limit = 67108864;"
			       "PRAGMA temp_store = MEMORY;";

int cox_db_open(const char *path, const struct cox_db_migration *migrations, size_t n_migrations,
		struct cox_db **ret_db, struct cox_error *err)
{
	_cleanup_db_ struct cox_db *db = cox_new(struct cox_db);
	int r;

	db->path = cox_strdup(path);
	r = is_memory(path) ? 0 : make_file(path, err);
	if (r == 0)
		r = open_native(db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
	if (r == 0)
		r = cox_db_exec(db, settings, err);
	if (r == 0)
		r = migrate(db, migrations, n_migrations, err);
	if (r < 0)
		return r;
	db->has_owner = false;
	*ret_db = TAKE(db);
	return 0;
}

int cox_db_open_read(const char *path, struct cox_db **ret_db, struct cox_error *err)
{
	_cleanup_db_ struct cox_db *db = cox_new(struct cox_db);
	int r;

	db->path = cox_strdup(path);
	if (access(path, R_OK) < 0)
		return cox_error_sys(err, errno, "cannot open database '%s'", path);
	r = open_native(db, SQLITE_OPEN_READONLY, err);
	if (r == 0)
		r = cox_db_exec(db, "PRAGMA query_only = ON; PRAGMA schema_version;", err);
	if (r < 0)
		return r;
	db->has_owner = false;
	*ret_db = TAKE(db);
	return 0;
}

void cox_db_close(struct cox_db *db)
{
	if (!db)
		return;
	COX_VEC_EACH (&db->cache, c) {
		COX_ASSERT(!c->in_use);
		sqlite3_finalize(c->native);
	}
	cox_vec_fini(&db->cache);
	cox_map_fini(&db->slot_of);
	if (db->native)
		sqlite3_close_v2(db->native);
	free(db->path);
	free(db);
}

const char *cox_db_path(const struct cox_db *db)
{
	return db->path;
}

int cox_db_exec(struct cox_db *db, const char *sql, struct cox_error *err)
{
	db_own(db);
	if (sqlite3_exec(db->native, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(db, err, "change database");
	return 0;
}

int64_t cox_db_changes(struct cox_db *db)
{
	return sqlite3_changes64(db->native);
}

int64_t cox_db_last_rowid(struct cox_db *db)
{
	return sqlite3_last_insert_rowid(db->native);
}

int cox_db_check(struct cox_db *db, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT, keys = COX_STMT_INIT;
	int r;

	r = cox_stmt_begin(&q, db, "PRAGMA integrity_check(1)", err);
	if (r < 0)
		return r;
	r = cox_stmt_step(&q, err);
	if (r < 0)
		return r;
	if (r == 0 || strcmp(cox_stmt_text(&q, 0), "ok") != 0)
		return cox_error(err, COX_DATA_LOSS, "database '%s' is damaged: %s", db->path,
				 r ? cox_stmt_text(&q, 0) : "its check gave no answer");
	r = cox_stmt_begin(&keys, db, "PRAGMA foreign_key_check", err);
	if (r < 0)
		return r;
	r = cox_stmt_step(&keys, err);
	if (r > 0)
		return cox_error(
			err, COX_DATA_LOSS,
			"database '%s' is damaged: a row of '%s' refers to a row that '%s' "
			"does not have",
			db->path, cox_stmt_text(&keys, 0), cox_stmt_text(&keys, 2));
	return r;
}

int cox_db_checkpoint(struct cox_db *db, struct cox_error *err)
{
	db_own(db);
	if (sqlite3_wal_checkpoint_v2(db->native, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
	    SQLITE_OK)
		return db_error(db, err, "checkpoint database");
	return 0;
}

int cox_db_backup(struct cox_db *db, const char *to_path, struct cox_error *err)
{
	_cleanup_db_ struct cox_db *to = cox_new(struct cox_db);
	sqlite3_backup *backup;
	int r;

	db_own(db);
	if (access(to_path, F_OK) == 0)
		return cox_error(err, COX_ALREADY_EXISTS, "'%s' exists already", to_path);
	to->path = cox_strdup(to_path);
	r = make_file(to_path, err);
	if (r == 0)
		r = open_native(to, SQLITE_OPEN_READWRITE, err);
	if (r < 0)
		return r;
	backup = sqlite3_backup_init(to->native, "main", db->native, "main");
	if (backup) {
		sqlite3_backup_step(backup, -1);
		sqlite3_backup_finish(backup);
	}
	if (sqlite3_errcode(to->native) != SQLITE_OK)
		r = db_error(to, err, "write backup");
	/* One file that can be read from anywhere, without a log beside it. */
	if (r == 0)
		r = cox_db_exec(to, "PRAGMA journal_mode = DELETE", err);
	if (r < 0)
		unlink(to_path);
	return r;
}
