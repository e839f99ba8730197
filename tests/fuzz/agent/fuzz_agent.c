/* A bundle from anywhere, made into objects, planned, compared with itself and with another reading
 * of itself, judged: nothing of it may break, and an object always equals itself. */
#include "agent/compare/compare.h"
#include "agent/sync/migrate.h"
#include "agent/sync/plan.h"
#include "common/health/health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(struct cox_doc *doc, struct cox_doc *previous)
{
	_cleanup_difference_ struct agent_difference d = AGENT_DIFFERENCE_INIT;
	_cleanup_ignore_ struct agent_ignore ignore = AGENT_IGNORE_INIT;
	const struct cox_node *root = cox_doc_root(doc);
	struct agent_compare_options options = {.manager = AGENT_MANAGER,
						.ignore = &ignore,
						.desired_cuts = cox_node_get(root, "cuts"),
						.live_cuts = cox_node_get(root, "cuts"),
						.predicted = previous,
						.with_mutations = true};
	struct cox_health health;

	cox_health_assess(cox_doc_root(doc), &health);
	COX_ASSERT(cox_utf8_valid(cox_str(health.message), NULL));
	agent_compare(doc, doc, &(struct agent_compare_options){.manager = AGENT_MANAGER}, &d);
	COX_ASSERT(d.n == 0);
	agent_ignore_for(cox_node_get(root, "ignore"), root, &ignore);
	if (previous)
		agent_compare(previous, doc, &options, &d);
	agent_compare_state(root);
	if (agent_migrate_is_needed(cox_doc_root(doc))) {
		_cleanup_doc_ struct cox_doc *patch = agent_migrate_patch(cox_doc_root(doc));

		COX_ASSERT(cox_node_len(cox_doc_root(patch)) == 2);
	}
}

static void run(struct agent_plan *plan)
{
	size_t begin, end, n = 0;
	struct cox_health healthy = {.status = COX_HEALTH_HEALTHY};

	while (agent_plan_next(plan, 0, &begin, &end) == AGENT_PLAN_RUN) {
		for (size_t i = begin; i < end; i++) {
			if (plan->tasks.items[i].action == AGENT_ACTION_HOOK)
				agent_plan_hook(plan, i, AGENT_OUTCOME_SUCCEEDED, NULL);
			else
				agent_plan_applied(plan, i, &healthy);
		}
		n += end - begin;
	}
	COX_ASSERT(n == plan->fail_begin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_docs_ cox_docs objects = {0};
	_cleanup_desired_ struct agent_desired desired = {0};
	struct agent_desired_input input = {
		.instance = "app", .app_uid = "uid", .namespace = "default"};
	struct agent_plan plan = {0};
	struct cox_error err = COX_ERROR_INIT;

	if (agent_bundle_read(cox_str_n((const char *)data, size), &objects, &err) < 0) {
		COX_ASSERT(err.message[0]);
		return 0;
	}
	if (agent_desired_build(&objects, &input, &desired, &err) < 0) {
		COX_ASSERT(err.message[0]);
		return 0;
	}
	struct agent_plan_input in = {.desired = &desired,
				      .options = AGENT_OPT_CREATE_NAMESPACE,
				      .namespace = "default",
				      .hooks = true};

	COX_ASSERT(agent_plan_build(&in, &plan, &err) == 0);
	run(&plan);
	agent_plan_fini(&plan);
	for (size_t i = 0; i < desired.objects.n; i++)
		look(desired.objects.items[i].doc, i ? desired.objects.items[i - 1].doc : NULL);
	return 0;
}
