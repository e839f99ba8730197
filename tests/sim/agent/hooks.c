/* What must always hold of hooks: each is made once in each attempt of an operation, in its phase,
 * and none is lost. What ran is known by the marks on the objects that the cluster saw. */
#include "tests/sim/agent/world.h"

#include "agent/sync/app.h"
#include "common/doc/json.h"

#include <stdio.h>
#include <stdlib.h>

struct sim_run {
	char operation[COX_UUID_TEXT], app_uid[COX_UUID_TEXT];
	int64_t attempt;
	char *phase, *key;
	int n_created;
	bool succeeded;
};

static const struct sim_object *find_hook(const char *key)
{
	COX_VEC_EACH (&w.bundles, b) {
		const struct sim_object *o = sim_bundle_find(*b, key);

		if (o && o->hook)
			return o;
	}
	return NULL;
}

bool sim_is_hook(const char *key)
{
	return find_hook(key) != NULL;
}

struct sim_app *sim_app_of_hook(const struct cox_node *object)
{
	struct cox_str uid = cox_meta_annotation(object, AGENT_APP_UID);

	return uid.len ? sim_app_find(uid) : NULL;
}

static struct sim_run *run_of(const struct cox_node *object, const char *key)
{
	struct cox_str operation = cox_meta_annotation(object, AGENT_HOOK_OPERATION);
	struct cox_str attempt = cox_meta_annotation(object, AGENT_HOOK_ATTEMPT);
	struct cox_str phase = cox_meta_annotation(object, AGENT_HOOK_PHASE);
	struct cox_str uid = cox_meta_annotation(object, AGENT_APP_UID);
	_cleanup_free_ char *id =
		cox_asprintf("%.*s %.*s %.*s %.*s %s", COX_STR_ARG(uid), COX_STR_ARG(operation),
			     COX_STR_ARG(attempt), COX_STR_ARG(phase), key);
	struct sim_run *run = cox_map_get(&w.runs, id);

	if (run)
		return run;
	run = cox_new(struct sim_run);
	snprintf(run->operation, sizeof(run->operation), "%.*s", COX_STR_ARG(operation));
	snprintf(run->app_uid, sizeof(run->app_uid), "%.*s", COX_STR_ARG(uid));
	run->attempt = strtoll(attempt.ptr, NULL, 10);
	run->phase = cox_str_dup(phase);
	run->key = cox_strdup(key);
	cox_map_set(&w.runs, id, run);
	return run;
}

void sim_hook_changed(const char *verb, const struct cox_node *object, const char *key)
{
	if (!cox_meta_annotation(object, AGENT_HOOK_OPERATION).len)
		return;
	struct sim_run *run = run_of(object, key);

	if (cox_streq(verb, "create")) {
		w.stats.hooks++;
		if (++run->n_created > 1)
			sim_fail("J: the %s hook %s runs twice in attempt %lld of operation %s",
				 run->phase, key, (long long)run->attempt, run->operation);
	}
	run->succeeded |= sim_is_healthy(object);
}

static bool is_of_phase(const struct sim_run *run, int phase)
{
	return cox_streq(run->phase, agent_phase_name((enum agent_phase)phase));
}

bool sim_hooks_succeeded(const struct sim_bundle *b, const char *operation, int phase,
			 const char **ret_missing)
{
	int64_t newest = 0;

	COX_MAP_EACH (&w.runs, slot) {
		const struct sim_run *run = slot->value;

		if (cox_streq(run->operation, operation) && run->attempt > newest)
			newest = run->attempt;
	}
	COX_VEC_EACH (&b->objects, o) {
		bool fine = !(o->hook & 1u << phase);

		COX_MAP_EACH (&w.runs, slot) {
			const struct sim_run *run = slot->value;

			fine |= cox_streq(run->operation, operation) && run->attempt == newest &&
				run->succeeded && is_of_phase(run, phase) &&
				cox_streq(run->key, o->key);
		}
		if (!fine) {
			*ret_missing = o->key;
			return false;
		}
	}
	return true;
}

bool sim_hooks_ran(const struct sim_bundle *b, const struct sim_app *app, int phase,
		   const char **ret_missing)
{
	for (size_t i = 0; b && i < b->objects.n; i++) {
		const struct sim_object *o = &b->objects.items[i];
		bool fine = !(o->hook & 1u << phase);

		COX_MAP_EACH (&w.runs, slot) {
			const struct sim_run *run = slot->value;

			fine |= cox_streq(run->app_uid, app->uid) && run->succeeded &&
				is_of_phase(run, phase) && cox_streq(run->key, o->key);
		}
		if (!fine) {
			*ret_missing = o->key;
			return false;
		}
	}
	return true;
}

/* A hook goes out: for the operation that runs, in its turn. */
void sim_check_create(const struct virtual_request *r)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (cox_json_read(r->body, "create", &doc, NULL) < 0) {
		sim_fail("what is created is no JSON");
		return;
	}
	const struct cox_node *root = cox_doc_root(doc);
	_cleanup_free_ char *key = cox_object_key_text(cox_object_key_of(root));
	struct sim_app *app = sim_app_of_hook(root);
	const struct agent_app *view = app ? agent_engine_find(w.engine, app->uid) : NULL;
	const struct agent_operation *op = view ? view->operation : NULL;

	if (!app || !sim_is_hook(key) || !cox_meta_has_finalizer(root, AGENT_HOOK_FINALIZER)) {
		sim_fail("J: %s is created, and is no hook with our finalizer", key);
		return;
	}
	if (app->accepted.tombstone)
		return;
	if (!op || !cox_str_is(cox_meta_annotation(root, AGENT_HOOK_OPERATION), op->spec->id)) {
		sim_fail("J: hook %s is created outside of its operation", key);
		return;
	}
	struct sim_bundle *b = sim_bundle_by_digest(op->digest);
	const struct sim_object *o = b ? sim_bundle_find(b, key) : NULL;
	const char *missing;

	if (!o || op->spec->dry_run || op->partial)
		sim_fail("J: hook %s is not of this operation", key);
	else if ((o->hook & 1u << AGENT_PHASE_SYNC || o->hook & 1u << AGENT_PHASE_POST_SYNC) &&
		 !sim_hooks_succeeded(b, op->spec->id, AGENT_PHASE_PRE_SYNC, &missing))
		sim_fail("C: hook %s is created, and the PreSync hook %s has not succeeded", key,
			 missing);
	else if (o->hook & 1u << AGENT_PHASE_POST_SYNC && (missing = sim_unhealthy(app, b)))
		sim_fail("C: PostSync hook %s is created, and %s was not applied and healthy", key,
			 missing);
}

static void run_free(void *arg)
{
	struct sim_run *run = arg;

	free(run->phase);
	free(run->key);
	free(run);
}

void sim_check_hooks_fini(void)
{
	cox_map_fini_values(&w.runs, run_free);
}
