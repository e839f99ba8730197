#include "hub/model/appset.h"

#include "hub/model/selector.h"
#include "hub/model/view.h"

#include <strings.h>

/* ---- counts ---- */

static int parse_text_count(struct cox_str text, struct hub_count *ret)
{
	struct hub_count count = {.given = true};

	if (cox_str_ends(text, "%")) {
		count.percent = true;
		text.len--;
	}
	if (text.len == 0 || text.len > 9)
		return -COX_INVALID_ARGUMENT;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -COX_INVALID_ARGUMENT;
		count.value = count.value * 10 + (text.ptr[i] - '0');
	}
	*ret = count;
	return 0;
}

int hub_count_parse(const struct cox_doc *doc, const struct cox_node *node,
		    struct hub_count *ret_count, struct cox_error *err)
{
	int64_t n = cox_node_int(node, -1);

	if (cox_node_kind(node) <= COX_NULL) {
		*ret_count = (struct hub_count){0};
		return 0;
	}
	if (cox_node_is(node, COX_STRING) && parse_text_count(cox_node_str(node), ret_count) == 0)
		return 0;
	if (n < 0)
		return cox_node_error(err, doc, node,
				      "expected a number that is not negative or a percentage");
	*ret_count = (struct hub_count){.given = true, .value = n};
	return 0;
}

int64_t hub_count_of(const struct hub_count *count, int64_t total, int64_t otherwise)
{
	int64_t n;

	if (!count->given)
		return otherwise;
	if (!count->percent || count->value == 0)
		return count->value;
	n = (int64_t)((__int128)total * count->value / 100);
	return n > 0 ? n : 1;
}

/* ---- the view ---- */

static void read_strategy(struct hub_appset *set, const struct cox_node *strategy)
{
	const struct cox_node *steps = COX_GET(strategy, "rollingSync", "steps");

	set->rolling_sync = strcmp(hub_view_text(strategy, "type"), "RollingSync") == 0;
	set->deletion_reverse =
		set->rolling_sync &&
		strcasecmp(hub_view_text(strategy, "deletionOrder"), "Reverse") == 0;
	if (!set->rolling_sync)
		return;
	for (size_t i = 0; i < cox_node_len(steps); i++) {
		const struct cox_node *node = cox_node_at(steps, i);
		struct hub_step step = {.expressions =
						hub_view_list(COX_GET(node, "matchExpressions"))};

		(void)hub_count_parse(set->doc, COX_GET(node, "maxUpdate"), &step.max_update, NULL);
		cox_vec_push(&set->steps, step);
	}
}

static void read_sync(struct hub_appset *set, const struct cox_node *policy)
{
	const char *how = hub_view_text(policy, "applicationsSync");

	set->may_update = strcmp(how, "create-only") != 0 && strcmp(how, "create-delete") != 0;
	set->may_delete = strcmp(how, "create-only") != 0 && strcmp(how, "create-update") != 0;
	set->preserve_resources =
		cox_node_bool(COX_GET(policy, "preserveResourcesOnDeletion"), false);
}

int hub_appset_init(struct hub_appset *set, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc), *spec = COX_GET(root, "spec");
	const char *policy = hub_object_annotation(root, HUB_POLICY_ANNOTATION);
	int r = hub_view_check(doc, HUB_APPLICATION_SET, err);

	if (r < 0)
		return r;
	*set = (struct hub_appset){
		.doc = cox_doc_ref(doc),
		.root = root,
		.name = hub_object_name(root),
		.namespace = hub_object_namespace(root),
		.uid = hub_object_uid(root),
		.labels = hub_view_map(COX_GET(root, "metadata", "labels")),
		.annotations = hub_view_map(COX_GET(root, "metadata", "annotations")),
		.generators = COX_GET(spec, "generators"),
		.template = COX_GET(spec, "template"),
		.template_patch = hub_view_text(spec, "templatePatch"),
		.go_template = cox_node_bool(COX_GET(spec, "goTemplate"), false),
		.go_template_options = hub_view_list(COX_GET(spec, "goTemplateOptions")),
		.apply_nested_selectors =
			cox_node_bool(COX_GET(spec, "applyNestedSelectors"), false),
		.rollout_policy = policy ? policy : "",
		.preserved_annotations =
			hub_view_list(COX_GET(spec, "preservedFields", "annotations")),
		.preserved_labels = hub_view_list(COX_GET(spec, "preservedFields", "labels")),
		.ignore_application_differences =
			hub_view_list(COX_GET(spec, "ignoreApplicationDifferences")),
		.deleting = hub_view_is_deleting(root),
	};
	read_strategy(set, COX_GET(spec, "strategy"));
	read_sync(set, COX_GET(spec, "syncPolicy"));
	return 0;
}

void hub_appset_fini(struct hub_appset *set)
{
	cox_vec_fini(&set->steps);
	cox_doc_unref(set->doc);
	*set = (struct hub_appset){0};
}

int hub_appset_step_of(const struct hub_appset *set, const struct cox_node *labels)
{
	for (size_t i = 0; i < set->steps.n; i++)
		if (hub_expressions_match(set->steps.items[i].expressions, labels))
			return (int)i;
	return -1;
}
