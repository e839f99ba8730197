/* What people ask of an Application: sync, terminate, refresh; and its resources and bundles. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "hub/control/internal.h"

#include <stdio.h>

typedef Coxswain__Assignment__V1__Operation operation;
typedef Coxswain__Assignment__V1__ResourceSelector selector;

#define RESOURCES_MAX 1000

static int find(struct hub_control *c, const char *namespace, const char *name,
		struct control_app **ret_app, struct cox_error *err)
{
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION, namespace, name);
	struct control_app *a = control_app(c, key);

	if (!a)
		return cox_error(err, COX_NOT_FOUND, "no application '%s'", key);
	*ret_app = a;
	return 0;
}

/* What a sync would deploy: what Git wants, if the rollout that covers it has come that far. */
static int sync_target(struct hub_control *c, struct control_app *a, const uint8_t **ret_digest,
		       const char **ret_revision, struct cox_error *err)
{
	struct cox_rollout *r = NULL;
	const struct cox_rollout_target *t = control_target(c, a, &r);
	const hub_assignment *have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	_cleanup_free_ char *waits = NULL;

	if (t && t->state == COX_TARGET_WAITING && t->wave >= 0) {
		/* Its own wave may be held back by a budget of 0, which means: by hand. */
		if ((size_t)t->wave > cox_rollout_open_wave(r)) {
			waits = cox_rollout_waits(r, a->uid);
			return cox_error(err, COX_FAILED_PRECONDITION, "application '%s' is %s",
					 a->key, waits ? waits : "waiting for its wave");
		}
	}
	if (t && t->has_digest) {
		*ret_digest = t->digest;
		*ret_revision = t->revision;
		return 0;
	}
	if (a->rendered.valid && !a->rendered.error) {
		*ret_digest = a->rendered.digest;
		*ret_revision = a->rendered.revision;
		return 0;
	}
	if (have && have->sync_digest.len == HUB_DIGEST_BYTES) {
		*ret_digest = have->sync_digest.data;
		*ret_revision = have->sync_revision;
		return 0;
	}
	return cox_error(err, COX_FAILED_PRECONDITION, "application '%s' has no manifests yet: %s",
			 a->key, a->problem ? a->problem : "its repository is being looked at");
}

static int check_ready(const struct control_app *a, struct cox_error *err)
{
	if (control_app_is_deleting(a))
		return cox_error(err, COX_FAILED_PRECONDITION, "application '%s' is being deleted",
				 a->key);
	if (!a->has_view || (!a->cluster && a->problem))
		return cox_error(err, COX_FAILED_PRECONDITION, "application '%s': %s", a->key,
				 a->problem ? a->problem : "its specification is not valid");
	if (!a->cluster)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "application '%s' has no cluster to be synced to", a->key);
	return 0;
}

static char *text(const struct cox_node *map, const char *key)
{
	return (char *)cox_node_cstr(cox_node_get(map, key), "");
}

struct selection {
	selector items[RESOURCES_MAX];
	selector *pointers[RESOURCES_MAX];
	size_t n;
};

static int select_resources(const struct cox_node *list, struct selection *s, struct cox_error *err)
{
	if (cox_node_len(list) > RESOURCES_MAX)
		return cox_error(err, COX_INVALID_ARGUMENT, "resources: at most %d", RESOURCES_MAX);
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);
		selector *x = &s->items[s->n];

		coxswain__assignment__v1__resource_selector__init(x);
		x->group = text(item, "group");
		x->kind = text(item, "kind");
		x->namespace_ = text(item, "namespace");
		x->name = text(item, "name");
		if (!*x->kind || !*x->name)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "resources[%zu]: kind and name are needed", i);
		s->pointers[s->n++] = x;
	}
	return 0;
}

/* All that it renders to goes into the hub's own store. */
static bool is_for_hub_only(const struct control_app *a)
{
	return a->has_view && !a->cluster && !a->problem && a->rendered.valid &&
	       !a->rendered.error && !control_app_is_deleting(a);
}

int hub_control_sync(struct hub_control *c, struct hub_batch *batch, const char *namespace,
		     const char *name, const struct hub_sync_request *request,
		     char ret_operation[COX_UUID_TEXT], char **ret_revision, struct cox_error *err)
{
	_cleanup_free_ struct selection *selected = cox_new(struct selection);
	operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	struct control_retry retry;
	struct cox_rollout *rollout = NULL;
	struct control_app *a = NULL;
	const hub_assignment *now;
	const uint8_t *digest = NULL;
	const char *revision = NULL;
	uint8_t keep[HUB_DIGEST_BYTES];
	bool partial = cox_node_len(request->resources) > 0;
	int r = find(c, namespace, name, &a, err);

	if (r == 0 && is_for_hub_only(a)) {
		cox_uuid_new(ret_operation);
		*ret_revision = cox_strdup(a->rendered.revision);
		control_own_apply(c, batch, a, true);
		return 0;
	}
	if (r == 0)
		r = check_ready(a, err);
	if (r == 0)
		r = sync_target(c, a, &digest, &revision, err);
	if (r == 0)
		r = select_resources(request->resources, selected, err);
	if (r < 0)
		return r;
	memcpy(keep, digest, sizeof(keep));
	_cleanup_free_ char *keep_revision = cox_strdup(revision ? revision : "");
	cox_uuid_new(ret_operation);
	op.id = ret_operation;
	op.digest.data = keep;
	op.digest.len = sizeof(keep);
	op.dry_run = request->dry_run;
	op.prune = request->prune;
	op.force = request->force;
	op.skip_hooks = request->skip_hooks;
	op.resources = selected->pointers;
	op.n_resources = selected->n;
	op.initiated_by = (char *)request->initiated_by;
	op.revision = keep_revision;
	op.retry = control_retry_of(&a->view, 0, &retry);
	/* A dry run and a part of the objects do not move what the cluster is healed to. */
	now = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	if ((request->dry_run || partial) && now && now->sync_digest.len == HUB_DIGEST_BYTES) {
		uint8_t sync[HUB_DIGEST_BYTES];
		_cleanup_free_ char *sync_revision = cox_strdup(now->sync_revision);

		memcpy(sync, now->sync_digest.data, sizeof(sync));
		control_assign(c, batch, a, sync, sync_revision, &op);
	} else if (request->dry_run || partial) {
		control_assign(c, batch, a, NULL, NULL, &op);
	} else {
		control_assign(c, batch, a, keep, keep_revision, &op);
	}
	now = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	if (control_target(c, a, &rollout) && !request->dry_run && !partial) {
		cox_rollout_assigned(rollout, a->uid, now->epoch, now->generation, ret_operation,
				     cox_clock_wall_ms());
		control_rollout_keep(batch, rollout);
	}
	control_own_apply(c, batch, a, true);
	control_rollout_dirty(c, a->owner);
	cox_log_info("sync asked for", COX_KV("application", a->key),
		     COX_KV("operation", ret_operation), COX_KV("by", request->initiated_by));
	*ret_revision = TAKE(keep_revision);
	return 0;
}

int hub_control_terminate(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			  const char *name, char ret_operation[COX_UUID_TEXT],
			  struct cox_error *err)
{
	operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	struct control_app *a = NULL;
	const hub_assignment *have;
	const hub_report *report;
	uint8_t sync[HUB_DIGEST_BYTES];
	bool running;
	int r = find(c, namespace, name, &a, err);

	if (r == 0)
		r = check_ready(a, err);
	if (r < 0)
		return r;
	have = hub_fleet_assignment(c->fleet, a->cluster, a->uid);
	report = hub_fleet_last_report(c->fleet, a->cluster, a->uid);
	running = report && report->operation &&
		  (report->operation->phase == COXSWAIN__REPORT__V1__PHASE__RUNNING ||
		   report->operation->phase == COXSWAIN__REPORT__V1__PHASE__TERMINATING);
	if (!have || !running)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "application '%s' has no operation that runs", a->key);
	snprintf(ret_operation, COX_UUID_TEXT, "%.36s", report->operation->id);
	op.id = ret_operation;
	op.terminate = true;
	op.initiated_by = (char *)"admin";
	memcpy(sync, have->sync_digest.data,
	       have->sync_digest.len < sizeof(sync) ? have->sync_digest.len : sizeof(sync));
	_cleanup_free_ char *revision = cox_strdup(have->sync_revision);
	control_assign(c, batch, a, have->sync_digest.len == HUB_DIGEST_BYTES ? sync : NULL,
		       revision, &op);
	control_rollout_dirty(c, a->owner);
	return 0;
}

int hub_control_refresh(struct hub_control *c, const char *namespace, const char *name, bool hard,
			struct cox_error *err)
{
	struct control_app *a = NULL;
	int r = find(c, namespace, name, &a, err);

	if (r < 0)
		return r;
	if (hard) {
		a->rendered.generation = -1;
		a->hard = true;
	}
	COX_VEC_EACH (&a->repos, repo)
		cox_queue_add(c->repo_queue, (*repo)->url);
	cox_queue_add(c->apps, a->key);
	if (a->cluster)
		hub_fleet_refresh(c->fleet, a->cluster, a->uid);
	return 0;
}

int hub_control_refresh_set(struct hub_control *c, const char *namespace, const char *name,
			    struct cox_error *err)
{
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION_SET, namespace, name);
	_cleanup_free_ char *owner = cox_asprintf("ApplicationSet/%s", key);
	struct control_line *l;

	if (!control_object(c, HUB_APPLICATION_SET, key))
		return cox_error(err, COX_NOT_FOUND, "no applicationset '%s'", key);
	cox_queue_add(c->sets, key);
	l = control_line(c, owner);
	COX_MAP_EACH (&l->members, slot) {
		const struct control_app *a = slot->value;

		COX_VEC_EACH (&a->repos, repo)
			cox_queue_add(c->repo_queue, (*repo)->url);
	}
	return 0;
}

int hub_control_bundle(struct hub_control *c, const char *namespace, const char *name, bool synced,
		       uint8_t ret_digest[HUB_DIGEST_BYTES], char **ret_revision,
		       struct cox_error *err)
{
	struct control_app *a = NULL;
	const hub_assignment *have;
	int r = find(c, namespace, name, &a, err);

	if (r < 0)
		return r;
	have = a->cluster ? hub_fleet_assignment(c->fleet, a->cluster, a->uid) : NULL;
	if (synced && have && have->sync_digest.len == HUB_DIGEST_BYTES) {
		memcpy(ret_digest, have->sync_digest.data, HUB_DIGEST_BYTES);
		*ret_revision = cox_strdup(have->sync_revision);
		return 0;
	}
	if (!synced && a->rendered.valid && !a->rendered.error) {
		memcpy(ret_digest, a->rendered.digest, HUB_DIGEST_BYTES);
		*ret_revision = cox_strdup(a->rendered.revision);
		return 0;
	}
	return cox_error(err, COX_NOT_FOUND, "application '%s' has no %s manifests yet", a->key,
			 synced ? "synced" : "target");
}
