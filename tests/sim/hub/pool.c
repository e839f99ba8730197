/* common/run/pool.h in virtual time: a job's work is done at once, when its time has come, and what
 * comes of it is told right after. */
#include "tests/sim/hub/world.h"

#include "common/base/mem.h"
#include "common/run/pool.h"

#include <stdlib.h>

struct cox_pool {
	struct cox_list jobs;
	bool closing;
};

/* Beside the job, whose struct is the interface's. */
struct slot {
	struct cox_list node;
	struct cox_job *job;
	struct cox_timer timer;
};

int cox_pool_new(struct cox_loop *loop, const struct cox_pool_options *options,
		 struct cox_pool **ret_pool, struct cox_error *err)
{
	struct cox_pool *p = cox_new(struct cox_pool);

	(void)loop;
	(void)options;
	(void)err;
	cox_list_init(&p->jobs);
	*ret_pool = p;
	return 0;
}

static void end(struct slot *s, enum cox_job_outcome outcome)
{
	struct cox_job *job = s->job;

	cox_timer_stop(&s->timer);
	cox_list_remove(&s->node);
	free(s);
	job->state = COX_JOB_IDLE;
	job->done(job->arg, outcome);
}

static void run(void *arg)
{
	struct slot *s = arg;
	bool cancelled = cox_job_is_cancelled(s->job);

	if (!cancelled)
		s->job->work(s->job->arg);
	end(s, cancelled ? COX_JOB_CANCELLED : COX_JOB_DONE);
}

void cox_pool_free(struct cox_pool *p)
{
	if (!p)
		return;
	p->closing = true;
	while (!cox_list_is_empty(&p->jobs))
		end(COX_LIST_FIRST(&p->jobs, struct slot, node), COX_JOB_CANCELLED);
	free(p);
}

int cox_pool_submit(struct cox_pool *p, struct cox_job *job, void (*work)(void *arg),
		    void (*done)(void *arg, enum cox_job_outcome outcome), void *arg,
		    struct cox_error *err)
{
	struct slot *s;

	if (p->closing)
		return cox_error(err, COX_CANCELLED, "the pool is going");
	s = cox_new(struct slot);
	s->job = job;
	job->pool = p;
	job->work = work;
	job->done = done;
	job->arg = arg;
	job->state = COX_JOB_QUEUED;
	cox_list_init(&s->node);
	cox_list_append(&p->jobs, &s->node);
	cox_timer_init(&s->timer, w.loop, run, s);
	cox_timer_start(&s->timer, sim_between(&w.step_rng, 0, w.rates.pool_ms));
	return 0;
}

void cox_job_cancel(struct cox_job *job)
{
	atomic_store(&job->cancelled, true);
}

bool cox_job_is_cancelled(const struct cox_job *job)
{
	return atomic_load(&job->cancelled);
}

bool cox_job_is_busy(const struct cox_job *job)
{
	return job->state != COX_JOB_IDLE;
}

size_t cox_pool_queued(const struct cox_pool *p)
{
	size_t n = 0;

	COX_LIST_EACH(&p->jobs, node)
	n++;
	return n;
}
