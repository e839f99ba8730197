/* What must always hold, looked at with every request, answer, change, commit and report. The
 * letters are those of README.md. */
#include "tests/sim/agent/world.h"

#include "agent/sync/app.h"
#include "common/base/clock.h"
#include "common/doc/json.h"
#include "tests/kubesim/sim.h"

#include <stdio.h>
#include <stdlib.h>

/* What a request was sent for. */
struct sim_sent {
	struct sim_app *app;
	char operation[COX_UUID_TEXT];
	uint32_t attempt, pauses;
};

struct sim_begun {
	uint8_t digest[COX_SHA256_BYTES];
	bool has_digest, is_over;
	bool hooks; /* it has to run them */
	int n_starts;
};

static struct agent_app *agents_view(const struct sim_app *app)
{
	return w.engine ? agent_engine_find(w.engine, app->uid) : NULL;
}

static bool is_dry(const struct virtual_request *r)
{
	return strstr(r->query, "dryRun=All") != NULL;
}

/* ---- inventory ---- */

struct search {
	const char *key;
	bool found;
	uint32_t options;
};

static int compare_row(void *ctx, const struct agent_inventory_row *row, struct cox_error *err)
{
	struct search *s = ctx;

	(void)err;
	if (!cox_streq(row->key_text, s->key))
		return 0;
	s->found = true;
	s->options = row->options;
	return 0;
}

static struct search in_inventory(const struct sim_app *app, const char *key)
{
	struct search s = {.key = key};

	agent_store_each_object(w.store, app->uid, compare_row, &s, NULL);
	return s;
}

/* ---- operations: begun once, one digest each ---- */

static struct sim_begun *begun(const char *id)
{
	struct sim_begun *b = cox_map_get(&w.begun, id);

	if (!b) {
		b = cox_new(struct sim_begun);
		cox_map_set(&w.begun, id, b);
	}
	return b;
}

int __real_agent_operation_start(struct agent_app *app, const agent_operation_spec *spec,
				 bool from_hub, bool partial, struct cox_error *err);
int __wrap_agent_operation_start(struct agent_app *app, const agent_operation_spec *spec,
				 bool from_hub, bool partial, struct cox_error *err);
int __real_agent_store_put_operation(struct agent_store *store,
				     const struct agent_operation_row *row, struct cox_error *err);
int __wrap_agent_store_put_operation(struct agent_store *store,
				     const struct agent_operation_row *row, struct cox_error *err);
int __real_agent_store_put_app(struct agent_store *store, const struct agent_app_row *row,
			       struct cox_error *err);
int __wrap_agent_store_put_app(struct agent_store *store, const struct agent_app_row *row,
			       struct cox_error *err);

int __wrap_agent_operation_start(struct agent_app *app, const agent_operation_spec *spec,
				 bool from_hub, bool partial, struct cox_error *err)
{
	int code = __real_agent_operation_start(app, spec, from_hub, partial, err);

	if (code < 0 || w.dead)
		return code;
	sim_trace("agent: operation %s begins", spec->id);
	begun(spec->id)->hooks =
		!partial && !spec->dry_run && !spec->n_resources && !spec->skip_hooks;
	if (begun(spec->id)->n_starts++)
		sim_fail("E: operation %s begins twice", spec->id);
	return code;
}

int __wrap_agent_store_put_operation(struct agent_store *store,
				     const struct agent_operation_row *row, struct cox_error *err)
{
	int code = __real_agent_store_put_operation(store, row, err);

	if (code < 0 || w.dead)
		return code;
	if (row->running && begun(row->id)->is_over)
		sim_fail("E: operation %s runs again after its end", row->id);
	begun(row->id)->is_over |= !row->running;
	return code;
}

int __wrap_agent_store_put_app(struct agent_store *store, const struct agent_app_row *row,
			       struct cox_error *err)
{
	const struct agent_app *app = w.engine ? agent_engine_find(w.engine, row->uid) : NULL;

	if (app && (row->epoch < app->epoch ||
		    (row->epoch == app->epoch && row->generation <= app->generation)))
		sim_fail("G: a change of (%llu, %llu) takes the place of (%llu, %llu)",
			 (unsigned long long)row->epoch, (unsigned long long)row->generation,
			 (unsigned long long)app->epoch, (unsigned long long)app->generation);
	return __real_agent_store_put_app(store, row, err);
}

/* The checks' own account of the operation that runs. */
static void follow(struct sim_app *app, const struct agent_operation *op)
{
	struct sim_begun *b = begun(op->spec->id);

	if (cox_streq(app->running, op->spec->id) && app->attempt == op->retry_count &&
	    app->pauses == op->pauses)
		return;
	snprintf(app->running, sizeof(app->running), "%s", op->spec->id);
	app->attempt = op->retry_count;
	app->pauses = op->pauses;
	cox_map_fini_values(&app->progress, free);
	cox_map_fini(&app->requested);
	if (b->has_digest && memcmp(b->digest, op->digest, COX_SHA256_BYTES) != 0)
		sim_fail("E: operation %s of %s changes its bundle", op->spec->id, app->name);
	memcpy(b->digest, op->digest, COX_SHA256_BYTES);
	b->has_digest = true;
	memcpy(app->running_digest, op->digest, COX_SHA256_BYTES);
}

static struct sim_progress *progress(struct sim_app *app, const char *key)
{
	struct sim_progress *p = cox_map_get(&app->progress, key);

	if (!p) {
		p = cox_new(struct sim_progress);
		cox_map_set(&app->progress, key, p);
	}
	return p;
}

static const char *hash_of(const struct virtual_request *r, char ret_text[32])
{
	snprintf(ret_text, 32, "%llx",
		 (unsigned long long)(cox_hash(r->body.ptr, r->body.len) ^
				      cox_hash(r->path, strlen(r->path)) ^
				      cox_hash(r->method, strlen(r->method))));
	return ret_text;
}

/* The client sends a request again by itself; true: it has been sent in this attempt before. */
static bool is_repeated(struct sim_app *app, const struct virtual_request *r)
{
	char text[32];

	return cox_map_set(&app->requested, hash_of(r, text), app) != NULL;
}

static void remember(const struct virtual_request *r, struct sim_app *app)
{
	struct sim_sent *s = cox_new(struct sim_sent);
	char id[24];

	snprintf(id, sizeof(id), "%llu", (unsigned long long)r->id);
	s->app = app;
	snprintf(s->operation, sizeof(s->operation), "%s", app->running);
	s->attempt = app->attempt;
	s->pauses = app->pauses;
	cox_map_set(&w.sent, id, s);
}

static struct sim_sent *sent(const struct virtual_request *r)
{
	char id[24];

	snprintf(id, sizeof(id), "%llu", (unsigned long long)r->id);
	return cox_map_get(&w.sent, id);
}

/* ---- applying ---- */

/* Whose apply it is: by the mark; a definition and a namespace that is only made have none. Two
 * applications may have the same one, when one has taken the deleted one's name: then it is of the
 * one whose operation isn't ending, if there is such a one. */
static struct sim_app *owner_of(const struct cox_node *body, const char *key)
{
	struct cox_str uid = cox_meta_annotation(body, AGENT_APP_UID);
	struct sim_app *found = NULL;

	if (uid.len)
		return sim_app_find(uid);
	COX_VEC_EACH (&w.apps, slot) {
		const struct agent_app *view = agents_view(*slot);

		if (!view || !view->operation)
			continue;
		struct sim_bundle *b = sim_bundle_by_digest(view->operation->digest);

		if (!(b && sim_bundle_find(b, key)) &&
		    !cox_str_is(cox_meta_name(body), (*slot)->namespace))
			continue;
		if (!view->operation->ending)
			return *slot;
		found = found ? found : *slot;
	}
	return found;
}

/* C: everything of the waves before was applied, and healthy after that. */
static void check_waves(struct sim_app *app, const struct agent_operation *op,
			const struct sim_bundle *b, const struct sim_object *o)
{
	const char *missing;

	if (op->partial || op->spec->n_resources || o->kind == SIM_NAMESPACE ||
	    o->kind == SIM_DEFINITION)
		return; /* the last two are pulled ahead of what needs them */
	if (!op->spec->skip_hooks &&
	    !sim_hooks_succeeded(b, op->spec->id, AGENT_PHASE_PRE_SYNC, &missing))
		sim_fail("C: %s is applied, and the PreSync hook %s has not succeeded", o->key,
			 missing);
	COX_VEC_EACH (&b->objects, before) {
		if (before->hook || before->wave >= o->wave)
			continue;
		const struct sim_progress *p = progress(app, before->key);

		if (app->out_of_sync_only && !p->applied)
			continue; /* it may have been in sync */
		w.stats.waves++;
		if (!p->applied)
			sim_fail("C: %s of wave %lld is applied before %s of wave %lld", o->key,
				 (long long)o->wave, before->key, (long long)before->wave);
		else if (!p->healthy)
			sim_fail("C: %s of wave %lld is applied, and %s of wave %lld was not "
				 "healthy since",
				 o->key, (long long)o->wave, before->key, (long long)before->wave);
	}
}

/* D: what is in force, and nothing that was replaced. */
static bool is_in_force(const struct sim_app *app, const struct agent_operation *op)
{
	if (app->accepted.tombstone)
		return false;
	return (app->accepted.bundle &&
		memcmp(app->accepted.bundle->digest, op->digest, COX_SHA256_BYTES) == 0) ||
	       cox_streq(app->accepted.operation, op->spec->id);
}

static void check_object(struct sim_app *app, const struct agent_operation *op,
			 const struct cox_node *body, const char *key)
{
	struct sim_bundle *b = sim_bundle_by_digest(op->digest);
	const struct sim_object *o = b ? sim_bundle_find(b, key) : NULL;

	if (!o) {
		if (!app->create_namespace || !cox_str_is(cox_meta_name(body), app->namespace))
			sim_fail("D: %s is applied, which the operation's bundle does not have",
				 key);
		return;
	}
	if (!sim_holds(body, cox_doc_root(o->doc)))
		sim_fail("D: %s is applied, but not as the bundle has it", key);
	if (!in_inventory(app, key).found)
		sim_fail("B: %s is applied and is not in the inventory", key);
	check_waves(app, op, b, o);
}

static void check_apply(const struct virtual_request *r, const char *key)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (cox_json_read(r->body, "apply", &doc, NULL) < 0) {
		sim_fail("what is applied is no JSON");
		return;
	}
	struct sim_app *app = owner_of(cox_doc_root(doc), key);
	struct agent_app *view = app ? agents_view(app) : NULL;

	w.stats.applies++;
	if (!view || !view->operation) {
		sim_fail("E: %s is applied outside of an operation", key);
		return;
	}
	const struct agent_operation *op = view->operation;

	follow(app, op);
	if (op->spec->dry_run)
		sim_fail("E: %s is applied by a dry run", key);
	check_object(app, op, cox_doc_root(doc), key);
	if (!is_repeated(app, r) && (op->ending || !is_in_force(app, op)))
		sim_fail("D: %s is applied for what is no longer in force", key);
	remember(r, app);
}

/* ---- deleting ---- */

/* NULL: it may; else why not. */
static const char *why_not(struct sim_app *app, const char *key)
{
	struct search row = in_inventory(app, key);
	const char *missing;
	const struct agent_app *view = agents_view(app);

	if (!row.found)
		return "it is not in the inventory";
	if (!view)
		return "the application is not here";
	if (app->accepted.tombstone)
		return !app->accepted.cascade ? "its tombstone says orphan"
		       : sim_hooks_ran(app->accepted.bundle, app, AGENT_PHASE_PRE_DELETE, &missing)
			       ? NULL
			       : "a PreDelete hook has not succeeded";

	if (!view->operation)
		return "no operation runs";
	const struct agent_operation *op = view->operation;
	struct sim_bundle *b = sim_bundle_by_digest(op->digest);

	if (!b || sim_bundle_find(b, key))
		return "the bundle wants it";
	if (!op->spec->prune || op->spec->dry_run)
		return "the operation may not prune";
	return NULL;
}

static void check_delete(const struct virtual_request *r, const char *key)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const char *why = "no application has it";
	char hash[32];

	w.stats.deletes++;
	if (cox_map_set(&w.deletes, hash_of(r, hash), &w)) /* the client sends it again */
		return;
	if (cox_json_read(r->body, "delete", &doc, NULL) < 0 ||
	    !cox_node_str(COX_GET(cox_doc_root(doc), "preconditions", "uid")).len)
		sim_fail("A: %s is deleted without naming its uid", key);
	if (sim_is_hook(key)) {
		struct sim_app *app = sim_app_of_hook(sim_live(key));

		if (app)
			remember(r, app);
		return;
	}
	COX_VEC_EACH (&w.apps, app) {
		const char *reason = why_not(*app, key);

		if (!reason) {
			remember(r, *app);
			return;
		}
		if (!cox_streq(reason, "it is not in the inventory"))
			why = reason;
	}
	sim_fail("A: %s is deleted: %s", key, why);
}

/* A: and it still bears the marks when the server does it. */
static void check_marks(const struct virtual_request *r, const char *key)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *live = sim_live(key);
	const struct sim_sent *s = sent(r);

	if (!live || !s || cox_json_read(r->body, "delete", &doc, NULL) < 0)
		return;
	const struct cox_node *p = COX_GET(cox_doc_root(doc), "preconditions");
	struct cox_str version = cox_node_str(COX_GET(p, "resourceVersion"));

	if (!cox_str_eq(cox_node_str(COX_GET(p, "uid")), cox_meta_uid(live)) ||
	    (version.len && !cox_str_eq(version, cox_meta_resource_version(live))))
		return;
	const char *option = s->app->accepted.tombstone ? "Delete=false" : "Prune=false";

	if (cox_str_is(cox_meta_annotation(live, "argocd.argoproj.io/sync-options"), option))
		sim_fail("A: %s is deleted, which says %s", key, option);
	if (!sim_is_marked(live, s->app))
		sim_fail("A: %s is deleted, which does not bear the marks of %s", key,
			 s->app->name);
}

/* ---- the request's way ---- */

void sim_check_sent(const struct virtual_request *r)
{
	_cleanup_free_ char *key = NULL;

	if (cox_streq(r->method, "GET") || is_dry(r) || !w.engine)
		return;
	w.stats.checks++;
	w.quiet_writes += w.quiet;
	key = sim_key_of_path(r->path);
	if (cox_streq(r->method, "POST"))
		sim_check_create(r);
	else if (!key)
		sim_fail("a write to '%s'", r->path);
	else if (cox_streq(r->method, "DELETE"))
		check_delete(r, key);
	else if (cox_streq(r->content_type, "application/apply-patch+yaml"))
		check_apply(r, key);
}

void sim_check_arrives(void *ctx, const struct virtual_request *r, bool cut)
{
	const struct sim_sent *s = sent(r);

	(void)ctx;
	if (is_dry(r))
		return;
	if (cut && s)
		s->app->late = true;
	if (cox_streq(r->method, "DELETE")) {
		_cleanup_free_ char *key = sim_key_of_path(r->path);

		if (key)
			check_marks(r, key);
	}
}

void sim_check_done(void *ctx, const struct virtual_request *r, int status)
{
	const struct sim_sent *s = sent(r);

	(void)ctx;
	if (cox_streq(r->method, "GET") || is_dry(r))
		return;
	_cleanup_free_ char *key = sim_key_of_path(r->path);

	sim_trace("cluster: #%llu %s %s is done: %d", (unsigned long long)r->id, r->method, r->path,
		  status);
	if (status < 200 || status >= 300)
		return;
	if (s && key && cox_streq(r->method, "PATCH") && cox_streq(s->operation, s->app->running) &&
	    s->attempt == s->app->attempt && s->pauses == s->app->pauses) {
		struct sim_progress *p = progress(s->app, key);

		p->applied = true;
		p->healthy = sim_is_healthy(sim_live(key));
	}
	sim_effect("write to the cluster");
}

/* ---- changes of objects ---- */

static bool is_ours(const struct cox_node *object)
{
	if (cox_str_is(cox_meta_group(object), "sim.example.com"))
		return true;
	for (size_t i = 0; i < SIM_KINDS; i++)
		if (cox_str_is(cox_meta_kind(object), sim_kinds[i].kind) &&
		    cox_str_is(cox_meta_group(object), sim_kinds[i].group))
			return true;
	return false;
}

void sim_check_change(void *arg, const char *verb, const struct cox_node *object)
{
	(void)arg;
	if (!w.cluster || !is_ours(object))
		return;
	const struct ks_store *store = &w.cluster->store;
	_cleanup_free_ char *key = cox_object_key_text(cox_object_key_of(object));
	_cleanup_free_ char *at =
		cox_asprintf("%s@%.*s", key, COX_STR_ARG(cox_meta_resource_version(object)));

	w.stats.changes++;
	sim_trace("cluster: %s %s", verb, at);
	sim_hook_changed(verb, object, key);
	if (cox_str_is(cox_meta_kind(object), "Deployment"))
		sim_trace(
			"  generation %lld of %lld; %lld replicas of %lld, %lld updated, %lld "
			"available",
			(long long)cox_node_int(COX_GET(object, "status", "observedGeneration"), 0),
			(long long)cox_meta_generation(object),
			(long long)cox_node_int(COX_GET(object, "status", "replicas"), 0),
			(long long)cox_node_int(COX_GET(object, "spec", "replicas"), 0),
			(long long)cox_node_int(COX_GET(object, "status", "updatedReplicas"), 0),
			(long long)cox_node_int(COX_GET(object, "status", "availableReplicas"), 0));
	if (cox_streq(verb, "delete"))
		return;
	cox_map_set(&w.history, at, cox_doc_ref(ks_store_event(store, store->n_events - 1)->after));
	COX_VEC_EACH (&w.apps, app) {
		struct sim_progress *p = cox_map_get(&(*app)->progress, key);

		if (p && p->applied && sim_is_healthy(object))
			p->healthy = true;
	}
}

/* ---- reports ---- */

/* F: Synced means that each object, as it was last seen, has every field of the bundle. */
static void check_synced(struct sim_app *app, const Coxswain__Report__V1__ApplicationReport *r)
{
	struct sim_bundle *b = r->sync_digest.len == COX_SHA256_BYTES
				       ? sim_bundle_by_digest(r->sync_digest.data)
				       : NULL;
	const struct agent_app *view = agents_view(app);

	w.stats.synced++;
	if (!b || !view) {
		sim_fail("F: %s is Synced, and has no bundle", app->name);
		return;
	}
	COX_VEC_EACH (&b->objects, o) {
		if (o->hook)
			continue;
		const struct agent_entry *entry = cox_map_get(&view->entries, o->key);

		if (!entry || !entry->live) {
			sim_fail("F: %s is Synced, and %s is not there", app->name, o->key);
			return;
		}
		_cleanup_free_ char *at = cox_asprintf("%s@%llu", o->key,
						       (unsigned long long)entry->resource_version);
		const struct cox_doc *seen = cox_map_get(&w.history, at);

		if (!seen)
			sim_fail("F: %s was never there", at);
		else if (!sim_holds(cox_doc_root(seen), cox_doc_root(o->doc)))
			sim_fail("F: %s is Synced, and %s is not as the bundle has it", app->name,
				 at);
	}
}

/* H: when it says that all is gone, all is gone. */
static void check_deleted(struct sim_app *app)
{
	if (!app->accepted.tombstone)
		sim_fail("H: %s is deleted, and nobody wanted that", app->name);
	if (!app->accepted.cascade || app->late)
		return;
	const char *missing;

	for (int phase = AGENT_PHASE_PRE_DELETE; phase <= AGENT_PHASE_POST_DELETE; phase++)
		if (!sim_hooks_ran(app->accepted.bundle, app, phase, &missing))
			sim_fail("J: %s is deleted, and its %s hook %s has not succeeded",
				 app->name, agent_phase_name((enum agent_phase)phase), missing);
	COX_MAP_EACH (&w.cluster->store.shelves, slot) {
		const struct ks_shelf *shelf = slot->value;

		for (size_t i = 0; i < shelf->n; i++) {
			const struct cox_node *o = cox_doc_root(shelf->items[i].doc);

			/* what runs after the objects stays, as its delete policy has it; and what
			 * a hook's delete policy asked for is not waited for */
			if (!sim_is_marked(o, app) ||
			    cox_str_is(cox_meta_annotation(o, AGENT_HOOK_PHASE), "PostDelete") ||
			    (cox_meta_annotation(o, AGENT_HOOK_PHASE).len &&
			     cox_meta_is_deleting(o)) ||
			    cox_str_is(cox_meta_annotation(o, "argocd.argoproj.io/sync-options"),
				       "Delete=false"))
				continue;
			sim_fail("H: %s is deleted, and %s is still there", app->name,
				 shelf->items[i].key);
		}
	}
}

/* J: no hook is lost. */
static void check_succeeded(const Coxswain__Report__V1__OperationState *s)
{
	const struct sim_bundle *b = sim_bundle_by_digest(s->digest.data);
	const char *missing;

	for (int phase = AGENT_PHASE_PRE_SYNC; b && phase <= AGENT_PHASE_POST_SYNC; phase++)
		if (!sim_hooks_succeeded(b, s->id, phase, &missing))
			sim_fail("J: operation %s succeeded without the %s hook %s", s->id,
				 agent_phase_name((enum agent_phase)phase), missing);
}

const char *sim_unhealthy(struct sim_app *app, const struct sim_bundle *b)
{
	COX_VEC_EACH (&b->objects, o) {
		const struct sim_progress *p = o->hook ? NULL : progress(app, o->key);

		if (p && !(p->applied && p->healthy) && !(app->out_of_sync_only && !p->applied))
			return o->key;
	}
	return NULL;
}

/* How long it is well: only while it is, no longer than the agent watches, and never over a moment in
 * which it said otherwise. */
static void check_well(struct sim_app *app, const Coxswain__Report__V1__ApplicationReport *r)
{
	int64_t since_ms = cox_clock_ms() - r->well_ms + 1;

	if (r->well_ms == 0) {
		app->ill_ms = cox_clock_ms();
		return;
	}
	if (r->assigned_sync != COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED ||
	    r->health != COXSWAIN__REPORT__V1__HEALTH__HEALTHY ||
	    (r->operation && r->operation->phase == COXSWAIN__REPORT__V1__PHASE__RUNNING))
		sim_fail("W: %s is not well and says that it is so for %lld ms", app->name,
			 (long long)r->well_ms);
	if (since_ms < w.started_ms || since_ms < app->ill_ms)
		sim_fail("W: %s is well for %lld ms, its agent there for %lld, and it was not %lld "
			 "ms ago",
			 app->name, (long long)r->well_ms,
			 (long long)(cox_clock_ms() - w.started_ms),
			 (long long)(cox_clock_ms() - app->ill_ms));
}

void sim_check_report(struct sim_app *app, const Coxswain__Report__V1__ApplicationReport *r)
{
	if (r->epoch != app->accepted.epoch || r->generation != app->accepted.generation)
		sim_fail("G: %s reports (%llu, %llu) and accepted (%llu, %llu)", app->name,
			 (unsigned long long)r->epoch, (unsigned long long)r->generation,
			 (unsigned long long)app->accepted.epoch,
			 (unsigned long long)app->accepted.generation);
	if (r->assigned_sync == COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED &&
	    !app->accepted.tombstone)
		check_synced(app, r);
	check_well(app, r);
	if (r->operation && r->operation->phase == COXSWAIN__REPORT__V1__PHASE__SUCCEEDED &&
	    begun(r->operation->id)->hooks && r->operation->digest.len == COX_SHA256_BYTES)
		check_succeeded(r->operation);
	if (r->deleted)
		check_deleted(app);
}

/* ---- I-5: what was accepted is there after a crash ---- */

void sim_check_offer(struct sim_app *app)
{
	struct sim_order *o = &app->offered;

	o->epoch = app->epoch;
	o->generation = app->generation;
	o->bundle = app->sync ? app->sync : app->target;
	o->tombstone = app->tombstone;
	o->cascade = app->cascade;
	snprintf(o->operation, sizeof(o->operation), "%s", app->op.terminate ? "" : app->op.id);
}

static bool is_order(const struct agent_app *view, const struct sim_order *o)
{
	return view && o->generation && view->epoch == o->epoch &&
	       view->generation == o->generation;
}

void sim_check_accepted(struct sim_app *app, bool must)
{
	if (is_order(agents_view(app), &app->offered))
		app->accepted = app->offered;
	else if (must)
		sim_fail("I-5: %s was accepted and is not in force", app->name);
}

void sim_check_restarted(void)
{
	if (agent_engine_position(w.engine) < w.last_position)
		sim_fail("I-5: the agent acknowledged position %llu and came back with %llu",
			 (unsigned long long)w.last_position,
			 (unsigned long long)agent_engine_position(w.engine));
	COX_VEC_EACH (&w.apps, slot) {
		struct sim_app *app = *slot;

		if (app->gone)
			continue;
		sim_check_accepted(app, false); /* the disk may have more than it said */
		if (app->accepted.generation && !is_order(agents_view(app), &app->accepted))
			sim_fail("I-5: %s was accepted and is forgotten", app->name);
		/* what was seen to be healthy is looked at again */
		COX_MAP_EACH (&app->progress, p)
			((struct sim_progress *)p->value)->healthy =
				sim_is_healthy(sim_live(p->key));
	}
}

/* What the agent thinks, for who reads a trace of a failure. */
void sim_check_dump(void)
{
	COX_VEC_EACH (&w.apps, slot) {
		const struct agent_app *view = agents_view(*slot);
		const struct agent_operation *op = view ? view->operation : NULL;

		if (!view)
			continue;
		sim_trace("%s: built %d", (*slot)->name, view->built);
		if (op)
			sim_trace("  operation %s: stage %d, planned %d, in flight %zu, ending %d",
				  op->spec->id, op->stage, op->planned, op->n_in_flight,
				  op->ending);
		for (size_t i = 0; op && i < op->plan.tasks.n; i++)
			sim_trace("  task %s: wave %lld, state %d %s",
				  op->plan.tasks.items[i].key_text,
				  (long long)op->plan.tasks.items[i].wave,
				  op->plan.tasks.items[i].state,
				  op->plan.tasks.items[i].message ? op->plan.tasks.items[i].message
								  : "");
		COX_MAP_EACH (&view->entries, inner) {
			const struct agent_entry *e = inner->value;

			sim_trace(
				"  %s: wanted %d owned %d evaluated %d live %d marked %d "
				"fetching %d sync %d health %d version %llu; kind known %d synced "
				"%d",
				e->key_text, e->wanted, e->owned, e->evaluated, e->live, e->marked,
				e->fetching, e->sync, e->health,
				(unsigned long long)e->resource_version, e->kind->resource != NULL,
				e->kind->synced);
		}
	}
}

static void unref(void *doc)
{
	cox_doc_unref(doc);
}

void sim_check_fini(void)
{
	cox_map_fini_values(&w.history, unref);
	cox_map_fini_values(&w.sent, free);
	cox_map_fini_values(&w.begun, free);
	cox_map_fini(&w.deletes);
	sim_check_hooks_fini();
}
