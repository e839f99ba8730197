/* From a bundle in the store to an application's entries. */
#include "agent/sync/app.h"

#include "common/doc/json.h"

#include <stdlib.h>

#define IDLE_MS 3000 /* a bundle that nobody asked for this long is read again when needed */

struct agent_holder *agent_holder_ref(struct agent_holder *h)
{
	h->refs++;
	return h;
}

void agent_holder_unref(struct agent_holder *h)
{
	if (!h || --h->refs)
		return;
	agent_desired_fini(&h->desired);
	free(h);
}

/* A tombstone has it too: after a restart it is all there is of the application. */
static struct agent_frame frame_of(const struct agent_app *app)
{
	const agent_assignment *a = app->assignment;
	const agent_tombstone *t = app->tombstone;

	if (t && *t->instance)
		return (struct agent_frame){t->instance, t->destination_namespace,
					    t->project_rules};
	if (a)
		return (struct agent_frame){a->instance, a->destination_namespace,
					    a->project_rules};
	return (struct agent_frame){"", "", NULL};
}

const char *agent_app_instance(const struct agent_app *app)
{
	return frame_of(app).instance;
}

/* The application's project, if the hub sent one; 1: it did not. */
static int read_project(const Coxswain__Assignment__V1__ProjectRules *rules,
			struct cox_project *ret_project, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int code;

	if (!rules)
		return 1;
	code = cox_json_read(cox_str_n((const char *)rules->project.data, rules->project.len),
			     "project", &doc, err);
	if (code == 0)
		code = cox_project_init(ret_project, doc, err);
	return code;
}

int agent_frame_desire(struct agent_engine *e, const struct agent_frame *frame, const char *app_uid,
		       const cox_docs *objects, struct agent_desired *ret_desired,
		       struct cox_error *err)
{
	COX_CLEANUP(cox_project_fini) struct cox_project project = {0};
	const Coxswain__Assignment__V1__ProjectRules *rules = frame->rules;
	int code = read_project(rules, &project, err);

	if (code < 0)
		return code;
	struct agent_desired_input input = {
		.instance = frame->instance,
		.app_uid = app_uid,
		.namespace = frame->namespace,
		.scope = agent_engine_scope,
		.ctx = e,
		.project = rules ? &project : NULL,
		.server = rules ? rules->server : "",
		.cluster = rules ? rules->cluster : "",
	};

	return agent_desired_build(objects, &input, ret_desired, err);
}

int agent_app_desire(struct agent_app *app, const cox_docs *objects,
		     struct agent_desired *ret_desired, struct cox_error *err)
{
	struct agent_frame frame = frame_of(app);

	return agent_frame_desire(app->engine, &frame, app->uid, objects, ret_desired, err);
}

static int load(struct agent_app *app, const uint8_t digest[COX_SHA256_BYTES],
		struct agent_holder *h, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	_cleanup_docs_ cox_docs objects = {0};
	int code = agent_store_get_bundle(app->engine->o.store, digest, &text, err);

	if (code == -COX_NOT_FOUND)
		return cox_error(err, COX_UNAVAILABLE, "bundle is not here yet");
	if (code < 0)
		return code;
	code = agent_bundle_read(cox_buf_str(&text), &objects, err);
	if (code < 0)
		return code;
	cox_buf_fini(&text);
	return agent_app_desire(app, &objects, &h->desired, err);
}

int agent_app_hold(struct agent_app *app, const uint8_t digest[COX_SHA256_BYTES],
		   struct agent_holder **ret_holder, struct cox_error *err)
{
	struct agent_engine *e = app->engine;

	if (!app->assignment && !app->tombstone)
		return cox_error(err, COX_FAILED_PRECONDITION, "nothing is assigned");
	if (!cox_discovery_is_ready(e->discovery))
		return cox_error(err, COX_UNAVAILABLE, "the cluster's kinds are not known yet");
	if (!cox_timer_is_running(&e->idle))
		cox_timer_start(&e->idle, IDLE_MS);
	if (app->cache && memcmp(app->cache->digest, digest, COX_SHA256_BYTES) == 0) {
		*ret_holder = agent_holder_ref(app->cache);
		return 0;
	}
	struct agent_holder *h = cox_new(struct agent_holder);
	int code = load(app, digest, h, err);

	if (code < 0) {
		free(h);
		return code;
	}
	h->refs = 1;
	memcpy(h->digest, digest, COX_SHA256_BYTES);
	if (memcmp(digest, app->digest, COX_SHA256_BYTES) == 0) {
		agent_holder_unref(app->cache);
		app->cache = agent_holder_ref(h);
	}
	*ret_holder = h;
	return 0;
}

static uint64_t hash_of(const struct agent_object *o)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	cox_json_write(&text, cox_doc_root(o->doc));
	return cox_hash(text.ptr, text.len);
}

static void want(struct agent_app *app, const struct agent_object *o)
{
	struct agent_entry *entry = agent_entry_get(app, o->key_text, o->version);
	uint64_t hash = hash_of(o);

	if (!entry->wanted || entry->hash != hash) {
		entry->evaluated = false;
		entry->resource_version = 0;
	}
	entry->wanted = true;
	entry->hash = hash;
	entry->wave = o->wave;
	entry->options = o->options;
	entry->report = true;
}

/* What the bundle has no more: an object that was never applied is nobody's, the others are
 * looked at again, to be pruned. */
static void drop_unwanted(struct agent_app *app, const struct agent_desired *desired)
{
	COX_VEC(struct agent_entry *) gone = {0};

	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;

		if (agent_desired_find(desired, entry->key_text))
			continue;
		if (!entry->owned) {
			cox_vec_push(&gone, entry);
		} else {
			entry->wanted = false;
			entry->evaluated = false;
			entry->resource_version = 0;
			entry->report = true;
		}
	}
	COX_VEC_EACH (&gone, entry)
		agent_entry_free(*entry);
	cox_vec_fini(&gone);
}

void agent_app_compare_target(struct agent_app *app)
{
	struct agent_holder *h = NULL;
	bool same = memcmp(app->target, app->digest, COX_SHA256_BYTES) == 0;

	if (app->target_compared || !app->built)
		return;
	if (!same && agent_app_hold(app, app->target, &h, NULL) < 0)
		return; /* not here yet */
	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;
		const struct agent_object *o =
			h ? agent_desired_find(&h->desired, entry->key_text) : NULL;
		bool differs = !same && (!o || hash_of(o) != entry->hash);

		if (entry->target_differs != differs)
			entry->report = true;
		entry->target_differs = differs;
	}
	agent_holder_unref(h);
	app->target_compared = true;
}

void agent_app_build(struct agent_app *app)
{
	struct agent_holder *h = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (app->built || !app->assignment || !agent_digest_is_set(app->digest))
		return;
	int code = agent_app_hold(app, app->digest, &h, &err);

	app->build_error = code == 0 || code == -COX_UNAVAILABLE ? COX_ERROR_INIT : err;
	if (code < 0)
		return;
	drop_unwanted(app, &h->desired);
	COX_VEC_EACH (&h->desired.objects, o)
		if (!o->is_hook && !o->is_skipped)
			want(app, o);
	cox_strings_fini(&app->warnings);
	COX_VEC_EACH (&h->desired.warnings, text)
		cox_vec_push(&app->warnings, cox_strdup(*text));
	agent_holder_unref(h);
	app->built = true;
	app->target_compared = false;
	app->want_full = true;
	agent_app_observe(app);
}
