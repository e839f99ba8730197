/* The objects that people apply: kept in memory, made durable by the caller's batch. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/doc/json.h"
#include "hub/control/internal.h"
#include "hub/model/check.h"
#include "hub/model/gate_secret.h"

#include <inttypes.h>
#include <stdio.h>

struct control_object *control_object(struct hub_control *c, enum hub_kind kind, const char *key)
{
	return kind > HUB_KIND_NONE && kind < HUB_N_KINDS ? cox_map_get(&c->objects[kind], key)
							  : NULL;
}

char *control_key(struct hub_control *c, enum hub_kind kind, const char *namespace,
		  const char *name)
{
	if (!hub_kind_info(kind)->namespaced)
		return cox_strdup(name);
	return cox_asprintf("%s/%s", namespace && *namespace ? namespace : c->options.namespace,
			    name);
}

/* The store's key. */
static char *row_key(enum hub_kind kind, const char *key)
{
	return cox_asprintf("%s/%s", hub_kind_info(kind)->name, key);
}

static void object_free(void *p)
{
	struct control_object *o = p;

	control_app_free(o->app);
	control_conditions_fini(&o->conditions);
	control_held_fini(&o->held);
	control_gones_fini(&o->gone);
	cox_doc_unref(o->doc);
	free(o->key);
	free(o);
}

void control_objects_fini(struct hub_control *c)
{
	for (int k = 0; k < HUB_N_KINDS; k++)
		cox_map_fini_values(&c->objects[k], object_free);
}

void control_object_keys(struct hub_control *c, enum hub_kind kind, cox_strings *ret_keys)
{
	COX_MAP_EACH (&c->objects[kind], slot)
		cox_vec_push(ret_keys, cox_strdup(slot->key));
}

static void all_apps(struct hub_control *c)
{
	COX_MAP_EACH (&c->objects[HUB_APPLICATION], slot)
		cox_queue_add(c->apps, slot->key);
}

/* Those that a changed Cluster may mean something to. */
static void apps_of_cluster(struct hub_control *c, const char *name, const struct cox_node *cluster)
{
	const char *server = cox_node_cstr(COX_GET(cluster, "spec", "server"), "");

	COX_MAP_EACH (&c->objects[HUB_APPLICATION], slot) {
		const struct control_app *a = ((struct control_object *)slot->value)->app;

		if (a->problem || !a->has_view || cox_streq(a->cluster, name) ||
		    strcmp(a->view.destination.name, name) == 0 ||
		    (*server && strcmp(a->view.destination.server, server) == 0))
			cox_queue_add(c->apps, slot->key);
	}
}

/* Without '/' at the end; the caller's. */
static char *server_key(const char *server)
{
	size_t n = strlen(server);

	while (n > 0 && server[n - 1] == '/')
		n--;
	return cox_strndup(server, n);
}

const char *control_cluster_by_server(struct hub_control *c, const char *server)
{
	_cleanup_free_ char *wanted = server_key(server);

	if (!c->servers_known) {
		cox_map_clear(&c->servers);
		COX_MAP_EACH (&c->objects[HUB_CLUSTER], slot) {
			const struct control_object *o = slot->value;
			_cleanup_free_ char *key = server_key(
				cox_node_cstr(COX_GET(cox_doc_root(o->doc), "spec", "server"), ""));

			if (*key && cox_map_set(&c->servers, key, o->key))
				cox_map_set(&c->servers, key, (void *)"");
		}
		c->servers_known = true;
	}
	return cox_map_get(&c->servers, wanted);
}

/* Every other generator may ask, by itself or inside. */
static bool asks_for_clusters(const struct cox_node *set)
{
	const struct cox_node *generators = COX_GET(set, "spec", "generators");

	for (size_t i = 0; i < cox_node_len(generators); i++)
		if (!cox_node_get(cox_node_at(generators, i), "list"))
			return true;
	return false;
}

static void sets_by_cluster(struct hub_control *c)
{
	COX_MAP_EACH (&c->objects[HUB_APPLICATION_SET], slot) {
		const struct control_object *o = slot->value;

		if (asks_for_clusters(cox_doc_root(o->doc)))
			cox_queue_add(c->sets, slot->key);
	}
}

/* A policy, or who is in its waves, may be another one. */
static void sets_by_policy(struct hub_control *c)
{
	COX_MAP_EACH (&c->objects[HUB_APPLICATION_SET], slot) {
		_cleanup_free_ char *owner = cox_asprintf("ApplicationSet/%s", slot->key);

		cox_queue_add(c->sets, slot->key);
		control_rollout_dirty(c, owner);
	}
}

bool control_owned_by(const struct cox_node *object, const char *set_uid)
{
	const struct cox_node *owners = COX_GET(object, "metadata", "ownerReferences");

	for (size_t i = 0; i < cox_node_len(owners); i++)
		if (cox_str_is(cox_node_str(cox_node_get(cox_node_at(owners, i), "uid")), set_uid))
			return true;
	return false;
}

/* Who has to look again because this object is another one, or is gone. */
static void changed(struct hub_control *c, enum hub_kind kind, const char *key,
		    const struct cox_node *object)
{
	const struct cox_node *owners = COX_GET(object, "metadata", "ownerReferences");

	switch (kind) {
	case HUB_APPLICATION:
		cox_queue_add(c->apps, key);
		for (size_t i = 0; i < cox_node_len(owners); i++) {
			_cleanup_free_ char *set = control_key(
				c, HUB_APPLICATION_SET, hub_object_namespace(object),
				cox_node_cstr(cox_node_get(cox_node_at(owners, i), "name"), ""));

			cox_queue_add(c->sets, set);
		}
		break;
	case HUB_APPLICATION_SET:
		cox_queue_add(c->sets, key);
		break;
	case HUB_CLUSTER:
		c->servers_known = false;
		sets_by_cluster(c);
		apps_of_cluster(c, key, object);
		break;
	case HUB_APP_PROJECT:
		all_apps(c);
		break;
	case HUB_ROLLOUT_POLICY:
		sets_by_policy(c);
		break;
	case HUB_SECRET:
		control_repos_reload(c);
		control_gates_secret_changed(c, key);
		break;
	default:
		break;
	}
}

static struct control_object *object_make(struct hub_control *c, enum hub_kind kind,
					  const char *key)
{
	struct control_object *o = control_object(c, kind, key);

	if (o)
		return o;
	o = cox_new(struct control_object);
	o->kind = kind;
	o->key = cox_strdup(key);
	cox_map_set(&c->objects[kind], key, o);
	return o;
}

/* In memory only. */
static void object_set(struct hub_control *c, enum hub_kind kind, const char *key,
		       struct cox_doc *doc_taken)
{
	struct control_object *o = object_make(c, kind, key);

	cox_doc_unref(o->doc);
	o->doc = doc_taken;
	if (kind == HUB_APPLICATION) {
		if (!o->app)
			o->app = control_app_new(c, key);
		control_app_set(o->app, doc_taken);
	}
	if (kind == HUB_CLUSTER)
		hub_fleet_add(c->fleet, key);
}

void control_object_store(struct hub_control *c, struct hub_batch *batch, enum hub_kind kind,
			  const char *key, struct cox_doc *doc_taken)
{
	_cleanup_free_ char *row = row_key(kind, key);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	cox_json_write(&text, cox_doc_root(doc_taken));
	if (kind == HUB_SECRET)
		hub_batch_put_sealed(batch, HUB_TABLE_OBJECT, row, cox_buf_str(&text));
	else
		hub_batch_put(batch, HUB_TABLE_OBJECT, row, cox_buf_str(&text));
	object_set(c, kind, key, doc_taken);
	changed(c, kind, key, cox_doc_root(doc_taken));
	if (kind == HUB_CONFIG_MAP)
		control_settings_read(c, batch);
}

void control_object_remove(struct hub_control *c, struct hub_batch *batch, enum hub_kind kind,
			   const char *key)
{
	_cleanup_free_ char *row = row_key(kind, key), *copy = cox_strdup(key);
	struct control_object *o = cox_map_remove(&c->objects[kind], copy);
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (!o)
		return;
	hub_batch_delete(batch, HUB_TABLE_OBJECT, row);
	if (o->app) {
		hub_batch_delete(batch, HUB_TABLE_HISTORY, control_app_uid(o->app));
		control_rollout_dirty(c, o->app->owner);
	}
	if (kind == HUB_CLUSTER) {
		control_gate_cluster_gone(c, copy);
		hub_fleet_remove(c->fleet, batch, copy);
	}
	if (kind == HUB_APPLICATION_SET) {
		_cleanup_free_ char *owner = cox_asprintf("ApplicationSet/%s", copy);

		control_guard_forget(batch, o);
		control_rollout_dirty(c, owner); /* its rollouts go as well */
	}
	doc = cox_doc_ref(o->doc);
	object_free(o);
	changed(c, kind, copy, cox_doc_root(doc));
	if (kind == HUB_CONFIG_MAP)
		control_settings_read(c, batch);
}

/* ---- loading ---- */

static int load(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct hub_control *c = ctx;
	const char *slash = strchr(key, '/');
	_cleanup_free_ char *name = slash ? cox_strndup(key, (size_t)(slash - key)) : NULL;
	enum hub_kind kind = name ? hub_kind_parse(name) : HUB_KIND_NONE;
	struct cox_doc *doc = NULL;
	int64_t version;
	int r;

	if (kind == HUB_KIND_NONE)
		return cox_error(err, COX_DATA_LOSS, "a kept object is of no known kind: '%s'",
				 key);
	r = cox_json_read(body, slash + 1, &doc, err);
	if (r < 0)
		return r;
	version = strtoll(
		cox_node_cstr(COX_GET(cox_doc_root(doc), "metadata", "resourceVersion"), "0"), NULL,
		10);
	if (version > c->resource_version)
		c->resource_version = version;
	object_set(c, kind, slash + 1, doc);
	return 0;
}

int control_objects_load(struct hub_control *c, struct cox_error *err)
{
	int r = hub_store_each(c->store, HUB_TABLE_OBJECT, load, c, err);

	if (r < 0)
		return r;
	for (int k = HUB_KIND_NONE + 1; k < HUB_N_KINDS; k++)
		COX_MAP_EACH (&c->objects[k], slot) {
			struct control_object *o = slot->value;

			changed(c, k, slot->key, cox_doc_root(o->doc));
		}
	control_settings_read(c, NULL);
	return 0;
}

/* ---- applying ---- */

static const char *const server_fields[] = {"managedFields",
					    "selfLink",
					    "uid",
					    "resourceVersion",
					    "generation",
					    "creationTimestamp",
					    "deletionTimestamp",
					    "deletionGracePeriodSeconds"};

static void keep_from(struct cox_doc *doc, struct cox_node *metadata, const struct cox_node *old,
		      const char *key)
{
	const struct cox_node *value = COX_GET(old, "metadata", key);

	if (value)
		cox_map_put(doc, metadata, key, cox_doc_clone(doc, value));
}

/* Annotations that ask for something once (pending.c). */
static void drop_asked(struct cox_doc *doc, struct cox_node *metadata)
{
	static const char *const asked[] = {CONTROL_REFRESH_ANNOTATION,
					    CONTROL_REFRESH_SET_ANNOTATION};
	const struct cox_node *have = cox_node_get(metadata, "annotations");
	struct cox_node *annotations;

	for (size_t i = 0; i < COX_ARRAY_LEN(asked); i++) {
		if (!cox_node_get(have, asked[i]))
			continue;
		annotations = cox_map_edit_map(doc, metadata, "annotations");
		cox_map_drop(doc, annotations, cox_str(asked[i]));
		if (cox_node_len(annotations) == 0)
			cox_map_drop(doc, metadata, COX_STR("annotations"));
		have = cox_node_get(metadata, "annotations");
	}
}

/* The document as it is kept: no status, no pending operation, metadata filled. */
static struct cox_doc *normalise(struct hub_control *c, enum hub_kind kind, const char *namespace,
				 struct cox_doc *object, const struct cox_node *old)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(object);
	struct cox_node *root = cox_doc_root_edit(doc);
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	int64_t generation = cox_node_int(COX_GET(old, "metadata", "generation"), 0);
	char uid[COX_UUID_TEXT], now[COX_TIME_TEXT_MAX];

	cox_map_drop(doc, root, COX_STR("status"));
	cox_map_drop(doc, root, COX_STR("operation"));
	for (size_t i = 0; i < COX_ARRAY_LEN(server_fields); i++)
		cox_map_drop(doc, metadata, cox_str(server_fields[i]));
	drop_asked(doc, metadata);
	if (hub_kind_info(kind)->namespaced)
		cox_map_put_cstr(doc, metadata, "namespace", namespace);
	else
		cox_map_drop(doc, metadata, COX_STR("namespace"));
	if (old) {
		keep_from(doc, metadata, old, "uid");
		keep_from(doc, metadata, old, "creationTimestamp");
		keep_from(doc, metadata, old, "deletionTimestamp");
		if (!cox_node_get(metadata, "ownerReferences"))
			keep_from(doc, metadata, old, "ownerReferences");
	} else {
		cox_uuid_new(uid);
		cox_time_format(cox_clock_wall_ms(), now);
		cox_map_put_cstr(doc, metadata, "uid", uid);
		cox_map_put_cstr(doc, metadata, "creationTimestamp", now);
	}
	if (!old || !cox_node_equal(cox_node_get(old, "spec"), cox_node_get(root, "spec")))
		generation++;
	cox_map_put_int(doc, metadata, "generation", generation);
	keep_from(doc, metadata, old, "resourceVersion");
	if (old && cox_node_equal(old, root))
		return NULL;
	cox_map_put(doc, metadata, "resourceVersion",
		    cox_doc_stringf(doc, "%" PRId64, ++c->resource_version));
	return cox_doc_copy(hub_object_name(root), root);
}

/* What the planner cannot read it must not be asked to follow. */
static int check_policy(const struct cox_node *root, struct cox_error *err)
{
	struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
	int r = cox_rollout_plan_policy(NULL, COX_GET(root, "spec"), &plan, err);

	cox_rollout_plan_fini(&plan);
	return r < 0 ? cox_error_wrap(err, "spec") : 0;
}

int hub_control_check(struct hub_control *c, struct cox_doc *object, struct cox_error *err)
{
	enum hub_kind kind = hub_kind_of(cox_doc_root(object));
	_cleanup_free_ char *key = NULL;
	struct control_object *old;
	struct hub_key name;
	int r;

	if (kind == HUB_KIND_NONE) {
		const struct cox_node *root = cox_doc_root(object);

		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the hub does not keep objects of kind '%s' of '%s': it takes "
				 "Application, ApplicationSet, AppProject, Cluster, the "
				 "ConfigMap " HUB_SETTINGS_NAME ", and Secrets with the "
				 "label " HUB_SECRET_TYPE_LABEL " or " HUB_OUR_SECRET_TYPE_LABEL,
				 cox_node_cstr(cox_node_get(root, "kind"), "?"),
				 cox_node_cstr(cox_node_get(root, "apiVersion"), "?"));
	}
	r = hub_validate(object, err);
	if (r == 0 && kind == HUB_ROLLOUT_POLICY)
		r = check_policy(cox_doc_root(object), err);
	if (r == 0)
		r = hub_key_of(object, c->options.namespace, &name, err);
	if (r < 0)
		return r;
	if (kind == HUB_CONFIG_MAP && strcmp(name.namespace, c->options.namespace) != 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the hub's settings are the ConfigMap " HUB_SETTINGS_NAME
				 " of namespace '%s', not '%s'",
				 c->options.namespace, name.namespace);
	if (kind == HUB_CLUSTER && strlen(name.name) > 63)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the name of cluster '%s' is longer than 63 characters",
				 name.name);
	key = control_key(c, kind, name.namespace, name.name);
	old = control_object(c, kind, key);
	if (old && COX_GET(cox_doc_root(old->doc), "metadata", "deletionTimestamp"))
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "%s '%s' is being deleted: apply it again when it is gone",
				 hub_kind_info(kind)->singular, key);
	return 0;
}

int hub_control_apply(struct hub_control *c, struct hub_batch *batch, struct cox_doc *object,
		      enum hub_applied *ret_applied, struct cox_error *err)
{
	enum hub_kind kind = hub_kind_of(cox_doc_root(object));
	_cleanup_free_ char *key = NULL;
	struct control_object *old;
	struct cox_doc *doc;
	struct hub_key name;
	int r = hub_control_check(c, object, err);

	if (r == 0)
		r = hub_key_of(object, c->options.namespace, &name, err);
	if (r < 0)
		return r;
	key = control_key(c, kind, name.namespace, name.name);
	old = control_object(c, kind, key);
	doc = normalise(c, kind, name.namespace, object, old ? cox_doc_root(old->doc) : NULL);
	*ret_applied = !doc ? HUB_UNCHANGED : old ? HUB_CONFIGURED : HUB_CREATED;
	if (doc)
		control_object_store(c, batch, kind, key, doc);
	return 0;
}

/* ---- asking ---- */

int hub_control_get(struct hub_control *c, enum hub_kind kind, const char *namespace,
		    const char *name, struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_free_ char *key = control_key(c, kind, namespace, name);
	const struct control_object *o = control_object(c, kind, key);

	if (!o)
		return cox_error(err, COX_NOT_FOUND, "no %s '%s'", hub_kind_info(kind)->singular,
				 key);
	*ret_doc = control_with_status(c, o);
	return 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void hub_control_list(struct hub_control *c, enum hub_kind kind, const char *namespace,
		      cox_docs *ret_docs)
{
	COX_CLEANUP(cox_strings_fini) cox_strings keys = {0};

	control_object_keys(c, kind, &keys);
	cox_vec_sort(&keys, by_key);
	COX_VEC_EACH (&keys, key) {
		const struct control_object *o = control_object(c, kind, *key);

		if (namespace && *namespace && hub_kind_info(kind)->namespaced &&
		    strcmp(hub_object_namespace(cox_doc_root(o->doc)), namespace) != 0)
			continue;
		cox_vec_push(ret_docs, control_with_status(c, o));
	}
}
