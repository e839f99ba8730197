/* The questions of rollouts' gates: http and metrics go to hub/probe; a job is an Application of its
 * own, that lives in its cluster until the gate has its answer.
 *
 * A job's application has one operation and no automated sync, and its bundle is the Job as a hook:
 * so it runs once, whatever dies, by the rule of hooks. Its uid and its operation's id are made of
 * the rollout's id and the question's key: asked again after a restart it is the same one. Its
 * tombstone is in the batch that keeps the answer. */
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/crypto/digest.h"
#include "common/doc/json.h"
#include "hub/control/addresses.h"
#include "hub/control/internal.h"
#include "hub/probe/probe.h"
#include "hub/render/bundle.h"

#include <stdlib.h>

#define JOB_INITIATOR "rollout gate"

/* Who waits for the answer; its address is what the question is about. */
static struct control_line *line_of(struct hub_control *c, const char *rollout)
{
	COX_MAP_EACH (&c->lines, slot) {
		struct control_line *l = slot->value;

		if (l->current && strcmp(l->current->id, rollout) == 0)
			return l;
	}
	return NULL;
}

/* ---- a job's application ---- */

/* 16 bytes of a digest over what tells it apart, in the form of a UUID (RFC 9562, version 8). */
static void name_uuid(const char *rollout, const struct cox_rollout_probe *at, const char *what,
		      char ret[COX_UUID_TEXT])
{
	_cleanup_free_ char *text = cox_asprintf("%s/%zu/%d/%zu/%lld/%s", rollout, at->wave,
						 at->after, at->gate, (long long)at->attempt, what);
	uint8_t digest[COX_SHA256_BYTES];
	char hex[2 * COX_SHA256_BYTES + 1];

	cox_sha256(cox_str(text), digest);
	digest[6] = (uint8_t)((digest[6] & 0x0f) | 0x80);
	digest[8] = (uint8_t)((digest[8] & 0x3f) | 0x80);
	cox_hex_encode(digest, 16, hex);
	snprintf(ret, COX_UUID_TEXT, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
		 hex + 20);
}

static int fill(struct cox_doc *doc, const struct cox_node *from,
		const struct hub_probe_names *names, struct cox_node **ret, struct cox_error *err);

static int fill_map(struct cox_doc *doc, const struct cox_node *from,
		    const struct hub_probe_names *names, struct cox_node **ret,
		    struct cox_error *err)
{
	*ret = cox_doc_map(doc);
	for (size_t i = 0; i < cox_node_len(from); i++) {
		struct cox_node *value = NULL;

		if (fill(doc, cox_node_at(from, i), names, &value, err) < 0)
			return cox_error_wrap(err, "%.*s", COX_STR_ARG(cox_node_key(from, i)));
		cox_map_put_str(doc, *ret, cox_node_key(from, i), value);
	}
	return 0;
}

static int fill_list(struct cox_doc *doc, const struct cox_node *from,
		     const struct hub_probe_names *names, struct cox_node **ret,
		     struct cox_error *err)
{
	*ret = cox_doc_list(doc);
	for (size_t i = 0; i < cox_node_len(from); i++) {
		struct cox_node *value = NULL;

		if (fill(doc, cox_node_at(from, i), names, &value, err) < 0)
			return cox_error_wrap(err, "[%zu]", i);
		cox_list_push(doc, *ret, value);
	}
	return 0;
}

/* The same with {{…}} filled in, in every text that is a value. */
static int fill(struct cox_doc *doc, const struct cox_node *from,
		const struct hub_probe_names *names, struct cox_node **ret, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (cox_node_is(from, COX_MAP))
		return fill_map(doc, from, names, ret, err);
	if (cox_node_is(from, COX_LIST))
		return fill_list(doc, from, names, ret, err);
	if (!cox_node_is(from, COX_STRING)) {
		*ret = cox_doc_clone(doc, from);
		return 0;
	}
	if (probe_fill(cox_node_str(from), names, HUB_AS_IT_IS, &text, err) < 0)
		return -err->code;
	*ret = cox_doc_string(doc, cox_buf_str(&text));
	return 0;
}

/* The Job as a hook of the application's only sync. spec: {cluster, namespace, timeout, template: a
 * Job's metadata and spec}. */
static int job_object(const struct cox_node *spec, const struct hub_probe_names *names,
		      struct cox_doc **ret_doc, struct cox_error *err)
{
	static const char *const policies[] = {"argocd.argoproj.io/hook-delete-policy",
					       "BeforeHookCreation,HookSucceeded"};
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("job");
	const struct cox_node *timeout = cox_node_get(spec, "timeout");
	struct cox_node *root = NULL, *metadata, *annotations;

	if (fill(doc, cox_node_get(spec, "template"), names, &root, err) < 0)
		return cox_error_wrap(err, "template");
	cox_doc_set_root(doc, root);
	cox_map_put_cstr(doc, root, "apiVersion", "batch/v1");
	cox_map_put_cstr(doc, root, "kind", "Job");
	metadata = cox_map_edit_map(doc, root, "metadata");
	annotations = cox_map_edit_map(doc, metadata, "annotations");
	cox_map_put_cstr(doc, annotations, "argocd.argoproj.io/hook", "Sync");
	if (!cox_node_get(annotations, policies[0]))
		cox_map_put_cstr(doc, annotations, policies[0], policies[1]);
	if (timeout)
		cox_map_put_str(doc, annotations, COX_STR("coxswain.dev/hook-timeout"),
				cox_doc_string(doc, cox_node_text(timeout)));
	*ret_doc = cox_doc_ref(cox_doc_seal(doc));
	return 0;
}

static int job_bundle(struct hub_control *c, const struct cox_node *spec,
		      const struct hub_probe_names *names, uint8_t ret_digest[HUB_DIGEST_BYTES],
		      struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT, row = COX_BUF_INIT;
	_cleanup_docs_ cox_docs objects = {0};
	struct cox_doc *job = NULL;

	if (job_object(spec, names, &job, err) < 0)
		return -err->code;
	cox_vec_push(&objects, job);
	if (hub_bundle_build(&objects, &json, NULL, err) < 0)
		return -err->code;
	cox_sha256(cox_buf_str(&json), ret_digest);
	hub_bundle_pack(cox_buf_str(&json), &row);
	control_bundle_keep(c, ret_digest, cox_buf_str(&row));
	return 0;
}

static int job_assign(struct hub_control *c, struct hub_batch *batch, const char *cluster,
		      const struct cox_node *spec, const struct hub_probe_names *names,
		      const struct cox_rollout_probe *at, struct cox_error *err)
{
	hub_assignment want = COXSWAIN__ASSIGNMENT__V1__ASSIGNMENT__INIT;
	Coxswain__Assignment__V1__Policy policy = COXSWAIN__ASSIGNMENT__V1__POLICY__INIT;
	Coxswain__Assignment__V1__Operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	_cleanup_free_ char *name =
		cox_asprintf("gate-%.8s-%zu-%s-%zu-%lld", names->rollout, at->wave,
			     at->after ? "after" : "before", at->gate, (long long)at->attempt);
	uint8_t digest[HUB_DIGEST_BYTES];
	char uid[COX_UUID_TEXT], id[COX_UUID_TEXT];

	if (job_bundle(c, spec, names, digest, err) < 0)
		return -err->code;
	name_uuid(names->rollout, at, "application", uid);
	name_uuid(names->rollout, at, "operation", id);
	op.id = id;
	op.digest.data = digest;
	op.digest.len = sizeof(digest);
	op.initiated_by = (char *)JOB_INITIATOR;
	op.revision = (char *)names->revision;
	want.app_uid = uid;
	want.app_name = name;
	want.app_namespace = (char *)c->options.namespace;
	want.project = (char *)"default";
	want.instance = name;
	want.destination_namespace =
		(char *)cox_node_cstr(cox_node_get(spec, "namespace"), "default");
	want.target_digest = want.sync_digest = op.digest;
	want.target_revision = want.sync_revision = (char *)names->revision;
	want.policy = &policy;
	want.operation = &op;
	hub_fleet_assign(c->fleet, batch, cluster, &want);
	return 0;
}

/* ---- answers ---- */

/* Keeps it, and what else belongs into that batch. */
static void answer(struct hub_control *c, struct control_line *l, struct hub_batch *batch,
		   const struct cox_rollout_probe *at, enum cox_rollout_answer what,
		   const char *message)
{
	if (cox_rollout_answer(l->current, at, what, message, control_now_ms(c))) {
		control_rollout_keep(batch, l->current);
		control_notify(c, batch, l->owner);
	}
	cox_queue_add(c->rollouts, l->owner);
	hub_store_commit(c->store, batch);
}

/* What the agent says of the operation of that id. true: it is over. */
static bool job_is_over(const hub_report *report, const char *id, enum cox_rollout_answer *ret,
			const char **ret_message)
{
	const Coxswain__Report__V1__OperationState *op = report ? report->operation : NULL;

	if (!op || !cox_streq(op->id, id) ||
	    (op->phase != COXSWAIN__REPORT__V1__PHASE__SUCCEEDED &&
	     op->phase != COXSWAIN__REPORT__V1__PHASE__FAILED &&
	     op->phase != COXSWAIN__REPORT__V1__PHASE__ERROR))
		return false;
	*ret = op->phase == COXSWAIN__REPORT__V1__PHASE__SUCCEEDED ? COX_ANSWER_GOOD
								   : COX_ANSWER_BAD;
	*ret_message = op->message;
	return true;
}

static void bury(struct hub_control *c, struct hub_batch *batch, const char *cluster,
		 const char *uid)
{
	hub_fleet_bury(c->fleet, batch, cluster, uid, true,
		       COXSWAIN__ASSIGNMENT__V1__PROPAGATION__FOREGROUND, true);
}

/* The rollout's questions that are asked now and not answered. */
static void each_asked(struct control_line *l,
		       bool (*fn)(struct control_line *l, const struct cox_rollout_probe *at,
				  void *arg),
		       void *arg)
{
	struct cox_rollout *r = l->current;

	for (size_t w = 0; w < r->waves.n; w++) {
		for (int after = 0; after < 2; after++) {
			size_t n = after ? r->waves.items[w].after.n : r->waves.items[w].before.n;

			for (size_t g = 0; g < n; g++) {
				const struct cox_rollout_gate_run *run =
					after ? &r->waves.items[w].after.items[g]
					      : &r->waves.items[w].before.items[g];
				struct cox_rollout_probe at = {.wave = w,
							       .after = after,
							       .gate = g,
							       .attempt = run->attempt};

				if (run->asked && !fn(l, &at, arg))
					return;
			}
		}
	}
}

struct search {
	const char *uid;
	struct control_line *line;
	struct cox_rollout_probe at;
};

static bool is_asked_as(struct control_line *l, const struct cox_rollout_probe *at, void *arg)
{
	struct search *s = arg;
	const struct cox_rollout_gate *gate = cox_rollout_gate(l->current, at);
	char uid[COX_UUID_TEXT];

	if (!gate || gate->kind != COX_GATE_JOB)
		return true;
	name_uuid(l->current->id, at, "application", uid);
	if (strcmp(uid, s->uid) != 0)
		return true;
	s->line = l;
	s->at = *at;
	return false;
}

static struct control_line *line_of_job(struct hub_control *c, const char *uid,
					struct cox_rollout_probe *ret_at)
{
	struct search s = {.uid = uid};

	COX_MAP_EACH (&c->lines, slot) {
		struct control_line *l = slot->value;

		if (l->current && l->current->phase == COX_ROLLOUT_PROGRESSING)
			each_asked(l, is_asked_as, &s);
		if (s.line)
			break;
	}
	*ret_at = s.at;
	return s.line;
}

/* Why it takes so long: its agent is away, or what the agent says of it. */
void control_gate_note(struct hub_control *c, const char *cluster, const char *uid)
{
	const hub_report *report = hub_fleet_report(c->fleet, cluster, uid);
	const hub_assignment *a = hub_fleet_assignment(c->fleet, cluster, uid);
	_cleanup_free_ char *away = control_away(c, cluster);
	struct cox_rollout_probe at;
	struct control_line *l;
	struct hub_batch *batch;
	const char *said = away;

	if (!control_gate_is_job(a))
		return;
	l = line_of_job(c, uid, &at);
	if (!said && report && report->operation &&
	    cox_streq(report->operation->id, a->operation->id))
		said = report->operation->message;
	if (!l || !said || !*said ||
	    !cox_rollout_gate_note(l->current, &at, said, control_now_ms(c)))
		return;
	batch = hub_batch_new();
	control_rollout_keep(batch, l->current);
	control_notify(c, batch, l->owner);
	hub_store_commit(c->store, batch);
}

struct leaver {
	struct hub_control *control;
	const char *cluster;
};

static bool answer_for(struct control_line *l, const struct cox_rollout_probe *at, void *arg)
{
	const struct leaver *v = arg;
	const struct cox_rollout_gate *gate = cox_rollout_gate(l->current, at);
	_cleanup_free_ char *said = NULL;

	if (!gate || gate->kind != COX_GATE_JOB ||
	    !cox_streq(cox_node_cstr(cox_node_get(gate->spec, "cluster"), ""), v->cluster))
		return true;
	said = cox_asprintf("cluster '%s' was removed before its job said anything", v->cluster);
	answer(v->control, l, hub_batch_new(), at, COX_ANSWER_NONE, said);
	return true;
}

void control_gate_cluster_gone(struct hub_control *c, const char *cluster)
{
	COX_MAP_EACH (&c->lines, slot) {
		struct control_line *l = slot->value;

		if (l->current)
			each_asked(l, answer_for, &(struct leaver){c, cluster});
	}
}

bool control_gate_is_job(const hub_assignment *a)
{
	return a && a->operation && cox_streq(a->operation->initiated_by, JOB_INITIATOR);
}

void control_gate_look(struct hub_control *c, const char *cluster, const char *uid)
{
	const hub_assignment *a = hub_fleet_assignment(c->fleet, cluster, uid);
	struct cox_rollout_probe at;
	struct control_line *l;
	enum cox_rollout_answer what;
	const char *message = NULL;
	struct hub_batch *batch;

	if (!control_gate_is_job(a))
		return;
	l = line_of_job(c, uid, &at);
	if (l && !job_is_over(hub_fleet_report(c->fleet, cluster, uid), a->operation->id, &what,
			      &message)) {
		control_gate_note(c, cluster, uid);
		return;
	}
	batch = hub_batch_new();
	if (l) {
		_cleanup_free_ char *said = cox_strdup(message);

		bury(c, batch, cluster, uid);
		answer(c, l, batch, &at, what, said);
		return;
	}
	/* nobody waits for it (any more) */
	bury(c, batch, cluster, uid);
	hub_store_commit(c->store, batch);
}

/* ---- asking ---- */

static void names_of(const struct cox_rollout *r, const struct cox_rollout_probe *at,
		     struct hub_probe_names *ret)
{
	const char *slash = strrchr(r->owner, '/');

	*ret = (struct hub_probe_names){.rollout = r->id,
					.revision = r->revision,
					.application_set = slash ? slash + 1 : r->owner,
					.wave = r->plan.waves.items[at->wave].name};
}

static void ask_job(struct hub_control *c, struct control_line *l,
		    const struct cox_rollout_gate *gate, const struct cox_rollout_probe *at)
{
	const char *cluster = cox_node_cstr(cox_node_get(gate->spec, "cluster"), "");
	struct hub_batch *batch = hub_batch_new();
	struct hub_probe_names names;
	struct cox_error err;
	char uid[COX_UUID_TEXT];
	int r;

	names_of(l->current, at, &names);
	name_uuid(l->current->id, at, "application", uid);
	if (!hub_fleet_cluster(c->fleet, cluster))
		r = cox_error(&err, COX_NOT_FOUND, "there is no cluster '%s'", cluster);
	else
		r = job_assign(c, batch, cluster, gate->spec, &names, at, &err);
	if (r < 0) {
		answer(c, l, batch, at, COX_ANSWER_NONE, err.message);
		return;
	}
	cox_log_info("a gate's job is assigned", COX_KV("cluster", cluster),
		     COX_KV("rollout", l->current->id), COX_KV("gate", gate->name));
	hub_store_commit(c->store, batch);
	control_gate_look(c, cluster, uid);
}

/* One question of a rollout whose state is on its way to the disk. */
struct question {
	struct hub_control *control;
	char rollout[COX_UUID_TEXT];
	struct cox_rollout_probe at;
};

static void ask_now(void *arg)
{
	const struct question *q = arg;
	struct hub_control *c = q->control;
	struct control_line *l = line_of(c, q->rollout);
	const struct cox_rollout_gate *gate = l ? cox_rollout_gate(l->current, &q->at) : NULL;
	struct hub_probe_names names;

	if (!gate || c->stopping)
		return;
	if (gate->kind == COX_GATE_JOB) {
		ask_job(c, l, gate, &q->at);
		return;
	}
	names_of(l->current, &q->at, &names);
	hub_probe_ask(c->probes, gate, &names, &q->at);
}

void control_gate_ask(struct hub_control *c, struct hub_batch *batch, const struct cox_rollout *r,
		      const struct cox_rollout_probe *at)
{
	struct question *q = cox_new(struct question);

	q->control = c;
	snprintf(q->rollout, sizeof(q->rollout), "%s", r->id);
	q->at = *at;
	hub_batch_after(batch, ask_now, q, free);
}

void control_gate_cancel(struct hub_control *c, struct hub_batch *batch,
			 const struct cox_rollout *r, const struct cox_rollout_probe *at)
{
	const struct cox_rollout_gate *gate = cox_rollout_gate(r, at);
	const char *cluster;
	char uid[COX_UUID_TEXT];

	if (!gate || gate->kind != COX_GATE_JOB) {
		hub_probe_cancel(c->probes, r->id, at);
		return;
	}
	cluster = cox_node_cstr(cox_node_get(gate->spec, "cluster"), "");
	name_uuid(r->id, at, "application", uid);
	if (hub_fleet_cluster(c->fleet, cluster) && hub_fleet_assignment(c->fleet, cluster, uid))
		bury(c, batch, cluster, uid);
}

/* ---- begin and end ---- */

struct control_gates {
	struct hub_control *control;
	struct control_addresses allowed;
};

static bool gates_may_connect(void *ctx, const struct sockaddr *address, bool open)
{
	const struct control_gates *g = ctx;

	return open ? control_addresses_are_allowed(&g->allowed, address)
		    : control_addresses_check(&g->allowed, "", address, NULL) == 0;
}

static void gates_answered(void *ctx, const char *rollout, const struct cox_rollout_probe *at,
			   enum cox_rollout_answer what, const char *message)
{
	const struct control_gates *g = ctx;
	struct control_line *l = line_of(g->control, rollout);

	if (l && !g->control->stopping)
		answer(g->control, l, hub_batch_new(), at, what, message);
}

static bool names_secret(struct hub_control *c, const struct cox_rollout_gate *gate,
			 const char *key)
{
	const char *name = hub_question_secret(gate);
	_cleanup_free_ char *own = name ? control_key(c, HUB_SECRET, NULL, name) : NULL;

	return own && (gate->kind == COX_GATE_HTTP || gate->kind == COX_GATE_METRICS) &&
	       strcmp(own, key) == 0;
}

/* The wave's gates that wait for their next try, and carry that Secret. */
static bool hurry_wave(struct hub_control *c, struct cox_rollout *r, size_t wave, const char *key)
{
	bool any = false;

	for (int after = 0; after < 2; after++) {
		struct cox_rollout_probe at = {.wave = wave, .after = after};
		const struct cox_rollout_gate *gate;

		for (; (gate = cox_rollout_gate(r, &at)); at.gate++)
			if (names_secret(c, gate, key))
				any |= cox_rollout_hurry(r, &at, control_now_ms(c)) > 0;
	}
	return any;
}

/* Of the home namespace alone: a policy has none of its own. */
static int gates_secret(void *ctx, const char *name, struct hub_gate_secret *ret_secret,
			struct cox_error *err)
{
	struct hub_control *c = ((const struct control_gates *)ctx)->control;
	_cleanup_free_ char *key = control_key(c, HUB_SECRET, NULL, name);
	const struct control_object *o = control_object(c, HUB_SECRET, key);

	if (!o)
		return cox_error(err, COX_NOT_FOUND, "there is no secret '%s'", key);
	if (!hub_is_gate_secret(cox_doc_root(o->doc)))
		return cox_error(err, COX_PERMISSION_DENIED,
				 "secret '%s' has not the label " HUB_OUR_SECRET_TYPE_LABEL
				 ": " HUB_GATE_CREDENTIALS,
				 key);
	return hub_gate_secret_read(ret_secret, cox_doc_root(o->doc), err);
}

void control_gates_secret_changed(struct hub_control *c, const char *key)
{
	COX_MAP_EACH (&c->lines, slot) {
		struct control_line *l = slot->value;
		struct hub_batch *batch;
		bool any = false;

		if (!l->current || l->current->phase != COX_ROLLOUT_PROGRESSING)
			continue;
		for (size_t w = 0; w < l->current->waves.n; w++)
			any |= hurry_wave(c, l->current, w, key);
		if (!any)
			continue;
		batch = hub_batch_new();
		control_rollout_keep(batch, l->current);
		hub_store_commit(c->store, batch);
		cox_queue_add(c->rollouts, l->owner);
	}
}

int control_gates_init(struct hub_control *c, struct cox_error *err)
{
	struct control_gates *g = cox_new(struct control_gates);

	c->gates = g;
	g->control = c;
	if (control_addresses_init(&g->allowed, c->options.allow_net, err) < 0)
		return -err->code;
	return hub_probes_new(&(struct hub_probes_options){.loop = c->loop,
							   .may_connect = gates_may_connect,
							   .answered = gates_answered,
							   .secret = gates_secret,
							   .ctx = g},
			      &c->probes, err);
}

static void collect_job(void *ctx, const char *cluster, const hub_assignment *a,
			const hub_tombstone *t)
{
	cox_strings *jobs = ctx;

	(void)t;
	if (control_gate_is_job(a)) {
		cox_vec_push(jobs, cox_strdup(cluster));
		cox_vec_push(jobs, cox_strdup(a->app_uid));
	}
}

void control_gates_load(struct hub_control *c)
{
	COX_CLEANUP(cox_strings_fini) cox_strings jobs = {0};

	hub_fleet_each(c->fleet, collect_job, &jobs);
	for (size_t i = 0; i + 1 < jobs.n; i += 2)
		control_gate_look(c, jobs.items[i], jobs.items[i + 1]);
}

void control_gates_fini(struct hub_control *c)
{
	hub_probes_free(c->probes);
	c->probes = NULL;
	if (c->gates)
		control_addresses_fini(&c->gates->allowed);
	free(c->gates);
	c->gates = NULL;
}
