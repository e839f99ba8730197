/* What must hold when nothing goes wrong any more. */
#include "tests/sim/agent/world.h"

#include "agent/sync/app.h"
#include "tests/kubesim/sim.h"

#include <stdio.h>

#define SYNCED	  COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED
#define RUNNING	  COXSWAIN__REPORT__V1__PHASE__RUNNING
#define SUCCEEDED COXSWAIN__REPORT__V1__PHASE__SUCCEEDED

static bool is_running(const struct sim_app *app)
{
	return app->seen_phase == RUNNING ||
	       app->seen_phase == COXSWAIN__REPORT__V1__PHASE__TERMINATING;
}

/* An application that cannot become healthy has to say so, and what it tried is over. */
static bool explains_itself(struct sim_app *app, char *ret_why, size_t size)
{
	if (is_running(app)) {
		snprintf(ret_why, size, "%s: its operation still runs: %s", app->name,
			 app->seen_message);
		return false;
	}
	if (app->seen_sync != SYNCED && !*app->seen_conditions && !*app->seen_message) {
		snprintf(ret_why, size, "%s: does not say why it is not synced", app->name);
		return false;
	}
	return true;
}

/* Objects that the bundle has no more and that say Prune=false: OutOfSync for good. */
static bool keeps_extras(struct sim_app *app)
{
	COX_VEC_EACH (&w.bundles, b) {
		COX_VEC_EACH (&(*b)->objects, o) {
			const struct cox_node *live = sim_live(o->key);

			if (live && !sim_bundle_find(app->sync, o->key) &&
			    sim_is_marked(live, app) &&
			    cox_str_is(cox_meta_annotation(live, "argocd.argoproj.io/sync-options"),
				       "Prune=false"))
				return true;
		}
	}
	return false;
}

static bool is_synced(struct sim_app *app, char *ret_why, size_t size)
{
	/* too much at once: somebody has to say so */
	if (strstr(app->seen_conditions, "the sync would delete") && !is_running(app))
		return true;
	if ((app->seen_sync != SYNCED && !keeps_extras(app)) || is_running(app)) {
		snprintf(ret_why, size, "%s: sync %d, phase %d: %s; %s", app->name, app->seen_sync,
			 app->seen_phase, app->seen_message, app->seen_conditions);
		return false;
	}
	COX_VEC_EACH (&app->sync->objects, o) {
		if (o->hook)
			continue;
		if (!sim_holds(sim_live(o->key), cox_doc_root(o->doc))) {
			snprintf(ret_why, size, "%s: %s is not as the bundle has it", app->name,
				 o->key);
			return false;
		}
		if (!sim_is_healthy(sim_live(o->key))) {
			snprintf(ret_why, size, "%s: %s is not healthy", app->name, o->key);
			return false;
		}
	}
	if (app->seen_health != COX_HEALTH_HEALTHY && !keeps_extras(app)) {
		snprintf(ret_why, size, "%s: all is well, and its health is %d", app->name,
			 app->seen_health);
		return false;
	}
	return true;
}

bool sim_is_settled(struct sim_app *app, char *ret_why, size_t size)
{
	if (app->tombstone) {
		if (!app->gone)
			snprintf(ret_why, size, "%s: is not deleted yet: %s", app->name,
				 app->seen_conditions);
		return app->gone;
	}
	if (app->seen_generation != app->generation) {
		snprintf(ret_why, size, "%s: reports generation %llu, not %llu", app->name,
			 (unsigned long long)app->seen_generation,
			 (unsigned long long)app->generation);
		return false;
	}
	return app->sync->flawed ? explains_itself(app, ret_why, size)
				 : is_synced(app, ret_why, size);
}

/* Nothing of an application that its bundle has not. */
static void check_extras(void)
{
	COX_MAP_EACH (&w.cluster->store.shelves, slot) {
		const struct ks_shelf *shelf = slot->value;

		for (size_t i = 0; i < shelf->n; i++) {
			const struct cox_node *o = cox_doc_root(shelf->items[i].doc);
			struct sim_app *app =
				sim_app_find(cox_meta_annotation(o, "coxswain.dev/app-uid"));
			_cleanup_free_ char *key = cox_object_key_text(cox_object_key_of(o));
			struct cox_str options =
				cox_meta_annotation(o, "argocd.argoproj.io/sync-options");

			if (!app || sim_is_hook(key) || app->late || app->tombstone ||
			    app->sync->flawed ||
			    strstr(app->seen_conditions, "the sync would delete") ||
			    !sim_is_marked(o, app) || cox_str_is(options, "Prune=false") ||
			    sim_bundle_find(app->sync, key))
				continue;
			sim_fail("end: %s of %s is in no bundle, and was not pruned", key,
				 app->name);
		}
	}
}

void sim_check_end(void)
{
	bool flawed = false;

	COX_VEC_EACH (&w.apps, app)
		flawed |= !(*app)->tombstone && (*app)->sync->flawed;
	if (w.quiet_writes && !flawed)
		sim_fail("I-6: %llu writes although nothing changed",
			 (unsigned long long)w.quiet_writes);
	COX_VEC_EACH (&w.strangers, path)
		if (sim_ask("GET", *path, NULL, NULL, "") != 200)
			sim_fail("A: %s is gone, which was nobody's", *path);
	check_extras();
}
