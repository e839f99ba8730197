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
	free(plan->reason);
	*plan = (struct agent_plan){0};
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

/* ---- hooks ---- */

#define GENERATED_NAME_MAX 63 /* bytes: a Job's name becomes a label of its pods */

/* generateName, then "<revision, 7 bytes>-<phase>-<start, seconds>", and of a retry its number, in
 * such a way that it is none of the numbers that tell hooks of one attempt apart. */
static struct cox_str generated_name(struct cox_buf *out, const struct agent_object *o,
				     enum agent_phase phase, const struct agent_plan_input *in)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf tail = COX_BUF_INIT;
	struct cox_str base = cox_meta_generate_name(cox_doc_root(o->doc));

	cox_buf_printf(&tail, "%.7s-%s-%lld", in->revision ? in->revision : "",
		       agent_phase_name(phase), (long long)(in->started_ms / 1000));
	if (in->attempt > 1)
		cox_buf_printf(&tail, "-retry%u", in->attempt - 1);
	for (size_t i = 0; i < tail.len; i++)
		if (tail.ptr[i] >= 'A' && tail.ptr[i] <= 'Z')
			tail.ptr[i] += 'a' - 'A';
	if (base.len + tail.len > GENERATED_NAME_MAX)
		base.len = GENERATED_NAME_MAX - tail.len;
	cox_buf_puts_str(out, base);
	cox_buf_puts_str(out, cox_buf_str(&tail));
	return cox_buf_str(out);
}

static bool has_hook(const struct agent_plan *plan, enum agent_phase phase, const char *key_text)
{
	COX_VEC_EACH (&plan->tasks, t)
		if (t->action == AGENT_ACTION_HOOK && (int)phase == (int)t->phase &&
		    cox_streq(t->key_text, key_text))
			return true;
	return false;
}

static void add_hook(struct agent_plan *plan, const struct agent_plan_input *in, size_t i,
		     enum agent_phase phase)
{
	const struct agent_object *o = &in->desired->objects.items[i];
	COX_CLEANUP(cox_buf_fini) struct cox_buf name = COX_BUF_INIT;
	struct cox_object_key key = o->key;

	if (!key.name.len)
		key.name = generated_name(&name, o, phase, in);
	_cleanup_free_ char *key_text = cox_object_key_text(key);

	/* two with one generateName; in the bundle's order, so that it comes out the same again */
	for (int n = 2; !o->key.name.len && has_hook(plan, phase, key_text); n++) {
		cox_buf_clear(&name);
		generated_name(&name, o, phase, in);
		cox_buf_printf(&name, "-%d", n);
		key.name = cox_buf_str(&name);
		free(key_text);
		key_text = cox_object_key_text(key);
	}
	if (has_hook(plan, phase, key_text))
		return; /* the same name twice: one object */
	struct agent_task *t =
		add_task(plan, AGENT_ACTION_HOOK, cox_str(key_text), cox_str(o->version));

	t->object = i;
	t->wave = o->wave;
	t->phase = phase;
}

static void add_hooks(struct agent_plan *plan, const struct agent_plan_input *in,
		      enum agent_phase first, enum agent_phase last)
{
	for (size_t i = 0; i < in->desired->objects.n; i++) {
		const struct agent_object *o = &in->desired->objects.items[i];

		for (int phase = (int)first; phase <= (int)last; phase++)
			if (o->is_hook && (o->hook_phases & 1u << phase))
				add_hook(plan, in, i, (enum agent_phase)phase);
	}
}

/* An object that has become a hook is none that is missing from the bundle. */
static bool is_hook_now(const struct agent_plan_input *in, const char *key_text)
{
	COX_VEC_EACH (&in->desired->objects, o)
		if (o->is_hook && o->key.name.len && cox_streq(o->key_text, key_text))
			return true;
	return false;
}

/* ---- pruning ---- */

static void add_prunes(struct agent_plan *plan, const struct agent_plan_input *in)
{
	for (size_t i = 0; i < in->n_extras; i++) {
		const struct agent_extra *x = &in->extras[i];

		if ((in->is_selected && !in->is_selected(in->ctx, x->key_text)) ||
		    is_hook_now(in, x->key_text))
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
		} else {
			t->needs_confirmation = options & AGENT_OPT_CONFIRM_PRUNE;
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
		if (t->phase == AGENT_PHASE_SYNC && t->wave > last)
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

		if (t->action == AGENT_ACTION_PRUNE || !in->is_known ||
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

static void find_landmarks(struct agent_plan *plan)
{
	size_t i = 0;

	while (i < plan->tasks.n && plan->tasks.items[i].phase != AGENT_PHASE_SYNC_FAIL)
		i++;
	plan->fail_begin = i;
	while (i-- > 0) {
		const struct agent_task *t = &plan->tasks.items[i];
		const struct agent_task *last = &plan->tasks.items[plan->fail_begin - 1];

		if (t->phase != last->phase || t->wave != last->wave)
			break;
		plan->last_has_hooks |= t->action == AGENT_ACTION_HOOK;
	}
}

static int complete(struct agent_plan *plan, const struct agent_plan_input *in,
		    struct agent_plan *ret_plan, struct cox_error *err)
{
	int code = check_kinds(plan, in, err);

	if (code < 0) {
		agent_plan_fini(plan);
		return code;
	}
	pull_ahead(plan, in);
	cox_vec_sort(&plan->tasks, in_order);
	plan->wave_delay_ms = in->wave_delay_ms;
	find_landmarks(plan);
	*ret_plan = *plan;
	return 0;
}

int agent_plan_build(const struct agent_plan_input *in, struct agent_plan *ret_plan,
		     struct cox_error *err)
{
	struct agent_plan plan = {0};

	add_ordinary(&plan, in);
	if (in->hooks)
		add_hooks(&plan, in, AGENT_PHASE_PRE_SYNC, AGENT_PHASE_SYNC_FAIL);
	add_prunes(&plan, in);
	mirror_prune_waves(&plan);
	put_prunes_last(&plan, in);
	add_namespace(&plan, in);
	return complete(&plan, in, ret_plan, err);
}

int agent_plan_build_deletion(const struct agent_plan_input *in, enum agent_phase phase,
			      struct agent_plan *ret_plan, struct cox_error *err)
{
	struct agent_plan plan = {0};

	add_hooks(&plan, in, phase, phase);
	return complete(&plan, in, ret_plan, err);
}
