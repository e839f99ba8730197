/* Which kinds are served: the legacy documents of each group and the aggregated one, and /version.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api */
#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "tests/kubesim/api.h"

#include <stdio.h>

#define ALL_VERBS "create,delete,deletecollection,get,list,patch,update,watch"

static void put_words(struct cox_doc *doc, struct cox_node *map, const char *key, const char *words)
{
	struct cox_node *list = cox_doc_list(doc);
	struct cox_str rest = cox_str(words), word;

	if (!*words)
		return;
	while (cox_str_split(&rest, ',', &word))
		cox_list_push(doc, list, cox_doc_string(doc, word));
	cox_map_put(doc, map, key, list);
}

static const char *verbs_of(const struct ks_kind *kind)
{
	if (kind->flags & KS_READ_ONLY)
		return "get,list";
	if (kind->flags & KS_CREATE_ONLY)
		return "create";
	if (kind->flags & KS_NO_COLLECTION)
		return "create,delete,get,list,patch,update,watch";
	return kind->custom ? "delete,deletecollection,get,list,patch,create,update,watch"
			    : ALL_VERBS;
}

/* The first eight bytes of SHA-256 of "group/version/kind", as the API server makes it. */
static void put_hash(struct cox_doc *doc, struct cox_node *map, const struct ks_kind *kind)
{
	_cleanup_free_ char *text =
		cox_asprintf("%s/%s/%s", kind->names.group, kind->version, kind->names.kind);
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	uint8_t digest[COX_SHA256_BYTES];

	cox_sha256(cox_str(text), digest);
	cox_base64_encode(&out, digest, 8);
	cox_map_put_cstr(doc, map, "storageVersionHash", out.ptr);
}

/* ---- legacy ---- */

static void push_resource(struct cox_doc *doc, struct cox_node *list, const char *name,
			  const char *singular, bool namespaced, const char *kind,
			  const char *verbs, const char *group, const char *version,
			  struct cox_node **ret_entry)
{
	struct cox_node *r = cox_doc_map(doc);

	cox_map_put_cstr(doc, r, "name", name);
	cox_map_put_cstr(doc, r, "singularName", singular);
	cox_map_put_bool(doc, r, "namespaced", namespaced);
	if (*group)
		cox_map_put_cstr(doc, r, "group", group);
	if (*version)
		cox_map_put_cstr(doc, r, "version", version);
	cox_map_put_cstr(doc, r, "kind", kind);
	put_words(doc, r, "verbs", verbs);
	cox_list_push(doc, list, r);
	if (ret_entry)
		*ret_entry = r;
}

static void push_kind(struct cox_doc *doc, struct cox_node *list, const struct ks_kind *kind)
{
	static const struct {
		unsigned flag;
		const char *name, *group, *version, *kind;
	} subs[] = {{KS_STATUS, "status", "", "", NULL},
		    {KS_SCALE, "scale", "autoscaling", "v1", "Scale"}};
	struct cox_node *entry;
	bool namespaced = kind->flags & KS_NAMESPACED;

	push_resource(doc, list, kind->names.resource, kind->custom ? kind->singular : "",
		      namespaced, kind->names.kind, verbs_of(kind), "", "", &entry);
	put_words(doc, entry, "shortNames", kind->short_names);
	put_words(doc, entry, "categories", kind->categories);
	if (!(kind->flags & (KS_READ_ONLY | KS_CREATE_ONLY)))
		put_hash(doc, entry, kind);
	for (size_t i = 0; i < COX_ARRAY_LEN(subs); i++) {
		_cleanup_free_ char *name =
			cox_asprintf("%s/%s", kind->names.resource, subs[i].name);
		if (kind->flags & subs[i].flag)
			push_resource(doc, list, name, "", namespaced,
				      subs[i].kind ? subs[i].kind : kind->names.kind,
				      "get,patch,update", subs[i].group, subs[i].version, NULL);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct cox_node *x = *(const struct cox_node *const *)a;
	const struct cox_node *y = *(const struct cox_node *const *)b;

	return cox_str_compare(cox_node_str(COX_GET(x, "name")), cox_node_str(COX_GET(y, "name")));
}

static struct cox_node *sorted(struct cox_doc *doc, const struct cox_node *list)
{
	COX_VEC(const struct cox_node *) items = {0};
	struct cox_node *out = cox_doc_list(doc);

	for (size_t i = 0; i < cox_node_len(list); i++)
		cox_vec_push(&items, cox_node_at(list, i));
	cox_vec_sort(&items, by_name);
	COX_VEC_EACH (&items, item)
		cox_list_push(doc, out, *item);
	cox_vec_fini(&items);
	return out;
}

static void resource_list(struct kubesim *sim, struct cox_str group, struct cox_str version,
			  struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("resources");
	struct cox_node *root = cox_doc_map(doc), *list = cox_doc_list(doc);
	const char *group_version = NULL;
	bool custom = false;

	for (size_t i = 0; i < sim->kinds.n; i++) {
		const struct ks_kind *kind = sim->kinds.items[i];
		if (!cox_str_is(group, kind->names.group) || !cox_str_is(version, kind->version))
			continue;
		group_version = kind->api_version;
		custom = custom || kind->custom;
		push_kind(doc, list, kind);
	}
	for (const struct ks_extra *e = ks_extras; e->name; e++)
		if (cox_streq(e->group_version, group_version))
			push_resource(doc, list, e->name, "", e->namespaced, e->kind, e->verbs,
				      e->group, e->version, NULL);
	cox_map_put_cstr(doc, root, "kind", "APIResourceList");
	if (group.len)
		cox_map_put_cstr(doc, root, "apiVersion", "v1");
	cox_map_put_cstr(doc, root, "groupVersion", group_version);
	cox_map_put(doc, root, "resources", custom ? list : sorted(doc, list));
	ks_respond(response, 200, root);
}

static struct cox_node *group_node(struct cox_doc *doc, struct kubesim *sim, const char *group)
{
	struct cox_node *map = cox_doc_map(doc), *versions = cox_doc_list(doc);
	const char *last = NULL;

	for (size_t i = 0; i < sim->kinds.n; i++) {
		const struct ks_kind *kind = sim->kinds.items[i];
		if (!cox_streq(kind->names.group, group) || cox_streq(kind->api_version, last))
			continue;
		bool seen = false;
		for (size_t v = 0; v < cox_node_len(versions); v++)
			seen = seen || cox_streq(cox_node_cstr(COX_GET(cox_node_at(versions, v),
								       "groupVersion"),
							       ""),
						 kind->api_version);
		last = kind->api_version;
		if (seen)
			continue;
		struct cox_node *v = cox_doc_map(doc);
		cox_map_put_cstr(doc, v, "groupVersion", kind->api_version);
		cox_map_put_cstr(doc, v, "version", kind->version);
		cox_list_push(doc, versions, v);
	}
	cox_map_put_cstr(doc, map, "name", group);
	cox_map_put(doc, map, "versions", versions);
	cox_map_put(doc, map, "preferredVersion", cox_node_at(versions, 0));
	return map;
}

static void group_list(struct kubesim *sim, struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("groups");
	_cleanup_map_ struct cox_map seen = COX_MAP_INIT;
	struct cox_node *root = cox_doc_map(doc), *list = cox_doc_list(doc);

	for (size_t i = 0; i < sim->kinds.n; i++) {
		const char *group = sim->kinds.items[i]->names.group;
		if (*group && !cox_map_set(&seen, group, &seen))
			cox_list_push(doc, list, group_node(doc, sim, group));
	}
	cox_map_put_cstr(doc, root, "kind", "APIGroupList");
	cox_map_put_cstr(doc, root, "apiVersion", "v1");
	cox_map_put(doc, root, "groups", list);
	ks_respond(response, 200, root);
}

static void one_group(struct kubesim *sim, const char *group, struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("group");
	struct cox_node *root = group_node(doc, sim, group);

	cox_map_put_cstr(doc, root, "kind", "APIGroup");
	cox_map_put_cstr(doc, root, "apiVersion", "v1");
	ks_respond(response, 200, root);
}

static void core_versions(struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("versions");
	struct cox_node *root = cox_doc_map(doc), *list = cox_doc_list(doc);
	struct cox_node *address = cox_doc_map(doc);

	cox_map_put_cstr(doc, root, "kind", "APIVersions");
	put_words(doc, root, "versions", "v1");
	cox_map_put_cstr(doc, address, "clientCIDR", "0.0.0.0/0");
	cox_map_put_cstr(doc, address, "serverAddress", "");
	cox_list_push(doc, list, address);
	cox_map_put(doc, root, "serverAddressByClientCIDRs", list);
	ks_respond(response, 200, root);
}

/* ---- aggregated ---- */

static struct cox_node *response_kind(struct cox_doc *doc, const char *group, const char *version,
				      const char *kind)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "group", group);
	cox_map_put_cstr(doc, map, "version", version);
	cox_map_put_cstr(doc, map, "kind", kind);
	return map;
}

static void push_sub(struct cox_doc *doc, struct cox_node *list, const char *name,
		     struct cox_node *kind, const char *verbs)
{
	struct cox_node *sub = cox_doc_map(doc);

	cox_map_put_cstr(doc, sub, "subresource", name);
	cox_map_put(doc, sub, "responseKind", kind);
	put_words(doc, sub, "verbs", verbs);
	cox_list_push(doc, list, sub);
}

static struct cox_node *discovered(struct cox_doc *doc, const struct ks_kind *k)
{
	struct cox_node *r = cox_doc_map(doc), *subs = cox_doc_list(doc);

	cox_map_put_cstr(doc, r, "resource", k->names.resource);
	cox_map_put(doc, r, "responseKind",
		    response_kind(doc, k->names.group, k->version, k->names.kind));
	cox_map_put_cstr(doc, r, "scope", k->flags & KS_NAMESPACED ? "Namespaced" : "Cluster");
	cox_map_put_cstr(doc, r, "singularResource", k->singular);
	put_words(doc, r, "verbs", verbs_of(k));
	put_words(doc, r, "shortNames", k->short_names);
	put_words(doc, r, "categories", k->categories);
	if (k->flags & KS_STATUS)
		push_sub(doc, subs, "status",
			 response_kind(doc, k->names.group, k->version, k->names.kind),
			 "get,patch,update");
	if (k->flags & KS_SCALE)
		push_sub(doc, subs, "scale", response_kind(doc, "autoscaling", "v1", "Scale"),
			 "get,patch,update");
	size_t n = strlen(k->names.resource);
	for (const struct ks_extra *e = ks_extras; e->name; e++)
		if (cox_streq(e->group_version, k->api_version) &&
		    strncmp(e->name, k->names.resource, n) == 0 && e->name[n] == '/')
			push_sub(doc, subs, e->name + n + 1,
				 response_kind(doc, e->group, *e->version ? e->version : "v1",
					       e->kind),
				 e->verbs);
	if (cox_node_len(subs))
		cox_map_put(doc, r, "subresources", subs);
	return r;
}

static void aggregated(struct kubesim *sim, bool core, const char *version,
		       struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("discovery");
	_cleanup_map_ struct cox_map groups = COX_MAP_INIT, versions = COX_MAP_INIT;
	struct cox_node *root = cox_doc_map(doc), *items = cox_doc_list(doc);

	for (size_t i = 0; i < sim->kinds.n; i++) {
		const struct ks_kind *k = sim->kinds.items[i];
		if (core != !*k->names.group)
			continue;
		struct cox_node *list = cox_map_get(&groups, k->names.group);
		if (!list) {
			struct cox_node *item = cox_doc_map(doc), *metadata = cox_doc_map(doc);
			cox_map_put_cstr(doc, metadata, "name", k->names.group);
			cox_map_put(doc, metadata, "creationTimestamp", cox_doc_null(doc));
			cox_map_put(doc, item, "metadata", metadata);
			list = cox_doc_list(doc);
			cox_map_put(doc, item, "versions", list);
			cox_list_push(doc, items, item);
			cox_map_set(&groups, k->names.group, list);
		}
		struct cox_node *resources = cox_map_get(&versions, k->api_version);
		if (!resources) {
			struct cox_node *v = cox_doc_map(doc);
			resources = cox_doc_list(doc);
			cox_map_put_cstr(doc, v, "version", k->version);
			cox_map_put(doc, v, "resources", resources);
			cox_map_put_cstr(doc, v, "freshness", "Current");
			cox_list_push(doc, list, v);
			cox_map_set(&versions, k->api_version, resources);
		}
		cox_list_push(doc, resources, discovered(doc, k));
	}
	cox_map_put_cstr(doc, root, "kind", "APIGroupDiscoveryList");
	cox_map_put(doc, root, "apiVersion",
		    cox_doc_stringf(doc, "apidiscovery.k8s.io/%s", version));
	cox_map_put(doc, root, "metadata", cox_doc_map(doc));
	cox_map_put(doc, root, "items", items);
	ks_respond(response, 200, root);
	response->content_type =
		cox_streq(version, "v2")
			? "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
			: "application/json;g=apidiscovery.k8s.io;v=v2beta1;as="
			  "APIGroupDiscoveryList";
}

/* The version of the aggregated form that the client would like best; NULL: the legacy form. */
static const char *wants_aggregated(const char *accept)
{
	struct cox_str rest = cox_str(accept ? accept : ""), item;

	while (rest.len && cox_str_split(&rest, ',', &item)) {
		if (!memmem(item.ptr, item.len, "g=apidiscovery.k8s.io", 21)) {
			if (memmem(item.ptr, item.len, "json", 4))
				return NULL;
			continue;
		}
		return memmem(item.ptr, item.len, "v=v2beta1", 9) ? "v2beta1" : "v2";
	}
	return NULL;
}

static void version_info(struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("version");
	static const char *const rows[][2] = {
		{"major", "1"},	   {"minor", "26"},	      {"gitVersion", "v1.26.0+kubesim"},
		{"gitCommit", ""}, {"gitTreeState", "clean"}, {"buildDate", "2026-01-01T00:00:00Z"},
		{"goVersion", ""}, {"compiler", "gcc"},	      {"platform", "linux/amd64"}};
	struct cox_node *root = cox_doc_map(doc);

	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++)
		cox_map_put_cstr(doc, root, rows[i][0], rows[i][1]);
	ks_respond(response, 200, root);
}

static void paths(struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("paths");
	struct cox_node *root = cox_doc_map(doc);

	put_words(doc, root, "paths",
		  "/api,/api/v1,/apis,/healthz,/livez,/openapi/v2,/openapi/v3,/readyz,/version");
	ks_respond(response, 200, root);
}

bool ks_discovery(struct kubesim *sim, const char *path, const char *accept,
		  struct kubesim_response *ret_response)
{
	const char *version = wants_aggregated(accept);
	char group[256], number[64];

	if (cox_streq(path, "/version") || cox_streq(path, "/version/")) {
		version_info(ret_response);
	} else if (cox_streq(path, "/")) {
		paths(ret_response);
	} else if (cox_streq(path, "/api") || cox_streq(path, "/api/")) {
		if (version)
			aggregated(sim, true, version, ret_response);
		else
			core_versions(ret_response);
	} else if (cox_streq(path, "/apis") || cox_streq(path, "/apis/")) {
		if (version)
			aggregated(sim, false, version, ret_response);
		else
			group_list(sim, ret_response);
	} else if (cox_streq(path, "/api/v1") || cox_streq(path, "/api/v1/")) {
		resource_list(sim, COX_STR(""), COX_STR("v1"), ret_response);
	} else if (sscanf(path, "/apis/%255[^/]/%63[^/]", group, number) == 2) {
		if (!ks_kinds_has_group(&sim->kinds, cox_str(group), cox_str(number)))
			return false;
		resource_list(sim, cox_str(group), cox_str(number), ret_response);
	} else if (sscanf(path, "/apis/%255[^/]", group) == 1) {
		if (!ks_kinds_has_group(&sim->kinds, cox_str(group), (struct cox_str){0}))
			return false;
		one_group(sim, group, ret_response);
	} else {
		return ks_openapi(sim, path, accept, ret_response);
	}
	return true;
}
