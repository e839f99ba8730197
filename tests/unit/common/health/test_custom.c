/* Which script judges which object, and what is wrong with a ConfigMap. */
#include "common/doc/yaml.h"
#include "common/health/custom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int try_read(const char *text, struct cox_health_custom **ret, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	assert_int_equal(cox_yaml_read(cox_str(text), "config", NULL, &doc, err), 0);
	return cox_health_custom_new(cox_doc_root(doc), ret, err);
}

static struct cox_health_custom *read_config(const char *text)
{
	struct cox_health_custom *custom = NULL;
	struct cox_error err;

	if (try_read(text, &custom, &err) < 0)
		fail_msg("%s", err.message);
	return custom;
}

static void expect_key(const struct cox_health_custom *c, const char *group, const char *kind,
		       const char *key)
{
	const char *got = cox_health_custom_find(c, cox_str(group), cox_str(kind));

	assert_string_equal(got ? got : "-", key);
}

static void test_keys(void **state)
{
	_cleanup_health_custom_ struct cox_health_custom *c =
		read_config("data:\n"
			    "  resource.customizations.health.argoproj.io_Rollout: return 1\n"
			    "  resource.customizations.health.PersistentVolumeClaim: return 2\n"
			    "  resource.customizations.health.empty.io_Thing: '  '\n"
			    "  resource.customizations.health.*.both.io_*: return 3\n"
			    "  resource.customizations.ignoreDifferences.all: 'x'\n"
			    "  resource.customizations.useOpenLibs.argoproj.io_Rollout: 'true'\n"
			    "  application.instanceLabelKey: x\n"
			    "  resource.customizations: |\n"
			    "    '*.aws.crossplane.io/*':\n"
			    "      health.lua: return 4\n"
			    "    'rds.aws.crossplane.io/*':\n"
			    "      health.lua: return 5\n"
			    "    argoproj.io/Rollout:\n"
			    "      health.lua: return 6\n"
			    "      health.lua.useOpenLibs: true\n"
			    "    other.io/Thing:\n"
			    "      ignoreDifferences: x\n");

	(void)state;
	assert_int_equal(cox_health_custom_count(c), 5);
	expect_key(c, "argoproj.io", "Rollout", "argoproj.io/Rollout");
	expect_key(c, "", "PersistentVolumeClaim", "PersistentVolumeClaim");
	expect_key(c, "x.io", "PersistentVolumeClaim", "-");
	expect_key(c, "empty.io", "Thing", "-");
	expect_key(c, "other.io", "Thing", "-");
	expect_key(c, "a.both.io", "Anything", "*.both.io/*");
	expect_key(c, "s3.aws.crossplane.io", "Bucket", "*.aws.crossplane.io/*");
	/* both wildcards fit: as long as each other counts bytes, else the longer one */
	expect_key(c, "rds.aws.crossplane.io", "DBInstance", "rds.aws.crossplane.io/*");
	expect_key(NULL, "argoproj.io", "Rollout", "-");
}

static void test_exact_before_wildcard(void **state)
{
	_cleanup_health_custom_ struct cox_health_custom *c =
		read_config("data:\n"
			    "  resource.customizations: |\n"
			    "    '*/*': {health.lua: return nil}\n"
			    "    '*': {health.lua: return nil}\n"
			    "    'a.io/Kin?': {health.lua: return nil}\n"
			    "    'a.io/K': {health.lua: return nil}\n");

	(void)state;
	expect_key(c, "a.io", "K", "a.io/K");
	expect_key(c, "a.io", "Kind", "a.io/Kin?");
	expect_key(c, "a.io", "Other", "*/*");
	expect_key(c, "", "Secret", "*");
}

static void test_nothing(void **state)
{
	_cleanup_health_custom_ struct cox_health_custom *none = NULL, *empty = read_config("{}");

	(void)state;
	assert_int_equal(cox_health_custom_new(NULL, &none, NULL), 0);
	assert_int_equal(cox_health_custom_count(none), 0);
	assert_int_equal(cox_health_custom_count(empty), 0);
	assert_int_equal(cox_health_custom_count(NULL), 0);
}

static void expect_refused(const char *text, const char *part)
{
	struct cox_health_custom *c = NULL;
	struct cox_error err = COX_ERROR_INIT;

	assert_int_equal(try_read(text, &c, &err), -COX_INVALID_ARGUMENT);
	assert_null(c);
	if (!strstr(err.message, part))
		fail_msg("'%s' instead of '%s'", err.message, part);
}

static void test_refusals(void **state)
{
	(void)state;
	expect_refused("data: {resource.customizations.health.a_b_c: x}", "doesn't end in");
	expect_refused("data: {resource.customizations.health._Kind: x}", "doesn't end in");
	expect_refused("data: {resource.customizations.health.a.io_: x}", "doesn't end in");
	expect_refused("data: {resource.customizations.health.: x}", "doesn't end in");
	expect_refused("data: {resource.customizations.health.a.io_Kind: [x]}", "is a list");
	expect_refused("data: {resource.customizations: '- a'}", "a list instead of a map");
	expect_refused("data: {resource.customizations: 'a: {'}", "resource.customizations:");
	expect_refused("data: {resource.customizations: 'a/b: {health.lua: 5}'}",
		       "the health script for 'a/b' is a integer");
	expect_refused("data: {resource.customizations: '\"[a/b\": {health.lua: x}'}",
		       "the health script for '[a/b'");
}

static char *config_with(size_t n_scripts, size_t script_len)
{
	struct cox_buf text = COX_BUF_INIT;

	cox_buf_puts(&text, "data:\n");
	for (size_t i = 0; i < n_scripts; i++) {
		cox_buf_printf(&text, "  resource.customizations.health.a.io_K%zu: \"", i);
		for (size_t k = 0; k < script_len; k++)
			cox_buf_putc(&text, 'x');
		cox_buf_puts(&text, "\"\n");
	}
	return cox_buf_take(&text);
}

static void test_limits(void **state)
{
	_cleanup_free_ char *many = config_with(COX_LIMIT_HEALTH_SCRIPTS, 1);
	_cleanup_free_ char *too_many = config_with(COX_LIMIT_HEALTH_SCRIPTS + 1, 1);
	_cleanup_free_ char *big = config_with(1, COX_LIMIT_HEALTH_SCRIPT_BYTES);
	_cleanup_free_ char *too_big = config_with(1, COX_LIMIT_HEALTH_SCRIPT_BYTES + 1);

	(void)state;
	cox_health_custom_free(read_config(many));
	cox_health_custom_free(read_config(big));
	expect_refused(too_many, "more than 1000 health scripts");
	expect_refused(too_big, "is longer than 262144 bytes");
}

static struct cox_health assess(const struct cox_health_custom *c, const char *object)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_health h;

	assert_int_equal(cox_yaml_read(cox_str(object), "o", NULL, &doc, NULL), 0);
	cox_health_assess_custom(c, cox_doc_root(doc), NULL, &h);
	return h;
}

static void test_order(void **state)
{
	_cleanup_health_custom_ struct cox_health_custom *c =
		read_config("data:\n"
			    "  resource.customizations.health.Service: \"return "
			    "{status='Degraded', message='mine'}\"\n"
			    "  resource.customizations.health.apps_Deployment: return nil\n");
	struct cox_health h;

	(void)state;
	/* a script stands before our own rule, and its nil is no health, not our rule's */
	assert_string_equal(assess(c, "{apiVersion: v1, kind: Service}").message, "mine");
	h = assess(c, "{apiVersion: apps/v1, kind: Deployment, spec: {paused: true}}");
	assert_int_equal(h.status, COX_HEALTH_NONE);
	/* deletion stands before a script */
	h = assess(c, "{apiVersion: v1, kind: Service, metadata: {deletionTimestamp: x}}");
	assert_string_equal(h.message, "Pending deletion");
	/* without a script, the rule */
	h = assess(NULL, "{apiVersion: v1, kind: Service}");
	assert_int_equal(h.status, COX_HEALTH_HEALTHY);
	cox_health_assess_custom(c, NULL, NULL, &h);
	assert_int_equal(h.status, COX_HEALTH_MISSING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),	cmocka_unit_test(test_exact_before_wildcard),
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
