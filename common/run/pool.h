/* The worker pool: takes from the loop what blocks or burns. A job lives in its owner's struct; its
 * work function runs on a worker, with nothing but what it was given, and its done function on the
 * loop's thread, exactly once for every job that was submitted.
 *
 *	struct render { struct cox_job job; … };
 *	cox_pool_submit(pool, &r->job, render_work, render_done, r, err);
 *
 * Between submit and done the job's data is job-local to the worker. Everything here is called on
 * the loop's thread but cox_job_is_cancelled.
 */
#ifndef COX_RUN_POOL_H
#define COX_RUN_POOL_H

#include "common/run/loop.h"

#include <stdatomic.h>
#include <stddef.h>

struct cox_pool;

enum cox_job_outcome {
	COX_JOB_DONE = 0,  /* work ran to its end, even if a cancel came meanwhile */
	COX_JOB_CANCELLED, /* work never began */
};

struct cox_job {
	struct cox_list node;
	struct cox_pool *pool;
	void (*work)(void *arg);
	void (*done)(void *arg, enum cox_job_outcome outcome);
	void *arg;
	enum { COX_JOB_IDLE = 0, COX_JOB_QUEUED, COX_JOB_RUNNING, COX_JOB_FINISHED } state;
	bool never_ran;
	atomic_bool cancelled;
};

struct cox_pool_options {
	const char *name;   /* of the threads; NULL: "worker" */
	unsigned n_threads; /* 0: as many as there are processors, at least 2 */
	size_t max_queue;   /* jobs that wait; 0: 4096 */
};

/* options may be NULL. */
int cox_pool_new(struct cox_loop *loop, const struct cox_pool_options *options,
		 struct cox_pool **ret_pool, struct cox_error *err);
/* Cancels what waits, waits for what runs, calls every outstanding done (submitting from those
 * fails with COX_CANCELLED), and ends the threads. */
void cox_pool_free(struct cox_pool *pool);
DEFINE_CLEANUP(struct cox_pool *, cox_pool_free);
#define _cleanup_pool_ COX_CLEANUP(cox_pool_free_p)

/* job is zeroed or was done before. First in, first out. -COX_RESOURCE_EXHAUSTED when the queue is
 * full, done is not called then. */
int cox_pool_submit(struct cox_pool *pool, struct cox_job *job, void (*work)(void *arg),
		    void (*done)(void *arg, enum cox_job_outcome outcome), void *arg,
		    struct cox_error *err);
/* Of a job that waits: done follows in a later turn of the loop with COX_JOB_CANCELLED. Of one that
 * runs: work may see it by cox_job_is_cancelled. Of any other: nothing. */
void cox_job_cancel(struct cox_job *job);
/* Any thread; for long work functions to ask now and then. */
bool cox_job_is_cancelled(const struct cox_job *job);
/* Submitted, and done not yet called. */
bool cox_job_is_busy(const struct cox_job *job);
/* Jobs that wait for a worker. */
size_t cox_pool_queued(const struct cox_pool *pool);

#endif
