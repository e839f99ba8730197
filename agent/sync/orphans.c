#include "agent/sync/orphans.h"

#include "agent/sync/app.h"
#include "common/doc/json.h"
#include "common/text/glob.h"

#include <stdlib.h>

#define LOOK_SOON_MS  2000
#define LOOK_LATER_MS 30000
#define LOOK_AGAIN_MS (3 * 60 * 1000)
#define NAMED	      3 /* in the warning */
#define TRACKING_ID   "argocd.argoproj.io/tracking-id"

/* What an application's project says; read from its assignment. */
struct agent_asked {
	struct cox_doc *ignore; /* list of {group, kind, name}; NULL: none */
	bool warn;
	char *namespace;
};

struct agent_namespace {
	char *name;
	size_t n_asking;
	bool known;
	int64_t due_ms;
	cox_strings found; /* "version group/kind/namespace/name", of the last look */
	size_t n_more;	   /* that were not kept */
	size_t n_refused;  /* kinds that may not be listed */
};

/* One namespace, kind by kind. */
struct agent_look {
	struct agent_engine *engine;
	struct agent_namespace *ns;
	size_t next; /* of discovery's resources */
	struct cox_kube_resource *resource;
	struct cox_watch *watch;
	cox_strings found;
	size_t n_more, n_refused;
};

/* ---- what is never an orphan ---- */

static const struct {
	const char *group, *kind;
} passing_kinds[] = {
	{"", "Event"},
	{"events.k8s.io", "Event"},
	{"", "Endpoints"},
	{"discovery.k8s.io", "EndpointSlice"},
	{"coordination.k8s.io", "Lease"},
	{"apps", "ControllerRevision"},
	{"metrics.k8s.io", "PodMetrics"},
};

static const struct {
	const char *namespace; /* NULL: any */
	const char *group, *kind, *name;
} givens[] = {
	{"default", "", "Service", "kubernetes"},
	{NULL, "", "ServiceAccount", "default"},
	{NULL, "", "ConfigMap", "kube-root-ca.crt"},
	{NULL, "", "ConfigMap", "openshift-service-ca.crt"},
};

static bool is_passing(const struct cox_kube_resource *r)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(passing_kinds); i++)
		if (cox_streq(r->group, passing_kinds[i].group) &&
		    cox_streq(r->kind, passing_kinds[i].kind))
			return true;
	return false;
}

static bool is_given(struct cox_object_key key, const struct cox_node *object)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(givens); i++)
		if (cox_str_is(key.group, givens[i].group) &&
		    cox_str_is(key.kind, givens[i].kind) && cox_str_is(key.name, givens[i].name) &&
		    (!givens[i].namespace || cox_str_is(key.namespace, givens[i].namespace)))
			return true;
	/* the token of a service account */
	return cox_str_is(key.kind, "Secret") && key.group.len == 0 &&
	       cox_meta_annotation(object, "kubernetes.io/service-account.name").ptr;
}

/* By a mark: an application of ours that is there, or somebody else's Argo CD. */
static bool is_tracked(struct agent_engine *e, const struct cox_node *object)
{
	struct cox_str uid = cox_meta_annotation(object, AGENT_APP_UID);

	if (uid.len)
		return cox_map_get_str(&e->apps, uid) != NULL;
	return cox_meta_annotation(object, TRACKING_ID).len > 0;
}

/* ---- looking ---- */

static void begin_next(struct agent_look *l);

static void look_free(struct agent_look *l)
{
	l->engine->orphans.looking = NULL;
	cox_watch_free(l->watch);
	free(l->resource);
	cox_strings_fini(&l->found);
	free(l);
}

static void saw(void *arg, struct cox_doc *doc)
{
	struct agent_look *l = arg;
	const struct cox_node *object = cox_doc_root(doc);
	struct cox_object_key key = cox_object_key_of(object);

	if (cox_node_len(cox_meta_owner_references(object)) > 0 || cox_meta_is_deleting(object) ||
	    is_given(key, object) || is_tracked(l->engine, object))
		return;
	_cleanup_free_ char *key_text = cox_object_key_text(key);

	if (cox_map_has(&l->engine->keys, key_text) || agent_tree_has(l->engine, key_text))
		return;
	if (l->found.n >= AGENT_ORPHANS_KEPT)
		l->n_more++;
	else
		cox_vec_push(&l->found, cox_asprintf("%s %s", l->resource->version, key_text));
}

static void saw_all(void *arg)
{
	begin_next(arg);
}

static void arm(struct agent_engine *e);

static void refused(void *arg, const struct cox_kube_answer *answer)
{
	struct agent_look *l = arg;
	struct agent_engine *e = l->engine;

	if (answer->status == 0) { /* nobody answers: what was found before stands */
		l->ns->due_ms = agent_engine_now(e) + LOOK_LATER_MS;
		look_free(l);
		arm(e);
		return;
	}
	/* a kind that went meanwhile has no objects */
	l->n_refused += answer->reason != COX_KUBE_NOT_FOUND;
	begin_next(l);
}

static int64_t now(const struct agent_engine *e)
{
	return agent_engine_now(e);
}

/* At the time of the namespace that is due first. */
static void arm(struct agent_engine *e)
{
	int64_t first = INT64_MAX;

	if (e->orphans.looking || e->is_freed)
		return;
	COX_MAP_EACH (&e->orphans.namespaces, slot) {
		const struct agent_namespace *ns = slot->value;

		first = ns->due_ms < first ? ns->due_ms : first;
	}
	cox_timer_stop(&e->orphans.due);
	if (first != INT64_MAX)
		cox_timer_start(&e->orphans.due, first > now(e) ? first - now(e) : 0);
}

static void tell(struct agent_engine *e, const char *namespace)
{
	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		if (!app->asked || !cox_streq(app->asked->namespace, namespace))
			continue;
		app->tree_changed = app->dirty = true;
		agent_app_note(app);
	}
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool same(const cox_strings *a, const cox_strings *b)
{
	bool equal = a->n == b->n;

	for (size_t i = 0; equal && i < a->n; i++)
		equal = cox_streq(a->items[i], b->items[i]);
	return equal;
}

/* Sorted; what the cluster serves may have changed in the middle of a look. */
static void drop_repeated(cox_strings *v)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (kept && cox_streq(v->items[i], v->items[kept - 1]))
			free(v->items[i]);
		else
			v->items[kept++] = v->items[i];
	}
	v->n = kept;
}

static void look_over(struct agent_look *l)
{
	struct agent_engine *e = l->engine;
	struct agent_namespace *ns = l->ns;

	cox_vec_sort(&l->found, compare_text);
	drop_repeated(&l->found);
	bool news = !ns->known || !same(&ns->found, &l->found) || ns->n_more != l->n_more ||
		    ns->n_refused != l->n_refused;

	cox_strings_fini(&ns->found);
	ns->found = l->found;
	l->found = (cox_strings){0};
	ns->n_more = l->n_more;
	ns->n_refused = l->n_refused;
	ns->known = true;
	ns->due_ms = now(e) + LOOK_AGAIN_MS;
	look_free(l);
	if (news)
		tell(e, ns->name);
	arm(e);
}

/* Once in the version that the server prefers. */
static bool is_of_interest(const struct agent_look *l, const struct cox_kube_resource *r)
{
	return r->namespaced && (r->verbs & COX_VERB_LIST) && !is_passing(r) &&
	       cox_discovery_is_preferred(l->engine->discovery, r);
}

static void begin_next(struct agent_look *l)
{
	struct agent_engine *e = l->engine;
	const struct cox_kube_resource *r;

	cox_watch_free(TAKE(l->watch));
	free(TAKE(l->resource));
	do
		r = cox_discovery_at(e->discovery, l->next++);
	while (r && !is_of_interest(l, r));
	if (!r) {
		look_over(l);
		return;
	}
	l->resource = cox_kube_resource_copy(r);
	l->watch = cox_watch_new(e->o.kube, &(struct cox_watch_options){.resource = l->resource,
									.namespace = l->ns->name,
									.page = AGENT_WATCH_PAGE,
									.metadata_only = true,
									.forget = true,
									.upsert = saw,
									.synced = saw_all,
									.failed = refused,
									.arg = l});
}

static void due(void *arg)
{
	struct agent_engine *e = arg;
	struct agent_namespace *ns = NULL;

	if (e->orphans.looking)
		return;
	COX_MAP_EACH (&e->orphans.namespaces, slot) {
		ns = slot->value;
		if (ns->due_ms <= now(e))
			break;
		ns = NULL;
	}
	if (ns && (e->api_error || !cox_discovery_is_ready(e->discovery))) {
		ns->due_ms = now(e) + LOOK_SOON_MS;
		ns = NULL;
	}
	if (!ns) {
		arm(e);
		return;
	}
	struct agent_look *l = cox_new(struct agent_look);

	l->engine = e;
	l->ns = ns;
	e->orphans.looking = l;
	begin_next(l);
}

/* ---- who asks ---- */

static void asked_free(struct agent_asked *a)
{
	if (!a)
		return;
	cox_doc_unref(a->ignore);
	free(a->namespace);
	free(a);
}

static struct agent_asked *read_asked(const struct agent_app *app)
{
	const agent_assignment *a = app->assignment;
	_cleanup_doc_ struct cox_doc *project = NULL;
	const struct cox_node *orphans;
	struct agent_asked *asked;

	if (!a || app->tombstone || !a->project_rules || !a->destination_namespace ||
	    !*a->destination_namespace)
		return NULL;
	if (cox_json_read(cox_str_n((const char *)a->project_rules->project.data,
				    a->project_rules->project.len),
			  "project", &project, NULL) < 0)
		return NULL;
	orphans = COX_GET(cox_doc_root(project), "spec", "orphanedResources");
	if (!cox_node_is(orphans, COX_MAP))
		return NULL;
	asked = cox_new(struct agent_asked);
	asked->warn = cox_node_bool(cox_node_get(orphans, "warn"), true);
	if (cox_node_len(cox_node_get(orphans, "ignore")) > 0)
		asked->ignore = cox_doc_copy("ignore", cox_node_get(orphans, "ignore"));
	asked->namespace = cox_strdup(a->destination_namespace);
	return asked;
}

static void leave(struct agent_engine *e, const char *name)
{
	struct agent_namespace *ns = cox_map_get(&e->orphans.namespaces, name);

	if (--ns->n_asking)
		return;
	if (e->orphans.looking && e->orphans.looking->ns == ns)
		look_free(e->orphans.looking);
	cox_map_remove(&e->orphans.namespaces, name);
	cox_strings_fini(&ns->found);
	free(ns->name);
	free(ns);
	arm(e);
}

static void join(struct agent_engine *e, const char *name)
{
	struct agent_namespace *ns = cox_map_get(&e->orphans.namespaces, name);

	if (!ns) {
		ns = cox_new(struct agent_namespace);
		ns->name = cox_strdup(name);
		cox_map_set(&e->orphans.namespaces, name, ns);
	}
	ns->n_asking++;
	/* an application that begins, or something new in it: soon */
	ns->due_ms = now(e) + LOOK_SOON_MS;
	arm(e);
}

void agent_orphans_asked(struct agent_app *app)
{
	struct agent_asked *before = app->asked;

	app->asked = read_asked(app);
	app->tree_changed |= app->asked || before;
	if (!app->asked || !before || !cox_streq(app->asked->namespace, before->namespace)) {
		if (app->asked)
			join(app->engine, app->asked->namespace);
		if (before)
			leave(app->engine, before->namespace);
	}
	asked_free(before);
}

void agent_orphans_drop(struct agent_app *app)
{
	struct agent_asked *asked = TAKE(app->asked);

	if (asked)
		leave(app->engine, asked->namespace);
	asked_free(asked);
}

void agent_orphans_adopted(const struct agent_entry *entry)
{
	struct agent_engine *e = entry->app->engine;

	if (!cox_map_get_str(&e->orphans.namespaces, entry->key.namespace))
		return;
	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		if (app->asked && cox_str_is(entry->key.namespace, app->asked->namespace))
			app->tree_changed = true;
	}
}

void agent_orphans_refresh(struct agent_app *app)
{
	struct agent_namespace *ns =
		app->asked ? cox_map_get(&app->engine->orphans.namespaces, app->asked->namespace)
			   : NULL;

	if (!ns)
		return;
	ns->due_ms = now(app->engine);
	arm(app->engine);
}

/* ---- what is told ---- */

static const struct agent_namespace *namespace_of(const struct agent_app *app)
{
	return app->asked ? cox_map_get(&app->engine->orphans.namespaces, app->asked->namespace)
			  : NULL;
}

bool agent_orphans_known(const struct agent_app *app)
{
	const struct agent_namespace *ns = namespace_of(app);

	return ns && ns->known;
}

static bool matches(const struct cox_node *entry, const char *field, struct cox_str text,
		    bool empty_is_any)
{
	struct cox_str pattern = cox_node_str(cox_node_get(entry, field));

	return (empty_is_any && !pattern.len) || cox_str_eq(pattern, text) ||
	       cox_glob_matches(pattern, '\0', text);
}

/* As Argo CD has it: without a kind or name any, without a group the core one. */
static bool is_ignored(const struct agent_asked *asked, struct cox_object_key key)
{
	const struct cox_node *list = asked->ignore ? cox_doc_root(asked->ignore) : NULL;

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *entry = cox_node_at(list, i);

		if (matches(entry, "group", key.group, false) &&
		    matches(entry, "kind", key.kind, true) &&
		    matches(entry, "name", key.name, true))
			return true;
	}
	return false;
}

size_t agent_orphans_each(const struct agent_app *app, agent_orphan_fn *fn, void *ctx)
{
	const struct agent_namespace *ns = namespace_of(app);
	size_t n = 0;

	if (!ns)
		return 0;
	COX_VEC_EACH (&ns->found, text) {
		struct cox_str rest = cox_str(*text), version;
		struct cox_object_key key;

		cox_str_split(&rest, ' ', &version);
		if (cox_object_key_parse(rest, &key, NULL) < 0 || is_ignored(app->asked, key) ||
		    cox_map_get_str(&app->engine->keys, rest) ||
		    agent_tree_has(app->engine, rest.ptr))
			continue;
		if (fn && n < AGENT_ORPHANS_TOLD) {
			_cleanup_free_ char *v = cox_str_dup(version);

			fn(ctx, v, rest.ptr);
		}
		n++;
	}
	return n + ns->n_more;
}

struct naming {
	struct cox_buf text;
	size_t n;
};

static void name_one(void *ctx, const char *version, const char *key_text)
{
	struct naming *n = ctx;
	struct cox_object_key key;

	(void)version;
	if (n->n++ >= NAMED)
		return;
	cox_object_key_parse(cox_str(key_text), &key, NULL);
	cox_buf_puts(&n->text, n->n > 1 ? ", " : "");
	cox_object_key_describe(&n->text, key);
}

char *agent_orphans_warning(const struct agent_app *app)
{
	const struct agent_namespace *ns = namespace_of(app);
	struct naming names = {0};
	size_t n;
	char *text;

	if (!ns || !ns->known || !app->asked->warn)
		return NULL;
	n = agent_orphans_each(app, name_one, &names);
	text = n || ns->n_refused
		       ? cox_asprintf("namespace '%s' has %zu orphaned resource%s%s%s%s", ns->name,
				      n, n == 1 ? "" : "s", n ? ": " : "",
				      cox_buf_cstr(&names.text), n > NAMED ? ", ..." : "")
		       : NULL;
	cox_buf_fini(&names.text);
	if (text && ns->n_refused) {
		_cleanup_free_ char *before = text;

		text = cox_asprintf("%s (%zu kinds could not be listed)", before, ns->n_refused);
	}
	return text;
}

/* ---- life ---- */

void agent_orphans_init(struct agent_engine *e)
{
	cox_timer_init(&e->orphans.due, e->o.loop, due, e);
}

void agent_orphans_fini(struct agent_engine *e)
{
	cox_timer_stop(&e->orphans.due);
	if (e->orphans.looking)
		look_free(e->orphans.looking);
	cox_map_fini(&e->orphans.namespaces);
}
