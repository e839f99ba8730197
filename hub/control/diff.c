/* How an Application's objects differ from what they shall be. The hub holds no live objects: it asks the
 * cluster's agent, who compares, and masks what is secret. */
#include "common/base/encode.h"
#include "common/doc/json.h"
#include "hub/control/internal.h"
#include "hub/render/bundle.h"

/* What is asked, until there is an answer. Its parts come one after the other: a rendering, a read of the
 * store, the agent. */
struct diff {
	struct hub_control *control;
	char *uid;
	hub_control_diff_done *done;
	void *arg;
};

static void end(struct diff *d, const struct cox_doc *answer, const struct cox_error *err)
{
	d->done(d->arg, answer, err);
	free(d->uid);
	free(d);
}

/* ---- the answer ---- */

static void put_text(struct cox_doc *doc, struct cox_node *map, const char *key, const char *text)
{
	if (text && *text)
		cox_map_put_cstr(doc, map, key, text);
}

/* JSON as a node; what cannot be read is shown as text. */
static void put_json(struct cox_doc *doc, struct cox_node *map, const char *key,
		     struct cox_str json)
{
	struct cox_doc *value = NULL;

	if (!json.len)
		return;
	if (cox_json_read(json, key, &value, NULL) < 0) {
		cox_map_put(doc, map, key, cox_doc_string(doc, json));
		return;
	}
	cox_doc_use(doc, value);
	cox_map_put(doc, map, key, cox_doc_root(value));
	cox_doc_unref(value);
}

struct cox_node *control_difference_node(struct cox_doc *doc,
					 const Coxswain__Agent__V1__ObjectDifference *o)
{
	static const char *const states[] = {"Different", "Absent", "Extra", "Unknown"};
	struct cox_node *map = cox_doc_map(doc), *fields = cox_doc_list(doc);

	put_text(doc, map, "group", o->group);
	put_text(doc, map, "version", o->version);
	put_text(doc, map, "kind", o->kind);
	put_text(doc, map, "namespace", o->namespace_);
	put_text(doc, map, "name", o->name);
	cox_map_put_cstr(doc, map, "state",
			 (size_t)o->state < COX_ARRAY_LEN(states) ? states[o->state] : "Unknown");
	for (size_t i = 0; i < o->n_fields; i++) {
		struct cox_node *field = cox_doc_map(doc);

		cox_map_put_cstr(doc, field, "path", o->fields[i]->path);
		put_json(doc, field, "desired", cox_str(o->fields[i]->desired));
		put_json(doc, field, "live", cox_str(o->fields[i]->live));
		cox_list_push(doc, fields, field);
	}
	if (o->n_fields)
		cox_map_put(doc, map, "fields", fields);
	if (o->n_differing > o->n_fields)
		cox_map_put_int(doc, map, "differing", o->n_differing);
	put_json(doc, map, "desired", cox_str_n((const char *)o->desired.data, o->desired.len));
	put_text(doc, map, "message", o->message);
	if (o->refused)
		cox_map_put_bool(doc, map, "refused", true);
	if (o->kept)
		cox_map_put_bool(doc, map, "kept", true);
	return map;
}

static struct cox_doc *answer_doc(const Coxswain__Agent__V1__DiffResponse *r)
{
	struct cox_doc *doc = cox_doc_new("diff");
	struct cox_node *map = cox_doc_map(doc), *items = cox_doc_list(doc);

	for (size_t i = 0; i < r->n_objects; i++)
		cox_list_push(doc, items, control_difference_node(doc, r->objects[i]));
	cox_map_put(doc, map, "items", items);
	cox_map_put_int(doc, map, "compared", r->n_compared);
	if (r->truncated)
		cox_map_put_bool(doc, map, "truncated", true);
	cox_doc_set_root(doc, map);
	return cox_doc_seal(doc);
}

static void answered(void *arg, const Coxswain__Agent__V1__DiffResponse *response,
		     const struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = response ? answer_doc(response) : NULL;

	end(arg, doc, err);
}

/* ---- the question ---- */

/* The agent may have gone meanwhile, and the application too. */
static void ask_agent(struct diff *d, struct cox_str objects)
{
	const struct control_app *a = control_app_by_uid(d->control, d->uid);
	struct cox_error err;
	int r;

	if (!a || !a->cluster)
		r = cox_error(&err, COX_NOT_FOUND, "the application is gone");
	else
		r = hub_fleet_diff(
			d->control->fleet, a->cluster,
			&(struct hub_fleet_question){.app_uid = a->uid, .objects = objects},
			answered, d, &err);
	if (r < 0)
		end(d, NULL, &err);
}

static void bundle_read(void *arg, struct cox_buf *row, const struct cox_error *error)
{
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	struct cox_error err = error ? *error : COX_ERROR_INIT;
	struct diff *d = arg;

	if (error || hub_bundle_unpack(cox_buf_str(row), &json, &err) < 0)
		end(d, NULL, &err);
	else
		ask_agent(d, cox_buf_str(&json));
}

static void read_bundle(struct diff *d, const uint8_t digest[HUB_DIGEST_BYTES])
{
	char hex[2 * HUB_DIGEST_BYTES + 1];

	cox_hex_encode(digest, HUB_DIGEST_BYTES, hex);
	hub_store_read(d->control->store, HUB_TABLE_BUNDLE, hex, bundle_read, d);
}

static void rendered(void *arg, const struct hub_bundle_at *bundle, const struct cox_error *err)
{
	if (bundle)
		read_bundle(arg, bundle->digest);
	else
		end(arg, NULL, err);
}

/* The assignment may be on its way to the agent, who waits for it. */
static int ask_about_target(struct diff *d, const struct control_app *a, struct cox_error *err)
{
	const hub_assignment *have = hub_fleet_assignment(d->control->fleet, a->cluster, a->uid);
	const uint8_t *digest = have->target_digest.data;

	if (a->rendered.valid && !a->rendered.error)
		digest = a->rendered.digest;
	else if (have->target_digest.len != HUB_DIGEST_BYTES)
		return cox_error(err, COX_FAILED_PRECONDITION, "application '%s': %s", a->key,
				 a->problem ? a->problem : "there are no manifests yet");
	return hub_fleet_diff(d->control->fleet, a->cluster,
			      &(struct hub_fleet_question){.app_uid = a->uid, .digest = digest},
			      answered, d, err);
}

int hub_control_diff(struct hub_control *c, const char *namespace, const char *name,
		     struct cox_doc *body, hub_control_diff_done *done, void *arg,
		     struct cox_error *err)
{
	const struct cox_node *which = cox_doc_root(body);
	const struct cox_node *manifests = cox_node_get(which, "manifests");
	bool elsewhere = *cox_node_cstr(cox_node_get(which, "revision"), "") ||
			 cox_node_len(cox_node_get(which, "revisions")) > 0;
	uint8_t digest[HUB_DIGEST_BYTES];
	struct control_app *a = NULL;
	struct control_ask *ask;
	struct diff *d;
	int r = control_find(c, namespace, name, &a, err);

	if (r == 0)
		r = control_check_ready(a, err);
	if (r == 0 && !hub_fleet_assignment(c->fleet, a->cluster, a->uid))
		r = cox_error(err, COX_FAILED_PRECONDITION,
			      "application '%s' is not assigned to its cluster yet", a->key);
	if (r == 0 && cox_node_len(manifests) > 0)
		r = hub_control_local(c, body, manifests, digest, err);
	if (r < 0)
		return r;
	d = cox_new(struct diff);
	d->control = c;
	d->uid = cox_strdup(a->uid);
	d->done = done;
	d->arg = arg;
	if (cox_node_len(manifests) > 0) {
		read_bundle(d, digest);
		return 0;
	}
	r = elsewhere ? hub_control_ask(c, namespace, name, which, rendered, d, &ask, err)
		      : ask_about_target(d, a, err);
	if (r < 0) {
		free(d->uid);
		free(d);
	}
	return r;
}
