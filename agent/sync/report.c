/* What the hub is told. */
#include "agent/sync/app.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/ctl/stamp.h"
#include "common/doc/json.h"

#include <stdlib.h>

typedef Coxswain__Report__V1__ApplicationReport report_msg;
typedef Coxswain__Report__V1__Condition condition_msg;
typedef Coxswain__Report__V1__ResourceKey key_msg;
typedef Coxswain__Report__V1__ResourceStatus status_msg;

#define CONDITIONS_MAX 32

/* ---- conditions ---- */

struct conditions {
	struct cox_arena *arena;
	condition_msg *items[CONDITIONS_MAX];
	size_t n;
};

static void add(struct conditions *c, const char *type, const char *message)
{
	if (c->n >= CONDITIONS_MAX || !message || !*message)
		return;
	for (size_t i = 0; i < c->n; i++)
		if (cox_streq(c->items[i]->type, type) && cox_streq(c->items[i]->message, message))
			return;
	condition_msg *m = cox_arena_calloc(c->arena, sizeof(*m));

	coxswain__report__v1__condition__init(m);
	m->type = (char *)type;
	m->message = cox_arena_strndup(c->arena, message, strlen(message));
	c->items[c->n++] = m;
}

static void kind_conditions(const struct agent_app *app, struct conditions *c)
{
	_cleanup_map_ struct cox_map seen = COX_MAP_INIT;

	COX_MAP_EACH (&app->entries, slot) {
		const struct agent_entry *entry = slot->value;
		struct agent_kind *kind = entry->kind;

		if (entry->shared) {
			COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

			cox_object_key_describe(&text, entry->key);
			cox_buf_puts(&text, " belongs to another application too");
			add(c, "SharedResourceWarning", cox_buf_cstr(&text));
		}
		add(c, "ComparisonError", entry->comparison_error);
		if (cox_map_set(&seen, kind->id, kind))
			continue;
		add(c, "ComparisonError", kind->error);
		if (!kind->resource && app->built &&
		    cox_discovery_is_ready(app->engine->discovery)) {
			_cleanup_free_ char *text = cox_asprintf(
				"the cluster has no kind %.*s in %.*s%s%s",
				COX_STR_ARG(entry->key.kind), COX_STR_ARG(entry->key.group),
				entry->key.group.len ? "/" : "", entry->version);

			add(c, "ComparisonError", text);
		}
	}
}

static void collect_conditions(const struct agent_app *app, struct conditions *c)
{
	add(c, "ComparisonError", app->engine->api_error);
	if (app->build_error.code)
		add(c, "ComparisonError", app->build_error.message);
	if (app->bundle_error.code)
		add(c, "ComparisonError", app->bundle_error.message);
	kind_conditions(app, c);
	_cleanup_free_ char *orphans = agent_orphans_warning(app);

	add(c, "OrphanedResourceWarning", orphans);
	for (size_t i = 0; i < app->warnings.n; i++)
		add(c, "RepeatedResourceWarning", app->warnings.items[i]);
	if (app->refused)
		add(c, "SyncError", app->refused);
	else if (app->operation && app->operation->stage == AGENT_STAGE_PAUSE)
		add(c, "SyncError", app->operation->message);
	else if (!app->operation && app->last_failed && app->last_state &&
		 agent_app_status(app) != AGENT_SYNCED &&
		 memcmp(app->last_digest, app->digest, COX_SHA256_BYTES) == 0)
		add(c, "SyncError", app->last_state->message);
	if (app->tombstone && !app->deleted)
		add(c, "DeletionError", app->deletion_message);
}

/* ---- is there news ---- */

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
	uint64_t parts[2] = {h, cox_hash(bytes, n)};

	return cox_hash(parts, sizeof(parts));
}

/* Whether it is what a wave waits for, by what can be seen now. */
static void note_well(struct agent_app *app, enum agent_sync_status status,
		      const struct cox_health *health)
{
	bool well = app->assignment && status == AGENT_SYNCED &&
		    health->status == COX_HEALTH_HEALTHY && !app->operation &&
		    !app->engine->api_error;
	bool same = memcmp(app->well_digest, app->digest, sizeof(app->well_digest)) == 0;

	if (!well)
		app->well_since_ms = 0;
	else if (app->well_since_ms == 0 || !same)
		app->well_since_ms = cox_clock_ms();
	memcpy(app->well_digest, app->digest, sizeof(app->well_digest));
}

static uint64_t summarize(struct agent_app *app)
{
	struct cox_arena arena = COX_ARENA_INIT(0);
	struct conditions c = {.arena = &arena};
	struct cox_health health;
	enum agent_sync_status status = agent_app_status(app);
	uint64_t h = mix(0, &status, sizeof(status));

	agent_app_health(app, &health);
	note_well(app, status, &health);
	h = mix(h, &health.status, sizeof(health.status));
	h = mix(h, health.message, strlen(health.message));
	h = mix(h, &app->generation, sizeof(app->generation));
	collect_conditions(app, &c);
	for (size_t i = 0; i < c.n; i++)
		h = mix(h, c.items[i]->message, strlen(c.items[i]->message));
	if (app->operation) {
		Coxswain__Report__V1__OperationState s;

		agent_operation_state(app->operation, &arena, &s);
		h = mix(h, s.id, strlen(s.id));
		h = mix(h, s.message, strlen(s.message));
		h = mix(h, &s.phase, sizeof(s.phase));
	}
	cox_arena_fini(&arena);
	return h;
}

void agent_app_note(struct agent_app *app)
{
	uint64_t summary = summarize(app);
	bool news = app->dirty || app->want_full || app->removed.n || summary != app->summary;

	COX_MAP_EACH (&app->entries, slot) {
		if (news)
			break;
		news = ((const struct agent_entry *)slot->value)->report;
	}
	if (!news)
		return;
	app->summary = summary;
	app->dirty = true;
	app->engine->o.changed(app->engine->o.ctx, app->uid);
}

/* ---- building ---- */

static char *copy(struct cox_arena *arena, struct cox_str s)
{
	return cox_arena_strndup(arena, s.ptr ? s.ptr : "", s.len);
}

static key_msg *key_of(struct cox_arena *arena, struct cox_object_key key, const char *version)
{
	key_msg *m = cox_arena_calloc(arena, sizeof(*m));

	coxswain__report__v1__resource_key__init(m);
	m->group = copy(arena, key.group);
	m->version = copy(arena, cox_str(version));
	m->kind = copy(arena, key.kind);
	m->namespace_ = copy(arena, key.namespace);
	m->name = copy(arena, key.name);
	return m;
}

static status_msg *status_of(struct cox_arena *arena, const struct agent_entry *entry)
{
	status_msg *m = cox_arena_calloc(arena, sizeof(*m));

	coxswain__report__v1__resource_status__init(m);
	m->key = key_of(arena, entry->key, entry->version);
	m->sync = entry->evaluated ? (Coxswain__Report__V1__SyncStatus)entry->sync
				   : COXSWAIN__REPORT__V1__SYNC_STATUS__SYNC_UNKNOWN;
	if (m->sync == COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED && entry->target_differs)
		m->sync = COXSWAIN__REPORT__V1__SYNC_STATUS__OUT_OF_SYNC;
	m->health = (Coxswain__Report__V1__Health)entry->health;
	m->health_guess = (Coxswain__Report__V1__Health)entry->health_guess;
	m->health_message = entry->health_message ? entry->health_message : (char *)"";
	m->requires_pruning = !entry->wanted;
	m->sync_wave = entry->wave;
	m->differing = entry->differing.items;
	m->n_differing = entry->differing.n;
	return m;
}

static void add_resources(struct agent_app *app, bool full, struct cox_arena *arena, report_msg *r)
{
	r->resources = cox_arena_calloc(arena, (app->entries.n + 1) * sizeof(*r->resources));
	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;

		if (!full && !entry->report)
			continue;
		entry->report = false;
		if (r->n_resources < COX_LIMIT_REPEATED)
			r->resources[r->n_resources++] = status_of(arena, entry);
	}
}

/* "version group/kind/namespace/name", as entries leave them. */
static void add_removed(struct agent_app *app, struct cox_arena *arena, report_msg *r)
{
	r->removed = cox_arena_calloc(arena, (app->removed.n + 1) * sizeof(*r->removed));
	for (size_t i = 0; i < app->removed.n && r->n_removed < COX_LIMIT_REPEATED; i++) {
		struct cox_str rest = cox_str(app->removed.items[i]), version;
		struct cox_object_key key;

		cox_str_split(&rest, ' ', &version);
		if (cox_object_key_parse(rest, &key, NULL) < 0)
			continue;
		_cleanup_free_ char *key_text = cox_str_dup(rest);

		if (cox_map_has(&app->entries, key_text)) /* it came back */
			continue;
		_cleanup_free_ char *v = cox_str_dup(version);

		r->removed[r->n_removed++] = key_of(arena, key, v);
	}
}

static void add_statuses(struct agent_app *app, struct cox_arena *arena, report_msg *r)
{
	enum agent_sync_status status = agent_app_status(app);
	const agent_assignment *a = app->assignment;
	struct cox_health health;

	agent_app_health(app, &health);
	note_well(app, status, &health);
	if (app->well_since_ms)
		r->well_ms = cox_clock_ms() - app->well_since_ms + 1;
	r->health = (Coxswain__Report__V1__Health)health.status;
	r->health_message = copy(arena, cox_str(health.message));
	if (!a)
		return;
	r->target_digest = a->target_digest;
	r->sync_digest = a->sync_digest;
	if (a->sync_digest.len == COX_SHA256_BYTES)
		r->assigned_sync = (Coxswain__Report__V1__SyncStatus)status;
	bool same = a->target_digest.len == COX_SHA256_BYTES &&
		    memcmp(a->target_digest.data, app->digest, COX_SHA256_BYTES) == 0;

	/* the cluster holds another bundle than Git wants: that is out of sync by itself */
	r->sync = same ? (Coxswain__Report__V1__SyncStatus)status
		       : COXSWAIN__REPORT__V1__SYNC_STATUS__OUT_OF_SYNC;
}

/* The assignment's own operation has ended, and what is reported came after it. */
static bool is_asked(const struct agent_app *app,
		     const Coxswain__Report__V1__OperationState *reported)
{
	const agent_operation_spec *asked = app->assignment ? app->assignment->operation : NULL;

	return asked && app->asked_state && cox_streq(app->asked_state->id, asked->id) &&
	       reported && !cox_streq(reported->id, asked->id);
}

int agent_engine_report(struct agent_engine *e, const char *app_uid, bool full,
			struct cox_arena *arena, report_msg *ret_report)
{
	struct agent_app *app = agent_engine_find(e, app_uid);
	struct conditions c = {.arena = arena};
	report_msg r = COXSWAIN__REPORT__V1__APPLICATION_REPORT__INIT;

	if (!app || (!app->dirty && !full && !app->want_full))
		return 0;
	full = full || app->want_full || app->sequence == 0;
	r.app_uid = app->uid;
	r.epoch = app->epoch;
	r.generation = app->generation;
	add_statuses(app, arena, &r);
	if (app->operation) {
		r.operation = cox_arena_calloc(arena, sizeof(*r.operation));
		agent_operation_state(app->operation, arena, r.operation);
	} else {
		r.operation = app->last_state;
	}
	if (is_asked(app, r.operation))
		r.asked = app->asked_state;
	collect_conditions(app, &c);
	r.n_conditions = c.n;
	r.conditions = cox_arena_calloc(arena, (c.n + 1) * sizeof(*r.conditions));
	memcpy(r.conditions, c.items, c.n * sizeof(*r.conditions));
	r.full = full;
	add_resources(app, full, arena, &r);
	if (!full)
		add_removed(app, arena, &r);
	if (full || app->tree_changed)
		agent_tree_pack(app, arena, &r.tree);
	app->tree_changed = false;
	r.base_sequence = full ? 0 : app->sequence;
	r.sequence = ++app->sequence;
	r.deleted = app->deleted;
	if (app->deleted && !app->deleted_sequence)
		app->deleted_sequence = r.sequence;
	r.deletion_message = app->deletion_message ? app->deletion_message : (char *)"";
	cox_strings_fini(&app->removed);
	app->dirty = app->want_full = false;
	*ret_report = r;
	return 1;
}

/* ---- one object, for people ---- */

bool agent_is_secret(const struct cox_node *object)
{
	return cox_str_is(cox_meta_kind(object), "Secret") && cox_meta_group(object).len == 0;
}

/* Every value becomes a run of '+': of 8, or of 9 where `other` has another value, so that a
 * difference shows without what differs. */
static void mask(struct cox_doc *doc, struct cox_node *root, const struct cox_node *other)
{
	static const char *const fields[] = {"data", "stringData"};

	for (size_t f = 0; f < COX_ARRAY_LEN(fields); f++) {
		if (!cox_node_is(cox_node_get(root, fields[f]), COX_MAP))
			continue;
		struct cox_node *map = cox_map_edit(doc, root, fields[f]);
		const struct cox_node *others = cox_node_get(other, fields[f]);

		for (size_t i = 0; i < cox_node_len(map); i++) {
			struct cox_str key = cox_node_key(map, i);
			const struct cox_node *twin = cox_node_get_str(others, key);
			bool differs = twin && !cox_node_equal(twin, cox_node_at(map, i));

			cox_map_put_str(doc, map, key,
					cox_doc_cstring(doc, differs ? "+++++++++" : "++++++++"));
		}
	}
}

void agent_object_write(struct cox_buf *out, struct cox_doc *object, const struct cox_node *other)
{
	if (!object)
		return;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(object);
	struct cox_node *root = cox_doc_root_edit(doc);

	if (agent_is_secret(root))
		mask(doc, root, other);
	if (cox_meta_managed_fields(root))
		cox_map_drop(doc, cox_map_edit_map(doc, root, "metadata"),
			     COX_STR("managedFields"));
	if (cox_meta_annotation(root, "kubectl.kubernetes.io/last-applied-configuration").ptr)
		cox_map_drop(doc,
			     cox_map_edit_map(doc, cox_map_edit_map(doc, root, "metadata"),
					      "annotations"),
			     COX_STR("kubectl.kubernetes.io/last-applied-configuration"));
	cox_json_write(out, root);
}

static void looked(struct agent_call *call, const struct cox_kube_answer *answer)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf live = COX_BUF_INIT, desired = COX_BUF_INIT;
	struct agent_holder *h = NULL;
	const struct agent_object *o = NULL;
	struct cox_doc *found = answer->error->code == COX_OK ? answer->doc : NULL;
	struct cox_error ok = COX_ERROR_INIT;

	if (agent_app_hold(call->app, call->app->digest, &h, NULL) == 0)
		o = agent_desired_find(&h->desired, call->key_text);
	agent_object_write(&live, found, NULL);
	agent_object_write(&desired, o ? o->doc : NULL, found ? cox_doc_root(found) : NULL);
	bool fine = found || answer->reason == COX_KUBE_NOT_FOUND;

	call->look_done(call->arg, cox_buf_str(&live), cox_buf_str(&desired),
			fine ? &ok : answer->error);
	agent_holder_unref(h);
}

int agent_engine_resource(struct agent_engine *e, const char *app_uid, struct cox_object_key key,
			  agent_resource_done *done, void *arg, struct cox_error *err)
{
	struct agent_app *app = agent_engine_find(e, app_uid);
	_cleanup_free_ char *key_text = cox_object_key_text(key);
	const struct agent_entry *entry = app ? cox_map_get(&app->entries, key_text) : NULL;

	if (!entry)
		return cox_error(err, COX_NOT_FOUND, "no object '%s' of application '%s'", key_text,
				 app_uid);
	if (!entry->kind->resource)
		return cox_error(err, COX_FAILED_PRECONDITION, "the cluster has no kind '%s'",
				 entry->kind->id);
	_cleanup_free_ char *namespace = cox_str_dup(key.namespace), *name = cox_str_dup(key.name);
	struct agent_call *call = agent_call_new(app, key_text, looked);

	call->look_done = done;
	call->arg = arg;
	call->call = cox_kube_get(e->o.kube, entry->kind->resource, namespace, name,
				  agent_call_done, call);
	return 0;
}
