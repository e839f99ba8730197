/* What there is: clusters, sets, policies, lone applications, all drawn from the seed. Every version
 * of a plan has its number in it, so that a rollout says which one it goes by. */
#include "tests/sim/hub/world.h"

#include "common/doc/yaml.h"

#include <stdio.h>
#include <stdlib.h>

const char *const sim_envs[3] = {"dev", "pre", "prod"};

static int pick(int low, int high)
{
	return (int)sim_between(&w.rng, low, high);
}

static bool maybe(int percent)
{
	return sim_chance(&w.rng, percent);
}

/* ---- applying ---- */

int sim_apply(const char *yaml, struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	struct hub_batch *batch;
	struct cox_error own = COX_ERROR_INIT;
	int r = cox_yaml_read_all(cox_str(yaml), "scene", NULL, &docs, &own);

	if (r < 0)
		cox_bug(__FILE__, __LINE__, own.message);
	batch = hub_batch_new();
	for (size_t i = 0; r == 0 && i < docs.n; i++) {
		enum hub_applied applied;

		r = hub_control_apply(w.control, batch, docs.items[i], &applied, &own);
	}
	hub_store_commit(w.store, batch);
	if (r < 0)
		sim_trace("people: refused: %s", own.message);
	if (r < 0 && err)
		*err = own;
	return r;
}

static void must_apply(const char *yaml)
{
	struct cox_error err = COX_ERROR_INIT;

	if (sim_apply(yaml, &err) < 0)
		sim_fail("what shall be deployed is refused: %s\n%s", err.message, yaml);
}

/* ---- plans ---- */

static struct sim_gate gate_draw(bool after)
{
	struct sim_gate g = {.count = 1, .limit = -1};

	g.kind = (enum sim_gate_kind)pick(after ? SIM_SOAK : SIM_APPROVAL, SIM_METRICS);
	if (g.kind == SIM_SOAK)
		g.soak_ms = pick(1, 12) * 10000;
	if (g.kind == SIM_APPROVAL)
		g.count = maybe(30) ? 2 : 1;
	if (g.kind == SIM_WINDOW) {
		g.deny = maybe(30);
		g.from = pick(0, 11) * 5;
		g.length = pick(5, 40);
	}
	if (g.kind == SIM_HTTP || g.kind == SIM_METRICS) {
		g.count = pick(1, 3);
		g.limit = maybe(50) ? pick(0, 3) : -1;
	}
	if (g.kind == SIM_JOB)
		g.cluster = pick(0, w.n_clusters - 1);
	return g;
}

static void gates_draw(struct sim_gate *gates, int *n, bool after)
{
	bool approved = false;

	*n = maybe(50) ? 0 : pick(1, 2);
	for (int i = 0; i < *n; i++) {
		do
			gates[i] = gate_draw(after);
		while (gates[i].kind == SIM_APPROVAL && approved);
		approved = approved || gates[i].kind == SIM_APPROVAL;
	}
}

static void wave_draw(struct sim_plan *p, int i, unsigned *envs)
{
	struct sim_wave *v = &p->waves[i];
	bool steps = p->strategy == SIM_STEPS;

	v->concurrent = v->failures = -1;
	if (!steps && maybe(15)) {
		v->select = SIM_BY_NAME;
		v->first = pick(0, w.n_clusters - 1);
		v->last = pick(v->first, v->first + 3);
	} else {
		v->select = SIM_BY_LABEL;
		for (int e = 0; e < 3; e++)
			if (*envs & 1u << e && (v->envs == 0 || maybe(20)))
				v->envs |= 1u << e;
		*envs &= ~v->envs;
		if (v->envs == 0)
			v->select = SIM_REST;
	}
	if (maybe(60)) {
		v->concurrent_percent = maybe(40);
		v->concurrent = v->concurrent_percent ? pick(1, 100) : pick(1, 4);
	}
	if (steps)
		return;
	if (maybe(40)) {
		v->failures_percent = maybe(40);
		v->failures = v->failures_percent ? pick(0, 60) : pick(0, 2);
	}
	if (maybe(60))
		v->deadline_ms = pick(2, 30) * 10000;
	gates_draw(v->before, &v->n_before, false);
	gates_draw(v->after, &v->n_after, true);
}

static struct sim_plan *plan_draw(int set)
{
	struct sim_plan *p = cox_new(struct sim_plan);
	unsigned envs = 7;

	p->set = set;
	p->version = (int)w.sets[set].plans.n;
	p->strategy = maybe(70) ? SIM_POLICY : maybe(75) ? SIM_STEPS : SIM_AT_ONCE;
	p->n_waves = pick(1, 3);
	for (int i = 0; i < p->n_waves; i++)
		wave_draw(p, i, &envs);
	/* Who is in no wave would hold all: mostly there is one for the rest. */
	if (envs && p->strategy == SIM_POLICY && maybe(50)) {
		p->unmatched_last = true;
	} else if (envs && p->strategy != SIM_AT_ONCE) {
		struct sim_wave rest = {.select = SIM_REST, .concurrent = -1, .failures = -1};

		p->waves[p->n_waves++] = rest;
	}
	p->on_failure = maybe(30) ? SIM_ROLLBACK : pick(SIM_PAUSE, SIM_CONTINUE);
	p->supersede = pick(SIM_NOW, SIM_FINISHED);
	p->skip = maybe(60);
	p->jitter_ms = maybe(20) ? pick(1, 60) * 1000 : 0;
	p->starts_per_minute = maybe(15) ? pick(2, 60) : 0;
	return p;
}

static void amount(struct cox_buf *out, const char *key, int value, bool percent)
{
	if (value >= 0)
		cox_buf_printf(out, "    %s: %s%d%s%s\n", key, percent ? "'" : "", value,
			       percent ? "%" : "", percent ? "'" : "");
}

static void gate_text(struct cox_buf *out, const struct sim_gate *g)
{
	switch (g->kind) {
	case SIM_SOAK:
		cox_buf_printf(out, "    - soak: %llds\n", (long long)g->soak_ms / 1000);
		break;
	case SIM_APPROVAL:
		cox_buf_printf(out, "    - approval: {count: %d}\n", g->count);
		break;
	case SIM_WINDOW:
		cox_buf_printf(out,
			       "    - window: {kind: %s, schedule: '%d * * * *', duration: %dm}\n",
			       g->deny ? "deny" : "allow", g->from, g->length);
		break;
	case SIM_HTTP:
	case SIM_METRICS:
		cox_buf_puts(out, g->kind == SIM_HTTP
					  ? "    - http: {url: 'https://ready.example.com/'"
					  : "    - metrics: {address: 'https://p.example.com', "
					    "query: up, condition: '> 0'");
		cox_buf_printf(out, ", interval: 5s, successes: %d", g->count);
		if (g->limit >= 0)
			cox_buf_printf(out, ", failureLimit: %d", g->limit);
		cox_buf_puts(out, "}\n");
		break;
	case SIM_JOB:
		cox_buf_printf(
			out,
			"    - job: {cluster: c%03d, namespace: checks, template: {metadata: "
			"{name: smoke}, spec: {template: {spec: {restartPolicy: Never, "
			"containers: [{name: t, image: 'smoke:1'}]}}}}}\n",
			g->cluster);
		break;
	}
}

static void envs_text(struct cox_buf *out, unsigned envs, int version)
{
	for (int e = 0; e < 3; e++)
		if (envs & 1u << e)
			cox_buf_printf(out, "%s, ", sim_envs[e]);
	cox_buf_printf(out, "v%d", version);
}

static void policy_text(struct cox_buf *out, const struct sim_plan *p)
{
	static const char *const failures[] = {"pause", "rollback", "continue"};
	static const char *const supersedes[] = {"now", "wave", "finished"};

	cox_buf_printf(out,
		       "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: "
		       "policy%d}\nspec:\n",
		       p->set);
	if (w.sets[p->set].by_selector)
		cox_buf_printf(out, "  selector: {matchLabels: {set: s%d}}\n", p->set);
	cox_buf_printf(out, "  onFailure: %s\n  supersede: %s\n  offline: %s\n",
		       failures[p->on_failure], supersedes[p->supersede],
		       p->skip ? "skip" : "wait");
	if (p->unmatched_last)
		cox_buf_puts(out, "  unmatched: last\n");
	if (p->jitter_ms)
		cox_buf_printf(out, "  startJitter: %llds\n", (long long)p->jitter_ms / 1000);
	if (p->starts_per_minute)
		cox_buf_printf(out, "  startsPerMinute: %d\n", p->starts_per_minute);
	cox_buf_puts(out, "  waves:\n");
	for (int i = 0; i < p->n_waves; i++) {
		const struct sim_wave *v = &p->waves[i];

		cox_buf_printf(out, "  - name: w%d-v%d\n", i, p->version);
		if (v->select == SIM_BY_LABEL) {
			cox_buf_puts(out,
				     "    clusters: {matchExpressions: [{key: env, operator: In, "
				     "values: [");
			envs_text(out, v->envs, p->version);
			cox_buf_puts(out, "]}]}\n");
		}
		if (v->select == SIM_BY_NAME) {
			cox_buf_puts(out, "    clusters: {names: [");
			for (int c = v->first; c <= v->last; c++)
				cox_buf_printf(out, "%sc%03d", c > v->first ? ", " : "", c);
			cox_buf_puts(out, "]}\n");
		}
		amount(out, "maxConcurrent", v->concurrent, v->concurrent_percent);
		amount(out, "maxFailures", v->failures, v->failures_percent);
		if (v->deadline_ms)
			cox_buf_printf(out, "    progressDeadline: %llds\n",
				       (long long)v->deadline_ms / 1000);
		if (v->n_before)
			cox_buf_puts(out, "    before:\n");
		for (int g = 0; g < v->n_before; g++)
			gate_text(out, &v->before[g]);
		if (v->n_after)
			cox_buf_puts(out, "    after:\n");
		for (int g = 0; g < v->n_after; g++)
			gate_text(out, &v->after[g]);
	}
	cox_buf_puts(out, "---\n");
}

static void steps_text(struct cox_buf *out, const struct sim_plan *p)
{
	cox_buf_puts(out, "  strategy:\n    type: RollingSync\n    rollingSync:\n      steps:\n");
	for (int i = 0; i < p->n_waves; i++) {
		const struct sim_wave *v = &p->waves[i];

		if (v->select == SIM_REST) {
			cox_buf_printf(out,
				       "      - matchExpressions: [{key: env, operator: NotIn, "
				       "values: [v%d]}]\n",
				       p->version);
		} else {
			cox_buf_puts(out, "      - matchExpressions: [{key: env, operator: In, "
					  "values: [");
			envs_text(out, v->envs, p->version);
			cox_buf_puts(out, "]}]\n");
		}
		if (v->concurrent >= 0)
			cox_buf_printf(out, "        maxUpdate: %s%d%s%s\n",
				       v->concurrent_percent ? "'" : "", v->concurrent,
				       v->concurrent_percent ? "%" : "",
				       v->concurrent_percent ? "'" : "");
	}
}

static void set_text(struct cox_buf *out, int i)
{
	const struct sim_set *s = &w.sets[i];
	const struct sim_plan *p = s->plans.items[s->plans.n - 1];

	if (p->strategy == SIM_POLICY)
		policy_text(out, p);
	cox_buf_printf(out,
		       "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata:\n  name: "
		       "s%d\n  labels: {set: %s%d}\n",
		       i, p->strategy == SIM_POLICY ? "s" : "x", i);
	if (p->strategy == SIM_POLICY && !s->by_selector)
		cox_buf_printf(out, "  annotations: {coxswain.dev/rollout-policy: policy%d}\n", i);
	cox_buf_puts(out, "spec:\n  generators:\n");
	if (s->by_list) {
		cox_buf_puts(out, "  - list: {elements: [");
		COX_VEC_EACH (&w.agents, a)
			if ((*a)->in)
				cox_buf_printf(out,
					       "{name: %s, server: 'https://%s.example.com', env: "
					       "%s}, ",
					       (*a)->name, (*a)->name, sim_envs[(*a)->env]);
		cox_buf_puts(out, "]}\n");
	} else {
		cox_buf_puts(out, "  - clusters: {selector: {matchLabels: {in: 'yes'}}}\n");
	}
	cox_buf_printf(
		out,
		"  template:\n    metadata:\n      name: '{{name}}-s%d'\n      labels: {env: "
		"'{{%s}}'}\n",
		i, s->by_list ? "env" : "metadata.labels.env");
	if (s->cascade)
		cox_buf_puts(out, "      finalizers: [resources-finalizer.argocd.argoproj.io]\n");
	cox_buf_printf(out,
		       "    spec:\n      project: %s\n      source: {repoURL: '" SIM_URL
		       "', targetRevision: HEAD, path: %s}\n      destination: {server: "
		       "'{{server}}', namespace: web}\n",
		       s->project ? "guarded" : "default", w.paths[i].name);
	if (s->automated)
		cox_buf_puts(out, "      syncPolicy: {automated: {prune: true, selfHeal: true}}\n");
	if (p->strategy == SIM_STEPS)
		steps_text(out, p);
}

int sim_set_apply(int set)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	set_text(&text, set);
	return sim_apply(cox_buf_cstr(&text), NULL);
}

void sim_plan_edit(int set)
{
	struct sim_plan *p = plan_draw(set);

	cox_vec_push(&w.sets[set].plans, p);
	sim_trace("people: another plan for set %d", set);
	sim_set_apply(set);
}

/* The first number behind a 'v'. */
static int version_in(const char *text)
{
	const char *v = text ? strrchr(text, 'v') : NULL;

	return v && v[1] >= '0' && v[1] <= '9' ? atoi(v + 1) : -1;
}

const struct sim_plan *sim_plan_of(const struct cox_rollout *r)
{
	int set = -1, version = -1;

	if (sscanf(r->owner, "ApplicationSet/" SIM_NAMESPACE "/s%d", &set) != 1 || set < 0 ||
	    set >= w.n_sets)
		return NULL;
	if (r->plan.source == COX_ROLLOUT_POLICY)
		version = version_in(r->plan.waves.items[0].name);
	if (r->plan.source == COX_ROLLOUT_STEPS) {
		const struct cox_rollout_expression *e =
			&r->plan.waves.items[0].expressions.items[0];

		version = version_in(e->values.items[e->values.n - 1]);
	}
	if (version < 0 || version >= (int)w.sets[set].plans.n)
		return NULL;
	return w.sets[set].plans.items[version];
}

/* ---- clusters and the rest ---- */

int sim_cluster_apply(const struct sim_agent *a)
{
	_cleanup_free_ char *text = cox_asprintf(
		"apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\nmetadata: {name: %s, labels: "
		"{env: %s, in: '%s'}}\nspec: {server: 'https://%s.example.com'}\n",
		a->name, sim_envs[a->env], a->in ? "yes" : "no", a->name);

	return sim_apply(text, NULL);
}

int sim_project_apply(bool open)
{
	_cleanup_free_ char *text = cox_asprintf(
		"apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: guarded}\n"
		"spec:\n  sourceRepos: ['*']\n  destinations: [{server: '*', namespace: '*'}]\n%s",
		open ? ""
		     : "  syncWindows:\n  - {kind: allow, schedule: '10 * * * *', duration: 30m, "
		       "applications: ['*'], manualSync: true}\n");

	return sim_apply(text, NULL);
}

int sim_lone_apply(int i)
{
	_cleanup_free_ char *text = cox_asprintf(
		"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: lone%d}\n"
		"spec:\n  project: default\n  source: {repoURL: '" SIM_URL
		"', targetRevision: HEAD, path: %s}\n  destination: {name: c%03d, namespace: "
		"lone}\n"
		"  syncPolicy: {automated: {prune: true, selfHeal: true}}\n",
		i, w.paths[w.n_sets + i].name, w.lone_on[i]);

	return sim_apply(text, NULL);
}

static int size_draw(void)
{
	int percent = pick(0, 99);

	if (w.o.all_sizes && pick(0, 999) < 12)
		return pick(101, 500);
	if (percent < (w.o.all_sizes ? 10 : 2))
		return pick(21, w.o.all_sizes ? 100 : 60);
	return pick(1, percent < 60 ? 8 : 20);
}

void sim_scene_draw(void)
{
	w.n_clusters = size_draw();
	w.stats.agents = (uint64_t)w.n_clusters;
	w.n_sets = pick(1, w.n_clusters > 100 ? 1 : SIM_MAX_SETS);
	w.n_lone = maybe(40) ? pick(1, 2) : 0;
	w.n_paths = w.n_sets + w.n_lone;
	for (int i = 0; i < w.n_paths; i++)
		snprintf(w.paths[i].name, sizeof(w.paths[i].name), "path%d", i);
	for (int i = 0; i < w.n_lone; i++)
		w.lone_on[i] = pick(0, w.n_clusters - 1);
	for (int i = 0; i < w.n_sets; i++) {
		struct sim_set *s = &w.sets[i];
		struct sim_plan *p;

		s->by_list = maybe(20);
		s->automated = maybe(85);
		s->cascade = maybe(60);
		s->project = maybe(15);
		s->by_selector = maybe(30);
		p = plan_draw(i);
		cox_vec_push(&s->plans, p);
	}
	for (int i = 0; i < w.n_clusters; i++) {
		struct sim_agent *a;
		char name[32];

		snprintf(name, sizeof(name), "c%03d", i);
		a = sim_agent_make(name, i);
		a->env = i % 3;
		a->in = !maybe(8);
	}
	sim_repos_open();
}

void sim_scene_apply(void)
{
	COX_VEC_EACH (&w.agents, a)
		sim_cluster_apply(*a);
	sim_project_apply(maybe(50));
	for (int i = 0; i < w.n_sets; i++) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		set_text(&text, i);
		must_apply(cox_buf_cstr(&text));
	}
	for (int i = 0; i < w.n_lone; i++)
		sim_lone_apply(i);
	COX_VEC_EACH (&w.agents, a)
		sim_agent_start(*a);
}

void sim_scene_close(void)
{
	for (int i = 0; i < w.n_sets; i++) {
		COX_VEC_EACH (&w.sets[i].plans, p)
			free(*p);
		cox_vec_fini(&w.sets[i].plans);
	}
}
