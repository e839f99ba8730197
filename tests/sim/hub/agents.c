/* Model agents: what docs/protocol.md asks of one, and a cluster behind it whose objects get well, or
 * not, by what they are. (The real agent has a simulator of its own.)
 *
 * Durable are the changes that it accepted with their position, the operation that began last, and
 * what is in the cluster. A crash comes after any of these steps, before what follows from it. */
#include "tests/sim/hub/world.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/ctl/stamp.h"
#include "proto/bundle.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

typedef Coxswain__Report__V1__OperationState operation_state;

struct sim_fetch {
	unsigned call;
	char hex[2 * HUB_DIGEST_BYTES + 1];
};

static void look(struct sim_deploy *d);
static void pump_soon(struct sim_agent *a);

/* ---- life ---- */

static bool alive(const struct sim_agent *a)
{
	return a->running && !a->doomed;
}

/* Something is on its disk, or in its cluster. */
static void durable(struct sim_agent *a)
{
	if (!w.calm && sim_strikes(w.rates.agent_crash) && alive(a)) {
		a->doomed = true;
		cox_timer_start(&a->kill, 0);
	}
}

struct sim_agent *sim_agent_find(const char *name)
{
	COX_VEC_EACH (&w.agents, a)
		if (strcmp((*a)->name, name) == 0)
			return *a;
	return NULL;
}

static void dial(void *arg)
{
	struct sim_agent *a = arg;

	if (alive(a) && !a->conn)
		sim_dial(a);
}

static void start(void *arg)
{
	struct sim_agent *a = arg;

	a->running = true;
	cox_uuid_new(a->boot);
	cox_timer_start(&a->redial, sim_between(&w.net_rng, 0, 500));
	COX_MAP_EACH (&a->deploys, e) {
		struct sim_deploy *d = e->value;

		d->sequence = d->deleted_sequence = 0;
		look(d);
	}
}

static void drop_staged(struct sim_agent *a)
{
	COX_VEC_EACH (&a->staged, c)
		coxswain__assignment__v1__change__free_unpacked(*c, NULL);
	a->staged.n = 0;
	a->staged_position = 0;
	a->in_snapshot = false;
	cox_timer_stop(&a->intake);
}

static void drop_fetches(struct sim_agent *a)
{
	cox_map_fini_values(&a->fetching, free);
	a->fetching = COX_MAP_INIT;
}

static void stop(struct sim_agent *a)
{
	a->running = a->doomed = a->up = false;
	cox_timer_stop(&a->kill);
	cox_timer_stop(&a->redial);
	cox_timer_stop(&a->pump);
	cox_timer_stop(&a->restart);
	drop_staged(a);
	drop_fetches(a);
	COX_MAP_EACH (&a->deploys, e) {
		struct sim_deploy *d = e->value;

		cox_timer_stop(&d->work);
		d->working = false;
	}
	if (a->conn)
		sim_wire_abandon(a->conn);
}

void sim_agent_kill(struct sim_agent *a)
{
	if (!a->running)
		return;
	w.stats.agent_crashes++;
	sim_trace("%s: is killed", a->name);
	stop(a);
	cox_timer_start(&a->restart, sim_between(&w.net_rng, 1, w.calm ? 1000 : 20000));
}

static void killed(void *arg)
{
	sim_agent_kill(arg);
}

void sim_agent_start(struct sim_agent *a)
{
	if (!a->running)
		start(a);
}

static void deploy_free(struct sim_deploy *d)
{
	cox_timer_stop(&d->work);
	cox_timer_stop(&d->turn);
	cox_map_fini(&d->begun);
	if (d->change)
		coxswain__assignment__v1__change__free_unpacked(d->change, NULL);
	free(d);
}

void sim_agents_close(void)
{
	COX_VEC_EACH (&w.agents, slot) {
		struct sim_agent *a = *slot;

		stop(a);
		COX_MAP_EACH (&a->deploys, e)
			deploy_free(e->value);
		cox_map_fini(&a->deploys);
		cox_map_fini(&a->bundles);
		cox_vec_fini(&a->staged);
		free(a);
	}
	cox_vec_fini(&w.agents);
}

/* ---- what it is to have ---- */

static const sim_assignment *assignment(const struct sim_deploy *d)
{
	return d->change && d->change->body_case ==
				       COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT
		       ? d->change->assignment
		       : NULL;
}

static const sim_tombstone *tombstone(const struct sim_deploy *d)
{
	return d->change && d->change->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE
		       ? d->change->tombstone
		       : NULL;
}

static bool is(ProtobufCBinaryData data, const uint8_t *digest)
{
	return data.len == HUB_DIGEST_BYTES && memcmp(data.data, digest, HUB_DIGEST_BYTES) == 0;
}

/* What it is compared with: the sync digest, else the target digest. */
static ProtobufCBinaryData compared(const sim_assignment *a)
{
	return a->sync_digest.len == HUB_DIGEST_BYTES ? a->sync_digest : a->target_digest;
}

static bool is_at(const struct sim_deploy *d, ProtobufCBinaryData digest)
{
	return d->is_job || (d->has_applied && !d->drifted && is(digest, d->applied));
}

static bool has_bundle(const struct sim_agent *a, ProtobufCBinaryData digest)
{
	char hex[2 * HUB_DIGEST_BYTES + 1];

	cox_hex_encode(digest.data, HUB_DIGEST_BYTES, hex);
	return cox_map_has(&a->bundles, hex);
}

static void fetch(struct sim_agent *a, ProtobufCBinaryData digest)
{
	Coxswain__Bundle__V1__FetchRequest request = COXSWAIN__BUNDLE__V1__FETCH_REQUEST__INIT;
	struct sim_fetch *f;
	char hex[2 * HUB_DIGEST_BYTES + 1];

	cox_hex_encode(digest.data, HUB_DIGEST_BYTES, hex);
	if (!alive(a) || !a->up || cox_map_has(&a->fetching, hex))
		return;
	f = cox_new(struct sim_fetch);
	f->call = a->next_call += 2;
	memcpy(f->hex, hex, sizeof(hex));
	cox_map_set(&a->fetching, hex, f);
	request.digest = digest;
	sim_wire_open(a->conn, f->call, "Fetch", &request.base);
}

static void changed(struct sim_deploy *d)
{
	d->dirty = true;
	pump_soon(d->agent);
}

/* ---- the cluster ---- */

static void turn(void *arg);

static void settle_health(struct sim_deploy *d)
{
	const struct sim_content *c = sim_content_by_digest(d->applied);
	bool flawed = c && sim_is_flawed_on(c, d->agent);

	d->health = flawed && c->flaw == SIM_ILL	     ? SIM_DEGRADED
		    : flawed && c->flaw == SIM_NEVER_HEALTHY ? SIM_PROGRESSES
							     : SIM_HEALTHY;
}

static void turn(void *arg)
{
	struct sim_deploy *d = arg;
	int before = d->health;

	if (d->health == SIM_HEALTHY && !w.calm && d->agent->flaps)
		d->health = sim_chance(&w.net_rng, 60) ? SIM_PROGRESSES : SIM_DEGRADED;
	else
		settle_health(d);
	if (d->agent->flaps && !w.calm)
		cox_timer_start(&d->turn, sim_between(&w.net_rng, 100, 90000));
	if (d->health == before)
		return;
	sim_trace("%s: %.8s is %s", d->agent->name, d->uid,
		  d->health == SIM_HEALTHY    ? "healthy"
		  : d->health == SIM_DEGRADED ? "degraded"
					      : "progressing");
	changed(d);
}

bool sim_deploy_is_well(const struct sim_deploy *d)
{
	return d->has_applied && !d->drifted && d->health == SIM_HEALTHY;
}

void sim_deploy_drift(struct sim_deploy *d)
{
	if (!d->has_applied || d->is_job)
		return;
	d->drifted = true;
	changed(d);
	look(d);
}

static void applied(struct sim_deploy *d, const uint8_t *digest)
{
	bool same = d->has_applied && memcmp(d->applied, digest, HUB_DIGEST_BYTES) == 0;

	d->has_applied = true;
	d->drifted = false;
	memcpy(d->applied, digest, HUB_DIGEST_BYTES);
	if (same && d->health == SIM_HEALTHY)
		return;
	d->health = SIM_PROGRESSES;
	cox_timer_start(&d->turn, sim_between(&w.net_rng, 0, w.rates.healthy_ms));
}

/* ---- operations ---- */

static void set_phase(struct sim_deploy *d, int phase)
{
	d->phase = phase;
	cox_map_set(&d->begun, d->operation, (void *)(intptr_t)phase);
}

static void work_done(struct sim_deploy *d, int phase)
{
	sim_trace("%s: %.8s operation %.8s %s", d->agent->name, d->uid, d->operation,
		  phase == SIM_SUCCEEDED ? "succeeded" : "failed");
	cox_timer_stop(&d->work);
	d->working = false;
	set_phase(d, phase);
	durable(d->agent);
	changed(d);
}

static void finish(void *arg)
{
	struct sim_deploy *d = arg;
	const struct sim_content *c = sim_content_by_digest(d->operation_digest);

	if (tombstone(d)) {
		d->working = false;
		d->deleted = true;
		d->has_applied = false;
		cox_timer_stop(&d->turn);
		durable(d->agent);
		changed(d);
		return;
	}
	if (d->is_job) {
		work_done(d, sim_strikes(w.rates.probe_bad) ? SIM_FAILED : SIM_SUCCEEDED);
	} else if (c && c->flaw == SIM_SYNC_FAILS && sim_is_flawed_on(c, d->agent)) {
		work_done(d, SIM_FAILED);
	} else {
		applied(d, d->operation_digest);
		work_done(d, SIM_SUCCEEDED);
	}
	look(d);
}

static void work(struct sim_deploy *d)
{
	d->working = true;
	cox_timer_start(&d->work, sim_between(&w.net_rng, 0, w.rates.healthy_ms / 2));
}

static void begin(struct sim_deploy *d, const char *id, const uint8_t *digest)
{
	struct sim_agent *a = d->agent;

	sim_trace("%s: %.8s begins operation %.8s to %s", a->name, d->uid, id, sim_brief(digest));
	if (d->is_job) {
		w.stats.jobs++;
		sim_check_job(a, assignment(d)->app_name, id);
	}
	snprintf(d->operation, sizeof(d->operation), "%s", id);
	memcpy(d->operation_digest, digest, HUB_DIGEST_BYTES);
	set_phase(d, SIM_RUNNING);
	durable(a);
	work(d);
	changed(d);
}

/* Whether it syncs by itself: what failed once is not tried again until it changes. */
static bool heals(const struct sim_deploy *d, const sim_assignment *a)
{
	return !d->is_job && a->policy && a->policy->automated &&
	       a->sync_digest.len == HUB_DIGEST_BYTES && !is_at(d, a->sync_digest) &&
	       !(d->phase == SIM_FAILED && is(a->sync_digest, d->operation_digest));
}

static void look_assigned(struct sim_deploy *d, const sim_assignment *a)
{
	const Coxswain__Assignment__V1__Operation *op = a->operation;
	bool news = op && !op->terminate && strcmp(op->id, d->operation) != 0 &&
		    op->digest.len == HUB_DIGEST_BYTES;
	char id[COX_UUID_TEXT];

	if (compared(a).len && !has_bundle(d->agent, compared(a)))
		fetch(d->agent, compared(a));
	if (op && op->terminate && strcmp(op->id, d->operation) == 0 && d->phase == SIM_RUNNING) {
		work_done(d, SIM_FAILED);
		return;
	}
	if (d->phase == SIM_RUNNING && !d->working)
		work(d);
	if (d->working)
		return;
	if (news && cox_map_has(&d->begun, op->id))
		news = false; /* begun before, and another one after it */
	if (news && !has_bundle(d->agent, op->digest)) {
		fetch(d->agent, op->digest);
	} else if (news) {
		begin(d, op->id, op->digest.data);
	} else if (heals(d, a) && has_bundle(d->agent, a->sync_digest)) {
		cox_uuid_new(id);
		begin(d, id, a->sync_digest.data);
	}
}

static void look(struct sim_deploy *d)
{
	const sim_tombstone *t = tombstone(d);

	if (!alive(d->agent))
		return;
	if (assignment(d)) {
		look_assigned(d, assignment(d));
		return;
	}
	if (!t || d->deleted || d->working)
		return;
	if (t->cascade && (d->has_applied || d->is_job)) {
		work(d);
		return;
	}
	d->deleted = true;
	durable(d->agent);
	changed(d);
}

/* ---- intake ---- */

static struct sim_deploy *deploy_get(struct sim_agent *a, const char *uid)
{
	struct sim_deploy *d = cox_map_get(&a->deploys, uid);

	if (d)
		return d;
	d = cox_new(struct sim_deploy);
	d->agent = a;
	d->full = true;
	snprintf(d->uid, sizeof(d->uid), "%s", uid);
	cox_timer_init(&d->work, w.loop, finish, d);
	cox_timer_init(&d->turn, w.loop, turn, d);
	cox_map_set(&a->deploys, uid, d);
	return d;
}

/* Whether what runs is not what shall be any more. */
static bool is_overtaken(const struct sim_deploy *d, const sim_assignment *next)
{
	if (next->operation && strcmp(next->operation->id, d->operation) == 0)
		return false;
	return !is(compared(next), d->operation_digest);
}

static void take(struct sim_agent *a, sim_change *c)
{
	const sim_assignment *as = c->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT
					   ? c->assignment
					   : NULL;
	const sim_tombstone *t = c->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE
					 ? c->tombstone
					 : NULL;
	uint64_t epoch = as ? as->epoch : t ? t->epoch : 0;
	uint64_t generation = as ? as->generation : t ? t->generation : 0;
	struct sim_deploy *d;

	if (epoch == 0) {
		coxswain__assignment__v1__change__free_unpacked(c, NULL);
		return;
	}
	d = deploy_get(a, as ? as->app_uid : t->app_uid);
	if (cox_stamp_order(d->epoch, d->generation, epoch, generation) >= 0) {
		coxswain__assignment__v1__change__free_unpacked(c, NULL);
		return;
	}
	if (d->phase == SIM_RUNNING && (t || is_overtaken(d, as))) {
		cox_timer_stop(&d->work);
		d->working = false;
		set_phase(d, SIM_FAILED);
	}
	d->deleted_sequence = 0;  /* what was said of the one before is not said of this one */
	if (as && tombstone(d)) { /* it is wanted again */
		cox_timer_stop(&d->work);
		d->working = d->deleted = false;
	}
	if (d->change)
		coxswain__assignment__v1__change__free_unpacked(d->change, NULL);
	d->change = c;
	d->epoch = epoch;
	d->generation = generation;
	if (as)
		d->is_job =
			as->operation && strcmp(as->operation->initiated_by, "rollout gate") == 0;
	if (epoch > a->highest_epoch)
		a->highest_epoch = epoch;
	d->dirty = true;
	w.stats.changes++;
	w.quiet_changes += w.quiet;
	if (as && as->policy)
		sim_trace("%s: %.8s target %s of %s, sync of %s, automated %d, rules %d", a->name,
			  d->uid,
			  as->target_digest.len ? sim_brief(as->target_digest.data) : "none",
			  as->target_revision, as->sync_revision, as->policy->automated,
			  as->project_rules ? (int)as->project_rules->project.len : -1);
	sim_trace("%s: has %.8s (%llu, %llu) %s%s%s", a->name, d->uid, (unsigned long long)epoch,
		  (unsigned long long)generation,
		  t					    ? "tombstone"
		  : as->sync_digest.len == HUB_DIGEST_BYTES ? sim_brief(as->sync_digest.data)
							    : "no sync digest",
		  as && as->operation ? " operation " : "",
		  as && as->operation ? as->operation->id : "");
}

static void accept(void *arg)
{
	struct sim_agent *a = arg;
	Coxswain__Assignment__V1__FollowRequest request =
		COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__INIT;
	Coxswain__Assignment__V1__Ack ack = COXSWAIN__ASSIGNMENT__V1__ACK__INIT;

	if (!alive(a))
		return;
	COX_VEC_EACH (&a->staged, c)
		take(a, *c);
	a->staged.n = 0;
	if (a->staged_position)
		a->position = a->staged_position;
	durable(a);
	if (!alive(a))
		return;
	request.body_case = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_ACK;
	ack.position = a->position;
	request.ack = &ack;
	if (a->up)
		sim_wire_send(a->conn, SIM_CALL_FOLLOW, &request.base);
	COX_MAP_EACH (&a->deploys, e) {
		look(e->value);
	}
	pump_soon(a);
}

static void on_change(struct sim_agent *a, struct cox_str body)
{
	sim_change *c =
		coxswain__assignment__v1__change__unpack(NULL, body.len, (const uint8_t *)body.ptr);

	COX_ASSERT(c);
	switch (c->body_case) {
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_BEGIN:
		drop_staged(a);
		a->in_snapshot = true;
		coxswain__assignment__v1__change__free_unpacked(c, NULL);
		return;
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_END:
		a->staged_position = c->snapshot_end->position;
		a->in_snapshot = false;
		coxswain__assignment__v1__change__free_unpacked(c, NULL);
		break;
	default:
		if (c->position)
			a->staged_position = c->position;
		cox_vec_push(&a->staged, c);
	}
	if (!a->in_snapshot && !cox_timer_is_running(&a->intake))
		cox_timer_start(&a->intake, sim_between(&w.net_rng, 0, w.calm ? 5 : 40));
}

/* ---- reports ---- */

static void forget(struct sim_agent *a, struct sim_deploy *d)
{
	cox_map_remove(&a->deploys, d->uid);
	deploy_free(d);
	durable(a);
}

static void on_response(struct sim_agent *a, struct cox_str body)
{
	Coxswain__Report__V1__ReportResponse *r = coxswain__report__v1__report_response__unpack(
		NULL, body.len, (const uint8_t *)body.ptr);
	struct sim_deploy *d = r ? cox_map_get(&a->deploys, r->app_uid) : NULL;

	COX_ASSERT(r);
	sim_trace("%s: %.8s report %llu %s", a->name, r->app_uid, (unsigned long long)r->sequence,
		  r->want_full ? "is wanted in full" : "was taken");
	if (d && r->want_full) {
		d->full = true;
		changed(d);
	} else if (d && tombstone(d) && d->deleted && d->deleted_sequence &&
		   r->sequence >= d->deleted_sequence) {
		forget(a, d);
	}
	coxswain__report__v1__report_response__free_unpacked(r, NULL);
}

static void send_report(struct sim_deploy *d)
{
	const sim_assignment *as = assignment(d);
	sim_report r = COXSWAIN__REPORT__V1__APPLICATION_REPORT__INIT;
	Coxswain__Report__V1__ReportRequest request = COXSWAIN__REPORT__V1__REPORT_REQUEST__INIT;
	Coxswain__Report__V1__ResourceKey key = COXSWAIN__REPORT__V1__RESOURCE_KEY__INIT;
	Coxswain__Report__V1__ResourceStatus status = COXSWAIN__REPORT__V1__RESOURCE_STATUS__INIT,
					     *list = &status;
	operation_state op = COXSWAIN__REPORT__V1__OPERATION_STATE__INIT, asked = op;
	uint64_t base = d->sequence;

	r.app_uid = d->uid;
	r.epoch = d->epoch;
	r.generation = d->generation;
	r.full = d->full || d->sequence == 0 || sim_chance(&w.net_rng, 30);
	r.base_sequence = r.full ? 0 : base;
	r.sequence = ++d->sequence;
	if (as) {
		r.target_digest = as->target_digest;
		r.sync_digest = compared(as);
		r.sync = is_at(d, as->target_digest) ? 1 : 2;
		r.assigned_sync = is_at(d, compared(as)) ? 1 : 2;
		r.health = d->has_applied ? d->health : 4;
		if (d->is_job)
			r.health = SIM_HEALTHY;
	}
	if (d->operation[0]) {
		op.id = d->operation;
		op.phase = d->phase;
		op.digest.data = d->operation_digest;
		op.digest.len = HUB_DIGEST_BYTES;
		op.message =
			(char *)(d->phase == SIM_FAILED ? "one object could not be applied" : "");
		r.operation = &op;
	}
	if (as && as->operation && strcmp(as->operation->id, d->operation) != 0 &&
	    cox_map_has(&d->begun, as->operation->id)) {
		asked.id = as->operation->id;
		asked.digest = as->operation->digest;
		asked.phase = (int)(intptr_t)cox_map_get(&d->begun, asked.id);
		r.asked = &asked;
	}
	if (d->deleted) {
		r.deleted = true;
		if (!d->deleted_sequence)
			d->deleted_sequence = r.sequence;
	}
	key.kind = (char *)"Deployment";
	key.name = (char *)"web";
	status.key = &key;
	status.health = r.health;
	if (as && d->has_applied) {
		r.resources = &list;
		r.n_resources = 1;
	}
	request.body_case = COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_APPLICATION;
	request.application = &r;
	d->dirty = d->full = false;
	sim_trace("%s: reports %.8s %llu%s at (%llu, %llu), sync %d, health %d, phase %d",
		  d->agent->name, d->uid, (unsigned long long)r.sequence, r.full ? " in full" : "",
		  (unsigned long long)d->epoch, (unsigned long long)d->generation,
		  (int)r.assigned_sync, (int)r.health, d->phase);
	w.stats.reports++;
	sim_wire_send(d->agent->conn, SIM_CALL_REPORT, &request.base);
}

static void pump(void *arg)
{
	struct sim_agent *a = arg;

	if (!alive(a) || !a->up)
		return;
	COX_MAP_EACH (&a->deploys, e) {
		struct sim_deploy *d = e->value;

		if (d->dirty && d->change && a->up)
			send_report(d);
	}
}

static void pump_soon(struct sim_agent *a)
{
	if (alive(a) && a->up && !cox_timer_is_running(&a->pump))
		cox_timer_start(&a->pump, sim_between(&w.net_rng, 0, 30));
}

/* ---- the session ---- */

static void resume(struct sim_agent *a)
{
	Coxswain__Assignment__V1__FollowRequest request =
		COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__INIT;
	Coxswain__Assignment__V1__Resume r = COXSWAIN__ASSIGNMENT__V1__RESUME__INIT;
	COX_VEC(struct cox_stamp) stamps = {0};
	uint8_t digest[COX_SHA256_BYTES];

	COX_MAP_EACH (&a->deploys, e) {
		const struct sim_deploy *d = e->value;
		const sim_assignment *as = assignment(d);
		struct cox_stamp stamp = {.app_uid = cox_str(d->uid),
					  .tombstone = !as,
					  .epoch = d->epoch,
					  .generation = d->generation};

		cox_stamp_set_digest(stamp.target_digest, as ? as->target_digest.data : NULL,
				     as ? as->target_digest.len : 0);
		cox_stamp_set_digest(stamp.sync_digest, as ? as->sync_digest.data : NULL,
				     as ? as->sync_digest.len : 0);
		cox_vec_push(&stamps, stamp);
	}
	cox_stamps_digest(stamps.items, stamps.n, digest);
	cox_vec_fini(&stamps);
	r.position = a->position;
	r.highest_epoch = a->highest_epoch;
	r.digest.data = digest;
	r.digest.len = sizeof(digest);
	request.body_case = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_RESUME;
	request.resume = &r;
	sim_wire_open(a->conn, SIM_CALL_FOLLOW, "Follow", &request.base);
}

void sim_agent_on_up(struct sim_agent *a, uint64_t hub_epoch)
{
	Coxswain__Report__V1__ReportRequest request = COXSWAIN__REPORT__V1__REPORT_REQUEST__INIT;
	Coxswain__Report__V1__ClusterReport cluster = COXSWAIN__REPORT__V1__CLUSTER_REPORT__INIT;

	if (!alive(a))
		return;
	if (hub_epoch < a->highest_epoch) {
		sim_wire_close(a->conn, "the hub's epoch is in the past");
		return;
	}
	sim_trace("%s: is connected, at position %llu", a->name, (unsigned long long)a->position);
	a->up = true;
	a->next_call = SIM_CALL_FETCH;
	resume(a);
	request.body_case = COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_CLUSTER;
	request.cluster = &cluster;
	sim_wire_open(a->conn, SIM_CALL_REPORT, "Report", &request.base);
	COX_MAP_EACH (&a->deploys, e) {
		struct sim_deploy *d = e->value;

		d->dirty = d->full = true;
		look(d);
	}
	pump_soon(a);
}

void sim_agent_on_down(struct sim_agent *a)
{
	if (a->up)
		sim_trace("%s: lost the hub", a->name);
	a->up = false;
	drop_staged(a);
	drop_fetches(a);
	cox_timer_stop(&a->pump);
	if (alive(a))
		cox_timer_start(&a->redial, sim_between(&w.net_rng, 0, w.calm ? 2000 : 10000));
}

static struct sim_fetch *fetch_of(struct sim_agent *a, unsigned call)
{
	COX_MAP_EACH (&a->fetching, e)
		if (((struct sim_fetch *)e->value)->call == call)
			return e->value;
	return NULL;
}

void sim_agent_on_message(struct sim_agent *a, unsigned call, struct cox_str body)
{
	if (!alive(a))
		return;
	if (call == SIM_CALL_FOLLOW)
		on_change(a, body);
	else if (call == SIM_CALL_REPORT)
		on_response(a, body);
	/* what is in a bundle is of no interest here: its digest says what it is */
}

void sim_agent_on_status(struct sim_agent *a, unsigned call, enum cox_code code)
{
	struct sim_fetch *f = fetch_of(a, call);

	if (!alive(a))
		return;
	if (!f) { /* Follow or Report: begin anew */
		sim_wire_close(a->conn, "a stream ended");
		return;
	}
	cox_map_remove(&a->fetching, f->hex);
	if (code == COX_OK) {
		cox_map_set(&a->bundles, f->hex, a);
		durable(a);
		COX_MAP_EACH (&a->deploys, e)
			look(e->value);
	} else {
		/* asked again when something changes, and with the next session */
		sim_trace("%s: cannot have bundle %.8s: %d", a->name, f->hex, (int)code);
	}
	free(f);
}

void sim_agent_on_ask(struct sim_agent *a, unsigned call, const char *method, struct cox_str body)
{
	Coxswain__Agent__V1__RefreshResponse answer = COXSWAIN__AGENT__V1__REFRESH_RESPONSE__INIT;
	Coxswain__Agent__V1__RefreshRequest *q;
	struct sim_deploy *d;

	if (!alive(a))
		return;
	if (strcmp(method, "Refresh") != 0) {
		sim_wire_answer(a->conn, call, COX_UNIMPLEMENTED, NULL);
		return;
	}
	q = coxswain__agent__v1__refresh_request__unpack(NULL, body.len, (const uint8_t *)body.ptr);
	COX_ASSERT(q);
	d = cox_map_get(&a->deploys, q->app_uid);
	coxswain__agent__v1__refresh_request__free_unpacked(q, NULL);
	if (d) {
		d->full = true;
		changed(d);
	}
	sim_wire_answer(a->conn, call, COX_OK, &answer.base);
}

/* ---- the whole fleet ---- */

struct sim_agent *sim_agent_make(const char *name, int index)
{
	struct sim_agent *a = cox_new(struct sim_agent);

	snprintf(a->name, sizeof(a->name), "%s", name);
	a->index = index;
	a->latency_ms = sim_between(&w.net_rng, 1, sim_chance(&w.net_rng, 15) ? 3000 : 60);
	a->window = sim_chance(&w.net_rng, 15) ? (unsigned)sim_between(&w.net_rng, 1, 4) : 64;
	a->flaps = w.rates.flaps && sim_chance(&w.net_rng, 30);
	cox_timer_init(&a->restart, w.loop, start, a);
	cox_timer_init(&a->redial, w.loop, dial, a);
	cox_timer_init(&a->intake, w.loop, accept, a);
	cox_timer_init(&a->pump, w.loop, pump, a);
	cox_timer_init(&a->kill, w.loop, killed, a);
	cox_vec_push(&w.agents, a);
	return a;
}

void sim_agents_calm(void)
{
	COX_VEC_EACH (&w.agents, slot) {
		struct sim_agent *a = *slot;

		a->partitioned = a->flaps = false;
		a->window = 64;
		if (a->latency_ms > 60)
			a->latency_ms = 60;
		COX_MAP_EACH (&a->deploys, e) {
			struct sim_deploy *d = e->value;

			if (d->has_applied)
				cox_timer_start(&d->turn, sim_between(&w.net_rng, 0, 1000));
		}
		if (!a->running && !cox_timer_is_running(&a->restart))
			sim_agent_start(a);
	}
}
