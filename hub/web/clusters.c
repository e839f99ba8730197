/* Clusters: making one known, and what its agent needs to join. */
#include "common/base/clock.h"
#include "common/crypto/digest.h"
#include "hub/model/kind.h"
#include "hub/web/internal.h"

#define TOKEN_TTL_MS (10 * 60 * 1000)

static void reply_token(struct web_call *call, struct hub_batch *batch, const char *cluster,
			int64_t ttl_ms)
{
	struct hub_fleet *fleet = hub_control_fleet(call->web->control);
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("token");
	struct cox_node *map = cox_doc_map(doc);
	char token[COX_TOKEN_TEXT], expires[COX_TIME_TEXT_MAX];
	struct cox_error err = COX_ERROR_INIT;
	int64_t expires_ms;

	if (hub_fleet_token(fleet, batch, cluster, ttl_ms, token, &expires_ms, &err) < 0) {
		/* The Cluster that may be in the batch is in memory already. */
		hub_store_commit(hub_control_store(call->web->control), batch);
		web_reply_error(call->request, &err);
		return;
	}
	cox_time_format(expires_ms, expires);
	cox_map_put_cstr(doc, map, "cluster", cluster);
	cox_map_put_cstr(doc, map, "token", token);
	cox_map_put_cstr(doc, map, "expires", expires);
	cox_map_put_cstr(doc, map, "caPin", hub_fleet_ca_pin(fleet));
	cox_map_put_cstr(doc, map, "hub",
			 call->web->options.advertise ? call->web->options.advertise
						      : hub_fleet_address(fleet));
	web_reply_after(call, batch, 200, map);
	cox_wipe(token, sizeof(token));
}

/* -1: refused, and said so. */
static int64_t ttl_of(struct web_call *call)
{
	const char *text = cox_http_query(call->request, "ttl");
	struct cox_error err = COX_ERROR_INIT;
	int64_t ttl_ms = TOKEN_TTL_MS;

	if (text && cox_duration_parse(cox_str(text), &ttl_ms, &err) < 0) {
		cox_error_wrap(&err, "ttl");
		web_reply_error(call->request, &err);
		return -1;
	}
	return ttl_ms < 0 ? 0 : ttl_ms;
}

void web_cluster_token(struct web_call *call)
{
	int64_t ttl_ms = ttl_of(call);

	if (ttl_ms >= 0)
		reply_token(call, hub_batch_new(), call->vars[0], ttl_ms);
}

/* The Cluster that the body asks for, over what is there: what it does not name stays. */
static struct cox_doc *cluster_of(struct web_call *call, const struct cox_node *body)
{
	const char *name = cox_node_cstr(cox_node_get(body, "name"), "");
	struct cox_doc *doc = cox_doc_new(name);
	struct cox_node *root = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	_cleanup_doc_ struct cox_doc *old = NULL;
	const struct cox_node *have = NULL, *labels = cox_node_get(body, "labels");
	struct cox_node *spec;

	if (hub_control_get(call->web->control, HUB_CLUSTER, NULL, name, &old, NULL) == 0)
		have = cox_doc_root(old);
	cox_map_put_cstr(doc, root, "apiVersion", hub_kind_info(HUB_CLUSTER)->api_version);
	cox_map_put_cstr(doc, root, "kind", hub_kind_info(HUB_CLUSTER)->name);
	if (have)
		metadata = cox_doc_clone(doc, cox_node_get(have, "metadata"));
	cox_map_put_cstr(doc, metadata, "name", name);
	if (labels)
		cox_map_put(doc, metadata, "labels", cox_doc_clone(doc, labels));
	spec = cox_node_is(COX_GET(have, "spec"), COX_MAP)
		       ? cox_doc_clone(doc, cox_node_get(have, "spec"))
		       : cox_doc_map(doc);
	cox_map_put_cstr(doc, spec, "server", cox_node_cstr(cox_node_get(body, "server"), NULL));
	cox_map_put(doc, root, "metadata", metadata);
	cox_map_put(doc, root, "spec", spec);
	cox_doc_set_root(doc, root);
	return cox_doc_seal(doc);
}

void web_cluster_add(struct web_call *call)
{
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	_cleanup_doc_ struct cox_doc *body = NULL, *cluster = NULL;
	struct cox_error err = COX_ERROR_INIT;
	enum hub_applied applied;
	int64_t ttl_ms = ttl_of(call);
	int r;

	if (ttl_ms < 0)
		return;
	r = web_body(call, &body, &err);
	if (r == 0) {
		cluster = cluster_of(call, cox_doc_root(body));
		r = hub_control_apply(call->web->control, batch, cluster, &applied, &err);
	}
	if (r < 0) {
		web_reply_error(call->request, &err);
		return;
	}
	reply_token(call, TAKE(batch), hub_object_name(cox_doc_root(cluster)), ttl_ms);
}
