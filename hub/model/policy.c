#include "hub/model/policy.h"

#include "hub/model/view.h"

static int word_of(const char *text, const char *const *words, size_t n, int otherwise)
{
	for (size_t i = 0; i < n; i++)
		if (words[i] && strcmp(words[i], text) == 0)
			return (int)i;
	return otherwise;
}

static const char *const on_failure_words[] = {
	[HUB_FAILURE_PAUSE] = "pause",
	[HUB_FAILURE_ROLLBACK] = "rollback",
	[HUB_FAILURE_CONTINUE] = "continue",
};
static const char *const offline_words[] = {
	[HUB_OFFLINE_SKIP] = "skip",
	[HUB_OFFLINE_WAIT] = "wait",
};
static const char *const supersede_words[] = {
	[HUB_SUPERSEDE_WAVE] = "wave",
	[HUB_SUPERSEDE_NOW] = "now",
	[HUB_SUPERSEDE_FINISHED] = "finished",
};

static void read_gate(const struct cox_node *node, struct hub_gate *g)
{
	const struct cox_node *http = hub_view_map(COX_GET(node, "http"));
	const struct cox_node *window = hub_view_map(COX_GET(node, "window"));

	*g = (struct hub_gate){.kind = HUB_GATE_APPROVAL,
			       .node = node,
			       .url = hub_view_text(http, "url"),
			       .schedule = hub_view_text(window, "schedule"),
			       .time_zone = hub_view_text(window, "timeZone"),
			       .duration_ms = hub_view_duration(window, "duration", 0),
			       .soak_ms = hub_view_duration(node, "soak", 0)};
	if (http)
		g->kind = HUB_GATE_HTTP;
	else if (window)
		g->kind = HUB_GATE_WINDOW;
	else if (COX_GET(node, "soak"))
		g->kind = HUB_GATE_SOAK;
	else if (COX_GET(node, "job"))
		g->kind = HUB_GATE_JOB;
	else if (COX_GET(node, "metrics"))
		g->kind = HUB_GATE_METRICS;
	if (!*g->time_zone)
		g->time_zone = "UTC";
}

static void read_gates(const struct cox_node *list, hub_gates *ret)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		struct hub_gate gate;

		read_gate(cox_node_at(list, i), &gate);
		cox_vec_push(ret, gate);
	}
}

static void read_wave(const struct cox_doc *doc, const struct cox_node *node, struct hub_wave *w)
{
	*w = (struct hub_wave){
		.name = hub_view_text(node, "name"),
		.clusters = hub_view_map(COX_GET(node, "clusters")),
		.progress_deadline_ms = hub_view_duration(node, "progressDeadline", 0),
	};
	(void)hub_count_parse(doc, COX_GET(node, "maxConcurrent"), &w->max_concurrent, NULL);
	(void)hub_count_parse(doc, COX_GET(node, "maxFailures"), &w->max_failures, NULL);
	read_gates(COX_GET(node, "before"), &w->before);
	read_gates(COX_GET(node, "after"), &w->after);
}

int hub_policy_init(struct hub_policy *policy, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc), *spec = COX_GET(root, "spec");
	const struct cox_node *waves = COX_GET(spec, "waves");
	int r = hub_view_check(doc, HUB_ROLLOUT_POLICY, err);

	if (r < 0)
		return r;
	*policy = (struct hub_policy){
		.doc = cox_doc_ref(doc),
		.root = root,
		.name = hub_object_name(root),
		.selector = hub_view_map(COX_GET(spec, "selector")),
		.on_failure = (enum hub_on_failure)word_of(
			hub_view_text(spec, "onFailure"), on_failure_words,
			COX_ARRAY_LEN(on_failure_words), HUB_FAILURE_PAUSE),
		.offline =
			(enum hub_offline)word_of(hub_view_text(spec, "offline"), offline_words,
						  COX_ARRAY_LEN(offline_words), HUB_OFFLINE_SKIP),
		.supersede = (enum hub_supersede)word_of(
			hub_view_text(spec, "supersede"), supersede_words,
			COX_ARRAY_LEN(supersede_words), HUB_SUPERSEDE_WAVE),
	};
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		struct hub_wave wave;

		read_wave(doc, cox_node_at(waves, i), &wave);
		cox_vec_push(&policy->waves, wave);
	}
	return 0;
}

void hub_policy_fini(struct hub_policy *policy)
{
	COX_VEC_EACH (&policy->waves, w) {
		cox_vec_fini(&w->before);
		cox_vec_fini(&w->after);
	}
	cox_vec_fini(&policy->waves);
	cox_doc_unref(policy->doc);
	*policy = (struct hub_policy){0};
}
