/* Reads texts for the differential test: standard input is a sequence of "FORMAT LENGTH\n" and so many
 * bytes; FORMAT is json, kubernetes or kustomize. For each it prints one line: the documents as a
 * JSON list, or "error: ...". */
#include "common/base/mem.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"

#include <stdio.h>
#include <stdlib.h>

static int read_one(const char *format, struct cox_str text, cox_docs *docs, struct cox_error *err)
{
	struct cox_yaml_options options = {.schema = strcmp(format, "kustomize") == 0
							     ? COX_YAML_KUSTOMIZE
							     : COX_YAML_KUBERNETES};
	struct cox_doc *doc;
	int r;

	if (strcmp(format, "json") != 0)
		return cox_yaml_read_all(text, "t", &options, docs, err);
	r = cox_json_read(text, "t", &doc, err);
	if (r == 0)
		cox_vec_push(docs, doc);
	return r;
}

static void answer(const char *format, struct cox_str text)
{
	_cleanup_docs_ cox_docs docs = {0};
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	struct cox_error err;

	if (read_one(format, text, &docs, &err) < 0) {
		printf("error: %s\n", err.message);
		return;
	}
	for (size_t i = 0; i < docs.n; i++) {
		cox_buf_putc(&out, i ? ',' : '[');
		cox_json_write(&out, cox_doc_root(docs.items[i]));
	}
	printf("%s%s]\n", docs.n ? "" : "[", cox_buf_cstr(&out));
}

int main(void)
{
	char format[16];
	size_t n;

	while (scanf("%15s %zu", format, &n) == 2 && getchar() == '\n') {
		_cleanup_free_ char *text = cox_malloc(n + 1);

		if (fread(text, 1, n, stdin) != n)
			return 1;
		answer(format, cox_str_n(text, n));
	}
	return 0;
}
