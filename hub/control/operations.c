/* What people ask of an Application: sync, rollback, terminate. Each is an operation with an id of its
 * own, committed together with the assignment that carries it. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "hub/control/internal.h"

#include <stdio.h>

typedef Coxswain__Assignment__V1__Operation operation;
typedef Coxswain__Assignment__V1__ResourceSelector selector;

#define RESOURCES_MAX 1000

int control_find(struct hub_control *c, const char *namespace, const char *name,
		 struct control_app **ret_app, struct cox_error *err)
{
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION, namespace, name);
	struct control_app *a = control_app(c, key);

	if (!a)
		return cox_error(err, COX_NOT_FOUND, "no application '%s'", key);
	*ret_app = a;
	return 0;
}

int control_check_ready(const struct control_app *a, struct cox_error *err)
{
	if (control_app_is_deleting(a))
		return cox_error(err, COX_FAILED_PRECONDITION, "application '%s' is being deleted",
				 a->key);
	if (!a->has_view || (!a->cluster && a->problem))
		return cox_error(err, COX_FAILED_PRECONDITION, "application '%s': %s", a->key,
				 a->problem ? a->problem : "its specification is not valid");
	if (!a->cluster)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "application '%s' has no cluster to be synced to", a->key);
	if (control_app_is_paused(a))
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "application '%s' is paused: remove the annotation "
				 "argocd.argoproj.io/skip-reconcile first",
				 a->key);
	return 0;
}

/* Whether something moves the application by itself. */
static bool moves_by_itself(struct hub_control *c, const struct control_app *a)
{
	const struct control_line *l = cox_map_get(&c->lines, a->owner);

	return !control_is_by_hand(a, l && l->current && l->current->plan.ordered);
}

int hub_control_check_by_hand(struct hub_control *c, const char *namespace, const char *name,
			      const char *what, struct cox_error *err)
{
	struct control_app *a = NULL;
	int r = control_find(c, namespace, name, &a, err);

	if (r == 0)
		r = control_check_ready(a, err);
	if (r < 0 || !moves_by_itself(c, a))
		return r;
	return cox_error(
		err, COX_FAILED_PRECONDITION,
		"application '%s' is synced by itself, which would undo a sync to %s: turn "
		"that off first (spec.syncPolicy.automated)",
		a->key, what);
}

/* ---- to what ---- */

struct target {
	uint8_t digest[HUB_DIGEST_BYTES];
	char revision[65];
	bool past_gate; /* its wave had not come */
};

static void target_set(struct target *t, const uint8_t *digest, const char *revision)
{
	memcpy(t->digest, digest, sizeof(t->digest));
	snprintf(t->revision, sizeof(t->revision), "%s", revision ? revision : "");
}

static bool has_already(struct hub_control *c, const struct control_app *a, const struct target *to)
{
	const hub_assignment *have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);

	return have && have->sync_digest.len == HUB_DIGEST_BYTES &&
	       memcmp(have->sync_digest.data, to->digest, HUB_DIGEST_BYTES) == 0;
}

/* No rollout that is under way says when it may have that: one has to begin first, or what it is
 * about is barred. Who is in no wave is synced by hand. */
static int check_waves(struct hub_control *c, const struct control_app *a, struct cox_error *err)
{
	COX_CLEANUP(cox_rollout_plan_fini) struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
	const struct control_line *l = cox_map_get(&c->lines, a->owner);
	struct cox_rollout_member m;
	_cleanup_free_ char *waits = NULL;

	if (control_plan_check(c, a->owner, &plan, err) < 0)
		return cox_error_wrap(err, "application '%s'", a->key);
	m = control_rollout_member(c, a, plan.ordered);
	if (!plan.ordered || cox_rollout_plan_wave(&plan, &m, NULL) < 0)
		return 0;
	waits = l && l->current ? cox_rollout_waits(l->current, a->uid) : NULL;
	return cox_error(err, COX_FAILED_PRECONDITION, "application '%s' is %s", a->key,
			 waits ? waits : "waiting for the rollout of this revision to begin");
}

/* Whether it may have that now: the rollout that covers it has to have come that far. Its own wave may
 * be held back by a budget of 0, which means: by hand. by: who is recorded to have skipped it; NULL:
 * nobody. */
static int check_gate(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		      bool skip, const char *by, struct target *to, struct cox_error *err)
{
	struct control_line *l = cox_map_get(&c->lines, a->owner);
	struct cox_rollout *r = NULL;
	const struct cox_rollout_target *t = control_target(c, a, &r);
	int64_t now_ms = control_now_ms(c);
	int e;

	if (t)
		e = cox_rollout_may_sync(r, a->uid, false, NULL, now_ms, err);
	else
		e = has_already(c, a, to) ? 0 : check_waves(c, a, err);
	if (e >= 0)
		return 0;
	to->past_gate = skip;
	if (!skip)
		return e;
	if (t)
		return by ? cox_rollout_may_sync(r, a->uid, true, by, now_ms, err) : 0;
	if (by && l && l->current) {
		cox_rollout_record_sync(l->current, a->key, by, err->message, now_ms);
		control_rollout_keep(batch, l->current);
	}
	return 0;
}

/* What a sync would deploy: what Git wants, as far as the rollout that covers it pins it. */
static int sync_target(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		       const struct hub_sync_request *request, struct target *ret,
		       struct cox_error *err)
{
	struct cox_rollout *rollout = NULL;
	const struct cox_rollout_target *t = control_target(c, a, &rollout);
	const hub_assignment *have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);

	if (request->at)
		target_set(ret, request->at->digest, request->at->revision);
	else if (t && t->has_digest)
		target_set(ret, t->digest, t->revision);
	else if (a->rendered.valid && !a->rendered.error)
		target_set(ret, a->rendered.digest, a->rendered.revision);
	else if (have && have->sync_digest.len == HUB_DIGEST_BYTES)
		target_set(ret, have->sync_digest.data, have->sync_revision);
	else
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "application '%s' has no manifests yet: %s", a->key,
				 a->problem ? a->problem : "its repository is being looked at");
	return check_gate(c, batch, a, request->skip_gates || request->dry_run,
			  request->dry_run ? NULL : request->initiated_by, ret, err);
}

const Coxswain__Report__V1__OperationState *control_asked_state(const hub_assignment *have,
								const hub_report *r)
{
	const Coxswain__Report__V1__OperationState *const states[] = {r ? r->operation : NULL,
								      r ? r->asked : NULL};

	for (size_t i = 0; i < COX_ARRAY_LEN(states); i++)
		if (states[i] && have && have->operation &&
		    strcmp(states[i]->id, have->operation->id) == 0)
			return states[i];
	return NULL;
}

/* The operation that the hub gave and that runs now; NULL: none. */
static const operation *running(struct hub_control *c, const struct control_app *a)
{
	const hub_assignment *have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	const hub_report *r = hub_fleet_last_report(c->fleet, a->cluster, a->uid);

	if (!have || !have->operation || have->operation->terminate || !r || !r->operation ||
	    strcmp(r->operation->id, have->operation->id) != 0)
		return NULL;
	return r->operation->phase == COXSWAIN__REPORT__V1__PHASE__RUNNING ||
			       r->operation->phase == COXSWAIN__REPORT__V1__PHASE__TERMINATING
		       ? have->operation
		       : NULL;
}

/* One at a time. One to another bundle takes over: a bad commit must not hold up its mending. */
static int check_none_runs(struct hub_control *c, const struct control_app *a,
			   const struct target *to, struct cox_error *err)
{
	const operation *op = running(c, a);

	if (!op || op->digest.len != HUB_DIGEST_BYTES ||
	    memcmp(op->digest.data, to->digest, HUB_DIGEST_BYTES) != 0)
		return 0;
	return cox_error(err, COX_FAILED_PRECONDITION,
			 "application '%s': another operation is already in progress (%s): "
			 "`cox app terminate %s` ends it",
			 a->key, op->id, a->view.name);
}

/* ---- the operation ---- */

static char *text(const struct cox_node *map, const char *key)
{
	return (char *)cox_node_cstr(cox_node_get(map, key), "");
}

/* The message's parts, which it borrows. */
struct parts {
	selector items[RESOURCES_MAX];
	selector *pointers[RESOURCES_MAX];
	size_t n;
	COX_VEC(char *) options;
	struct control_retry retry;
};

static void parts_free(struct parts *p)
{
	if (!p)
		return;
	cox_vec_fini(&p->options);
	free(p);
}
DEFINE_CLEANUP(struct parts *, parts_free);

static int select_resources(const struct cox_node *list, struct parts *s, struct cox_error *err)
{
	if (cox_node_len(list) > RESOURCES_MAX)
		return cox_error(err, COX_INVALID_ARGUMENT, "resources: at most %d", RESOURCES_MAX);
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);
		selector *x = &s->items[s->n];

		coxswain__assignment__v1__resource_selector__init(x);
		x->group = text(item, "group");
		x->kind = text(item, "kind");
		x->namespace_ = text(item, "namespace");
		x->name = text(item, "name");
		if (!*x->kind || !*x->name)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "resources[%zu]: kind and name are needed", i);
		s->pointers[s->n++] = x;
	}
	return 0;
}

static int take_options(const struct cox_node *list, struct parts *p, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		char *option = (char *)cox_node_cstr(cox_node_at(list, i), "");

		if (!strchr(option, '='))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "syncOptions[%zu]: 'NAME=VALUE' is needed, not '%s'", i,
					 option);
		cox_vec_push(&p->options, option);
	}
	return 0;
}

static int fill(const struct control_app *a, const struct hub_sync_request *request,
		struct parts *p, operation *op, struct cox_error *err)
{
	struct hub_application view = a->view;
	int r = select_resources(request->resources, p, err);

	if (r == 0)
		r = take_options(request->sync_options, p, err);
	if (r < 0)
		return r;
	if (request->retry)
		hub_retry_read(request->retry, &view.sync_policy.retry);
	op->dry_run = request->dry_run;
	op->prune = request->prune;
	op->force = request->force;
	op->skip_hooks = request->skip_hooks;
	op->resources = p->pointers;
	op->n_resources = p->n;
	op->sync_options = p->options.items;
	op->n_sync_options = p->options.n;
	op->initiated_by = (char *)request->initiated_by;
	op->retry = control_retry_of(&view, 0, &p->retry);
	return 0;
}

/* ---- what is remembered of it ---- */

static void put_clone(struct cox_doc *doc, struct cox_node *map, const char *key,
		      const struct cox_node *node)
{
	if (cox_node_len(node) > 0)
		cox_map_put(doc, map, key, cox_doc_clone(doc, node));
}

static void put_true(struct cox_doc *doc, struct cox_node *map, const char *key, bool value)
{
	if (value)
		cox_map_put_bool(doc, map, key, true);
}

/* As Application.operation has it. */
static struct cox_node *as_asked(struct cox_doc *doc, const struct hub_sync_request *request,
				 const char *revision)
{
	struct cox_node *asked = cox_doc_map(doc), *sync = cox_doc_map(doc);
	struct cox_node *by = cox_doc_map(doc), *strategy = cox_doc_map(doc);
	struct cox_node *how = cox_doc_map(doc);

	if (*revision)
		cox_map_put_cstr(doc, sync, "revision", revision);
	put_true(doc, sync, "prune", request->prune);
	put_true(doc, sync, "dryRun", request->dry_run);
	put_true(doc, how, "force", request->force);
	cox_map_put(doc, strategy, request->skip_hooks ? "apply" : "hook", how);
	cox_map_put(doc, sync, "syncStrategy", strategy);
	put_clone(doc, sync, "resources", request->resources);
	put_clone(doc, sync, "syncOptions", request->sync_options);
	cox_map_put(doc, asked, "sync", sync);
	put_clone(doc, asked, "retry", request->retry);
	put_clone(doc, asked, "info", request->infos);
	cox_map_put_cstr(doc, by, "username", request->initiated_by);
	cox_map_put(doc, asked, "initiatedBy", by);
	return asked;
}

static void put_strings(struct cox_doc *doc, struct cox_node *map, const char *key,
			const cox_strings *strings)
{
	struct cox_node *list = cox_doc_list(doc);

	COX_VEC_EACH (strings, s)
		cox_list_push(doc, list, cox_doc_cstring(doc, *s));
	cox_map_put(doc, map, key, list);
}

static struct cox_doc *note_of(const struct control_app *a, const struct hub_sync_request *request,
			       const struct target *to, const char *id)
{
	struct cox_doc *doc = cox_doc_new("note");
	struct cox_node *map = cox_doc_map(doc);
	char hex[2 * HUB_DIGEST_BYTES + 1];

	cox_hex_encode(to->digest, HUB_DIGEST_BYTES, hex);
	cox_map_put_cstr(doc, map, "id", id);
	cox_map_put_cstr(doc, map, "digest", hex);
	cox_map_put_cstr(doc, map, "revision", to->revision);
	cox_map_put(doc, map, "operation", as_asked(doc, request, to->revision));
	put_true(doc, map, "local", request->local);
	put_true(doc, map, "gatesSkipped", to->past_gate);
	if (request->at && request->at->sources) {
		cox_map_put(doc, map, "sources",
			    cox_doc_clone(doc, cox_doc_root(request->at->sources)));
		if (request->at->commits)
			put_strings(doc, map, "revisions", request->at->commits);
	} else if (!request->local && a->rendered.valid &&
		   memcmp(a->rendered.digest, to->digest, HUB_DIGEST_BYTES) == 0) {
		put_strings(doc, map, "revisions", &a->rendered.commits);
	}
	cox_doc_set_root(doc, map);
	return cox_doc_seal(doc);
}

/* ---- giving it ---- */

/* A dry run and a part of the objects do not move what the cluster is healed to. */
static void assign(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		   const struct target *to, operation *op)
{
	const hub_assignment *now = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	struct target stays = {0};

	op->digest.data = (uint8_t *)to->digest;
	op->digest.len = sizeof(to->digest);
	op->revision = (char *)to->revision;
	if (!op->dry_run && op->n_resources == 0) {
		control_assign(c, batch, a, to->digest, to->revision, op);
	} else if (now && now->sync_digest.len == HUB_DIGEST_BYTES) {
		target_set(&stays, now->sync_digest.data, now->sync_revision);
		control_assign(c, batch, a, stays.digest, stays.revision, op);
	} else {
		control_assign(c, batch, a, NULL, NULL, op);
	}
}

/* The rollout that is under way counts what it sees from now on: a target that was moved away from
 * what it pins is not there until it is moved back. One that is over still waits for those who are late. */
static void tell_rollout(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
			 const struct target *to, const char *id, const char *by)
{
	const hub_assignment *now = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	const struct control_line *l = cox_map_get(&c->lines, a->owner);
	struct cox_rollout *rollout = l ? l->current : NULL;
	const struct cox_rollout_target *t = rollout ? cox_rollout_find(rollout, a->uid) : NULL;
	bool over = rollout && rollout->phase != COX_ROLLOUT_PROGRESSING;
	bool pinned = t && t->has_digest && memcmp(t->digest, to->digest, HUB_DIGEST_BYTES) == 0;
	_cleanup_free_ char *away = NULL;

	/* who was not moved yet, or cannot be, is no nearer to it */
	if (!t ||
	    (!pinned && (over || t->state == COX_TARGET_WAITING || t->state == COX_TARGET_BLOCKED)))
		return;
	cox_rollout_assigned(rollout, a->uid, now->epoch, now->generation, id, control_now_ms(c));
	if (!pinned) {
		away = cox_asprintf("moved to %.12s by %s",
				    *to->revision ? to->revision : "other manifests", by);
		cox_rollout_note(rollout, a->uid, away, control_now_ms(c));
	}
	control_rollout_keep(batch, rollout);
}

static void give(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		 const struct hub_sync_request *request, const struct target *to, operation *op,
		 struct cox_doc *note_taken)
{
	assign(c, batch, a, to, op);
	if (!op->dry_run && op->n_resources == 0)
		tell_rollout(c, batch, a, to, op->id, request->initiated_by);
	control_note_set(c, batch, a, note_taken);
	control_rollout_dirty(c, a->owner);
	cox_log_info("sync asked for", COX_KV("application", a->key), COX_KV("operation", op->id),
		     COX_KV("revision", to->revision), COX_KV("by", request->initiated_by),
		     COX_KV("gates", to->past_gate ? "skipped" : "kept"));
}

/* All that it renders to goes into the hub's own store. */
static bool is_for_hub_only(const struct control_app *a)
{
	return a->has_view && !a->cluster && !a->problem && a->rendered.valid &&
	       !a->rendered.error && !control_app_is_deleting(a);
}

int hub_control_sync(struct hub_control *c, struct hub_batch *batch, const char *namespace,
		     const char *name, const struct hub_sync_request *request,
		     char ret_operation[COX_UUID_TEXT], char **ret_revision, struct cox_error *err)
{
	COX_CLEANUP(parts_free_p) struct parts *parts = cox_new(struct parts);
	operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	struct control_app *a = NULL;
	struct target to = {0};
	int r = control_find(c, namespace, name, &a, err);

	if (r == 0 && is_for_hub_only(a) && !request->dry_run) {
		cox_uuid_new(ret_operation);
		*ret_revision = cox_strdup(a->rendered.revision);
		control_own_apply(c, batch, a, true);
		return 0;
	}
	if (r == 0)
		r = control_check_ready(a, err);
	if (r == 0 && !request->dry_run)
		r = control_check_window(a, err);
	if (r == 0)
		r = sync_target(c, batch, a, request, &to, err);
	if (r == 0)
		r = check_none_runs(c, a, &to, err);
	if (r == 0)
		r = fill(a, request, parts, &op, err);
	if (r < 0)
		return r;
	cox_uuid_new(ret_operation);
	op.id = ret_operation;
	give(c, batch, a, request, &to, &op, note_of(a, request, &to, ret_operation));
	if (!request->dry_run)
		control_own_apply(c, batch, a, true);
	*ret_revision = cox_strdup(to.revision);
	return 0;
}

/* ---- rollback ---- */

static struct cox_doc *rollback_note(struct cox_doc *base, const struct cox_node *entry,
				     bool forced)
{
	_cleanup_doc_ struct cox_doc *taken = base;
	struct cox_doc *doc = cox_doc_edit(base);
	struct cox_node *root = cox_doc_root_edit(doc);
	static const char *const kept[] = {"sources", "source", "revisions", "local"};

	for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++)
		if (cox_node_get(entry, kept[i]))
			cox_map_put(doc, root, kept[i],
				    cox_doc_clone(doc, cox_node_get(entry, kept[i])));
	cox_map_put_int(doc, root, "rollbackTo", cox_node_int(cox_node_get(entry, "id"), 0));
	put_true(doc, root, "forced", forced);
	return cox_doc_seal(doc);
}

static int check_rollback(struct hub_control *c, struct control_app *a, bool force,
			  struct cox_error *err)
{
	struct cox_rollout *rollout = NULL;
	int r = control_check_ready(a, err);

	if (r < 0 || force)
		return r;
	if (moves_by_itself(c, a))
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "application '%s' is synced by itself: turn that off first "
				 "(spec.syncPolicy.automated), or roll back with force until the "
				 "next revision comes",
				 a->key);
	if (control_target(c, a, &rollout))
		return cox_error(
			err, COX_FAILED_PRECONDITION,
			"application '%s' is part of a rollout that is under way: it would "
			"wait for this cluster: roll back with force if that is meant",
			a->key);
	return 0;
}

static int find_entry(struct hub_control *c, const struct control_app *a, int64_t id,
		      const struct cox_node **ret_entry, struct target *ret, struct cox_error *err)
{
	const struct cox_node *entry = control_history_entry(a, id);
	struct cox_str hex = cox_node_str(cox_node_get(entry, "digest"));
	_cleanup_free_ char *key = cox_str_dup(hex);

	if (!entry && id < 0)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "application '%s' has nothing in its history to go back to",
				 a->key);
	if (!entry)
		return cox_error(err, COX_NOT_FOUND, "application '%s' has no history entry %lld",
				 a->key, (long long)id);
	if (!cox_map_has(&c->bundles, key) ||
	    cox_hex_decode(hex, ret->digest, HUB_DIGEST_BYTES, NULL) < 0)
		return cox_error(err, COX_DATA_LOSS,
				 "the manifests of history entry %lld are not kept any more",
				 (long long)id);
	snprintf(ret->revision, sizeof(ret->revision), "%s",
		 cox_node_cstr(cox_node_get(entry, "revision"), ""));
	*ret_entry = entry;
	return 0;
}

int hub_control_rollback(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			 const char *name, const struct hub_rollback_request *request,
			 char ret_operation[COX_UUID_TEXT], char **ret_revision,
			 struct cox_error *err)
{
	COX_CLEANUP(parts_free_p) struct parts *parts = cox_new(struct parts);
	operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	const struct hub_sync_request sync = {.prune = request->prune,
					      .dry_run = request->dry_run,
					      .skip_hooks = !request->hooks,
					      .initiated_by = request->initiated_by};
	const struct cox_node *entry = NULL;
	struct control_app *a = NULL;
	struct target to = {0};
	int r = control_find(c, namespace, name, &a, err);

	if (r == 0)
		r = check_rollback(c, a, request->force || request->dry_run, err);
	if (r == 0 && !request->dry_run)
		r = control_check_window(a, err);
	if (r == 0)
		r = find_entry(c, a, request->id, &entry, &to, err);
	if (r == 0)
		r = check_none_runs(c, a, &to, err);
	if (r == 0)
		r = fill(a, &sync, parts, &op, err);
	if (r < 0)
		return r;
	cox_uuid_new(ret_operation);
	op.id = ret_operation;
	cox_log_info("rollback asked for", COX_KV("application", a->key),
		     COX_KV_INT("history", cox_node_int(cox_node_get(entry, "id"), 0)),
		     COX_KV("forced", request->force ? "yes" : "no"));
	give(c, batch, a, &sync, &to, &op,
	     rollback_note(note_of(a, &sync, &to, ret_operation), entry, request->force));
	*ret_revision = cox_strdup(to.revision);
	return 0;
}

/* ---- terminate ---- */

/* The rollout that it was on its way for hears of its end. */
static void follow_termination(struct hub_control *c, struct hub_batch *batch,
			       const struct control_app *a)
{
	const hub_assignment *now = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	struct cox_rollout *rollout = NULL;
	const struct cox_rollout_target *t = control_target(c, a, &rollout);

	if (!t || t->generation == 0 || !t->has_digest ||
	    now->sync_digest.len != HUB_DIGEST_BYTES ||
	    memcmp(t->digest, now->sync_digest.data, HUB_DIGEST_BYTES) != 0)
		return;
	cox_rollout_assigned(rollout, a->uid, now->epoch, now->generation, NULL, control_now_ms(c));
	control_rollout_keep(batch, rollout);
}

int hub_control_terminate(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			  const char *name, const char *by, char ret_operation[COX_UUID_TEXT],
			  struct cox_error *err)
{
	operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	struct control_app *a = NULL;
	const hub_assignment *have;
	const hub_report *report;
	uint8_t sync[HUB_DIGEST_BYTES];
	bool runs;
	int r = control_find(c, namespace, name, &a, err);

	if (r == 0)
		r = control_check_ready(a, err);
	if (r < 0)
		return r;
	have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	report = hub_fleet_last_report(c->fleet, a->cluster, a->uid);
	runs = report && report->operation &&
	       (report->operation->phase == COXSWAIN__REPORT__V1__PHASE__RUNNING ||
		report->operation->phase == COXSWAIN__REPORT__V1__PHASE__TERMINATING);
	if (!have || !runs)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "application '%s' has no operation that runs", a->key);
	snprintf(ret_operation, COX_UUID_TEXT, "%.36s", report->operation->id);
	op.id = ret_operation;
	op.terminate = true;
	op.initiated_by = (char *)by;
	memcpy(sync, have->sync_digest.data,
	       have->sync_digest.len < sizeof(sync) ? have->sync_digest.len : sizeof(sync));
	_cleanup_free_ char *revision = cox_strdup(have->sync_revision);
	control_assign(c, batch, a, have->sync_digest.len == HUB_DIGEST_BYTES ? sync : NULL,
		       revision, &op);
	follow_termination(c, batch, a);
	control_rollout_dirty(c, a->owner);
	return 0;
}
