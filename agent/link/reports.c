/* Observed state out: Reports.Report. A report is built when it can be sent, never before: what
 * changes meanwhile goes with it, and nothing queues twice. */
#include "agent/link/internal.h"

#include "common/base/file.h"
#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#define PULSE_MS 60000

typedef Coxswain__Report__V1__ReportRequest request_msg;
typedef Coxswain__Report__V1__ReportResponse response_msg;

/* Private memory of this process, from smaps_rollup; 0 when it cannot be read. */
static uint64_t private_bytes(void)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	static const char *const fields[] = {"Private_Dirty:", "Private_Clean:"};
	uint64_t kib = 0;

	if (cox_file_read("/proc/self/smaps_rollup", 16384, &text, NULL) < 0)
		return 0;
	for (size_t i = 0; i < COX_ARRAY_LEN(fields); i++) {
		const char *at = strstr(cox_buf_cstr(&text), fields[i]);

		if (at)
			kib += strtoull(at + strlen(fields[i]), NULL, 10);
	}
	return kib * 1024;
}

static void send_cluster(struct agent_link *link)
{
	request_msg request = COXSWAIN__REPORT__V1__REPORT_REQUEST__INIT;
	Coxswain__Report__V1__ClusterReport body = COXSWAIN__REPORT__V1__CLUSTER_REPORT__INIT;
	struct agent_configuration configuration;
	struct utsname name;
	char platform[160] = "linux";

	if (uname(&name) == 0)
		snprintf(platform, sizeof(platform), "linux/%s", name.machine);
	agent_engine_configuration(link->engine, &configuration);
	memcpy(link->told_configuration, configuration.in_force, COX_SHA256_BYTES);
	free(link->told_error);
	link->told_error = cox_strdup(agent_engine_api_error(link->engine));
	body.kubernetes_version = (char *)agent_engine_api_version(link->engine);
	body.agent_version = (char *)COX_VERSION;
	body.platform = platform;
	body.memory_bytes = private_bytes();
	body.api_error = link->told_error;
	body.configuration_digest.data = link->told_configuration;
	body.configuration_digest.len = COX_SHA256_BYTES;
	body.configuration_error = (char *)configuration.error;
	request.body_case = COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_CLUSTER;
	request.cluster = &body;
	cox_rpc_call_send(link->reports, &request.base, NULL);
}

void agent_reports_configured(struct agent_link *link)
{
	struct agent_configuration configuration;

	if (!link->reports || !link->up)
		return;
	agent_engine_configuration(link->engine, &configuration);
	if (*configuration.error ||
	    memcmp(link->told_configuration, configuration.in_force, COX_SHA256_BYTES) != 0)
		send_cluster(link);
}

/* false: the call takes no more now. */
static bool send_application(struct agent_link *link, const char *uid)
{
	struct cox_arena arena = COX_ARENA_INIT(0);
	request_msg request = COXSWAIN__REPORT__V1__REPORT_REQUEST__INIT;
	Coxswain__Report__V1__ApplicationReport body;
	struct cox_error err = COX_ERROR_INIT;
	bool full = cox_map_remove(&link->full, uid) != NULL;
	int code = 0;

	if (agent_engine_report(link->engine, uid, full, &arena, &body) > 0) {
		request.body_case = COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_APPLICATION;
		request.application = &body;
		code = cox_rpc_call_send(link->reports, &request.base, &err);
	}
	cox_arena_fini(&arena);
	if (code < 0) {
		cox_log_warn("cannot send a report", COX_KV("uid", uid), COX_KV_ERROR(&err));
		cox_map_set(&link->full, uid, link);
	}
	return code == 0;
}

void agent_reports_pump(void *arg)
{
	struct agent_link *link = arg;

	if (!link->reports || !link->up)
		return;
	if (!cox_streq(link->told_error, agent_engine_api_error(link->engine)))
		send_cluster(link);
	while (link->dirty.n && cox_rpc_call_is_writable(link->reports)) {
		_cleanup_free_ char *uid = NULL;

		COX_MAP_EACH (&link->dirty, slot) {
			uid = cox_strdup(slot->key);
			break;
		}
		cox_map_remove(&link->dirty, uid);
		if (!send_application(link, uid))
			return;
	}
}

void agent_link_changed(struct agent_link *link, const char *app_uid)
{
	if (!link->reports)
		return; /* the next connection begins with everything */
	cox_map_set(&link->dirty, app_uid, link);
	cox_loop_send(link->o.loop, &link->pump);
}

static void report_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent_link *link = cox_rpc_call_user(call);
	const response_msg *r = (const response_msg *)msg;

	if (r->want_full) {
		cox_map_set(&link->full, r->app_uid, link);
		agent_link_changed(link, r->app_uid);
		return;
	}
	agent_engine_reported(link->engine, r->app_uid, r->sequence);
}

static void report_writable(struct cox_rpc_call *call)
{
	agent_reports_pump(cox_rpc_call_user(call));
}

static void report_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct agent_link *link = cox_rpc_call_user(call);

	link->reports = NULL;
	if (link->up && !link->stopping) {
		cox_log_warn("the hub ended the reports", COX_KV("error", status->message));
		cox_rpc_conn_close(link->conn, COX_GOAWAY_SHUTDOWN, "reports ended");
	}
}

static const struct cox_rpc_call_events events = {
	.on_message = report_message, .on_writable = report_writable, .on_end = report_end};

static void mark_full(void *ctx, const char *uid)
{
	struct agent_link *link = ctx;

	cox_map_set(&link->full, uid, link);
	cox_map_set(&link->dirty, uid, link);
}

static void pulse(void *arg)
{
	struct agent_link *link = arg;

	if (!link->reports)
		return;
	send_cluster(link);
	cox_timer_start(&link->pulse, PULSE_MS);
}

int agent_reports_start(struct agent_link *link, struct cox_error *err)
{
	struct cox_rpc_call_options options = {
		.kind = COX_RPC_BIDI, .lane = COX_LANE_REPORT, .endless = true};
	int code = cox_rpc_call_start(link->conn, &coxswain__report__v1__reports__descriptor,
				      "Report", &options, &events, link, &link->reports, err);

	if (code < 0)
		return code;
	cox_timer_init(&link->pulse, link->o.loop, pulse, link);
	cox_timer_start(&link->pulse, PULSE_MS);
	send_cluster(link);
	agent_engine_each_app(link->engine, mark_full, link);
	agent_reports_pump(link);
	return 0;
}

void agent_reports_down(struct agent_link *link)
{
	link->reports = NULL;
	cox_timer_stop(&link->pulse);
	cox_loop_unsend(link->o.loop, &link->pump);
	cox_map_fini(&link->dirty);
	cox_map_fini(&link->full);
	free(link->told_error);
	link->told_error = NULL;
}
