/* What hooks left behind, when their application is deleted: before its own objects go, every name is
 * looked at that a hook of it has had, whichever of the runs of that name made what is there. What
 * still bears our marks goes: its finalizer, then the object. What doesn't is somebody else's now.
 *
 * A row of the store is done with when its name was seen to be empty, or not ours. */
#include "agent/sync/hook_run.h"

#include "common/base/log.h"

#include <stdlib.h>

#define LOOK_AGAIN_MS 5000

struct leftover {
	char *operation, *key_text, *version, *object_uid, *message;
	struct agent_hook_row row;
};
typedef COX_VEC(struct leftover) leftovers;

/* ---- the rows ---- */

static int collect(void *ctx, const struct agent_hook_row *row, struct cox_error *err)
{
	leftovers *list = ctx;

	(void)err;
	/* what runs after the objects is not left over */
	if (row->gone || row->phase == AGENT_PHASE_POST_DELETE)
		return 0;
	struct leftover l = {.operation = cox_strdup(row->operation),
			     .key_text = cox_strdup(row->key_text),
			     .version = cox_strdup(row->version),
			     .object_uid = cox_strdup(row->object_uid),
			     .message = cox_strdup(row->message),
			     .row = *row};

	l.row.operation = l.operation;
	l.row.key_text = l.key_text;
	l.row.version = l.version;
	l.row.object_uid = l.object_uid;
	l.row.message = l.message;
	cox_vec_push(list, l);
	return 0;
}

static void leftovers_fini(leftovers *list)
{
	COX_VEC_EACH (list, l) {
		free(l->operation);
		free(l->key_text);
		free(l->version);
		free(l->object_uid);
		free(l->message);
	}
	cox_vec_fini(list);
}

static void look_again_later(struct agent_app *app, const char *why)
{
	agent_app_say_removal(app, why);
	cox_timer_start(&app->wake, LOOK_AGAIN_MS);
}

/* false: they cannot be read, and that is tried again. */
static bool read_leftovers(struct agent_app *app, leftovers *list)
{
	struct cox_error err;

	if (agent_store_each_hook(app->engine->o.store, app->uid, NULL, collect, list, &err) >= 0)
		return true;
	cox_log_error("cannot read the state of hooks", COX_KV("app", agent_app_name(app)),
		      COX_KV_ERROR(&err));
	look_again_later(app, err.message);
	return false;
}

/* Of every run that had the name. */
static void note_gone(struct agent_app *app, const char *key_text)
{
	COX_CLEANUP(leftovers_fini) leftovers list = {0};
	struct cox_error err;

	if (!read_leftovers(app, &list))
		return;
	COX_VEC_EACH (&list, l) {
		if (!cox_streq(l->key_text, key_text))
			continue;
		l->row.gone = l->row.released = true;
		if (agent_store_put_hook(app->engine->o.store, app->uid, &l->row, &err) >= 0)
			continue;
		cox_log_error("cannot keep the state of a hook", COX_KV("object", key_text),
			      COX_KV_ERROR(&err));
		look_again_later(app, err.message);
	}
}

/* ---- the objects ---- */

static bool is_ours(const struct agent_app *app, const struct cox_node *object)
{
	return agent_is_hook_of(object, app->uid) &&
	       !cox_str_is(cox_meta_annotation(object, AGENT_HOOK_PHASE),
			   agent_phase_name(AGENT_PHASE_POST_DELETE));
}

/* true: it was no answer that says anything of the object. */
static bool has_failed(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_app *app = call->app;

	app->n_leftovers--;
	agent_engine_queue(app);
	if (answer->error->code == COX_OK || answer->reason == COX_KUBE_NOT_FOUND ||
	    answer->reason == COX_KUBE_CONFLICT)
		return false;
	if (agent_answer_is_silence(answer))
		agent_engine_api_failed(call->engine, answer->error->message);
	look_again_later(app, answer->error->message);
	return true;
}

/* Whatever was changed, or was changed by others meanwhile: it is looked at again. */
static void changed(struct agent_call *call, const struct cox_kube_answer *answer)
{
	has_failed(call, answer);
}

static void take_away(struct agent_app *app, const char *key_text,
		      const struct cox_kube_resource *resource, const struct cox_node *object)
{
	struct cox_kube_delete_options options = COX_KUBE_DELETE_OPTIONS;
	struct cox_kube *kube = app->engine->o.kube;
	_cleanup_free_ char *namespace = cox_str_dup(cox_meta_namespace(object));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(object));
	_cleanup_free_ char *uid = cox_str_dup(cox_meta_uid(object));
	_cleanup_free_ char *version = cox_str_dup(cox_meta_resource_version(object));

	if (!agent_hook_is_held(object) && cox_meta_is_deleting(object)) {
		_cleanup_free_ char *text = cox_asprintf("waiting for deletion of hook %s", name);

		look_again_later(app, text);
		return;
	}
	struct agent_call *call = agent_call_new(app, key_text, changed);

	app->n_leftovers++;
	if (agent_hook_is_held(object)) {
		_cleanup_doc_ struct cox_doc *patch = agent_hook_release_patch(object);

		call->call = cox_kube_patch(
			kube, resource, namespace, name, COX_PATCH_MERGE, cox_doc_root(patch),
			&(struct cox_kube_write_options){.field_manager = AGENT_HOOK_MANAGER},
			agent_call_done, call);
		return;
	}
	options.propagation = "Background";
	options.uid = uid;
	/* and not, when somebody takes our marks off it meanwhile */
	options.resource_version = version;
	call->call =
		cox_kube_delete(kube, resource, namespace, name, &options, agent_call_done, call);
}

static void looked_at(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_app *app = call->app;
	struct cox_object_key key;

	if (has_failed(call, answer))
		return;
	const struct cox_node *object = answer->doc ? cox_doc_root(answer->doc) : NULL;

	if (answer->error->code != COX_OK || !object || !is_ours(app, object)) {
		note_gone(app, call->key_text);
		return;
	}
	_cleanup_free_ char *version = cox_str_dup(cox_meta_version(object));
	const struct cox_kube_resource *resource =
		cox_object_key_parse(cox_str(call->key_text), &key, NULL) < 0
			? NULL
			: agent_engine_resource_of(call->engine, key, version);

	if (resource) /* else the next look sees that it went */
		take_away(app, call->key_text, resource, object);
}

static void look_at(struct agent_app *app, const struct leftover *l)
{
	struct agent_engine *e = app->engine;
	const struct cox_kube_resource *resource = NULL;
	struct cox_object_key key;

	if (cox_object_key_parse(cox_str(l->key_text), &key, NULL) >= 0)
		resource = agent_engine_resource_of(e, key, l->version);
	if (!resource) { /* its kind is gone, and so is it */
		note_gone(app, l->key_text);
		return;
	}
	_cleanup_free_ char *namespace = cox_str_dup(key.namespace), *name = cox_str_dup(key.name);
	struct agent_call *call = agent_call_new(app, l->key_text, looked_at);

	app->n_leftovers++;
	call->call = cox_kube_get(e->o.kube, resource, namespace, name, agent_call_done, call);
}

bool agent_removal_leftovers(struct agent_app *app)
{
	_cleanup_map_ struct cox_map seen = COX_MAP_INIT;
	COX_CLEANUP(leftovers_fini) leftovers list = {0};

	if (app->removal_phase > AGENT_PHASE_POST_DELETE || app->leftovers_gone)
		return true;
	if (app->n_leftovers || cox_timer_is_running(&app->wake) || !read_leftovers(app, &list))
		return false;
	COX_VEC_EACH (&list, l)
		if (!cox_map_set(&seen, l->key_text, l))
			look_at(app, l);
	app->leftovers_gone = list.n == 0;
	/* what needed no request is done with already */
	if (list.n && !app->n_leftovers)
		agent_engine_queue(app);
	return app->leftovers_gone;
}
