/* tests/golden/doc: `input` in every form that the readers and writers give it, or the refusal.
 *	yaml/NAME: both schemas as JSON, one document a line, then YAML
 *	json/NAME: compact, canonical, readable, then YAML */
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "tests/golden/golden.h"

static bool load(const char *dir, struct cox_buf *text, struct cox_buf *out)
{
	_cleanup_free_ char *path = cox_path_join(dir, "input");
	struct cox_error err;

	if (cox_file_read(path, 1 << 20, text, &err) == 0)
		return true;
	cox_buf_printf(out, "error: %s\n", err.message);
	return false;
}

static void show(struct cox_buf *out, const char *title, const cox_docs *docs,
		 void (*write)(struct cox_buf *, const struct cox_node *))
{
	cox_buf_printf(out, "# %s\n", title);
	for (size_t i = 0; i < docs->n; i++) {
		if (write == cox_yaml_write && i)
			cox_buf_puts(out, "---\n");
		write(out, cox_doc_root(docs->items[i]));
		if (write != cox_yaml_write)
			cox_buf_putc(out, '\n');
	}
}

static void run_yaml(const char *dir, struct cox_buf *out)
{
	static const char *const titles[] = {"kubernetes", "kustomize"};
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (!load(dir, &text, out))
		return;
	for (int schema = 0; schema < 2; schema++) {
		struct cox_yaml_options options = {.schema = (enum cox_yaml_schema)schema};
		_cleanup_docs_ cox_docs docs = {0};
		struct cox_error err;

		if (cox_yaml_read_all(cox_buf_str(&text), "input", &options, &docs, &err) < 0) {
			cox_buf_printf(out, "# %s\nerror: %s\n", titles[schema], err.message);
			continue;
		}
		show(out, titles[schema], &docs, cox_json_write);
		if (schema == 0)
			show(out, "as yaml", &docs, cox_yaml_write);
	}
}

static void run_json(const char *dir, struct cox_buf *out)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_doc *doc;
	struct cox_error err;

	if (!load(dir, &text, out))
		return;
	if (cox_json_read(cox_buf_str(&text), "input", &doc, &err) < 0) {
		cox_buf_printf(out, "error: %s\n", err.message);
		return;
	}
	cox_vec_push(&docs, doc);
	show(out, "compact", &docs, cox_json_write);
	show(out, "canonical", &docs, cox_json_write_canonical);
	show(out, "readable", &docs, cox_json_write_pretty);
	show(out, "as yaml", &docs, cox_yaml_write);
}

int main(int argc, char *argv[])
{
	const char *only = argc > 2 ? argv[2] : NULL;

	if (argc > 1 && strcmp(argv[1], "json") == 0)
		return golden_run("tests/golden/doc/json", only, run_json);
	return golden_run("tests/golden/doc/yaml", only, run_yaml);
}
