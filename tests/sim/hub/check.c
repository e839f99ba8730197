/* What must always hold of assignments, reports and deletions. It is judged from the batches that the
 * hub gives its store, from what is durable, and from the messages on the wire. */
#include "tests/sim/hub/check.h"

#include "common/base/mem.h"
#include "common/doc/json.h"

#include <stdio.h>
#include <stdlib.h>

struct sim_app {
	int set; /* -1: none */
	char uid[COX_UUID_TEXT];
	bool deleting;
};

static struct cox_map entries;	 /* "CLUSTER/UID" -> struct sim_entry */
static struct cox_map stamps;	 /* "CLUSTER/UID/EPOCH/GENERATION" -> hash of its content */
static struct cox_map apps;	 /* name -> struct sim_app */
static struct cox_map confirmed; /* "SET/NAME": a person said that it may go */
static struct cox_map jobs;	 /* name of a gate's job -> how often it began */

/* ---- entries ---- */

static char *path_of(const char *cluster, const char *uid)
{
	return cox_asprintf("%s/%s", cluster, uid);
}

struct sim_entry *sim_entry_find(const char *cluster, const char *uid)
{
	_cleanup_free_ char *path = path_of(cluster ? cluster : "?", uid);

	return cox_map_get(&entries, path);
}

static struct sim_entry *entry_make(const char *path)
{
	struct sim_entry *e = cox_map_get(&entries, path);

	if (e)
		return e;
	e = cox_new(struct sim_entry);
	snprintf(e->cluster, sizeof(e->cluster), "%.*s", (int)strcspn(path, "/"), path);
	snprintf(e->uid, sizeof(e->uid), "%s", strchr(path, '/') + 1);
	cox_map_set(&entries, path, e);
	return e;
}

static void this_ms(struct sim_entry *e)
{
	if (e->at_ms == virtual_now_ms())
		return;
	e->at_ms = virtual_now_ms();
	e->was_healthy = e->healthy;
	e->was_failed = e->failed;
}

bool sim_was_healthy(struct sim_entry *e)
{
	this_ms(e);
	return e->healthy || e->was_healthy;
}

bool sim_was_failed(struct sim_entry *e)
{
	this_ms(e);
	return e->failed || e->was_failed;
}

static sim_change *unpack(struct cox_str body)
{
	sim_change *c =
		coxswain__assignment__v1__change__unpack(NULL, body.len, (const uint8_t *)body.ptr);

	COX_ASSERT(c);
	return c;
}

static const sim_assignment *assignment(const sim_change *c)
{
	return c->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT ? c->assignment
										 : NULL;
}

static void stamp_of(const sim_change *c, uint64_t *epoch, uint64_t *generation)
{
	const sim_assignment *a = assignment(c);

	*epoch = a ? a->epoch : c->tombstone->epoch;
	*generation = a ? a->generation : c->tombstone->generation;
}

static void entry_set(struct sim_entry *e, const sim_change *c)
{
	const sim_assignment *a = assignment(c);

	stamp_of(c, &e->epoch, &e->generation);
	e->tombstone = !a;
	e->has_sync = a && a->sync_digest.len == HUB_DIGEST_BYTES;
	if (e->has_sync)
		memcpy(e->sync, a->sync_digest.data, HUB_DIGEST_BYTES);
	snprintf(e->operation, sizeof(e->operation), "%s",
		 a && a->operation ? a->operation->id : "");
	snprintf(e->by, sizeof(e->by), "%s", a && a->operation ? a->operation->initiated_by : "");
	if (a)
		e->is_job = strcmp(e->by, "rollout gate") == 0;
	e->healthy = e->failed = e->was_healthy = e->was_failed = false;
}

/* ---- reports ---- */

static bool is(ProtobufCBinaryData data, const uint8_t *digest)
{
	return data.len == HUB_DIGEST_BYTES && memcmp(data.data, digest, HUB_DIGEST_BYTES) == 0;
}

static void judge(struct sim_entry *e, const sim_report *r)
{
	const Coxswain__Report__V1__OperationState *op = r->operation;
	bool ours = op && (is(op->digest, e->sync) ||
			   (e->operation[0] && strcmp(op->id, e->operation) == 0));
	bool at = e->has_sync && is(r->sync_digest, e->sync);
	bool synced = at && r->assigned_sync == COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED;
	bool was = e->healthy;

	this_ms(e);
	e->healthy = synced && r->health == SIM_HEALTHY && (!ours || op->phase == SIM_SUCCEEDED) &&
		     (ours || !sim_is_of_rollout(e->by));
	e->failed =
		at && ((ours && op->phase == SIM_FAILED) || (synced && r->health == SIM_DEGRADED));
	e->was_healthy = e->was_healthy || e->healthy;
	e->was_failed = e->was_failed || e->failed;
	if (e->healthy && !was)
		e->healthy_ms = virtual_now_ms();
}

void sim_check_report(const struct cox_rpc_conn *c, const sim_report *r)
{
	struct sim_entry *e = sim_entry_find(sim_conn_cluster(c), r->app_uid);
	bool same_boot;

	if (!e || c != sim_session(sim_conn_cluster(c)) || r->deleted || r->epoch != e->epoch ||
	    r->generation != e->generation)
		return;
	same_boot = strcmp(e->boot, sim_conn_boot(c)) == 0;
	if (same_boot && r->sequence <= e->sequence)
		return;
	if (!r->full && (!same_boot || r->base_sequence != e->sequence))
		return;
	snprintf(e->boot, sizeof(e->boot), "%s", sim_conn_boot(c));
	e->sequence = r->sequence;
	judge(e, r);
}

static sim_report *row_report(struct cox_str body, const char **ret_boot)
{
	size_t boot = strnlen(body.ptr, body.len);

	*ret_boot = body.ptr;
	return coxswain__report__v1__application_report__unpack(
		NULL, body.len - boot - 1, (const uint8_t *)body.ptr + boot + 1);
}

/* ---- the batch ---- */

static void check_order(const struct sim_entry *e, const sim_change *c, const char *path)
{
	uint64_t epoch, generation;

	stamp_of(c, &epoch, &generation);
	if (epoch != hub_store_epoch(w.store))
		sim_fail("H: %s is assigned in epoch %llu by a hub of epoch %llu", path,
			 (unsigned long long)epoch, (unsigned long long)hub_store_epoch(w.store));
	if (e && (e->epoch > epoch || (e->epoch == epoch && e->generation >= generation)))
		sim_fail("H: %s goes from (%llu, %llu) to (%llu, %llu)", path,
			 (unsigned long long)e->epoch, (unsigned long long)e->generation,
			 (unsigned long long)epoch, (unsigned long long)generation);
}

/* Nothing changes what a cluster is brought to but a rollout, a person, or a gate. */
static void check_justified(const struct sim_move *m)
{
	const Coxswain__Assignment__V1__Operation *op = m->a->operation;
	bool past;

	if (!m->sync_changed || m->a->sync_digest.len == 0 || m->justified)
		return;
	if (op && m->operation_changed &&
	    (strcmp(op->initiated_by, "rollout gate") == 0 || sim_is_by_hand(op->id, &past)))
		return;
	sim_fail("N: %s/%s is brought to %s at (%llu, %llu) by '%s', which no rollout and nobody "
		 "asked for",
		 m->cluster, m->uid, sim_brief(m->a->sync_digest.data),
		 (unsigned long long)m->a->epoch, (unsigned long long)m->a->generation,
		 op ? op->initiated_by : "");
}

static void collect(const struct hub_row *row, const sim_change *c, sim_moves *moves)
{
	struct sim_entry *e = cox_map_get(&entries, row->key);
	const sim_assignment *a = assignment(c);
	struct sim_move m = {.before = e, .a = a};

	check_order(e, c, row->key);
	if (!a)
		return;
	snprintf(m.cluster, sizeof(m.cluster), "%.*s", (int)strcspn(row->key, "/"), row->key);
	snprintf(m.uid, sizeof(m.uid), "%s", a->app_uid);
	m.sync_changed = !e || e->tombstone ? a->sync_digest.len > 0
					    : e->has_sync != (a->sync_digest.len > 0) ||
						      (e->has_sync && !is(a->sync_digest, e->sync));
	m.operation_changed = a->operation && (!e || strcmp(e->operation, a->operation->id) != 0);
	cox_vec_push(moves, m);
}

static void check_report_row(const struct hub_row *row)
{
	const struct sim_entry *e = cox_map_get(&entries, row->key);
	const char *boot;
	sim_report *r = row_report(cox_buf_str(&row->body), &boot);

	COX_ASSERT(r);
	/* What is assigned may be another thing since it came: what counts is that it counted then. */
	if (e && (strcmp(e->boot, boot) != 0 || e->sequence != r->sequence))
		sim_fail("E: report %llu of %s at (%llu, %llu) is kept; the last that counts is "
			 "%llu, and (%llu, %llu) is assigned",
			 (unsigned long long)r->sequence, row->key, (unsigned long long)r->epoch,
			 (unsigned long long)r->generation, (unsigned long long)e->sequence,
			 (unsigned long long)e->epoch, (unsigned long long)e->generation);
	coxswain__report__v1__application_report__free_unpacked(r, NULL);
}

static void forget_report(const char *key)
{
	struct sim_entry *e = cox_map_get(&entries, key);

	if (!e)
		return;
	e->boot[0] = 0;
	e->sequence = 0;
	e->healthy = e->failed = false;
}

/* ---- deletions ---- */

static int set_of(const char *name)
{
	const char *s = strstr(name, "-s");

	return s ? atoi(s + 2) : -1;
}

static void app_row(const struct hub_row *row)
{
	static const char prefix[] = "Application/" SIM_NAMESPACE "/";
	const char *name = row->key + strlen(prefix);
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *metadata;
	struct sim_app *app;

	if (strncmp(row->key, prefix, strlen(prefix)) != 0)
		return;
	if (row->gone) {
		free(cox_map_remove(&apps, name));
		return;
	}
	app = cox_map_get(&apps, name);
	if (!app) {
		app = cox_new(struct sim_app);
		app->set = set_of(name);
		cox_map_set(&apps, name, app);
	}
	if (cox_json_read(cox_buf_str(&row->body), name, &doc, NULL) < 0)
		sim_fail("the row of '%s' cannot be read", name);
	metadata = cox_node_get(cox_doc_root(doc), "metadata");
	snprintf(app->uid, sizeof(app->uid), "%s",
		 cox_node_cstr(cox_node_get(metadata, "uid"), ""));
	app->deleting = cox_node_get(metadata, "deletionTimestamp") != NULL;
}

bool sim_app_is_gone(const char *uid)
{
	COX_MAP_EACH (&apps, e) {
		const struct sim_app *app = e->value;

		if (strcmp(app->uid, uid) == 0)
			return app->deleting;
	}
	return true;
}

static void count_apps(int set, size_t *ret_all, size_t *ret_deleting, size_t *ret_free)
{
	*ret_all = *ret_deleting = *ret_free = 0;
	COX_MAP_EACH (&apps, e) {
		const struct sim_app *app = e->value;
		_cleanup_free_ char *key = cox_asprintf("%d/%s", set, e->key);

		if (app->set != set)
			continue;
		++*ret_all;
		*ret_deleting += app->deleting;
		*ret_free += app->deleting && cox_map_has(&confirmed, key);
	}
}

static void check_deletions(const struct hub_batch *b)
{
	size_t all[SIM_MAX_SETS], before[SIM_MAX_SETS], unused, now, now_free, budget;

	for (int i = 0; i < w.n_sets; i++)
		count_apps(i, &all[i], &before[i], &unused);
	COX_VEC_EACH (&b->rows, row)
		if (row->table == HUB_TABLE_OBJECT)
			app_row(row);
	for (int i = 0; i < w.n_sets; i++) {
		count_apps(i, &unused, &now, &now_free);
		if (now <= before[i])
			continue;
		w.stats.deletions += now - before[i];
		budget = all[i] / 10 > 10 ? all[i] / 10 : 10;
		if (now - now_free > budget)
			sim_fail("D: set %d deletes %zu of %zu at once, %zu of them confirmed", i,
				 now, all[i], now_free);
	}
}

void sim_check_confirmed(int set, const struct cox_doc *doc)
{
	const struct cox_node *list =
		COX_GET(cox_doc_root(doc), "status", "heldDeletions", "applications");

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const char *path = cox_node_cstr(cox_node_at(list, i), "/");
		_cleanup_free_ char *key = cox_asprintf("%d/%s", set, strchr(path, '/') + 1);

		cox_map_set(&confirmed, key, &confirmed);
	}
}

/* ---- commit ---- */

static void check_rollouts(const struct hub_batch *b, sim_moves *moves)
{
	char last[COX_UUID_TEXT] = "";

	if (!w.control)
		return;
	COX_VEC_EACH (&b->rows, row) {
		char id[COX_UUID_TEXT];
		const struct cox_rollout *r;

		if (row->table != HUB_TABLE_ROLLOUT || row->gone)
			continue;
		snprintf(id, sizeof(id), "%.36s", row->key);
		if (strcmp(id, last) == 0)
			continue;
		memcpy(last, id, sizeof(id));
		r = hub_control_rollout_by_id(w.control, id);
		if (r)
			sim_check_rollout(r, moves);
	}
}

void sim_check_commit(const struct hub_batch *b)
{
	COX_VEC(sim_change *) changes = {0};
	sim_moves moves = {0};
	_cleanup_map_ struct cox_map last = COX_MAP_INIT; /* assignments: the last word wins */
	bool objects = false;

	COX_VEC_EACH (&b->rows, row)
		if (row->table == HUB_TABLE_ASSIGNMENT)
			cox_map_set(&last, row->key, row);
	COX_VEC_EACH (&b->rows, row) {
		if (row->table == HUB_TABLE_REPORT && row->gone)
			forget_report(row->key);
		if (row->table == HUB_TABLE_BUNDLE && !row->gone)
			sim_bundle_learn(row->key, cox_buf_str(&row->body));
		objects = objects || row->table == HUB_TABLE_OBJECT;
		if (row->table == HUB_TABLE_REPORT && !row->gone)
			check_report_row(row);
		if (row->table != HUB_TABLE_ASSIGNMENT || row->gone ||
		    cox_map_get(&last, row->key) != row)
			continue;
		cox_vec_push(&changes, unpack(cox_buf_str(&row->body)));
		collect(row, changes.items[changes.n - 1], &moves);
	}
	check_rollouts(b, &moves);
	COX_VEC_EACH (&moves, m)
		check_justified(m);
	size_t next = 0;
	COX_VEC_EACH (&b->rows, row) {
		if (row->table != HUB_TABLE_ASSIGNMENT || cox_map_get(&last, row->key) != row)
			continue;
		if (row->gone)
			free(cox_map_remove(&entries, row->key));
		else
			entry_set(entry_make(row->key), changes.items[next++]);
	}
	COX_VEC_EACH (&changes, c)
		coxswain__assignment__v1__change__free_unpacked(*c, NULL);
	cox_vec_fini(&changes);
	cox_vec_fini(&moves);
	if (objects)
		check_deletions(b);
}

/* ---- beginning anew ---- */

static void load_entry(void *ctx, const char *key, struct cox_str body)
{
	sim_change *c = unpack(body);

	(void)ctx;
	entry_set(entry_make(key), c);
	coxswain__assignment__v1__change__free_unpacked(c, NULL);
}

static void load_report(void *ctx, const char *key, struct cox_str body)
{
	struct sim_entry *e = cox_map_get(&entries, key);
	const char *boot;
	sim_report *r = row_report(body, &boot);

	(void)ctx;
	COX_ASSERT(r);
	if (e) {
		snprintf(e->boot, sizeof(e->boot), "%s", boot);
		e->sequence = r->sequence;
	}
	if (e && e->epoch == r->epoch && e->generation == r->generation)
		judge(e, r);
	coxswain__report__v1__application_report__free_unpacked(r, NULL);
}

static void load_app(void *ctx, const char *key, struct cox_str body)
{
	struct hub_row row = {.table = HUB_TABLE_OBJECT, .key = (char *)key};

	(void)ctx;
	cox_buf_puts_str(&row.body, body);
	app_row(&row);
	cox_buf_fini(&row.body);
}

void sim_check_starting(void)
{
	cox_map_fini_values(&entries, free);
	cox_map_fini_values(&apps, free);
	entries = apps = COX_MAP_INIT;
	sim_rows_each(HUB_TABLE_ASSIGNMENT, load_entry, NULL);
	sim_rows_each(HUB_TABLE_REPORT, load_report, NULL);
	sim_rows_each(HUB_TABLE_OBJECT, load_app, NULL);
	sim_check_rolls_restart();
}

/* ---- the wire ---- */

static size_t content_hash(const sim_change *change)
{
	sim_change c = *change;
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;

	c.position = 0;
	cox_buf_reserve(&bytes, protobuf_c_message_get_packed_size(&c.base));
	bytes.len = protobuf_c_message_pack(&c.base, (uint8_t *)bytes.ptr);
	return (size_t)cox_hash(bytes.ptr, bytes.len) | 1;
}

void sim_check_sent(const char *cluster, const sim_change *change)
{
	_cleanup_free_ char *path = NULL, *stamp = NULL;
	const struct cox_buf *row;
	uint64_t epoch, generation, epoch_kept, generation_kept;
	size_t hash, known;
	sim_change *kept;

	if (change->body_case != COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT &&
	    change->body_case != COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE)
		return;
	stamp_of(change, &epoch, &generation);
	path = path_of(cluster, assignment(change) ? change->assignment->app_uid
						   : change->tombstone->app_uid);
	row = sim_row(HUB_TABLE_ASSIGNMENT, path);
	if (!row) {
		sim_fail("I-2: %s is told what is not durable", path);
		return;
	}
	kept = unpack(cox_buf_str(row));
	stamp_of(kept, &epoch_kept, &generation_kept);
	coxswain__assignment__v1__change__free_unpacked(kept, NULL);
	if (epoch_kept < epoch || (epoch_kept == epoch && generation_kept < generation))
		sim_fail("I-2: %s is told (%llu, %llu), durable is (%llu, %llu)", path,
			 (unsigned long long)epoch, (unsigned long long)generation,
			 (unsigned long long)epoch_kept, (unsigned long long)generation_kept);
	stamp = cox_asprintf("%s/%llu/%llu", path, (unsigned long long)epoch,
			     (unsigned long long)generation);
	hash = content_hash(change);
	known = (size_t)cox_map_get(&stamps, stamp);
	if (known && known != hash)
		sim_fail("H: (%llu, %llu) of %s means two things", (unsigned long long)epoch,
			 (unsigned long long)generation, path);
	cox_map_set(&stamps, stamp, (void *)hash);
}

void sim_check_response(const char *cluster, const char *boot,
			const Coxswain__Report__V1__ReportResponse *r)
{
	const struct sim_entry *e = sim_entry_find(cluster, r->app_uid);
	_cleanup_free_ char *path = path_of(cluster, r->app_uid);
	const struct cox_buf *row = sim_row(HUB_TABLE_REPORT, path);
	const char *kept_boot = "";
	sim_report *kept;

	if (r->want_full || !e || e->tombstone || e->sequence != r->sequence ||
	    strcmp(e->boot, boot) != 0)
		return;
	kept = row ? row_report(cox_buf_str(row), &kept_boot) : NULL;
	if (!kept || strcmp(kept_boot, boot) != 0 || kept->sequence < r->sequence)
		sim_fail("I-5: report %llu of %s is acknowledged and not durable",
			 (unsigned long long)r->sequence, path);
	if (kept)
		coxswain__report__v1__application_report__free_unpacked(kept, NULL);
}

/* ---- jobs ---- */

void sim_check_job(const struct sim_agent *a, const char *app_name, const char *operation)
{
	size_t n = (size_t)cox_map_get(&jobs, app_name) + 1;

	cox_map_set(&jobs, app_name, (void *)n);
	sim_trace("%s: runs job %s, operation %s", a->name, app_name, operation);
	/* An older copy of the state does not know that it ran. */
	if (n > 1 + w.stats.restores)
		sim_fail("J: job %s runs %zu times", app_name, n);
}

/* ---- life ---- */

void sim_check_close(void)
{
	cox_map_fini_values(&entries, free);
	cox_map_fini_values(&apps, free);
	cox_map_fini(&stamps);
	cox_map_fini(&confirmed);
	cox_map_fini(&jobs);
	entries = apps = stamps = confirmed = jobs = COX_MAP_INIT;
	sim_check_rolls_close();
}
