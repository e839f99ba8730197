/* The schema table reads, and says what the API's description says. */
#include "common/kube/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct cox_schema_type *at(const struct cox_schema_type *type, const char *path)
{
	struct cox_str rest = cox_str(path), part;

	while (cox_str_split(&rest, '.', &part)) {
		const struct cox_schema_field *field = cox_schema_field(type, part);
		assert_non_null(field);
		type = field->type;
		while (type->kind == COX_SCHEMA_LIST && rest.ptr)
			type = type->item;
	}
	return type;
}

static void test_lists(void **state)
{
	(void)state;
	const struct cox_schema_type *deployment = cox_schema_find("apps", "v1", "Deployment");
	assert_non_null(deployment);
	const struct cox_schema_type *ports = at(deployment, "spec.template.spec.containers.ports");
	assert_int_equal(ports->list, COX_SCHEMA_LIST_MAP);
	assert_int_equal(ports->n_keys, 2);
	assert_string_equal(ports->keys[0], "containerPort");
	assert_string_equal(ports->keys[1], "protocol");
	assert_string_equal(ports->merge_key, "containerPort");
	assert_string_equal(cox_schema_field(ports->item, COX_STR("protocol"))->def, "TCP");
	assert_int_equal(at(deployment, "spec.template.spec.containers.args")->list,
			 COX_SCHEMA_LIST_ATOMIC);
	assert_true(at(deployment, "spec.selector")->atomic);
	assert_true(at(deployment, "spec.template.spec.volumes")->retain_keys);
	assert_int_equal(at(deployment, "metadata.finalizers")->list, COX_SCHEMA_LIST_SET);
	assert_true(at(deployment, "metadata.finalizers")->merges);
	const struct cox_schema_type *job = cox_schema_find("batch", "v1", "Job");
	assert_int_equal(at(job, "status.conditions")->list, COX_SCHEMA_LIST_ATOMIC);
	assert_string_equal(at(job, "status.conditions")->merge_key, "type");
}

static void test_groups(void **state)
{
	(void)state;
	assert_non_null(cox_schema_find("", "v1", "Pod"));
	assert_non_null(cox_schema_find("rbac.authorization.k8s.io", "v1", "ClusterRole"));
	assert_non_null(cox_schema_find("autoscaling", "v2", "HorizontalPodAutoscaler"));
	/* another version of the same kind */
	assert_ptr_equal(cox_schema_find("policy", "v1beta1", "PodDisruptionBudget"),
			 cox_schema_find("policy", "v1", "PodDisruptionBudget"));
	assert_null(cox_schema_find("", "v1", "Nothing"));
	assert_null(cox_schema_find("apps.example.com", "v1", "Deployment"));
	size_t n = 0;
	for (const char *name; (name = cox_schema_name_at(n)); n++)
		assert_non_null(cox_schema_named(name));
	assert_true(n > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists),
					   cmocka_unit_test(test_groups)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
