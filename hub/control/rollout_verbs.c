/* What a person does to a rollout. */
#include "common/base/log.h"
#include "hub/control/internal.h"

#include <stdlib.h>

typedef int verb_fn(struct cox_rollout *r, const struct hub_rollout_order *o, int64_t now_ms,
		    struct cox_error *err);

static int do_pause(struct cox_rollout *r, const struct hub_rollout_order *o, int64_t now_ms,
		    struct cox_error *err)
{
	return cox_rollout_pause(r, o->by, now_ms, err);
}

static int do_resume(struct cox_rollout *r, const struct hub_rollout_order *o, int64_t now_ms,
		     struct cox_error *err)
{
	return cox_rollout_resume(r, o->by, now_ms, err);
}

static int do_approve(struct cox_rollout *r, const struct hub_rollout_order *o, int64_t now_ms,
		      struct cox_error *err)
{
	if (!o->digest)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "approve: needs the digest of what is approved (approvalDigest of "
				 "the wave, as the rollout's status says it)");
	return cox_rollout_approve(r, o->by, o->digest, now_ms, err);
}

static int do_promote(struct cox_rollout *r, const struct hub_rollout_order *o, int64_t now_ms,
		      struct cox_error *err)
{
	return cox_rollout_promote(r, o->by, now_ms, err);
}

static int do_abort(struct cox_rollout *r, const struct hub_rollout_order *o, int64_t now_ms,
		    struct cox_error *err)
{
	return cox_rollout_abort(r, o->by, o->back, now_ms, err);
}

static int do_retry(struct cox_rollout *r, const struct hub_rollout_order *o, int64_t now_ms,
		    struct cox_error *err)
{
	return cox_rollout_retry(r, o->by, now_ms, err);
}

static const struct {
	const char *name;
	verb_fn *fn;
} verbs[] = {
	{"pause", do_pause},	 {"resume", do_resume}, {"approve", do_approve},
	{"promote", do_promote}, {"abort", do_abort},	{"retry", do_retry},
};

bool hub_control_is_rollout_verb(const char *name)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return true;
	return false;
}

static verb_fn *find(const char *name)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].fn;
	return NULL;
}

/* It has begun again, and what was assigned in the meantime counts. */
static void follow_assignments(struct hub_control *c, struct control_line *l)
{
	struct cox_rollout *r = l->current;

	COX_MAP_EACH (&l->members, slot) {
		const struct control_app *a = slot->value;
		const hub_assignment *have =
			a->cluster ? hub_fleet_assignment(c->fleet, a->cluster, a->uid) : NULL;
		const struct cox_rollout_target *t = cox_rollout_find(r, a->uid);

		if (have && t && t->state == COX_TARGET_MOVING && t->has_digest &&
		    have->sync_digest.len == sizeof(t->digest) &&
		    memcmp(have->sync_digest.data, t->digest, sizeof(t->digest)) == 0 &&
		    (t->epoch != have->epoch || t->generation != have->generation))
			cox_rollout_assigned(r, a->uid, have->epoch, have->generation, NULL,
					     control_now_ms(c));
	}
}

int hub_control_rollout_act(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			    const char *name, const struct hub_rollout_order *o,
			    const struct cox_rollout **ret_rollout, struct cox_error *err)
{
	const struct cox_rollout *seen = hub_control_rollout(c, namespace, name);
	struct control_line *l = seen ? cox_map_get(&c->lines, seen->owner) : NULL;
	verb_fn *fn = find(o->verb);
	bool over;

	if (!fn)
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is nothing to do to a rollout",
				 o->verb);
	if (!l || !l->current)
		return cox_error(err, COX_NOT_FOUND, "no rollout of '%s'", name);
	if (o->id && strcmp(o->id, l->current->id) != 0)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "rollout %s has been succeeded by %s: look again", o->id,
				 l->current->id);
	over = l->current->phase != COX_ROLLOUT_PROGRESSING;
	if (fn(l->current, o, control_now_ms(c), err) < 0)
		return -err->code;
	if (over && l->current->phase == COX_ROLLOUT_PROGRESSING)
		follow_assignments(c, l);
	cox_log_info("a person steers a rollout", COX_KV("owner", l->owner),
		     COX_KV("id", l->current->id), COX_KV("verb", o->verb), COX_KV("by", o->by));
	control_rollout_keep(batch, l->current);
	control_notify(c, batch, l->owner);
	control_rollout_dirty(c, l->owner);
	*ret_rollout = l->current;
	return 0;
}
