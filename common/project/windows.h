/* The sync windows of an AppProject: when its Applications may be synced (reference/argocd.md B7.7).
 * A window is for an Application that one of its lists matches (`andOperator`: every list that is not
 * empty); it is active from each tick of its schedule for its duration, in its time zone.
 *
 * Reading opens time zones (files); judging is pure: the moment is a parameter. A window that cannot
 * be read is judged on the safe side: a denial is always active, a permission never, and the
 * verdict's message says what is wrong with it.
 * Threads: immutable once read. */
#ifndef COX_PROJECT_WINDOWS_H
#define COX_PROJECT_WINDOWS_H

#include "common/base/cleanup.h"
#include "common/doc/doc.h"

#include <stdbool.h>
#include <stdint.h>

#define COX_LIMIT_SYNC_WINDOWS 200

struct cox_windows;

/* spec.syncWindows; NULL or empty: none, which permits everything. More than the limit are not read:
 * nothing is permitted then. */
struct cox_windows *cox_windows_new(const struct cox_node *list);
void cox_windows_free(struct cox_windows *windows);
DEFINE_CLEANUP(struct cox_windows *, cox_windows_free);

/* What the lists of a window look at. */
struct cox_window_subject {
	const char *application;
	const char *namespace;	      /* of the destination */
	const char *cluster, *server; /* of the destination; "" when not known */
};

struct cox_window_verdict {
	bool automated;	   /* may sync by itself now */
	bool manual;	   /* may be synced by a person now */
	bool overrun;	   /* what runs already may go on */
	int64_t until_ms;  /* the verdict stays so long (wall clock); INT64_MAX: for good */
	char message[200]; /* why not; "" when all is permitted */
};
void cox_windows_judge(const struct cox_windows *windows, const struct cox_window_subject *subject,
		       int64_t now_ms, struct cox_window_verdict *ret_verdict);

#endif
