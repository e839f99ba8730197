#include "common/run/pool.h"

#include "common/base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct cox_pool {
	struct cox_loop *loop;
	size_t max_queue;
	unsigned n_threads;
	pthread_t *threads;
	char name[16];
	bool closing; /* loop-owned: no more submits */

	pthread_mutex_t lock;	  /* of all below, and of state and never_ran of its jobs */
	pthread_cond_t work_here; /* something in queue, or ending */
	struct cox_list queue;	  /* COX_JOB_QUEUED */
	struct cox_list finished; /* COX_JOB_FINISHED, until the loop calls their done */
	size_t n_queued;
	bool ending;
	struct cox_task deliver;
};

static void finish(struct cox_pool *pool, struct cox_job *job)
{
	job->state = COX_JOB_FINISHED;
	cox_list_append(&pool->finished, &job->node);
}

static struct cox_job *next_job(struct cox_pool *pool)
{
	while (cox_list_is_empty(&pool->queue) && !pool->ending)
		pthread_cond_wait(&pool->work_here, &pool->lock);
	struct cox_job *job = COX_LIST_FIRST(&pool->queue, struct cox_job, node);
	if (job) {
		cox_list_remove(&job->node);
		pool->n_queued--;
		job->state = COX_JOB_RUNNING;
	}
	return job;
}

static void *worker(void *arg)
{
	struct cox_pool *pool = arg;
	struct cox_job *job;

	pthread_mutex_lock(&pool->lock);
	while ((job = next_job(pool))) {
		pthread_mutex_unlock(&pool->lock);
		job->work(job->arg);
		pthread_mutex_lock(&pool->lock);
		finish(pool, job);
		cox_loop_send(pool->loop, &pool->deliver);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* On the loop's thread. Only what is finished now: done may submit again. */
static void deliver(void *arg)
{
	struct cox_pool *pool = arg;
	struct cox_list ready;

	cox_list_init(&ready);
	pthread_mutex_lock(&pool->lock);
	COX_LIST_EACH(&pool->finished, node)
	{
		cox_list_remove(node);
		cox_list_append(&ready, node);
	}
	pthread_mutex_unlock(&pool->lock);

	struct cox_job *job;
	while ((job = COX_LIST_FIRST(&ready, struct cox_job, node))) {
		cox_list_remove(&job->node);
		job->state = COX_JOB_IDLE;
		job->pool = NULL;
		job->done(job->arg, job->never_ran ? COX_JOB_CANCELLED : COX_JOB_DONE);
	}
}

/* Workers leave every signal to the loop's thread. */
static int start_thread(struct cox_pool *pool, unsigned i)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int sys = pthread_create(&pool->threads[i], NULL, worker, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (sys == 0)
		pthread_setname_np(pool->threads[i], pool->name);
	return sys;
}

static void join_threads(struct cox_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work_here);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
}

static void destroy(struct cox_pool *pool)
{
	join_threads(pool);
	cox_loop_unsend(pool->loop, &pool->deliver);
	/* Jobs that were finished before the threads ended. */
	deliver(pool);
	pthread_cond_destroy(&pool->work_here);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
}

int cox_pool_new(struct cox_loop *loop, const struct cox_pool_options *options,
		 struct cox_pool **ret_pool, struct cox_error *err)
{
	static const struct cox_pool_options defaults;
	const struct cox_pool_options *o = options ? options : &defaults;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = o->n_threads ? o->n_threads : processors > 2 ? (unsigned)processors : 2;

	COX_ASSERT(cox_loop_is_owner(loop));
	struct cox_pool *pool = cox_new(struct cox_pool);
	pool->loop = loop;
	pool->max_queue = o->max_queue ? o->max_queue : 4096;
	pool->threads = cox_new_n(pthread_t, n);
	snprintf(pool->name, sizeof(pool->name), "%s", o->name ? o->name : "worker");
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work_here, NULL);
	cox_list_init(&pool->queue);
	cox_list_init(&pool->finished);
	cox_task_init(&pool->deliver, deliver, pool);
	for (; pool->n_threads < n; pool->n_threads++) {
		int sys = start_thread(pool, pool->n_threads);
		if (sys) {
			unsigned failed = pool->n_threads + 1;

			destroy(pool);
			return cox_error_sys(err, sys, "cannot start worker %u of %u", failed, n);
		}
	}
	*ret_pool = pool;
	return 0;
}

static void cancel_queued(struct cox_pool *pool, struct cox_job *job)
{
	cox_list_remove(&job->node);
	pool->n_queued--;
	job->never_ran = true;
	finish(pool, job);
}

void cox_pool_free(struct cox_pool *pool)
{
	if (!pool)
		return;
	COX_ASSERT(cox_loop_is_owner(pool->loop));
	pool->closing = true;
	pthread_mutex_lock(&pool->lock);
	COX_LIST_EACH(&pool->queue, node)
	{
		struct cox_job *job = COX_LIST_ENTRY(node, struct cox_job, node);
		atomic_store(&job->cancelled, true);
		cancel_queued(pool, job);
	}
	pthread_mutex_unlock(&pool->lock);
	destroy(pool);
}

int cox_pool_submit(struct cox_pool *pool, struct cox_job *job, void (*work)(void *arg),
		    void (*done)(void *arg, enum cox_job_outcome outcome), void *arg,
		    struct cox_error *err)
{
	COX_ASSERT(cox_loop_is_owner(pool->loop));
	COX_ASSERT(job->state == COX_JOB_IDLE);
	if (pool->closing)
		return cox_error(err, COX_CANCELLED, "the worker pool '%s' is ending", pool->name);
	pthread_mutex_lock(&pool->lock);
	if (pool->n_queued >= pool->max_queue) {
		pthread_mutex_unlock(&pool->lock);
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "the worker pool '%s' has %zu jobs waiting", pool->name,
				 pool->max_queue);
	}
	job->pool = pool;
	job->work = work;
	job->done = done;
	job->arg = arg;
	job->never_ran = false;
	atomic_init(&job->cancelled, false);
	job->state = COX_JOB_QUEUED;
	cox_list_init(&job->node);
	cox_list_append(&pool->queue, &job->node);
	pool->n_queued++;
	pthread_cond_signal(&pool->work_here);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

void cox_job_cancel(struct cox_job *job)
{
	struct cox_pool *pool = job->pool;

	if (!pool)
		return;
	COX_ASSERT(cox_loop_is_owner(pool->loop));
	pthread_mutex_lock(&pool->lock);
	atomic_store(&job->cancelled, true);
	if (job->state == COX_JOB_QUEUED) {
		cancel_queued(pool, job);
		cox_loop_send(pool->loop, &pool->deliver);
	}
	pthread_mutex_unlock(&pool->lock);
}

bool cox_job_is_cancelled(const struct cox_job *job)
{
	return atomic_load_explicit(&job->cancelled, memory_order_relaxed);
}

bool cox_job_is_busy(const struct cox_job *job)
{
	struct cox_pool *pool = job->pool;

	if (!pool)
		return false;
	pthread_mutex_lock(&pool->lock);
	bool busy = job->state != COX_JOB_IDLE;
	pthread_mutex_unlock(&pool->lock);
	return busy;
}

size_t cox_pool_queued(const struct cox_pool *pool)
{
	struct cox_pool *p = (struct cox_pool *)pool;

	pthread_mutex_lock(&p->lock);
	size_t n = p->n_queued;
	pthread_mutex_unlock(&p->lock);
	return n;
}
