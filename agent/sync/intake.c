/* Desired state in: what is assigned and buried, made durable, then put in force. */
#include "agent/sync/app.h"
#include "agent/sync/judge.h"
#include "agent/sync/verdict.h"

#include "common/base/log.h"
#include "common/ctl/stamp.h"

#include <stdlib.h>

/* ---- applications ---- */

void agent_app_free(struct agent_app *app)
{
	struct agent_engine *e = app->engine;

	agent_diffs_end(e, app);
	agent_calls_cancel(e, app);
	agent_orphans_drop(app);
	agent_operation_free(app->operation);
	agent_removal_free(app->removal);
	cox_timer_stop(&app->wake);
	while (app->entries.n) {
		COX_MAP_EACH (&app->entries, slot) {
			agent_entry_free(slot->value);
			break;
		}
	}
	cox_map_fini(&app->entries);
	agent_holder_unref(app->cache);
	if (app->assignment)
		coxswain__assignment__v1__assignment__free_unpacked(app->assignment, NULL);
	if (app->tombstone)
		coxswain__assignment__v1__tombstone__free_unpacked(app->tombstone, NULL);
	if (app->last_state)
		coxswain__report__v1__operation_state__free_unpacked(app->last_state, NULL);
	if (app->asked_state)
		coxswain__report__v1__operation_state__free_unpacked(app->asked_state, NULL);
	cox_strings_fini(&app->warnings);
	cox_strings_fini(&app->removed);
	free(app->refused);
	free(app->ended_by_hub);
	free(app->deletion_message);
	free(app->uid);
	free(app);
}

static struct agent_app *app_get(struct agent_engine *e, const char *uid)
{
	struct agent_app *app = agent_engine_find(e, uid);

	if (app)
		return app;
	app = cox_new(struct agent_app);
	app->engine = e;
	app->uid = cox_strdup(uid);
	app->want_full = true;
	cox_timer_init(&app->wake, e->o.loop, agent_app_wake, app);
	cox_map_set(&e->apps, uid, app);
	return app;
}

static void set_compared_digest(struct agent_app *app)
{
	uint8_t digest[COX_SHA256_BYTES];
	const agent_assignment *a = app->assignment;

	cox_stamp_set_digest(app->target, a->target_digest.data, a->target_digest.len);
	app->target_compared = false;
	cox_stamp_set_digest(digest, a->sync_digest.data, a->sync_digest.len);
	if (!agent_digest_is_set(digest))
		cox_stamp_set_digest(digest, a->target_digest.data, a->target_digest.len);
	if (memcmp(digest, app->digest, COX_SHA256_BYTES) != 0) {
		memcpy(app->digest, digest, COX_SHA256_BYTES);
		app->built = false;
		app->heals = 0;
		app->bundle_error = COX_ERROR_INIT;
	}
}

/* The bundles that the application needs and that are not here: what it compares with, what its
 * operation syncs to, and what Git wants, so that it is here when its wave comes; of one that is to
 * be deleted the one with its hooks. */
static void each_missing(const struct agent_app *app,
			 void (*each)(void *ctx, const uint8_t digest[COX_SHA256_BYTES]), void *ctx)
{
	const agent_operation_spec *op = app->assignment ? app->assignment->operation : NULL;
	const agent_tombstone *t = app->tombstone;
	const uint8_t *digests[] = {
		t ? NULL : app->digest,
		t ? NULL : app->target,
		!t && op && op->digest.len == COX_SHA256_BYTES ? op->digest.data : NULL,
		t && t->cascade && !app->deleted && t->hooks_digest.len == COX_SHA256_BYTES
			? t->hooks_digest.data
			: NULL,
	};

	for (size_t i = 0; i < COX_ARRAY_LEN(digests); i++)
		if (digests[i] && agent_digest_is_set(digests[i]) &&
		    !agent_store_has_bundle(app->engine->o.store, digests[i]))
			each(ctx, digests[i]);
}

static bool same_text(const char *a, const char *b)
{
	return cox_streq(a ? a : "", b ? b : "");
}

static bool same_rules(const Coxswain__Assignment__V1__ProjectRules *a,
		       const Coxswain__Assignment__V1__ProjectRules *b)
{
	if (!a || !b)
		return a == b;
	return same_text(a->server, b->server) && same_text(a->cluster, b->cluster) &&
	       a->project.len == b->project.len &&
	       (a->project.len == 0 ||
		memcmp(a->project.data, b->project.data, a->project.len) == 0);
}

/* What makes the desired objects themselves different, besides the bundle. */
static bool same_frame(const agent_assignment *a, const agent_assignment *b)
{
	return a && same_text(a->instance, b->instance) &&
	       same_text(a->destination_namespace, b->destination_namespace) &&
	       same_rules(a->project_rules, b->project_rules);
}

static bool same_ignore(const agent_assignment *a, const agent_assignment *b)
{
	const ProtobufCBinaryData empty = {0};
	const ProtobufCBinaryData *x = a->policy ? &a->policy->ignore_differences : &empty;
	const ProtobufCBinaryData *y = b->policy ? &b->policy->ignore_differences : &empty;

	return x->len == y->len && (x->len == 0 || memcmp(x->data, y->data, x->len) == 0);
}

static void look_again(struct agent_app *app)
{
	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;

		agent_verdict_drop(entry);
		entry->evaluated = false;
		entry->resource_version = 0;
	}
}

/* Whether what the operation syncs to is no longer what shall be: of one that was given a bundle of
 * its own only a change of the other says so. */
static bool overtakes(const struct agent_app *app, const agent_assignment *a,
		      const uint8_t before[COX_SHA256_BYTES])
{
	const struct agent_operation *op = app->operation;

	if (a->operation && cox_streq(a->operation->id, op->spec->id))
		return false;
	return memcmp(app->digest, op->spec->digest.len ? before : op->digest, COX_SHA256_BYTES) !=
	       0;
}

/* Takes the message. */
static void set_assignment(struct agent_app *app, agent_assignment *a)
{
	agent_assignment *old = app->assignment;
	uint8_t before[COX_SHA256_BYTES];

	memcpy(before, app->digest, COX_SHA256_BYTES);
	app->assignment = a;
	app->epoch = a->epoch;
	app->generation = a->generation;
	if (app->tombstone) {
		coxswain__assignment__v1__tombstone__free_unpacked(app->tombstone, NULL);
		app->tombstone = NULL;
		agent_removal_free(app->removal);
		app->removal = NULL;
		app->removal_phase = 0;
		app->leftovers_gone = false;
		app->deleted = false;
		app->deleted_sequence = 0;
	}
	set_compared_digest(app);
	if (!same_frame(old, a)) {
		app->built = false;
		agent_holder_unref(app->cache);
		app->cache = NULL;
	}
	if (!old || !same_ignore(old, a))
		look_again(app);
	agent_orphans_asked(app);
	if (app->operation && overtakes(app, a, before))
		agent_operation_end(app, true, "superseded by a newer assignment");
	if (old)
		coxswain__assignment__v1__assignment__free_unpacked(old, NULL);
	app->changed_since = true;
	app->dirty = true;
	each_missing(app, app->engine->o.want_bundle, app->engine->o.ctx);
	agent_diffs_look(app->engine, NULL, NULL);
	agent_engine_queue(app);
}

static void set_tombstone(struct agent_app *app, agent_tombstone *t)
{
	if (app->tombstone)
		coxswain__assignment__v1__tombstone__free_unpacked(app->tombstone, NULL);
	app->tombstone = t;
	/* That it is deleted is to be said anew: what was said of an older tombstone is no answer to this. */
	app->deleted_sequence = 0;
	app->epoch = t->epoch;
	app->generation = t->generation;
	if (app->operation)
		agent_operation_end(app, true, "the application is being deleted");
	each_missing(app, app->engine->o.want_bundle, app->engine->o.ctx);
	agent_orphans_asked(app);
	app->dirty = true;
	agent_engine_queue(app);
}

/* ---- intake ---- */

struct incoming {
	const char *uid;
	uint64_t epoch, generation;
	const agent_assignment *assignment;
	const agent_tombstone *tombstone;
};

/* false: neither an assignment nor a tombstone with a uid. */
static bool read_change(const Coxswain__Assignment__V1__Change *c, struct incoming *in)
{
	*in = (struct incoming){0};
	if (c->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT) {
		in->assignment = c->assignment;
		in->uid = c->assignment->app_uid;
		in->epoch = c->assignment->epoch;
		in->generation = c->assignment->generation;
	} else if (c->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE) {
		in->tombstone = c->tombstone;
		in->uid = c->tombstone->app_uid;
		in->epoch = c->tombstone->epoch;
		in->generation = c->tombstone->generation;
	}
	return in->uid && *in->uid && strlen(in->uid) <= 253;
}

static bool is_news(struct agent_engine *e, const struct incoming *in)
{
	const struct agent_app *app = agent_engine_find(e, in->uid);

	return !app || cox_stamp_order(app->epoch, app->generation, in->epoch, in->generation) < 0;
}

static int store_change(struct agent_engine *e, const struct incoming *in, struct cox_error *err)
{
	const ProtobufCMessage *m = in->assignment ? &in->assignment->base : &in->tombstone->base;
	COX_CLEANUP(cox_buf_fini) struct cox_buf body = COX_BUF_INIT;
	size_t n = protobuf_c_message_get_packed_size(m);

	cox_buf_reserve(&body, n);
	body.len = protobuf_c_message_pack(m, (uint8_t *)body.ptr);
	return agent_store_put_app(e->o.store,
				   &(struct agent_app_row){.uid = in->uid,
							   .tombstone = in->tombstone != NULL,
							   .epoch = in->epoch,
							   .generation = in->generation,
							   .body = cox_buf_str(&body)},
				   err);
}

int agent_engine_put_in_force(struct agent_engine *e, const char *uid, bool tombstone,
			      struct cox_str body, struct cox_error *err)
{
	if (tombstone) {
		agent_tombstone *t = coxswain__assignment__v1__tombstone__unpack(
			NULL, body.len, (const uint8_t *)body.ptr);

		if (!t)
			return cox_error(err, COX_DATA_LOSS, "stored tombstone '%s' is damaged",
					 uid);
		set_tombstone(app_get(e, uid), t);
		return 0;
	}
	agent_assignment *a = coxswain__assignment__v1__assignment__unpack(
		NULL, body.len, (const uint8_t *)body.ptr);

	if (!a)
		return cox_error(err, COX_DATA_LOSS, "stored assignment '%s' is damaged", uid);
	set_assignment(app_get(e, uid), a);
	return 0;
}

static int force_change(struct agent_engine *e, const struct incoming *in, struct cox_error *err)
{
	const ProtobufCMessage *m = in->assignment ? &in->assignment->base : &in->tombstone->base;
	COX_CLEANUP(cox_buf_fini) struct cox_buf body = COX_BUF_INIT;

	cox_buf_reserve(&body, protobuf_c_message_get_packed_size(m));
	body.len = protobuf_c_message_pack(m, (uint8_t *)body.ptr);
	cox_log_info(
		in->tombstone ? "application to be deleted" : "application assigned",
		COX_KV("app", in->assignment ? in->assignment->app_name : in->tombstone->app_name),
		COX_KV("uid", in->uid), COX_KV_INT("epoch", (int64_t)in->epoch),
		COX_KV_INT("generation", (int64_t)in->generation),
		COX_KV("revision", in->assignment && in->assignment->sync_revision
					   ? in->assignment->sync_revision
					   : ""));
	return agent_engine_put_in_force(e, in->uid, in->tombstone != NULL, cox_buf_str(&body),
					 err);
}

/* The bundles that some assignment, operation or inventory still needs. */
static int collect_bundles(struct agent_engine *e, struct cox_error *err)
{
	COX_VEC(struct { uint8_t bytes[COX_SHA256_BYTES]; }) kept = {0};

	COX_MAP_EACH (&e->apps, slot) {
		const struct agent_app *app = slot->value;
		const agent_assignment *a = app->assignment;
		const ProtobufCBinaryData *digests[] = {
			a ? &a->sync_digest : NULL, a ? &a->target_digest : NULL,
			a && a->operation ? &a->operation->digest : NULL,
			app->tombstone ? &app->tombstone->hooks_digest : NULL};

		for (size_t i = 0; i < COX_ARRAY_LEN(digests); i++) {
			if (!digests[i] || digests[i]->len != COX_SHA256_BYTES)
				continue;
			cox_vec_reserve(&kept, kept.n + 1);
			memcpy(kept.items[kept.n++].bytes, digests[i]->data, COX_SHA256_BYTES);
		}
		if (app->operation) {
			cox_vec_reserve(&kept, kept.n + 1);
			memcpy(kept.items[kept.n++].bytes, app->operation->digest,
			       COX_SHA256_BYTES);
		}
	}
	int code = agent_store_keep_bundles(
		e->o.store, (const uint8_t(*)[COX_SHA256_BYTES])(void *)kept.items, kept.n, err);

	cox_vec_fini(&kept);
	return code;
}

/* The last one of them; NULL: none. */
static const Coxswain__Assignment__V1__Configuration *find_configuration(
	const Coxswain__Assignment__V1__Change *const *changes, size_t n)
{
	while (n-- > 0)
		if (changes[n]->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_CONFIGURATION)
			return changes[n]->configuration;
	return NULL;
}

int agent_engine_accept(struct agent_engine *e,
			const Coxswain__Assignment__V1__Change *const *changes, size_t n,
			uint64_t position, struct cox_error *err)
{
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	const Coxswain__Assignment__V1__Configuration *conf = find_configuration(changes, n);
	uint64_t epoch = e->highest_epoch;
	size_t n_news = 0;
	struct incoming in;
	int code = agent_store_begin(e->o.store, &tx, err);

	if (code < 0)
		return code;
	_cleanup_free_ bool *news = cox_calloc(n ? n : 1, sizeof(*news));

	for (size_t i = 0; code >= 0 && i < n; i++) {
		if (!read_change(changes[i], &in) || !is_news(e, &in))
			continue;
		news[i] = true;
		n_news++;
		epoch = in.epoch > epoch ? in.epoch : epoch;
		code = store_change(e, &in, err);
	}
	if (code >= 0 && epoch != e->highest_epoch)
		code = agent_store_put_int(e->o.store, "highest_epoch", epoch, err);
	if (code >= 0 && position)
		code = agent_store_put_int(e->o.store, "position", position, err);
	if (code >= 0 && conf)
		code = agent_configuration_store(
			e, cox_str_n((const char *)conf->body.data, conf->body.len), err);
	if (code >= 0)
		code = cox_tx_commit(&tx, err);
	if (code < 0)
		return code;
	/* durable: in force from here on */
	if (conf)
		agent_configuration_load(e);
	e->highest_epoch = epoch;
	e->position = position ? position : e->position;
	for (size_t i = 0; i < n; i++) {
		if (!news[i] || !read_change(changes[i], &in))
			continue;
		if (!is_news(e, &in)) /* two of one application in a batch, out of order */
			continue;
		code = force_change(e, &in, err);
		if (code < 0)
			return code;
	}
	return n_news ? collect_bundles(e, err) : 0;
}

uint64_t agent_engine_position(const struct agent_engine *engine)
{
	return engine->position;
}

uint64_t agent_engine_highest_epoch(const struct agent_engine *engine)
{
	return engine->highest_epoch;
}

void agent_engine_digest(struct agent_engine *e, uint8_t ret_digest[COX_SHA256_BYTES])
{
	COX_VEC(struct cox_stamp) stamps = {0};

	COX_MAP_EACH (&e->apps, slot) {
		const struct agent_app *app = slot->value;
		struct cox_stamp s = {.app_uid = cox_str(app->uid),
				      .tombstone = app->tombstone != NULL,
				      .epoch = app->epoch,
				      .generation = app->generation};

		if (!app->tombstone && app->assignment) {
			const agent_assignment *a = app->assignment;

			cox_stamp_set_digest(s.target_digest, a->target_digest.data,
					     a->target_digest.len);
			cox_stamp_set_digest(s.sync_digest, a->sync_digest.data,
					     a->sync_digest.len);
		}
		cox_vec_push(&stamps, s);
	}
	cox_stamps_digest(stamps.items, stamps.n, ret_digest);
	cox_vec_fini(&stamps);
}

void agent_engine_bundle_arrived(struct agent_engine *e, const uint8_t digest[COX_SHA256_BYTES])
{
	(void)digest;
	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		app->bundle_error = COX_ERROR_INIT;
		agent_engine_queue(app);
	}
	agent_diffs_look(e, NULL, NULL);
}

static bool waits_for(const struct agent_app *app, const uint8_t digest[COX_SHA256_BYTES])
{
	const agent_tombstone *t = app->tombstone;

	if (t)
		return t->hooks_digest.len == COX_SHA256_BYTES &&
		       memcmp(t->hooks_digest.data, digest, COX_SHA256_BYTES) == 0;
	return memcmp(app->digest, digest, COX_SHA256_BYTES) == 0;
}

void agent_engine_bundle_failed(struct agent_engine *e, const uint8_t digest[COX_SHA256_BYTES],
				const struct cox_error *why)
{
	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		if (!waits_for(app, digest))
			continue;
		app->bundle_error = *why;
		app->dirty = true;
		agent_engine_queue(app);
	}
	agent_diffs_look(e, digest, why);
}

void agent_engine_each_missing(struct agent_engine *e,
			       void (*each)(void *ctx, const uint8_t digest[COX_SHA256_BYTES]),
			       void *ctx)
{
	COX_MAP_EACH (&e->apps, slot)
		each_missing(slot->value, each, ctx);
}

int agent_engine_refresh(struct agent_engine *e, const char *app_uid, struct cox_error *err)
{
	struct agent_app *app = agent_engine_find(e, app_uid);

	if (!app)
		return cox_error(err, COX_NOT_FOUND, "no application with uid '%s'", app_uid);
	look_again(app);
	app->built = false;
	app->want_full = true;
	agent_orphans_refresh(app);
	agent_engine_rediscover(e, 0);
	agent_engine_queue(app);
	return 0;
}

void agent_engine_each_app(struct agent_engine *e, void (*each)(void *ctx, const char *app_uid),
			   void *ctx)
{
	COX_MAP_EACH (&e->apps, slot)
		each(ctx, slot->key);
}

void agent_engine_reported(struct agent_engine *e, const char *app_uid, uint64_t sequence)
{
	struct agent_app *app = agent_engine_find(e, app_uid);

	/* An acknowledgement of what was said before the deletion says nothing about it. */
	if (!app || !app->deleted_sequence || sequence < app->deleted_sequence)
		return;
	struct cox_error err;

	if (agent_store_drop_app(e->o.store, app_uid, &err) < 0) {
		cox_log_error("cannot forget application", COX_KV("uid", app_uid),
			      COX_KV_ERROR(&err));
		return;
	}
	cox_log_info("application forgotten", COX_KV("uid", app_uid));
	cox_map_remove(&e->apps, app_uid);
	agent_app_free(app);
	/* the same name with a new uid may have waited for this */
	agent_engine_queue_all(e);
	collect_bundles(e, NULL);
}
