/* Each folder here is a test: objects.yaml in, wanted.txt out, "STATUS<tab>KIND/NAME<tab>message"
 * one object a line; the object's name says what it proves. config.yaml, where there is one, is the
 * ConfigMap with the scripts. COX_GOLDEN=write writes the wanted files instead of comparing. */
#include "common/base/file.h"
#include "common/doc/yaml.h"
#include "common/health/custom.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define FOLDER "tests/golden/health"

static struct cox_health_custom *read_config(const char *name)
{
	_cleanup_free_ char *path = cox_asprintf("%s/%s/config.yaml", FOLDER, name);
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	struct cox_health_custom *custom = NULL;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err;

	if (access(path, F_OK) < 0)
		return NULL;
	if (cox_file_read(path, 1 << 20, &text, &err) < 0 ||
	    cox_yaml_read(cox_buf_str(&text), path, NULL, &doc, &err) < 0 ||
	    cox_health_custom_new(cox_doc_root(doc), &custom, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(cox_health_custom_count(custom) > 0);
	return custom;
}

/* 2026-01-02T03:04:05Z is now, for scripts */
static const struct cox_health_run golden_run = {.wall_ms = 1767323045000};

static void assess_all(const char *name, struct cox_buf *out)
{
	_cleanup_free_ char *path = cox_asprintf("%s/%s/objects.yaml", FOLDER, name);
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	_cleanup_health_custom_ struct cox_health_custom *custom = read_config(name);
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;

	if (cox_file_read(path, 1 << 20, &text, &err) < 0 ||
	    cox_yaml_read_all(cox_buf_str(&text), path, NULL, &docs, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(docs.n > 0);
	COX_VEC_EACH (&docs, doc) {
		const struct cox_node *o = cox_doc_root(*doc);
		struct cox_health h;

		cox_health_assess_custom(custom, o, &golden_run, &h);
		cox_buf_printf(out, "%s\t%.*s/%.*s\t%s\n",
			       h.status == COX_HEALTH_NONE ? "-" : cox_health_name(h.status),
			       COX_STR_ARG(cox_meta_kind(o)), COX_STR_ARG(cox_meta_name(o)),
			       h.message);
	}
}

static void run_folder(const char *name)
{
	_cleanup_free_ char *path = cox_asprintf("%s/%s/wanted.txt", FOLDER, name);
	COX_CLEANUP(cox_buf_fini) struct cox_buf got = COX_BUF_INIT, wanted = COX_BUF_INIT;
	const char *mode = getenv("COX_GOLDEN");
	struct cox_error err;

	assess_all(name, &got);
	if (mode && strcmp(mode, "write") == 0) {
		assert_int_equal(cox_file_write(path, cox_buf_str(&got), 0644, &err), 0);
		return;
	}
	if (cox_file_read(path, 1 << 20, &wanted, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(cox_buf_cstr(&got), cox_buf_cstr(&wanted));
}

static void test_folders(void **state)
{
	DIR *dir = opendir(FOLDER);
	size_t n = 0;

	(void)state;
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		run_folder(e->d_name);
		n++;
	}
	closedir(dir);
	assert_true(n >= 19);
}

static struct cox_object_key key_of(const char *kind, const char *name)
{
	return (struct cox_object_key){
		.group = COX_STR(""), .kind = cox_str(kind), .name = cox_str(name)};
}

static void test_sum(void **state)
{
	struct cox_health_sum sum = COX_HEALTH_SUM_INIT;
	struct cox_health h = {.status = COX_HEALTH_HEALTHY}, result;
	_cleanup_doc_ struct cox_doc *live = NULL, *ignored = NULL;

	(void)state;
	cox_yaml_read(COX_STR("{}"), "t", NULL, &live, NULL);
	cox_yaml_read(COX_STR("metadata: {annotations: {argocd.argoproj.io/ignore-healthcheck: "
			      "'true'}}"),
		      "t", NULL, &ignored, NULL);
	cox_health_sum_result(&sum, &result);
	assert_int_equal(result.status, COX_HEALTH_HEALTHY);
	/* nothing at all is live */
	cox_health_sum_add(&sum, key_of("ConfigMap", "a"), NULL, &h);
	cox_health_sum_result(&sum, &result);
	assert_int_equal(result.status, COX_HEALTH_MISSING);
	/* one is, and has no health: the missing one alone doesn't count */
	h.status = COX_HEALTH_NONE;
	cox_health_sum_add(&sum, key_of("ConfigMap", "b"), cox_doc_root(live), &h);
	cox_health_sum_result(&sum, &result);
	assert_int_equal(result.status, COX_HEALTH_HEALTHY);
	/* told not to look */
	h.status = COX_HEALTH_DEGRADED;
	cox_health_sum_add(&sum, key_of("Pod", "c"), cox_doc_root(ignored), &h);
	cox_health_sum_result(&sum, &result);
	assert_int_equal(result.status, COX_HEALTH_HEALTHY);
	for (int i = 0; i < 5; i++) {
		char name[2] = {(char)('k' + i), 0};

		h = (struct cox_health){.status = COX_HEALTH_PROGRESSING, .message = "wait"};
		cox_health_sum_add(&sum, key_of("Pod", name), cox_doc_root(live), &h);
	}
	cox_health_sum_result(&sum, &result);
	assert_int_equal(result.status, COX_HEALTH_PROGRESSING);
	assert_string_equal(result.message,
			    "Pod 'k': wait; Pod 'l': wait; Pod 'm': wait; and 2 more");
	h = (struct cox_health){.status = COX_HEALTH_DEGRADED, .message = "broken"};
	cox_health_sum_add(&sum, key_of("Pod", "z"), cox_doc_root(live), &h);
	h.status = COX_HEALTH_SUSPENDED;
	cox_health_sum_add(&sum, key_of("Pod", "y"), cox_doc_root(live), &h);
	cox_health_sum_result(&sum, &result);
	assert_int_equal(result.status, COX_HEALTH_DEGRADED);
	assert_string_equal(result.message, "Pod 'z': broken");
	/* a child Application that is Missing or Unknown is left out; a worse word by a script counts */
	struct cox_object_key child = {.group = COX_STR("argoproj.io"),
				       .kind = COX_STR("Application"),
				       .name = COX_STR("child")};

	cox_health_sum_fini(&sum);
	sum = COX_HEALTH_SUM_INIT;
	for (int i = COX_HEALTH_MISSING; i <= COX_HEALTH_UNKNOWN; i++) {
		h = (struct cox_health){.status = (enum cox_health_status)i};
		cox_health_sum_add(&sum, child, cox_doc_root(live), &h);
		cox_health_sum_result(&sum, &result);
		assert_int_equal(result.status, i == COX_HEALTH_MISSING ? COX_HEALTH_HEALTHY
									: COX_HEALTH_DEGRADED);
	}
	cox_health_sum_fini(&sum);
}

static void test_message_is_cut_between_characters(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_health h;

	(void)state;
	cox_buf_puts(&text, "{apiVersion: v1, kind: Pod, status: {phase: Failed, message: 'x");
	for (int i = 0; i < 200; i++)
		cox_buf_puts(&text, "é");
	cox_buf_puts(&text, "'}}");
	assert_int_equal(cox_yaml_read(cox_buf_str(&text), "t", NULL, &doc, NULL), 0);
	cox_health_assess(cox_doc_root(doc), &h);
	assert_int_equal(h.status, COX_HEALTH_DEGRADED);
	assert_true(cox_utf8_valid(cox_str(h.message), NULL));
	assert_int_equal(strlen(h.message), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_message_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
