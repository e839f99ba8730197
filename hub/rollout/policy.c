/* A RolloutPolicy's spec as a plan. hub/model has checked its shape; what is read here is checked
 * again, because it also comes back from the disk. */
#include "common/base/clock.h"
#include "hub/rollout/internal.h"

#define HTTP_INTERVAL_MS    30000
#define METRICS_INTERVAL_MS 60000
#define POLICY_PATIENCE_MS  600000
/* Long enough for a rollback's targets when the policy has no deadline: it must come to an end. */
#define BACK_DEADLINE_MS 600000

void rollout_gate_fini(struct cox_rollout_gate *g)
{
	free(g->name);
	free(g->window.schedule);
	free(g->window.zone);
}

static int duration(const struct cox_node *map, const char *key, int64_t otherwise_ms,
		    int64_t *ret_ms, struct cox_error *err)
{
	const struct cox_node *node = cox_node_get(map, key);
	int64_t ms = otherwise_ms;

	if (node && !cox_node_is(node, COX_NULL)) {
		if (cox_duration_parse(cox_node_text(node), &ms, err) < 0)
			return cox_error_wrap(err, "%s", key);
		if (ms < 0)
			return cox_error(err, COX_INVALID_ARGUMENT, "%s: is negative", key);
	}
	*ret_ms = ms;
	return 0;
}

static int number(const struct cox_node *map, const char *key, int64_t otherwise, int64_t min,
		  int64_t *ret_n, struct cox_error *err)
{
	const struct cox_node *node = cox_node_get(map, key);
	int64_t n = otherwise;

	if (node && !cox_node_is(node, COX_NULL)) {
		if (!cox_node_is(node, COX_INT))
			return cox_error(err, COX_INVALID_ARGUMENT, "%s: expected an integer", key);
		n = cox_node_int(node, 0);
		if (n < min)
			return cox_error(err, COX_INVALID_ARGUMENT, "%s: at least %lld", key,
					 (long long)min);
	}
	*ret_n = n;
	return 0;
}

/* Index of the word, `otherwise` when it is absent or empty, -1 when it is none of them. */
static int word(const struct cox_node *map, const char *key, const char *const *words, size_t n,
		int otherwise)
{
	const char *text = cox_node_cstr(cox_node_get(map, key), "");

	for (size_t i = 0; i < n; i++)
		if (words[i] && strcmp(words[i], text) == 0)
			return (int)i;
	return *text ? -1 : otherwise;
}

/* ---- gates ---- */

static int soak_parse(const struct cox_node *node, struct cox_rollout_gate *g,
		      struct cox_error *err)
{
	return duration(node, "soak", 0, &g->soak_ms, err);
}

static int approval_parse(const struct cox_node *node, struct cox_rollout_gate *g,
			  struct cox_error *err)
{
	const struct cox_node *approval = cox_node_get(node, "approval");
	size_t n = cox_node_len(cox_node_get(approval, "approvers"));
	int r = number(approval, "count", 1, 1, &g->approvals, err);

	if (r == 0 && n > 0 && g->approvals > (int64_t)n)
		r = cox_error(err, COX_INVALID_ARGUMENT,
			      "count: %lld of %zu approvers can never be", (long long)g->approvals,
			      n);
	return r;
}

static int window_parse(const struct cox_node *node, struct cox_rollout_gate *g,
			struct cox_error *err)
{
	static const char *const kinds[] = {"allow", "deny"};
	const struct cox_node *window = cox_node_get(node, "window");
	int kind = word(window, "kind", kinds, COX_ARRAY_LEN(kinds), 0);
	int r = duration(window, "duration", 0, &g->window.duration_ms, err);

	if (r == 0 && kind < 0)
		r = cox_error(err, COX_INVALID_ARGUMENT, "kind: neither allow nor deny");
	if (r == 0 && g->window.duration_ms < 1000)
		r = cox_error(err, COX_INVALID_ARGUMENT, "duration: at least 1s");
	if (r == 0)
		r = cox_cron_parse(cox_node_str(cox_node_get(window, "schedule")), &g->window.cron,
				   err);
	g->window.deny = kind == 1;
	g->window.schedule = cox_str_dup(cox_node_str(cox_node_get(window, "schedule")));
	g->window.zone = cox_str_dup(cox_node_str(cox_node_get(window, "timeZone")));
	return r;
}

static int probe_parse(const struct cox_node *node, struct cox_rollout_gate *g, int64_t interval_ms,
		       int64_t failure_limit, struct cox_error *err)
{
	int r = duration(node, "interval", interval_ms, &g->interval_ms, err);

	if (r == 0 && g->interval_ms < 1000)
		r = cox_error(err, COX_INVALID_ARGUMENT, "interval: at least 1s");
	if (r == 0)
		r = number(node, "successes", 1, 1, &g->successes, err);
	if (r == 0)
		r = number(node, "failureLimit", failure_limit, 0, &g->failure_limit, err);
	return r;
}

/* An URL is asked until it says yes, unless there is a limit. */
static int http_parse(const struct cox_node *node, struct cox_rollout_gate *g,
		      struct cox_error *err)
{
	return probe_parse(cox_node_get(node, "http"), g, HTTP_INTERVAL_MS, -1, err);
}

static int metrics_parse(const struct cox_node *node, struct cox_rollout_gate *g,
			 struct cox_error *err)
{
	return probe_parse(cox_node_get(node, "metrics"), g, METRICS_INTERVAL_MS, 0, err);
}

/* A Job is run once; its own backoffLimit is its retries. */
static int job_parse(const struct cox_node *node, struct cox_rollout_gate *g, struct cox_error *err)
{
	(void)node;
	(void)err;
	g->interval_ms = HTTP_INTERVAL_MS;
	g->successes = 1;
	g->failure_limit = 0;
	return 0;
}

static const struct {
	const char *key;
	int (*parse)(const struct cox_node *node, struct cox_rollout_gate *g,
		     struct cox_error *err);
} kinds[] = {
	[COX_GATE_SOAK] = {"soak", soak_parse},
	[COX_GATE_APPROVAL] = {"approval", approval_parse},
	[COX_GATE_WINDOW] = {"window", window_parse},
	[COX_GATE_HTTP] = {"http", http_parse},
	[COX_GATE_JOB] = {"job", job_parse},
	[COX_GATE_METRICS] = {"metrics", metrics_parse},
};

const char *cox_gate_kind_name(enum cox_gate_kind kind)
{
	return kinds[kind].key;
}

static int gate_parse(const struct cox_node *node, struct cox_rollout_gate *g,
		      struct cox_error *err)
{
	const struct cox_node *name = cox_node_get(node, "name");
	int kind = -1, n = 0;

	for (size_t i = 0; i < COX_ARRAY_LEN(kinds); i++) {
		if (cox_node_find(node, cox_str(kinds[i].key)) < 0)
			continue;
		kind = (int)i;
		n++;
	}
	if (n != 1)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "needs exactly one of soak, approval, window, http, job, metrics");
	g->kind = kind;
	g->spec = cox_node_get(node, kinds[kind].key);
	g->name = cox_strdup(cox_node_cstr(name, kinds[kind].key));
	if (kinds[kind].parse(node, g, err) < 0)
		return cox_error_wrap(err, "%s", kinds[kind].key);
	return 0;
}

static int gates_parse(const struct cox_node *wave, bool after, struct cox_rollout_wave *w,
		       struct cox_error *err)
{
	const char *key = after ? "after" : "before";
	const struct cox_node *list = cox_node_get(wave, key);
	size_t n_approvals = 0;

	if (cox_node_len(list) > COX_ROLLOUT_MAX_GATES)
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: %zu gates, at most %d", key,
				 cox_node_len(list), COX_ROLLOUT_MAX_GATES);
	for (size_t i = 0; i < cox_node_len(list); i++) {
		struct cox_rollout_gate g = {0};
		int r = gate_parse(cox_node_at(list, i), &g, err);

		if (after)
			cox_vec_push(&w->after, g);
		else
			cox_vec_push(&w->before, g);
		if (r == 0 && !after && g.kind == COX_GATE_SOAK)
			r = cox_error(err, COX_INVALID_ARGUMENT,
				      "soak belongs to 'after': there is nothing to watch before "
				      "a wave");
		if (r == 0 && g.kind == COX_GATE_APPROVAL && n_approvals++ > 0)
			r = cox_error(err, COX_INVALID_ARGUMENT,
				      "is a second approval: `count` asks for more people");
		if (r < 0)
			return cox_error_wrap(err, "%s[%zu]", key, i);
	}
	return 0;
}

/* ---- waves ---- */

static int clusters_parse(const struct cox_node *node, struct cox_rollout_wave *w,
			  struct cox_error *err)
{
	const struct cox_node *names = cox_node_get(node, "names");
	bool labels = cox_node_get(node, "matchLabels") || cox_node_get(node, "matchExpressions");

	for (size_t i = 0; i < cox_node_len(names); i++)
		cox_vec_push(&w->names, cox_str_dup(cox_node_text(cox_node_at(names, i))));
	if (names && w->names.n == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "clusters.names: is empty");
	if (w->names.n > 0 && labels)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "clusters: names and labels together are not clear: give one of "
				 "them");
	if (!node || w->names.n > 0)
		return 0;
	if (cox_selector_from_node(node, &w->selector, err) < 0)
		return cox_error_wrap(err, "clusters");
	return 0;
}

static int wave_parse(const struct cox_node *node, struct cox_rollout_wave *w,
		      struct cox_error *err)
{
	int r;

	w->name = cox_str_dup(cox_node_str(cox_node_get(node, "name")));
	if (!*w->name)
		return cox_error(err, COX_INVALID_ARGUMENT, "needs a name");
	r = clusters_parse(cox_node_get(node, "clusters"), w, err);
	if (r == 0 &&
	    rollout_amount_parse(cox_node_get(node, "maxConcurrent"), &w->max_concurrent) < 0)
		r = cox_error(err, COX_INVALID_ARGUMENT,
			      "maxConcurrent: neither a count nor a percentage");
	if (r == 0 && rollout_amount_parse(cox_node_get(node, "maxFailures"), &w->max_failures) < 0)
		r = cox_error(err, COX_INVALID_ARGUMENT,
			      "maxFailures: neither a count nor a percentage");
	if (r == 0)
		r = duration(node, "progressDeadline", 0, &w->progress_deadline_ms, err);
	if (r == 0)
		r = gates_parse(node, false, w, err);
	if (r == 0)
		r = gates_parse(node, true, w, err);
	return r;
}

static const char *const supersede_words[] = {"now", "wave", "finished"};
static const char *const failure_words[] = {NULL, "pause", "rollback", "continue"};
static const char *const offline_words[] = {"wait", "skip"};
static const char *const unmatched_words[] = {"error", "last"};

static int words_parse(const struct cox_node *spec, struct cox_rollout_plan *plan,
		       struct cox_error *err)
{
#define WORD(key, words, otherwise) word(spec, key, words, COX_ARRAY_LEN(words), otherwise)
	int supersede = WORD("supersede", supersede_words, COX_SUPERSEDE_WAVE);
	int on_failure = WORD("onFailure", failure_words, COX_FAILURE_PAUSE);
	int offline = WORD("offline", offline_words, COX_OFFLINE_SKIP);
	int unmatched = WORD("unmatched", unmatched_words, 0);
#undef WORD

	if (supersede < 0 || on_failure < 0 || offline < 0 || unmatched < 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: not one of its words",
				 supersede < 0	  ? "supersede"
				 : on_failure < 0 ? "onFailure"
				 : offline < 0	  ? "offline"
						  : "unmatched");
	plan->supersede = supersede;
	plan->on_failure = on_failure;
	plan->offline = offline;
	plan->unmatched_last = unmatched == 1;
	return 0;
}

int rollout_policy_parse(const struct cox_node *spec, struct cox_rollout_plan *plan,
			 struct cox_error *err)
{
	const struct cox_node *waves = cox_node_get(spec, "waves");
	bool back = plan->source == COX_ROLLOUT_BACK;
	int r = words_parse(spec, plan, err);

	plan->ordered = true;
	plan->patience_ms = POLICY_PATIENCE_MS;
	if (r == 0 && (cox_node_len(waves) == 0 || cox_node_len(waves) > COX_ROLLOUT_MAX_WAVES - 1))
		r = cox_error(err, COX_INVALID_ARGUMENT, "waves: from 1 to %d",
			      COX_ROLLOUT_MAX_WAVES - 1);
	if (r == 0)
		r = duration(spec, "startJitter", 0, &plan->jitter_ms, err);
	if (r == 0)
		r = number(spec, "startsPerMinute", 0, 0, &plan->starts_per_minute, err);
	for (size_t i = 0; r == 0 && i < cox_node_len(waves); i++) {
		struct cox_rollout_wave w = {0};

		r = wave_parse(cox_node_at(waves, i), &w, err);
		if (back && w.progress_deadline_ms == 0)
			w.progress_deadline_ms = BACK_DEADLINE_MS;
		cox_vec_push(&plan->waves, w);
		if (r < 0)
			cox_error_wrap(err, "waves[%zu]", i);
	}
	if (r < 0)
		return r;
	if (plan->unmatched_last)
		cox_vec_push(&plan->waves,
			     (struct cox_rollout_wave){.name = cox_strdup("unmatched"),
						       .unmatched = true});
	return 0;
}
