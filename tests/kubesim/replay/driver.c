/* kubesim without HTTP and without a clock of its own, for scripts: a JSON text a line in, one out.
 *
 *	{"method": "GET", "path": "/api/v1/pods", "query": "", "accept": …, "body": "…"}
 *	    -> {"status": 200, "body": "…", "warnings": ["…"], "watch": 1}
 *	{"run": 500}      milliseconds pass, a step at a time       -> {}
 *	{"pull": 1}       what the watch has to say                 -> {"over": false, "body": "…"}
 *	{"reset": true, "noControllers": true}                      -> {}
 */
#include "common/doc/json.h"
#include "tests/kubesim/kubesim.h"

#include <stdio.h>
#include <stdlib.h>

/* 2026-01-01T00:00:00Z */
#define START_MS 1767225600000

struct driver {
	struct kubesim *sim;
	int64_t now_ms;
	COX_VEC(struct kubesim_watch *) watches;
};

static void reset(struct driver *d, const struct cox_node *order)
{
	const struct kubesim_options options = {
		.token = "good",
		.seed = 42,
		.max_events = (size_t)cox_node_int(COX_GET(order, "maxEvents"), 0),
		.no_controllers = cox_node_bool(COX_GET(order, "noControllers"), false),
		.no_kubelet = cox_node_bool(COX_GET(order, "noKubelet"), false)};

	COX_VEC_EACH (&d->watches, w)
		kubesim_watch_close(*w);
	cox_vec_clear(&d->watches);
	kubesim_free(d->sim);
	d->now_ms = START_MS;
	d->sim = kubesim_new(&options, d->now_ms);
}

static void run(struct driver *d, int64_t ms)
{
	for (int64_t until = d->now_ms + ms; d->now_ms < until; d->now_ms++)
		kubesim_run(d->sim, d->now_ms + 1);
}

static void request(struct driver *d, const struct cox_node *order, struct cox_buf *out)
{
	struct kubesim_response response;
	const struct kubesim_request r = {
		.method = cox_node_cstr(COX_GET(order, "method"), ""),
		.path = cox_node_cstr(COX_GET(order, "path"), ""),
		.query = cox_node_cstr(COX_GET(order, "query"), ""),
		.accept = cox_node_cstr(COX_GET(order, "accept"), NULL),
		.content_type = cox_node_cstr(COX_GET(order, "contentType"), NULL),
		.user_agent = cox_node_cstr(COX_GET(order, "userAgent"), NULL),
		.authorization = cox_node_cstr(COX_GET(order, "authorization"), NULL),
		.body = cox_node_str(COX_GET(order, "body"))};

	kubesim_handle(d->sim, &r, &response);
	cox_buf_printf(out, "{\"status\":%d,\"body\":", response.status);
	cox_json_write_string(out, cox_buf_str(&response.body));
	cox_buf_puts(out, ",\"warnings\":");
	cox_json_write_string(out, cox_buf_str(&response.warnings));
	if (response.watch) {
		cox_vec_push(&d->watches, response.watch);
		response.watch = NULL;
		cox_buf_printf(out, ",\"watch\":%zu", d->watches.n);
	}
	cox_buf_puts(out, "}");
	kubesim_response_fini(&response);
}

static void pull(struct driver *d, size_t id, struct cox_buf *out)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int over =
		id && id <= d->watches.n ? kubesim_watch_pull(d->watches.items[id - 1], &text) : 1;

	cox_buf_printf(out, "{\"over\":%s,\"body\":", over ? "true" : "false");
	cox_json_write_string(out, cox_buf_str(&text));
	cox_buf_puts(out, "}");
}

int main(void)
{
	struct driver d = {0};
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	reset(&d, NULL);
	while ((n = getline(&line, &cap, stdin)) > 0) {
		_cleanup_doc_ struct cox_doc *doc = NULL;
		_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
		struct cox_error err;
		if (cox_json_read(cox_str_n(line, (size_t)n), "order", &doc, &err) < 0) {
			fprintf(stderr, "%s\n", err.message);
			return 2;
		}
		const struct cox_node *order = cox_doc_root(doc);
		if (COX_GET(order, "run"))
			run(&d, cox_node_int(COX_GET(order, "run"), 0));
		else if (COX_GET(order, "pull"))
			pull(&d, (size_t)cox_node_int(COX_GET(order, "pull"), 0), &out);
		else if (COX_GET(order, "reset"))
			reset(&d, order);
		else
			request(&d, order, &out);
		printf("%s\n", out.len ? out.ptr : "{}");
		fflush(stdout);
	}
	COX_VEC_EACH (&d.watches, w)
		kubesim_watch_close(*w);
	cox_vec_fini(&d.watches);
	kubesim_free(d.sim);
	free(line);
	return 0;
}
