/* Planted bugs: the ways in which an agent like this one has gone wrong before. Each is a change of
 * what one function of the agent answers, made by the linker, so that the agent itself has no switch
 * for it. */
#include "tests/sim/agent/world.h"

#include "agent/compare/compare.h"
#include "agent/sync/app.h"
#include "common/ctl/stamp.h"
#include "common/health/custom.h"

static bool no_wave, stale_health, partial_bundle, no_inventory, no_marks, no_uid, old_wins, twice,
	no_compare, lost_ack, forgotten_hook;

const struct sim_bug sim_bugs[] = {
	{"wave", "a wave does not wait for the health of the one before", &no_wave},
	{"stale-health", "the health of an older generation is accepted", &stale_health},
	{"partial-bundle", "a bundle that was cut short is taken for all of it", &partial_bundle},
	{"inventory", "objects are applied before they are in the inventory", &no_inventory},
	{"marks", "who an object belongs to is not looked at before it is pruned", &no_marks},
	{"uid", "objects are deleted by their name alone", &no_uid},
	{"stale-change", "an older assignment takes the place of a newer one", &old_wins},
	{"begin-twice", "an operation that is over begins again", &twice},
	{"blind", "differences are not seen", &no_compare},
	{"hook", "what became of a hook is not kept: it runs twice", &forgotten_hook},
	{"ack", "what was accepted is acknowledged before it is durable", &lost_ack},
};
const size_t sim_n_bugs = COX_ARRAY_LEN(sim_bugs);

#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	_Static_assert(                                                                            \
		__builtin_types_compatible_p(__typeof__(&__wrap_##name), __typeof__(&name)),       \
		#name " has changed");                                                             \
	type __wrap_##name(__VA_ARGS__)

WRAP(void, agent_plan_applied, struct agent_plan *plan, size_t i, const struct cox_health *health)
{
	const struct cox_health fine = {.status = COX_HEALTH_HEALTHY};

	__real_agent_plan_applied(plan, i, no_wave ? &fine : health);
}

WRAP(void, cox_health_assess_custom, const struct cox_health_custom *custom,
     const struct cox_node *object, const struct cox_health_run *run, struct cox_health *ret_health)
{
	__real_cox_health_assess_custom(custom, object, run, ret_health);
	if (stale_health && cox_str_is(cox_meta_kind(object), "Deployment") &&
	    cox_node_int(COX_GET(object, "status", "observedGeneration"), 0) <
		    cox_meta_generation(object) &&
	    cox_node_int(COX_GET(object, "status", "availableReplicas"), 0) > 0)
		*ret_health = (struct cox_health){.status = COX_HEALTH_HEALTHY};
}

WRAP(int, agent_bundle_read, struct cox_str text, cox_docs *ret_objects, struct cox_error *err)
{
	int code = __real_agent_bundle_read(text, ret_objects, err);

	if (code == 0 && partial_bundle && ret_objects->n > 1)
		cox_doc_unref(ret_objects->items[--ret_objects->n]);
	return code;
}

WRAP(int, agent_store_put_object, struct agent_store *store, const char *app_uid,
     const struct agent_inventory_row *row, struct cox_error *err)
{
	return no_inventory ? 0 : __real_agent_store_put_object(store, app_uid, row, err);
}

WRAP(bool, agent_is_marked, const struct cox_node *live, const char *app_uid)
{
	return no_marks || __real_agent_is_marked(live, app_uid);
}

WRAP(struct cox_kube_call *, cox_kube_delete, struct cox_kube *kube,
     const struct cox_kube_resource *resource, const char *namespace, const char *name,
     const struct cox_kube_delete_options *options, cox_kube_done *done, void *arg)
{
	struct cox_kube_delete_options o = *options;

	if (no_uid)
		o.uid = o.resource_version = NULL;
	return __real_cox_kube_delete(kube, resource, namespace, name, &o, done, arg);
}

WRAP(int, cox_stamp_order, uint64_t epoch_a, uint64_t generation_a, uint64_t epoch_b,
     uint64_t generation_b)
{
	return old_wins ? -1 : __real_cox_stamp_order(epoch_a, generation_a, epoch_b, generation_b);
}

WRAP(int, agent_store_operation, struct agent_store *store, const char *id,
     int (*each)(void *ctx, const struct agent_operation_row *row, struct cox_error *err),
     void *ctx, struct cox_error *err)
{
	return twice ? 0 : __real_agent_store_operation(store, id, each, ctx, err);
}

WRAP(void, agent_compare, struct cox_doc *desired, struct cox_doc *live,
     const struct agent_compare_options *options, struct agent_difference *ret_difference)
{
	if (!no_compare)
		__real_agent_compare(desired, live, options, ret_difference);
}

WRAP(int, agent_store_put_int, struct agent_store *store, const char *name, uint64_t value,
     struct cox_error *err)
{
	return lost_ack && cox_streq(name, "position")
		       ? 0
		       : __real_agent_store_put_int(store, name, value, err);
}

WRAP(int, agent_store_put_hook, struct agent_store *store, const char *app_uid,
     const struct agent_hook_row *row, struct cox_error *err)
{
	return forgotten_hook ? 0 : __real_agent_store_put_hook(store, app_uid, row, err);
}
