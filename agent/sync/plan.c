#include "agent/sync/plan.h"

#include <stdlib.h>

static const char *const kind_order[] = {
	"Namespace",
	"NetworkPolicy",
	"ResourceQuota",
	"LimitRange",
	"PodSecurityPolicy",
	"PodDisruptionBudget",
	"ServiceAccount",
	"Secret",
	"SecretList",
	"ConfigMap",
	"StorageClass",
	"PersistentVolume",
	"PersistentVolumeClaim",
	"CustomResourceDefinition",
	"ClusterRole",
	"ClusterRoleList",
	"ClusterRoleBinding",
	"ClusterRoleBindingList",
	"Role",
	"RoleList",
	"RoleBinding",
	"RoleBindingList",
	"Service",
	"DaemonSet",
	"Pod",
	"ReplicationController",
	"ReplicaSet",
	"Deployment",
	"HorizontalPodAutoscaler",
	"StatefulSet",
	"Job",
	"CronJob",
	"IngressClass",
	"Ingress",
	"APIService",
};

int agent_kind_rank(struct cox_str kind)
{
	size_t i = 0;

	while (i < COX_ARRAY_LEN(kind_order) && !cox_str_is(kind, kind_order[i]))
		i++;
	return (int)i;
}

void agent_plan_fini(struct agent_plan *plan)
{
	COX_VEC_EACH (&plan->tasks, t) {
		free(t->key_text);
		free(t->version);
		free(t->message);
	}
	cox_vec_fini(&plan->tasks);
	plan->wave_begin = plan->wave_end = 0;
}

/* ---- building ---- */

static struct agent_task *add_task(struct agent_plan *plan, enum agent_action action,
				   struct cox_str key_text, struct cox_str version)
{
	struct agent_task task = {
		.action = action,
		.phase = AGENT_PHASE_SYNC,
		.key_text = cox_str_dup(key_text),
		.version = cox_str_dup(version),
		.object = SIZE_MAX,
	};
	struct cox_str rest = cox_str(task.key_text);

	cox_str_split(&rest, '/', &task.key.group);
	cox_str_split(&rest, '/', &task.key.kind);
	cox_str_split(&rest, '/', &task.key.namespace);
	task.key.name = rest;
	task.rank = agent_kind_rank(task.key.kind);
	cox_vec_push(&plan->tasks, task);
	return &plan->tasks.items[plan->tasks.n - 1];
}

static bool is_namespace(struct cox_object_key key)
{
	return !key.group.len && cox_str_is(key.kind, "Namespace");
}

static bool is_definition(struct cox_object_key key)
{
	return cox_str_is(key.group, "apiextensions.k8s.io") &&
	       cox_str_is(key.kind, "CustomResourceDefinition");
}

/* Whether the definition is of that kind. */
static bool defines(const struct agent_object *definition, struct cox_str group,
		    struct cox_str kind)
{
	const struct cox_node *spec = cox_node_get(cox_doc_root(definition->doc), "spec");

	return cox_str_eq(cox_node_str(cox_node_get(spec, "group")), group) &&
	       cox_str_eq(cox_node_str(COX_GET(spec, "names", "kind")), kind);
}

static const struct agent_object *find_definition(const struct agent_desired *desired,
						  struct cox_str group, struct cox_str kind)
{
	COX_VEC_EACH (&desired->objects, o)
		if (!o->is_skipped && is_definition(o->key) && defines(o, group, kind))
			return o;
	return NULL;
}

static void add_ordinary(struct agent_plan *plan, const struct agent_plan_input *in)
{
	for (size_t i = 0; i < in->desired->objects.n; i++) {
		const struct agent_object *o = &in->desired->objects.items[i];

		if (o->is_hook || o->is_skipped ||
		    (in->is_selected && !in->is_selected(in->ctx, o->key_text)))
			continue;
		struct agent_task *t = add_task(plan, AGENT_ACTION_APPLY, cox_str(o->key_text),
						cox_str(o->version));

		t->object = i;
		t->wave = o->wave;
	}
}

static void add_prunes(struct agent_plan *plan, const struct agent_plan_input *in)
{
	for (size_t i = 0; i < in->n_extras; i++) {
		const struct agent_extra *x = &in->extras[i];

		if (in->is_selected && !in->is_selected(in->ctx, x->key_text))
			continue;
		struct agent_task *t = add_task(plan, AGENT_ACTION_PRUNE, cox_str(x->key_text),
						cox_str(x->version));
		uint32_t options = in->options | x->options;

		t->wave = x->wave;
		if (options & AGENT_OPT_NO_PRUNE) {
			t->state = AGENT_TASK_SKIPPED;
			t->message = cox_strdup("ignored (no prune)");
		} else if (!in->prune) {
			t->state = AGENT_TASK_SKIPPED;
			t->message = cox_strdup("ignored (requires pruning)");
		} else if (options & AGENT_OPT_CONFIRM_PRUNE) {
			t->state = AGENT_TASK_SKIPPED;
			t->message = cox_strdup("ignored (pruning must be confirmed)");
		}
	}
}

/* The wave of what is pruned is mirrored among the waves that are pruned: last in, first out. */
static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void mirror_prune_waves(struct agent_plan *plan)
{
	COX_VEC(int64_t) waves = {0};
	size_t n = 0;

	COX_VEC_EACH (&plan->tasks, t)
		if (t->action == AGENT_ACTION_PRUNE)
			cox_vec_push(&waves, t->wave);
	cox_vec_sort(&waves, by_number);
	for (size_t i = 0; i < waves.n; i++)
		if (i == 0 || waves.items[i] != waves.items[i - 1])
			waves.items[n++] = waves.items[i];
	COX_VEC_EACH (&plan->tasks, t) {
		if (t->action != AGENT_ACTION_PRUNE)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (waves.items[i] == t->wave) {
				t->wave = waves.items[n - 1 - i];
				break;
			}
		}
	}
	cox_vec_fini(&waves);
}

static void put_prunes_last(struct agent_plan *plan, const struct agent_plan_input *in)
{
	int64_t last = 0;

	COX_VEC_EACH (&plan->tasks, t)
		if (t->action == AGENT_ACTION_APPLY && t->phase == AGENT_PHASE_SYNC &&
		    t->wave > last)
			last = t->wave;
	for (size_t i = 0; i < in->n_extras; i++) {
		if (!((in->options | in->extras[i].options) & AGENT_OPT_PRUNE_LAST))
			continue;
		COX_VEC_EACH (&plan->tasks, t)
			if (t->action == AGENT_ACTION_PRUNE &&
			    cox_streq(t->key_text, in->extras[i].key_text))
				t->wave = last + 1;
	}
}

static void add_namespace(struct agent_plan *plan, const struct agent_plan_input *in)
{
	if (!(in->options & AGENT_OPT_CREATE_NAMESPACE) || !in->namespace || !*in->namespace)
		return;
	_cleanup_free_ char *key = cox_asprintf("/Namespace//%s", in->namespace);

	if (agent_desired_find(in->desired, key) ||
	    (in->is_live && in->is_live(in->ctx, key) && !in->sets_namespace))
		return;
	struct agent_task *t = add_task(plan, AGENT_ACTION_APPLY, cox_str(key), COX_STR("v1"));

	t->phase = AGENT_PHASE_PRE_SYNC;
	t->creates_namespace = true;
}

static int check_kinds(struct agent_plan *plan, const struct agent_plan_input *in,
		       struct cox_error *err)
{
	COX_VEC_EACH (&plan->tasks, t) {
		struct cox_str version = cox_str(t->version);

		if (t->action != AGENT_ACTION_APPLY || !in->is_known ||
		    in->is_known(in->ctx, t->key.group, version, t->key.kind))
			continue;
		const struct agent_object *o =
			t->object == SIZE_MAX ? NULL : &in->desired->objects.items[t->object];
		uint32_t options = in->options | (o ? o->options : 0);

		if (!find_definition(in->desired, t->key.group, t->key.kind) &&
		    !(options & AGENT_OPT_SKIP_DRY_RUN)) {
			COX_CLEANUP(cox_buf_fini) struct cox_buf subject = COX_BUF_INIT;

			cox_object_key_describe(&subject, t->key);
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "the cluster has no kind %.*s in %.*s%s%s, which %s needs",
					 COX_STR_ARG(t->key.kind), COX_STR_ARG(t->key.group),
					 t->key.group.len ? "/" : "", t->version,
					 cox_buf_cstr(&subject));
		}
		t->skip_dry_run = true;
	}
	return 0;
}

/* Takes the place of the first task that depends on it. */
static void pull_ahead(struct agent_plan *plan, const struct agent_plan_input *in)
{
	COX_VEC_EACH (&plan->tasks, t) {
		bool namespace = is_namespace(t->key), definition = is_definition(t->key);

		if (t->action != AGENT_ACTION_APPLY || (!namespace && !definition))
			continue;
		bool there = in->is_live && in->is_live(in->ctx, t->key_text);

		COX_VEC_EACH (&plan->tasks, other) {
			if (other == t || other->action == AGENT_ACTION_PRUNE)
				continue;
			bool depends =
				namespace ? cox_str_eq(other->key.namespace, t->key.name)
					  : t->object != SIZE_MAX &&
						    defines(&in->desired->objects.items[t->object],
							    other->key.group, other->key.kind);

			if (!depends)
				continue;
			if (!there)
				other->skip_dry_run = true;
			if (other->phase < t->phase ||
			    (other->phase == t->phase && other->wave < t->wave)) {
				t->phase = other->phase;
				t->wave = other->wave;
			}
		}
	}
}

static int in_order(const void *a, const void *b)
{
	const struct agent_task *x = a, *y = b;

	if (x->phase != y->phase)
		return x->phase < y->phase ? -1 : 1;
	if (x->wave != y->wave)
		return x->wave < y->wave ? -1 : 1;
	if ((x->action == AGENT_ACTION_PRUNE) != (y->action == AGENT_ACTION_PRUNE))
		return x->action == AGENT_ACTION_PRUNE ? -1 : 1;
	bool first_x = is_namespace(x->key) || is_definition(x->key);
	bool first_y = is_namespace(y->key) || is_definition(y->key);

	if (first_x != first_y)
		return first_x ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	int order = cox_str_compare(x->key.kind, y->key.kind);

	if (order == 0)
		order = cox_str_compare(x->key.name, y->key.name);
	if (order == 0)
		order = cox_object_key_compare(x->key, y->key);
	return order;
}

int agent_plan_build(const struct agent_plan_input *in, struct agent_plan *ret_plan,
		     struct cox_error *err)
{
	struct agent_plan plan = {0};

	add_ordinary(&plan, in);
	add_prunes(&plan, in);
	mirror_prune_waves(&plan);
	put_prunes_last(&plan, in);
	add_namespace(&plan, in);
	int code = check_kinds(&plan, in, err);

	if (code < 0) {
		agent_plan_fini(&plan);
		return code;
	}
	pull_ahead(&plan, in);
	cox_vec_sort(&plan.tasks, in_order);
	*ret_plan = plan;
	return 0;
}

/* ---- running ---- */

static bool same_wave(const struct agent_task *a, const struct agent_task *b)
{
	return a->phase == b->phase && a->wave == b->wave;
}

static bool is_over(const struct agent_task *t)
{
	return t->state == AGENT_TASK_DONE || t->state == AGENT_TASK_SKIPPED ||
	       t->state == AGENT_TASK_FAILED;
}

/* Runs of the same action and kind go together; pruning all at once. */
static bool same_run(const struct agent_task *a, const struct agent_task *b)
{
	if (a->action != b->action)
		return false;
	return a->action == AGENT_ACTION_PRUNE ||
	       (cox_str_eq(a->key.kind, b->key.kind) && cox_str_eq(a->key.group, b->key.group));
}

static void find_wave(struct agent_plan *plan, size_t begin)
{
	size_t end = begin;

	while (end < plan->tasks.n && same_wave(&plan->tasks.items[begin], &plan->tasks.items[end]))
		end++;
	plan->wave_begin = begin;
	plan->wave_end = end;
}

struct wave_state {
	bool running, waiting, failed, prune_failed;
	size_t first_pending;
};

static struct wave_state look(const struct agent_plan *plan)
{
	struct wave_state s = {.first_pending = SIZE_MAX};

	for (size_t i = plan->wave_begin; i < plan->wave_end; i++) {
		const struct agent_task *t = &plan->tasks.items[i];

		s.running |= t->state == AGENT_TASK_RUNNING;
		s.waiting |= t->state == AGENT_TASK_WAITING;
		s.failed |= t->state == AGENT_TASK_FAILED;
		s.prune_failed |= t->state == AGENT_TASK_FAILED && t->action == AGENT_ACTION_PRUNE;
		if (t->state == AGENT_TASK_PENDING && s.first_pending == SIZE_MAX)
			s.first_pending = i;
	}
	return s;
}

enum agent_plan_step agent_plan_next(struct agent_plan *plan, size_t *ret_begin, size_t *ret_end)
{
	for (;;) {
		if (plan->wave_end == plan->wave_begin) {
			if (plan->wave_end == plan->tasks.n)
				return AGENT_PLAN_SUCCEEDED;
			find_wave(plan, plan->wave_end);
		}
		struct wave_state s = look(plan);

		if (s.running)
			return AGENT_PLAN_WAIT;
		if (s.first_pending != SIZE_MAX && !s.prune_failed) {
			size_t end = s.first_pending;
			const struct agent_task *first = &plan->tasks.items[s.first_pending];

			while (end < plan->wave_end &&
			       plan->tasks.items[end].state == AGENT_TASK_PENDING &&
			       same_run(first, &plan->tasks.items[end]))
				plan->tasks.items[end++].state = AGENT_TASK_RUNNING;
			*ret_begin = s.first_pending;
			*ret_end = end;
			return AGENT_PLAN_RUN;
		}
		if (s.failed)
			return AGENT_PLAN_FAILED;
		/* the last wave is not waited for */
		if (plan->wave_end == plan->tasks.n)
			return AGENT_PLAN_SUCCEEDED;
		if (s.waiting)
			return AGENT_PLAN_WAIT;
		find_wave(plan, plan->wave_end);
	}
}

static void say(struct agent_task *t, const char *message)
{
	free(t->message);
	t->message = message && *message ? cox_strdup(message) : NULL;
}

static void judge(struct agent_task *t, const struct cox_health *health)
{
	switch (health->status) {
	case COX_HEALTH_NONE:
	case COX_HEALTH_HEALTHY:
		t->state = AGENT_TASK_DONE;
		break;
	case COX_HEALTH_DEGRADED:
		t->state = AGENT_TASK_FAILED;
		say(t, health->message[0] ? health->message : "degraded");
		break;
	default:
		t->state = AGENT_TASK_WAITING;
		break;
	}
}

/* Of the last wave nothing is waited for, so that what is degraded there doesn't fail the sync
 * either: its health says it. */
static bool is_last_wave(const struct agent_plan *plan, size_t i)
{
	return same_wave(&plan->tasks.items[i], &plan->tasks.items[plan->tasks.n - 1]);
}

void agent_plan_applied(struct agent_plan *plan, size_t i, const struct cox_health *health)
{
	struct agent_task *t = &plan->tasks.items[i];

	if (is_last_wave(plan, i))
		t->state = AGENT_TASK_DONE;
	else
		judge(t, health);
}

void agent_plan_deleting(struct agent_plan *plan, size_t i)
{
	plan->tasks.items[i].state = AGENT_TASK_WAITING;
}

void agent_plan_failed(struct agent_plan *plan, size_t i, const char *message)
{
	plan->tasks.items[i].state = AGENT_TASK_FAILED;
	say(&plan->tasks.items[i], message);
}

void agent_plan_observed(struct agent_plan *plan, const char *key_text,
			 const struct cox_health *health)
{
	for (size_t i = plan->wave_begin; i < plan->wave_end; i++) {
		struct agent_task *t = &plan->tasks.items[i];

		if (t->state != AGENT_TASK_WAITING || !cox_streq(t->key_text, key_text))
			continue;
		if (t->action == AGENT_ACTION_PRUNE) {
			if (!health)
				t->state = AGENT_TASK_DONE;
		} else if (!health) {
			agent_plan_failed(plan, i, "is missing, it might have been deleted");
		} else {
			judge(t, health);
		}
	}
}

void agent_plan_reset(struct agent_plan *plan)
{
	COX_VEC_EACH (&plan->tasks, t) {
		if (is_over(t) && t->state != AGENT_TASK_FAILED)
			continue;
		t->state = AGENT_TASK_PENDING;
		say(t, NULL);
	}
	plan->wave_begin = plan->wave_end = 0;
}

size_t agent_plan_count(const struct agent_plan *plan, enum agent_task_state state)
{
	size_t n = 0;

	COX_VEC_EACH (&plan->tasks, t)
		n += t->state == state;
	return n;
}

static void describe_key(struct cox_buf *out, struct cox_object_key key)
{
	if (key.group.len)
		cox_buf_printf(out, "%.*s/", COX_STR_ARG(key.group));
	cox_buf_printf(out, "%.*s/%.*s", COX_STR_ARG(key.kind), COX_STR_ARG(key.name));
}

void agent_plan_describe(const struct agent_plan *plan, struct cox_buf *out)
{
	size_t failed = agent_plan_count(plan, AGENT_TASK_FAILED);
	enum agent_task_state wanted = failed ? AGENT_TASK_FAILED : AGENT_TASK_WAITING;
	size_t n = agent_plan_count(plan, wanted);

	COX_VEC_EACH (&plan->tasks, t) {
		if (t->state != wanted)
			continue;
		if (!failed)
			cox_buf_puts(out, t->action == AGENT_ACTION_PRUNE
						  ? "waiting for deletion of "
						  : "waiting for healthy state of ");
		describe_key(out, t->key);
		if (failed && t->message)
			cox_buf_printf(out, ": %s", t->message);
		break;
	}
	if (n > 1)
		cox_buf_printf(out, " and %zu more %s", n - 1,
			       failed	? "failures"
			       : n == 2 ? "resource"
					: "resources");
}
