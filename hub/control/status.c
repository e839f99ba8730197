/* What people see of an object: computed when it is asked for, from the assignment, the last
 * report, the rollout and the conditions; nothing of it is stored. */
#include "common/base/clock.h"
#include "hub/control/internal.h"
#include "hub/control/made.h"

#include <stdio.h>

static const char *const sync_names[] = {"Unknown", "Synced", "OutOfSync"};
static const char *const health_names[] = {"",	      "Healthy",  "Suspended", "Progressing",
					   "Missing", "Degraded", "Unknown"};
static const char *const phase_names[] = {"",	       "Running", "Terminating",
					  "Succeeded", "Failed",  "Error"};

#define NAME(names, i) ((size_t)(i) < COX_ARRAY_LEN(names) ? (names)[i] : "Unknown")

const char *control_health_name(int health)
{
	return NAME(health_names, health);
}

static void put_time(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t wall_ms)
{
	char text[COX_TIME_TEXT_MAX];

	if (wall_ms <= 0)
		return;
	cox_time_format(wall_ms, text);
	cox_map_put_cstr(doc, map, key, text);
}

static void put_text(struct cox_doc *doc, struct cox_node *map, const char *key, const char *text)
{
	if (text && *text)
		cox_map_put_cstr(doc, map, key, text);
}

/* ---- resources ---- */

static struct cox_node *resource(struct cox_doc *doc, const Coxswain__Report__V1__ResourceStatus *s)
{
	struct cox_node *map = cox_doc_map(doc), *health, *differing;

	if (s->key) {
		put_text(doc, map, "group", s->key->group);
		put_text(doc, map, "version", s->key->version);
		put_text(doc, map, "kind", s->key->kind);
		put_text(doc, map, "namespace", s->key->namespace_);
		put_text(doc, map, "name", s->key->name);
	}
	cox_map_put_cstr(doc, map, "status", NAME(sync_names, s->sync));
	if (s->health != COXSWAIN__REPORT__V1__HEALTH__HEALTH_NONE) {
		health = cox_doc_map(doc);
		cox_map_put_cstr(doc, health, "status", NAME(health_names, s->health));
		put_text(doc, health, "message", s->health_message);
		cox_map_put(doc, map, "health", health);
	}
	if (s->health == COXSWAIN__REPORT__V1__HEALTH__HEALTH_NONE && *s->health_message) {
		health = cox_doc_map(doc);
		cox_map_put_cstr(doc, health, "status", NAME(health_names, s->health_guess));
		put_text(doc, health, "message", s->health_message);
		cox_map_put(doc, map, "healthGuess", health);
	}
	if (s->hook)
		cox_map_put_bool(doc, map, "hook", true);
	if (s->requires_pruning)
		cox_map_put_bool(doc, map, "requiresPruning", true);
	if (s->sync_wave)
		cox_map_put_int(doc, map, "syncWave", s->sync_wave);
	if (s->n_differing > 0) {
		differing = cox_doc_list(doc);
		for (size_t i = 0; i < s->n_differing; i++)
			cox_list_push(doc, differing, cox_doc_cstring(doc, s->differing[i]));
		cox_map_put(doc, map, "differing", differing);
	}
	return map;
}

static int by_resource(const void *a, const void *b)
{
	const Coxswain__Report__V1__ResourceKey
		*x = (*(Coxswain__Report__V1__ResourceStatus *const *)a)->key,
		*y = (*(Coxswain__Report__V1__ResourceStatus *const *)b)->key;
	int r;

	if (!x || !y)
		return (x != NULL) - (y != NULL);
	r = strcmp(x->group, y->group);
	if (r == 0)
		r = strcmp(x->kind, y->kind);
	if (r == 0)
		r = strcmp(x->namespace_, y->namespace_);
	return r ? r : strcmp(x->name, y->name);
}

static struct cox_node *resources(struct cox_doc *doc, const hub_report *r)
{
	struct cox_node *list = cox_doc_list(doc);
	COX_VEC(Coxswain__Report__V1__ResourceStatus *) sorted = {0};

	for (size_t i = 0; r && i < r->n_resources; i++)
		cox_vec_push(&sorted, r->resources[i]);
	cox_vec_sort(&sorted, by_resource);
	COX_VEC_EACH (&sorted, s)
		cox_list_push(doc, list, resource(doc, *s));
	cox_vec_fini(&sorted);
	return list;
}

int hub_control_resources(struct hub_control *c, const char *namespace, const char *name,
			  struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION, namespace, name);
	const struct control_app *a = control_app(c, key);
	struct cox_doc *doc;
	struct cox_node *map;

	if (!a)
		return cox_error(err, COX_NOT_FOUND, "no application '%s'", key);
	doc = cox_doc_new("resources");
	map = cox_doc_map(doc);
	cox_map_put(doc, map, "items",
		    resources(doc, a->cluster ? hub_fleet_last_report(c->fleet, a->cluster, a->uid)
					      : NULL));
	cox_doc_set_root(doc, map);
	*ret_doc = cox_doc_seal(doc);
	return 0;
}

/* ---- operations ---- */

static struct cox_node *result(struct cox_doc *doc, const Coxswain__Report__V1__ResourceResult *s)
{
	struct cox_node *map = cox_doc_map(doc);

	if (s->key) {
		put_text(doc, map, "group", s->key->group);
		put_text(doc, map, "version", s->key->version);
		put_text(doc, map, "kind", s->key->kind);
		put_text(doc, map, "namespace", s->key->namespace_);
		put_text(doc, map, "name", s->key->name);
	}
	put_text(doc, map, "status", s->status);
	put_text(doc, map, "message", s->message);
	put_text(doc, map, "hookPhase", s->hook_phase);
	put_text(doc, map, "hookType", s->hook_phase && *s->hook_phase ? s->sync_phase : NULL);
	put_text(doc, map, "syncPhase", s->sync_phase);
	return map;
}

static bool same_digest(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
	return a.len == HUB_DIGEST_BYTES && b.len == HUB_DIGEST_BYTES &&
	       memcmp(a.data, b.data, HUB_DIGEST_BYTES) == 0;
}

/* What was asked, as Application.operation has it: as it was given; of what the agent began by
 * itself, what is known. */
static struct cox_node *asked(struct cox_doc *doc, const struct cox_node *note, const char *who,
			      const char *revision, bool prune)
{
	struct cox_node *map, *sync, *by;

	if (note)
		return cox_doc_clone(doc, cox_node_get(note, "operation"));
	map = cox_doc_map(doc);
	sync = cox_doc_map(doc);
	by = cox_doc_map(doc);
	put_text(doc, sync, "revision", revision);
	if (prune)
		cox_map_put_bool(doc, sync, "prune", true);
	if (strcmp(who, "automated") == 0 || strcmp(who, "rollout") == 0 ||
	    strcmp(who, "rollback") == 0 || strcmp(who, "self-heal") == 0)
		cox_map_put_bool(doc, by, "automated", true);
	if (strcmp(who, "automated") != 0)
		put_text(doc, by, "username", who);
	cox_map_put(doc, map, "sync", sync);
	cox_map_put(doc, map, "initiatedBy", by);
	return map;
}

static void put_clone(struct cox_doc *doc, struct cox_node *map, const char *key,
		      const struct cox_node *node)
{
	if (node)
		cox_map_put(doc, map, key, cox_doc_clone(doc, node));
}

static struct cox_node *sync_result(struct cox_doc *doc, const struct cox_node *note,
				    const char *revision,
				    const Coxswain__Report__V1__OperationState *op)
{
	struct cox_node *map = cox_doc_map(doc), *list = cox_doc_list(doc);
	const struct cox_node *sources = cox_node_get(note, "sources");

	for (size_t i = 0; i < op->n_results; i++)
		cox_list_push(doc, list, result(doc, op->results[i]));
	cox_map_put(doc, map, "resources", list);
	put_text(doc, map, "revision", revision);
	put_clone(doc, map, "source",
		  cox_node_len(sources) == 1 ? cox_node_at(sources, 0)
					     : cox_node_get(note, "source"));
	if (cox_node_len(sources) > 1) {
		put_clone(doc, map, "sources", sources);
		put_clone(doc, map, "revisions", cox_node_get(note, "revisions"));
	}
	return map;
}

/* How one went, or goes. */
static struct cox_node *operation_state(struct cox_doc *doc, const struct control_app *a,
					const hub_assignment *have,
					const Coxswain__Report__V1__OperationState *op)
{
	static const char *const told[] = {"local", "rollbackTo", "gatesSkipped", "forced"};
	const Coxswain__Assignment__V1__Operation *given = have ? have->operation : NULL;
	bool is_given = given && !given->terminate && (!op || strcmp(given->id, op->id) == 0);
	struct cox_node *map = cox_doc_map(doc);
	const char *id = op ? op->id : given->id, *revision = "";
	const struct cox_node *note = control_note(a, id);

	if (note)
		revision = cox_node_cstr(cox_node_get(note, "revision"), "");
	else if (is_given)
		revision = given->revision;
	else if (have && same_digest(op->digest, have->sync_digest))
		revision = have->sync_revision;
	cox_map_put(doc, map, "operation",
		    asked(doc, note, op ? op->initiated_by : given->initiated_by, revision,
			  is_given && given->prune));
	cox_map_put_cstr(doc, map, "id", id);
	for (size_t i = 0; i < COX_ARRAY_LEN(told); i++)
		put_clone(doc, map, told[i], cox_node_get(note, told[i]));
	if (!op) {
		cox_map_put_cstr(doc, map, "phase", "Running");
		cox_map_put_cstr(doc, map, "message", "waiting for the cluster's agent to begin");
		return map;
	}
	cox_map_put_cstr(doc, map, "phase", NAME(phase_names, op->phase));
	put_text(doc, map, "message", op->message);
	put_time(doc, map, "startedAt", op->started_ms);
	put_time(doc, map, "finishedAt", op->finished_ms);
	if (op->retry_count)
		cox_map_put_int(doc, map, "retryCount", op->retry_count);
	cox_map_put(doc, map, "syncResult", sync_result(doc, note, revision, op));
	return map;
}

/* The newest operation; beside it how the one ended that was asked for, when the agent's own came after. */
static void put_operations(struct cox_doc *doc, struct cox_node *map, const struct control_app *a,
			   const hub_assignment *have, const hub_report *r)
{
	const Coxswain__Report__V1__OperationState *newest =
		r && r->operation && *r->operation->id ? r->operation : NULL;
	const Coxswain__Report__V1__OperationState *given = control_asked_state(have, r);
	bool is_asked = have && have->operation && !have->operation->terminate;

	if (is_asked && !given)
		newest = NULL; /* it waits */
	if (newest || is_asked)
		cox_map_put(doc, map, "operationState", operation_state(doc, a, have, newest));
	if (given && newest && given != newest)
		cox_map_put(doc, map, "askedOperationState", operation_state(doc, a, have, given));
}

/* ---- applications ---- */

static bool digest_is(ProtobufCBinaryData have, const uint8_t *want)
{
	return have.len == HUB_DIGEST_BYTES && memcmp(have.data, want, HUB_DIGEST_BYTES) == 0;
}

struct seen {
	const struct control_app *a;
	const hub_assignment *have;
	const hub_report *now;	/* at the assigned generation; NULL: none */
	const hub_report *last; /* whatever its generation */
	bool has_target;
	const char *sync, *health, *message;
};

static bool is_synced(const struct seen *s)
{
	const struct control_app *a = s->a;

	return s->now && s->now->sync == COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED &&
	       s->has_target && s->have->sync_digest.len == HUB_DIGEST_BYTES &&
	       digest_is(s->have->target_digest, s->have->sync_digest.data) &&
	       (!a->rendered.valid || a->rendered.error ||
		digest_is(s->have->target_digest, a->rendered.digest));
}

static void see(struct hub_control *c, const struct control_app *a, struct seen *s)
{
	*s = (struct seen){.a = a};
	if (a->cluster) {
		s->have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
		s->now = hub_fleet_report(c->fleet, a->cluster, a->uid);
		s->last = hub_fleet_last_report(c->fleet, a->cluster, a->uid);
	}
	s->has_target = (a->rendered.valid && !a->rendered.error) ||
			(s->have && s->have->target_digest.len == HUB_DIGEST_BYTES);
	s->sync = "OutOfSync";
	s->health = s->last ? NAME(health_names, s->last->health) : "Missing";
	s->message = s->last ? s->last->health_message : "";
	if (!*s->health)
		s->health = "Healthy";
	if (!s->has_target || a->problem) {
		s->sync = "Unknown";
		if (!s->last)
			s->health = "Unknown";
	} else if (!a->cluster) {
		s->sync = control_own_is_synced(c, a) ? "Synced" : "OutOfSync";
		s->health = "Healthy";
	} else if (is_synced(s)) {
		s->sync = control_own_is_synced(c, a) ? "Synced" : "OutOfSync";
	} else if (s->now && s->now->sync == COXSWAIN__REPORT__V1__SYNC_STATUS__SYNC_UNKNOWN) {
		s->sync = "Unknown";
	}
}

/* Why it is not where Git wants it. The caller's; NULL: nothing to say. */
static char *why_not(struct hub_control *c, const struct seen *s)
{
	const struct control_app *a = s->a;
	const struct control_line *l = cox_map_get(&c->lines, a->owner);
	struct cox_rollout *r = NULL;
	const struct cox_rollout_target *t;
	_cleanup_free_ char *worst = NULL;
	char *text;

	if (strcmp(s->sync, "OutOfSync") != 0)
		return NULL;
	t = control_target(c, a, &r);
	text = l && l->current ? cox_rollout_waits(l->current, a->uid) : NULL;
	if (text)
		return text;
	if (t && t->message)
		return cox_strdup(t->message);
	if (!a->cluster || !s->have)
		return cox_strdup("not assigned yet");
	if (t && l->next && !digest_is(s->have->target_digest, t->digest))
		return cox_asprintf("revision %s waits for the rollout that is under way", l->next);
	if (a->rendered.valid && !a->rendered.error &&
	    !digest_is(s->have->target_digest, a->rendered.digest))
		return cox_strdup("a newer revision waits for the rollout that is under way");
	if (!a->view.sync_policy.automated &&
	    !digest_is(s->have->sync_digest, s->have->target_digest.data))
		return cox_asprintf("nothing syncs this application by itself: `cox app sync %s`",
				    a->view.name);
	if (!s->now)
		return cox_strdup("waiting for the agent's report on what was assigned last");
	worst = control_worst(s->now);
	return cox_asprintf("differs from what Git wants%s%s", worst ? ": " : "",
			    worst ? worst : "");
}

static void condition(struct cox_doc *doc, struct cox_node *list, const char *type,
		      const char *message, int64_t since_ms)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "type", type);
	cox_map_put_cstr(doc, map, "message", message);
	put_time(doc, map, "lastTransitionTime", since_ms);
	cox_list_push(doc, list, map);
}

static struct cox_node *app_conditions(struct hub_control *c, struct cox_doc *doc,
				       const struct seen *s)
{
	struct cox_node *list = cox_doc_list(doc);
	_cleanup_free_ char *why = why_not(c, s);
	_cleanup_free_ char *away = s->a->cluster ? control_away(c, s->a->cluster) : NULL;
	const struct hub_cluster_state *cluster =
		s->a->cluster ? hub_fleet_cluster(c->fleet, s->a->cluster) : NULL;

	COX_VEC_EACH (&s->a->conditions, x)
		condition(doc, list, x->type, x->message, x->since_ms);
	for (size_t i = 0; s->now && i < s->now->n_conditions; i++)
		condition(doc, list, s->now->conditions[i]->type, s->now->conditions[i]->message,
			  0);
	if (away)
		condition(doc, list, "AgentUnavailable", away, cluster ? cluster->since_ms : 0);
	if (cluster && cluster->connected && cluster->api_error)
		condition(doc, list, "ClusterUnavailable", cluster->api_error, 0);
	if (cluster && cluster->higher_epoch)
		condition(doc, list, "EpochError",
			  "the cluster's agent has seen a newer epoch than this hub's: if the "
			  "hub's state is an older copy, start it once with --restored",
			  0);
	if (control_app_is_deleting(s->a)) {
		const hub_report *r = s->last;

		condition(doc, list, "Deleting",
			  r && *r->deletion_message ? r->deletion_message
			  : away		    ? away
				 : "waiting for the cluster to delete its objects",
			  0);
	} else if (why) {
		condition(doc, list, "Waiting", why, 0);
	}
	return list;
}

/* What the sync status is about. */
static void put_compared(struct cox_doc *doc, struct cox_node *sync, const struct control_app *a)
{
	static const char *const kept[] = {"source", "sources", "destination", "ignoreDifferences"};
	struct cox_node *compared = cox_doc_map(doc), *revisions = cox_doc_list(doc);
	const struct cox_node *spec = a->has_view ? COX_GET(a->view.root, "spec") : NULL;

	for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++)
		put_clone(doc, compared, kept[i], cox_node_get(spec, kept[i]));
	if (spec)
		cox_map_put(doc, sync, "comparedTo", compared);
	if (a->rendered.commits.n < 2)
		return;
	COX_VEC_EACH (&a->rendered.commits, commit)
		cox_list_push(doc, revisions, cox_doc_cstring(doc, *commit));
	cox_map_put(doc, sync, "revisions", revisions);
}

static void put_summary(struct cox_doc *doc, struct cox_node *map, const struct control_app *a)
{
	struct cox_node *summary = cox_doc_map(doc), *images = cox_doc_list(doc);

	if (!a->rendered.made || a->rendered.made->images.n == 0)
		return;
	COX_VEC_EACH (&a->rendered.made->images, image)
		cox_list_push(doc, images, cox_doc_cstring(doc, *image));
	cox_map_put(doc, summary, "images", images);
	cox_map_put(doc, map, "summary", summary);
}

static struct cox_node *app_status(struct hub_control *c, struct cox_doc *doc,
				   const struct control_app *a)
{
	struct cox_node *map = cox_doc_map(doc), *sync = cox_doc_map(doc),
			*health = cox_doc_map(doc);
	struct seen s;

	see(c, a, &s);
	cox_map_put_cstr(doc, sync, "status", s.sync);
	put_text(doc, sync, "revision",
		 a->rendered.valid && *a->rendered.revision ? a->rendered.revision
		 : s.have				    ? s.have->target_revision
							    : NULL);
	put_text(doc, sync, "syncedRevision", s.have ? s.have->sync_revision : NULL);
	put_compared(doc, sync, a);
	cox_map_put(doc, map, "sync", sync);
	put_summary(doc, map, a);
	put_text(doc, map, "controllerNamespace", c->options.namespace);
	cox_map_put_cstr(doc, health, "status", s.health);
	put_text(doc, health, "message", s.message);
	cox_map_put(doc, map, "health", health);
	put_text(doc, map, "cluster", a->cluster);
	cox_map_put(doc, map, "resources", resources(doc, s.last));
	put_operations(doc, map, a, s.have, s.last);
	if (a->history) {
		cox_doc_use(doc, a->history);
		cox_map_put(doc, map, "history", cox_doc_root(a->history));
	}
	cox_map_put(doc, map, "conditions", app_conditions(c, doc, &s));
	COX_VEC_EACH (&a->repos, r)
		put_time(doc, map, "reconciledAt", (*r)->looked_ms);
	return map;
}

/* ---- the other kinds ---- */

static void set_condition(struct cox_doc *doc, struct cox_node *list, const char *type, bool holds,
			  const char *message, int64_t since_ms)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "type", type);
	cox_map_put_cstr(doc, map, "status", holds ? "True" : "False");
	put_text(doc, map, "message", message);
	put_time(doc, map, "lastTransitionTime", since_ms);
	cox_list_push(doc, list, map);
}

static struct cox_node *set_target(struct cox_doc *doc, const struct cox_rollout *r,
				   const struct cox_rollout_target *t)
{
	static const char *const words[] = {"Waiting", "Progressing", "Healthy", "Progressing",
					    "Waiting"};
	struct cox_node *map = cox_doc_map(doc), *revisions = cox_doc_list(doc);
	_cleanup_free_ char *waits = cox_rollout_waits(r, t->uid);
	const char *slash = strchr(t->name, '/');

	cox_map_put_cstr(doc, map, "application", slash ? slash + 1 : t->name);
	cox_map_put_cstr(doc, map, "status", words[t->state]);
	cox_map_put(doc, map, "step", cox_doc_stringf(doc, "%d", t->wave < 0 ? -1 : t->wave + 1));
	put_text(doc, map, "message", waits ? waits : t->message);
	put_time(doc, map, "lastTransitionTime", t->since_ms);
	if (t->revision)
		cox_list_push(doc, revisions, cox_doc_cstring(doc, t->revision));
	cox_map_put(doc, map, "targetRevisions", revisions);
	return map;
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct control_app *const *)a)->key,
		      (*(const struct control_app *const *)b)->key);
}

/* The Applications that a set made, each with its state. */
static struct cox_node *set_resources(struct hub_control *c, struct cox_doc *doc,
				      const struct control_line *l)
{
	COX_VEC(const struct control_app *) sorted = {0};
	struct cox_node *list = cox_doc_list(doc);

	COX_MAP_EACH (&l->members, slot)
		cox_vec_push(&sorted, slot->value);
	cox_vec_sort(&sorted, by_key);
	COX_VEC_EACH (&sorted, a) {
		const struct control_object *o = control_object(c, HUB_APPLICATION, (*a)->key);
		const struct cox_node *root = cox_doc_root(o->doc);
		struct cox_node *map = cox_doc_map(doc), *health = cox_doc_map(doc);
		struct seen s;

		see(c, *a, &s);
		cox_map_put_cstr(doc, map, "group", HUB_GROUP_ARGO);
		cox_map_put_cstr(doc, map, "version", "v1alpha1");
		cox_map_put_cstr(doc, map, "kind", hub_kind_info(HUB_APPLICATION)->name);
		put_text(doc, map, "namespace", hub_object_namespace(root));
		cox_map_put_cstr(doc, map, "name", hub_object_name(root));
		cox_map_put_cstr(doc, map, "status", s.sync);
		cox_map_put_cstr(doc, health, "status", s.health);
		put_text(doc, health, "message", s.message);
		cox_map_put(doc, map, "health", health);
		cox_list_push(doc, list, map);
	}
	cox_vec_fini(&sorted);
	return list;
}

static struct cox_node *set_status(struct hub_control *c, struct cox_doc *doc,
				   const struct control_object *o)
{
	struct cox_node *map = cox_doc_map(doc), *list = cox_doc_list(doc);
	struct cox_node *targets = cox_doc_list(doc);
	_cleanup_free_ char *owner = cox_asprintf("ApplicationSet/%s", o->key);
	const char *error = control_condition_get(&o->conditions, "ErrorOccurred");
	const char *config = control_condition_get(&o->conditions, "InvalidRolloutConfig");
	const struct control_line *l = control_line(c, owner);
	const struct cox_rollout *r = l->current;
	bool progressing = r && r->phase == COX_ROLLOUT_PROGRESSING;
	const char *budget = control_condition_get(&o->conditions, "InvalidDeletionBudget");
	const char *held = control_condition_get(&o->conditions, "DeletionHeld");
	struct cox_rollout_why why = {.wave = -1};

	set_condition(doc, list, "ErrorOccurred", error != NULL, error, 0);
	set_condition(doc, list, "ParametersGenerated", error == NULL, NULL, 0);
	set_condition(doc, list, "ResourcesUpToDate", !error && !held, NULL, 0);
	if (config)
		set_condition(doc, list, "InvalidRolloutConfig", true, config, 0);
	if (budget)
		set_condition(doc, list, "InvalidDeletionBudget", true, budget, 0);
	if (held) {
		set_condition(doc, list, "DeletionHeld", true, held, 0);
		cox_map_put(doc, map, "heldDeletions", control_held_status(&o->held, doc));
	}
	if (r) {
		cox_rollout_why(r, &why);
		set_condition(doc, list, "RolloutProgressing", progressing, why.message,
			      why.since_ms);
		COX_VEC_EACH (&r->targets, t)
			cox_list_push(doc, targets, set_target(doc, r, t));
	}
	cox_map_put(doc, map, "conditions", list);
	cox_map_put(doc, map, "applicationStatus", targets);
	cox_map_put(doc, map, "resources", set_resources(c, doc, l));
	cox_map_put_int(doc, map, "resourcesCount", (int64_t)l->members.n);
	return map;
}

static struct cox_node *cluster_status(struct hub_control *c, struct cox_doc *doc, const char *name)
{
	struct cox_node *map = cox_doc_map(doc), *settings;
	const struct hub_cluster_state *s = hub_fleet_cluster(c->fleet, name);

	if (!s)
		return map;
	cox_map_put_bool(doc, map, "enrolled", s->enrolled);
	cox_map_put_bool(doc, map, "connected", s->connected);
	put_time(doc, map, "since", s->since_ms);
	put_time(doc, map, "lastSeen", s->last_seen_ms);
	put_text(doc, map, "kubernetesVersion", s->kubernetes_version);
	put_text(doc, map, "agentVersion", s->agent_version);
	put_text(doc, map, "platform", s->platform);
	put_text(doc, map, "apiError", s->api_error);
	if (s->connected) {
		settings = cox_doc_map(doc);
		cox_map_put_bool(doc, settings, "inForce", s->configured);
		put_text(doc, settings, "error", s->configuration_error);
		cox_map_put(doc, map, "settings", settings);
	}
	cox_map_put_int(doc, map, "applications", (int64_t)hub_fleet_assignments(c->fleet, name));
	if (s->memory_bytes)
		cox_map_put_int(doc, map, "agentMemoryBytes", (int64_t)s->memory_bytes);
	return map;
}

static void mask(struct cox_doc *doc, struct cox_node *root, const char *field)
{
	const struct cox_node *old = cox_node_get(root, field);
	struct cox_node *map = cox_doc_map(doc);

	if (!cox_node_is(old, COX_MAP))
		return;
	for (size_t i = 0; i < cox_node_len(old); i++)
		cox_map_put_str(doc, map, cox_node_key(old, i),
				cox_doc_cstring(doc, HUB_SECRET_MASK));
	cox_map_put(doc, root, field, map);
}

struct cox_doc *control_with_status(struct hub_control *c, const struct control_object *o)
{
	struct cox_doc *doc = cox_doc_edit(o->doc);
	struct cox_node *root = cox_doc_root_edit(doc), *annotations;

	switch (o->kind) {
	case HUB_APPLICATION:
		cox_map_put(doc, root, "status", app_status(c, doc, o->app));
		break;
	case HUB_APPLICATION_SET:
		cox_map_put(doc, root, "status", set_status(c, doc, o));
		break;
	case HUB_CLUSTER:
		cox_map_put(doc, root, "status", cluster_status(c, doc, o->key));
		break;
	case HUB_SECRET:
		mask(doc, root, "data");
		mask(doc, root, "stringData");
		/* kubectl keeps the whole object, values included, in an annotation. */
		if (COX_GET(root, "metadata", "annotations")) {
			annotations = cox_map_edit_map(doc, cox_map_edit_map(doc, root, "metadata"),
						       "annotations");
			cox_map_drop(doc, annotations,
				     COX_STR("kubectl.kubernetes.io/last-applied-configuration"));
		}
		break;
	default:
		break;
	}
	return cox_doc_seal(doc);
}
