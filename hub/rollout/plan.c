/* What the waves are: RollingSync's steps, and what every plan can be asked. */
#include "hub/rollout/internal.h"

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
	COX_VEC_EACH (&w->names, n)
		free(*n);
	cox_vec_fini(&w->names);
	cox_selector_free(w->selector);
	COX_VEC_EACH (&w->before, g)
		rollout_gate_fini(g);
	cox_vec_fini(&w->before);
	COX_VEC_EACH (&w->after, g)
		rollout_gate_fini(g);
	cox_vec_fini(&w->after);
}

void cox_rollout_plan_fini(struct cox_rollout_plan *plan)
{
	COX_VEC_EACH (&plan->waves, w)
		wave_fini(w);
	cox_vec_fini(&plan->waves);
	free(plan->name);
	cox_doc_unref(plan->doc);
	*plan = COX_ROLLOUT_PLAN_INIT;
}

static const struct {
	const char *name;
	int op;
} operators[] = {{"In", COX_ROLLOUT_IN}, {"NotIn", COX_ROLLOUT_NOT_IN}};

static void complain(cox_rollout_problems *problems, char *text_taken)
{
	if (problems)
		cox_vec_push(problems, text_taken);
	else
		free(text_taken);
}

static struct cox_rollout_expression expression_parse(const struct cox_node *node, size_t step,
						      cox_rollout_problems *problems)
{
	struct cox_rollout_expression e = {.op = COX_ROLLOUT_OTHER_OP};
	const char *name = cox_node_cstr(cox_node_get(node, "operator"), "");
	const struct cox_node *values = cox_node_get(node, "values");

	e.key = cox_str_dup(cox_node_str(cox_node_get(node, "key")));
	for (size_t i = 0; i < COX_ARRAY_LEN(operators); i++)
		if (strcmp(operators[i].name, name) == 0)
			e.op = operators[i].op;
	if (e.op == COX_ROLLOUT_OTHER_OP)
		complain(problems,
			 cox_asprintf("step %zu: operator '%s' of key '%s' is not supported, only "
				      "applications without that label are in the step: use In or "
				      "NotIn",
				      step + 1, name, e.key));
	for (size_t i = 0; i < cox_node_len(values); i++)
		cox_vec_push(&e.values, cox_str_dup(cox_node_text(cox_node_at(values, i))));
	return e;
}

int rollout_amount_parse(const struct cox_node *node, struct cox_rollout_amount *ret_amount)
{
	struct cox_str text = cox_str_trim(cox_node_text(node));
	struct cox_rollout_amount a = {.kind = COX_AMOUNT_ALL};
	char digits[16] = "", *end = NULL;
	bool percent = cox_str_ends(text, "%");
	size_t n = text.len - (percent ? 1 : 0);

	if (node && !cox_node_is(node, COX_NULL)) {
		a.kind = percent ? COX_AMOUNT_PERCENT : COX_AMOUNT_COUNT;
		if (n == 0 || n >= sizeof(digits))
			return -1;
		memcpy(digits, text.ptr, n);
		a.value = strtoll(digits, &end, 10);
		if (*end || end == digits || a.value < 0)
			return -1;
	}
	*ret_amount = a;
	return 0;
}

static void wave_parse(const struct cox_node *node, size_t step, struct cox_rollout_plan *plan,
		       cox_rollout_problems *problems)
{
	struct cox_rollout_wave w = {.name = cox_asprintf("step %zu", step + 1)};
	const struct cox_node *expressions = cox_node_get(node, "matchExpressions");
	const struct cox_node *max = cox_node_get(node, "maxUpdate");

	for (size_t i = 0; i < cox_node_len(expressions); i++)
		cox_vec_push(&w.expressions,
			     expression_parse(cox_node_at(expressions, i), step, problems));
	/* What is neither acts as 1, the careful reading. */
	if (rollout_amount_parse(max, &w.max_concurrent) < 0) {
		complain(problems,
			 cox_asprintf("step %zu: maxUpdate '%.*s' is neither a count nor a "
				      "percentage and acts as 1",
				      step + 1, COX_STR_ARG(cox_node_text(max))));
		w.max_concurrent = (struct cox_rollout_amount){COX_AMOUNT_COUNT, 1};
	}
	cox_vec_push(&plan->waves, w);
}

static int steps_parse(const struct cox_node *strategy, struct cox_rollout_plan *plan,
		       cox_rollout_problems *problems, struct cox_error *err)
{
	const struct cox_node *steps = COX_GET(strategy, "rollingSync", "steps");

	if (cox_node_len(steps) == 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "spec.strategy.rollingSync.steps: RollingSync needs at least one "
				 "step");
	if (cox_node_len(steps) > COX_ROLLOUT_MAX_WAVES)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "spec.strategy.rollingSync.steps: %zu steps, at most %d",
				 cox_node_len(steps), COX_ROLLOUT_MAX_WAVES);
	plan->ordered = true;
	plan->supersede = COX_SUPERSEDE_WAVE;
	plan->patience_ms = ROLLOUT_PATIENCE_MS;
	plan->reverse_deletion =
		strcasecmp(cox_node_cstr(cox_node_get(strategy, "deletionOrder"), ""), "Reverse") ==
		0;
	for (size_t i = 0; i < cox_node_len(steps); i++)
		wave_parse(cox_node_at(steps, i), i, plan, problems);
	return 0;
}

int rollout_plan_make(enum cox_rollout_source source, const char *name, struct cox_doc *spec,
		      struct cox_rollout_plan *ret_plan, cox_rollout_problems *problems,
		      struct cox_error *err)
{
	COX_CLEANUP(cox_rollout_plan_fini)
	struct cox_rollout_plan plan = {.source = source, .supersede = COX_SUPERSEDE_NOW};
	int r = 0;

	plan.name = cox_strdup(name);
	plan.doc = spec ? cox_doc_ref(spec) : NULL;
	if (source == COX_ROLLOUT_AT_ONCE)
		cox_vec_push(&plan.waves, (struct cox_rollout_wave){.name = cox_strdup("all")});
	else if (source == COX_ROLLOUT_STEPS)
		r = steps_parse(cox_doc_root(plan.doc), &plan, problems, err);
	else
		r = rollout_policy_parse(cox_doc_root(plan.doc), &plan, err);
	if (r < 0)
		return r;
	*ret_plan = plan;
	plan = COX_ROLLOUT_PLAN_INIT;
	return 0;
}

int cox_rollout_plan_parse(const struct cox_node *strategy, struct cox_rollout_plan *ret_plan,
			   cox_rollout_problems *problems, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const char *type = cox_node_cstr(cox_node_get(strategy, "type"), "AllAtOnce");

	if (strcmp(type, "RollingSync") != 0) {
		if (*type && strcmp(type, "AllAtOnce") != 0)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "spec.strategy.type: '%s' is neither AllAtOnce nor "
					 "RollingSync",
					 type);
		return rollout_plan_make(COX_ROLLOUT_AT_ONCE, NULL, NULL, ret_plan, problems, err);
	}
	doc = cox_doc_copy("strategy", strategy);
	return rollout_plan_make(COX_ROLLOUT_STEPS, NULL, doc, ret_plan, problems, err);
}

int cox_rollout_plan_policy(const char *name, const struct cox_node *spec,
			    struct cox_rollout_plan *ret_plan, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_copy("policy", spec);

	return rollout_plan_make(COX_ROLLOUT_POLICY, name, doc, ret_plan, NULL, err);
}

void rollout_plan_copy(const struct cox_rollout_plan *plan, struct cox_rollout_plan *ret_copy)
{
	struct cox_error err = COX_ERROR_INIT;

	/* It was made of this once. */
	if (rollout_plan_make(plan->source, plan->name, plan->doc, ret_copy, NULL, &err) < 0)
		abort();
}

/* ---- who is in which wave ---- */

/* As Argo CD has it: an operator that it does not know fails for a label that is there, and passes
 * for one that is not. */
static bool expression_matches(const struct cox_rollout_expression *e,
			       const struct cox_node *labels)
{
	const struct cox_node *value = cox_node_get(labels, e->key);
	bool in = false;

	if (e->op == COX_ROLLOUT_OTHER_OP)
		return value == NULL;
	COX_VEC_EACH (&e->values, v)
		in = in || (value && cox_str_is(cox_node_text(value), *v));
	return e->op == COX_ROLLOUT_IN ? in : !in;
}

static bool step_matches(const struct cox_rollout_wave *w, const struct cox_node *labels)
{
	COX_VEC_EACH (&w->expressions, e)
		if (!expression_matches(e, labels))
			return false;
	return true;
}

static bool policy_matches(const struct cox_rollout_wave *w, const struct cox_rollout_member *m)
{
	if (!m->cluster)
		return false;
	COX_VEC_EACH (&w->names, name)
		if (strcmp(*name, m->cluster) == 0)
			return true;
	if (w->names.n > 0)
		return false;
	return !w->selector || cox_selector_matches(w->selector, m->cluster_labels);
}

int cox_rollout_plan_wave(const struct cox_rollout_plan *plan, const struct cox_rollout_member *m,
			  int *ret_also)
{
	int first = -1, also = -1;

	for (size_t i = 0; i < plan->waves.n && also < 0; i++) {
		const struct cox_rollout_wave *w = &plan->waves.items[i];
		bool in = w->unmatched			       ? first < 0
			  : plan->source == COX_ROLLOUT_POLICY ? policy_matches(w, m)
							       : step_matches(w, m->labels);

		if (!in)
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

void cox_rollout_plan_deletions(const struct cox_rollout_plan *plan,
				const struct cox_rollout_member *members, const bool *deleting,
				size_t n, cox_rollout_indexes *ret_now)
{
	int last = -1;
	ptrdiff_t next = -1;
	bool busy = false;

	for (size_t i = 0; i < n; i++) {
		int wave = cox_rollout_plan_wave(plan, &members[i], NULL);

		if (!plan->reverse_deletion || wave < 0) {
			if (!deleting[i])
				cox_vec_push(ret_now, i);
			continue;
		}
		busy = busy || deleting[i];
		if (wave > last ||
		    (wave == last && strcmp(members[i].name, members[next].name) < 0)) {
			last = wave;
			next = (ptrdiff_t)i;
		}
	}
	if (next >= 0 && !busy)
		cox_vec_push(ret_now, (size_t)next);
}

/* ---- equal ---- */

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

static bool step_equal(const struct cox_rollout_wave *a, const struct cox_rollout_wave *b)
{
	if (strcmp(a->name, b->name) != 0 || a->max_concurrent.kind != b->max_concurrent.kind ||
	    a->max_concurrent.value != b->max_concurrent.value ||
	    a->expressions.n != b->expressions.n)
		return false;
	for (size_t i = 0; i < a->expressions.n; i++)
		if (!expression_equal(&a->expressions.items[i], &b->expressions.items[i]))
			return false;
	return true;
}

bool cox_rollout_plan_equal(const struct cox_rollout_plan *a, const struct cox_rollout_plan *b)
{
	if (a->source != b->source || a->waves.n != b->waves.n)
		return false;
	if (a->source == COX_ROLLOUT_POLICY || a->source == COX_ROLLOUT_BACK)
		return cox_node_equal(cox_doc_root(a->doc), cox_doc_root(b->doc));
	for (size_t i = 0; i < a->waves.n; i++)
		if (!step_equal(&a->waves.items[i], &b->waves.items[i]))
			return false;
	return true;
}
