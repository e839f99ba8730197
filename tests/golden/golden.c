#include "tests/golden/golden.h"

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#define MAX_WANT (32 << 20)

static void print_difference(const char *name, struct cox_str want, struct cox_str got)
{
	struct cox_str w, g;
	unsigned line = 0;

	do {
		line++;
		if (!want.ptr || !cox_str_split(&want, '\n', &w))
			w = COX_STR("(end)");
		if (!got.ptr || !cox_str_split(&got, '\n', &g))
			g = COX_STR("(end)");
	} while (cox_str_eq(w, g) && (want.ptr || got.ptr));
	printf("FAILED %s, line %u\n  want: %.*s\n  got:  %.*s\n", name, line, COX_STR_ARG(w),
	       COX_STR_ARG(g));
}

static int run_case(const char *dir, void (*run)(const char *, struct cox_buf *))
{
	_cleanup_free_ char *want_path = cox_path_join(dir, "want");
	_cleanup_buf_ struct cox_buf want = COX_BUF_INIT, got = COX_BUF_INIT;
	struct cox_error err;

	run(dir, &got);
	if (getenv("COX_GOLDEN_WRITE")) {
		if (cox_file_write(want_path, cox_buf_str(&got), 0644, &err) == 0)
			return 0;
		printf("FAILED %s: %s\n", dir, err.message);
		return 1;
	}
	if (cox_file_read(want_path, MAX_WANT, &want, &err) < 0) {
		printf("FAILED %s: %s\n", dir, err.message);
		return 1;
	}
	if (cox_str_eq(cox_buf_str(&want), cox_buf_str(&got)))
		return 0;
	print_difference(dir, cox_buf_str(&want), cox_buf_str(&got));
	return 1;
}

int golden_run(const char *folder, const char *only, void (*run)(const char *, struct cox_buf *))
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, NULL, alphasort), n_run = 0, n_failed = 0;

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *dir = cox_path_join(folder, names[i]->d_name);
		struct stat st;

		if (names[i]->d_name[0] != '.' && stat(dir, &st) == 0 && S_ISDIR(st.st_mode) &&
		    (!only || strcmp(only, names[i]->d_name) == 0)) {
			n_run++;
			n_failed += run_case(dir, run);
		}
		free(names[i]);
	}
	free(names);
	printf("%s: %d cases, %d failed\n", folder, n_run, n_failed);
	return n_run == 0 || n_failed > 0;
}
