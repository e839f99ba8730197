#include "agent/sync/judge.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/doc/json.h"
#include "common/health/custom.h"

#include <stdlib.h>

#define ROW	       "configuration"
#define JUDGEMENTS_MAX 65536
#define BRIEF_STEPS    100000 /* some 1 ms */

/* Shared by the engine and the judgements that run; counted on the loop. */
struct agent_scripts {
	unsigned refs;
	struct cox_health_custom *custom; /* immutable */
};

/* One run in the pool. */
struct agent_judgement {
	struct cox_job job;
	struct agent_entry *entry; /* NULL: nobody waits for it any more */
	struct agent_scripts *scripts;
	struct cox_doc *live;
	struct cox_doc *next; /* newer than live; NULL: none */
	int64_t wall_ms;
	struct cox_health health;
};

/* ---- the configuration ---- */

static void scripts_unref(struct agent_scripts *s)
{
	if (!s || --s->refs)
		return;
	cox_health_custom_free(s->custom);
	free(s);
}

static bool has_script(const struct agent_scripts *s, struct cox_str group, struct cox_str kind)
{
	return s && cox_health_custom_find(s->custom, group, kind) != NULL;
}

static int read_scripts(struct cox_str body, struct agent_scripts **ret_scripts,
			struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_health_custom *custom = NULL;
	int code = 0;

	if (body.len)
		code = cox_json_read(body, "configuration", &doc, err);
	if (code == 0)
		code = cox_health_custom_new(doc ? cox_doc_root(doc) : NULL, &custom, err);
	if (code < 0)
		return code;
	*ret_scripts = cox_new(struct agent_scripts);
	(*ret_scripts)->refs = 1;
	(*ret_scripts)->custom = custom;
	return 0;
}

bool agent_has_script(const struct agent_engine *e, struct cox_str group, struct cox_str kind)
{
	return has_script(e->scripts, group, kind);
}

/* Listing tells of all objects once more. */
static void list_again(struct agent_engine *e, const struct agent_scripts *before)
{
	COX_MAP_EACH (&e->kinds, slot) {
		struct agent_kind *kind = slot->value;

		if (!kind->watch || !kind->n_followers)
			continue;
		struct cox_str group = cox_str(kind->resource->group),
			       name = cox_str(kind->resource->kind);

		if (has_script(before, group, name) || has_script(e->scripts, group, name))
			agent_kind_relist(kind);
	}
}

/* What a script judged, or one judges from now on, is judged again; it says what it said until the
 * new verdict is there. */
static void judge_again(struct agent_engine *e, const struct agent_scripts *before)
{
	COX_MAP_EACH (&e->keys, slot)
		for (struct agent_entry *entry = slot->value; entry; entry = entry->next) {
			if (!entry->live)
				continue;
			if (!has_script(before, entry->key.group, entry->key.kind) &&
			    !has_script(e->scripts, entry->key.group, entry->key.kind))
				continue;
			entry->rejudge = true;
			agent_engine_queue(entry->app);
		}
	list_again(e, before);
}

void agent_configuration_load(struct agent_engine *e)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf body = COX_BUF_INIT;
	struct agent_scripts *scripts = NULL, *before = e->scripts;
	struct cox_error err;
	int code = agent_store_get(e->o.store, ROW, &body, &err);

	if (code >= 0)
		code = read_scripts(cox_buf_str(&body), &scripts, &err);
	free(e->configuration_error);
	e->configuration_error = NULL;
	cox_sha256(cox_buf_str(&body), e->configuration_kept);
	if (code < 0) {
		cox_log_error("cannot use the cluster's configuration", COX_KV_ERROR(&err));
		e->configuration_error = cox_strdup(err.message);
		return;
	}
	memcpy(e->configuration_digest, e->configuration_kept, COX_SHA256_BYTES);
	e->scripts = scripts;
	judge_again(e, before);
	scripts_unref(before);
	if (cox_health_custom_count(scripts->custom))
		cox_log_info(
			"health scripts in force",
			COX_KV_INT("scripts", (int64_t)cox_health_custom_count(scripts->custom)));
}

int agent_configuration_store(struct agent_engine *e, struct cox_str body, struct cox_error *err)
{
	return agent_store_put(e->o.store, ROW, body, err);
}

void agent_configuration_free(struct agent_engine *e)
{
	cox_pool_free(e->judges);
	scripts_unref(e->scripts);
	e->scripts = NULL;
	free(e->configuration_error);
}

void agent_engine_configuration(const struct agent_engine *e, struct agent_configuration *ret)
{
	ret->kept = e->configuration_kept;
	ret->in_force = e->configuration_digest;
	ret->error = e->configuration_error ? e->configuration_error : "";
}

/* ---- judgements ---- */

static void run_scripts(const struct agent_scripts *s, struct cox_doc *live, int64_t wall_ms,
			struct cox_health *ret_health)
{
	struct cox_health_run run = {.wall_ms = wall_ms, .now_ms = cox_clock_ms};

	cox_health_assess_custom(s ? s->custom : NULL, cox_doc_root(live), &run, ret_health);
}

static void work(void *arg)
{
	struct agent_judgement *j = arg;

	run_scripts(j->scripts, j->live, j->wall_ms, &j->health);
}

static void judgement_free(struct agent_judgement *j)
{
	scripts_unref(j->scripts);
	cox_doc_unref(j->live);
	cox_doc_unref(j->next);
	free(j);
}

static void done(void *arg, enum cox_job_outcome outcome)
{
	struct agent_judgement *j = arg;
	struct agent_entry *entry = j->entry;

	if (entry && outcome == COX_JOB_DONE) {
		struct agent_app *app = entry->app;
		_cleanup_free_ char *key_text = cox_strdup(entry->key_text);

		entry->judging = NULL;
		agent_entry_settle(entry, j->live, &j->health, j->scripts == app->engine->scripts);
		/* settling may have forgotten it */
		entry = cox_map_get(&app->entries, key_text);
		if (entry && j->next)
			agent_entry_evaluate(entry, j->next);
	}
	judgement_free(j);
}

static void keep_newest(struct agent_judgement *j, struct cox_doc *live)
{
	struct cox_doc *have = j->next ? j->next : j->live;
	uint64_t version = agent_version_number(cox_doc_root(live));

	if (version && version <= agent_version_number(cox_doc_root(have)))
		return;
	cox_doc_unref(j->next);
	j->next = cox_doc_ref(live);
}

/* Of its own: nothing else shall wait for what people write. Made when it is needed first. */
static int make_pool(struct agent_engine *e)
{
	return e->judges ? 0
			 : cox_pool_new(e->o.loop,
					&(struct cox_pool_options){.name = "health",
								   .n_threads = e->o.script_threads,
								   .max_queue = JUDGEMENTS_MAX},
					&e->judges, NULL);
}

bool agent_judge_begin(struct agent_entry *entry, struct cox_doc *live)
{
	struct agent_engine *e = entry->app->engine;
	struct agent_judgement *j = entry->judging;

	if (j) {
		keep_newest(j, live);
		return true;
	}
	if (!e->o.script_threads || !has_script(e->scripts, entry->key.group, entry->key.kind) ||
	    make_pool(e) < 0)
		return false;
	j = cox_new(struct agent_judgement);
	j->entry = entry;
	j->scripts = e->scripts;
	j->scripts->refs++;
	j->live = cox_doc_ref(live);
	j->wall_ms = cox_clock_wall_ms();
	if (cox_pool_submit(e->judges, &j->job, work, done, j, NULL) < 0) {
		judgement_free(j); /* the queue is full: here, then */
		return false;
	}
	entry->judging = j;
	return true;
}

void agent_judge_briefly(struct agent_engine *e, const struct cox_node *object,
			 struct cox_health *ret_health)
{
	struct cox_health_run run = {.wall_ms = cox_clock_wall_ms(), .steps = BRIEF_STEPS};

	cox_health_assess_custom(e->scripts ? e->scripts->custom : NULL, object, &run, ret_health);
}

void agent_judge_now(struct agent_engine *e, struct cox_doc *live, struct cox_health *ret_health)
{
	run_scripts(e->scripts, live, cox_clock_wall_ms(), ret_health);
}

void agent_judge_applied(struct agent_engine *e, const struct agent_entry *entry,
			 struct cox_doc *live, struct cox_health *ret_health)
{
	const struct cox_node *root = cox_doc_root(live);

	/* a watch may have told more than this answer knows; what is not settled yet is older */
	if (entry && entry->live && !entry->judging &&
	    entry->resource_version >= agent_version_number(root)) {
		agent_entry_health(entry, ret_health);
	} else if (!has_script(e->scripts, cox_meta_group(root), cox_meta_kind(root))) {
		cox_health_assess(root, ret_health);
	} else {
		*ret_health = (struct cox_health){.status = COX_HEALTH_PROGRESSING};
		snprintf(ret_health->message, sizeof(ret_health->message),
			 "waiting for its health script");
	}
}

bool agent_judge_is_of_another(const struct agent_entry *entry, struct cox_str uid)
{
	const struct agent_judgement *j = entry->judging;

	return j && uid.len &&
	       !cox_str_eq(cox_meta_uid(cox_doc_root(j->next ? j->next : j->live)), uid);
}

void agent_judge_drop(struct agent_entry *entry)
{
	struct agent_judgement *j = entry->judging;

	if (!j)
		return;
	entry->judging = NULL;
	j->entry = NULL; /* done frees it */
	cox_job_cancel(&j->job);
}
