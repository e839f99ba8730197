/* cox lint: every problem of every file. Plain YAML and JSON are read, objects of Kubernetes are held
 * against what is known of their kind, the hub's own kinds against their tables. */
#include "common/base/suggest.h"
#include "common/kube/meta.h"
#include "common/kube/schema.h"
#include "hub/cli/cli.h"
#include "hub/model/check.h"

#include <stdio.h>

struct lint {
	const struct cox_doc *doc;
	struct hub_problems *out;
	struct cox_buf path;
};

static void check_node(struct lint *l, const struct cox_node *node,
		       const struct cox_schema_type *type);

static void say(struct lint *l, const struct cox_node *node, const char *what, const char *wanted)
{
	hub_problem_add(l->out, HUB_ERROR, l->doc, node, "%s: %s%s", cox_buf_cstr(&l->path), what,
			wanted);
}

static size_t push(struct lint *l, struct cox_str key)
{
	size_t mark = l->path.len;

	if (mark)
		cox_buf_putc(&l->path, '.');
	cox_buf_puts_str(&l->path, key);
	return mark;
}

static void pop(struct lint *l, size_t mark)
{
	l->path.len = mark;
	if (l->path.ptr)
		l->path.ptr[mark] = 0;
}

/* ---- values against the types of the built-in kinds ---- */

/* What each kind of a type takes; a bit for each kind of a node. */
#define BIT(kind) (1u << (kind))
static const struct {
	unsigned takes;
	const char *name;
} wanted[] = {
	[COX_SCHEMA_ANY] = {~0u, ""},
	[COX_SCHEMA_STRING] = {BIT(COX_STRING), "a string"},
	[COX_SCHEMA_INT] = {BIT(COX_INT), "an integer"},
	[COX_SCHEMA_NUMBER] = {BIT(COX_INT) | BIT(COX_FLOAT), "a number"},
	[COX_SCHEMA_BOOL] = {BIT(COX_BOOL), "a boolean"},
	[COX_SCHEMA_TIME] = {BIT(COX_STRING), "a time"},
	[COX_SCHEMA_MICROTIME] = {BIT(COX_STRING), "a time"},
	[COX_SCHEMA_QUANTITY] = {BIT(COX_STRING) | BIT(COX_INT) | BIT(COX_FLOAT), "a quantity"},
	[COX_SCHEMA_INT_OR_STRING] = {BIT(COX_INT) | BIT(COX_STRING), "an integer or a string"},
	[COX_SCHEMA_BYTES] = {BIT(COX_STRING), "base64"},
	[COX_SCHEMA_STRUCT] = {BIT(COX_MAP), "a map"},
	[COX_SCHEMA_MAP] = {BIT(COX_MAP), "a map"},
	[COX_SCHEMA_LIST] = {BIT(COX_LIST), "a list"},
};

static void say_unknown(struct lint *l, const struct cox_node *map, size_t i,
			const struct cox_schema_type *type)
{
	struct cox_suggestion near = {0};
	struct cox_str key = cox_node_key(map, i);
	uint32_t line, column;

	for (size_t k = 0; k < type->n_fields; k++)
		cox_suggest(&near, key, type->fields[k].name);
	cox_node_key_position(map, i, &line, &column);
	hub_problem_add_at(l->out, HUB_ERROR, cox_doc_name(l->doc), line, column,
			   "%s%sunknown field '%.*s'%s%s%s", cox_buf_cstr(&l->path),
			   l->path.len ? ": " : "", COX_STR_ARG(key),
			   near.best ? ", did you mean '" : "", near.best ? near.best : "",
			   near.best ? "'?" : "");
}

static void check_struct(struct lint *l, const struct cox_node *map,
			 const struct cox_schema_type *type)
{
	for (size_t i = 0; i < cox_node_len(map); i++) {
		const struct cox_schema_field *f = cox_schema_field(type, cox_node_key(map, i));
		size_t mark;

		if (!f) {
			if (!type->open)
				say_unknown(l, map, i, type);
			continue;
		}
		mark = push(l, cox_node_key(map, i));
		check_node(l, cox_node_at(map, i), f->type);
		pop(l, mark);
	}
}

static void check_map(struct lint *l, const struct cox_node *map,
		      const struct cox_schema_type *type)
{
	for (size_t i = 0; i < cox_node_len(map); i++) {
		size_t mark = push(l, cox_node_key(map, i));

		check_node(l, cox_node_at(map, i), type->item);
		pop(l, mark);
	}
}

static void check_list(struct lint *l, const struct cox_node *list,
		       const struct cox_schema_type *type)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		size_t mark = l->path.len;

		cox_buf_printf(&l->path, "[%zu]", i);
		check_node(l, cox_node_at(list, i), type->item);
		pop(l, mark);
	}
}

static void check_node(struct lint *l, const struct cox_node *node,
		       const struct cox_schema_type *type)
{
	if (!type || cox_node_kind(node) <= COX_NULL)
		return;
	if (!(wanted[type->kind].takes & BIT(cox_node_kind(node)))) {
		bool quote = type->kind == COX_SCHEMA_STRING && !cox_node_is(node, COX_MAP) &&
			     !cox_node_is(node, COX_LIST);
		_cleanup_free_ char *what =
			cox_asprintf("expected %s, got ", wanted[type->kind].name);
		_cleanup_free_ char *got = cox_asprintf("%s%s", cox_kind_name(cox_node_kind(node)),
							quote ? " (put it in quotes)" : "");

		say(l, node, what, got);
		return;
	}
	if (type->kind == COX_SCHEMA_STRUCT)
		check_struct(l, node, type);
	else if (type->kind == COX_SCHEMA_MAP)
		check_map(l, node, type);
	else if (type->kind == COX_SCHEMA_LIST)
		check_list(l, node, type);
}

/* ---- documents ---- */

static bool is_text(const struct cox_node *root, const char *key)
{
	return cox_node_str(cox_node_get(root, key)).len > 0;
}

/* Something of Kubernetes, and not a chart's description, values, or any other YAML. */
static bool is_object(const struct cox_node *root)
{
	if (is_text(root, "apiVersion") && is_text(root, "kind"))
		return true;
	return (is_text(root, "apiVersion") || is_text(root, "kind")) &&
	       cox_node_is(COX_GET(root, "metadata"), COX_MAP);
}

/* Kinds that are read from files only, and have no metadata. */
static bool is_configuration(const struct cox_node *root)
{
	struct cox_str group = cox_meta_group(root);

	return cox_str_is(group, "kustomize.config.k8s.io") ||
	       cox_str_is(group, "kubeadm.k8s.io") || cox_str_ends(group, ".config.k8s.io") ||
	       cox_str_is(cox_meta_kind(root), "Config");
}

static void check_head(const struct cox_doc *doc, const struct cox_node *root,
		       struct hub_problems *out)
{
	const struct cox_node *metadata = COX_GET(root, "metadata");

	if (!is_text(root, "apiVersion"))
		hub_problem_add(out, HUB_ERROR, doc, root, "apiVersion: is required");
	if (!is_text(metadata, "name") && !is_text(metadata, "generateName"))
		hub_problem_add(out, HUB_ERROR, doc, metadata ? metadata : root,
				"metadata.name: is required");
}

static void lint_object(const struct cox_doc *doc, const struct cox_node *root,
			struct hub_problems *out)
{
	_cleanup_free_ char *group = cox_str_dup(cox_meta_group(root));
	_cleanup_free_ char *version = cox_str_dup(cox_meta_version(root));
	_cleanup_free_ char *kind = cox_str_dup(cox_meta_kind(root));
	const struct cox_schema_type *type = cox_schema_find(group, version, kind);
	struct lint l = {.doc = doc, .out = out};

	if (!type || hub_kind_of(root) != HUB_KIND_NONE) {
		hub_check_object(doc, root, out);
		return;
	}
	check_head(doc, root, out);
	check_node(&l, root, type);
	cox_buf_fini(&l.path);
}

static void lint_document(const struct cox_doc *doc, struct hub_problems *out)
{
	const struct cox_node *root = cox_doc_root(doc), *items = COX_GET(root, "items");

	if (!is_object(root) || is_configuration(root))
		return;
	if (!cox_str_ends(cox_meta_kind(root), "List") || !cox_node_is(items, COX_LIST)) {
		lint_object(doc, root, out);
		return;
	}
	for (size_t i = 0; i < cox_node_len(items); i++)
		lint_object(doc, cox_node_at(items, i), out);
}

/* ---- files ---- */

static int compare_problems(const void *x, const void *y)
{
	const struct hub_problem *a = x, *b = y;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return strcmp(a->message, b->message);
}

static void print_sorted(struct hub_problems *problems)
{
	cox_vec_sort(&problems->list, compare_problems);
	COX_VEC_EACH (&problems->list, p) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		hub_problem_print(&text, p);
		printf("%s\n", cox_buf_cstr(&text));
	}
}

/* 1 when there was something to say. */
static int lint_file(const char *path, struct cox_error *err)
{
	_cleanup_problems_ struct hub_problems problems = {0};
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error why;
	int r = cli_read_file(path, &docs, &why);

	if (r == -COX_INVALID_ARGUMENT || r == -COX_RESOURCE_EXHAUSTED) {
		printf("%s\n", why.message);
		return CLI_FAILED;
	}
	if (r < 0)
		return cox_error(err, (enum cox_code) - r, "%s", why.message);
	for (size_t i = 0; i < docs.n; i++)
		lint_document(docs.items[i], &problems);
	print_sorted(&problems);
	return problems.list.n ? CLI_FAILED : 0;
}

CLI_RUN(cli_lint)
{
	COX_CLEANUP(cox_strings_fini) cox_strings paths = {0};
	int r, failed = 0;

	(void)args;
	if (flags->files.n == 0)
		return cli_usage(err, "name a file or a folder with -f");
	r = cli_list_files(&flags->files, true, &paths, err);
	for (size_t i = 0; r >= 0 && i < paths.n; i++) {
		r = lint_file(paths.items[i], err);
		failed |= r == CLI_FAILED;
	}
	return r < 0 ? r : failed;
}
