/* tests/golden/check: input.yaml holds objects; `want` has every problem that hub_check finds. */
#include "hub/model/check.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/doc/yaml.h"
#include "tests/golden/golden.h"

static void run_check(const char *dir, struct cox_buf *ret_text)
{
	_cleanup_free_ char *path = cox_path_join(dir, "input.yaml");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_problems_ struct hub_problems problems = {0};
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;

	if (cox_file_read(path, 1 << 20, &text, &err) < 0 ||
	    cox_yaml_read_all(cox_buf_str(&text), "input.yaml", NULL, &docs, &err) < 0) {
		cox_buf_printf(ret_text, "error: %s\n", err.message);
		return;
	}
	for (size_t i = 0; i < docs.n; i++)
		hub_check(docs.items[i], &problems);
	COX_VEC_EACH (&problems.list, p) {
		cox_buf_puts(ret_text, p->severity == HUB_ERROR ? "error " : "warning ");
		hub_problem_print(ret_text, p);
		cox_buf_putc(ret_text, '\n');
	}
}

int main(int argc, char *argv[])
{
	return golden_run("tests/golden/check", argc > 1 ? argv[1] : NULL, run_check);
}
