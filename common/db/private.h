/* What the files of this room share; nobody else includes it (it opens the door to SQLite). */
#ifndef COX_DB_PRIVATE_H
#define COX_DB_PRIVATE_H

#include "common/base/map.h"
#include "common/base/vec.h"
#include "common/db/db.h"

#include <pthread.h>
#include <sqlite3.h>

#define CACHE_MAX 256

struct cached {
	sqlite3_stmt *native;
	bool in_use;
};

/* Owned by one thread: see db.h. */
struct cox_db {
	sqlite3 *native;
	char *path;
	bool has_owner;
	pthread_t owner;
	int tx_depth;
	struct cox_map slot_of; /* SQL text to index + 1 into cache */
	COX_VEC(struct cached) cache;
};

/* Aborts when the calling thread is not the owner. */
void db_own(struct cox_db *db);
/* Translates what SQLite says now. */
int db_error(struct cox_db *db, struct cox_error *err, const char *doing);

#endif
