/* A tombstone at work: its PreDelete hooks run, then what the application applied is deleted, highest
 * wave first, then the PostDelete hooks run, and when all of it is over the hub is told so. What asks
 * for confirmation (Delete=confirm) holds all of it until it has that. */
#include "agent/sync/app.h"

#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define TRY_AGAIN_MS 5000

void agent_app_say_removal(struct agent_app *app, const char *message)
{
	if (cox_streq(app->deletion_message, message))
		return;
	free(app->deletion_message);
	app->deletion_message = cox_strdup(message);
	app->dirty = true;
}

static void removed(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_entry *entry = cox_map_get(&call->app->entries, call->key_text);

	if (!entry)
		return;
	if (answer->error->code == COX_OK) {
		agent_engine_queue(call->app);
		return; /* the watch tells when it is gone */
	}
	entry->deleting = false;
	if (answer->reason == COX_KUBE_NOT_FOUND) {
		agent_entry_evaluate(entry, NULL);
		return;
	}
	if (answer->reason == COX_KUBE_CONFLICT) { /* changed since we looked */
		entry->evaluated = false;
		entry->resource_version = 0;
		agent_engine_queue(call->app);
		return;
	}
	if (answer->status == 0)
		agent_engine_api_failed(call->engine, answer->error->message);
	COX_CLEANUP(cox_buf_fini) struct cox_buf why = COX_BUF_INIT;

	cox_buf_puts(&why, "cannot delete ");
	cox_object_key_describe(&why, entry->key);
	cox_buf_printf(&why, ": %s", answer->error->message);
	agent_app_say_removal(call->app, cox_buf_cstr(&why));
	cox_timer_start(&call->app->wake, TRY_AGAIN_MS);
}

static void remove_object(struct agent_entry *entry)
{
	struct agent_app *app = entry->app;
	_cleanup_free_ char *namespace = cox_str_dup(entry->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(entry->key.name);
	struct cox_kube_delete_options options = COX_KUBE_DELETE_OPTIONS;
	char version[24];
	bool background =
		app->tombstone->propagation == COXSWAIN__ASSIGNMENT__V1__PROPAGATION__BACKGROUND;
	struct agent_call *call = agent_call_new(app, entry->key_text, removed);

	options.propagation = background ? "Background" : "Foreground";
	options.uid = entry->object_uid;
	/* what has changed since is looked at again: it may be somebody else's by now */
	snprintf(version, sizeof(version), "%llu", (unsigned long long)entry->resource_version);
	options.resource_version = entry->resource_version ? version : NULL;
	entry->deleting = true;
	call->call = cox_kube_delete(app->engine->o.kube, entry->kind->resource, namespace, name,
				     &options, agent_call_done, call);
}

static uint32_t options_of(const struct agent_entry *entry)
{
	return entry->live_options | agent_app_options(entry->app, NULL);
}

/* What is not to be deleted stays, and is nobody's from now on. */
static bool stays(const struct agent_entry *entry)
{
	return !entry->owned || !entry->kind->resource ||
	       (entry->evaluated &&
		(!entry->live || !entry->marked || (options_of(entry) & AGENT_OPT_NO_DELETE)));
}

/* true while something waits for a person's word; it is said for what. */
static bool is_held(struct agent_app *app)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	size_t n = 0;

	COX_MAP_EACH (&app->entries, slot) {
		const struct agent_entry *entry = slot->value;

		if (app->tombstone->deletion_approved ||
		    !(options_of(entry) & AGENT_OPT_CONFIRM_DELETE))
			continue;
		if (n++ == 0) {
			cox_buf_puts(&text, "waiting for deletion confirmation of ");
			cox_object_key_describe(&text, entry->key);
		}
	}
	if (n > 1)
		cox_buf_printf(&text, " and %zu more", n - 1);
	if (n)
		agent_app_say_removal(app, cox_buf_cstr(&text));
	return n > 0;
}

static void drop(struct agent_entry *entry)
{
	struct agent_app *app = entry->app;

	if (entry->owned)
		agent_store_drop_object(app->engine->o.store, app->uid, entry->key_text, NULL);
	agent_entry_free(entry);
}

/* false while something must be looked at first. */
static bool look(struct agent_app *app)
{
	COX_VEC(struct agent_entry *) gone = {0};
	bool known = true;

	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;

		entry->wanted = false;
		if (stays(entry)) {
			cox_vec_push(&gone, entry);
			continue;
		}
		if (entry->evaluated)
			continue;
		known = false;
		agent_entry_ask(entry);
	}
	COX_VEC_EACH (&gone, entry)
		drop(*entry);
	cox_vec_fini(&gone);
	return known;
}

static void done(struct agent_app *app)
{
	app->deleted = true;
	agent_app_say_removal(app, NULL);
	app->dirty = true;
	cox_log_info("application deleted", COX_KV("app", app->tombstone->app_name),
		     COX_KV("uid", app->uid));
	agent_engine_queue(app);
}

/* The objects of the highest wave that is left; false while there is any. */
static bool remove_objects(struct agent_app *app)
{
	int64_t wave = INT64_MIN;

	if (!app->entries.n)
		return true;
	COX_MAP_EACH (&app->entries, slot) {
		const struct agent_entry *entry = slot->value;

		if (entry->wave > wave)
			wave = entry->wave;
	}
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;

		if (entry->wave != wave)
			continue;
		if (!entry->deleting && !cox_timer_is_running(&app->wake))
			remove_object(entry);
		if (!text.len) {
			cox_buf_puts(&text, "waiting for deletion of ");
			cox_object_key_describe(&text, entry->key);
		}
	}
	if (app->entries.n > 1)
		cox_buf_printf(&text, " and %u more", app->entries.n - 1);
	if (!cox_timer_is_running(&app->wake))
		agent_app_say_removal(app, cox_buf_cstr(&text));
	return false;
}

void agent_app_remove_step(struct agent_app *app)
{
	bool orphan = !app->tombstone->cascade ||
		      app->tombstone->propagation == COXSWAIN__ASSIGNMENT__V1__PROPAGATION__ORPHAN;

	if (app->deleted)
		return;
	if (orphan) {
		if (agent_removal_end(app))
			done(app);
		return;
	}
	if (!cox_discovery_is_ready(app->engine->discovery) || !look(app) || is_held(app))
		return;
	if (agent_removal_hooks(app, AGENT_PHASE_PRE_DELETE) && agent_removal_leftovers(app) &&
	    remove_objects(app) && agent_removal_hooks(app, AGENT_PHASE_POST_DELETE))
		done(app);
}
