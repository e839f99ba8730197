/* The hub itself: is it alive, what is it, figures. */
#include "hub/model/kind.h"
#include "hub/web/internal.h"

#include <inttypes.h>

void web_healthy(struct web_call *call)
{
	cox_http_reply(call->request, 200, "text/plain", COX_STR("ok\n"));
}

/* Ready means: what is promised can be kept, so the store answers. */
static void ready_durable(void *arg)
{
	struct cox_http_request **request = arg;

	if (*request)
		cox_http_reply(*request, 200, "text/plain", COX_STR("ok\n"));
}

static void ready_gone(void *arg)
{
	*(struct cox_http_request **)arg = NULL;
}

void web_ready(struct web_call *call)
{
	struct hub_batch *batch = hub_batch_new();
	struct cox_http_request **slot = cox_malloc(sizeof(*slot));

	*slot = call->request;
	cox_http_on_gone(call->request, ready_gone, slot);
	hub_batch_after(batch, ready_durable, slot, free);
	hub_store_commit(hub_control_store(call->web->control), batch);
}

void web_version(struct web_call *call)
{
	struct hub_control *c = call->web->control;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("version");
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "version", COX_VERSION);
	cox_map_put_cstr(doc, map, "instance", hub_store_instance(hub_control_store(c)));
	cox_map_put_cstr(doc, map, "namespace", hub_control_namespace(c));
	cox_map_put_cstr(doc, map, "agents",
			 call->web->options.advertise ? call->web->options.advertise
						      : hub_fleet_address(hub_control_fleet(c)));
	web_reply_node(call->request, 200, map);
}

static void figure(struct cox_buf *out, const char *name, const char *type, const char *help,
		   uint64_t value)
{
	cox_buf_printf(out,
		       "# HELP coxswain_%s %s\n# TYPE coxswain_%s %s\ncoxswain_%s %" PRIu64 "\n",
		       name, help, name, type, name, value);
}

void web_metrics(struct web_call *call)
{
	struct hub_control *c = call->web->control;
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	struct hub_control_stats control;
	struct hub_fleet_stats fleet;
	struct hub_store_stats store;

	hub_control_stats(c, &control);
	hub_fleet_stats(hub_control_fleet(c), &fleet);
	hub_store_stats(hub_control_store(c), &store);
	cox_buf_puts(&out, "# HELP coxswain_objects objects that the hub keeps\n"
			   "# TYPE coxswain_objects gauge\n");
	for (int k = HUB_KIND_NONE + 1; k < HUB_N_KINDS; k++)
		cox_buf_printf(&out, "coxswain_objects{kind=\"%s\"} %zu\n", hub_kind_info(k)->name,
			       control.objects[k]);
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{"agents_connected", "gauge", "agents with a session",
		 hub_fleet_connected(hub_control_fleet(c))},
		{"rollouts_progressing", "gauge", "rollouts under way",
		 control.rollouts_progressing},
		{"queue_depth", "gauge", "keys that controllers have to look at", control.queued},
		{"renders_total", "counter", "renderings", control.renders},
		{"renders_reused_total", "counter",
		 "renderings that were not needed: what they read was the same",
		 control.renders_reused},
		{"render_failures_total", "counter", "renderings that failed",
		 control.render_failures},
		{"repository_looks_total", "counter", "fetches", control.resolves},
		{"repository_failures_total", "counter", "fetches that failed",
		 control.resolve_failures},
		{"changes_sent_total", "counter", "assignments and tombstones sent",
		 fleet.changes_sent},
		{"acks_total", "counter", "acknowledgements of agents", fleet.acks},
		{"reports_total", "counter", "reports of agents", fleet.reports},
		{"reports_stale_total", "counter", "reports without effect", fleet.reports_stale},
		{"bundles_sent_total", "counter", "bundles sent", fleet.bundles_sent},
		{"store_transactions_total", "counter", "transactions of the store",
		 store.transactions},
		{"store_batches_total", "counter", "batches committed", store.batches},
		{"http_requests_total", "counter", "requests to the API", call->web->requests},
	};
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++)
		figure(&out, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
	cox_http_reply_take(call->request, 200, "text/plain; version=0.0.4", &out);
}
