#include "agent/sync/store.h"

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/crypto/aead.h"
#include "common/zip/zip.h"

#include <stdlib.h>
#include <unistd.h>

struct agent_store {
	struct cox_db *db;
	struct cox_sealer *sealer;
};

static const struct cox_db_migration migrations[] = {
	{"first",
	 "CREATE TABLE value(name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;"
	 "CREATE TABLE app(uid TEXT PRIMARY KEY, tombstone INTEGER NOT NULL,"
	 " epoch INTEGER NOT NULL, generation INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;"
	 "CREATE TABLE bundle(digest BLOB PRIMARY KEY, body BLOB NOT NULL);"
	 "CREATE TABLE inventory(app_uid TEXT NOT NULL, object TEXT NOT NULL,"
	 " version TEXT NOT NULL, object_uid TEXT NOT NULL, wave INTEGER NOT NULL,"
	 " options INTEGER NOT NULL, PRIMARY KEY(app_uid, object)) WITHOUT ROWID;"
	 "CREATE TABLE operation(id TEXT PRIMARY KEY, app_uid TEXT NOT NULL,"
	 " running INTEGER NOT NULL, from_hub INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	 " begun INTEGER NOT NULL,"
	 " spec BLOB NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;"
	 "CREATE INDEX operation_of_app ON operation(app_uid, begun);"},
	{"hooks",
	 "ALTER TABLE operation ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE operation ADD COLUMN failing BLOB;"
	 "CREATE TABLE hook(id INTEGER PRIMARY KEY, app_uid TEXT NOT NULL,"
	 " operation TEXT NOT NULL, attempt INTEGER NOT NULL, phase INTEGER NOT NULL,"
	 " object TEXT NOT NULL, version TEXT NOT NULL, object_uid TEXT NOT NULL,"
	 " state INTEGER NOT NULL, released INTEGER NOT NULL, gone INTEGER NOT NULL,"
	 " hook_delete INTEGER NOT NULL, started_ms INTEGER NOT NULL, message BLOB NOT NULL,"
	 " UNIQUE(app_uid, operation, attempt, phase, object));"},
};

int agent_store_open(const char *dir, struct agent_store **ret_store, struct cox_error *err)
{
	_cleanup_free_ char *db_path = cox_path_join(dir, "agent.db");
	_cleanup_free_ char *key_path = cox_path_join(dir, "agent.key");
	struct agent_store *s;
	int code = cox_dir_make(dir, 0700, err);

	if (code < 0)
		return code;
	s = cox_new(struct agent_store);
	/* a database that is there cannot be read with a new key */
	code = cox_sealer_open(key_path, access(db_path, F_OK) == 0, &s->sealer, err);
	if (code >= 0)
		code = cox_db_open(db_path, migrations, COX_ARRAY_LEN(migrations), &s->db, err);
	if (code < 0) {
		agent_store_close(s);
		return code;
	}
	*ret_store = s;
	return 0;
}

void agent_store_close(struct agent_store *store)
{
	if (!store)
		return;
	cox_db_close(store->db);
	cox_sealer_free(store->sealer);
	free(store);
}

int agent_store_begin(struct agent_store *store, struct cox_tx *tx, struct cox_error *err)
{
	return cox_tx_begin(tx, store->db, err);
}

/* The row's place: "app/uid". */
static void place(struct cox_buf *out, const char *table, struct cox_str key)
{
	cox_buf_printf(out, "%s/", table);
	cox_buf_puts_str(out, key);
}

static void seal(struct agent_store *store, const char *table, struct cox_str key,
		 struct cox_str plain, struct cox_buf *out)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf at = COX_BUF_INIT;

	place(&at, table, key);
	cox_seal(store->sealer, plain, cox_buf_str(&at), out);
}

static int unseal(struct agent_store *store, const char *table, struct cox_str key,
		  struct cox_str sealed, struct cox_buf *out, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf at = COX_BUF_INIT;

	place(&at, table, key);
	return cox_unseal(store->sealer, sealed, cox_buf_str(&at), out, err);
}

/* ---- single values ---- */

int agent_store_get(struct agent_store *store, const char *name, struct cox_buf *out,
		    struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	int code = cox_stmt_begin(&q, store->db, "SELECT body FROM value WHERE name = ?", err);

	if (code < 0)
		return code;
	cox_stmt_bind_text(&q, 1, cox_str(name));
	code = cox_stmt_step(&q, err);
	if (code <= 0)
		return code;
	code = unseal(store, "value", cox_str(name), cox_stmt_blob(&q, 0), out, err);
	return code < 0 ? code : 1;
}

int agent_store_put(struct agent_store *store, const char *name, struct cox_str value,
		    struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf sealed = COX_BUF_INIT;

	seal(store, "value", cox_str(name), value, &sealed);
	return cox_db_run(store->db, err,
			  "INSERT INTO value(name, body) VALUES(?, ?)"
			  " ON CONFLICT(name) DO UPDATE SET body = excluded.body",
			  "sb", name, cox_buf_str(&sealed));
}

int agent_store_get_int(struct agent_store *store, const char *name, uint64_t *ret_value,
			struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	int code = agent_store_get(store, name, &text, err);

	if (code < 0)
		return code;
	*ret_value = code ? strtoull(cox_buf_cstr(&text), NULL, 10) : 0;
	return 0;
}

int agent_store_put_int(struct agent_store *store, const char *name, uint64_t value,
			struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	cox_buf_printf(&text, "%llu", (unsigned long long)value);
	return agent_store_put(store, name, cox_buf_str(&text), err);
}

/* ---- applications ---- */

int agent_store_put_app(struct agent_store *store, const struct agent_app_row *row,
			struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf sealed = COX_BUF_INIT;

	seal(store, "app", cox_str(row->uid), row->body, &sealed);
	return cox_db_run(store->db, err,
			  "INSERT INTO app(uid, tombstone, epoch, generation, body)"
			  " VALUES(?, ?, ?, ?, ?) ON CONFLICT(uid) DO UPDATE SET"
			  " tombstone = excluded.tombstone, epoch = excluded.epoch,"
			  " generation = excluded.generation, body = excluded.body",
			  "siiib", row->uid, (int64_t)row->tombstone, (int64_t)row->epoch,
			  (int64_t)row->generation, cox_buf_str(&sealed));
}

int agent_store_drop_app(struct agent_store *store, const char *uid, struct cox_error *err)
{
	static const char *const statements[] = {
		"DELETE FROM app WHERE uid = ?",
		"DELETE FROM inventory WHERE app_uid = ?",
		"DELETE FROM operation WHERE app_uid = ?",
		"DELETE FROM hook WHERE app_uid = ?",
	};
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	int code = cox_tx_begin(&tx, store->db, err);

	for (size_t i = 0; code >= 0 && i < COX_ARRAY_LEN(statements); i++)
		code = cox_db_run(store->db, err, statements[i], "s", uid);
	return code < 0 ? code : cox_tx_commit(&tx, err);
}

int agent_store_each_app(struct agent_store *store,
			 int (*each)(void *ctx, const struct agent_app_row *row,
				     struct cox_error *err),
			 void *ctx, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	int code = cox_stmt_begin(
		&q, store->db,
		"SELECT uid, tombstone, epoch, generation, body FROM app ORDER BY uid", err);

	if (code < 0)
		return code;
	while ((code = cox_stmt_step(&q, err)) > 0) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf body = COX_BUF_INIT;
		struct agent_app_row row = {
			.uid = cox_stmt_text(&q, 0),
			.tombstone = cox_stmt_int(&q, 1),
			.epoch = (uint64_t)cox_stmt_int(&q, 2),
			.generation = (uint64_t)cox_stmt_int(&q, 3),
		};

		code = unseal(store, "app", cox_str(row.uid), cox_stmt_blob(&q, 4), &body, err);
		if (code < 0)
			return cox_error_wrap(err, "application '%s'", row.uid);
		row.body = cox_buf_str(&body);
		code = each(ctx, &row, err);
		if (code < 0)
			return code;
	}
	return code;
}

/* ---- bundles ---- */

static struct cox_str digest_str(const uint8_t digest[COX_SHA256_BYTES])
{
	return cox_str_n((const char *)digest, COX_SHA256_BYTES);
}

int agent_store_put_bundle(struct agent_store *store, const uint8_t digest[COX_SHA256_BYTES],
			   struct cox_str packed, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf sealed = COX_BUF_INIT;

	seal(store, "bundle", digest_str(digest), packed, &sealed);
	return cox_db_run(store->db, err,
			  "INSERT INTO bundle(digest, body) VALUES(?, ?) ON CONFLICT DO NOTHING",
			  "bb", digest_str(digest), cox_buf_str(&sealed));
}

bool agent_store_has_bundle(struct agent_store *store, const uint8_t digest[COX_SHA256_BYTES])
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;

	if (cox_stmt_begin(&q, store->db, "SELECT 1 FROM bundle WHERE digest = ?", NULL) < 0)
		return false;
	cox_stmt_bind_blob(&q, 1, digest_str(digest));
	return cox_stmt_step(&q, NULL) > 0;
}

int agent_store_get_bundle(struct agent_store *store, const uint8_t digest[COX_SHA256_BYTES],
			   struct cox_buf *out, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	COX_CLEANUP(cox_buf_fini) struct cox_buf packed = COX_BUF_INIT, plain = COX_BUF_INIT;
	uint8_t found[COX_SHA256_BYTES];
	int code = cox_stmt_begin(&q, store->db, "SELECT body FROM bundle WHERE digest = ?", err);

	if (code < 0)
		return code;
	cox_stmt_bind_blob(&q, 1, digest_str(digest));
	code = cox_stmt_step(&q, err);
	if (code < 0)
		return code;
	if (code == 0)
		return cox_error(err, COX_NOT_FOUND, "bundle is not here");
	code = unseal(store, "bundle", digest_str(digest), cox_stmt_blob(&q, 0), &packed, err);
	if (code == 0)
		code = cox_zip_decompress(cox_buf_str(&packed), COX_LIMIT_BUNDLE_BYTES, &plain,
					  err);
	if (code < 0)
		return cox_error_wrap(err, "stored bundle");
	cox_sha256(cox_buf_str(&plain), found);
	if (memcmp(found, digest, COX_SHA256_BYTES) != 0)
		return cox_error(err, COX_DATA_LOSS, "stored bundle has another digest");
	cox_buf_puts_str(out, cox_buf_str(&plain));
	return 0;
}

int agent_store_keep_bundles(struct agent_store *store, const uint8_t (*digests)[COX_SHA256_BYTES],
			     size_t n, struct cox_error *err)
{
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	int code = cox_tx_begin(&tx, store->db, err);

	if (code == 0)
		code = cox_db_exec(store->db,
				   "CREATE TEMP TABLE IF NOT EXISTS kept(digest BLOB PRIMARY KEY);"
				   "DELETE FROM kept;",
				   err);
	for (size_t i = 0; code == 0 && i < n; i++)
		code = cox_db_run(store->db, err, "INSERT OR IGNORE INTO kept(digest) VALUES(?)",
				  "b", digest_str(digests[i]));
	if (code == 0)
		code = cox_db_exec(
			store->db,
			"DELETE FROM bundle WHERE digest NOT IN (SELECT digest FROM kept);", err);
	return code < 0 ? code : cox_tx_commit(&tx, err);
}

/* ---- inventory ---- */

int agent_store_put_object(struct agent_store *store, const char *app_uid,
			   const struct agent_inventory_row *row, struct cox_error *err)
{
	return cox_db_run(store->db, err,
			  "INSERT INTO inventory(app_uid, object, version, object_uid, wave,"
			  " options) VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
			  " version = excluded.version, object_uid = excluded.object_uid,"
			  " wave = excluded.wave, options = excluded.options",
			  "ssssii", app_uid, row->key_text, row->version, row->object_uid,
			  row->wave, (int64_t)row->options);
}

int agent_store_drop_object(struct agent_store *store, const char *app_uid, const char *key_text,
			    struct cox_error *err)
{
	return cox_db_run(store->db, err, "DELETE FROM inventory WHERE app_uid = ? AND object = ?",
			  "ss", app_uid, key_text);
}

int agent_store_each_object(struct agent_store *store, const char *app_uid,
			    int (*each)(void *ctx, const struct agent_inventory_row *row,
					struct cox_error *err),
			    void *ctx, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	int code = cox_stmt_begin(&q, store->db,
				  "SELECT object, version, object_uid, wave, options"
				  " FROM inventory WHERE app_uid = ? ORDER BY object",
				  err);

	if (code < 0)
		return code;
	cox_stmt_bind_text(&q, 1, cox_str(app_uid));
	while ((code = cox_stmt_step(&q, err)) > 0) {
		struct agent_inventory_row row = {
			.key_text = cox_stmt_text(&q, 0),
			.version = cox_stmt_text(&q, 1),
			.object_uid = cox_stmt_text(&q, 2),
			.wave = cox_stmt_int(&q, 3),
			.options = (uint32_t)cox_stmt_int(&q, 4),
		};

		code = each(ctx, &row, err);
		if (code < 0)
			return code;
	}
	return code;
}

/* ---- operations ---- */

int agent_store_put_operation(struct agent_store *store, const struct agent_operation_row *row,
			      struct cox_error *err)
{
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	COX_CLEANUP(cox_buf_fini) struct cox_buf spec = COX_BUF_INIT, state = COX_BUF_INIT;
	COX_CLEANUP(cox_buf_fini) struct cox_buf failing = COX_BUF_INIT;
	int code = cox_tx_begin(&tx, store->db, err);

	if (code < 0)
		return code;
	seal(store, "operation.spec", cox_str(row->id), row->spec, &spec);
	seal(store, "operation.state", cox_str(row->id), row->state, &state);
	seal(store, "operation.failing", cox_str(row->id), row->failing, &failing);
	code = cox_db_run(store->db, err,
			  "INSERT INTO operation(id, app_uid, running, from_hub, started_ms,"
			  " begun, spec, state, tried, failing) VALUES(?, ?, ?, ?, ?,"
			  " (SELECT coalesce(max(begun), 0) + 1 FROM operation), ?, ?, ?, ?)"
			  " ON CONFLICT(id) DO UPDATE SET running = excluded.running,"
			  " state = excluded.state, tried = excluded.tried,"
			  " failing = excluded.failing",
			  "ssiiibbib", row->id, row->app_uid, (int64_t)row->running,
			  (int64_t)row->from_hub, row->started_ms, cox_buf_str(&spec),
			  cox_buf_str(&state), (int64_t)row->tried, cox_buf_str(&failing));
	if (code == 0)
		code = cox_db_run(store->db, err,
				  "DELETE FROM operation WHERE app_uid = ? AND from_hub = ? AND"
				  " running = 0 AND id NOT IN (SELECT id FROM operation WHERE"
				  " app_uid = ? AND from_hub = ? ORDER BY begun DESC LIMIT ?)",
				  "sisii", row->app_uid, (int64_t)row->from_hub, row->app_uid,
				  (int64_t)row->from_hub, (int64_t)COX_LIMIT_AGENT_OPERATIONS);
	return code < 0 ? code : cox_tx_commit(&tx, err);
}

int agent_store_has_operation(struct agent_store *store, const char *id, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	int code = cox_stmt_begin(&q, store->db, "SELECT 1 FROM operation WHERE id = ?", err);

	if (code < 0)
		return code;
	cox_stmt_bind_text(&q, 1, cox_str(id));
	return cox_stmt_step(&q, err);
}

typedef int operation_fn(void *ctx, const struct agent_operation_row *row, struct cox_error *err);

static int read_operation(struct agent_store *store, const char *sql, const char *which,
			  operation_fn *each, void *ctx, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	COX_CLEANUP(cox_buf_fini) struct cox_buf spec = COX_BUF_INIT, state = COX_BUF_INIT;
	COX_CLEANUP(cox_buf_fini) struct cox_buf failing = COX_BUF_INIT;
	int code = cox_stmt_begin(&q, store->db, sql, err);

	if (code < 0)
		return code;
	cox_stmt_bind_text(&q, 1, cox_str(which));
	code = cox_stmt_step(&q, err);
	if (code <= 0)
		return code;
	struct agent_operation_row row = {
		.id = cox_stmt_text(&q, 0),
		.app_uid = cox_stmt_text(&q, 8),
		.running = cox_stmt_int(&q, 1),
		.from_hub = cox_stmt_int(&q, 2),
		.started_ms = cox_stmt_int(&q, 3),
		.tried = (uint32_t)cox_stmt_int(&q, 6),
	};

	code = unseal(store, "operation.spec", cox_str(row.id), cox_stmt_blob(&q, 4), &spec, err);
	if (code == 0)
		code = unseal(store, "operation.state", cox_str(row.id), cox_stmt_blob(&q, 5),
			      &state, err);
	/* an operation of before there were hooks has none */
	if (code == 0 && cox_stmt_blob(&q, 7).len)
		code = unseal(store, "operation.failing", cox_str(row.id), cox_stmt_blob(&q, 7),
			      &failing, err);
	if (code < 0)
		return cox_error_wrap(err, "operation '%s'", row.id);
	row.spec = cox_buf_str(&spec);
	row.state = cox_buf_str(&state);
	row.failing = cox_buf_str(&failing);
	code = each(ctx, &row, err);
	return code < 0 ? code : 1;
}

#define OPERATION                                                                                  \
	"SELECT id, running, from_hub, started_ms, spec, state, tried, failing,"                   \
	" app_uid FROM operation"

int agent_store_operation(struct agent_store *store, const char *id, operation_fn *each, void *ctx,
			  struct cox_error *err)
{
	return read_operation(store, OPERATION " WHERE id = ?", id, each, ctx, err);
}

int agent_store_last_operation(struct agent_store *store, const char *app_uid, operation_fn *each,
			       void *ctx, struct cox_error *err)
{
	int code = read_operation(store, OPERATION " WHERE app_uid = ? ORDER BY begun DESC LIMIT 1",
				  app_uid, each, ctx, err);

	return code < 0 ? code : 0;
}

/* ---- hooks ---- */

/* The row's place, for its message. */
static void hook_place(struct cox_buf *out, const char *app_uid, const struct agent_hook_row *row)
{
	cox_buf_printf(out, "%s/%s/%u/%d/%s", app_uid, row->operation, row->attempt, row->phase,
		       row->key_text);
}

int agent_store_put_hook(struct agent_store *store, const char *app_uid,
			 const struct agent_hook_row *row, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf at = COX_BUF_INIT, message = COX_BUF_INIT;

	hook_place(&at, app_uid, row);
	seal(store, "hook", cox_buf_str(&at), cox_str(row->message), &message);
	return cox_db_run(store->db, err,
			  "INSERT INTO hook(app_uid, operation, attempt, phase, object, version,"
			  " object_uid, state, released, gone, hook_delete, started_ms, message)"
			  " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
			  " object_uid = excluded.object_uid, state = excluded.state,"
			  " released = excluded.released, gone = excluded.gone,"
			  " started_ms = excluded.started_ms, message = excluded.message",
			  "ssiisssiiiiib", app_uid, row->operation, (int64_t)row->attempt,
			  (int64_t)row->phase, row->key_text, row->version, row->object_uid,
			  (int64_t)row->state, (int64_t)row->released, (int64_t)row->gone,
			  (int64_t)row->hook_delete, row->started_ms, cox_buf_str(&message));
}

int agent_store_each_hook(struct agent_store *store, const char *app_uid, const char *operation,
			  int (*each)(void *ctx, const struct agent_hook_row *row,
				      struct cox_error *err),
			  void *ctx, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	int code = cox_stmt_begin(&q, store->db,
				  "SELECT operation, attempt, phase, object, version, object_uid,"
				  " state, released, gone, hook_delete, started_ms, message"
				  " FROM hook WHERE app_uid = ?1 AND (?2 = '' OR operation = ?2)"
				  " ORDER BY id",
				  err);

	if (code < 0)
		return code;
	cox_stmt_bind_text(&q, 1, cox_str(app_uid));
	cox_stmt_bind_text(&q, 2, cox_str(operation ? operation : ""));
	while ((code = cox_stmt_step(&q, err)) > 0) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf at = COX_BUF_INIT, message = COX_BUF_INIT;
		struct agent_hook_row row = {
			.operation = cox_stmt_text(&q, 0),
			.attempt = (uint32_t)cox_stmt_int(&q, 1),
			.phase = (int)cox_stmt_int(&q, 2),
			.key_text = cox_stmt_text(&q, 3),
			.version = cox_stmt_text(&q, 4),
			.object_uid = cox_stmt_text(&q, 5),
			.state = (enum agent_hook_state)cox_stmt_int(&q, 6),
			.released = cox_stmt_int(&q, 7),
			.gone = cox_stmt_int(&q, 8),
			.hook_delete = (uint32_t)cox_stmt_int(&q, 9),
			.started_ms = cox_stmt_int(&q, 10),
		};

		hook_place(&at, app_uid, &row);
		code = unseal(store, "hook", cox_buf_str(&at), cox_stmt_blob(&q, 11), &message,
			      err);
		if (code < 0)
			return cox_error_wrap(err, "hook '%s'", row.key_text);
		row.message = cox_buf_cstr(&message);
		code = each(ctx, &row, err);
		if (code < 0)
			return code;
	}
	return code;
}

int agent_store_drop_old_hooks(struct agent_store *store, const char *app_uid,
			       const char *operation, struct cox_error *err)
{
	return cox_db_run(store->db, err,
			  "DELETE FROM hook WHERE app_uid = ? AND operation <> ? AND (gone OR"
			  " EXISTS(SELECT 1 FROM hook AS h WHERE h.app_uid = hook.app_uid AND"
			  " h.object = hook.object AND h.id > hook.id AND h.object_uid <> ''))",
			  "ss", app_uid, operation);
}
