/* cox-agent: keeps one cluster equal to what the hub assigned. */
#include "agent/jq/jq.h"
#include "agent/link/link.h"
#include "agent/sync/engine.h"
#include "agent/sync/store.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/options.h"
#include "common/doc/yaml.h"
#include "common/kube/client.h"
#include "common/net/rpc.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#define DELETE_RETRY_MS 5000

struct config {
	char *cluster, *hub, *state, *kubeconfig, *context, *token_file, *ca_pin;
	char *config, *log_level, *log_format;
	int64_t wave_delay_ms, hook_grace_ms;
};

#define AT(field) offsetof(struct config, field)
static const struct cox_option rows[] = {
	{"cluster", 0, COX_OPT_STRING, AT(cluster), .arg = "NAME",
	 .help = "the name this cluster is registered by at the hub"},
	{"hub", 0, COX_OPT_STRING, AT(hub), .arg = "HOST:PORT",
	 .help = "the hub's port for agents"},
	{"state", 0, COX_OPT_STRING, AT(state), .arg = "DIR",
	 .help = "where the agent keeps its identity, assignments and inventory"},
	{"kubeconfig", 0, COX_OPT_STRING, AT(kubeconfig), .arg = "FILE",
	 .help = "how to reach the cluster; without it the pod's service account is used"},
	{"context", 0, COX_OPT_STRING, AT(context), .arg = "NAME",
	 .help = "context of the kubeconfig; its current one by default"},
	{"token-file", 0, COX_OPT_STRING, AT(token_file), .arg = "FILE",
	 .help = "the one-time token, needed to join"},
	{"ca-pin", 0, COX_OPT_STRING, AT(ca_pin), .arg = "SHA256",
	 .help = "fingerprint of the hub's CA key, needed to join"},
	{"wave-delay", 0, COX_OPT_DURATION, AT(wave_delay_ms), .arg = "D", .def = "2s",
	 .help = "between sync waves, so that controllers see what a wave changed"},
	{"hook-grace", 0, COX_OPT_DURATION, AT(hook_grace_ms), .arg = "D", .def = "30s",
	 .help = "that hooks at work get when a newer revision takes over"},
	{"config", 0, COX_OPT_STRING, AT(config), .arg = "FILE",
	 .help = "YAML file with these flags as keys"},
	{"log-level", 0, COX_OPT_STRING, AT(log_level), .arg = "L", .def = "info",
	 .help = "debug, info, warn or error"},
	{"log-format", 0, COX_OPT_STRING, AT(log_format), .arg = "F", .def = "text",
	 .help = "text or json"},
	{0},
};

static int read_config(const char *path,
		       int (*emit)(void *ctx, const char *key, const char *value,
				   struct cox_error *err),
		       void *ctx, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int code = cox_file_read(path, 1 << 20, &text, err);

	if (code == 0)
		code = cox_yaml_read(cox_buf_str(&text), path, NULL, &doc, err);
	const struct cox_node *root = code == 0 ? cox_doc_root(doc) : NULL;

	for (size_t i = 0; code == 0 && i < cox_node_len(root); i++) {
		_cleanup_free_ char *key = cox_str_dup(cox_node_key(root, i));
		_cleanup_free_ char *value = cox_str_dup(cox_node_text(cox_node_at(root, i)));

		code = emit(ctx, key, value, err);
	}
	return code;
}

static const struct cox_options spec = {
	.program = "cox-agent",
	.env_prefix = "COX_AGENT_",
	.usage = "--cluster NAME --hub HOST:PORT --state DIR [flags]",
	.summary = "Keeps one cluster equal to what the hub assigned.",
	.rows = rows,
	.read_file = read_config,
};

struct agent {
	struct cox_loop *loop;
	struct cox_pool *pool;
	struct agent_store *store;
	struct cox_kube *kube;
	struct agent_jq *jq;
	struct agent_engine *engine;
	struct agent_link *link;
	struct cox_signal signals[2];
	int lock;
	bool stopping;
};

static int check(const struct config *c, struct cox_error *err)
{
	const struct {
		const char *name, *value;
	} needed[] = {{"cluster", c->cluster}, {"hub", c->hub}, {"state", c->state}};

	for (size_t i = 0; i < COX_ARRAY_LEN(needed); i++)
		if (!needed[i].value || !*needed[i].value)
			return cox_error(err, COX_INVALID_ARGUMENT, "--%s is needed",
					 needed[i].name);
	if (c->wave_delay_ms < 0 || c->hook_grace_ms < 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "--wave-delay and --hook-grace are no negative times");
	if (!cox_name_is_safe(c->cluster))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "--cluster '%s': expected lower-case letters, digits, '-' and '.'",
				 c->cluster);
	return 0;
}

static int set_log(const struct config *c, struct cox_error *err)
{
	enum cox_log_level level;
	enum cox_log_format format;
	int code = cox_log_level_parse(c->log_level, &level, err);

	if (code == 0)
		code = cox_log_format_parse(c->log_format, &format, err);
	if (code == 0)
		cox_log_init("cox-agent", level, format);
	return code;
}

static int open_kube(struct agent *a, const struct config *c, struct cox_error *err)
{
	struct cox_kubeconfig *kubeconfig = NULL;
	int code = c->kubeconfig && *c->kubeconfig
			   ? cox_kubeconfig_load(c->kubeconfig, c->context, &kubeconfig, err)
			   : cox_kubeconfig_in_cluster(NULL, &kubeconfig, err);

	if (code < 0)
		return code;
	return cox_kube_new(a->loop, kubeconfig, NULL, &a->kube, err);
}

static void want_bundle(void *ctx, const uint8_t digest[COX_SHA256_BYTES])
{
	agent_link_want_bundle(((struct agent *)ctx)->link, digest);
}

static void changed(void *ctx, const char *app_uid)
{
	agent_link_changed(((struct agent *)ctx)->link, app_uid);
}

static void stopped(void *arg)
{
	cox_loop_stop(((struct agent *)arg)->loop);
}

static void on_signal(void *arg, int number)
{
	struct agent *a = arg;

	(void)number;
	if (a->stopping) { /* the second one: now */
		cox_loop_stop(a->loop);
		return;
	}
	a->stopping = true;
	cox_log_info("stopping");
	agent_link_stop(a->link, stopped, a);
}

static int start(struct agent *a, const struct config *c, struct cox_error *err)
{
	_cleanup_free_ char *lock = NULL;
	int code = cox_loop_new(&a->loop, err);

	if (code == 0)
		code = cox_pool_new(a->loop,
				    &(struct cox_pool_options){.name = "agent", .n_threads = 1},
				    &a->pool, err);
	if (code == 0)
		code = cox_dir_make(c->state, 0700, err);
	lock = cox_path_join(c->state, "lock");
	if (code == 0)
		code = cox_file_lock(lock, &a->lock, err);
	if (code == 0)
		code = agent_store_open(c->state, &a->store, err);
	if (code == 0)
		code = open_kube(a, c, err);
	if (code == 0)
		code = agent_link_new(&(struct agent_link_options){.loop = a->loop,
								   .pool = a->pool,
								   .store = a->store,
								   .kube = a->kube,
								   .cluster = c->cluster,
								   .hub = c->hub,
								   .token_file = c->token_file,
								   .ca_pin = c->ca_pin},
				      &a->link, err);
	if (code == 0)
		a->jq = agent_jq_new(&(struct agent_jq_options){.loop = a->loop});
	if (code == 0)
		code = agent_engine_new(
			&(struct agent_engine_options){.loop = a->loop,
						       .store = a->store,
						       .kube = a->kube,
						       .jq = a->jq,
						       .wave_delay_ms = c->wave_delay_ms,
						       .script_threads = 1,
						       .want_bundle = want_bundle,
						       .changed = changed,
						       .ctx = a},
			&a->engine, err);
	if (code == 0)
		code = cox_signal_start(&a->signals[0], a->loop, SIGTERM, on_signal, a, err);
	if (code == 0)
		code = cox_signal_start(&a->signals[1], a->loop, SIGINT, on_signal, a, err);
	if (code == 0)
		agent_link_start(a->link, a->engine);
	return code;
}

static void finish(struct agent *a)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(a->signals); i++)
		if (a->signals[i].event)
			cox_signal_stop(&a->signals[i]);
	agent_link_free(a->link);
	agent_engine_free(a->engine);
	agent_jq_free(a->jq);
	cox_kube_free(a->kube);
	cox_pool_free(a->pool);
	agent_store_close(a->store);
	if (a->lock >= 0)
		close(a->lock);
	cox_loop_free(a->loop);
}

int main(int argc, char **argv)
{
	/* started by an agent, for itself; no flag, and in no help */
	if (argc == 2 && strcmp(argv[1], AGENT_JQ_HELPER) == 0)
		return agent_jq_main();

	struct config config = {0};
	struct agent agent = {.lock = -1};
	cox_strings args = {0};
	struct cox_error err = COX_ERROR_INIT;
	int code = cox_options_parse(&spec, argc, argv, &config, &args, &err);

	if (code == 0 && args.n)
		code = cox_error(&err, COX_INVALID_ARGUMENT, "'%s' is not expected", args.items[0]);
	if (code == 0)
		code = check(&config, &err);
	if (code == 0)
		code = set_log(&config, &err);
	cox_vec_fini(&args);
	if (code != 0) {
		cox_options_fini(&spec, &config);
		return code > 0 ? 0 : cox_options_usage_error("cox-agent", &err);
	}
	/* few threads allocate: one arena keeps what is freed together, and small */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 256 << 10);
	code = start(&agent, &config, &err);
	if (code == 0) {
		cox_log_info("agent runs", COX_KV("cluster", config.cluster),
			     COX_KV("version", COX_VERSION));
		cox_loop_run(agent.loop);
	} else {
		cox_log_error("cannot start", COX_KV_ERROR(&err));
	}
	finish(&agent);
	cox_options_fini(&spec, &config);
	return code == 0 ? 0 : 1;
}
