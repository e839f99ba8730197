/* tests/golden/render: source.yaml is spec.source of an Application (its path is inside tree/);
 * tree/ is the repository. `want` is the bundle's objects as a YAML stream in bundle order, then
 * the warnings, then what was read; or the error. */
#include "hub/render/render.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/doc/yaml.h"
#include "hub/render/bundle.h"
#include "hub/source/tree.h"
#include "tests/golden/golden.h"

static const char application_head[] = "apiVersion: argoproj.io/v1alpha1\n"
				       "kind: Application\n"
				       "metadata: {name: test}\n"
				       "spec:\n"
				       "  destination: {name: here}\n"
				       "  source:\n"
				       "    repoURL: https://git.example.com/x\n";

static int read_application(const char *dir, struct hub_application *app, struct cox_error *err)
{
	_cleanup_free_ char *path = cox_path_join(dir, "source.yaml");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT, whole = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_str rest, line;
	int r = cox_file_read(path, 1 << 20, &text, err);

	if (r < 0)
		return r;
	cox_buf_puts(&whole, application_head);
	rest = cox_buf_str(&text);
	while (rest.ptr && cox_str_split(&rest, '\n', &line))
		cox_buf_printf(&whole, "    %.*s\n", COX_STR_ARG(line));
	r = cox_yaml_read(cox_buf_str(&whole), "source.yaml", NULL, &doc, err);
	return r < 0 ? r : hub_application_init(app, doc, err);
}

static const char *what_was_read(const struct hub_read *read)
{
	if (read->what == HUB_READ_CONTENT)
		return "read";
	if (read->what == HUB_READ_LINK)
		return "link";
	if (read->what == HUB_READ_NAMES)
		return "listed";
	return *read->id ? "looked at" : "not there";
}

static void write_result(const struct hub_rendered *out, struct cox_buf *text)
{
	_cleanup_problems_ struct hub_problems warnings = {0};
	_cleanup_docs_ cox_docs sorted = {0};

	hub_bundle_sort(&out->objects, &sorted, &warnings);
	for (size_t i = 0; i < sorted.n; i++) {
		cox_buf_puts(text, "---\n");
		cox_yaml_write(text, cox_doc_root(sorted.items[i]));
	}
	for (size_t k = 0; k < 2; k++) {
		COX_VEC_EACH (k ? &warnings.list : &out->warnings.list, w) {
			cox_buf_puts(text, "# warning: ");
			hub_problem_print(text, w);
			cox_buf_putc(text, '\n');
		}
	}
	COX_VEC_EACH (&out->reads, read)
		cox_buf_printf(text, "# %s: %s\n", what_was_read(read),
			       *read->path ? read->path : ".");
}

static void run_render(const char *dir, struct cox_buf *ret_text)
{
	_cleanup_free_ char *root = cox_path_join(dir, "tree");
	_cleanup_application_ struct hub_application app = {0};
	_cleanup_rendered_ struct hub_rendered out = {0};
	_cleanup_tree_ struct hub_tree *tree = NULL;
	static const struct hub_render_app for_app = {"test", "web", "default",
						      "0123456789abcdef0123456789abcdef01234567"};
	const struct hub_render_options options = {.app = &for_app};
	struct cox_error err;
	int r = read_application(dir, &app, &err);

	if (r == 0)
		r = hub_tree_open_dir(root, &tree, &err);
	if (r == 0)
		r = hub_render(tree, &app.sources.items[0], &options, &out, &err);
	if (r < 0)
		cox_buf_printf(ret_text, "error: %s\n", err.message);
	else
		write_result(&out, ret_text);
}

int main(int argc, char *argv[])
{
	return golden_run("tests/golden/render", argc > 1 ? argv[1] : NULL, run_render);
}
