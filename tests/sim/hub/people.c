/* People, who push, edit, approve (also what is not there any more), pause, promote, abort, retry and
 * sync by hand; and in the calm whoever wants it all to end well. */
#include "tests/sim/hub/world.h"

#include "common/base/encode.h"

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS (90 * SIM_MINUTE_MS)

static const char *const names[] = {"ann", "bob", "cem", "dee"};

static int pick(int low, int high)
{
	return (int)sim_between(&w.rng, low, high);
}

static bool maybe(int percent)
{
	return sim_chance(&w.rng, percent);
}

/* ---- verbs ---- */

/* What one of them saw the last time, and may still mean. */
static uint8_t seen[COX_ROLLOUT_DIGEST];
static bool has_seen;

static const struct cox_rollout *rollout_of(int set)
{
	char name[24];

	snprintf(name, sizeof(name), "s%d", set);
	return hub_control_rollout(w.control, NULL, name);
}

static bool act(int set, const char *verb, const char *by, const uint8_t *digest, bool back)
{
	char name[24];
	const struct cox_rollout *r = rollout_of(set);
	struct hub_rollout_order order = {.verb = verb, .by = by, .digest = digest, .back = back};
	struct hub_batch *batch = hub_batch_new();
	struct cox_error err = COX_ERROR_INIT;
	int code;

	snprintf(name, sizeof(name), "s%d", set);
	sim_check_before_verb(r);
	code = hub_control_rollout_act(w.control, batch, NULL, name, &order, &r, &err);
	sim_trace("%s: %s %s%s: %s", by, verb, name, back ? " and back" : "",
		  code < 0 ? err.message : "done");
	w.stats.people += code == 0;
	w.stats.refused += code < 0;
	if (code == 0)
		sim_check_verb(r, &order);
	hub_store_commit(w.store, batch);
	return code == 0;
}

/* Looks at what waits for an approval in some wave, and approves that; or what was seen before. */
static void approve(int set, const char *by, bool old)
{
	const struct cox_rollout *r = rollout_of(set);
	uint8_t digest[COX_ROLLOUT_DIGEST];

	if (!r)
		return;
	for (size_t i = 0; i < r->waves.n; i++) {
		if (!cox_rollout_approval_digest(r, i, digest))
			continue;
		sim_check_looked(r, i, digest);
		if (old && has_seen) {
			act(set, "approve", by, seen, false);
			return;
		}
		memcpy(seen, digest, sizeof(seen));
		has_seen = true;
		if (old) /* only looks */
			return;
		w.stats.approvals += act(set, "approve", by, digest, false);
	}
}

static void some_verb(int set)
{
	static const char *const verbs[] = {"pause",  "resume",	 "promote", "retry",
					    "resume", "promote", "abort"};
	const char *by = names[pick(0, 3)];

	if (maybe(50))
		approve(set, by, maybe(40));
	else
		act(set, verbs[pick(0, maybe(30) ? 6 : 5)], by, NULL, maybe(50));
}

/* ---- syncs by hand ---- */

static void sync_by_hand(void)
{
	struct hub_sync_request request = {
		.initiated_by = names[pick(0, 3)], .prune = true, .skip_gates = maybe(30)};
	struct hub_batch *batch = hub_batch_new();
	_cleanup_free_ char *revision = NULL;
	char id[COX_UUID_TEXT], name[48];
	struct cox_error err = COX_ERROR_INIT;
	int code;

	snprintf(name, sizeof(name), "c%03d-s%d", pick(0, w.n_clusters - 1), pick(0, w.n_sets - 1));
	code = hub_control_sync(w.control, batch, NULL, name, &request, id, &revision, &err);
	sim_trace("%s: syncs %s%s: %s", request.initiated_by, name,
		  request.skip_gates ? " past its gates" : "", code < 0 ? err.message : id);
	if (code == 0)
		sim_check_synced(id, request.skip_gates);
	w.stats.people += code == 0;
	w.stats.refused += code < 0;
	hub_store_commit(w.store, batch);
}

/* ---- membership ---- */

static void move_cluster(void)
{
	struct sim_agent *a = w.agents.items[pick(0, w.n_clusters - 1)];

	if (maybe(50)) {
		a->env = pick(0, 2);
	} else {
		a->in = !a->in;
		w.stats.joins += a->in;
		w.stats.leaves += !a->in;
	}
	sim_trace("people: %s is %s, %s", a->name, sim_envs[a->env], a->in ? "in" : "out");
	sim_cluster_apply(a);
	for (int i = 0; i < w.n_sets; i++)
		if (w.sets[i].by_list)
			sim_set_apply(i);
}

/* Many at once, which the budget of deletions is for. */
static void drop_many(void)
{
	COX_VEC_EACH (&w.agents, a)
		if (maybe(60)) {
			(*a)->in = false;
			sim_cluster_apply(*a);
		}
	for (int i = 0; i < w.n_sets; i++)
		if (w.sets[i].by_list)
			sim_set_apply(i);
}

/* Its objects stay where they are. */
static void move_lone(int i)
{
	w.lone_on[i] = pick(0, w.n_clusters - 1);
	sim_trace("people: lone%d moves to c%03d", i, w.lone_on[i]);
	sim_lone_apply(i);
}

static void confirm(int set)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct hub_batch *batch;
	const char *digest;
	char name[24];

	snprintf(name, sizeof(name), "s%d", set);
	if (hub_control_get(w.control, HUB_APPLICATION_SET, NULL, name, &doc, NULL) < 0)
		return;
	digest = cox_node_cstr(COX_GET(cox_doc_root(doc), "status", "heldDeletions", "digest"),
			       NULL);
	if (!digest)
		return;
	batch = hub_batch_new();
	if (hub_control_confirm_set(w.control, batch, NULL, name, digest, "ann", NULL) == 0)
		sim_check_confirmed(set, doc);
	hub_store_commit(w.store, batch);
}

/* ---- what somebody does now ---- */

static void do_one(void)
{
	int set = pick(0, w.n_sets - 1), what = pick(0, 99);

	if (what < 22)
		sim_repos_commit(false);
	else if (what < 55)
		some_verb(set);
	else if (what < 68)
		sync_by_hand();
	else if (what < 82)
		move_cluster();
	else if (what < 90)
		sim_plan_edit(set);
	else if (what < 93)
		sim_project_apply(maybe(50));
	else if (what < 95)
		drop_many();
	else if (what < 97 && w.n_lone)
		move_lone(pick(0, w.n_lone - 1));
	else
		confirm(set);
}

static void on_people(void *arg)
{
	(void)arg;
	if (w.calm || w.actions_left-- <= 0)
		return;
	cox_timer_start(&w.people, sim_between(&w.rng, 100, maybe(30) ? 3000 : 60000));
	if (w.control && !w.dead)
		do_one();
	else if (maybe(30))
		sim_repos_commit(false);
}

void sim_people_open(void)
{
	has_seen = false;
	cox_timer_init(&w.people, w.loop, on_people, NULL);
	cox_timer_start(&w.people, sim_between(&w.rng, 1000, 60000));
}

void sim_people_close(void)
{
	cox_timer_stop(&w.people);
}

/* What a crash or an older copy took away is applied again. */
void sim_people_apply_all(void)
{
	COX_VEC_EACH (&w.agents, a)
		sim_cluster_apply(*a);
	for (int i = 0; i < w.n_sets; i++)
		sim_set_apply(i);
	for (int i = 0; i < w.n_lone; i++)
		sim_lone_apply(i);
	sim_project_apply(true);
}

void sim_people_calm(void)
{
	sim_repos_commit(true);
	if (w.control && !w.dead)
		sim_people_apply_all();
}

static void help(int set)
{
	const struct cox_rollout *r = rollout_of(set);

	confirm(set);
	if (!r)
		return;
	if (r->phase == COX_ROLLOUT_PROGRESSING && r->paused)
		act(set, r->paused_by_failure ? "retry" : "resume", "ann", NULL, false);
	for (int i = 0; i < 2; i++)
		approve(set, names[i], false);
	/* windows that shut each other out */
	if (r->phase == COX_ROLLOUT_PROGRESSING && virtual_now_ms() - w.calm_ms > PATIENCE_MS)
		act(set, "promote", "ann", NULL, false);
	if (r->bars.n && r->phase != COX_ROLLOUT_PROGRESSING)
		act(set, "retry", "ann", NULL, false);
}

/* Nothing moves those whose policy does not sync them by itself. */
static void sync_those_by_hand(int set)
{
	COX_VEC_EACH (&w.agents, a) {
		struct hub_sync_request request = {.initiated_by = "ann", .prune = true};
		struct hub_batch *batch;
		_cleanup_free_ char *revision = NULL;
		char id[COX_UUID_TEXT], name[48];

		snprintf(name, sizeof(name), "%s-s%d", (*a)->name, set);
		if (!sim_app_wants_hand(name))
			continue;
		batch = hub_batch_new();
		if (hub_control_sync(w.control, batch, NULL, name, &request, id, &revision, NULL) ==
		    0)
			sim_check_synced(id, false);
		hub_store_commit(w.store, batch);
	}
}

void sim_people_help(void)
{
	if (!w.control || w.dead)
		return;
	for (int i = 0; i < w.n_sets; i++) {
		help(i);
		if (!w.sets[i].automated)
			sync_those_by_hand(i);
	}
}
