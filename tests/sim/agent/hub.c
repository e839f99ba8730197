/* The hub, as the agent sees it: assignments and tombstones that are durable before they are sent,
 * coalesced by application; messages that come twice or late; bundles by digest; reports that are
 * acknowledged. */
#include "tests/sim/agent/world.h"

#include "common/base/encode.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_APPS 3

typedef Coxswain__Assignment__V1__Change change_msg;

struct sim_app *sim_app_find(struct cox_str uid)
{
	COX_VEC_EACH (&w.apps, app)
		if (cox_str_is(uid, (*app)->uid))
			return *app;
	return NULL;
}

/* ---- messages ---- */

static void fill_policy(const struct sim_app *app, Coxswain__Assignment__V1__Policy *p,
			Coxswain__Assignment__V1__Retry *retry,
			Coxswain__Assignment__V1__Backoff *backoff, char **options)
{
	size_t n = 0;

	if (app->create_namespace)
		options[n++] = (char *)"CreateNamespace=true";
	if (app->out_of_sync_only)
		options[n++] = (char *)"ApplyOutOfSyncOnly=true";
	p->automated = app->automated;
	p->prune = app->prune;
	p->self_heal = app->self_heal;
	p->allow_empty = app->allow_empty;
	p->sync_options = options;
	p->n_sync_options = n;
	backoff->duration_ms = 2000;
	backoff->factor = 2;
	backoff->max_duration_ms = 30000;
	retry->limit = 5;
	retry->backoff = backoff;
	p->retry = retry;
}

static void fill_operation(const struct sim_app *app, Coxswain__Assignment__V1__Operation *op,
			   Coxswain__Assignment__V1__Retry *retry,
			   Coxswain__Assignment__V1__ResourceSelector *selector,
			   Coxswain__Assignment__V1__ResourceSelector **selectors)
{
	const struct sim_kind_info *info = &sim_kinds[SIM_CONFIG_MAP];

	op->id = (char *)app->op.id;
	op->prune = app->op.prune;
	op->dry_run = app->op.dry_run;
	op->terminate = app->op.terminate;
	op->initiated_by = (char *)"somebody";
	op->retry = retry;
	retry->limit = app->op.retry_limit;
	if (!app->op.selective)
		return;
	COX_VEC_EACH (&app->sync->objects, o) {
		if (o->kind != SIM_CONFIG_MAP)
			continue;
		selector->group = (char *)info->group;
		selector->kind = (char *)info->kind;
		selector->name = o->name;
		selectors[0] = selector;
		op->resources = selectors;
		op->n_resources = 1;
	}
}

static void pack(const change_msg *change, struct cox_buf *out)
{
	cox_buf_clear(out);
	cox_buf_reserve(out, protobuf_c_message_get_packed_size(&change->base));
	out->len = protobuf_c_message_pack(&change->base, (uint8_t *)out->ptr);
}

static void set_digest(ProtobufCBinaryData *data, struct sim_bundle *b)
{
	data->data = b ? b->digest : NULL;
	data->len = b ? COX_SHA256_BYTES : 0;
}

static void write_assignment(struct sim_app *app, change_msg *change)
{
	Coxswain__Assignment__V1__Assignment m = COXSWAIN__ASSIGNMENT__V1__ASSIGNMENT__INIT;
	Coxswain__Assignment__V1__Policy policy = COXSWAIN__ASSIGNMENT__V1__POLICY__INIT;
	Coxswain__Assignment__V1__Operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	Coxswain__Assignment__V1__Retry retry = COXSWAIN__ASSIGNMENT__V1__RETRY__INIT;
	Coxswain__Assignment__V1__Retry op_retry = COXSWAIN__ASSIGNMENT__V1__RETRY__INIT;
	Coxswain__Assignment__V1__Backoff backoff = COXSWAIN__ASSIGNMENT__V1__BACKOFF__INIT;
	Coxswain__Assignment__V1__ResourceSelector selector =
		COXSWAIN__ASSIGNMENT__V1__RESOURCE_SELECTOR__INIT;
	Coxswain__Assignment__V1__ResourceSelector *selectors[1];
	char *options[4];

	fill_policy(app, &policy, &retry, &backoff, options);
	m.app_uid = app->uid;
	m.app_name = m.instance = app->name;
	m.app_namespace = (char *)"argocd";
	m.destination_namespace = app->namespace;
	m.epoch = app->epoch;
	m.generation = app->generation;
	m.policy = &policy;
	set_digest(&m.target_digest, app->target);
	set_digest(&m.sync_digest, app->sync);
	if (*app->op.id) {
		fill_operation(app, &op, &op_retry, &selector, selectors);
		m.operation = &op;
	}
	change->body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT;
	change->assignment = &m;
	pack(change, &app->change);
}

static void write_tombstone(struct sim_app *app, change_msg *change)
{
	Coxswain__Assignment__V1__Tombstone t = COXSWAIN__ASSIGNMENT__V1__TOMBSTONE__INIT;

	t.app_uid = app->uid;
	t.app_name = app->name;
	t.app_namespace = (char *)"argocd";
	t.epoch = app->epoch;
	t.generation = app->generation;
	t.cascade = app->cascade;
	set_digest(&t.hooks_digest, app->sync);
	t.instance = app->name;
	t.destination_namespace = app->namespace;
	t.propagation = app->background ? COXSWAIN__ASSIGNMENT__V1__PROPAGATION__BACKGROUND
					: COXSWAIN__ASSIGNMENT__V1__PROPAGATION__FOREGROUND;
	change->body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE;
	change->tombstone = &t;
	pack(change, &app->change);
}

/* Durable at the hub from here on. */
static void commit(struct sim_app *app)
{
	change_msg change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	struct cox_buf copy = COX_BUF_INIT;

	app->epoch = w.epoch;
	app->generation++;
	app->position = change.position = ++w.position;
	if (app->tombstone)
		write_tombstone(app, &change);
	else
		write_assignment(app, &change);
	cox_buf_puts_str(&copy, cox_buf_str(&app->change));
	cox_vec_push(&w.old_changes, copy);
	sim_trace("hub: %s generation %llu%s%s%s", app->name, (unsigned long long)app->generation,
		  app->tombstone ? " tombstone" : "", *app->op.id ? " operation " : "", app->op.id);
	if (!cox_timer_is_running(&w.deliver))
		cox_timer_start(&w.deliver, sim_between(&w.rng, 1, 300));
}

/* ---- delivery ---- */

static change_msg *unpack(const struct cox_buf *packed)
{
	return coxswain__assignment__v1__change__unpack(NULL, packed->len,
							(const uint8_t *)packed->ptr);
}

static void deliver_changes(void)
{
	COX_VEC(change_msg *) list = {0};
	COX_VEC(struct sim_app *) apps = {0};
	uint64_t from = agent_engine_position(w.engine), to = from;
	struct cox_error err;

	COX_VEC_EACH (&w.apps, app) {
		if ((*app)->position <= from || !(*app)->change.len ||
		    ((*app)->gone && (*app)->tombstone))
			continue;
		cox_vec_push(&list, unpack(&(*app)->change));
		cox_vec_push(&apps, *app);
		to = (*app)->position > to ? (*app)->position : to;
	}
	if (list.n) {
		sim_trace("hub: delivers %zu changes up to %llu", list.n, (unsigned long long)to);
		COX_VEC_EACH (&apps, app)
			sim_check_offer(*app);
		bool done = agent_engine_accept(w.engine, (const change_msg *const *)list.items,
						list.n, to, &err) >= 0;

		COX_VEC_EACH (&apps, app)
			sim_check_accepted(*app, done && !w.dead);
		if (done && !w.dead)
			w.last_position = to;
		else
			cox_timer_start(&w.deliver, 2000);
	}
	COX_VEC_EACH (&list, m)
		coxswain__assignment__v1__change__free_unpacked(*m, NULL);
	cox_vec_fini(&list);
	cox_vec_fini(&apps);
}

/* A message of before, once more. */
static void deliver_stale(void)
{
	if (!w.engine || !w.old_changes.n)
		return;
	change_msg *m = unpack(&w.old_changes.items[cox_rng_below(&w.rng, w.old_changes.n)]);
	const change_msg *list[] = {m};
	struct cox_error err;
	struct cox_str uid =
		cox_str(m->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT
				? m->assignment->app_uid
				: m->tombstone->app_uid);
	const struct sim_app *app = sim_app_find(uid);

	/* of what the agent has forgotten the hub sends nothing, having heard of its end */
	if (app && !app->gone && m->position <= agent_engine_position(w.engine)) {
		w.stats.stale++;
		sim_trace("hub: a stale message about %s", app->name);
		agent_engine_accept(w.engine, list, 1, agent_engine_position(w.engine), &err);
	}
	coxswain__assignment__v1__change__free_unpacked(m, NULL);
}

static void deliver_bundles(void)
{
	COX_VEC(char *) done = {0};
	struct cox_error err;

	COX_MAP_EACH (&w.wanted, slot) {
		struct sim_bundle *b = slot->value;

		if (!w.calm && sim_chance(&w.rng, 10)) {
			cox_error(&err, COX_UNAVAILABLE, "the hub is busy");
			agent_engine_bundle_failed(w.engine, b->digest, &err);
			continue;
		}
		if (agent_store_put_bundle(w.store, b->digest, cox_buf_str(&b->packed), &err) < 0) {
			agent_engine_bundle_failed(w.engine, b->digest, &err);
			continue;
		}
		agent_engine_bundle_arrived(w.engine, b->digest);
		cox_vec_push(&done, cox_strdup(slot->key));
	}
	COX_VEC_EACH (&done, key) {
		cox_map_remove(&w.wanted, *key);
		free(*key);
	}
	cox_vec_fini(&done);
	if (w.wanted.n)
		cox_timer_start(&w.deliver, sim_between(&w.rng, 50, 2000));
}

static void deliver(void *arg)
{
	(void)arg;
	if (!w.engine || !w.hub_up)
		return;
	deliver_changes();
	if (!w.dead)
		deliver_bundles();
}

void sim_hub_want_bundle(void *ctx, const uint8_t digest[COX_SHA256_BYTES])
{
	struct sim_bundle *b = sim_bundle_by_digest(digest);
	char text[COX_SHA256_BYTES * 2 + 1];

	(void)ctx;
	if (!b) {
		sim_fail("a bundle is wanted that nobody assigned");
		return;
	}
	cox_hex_encode(digest, COX_SHA256_BYTES, text);
	cox_map_set(&w.wanted, text, b);
	if (!cox_timer_is_running(&w.deliver))
		cox_timer_start(&w.deliver, sim_between(&w.rng, 1, 200));
}

/* ---- reports ---- */

void sim_hub_changed(void *ctx, const char *uid)
{
	(void)ctx;
	if (w.dead)
		return;
	cox_map_set(&w.dirty, uid, &w);
	if (w.hub_up && !cox_timer_is_running(&w.report))
		cox_timer_start(&w.report, sim_between(&w.rng, 0, 100));
}

static void keep_picture(struct sim_app *app, const Coxswain__Report__V1__ApplicationReport *r)
{
	struct cox_buf text = COX_BUF_INIT;

	app->seen_generation = r->generation;
	app->sequence = r->sequence;
	app->seen_sync = (int)r->assigned_sync;
	app->seen_health = (int)r->health;
	app->seen_phase = r->operation ? (int)r->operation->phase : 0;
	snprintf(app->seen_operation, sizeof(app->seen_operation), "%s",
		 r->operation ? r->operation->id : "");
	snprintf(app->seen_message, sizeof(app->seen_message), "%s",
		 r->operation ? r->operation->message : "");
	for (size_t i = 0; i < r->n_conditions; i++)
		cox_buf_printf(&text, "%s: %s; ", r->conditions[i]->type,
			       r->conditions[i]->message);
	snprintf(app->seen_conditions, sizeof(app->seen_conditions), "%s", cox_buf_cstr(&text));
	cox_buf_fini(&text);
}

static void take_report(const char *uid)
{
	struct sim_app *app = sim_app_find(cox_str(uid));
	struct cox_arena arena = COX_ARENA_INIT(0);
	Coxswain__Report__V1__ApplicationReport r;

	/* the acknowledgement of the one before comes as late as it can */
	if (app->sequence)
		agent_engine_reported(w.engine, uid, app->sequence);
	if (!w.dead && agent_engine_report(w.engine, uid, sim_chance(&w.rng, 20), &arena, &r) > 0) {
		w.stats.reports++;
		sim_check_report(app, &r);
		keep_picture(app, &r);
		sim_trace("report: %s generation %llu sync %d health %d phase %d '%s' %s",
			  app->name, (unsigned long long)r.generation, app->seen_sync,
			  app->seen_health, app->seen_phase, app->seen_message,
			  app->seen_conditions);
		if (r.deleted) {
			app->gone = true;
			sim_hub_changed(NULL, uid); /* so that it is acknowledged */
		}
	}
	cox_arena_fini(&arena);
}

static void report(void *arg)
{
	(void)arg;
	if (!w.engine || !w.hub_up)
		return;
	COX_VEC(char *) uids = {0};

	COX_MAP_EACH (&w.dirty, slot)
		cox_vec_push(&uids, cox_strdup(slot->key));
	cox_map_clear(&w.dirty);
	COX_VEC_EACH (&uids, uid) {
		if (!w.dead)
			take_report(*uid);
		free(*uid);
	}
	cox_vec_fini(&uids);
}

static void ask_for_all(void *ctx, const char *uid)
{
	(void)ctx;
	sim_hub_changed(NULL, uid);
}

void sim_hub_agent_up(void)
{
	if (!w.hub_up)
		return;
	agent_engine_each_missing(w.engine, sim_hub_want_bundle, NULL);
	agent_engine_each_app(w.engine, ask_for_all, NULL);
	if (!cox_timer_is_running(&w.deliver))
		cox_timer_start(&w.deliver, sim_between(&w.rng, 1, 500));
}

void sim_hub_agent_down(void)
{
	cox_map_clear(&w.dirty);
	cox_map_clear(&w.wanted);
	COX_VEC_EACH (&w.apps, app)
		(*app)->sequence = 0;
}

/* ---- what people and rollouts want ---- */

static struct sim_app *new_app(const char *name)
{
	struct sim_app *app = cox_new(struct sim_app);
	_cleanup_free_ char *body = NULL;

	cox_uuid_new(app->uid);
	snprintf(app->name, sizeof(app->name), "%s", name);
	snprintf(app->namespace, sizeof(app->namespace), "%s", name);
	app->automated = sim_chance(&w.rng, 75);
	app->prune = sim_chance(&w.rng, 75);
	app->self_heal = sim_chance(&w.rng, 70);
	app->allow_empty = sim_chance(&w.rng, 30);
	app->create_namespace = sim_chance(&w.rng, 60);
	app->out_of_sync_only = sim_chance(&w.rng, 15);
	if (!app->create_namespace) {
		body = cox_asprintf("{\"metadata\":{\"name\":\"%s\"}}", name);
		sim_ask("POST", "/api/v1/namespaces", "application/json", NULL, body);
	}
	cox_vec_push(&w.apps, app);
	return app;
}

static void set_operation(struct sim_app *app)
{
	memset(&app->op, 0, sizeof(app->op));
	cox_uuid_new(app->op.id);
	app->op.prune = sim_chance(&w.rng, 60);
	app->op.dry_run = sim_chance(&w.rng, 15);
	app->op.selective = sim_chance(&w.rng, 15);
	app->op.retry_limit = sim_between(&w.rng, 0, 3);
	w.stats.operations++;
}

static void act_on_bundle(struct sim_app *app)
{
	struct sim_bundle *b = sim_bundle_make(app->name, app->namespace);
	bool whole = !app->sync || sim_chance(&w.rng, 80);

	app->target = b;
	if (whole)
		app->sync = b;
	if (whole && (!app->automated || sim_chance(&w.rng, 20)))
		set_operation(app);
	else if (sim_chance(&w.rng, 50))
		memset(&app->op, 0, sizeof(app->op));
	w.stats.assignments++;
	commit(app);
}

static void act_on_policy(struct sim_app *app)
{
	app->automated = sim_chance(&w.rng, 75);
	app->prune = sim_chance(&w.rng, 75);
	app->self_heal = sim_chance(&w.rng, 75);
	commit(app);
}

static void act_terminate(struct sim_app *app)
{
	if (!*app->op.id)
		return;
	app->op.terminate = true;
	commit(app);
}

static void act_bury(struct sim_app *app)
{
	app->tombstone = true;
	app->cascade = sim_chance(&w.rng, 75);
	app->background = sim_chance(&w.rng, 50);
	memset(&app->op, 0, sizeof(app->op));
	w.stats.tombstones++;
	commit(app);
	/* the same name once more, with a new uid */
	if (sim_chance(&w.rng, 60))
		act_on_bundle(new_app(app->name));
}

static struct sim_app *pick(void)
{
	struct sim_app *alive[MAX_APPS * 8];
	size_t n = 0;

	COX_VEC_EACH (&w.apps, app)
		if (!(*app)->tombstone && n < COX_ARRAY_LEN(alive))
			alive[n++] = *app;
	return n ? alive[cox_rng_below(&w.rng, n)] : NULL;
}

static void link_goes(void)
{
	w.hub_up = !w.hub_up;
	sim_trace("link: %s", w.hub_up ? "up" : "down");
	if (w.hub_up && w.engine)
		sim_hub_agent_up();
}

static void act(void *arg)
{
	struct sim_app *app = pick();

	(void)arg;
	if (w.calm || w.actions_left-- <= 0)
		return;
	cox_timer_start(&w.act, sim_between(&w.rng, 200, 15000));
	int what = (int)cox_rng_below(&w.rng, 100);

	if (!app || (w.apps.n < MAX_APPS && what < 10)) {
		char name[8];

		if (w.apps.n >= MAX_APPS * 2)
			return;
		snprintf(name, sizeof(name), "a%zu", w.apps.n);
		act_on_bundle(new_app(name));
	} else if (what < 45) {
		act_on_bundle(app);
	} else if (what < 55) {
		app->sync = app->target;
		if (!app->automated)
			set_operation(app);
		commit(app);
	} else if (what < 68) {
		set_operation(app);
		commit(app);
	} else if (what < 73) {
		act_terminate(app);
	} else if (what < 80) {
		act_on_policy(app);
	} else if (what < 85) {
		act_bury(app);
	} else if (what < 88) {
		w.epoch++;
		commit(app);
	} else if (what < 95) {
		deliver_stale();
	} else {
		link_goes();
	}
}

void sim_hub_terminate(struct sim_app *app)
{
	snprintf(app->op.id, sizeof(app->op.id), "%s", app->seen_operation);
	act_terminate(app);
}

static void sync_by_hand(struct sim_app *app)
{
	set_operation(app);
	app->op.prune = true;
	app->op.dry_run = app->op.selective = false;
	app->op.retry_limit = 20;
}

void sim_hub_sync(struct sim_app *app)
{
	app->helped = true;
	sync_by_hand(app);
	commit(app);
}

void sim_hub_settle(void)
{
	if (!w.hub_up)
		link_goes();
	COX_VEC_EACH (&w.apps, slot) {
		struct sim_app *app = *slot;

		if (app->tombstone)
			continue;
		app->sync = app->target;
		app->automated = sim_chance(&w.rng, 50);
		app->prune = app->self_heal = app->allow_empty = true;
		memset(&app->op, 0, sizeof(app->op));
		if (!app->automated)
			sync_by_hand(app);
		commit(app);
	}
}

void sim_hub_open(void)
{
	w.epoch = 1;
	w.hub_up = true;
	cox_timer_init(&w.deliver, w.loop, deliver, NULL);
	cox_timer_init(&w.report, w.loop, report, NULL);
	cox_timer_init(&w.act, w.loop, act, NULL);
	cox_timer_start(&w.act, 10);
}

void sim_hub_close(void)
{
	cox_timer_stop(&w.deliver);
	cox_timer_stop(&w.report);
	cox_timer_stop(&w.act);
	COX_VEC_EACH (&w.apps, slot) {
		struct sim_app *app = *slot;

		cox_buf_fini(&app->change);
		cox_map_fini_values(&app->progress, free);
		cox_map_fini(&app->requested);
		free(app);
	}
	cox_vec_fini(&w.apps);
	COX_VEC_EACH (&w.old_changes, packed)
		cox_buf_fini(packed);
	cox_vec_fini(&w.old_changes);
	cox_map_fini(&w.dirty);
	cox_map_fini(&w.wanted);
	sim_bundles_free();
}
