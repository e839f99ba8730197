/* The shell: kubesim on HTTP. One thread, one loop. */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/options.h"
#include "common/doc/json.h"
#include "common/net/http_server.h"
#include "common/run/loop.h"
#include "tests/kubesim/audit.h"
#include "tests/kubesim/faults.h"
#include "tests/kubesim/kubesim.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>

/* Changes are on disk this long after the first of them, at the latest. */
#define SAVE_DELAY_MS 200
#define DATA_MAX      (1u << 30)
#define FAULTS_MAX    (1u << 20)
#define WINDOW_MAX    (1 << 22)

struct config {
	char *listen, *name, *kubeconfig_out, *data, *faults, *token, *audit, *tls_cert, *tls_key;
	int64_t window;
	bool no_controllers, no_kubelet;
};

static const struct cox_option rows[] = {
	{"listen", 'l', COX_OPT_STRING, offsetof(struct config, listen), .arg = "HOST:PORT",
	 .help = "where to serve; port 0 picks one", .def = "127.0.0.1:0"},
	{"name", 'n', COX_OPT_STRING, offsetof(struct config, name), .arg = "NAME",
	 .help = "what the cluster is called", .def = "kubesim"},
	{"kubeconfig-out", 'k', COX_OPT_STRING, offsetof(struct config, kubeconfig_out),
	 .arg = "FILE", .help = "write a kubeconfig for it there"},
	{"data", 'd', COX_OPT_STRING, offsetof(struct config, data), .arg = "FILE",
	 .help = "keep the objects there across restarts"},
	{"faults", 'f', COX_OPT_STRING, offsetof(struct config, faults), .arg = "FILE",
	 .help = "what shall go wrong (see README.md); read again on SIGHUP"},
	{"token", 't', COX_OPT_STRING, offsetof(struct config, token), .arg = "TOKEN",
	 .help = "the bearer token that clients must show; without it everybody is let in"},
	{"audit", 'a', COX_OPT_STRING, offsetof(struct config, audit), .arg = "FILE",
	 .help = "append every change and every request that may write, a JSON text a line"},
	{"window", 0, COX_OPT_INT, offsetof(struct config, window), .arg = "N",
	 .help = "changes that a watch can go back", .def = "4096"},
	{"tls-cert", 0, COX_OPT_STRING, offsetof(struct config, tls_cert), .arg = "FILE",
	 .help = "serve HTTPS with this certificate (PEM)"},
	{"tls-key", 0, COX_OPT_STRING, offsetof(struct config, tls_key), .arg = "FILE",
	 .help = "its key (PEM)"},
	{"no-controllers", 0, COX_OPT_BOOL, offsetof(struct config, no_controllers),
	 .help = "nothing moves by itself but namespaces, definitions and owned objects"},
	{"no-kubelet", 0, COX_OPT_BOOL, offsetof(struct config, no_kubelet),
	 .help = "pods stay pending"},
	{0},
};

static const struct cox_options spec = {.program = "kubesim",
					.env_prefix = "KUBESIM_",
					.usage = "[flags]",
					.summary = "A simulated Kubernetes API server.",
					.rows = rows};

struct shell {
	struct config config;
	struct cox_loop *loop;
	struct cox_http_server *server;
	struct kubesim *sim;
	struct ks_faults *faults;
	struct ks_audit *audit;
	struct cox_timer run_timer, save_timer;
	uint64_t saved;
};

struct stream {
	struct shell *shell;
	struct kubesim_watch *watch;
	struct cox_http_request *request;
	struct cox_task task;
	/* a fault that waits for it */
	int64_t events_left; /* -1: none */
	bool truncate, cutting;
	struct cox_timer cut_timer;
};

/* A request that is held back. */
struct delayed {
	struct shell *shell;
	struct cox_http_request *request;
	struct ks_faults *faults; /* a reference, which keeps: */
	const struct ks_fault *fault;
	struct cox_timer timer;
};

static void run(struct shell *shell);

/* ---- watches ---- */

static void stream_free(struct stream *s)
{
	cox_loop_unsend(s->shell->loop, &s->task);
	cox_timer_stop(&s->cut_timer);
	kubesim_watch_close(s->watch);
	free(s);
}

static void stream_gone(void *arg)
{
	stream_free(arg);
}

static void stream_cut(void *arg)
{
	struct stream *s = arg;
	struct cox_http_request *request = s->request;

	stream_free(s);
	cox_http_abort(request);
}

/* Bytes of the first n lines; *ret_n of them are there. */
static size_t lines(const struct cox_buf *text, int64_t n, int64_t *ret_n)
{
	size_t at = 0;
	int64_t seen = 0;

	while (at < text->len && seen < n)
		seen += text->ptr[at++] == '\n';
	*ret_n = seen;
	return at;
}

/* true: the stream was cut and is gone. */
static bool stream_fails(struct stream *s, struct cox_buf *out)
{
	int64_t n;

	if (s->events_left < 0)
		return false;
	size_t keep = lines(out, s->events_left, &n);
	s->events_left -= n;
	if (s->events_left > 0 || (keep == out->len && s->truncate))
		return false;
	if (s->truncate) {
		const char *end = memchr(out->ptr + keep, '\n', out->len - keep);
		keep += (size_t)(end - (out->ptr + keep)) / 2;
	}
	cox_http_write(s->request, cox_str_n(out->ptr, keep));
	cox_timer_start(&s->cut_timer, 1);
	s->cutting = true;
	return true;
}

/* Hands on what there is; a reader that is too slow is cut off, and lists anew. */
static void stream_pump(void *arg)
{
	struct stream *s = arg;
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	if (s->cutting)
		return;
	int over = kubesim_watch_pull(s->watch, &out);
	if (stream_fails(s, &out))
		return;
	if (out.len && cox_http_write(s->request, cox_buf_str(&out)) < 0)
		return; /* gone is called */
	if (!over)
		return;
	cox_http_end(s->request);
	stream_free(s);
}

static void stream_ready(void *arg)
{
	struct stream *s = arg;

	cox_loop_send(s->shell->loop, &s->task);
}

static void stream_start(struct shell *shell, struct cox_http_request *request,
			 struct kubesim_response *response, const struct ks_fault *fault)
{
	struct stream *s = cox_new(struct stream);

	*s = (struct stream){.shell = shell,
			     .watch = TAKE(response->watch),
			     .request = request,
			     .events_left = fault ? fault->watch_events : -1,
			     .truncate = fault && fault->truncate};
	cox_timer_init(&s->cut_timer, shell->loop, stream_cut, s);
	if (fault && fault->watch_ms)
		cox_timer_start(&s->cut_timer, fault->watch_ms);
	cox_task_init(&s->task, stream_pump, s);
	cox_http_on_gone(request, stream_gone, s);
	cox_http_start(request, response->status, response->content_type);
	kubesim_watch_on_ready(s->watch, stream_ready, s);
	stream_pump(s);
}

/* ---- requests ---- */

static void put_warnings(struct cox_http_request *request, const struct kubesim_response *response)
{
	struct cox_str rest = cox_buf_str(&response->warnings), line;

	while (rest.len && cox_str_split(&rest, '\n', &line)) {
		_cleanup_free_ char *text = cox_str_dup(line);
		if (*text)
			cox_http_set_header(request, "Warning", text);
	}
}

static void refuse(struct cox_http_request *http, const struct ks_fault *fault)
{
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;
	char seconds[24];
	const char *reason = fault->status == 429   ? "TooManyRequests"
			     : fault->status == 503 ? "ServiceUnavailable"
						    : "InternalError";

	if (fault->retry_after_s) {
		snprintf(seconds, sizeof(seconds), "%lld", (long long)fault->retry_after_s);
		cox_http_set_header(http, "Retry-After", seconds);
	}
	cox_buf_printf(&body,
		       "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
		       "\"Failure\",\"message\":");
	cox_json_write_string(&body, cox_str(fault->message ? fault->message : "injected fault"));
	cox_buf_printf(&body, ",\"reason\":\"%s\",\"code\":%d}\n", reason, fault->status);
	cox_http_reply(http, fault->status, "application/json", cox_buf_str(&body));
}

static void serve_request(struct shell *shell, struct cox_http_request *http,
			  const struct ks_fault *fault)
{
	struct kubesim_response response;
	const struct kubesim_request request = {
		.method = cox_http_method(http),
		.path = cox_http_path(http),
		.query = cox_http_query_string(http),
		.accept = cox_http_header(http, "accept"),
		.content_type = cox_http_header(http, "content-type"),
		.user_agent = cox_http_header(http, "user-agent"),
		.authorization = cox_http_header(http, "authorization"),
		.body = cox_http_body(http)};

	if (fault && fault->drop) {
		cox_http_abort(http);
		return;
	}
	if (fault && fault->status) {
		refuse(http, fault);
		return;
	}
	run(shell);
	kubesim_handle(shell->sim, &request, &response);
	ks_audit_request(shell->audit, &request, response.status);
	put_warnings(http, &response);
	if (fault && fault->after_commit)
		cox_http_abort(http);
	else if (response.watch)
		stream_start(shell, http, &response, fault);
	else
		cox_http_reply_take(http, response.status, response.content_type, &response.body);
	kubesim_response_fini(&response);
	run(shell);
}

static void delayed_gone(void *arg)
{
	struct delayed *d = arg;

	cox_timer_stop(&d->timer);
	ks_faults_unref(d->faults);
	free(d);
}

static void delayed_due(void *arg)
{
	struct delayed d = *(struct delayed *)arg;

	free(arg);
	cox_http_on_gone(d.request, NULL, NULL);
	serve_request(d.shell, d.request, d.fault);
	ks_faults_unref(d.faults);
}

static int set_faults(struct shell *shell, struct cox_str text, struct cox_error *err)
{
	struct ks_faults *faults;
	int r = ks_faults_new(text, &faults, err);

	if (r < 0)
		return r;
	ks_faults_unref(shell->faults);
	shell->faults = faults;
	return 0;
}

/* PUT sets the rules, GET says what struck. */
static void control(struct shell *shell, struct cox_http_request *http)
{
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;
	struct cox_error err;

	if (strcmp(cox_http_method(http), "PUT") == 0 &&
	    set_faults(shell, cox_http_body(http), &err) < 0) {
		cox_http_reply(http, 400, "text/plain", cox_str(err.message));
		return;
	}
	ks_faults_write(shell->faults, &body);
	cox_http_reply(http, 200, "application/json", cox_buf_str(&body));
}

static void handle(void *arg, struct cox_http_request *http)
{
	struct shell *shell = arg;
	const char *path = cox_http_path(http);

	if (strcmp(path, "/kubesim/faults") == 0) {
		control(shell, http);
		return;
	}
	const struct ks_fault *fault = ks_faults_strike(shell->faults, cox_http_method(http), path,
							cox_http_query_string(http));
	int64_t latency = fault ? ks_faults_latency(shell->faults, fault) : 0;
	if (latency <= 0) {
		serve_request(shell, http, fault);
		return;
	}
	struct delayed *d = cox_new(struct delayed);
	*d = (struct delayed){.shell = shell,
			      .request = http,
			      .faults = ks_faults_ref(shell->faults),
			      .fault = fault};
	cox_timer_init(&d->timer, shell->loop, delayed_due, d);
	cox_http_on_gone(http, delayed_gone, d);
	cox_timer_start(&d->timer, latency);
}

/* ---- time ---- */

static void save(void *arg)
{
	struct shell *shell = arg;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_error err;

	if (!shell->config.data || kubesim_version(shell->sim) == shell->saved)
		return;
	kubesim_save(shell->sim, &text);
	if (cox_file_write(shell->config.data, cox_buf_str(&text), 0600, &err) < 0)
		cox_log_error("cannot save", COX_KV_ERROR(&err));
	else
		shell->saved = kubesim_version(shell->sim);
}

static void run(struct shell *shell)
{
	int64_t next = kubesim_run(shell->sim, cox_clock_wall_ms());

	if (next >= 0)
		cox_timer_start(&shell->run_timer, next > 0 ? next : 1);
	else
		cox_timer_stop(&shell->run_timer);
	if (shell->config.data && kubesim_version(shell->sim) != shell->saved &&
	    !cox_timer_is_running(&shell->save_timer))
		cox_timer_start(&shell->save_timer, SAVE_DELAY_MS);
}

static void on_timer(void *arg)
{
	run(arg);
}

static int load_faults(struct shell *shell, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int r = shell->config.faults ? cox_file_read(shell->config.faults, FAULTS_MAX, &text, err)
				     : 0;

	return r < 0 ? r : set_faults(shell, cox_buf_str(&text), err);
}

static void on_reload(void *arg, int number)
{
	struct cox_error err;

	(void)number;
	if (load_faults(arg, &err) < 0)
		cox_log_error("cannot read the faults again, the old ones stay",
			      COX_KV_ERROR(&err));
}

static void on_stop(void *arg, int number)
{
	struct shell *shell = arg;

	(void)number;
	cox_loop_stop(shell->loop);
}

static void on_change(void *arg, const char *verb, const struct cox_node *object)
{
	struct shell *shell = arg;

	ks_audit_change(shell->audit, verb, object);
}

/* ---- start ---- */

static int load(struct shell *shell, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (!shell->config.data)
		return 0;
	int r = cox_file_read(shell->config.data, DATA_MAX, &text, err);
	if (r == -COX_NOT_FOUND)
		return 0;
	return r < 0 ? r : kubesim_load(shell->sim, cox_buf_str(&text), err);
}

static int write_kubeconfig(struct shell *shell, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const char *name = shell->config.name, *tls = shell->config.tls_cert;

	if (!shell->config.kubeconfig_out)
		return 0;
	cox_buf_printf(
		&text,
		"apiVersion: v1\nkind: Config\ncurrent-context: %s\nclusters:\n- name: %s\n"
		"  cluster:\n    server: http%s://%s\n%s%s%scontexts:\n- name: %s\n  context:\n"
		"    cluster: %s\n    user: admin\nusers:\n- name: admin\n  user:\n"
		"    token: %s\n",
		name, name, tls ? "s" : "", cox_http_server_address(shell->server),
		tls ? "    certificate-authority: " : "", tls ? tls : "", tls ? "\n" : "", name,
		name, shell->config.token ? shell->config.token : "admin");
	return cox_file_write(shell->config.kubeconfig_out, cox_buf_str(&text), 0600, err);
}

static int serve(struct shell *shell, struct cox_error *err)
{
	const struct kubesim_options options = {.name = shell->config.name,
						.token = shell->config.token,
						.max_events = (size_t)shell->config.window,
						.no_controllers = shell->config.no_controllers,
						.no_kubelet = shell->config.no_kubelet,
						.on_change = on_change,
						.on_change_arg = shell};
	const struct cox_http_server_options http = {.listen = shell->config.listen,
						     .handler = handle,
						     .arg = shell,
						     .cert_path = shell->config.tls_cert,
						     .key_path = shell->config.tls_key};
	static const struct {
		int number;
		void (*fn)(void *arg, int number);
	} handlers[] = {{SIGINT, on_stop}, {SIGTERM, on_stop}, {SIGHUP, on_reload}};
	struct cox_signal signals[COX_ARRAY_LEN(handlers)];

	if (shell->config.window < 1 || shell->config.window > WINDOW_MAX)
		return cox_error(err, COX_INVALID_ARGUMENT, "--window is from 1 to %d", WINDOW_MAX);
	int r = cox_loop_new(&shell->loop, err);
	if (r < 0)
		return r;
	r = shell->config.audit ? ks_audit_open(shell->config.audit, &shell->audit, err) : 0;
	if (r < 0)
		return r;
	shell->sim = kubesim_new(&options, cox_clock_wall_ms());
	r = load(shell, err);
	if (r < 0)
		return r;
	r = load_faults(shell, err);
	if (r < 0)
		return r;
	shell->saved = kubesim_version(shell->sim);
	cox_timer_init(&shell->run_timer, shell->loop, on_timer, shell);
	cox_timer_init(&shell->save_timer, shell->loop, save, shell);
	r = cox_http_server_new(shell->loop, &http, &shell->server, err);
	if (r == 0)
		r = write_kubeconfig(shell, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < COX_ARRAY_LEN(handlers); i++)
		if (cox_signal_start(&signals[i], shell->loop, handlers[i].number, handlers[i].fn,
				     shell, err) < 0)
			return -err->code;
	run(shell);
	printf("listening %s\n", cox_http_server_address(shell->server));
	fflush(stdout);
	cox_loop_run(shell->loop);
	for (size_t i = 0; i < COX_ARRAY_LEN(handlers); i++)
		cox_signal_stop(&signals[i]);
	cox_timer_stop(&shell->run_timer);
	cox_timer_stop(&shell->save_timer);
	save(shell);
	return 0;
}

int main(int argc, char **argv)
{
	struct shell shell = {0};
	cox_strings args = {0};
	struct cox_error err;

	cox_log_init("kubesim", COX_LOG_INFO, COX_LOG_TEXT);
	int r = cox_options_parse(&spec, argc, argv, &shell.config, &args, &err);
	if (r < 0)
		return cox_options_usage_error("kubesim", &err);
	if (r == 0 && args.n) {
		cox_error(&err, COX_INVALID_ARGUMENT, "unexpected argument '%s'", args.items[0]);
		r = -1;
	} else if (r == 0) {
		r = serve(&shell, &err);
	}
	if (r < 0)
		fprintf(stderr, "kubesim: %s\n", err.message);
	cox_http_server_free(shell.server);
	kubesim_free(shell.sim);
	ks_faults_unref(shell.faults);
	ks_audit_close(shell.audit);
	cox_loop_free(shell.loop);
	cox_options_fini(&spec, &shell.config);
	cox_vec_fini(&args);
	return r < 0 ? 1 : 0;
}
