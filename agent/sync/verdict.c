#include "agent/sync/verdict.h"

#include "agent/jq/jq.h"
#include "common/base/log.h"
#include "common/doc/json.h"

#include <stdlib.h>

#define DRY_RUNS_MAX 8 /* in flight, of all applications */

enum known { KNOWN_NOTHING, KNOWN_SYNCED, KNOWN_DIFFERENT, KNOWN_REFUSED };

struct agent_verdict {
	/* what was seen last and waits for an answer; NULL: nothing does */
	struct cox_doc *live;
	struct cox_health health;
	bool current;
	bool queued;
	struct agent_call *call; /* the dry run that is out; NULL: none is */
	/* what the expressions name in the two, of which objects, or why that is not known */
	struct agent_jq_call *question; /* NULL: none is asked */
	struct cox_doc *cuts;
	struct cox_error cuts_error;
	uint64_t cuts_hash, cuts_version;
	/* what is asked or known, and of which two objects */
	uint64_t hash, state;
	enum known known;
	size_t n_different;
	cox_strings paths;
};

/* ---- what the annotation says ---- */

static bool has_option(const struct cox_node *object, const char *option)
{
	struct cox_str rest = cox_meta_annotation(object, "argocd.argoproj.io/compare-options");
	struct cox_str part;

	while (rest.ptr && cox_str_split(&rest, ',', &part))
		if (cox_str_is(cox_str_trim(part), option))
			return true;
	return false;
}

bool agent_ignores_extraneous(const struct cox_node *object)
{
	return has_option(object, "IgnoreExtraneous");
}

/* ---- what is known ---- */

static void forget(struct agent_verdict *v)
{
	v->known = KNOWN_NOTHING;
	v->n_different = 0;
	cox_strings_fini(&v->paths);
}

static void hold(struct agent_verdict *v, struct cox_doc *live, const struct cox_health *health,
		 bool current)
{
	cox_doc_ref(live);
	cox_doc_unref(v->live);
	v->live = live;
	v->health = *health;
	v->current = current;
}

static void forget_cuts(struct agent_verdict *v)
{
	cox_doc_unref(v->cuts);
	v->cuts = NULL;
	v->cuts_error = COX_ERROR_INIT;
	v->cuts_hash = 0;
}

static void unqueue(struct agent_entry *entry)
{
	struct agent_engine *e = entry->app->engine;

	for (size_t i = 0; i < e->to_try.n; i++)
		if (e->to_try.items[i] == entry) {
			cox_vec_remove(&e->to_try, i);
			break;
		}
	entry->verdict->queued = false;
}

bool agent_verdict_is_pending(const struct agent_entry *entry)
{
	return entry->verdict && entry->verdict->live;
}

void agent_verdict_drop(struct agent_entry *entry)
{
	struct agent_verdict *v = entry->verdict;

	if (!v)
		return;
	if (v->queued)
		unqueue(entry);
	agent_jq_cancel(v->question);
	forget_cuts(v);
	forget(v);
	cox_doc_unref(v->live);
	free(v);
	entry->verdict = NULL; /* an answer that is on its way finds nobody */
}

void agent_verdict_applied(struct agent_entry *entry, struct cox_doc *live)
{
	entry->applied_hash = entry->hash;
	entry->applied_state = agent_compare_state(cox_doc_root(live));
}

/* ---- comparing ---- */

struct comparison {
	struct agent_holder *holder;
	const struct agent_object *object;
	struct cox_doc *ignore_doc;
	struct agent_ignore ignore;
	struct cox_doc *cuts; /* NULL: there is no expression */
};

static void comparison_fini(struct comparison *c)
{
	agent_holder_unref(c->holder);
	cox_doc_unref(c->ignore_doc);
	cox_doc_unref(c->cuts);
	agent_ignore_fini(&c->ignore);
}

/* What ignoreDifferences says of the object; *doc, which holds it, one reference. */
static void find_ignored(const struct agent_app *app, const struct cox_node *object,
			 struct cox_doc **doc, struct agent_ignore *ret_ignore)
{
	const Coxswain__Assignment__V1__Policy *policy = app->assignment->policy;

	if (policy && policy->ignore_differences.len &&
	    cox_json_read(cox_str_n((const char *)policy->ignore_differences.data,
				    policy->ignore_differences.len),
			  "ignoreDifferences", doc, NULL) == 0)
		agent_ignore_for(cox_doc_root(*doc), object, ret_ignore);
}

/* What is wanted and what is ignored of it; false: not known now. */
static bool prepare(const struct agent_entry *entry, struct comparison *c)
{
	struct agent_app *app = entry->app;

	if (!app->assignment || agent_app_hold(app, app->digest, &c->holder, NULL) < 0)
		return false;
	c->object = agent_desired_find(&c->holder->desired, entry->key_text);
	if (!c->object)
		return false;
	find_ignored(app, cox_doc_root(c->object->doc), &c->ignore_doc, &c->ignore);
	return true;
}

static void compare(const struct comparison *c, struct cox_doc *live, struct cox_doc *predicted,
		    struct agent_difference *d)
{
	const struct cox_node *cuts = c->cuts ? cox_doc_root(c->cuts) : NULL;
	struct agent_compare_options options = {
		.manager = AGENT_MANAGER,
		.ignore = &c->ignore,
		.desired_cuts = cox_node_at(cuts, 0),
		.live_cuts = cox_node_at(cuts, 1),
		.predicted = predicted,
		.with_mutations =
			has_option(cox_doc_root(c->object->doc), "IncludeMutationWebhook=true"),
	};

	agent_compare(c->object->doc, live, &options, d);
}

/* What was held is looked at again, with what is known now. */
static void resume(struct agent_entry *entry)
{
	struct agent_verdict *v = entry->verdict;
	_cleanup_doc_ struct cox_doc *live = v->live;
	struct cox_health health = v->health;

	v->live = NULL;
	if (live)
		agent_entry_settle(entry, live, &health, v->current);
}

static void try_again_later(struct agent_entry *entry)
{
	entry->rejudge = true;
	agent_entry_ask_later(entry);
}

/* ---- expressions ---- */

static uint64_t version_of(struct cox_doc *live)
{
	uint64_t version = agent_version_number(cox_doc_root(live));

	return version ? version : agent_compare_state(cox_doc_root(live));
}

static void cuts_known(void *arg, struct cox_doc *paths, const struct cox_error *error)
{
	struct agent_entry *entry = arg;
	struct agent_app *app = entry->app;
	_cleanup_free_ char *key_text = cox_strdup(entry->key_text);
	bool again = error->code == COX_UNAVAILABLE;

	entry->verdict->question = NULL;
	entry->verdict->cuts = paths ? cox_doc_ref(paths) : NULL;
	entry->verdict->cuts_error = *error;
	resume(entry);
	/* settling may have forgotten it */
	entry = cox_map_get(&app->entries, key_text);
	if (entry && again)
		try_again_later(entry);
}

static void ask_for_cuts(struct agent_entry *entry, const struct comparison *c,
			 struct cox_doc *live)
{
	struct agent_verdict *v = entry->verdict;
	struct cox_doc *const objects[] = {c->object->doc, live};

	if (v->question)
		return;
	forget_cuts(v);
	v->cuts_hash = entry->hash;
	v->cuts_version = version_of(live);
	v->question = agent_jq_ask(entry->app->engine->o.jq, objects, COX_ARRAY_LEN(objects),
				   &c->ignore.expressions, cuts_known, entry);
}

/* 0: the comparison has what it needs; 1: it has to be asked; else why it cannot be had. */
static int take_cuts(const struct agent_entry *entry, struct comparison *c, struct cox_doc *live,
		     struct cox_error *err)
{
	const struct agent_verdict *v = entry->verdict;

	if (!c->ignore.expressions.n)
		return 0;
	if (!entry->app->engine->o.jq)
		return cox_error(err, COX_UNIMPLEMENTED, "jqPathExpressions cannot be used here");
	if (!v || v->question || v->cuts_hash != entry->hash || v->cuts_version != version_of(live))
		return 1;
	if (v->cuts_error.code != COX_OK) {
		*err = v->cuts_error;
		return -(int)err->code;
	}
	c->cuts = cox_doc_ref(v->cuts);
	return 0;
}

int agent_verdict_respect(struct agent_app *app, const char *key_text, struct cox_doc *desired,
			  struct cox_doc *live, struct cox_doc **ret_doc, struct cox_error *err)
{
	const struct agent_entry *entry = cox_map_get(&app->entries, key_text);
	COX_CLEANUP(comparison_fini) struct comparison c = {0};
	int r = 0;

	find_ignored(app, cox_doc_root(desired), &c.ignore_doc, &c.ignore);
	if (c.ignore.expressions.n)
		r = entry ? take_cuts(entry, &c, live, err) : 1;
	if (r > 0)
		return cox_error(err, COX_UNAVAILABLE,
				 "what its jqPathExpressions name is not known yet, which "
				 "RespectIgnoreDifferences needs");
	if (r < 0)
		return r;
	const struct cox_node *cuts = c.cuts ? cox_doc_root(c.cuts) : NULL;

	*ret_doc = agent_respect_ignored(desired, live, &c.ignore, cox_node_at(cuts, 0),
					 cox_node_at(cuts, 1));
	return 0;
}

/* ---- dry runs ---- */

static void dry_run_done(struct agent_call *call, const struct cox_kube_answer *answer);

static bool send_dry_run(struct agent_entry *entry)
{
	struct agent_verdict *v = entry->verdict;
	struct agent_engine *e = entry->app->engine;
	COX_CLEANUP(comparison_fini) struct comparison c = {0};
	_cleanup_free_ char *namespace = cox_str_dup(entry->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(entry->key.name);

	if (!v->live || !entry->kind->resource || !prepare(entry, &c))
		return false;
	uint32_t options = agent_app_options(entry->app, NULL) | c.object->options;

	forget(v);
	v->hash = entry->hash;
	v->state = agent_compare_state(cox_doc_root(v->live));
	v->call = agent_call_new(entry->app, entry->key_text, dry_run_done);
	v->call->call = cox_kube_apply(
		e->o.kube, entry->kind->resource, namespace, name, cox_doc_root(c.object->doc),
		&(struct cox_kube_write_options){
			.field_manager = AGENT_MANAGER,
			.field_validation = options & AGENT_OPT_NO_VALIDATE ? "Ignore" : "Strict",
			.force = true,
			.dry_run = true,
		},
		agent_call_done, v->call);
	return true;
}

static size_t in_flight(const struct agent_engine *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->calls.n; i++)
		n += ((const struct agent_call *)e->calls.items[i])->done == dry_run_done;
	return n;
}

void agent_verdicts_turn(void *arg)
{
	struct agent_engine *e = arg;

	while (e->to_try.n && in_flight(e) < DRY_RUNS_MAX) {
		struct agent_entry *entry = e->to_try.items[0];

		unqueue(entry);
		if (!send_dry_run(entry))
			resume(entry);
	}
}

static void ask(struct agent_entry *entry)
{
	struct agent_engine *e = entry->app->engine;

	if (entry->verdict->queued || entry->verdict->call)
		return;
	entry->verdict->queued = true;
	cox_vec_push(&e->to_try, entry);
	cox_loop_send(e->o.loop, &e->try_turn);
}

/* The answer is for the two objects that were asked about; others are asked about anew. */
static void learn(struct agent_entry *entry, struct cox_doc *predicted)
{
	struct agent_verdict *v = entry->verdict;
	COX_CLEANUP(comparison_fini) struct comparison c = {0};
	_cleanup_difference_ struct agent_difference d = AGENT_DIFFERENCE_INIT;

	if (!v->live || v->hash != entry->hash ||
	    v->state != agent_compare_state(cox_doc_root(v->live)) || !prepare(entry, &c))
		return;
	if (c.ignore.expressions.n) {
		if (!v->cuts) /* of a newer version, they are asked for just now */
			return;
		c.cuts = cox_doc_ref(v->cuts);
	}
	compare(&c, v->live, predicted, &d);
	v->known = d.n ? KNOWN_DIFFERENT : KNOWN_SYNCED;
	v->n_different = d.n;
	cox_strings_fini(&v->paths);
	v->paths = d.paths;
	d.paths = (cox_strings){0};
}

static void dry_run_done(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_engine *e = call->engine;
	struct agent_app *app = call->app;
	struct agent_entry *entry = cox_map_get(&app->entries, call->key_text);
	bool silent = agent_answer_is_silence(answer);

	cox_loop_send(e->o.loop, &e->try_turn);
	if (silent)
		agent_engine_api_failed(e, answer->error->message);
	else
		agent_engine_api_works(e);
	if (!entry || !entry->verdict || entry->verdict->call != call)
		return;
	entry->verdict->call = NULL;
	if (answer->error->code == COX_OK && answer->doc) {
		learn(entry, answer->doc);
	} else {
		entry->verdict->known = KNOWN_REFUSED;
		cox_log_debug("a dry run was refused", COX_KV("object", call->key_text),
			      COX_KV_ERROR(answer->error));
	}
	resume(entry);
	/* settling may have forgotten it */
	entry = cox_map_get(&app->entries, call->key_text);
	if (silent && entry && entry->verdict && !entry->verdict->live) {
		forget(entry->verdict);
		try_again_later(entry);
	}
}

/* ---- the verdict ---- */

static bool is_known(const struct agent_verdict *v, const struct agent_entry *entry, uint64_t state)
{
	return v && v->known != KNOWN_NOTHING && v->hash == entry->hash && v->state == state;
}

static void take_known(const struct agent_verdict *v, struct agent_difference *d)
{
	if (v->known == KNOWN_REFUSED)
		return;
	agent_difference_fini(d);
	d->n = v->n_different;
	COX_VEC_EACH (&v->paths, path)
		cox_vec_push(&d->paths, cox_strdup(*path));
}

/* Another dry run would tell nothing: this desired object was not applied yet, and will be. */
static bool is_news(const struct agent_entry *entry)
{
	const Coxswain__Assignment__V1__Policy *policy = entry->app->assignment->policy;

	return entry->applied_hash && entry->applied_hash != entry->hash && policy &&
	       policy->automated;
}

/* The comparison says "different": whether a dry run says so too. 1: it is asked. */
static int confirm(struct agent_entry *entry, const struct comparison *c, struct cox_doc *live,
		   struct agent_difference *d)
{
	const struct cox_node *root = cox_doc_root(live);

	if (!agent_compare_is_managed(root, AGENT_MANAGER) || cox_meta_is_deleting(root) ||
	    has_option(cox_doc_root(c->object->doc), "ServerSideDiff=false"))
		return 0;
	uint64_t state = agent_compare_state(root);

	if (entry->applied_hash == entry->hash && entry->applied_state == state) {
		agent_difference_fini(d);
		return 0;
	}
	if (is_known(entry->verdict, entry, state)) {
		take_known(entry->verdict, d);
		return 0;
	}
	if (is_news(entry))
		return 0;
	return 1;
}

/* Nothing waits any more, and what waited is older than what was just looked at. */
static void let_go(struct agent_entry *entry)
{
	struct agent_verdict *v = entry->verdict;

	if (!v)
		return;
	if (v->queued)
		unqueue(entry);
	agent_jq_cancel(v->question);
	v->question = NULL;
	forget_cuts(v);
	cox_doc_unref(v->live);
	v->live = NULL;
	if (v->known == KNOWN_NOTHING)
		agent_verdict_drop(entry);
}

static void wait_for(struct agent_entry *entry, struct cox_doc *live,
		     const struct cox_health *health, bool current)
{
	if (!entry->verdict)
		entry->verdict = cox_new(struct agent_verdict);
	hold(entry->verdict, live, health, current);
}

static void set_comparison_error(struct agent_entry *entry, const char *message)
{
	free(entry->comparison_error);
	entry->comparison_error = message ? cox_asprintf("ignoreDifferences: %s", message) : NULL;
}

int agent_verdict_reach(struct agent_entry *entry, struct cox_doc *live,
			const struct cox_health *health, bool current,
			enum agent_sync_status *ret_status, struct agent_difference *d)
{
	COX_CLEANUP(comparison_fini) struct comparison c = {0};
	struct cox_error err = COX_ERROR_INIT;
	enum agent_sync_status status = entry->wanted ? AGENT_SYNC_UNKNOWN : AGENT_OUT_OF_SYNC;
	bool comparable = entry->wanted && prepare(entry, &c);
	int cuts = comparable ? take_cuts(entry, &c, live, &err) : 0;

	if (cuts > 0) {
		wait_for(entry, live, health, current);
		ask_for_cuts(entry, &c, live);
		return 1;
	}
	if (comparable && cuts == 0) {
		compare(&c, live, NULL, d);
		if (d->n && confirm(entry, &c, live, d)) {
			wait_for(entry, live, health, current);
			ask(entry);
			return 1;
		}
		status = d->n ? AGENT_OUT_OF_SYNC : AGENT_SYNCED;
	}
	set_comparison_error(entry, cuts < 0 ? err.message : NULL);
	let_go(entry);
	*ret_status = status;
	return 0;
}
