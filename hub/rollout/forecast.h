/* What would become of a rollout from now on if all went well: in which order its targets would start,
 * and what is in the way of each wave. For plans, before anything is written.
 *
 * It asks the engine itself: the rollout (a throw-away one) is stepped, each target that it moves is
 * taken for healthy at once, what gates ask is taken for answered, and time passes as far as it must.
 * Where the engine waits for a person, or for somebody who is away, that is noted, and it goes on as
 * if it was seen to. What is noted as being in the way is so at now_ms; when things start is the
 * earliest that can be.
 *
 * Pure, as the rest of the room. Loop-owned or job-local. Cost: as many steps of the engine as there
 * are starts that cannot be made together; cox_forecast_run takes a limited number of them. */
#ifndef COX_HUB_ROLLOUT_FORECAST_H
#define COX_HUB_ROLLOUT_FORECAST_H

#include "hub/rollout/rollout.h"

/* Something that is in the way now. */
struct cox_forecast_blocker {
	int wave;		     /* -1: of no wave in particular */
	char *gate;		     /* NULL: it is no gate */
	char *application, *cluster; /* NULL: none in particular */
	char *message;
	int64_t until_ms; /* when time alone may change it; 0: not known */
};

struct cox_forecast_gate {
	int wave;
	bool after;
	size_t gate; /* of the plan's list */
	enum cox_gate_state state;
	bool blocks; /* the wave would not pass it now */
	char *message;
	int64_t until_ms; /* 0: not known */
};

struct cox_forecast_start {
	size_t batch; /* inside its wave, from 1: those that start together; 0: it does not start */
	int64_t at_ms;
};

struct cox_forecast;

/* Takes the rollout over, in the state that it would begin with, or is in. env, which may be NULL,
 * must live as long; its bucket of starts is left alone. */
struct cox_forecast *cox_forecast_new(struct cox_rollout *rollout_taken,
				      const struct cox_rollout_env *env, int64_t now_ms);
void cox_forecast_free(struct cox_forecast *f);
DEFINE_CLEANUP(struct cox_forecast *, cox_forecast_free);

/* Known from the start, by wave and place. */
size_t cox_forecast_n_blockers(const struct cox_forecast *f);
const struct cox_forecast_blocker *cox_forecast_blocker(const struct cox_forecast *f, size_t i);
size_t cox_forecast_n_gates(const struct cox_forecast *f);
const struct cox_forecast_gate *cox_forecast_gate(const struct cox_forecast *f, size_t i);

/* Goes on for at most max_steps steps; true when there is nothing more to see. */
bool cox_forecast_run(struct cox_forecast *f, size_t max_steps);
/* Of a target by its uid; NULL: it does not start, as far as it was run. */
const struct cox_forecast_start *cox_forecast_find(const struct cox_forecast *f, const char *uid);
/* It came to its end; otherwise something is in the way that nothing can be assumed of. */
bool cox_forecast_is_complete(const struct cox_forecast *f);

#endif
