#include "hub/model/selector.h"

#include "common/base/mem.h"

static const char *in_map(void *ctx, struct cox_str key)
{
	return cox_node_cstr(cox_node_get_str(ctx, key), NULL);
}

static bool is_listed(const struct cox_node *values, const char *value)
{
	for (size_t i = 0; i < cox_node_len(values); i++)
		if (cox_streq(cox_node_cstr(cox_node_at(values, i), NULL), value))
			return true;
	return false;
}

static bool expression_matches(const struct cox_node *e, hub_label_lookup lookup, void *ctx)
{
	const char *op = cox_node_cstr(COX_GET(e, "operator"), "");
	const char *value = lookup(ctx, cox_node_str(COX_GET(e, "key")));
	const struct cox_node *values = COX_GET(e, "values");

	if (strcmp(op, "In") == 0)
		return value && is_listed(values, value);
	if (strcmp(op, "NotIn") == 0)
		return !value || !is_listed(values, value);
	if (strcmp(op, "Exists") == 0)
		return value != NULL;
	if (strcmp(op, "DoesNotExist") == 0)
		return !value;
	return false;
}

static bool expressions_match(const struct cox_node *expressions, hub_label_lookup lookup,
			      void *ctx)
{
	for (size_t i = 0; i < cox_node_len(expressions); i++)
		if (!expression_matches(cox_node_at(expressions, i), lookup, ctx))
			return false;
	return true;
}

bool hub_selector_matches_with(const struct cox_node *selector, hub_label_lookup lookup, void *ctx)
{
	const struct cox_node *labels = COX_GET(selector, "matchLabels");

	if (!cox_node_is(selector, COX_MAP))
		return false;
	for (size_t i = 0; i < cox_node_len(labels); i++) {
		const char *value = lookup(ctx, cox_node_key(labels, i));

		if (!value || !cox_streq(value, cox_node_cstr(cox_node_at(labels, i), NULL)))
			return false;
	}
	return expressions_match(COX_GET(selector, "matchExpressions"), lookup, ctx);
}

bool hub_selector_matches(const struct cox_node *selector, const struct cox_node *labels)
{
	return hub_selector_matches_with(selector, in_map, (void *)labels);
}

bool hub_expressions_match(const struct cox_node *expressions, const struct cox_node *labels)
{
	return expressions_match(expressions, in_map, (void *)labels);
}
