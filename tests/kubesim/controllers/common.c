#include "common/base/clock.h"
#include "common/doc/json.h"
#include "common/kube/meta.h"
#include "tests/kubesim/controllers/controller.h"

#include <stdarg.h>
#include <stdlib.h>

struct ks_kind *ks_kind_of(struct kubesim *sim, const char *group, const char *kind)
{
	return ks_kinds_group_kind(&sim->kinds, cox_str(group), cox_str(kind));
}

const struct cox_node *ks_live(struct kubesim *sim, const char *group, const char *kind,
			       const char *ns, const char *name)
{
	struct ks_kind *k = ks_kind_of(sim, group, kind);
	struct ks_object *o = k ? ks_shelf_get(k->shelf, ns, name) : NULL;

	return o ? cox_doc_root(o->doc) : NULL;
}

struct cox_doc *ks_live_ref(struct kubesim *sim, const char *group, const char *kind,
			    const char *ns, const char *name)
{
	struct ks_kind *k = ks_kind_of(sim, group, kind);
	struct ks_object *o = k ? ks_shelf_get(k->shelf, ns, name) : NULL;

	return o ? cox_doc_ref(o->doc) : NULL;
}

const struct cox_node *ks_controller_of(const struct cox_node *object)
{
	COX_DOC_LIST_EACH (cox_meta_owner_references(object), i, ref) {
		if (cox_node_bool(COX_GET(ref, "controller"), false))
			return ref;
	}
	return NULL;
}

void ks_owned(struct kubesim *sim, const char *group, const char *kind, const char *ns,
	      struct cox_str uid, cox_docs *ret_docs)
{
	struct ks_kind *k = ks_kind_of(sim, group, kind);
	_cleanup_free_ char *prefix = cox_asprintf("%s/", ns);

	for (size_t i = ks_shelf_lower(k->shelf, prefix); i < k->shelf->n; i++) {
		struct ks_object *o = &k->shelf->items[i];
		if (strncmp(o->key, prefix, strlen(prefix)) != 0)
			break;
		const struct cox_node *ref = ks_controller_of(cox_doc_root(o->doc));
		if (ref && cox_str_eq(cox_node_str(COX_GET(ref, "uid")), uid))
			cox_vec_push(ret_docs, cox_doc_ref(o->doc));
	}
}

void ks_put_owner(struct cox_doc *doc, struct cox_node *object, const struct cox_node *owner)
{
	struct cox_node *metadata = cox_map_edit_map(doc, object, "metadata");
	struct cox_node *list = cox_doc_list(doc), *ref = cox_doc_map(doc);

	cox_map_put(doc, ref, "apiVersion", cox_doc_string(doc, cox_meta_api_version(owner)));
	cox_map_put(doc, ref, "kind", cox_doc_string(doc, cox_meta_kind(owner)));
	cox_map_put(doc, ref, "name", cox_doc_string(doc, cox_meta_name(owner)));
	cox_map_put(doc, ref, "uid", cox_doc_string(doc, cox_meta_uid(owner)));
	cox_map_put_bool(doc, ref, "controller", true);
	cox_map_put_bool(doc, ref, "blockOwnerDeletion", true);
	cox_list_push(doc, list, ref);
	cox_map_put(doc, metadata, "ownerReferences", list);
}

int ks_controller_create(struct kubesim *sim, const char *group, const char *kind, const char *ns,
			 const struct cox_node *root)
{
	_cleanup_ctx_ struct ks_ctx ctx;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("object");
	struct cox_node *own;

	ks_ctx_init(&ctx, sim, ks_kind_of(sim, group, kind), ns, NULL);
	ctx.manager = KS_MANAGER;
	struct ks_reply reply = ks_decode(&ctx, doc, root, &own);
	if (!reply.status)
		reply = ks_create(&ctx, doc, own);
	cox_doc_unref(reply.body);
	return reply.status;
}

void ks_controller_delete(struct kubesim *sim, const char *group, const char *kind, const char *ns,
			  const char *name, const char *policy)
{
	_cleanup_ctx_ struct ks_ctx ctx;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("options");
	struct cox_node *options = cox_doc_map(doc);

	cox_map_put_cstr(doc, options, "propagationPolicy", policy);
	ks_ctx_init(&ctx, sim, ks_kind_of(sim, group, kind), ns, name);
	cox_doc_unref(ks_delete(&ctx, options).body);
}

struct cox_str ks_wish(struct kubesim *sim, const struct cox_node *object, const char *annotation)
{
	struct cox_str value = cox_meta_annotation(object, annotation);
	const struct cox_node *ref = ks_controller_of(object);
	struct ks_shelf *shelf;

	if (value.ptr || !ref)
		return value;
	struct ks_object *owner =
		ks_store_by_uid(&sim->store, cox_node_cstr(COX_GET(ref, "uid"), ""), &shelf);
	return owner ? cox_meta_annotation(cox_doc_root(owner->doc), annotation) : value;
}

int64_t ks_wish_ms(struct kubesim *sim, const struct cox_node *object, const char *annotation,
		   int64_t otherwise)
{
	struct cox_str text = ks_wish(sim, object, annotation);
	int64_t ms;

	return text.ptr && cox_duration_parse(text, &ms, NULL) == 0 ? ms : otherwise;
}

bool ks_wish_true(struct kubesim *sim, const struct cox_node *object, const char *annotation)
{
	return cox_str_is(ks_wish(sim, object, annotation), "true");
}

static const char *const tags[] = {"start", "run", "provide"};

int64_t ks_since(struct kubesim *sim, const struct cox_node *object, const char *tag)
{
	_cleanup_free_ char *key = cox_asprintf("%.*s %s", COX_STR_ARG(cox_meta_uid(object)), tag);
	intptr_t began = (intptr_t)cox_map_get(&sim->marks, key);

	if (began)
		return sim->now_ms - began;
	cox_map_set(&sim->marks, key, (void *)(intptr_t)sim->now_ms);
	return 0;
}

void ks_forget_marks(struct kubesim *sim, const char *uid)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(tags); i++) {
		_cleanup_free_ char *key = cox_asprintf("%s %s", uid, tags[i]);
		cox_map_remove(&sim->marks, key);
	}
}

int64_t ks_time_of(const struct cox_node *node)
{
	int64_t ms;

	return cox_time_parse(cox_node_str(node), &ms, NULL) == 0 ? ms : 0;
}

void ks_put_now(struct kubesim *sim, struct cox_doc *doc, struct cox_node *map, const char *key)
{
	char text[COX_TIME_TEXT_MAX];

	cox_time_format(sim->now_ms, text);
	cox_map_put_cstr(doc, map, key, text);
}

/* FNV-1a, 32 bits, of the canonical text, in the letters that Kubernetes uses. */
void ks_template_hash(const struct cox_node *node, char ret_text[16])
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	uint32_t hash = 2166136261u;
	size_t n = 0;

	cox_json_write_canonical(&text, node);
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.ptr[i]) * 16777619u;
	do {
		ret_text[n++] = letters[hash % 27];
		hash /= 27;
	} while (hash && n < 10);
	ret_text[n] = 0;
}

struct cox_node *ks_condition(struct cox_doc *doc, struct cox_node *status, const char *type)
{
	struct cox_node *list = cox_map_edit_list(doc, status, "conditions");

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_streq(cox_node_cstr(COX_GET(cox_node_at(list, i), "type"), ""), type))
			return cox_list_edit(doc, list, i);
	struct cox_node *condition = cox_doc_map(doc);
	cox_map_put_cstr(doc, condition, "type", type);
	cox_list_push(doc, list, condition);
	return condition;
}

bool ks_condition_set(struct kubesim *sim, struct cox_doc *doc, struct cox_node *status,
		      const char *type, const char *value, const char *reason, const char *message,
		      bool with_update_time)
{
	struct cox_node *c = ks_condition(doc, status, type);
	bool flips = !cox_streq(cox_node_cstr(COX_GET(c, "status"), ""), value);

	if (!flips && cox_streq(cox_node_cstr(COX_GET(c, "reason"), ""), reason ? reason : "") &&
	    cox_streq(cox_node_cstr(COX_GET(c, "message"), ""), message ? message : ""))
		return false;
	cox_map_put_cstr(doc, c, "status", value);
	if (with_update_time)
		ks_put_now(sim, doc, c, "lastUpdateTime");
	if (flips)
		ks_put_now(sim, doc, c, "lastTransitionTime");
	cox_map_put_cstr(doc, c, "reason", reason);
	cox_map_put_cstr(doc, c, "message", message);
	return true;
}

int64_t ks_int_or_percent(const struct cox_node *node, int64_t n, bool up, int64_t otherwise)
{
	const char *text = cox_node_cstr(node, NULL);

	if (!text)
		return cox_node_int(node, otherwise);
	int64_t percent = strtoll(text, NULL, 10);
	return (percent * n + (up ? 99 : 0)) / 100;
}

void ks_put_count(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t n)
{
	if (n)
		cox_map_put_int(doc, map, key, n);
	else
		cox_map_drop(doc, map, cox_str(key));
}

bool ks_pod_is_ready(const struct cox_node *pod)
{
	COX_DOC_LIST_EACH (COX_GET(pod, "status", "conditions"), i, c) {
		if (cox_streq(cox_node_cstr(COX_GET(c, "type"), ""), "Ready"))
			return cox_streq(cox_node_cstr(COX_GET(c, "status"), ""), "True");
	}
	return false;
}

bool ks_pod_is_active(const struct cox_node *pod)
{
	const char *phase = cox_node_cstr(COX_GET(pod, "status", "phase"), "");

	return !cox_streq(phase, "Succeeded") && !cox_streq(phase, "Failed") &&
	       !cox_meta_is_deleting(pod);
}

/* ---- events ---- */

#define EVENTS_MAX 1000

static void forget_oldest_event(struct kubesim *sim, struct ks_shelf *shelf)
{
	size_t oldest = 0;

	if (shelf->n < EVENTS_MAX)
		return;
	for (size_t i = 1; i < shelf->n; i++)
		if (shelf->items[i].rv < shelf->items[oldest].rv)
			oldest = i;
	ks_store_delete(&sim->store, shelf, shelf->items[oldest].key);
}

void ks_tell(struct kubesim *sim, const struct cox_node *object, const char *component,
	     const char *reason, const char *format, ...)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("event");
	_cleanup_buf_ struct cox_buf message = COX_BUF_INIT;
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(object));
	struct cox_node *event = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	struct cox_node *about = cox_doc_map(doc), *source = cox_doc_map(doc);
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&message, format, args);
	va_end(args);
	forget_oldest_event(sim, ks_kind_of(sim, "", "Event")->shelf);
	cox_map_put(doc, metadata, "name",
		    cox_doc_stringf(doc, "%.*s.%llx", COX_STR_ARG(cox_meta_name(object)),
				    (unsigned long long)cox_rng_next(&sim->rng)));
	cox_map_put(doc, about, "kind", cox_doc_string(doc, cox_meta_kind(object)));
	cox_map_put(doc, about, "apiVersion", cox_doc_string(doc, cox_meta_api_version(object)));
	cox_map_put_cstr(doc, about, "namespace", ns);
	cox_map_put(doc, about, "name", cox_doc_string(doc, cox_meta_name(object)));
	cox_map_put(doc, about, "uid", cox_doc_string(doc, cox_meta_uid(object)));
	cox_map_put(doc, about, "resourceVersion",
		    cox_doc_string(doc, cox_meta_resource_version(object)));
	cox_map_put_cstr(doc, source, "component", component);
	cox_map_put(doc, event, "metadata", metadata);
	cox_map_put(doc, event, "involvedObject", about);
	cox_map_put(doc, event, "source", source);
	cox_map_put_cstr(doc, event, "reportingComponent", component);
	cox_map_put_cstr(doc, event, "reason", reason);
	cox_map_put_cstr(doc, event, "message", cox_buf_cstr(&message));
	cox_map_put_cstr(doc, event, "type", "Normal");
	cox_map_put_int(doc, event, "count", 1);
	ks_put_now(sim, doc, event, "firstTimestamp");
	ks_put_now(sim, doc, event, "lastTimestamp");
	ks_controller_create(sim, "", "Event", ns, event);
}

/* ---- pods ---- */

int ks_pod_create(struct kubesim *sim, const struct cox_node *owner,
		  const struct cox_node *template, const char *name, const char *hash_label,
		  const char *hash, const char *component)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("pod");
	struct cox_node *pod = cox_doc_clone(doc, template);
	struct cox_node *metadata = cox_map_edit_map(doc, pod, "metadata");
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(owner));
	_cleanup_free_ char *generated = NULL;
	char suffix[6];

	cox_map_drop(doc, metadata, COX_STR("creationTimestamp"));
	if (!name) {
		ks_suffix(sim, suffix, 5);
		cox_map_put(doc, metadata, "generateName",
			    cox_doc_stringf(doc, "%.*s-", COX_STR_ARG(cox_meta_name(owner))));
		name = generated =
			cox_asprintf("%.*s-%s", COX_STR_ARG(cox_meta_name(owner)), suffix);
	}
	cox_map_put_cstr(doc, metadata, "name", name);
	if (hash_label)
		cox_map_put_cstr(doc, cox_map_edit_map(doc, metadata, "labels"), hash_label, hash);
	ks_put_owner(doc, pod, owner);
	int status = ks_controller_create(sim, "", "Pod", ns, pod);
	if (status < 300)
		ks_tell(sim, owner, component, "SuccessfulCreate", "Created pod: %s", name);
	return status;
}

void ks_pod_delete(struct kubesim *sim, const struct cox_node *owner, const struct cox_node *pod,
		   const char *component)
{
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(pod));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(pod));

	ks_controller_delete(sim, "", "Pod", ns, name, "Background");
	ks_tell(sim, owner, component, "SuccessfulDelete", "Deleted pod: %s", name);
}
