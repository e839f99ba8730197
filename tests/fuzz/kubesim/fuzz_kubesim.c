/* A line is a request to a simulated API server: "METHOD TYPE PATH BODY". TYPE is a letter (see
 * types), PATH may have a query and "~" for the configmaps of a namespace. "+" lets the controllers
 * run. Whatever is sent, there is an answer. */
#include "tests/kubesim/kubesim.h"

#include "common/base/cleanup.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	char letter;
	const char *type;
} types[] = {
	{'j', "application/json"},
	{'m', "application/merge-patch+json"},
	{'s', "application/strategic-merge-patch+json"},
	{'p', "application/json-patch+json"},
	{'a', "application/apply-patch+yaml"},
	{'b', "application/vnd.kubernetes.protobuf"},
	{'y', "application/yaml"},
};

static const char *type_of(char letter)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(types); i++)
		if (types[i].letter == letter)
			return types[i].type;
	return NULL;
}

static void request(struct kubesim *sim, struct cox_str line)
{
	struct cox_str method, type, path;
	struct kubesim_response response;

	if (!cox_str_split(&line, ' ', &method) || !line.ptr || !cox_str_split(&line, ' ', &type) ||
	    !line.ptr || !cox_str_split(&line, ' ', &path))
		return;
	_cleanup_free_ char *method_text = cox_str_dup(method);
	_cleanup_free_ char *path_text = cox_str_dup(path);
	_cleanup_free_ char *full =
		path_text[0] == '~'
			? cox_asprintf("/api/v1/namespaces/default/configmaps%s", path_text + 1)
			: cox_strdup(path_text);
	char *query = strchr(full, '?');
	if (query)
		*query++ = 0;
	const struct kubesim_request r = {.method = method_text,
					  .path = full,
					  .query = query,
					  .accept = type.len > 1 && type.ptr[1] == 't'
							    ? "application/json;as=Table;v=v1;g="
							      "meta.k8s.io"
							    : NULL,
					  .content_type = type.len ? type_of(type.ptr[0]) : NULL,
					  .user_agent = "fuzz/1",
					  .body = line};
	kubesim_handle(sim, &r, &response);
	if (response.watch) {
		_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
		kubesim_watch_pull(response.watch, &out);
	}
	kubesim_response_fini(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kubesim_options options = {.seed = 1, .max_events = 64};
	int64_t now_ms = 1767225600000;
	struct kubesim *sim = kubesim_new(&options, now_ms);
	struct cox_str rest = cox_str_n((const char *)data, size), line;

	while (rest.len && cox_str_split(&rest, '\n', &line)) {
		if (line.len == 1 && line.ptr[0] == '+') {
			for (int i = 0; i < 50; i++)
				kubesim_run(sim, now_ms += 5);
		} else {
			request(sim, line);
		}
	}
	_cleanup_buf_ struct cox_buf saved = COX_BUF_INIT;
	kubesim_save(sim, &saved);
	kubesim_free(sim);
	return 0;
}
