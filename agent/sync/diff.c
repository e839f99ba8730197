/* What an application's objects shall be, beside what they are, for people: each is read from the API
 * server, compared, and where it seems to differ tried by a dry run, which may know better. Values of
 * Secrets never leave here.
 *
 * With a frame the question is a plan's: the application may be assigned otherwise, or not at all, and
 * what would be written is tried in any case, so that a refusal is known before. Nothing of it is kept. */
#include "agent/compare/compare.h"
#include "agent/jq/jq.h"
#include "agent/sync/app.h"

#include "common/base/limits.h"
#include "common/ctl/stamp.h"
#include "common/doc/json.h"

#include <stdlib.h>

#define IN_FLIGHT_MAX 8
#define FIELDS_MAX    100
#define VALUE_MAX     (16 << 10)
#define RESPONSE_MAX  (COX_LIMIT_MESSAGE_BYTES - (256 << 10))

typedef Coxswain__Agent__V1__ObjectDifference object_difference;
typedef Coxswain__Agent__V1__FieldDifference field_difference;

struct agent_diff {
	struct agent_engine *engine;
	struct agent_app *app; /* NULL: none that is assigned here */
	bool framed, deletion;
	uint32_t options;	     /* of the frame */
	char *namespace;	     /* the frame's; NULL */
	struct agent_holder *holder; /* of the bundle that is compared with; or */
	struct agent_desired own;    /* objects that were given */
	const struct agent_desired *desired;
	struct cox_doc *ignore_doc; /* NULL: nothing is ignored */
	struct cox_timer begin;
	bool waits;			  /* for the assignment, or the bundle */
	uint8_t digest[COX_SHA256_BYTES]; /* of it */
	size_t next, in_flight;
	COX_VEC(struct looking *) asking; /* what expressions name is being asked */
	agent_diff_done *done;
	void *arg;
	struct cox_arena arena;
	COX_VEC(object_difference *) found;
	size_t bytes, n_compared;
	bool truncated;
};

/* One object that is looked at. */
struct looking {
	struct agent_diff *diff;
	const struct agent_object *object;
	struct cox_doc *live;
	struct agent_ignore ignore;
	struct cox_doc *cuts; /* what its expressions name; NULL: there are none */
	struct agent_jq_call *question;
};

static void looking_free(struct looking *l)
{
	agent_jq_cancel(l->question);
	cox_doc_unref(l->live);
	cox_doc_unref(l->cuts);
	agent_ignore_fini(&l->ignore);
	free(l);
}

/* ---- life ---- */

static void diff_free(struct agent_diff *d)
{
	struct agent_engine *e = d->engine;

	free(d->namespace);

	for (size_t i = 0; i < e->diffs.n; i++)
		if (e->diffs.items[i] == d) {
			cox_vec_remove(&e->diffs, i);
			break;
		}
	cox_timer_stop(&d->begin);
	agent_holder_unref(d->holder);
	agent_desired_fini(&d->own);
	cox_doc_unref(d->ignore_doc);
	cox_vec_fini(&d->found);
	cox_vec_fini(&d->asking);
	cox_arena_fini(&d->arena);
	free(d);
}

/* Requests that are under way find nobody any more. */
static void stop(struct agent_diff *d)
{
	struct agent_engine *e = d->engine;

	for (size_t i = 0; i < e->calls.n; i++) {
		struct agent_call *call = e->calls.items[i];
		struct looking *l = call->arg;

		if (!call->is_diff || l->diff != d)
			continue;
		agent_calls_cancel_of(e, l);
		looking_free(l);
		i = (size_t)-1;
	}
	COX_VEC_EACH (&d->asking, l)
		looking_free(*l);
	cox_vec_clear(&d->asking);
}

void agent_diff_cancel(struct agent_diff *d)
{
	stop(d);
	diff_free(d);
}

/* In the order of their names, whichever was answered first. */
static int by_name(const void *a, const void *b)
{
	const object_difference *x = *(object_difference *const *)a;
	const object_difference *y = *(object_difference *const *)b;
	int r = strcmp(x->group, y->group);

	r = r ? r : strcmp(x->kind, y->kind);
	r = r ? r : strcmp(x->namespace_, y->namespace_);
	return r ? r : strcmp(x->name, y->name);
}

static void answer(struct agent_diff *d, const struct cox_error *error)
{
	Coxswain__Agent__V1__DiffResponse response = COXSWAIN__AGENT__V1__DIFF_RESPONSE__INIT;

	cox_vec_sort(&d->found, by_name);
	response.objects = d->found.items;
	response.n_objects = d->found.n;
	response.n_compared = (uint32_t)d->n_compared;
	response.truncated = d->truncated;
	response.framed = d->framed;
	d->done(d->arg, &response, error);
	diff_free(d);
}

void agent_diffs_end(struct agent_engine *e, struct agent_app *app)
{
	struct cox_error err;

	(void)cox_error(&err, COX_NOT_FOUND, "the application is gone");
	for (size_t i = 0; i < e->diffs.n; i++) {
		struct agent_diff *d = e->diffs.items[i];

		if (app && d->app != app)
			continue;
		stop(d);
		if (e->is_freed)
			diff_free(d);
		else
			answer(d, &err);
		i = (size_t)-1;
	}
}

/* ---- what was found ---- */

static char *keep(struct agent_diff *d, struct cox_str text)
{
	d->bytes += text.len + 16;
	return cox_arena_strndup(&d->arena, text.ptr ? text.ptr : "", text.len);
}

static object_difference *found(struct agent_diff *d, struct cox_object_key key,
				const char *version, Coxswain__Agent__V1__DiffState state)
{
	object_difference *o = cox_arena_calloc(&d->arena, sizeof(*o));

	coxswain__agent__v1__object_difference__init(o);
	o->group = keep(d, key.group);
	o->version = keep(d, cox_str(version));
	o->kind = keep(d, key.kind);
	o->namespace_ = keep(d, key.namespace);
	o->name = keep(d, key.name);
	o->state = state;
	cox_vec_push(&d->found, o);
	return o;
}

static size_t compare(const struct looking *l, struct cox_doc *predicted, agent_values *values)
{
	_cleanup_difference_ struct agent_difference difference = AGENT_DIFFERENCE_INIT;
	const struct cox_node *cuts = l->cuts ? cox_doc_root(l->cuts) : NULL;
	struct agent_compare_options options = {.manager = AGENT_MANAGER,
						.ignore = &l->ignore,
						.desired_cuts = cox_node_at(cuts, 0),
						.live_cuts = cox_node_at(cuts, 1),
						.predicted = predicted};

	agent_compare(l->object->doc, l->live, &options, &difference);
	if (values)
		agent_compare_values(l->object->doc, l->live, &options, values);
	return difference.n;
}

static char *keep_value(struct agent_diff *d, const char *json)
{
	size_t n = json ? strlen(json) : 0;
	_cleanup_free_ char *instead =
		n > VALUE_MAX ? cox_asprintf("\"(a value of %zu bytes)\"", n) : NULL;

	return keep(d, cox_str(instead ? instead : json ? json : ""));
}

static void add_fields(struct agent_diff *d, object_difference *o, const agent_values *values)
{
	o->fields = cox_arena_calloc(&d->arena, FIELDS_MAX * sizeof(*o->fields));
	COX_VEC_EACH (values, v) {
		field_difference *x;

		if (o->n_fields >= FIELDS_MAX || d->bytes > RESPONSE_MAX)
			return;
		x = cox_arena_calloc(&d->arena, sizeof(*x));
		coxswain__agent__v1__field_difference__init(x);
		x->path = keep(d, cox_str(v->path));
		x->desired = keep_value(d, v->desired);
		x->live = keep_value(d, v->live);
		o->fields[o->n_fields++] = x;
	}
}

static void set_refused(struct agent_diff *d, object_difference *o, const char *refused)
{
	if (!refused)
		return;
	o->refused = true;
	o->message = keep(d, cox_str(refused));
}

/* refused: why the API server would not take it; NULL: it would, or was not asked. */
static void take(struct looking *l, struct cox_doc *predicted, const char *refused)
{
	struct agent_diff *d = l->diff;
	_cleanup_values_ agent_values values = {0};
	size_t n = compare(l, predicted, &values);
	object_difference *o;

	if (n == 0)
		return;
	if (d->bytes > RESPONSE_MAX) {
		d->truncated = true;
		return;
	}
	o = found(d, l->object->key, l->object->version,
		  COXSWAIN__AGENT__V1__DIFF_STATE__DIFFERENT);
	o->n_differing = (uint32_t)n;
	add_fields(d, o, &values);
	set_refused(d, o, refused);
}

static void take_absent(struct agent_diff *d, const struct agent_object *object,
			const char *refused)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	object_difference *o;

	agent_object_write(&text, object->doc, NULL);
	if (d->bytes + text.len > RESPONSE_MAX) {
		d->truncated = true;
		return;
	}
	o = found(d, object->key, object->version, COXSWAIN__AGENT__V1__DIFF_STATE__ABSENT);
	o->desired.data = (uint8_t *)keep(d, cox_buf_str(&text));
	o->desired.len = text.len;
	set_refused(d, o, refused);
}

static void take_failure(struct agent_diff *d, const struct agent_object *object,
			 const char *message)
{
	object_difference *o =
		found(d, object->key, object->version, COXSWAIN__AGENT__V1__DIFF_STATE__FAILED);

	o->message = keep(d, cox_str(message));
}

/* Whether what is not wanted any more stays all the same: somebody says so, or it is not ours to take. */
static bool is_kept(const struct agent_diff *d, const struct agent_entry *entry)
{
	uint32_t stays = d->deletion ? AGENT_OPT_NO_DELETE : AGENT_OPT_NO_PRUNE;

	return d->framed && (!entry->marked || ((entry->live_options | d->options) & stays));
}

static void take_extra_one(struct agent_diff *d, const struct agent_entry *entry)
{
	object_difference *o;

	if (d->framed && !entry->evaluated) {
		o = found(d, entry->key, entry->version, COXSWAIN__AGENT__V1__DIFF_STATE__FAILED);
		o->message = keep(d, COX_STR("it is not known yet whether it is there"));
	} else if (entry->live && !entry->terminating) {
		o = found(d, entry->key, entry->version, COXSWAIN__AGENT__V1__DIFF_STATE__EXTRA);
		o->kept = is_kept(d, entry);
	}
}

/* What was applied once and is not wanted any more. */
static void take_extra(struct agent_diff *d)
{
	if (!d->app)
		return;
	COX_MAP_EACH (&d->app->entries, slot) {
		const struct agent_entry *entry = slot->value;

		if (!entry->owned || agent_desired_find(d->desired, entry->key_text))
			continue;
		if (d->bytes > RESPONSE_MAX) {
			d->truncated = true;
			return;
		}
		take_extra_one(d, entry);
	}
}

/* ---- looking ---- */

static void go_on(struct agent_diff *d);

static void looked_at(struct looking *l)
{
	struct agent_diff *d = l->diff;

	looking_free(l);
	d->in_flight--;
	go_on(d);
}

static struct agent_call *call_for(struct looking *l, void (*done)(struct agent_call *,
								   const struct cox_kube_answer *))
{
	struct agent_call *call =
		agent_call_new_of(l->diff->engine, l->diff->app, l->object->key_text, done);

	call->arg = l;
	call->is_diff = true;
	return call;
}

/* A namespace that the bundle, or the sync, makes first. */
static bool makes_namespace(const struct agent_diff *d, struct cox_str name)
{
	_cleanup_free_ char *text = cox_asprintf("/Namespace//%.*s", COX_STR_ARG(name));

	return agent_desired_find(d->desired, text) != NULL;
}

/* Why a dry run was refused, where that means something; the caller's, NULL: it does not. */
static char *refusal(const struct looking *l, const struct cox_kube_answer *answer)
{
	const struct agent_diff *d = l->diff;
	uint32_t options = l->object->options | d->options;

	if (!d->framed || answer->error->code == COX_OK)
		return NULL;
	if (answer->reason == COX_KUBE_NOT_FOUND && makes_namespace(d, l->object->key.namespace))
		return NULL;
	/* what cannot be changed is deleted and made anew */
	if (l->live && (options & AGENT_OPT_FORCE) && answer->status == 422)
		return NULL;
	return cox_asprintf("the API server says to a dry run: %s", answer->error->message);
}

static void tried(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct looking *l = call->arg;
	_cleanup_free_ char *refused = refusal(l, answer);

	/* One that is refused leaves what the comparison said. */
	if (l->live)
		take(l, answer->error->code == COX_OK ? answer->doc : NULL, refused);
	else
		take_absent(l->diff, l->object, refused);
	looked_at(l);
}

static void try_it(struct looking *l)
{
	struct agent_engine *e = l->diff->engine;
	const struct agent_object *o = l->object;
	_cleanup_free_ char *namespace = cox_str_dup(o->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(o->key.name);
	bool lax = (o->options | l->diff->options) & AGENT_OPT_NO_VALIDATE;
	struct agent_call *call = call_for(l, tried);

	call->call = cox_kube_apply(
		e->o.kube, agent_engine_resource_of(e, o->key, o->version), namespace, name,
		cox_doc_root(o->doc),
		&(struct cox_kube_write_options){.field_manager = AGENT_MANAGER,
						 .field_validation = !l->diff->framed ? NULL
								     : lax	      ? "Ignore"
										      : "Strict",
						 .force = true,
						 .dry_run = true},
		agent_call_done, call);
}

static void judge(struct looking *l)
{
	if (compare(l, NULL, NULL) > 0 &&
	    (l->diff->framed || agent_compare_is_managed(cox_doc_root(l->live), AGENT_MANAGER))) {
		try_it(l);
		return;
	}
	take(l, NULL, NULL);
	looked_at(l);
}

static void cuts_known(void *arg, struct cox_doc *paths, const struct cox_error *error)
{
	struct looking *l = arg;
	struct agent_diff *d = l->diff;

	l->question = NULL;
	for (size_t i = 0; i < d->asking.n; i++)
		if (d->asking.items[i] == l) {
			cox_vec_remove(&d->asking, i);
			break;
		}
	if (paths) {
		l->cuts = cox_doc_ref(paths);
		judge(l);
	} else {
		take_failure(d, l->object, error->message);
		looked_at(l);
	}
}

/* The live object is here; what its expressions name comes first. */
static void begin_to_judge(struct looking *l)
{
	struct agent_diff *d = l->diff;
	struct agent_jq *jq = d->engine->o.jq;
	struct cox_doc *const objects[] = {l->object->doc, l->live};

	if (d->ignore_doc)
		agent_ignore_for(cox_doc_root(d->ignore_doc), cox_doc_root(l->object->doc),
				 &l->ignore);
	if (!l->ignore.expressions.n || !jq) {
		judge(l);
		return;
	}
	cox_vec_push(&d->asking, l);
	l->question = agent_jq_ask(jq, objects, COX_ARRAY_LEN(objects), &l->ignore.expressions,
				   cuts_known, l);
}

static void looked(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct looking *l = call->arg;
	struct agent_diff *d = l->diff;

	if (answer->reason == COX_KUBE_NOT_FOUND && d->framed) {
		try_it(l);
		return;
	}
	if (answer->reason == COX_KUBE_NOT_FOUND) {
		take_absent(d, l->object, NULL);
	} else if (answer->error->code != COX_OK || !answer->doc) {
		take_failure(d, l->object, answer->error->message);
	} else {
		l->live = cox_doc_ref(answer->doc);
		begin_to_judge(l);
		return;
	}
	looked_at(l);
}

/* What the watches show to be as it shall be is not asked for. */
static bool is_known(const struct agent_diff *d, const struct agent_object *o)
{
	const struct agent_entry *entry;

	if (!d->holder || memcmp(d->holder->digest, d->app->digest, COX_SHA256_BYTES) != 0)
		return false;
	entry = cox_map_get(&d->app->entries, o->key_text);
	return entry && entry->evaluated && entry->sync == AGENT_SYNCED;
}

static bool is_definition_of(const struct cox_node *object, struct cox_object_key key)
{
	return cox_str_is(cox_node_str(cox_node_get(object, "kind")), "CustomResourceDefinition") &&
	       cox_str_eq(cox_node_str(COX_GET(object, "spec", "group")), key.group) &&
	       cox_str_eq(cox_node_str(COX_GET(object, "spec", "names", "kind")), key.kind);
}

/* Of a kind that the cluster does not know: a sync stops at it, unless something brings it. */
static const char *unknown_kind(const struct agent_diff *d, const struct agent_object *o)
{
	if (!d->framed || ((o->options | d->options) & AGENT_OPT_SKIP_DRY_RUN))
		return NULL;
	COX_VEC_EACH (&d->desired->objects, other)
		if (is_definition_of(cox_doc_root(other->doc), o->key))
			return NULL;
	return "the cluster does not know this kind";
}

static void look_at(struct agent_diff *d, const struct agent_object *o)
{
	struct agent_engine *e = d->engine;
	const struct cox_kube_resource *resource = agent_engine_resource_of(e, o->key, o->version);
	_cleanup_free_ char *namespace = cox_str_dup(o->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(o->key.name);
	struct agent_call *call;
	struct looking *l;

	if (o->is_hook || o->is_skipped)
		return;
	d->n_compared++;
	if (is_known(d, o))
		return;
	if (!resource) {
		take_absent(d, o, unknown_kind(d, o));
		return;
	}
	l = cox_new(struct looking);
	l->diff = d;
	l->object = o;
	d->in_flight++;
	call = call_for(l, looked);
	call->call = cox_kube_get(e->o.kube, resource, namespace, name, agent_call_done, call);
}

static void go_on(struct agent_diff *d)
{
	struct cox_error ok = COX_ERROR_INIT;

	while (d->in_flight < IN_FLIGHT_MAX && d->next < d->desired->objects.n)
		look_at(d, &d->desired->objects.items[d->next++]);
	if (d->in_flight)
		return;
	take_extra(d);
	answer(d, &ok);
}

static int desire_given(struct agent_diff *d, struct cox_str objects, struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	int code = agent_bundle_read(objects, &docs, err);

	if (code == 0)
		code = agent_app_desire(d->app, &docs, &d->own, err);
	d->desired = &d->own;
	return code;
}

/* The namespace that a sync makes first, as an object among the others. */
static void add_namespace(struct agent_diff *d)
{
	struct agent_object o = {.version = cox_strdup("v1")};
	struct cox_doc *doc = cox_doc_new("namespace");
	struct cox_node *root = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	struct cox_str rest;

	o.key_text = cox_asprintf("/Namespace//%s", d->namespace);
	rest = cox_str(o.key_text);
	cox_str_split(&rest, '/', &o.key.group);
	cox_str_split(&rest, '/', &o.key.kind);
	cox_str_split(&rest, '/', &o.key.namespace);
	o.key.name = rest;
	cox_map_put_cstr(doc, root, "apiVersion", "v1");
	cox_map_put_cstr(doc, root, "kind", "Namespace");
	cox_map_put_cstr(doc, metadata, "name", d->namespace);
	cox_map_put(doc, root, "metadata", metadata);
	cox_doc_set_root(doc, root);
	o.doc = cox_doc_seal(doc);
	cox_vec_push(&d->own.objects, o);
	cox_map_set(&d->own.by_key, o.key_text, (void *)(uintptr_t)d->own.objects.n);
}

static int desire_framed(struct agent_diff *d, const Coxswain__Agent__V1__DiffRequest *q,
			 struct cox_error *err)
{
	const Coxswain__Agent__V1__Frame *f = q->frame;
	struct agent_frame frame = {f->instance, f->destination_namespace, f->project_rules};
	_cleanup_docs_ cox_docs docs = {0};
	int code = agent_bundle_read(cox_str_n((const char *)q->objects.data, q->objects.len),
				     &docs, err);

	if (code == 0)
		code = agent_frame_desire(d->engine, &frame, q->app_uid, &docs, &d->own, err);
	d->desired = &d->own;
	if (code == 0 && docs.n > 0 && (d->options & AGENT_OPT_CREATE_NAMESPACE) && *d->namespace &&
	    !makes_namespace(d, cox_str(d->namespace)))
		add_namespace(d);
	return code;
}

/* 1: the assignment, or the bundle, is on its way. */
static int desire_assigned(struct agent_diff *d, struct cox_error *err)
{
	struct agent_app *app = d->app;
	int code;

	if ((memcmp(d->digest, app->target, COX_SHA256_BYTES) != 0 &&
	     memcmp(d->digest, app->digest, COX_SHA256_BYTES) != 0) ||
	    !agent_store_has_bundle(app->engine->o.store, d->digest))
		return 1;
	code = agent_app_hold(app, d->digest, &d->holder, err);
	if (code == 0)
		d->desired = &d->holder->desired;
	return code;
}

void agent_diffs_look(struct agent_engine *e, const uint8_t failed[COX_SHA256_BYTES],
		      const struct cox_error *why)
{
	COX_VEC(struct agent_diff *) waiting = {0};
	struct cox_error err;

	COX_VEC_EACH (&e->diffs, d)
		if ((*d)->waits)
			cox_vec_push(&waiting, *d);
	COX_VEC_EACH (&waiting, slot) {
		struct agent_diff *d = *slot;
		int code = desire_assigned(d, &err);

		if (code == 0) {
			d->waits = false;
			cox_timer_start(&d->begin, 0);
		} else if (code < 0) {
			answer(d, &err);
		} else if (failed && memcmp(d->digest, failed, COX_SHA256_BYTES) == 0) {
			answer(d, why);
		}
	}
	cox_vec_fini(&waiting);
}

static void begin(void *arg)
{
	go_on(arg);
}

static void read_frame(struct agent_diff *d, const Coxswain__Agent__V1__Frame *frame)
{
	d->framed = true;
	d->deletion = frame->deletion;
	d->namespace = cox_strdup(frame->destination_namespace);
	for (size_t i = 0; i < frame->n_sync_options; i++)
		d->options |= agent_option_parse(cox_str(frame->sync_options[i]));
}

static void read_ignored(struct agent_diff *d, const Coxswain__Agent__V1__Frame *frame)
{
	const Coxswain__Assignment__V1__Policy *policy = d->app ? d->app->assignment->policy : NULL;
	ProtobufCBinaryData text = {0};

	if (frame)
		text = frame->ignore_differences;
	else if (policy)
		text = policy->ignore_differences;
	if (text.len)
		cox_json_read(cox_str_n((const char *)text.data, text.len), "ignoreDifferences",
			      &d->ignore_doc, NULL);
}

static int desire(struct agent_diff *d, const Coxswain__Agent__V1__DiffRequest *q,
		  struct cox_error *err)
{
	if (!q->frame && !q->objects.len)
		return desire_assigned(d, err);
	if (!cox_discovery_is_ready(d->engine->discovery))
		return cox_error(err, COX_UNAVAILABLE, "the cluster's kinds are not known yet");
	if (q->frame)
		return desire_framed(d, q, err);
	return desire_given(d, cox_str_n((const char *)q->objects.data, q->objects.len), err);
}

int agent_engine_diff(struct agent_engine *e, const Coxswain__Agent__V1__DiffRequest *q,
		      agent_diff_done *done, void *arg, struct agent_diff **ret_diff,
		      struct cox_error *err)
{
	struct agent_app *app = agent_engine_find(e, q->app_uid);
	struct agent_diff *d;
	int code;

	if (app && (!app->assignment || app->tombstone))
		app = NULL;
	if (!app && !q->frame)
		return cox_error(err, COX_NOT_FOUND, "no application with uid '%s'", q->app_uid);
	if (e->api_error)
		return cox_error(err, COX_UNAVAILABLE, "%s", e->api_error);
	d = cox_new(struct agent_diff);
	d->engine = e;
	d->app = app;
	d->done = done;
	d->arg = arg;
	d->arena = COX_ARENA_INIT(0);
	cox_timer_init(&d->begin, e->o.loop, begin, d);
	cox_vec_push(&e->diffs, d);
	cox_stamp_set_digest(d->digest, q->digest.data, q->digest.len);
	if (q->frame)
		read_frame(d, q->frame);
	code = desire(d, q, err);
	d->waits = code > 0;
	if (code < 0) {
		diff_free(d);
		return code;
	}
	read_ignored(d, q->frame);
	*ret_diff = d;
	/* done comes later, never from inside */
	if (!d->waits)
		cox_timer_start(&d->begin, 0);
	return 0;
}
