/* What an applied Application asks for besides its spec, as kubectl users of Argo CD do it: an
 * `operation`, and the annotation argocd.argoproj.io/refresh. Neither is kept in the object. An
 * operation waits, durably, until there are manifests; what becomes of it is the operation's state, or
 * the condition OperationError. */
#include "common/base/log.h"
#include "hub/control/internal.h"

static bool flag(const struct cox_node *map, const char *key)
{
	return cox_node_bool(cox_node_get(map, key), false);
}

/* The operation, by who it really is that asked for it. */
static struct cox_doc *asked_by(const struct cox_node *asked, const char *by)
{
	_cleanup_doc_ struct cox_doc *as_given = cox_doc_copy("operation", asked);
	struct cox_doc *doc = cox_doc_edit(as_given);
	struct cox_node *who = cox_doc_map(doc);

	cox_map_put_cstr(doc, who, "username", by);
	cox_map_put(doc, cox_doc_root_edit(doc), "initiatedBy", who);
	return cox_doc_seal(doc);
}

void hub_control_act(struct hub_control *c, struct hub_batch *batch, struct cox_doc *object,
		     const char *by)
{
	const struct cox_node *root = cox_doc_root(object),
			      *asked = cox_node_get(root, "operation");
	const char *refresh = hub_object_annotation(root, CONTROL_REFRESH_ANNOTATION);
	const char *namespace = hub_object_namespace(root), *name = hub_object_name(root);
	enum hub_kind kind = hub_kind_of(root);
	struct control_app *a = NULL;

	if (kind == HUB_APPLICATION_SET &&
	    cox_streq(hub_object_annotation(root, CONTROL_REFRESH_SET_ANNOTATION), "true"))
		hub_control_refresh_set(c, namespace, name, NULL);
	if (kind != HUB_APPLICATION || control_find(c, namespace, name, &a, NULL) < 0)
		return;
	if (refresh)
		hub_control_refresh(c, namespace, name, strcmp(refresh, "hard") == 0, NULL);
	if (!cox_node_is(cox_node_get(asked, "sync"), COX_MAP))
		return;
	control_pending_set(c, batch, a, asked_by(asked, by));
	cox_queue_add(c->apps, a->key);
}

static struct hub_sync_request request_of(const struct cox_node *asked)
{
	const struct cox_node *sync = cox_node_get(asked, "sync");
	const struct cox_node *apply = COX_GET(sync, "syncStrategy", "apply");
	const struct cox_node *hook = COX_GET(sync, "syncStrategy", "hook");

	return (struct hub_sync_request){
		.prune = flag(sync, "prune"),
		.dry_run = flag(sync, "dryRun"),
		.force = flag(apply, "force") || flag(hook, "force"),
		.skip_hooks = cox_node_is(apply, COX_MAP),
		.resources = cox_node_get(sync, "resources"),
		.sync_options = cox_node_get(sync, "syncOptions"),
		.retry = cox_node_get(asked, "retry"),
		.infos = cox_node_get(asked, "info"),
		.initiated_by = cox_node_cstr(COX_GET(asked, "initiatedBy", "username"), "admin")};
}

static void ended(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		  const struct cox_error *err)
{
	control_condition_set(&a->conditions, "OperationError", err ? err->message : NULL);
	if (err)
		cox_log_warn("an operation was not begun", COX_KV("application", a->key),
			     COX_KV_ERROR(err));
	control_pending_set(c, batch, a, NULL);
}

static void sync_it(struct hub_control *c, struct control_app *a, const struct hub_bundle_at *at,
		    bool local)
{
	_cleanup_doc_ struct cox_doc *asked = cox_doc_ref(a->pending);
	struct hub_sync_request request = request_of(cox_doc_root(asked));
	struct hub_batch *batch = hub_batch_new();
	_cleanup_free_ char *revision = NULL;
	char id[COX_UUID_TEXT];
	struct cox_error err;
	int r;

	request.at = at;
	request.local = local;
	r = hub_control_sync(c, batch, hub_object_namespace(a->view.root), a->view.name, &request,
			     id, &revision, &err);
	ended(c, batch, a, r < 0 ? &err : NULL);
	hub_store_commit(c->store, batch);
}

struct rendering {
	struct hub_control *control;
	char *uid;
};

static void rendered(void *arg, const struct hub_bundle_at *bundle, const struct cox_error *err)
{
	struct rendering *q = arg;
	struct control_app *a = control_app_by_uid(q->control, q->uid);

	if (a)
		a->pending_runs = false;
	if (a && a->pending && bundle) {
		sync_it(q->control, a, bundle, false);
	} else if (a && a->pending && err->code != COX_UNAVAILABLE) {
		struct hub_batch *batch = hub_batch_new();

		ended(q->control, batch, a, err);
		hub_store_commit(q->control->store, batch);
	}
	free(q->uid);
	free(q);
}

/* 1: its manifests are being made. */
static int begin(struct hub_control *c, struct control_app *a, struct cox_error *err)
{
	const struct cox_node *sync = cox_node_get(cox_doc_root(a->pending), "sync");
	const struct cox_node *manifests = cox_node_get(sync, "manifests");
	const char *namespace = hub_object_namespace(a->view.root);
	bool elsewhere = *cox_node_cstr(cox_node_get(sync, "revision"), "") ||
			 cox_node_len(cox_node_get(sync, "revisions")) > 0;
	bool local = cox_node_len(manifests) > 0;
	struct hub_bundle_at at = {.revision = ""};
	struct rendering *q;
	struct control_ask *ask;
	int r = 0;

	if (cox_node_get(sync, "source") || cox_node_get(sync, "sources"))
		return cox_error(
			err, COX_UNIMPLEMENTED,
			"operation.sync.source is not taken: give a revision, or roll back");
	if ((local || elsewhere) && !flag(sync, "dryRun"))
		r = hub_control_check_by_hand(c, namespace, a->view.name,
					      local ? "local manifests" : "another revision", err);
	if (r < 0)
		return r;
	if (local) {
		r = hub_control_local(c, a->pending, manifests, at.digest, err);
		if (r == 0)
			sync_it(c, a, &at, true);
		return r;
	}
	if (!elsewhere) {
		sync_it(c, a, NULL, false);
		return 0;
	}
	q = cox_new(struct rendering);
	q->control = c;
	q->uid = cox_strdup(a->uid);
	r = hub_control_ask(c, namespace, a->view.name, sync, rendered, q, &ask, err);
	if (r < 0) {
		free(q->uid);
		free(q);
		return r;
	}
	return 1;
}

void control_pending_step(struct hub_control *c, struct control_app *a)
{
	struct hub_batch *batch;
	struct cox_error err;
	int r;

	if (!a->pending || a->pending_runs || !control_app_is_settled(a) ||
	    control_app_is_deleting(a))
		return;
	r = begin(c, a, &err);
	a->pending_runs = r > 0;
	if (r >= 0)
		return;
	batch = hub_batch_new();
	ended(c, batch, a, &err);
	hub_store_commit(c->store, batch);
}

/* ---- retry.refresh ---- */

/* Whether the operation that the hub gave fails, tries again, and shall take what is newest then. */
static bool wants_newest(struct hub_control *c, const struct control_app *a)
{
	const hub_assignment *have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	const Coxswain__Report__V1__OperationState *state =
		control_asked_state(have, hub_fleet_last_report(c->fleet, a->cluster, a->uid));
	const struct cox_node *note = state ? control_note(a, state->id) : NULL;
	const struct cox_node *retry = COX_GET(note, "operation", "retry");

	if (!note || have->operation->terminate || have->operation->dry_run ||
	    have->operation->n_resources > 0 ||
	    state->phase != COXSWAIN__REPORT__V1__PHASE__RUNNING || state->retry_count == 0)
		return false;
	/* one to something else than what Git wants stays with that */
	if (cox_node_get(note, "sources") || cox_node_get(note, "local") ||
	    cox_node_get(note, "rollbackTo"))
		return false;
	return retry ? flag(retry, "refresh") : a->view.sync_policy.retry.refresh;
}

void control_retry_refresh(struct hub_control *c, struct control_app *a)
{
	_cleanup_doc_ struct cox_doc *note = NULL;
	_cleanup_free_ char *revision = NULL;
	const hub_assignment *have;
	struct hub_sync_request request;
	struct hub_batch *batch;
	char id[COX_UUID_TEXT];

	if (!a->has_view || !a->cluster || !a->note || !a->rendered.valid || a->rendered.error ||
	    control_app_is_deleting(a) || !wants_newest(c, a))
		return;
	have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	if (have->operation->digest.len == HUB_DIGEST_BYTES &&
	    memcmp(have->operation->digest.data, a->rendered.digest, HUB_DIGEST_BYTES) == 0)
		return;
	note = cox_doc_ref(a->note);
	request = request_of(cox_node_get(cox_doc_root(note), "operation"));
	batch = hub_batch_new();
	cox_log_info("an operation that fails goes on with the newest revision",
		     COX_KV("application", a->key), COX_KV("revision", a->rendered.revision));
	/* A refusal (a window, a gate) leaves it with what it has. */
	hub_control_sync(c, batch, hub_object_namespace(a->view.root), a->view.name, &request, id,
			 &revision, NULL);
	hub_store_commit(c->store, batch);
}
