#include "hub/web/web.h"

#include "hub/web/internal.h"

#include <stdio.h>

/* The first row that matches a path wins. */
static const struct web_route routes[] = {
	{"GET", "healthz", web_healthy, .open = true},
	{"GET", "livez", web_healthy, .open = true},
	{"GET", "readyz", web_ready, .open = true},
	{"GET", "metrics", web_metrics},
	{"GET", "api/v1/version", web_version},
	{"POST", "api/v1/apply", web_apply},
	{"POST", "api/v1/clusters", web_cluster_add},
	{"POST", "api/v1/clusters/:/token", web_cluster_token},
	{"POST", "api/v1/applications/:/:/sync", web_sync},
	{"POST", "api/v1/applications/:/:/rollback", web_rollback},
	{"POST", "api/v1/applications/:/:/refresh", web_refresh},
	{"POST", "api/v1/applications/:/:/terminate", web_terminate},
	{"POST", "api/v1/applications/:/:/diff", web_diff},
	{"POST", "api/v1/applications/:/:/confirm-deletion", web_confirm_deletion},
	{"GET", "api/v1/applications/:/:/resources", web_resources},
	{"GET", "api/v1/applications/:/:/resource-tree", web_tree},
	{"GET", "api/v1/applications/:/:/manifests", web_manifests},
	{"POST", "api/v1/applicationsets/:/:/refresh", web_refresh_set},
	{"POST", "api/v1/applicationsets/:/:/confirm-deletion", web_confirm_set},
	{"GET", "api/v1/whoami", web_whoami},
	{"GET", "api/v1/tokens", web_token_list},
	{"POST", "api/v1/tokens", web_token_create},
	{"DELETE", "api/v1/tokens/:", web_token_revoke},
	{"GET", "api/v1/rollouts", web_rollouts},
	{"GET", "api/v1/rollouts/:", web_rollout_by_id},
	{"GET", "api/v1/rollouts/:/:", web_rollout},
	{"GET", "api/v1/rollouts/:/:/watch", web_rollout_watch},
	{"POST", "api/v1/applicationsets/plan", web_plan_set},
	{"POST", "api/v1/rollouts/:/:/plan", web_plan_rollout},
	{"POST", "api/v1/rollouts/:/:/:", web_rollout_act},
	{"GET", "api/v1/:", web_list},
	{"GET", "api/v1/:/:", web_get},
	{"DELETE", "api/v1/:/:", web_delete},
	{"GET", "api/v1/:/:/:", web_get_namespaced},
	{"DELETE", "api/v1/:/:/:", web_delete_namespaced},
};

/* ---- answers ---- */

void web_reply_node(struct cox_http_request *request, int status, const struct cox_node *node)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	cox_json_write(&text, node);
	cox_buf_putc(&text, '\n');
	cox_http_set_header(request, "Cache-Control", "no-store");
	cox_http_set_header(request, "X-Content-Type-Options", "nosniff");
	cox_http_reply_take(request, status, "application/json", &text);
}

void web_reply_error(struct cox_http_request *request, const struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("error");
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "code", cox_code_name(err->code));
	cox_map_put_cstr(doc, map, "message", err->message);
	web_reply_node(request, cox_code_to_http(err->code), map);
}

void web_reply_code(struct cox_http_request *request, enum cox_code code, const char *format, ...)
{
	struct cox_error err = {.code = code};
	va_list args;

	va_start(args, format);
	vsnprintf(err.message, sizeof(err.message), format, args);
	va_end(args);
	web_reply_error(request, &err);
}

struct pending {
	struct cox_http_request *request; /* NULL: the client went */
	int status;
	struct cox_buf text;
};

static void pending_free(void *arg)
{
	struct pending *p = arg;

	if (p->request) { /* it will never be durable */
		cox_http_on_gone(p->request, NULL, NULL);
		web_reply_code(p->request, COX_UNAVAILABLE, "the hub cannot write its state");
	}
	cox_buf_fini(&p->text);
	free(p);
}

static void pending_durable(void *arg)
{
	struct pending *p = arg;

	if (!p->request)
		return;
	struct cox_http_request *request = TAKE(p->request);

	cox_http_set_header(request, "Cache-Control", "no-store");
	cox_http_reply_take(request, p->status, "application/json", &p->text);
}

static void pending_gone(void *arg)
{
	((struct pending *)arg)->request = NULL;
}

void web_reply_after(struct web_call *call, struct hub_batch *batch_taken, int status,
		     const struct cox_node *node)
{
	struct pending *p = cox_new(struct pending);

	p->request = call->request;
	p->status = status;
	cox_json_write(&p->text, node);
	cox_buf_putc(&p->text, '\n');
	cox_http_on_gone(call->request, pending_gone, p);
	hub_batch_after(batch_taken, pending_durable, p, pending_free);
	hub_store_commit(hub_control_store(call->web->control), batch_taken);
}

int web_body(struct web_call *call, struct cox_doc **ret_doc, struct cox_error *err)
{
	struct cox_str body = cox_str_trim(cox_http_body(call->request));

	return cox_json_read(body.len ? body : COX_STR("{}"), "body", ret_doc, err);
}

bool web_flag(struct web_call *call, const char *name)
{
	const char *value = cox_http_query(call->request, name);

	return value && strcmp(value, "false") != 0 && strcmp(value, "0") != 0;
}

/* ---- routing ---- */

static bool matches(const char *pattern, const char *const *segments, size_t n,
		    struct web_call *call)
{
	struct cox_str rest = cox_str(pattern), part;
	size_t i = 0;

	call->n_vars = 0;
	for (; cox_str_split(&rest, '/', &part); i++) {
		if (i == n)
			return false;
		if (cox_str_is(part, ":"))
			call->vars[call->n_vars++] = segments[i];
		else if (!cox_str_is(part, segments[i]))
			return false;
	}
	return i == n;
}

static void handle(void *arg, struct cox_http_request *request)
{
	struct hub_web *w = arg;
	struct web_call call = {.web = w, .request = request};
	const char *segments[WEB_SEGMENTS];
	const char *method = cox_http_method(request);
	bool path_known = false, authorized = web_authenticate(w, &call);
	int n = cox_http_segments(request, segments, WEB_SEGMENTS);

	w->requests++;
	for (size_t i = 0; n >= 0 && n <= WEB_SEGMENTS && i < COX_ARRAY_LEN(routes); i++) {
		if (!matches(routes[i].pattern, segments, (size_t)n, &call))
			continue;
		if (!authorized && !routes[i].open)
			continue;
		path_known = true;
		if (strcmp(routes[i].method, method) != 0)
			continue;
		routes[i].handler(&call);
		return;
	}
	w->refused++;
	if (!authorized) {
		cox_http_set_header(request, "WWW-Authenticate", "Bearer");
		web_reply_code(request, COX_UNAUTHENTICATED,
			       "this needs a valid token: set COX_TOKEN, or `cox login`");
	} else if (path_known) {
		web_reply_code(request, COX_UNIMPLEMENTED, "%s is not offered here", method);
	} else {
		web_reply_code(request, COX_NOT_FOUND, "no such path");
	}
}

/* ---- life ---- */

int hub_web_new(const struct hub_web_options *options, struct hub_web **ret_web,
		char **ret_token_path, struct cox_error *err)
{
	COX_CLEANUP(hub_web_free_p) struct hub_web *w = cox_new(struct hub_web);
	_cleanup_free_ char *path = NULL;
	int r;

	w->options = *options;
	w->loop = options->loop;
	w->control = options->control;
	cox_list_init(&w->streams);
	r = web_tokens_load(w, &path, err);
	if (r == 0)
		r = cox_http_server_new(
			w->loop,
			&(struct cox_http_server_options){.listen = options->listen,
							  .handler = handle,
							  .arg = w,
							  .cert_path = options->cert_path,
							  .key_path = options->key_path},
			&w->server, err);
	if (r < 0)
		return r;
	if (ret_token_path)
		*ret_token_path = TAKE(path);
	*ret_web = TAKE(w);
	return 0;
}

void hub_web_free(struct hub_web *w)
{
	if (!w)
		return;
	cox_http_server_free(w->server);
	web_streams_fini(w);
	web_tokens_fini(w);
	free(w);
}

const char *hub_web_address(const struct hub_web *w)
{
	return cox_http_server_address(w->server);
}
