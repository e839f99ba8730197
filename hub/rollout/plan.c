#include "hub/rollout/internal.h"

#define PATIENCE_MS 60000

static void expression_fini(struct cox_rollout_expression *e)
{
	free(e->key);
	COX_VEC_EACH (&e->values, v)
		free(*v);
	cox_vec_fini(&e->values);
}

static void wave_fini(struct cox_rollout_wave *w)
{
	free(w->name);
	COX_VEC_EACH (&w->expressions, e)
		expression_fini(e);
	cox_vec_fini(&w->expressions);
}

void cox_rollout_plan_fini(struct cox_rollout_plan *plan)
{
	COX_VEC_EACH (&plan->waves, w)
		wave_fini(w);
	cox_vec_fini(&plan->waves);
}

static const struct {
	const char *name;
	int op;
} operators[] = {{"In", COX_ROLLOUT_IN}, {"NotIn", COX_ROLLOUT_NOT_IN}};

static struct cox_rollout_expression expression_parse(const struct cox_node *node, size_t step,
						      cox_rollout_problems *problems)
{
	struct cox_rollout_expression e = {.op = COX_ROLLOUT_NEVER};
	const char *name = cox_node_cstr(cox_node_get(node, "operator"), "");
	const struct cox_node *values = cox_node_get(node, "values");

	e.key = cox_str_dup(cox_node_str(cox_node_get(node, "key")));
	for (size_t i = 0; i < COX_ARRAY_LEN(operators); i++)
		if (strcmp(operators[i].name, name) == 0)
			e.op = operators[i].op;
	if (e.op == COX_ROLLOUT_NEVER)
		cox_vec_push(problems,
			     cox_asprintf("step %zu: operator '%s' of key '%s' is not supported, "
					  "the step matches nothing: use In or NotIn",
					  step + 1, name, e.key));
	for (size_t i = 0; i < cox_node_len(values); i++)
		cox_vec_push(&e.values, cox_str_dup(cox_node_text(cox_node_at(values, i))));
	return e;
}

/* An integer, or a percentage; anything else acts as 1, the careful reading. */
static void max_update_parse(const struct cox_node *node, size_t step, struct cox_rollout_wave *w,
			     cox_rollout_problems *problems)
{
	struct cox_str text = cox_str_trim(cox_node_text(node));
	char digits[16] = "", *end = NULL;
	bool percent = cox_str_ends(text, "%");
	size_t n = text.len - (percent ? 1 : 0);

	w->max_kind = COX_ROLLOUT_ALL;
	if (!node || cox_node_is(node, COX_NULL))
		return;
	w->max_kind = percent ? COX_ROLLOUT_PERCENT : COX_ROLLOUT_COUNT;
	if (n > 0 && n < sizeof(digits)) {
		memcpy(digits, text.ptr, n);
		w->max_update = strtoll(digits, &end, 10);
	}
	if (!end || *end || w->max_update < 0) {
		cox_vec_push(problems,
			     cox_asprintf("step %zu: maxUpdate '%.*s' is neither a count nor a "
					  "percentage and acts as 1",
					  step + 1, COX_STR_ARG(text)));
		w->max_kind = COX_ROLLOUT_COUNT;
		w->max_update = 1;
	}
}

static void wave_parse(const struct cox_node *node, size_t step, struct cox_rollout_plan *plan,
		       cox_rollout_problems *problems)
{
	struct cox_rollout_wave w = {.name = cox_asprintf("step %zu", step + 1)};
	const struct cox_node *expressions = cox_node_get(node, "matchExpressions");

	for (size_t i = 0; i < cox_node_len(expressions); i++)
		cox_vec_push(&w.expressions,
			     expression_parse(cox_node_at(expressions, i), step, problems));
	max_update_parse(cox_node_get(node, "maxUpdate"), step, &w, problems);
	cox_vec_push(&plan->waves, w);
}

int cox_rollout_plan_parse(const struct cox_node *strategy, struct cox_rollout_plan *ret_plan,
			   cox_rollout_problems *problems, struct cox_error *err)
{
	struct cox_rollout_plan plan = {.supersede = COX_SUPERSEDE_NOW, .patience_ms = PATIENCE_MS};
	const char *type = cox_node_cstr(cox_node_get(strategy, "type"), "AllAtOnce");
	const struct cox_node *steps = COX_GET(strategy, "rollingSync", "steps");

	if (strcmp(type, "RollingSync") != 0) {
		if (*type && strcmp(type, "AllAtOnce") != 0)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "spec.strategy.type: '%s' is neither AllAtOnce nor "
					 "RollingSync",
					 type);
		cox_vec_push(&plan.waves, (struct cox_rollout_wave){.name = cox_strdup("all")});
		*ret_plan = plan;
		return 0;
	}
	if (cox_node_len(steps) == 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "spec.strategy.rollingSync.steps: RollingSync needs at least one "
				 "step");
	if (cox_node_len(steps) > COX_ROLLOUT_MAX_WAVES)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "spec.strategy.rollingSync.steps: %zu steps, at most %d",
				 cox_node_len(steps), COX_ROLLOUT_MAX_WAVES);
	plan.ordered = true;
	plan.supersede = COX_SUPERSEDE_WAVE;
	for (size_t i = 0; i < cox_node_len(steps); i++)
		wave_parse(cox_node_at(steps, i), i, &plan, problems);
	*ret_plan = plan;
	return 0;
}

static bool expression_matches(const struct cox_rollout_expression *e,
			       const struct cox_node *labels)
{
	const struct cox_node *value = cox_node_get(labels, e->key);
	bool in = false;

	if (e->op == COX_ROLLOUT_NEVER)
		return false;
	COX_VEC_EACH (&e->values, v)
		in = in || (value && cox_str_is(cox_node_text(value), *v));
	return e->op == COX_ROLLOUT_IN ? in : !in;
}

static bool wave_matches(const struct cox_rollout_wave *w, const struct cox_node *labels)
{
	COX_VEC_EACH (&w->expressions, e)
		if (!expression_matches(e, labels))
			return false;
	return true;
}

int cox_rollout_plan_wave(const struct cox_rollout_plan *plan, const struct cox_node *labels,
			  int *ret_also)
{
	int first = -1, also = -1;

	for (size_t i = 0; i < plan->waves.n && also < 0; i++) {
		if (!wave_matches(&plan->waves.items[i], labels))
			continue;
		if (first < 0)
			first = (int)i;
		else
			also = (int)i;
	}
	if (ret_also)
		*ret_also = also;
	return first;
}

static bool expression_equal(const struct cox_rollout_expression *a,
			     const struct cox_rollout_expression *b)
{
	if (a->op != b->op || strcmp(a->key, b->key) != 0 || a->values.n != b->values.n)
		return false;
	for (size_t i = 0; i < a->values.n; i++)
		if (strcmp(a->values.items[i], b->values.items[i]) != 0)
			return false;
	return true;
}

static bool wave_equal(const struct cox_rollout_wave *a, const struct cox_rollout_wave *b)
{
	if (strcmp(a->name, b->name) != 0 || a->max_kind != b->max_kind ||
	    a->max_update != b->max_update || a->expressions.n != b->expressions.n)
		return false;
	for (size_t i = 0; i < a->expressions.n; i++)
		if (!expression_equal(&a->expressions.items[i], &b->expressions.items[i]))
			return false;
	return true;
}

bool cox_rollout_plan_equal(const struct cox_rollout_plan *a, const struct cox_rollout_plan *b)
{
	if (a->waves.n != b->waves.n || a->supersede != b->supersede || a->ordered != b->ordered)
		return false;
	for (size_t i = 0; i < a->waves.n; i++)
		if (!wave_equal(&a->waves.items[i], &b->waves.items[i]))
			return false;
	return true;
}

void rollout_plan_copy(const struct cox_rollout_plan *plan, struct cox_rollout_plan *ret_copy)
{
	struct cox_rollout_plan copy = {.supersede = plan->supersede,
					.patience_ms = plan->patience_ms,
					.ordered = plan->ordered};

	COX_VEC_EACH (&plan->waves, w) {
		struct cox_rollout_wave c = {.name = cox_strdup(w->name),
					     .max_kind = w->max_kind,
					     .max_update = w->max_update};

		COX_VEC_EACH (&w->expressions, e) {
			struct cox_rollout_expression x = {.key = cox_strdup(e->key), .op = e->op};

			COX_VEC_EACH (&e->values, v)
				cox_vec_push(&x.values, cox_strdup(*v));
			cox_vec_push(&c.expressions, x);
		}
		cox_vec_push(&copy.waves, c);
	}
	*ret_copy = copy;
}
