/* tests/golden/compare: desired.yaml and live.yaml hold one object each. options.yaml, where it is:
 *
 *	ignore     spec.ignoreDifferences
 *	schema     of a custom resource, as its definition has it; without it: unknown to the server
 *	editor     the live object was changed by this manager after our apply
 *	mutations  compare-options IncludeMutationWebhook
 *
 * applied.yaml: what we applied last, from which the live object's managed fields are made; with
 * `applied: desired` in options.yaml it is the desired object. predicted.yaml: what a dry run
 * answers. `want` is "synced", or the fields that differ; with a prediction, before and after it.
 */
#include "agent/compare/compare.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/doc/yaml.h"
#include "common/kube/meta.h"
#include "common/kube/schema.h"
#include "tests/golden/golden.h"
#include "tests/kubesim/managed.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MANAGER "coxswain"

/* NULL: there is no such file. */
static struct cox_doc *read_optional(const char *dir, const char *name)
{
	_cleanup_free_ char *path = cox_path_join(dir, name);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_doc *doc = NULL;
	struct cox_error err;

	if (access(path, F_OK) != 0)
		return NULL;
	if (cox_file_read(path, 1 << 20, &text, &err) < 0 ||
	    cox_yaml_read(cox_buf_str(&text), name, NULL, &doc, &err) < 0) {
		fprintf(stderr, "%s: %s\n", path, err.message);
		exit(1);
	}
	return doc;
}

static struct cox_doc *read_file(const char *dir, const char *name)
{
	struct cox_doc *doc = read_optional(dir, name);

	if (!doc) {
		fprintf(stderr, "%s: no %s\n", dir, name);
		exit(1);
	}
	return doc;
}

static const struct cox_schema_type *type_of(struct cox_arena *arena, const struct cox_node *object,
					     const struct cox_node *schema)
{
	_cleanup_free_ char *group = cox_str_dup(cox_meta_group(object));
	_cleanup_free_ char *version = cox_str_dup(cox_meta_version(object));
	_cleanup_free_ char *kind = cox_str_dup(cox_meta_kind(object));
	const struct cox_schema_type *type = cox_schema_find(group, version, kind);

	return type ? type : cox_schema_of_openapi(arena, schema);
}

static void push(struct cox_arena *arena, struct ks_managers *managers, struct ks_manager one)
{
	struct ks_manager *items =
		cox_arena_calloc(arena, (managers->n + 1) * sizeof(*managers->items));

	if (managers->n)
		memcpy(items, managers->items, managers->n * sizeof(*items));
	items[managers->n] = one;
	managers->items = items;
	managers->n = managers->cap = managers->n + 1;
}

/* The live object with the managed fields that it has once `applied` was applied by us, and what
 * differs from that was written by the editor. */
static struct cox_doc *with_managers(struct cox_doc *live, struct cox_doc *applied,
				     const struct cox_node *options)
{
	struct cox_arena arena = COX_ARENA_INIT(0);
	const struct cox_node *root = cox_doc_root(live), *schema = cox_node_get(options, "schema");
	const struct cox_schema_type *type = type_of(&arena, root, schema);
	const char *editor = cox_node_cstr(cox_node_get(options, "editor"), NULL);
	_cleanup_free_ char *version = cox_str_dup(cox_meta_api_version(root));
	struct ks_managers managers = ks_managers_read(&arena, root);
	struct cox_doc *doc = cox_doc_edit(live);
	struct cox_node *metadata = cox_map_edit_map(doc, cox_doc_root_edit(doc), "metadata");

	push(&arena, &managers,
	     (struct ks_manager){.name = MANAGER,
				 .operation = "Apply",
				 .api_version = version,
				 .subresource = "",
				 .set = ks_typed_fields(&arena, cox_doc_root(applied), type)});
	if (editor) {
		struct ks_writer writer = {.name = editor,
					   .api_version = version,
					   .subresource = "",
					   .now = "2024-05-01T00:00:00Z"};

		ks_managers_update(&arena, &managers, cox_doc_root(applied), root, type, &writer);
	}
	struct cox_node *list = ks_managers_write(doc, &managers);

	if (list)
		cox_map_put(doc, metadata, "managedFields", list);
	cox_doc_seal(doc);
	struct cox_doc *copy = cox_doc_copy("live.yaml", cox_doc_root(doc));

	cox_doc_unref(doc);
	cox_arena_fini(&arena);
	return copy;
}

static void compare(struct cox_doc *desired, struct cox_doc *live,
		    const struct agent_compare_options *options, struct cox_buf *text)
{
	_cleanup_difference_ struct agent_difference d = AGENT_DIFFERENCE_INIT;

	agent_compare(desired, live, options, &d);
	if (!d.n)
		cox_buf_puts(text, "synced\n");
	COX_VEC_EACH (&d.paths, path)
		cox_buf_printf(text, "%s\n", *path);
	if (d.n > d.paths.n)
		cox_buf_printf(text, "and %zu more\n", d.n - d.paths.n);
}

static void run_compare(const char *dir, struct cox_buf *ret_text)
{
	_cleanup_doc_ struct cox_doc *desired = read_file(dir, "desired.yaml");
	_cleanup_doc_ struct cox_doc *raw = read_file(dir, "live.yaml");
	_cleanup_doc_ struct cox_doc *options = read_optional(dir, "options.yaml");
	_cleanup_doc_ struct cox_doc *applied = read_optional(dir, "applied.yaml");
	_cleanup_doc_ struct cox_doc *predicted = read_optional(dir, "predicted.yaml");
	_cleanup_ignore_ struct agent_ignore ignore = AGENT_IGNORE_INIT;
	const struct cox_node *o = options ? cox_doc_root(options) : NULL;

	if (!applied && cox_str_is(cox_node_str(cox_node_get(o, "applied")), "desired"))
		applied = agent_compare_canonical(desired);
	_cleanup_doc_ struct cox_doc *live =
		applied ? with_managers(raw, applied, o) : cox_doc_ref(raw);
	struct agent_compare_options c = {.manager = MANAGER, .ignore = &ignore};

	agent_ignore_for(cox_node_get(o, "ignore"), cox_doc_root(desired), &ignore);
	if (!predicted) {
		compare(desired, live, &c, ret_text);
		return;
	}
	cox_buf_puts(ret_text, "before the dry run:\n");
	compare(desired, live, &c, ret_text);
	c.predicted = predicted;
	c.with_mutations = cox_node_bool(cox_node_get(o, "mutations"), false);
	cox_buf_puts(ret_text, "after it:\n");
	compare(desired, live, &c, ret_text);
}

int main(int argc, char *argv[])
{
	return golden_run("tests/golden/compare", argc > 1 ? argv[1] : NULL, run_compare);
}
