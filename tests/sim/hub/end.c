/* What must hold at the end, and what must be said all the time: why it is not the end yet. */
#include "tests/sim/hub/check.h"

#include <stdio.h>

static void each_why(void *ctx, const struct cox_rollout *r)
{
	struct cox_rollout_why why;

	(void)ctx;
	if (r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	w.stats.whys++;
	cox_rollout_why(r, &why);
	if (!*why.message)
		sim_fail("F: rollout %s of %s is under way with %zu targets, and nothing says what "
			 "it waits for",
			 r->id, r->owner, r->targets.n);
}

void sim_check_always(void)
{
	if (w.control && !w.dead)
		hub_control_each_rollout(w.control, each_why, NULL);
}

/* ---- the end ---- */

struct end {
	char *why;
	size_t size;
	bool settled;
};

static void __attribute__((format(printf, 2, 3))) not_yet(struct end *e, const char *format, ...)
{
	va_list args;

	if (!e->settled)
		return;
	e->settled = false;
	va_start(args, format);
	vsnprintf(e->why, e->size, format, args);
	va_end(args);
}

/* Somebody is still to catch up. */
static bool has_late(const struct cox_rollout *r)
{
	if ((r->phase != COX_ROLLOUT_SUCCEEDED && r->phase != COX_ROLLOUT_FAILED) ||
	    hub_control_rollout(w.control, NULL, strrchr(r->owner, '/') + 1) != r)
		return false;
	COX_VEC_EACH (&r->targets, t)
		if (t->late && t->state <= COX_TARGET_MOVING && !t->offline)
			return true;
	return false;
}

static void rollout_is_over(void *ctx, const struct cox_rollout *r)
{
	struct cox_rollout_why why;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (has_late(r))
		not_yet(ctx, "somebody catches up with rollout %.8s of %s", r->id, r->owner);
	if (r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	cox_rollout_why(r, &why);
	cox_rollout_why_text(r, &why, &text);
	not_yet(ctx, "rollout %.8s of %s is under way: %s", r->id, r->owner, cox_buf_cstr(&text));
}

/* It is brought to what it is compared with. */
static bool is_moved(const struct sim_agent *a, const char *uid)
{
	const hub_assignment *have =
		hub_fleet_assignment(hub_control_fleet(w.control), a->name, uid);

	return have && have->sync_digest.len == HUB_DIGEST_BYTES &&
	       memcmp(have->sync_digest.data, have->target_digest.data, HUB_DIGEST_BYTES) == 0;
}

/* The newest version of its folder, on the cluster, well, and said to be so. */
static void app_is_well(struct end *e, const char *name, int path, const struct sim_agent *a)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct sim_content *c;
	const struct sim_deploy *d;
	const struct cox_node *status;
	const char *uid;

	if (hub_control_get(w.control, HUB_APPLICATION, NULL, name, &doc, NULL) < 0) {
		not_yet(e, "there is no Application '%s'", name);
		return;
	}
	uid = hub_object_uid(cox_doc_root(doc));
	status = COX_GET(cox_doc_root(doc), "status");
	d = cox_map_get(&a->deploys, uid);
	c = d && d->has_applied ? sim_content_by_digest(d->applied) : NULL;
	if (!c || c->path != path || c->version != w.paths[path].versions.n)
		not_yet(e, "'%s' has version %u of %zu", name, c ? c->version : 0,
			w.paths[path].versions.n);
	else if (!sim_deploy_is_well(d))
		not_yet(e, "'%s' is not well", name);
	else if (!is_moved(a, uid))
		not_yet(e, "'%s' has what Git wants, and was not assigned it", name);
	else if (!cox_str_is(cox_node_str(COX_GET(status, "sync", "status")), "Synced") ||
		 !cox_str_is(cox_node_str(COX_GET(status, "health", "status")), "Healthy"))
		not_yet(e, "'%s' is well, and the hub says %s and %s", name,
			cox_node_cstr(COX_GET(status, "sync", "status"), "nothing"),
			cox_node_cstr(COX_GET(status, "health", "status"), "nothing"));
}

static void app_is_gone(struct end *e, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (hub_control_get(w.control, HUB_APPLICATION, NULL, name, &doc, NULL) == 0)
		not_yet(e, "'%s' is not gone", name);
}

bool sim_is_settled(char *ret_why, size_t size)
{
	struct end e = {.why = ret_why, .size = size, .settled = true}, more;
	size_t n;

	*ret_why = 0;

	if (!w.control || w.dead) {
		snprintf(ret_why, size, "the hub is down");
		return false;
	}
	COX_VEC_EACH (&w.agents, slot) {
		const struct sim_agent *a = *slot;

		for (int i = 0; i < w.n_sets; i++) {
			char name[48];

			snprintf(name, sizeof(name), "%s-s%d", a->name, i);
			if (a->in)
				app_is_well(&e, name, i, a);
			else
				app_is_gone(&e, name);
			if (!e.settled)
				break;
		}
	}
	for (int i = 0; i < w.n_lone; i++) {
		char name[32];

		snprintf(name, sizeof(name), "lone%d", i);
		app_is_well(&e, name, w.n_sets + i, w.agents.items[w.lone_on[i]]);
	}
	n = strlen(ret_why);
	more = (struct end){.why = ret_why + n, .size = size - n, .settled = true};
	if (!e.settled && n + 2 < size) {
		memcpy(ret_why + n, "; ", 3);
		more.why += 2;
		more.size -= 2;
	}
	hub_control_each_rollout(w.control, rollout_is_over, &more);
	return e.settled && more.settled;
}

bool sim_app_wants_hand(const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (hub_control_get(w.control, HUB_APPLICATION, NULL, name, &doc, NULL) < 0)
		return false;
	return cox_str_is(cox_node_str(COX_GET(cox_doc_root(doc), "status", "sync", "status")),
			  "OutOfSync");
}
