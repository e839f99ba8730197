#include "common/db/private.h"

#include <stdio.h>

static int savepoint(struct cox_db *db, const char *verb, int depth, struct cox_error *err)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "%s cox_%d", verb, depth);
	return cox_db_exec(db, sql, err);
}

int cox_tx_begin(struct cox_tx *tx, struct cox_db *db, struct cox_error *err)
{
	int r;

	COX_ASSERT(!tx->db);
	db_own(db);
	if (db->tx_depth && sqlite3_get_autocommit(db->native))
		return cox_error(err, COX_ABORTED,
				 "the transaction on '%s' was rolled back by an earlier failure",
				 db->path);
	r = db->tx_depth ? savepoint(db, "SAVEPOINT", db->tx_depth, err)
			 : cox_db_exec(db, "BEGIN IMMEDIATE", err);
	if (r < 0)
		return r;
	*tx = (struct cox_tx){.db = db, .depth = db->tx_depth++};
	return 0;
}

int cox_tx_commit(struct cox_tx *tx, struct cox_error *err)
{
	struct cox_db *db = tx->db;
	int r;

	COX_ASSERT(db && db->tx_depth == tx->depth + 1);
	if (sqlite3_get_autocommit(db->native))
		r = cox_error(err, COX_ABORTED,
			      "the transaction on '%s' was rolled back by an earlier failure",
			      db->path);
	else if (tx->depth)
		r = savepoint(db, "RELEASE", tx->depth, err);
	else
		r = cox_db_exec(db, "COMMIT", err);
	if (r < 0) {
		cox_tx_end(tx);
		return r;
	}
	db->tx_depth--;
	*tx = COX_TX_INIT;
	return 0;
}

void cox_tx_end(struct cox_tx *tx)
{
	struct cox_db *db = tx->db;

	if (!db)
		return;
	COX_ASSERT(db->tx_depth == tx->depth + 1);
	if (!sqlite3_get_autocommit(db->native)) {
		if (tx->depth) {
			savepoint(db, "ROLLBACK TO", tx->depth, NULL);
			savepoint(db, "RELEASE", tx->depth, NULL);
		} else {
			cox_db_exec(db, "ROLLBACK", NULL);
		}
	}
	db->tx_depth--;
	*tx = COX_TX_INIT;
}
