/* Bundles: what a renderer might have made. Names come from small pools, so that versions of an
 * application share objects, drop some and bring them back. */
#include "tests/sim/agent/world.h"

#include "common/doc/json.h"
#include "common/zip/zip.h"

#include <stdio.h>
#include <stdlib.h>

const struct sim_kind_info sim_kinds[SIM_KINDS] = {
	[SIM_CONFIG_MAP] = {"", "v1", "ConfigMap", "configmaps", true},
	[SIM_SECRET] = {"", "v1", "Secret", "secrets", true},
	[SIM_DEPLOYMENT] = {"apps", "v1", "Deployment", "deployments", true},
	[SIM_JOB] = {"batch", "v1", "Job", "jobs", true},
	[SIM_NAMESPACE] = {"", "v1", "Namespace", "namespaces", false},
	[SIM_DEFINITION] = {"apiextensions.k8s.io", "v1", "CustomResourceDefinition",
			    "customresourcedefinitions", false},
	[SIM_WIDGET] = {"sim.example.com", "v1", "", "", true}, /* a kind for each application */
};

const struct sim_object *sim_bundle_find(const struct sim_bundle *b, const char *key)
{
	COX_VEC_EACH (&b->objects, o)
		if (cox_streq(o->key, key))
			return o;
	return NULL;
}

struct sim_bundle *sim_bundle_by_digest(const uint8_t digest[COX_SHA256_BYTES])
{
	COX_VEC_EACH (&w.bundles, b)
		if (memcmp((*b)->digest, digest, COX_SHA256_BYTES) == 0)
			return *b;
	return NULL;
}

/* ---- one object ---- */

struct draft {
	struct cox_buf text; /* JSON list */
	struct sim_bundle *bundle;
	const char *app, *namespace;
	int version;
};

/* "a0-cm-1" */
static char *name_of(const struct draft *d, const char *stem, int i)
{
	return cox_asprintf("%s-%s-%d", d->app, stem, i);
}

static void begin(struct draft *d, enum sim_kind kind, const char *kind_name, const char *name,
		  const char *namespace, int64_t wave, const char *options)
{
	const struct sim_kind_info *info = &sim_kinds[kind];
	struct sim_object o = {.kind = kind, .wave = wave};

	o.name = cox_strdup(name);
	o.namespace = cox_strdup(info->namespaced ? namespace : "");
	o.key = cox_asprintf("%s/%s/%s/%s", info->group, kind_name, o.namespace, name);
	o.no_prune = strstr(options, "Prune=false") != NULL;
	o.no_delete = strstr(options, "Delete=false") != NULL;
	cox_vec_push(&d->bundle->objects, o);
	cox_buf_printf(&d->text, "%s{\"apiVersion\":\"%s%s%s\",\"kind\":\"%s\",\"metadata\":{",
		       d->text.len > 1 ? "," : "", info->group, *info->group ? "/" : "",
		       info->version, kind_name);
	cox_buf_printf(&d->text, "\"name\":\"%s\"", name);
	if (info->namespaced && (!cox_streq(namespace, d->namespace) || d->version % 2))
		cox_buf_printf(&d->text, ",\"namespace\":\"%s\"", namespace);
	cox_buf_puts(&d->text, ",\"annotations\":{\"sim.example.com/of\":\"a bundle\"");
	if (wave)
		cox_buf_printf(&d->text, ",\"argocd.argoproj.io/sync-wave\":\"%lld\"",
			       (long long)wave);
	if (*options)
		cox_buf_printf(&d->text, ",\"argocd.argoproj.io/sync-options\":\"%s\"", options);
}

static int64_t draw_wave(void)
{
	return sim_chance(&w.rng, 50) ? 0 : sim_between(&w.rng, -1, 3);
}

static const char *draw_options(void)
{
	return sim_chance(&w.rng, 90)	? ""
	       : sim_chance(&w.rng, 34) ? "Prune=false"
	       : sim_chance(&w.rng, 50) ? "Delete=false"
					: "PruneLast=true";
}

static void config_map(struct draft *d, int i, const char *namespace, int64_t wave)
{
	_cleanup_free_ char *name = name_of(d, "cm", i);

	begin(d, SIM_CONFIG_MAP, "ConfigMap", name, namespace, wave, draw_options());
	cox_buf_printf(&d->text, "}},\"data\":{\"k\":\"v%lld\",\"only%lld\":\"x\"}}",
		       (long long)sim_between(&w.rng, 0, 3), (long long)sim_between(&w.rng, 0, 2));
}

static void secret(struct draft *d, int i)
{
	_cleanup_free_ char *name = name_of(d, "secret", i);

	begin(d, SIM_SECRET, "Secret", name, d->namespace, draw_wave(), draw_options());
	cox_buf_printf(&d->text, "}},\"data\":{\"k\":\"%s\"}}",
		       sim_chance(&w.rng, 50) ? "b25l" : "dHdv");
}

static void deployment(struct draft *d, int i)
{
	_cleanup_free_ char *name = name_of(d, "web", i);
	bool never = !w.o.calm && sim_chance(&w.rng, 4);

	begin(d, SIM_DEPLOYMENT, "Deployment", name, d->namespace, draw_wave(), draw_options());
	cox_buf_printf(&d->text,
		       "}},\"spec\":{\"replicas\":%lld,\"selector\":{\"matchLabels\":{\"app\":"
		       "\"%s\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"%s\"},"
		       "\"annotations\":{\"kubesim.coxswain.dev/%s\":\"%s\"}},\"spec\":"
		       "{\"containers\":[{\"name\":\"web\",\"image\":\"web:%lld\"}]}}}}",
		       (long long)sim_between(&w.rng, 1, 2), name, name,
		       never ? "never-ready" : "ready-after",
		       never			? "true"
		       : sim_chance(&w.rng, 70) ? "500ms"
						: "8s",
		       (long long)sim_between(&w.rng, 0, 4));
	d->bundle->objects.items[d->bundle->objects.n - 1].flawed = never;
	d->bundle->flawed |= never;
}

/* A Job's template cannot be changed: what it is follows from its name. */
static void job(struct draft *d, int i)
{
	bool fails = i == 9;
	_cleanup_free_ char *name = name_of(d, "job", i);

	begin(d, SIM_JOB, "Job", name, d->namespace, draw_wave(), "");
	cox_buf_printf(
		&d->text,
		",\"kubesim.coxswain.dev/job-outcome\":\"%s\","
		"\"kubesim.coxswain.dev/job-duration\":\"%s\"}},\"spec\":{\"backoffLimit\":0,"
		"\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":"
		"\"job\",\"image\":\"job:1\"}]}}}}",
		fails ? "fail" : "succeed", i % 2 ? "300ms" : "6s");
	d->bundle->objects.items[d->bundle->objects.n - 1].flawed = fails;
	d->bundle->flawed |= fails;
}

/* Short ones and long ones, and now and then one that fails. */
static void hook(struct draft *d, int phase)
{
	static const char *const words[] = {"PreSync",	"Sync",	     "PostSync",
					    "SyncFail", "PreDelete", "PostDelete"};
	static const char *const stems[] = {"pre", "in", "post", "fail", "predel", "postdel"};
	static const char *const policies[] = {"", "BeforeHookCreation", "HookSucceeded",
					       "HookFailed", "HookSucceeded,HookFailed"};
	bool fails = !w.o.calm && phase < AGENT_PHASE_SYNC_FAIL && sim_chance(&w.rng, 4);
	_cleanup_free_ char *name = name_of(d, stems[phase], (int)sim_between(&w.rng, 0, 1));
	const char *policy = policies[cox_rng_below(&w.rng, COX_ARRAY_LEN(policies))];

	begin(d, SIM_JOB, "Job", name, d->namespace, draw_wave(), "");
	cox_buf_printf(&d->text, ",\"argocd.argoproj.io/hook\":\"%s\"", words[phase]);
	if (*policy)
		cox_buf_printf(&d->text, ",\"argocd.argoproj.io/hook-delete-policy\":\"%s\"",
			       policy);
	cox_buf_printf(
		&d->text,
		",\"kubesim.coxswain.dev/job-outcome\":\"%s\","
		"\"kubesim.coxswain.dev/job-duration\":\"%s\"}},\"spec\":{\"backoffLimit\":0,"
		"\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":"
		"\"job\",\"image\":\"job:1\"}]}}}}",
		fails ? "fail" : "succeed", sim_chance(&w.rng, 70) ? "300ms" : "6s");
	struct sim_object *o = &d->bundle->objects.items[d->bundle->objects.n - 1];

	o->hook = 1u << phase;
	o->flawed = fails;
	d->bundle->flawed |= fails;
}

static void namespace_with(struct draft *d)
{
	_cleanup_free_ char *name = cox_asprintf("%s-extra", d->app);

	begin(d, SIM_NAMESPACE, "Namespace", name, "", draw_wave(), "");
	cox_buf_puts(&d->text, "}}}");
	config_map(d, 7, name, draw_wave());
}

static void widgets(struct draft *d)
{
	_cleanup_free_ char *plural = cox_asprintf("widgets%s", d->app);
	_cleanup_free_ char *name = cox_asprintf("%s.sim.example.com", plural);
	_cleanup_free_ char *kind = cox_asprintf("Widget%s", d->app);
	int64_t wave = draw_wave();

	begin(d, SIM_DEFINITION, "CustomResourceDefinition", name, "", wave, "");
	cox_buf_printf(
		&d->text,
		"}},\"spec\":{\"group\":\"sim.example.com\",\"scope\":\"Namespaced\",\"names\":"
		"{\"kind\":\"%s\",\"plural\":\"%s\",\"singular\":\"widget%s\",\"listKind\":"
		"\"%sList\"},\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,"
		"\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"spec\":"
		"{\"type\":\"object\",\"properties\":{\"size\":{\"type\":\"integer\"}}}}}}}]}}",
		kind, plural, d->app, kind);
	_cleanup_free_ char *widget = name_of(d, "widget", (int)sim_between(&w.rng, 0, 1));

	begin(d, SIM_WIDGET, kind, widget, d->namespace, draw_wave(), "");
	cox_buf_printf(&d->text, "}},\"spec\":{\"size\":%lld}}",
		       (long long)sim_between(&w.rng, 1, 3));
}

/* ---- a bundle ---- */

static void fill(struct draft *d)
{
	int maps = (int)sim_between(&w.rng, 1, 5), most = sim_chance(&w.rng, 5) ? 24 : maps;

	for (int i = 0; i < most; i++)
		if (most > maps || sim_chance(&w.rng, 75))
			config_map(d, i + (i >= 7), d->namespace, draw_wave());
	for (int i = 0; i < 2; i++) {
		if (sim_chance(&w.rng, 25))
			secret(d, i);
		if (sim_chance(&w.rng, 55))
			deployment(d, i);
		if (sim_chance(&w.rng, 25))
			job(d, i);
	}
	if (!w.o.calm && sim_chance(&w.rng, 3))
		job(d, 9);
	for (int phase = 0; phase <= AGENT_PHASE_POST_DELETE; phase++)
		if (sim_chance(&w.rng, 22))
			hook(d, phase);
	if (sim_chance(&w.rng, 15))
		namespace_with(d);
	if (sim_chance(&w.rng, 20))
		widgets(d);
}

/* The documents of the bundle, with the namespaces that they get. */
static void read_back(struct draft *d)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	COX_CLEANUP(cox_buf_fini) struct cox_buf json = COX_BUF_INIT;
	struct cox_error err;

	if (cox_json_read(cox_buf_str(&d->text), "bundle", &doc, &err) < 0)
		cox_bug(__FILE__, __LINE__, err.message);
	cox_json_write_canonical(&json, cox_doc_root(doc));
	cox_sha256(cox_buf_str(&json), d->bundle->digest);
	cox_zip_compress(cox_buf_str(&json), 0, &d->bundle->packed);
	for (size_t i = 0; i < d->bundle->objects.n; i++) {
		struct sim_object *o = &d->bundle->objects.items[i];
		_cleanup_doc_ struct cox_doc *own =
			cox_doc_copy(o->key, cox_node_at(cox_doc_root(doc), i));

		o->doc = cox_doc_edit(own);
		if (*o->namespace)
			cox_map_put_cstr(
				o->doc,
				cox_map_edit_map(o->doc, cox_doc_root_edit(o->doc), "metadata"),
				"namespace", o->namespace);
		cox_doc_seal(o->doc);
	}
}

static void bundle_free(struct sim_bundle *b)
{
	COX_VEC_EACH (&b->objects, o) {
		free(o->key);
		free(o->namespace);
		free(o->name);
		cox_doc_unref(o->doc);
	}
	cox_vec_fini(&b->objects);
	cox_buf_fini(&b->packed);
	free(b);
}

struct sim_bundle *sim_bundle_make(const char *app_name, const char *namespace)
{
	struct draft d = {.bundle = cox_new(struct sim_bundle),
			  .app = app_name,
			  .namespace = namespace,
			  .version = (int)w.bundles.n};

	cox_buf_putc(&d.text, '[');
	fill(&d);
	cox_buf_putc(&d.text, ']');
	read_back(&d);
	cox_buf_fini(&d.text);
	struct sim_bundle *same = sim_bundle_by_digest(d.bundle->digest);

	if (same) {
		bundle_free(d.bundle);
		return same;
	}
	cox_vec_push(&w.bundles, d.bundle);
	return d.bundle;
}

void sim_bundles_free(void)
{
	COX_VEC_EACH (&w.bundles, b)
		bundle_free(*b);
	cox_vec_fini(&w.bundles);
}
