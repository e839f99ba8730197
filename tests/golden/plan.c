/* tests/golden/plan: bundle.yaml holds the objects of a bundle; scenario.yaml, where it is, says
 * what else the plan is made of, and what comes of it:
 *
 *	options     the application's sync options
 *	namespace   the destination's, "web" unless given; namespaceMetadata: true when it is managed
 *	prune, hooks   false: not permitted, none
 *	delay       between waves, a duration
 *	attempt     from 1
 *	live        keys of objects that are there; unknown: "group/kind" that the cluster hasn't got
 *	select      the keys of a selective sync
 *	extras      [{key, wave, options}]: in the inventory and not in the bundle
 *	deletion    PreDelete or PostDelete: the hooks of that phase alone
 *	outcomes    {key: what comes of it at once}: healthy (unless given), none, progressing,
 *	            degraded, "error: MESSAGE"; of a hook succeeded (unless given), runs,
 *	            "failed: MESSAGE"; of a prune gone (unless given), terminating, "error: MESSAGE"
 *	done        [key]: hooks that an earlier life of this attempt has completed
 *	then        [{key: what}], [approve]: what happens whenever nothing else can
 *
 * `want` is the plan, a task a line, and then its course until it is over or nothing happens. */
#include "agent/sync/plan.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STARTED_MS 1700000000000

struct scenario {
	struct agent_desired desired;
	struct agent_plan plan;
	const struct cox_node *root; /* of scenario.yaml */
	int64_t now_ms;
	size_t n_then; /* of them have happened */
	struct cox_buf *out;
};

/* ---- what the scenario says ---- */

static bool lists(const struct scenario *s, const char *field, struct cox_str word)
{
	const struct cox_node *list = cox_node_get(s->root, field);

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_eq(cox_node_str(cox_node_at(list, i)), word))
			return true;
	return false;
}

static bool is_off(const struct scenario *s, const char *field)
{
	return cox_str_is(cox_node_text(cox_node_get(s->root, field)), "false");
}

static char *text_of(const struct cox_node *node, const char *absent)
{
	return node ? cox_str_dup(cox_node_text(node)) : cox_strdup(absent);
}

static bool is_selected(void *ctx, const char *key_text)
{
	return lists(ctx, "select", cox_str(key_text));
}

static bool is_live(void *ctx, const char *key_text)
{
	return lists(ctx, "live", cox_str(key_text));
}

static bool is_known(void *ctx, struct cox_str group, struct cox_str version, struct cox_str kind)
{
	_cleanup_free_ char *name =
		cox_asprintf("%.*s/%.*s", COX_STR_ARG(group), COX_STR_ARG(kind));

	(void)version;
	return !lists(ctx, "unknown", cox_str(name));
}

static enum agent_scope scope(void *ctx, struct cox_str group, struct cox_str version,
			      struct cox_str kind)
{
	static const char *const cluster[] = {"Namespace", "ClusterRole", "ClusterRoleBinding",
					      "CustomResourceDefinition", "PersistentVolume"};

	if (!is_known(ctx, group, version, kind))
		return AGENT_SCOPE_UNKNOWN;
	for (size_t i = 0; i < COX_ARRAY_LEN(cluster); i++)
		if (cox_str_is(kind, cluster[i]))
			return AGENT_SCOPE_CLUSTER;
	return AGENT_SCOPE_NAMESPACED;
}

static const char *const *find_word(struct cox_str text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cox_str_is(text, words[i]))
			return &words[i];
	return NULL;
}

/* ---- making it ---- */

static int read_yaml(const char *dir, const char *name, cox_docs *ret_docs, struct cox_error *err)
{
	_cleanup_free_ char *path = cox_path_join(dir, name);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (access(path, F_OK) != 0)
		return 0;
	if (cox_file_read(path, 1 << 20, &text, err) < 0)
		return -err->code;
	return cox_yaml_read_all(cox_buf_str(&text), name, NULL, ret_docs, err);
}

static int build_desired(struct scenario *s, const cox_docs *objects, const char *namespace,
			 struct cox_error *err)
{
	return agent_desired_build(objects,
				   &(struct agent_desired_input){.instance = "shop",
								 .app_uid = "uid-1",
								 .namespace = namespace,
								 .scope = scope,
								 .ctx = s},
				   &s->desired, err);
}

static enum agent_phase deletion_phase(const struct scenario *s)
{
	struct cox_str word = cox_node_str(cox_node_get(s->root, "deletion"));

	return cox_str_is(word, "PostDelete") ? AGENT_PHASE_POST_DELETE : AGENT_PHASE_PRE_DELETE;
}

static int build_plan(struct scenario *s, const char *namespace, struct cox_error *err)
{
	const struct cox_node *extras = cox_node_get(s->root, "extras");
	const struct cox_node *options = cox_node_get(s->root, "options");
	_cleanup_free_ char *delay = text_of(cox_node_get(s->root, "delay"), "0");
	COX_CLEANUP(cox_strings_fini) cox_strings keys = {0};
	COX_VEC(struct agent_extra) list = {0};
	struct agent_plan_input in = {
		.desired = &s->desired,
		.prune = !is_off(s, "prune"),
		.hooks = !is_off(s, "hooks"),
		.namespace = namespace,
		.sets_namespace = cox_node_get(s->root, "namespaceMetadata") != NULL,
		.revision = "0123456789abcdef",
		.started_ms = STARTED_MS,
		.attempt = (uint32_t)cox_node_int(cox_node_get(s->root, "attempt"), 1),
		.ctx = s,
		.is_selected = cox_node_get(s->root, "select") ? is_selected : NULL,
		.is_live = is_live,
		.is_known = is_known,
	};

	if (cox_duration_parse(cox_str(delay), &in.wave_delay_ms, err) < 0)
		return -err->code;
	for (size_t i = 0; i < cox_node_len(options); i++)
		in.options |= agent_option_parse(cox_node_str(cox_node_at(options, i)));
	for (size_t i = 0; i < cox_node_len(extras); i++) {
		const struct cox_node *x = cox_node_at(extras, i);
		struct agent_extra extra = {.version = "v1"};

		cox_vec_push(&keys, text_of(cox_node_get(x, "key"), ""));
		extra.key_text = keys.items[keys.n - 1];
		extra.wave = cox_node_int(cox_node_get(x, "wave"), 0);
		extra.options = agent_options_parse(cox_node_str(cox_node_get(x, "options")));
		cox_vec_push(&list, extra);
	}
	in.extras = list.items;
	in.n_extras = list.n;
	int code = cox_node_get(s->root, "deletion")
			   ? agent_plan_build_deletion(&in, deletion_phase(s), &s->plan, err)
			   : agent_plan_build(&in, &s->plan, err);

	cox_vec_fini(&list);
	return code;
}

/* ---- its course ---- */

static const char *const actions[] = {[AGENT_ACTION_APPLY] = "apply",
				      [AGENT_ACTION_PRUNE] = "prune",
				      [AGENT_ACTION_HOOK] = "hook"};

static void print_plan(const struct scenario *s)
{
	COX_VEC_EACH (&s->plan.tasks, t) {
		cox_buf_printf(s->out, "%s %lld: %s %s%s%s", agent_phase_name(t->phase),
			       (long long)t->wave, actions[t->action], t->key_text,
			       t->skip_dry_run ? ", no dry run" : "",
			       t->needs_confirmation ? ", to be confirmed" : "");
		if (t->state == AGENT_TASK_SKIPPED)
			cox_buf_printf(s->out, ", %s", t->message);
		cox_buf_putc(s->out, '\n');
	}
}

static void read_health(struct cox_str word, struct cox_health *ret)
{
	static const char *const words[] = {"none",	 "healthy",  "progressing",
					    "suspended", "degraded", "unknown"};
	static const enum cox_health_status statuses[] = {
		COX_HEALTH_NONE,      COX_HEALTH_HEALTHY,  COX_HEALTH_PROGRESSING,
		COX_HEALTH_SUSPENDED, COX_HEALTH_DEGRADED, COX_HEALTH_UNKNOWN};
	const char *const *found = find_word(word, words, COX_ARRAY_LEN(words));

	if (!found) {
		fprintf(stderr, "what is '%.*s'?\n", COX_STR_ARG(word));
		exit(1);
	}
	*ret = (struct cox_health){.status = statuses[found - words]};
}

/* The message behind "error: " or "failed: "; NULL: it is none. */
static char *message_of(struct cox_str what, const char *word)
{
	size_t n = strlen(word);

	if (what.len < n || memcmp(what.ptr, word, n) != 0)
		return NULL;
	return cox_str_dup(cox_str_trim(cox_str_n(what.ptr + n, what.len - n)));
}

/* What came of task i, which has been given out. */
static void come_out(struct scenario *s, size_t i)
{
	const struct agent_task *t = &s->plan.tasks.items[i];
	const struct cox_node *given = cox_node_get(cox_node_get(s->root, "outcomes"), t->key_text);
	static const char *const usual[] = {[AGENT_ACTION_APPLY] = "healthy",
					    [AGENT_ACTION_PRUNE] = "gone",
					    [AGENT_ACTION_HOOK] = "succeeded"};
	struct cox_str what = given ? cox_node_str(given) : cox_str(usual[t->action]);
	_cleanup_free_ char *error = message_of(what, "error:");
	_cleanup_free_ char *failed = message_of(what, "failed:");
	struct cox_health health;

	cox_buf_printf(s->out, "%s %s: %.*s\n", actions[t->action], t->key_text, COX_STR_ARG(what));
	if (error) {
		agent_plan_failed(&s->plan, i, error);
	} else if (t->action == AGENT_ACTION_HOOK) {
		agent_plan_hook(&s->plan, i,
				failed				? AGENT_OUTCOME_FAILED
				: cox_str_is(what, "succeeded") ? AGENT_OUTCOME_SUCCEEDED
								: AGENT_OUTCOME_RUNNING,
				failed);
	} else if (t->action == AGENT_ACTION_PRUNE) {
		agent_plan_deleting(&s->plan, i);
		if (cox_str_is(what, "gone"))
			agent_plan_observed(&s->plan, t->key_text, NULL);
	} else {
		read_health(what, &health);
		agent_plan_applied(&s->plan, i, &health);
	}
}

static void observe(struct scenario *s, struct cox_str key, struct cox_str what)
{
	_cleanup_free_ char *key_text = cox_str_dup(key);
	_cleanup_free_ char *failed = message_of(what, "failed:");
	struct cox_health health;

	cox_buf_printf(s->out, "then %s: %.*s\n", key_text, COX_STR_ARG(what));
	for (size_t i = 0; i < s->plan.tasks.n; i++) {
		const struct agent_task *t = &s->plan.tasks.items[i];

		if (t->action != AGENT_ACTION_HOOK || t->state != AGENT_TASK_WAITING ||
		    !cox_streq(t->key_text, key_text))
			continue;
		agent_plan_hook(&s->plan, i,
				failed ? AGENT_OUTCOME_FAILED : AGENT_OUTCOME_SUCCEEDED, failed);
		return;
	}
	if (cox_str_is(what, "gone")) {
		agent_plan_observed(&s->plan, key_text, NULL);
		return;
	}
	read_health(what, &health);
	agent_plan_observed(&s->plan, key_text, &health);
}

/* false: nothing happens any more. */
static bool happen(struct scenario *s)
{
	const struct cox_node *then = cox_node_get(s->root, "then");
	const struct cox_node *event = cox_node_at(then, s->n_then);

	if (s->n_then >= cox_node_len(then))
		return false;
	s->n_then++;
	if (cox_node_is(event, COX_MAP)) {
		observe(s, cox_node_key(event, 0), cox_node_str(cox_node_at(event, 0)));
	} else {
		cox_buf_puts(s->out, "then approved\n");
		agent_plan_approve(&s->plan);
	}
	return true;
}

static void describe(const struct scenario *s, const char *word)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	agent_plan_describe(&s->plan, &text);
	cox_buf_printf(s->out, "%s%s%s\n", word, text.len ? ": " : "", cox_buf_cstr(&text));
}

static void follow(struct scenario *s)
{
	size_t begin, end;

	for (;;) {
		switch (agent_plan_next(&s->plan, s->now_ms, &begin, &end)) {
		case AGENT_PLAN_RUN:
			while (begin < end)
				come_out(s, begin++);
			break;
		case AGENT_PLAN_WAIT:
			describe(s, "waits");
			if (!happen(s))
				return;
			break;
		case AGENT_PLAN_PAUSE:
			cox_buf_printf(s->out, "pauses for %lld ms\n",
				       (long long)(s->plan.due_ms - s->now_ms));
			s->now_ms = s->plan.due_ms;
			break;
		case AGENT_PLAN_FAILING:
			describe(s, "failing");
			agent_plan_fail(&s->plan, NULL);
			break;
		case AGENT_PLAN_SUCCEEDED:
			describe(s, "succeeded");
			return;
		case AGENT_PLAN_FAILED:
			describe(s, "failed");
			return;
		}
	}
}

static void resume(struct scenario *s)
{
	for (size_t i = 0; i < s->plan.tasks.n; i++) {
		const struct agent_task *t = &s->plan.tasks.items[i];

		if (t->action == AGENT_ACTION_HOOK && lists(s, "done", cox_str(t->key_text)))
			agent_plan_hook(&s->plan, i, AGENT_OUTCOME_SUCCEEDED, NULL);
	}
}

static int run(struct scenario *s, const char *dir, struct cox_error *err)
{
	_cleanup_docs_ cox_docs objects = {0}, scenario = {0};
	int code = read_yaml(dir, "bundle.yaml", &objects, err);

	if (code >= 0)
		code = read_yaml(dir, "scenario.yaml", &scenario, err);
	if (code < 0)
		return code;
	s->root = scenario.n ? cox_doc_root(scenario.items[0]) : NULL;
	_cleanup_free_ char *namespace = text_of(cox_node_get(s->root, "namespace"), "web");

	code = build_desired(s, &objects, namespace, err);
	if (code >= 0)
		code = build_plan(s, namespace, err);
	if (code < 0)
		return code;
	resume(s);
	print_plan(s);
	cox_buf_putc(s->out, '\n');
	follow(s);
	return 0;
}

static void run_case(const char *dir, struct cox_buf *ret_text)
{
	struct scenario s = {.now_ms = STARTED_MS, .out = ret_text};
	struct cox_error err;

	if (run(&s, dir, &err) < 0)
		cox_buf_printf(ret_text, "error: %s\n", err.message);
	agent_plan_fini(&s.plan);
	agent_desired_fini(&s.desired);
}

int main(int argc, char *argv[])
{
	return golden_run("tests/golden/plan", argc > 1 ? argv[1] : NULL, run_case);
}
