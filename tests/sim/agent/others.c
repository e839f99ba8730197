/* Other people and programs in the cluster: they edit, delete, hold, copy marks, apply with kubectl,
 * take the API server down. */
#include "tests/sim/agent/world.h"

#include "common/kube/meta.h"

#include <stdio.h>
#include <stdlib.h>

#define MERGE "application/merge-patch+json"

/* Any object of any bundle so far, whether it is live or not. */
static const struct sim_object *pick(void)
{
	for (int i = 0; i < 10 && w.bundles.n; i++) {
		const struct sim_bundle *b = w.bundles.items[cox_rng_below(&w.rng, w.bundles.n)];
		const struct sim_object *o =
			b->objects.n ? &b->objects.items[cox_rng_below(&w.rng, b->objects.n)]
				     : NULL;

		if (o && sim_live(o->key))
			return o;
	}
	return NULL;
}

static void edit(const struct sim_object *o, const char *path)
{
	switch (o->kind) {
	case SIM_CONFIG_MAP:
	case SIM_SECRET:
		sim_ask("PATCH", path, MERGE, "kubectl-edit",
			sim_chance(&w.rng, 50) ? "{\"data\":{\"k\":\"aGFuZA==\"}}"
					       : "{\"data\":{\"theirs\":\"bWluZQ==\"}}");
		return;
	case SIM_DEPLOYMENT:
		sim_ask("PATCH", path, MERGE, "kubectl-edit",
			sim_chance(&w.rng, 50)
				? "{\"spec\":{\"replicas\":3}}"
				: "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":"
				  "{\"restarted\":\"now\"}}}}}");
		return;
	default:
		sim_ask("PATCH", path, MERGE, "kubectl-edit",
			"{\"metadata\":{\"labels\":{\"seen\":\"yes\"}}}");
	}
}

static void strip_marks(const char *path)
{
	sim_ask("PATCH", path, MERGE, "kubectl-annotate",
		sim_chance(&w.rng, 50)
			? "{\"metadata\":{\"annotations\":{\"coxswain.dev/app-uid\":null}}}"
			: "{\"metadata\":{\"annotations\":{\"argocd.argoproj.io/"
			  "tracking-id\":null}}}");
}

static void hold(const char *path)
{
	if (sim_ask("PATCH", path, MERGE, "holder",
		    "{\"metadata\":{\"finalizers\":[\"sim.example.com/hold\"]}}") == 200)
		cox_vec_push(&w.finalized, cox_strdup(path));
}

static void let_go(const char *path)
{
	sim_ask("PATCH", path, MERGE, "holder", "{\"metadata\":{\"finalizers\":null}}");
}

static void let_one_go(void)
{
	if (!w.finalized.n)
		return;
	let_go(w.finalized.items[--w.finalized.n]);
	free(w.finalized.items[w.finalized.n]);
}

/* As an operator does that copies annotations onto what it makes. */
static void copy_marks(const struct sim_object *o)
{
	const struct cox_node *live = sim_live(o->key);
	struct cox_str uid = cox_meta_annotation(live, "coxswain.dev/app-uid");
	struct cox_str id = cox_meta_annotation(live, "argocd.argoproj.io/tracking-id");
	_cleanup_free_ char *collection =
		cox_asprintf("/api/v1/namespaces/%s/configmaps", o->namespace);
	char name[24];

	if (!*o->namespace || !uid.len || strstr(o->namespace, "-extra"))
		return;
	snprintf(name, sizeof(name), "stranger-%u", w.n_strangers++);
	_cleanup_free_ char *body = cox_asprintf(
		"{\"metadata\":{\"name\":\"%s\",\"annotations\":{\"coxswain.dev/app-uid\":\"%.*s\","
		"\"argocd.argoproj.io/tracking-id\":\"%.*s\"}}}",
		name, COX_STR_ARG(uid), COX_STR_ARG(id));

	if (sim_ask("POST", collection, "application/json", "operator", body) == 201)
		cox_vec_push(&w.strangers, cox_asprintf("%s/%s", collection, name));
}

/* kubectl apply, before it knew of the server's side of it. */
static void kubectl_apply(const struct sim_object *o, const char *path)
{
	if (o->kind != SIM_CONFIG_MAP)
		return;
	_cleanup_free_ char *body = cox_asprintf(
		"{\"metadata\":{\"annotations\":{\"kubectl.kubernetes.io/last-applied-"
		"configuration\":\"{\\\"apiVersion\\\":\\\"v1\\\",\\\"kind\\\":\\\"ConfigMap\\\","
		"\\\"metadata\\\":{\\\"name\\\":\\\"%s\\\"},\\\"data\\\":{\\\"k\\\":\\\"theirs\\\","
		"\\\"extra\\\":\\\"1\\\"}}\"}},\"data\":{\"k\":\"theirs\",\"extra\":\"1\"}}",
		o->name);

	sim_ask("PATCH", path, MERGE, "kubectl-client-side-apply", body);
}

static void refuse_kind(void)
{
	if (*w.refused_plural) {
		*w.refused_plural = '\0';
		return;
	}
	snprintf(w.refused_plural, sizeof(w.refused_plural), "/%s",
		 sim_kinds[cox_rng_below(&w.rng, SIM_NAMESPACE)].plural);
	sim_trace("cluster: %s are forbidden", w.refused_plural);
}

static void act(void *arg)
{
	const struct sim_object *o = pick();
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT;
	int what = (int)cox_rng_below(&w.rng, 100);

	(void)arg;
	if (w.calm || w.others_left-- <= 0)
		return;
	cox_timer_start(&w.others, sim_between(&w.rng, 100, 15000));
	w.stats.others++;
	if (what < 6) {
		refuse_kind();
		return;
	}
	if (what < 14) {
		let_one_go();
		return;
	}
	if (!o)
		return;
	if (o->hook && what >= 62) /* whoever takes its finalizer off takes the evidence */
		return;
	sim_path_of(o, &path);
	if (what < 40)
		edit(o, cox_buf_cstr(&path));
	else if (what < 62)
		sim_ask("DELETE", cox_buf_cstr(&path), NULL, NULL, "");
	else if (what < 72)
		strip_marks(cox_buf_cstr(&path));
	else if (what < 82 && o->kind <= SIM_JOB)
		hold(cox_buf_cstr(&path));
	else if (what < 92)
		copy_marks(o);
	else
		kubectl_apply(o, cox_buf_cstr(&path));
}

/* ---- the API server goes away ---- */

static void outage_begins(void *arg)
{
	(void)arg;
	if (w.calm)
		return;
	sim_trace("cluster: the API server is away");
	w.outage = true;
	cox_timer_start(&w.outage_end, sim_between(&w.rng, 500, 40000));
}

static void outage_ends(void *arg)
{
	(void)arg;
	w.outage = false;
	sim_trace("cluster: the API server is back");
	if (sim_chance(&w.rng, 30))
		cox_timer_start(&w.outage_begin, sim_between(&w.rng, 5000, 60000));
}

void sim_others_open(void)
{
	cox_timer_init(&w.others, w.loop, act, NULL);
	cox_timer_init(&w.outage_begin, w.loop, outage_begins, NULL);
	cox_timer_init(&w.outage_end, w.loop, outage_ends, NULL);
	if (w.o.calm)
		return;
	cox_timer_start(&w.others, sim_between(&w.rng, 100, 10000));
	if (sim_chance(&w.rng, 25))
		cox_timer_start(&w.outage_begin, sim_between(&w.rng, 1, 60000));
}

void sim_others_settle(void)
{
	w.outage = false;
	*w.refused_plural = '\0';
	cox_timer_stop(&w.others);
	cox_timer_stop(&w.outage_begin);
	cox_timer_stop(&w.outage_end);
	while (w.finalized.n)
		let_one_go();
	/* hooks of a deletion need one, also of what never was synced */
	COX_VEC_EACH (&w.apps, app) {
		_cleanup_free_ char *body =
			cox_asprintf("{\"metadata\":{\"name\":\"%s\"}}", (*app)->namespace);

		sim_ask("POST", "/api/v1/namespaces", "application/json", NULL, body);
	}
}

void sim_others_close(void)
{
	cox_timer_stop(&w.others);
	cox_timer_stop(&w.outage_begin);
	cox_timer_stop(&w.outage_end);
	COX_VEC_EACH (&w.finalized, path)
		free(*path);
	cox_vec_fini(&w.finalized);
	COX_VEC_EACH (&w.strangers, path)
		free(*path);
	cox_vec_fini(&w.strangers);
}
