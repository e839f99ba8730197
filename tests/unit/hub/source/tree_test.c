#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "hub/source/reads.h"

#include "path_test.h"
#include "tree_suite.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

static void test_memory(void **state)
{
	_cleanup_tree_ struct hub_tree *t = hub_tree_new_memory(), *recording = NULL;
	_cleanup_reads_ struct hub_reads reads = HUB_READS_INIT;
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < n_tree_items; i++) {
		const struct tree_item *item = &tree_items[i];

		if (item->content)
			assert_int_equal(
				hub_tree_memory_add(t, item->path, cox_str(item->content), &err),
				0);
		else
			assert_int_equal(
				hub_tree_memory_add_link(t, item->path, item->target, &err), 0);
	}
	tree_suite(t);
	recording = hub_tree_recording(t, &reads);
	tree_suite(recording);
	assert_int_equal(hub_reads_hold(&reads, t, NULL), 1);
	assert_int_equal(hub_tree_memory_add(t, "README.md", COX_STR(""), &err),
			 -COX_ALREADY_EXISTS);
	assert_int_equal(hub_tree_memory_add(t, "README.md/x", COX_STR(""), &err),
			 -COX_ALREADY_EXISTS);
	assert_int_equal(hub_tree_memory_add(t, "apps", COX_STR(""), &err), -COX_ALREADY_EXISTS);
	assert_int_equal(hub_tree_memory_add(t, "link-dir/x", COX_STR(""), &err),
			 -COX_ALREADY_EXISTS);
	assert_int_equal(hub_tree_memory_add(t, "../x", COX_STR(""), &err), -COX_PERMISSION_DENIED);
	assert_int_equal(hub_tree_memory_add(t, "a//x", COX_STR(""), &err), -COX_INVALID_ARGUMENT);
	assert_int_equal(hub_tree_memory_add(t, "", COX_STR(""), &err), -COX_INVALID_ARGUMENT);
}

struct fixture {
	char dir[64];
	char *root;
};

static void write_file(const char *root, const char *path, const char *content)
{
	_cleanup_free_ char *full = cox_path_join(root, path);
	_cleanup_free_ char *dir = cox_strdup(full);

	*strrchr(dir, '/') = '\0';
	assert_int_equal(cox_dir_make(dir, 0755, NULL), 0);
	assert_int_equal(cox_file_write(full, cox_str(content), 0644, NULL), 0);
}

static void write_link(const char *root, const char *path, const char *target)
{
	_cleanup_free_ char *full = cox_path_join(root, path);
	_cleanup_free_ char *dir = cox_strdup(full);

	*strrchr(dir, '/') = '\0';
	assert_int_equal(cox_dir_make(dir, 0755, NULL), 0);
	assert_int_equal(symlink(target, full), 0);
}

static int setup(void **state)
{
	struct fixture *f = cox_new(struct fixture);

	strcpy(f->dir, "/tmp/cox-tree-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->root = cox_path_join(f->dir, "tree");
	for (size_t i = 0; i < n_tree_items; i++) {
		if (tree_items[i].content)
			write_file(f->root, tree_items[i].path, tree_items[i].content);
		else
			write_link(f->root, tree_items[i].path, tree_items[i].target);
	}
	write_file(f->root, ".git/config", "[core]\n");
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f->root);
	free(f);
	return 0;
}

static void test_dir(void **state)
{
	struct fixture *f = *state;
	_cleanup_tree_ struct hub_tree *t = NULL;
	_cleanup_free_ char *missing = cox_path_join(f->root, "missing");
	_cleanup_free_ char *file = cox_path_join(f->root, "README.md");
	struct hub_tree *none = NULL;
	struct cox_error err;

	assert_int_equal(hub_tree_open_dir(f->root, &t, &err), 0);
	tree_suite(t);
	assert_string_equal(t->commit, "");
	assert_int_equal(hub_tree_open_dir(missing, &none, &err), -COX_NOT_FOUND);
	assert_non_null(strstr(err.message, missing));
	assert_true(hub_tree_open_dir(file, &none, &err) < 0);
	assert_null(none);
}

static void test_dir_special_files(void **state)
{
	struct fixture *f = *state;
	_cleanup_tree_ struct hub_tree *t = NULL;
	_cleanup_free_ char *pipe_path = cox_path_join(f->root, "pipe");
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	enum hub_tree_kind kind;
	struct cox_error err;

	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(hub_tree_open_dir(f->root, &t, &err), 0);
	assert_int_equal(hub_tree_kind(t, "pipe", &kind, &err), 0);
	assert_int_equal(kind, HUB_TREE_OTHER);
	/* Reading would wait for a writer. */
	assert_int_equal(hub_tree_read(t, "pipe", 100, &out, &err), -COX_FAILED_PRECONDITION);
}

struct race {
	const char *real, *other, *link;
	atomic_bool stop;
};

/* The directory is a directory, then a link out, then a directory again, without an end. */
static void *swap(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop)) {
		rename(r->real, r->other);
		rename(r->link, r->real);
		rename(r->real, r->link);
		rename(r->other, r->real);
	}
	return NULL;
}

/* Whoever moves things about while we read never gets us out of the tree. */
static void test_dir_race(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *outside = cox_path_join(f->dir, "outside");
	_cleanup_free_ char *real = cox_path_join(f->root, "race");
	_cleanup_free_ char *other = cox_path_join(f->root, "race-moved");
	_cleanup_free_ char *link = cox_path_join(f->root, "race-link");
	struct race race = {.real = real, .other = other, .link = link};
	_cleanup_tree_ struct hub_tree *t = NULL;
	int n_read = 0, n_refused = 0;
	pthread_t thread;

	write_file(outside, "secret.yaml", "canary\n");
	write_file(f->root, "race/secret.yaml", "public\n");
	write_link(f->root, "race-link", outside);
	assert_int_equal(hub_tree_open_dir(f->root, &t, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, swap, &race), 0);
	for (int i = 0; i < 20000 && (n_read < 200 || n_refused < 200); i++) {
		_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

		if (hub_tree_read(t, "race/secret.yaml", 100, &out, NULL) < 0) {
			n_refused++;
			continue;
		}
		assert_string_equal(cox_buf_cstr(&out), "public\n");
		n_read++;
	}
	atomic_store(&race.stop, true);
	pthread_join(thread, NULL);
	assert_true(n_read > 0);
	assert_true(n_refused > 0);
}

static void test_entry_limit(void **state)
{
	_cleanup_tree_ struct hub_tree *t = hub_tree_new_memory();
	struct hub_tree_list list = HUB_TREE_LIST_INIT;
	char name[32];

	(void)state;
	for (int i = 0; i < HUB_LIMIT_DIR_ENTRIES; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		assert_int_equal(hub_tree_memory_add(t, name, COX_STR(""), NULL), 0);
	}
	assert_int_equal(hub_tree_list(t, "d", &list, NULL), 0);
	assert_int_equal(list.n, HUB_LIMIT_DIR_ENTRIES);
	hub_tree_list_fini(&list);
	assert_int_equal(hub_tree_memory_add(t, "d/one-more", COX_STR(""), NULL), 0);
	assert_int_equal(hub_tree_list(t, "d", &list, NULL), -COX_RESOURCE_EXHAUSTED);
	assert_int_equal(hub_tree_walk(t, "", &list, NULL), -COX_RESOURCE_EXHAUSTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_escapes),
		cmocka_unit_test(test_path_clean),
		cmocka_unit_test(test_path_resolve),
		cmocka_unit_test(test_path_limits),
		cmocka_unit_test(test_memory),
		cmocka_unit_test_setup_teardown(test_dir, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dir_special_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dir_race, setup, teardown),
		cmocka_unit_test(test_entry_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
