/* What is really there, without the agent: lookups, and judgements of our own. */
#include "tests/sim/agent/world.h"

#include "common/kube/meta.h"
#include "tests/kubesim/sim.h"

#include <stdlib.h>

const struct cox_node *sim_live(const char *key)
{
	struct cox_object_key k;

	if (cox_object_key_parse(cox_str(key), &k, NULL) < 0)
		return NULL;
	struct ks_kind *kind = ks_kinds_group_kind(&w.cluster->kinds, k.group, k.kind);
	_cleanup_free_ char *ns = cox_str_dup(k.namespace), *name = cox_str_dup(k.name);
	struct ks_object *o = kind ? ks_shelf_get(kind->shelf, *ns ? ns : NULL, name) : NULL;

	return o ? cox_doc_root(o->doc) : NULL;
}

int sim_ask(const char *method, const char *path, const char *content_type, const char *manager,
	    const char *body)
{
	_cleanup_free_ char *query =
		manager ? cox_asprintf("fieldManager=%s", manager) : cox_strdup("");
	const struct kubesim_request request = {.method = method,
						.path = path,
						.query = query,
						.content_type = content_type,
						.user_agent = "somebody",
						.body = cox_str(body)};
	struct kubesim_response response = {0};

	kubesim_handle(w.cluster, &request, &response);
	int status = response.status;

	kubesim_response_fini(&response);
	virtual_net_changed();
	sim_trace("somebody: %s %s %d", method, path, status);
	return status;
}

/* ---- paths ---- */

char *sim_key_of_path(const char *path)
{
	struct cox_str rest = cox_str(path), part, group = COX_STR(""), ns = COX_STR("");
	struct cox_str plural = COX_STR(""), name = COX_STR("");

	cox_str_split(&rest, '/', &part); /* before the first slash */
	cox_str_split(&rest, '/', &part);
	if (cox_str_is(part, "apis"))
		cox_str_split(&rest, '/', &group);
	else if (!cox_str_is(part, "api"))
		return NULL;
	cox_str_split(&rest, '/', &part); /* version */
	cox_str_split(&rest, '/', &plural);
	if (cox_str_is(plural, "namespaces") && memchr(rest.ptr ? rest.ptr : "", '/', rest.len)) {
		cox_str_split(&rest, '/', &ns);
		cox_str_split(&rest, '/', &plural);
	}
	cox_str_split(&rest, '/', &name);
	if (!name.len)
		return NULL;
	if (cox_str_is(group, "sim.example.com"))
		return cox_asprintf("sim.example.com/Widget%.*s/%.*s/%.*s", (int)plural.len - 7,
				    plural.ptr + 7, COX_STR_ARG(ns), COX_STR_ARG(name));
	for (size_t i = 0; i < SIM_KINDS; i++)
		if (cox_str_is(group, sim_kinds[i].group) &&
		    cox_str_is(plural, sim_kinds[i].plural))
			return cox_asprintf("%s/%s/%.*s/%.*s", sim_kinds[i].group,
					    sim_kinds[i].kind, COX_STR_ARG(ns), COX_STR_ARG(name));
	return NULL;
}

void sim_path_of(const struct sim_object *o, struct cox_buf *out)
{
	const struct sim_kind_info *info = &sim_kinds[o->kind];
	struct cox_object_key key;

	cox_buf_printf(out, "%s%s/%s/", *info->group ? "/apis/" : "/api", info->group,
		       info->version);
	if (info->namespaced)
		cox_buf_printf(out, "namespaces/%s/", o->namespace);
	if (o->kind == SIM_WIDGET && cox_object_key_parse(cox_str(o->key), &key, NULL) == 0)
		cox_buf_printf(out, "widgets%.*s/", (int)key.kind.len - 6, key.kind.ptr + 6);
	else
		cox_buf_printf(out, "%s/", info->plural);
	cox_buf_puts(out, o->name);
}

/* ---- judgements ---- */

bool sim_holds(const struct cox_node *live, const struct cox_node *wanted)
{
	if (!live || cox_node_kind(live) != cox_node_kind(wanted))
		return false;
	if (cox_node_is(wanted, COX_MAP)) {
		for (size_t i = 0; i < cox_node_len(wanted); i++)
			if (!sim_holds(cox_node_get_str(live, cox_node_key(wanted, i)),
				       cox_node_at(wanted, i)))
				return false;
		return true;
	}
	if (cox_node_is(wanted, COX_LIST)) {
		for (size_t i = 0; i < cox_node_len(wanted); i++)
			if (!sim_holds(cox_node_at(live, i), cox_node_at(wanted, i)))
				return false;
		return cox_node_len(live) == cox_node_len(wanted);
	}
	return cox_node_equal(live, wanted);
}

static bool has_condition(const struct cox_node *live, const char *type)
{
	const struct cox_node *list = COX_GET(live, "status", "conditions");

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_is(cox_node_str(COX_GET(cox_node_at(list, i), "type")), type) &&
		    cox_str_is(cox_node_str(COX_GET(cox_node_at(list, i), "status")), "True"))
			return true;
	return false;
}

/* At its current generation, by its own status. */
bool sim_is_healthy(const struct cox_node *live)
{
	struct cox_str kind = cox_meta_kind(live);
	const struct cox_node *status = cox_node_get(live, "status");

	if (!live)
		return false;
	if (cox_str_is(kind, "Deployment")) {
		int64_t want = cox_node_int(COX_GET(live, "spec", "replicas"), 1);
		int64_t updated = cox_node_int(COX_GET(status, "updatedReplicas"), 0);

		/* on the way down more than wanted are fine, as long as they are new */
		return cox_node_int(COX_GET(status, "observedGeneration"), 0) >=
			       cox_meta_generation(live) &&
		       updated >= want && cox_node_int(COX_GET(status, "replicas"), 0) == updated &&
		       cox_node_int(COX_GET(status, "availableReplicas"), 0) == updated;
	}
	if (cox_str_is(kind, "Job"))
		return has_condition(live, "Complete");
	if (cox_str_is(kind, "CustomResourceDefinition"))
		return has_condition(live, "Established");
	return true;
}

bool sim_is_marked(const struct cox_node *live, const struct sim_app *app)
{
	struct cox_object_key key = cox_object_key_of(live);
	struct cox_str tracking = cox_meta_annotation(live, "argocd.argoproj.io/tracking-id");
	_cleanup_free_ char *wanted = cox_asprintf(
		"%s:%.*s/%.*s:%.*s/%.*s", app->name, COX_STR_ARG(key.group), COX_STR_ARG(key.kind),
		COX_STR_ARG(key.namespace), COX_STR_ARG(key.name));

	return cox_str_is(cox_meta_annotation(live, "coxswain.dev/app-uid"), app->uid) &&
	       cox_str_is(tracking, wanted);
}
