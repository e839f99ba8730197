#include "common/db/private.h"

#include <stdarg.h>

static int prepare(struct cox_db *db, const char *sql, bool lasting, sqlite3_stmt **ret_stmt,
		   struct cox_error *err)
{
	const char *tail;

	if (sqlite3_prepare_v3(db->native, sql, -1, lasting ? SQLITE_PREPARE_PERSISTENT : 0,
			       ret_stmt, &tail) != SQLITE_OK)
		return db_error(db, err, "compile a statement for database");
	if (*ret_stmt && tail[strspn(tail, " \t\n;")] == '\0')
		return 0;
	sqlite3_finalize(*ret_stmt);
	return cox_error(err, COX_INTERNAL, "'%.80s' is not exactly one statement", sql);
}

int cox_stmt_begin(struct cox_stmt *s, struct cox_db *db, const char *sql, struct cox_error *err)
{
	uintptr_t slot = (uintptr_t)cox_map_get(&db->slot_of, sql);
	bool cacheable = slot == 0 && db->cache.n < CACHE_MAX;
	sqlite3_stmt *native;
	int r;

	db_own(db);
	COX_ASSERT(!s->native);
	if (slot && !db->cache.items[slot - 1].in_use) {
		db->cache.items[slot - 1].in_use = true;
		*s = (struct cox_stmt){.db = db,
				       .native = db->cache.items[slot - 1].native,
				       .slot = (int32_t)slot - 1};
		return 0;
	}
	r = prepare(db, sql, cacheable, &native, err);
	if (r < 0)
		return r;
	*s = (struct cox_stmt){.db = db, .native = native, .slot = -1};
	if (cacheable) {
		s->slot = (int32_t)db->cache.n;
		cox_vec_push(&db->cache, (struct cached){.native = native, .in_use = true});
		cox_map_set(&db->slot_of, sql, (void *)(uintptr_t)db->cache.n);
	}
	return 0;
}

static void bound(struct cox_stmt *s, int r)
{
	if (r != SQLITE_OK && !s->bind_error)
		s->bind_error = r;
}

void cox_stmt_bind_text(struct cox_stmt *s, int parameter, struct cox_str text)
{
	bound(s, sqlite3_bind_text64(s->native, parameter, text.ptr ? text.ptr : "", text.len,
				     SQLITE_TRANSIENT, SQLITE_UTF8));
}

void cox_stmt_bind_blob(struct cox_stmt *s, int parameter, struct cox_str bytes)
{
	bound(s, sqlite3_bind_blob64(s->native, parameter, bytes.len ? bytes.ptr : "", bytes.len,
				     SQLITE_TRANSIENT));
}

void cox_stmt_bind_int(struct cox_stmt *s, int parameter, int64_t value)
{
	bound(s, sqlite3_bind_int64(s->native, parameter, value));
}

void cox_stmt_bind_double(struct cox_stmt *s, int parameter, double value)
{
	bound(s, sqlite3_bind_double(s->native, parameter, value));
}

void cox_stmt_bind_null(struct cox_stmt *s, int parameter)
{
	bound(s, sqlite3_bind_null(s->native, parameter));
}

static void bind_string(struct cox_stmt *s, int parameter, const char *text)
{
	if (text)
		cox_stmt_bind_text(s, parameter, cox_str(text));
	else
		cox_stmt_bind_null(s, parameter);
}

static void bind_all(struct cox_stmt *s, const char *types, va_list args)
{
	int n = (int)strlen(types);

	if (n != sqlite3_bind_parameter_count(s->native))
		bound(s, SQLITE_RANGE);
	for (int i = 1; i <= n; i++) {
		switch (types[i - 1]) {
		case 's':
			bind_string(s, i, va_arg(args, const char *));
			break;
		case 't':
			cox_stmt_bind_text(s, i, va_arg(args, struct cox_str));
			break;
		case 'b':
			cox_stmt_bind_blob(s, i, va_arg(args, struct cox_str));
			break;
		case 'i':
			cox_stmt_bind_int(s, i, va_arg(args, int64_t));
			break;
		case 'd':
			cox_stmt_bind_double(s, i, va_arg(args, double));
			break;
		case 'n':
			cox_stmt_bind_null(s, i);
			break;
		default:
			cox_bug(__FILE__, __LINE__, "unknown letter of a parameter's type");
		}
	}
}

void cox_stmt_bind(struct cox_stmt *s, const char *types, ...)
{
	va_list args;

	va_start(args, types);
	bind_all(s, types, args);
	va_end(args);
}

int cox_stmt_step(struct cox_stmt *s, struct cox_error *err)
{
	struct cox_db *db = s->db;
	int r;

	db_own(db);
	if (s->bind_error)
		return cox_error(
			err, s->bind_error == SQLITE_TOOBIG ? COX_RESOURCE_EXHAUSTED : COX_INTERNAL,
			"cannot bind a parameter of '%.80s': %s", sqlite3_sql(s->native),
			sqlite3_errstr(s->bind_error));
	/* A failure like a full disk ends the whole transaction inside SQLite. What would follow in
	 * it must not run alone. */
	if (db->tx_depth > 0 && sqlite3_get_autocommit(db->native))
		return cox_error(err, COX_ABORTED,
				 "the transaction on '%s' was rolled back by an earlier failure",
				 db->path);
	r = sqlite3_step(s->native);
	if (r == SQLITE_ROW)
		return 1;
	if (r != SQLITE_DONE) {
		r = db_error(db, err,
			     sqlite3_stmt_readonly(s->native) ? "read database" : "write database");
		sqlite3_reset(s->native);
		return r;
	}
	/* Ends the read transaction of a statement that is kept for later. */
	sqlite3_reset(s->native);
	return 0;
}

const char *cox_stmt_text(struct cox_stmt *s, int column)
{
	const unsigned char *text = sqlite3_column_text(s->native, column);

	return text ? (const char *)text : "";
}

struct cox_str cox_stmt_str(struct cox_stmt *s, int column)
{
	const unsigned char *text = sqlite3_column_text(s->native, column);

	return (struct cox_str){(const char *)text,
				text ? (size_t)sqlite3_column_bytes(s->native, column) : 0};
}

struct cox_str cox_stmt_blob(struct cox_stmt *s, int column)
{
	const void *bytes = sqlite3_column_blob(s->native, column);
	size_t n = (size_t)sqlite3_column_bytes(s->native, column);

	/* SQLite has no pointer for an empty blob; only NULL has none here. */
	if (!bytes && sqlite3_column_type(s->native, column) != SQLITE_NULL)
		bytes = "";
	return (struct cox_str){bytes, n};
}

int64_t cox_stmt_int(struct cox_stmt *s, int column)
{
	return sqlite3_column_int64(s->native, column);
}

double cox_stmt_double(struct cox_stmt *s, int column)
{
	return sqlite3_column_double(s->native, column);
}

bool cox_stmt_is_null(struct cox_stmt *s, int column)
{
	return sqlite3_column_type(s->native, column) == SQLITE_NULL;
}

void cox_stmt_reset(struct cox_stmt *s)
{
	sqlite3_reset(s->native);
	sqlite3_clear_bindings(s->native);
	s->bind_error = 0;
}

void cox_stmt_end(struct cox_stmt *s)
{
	if (!s->native)
		return;
	cox_stmt_reset(s);
	if (s->slot >= 0)
		s->db->cache.items[s->slot].in_use = false;
	else
		sqlite3_finalize(s->native);
	*s = COX_STMT_INIT;
}

int cox_db_run(struct cox_db *db, struct cox_error *err, const char *sql, const char *types, ...)
{
	_cleanup_stmt_ struct cox_stmt s = COX_STMT_INIT;
	va_list args;
	int r;

	r = cox_stmt_begin(&s, db, sql, err);
	if (r < 0)
		return r;
	va_start(args, types);
	bind_all(&s, types, args);
	va_end(args);
	while ((r = cox_stmt_step(&s, err)) > 0)
		;
	return r;
}
