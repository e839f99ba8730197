/* tests/golden/rollout: a folder is a rollout's story. policy.yaml holds `strategy:` (an
 * ApplicationSet's) or a RolloutPolicy's spec, and may be missing; clusters.yaml the targets, one a
 * cluster:
 *
 *	- {name: dev-1, labels: {env: dev}}   labels: of the Cluster, and of its Application
 *	  new: it has nothing yet · later: it joins · offline · byHand · error: why it cannot be rendered
 *	  at: what it has already
 *
 * events.txt tells what happens, a line each, after an optional "+10s" or a moment
 * ("2026-03-29T00:59:00Z"). The story begins at 2026-03-02T08:00:00Z, a Monday, with the commit v1 for
 * everybody, who has v0. After each line the planner is stepped, what it decides is carried out, and
 * `want` gets one line for each decision, for each wave and gate that changed, and for why it is not
 * moving on. After each line the state is written, read back, and gone on with.
 *
 *	ok|slow|bad|unsynced|failed|running|stale|other NAME…   a report; other: at another digest
 *	well SINCE NAME…        ok, and for so long without a break ("5m"), as the agent watched it
 *	kept NAME…              ok, but told before the connection that is up now
 *	away|back NAME…         the cluster's agent; await NAME…: the hub has started, and it may come back
 *	hold NAME UNTIL TEXT, free NAME…   the project's sync windows
 *	join|leave NAME…
 *	commit REV [NAME…]      new content, for those that are named or for everybody
 *	policy FILE             another policy, or strategy, from now on
 *	label NAME KEY VALUE    the only label of its Cluster from now on
 *	answer WAVE before|after N good|bad|none TEXT
 *	pause|resume|promote|retry BY, abort BY [back], approve BY WAVE|wrong
 *			('_' in BY is a space)
 *	sync NAME BY [force]    a person's sync
 *	byhand NAME REV         a person puts something else there, past the rollout
 *	restart [alone]         the hub's: the state comes back from the disk, and the agents that were
 *	                        there connect again; alone: they have yet to dial
 *	digest WAVE, waits NAME, status, delete, super   print what the planner says
 *	starts N                a limit of starts a minute, over all rollouts
 */
#include "hub/rollout/rollout.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/crypto/digest.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "tests/golden/golden.h"
#include "tests/unit/hub/rollout/rows.h"

#include <stdio.h>

#define MAX_APPS 1024

struct app {
	const struct cox_node *node;
	const char *name;
	char wanted[16], has[16];
	uint64_t generation;
	bool there, offline;
	struct cox_doc *labels; /* NULL: those of the node */
	uint8_t wanted_digest[32], has_digest[32];
};

struct story {
	const char *dir;
	struct cox_doc *policy, *clusters;
	struct cox_rollout_plan plan;
	struct app apps[MAX_APPS];
	size_t n;
	struct cox_rollout *r;
	COX_VEC(struct cox_rollout *) past;
	int64_t start_ms, now_ms, wake_ms;
	unsigned n_rollouts, n_operations;
	char why[1024];
	struct cox_map said; /* wave or gate -> what was printed of it */
	struct cox_map zones;
	struct cox_rollout_bucket starts;
	bool waits; /* a newer revision */
	struct rows rows;
	int64_t well_ms; /* of the report under way: since when, as its agent says; 0: nothing */
	bool kept;	 /* it was told before the connection that is up */
	struct cox_buf *out;
};

static void rollout_drop(struct story *s)
{
	cox_rollout_free(s->r);
	COX_VEC_EACH (&s->past, r)
		cox_rollout_free(*r);
	cox_vec_fini(&s->past);
}

static void zone_free(void *zone)
{
	cox_zone_free(zone);
}

static void story_fini(struct story *s)
{
	rollout_drop(s);
	cox_rollout_plan_fini(&s->plan);
	cox_doc_unref(s->policy);
	cox_doc_unref(s->clusters);
	for (size_t i = 0; i < s->n; i++)
		cox_doc_unref(s->apps[i].labels);
	cox_map_fini_values(&s->said, free);
	cox_map_fini_values(&s->zones, zone_free);
	rows_fini(&s->rows);
}

static void digest_of(const char *name, const char *rev, uint8_t ret[32])
{
	_cleanup_free_ char *text = cox_asprintf("%s@%s", name, rev);

	cox_sha256(cox_str(text), ret);
}

static struct app *app(struct story *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->apps[i].name, name) == 0)
			return &s->apps[i];
	printf("no '%s' in clusters.yaml\n", name);
	exit(1);
}

static void want(struct app *a, const char *rev)
{
	snprintf(a->wanted, sizeof(a->wanted), "%s", rev);
	digest_of(a->name, rev, a->wanted_digest);
}

static void have(struct app *a, const char *rev)
{
	snprintf(a->has, sizeof(a->has), "%s", rev);
	digest_of(a->name, rev, a->has_digest);
	a->generation++;
}

/* ---- reading the folder ---- */

static int read_yaml(const char *dir, const char *name, struct cox_doc **ret, struct cox_error *err)
{
	_cleanup_free_ char *path = cox_path_join(dir, name);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int r = cox_file_read(path, 1 << 20, &text, err);

	return r < 0 ? r : cox_yaml_read(cox_buf_str(&text), name, NULL, ret, err);
}

static bool truth(const struct app *a, const char *key)
{
	return cox_node_bool(cox_node_get(a->node, key), false);
}

static void read_apps(struct story *s)
{
	const struct cox_node *list = cox_doc_root(s->clusters);

	for (size_t i = 0; i < cox_node_len(list) && i < MAX_APPS; i++) {
		struct app *a = &s->apps[s->n++];
		const struct cox_node *at;

		a->node = cox_node_at(list, i);
		a->name = cox_node_cstr(cox_node_get(a->node, "name"), "?");
		a->there = !truth(a, "later");
		a->offline = truth(a, "offline");
		at = cox_node_get(a->node, "at");
		if (!truth(a, "new"))
			have(a, at ? cox_node_cstr(at, "v0") : "v0");
		want(a, "v1");
	}
}

static int read_plan(struct story *s, cox_rollout_problems *problems, struct cox_error *err)
{
	const struct cox_node *root = s->policy ? cox_doc_root(s->policy) : NULL;

	if (!root || cox_node_get(root, "strategy"))
		return cox_rollout_plan_parse(cox_node_get(root, "strategy"), &s->plan, problems,
					      err);
	return cox_rollout_plan_policy("staged", root, &s->plan, err);
}

static struct cox_rollout_member member(const struct app *a)
{
	const char *error = cox_node_cstr(cox_node_get(a->node, "error"), NULL);
	const struct cox_node *labels =
		a->labels ? cox_doc_root(a->labels) : cox_node_get(a->node, "labels");
	struct cox_rollout_member m = {
		.uid = a->name,
		.name = a->name,
		.cluster = a->name,
		.revision = a->wanted,
		.labels = labels,
		.cluster_labels = labels,
		.digest = error ? NULL : a->wanted_digest,
		.error = error,
		.by_hand = truth(a, "byHand"),
		.offline = a->offline,
	};

	if (*a->has) {
		m.previous = a->has_digest;
		m.previous_revision = a->has;
		m.at_digest = !error && memcmp(a->has_digest, a->wanted_digest, 32) == 0;
		m.epoch = 1;
		m.generation = a->generation;
	}
	return m;
}

/* ---- telling ---- */

__attribute__((format(printf, 2, 3))) static void tell(struct story *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cox_buf_puts(s->out, "    ");
	cox_buf_vprintf(s->out, format, args);
	cox_buf_putc(s->out, '\n');
	va_end(args);
}

/* Once, until it is something else. */
static void tell_news(struct story *s, const char *key, char *text_taken, const char *first)
{
	char *old = cox_map_get(&s->said, key);

	if (cox_streq(old, text_taken) || (!old && strcmp(text_taken, first) == 0)) {
		free(text_taken);
		return;
	}
	tell(s, "%s: %s", key, text_taken);
	free(cox_map_set(&s->said, key, text_taken));
}

static char *time_text(struct story *s, int64_t ms)
{
	char text[COX_TIME_TEXT_MAX];

	(void)s;
	cox_time_format(ms, text);
	return cox_asprintf("%.5s %.8s", text + 5, text + 11);
}

static void tell_gate(struct story *s, const char *wave, const char *side, size_t i,
		      const struct cox_rollout_gate *gate, const struct cox_rollout_gate_run *g)
{
	_cleanup_free_ char *key = cox_asprintf("gate %s/%s/%zu %s", wave, side, i, gate->name);
	_cleanup_free_ char *next = g->next_ms ? time_text(s, g->next_ms) : NULL;

	tell_news(s, key,
		  cox_asprintf("%s%s%s%s%s%s%s", cox_gate_state_name(g->state),
			       g->message ? ": " : "", g->message ? g->message : "",
			       g->by ? ", by " : "", g->by ? g->by : "", next ? "; next " : "",
			       next ? next : ""),
		  "Pending");
}

static void tell_waves(struct story *s)
{
	struct cox_rollout *r = s->r;

	for (size_t i = 0; i < r->waves.n; i++) {
		const struct cox_rollout_wave *w = &r->plan.waves.items[i];
		const struct cox_rollout_wave_run *run = &r->waves.items[i];
		_cleanup_free_ char *key = cox_asprintf("wave %s", w->name);

		for (size_t k = 0; k < w->before.n; k++)
			tell_gate(s, w->name, "before", k, &w->before.items[k],
				  &run->before.items[k]);
		for (size_t k = 0; k < w->after.n; k++)
			tell_gate(s, w->name, "after", k, &w->after.items[k], &run->after.items[k]);
		tell_news(s, key, cox_strdup(cox_wave_phase_name(run->phase)), "Waiting");
	}
	COX_VEC_EACH (&r->targets, t) {
		_cleanup_free_ char *key = cox_asprintf("target %s", t->name);

		tell_news(s, key,
			  cox_asprintf("%s%s%s%s%s", cox_rollout_state_name(t->state),
				       t->late ? ", late" : "", t->excused ? ", excused" : "",
				       t->message ? ": " : "", t->message ? t->message : ""),
			  "Waiting");
	}
	tell_news(s, "phase",
		  cox_asprintf("%s%s%s", cox_rollout_phase_name(r->phase), r->reason ? ": " : "",
			       r->reason ? r->reason : ""),
		  "Progressing");
}

static void tell_why(struct story *s)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_rollout_why why;

	cox_rollout_why(s->r, &why);
	if (*why.message)
		cox_rollout_why_text(s->r, &why, &text);
	if (why.resource)
		cox_buf_printf(&text, " [%s]", why.resource);
	if (strcmp(s->why, cox_buf_cstr(&text)) == 0)
		return;
	snprintf(s->why, sizeof(s->why), "%s", cox_buf_cstr(&text));
	if (text.len > 0)
		tell(s, "why: %s", s->why);
}

/* ---- the shell ---- */

static int zone(void *ctx, const char *name, const struct cox_zone **ret_zone,
		struct cox_error *err)
{
	struct story *s = ctx;
	struct cox_zone *z = cox_map_get(&s->zones, name);
	int r;

	if (!z) {
		r = cox_zone_open(name, &z, err);
		if (r < 0)
			return r;
		cox_map_set(&s->zones, name, z);
	}
	*ret_zone = z;
	return 0;
}

static void begin(struct story *s, struct cox_rollout *taken)
{
	if (s->r)
		cox_vec_push(&s->past, s->r);
	s->r = taken;
	*s->why = '\0';
	rows_fini(&s->rows);
	cox_map_fini_values(&s->said, free);
	s->said = COX_MAP_INIT;
	cox_buf_printf(s->out, "  rollout %s of %s\n", s->r->id, s->r->revision);
}

static void name_next(struct story *s, char ret[COX_UUID_TEXT])
{
	snprintf(ret, COX_UUID_TEXT, "r%u", ++s->n_rollouts);
}

static void step(struct story *s);

static void carry_out(struct story *s, const struct cox_rollout_effect *e)
{
	static const char *const words[] = {
		[COX_EFFECT_PROBE] = "probe", [COX_EFFECT_CANCEL] = "cancel"};
	char id[COX_UUID_TEXT], operation[COX_UUID_TEXT];
	const struct cox_rollout_target *t;
	struct cox_rollout *back;

	if (e->kind == COX_EFFECT_MOVE) {
		t = &s->r->targets.items[e->target];
		tell(s, "move %s to %s", t->name, t->revision);
		have(app(s, t->name), t->revision);
		snprintf(operation, sizeof(operation), "op%u", ++s->n_operations);
		cox_rollout_assigned(s->r, t->uid, 1, app(s, t->name)->generation, operation,
				     s->now_ms);
	} else if (e->kind == COX_EFFECT_ROLLBACK) {
		tell_waves(s);
		name_next(s, id);
		back = cox_rollout_rollback(s->r, id, s->now_ms);
		begin(s, back);
		tell(s, "%s", back->reason);
		step(s);
	} else {
		tell(s, "%s %s/%s/%zu, attempt %lld", words[e->kind],
		     s->r->plan.waves.items[e->probe.wave].name,
		     e->probe.after ? "after" : "before", e->probe.gate,
		     (long long)e->probe.attempt);
	}
}

static void step(struct story *s)
{
	struct cox_rollout_env env = {.zone = zone, .ctx = s, .starts = &s->starts};
	cox_rollout_effects effects = {0};

	cox_rollout_step(s->r, &env, s->now_ms, &effects, &s->wake_ms);
	COX_VEC_EACH (&effects, e)
		carry_out(s, e);
	cox_vec_fini(&effects);
}

/* The story goes on with what was kept: what is not written it would not know. */
static void check_kept(struct story *s)
{
	_cleanup_free_ char *lost = rows_reload(&s->rows, &s->r);

	if (lost)
		tell(s, "LOST: %s", lost);
}

static size_t members(struct story *s, struct cox_rollout_member *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->apps[i].there)
			ret[n++] = member(&s->apps[i]);
	return n;
}

static const struct cox_rollout *reversed(const struct story *s)
{
	COX_VEC_EACH (&s->past, r)
		if (s->r && strcmp((*r)->id, s->r->reverses) == 0)
			return *r;
	return NULL;
}

static void new_rollout(struct story *s, const struct cox_rollout_member *m, size_t n)
{
	char id[COX_UUID_TEXT];
	struct cox_rollout *r;

	name_next(s, id);
	r = cox_rollout_new(&(struct cox_rollout_spec){.id = id,
						       .owner = "ApplicationSet/argocd/web",
						       .revision = n ? m[0].revision : "",
						       .plan = &s->plan,
						       .members = m,
						       .n_members = n,
						       .before = s->r,
						       .reversed = reversed(s)},
			    s->now_ms);
	if (s->r && s->r->phase == COX_ROLLOUT_PROGRESSING) {
		cox_rollout_supersede(s->r, s->now_ms);
		step(s);
		tell_waves(s);
	}
	begin(s, r);
	s->waits = false;
}

/* As the hub does: what is wanted now, against what is pinned. */
static void consider(struct story *s)
{
	static struct cox_rollout_member m[MAX_APPS];
	size_t n = members(s, m);
	enum cox_rollout_difference d;

	if (cox_rollout_is_barred(s->r, m, n))
		return;
	d = cox_rollout_compare(s->r, &s->plan, m, n);
	if (d == COX_ROLLOUT_SAME && s->r->phase != COX_ROLLOUT_ABORTED)
		return;
	if (d == COX_ROLLOUT_MEMBERS && s->r->phase == COX_ROLLOUT_PROGRESSING &&
	    s->r->plan.source == COX_ROLLOUT_POLICY) {
		for (size_t i = 0; i < n; i++)
			cox_rollout_join(s->r, &m[i], s->now_ms);
		return;
	}
	if (cox_rollout_may_supersede(s->r, s->now_ms, NULL)) {
		new_rollout(s, m, n);
		return;
	}
	if (!s->waits)
		tell(s, "a newer revision waits");
	s->waits = true;
}

/* ---- events ---- */

static const struct {
	const char *verb;
	bool synced, healthy, degraded, stale, other;
	int operation;
} reports[] = {
	{"ok", .synced = true, .healthy = true, .operation = COX_OP_SUCCEEDED},
	{"slow", .synced = true, .operation = COX_OP_SUCCEEDED},
	{"bad", .synced = true, .degraded = true, .operation = COX_OP_SUCCEEDED},
	{"unsynced", .healthy = true, .operation = COX_OP_SUCCEEDED},
	{"failed", .healthy = true, .operation = COX_OP_FAILED},
	{"running", .operation = COX_OP_RUNNING},
	{"stale", .synced = true, .healthy = true, .stale = true, .operation = COX_OP_SUCCEEDED},
	{"other", .synced = true, .healthy = true, .other = true, .operation = COX_OP_SUCCEEDED},
};

static bool report(struct story *s, const char *verb, const char *name)
{
	static const uint8_t elsewhere[32] = {9};
	struct app *a = app(s, name);

	for (size_t i = 0; i < COX_ARRAY_LEN(reports); i++) {
		const uint8_t *digest = reports[i].other ? elsewhere : a->has_digest;
		struct cox_rollout_report p = {
			.epoch = 1,
			.generation = a->generation - reports[i].stale,
			.sync_digest = digest,
			.synced = reports[i].synced,
			.healthy = reports[i].healthy,
			.degraded = reports[i].degraded,
			.health = "Progressing",
			.resource = reports[i].healthy ? NULL : "Deployment web",
			.message = reports[i].healthy ? NULL : "1 of 2 replicas are up",
			.kept = s->kept,
			.well_since_ms = s->well_ms,
			.operation_phase = reports[i].operation,
			.operation = "heal",
			.operation_digest = digest,
			.operation_message =
				reports[i].operation == COX_OP_FAILED ? "no such image" : NULL};

		if (strcmp(reports[i].verb, verb) != 0)
			continue;
		cox_rollout_observe(s->r, name, &p, s->now_ms);
		return true;
	}
	return false;
}

static void one_name(struct story *s, const char *verb, const char *name)
{
	struct app *a = app(s, name);

	if (strcmp(verb, "away") == 0 || strcmp(verb, "back") == 0) {
		a->offline = *verb == 'a';
		cox_rollout_reach(s->r, name, !a->offline, "its agent is away", s->now_ms);
	} else if (strcmp(verb, "await") == 0) {
		cox_rollout_await(s->r, name, s->now_ms);
	} else if (strcmp(verb, "free") == 0) {
		cox_rollout_hold(s->r, name, NULL, 0, s->now_ms);
	} else if (strcmp(verb, "join") == 0) {
		a->there = true;
		if (truth(a, "offline"))
			a->offline = true;
	} else if (strcmp(verb, "leave") == 0) {
		a->there = false;
		cox_rollout_remove(s->r, name, s->now_ms);
	} else if (!report(s, verb, name)) {
		printf("what is '%s'?\n", verb);
		exit(1);
	}
}

static size_t wave_by_name(struct story *s, const char *name)
{
	for (size_t i = 0; i < s->r->plan.waves.n; i++)
		if (strcmp(s->r->plan.waves.items[i].name, name) == 0)
			return i;
	printf("no wave '%s'\n", name);
	exit(1);
}

#define MAX_WORDS 24
struct words {
	char *w[MAX_WORDS];
	size_t n;
};

static void words_fini(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->w[i]);
}

static void split(struct cox_str line, struct words *w)
{
	struct cox_str part;

	while (w->n < MAX_WORDS && cox_str_split(&line, ' ', &part))
		if (part.len > 0)
			w->w[w->n++] = cox_str_dup(part);
}

static const char *word(const struct words *w, size_t i)
{
	return i < w->n ? w->w[i] : "";
}

/* The rest of the line from word i on; the caller's. */
static char *rest(const struct words *w, size_t i)
{
	struct cox_buf b = COX_BUF_INIT;

	for (; i < w->n; i++)
		cox_buf_printf(&b, "%s%s", b.len ? " " : "", w->w[i]);
	return cox_buf_take(&b);
}

static void answered(struct story *s, int r, const struct cox_error *err)
{
	if (r < 0)
		tell(s, "refused: %s", err->message);
}

static void do_pause(struct story *s, const struct words *w)
{
	struct cox_error err;

	answered(s, cox_rollout_pause(s->r, word(w, 1), s->now_ms, &err), &err);
}

static void do_resume(struct story *s, const struct words *w)
{
	struct cox_error err;

	answered(s, cox_rollout_resume(s->r, word(w, 1), s->now_ms, &err), &err);
}

static void do_promote(struct story *s, const struct words *w)
{
	struct cox_error err;

	answered(s, cox_rollout_promote(s->r, word(w, 1), s->now_ms, &err), &err);
}

static void do_retry(struct story *s, const struct words *w)
{
	struct cox_error err;

	answered(s, cox_rollout_retry(s->r, word(w, 1), s->now_ms, &err), &err);
}

static void do_abort(struct story *s, const struct words *w)
{
	struct cox_error err;
	bool back = strcmp(word(w, 2), "back") == 0;

	answered(s, cox_rollout_abort(s->r, word(w, 1), back, s->now_ms, &err), &err);
}

static void do_approve(struct story *s, const struct words *w)
{
	_cleanup_free_ char *by = cox_strdup(word(w, 1));
	uint8_t digest[32] = {1, 2, 3};
	struct cox_error err;

	for (char *c = by; *c; c++)
		if (*c == '_')
			*c = ' ';
	if (strcmp(word(w, 2), "wrong") != 0 &&
	    !cox_rollout_approval_digest(s->r, wave_by_name(s, word(w, 2)), digest))
		tell(s, "nothing waits for an approval there");
	answered(s, cox_rollout_approve(s->r, by, digest, s->now_ms, &err), &err);
}

static void do_answer(struct story *s, const struct words *w)
{
	static const char *const answers[] = {"good", "bad", "none"};
	struct cox_rollout_probe p = {.wave = wave_by_name(s, word(w, 1)),
				      .after = strcmp(word(w, 2), "after") == 0,
				      .gate = (size_t)atoi(word(w, 3))};
	_cleanup_free_ char *text = rest(w, 5);
	const struct cox_rollout_wave_run *run = &s->r->waves.items[p.wave];

	p.attempt = p.after ? run->after.items[p.gate].attempt : run->before.items[p.gate].attempt;
	if (strcmp(word(w, 4), "old") == 0)
		p.attempt--;
	for (size_t i = 0; i < COX_ARRAY_LEN(answers); i++)
		if ((strcmp(answers[i], word(w, 4)) == 0 ||
		     (i == 0 && strcmp("old", word(w, 4)) == 0)) &&
		    !cox_rollout_answer(s->r, &p, i, *text ? text : NULL, s->now_ms))
			tell(s, "nobody waits for that answer");
}

static void do_by_hand(struct story *s, const struct words *w)
{
	have(app(s, word(w, 1)), word(w, 2));
}

static void do_well(struct story *s, const struct words *w)
{
	int64_t ms;

	if (cox_duration_parse(cox_str(word(w, 1)), &ms, NULL) < 0) {
		printf("how long is '%s'?\n", word(w, 1));
		exit(1);
	}
	s->well_ms = s->now_ms - ms;
	for (size_t i = 2; i < w->n; i++)
		one_name(s, "ok", w->w[i]);
	s->well_ms = 0;
}

static void do_kept(struct story *s, const struct words *w)
{
	s->kept = true;
	for (size_t i = 1; i < w->n; i++)
		one_name(s, "ok", w->w[i]);
	s->kept = false;
}

static void do_hold(struct story *s, const struct words *w)
{
	_cleanup_free_ char *text = rest(w, 3);
	int64_t until_ms = COX_ROLLOUT_FOREVER;

	if (strcmp(word(w, 2), "-") != 0)
		(void)cox_time_parse(cox_str(word(w, 2)), &until_ms, NULL);
	cox_rollout_hold(s->r, word(w, 1), text, until_ms, s->now_ms);
}

static void do_commit(struct story *s, const struct words *w)
{
	for (size_t i = 0; i < s->n; i++)
		if (w->n == 2)
			want(&s->apps[i], word(w, 1));
	for (size_t i = 2; i < w->n; i++)
		want(app(s, word(w, i)), word(w, 1));
}

static void do_policy(struct story *s, const struct words *w)
{
	struct cox_error err = COX_ERROR_INIT;

	cox_rollout_plan_fini(&s->plan);
	cox_doc_unref(s->policy);
	s->policy = NULL;
	if (read_yaml(s->dir, word(w, 1), &s->policy, &err) < 0 || read_plan(s, NULL, &err) < 0)
		tell(s, "error: %s", err.message);
}

static void do_label(struct story *s, const struct words *w)
{
	struct app *a = app(s, word(w, 1));
	struct cox_doc *doc = cox_doc_new("labels");
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, word(w, 2), word(w, 3));
	cox_doc_set_root(doc, map);
	cox_doc_unref(a->labels);
	a->labels = cox_doc_seal(doc);
}

static void do_sync(struct story *s, const struct words *w)
{
	struct app *a = app(s, word(w, 1));
	const struct cox_rollout_target *t = cox_rollout_find(s->r, a->name);
	struct cox_error err;
	bool force = strcmp(word(w, 3), "force") == 0;
	int r = cox_rollout_may_sync(s->r, a->name, force, word(w, 2), s->now_ms, &err);

	answered(s, r, &err);
	if (r < 0 || !t || !t->has_digest)
		return;
	tell(s, "%s is synced to %s by hand", a->name, t->revision);
	have(a, t->revision);
	cox_rollout_assigned(s->r, a->name, 1, a->generation, "hand", s->now_ms);
}

/* Those of the other process come to agents that are there: they were away for a moment. */
static void do_restart(struct story *s, const struct words *w)
{
	struct cox_error err = COX_ERROR_INIT;

	if (rows_restart(&s->rows, &s->r, &err) < 0)
		tell(s, "NOT READ BACK: %s", err.message);
	for (size_t i = 0; i < s->n; i++)
		cox_rollout_reach(s->r, s->apps[i].name, false, "its agent is away", s->now_ms);
	for (size_t i = 0; i < s->n && strcmp(word(w, 1), "alone") != 0; i++)
		if (!s->apps[i].offline)
			cox_rollout_reach(s->r, s->apps[i].name, true, NULL, s->now_ms);
}

static void do_digest(struct story *s, const struct words *w)
{
	uint8_t digest[32];
	char hex[65];

	if (!cox_rollout_approval_digest(s->r, wave_by_name(s, word(w, 1)), digest)) {
		tell(s, "nothing waits for an approval there");
		return;
	}
	cox_hex_encode(digest, 32, hex);
	tell(s, "digest of wave %s: %.16s", word(w, 1), hex);
}

static void do_waits(struct story *s, const struct words *w)
{
	_cleanup_free_ char *text = cox_rollout_waits(s->r, word(w, 1));

	tell(s, "%s is %s", word(w, 1), text ? text : "waiting for nothing");
}

static void do_status(struct story *s, const struct words *w)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("status");

	(void)w;
	cox_yaml_write(s->out, cox_rollout_status(s->r, doc));
}

static void do_audit(struct story *s, const struct words *w)
{
	(void)w;
	COX_VEC_EACH (&s->r->audit, a) {
		_cleanup_free_ char *at = time_text(s, a->at_ms);

		tell(s, "audit %s %s %s: %s", at, a->by, a->what, a->text);
	}
}

static void do_super(struct story *s, const struct words *w)
{
	int64_t again_ms;

	(void)w;
	if (cox_rollout_may_supersede(s->r, s->now_ms, &again_ms)) {
		tell(s, "a newer revision may take over");
		return;
	}
	_cleanup_free_ char *at = again_ms == COX_ROLLOUT_FOREVER ? cox_strdup("never by itself")
								  : time_text(s, again_ms);
	tell(s, "a newer revision may not take over; again %s", at);
}

/* Everybody is deleted, one after the other as the planner says. */
static void do_delete(struct story *s, const struct words *w)
{
	static struct cox_rollout_member m[MAX_APPS];
	bool deleting[MAX_APPS] = {false};
	size_t n = members(s, m);

	(void)w;
	while (n > 0) {
		_cleanup_buf_ struct cox_buf names = COX_BUF_INIT;
		cox_rollout_indexes now = {0};
		size_t kept = 0;

		cox_rollout_plan_deletions(&s->plan, m, deleting, n, &now);
		COX_VEC_EACH (&now, i) {
			deleting[*i] = true;
			cox_buf_printf(&names, " %s", m[*i].name);
		}
		tell(s, "deletes%s", cox_buf_cstr(&names));
		cox_vec_clear(&now);
		cox_rollout_plan_deletions(&s->plan, m, deleting, n, &now);
		if (now.n > 0)
			tell(s, "AND MORE AT ONCE");
		cox_vec_fini(&now);
		for (size_t i = 0; i < n; i++)
			if (!deleting[i])
				m[kept++] = m[i];
		if (kept == n)
			return;
		n = kept;
		memset(deleting, 0, sizeof(deleting));
	}
}

static void do_starts(struct story *s, const struct words *w)
{
	s->starts.per_minute = atoi(word(w, 1));
}

static void do_nothing(struct story *s, const struct words *w)
{
	(void)s;
	(void)w;
}

static const struct {
	const char *verb;
	void (*run)(struct story *s, const struct words *w);
} verbs[] = {
	{"pause", do_pause},	{"resume", do_resume},	 {"promote", do_promote},
	{"retry", do_retry},	{"abort", do_abort},	 {"approve", do_approve},
	{"answer", do_answer},	{"hold", do_hold},	 {"commit", do_commit},
	{"sync", do_sync},	{"restart", do_restart}, {"digest", do_digest},
	{"waits", do_waits},	{"status", do_status},	 {"audit", do_audit},
	{"super", do_super},	{"delete", do_delete},	 {"starts", do_starts},
	{"tick", do_nothing},	{"well", do_well},	 {"kept", do_kept},
	{"byhand", do_by_hand}, {"policy", do_policy},	 {"label", do_label},
};

static void event(struct story *s, const struct words *w)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].verb, word(w, 0)) == 0) {
			verbs[i].run(s, w);
			return;
		}
	for (size_t i = 1; i < w->n; i++)
		one_name(s, word(w, 0), w->w[i]);
}

static struct cox_str move_clock(struct story *s, struct cox_str line)
{
	struct cox_str left = line, first;
	int64_t ms;

	if (!cox_str_split(&left, ' ', &first))
		return line;
	if (first.len > 1 && *first.ptr == '+' &&
	    cox_duration_parse(cox_str_n(first.ptr + 1, first.len - 1), &ms, NULL) == 0)
		s->now_ms += ms;
	else if (cox_time_parse(first, &ms, NULL) == 0)
		s->now_ms = ms;
	else
		return line;
	return cox_str_trim(left);
}

static void after_event(struct story *s)
{
	consider(s);
	step(s);
	if (s->waits && s->r->phase != COX_ROLLOUT_PROGRESSING) {
		tell_waves(s);
		consider(s);
		step(s);
	}
	tell_waves(s);
	tell_why(s);
	check_kept(s);
	if (s->wake_ms != COX_ROLLOUT_FOREVER) {
		_cleanup_free_ char *at = time_text(s, s->wake_ms);

		tell(s, "wakes %s", at);
	}
}

static void play(struct story *s, struct cox_str text)
{
	struct cox_str line;

	while (cox_str_split(&text, '\n', &line)) {
		COX_CLEANUP(words_fini) struct words w = {0};

		line = cox_str_trim(line);
		if (line.len == 0 || *line.ptr == '#')
			continue;
		line = move_clock(s, line);
		_cleanup_free_ char *at = time_text(s, s->now_ms);
		cox_buf_printf(s->out, "%s %.*s\n", at, COX_STR_ARG(line));
		split(line, &w);
		event(s, &w);
		after_event(s);
	}
}

static void run_rollout(const char *dir, struct cox_buf *ret_text)
{
	static struct cox_rollout_member m[MAX_APPS];
	COX_CLEANUP(story_fini) struct story s = {.dir = dir, .out = ret_text};
	_cleanup_buf_ struct cox_buf events = COX_BUF_INIT;
	_cleanup_free_ char *path = cox_path_join(dir, "events.txt");
	cox_rollout_problems problems = {0};
	struct cox_error err = COX_ERROR_INIT;
	int r = read_yaml(dir, "clusters.yaml", &s.clusters, &err);

	(void)cox_time_parse(COX_STR("2026-03-02T08:00:00Z"), &s.start_ms, NULL);
	s.now_ms = s.start_ms;
	if (r == 0 && read_yaml(dir, "policy.yaml", &s.policy, &err) == -COX_NOT_FOUND)
		err = COX_ERROR_INIT;
	if (r == 0 && err.code != 0)
		r = -err.code;
	if (r == 0)
		r = read_plan(&s, &problems, &err);
	COX_VEC_EACH (&problems, p) {
		cox_buf_printf(ret_text, "problem: %s\n", *p);
		free(*p);
	}
	cox_vec_fini(&problems);
	if (r < 0) {
		cox_buf_printf(ret_text, "error: %s\n", err.message);
		return;
	}
	read_apps(&s);
	new_rollout(&s, m, members(&s, m));
	after_event(&s);
	if (cox_file_read(path, 1 << 20, &events, &err) == 0)
		play(&s, cox_buf_str(&events));
}

int main(int argc, char *argv[])
{
	return golden_run("tests/golden/rollout", argc > 1 ? argv[1] : NULL, run_rollout);
}
