/* SQLite, and its only door: durable, migrated, with errors that say what to do.
 *
 *	struct cox_db *db;
 *	r = cox_db_open("state/hub.db", migrations, COX_ARRAY_LEN(migrations), &db, err);
 *
 *	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;          // rolls back unless committed
 *	r = cox_tx_begin(&tx, db, err);
 *	r = cox_db_run(db, err, "INSERT INTO app(uid, generation, body) VALUES(?,?,?)", "sib",
 *		       uid, (int64_t)generation, body);
 *	r = cox_tx_commit(&tx, err);
 *
 *	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;     // goes back to the cache at the end
 *	r = cox_stmt_begin(&q, db, "SELECT uid, generation FROM app WHERE project = ?", err);
 *	cox_stmt_bind_text(&q, 1, cox_str(project));
 *	while ((r = cox_stmt_step(&q, err)) > 0)
 *		use(cox_stmt_text(&q, 0), cox_stmt_int(&q, 1));
 *	if (r < 0)
 *		return r;
 *
 * Every database is in WAL mode with synchronous=FULL (a commit that returned is on the disk) and
 * foreign keys on; its directory is made with mode 0700 and its file with 0600.
 *
 * Errors: no space, or the disk's quota: COX_RESOURCE_EXHAUSTED; another process holds it:
 * COX_UNAVAILABLE; a unique, foreign key or check constraint: COX_ALREADY_EXISTS for unique and
 * primary keys, else COX_FAILED_PRECONDITION; damaged: COX_DATA_LOSS; a file of a newer program:
 * COX_FAILED_PRECONDITION. All name the file.
 *
 * Threads: a connection and its statements belong to one thread: the first that uses it after it
 *was opened. Any other aborts the program; a second thread opens its own. Open and close may be
 * elsewhere, before the first use and after the last. */
#ifndef COX_DB_DB_H
#define COX_DB_DB_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cox_db;

/* One step of the schema. Migration i brings user_version from i to i + 1, each in its own
 * transaction; they are never changed once released, only added to. */
struct cox_db_migration {
	const char *name; /* for messages */
	const char *sql;  /* one or more statements */
};

/* Opens or makes the database and migrates it. ":memory:" is one for tests. */
int cox_db_open(const char *path, const struct cox_db_migration *migrations, size_t n_migrations,
		struct cox_db **ret_db, struct cox_error *err);
/* Opens what is there, for reading only; no migration. */
int cox_db_open_read(const char *path, struct cox_db **ret_db, struct cox_error *err);
/* No statement may be begun any more. An open transaction is rolled back. NULL is fine. */
void cox_db_close(struct cox_db *db);

static inline void cox_db_close_p(struct cox_db **db)
{
	cox_db_close(*db);
}
#define _cleanup_db_ __attribute__((cleanup(cox_db_close_p)))

const char *cox_db_path(const struct cox_db *db);
/* user_version: how many migrations have run. */
int cox_db_version(struct cox_db *db);
/* integrity_check and foreign_key_check; COX_DATA_LOSS with the first finding. Reads everything. */
int cox_db_check(struct cox_db *db, struct cox_error *err);
/* A consistent copy into a new file (0600), while others read and write. */
int cox_db_backup(struct cox_db *db, const char *to_path, struct cox_error *err);
/* Moves what is in the WAL into the file and empties it. */
int cox_db_checkpoint(struct cox_db *db, struct cox_error *err);

/* Constant text only, no parameters, any number of statements, rows are dropped. */
int cox_db_exec(struct cox_db *db, const char *sql, struct cox_error *err);
/* One statement with its parameters, no rows wanted. types has a letter for each parameter:
 * 's' const char * (NULL binds NULL), 't' struct cox_str as text, 'b' struct cox_str as blob,
 * 'i' int64_t, 'd' double, 'n' NULL (takes no argument). Statements are cached by their text. */
int cox_db_run(struct cox_db *db, struct cox_error *err, const char *sql, const char *types, ...);
/* Rows that the last INSERT, UPDATE or DELETE changed. */
int64_t cox_db_changes(struct cox_db *db);
int64_t cox_db_last_rowid(struct cox_db *db);

/* ---- statements ---- */

struct cox_stmt {
	struct cox_db *db;
	void *native;
	int32_t slot;	    /* in the cache, or -1 */
	int32_t bind_error; /* of the first bind that failed; step reports it */
};
#define COX_STMT_INIT  ((struct cox_stmt){.slot = -1})
#define _cleanup_stmt_ __attribute__((cleanup(cox_stmt_end)))

/* Compiles, or takes from the cache. sql must be one statement. */
int cox_stmt_begin(struct cox_stmt *s, struct cox_db *db, const char *sql, struct cox_error *err);
/* As cox_db_run's types and arguments, from parameter 1 on. */
void cox_stmt_bind(struct cox_stmt *s, const char *types, ...);
/* Parameters count from 1. The bytes are copied. A bind that fails is reported by step. */
void cox_stmt_bind_text(struct cox_stmt *s, int parameter, struct cox_str text);
void cox_stmt_bind_blob(struct cox_stmt *s, int parameter, struct cox_str bytes);
void cox_stmt_bind_int(struct cox_stmt *s, int parameter, int64_t value);
void cox_stmt_bind_double(struct cox_stmt *s, int parameter, double value);
void cox_stmt_bind_null(struct cox_stmt *s, int parameter);
/* 1: there is a row; 0: no more. */
int cox_stmt_step(struct cox_stmt *s, struct cox_error *err);
/* Columns count from 0. Text and blobs are borrowed until the next step, reset or end; NULL gives
 * an empty string with ptr NULL for _str and _blob, "" for _text. */
const char *cox_stmt_text(struct cox_stmt *s, int column);
struct cox_str cox_stmt_str(struct cox_stmt *s, int column);
struct cox_str cox_stmt_blob(struct cox_stmt *s, int column);
int64_t cox_stmt_int(struct cox_stmt *s, int column);
double cox_stmt_double(struct cox_stmt *s, int column);
bool cox_stmt_is_null(struct cox_stmt *s, int column);
/* Back to before the first row, parameters forgotten: ready for the next bind. */
void cox_stmt_reset(struct cox_stmt *s);
/* Gives it back to the cache; harmless twice. */
void cox_stmt_end(struct cox_stmt *s);

/* ---- transactions ---- */

struct cox_tx {
	struct cox_db *db; /* NULL: not begun, or over */
	int32_t depth;
};
#define COX_TX_INIT  ((struct cox_tx){0})
#define _cleanup_tx_ __attribute__((cleanup(cox_tx_end)))

/* BEGIN IMMEDIATE; inside another transaction, a savepoint. Inner ones end before outer ones. */
int cox_tx_begin(struct cox_tx *tx, struct cox_db *db, struct cox_error *err);
/* Durable when it returns 0 (the outermost one). On failure the transaction is rolled back. */
int cox_tx_commit(struct cox_tx *tx, struct cox_error *err);
/* Rolls back what was not committed; harmless twice. */
void cox_tx_end(struct cox_tx *tx);

#endif
