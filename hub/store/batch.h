/* The inside of a batch, for the implementations of the store. */
#ifndef HUB_STORE_BATCH_H
#define HUB_STORE_BATCH_H

#include "common/base/vec.h"
#include "hub/store/store.h"

struct hub_row {
	enum hub_table table;
	bool gone, sealed;
	char *key;
	struct cox_buf body;
};

struct hub_after {
	void (*fn)(void *arg);
	void *arg;
	void (*free_arg)(void *arg);
};

struct hub_batch {
	COX_VEC(struct hub_row) rows;
	COX_VEC(struct hub_after) after;
};

#endif
