/* Looking again: at repositories, at clusters; and which bundles there are. */
#include "hub/control/internal.h"

static void look_at_repos(const struct control_app *a)
{
	COX_VEC_EACH (&a->repos, repo)
		cox_queue_add(a->control->repo_queue, (*repo)->url);
	COX_VEC_EACH (&a->remotes, repo)
		cox_queue_add(a->control->repo_queue, (*repo)->url);
}

int hub_control_refresh(struct hub_control *c, const char *namespace, const char *name, bool hard,
			struct cox_error *err)
{
	struct control_app *a = NULL;
	int r = control_find(c, namespace, name, &a, err);

	if (r < 0)
		return r;
	if (hard) {
		a->rendered.generation = -1;
		a->hard = true;
	}
	look_at_repos(a);
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
	COX_MAP_EACH (&l->members, slot)
		look_at_repos(slot->value);
	return 0;
}

int hub_control_bundle(struct hub_control *c, const char *namespace, const char *name, bool synced,
		       uint8_t ret_digest[HUB_DIGEST_BYTES], char **ret_revision,
		       struct cox_error *err)
{
	struct control_app *a = NULL;
	const hub_assignment *have;
	int r = control_find(c, namespace, name, &a, err);

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
