#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tree_suite.h"

const struct tree_item tree_items[] = {
	{"README.md", "hello\n", NULL},
	{"apps/api/deploy.yaml", "kind: Deployment\n", NULL},
	{"apps/api/empty.yaml", "", NULL},
	{"apps/api-2.yaml", "a: 2\n", NULL},
	{"apps/web/deep/er/x.yaml", "x: 1\n", NULL},
	{"apps/web/service.yaml", "kind: Service\n", NULL},
	{"inside.yaml", NULL, "apps/web/service.yaml"},
	{"apps/up.yaml", NULL, "../README.md"},
	{"link-dir", NULL, "apps/web"},
	{"links/absolute", NULL, "/etc/passwd"},
	{"links/chain-1", NULL, "chain-2"},
	{"links/chain-2", NULL, "../inside.yaml"},
	{"links/dangling", NULL, "nowhere"},
	{"links/escape", NULL, "../../etc/passwd"},
	{"links/loop-a", NULL, "loop-b"},
	{"links/loop-b", NULL, "loop-a"},
	{"links/out-and-back", NULL, "../../tree/README.md"},
};
const size_t n_tree_items = COX_ARRAY_LEN(tree_items);

static void expect_list(struct hub_tree *t, const char *path, const char *wanted)
{
	_cleanup_tree_list_ struct hub_tree_list list = HUB_TREE_LIST_INIT;
	_cleanup_buf_ struct cox_buf got = COX_BUF_INIT;
	static const char marks[] = {
		[HUB_TREE_FILE] = ' ', [HUB_TREE_DIR] = '/', [HUB_TREE_LINK] = '@'};

	assert_int_equal(hub_tree_list(t, path, &list, NULL), 0);
	for (size_t i = 0; i < list.n; i++)
		cox_buf_printf(&got, "%s%c", list.items[i].name, marks[list.items[i].kind]);
	assert_string_equal(cox_buf_cstr(&got), wanted);
}

static void expect_content(struct hub_tree *t, const char *path, const char *wanted)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;

	cox_buf_puts(&out, "kept:");
	if (hub_tree_read(t, path, 1000, &out, &err) < 0)
		fail_msg("%s: %s", path, err.message);
	assert_memory_equal(cox_buf_cstr(&out), "kept:", 5);
	assert_string_equal(cox_buf_cstr(&out) + 5, wanted);
}

static void expect_refused(struct hub_tree *t, const char *path, int code, const char *says)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;

	cox_buf_puts(&out, "kept");
	assert_int_equal(hub_tree_read(t, path, 1000, &out, &err), -code);
	if (!strstr(err.message, says))
		fail_msg("'%s' does not say '%s'", err.message, says);
	assert_string_equal(cox_buf_cstr(&out), "kept");
}

static void check_content(struct hub_tree *t)
{
	enum hub_tree_kind kind;
	struct cox_error err;

	expect_list(t, "", "README.md apps/inside.yaml@link-dir@links/");
	expect_list(t, "apps", "api/api-2.yaml up.yaml@web/");
	expect_list(t, "apps/web/deep", "er/");
	for (size_t i = 0; i < n_tree_items; i++)
		if (tree_items[i].content)
			expect_content(t, tree_items[i].path, tree_items[i].content);
	assert_int_equal(hub_tree_kind(t, "", &kind, NULL), 0);
	assert_int_equal(kind, HUB_TREE_DIR);
	assert_int_equal(hub_tree_kind(t, "apps/web/deep/er/x.yaml", &kind, NULL), 0);
	assert_int_equal(kind, HUB_TREE_FILE);
	assert_int_equal(hub_tree_kind(t, "apps/nothing", &kind, &err), -COX_NOT_FOUND);
	assert_non_null(strstr(err.message, "apps/nothing"));
	assert_int_equal(hub_tree_kind(t, "README.md/x", &kind, &err), -COX_NOT_FOUND);
	expect_refused(t, "nothing/at/all", COX_NOT_FOUND, "nothing/at/all");
	expect_refused(t, "apps/web", COX_FAILED_PRECONDITION, "is a directory");
	expect_refused(t, "", COX_FAILED_PRECONDITION, "is a directory");
}

static void check_limits(struct hub_tree *t)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	struct hub_tree_list list = HUB_TREE_LIST_INIT;
	struct cox_error err;

	assert_int_equal(hub_tree_read(t, "README.md", 5, &out, &err), -COX_RESOURCE_EXHAUSTED);
	assert_int_equal(out.len, 0);
	assert_int_equal(hub_tree_read(t, "README.md", 6, &out, &err), 0);
	assert_int_equal(hub_tree_read(t, "README.md", 7, &out, &err), 0);
	assert_int_equal(out.len, 12);
	assert_int_equal(hub_tree_list(t, "README.md", &list, &err), -COX_FAILED_PRECONDITION);
	assert_int_equal(hub_tree_list(t, "missing", &list, &err), -COX_NOT_FOUND);
	assert_null(list.items);
}

/* Paths that were not made by hub_path_* are refused here too. */
static void check_unclean(struct hub_tree *t)
{
	static const char *const paths[] = {
		"..", "../etc/passwd", "apps/../README.md", "/etc/passwd", "apps//web", "apps/",
		".",  "./apps",	       "apps/./web",	    "/",
	};
	enum hub_tree_kind kind;

	for (size_t i = 0; i < COX_ARRAY_LEN(paths); i++) {
		expect_refused(t, paths[i], COX_INVALID_ARGUMENT, "clean form");
		assert_int_equal(hub_tree_kind(t, paths[i], &kind, NULL), -COX_INVALID_ARGUMENT);
	}
}

static void check_walk(struct hub_tree *t)
{
	_cleanup_tree_list_ struct hub_tree_list list = HUB_TREE_LIST_INIT;
	_cleanup_buf_ struct cox_buf got = COX_BUF_INIT;

	assert_int_equal(hub_tree_walk(t, "apps", &list, NULL), 0);
	for (size_t i = 0; i < list.n; i++)
		cox_buf_printf(&got, "%s\n", list.items[i].name);
	assert_string_equal(cox_buf_cstr(&got), "api\napi/deploy.yaml\napi/empty.yaml\n"
						"api-2.yaml\nup.yaml\nweb\nweb/deep\nweb/deep/er\n"
						"web/deep/er/x.yaml\nweb/service.yaml\n");
}

/* CVE-2022-24904, CVE-2022-31036: a link in a repository is not followed. */
static void check_links_refused(struct hub_tree *t)
{
	struct hub_tree_list list = HUB_TREE_LIST_INIT;
	enum hub_tree_kind kind;
	struct cox_error err;

	for (size_t i = 0; i < n_tree_items; i++) {
		if (!tree_items[i].target)
			continue;
		expect_refused(t, tree_items[i].path, COX_FAILED_PRECONDITION, tree_items[i].path);
		expect_refused(t, tree_items[i].path, COX_FAILED_PRECONDITION, "symbolic link");
		assert_int_equal(hub_tree_kind(t, tree_items[i].path, &kind, NULL), 0);
		assert_int_equal(kind, HUB_TREE_LINK);
	}
	expect_refused(t, "link-dir/service.yaml", COX_FAILED_PRECONDITION, "'link-dir'");
	assert_int_equal(hub_tree_list(t, "link-dir", &list, &err), -COX_FAILED_PRECONDITION);
	assert_int_equal(hub_tree_list(t, "link-dir/deep", &list, &err), -COX_FAILED_PRECONDITION);
	assert_int_equal(hub_tree_walk(t, "link-dir", &list, &err), -COX_FAILED_PRECONDITION);
}

/* Followed where that is wanted, but never out. */
static void check_links_followed(struct hub_tree *t)
{
	enum hub_tree_kind kind;

	expect_content(t, "inside.yaml", "kind: Service\n");
	expect_content(t, "apps/up.yaml", "hello\n");
	expect_content(t, "links/chain-1", "kind: Service\n");
	expect_content(t, "link-dir/deep/er/x.yaml", "x: 1\n");
	expect_list(t, "link-dir", "deep/service.yaml ");
	expect_refused(t, "links/absolute", COX_FAILED_PRECONDITION, "absolute");
	expect_refused(t, "links/escape", COX_FAILED_PRECONDITION, "out of the repository");
	expect_refused(t, "links/out-and-back", COX_FAILED_PRECONDITION, "out of the repository");
	expect_refused(t, "links/loop-a", COX_FAILED_PRECONDITION, "more than 40");
	expect_refused(t, "links/dangling", COX_NOT_FOUND, "links/nowhere");
	assert_int_equal(hub_tree_kind(t, "link-dir", &kind, NULL), 0);
	assert_int_equal(kind, HUB_TREE_DIR);
}

void tree_suite(struct hub_tree *t)
{
	struct hub_tree *again = hub_tree_ref(t);

	check_content(t);
	check_limits(t);
	check_unclean(t);
	check_walk(t);
	check_links_refused(t);
	t->follow_links = true;
	check_content(t);
	check_unclean(t);
	check_links_followed(t);
	t->follow_links = false;
	hub_tree_unref(again);
}
