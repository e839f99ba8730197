/* From an Application to the assignment of its cluster. */
#include "common/base/clock.h"
#include "common/doc/json.h"
#include "hub/control/internal.h"

#include <stdio.h>

typedef Coxswain__Assignment__V1__Policy policy;
typedef Coxswain__Assignment__V1__KeyValue key_value;
typedef Coxswain__Assignment__V1__Operation operation;

/* The message's parts, which it borrows. */
struct parts {
	policy policy;
	struct control_retry retry;
	COX_VEC(char *) options;
	COX_VEC(key_value *) labels, annotations;
	struct cox_buf ignore;
	struct cox_buf project;
	Coxswain__Assignment__V1__ProjectRules rules;
	char *instance;
};

static void parts_fini(struct parts *p)
{
	cox_vec_fini(&p->options);
	COX_VEC_EACH (&p->labels, kv)
		free(*kv);
	COX_VEC_EACH (&p->annotations, kv)
		free(*kv);
	cox_vec_fini(&p->labels);
	cox_vec_fini(&p->annotations);
	cox_buf_fini(&p->ignore);
	cox_buf_fini(&p->project);
	free(p->instance);
}

static key_value *pair(const struct cox_node *map, size_t i)
{
	key_value *kv = cox_new(key_value);

	coxswain__assignment__v1__key_value__init(kv);
	kv->key = (char *)cox_node_key(map, i).ptr;
	kv->value = (char *)cox_node_cstr(cox_node_at(map, i), "");
	return kv;
}

static ProtobufCBinaryData bytes(const void *data, size_t n)
{
	return (ProtobufCBinaryData){.data = (uint8_t *)data, .len = n};
}

Coxswain__Assignment__V1__Retry *control_retry_of(const struct hub_application *view, int limit,
						  struct control_retry *storage)
{
	const struct hub_retry *from = &view->sync_policy.retry;

	coxswain__assignment__v1__retry__init(&storage->retry);
	coxswain__assignment__v1__backoff__init(&storage->backoff);
	storage->retry.limit = limit;
	if (!from->given)
		return &storage->retry;
	storage->retry.limit = from->limit;
	storage->backoff.duration_ms = from->duration_ms;
	storage->backoff.factor = from->factor;
	storage->backoff.max_duration_ms = from->max_duration_ms;
	storage->retry.backoff = &storage->backoff;
	return &storage->retry;
}

int64_t control_deletion_approved_ms(const struct cox_node *application)
{
	const char *text = hub_object_annotation(application, CONTROL_APPROVED_ANNOTATION);
	int64_t wall_ms = 0;

	return text && cox_time_parse(cox_str(text), &wall_ms, NULL) == 0 ? wall_ms : 0;
}

static void fill_policy(const struct hub_control *c, const struct control_app *a, struct parts *p)
{
	const struct hub_application *view = &a->view;
	const struct hub_sync_policy *from = &view->sync_policy;

	coxswain__assignment__v1__policy__init(&p->policy);
	p->policy.automated = from->automated && control_may_sync_itself(a);
	p->policy.prune = p->policy.automated && from->prune;
	p->policy.self_heal = p->policy.automated && from->self_heal;
	p->policy.allow_empty = from->allow_empty;
	for (size_t i = 0; i < cox_node_len(from->sync_options); i++)
		cox_vec_push(&p->options,
			     (char *)cox_node_cstr(cox_node_at(from->sync_options, i), ""));
	p->policy.sync_options = p->options.items;
	p->policy.n_sync_options = p->options.n;
	if (from->retry.given)
		p->policy.retry = control_retry_of(view, 0, &p->retry);
	for (size_t i = 0; i < cox_node_len(from->namespace_labels); i++)
		cox_vec_push(&p->labels, pair(from->namespace_labels, i));
	for (size_t i = 0; i < cox_node_len(from->namespace_annotations); i++)
		cox_vec_push(&p->annotations, pair(from->namespace_annotations, i));
	p->policy.namespace_labels = p->labels.items;
	p->policy.n_namespace_labels = p->labels.n;
	p->policy.namespace_annotations = p->annotations.items;
	p->policy.n_namespace_annotations = p->annotations.n;
	control_settings_ignored(c, view->ignore_differences, &p->ignore);
	p->policy.ignore_differences = bytes(p->ignore.ptr, p->ignore.len);
	p->policy.deletion_approved_ms = control_deletion_approved_ms(view->root);
}

/* What the project says of kinds and namespaces goes to the agent, who alone knows which kinds are
 * namespaced. No AppProject means the built-in default, which permits everything. */
static bool fill_rules(const struct control_app *a, struct parts *p)
{
	static const char *const kept[] = {"destinations",
					   "clusterResourceWhitelist",
					   "clusterResourceBlacklist",
					   "namespaceResourceWhitelist",
					   "namespaceResourceBlacklist",
					   "orphanedResources"};
	struct hub_control *c = a->control;
	_cleanup_free_ char *key =
		control_key(c, HUB_APP_PROJECT, c->options.namespace, a->view.project);
	const struct control_object *project = control_object(c, HUB_APP_PROJECT, key);
	const struct control_object *cluster = control_object(c, HUB_CLUSTER, a->cluster);
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_node *root, *metadata, *spec;

	if (!project)
		return false;
	doc = cox_doc_new("project");
	root = cox_doc_map(doc);
	metadata = cox_doc_map(doc);
	spec = cox_doc_map(doc);
	cox_map_put_cstr(doc, root, "apiVersion", hub_kind_info(HUB_APP_PROJECT)->api_version);
	cox_map_put_cstr(doc, root, "kind", hub_kind_info(HUB_APP_PROJECT)->name);
	cox_map_put_cstr(doc, metadata, "name", hub_object_name(cox_doc_root(project->doc)));
	for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++) {
		const struct cox_node *list = COX_GET(cox_doc_root(project->doc), "spec", kept[i]);

		if (list)
			cox_map_put(doc, spec, kept[i], cox_doc_clone(doc, list));
	}
	cox_map_put(doc, root, "metadata", metadata);
	cox_map_put(doc, root, "spec", spec);
	cox_json_write(&p->project, root);
	coxswain__assignment__v1__project_rules__init(&p->rules);
	p->rules.project = bytes(p->project.ptr, p->project.len);
	p->rules.cluster = a->cluster;
	p->rules.server = (char *)cox_node_cstr(
		cluster ? COX_GET(cox_doc_root(cluster->doc), "spec", "server") : NULL, "");
	return true;
}

static bool digest_equal(ProtobufCBinaryData a, const uint8_t *b)
{
	return b && a.len == HUB_DIGEST_BYTES && memcmp(a.data, b, HUB_DIGEST_BYTES) == 0;
}

/* Where the application was before, when that is another cluster now: its objects stay there, as
 * the field's own behaviour is. */
static void leave_elsewhere(struct hub_control *c, struct hub_batch *batch,
			    const struct control_app *a)
{
	const char *before = hub_fleet_cluster_of(c->fleet, a->uid);

	if (before && strcmp(before, a->cluster) != 0)
		hub_fleet_bury(c->fleet, batch, before, a->uid, false,
			       COXSWAIN__ASSIGNMENT__V1__PROPAGATION__ORPHAN, false);
}

static const char *namespace_of(const struct control_app *a)
{
	const char *namespace = hub_object_namespace(a->view.root);

	return *namespace ? namespace : a->control->options.namespace;
}

/* The first part of its tracking ids; the caller's. */
static char *instance_of(const struct control_app *a)
{
	const char *namespace = namespace_of(a);

	return strcmp(namespace, a->control->options.namespace) == 0
		       ? cox_strdup(a->view.name)
		       : cox_asprintf("%s_%s", namespace, a->view.name);
}

int control_ask_agent(const struct control_app *a, bool deletion, struct cox_str objects,
		      int64_t deadline_ms, hub_fleet_diff_done *done, void *arg,
		      struct cox_error *err)
{
	struct hub_control *c = a->control;
	COX_CLEANUP(parts_fini) struct parts p = {0};
	Coxswain__Agent__V1__Frame frame = COXSWAIN__AGENT__V1__FRAME__INIT;

	COX_ASSERT(a->has_view && a->cluster);
	fill_policy(c, a, &p);
	p.instance = instance_of(a);
	frame.instance = p.instance;
	frame.destination_namespace = (char *)a->view.destination.namespace;
	if (fill_rules(a, &p))
		frame.project_rules = &p.rules;
	frame.ignore_differences = p.policy.ignore_differences;
	frame.sync_options = p.policy.sync_options;
	frame.n_sync_options = p.policy.n_sync_options;
	frame.deletion = deletion;
	return hub_fleet_diff(c->fleet, a->cluster,
			      &(struct hub_fleet_question){.app_uid = a->uid,
							   .objects = objects,
							   .frame = &frame,
							   .deadline_ms = deadline_ms},
			      done, arg, err);
}

int control_assign(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		   const uint8_t *sync_digest, const char *sync_revision,
		   Coxswain__Assignment__V1__Operation *op)
{
	COX_CLEANUP(parts_fini) struct parts p = {0};
	hub_assignment want = COXSWAIN__ASSIGNMENT__V1__ASSIGNMENT__INIT;
	const hub_assignment *have;
	const uint8_t *target = a->rendered.valid && !a->rendered.error ? a->rendered.digest : NULL;

	COX_ASSERT(a->has_view && a->cluster);
	leave_elsewhere(c, batch, a);
	have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	fill_policy(c, a, &p);
	p.instance = instance_of(a);
	want.app_uid = a->uid;
	want.app_name = (char *)a->view.name;
	want.app_namespace = (char *)namespace_of(a);
	want.project = (char *)a->view.project;
	want.instance = p.instance;
	want.destination_namespace = (char *)a->view.destination.namespace;
	want.policy = &p.policy;
	if (fill_rules(a, &p))
		want.project_rules = &p.rules;
	if (target)
		want.target_digest = bytes(target, HUB_DIGEST_BYTES);
	else if (have)
		want.target_digest = have->target_digest;
	/* A commit that renders to the same bundle is no news for a cluster. */
	want.target_revision = a->rendered.revision;
	if (have && (!target || digest_equal(have->target_digest, target)))
		want.target_revision = have->target_revision;
	if (sync_digest) {
		want.sync_digest = bytes(sync_digest, HUB_DIGEST_BYTES);
		want.sync_revision = (char *)sync_revision;
	}
	if (have && digest_equal(have->sync_digest, sync_digest)) {
		want.sync_revision = have->sync_revision;
		want.operation = have->operation;
	}
	if (op)
		want.operation = op;
	return hub_fleet_assign(c->fleet, batch, a->cluster, &want);
}

char *control_away(struct hub_control *c, const char *cluster)
{
	const struct hub_cluster_state *s = hub_fleet_cluster(c->fleet, cluster);
	char since[COX_TIME_TEXT_MAX];

	if (!s || s->connected)
		return NULL;
	if (!s->enrolled)
		return cox_asprintf("no agent has joined for cluster '%s': `cox cluster token %s` "
				    "says what one needs",
				    cluster, cluster);
	if (s->since_ms == 0)
		return cox_asprintf("the agent of cluster '%s' is not connected (not seen since "
				    "this hub started)",
				    cluster);
	cox_time_format(s->since_ms, since);
	return cox_asprintf("the agent of cluster '%s' is offline since %s", cluster, since);
}

static int badness(const Coxswain__Report__V1__ResourceStatus *s)
{
	static const int by_health[] = {0, 0, 1, 2, 3, 5, 4};
	int health = s->health < COX_ARRAY_LEN(by_health) ? by_health[s->health] : 0;

	return 2 * health + (s->sync == COXSWAIN__REPORT__V1__SYNC_STATUS__OUT_OF_SYNC);
}

static const Coxswain__Report__V1__ResourceStatus *worst_of(const hub_report *r)
{
	const Coxswain__Report__V1__ResourceStatus *worst = NULL;

	for (size_t i = 0; i < r->n_resources; i++)
		if (r->resources[i]->key && badness(r->resources[i]) > (worst ? badness(worst) : 0))
			worst = r->resources[i];
	return worst;
}

char *control_worst_resource(const hub_report *r)
{
	const Coxswain__Report__V1__ResourceStatus *worst = worst_of(r);

	if (!worst)
		return NULL;
	return cox_asprintf("%s %s%s%s", worst->key->kind, worst->key->namespace_,
			    *worst->key->namespace_ ? "/" : "", worst->key->name);
}

char *control_worst(const hub_report *r)
{
	const Coxswain__Report__V1__ResourceStatus *worst = worst_of(r);

	if (!worst)
		return *r->health_message ? cox_strdup(r->health_message) : NULL;
	return cox_asprintf("%s '%s%s%s'%s%s", worst->key->kind, worst->key->namespace_,
			    *worst->key->namespace_ ? "/" : "", worst->key->name,
			    *worst->health_message ? ": " : "", worst->health_message);
}
