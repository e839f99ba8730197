/* Runs a fuzz target's entry point over files: what ctest does with every corpus, where libFuzzer
 * is not linked. Arguments are files or folders; the order is by name. */
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_run;

static int replay_file(const char *path)
{
	_cleanup_buf_ struct cox_buf input = COX_BUF_INIT;
	struct cox_error err;

	if (cox_file_read(path, 64 << 20, &input, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)cox_buf_cstr(&input), input.len);
	n_run++;
	return 0;
}

static int replay(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n, failed = 0;

	if (stat(path, &st) < 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path);
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			_cleanup_free_ char *file = cox_path_join(path, names[i]->d_name);

			failed |= replay(file);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return failed;
}

int main(int argc, char *argv[])
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	printf("%d inputs replayed\n", n_run);
	return failed || n_run == 0;
}
