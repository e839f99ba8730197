/* What a kustomization must not be: refused.txt, beside this file, holds repositories and the errors
 * that they give, with file, line and column, and what to do. */
#include "common/base/file.h"
#include "hub/render/kustomize/kustomize.h"
#include "hub/source/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES "tests/unit/hub/render/kustomize/refused.txt"

struct refused {
	char *name;
	struct hub_tree *tree;
	char *path; /* of the file that is being read */
	struct cox_buf text;
};

static size_t n_cases, n_wrong;

static void end_file(struct refused *c)
{
	struct cox_error err;

	if (c->path && hub_tree_memory_add(c->tree, c->path, cox_buf_str(&c->text), &err) < 0)
		fail_msg("%s: %s", c->name, err.message);
	free(TAKE(c->path));
	c->text.len = 0;
}

static void begin_file(struct refused *c, struct cox_str line)
{
	char *path = cox_str_dup(line), *arrow = strstr(path, " -> ");
	struct cox_error err;

	end_file(c);
	if (!arrow) {
		c->path = path;
		return;
	}
	*arrow = 0;
	if (hub_tree_memory_add_link(c->tree, path, arrow + 4, &err) < 0)
		fail_msg("%s: %s", c->name, err.message);
	free(path);
}

static void check(struct refused *c, struct cox_str wanted)
{
	_cleanup_docs_ cox_docs docs = {0};
	struct hub_kustomize_input in = {.path = "app"};
	struct cox_error err = COX_ERROR_INIT;
	int e;

	end_file(c);
	e = hub_kustomize_build(c->tree, &in, &docs, &err);
	n_cases++;
	if (e < 0 && docs.n == 0 && cox_str_is(wanted, err.message))
		return;
	n_wrong++;
	print_error("%s:\n\twanted '%.*s'\n\tgot    '%s'\n", c->name, COX_STR_ARG(wanted),
		    e < 0 ? err.message : "(no error)");
}

static void end_case(struct refused *c)
{
	hub_tree_unref(c->tree);
	cox_buf_fini(&c->text);
	free(c->path);
	free(c->name);
	*c = (struct refused){0};
}

static void test_refused(void **state)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_str rest, line;
	struct refused c = {0};
	struct cox_error err;

	(void)state;
	if (cox_file_read(CASES, 1 << 20, &text, &err) < 0)
		fail_msg("%s", err.message);
	rest = cox_buf_str(&text);
	while (cox_str_split(&rest, '\n', &line)) {
		struct cox_str after =
			line.len > 2 ? cox_str_n(line.ptr + 2, line.len - 2) : COX_STR("");

		if (cox_str_starts(line, "# ")) {
			end_case(&c);
			c.name = cox_str_dup(after);
			c.tree = hub_tree_new_memory();
		} else if (c.tree && cox_str_starts(line, "@ ")) {
			begin_file(&c, after);
		} else if (c.tree && cox_str_starts(line, "! ")) {
			check(&c, after);
		} else if (c.path) {
			cox_buf_printf(&c.text, "%.*s\n", COX_STR_ARG(line));
		}
	}
	end_case(&c);
	assert_true(n_cases >= 100);
	assert_int_equal(n_wrong, 0);
}

/* Where links are followed, they do not lead a kustomization out of its directory. */
static void test_links(void **state)
{
	static const char object[] = "{apiVersion: v1, kind: Pod, metadata: {name: %c}}\n";
	static const struct {
		const char *target, *message; /* NULL: it is read */
	} cases[] = {
		{"sub/x.yaml", NULL},
		{"../app/sub/x.yaml", NULL},
		{"../y.yaml",
		 "app/kustomization.yaml:1:13: file 'y.yaml' is not in or below 'app': a "
		 "kustomization reads files of its own directory only; make a base of the "
		 "other one"},
		{"../../y.yaml", "app/kustomization.yaml:1:13: symbolic link 'app/l.yaml': path "
				 "'../../y.yaml' leads out of the repository"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_tree_ struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_free_ char *x = cox_asprintf(object, 'x'), *y = cox_asprintf(object, 'y');
		_cleanup_docs_ cox_docs docs = {0};
		struct cox_error err = COX_ERROR_INIT;
		int e;

		tree->follow_links = true;
		hub_tree_memory_add(tree, "app/kustomization.yaml",
				    COX_STR("resources: [l.yaml]\n"), NULL);
		hub_tree_memory_add(tree, "app/sub/x.yaml", cox_str(x), NULL);
		hub_tree_memory_add(tree, "y.yaml", cox_str(y), NULL);
		hub_tree_memory_add_link(tree, "app/l.yaml", cases[i].target, NULL);
		e = hub_kustomize_build(tree, &(struct hub_kustomize_input){.path = "app"}, &docs,
					&err);
		assert_string_equal(e < 0 ? err.message : "",
				    cases[i].message ? cases[i].message : "");
		assert_int_equal(docs.n, cases[i].message ? 0 : 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused),
					   cmocka_unit_test(test_links)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
