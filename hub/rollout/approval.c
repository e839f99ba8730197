/* What an approval is bound to: exactly what will change. */
#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "hub/rollout/internal.h"

#define NAMES_SHOWN 5 /* of the approvers, in a gate's message */

bool rollout_needs_approval(const struct cox_rollout *r, size_t wave)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[wave];

	for (size_t i = 0; i < w->before.n; i++)
		if (w->before.items[i].kind == COX_GATE_APPROVAL)
			return true;
	return false;
}

/* Before the wave: what has yet to move and nobody approved. After it: what it moved. */
static bool counts(const struct cox_rollout_target *t, bool after)
{
	if (after)
		return t->moved && !t->late && t->has_digest;
	return t->state == COX_TARGET_WAITING && !t->approved;
}

bool rollout_approval_digest(const struct cox_rollout *r, size_t wave, bool after,
			     uint8_t ret_digest[COX_ROLLOUT_DIGEST])
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	char hex[2 * COX_ROLLOUT_DIGEST + 1];
	bool any = false;

	cox_buf_puts(&text, after ? "after\n" : "before\n");
	COX_VEC_EACH (&r->targets, t) {
		if (t->wave != (int)wave || !counts(t, after))
			continue;
		cox_hex_encode(t->digest, sizeof(t->digest), hex);
		cox_buf_printf(&text, "%s %s %s\n", t->uid, t->cluster ? t->cluster : "-", hex);
		any = true;
	}
	if (any)
		cox_sha256(cox_buf_str(&text), ret_digest);
	return any;
}

static bool awaits(const struct cox_rollout *r, size_t wave, bool after)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[wave];
	const struct cox_rollout_wave_run *run = &r->waves.items[wave];

	if (!after)
		return rollout_needs_approval(r, wave);
	for (size_t i = 0; i < w->after.n; i++)
		if (w->after.items[i].kind == COX_GATE_APPROVAL &&
		    run->after.items[i].state <= COX_GATE_RUNNING && run->phase == COX_WAVE_AFTER)
			return true;
	return false;
}

bool cox_rollout_approval_digest(const struct cox_rollout *r, size_t wave,
				 uint8_t ret_digest[COX_ROLLOUT_DIGEST])
{
	if (wave >= r->waves.n || !rollout_is_live(r))
		return false;
	for (int after = 0; after <= 1; after++)
		if (awaits(r, wave, after) && rollout_approval_digest(r, wave, after, ret_digest))
			return true;
	return false;
}

/* The person: "admin (says ann)" and "admin (says bob)" are one. */
static struct cox_str identity(const char *by)
{
	const char *hearsay = strstr(by, " (says ");

	return hearsay ? cox_str_n(by, (size_t)(hearsay - by)) : cox_str(by);
}

static bool may_approve(const struct cox_rollout_gate *gate, const char *by)
{
	const struct cox_node *list = cox_node_get(gate->spec, "approvers");

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_eq(cox_node_str(cox_node_at(list, i)), identity(by)))
			return true;
	return cox_node_len(list) == 0;
}

size_t rollout_approvals(const struct cox_rollout_wave_run *run,
			 const struct cox_rollout_gate *gate,
			 const uint8_t digest[COX_ROLLOUT_DIGEST], struct cox_buf *names)
{
	_cleanup_map_ struct cox_map people = COX_MAP_INIT;

	COX_VEC_EACH (&run->approvals, a) {
		_cleanup_free_ char *who = cox_str_dup(identity(a->by));

		if (memcmp(a->digest, digest, COX_ROLLOUT_DIGEST) != 0 ||
		    cox_map_has(&people, who) || !may_approve(gate, a->by))
			continue;
		cox_map_set(&people, who, a);
		if (names)
			cox_buf_printf(names, "%s%s", names->len ? ", " : "", a->by);
	}
	return people.n;
}

/* Who joins when the gate is behind the wave needs an approval of his own. */
static void approve_stragglers(struct cox_rollout *r, size_t wave)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[wave];
	struct cox_rollout_wave_run *run = &r->waves.items[wave];
	uint8_t digest[COX_ROLLOUT_DIGEST];

	if (!rollout_approval_digest(r, wave, false, digest))
		return;
	for (size_t i = 0; i < w->before.n; i++) {
		const struct cox_rollout_gate *g = &w->before.items[i];

		if (g->kind != COX_GATE_APPROVAL ||
		    run->before.items[i].state <= COX_GATE_RUNNING ||
		    (int64_t)rollout_approvals(run, g, digest, NULL) < g->approvals)
			continue;
		COX_VEC_EACH (&r->targets, t)
			if (t->wave == (int)wave && t->state == COX_TARGET_WAITING)
				rollout_edit(r, t)->approved = true;
	}
}

static void add_approval(struct cox_rollout_wave_run *run, const char *by,
			 const uint8_t digest[COX_ROLLOUT_DIGEST], int64_t now_ms)
{
	struct cox_rollout_approval new = {.by = cox_strdup(by), .at_ms = now_ms};

	memcpy(new.digest, digest, sizeof(new.digest));
	/* Those for what was to change before count for nothing any more. */
	for (size_t i = run->approvals.n; i-- > 0;) {
		const struct cox_rollout_approval *a = &run->approvals.items[i];

		if (memcmp(a->digest, digest, sizeof(a->digest)) == 0 &&
		    !cox_str_eq(identity(a->by), identity(by)))
			continue;
		free(a->by);
		cox_vec_remove(&run->approvals, i);
	}
	cox_vec_push(&run->approvals, new);
}

static void wanted(const struct cox_rollout *r, struct cox_buf *out)
{
	uint8_t digest[COX_ROLLOUT_DIGEST];
	char hex[2 * COX_ROLLOUT_DIGEST + 1];

	for (size_t i = 0; i < r->waves.n; i++) {
		if (!cox_rollout_approval_digest(r, i, digest))
			continue;
		cox_hex_encode(digest, sizeof(digest), hex);
		cox_buf_printf(out, "%swave '%s' is %s", out->len ? ", " : "",
			       r->plan.waves.items[i].name, hex);
		return;
	}
}

/* The gate that waits for what the wave's digest names; there is one in a list. */
static const struct cox_rollout_gate *gate_of(const struct cox_rollout *r, size_t wave,
					      struct cox_rollout_probe *ret_at)
{
	uint8_t digest[COX_ROLLOUT_DIGEST];
	struct cox_rollout_probe at = {.wave = wave};
	const struct cox_rollout_gate *gate;

	at.after = !rollout_needs_approval(r, wave) ||
		   !rollout_approval_digest(r, wave, false, digest);
	for (; (gate = cox_rollout_gate(r, &at)); at.gate++)
		if (gate->kind == COX_GATE_APPROVAL)
			break;
	*ret_at = at;
	return gate;
}

char *rollout_approved_text(const struct cox_rollout_gate *gate, const char *names, size_t n)
{
	const struct cox_node *list = cox_node_get(gate->spec, "approvers");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (n > 0)
		cox_buf_printf(&text, "approved by %s", names);
	else
		cox_buf_puts(&text, "nobody has approved it yet");
	if (n > 0 || gate->approvals > 1 || cox_node_len(list) > 0)
		cox_buf_printf(&text, "; %zu of %lld", n, (long long)gate->approvals);
	for (size_t i = 0; i < cox_node_len(list); i++)
		cox_buf_printf(&text, "%s%s",
			       i ? ", " : ", who may: ", cox_node_cstr(cox_node_at(list, i), ""));
	return cox_buf_take(&text);
}

/* What the gate says until it is looked at again: whoever approves sees at once that it counts. */
static void tell_gate(struct cox_rollout *r, size_t wave, const uint8_t digest[COX_ROLLOUT_DIGEST],
		      int64_t now_ms)
{
	struct cox_rollout_probe at;
	const struct cox_rollout_gate *gate = gate_of(r, wave, &at);
	struct cox_rollout_gate_run *run = gate ? rollout_gate_run(r, &at) : NULL;
	_cleanup_buf_ struct cox_buf names = COX_BUF_INIT;
	size_t n;

	if (!run || run->state != COX_GATE_RUNNING)
		return;
	n = rollout_approvals(&r->waves.items[wave], gate, digest, &names);
	rollout_gate_set(run, COX_GATE_RUNNING,
			 rollout_approved_text(gate, cox_buf_cstr(&names), n), now_ms);
}

static int check_approver(const struct cox_rollout *r, size_t wave, const char *by,
			  struct cox_error *err)
{
	struct cox_rollout_probe at;
	const struct cox_rollout_gate *gate = gate_of(r, wave, &at);
	const struct cox_node *list = gate ? cox_node_get(gate->spec, "approvers") : NULL;
	_cleanup_buf_ struct cox_buf names = COX_BUF_INIT;

	if (!gate || may_approve(gate, by))
		return 0;
	for (size_t i = 0; i < cox_node_len(list); i++)
		cox_buf_printf(&names, "%s'%s'", names.len ? ", " : "",
			       cox_node_cstr(cox_node_at(list, i), ""));
	return cox_error(err, COX_PERMISSION_DENIED,
			 "'%s' is none of the approvers of wave '%s': %s", by,
			 r->plan.waves.items[wave].name, cox_buf_cstr(&names));
}

int cox_rollout_approve(struct cox_rollout *r, const char *by,
			const uint8_t digest[COX_ROLLOUT_DIGEST], int64_t now_ms,
			struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf said = COX_BUF_INIT;
	uint8_t want[COX_ROLLOUT_DIGEST];
	char hex[2 * COX_ROLLOUT_DIGEST + 1];

	rollout_clock(r, now_ms);
	cox_hex_encode(digest, COX_ROLLOUT_DIGEST, hex);
	for (size_t i = 0; i < r->waves.n; i++) {
		if (!cox_rollout_approval_digest(r, i, want) ||
		    memcmp(want, digest, sizeof(want)) != 0)
			continue;
		if (check_approver(r, i, by, err) < 0)
			return -err->code;
		add_approval(&r->waves.items[i], by, digest, now_ms);
		rollout_record(r, by, "approve", now_ms, "wave '%s', %s",
			       r->plan.waves.items[i].name, hex);
		tell_gate(r, i, digest, now_ms);
		approve_stragglers(r, i);
		return 0;
	}
	wanted(r, &said);
	if (said.len == 0)
		return cox_error(err, COX_FAILED_PRECONDITION, "nothing waits for an approval");
	return cox_error(err, COX_FAILED_PRECONDITION, "%.12s… is not what would change now: %s",
			 hex, cox_buf_cstr(&said));
}
