/* hub/probe/probe.h by chance: what a gate's URL or query answers, and when, follows from the seed.
 * In the calm everything answers well. */
#include "tests/sim/hub/world.h"

#include "common/base/mem.h"
#include "hub/probe/probe.h"

#include <stdlib.h>

struct asked {
	struct hub_probes *probes;
	char *key, *rollout;
	struct cox_rollout_probe at;
	struct cox_timer timer;
};

struct hub_probes {
	struct hub_probes_options o;
	struct cox_map asked;
};

static char *key_of(const char *rollout, const struct cox_rollout_probe *at)
{
	return cox_asprintf("%s/%zu/%d/%zu/%lld", rollout, at->wave, at->after, at->gate,
			    (long long)at->attempt);
}

int hub_probes_new(const struct hub_probes_options *options, struct hub_probes **ret_probes,
		   struct cox_error *err)
{
	struct hub_probes *p = cox_new(struct hub_probes);

	(void)err;
	p->o = *options;
	*ret_probes = p;
	return 0;
}

static void asked_free(void *arg)
{
	struct asked *a = arg;

	cox_timer_stop(&a->timer);
	free(a->rollout);
	free(a->key);
	free(a);
}

void hub_probes_free(struct hub_probes *p)
{
	if (!p)
		return;
	cox_map_fini_values(&p->asked, asked_free);
	free(p);
}

static void answer(void *arg)
{
	struct asked *a = arg;
	struct hub_probes *p = a->probes;
	enum cox_rollout_answer what = COX_ANSWER_GOOD;

	if (sim_strikes(w.rates.probe_bad))
		what = COX_ANSWER_BAD;
	else if (sim_strikes(w.rates.probe_none))
		what = COX_ANSWER_NONE;
	cox_map_remove(&p->asked, a->key);
	w.stats.probes++;
	sim_check_answer(a->rollout, &a->at, what);
	p->o.answered(p->o.ctx, a->rollout, &a->at, what,
		      what == COX_ANSWER_GOOD ? "all is well" : "it is not well");
	asked_free(a);
}

void hub_probe_ask(struct hub_probes *p, const struct cox_rollout_gate *gate,
		   const struct hub_probe_names *names, const struct cox_rollout_probe *at)
{
	_cleanup_free_ char *key = key_of(names->rollout, at);
	struct asked *a;

	(void)gate;
	if (cox_map_has(&p->asked, key))
		return;
	a = cox_new(struct asked);
	a->probes = p;
	a->key = TAKE(key);
	a->rollout = cox_strdup(names->rollout);
	a->at = *at;
	cox_timer_init(&a->timer, w.loop, answer, a);
	cox_map_set(&p->asked, a->key, a);
	cox_timer_start(&a->timer, sim_between(&w.step_rng, 1, w.calm ? 100 : 8000));
}

void hub_probe_cancel(struct hub_probes *p, const char *rollout, const struct cox_rollout_probe *at)
{
	_cleanup_free_ char *key = key_of(rollout, at);
	struct asked *a = cox_map_remove(&p->asked, key);

	if (a)
		asked_free(a);
}

size_t hub_probes_running(const struct hub_probes *p)
{
	return p->asked.n;
}
