/* cox-hub: builds the parts, connects them, and runs the loop. */
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/options.h"
#include "common/doc/yaml.h"
#include "hub/control/control.h"
#include "hub/web/web.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#define STOP_MS	  15000
#define BROKEN_MS 200 /* for the last answers, which say why */

struct config {
	char *state, *agents, *http, *namespace, *in_cluster, *config, *log_level, *log_format;
	char *advertise, *http_cert, *http_key;
	cox_strings allow_net, agents_names;
	bool allow_file_repos, restored;
	int64_t poll_ms, agent_cert_ms, pending_per_address, join_interval_ms, join_burst;
	int64_t starts_per_minute, agents_grace_ms;
};

#define AT(field) offsetof(struct config, field)

static const struct cox_option rows[] = {
	{"state", 'd', COX_OPT_STRING, AT(state), "DIR", "where the hub keeps what must survive"},
	{"agents", 0, COX_OPT_STRING, AT(agents), "HOST:PORT", "where agents connect; port 0: any",
	 "127.0.0.1:8443"},
	{"http", 0, COX_OPT_STRING, AT(http), "HOST:PORT", "where the API listens; port 0: any",
	 "127.0.0.1:8080"},
	{"http-cert", 0, COX_OPT_STRING, AT(http_cert), "FILE",
	 "certificate chain of the API, PEM; without: plain HTTP"},
	{"http-key", 0, COX_OPT_STRING, AT(http_key), "FILE", "its key, PEM"},
	{"advertise", 0, COX_OPT_STRING, AT(advertise), "HOST:PORT",
	 "where agents reach the hub, if that is not --agents"},
	{"agents-name", 0, COX_OPT_LIST, AT(agents_names), "NAME",
	 "another DNS name or address in the hub's certificate for agents"},
	{"namespace", 'n', COX_OPT_STRING, AT(namespace), "NS",
	 "the home namespace of what names none", "argocd"},
	{"in-cluster", 0, COX_OPT_STRING, AT(in_cluster), "NAME",
	 "the cluster that https://kubernetes.default.svc and in-cluster mean"},
	{"allow-file-repos", 0, COX_OPT_BOOL, AT(allow_file_repos), NULL,
	 "permit file: repositories"},
	{"allow-net", 0, COX_OPT_LIST, AT(allow_net), "CIDR",
	 "permit connections to these private or local addresses for URLs that users choose"},
	{"poll", 0, COX_OPT_DURATION, AT(poll_ms), "DURATION",
	 "between two looks at a repository, plus up to a minute", "2m"},
	{"starts-per-minute", 0, COX_OPT_INT, AT(starts_per_minute), "N",
	 "so many targets of all rollouts may start in a minute; 0: no limit", "0"},
	{"agents-grace", 0, COX_OPT_DURATION, AT(agents_grace_ms), "DURATION",
	 "after a start nobody is away for so long: agents come back one after the other", "1m"},
	{"agent-certificate", 0, COX_OPT_DURATION, AT(agent_cert_ms), "DURATION",
	 "how long an agent's certificate is valid", "8760h"},
	{"agents-per-address", 0, COX_OPT_INT, AT(pending_per_address), "N",
	 "handshakes that one address may have under way", "64"},
	{"join-interval", 0, COX_OPT_DURATION, AT(join_interval_ms), "DURATION",
	 "one address may try to join so often", "1s"},
	{"join-burst", 0, COX_OPT_INT, AT(join_burst), "N",
	 "so many joins at once from an address that was quiet", "32"},
	{"restored", 0, COX_OPT_BOOL, AT(restored), NULL,
	 "the state is an older copy: raise the epoch once", .no_env = true},
	{"config", 'c', COX_OPT_STRING, AT(config), "FILE", "YAML with these flags as keys"},
	{"log-level", 0, COX_OPT_STRING, AT(log_level), "LEVEL", "debug, info, warn or error",
	 "info"},
	{"log-format", 0, COX_OPT_STRING, AT(log_format), "FORMAT", "text or json", "text"},
	{0}};

static int emit_value(const struct cox_node *value, const char *key,
		      int (*emit)(void *ctx, const char *key, const char *value,
				  struct cox_error *err),
		      void *ctx, struct cox_error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = 0;

	if (cox_node_is(value, COX_MAP))
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is a value or a list", key);
	if (!cox_node_is(value, COX_LIST)) {
		text = cox_str_dup(cox_node_text(value));
		return emit(ctx, key, text, err);
	}
	for (size_t i = 0; r == 0 && i < cox_node_len(value); i++)
		r = emit_value(cox_node_at(value, i), key, emit, ctx, err);
	return r;
}

static int read_file(const char *path,
		     int (*emit)(void *ctx, const char *key, const char *value,
				 struct cox_error *err),
		     void *ctx, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int r = cox_file_read(path, 1 << 20, &text, err);

	if (r == 0)
		r = cox_yaml_read(cox_buf_str(&text), path, NULL, &doc, err);
	for (size_t i = 0; r == 0 && i < cox_node_len(cox_doc_root(doc)); i++) {
		const struct cox_node *root = cox_doc_root(doc);

		r = emit_value(cox_node_at(root, i), cox_node_key(root, i).ptr, emit, ctx, err);
	}
	return r;
}

static const struct cox_options spec = {
	.program = "cox-hub",
	.env_prefix = "COX_HUB_",
	.usage = "--state DIR [flags]",
	.summary = "Watches Git, renders, and decides which cluster gets which revision and when.",
	.rows = rows,
	.read_file = read_file,
};

struct hub {
	struct config config;
	struct cox_loop *loop;
	struct hub_store *store;
	struct hub_control *control;
	struct hub_web *web;
	struct cox_signal signals[2];
	struct cox_timer deadline, broken;
	bool stopping;
	int status;
};

/* ---- the end ---- */

static void stopped(void *arg)
{
	struct hub *h = arg;

	cox_loop_stop(h->loop);
}

static void too_late(void *arg)
{
	struct hub *h = arg;

	cox_log_warn("agents did not say good-bye in time");
	cox_loop_stop(h->loop);
}

static void stop(struct hub *h)
{
	if (h->stopping)
		return;
	h->stopping = true;
	cox_timer_stop(&h->broken);
	cox_timer_start(&h->deadline, STOP_MS);
	hub_web_free(TAKE(h->web));
	hub_control_stop(h->control, stopped, h);
}

static void on_signal(void *arg, int number)
{
	cox_log_info("stopping", COX_KV("signal", number == SIGTERM ? "TERM" : "INT"));
	stop(arg);
}

static void stop_broken(void *arg)
{
	stop(arg);
}

/* The memory is ahead of the disk: what was promised stands, nothing more may be promised, and the
 * store lets nothing more out. */
static void on_broken(void *ctx, const struct cox_error *err)
{
	struct hub *h = ctx;

	cox_log_error("cannot write the state", COX_KV_ERROR(err));
	h->status = 1;
	if (!h->stopping)
		cox_timer_start(&h->broken, BROKEN_MS);
}

/* ---- the beginning ---- */

static int open_parts(struct hub *h, struct cox_error *err)
{
	const struct config *c = &h->config;
	_cleanup_free_ char *token_path = NULL;
	int r = hub_store_open(
		h->loop,
		&(struct hub_store_options){
			.dir = c->state, .restored = c->restored, .on_broken = on_broken, .ctx = h},
		&h->store, err);

	if (r == 0)
		r = hub_control_new(
			&(struct hub_control_options){
				.loop = h->loop,
				.store = h->store,
				.namespace = c->namespace,
				.in_cluster = c->in_cluster,
				.allow_file_repos = c->allow_file_repos,
				.allow_net = &c->allow_net,
				.poll_ms = c->poll_ms,
				.starts_per_minute = c->starts_per_minute,
				.agents_grace_ms = c->agents_grace_ms,
				.fleet = {.listen = c->agents,
					  .names = &c->agents_names,
					  .cert_lifetime_ms = c->agent_cert_ms,
					  .max_pending_per_address =
						  (uint32_t)c->pending_per_address,
					  .enrol_interval_ms = (uint32_t)c->join_interval_ms,
					  .enrol_burst = (uint32_t)c->join_burst}},
			&h->control, err);
	if (r == 0)
		r = hub_web_new(&(struct hub_web_options){.loop = h->loop,
							  .control = h->control,
							  .listen = c->http,
							  .cert_path = c->http_cert,
							  .key_path = c->http_key,
							  .advertise = c->advertise},
				&h->web, &token_path, err);
	if (r < 0)
		return r;
	if (token_path)
		printf("admin token: %s\n", token_path);
	printf("listening agents=%s http=%s\n", hub_fleet_address(hub_control_fleet(h->control)),
	       hub_web_address(h->web));
	fflush(stdout);
	return 0;
}

static int run(struct hub *h, struct cox_error *err)
{
	int r = cox_loop_new(&h->loop, err);

	if (r < 0)
		return r;
	cox_timer_init(&h->deadline, h->loop, too_late, h);
	cox_timer_init(&h->broken, h->loop, stop_broken, h);
	r = cox_signal_start(&h->signals[0], h->loop, SIGTERM, on_signal, h, err);
	if (r == 0)
		r = cox_signal_start(&h->signals[1], h->loop, SIGINT, on_signal, h, err);
	if (r == 0)
		r = open_parts(h, err);
	if (r == 0) {
		cox_log_info("hub started", COX_KV("version", COX_VERSION),
			     COX_KV("instance", hub_store_instance(h->store)),
			     COX_KV_INT("epoch", (int64_t)hub_store_epoch(h->store)));
		cox_loop_run(h->loop);
	}
	hub_web_free(h->web);
	hub_control_free(h->control);
	hub_store_free(h->store);
	cox_timer_stop(&h->deadline);
	cox_timer_stop(&h->broken);
	cox_signal_stop(&h->signals[0]);
	cox_signal_stop(&h->signals[1]);
	cox_loop_free(h->loop);
	return r;
}

int main(int argc, char **argv)
{
	struct hub hub = {0};
	struct cox_error err = COX_ERROR_INIT;
	enum cox_log_level level = COX_LOG_INFO;
	enum cox_log_format format = COX_LOG_TEXT;
	cox_strings args = {0};
	int r = cox_options_parse(&spec, argc, argv, &hub.config, &args, &err);

	if (r > 0)
		goto out;
	if (r == 0 && args.n > 0)
		r = cox_error(&err, COX_INVALID_ARGUMENT, "'%s' is no flag", args.items[0]);
	if (r == 0 && !hub.config.state)
		r = cox_error(&err, COX_INVALID_ARGUMENT, "--state DIR is needed");
	if (r == 0)
		r = cox_log_level_parse(hub.config.log_level, &level, &err);
	if (r == 0)
		r = cox_log_format_parse(hub.config.log_format, &format, &err);
	if (r < 0) {
		hub.status = cox_options_usage_error(spec.program, &err);
		goto out;
	}
	cox_log_init(spec.program, level, format);
	r = run(&hub, &err);
	if (r < 0) {
		fprintf(stderr, "cox-hub: %s\n", err.message);
		hub.status = 1;
	}
out:
	cox_vec_fini(&args);
	cox_options_fini(&spec, &hub.config);
	return hub.status;
}
