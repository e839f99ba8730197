#include "hub/cli/picture.h"

#include "common/base/clock.h"
#include "common/base/vec.h"
#include "hub/cli/output.h"
#include "hub/cli/width.h"

#include <stdlib.h>

#define BAR_MIN	      8
#define BAR_MAX	      40
#define WHY_LINES     3
#define LINES_FOR_WHY 10 /* of the picture, for each further one of those */
#define WAVES_ALWAYS  6	 /* so few are all shown, if they fit at all */

enum state { HEALTHY, MOVING, FAILED, BLOCKED, AWAY, WAITING, N_STATES };

/* In the order in which bars show them. */
static const struct {
	const char *word;   /* of a sum */
	const char *named;  /* as the document says it; NULL: not a state of its own */
	const char *colour; /* the word whose colour it has */
	const char *cell, *plain;
	int rank; /* which targets are shown first */
} states[] = {
	[HEALTHY] = {"healthy", "Healthy", "Healthy", "█", "#", 5},
	[MOVING] = {"moving", "Moving", "Moving", "▓", ">", 2},
	[FAILED] = {"failed", "Failed", "Failed", "▞", "x", 0},
	[BLOCKED] = {"blocked", "Blocked", "Blocked", "▚", "!", 1},
	[AWAY] = {"away", NULL, "Unknown", "╌", "~", 3},
	[WAITING] = {"waiting", "Waiting", "Waiting", "░", ".", 4},
};
#define LAST_URGENT 2 /* rank: up to here a target wants to be looked at */

static const char *text_at(const struct cox_node *node, const char *a, const char *b)
{
	return cox_node_cstr(b ? COX_GET(node, a, b) : COX_GET(node, a), "");
}

static int64_t time_at(const struct cox_node *node, const char *key)
{
	struct cox_str text = cox_node_str(cox_node_get(node, key));
	int64_t ms = 0;

	return text.len && cox_time_parse(text, &ms, NULL) == 0 ? ms : 0;
}

/* ---- lines ---- */

struct line {
	struct cox_buf *out;
	const struct cli_picture_style *style;
	size_t used;
};

static void put_columns(struct line *l, const char *word, const char *text, size_t columns,
			bool pad)
{
	size_t room = l->style->width - l->used, took;
	int colour = word && l->style->colour ? cli_word_colour(word) : 0;

	columns = columns < room ? columns : room;
	if (columns == 0)
		return;
	if (colour)
		cox_buf_printf(l->out, "\033[%dm", colour);
	took = cli_text_fit(l->out, text, columns, l->style->unicode);
	if (colour)
		cox_buf_puts(l->out, "\033[0m");
	for (; pad && took < columns; took++)
		cox_buf_putc(l->out, ' ');
	l->used += took;
}

/* In the colour of a word of state; NULL: in none. */
static void put(struct line *l, const char *word, const char *text)
{
	put_columns(l, word, text, SIZE_MAX, false);
}

/* A column of its own, with a space behind it. */
static void put_cell(struct line *l, const char *word, const char *text, size_t columns)
{
	put_columns(l, word, text, columns, true);
	put(l, NULL, " ");
}

static void put_bold(struct line *l, const char *text)
{
	if (l->style->colour)
		cox_buf_puts(l->out, "\033[1m");
	put(l, NULL, text);
	if (l->style->colour)
		cox_buf_puts(l->out, "\033[0m");
}

static void end_line(struct line *l)
{
	while (l->out->len && l->out->ptr[l->out->len - 1] == ' ')
		l->out->ptr[--l->out->len] = 0;
	cox_buf_putc(l->out, '\n');
	l->used = 0;
}

/* ---- what is known of a wave ---- */

struct target {
	const struct cox_node *node;
	enum state state;
	size_t place;
};

struct block {
	const struct cox_node *wave;
	size_t counts[N_STATES], n_urgent;
	COX_VEC(struct target) targets; /* those that are shown first come first */
	size_t n_before, n_gates, n_live;
	size_t gates, shown; /* lines that they get */
	bool is_open, is_done, all_gates;
};
typedef COX_VEC(struct block) blocks;

static enum state state_of(const struct cox_node *target)
{
	const char *word = text_at(target, "state", NULL);
	bool away = cox_node_bool(COX_GET(target, "offline"), false);
	enum state found = WAITING;

	for (int s = 0; s < N_STATES; s++)
		if (states[s].named && strcmp(states[s].named, word) == 0)
			found = s;
	return away && found != FAILED && found != BLOCKED ? AWAY : found;
}

static int by_rank(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	if (states[x->state].rank != states[y->state].rank)
		return states[x->state].rank - states[y->state].rank;
	return x->place < y->place ? -1 : x->place > y->place;
}

static const struct cox_node *gate_at(const struct block *b, size_t i)
{
	return i < b->n_before ? cox_node_at(COX_GET(b->wave, "before"), i)
			       : cox_node_at(COX_GET(b->wave, "after"), i - b->n_before);
}

/* Looked at now, or in the way. */
static bool is_live(const struct cox_node *gate)
{
	const char *state = text_at(gate, "state", NULL);

	return strcmp(state, "Running") == 0 || strcmp(state, "Failed") == 0;
}

static void read_block(struct block *b, const struct cox_node *wave)
{
	const struct cox_node *targets = COX_GET(wave, "targets");

	*b = (struct block){.wave = wave};
	b->is_open = strcmp(text_at(wave, "state", NULL), "Open") == 0;
	b->is_done = strcmp(text_at(wave, "state", NULL), "Done") == 0;
	b->n_before = cox_node_len(COX_GET(wave, "before"));
	b->n_gates = b->n_before + cox_node_len(COX_GET(wave, "after"));
	for (size_t i = 0; i < b->n_gates; i++)
		b->n_live += is_live(gate_at(b, i));
	for (size_t i = 0; i < cox_node_len(targets); i++) {
		const struct cox_node *node = cox_node_at(targets, i);
		enum state state = state_of(node);

		b->counts[state]++;
		b->n_urgent += states[state].rank <= LAST_URGENT;
		cox_vec_push(&b->targets,
			     (struct target){.node = node, .state = state, .place = i});
	}
	cox_vec_sort(&b->targets, by_rank);
}

static void blocks_fini(blocks *v)
{
	COX_VEC_EACH (v, b)
		cox_vec_fini(&b->targets);
	cox_vec_fini(v);
}

/* ---- who gets how many lines ---- */

struct picture {
	struct line l;
	const struct cox_node *rollout;
	blocks blocks;
	size_t first, last; /* waves that are shown */
	size_t name, gate, bar, target[2];
	size_t audit;
	bool unplanned;
	bool airy;
};

static size_t take(size_t *left, size_t want)
{
	size_t n = want < *left ? want : *left;

	*left -= n;
	return n;
}

/* So many of the wave's targets, and a line that says how many more there are. */
static size_t cost(const struct block *b, size_t shown)
{
	return shown + (shown > 0 && shown < b->targets.n);
}

static void give_targets(struct block *b, size_t want, size_t *left)
{
	size_t have = cost(b, b->shown);

	for (want = want < b->targets.n ? want : b->targets.n; want > b->shown; want--)
		if (cost(b, want) <= have + *left) {
			*left += have;
			*left -= cost(b, want);
			b->shown = want;
			return;
		}
}

static void give_live_gates(struct block *b, size_t *left)
{
	b->gates = take(left, b->n_live);
}

static void give_gates(struct block *b, size_t *left)
{
	size_t more = b->n_gates - b->gates;

	if (b->gates < b->n_live || more > *left)
		return;
	*left -= more;
	b->gates = b->n_gates;
	b->all_gates = true;
}

static void give_urgent(struct block *b, size_t *left)
{
	size_t most = b->n_urgent < CLI_PICTURE_MANY ? b->n_urgent : CLI_PICTURE_MANY;

	give_targets(b, most, left);
}

static void give_few(struct block *b, size_t *left)
{
	if (b->targets.n <= CLI_PICTURE_FEW)
		give_targets(b, b->targets.n, left);
}

/* The open wave first, then the others in their order. */
static void each(struct picture *p, void (*give)(struct block *b, size_t *left), size_t *left)
{
	for (int open = 1; open >= 0; open--)
		for (size_t i = p->first; i < p->last; i++)
			if (p->blocks.items[i].is_open == (open == 1))
				give(&p->blocks.items[i], left);
}

/* ---- bars ---- */

static int largest(const size_t shares[N_STATES])
{
	int best = 0;

	for (int s = 1; s < N_STATES; s++)
		if (shares[s] > shares[best])
			best = s;
	return best;
}

/* Who is the farthest below his share. */
static int poorest(const struct block *b, size_t cells, const size_t shares[N_STATES])
{
	int64_t most = INT64_MIN;
	int best = 0;

	for (int s = 0; s < N_STATES; s++) {
		int64_t lacks =
			(int64_t)(b->counts[s] * cells) - (int64_t)(shares[s] * b->targets.n);

		if (lacks > most) {
			most = lacks;
			best = s;
		}
	}
	return best;
}

/* Each state that occurs has a cell at least: one that has failed is not to be missed among five
 * hundred. */
static void share_out(const struct block *b, size_t cells, size_t ret[N_STATES])
{
	size_t left = cells;

	for (int s = 0; s < N_STATES; s++) {
		ret[s] = b->targets.n ? b->counts[s] * cells / b->targets.n : 0;
		left -= ret[s];
	}
	for (; left > 0 && b->targets.n > 0; left--)
		ret[poorest(b, cells, ret)]++;
	for (int s = 0; s < N_STATES; s++)
		if (b->counts[s] > 0 && ret[s] == 0 && ret[largest(ret)] > 1) {
			ret[largest(ret)]--;
			ret[s] = 1;
		}
}

static void put_bar(struct line *l, const struct block *b, size_t cells)
{
	size_t shares[N_STATES];

	share_out(b, cells, shares);
	for (int s = 0; s < N_STATES; s++) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		for (size_t i = 0; i < shares[s]; i++)
			cox_buf_puts(&text, l->style->unicode ? states[s].cell : states[s].plain);
		if (text.len)
			put(l, states[s].colour, cox_buf_cstr(&text));
	}
	if (b->targets.n == 0)
		put_columns(l, NULL, "", cells, true);
}

static void sum(const size_t counts[N_STATES], bool healthy_too, struct cox_buf *out)
{
	for (int s = healthy_too ? HEALTHY : HEALTHY + 1; s < N_STATES; s++)
		if (counts[s] > 0)
			cox_buf_printf(out, "%s%zu %s", out->len ? ", " : "", counts[s],
				       states[s].word);
}

static void wave_sum(const struct block *b, struct cox_buf *out)
{
	static const struct {
		const char *phase, *text;
	} phases[] = {{"Before", "at its gates before"}, {"After", "at its gates after"}};
	const char *phase = text_at(b->wave, "phase", NULL);

	if (b->targets.n == 0)
		cox_buf_puts(out, "nobody");
	else
		cox_buf_printf(out, "%zu/%zu healthy", b->counts[HEALTHY], b->targets.n);
	sum(b->counts, false, out);
	for (size_t i = 0; b->is_open && i < COX_ARRAY_LEN(phases); i++)
		if (strcmp(phases[i].phase, phase) == 0)
			cox_buf_printf(out, "; %s", phases[i].text);
}

static const char *mark(const struct cli_picture_style *style, const char *fine, const char *plain)
{
	return style->unicode ? fine : plain;
}

static void put_wave(struct line *l, const struct block *b, size_t name, size_t bar)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const char *sign = b->is_done	? mark(l->style, "✔", "+")
			   : b->is_open ? mark(l->style, "▶", ">")
					: mark(l->style, "○", "o");

	put_cell(l, text_at(b->wave, "state", NULL), sign, 1);
	put_cell(l, NULL, text_at(b->wave, "name", NULL), name);
	put_bar(l, b, bar);
	wave_sum(b, &text);
	put(l, NULL, " ");
	put(l, NULL, cox_buf_cstr(&text));
	end_line(l);
}

/* ---- gates ---- */

static void span(struct cox_buf *out, const char *before, int64_t ms, const char *after)
{
	char text[COX_TIME_TEXT_MAX];

	cox_duration_human(ms > 0 ? ms : 0, text);
	cox_buf_printf(out, "%s%s%s%s", out->len ? ", " : "", before, text, after);
}

/* What happens next, and when; or when it happened. */
static void gate_when(const struct cox_node *gate, int64_t now_ms, struct cox_buf *out)
{
	const char *kind = text_at(gate, "kind", NULL), *state = text_at(gate, "state", NULL);
	int64_t next = time_at(gate, "next"), answered = time_at(gate, "answeredAt");
	int64_t since = time_at(gate, "since");
	bool runs = strcmp(state, "Running") == 0, window = strcmp(kind, "window") == 0;
	bool asks = strcmp(kind, "http") == 0 || strcmp(kind, "metrics") == 0 ||
		    strcmp(kind, "job") == 0;

	if (asks && runs && answered)
		span(out, "answered ", now_ms - answered, " ago");
	if (next > 0 && window)
		span(out, runs ? "opens in " : "closes in ", next - now_ms, "");
	else if (next > 0 && runs)
		span(out, asks ? "next try in " : "ends in ", next - now_ms, "");
	else if (asks && runs)
		cox_buf_printf(out, "%sasking now", out->len ? ", " : "");
	else if (!runs && since && strcmp(state, "Pending") != 0)
		span(out, "", now_ms - since, " ago");
}

static void put_gate(struct line *l, const struct cox_node *gate, bool before, size_t name)
{
	const char *state = text_at(gate, "state", NULL), *message = text_at(gate, "message", NULL);
	const char *by = text_at(gate, "by", NULL), *kind = text_at(gate, "kind", NULL);
	_cleanup_buf_ struct cox_buf when = COX_BUF_INIT, rest = COX_BUF_INIT;

	put(l, NULL, l->style->width < 60 ? "  " : "    ");
	put_cell(l, "Waiting", before ? "before" : "after", 6);
	put_cell(l, NULL, text_at(gate, "name", NULL), name);
	put_cell(l, state, state, 7);
	gate_when(gate, l->style->now_ms, &when);
	if (strcmp(kind, text_at(gate, "name", NULL)) != 0)
		cox_buf_printf(&rest, "(%s) ", kind);
	if (*by)
		cox_buf_printf(&rest, "by %s%s", by, *message || when.len ? ", " : "");
	/* the time first: it is what a narrow terminal must not cut off */
	cox_buf_printf(&rest, "%s%s%s", cox_buf_cstr(&when), when.len && *message ? ": " : "",
		       message);
	put(l, NULL, cox_buf_cstr(&rest));
	end_line(l);
}

static void put_gates(struct line *l, const struct block *b, size_t name)
{
	size_t left = b->gates;

	for (size_t i = 0; i < b->n_gates && left > 0; i++) {
		const struct cox_node *gate = gate_at(b, i);

		if (!b->all_gates && !is_live(gate))
			continue;
		put_gate(l, gate, i < b->n_before, name);
		left--;
	}
}

/* ---- targets ---- */

/* Without the namespace that they all share. */
static const char *short_name(const struct cox_node *target, const char *namespace)
{
	const char *name = text_at(target, "application", NULL);
	size_t n = strlen(namespace);

	return n && strncmp(name, namespace, n) == 0 && name[n] == '/' ? name + n + 1 : name;
}

static void put_marks(const struct cox_node *target, struct cox_buf *out)
{
	static const char *const marks[] = {"late", "forced", "excused", "barred"};
	bool away = cox_node_bool(COX_GET(target, "offline"), false);

	for (size_t i = 0; i < COX_ARRAY_LEN(marks); i++)
		if (cox_node_bool(cox_node_get(target, marks[i]), false))
			cox_buf_printf(out, "%s%s", out->len ? ", " : "(", marks[i]);
	if (away)
		cox_buf_printf(out, "%saway", out->len ? ", " : "(");
	if (out->len)
		cox_buf_puts(out, ") ");
}

static void put_target(struct line *l, const struct target *t, const char *namespace,
		       const size_t widths[2])
{
	const char *state = text_at(t->node, "state", NULL);
	_cleanup_buf_ struct cox_buf rest = COX_BUF_INIT, age = COX_BUF_INIT;
	int64_t since = time_at(t->node, "since");

	if (since)
		span(&age, "", l->style->now_ms - since, "");
	put(l, NULL, l->style->width < 60 ? "  " : "    ");
	put_cell(l, state, state, 7);
	put_cell(l, NULL, cox_buf_cstr(&age), 6);
	put_cell(l, NULL, short_name(t->node, namespace), widths[0]);
	put_cell(l, NULL, text_at(t->node, "cluster", NULL), widths[1]);
	put_marks(t->node, &rest);
	cox_buf_puts(&rest, text_at(t->node, "message", NULL));
	put(l, NULL, cox_buf_cstr(&rest));
	end_line(l);
}

static void put_targets(struct line *l, const struct block *b, const char *namespace,
			const size_t widths[2])
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT, kinds = COX_BUF_INIT;
	size_t counts[N_STATES] = {0}, n_kinds = 0;

	for (size_t i = 0; i < b->shown; i++)
		put_target(l, &b->targets.items[i], namespace, widths);
	if (b->shown == 0 || b->shown == b->targets.n)
		return;
	for (size_t i = b->shown; i < b->targets.n; i++)
		n_kinds += counts[b->targets.items[i].state]++ == 0;
	sum(counts, true, &kinds);
	cox_buf_printf(&text, "%s%s and ", l->style->width < 60 ? "  " : "    ",
		       mark(l->style, "…", ".."));
	if (n_kinds == 1) /* "480 more waiting" */
		cox_buf_printf(&text, "%zu more %s", b->targets.n - b->shown,
			       states[b->targets.items[b->shown].state].word);
	else
		cox_buf_printf(&text, "%zu more: %s", b->targets.n - b->shown,
			       cox_buf_cstr(&kinds));
	put(l, NULL, cox_buf_cstr(&text));
	end_line(l);
}

/* ---- above and below ---- */

static void put_title(struct line *l, const struct cox_node *r)
{
	const char *policy = text_at(r, "policy", NULL), *next = text_at(r, "next", NULL);
	char revision[16], short_next[16];

	put_bold(l, text_at(r, "owner", "name"));
	put(l, NULL, " at ");
	put_bold(l, cli_short_revision(text_at(r, "revision", NULL), revision));
	if (*text_at(r, "reverses", NULL))
		put(l, "Moving", ", the way back");
	if (*policy) {
		put(l, NULL, ", policy ");
		put(l, NULL, policy);
	}
	if (*next) {
		put(l, "Moving", ", then ");
		put(l, "Moving", cli_short_revision(next, short_next));
	}
	end_line(l);
}

static void put_phase(struct line *l, const struct cox_node *r)
{
	const char *phase = text_at(r, "phase", NULL);
	const char *reason = text_at(r, "reason", NULL), *back = text_at(r, "reversedBy", NULL);
	int64_t start = time_at(r, "startedAt"), end = time_at(r, "finishedAt");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	put(l, phase, phase);
	if (start)
		span(&text, end ? " after " : " for ", (end ? end : l->style->now_ms) - start, "");
	if (*reason)
		cox_buf_printf(&text, ": %s", reason);
	if (*back)
		cox_buf_printf(&text, "; taken back by rollout %.8s", back);
	put(l, NULL, cox_buf_cstr(&text));
	end_line(l);
}

static void put_paused(struct line *l, const struct cox_node *r)
{
	const struct cox_node *paused = COX_GET(r, "paused");
	const char *by = text_at(paused, "by", NULL), *message = text_at(paused, "message", NULL);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int64_t since = time_at(paused, "since");

	if (*by)
		cox_buf_printf(&text, "by %s", by);
	if (since)
		span(&text, "for ", l->style->now_ms - since, "");
	if (*message)
		cox_buf_printf(&text, ": %s", message);
	put(l, "Blocked", "Paused ");
	put(l, NULL, cox_buf_cstr(&text));
	end_line(l);
}

static void why_text(const struct cox_node *why, int64_t now_ms, struct cox_buf *out)
{
	_cleanup_buf_ struct cox_buf times = COX_BUF_INIT;
	int64_t since = time_at(why, "since"), until = time_at(why, "until");

	cox_buf_puts(out, "Waits: ");
	if (*text_at(why, "wave", NULL))
		cox_buf_printf(out, "wave '%s': ", text_at(why, "wave", NULL));
	cox_buf_puts(out, text_at(why, "message", NULL));
	if (since)
		span(&times, "for ", now_ms - since, "");
	if (until)
		span(&times, "until in ", until - now_ms, "");
	if (times.len)
		cox_buf_printf(out, " (%s)", cox_buf_cstr(&times));
}

/* Where to break a text that is too wide: behind the last space that fits, else where it must. */
static size_t break_at(const char *text, const struct cli_picture_style *style)
{
	size_t space = 0, n = 0;

	for (; text[n]; n++) {
		_cleanup_free_ char *head = NULL;

		if (text[n] != ' ')
			continue;
		head = cox_str_dup(cox_str_n(text, n));
		if (cli_text_columns(head, style->unicode) > style->width)
			break;
		space = n;
	}
	return text[n] == 0 && cli_text_columns(text, style->unicode) <= style->width ? n : space;
}

static size_t put_wrapped(struct line *l, const char *text, size_t lines)
{
	size_t n = 0;

	while (*text && n < lines) {
		size_t at = break_at(text, l->style);
		_cleanup_free_ char *head = cox_str_dup(cox_str_n(text, at));
		bool last = ++n == lines || at == 0;

		put(l, NULL, last ? text : head);
		end_line(l);
		if (last)
			return n;
		text += at;
		while (*text == ' ')
			text++;
	}
	return n;
}

/* Gives the lines that it took. */
static size_t put_head(struct line *l, const struct cox_node *r, size_t lines)
{
	const struct cox_node *why = COX_GET(r, "why");
	size_t used = 2;

	put_title(l, r);
	if (lines < 2)
		return 1;
	put_phase(l, r);
	if (COX_GET(r, "paused") && used < lines) {
		put_paused(l, r);
		return used + 1;
	}
	if (*text_at(why, "message", NULL) && used < lines) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
		/* on a low terminal the gates and targets below are more to the point */
		size_t most = 1 + lines / LINES_FOR_WHY;

		most = most < WHY_LINES ? most : WHY_LINES;
		why_text(why, l->style->now_ms, &text);
		used += put_wrapped(l, cox_buf_cstr(&text), most);
	}
	return used;
}

static void put_audit(struct line *l, const struct cox_node *audit, size_t n)
{
	for (size_t i = cox_node_len(audit) - n; i < cox_node_len(audit); i++) {
		const struct cox_node *a = cox_node_at(audit, i);
		_cleanup_buf_ struct cox_buf age = COX_BUF_INIT, text = COX_BUF_INIT;
		int64_t at = time_at(a, "at");

		if (at)
			span(&age, "", l->style->now_ms - at, " ago");
		put_cell(l, "Waiting", cox_buf_cstr(&age), 10);
		cox_buf_printf(&text, "%s by %s", text_at(a, "what", NULL), text_at(a, "by", NULL));
		if (*text_at(a, "text", NULL))
			cox_buf_printf(&text, ": %s", text_at(a, "text", NULL));
		put(l, NULL, cox_buf_cstr(&text));
		end_line(l);
	}
}

/* ---- the whole ---- */

static size_t widest(size_t so_far, const char *text, bool unicode, size_t most)
{
	size_t n = cli_text_columns(text, unicode);

	n = n < most ? n : most;
	return n > so_far ? n : so_far;
}

static void measure(struct picture *p)
{
	const struct cli_picture_style *style = p->l.style;
	const char *namespace = text_at(p->rollout, "owner", "namespace");
	size_t sums = 0, w = style->width, fixed;

	for (size_t i = p->first; i < p->last; i++) {
		const struct block *b = &p->blocks.items[i];
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		wave_sum(b, &text);
		sums = widest(sums, cox_buf_cstr(&text), style->unicode, w);
		p->name = widest(p->name, text_at(b->wave, "name", NULL), style->unicode, w / 4);
		for (size_t k = 0; k < b->n_gates; k++)
			p->gate = widest(p->gate, text_at(gate_at(b, k), "name", NULL),
					 style->unicode, w / 4);
		for (size_t k = 0; k < b->shown; k++) {
			const struct cox_node *t = b->targets.items[k].node;

			p->target[0] = widest(p->target[0], short_name(t, namespace),
					      style->unicode, w / 3);
			p->target[1] = widest(p->target[1], text_at(t, "cluster", NULL),
					      style->unicode, w / 4);
		}
	}
	fixed = 2 + p->name + 1 + 1 + sums;
	p->bar = w > fixed + BAR_MIN ? w - fixed : BAR_MIN;
	p->bar = p->bar < BAR_MAX ? p->bar : BAR_MAX;
}

/* Those around the open one, when there are more waves than lines for them and for what is said of
 * them. */
static void choose_waves(struct picture *p, size_t *left)
{
	size_t n = p->blocks.n, open = n, room = *left - *left / 2;

	p->last = n;
	if (n > *left || (n > WAVES_ALWAYS && n > room)) {
		for (size_t i = n; i-- > 0;)
			if (!p->blocks.items[i].is_done)
				open = i;
		room = room > 3 ? room - 2 : 1;
		p->first = open > room / 3 ? open - room / 3 : 0;
		p->first = p->first + room > n ? n - room : p->first;
		p->last = p->first + room;
	}
	(void)take(left, p->last - p->first);
	(void)take(left, (p->first > 0) + (p->last < n));
}

static void share_lines(struct picture *p, size_t left)
{
	size_t n_audit = cox_node_len(COX_GET(p->rollout, "audit"));

	choose_waves(p, &left);
	each(p, give_live_gates, &left);
	each(p, give_urgent, &left);
	p->unplanned = cox_node_len(COX_GET(p->rollout, "unplanned")) > 0 && take(&left, 1) == 1;
	p->audit = take(&left, n_audit < CLI_PICTURE_AUDIT ? n_audit : CLI_PICTURE_AUDIT);
	each(p, give_gates, &left);
	each(p, give_few, &left);
	p->airy = left > p->last - p->first + 1;
}

static void put_unplanned(struct line *l, const struct cox_node *targets)
{
	size_t n = cox_node_len(targets), shown = n < 5 ? n : 5;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	cox_buf_puts(&text, "in no wave: ");
	for (size_t i = 0; i < shown; i++)
		cox_buf_printf(&text, "%s%s", i ? ", " : "",
			       text_at(cox_node_at(targets, i), "application", NULL));
	if (shown < n)
		cox_buf_printf(&text, " and %zu more", n - shown);
	put(l, "Blocked", cox_buf_cstr(&text));
	end_line(l);
}

static void put_waves(struct picture *p)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const char *dots = mark(p->l.style, "…", "..");
	bool room = p->last - p->first > 1; /* for a line each about those that are not shown */

	if (p->first > 0 && room) {
		cox_buf_printf(&text, "%s %zu waves before", dots, p->first);
		put(&p->l, "Waiting", cox_buf_cstr(&text));
		end_line(&p->l);
		cox_buf_clear(&text);
	}
	for (size_t i = p->first; i < p->last; i++) {
		const struct block *b = &p->blocks.items[i];

		if (p->airy)
			end_line(&p->l);
		put_wave(&p->l, b, p->name, p->bar);
		put_gates(&p->l, b, p->gate);
		put_targets(&p->l, b, text_at(p->rollout, "owner", "namespace"), p->target);
	}
	if (p->last < p->blocks.n && room) {
		cox_buf_printf(&text, "%s %zu waves after", dots, p->blocks.n - p->last);
		put(&p->l, "Waiting", cox_buf_cstr(&text));
		end_line(&p->l);
	}
}

static void draw(struct picture *p, size_t lines)
{
	const struct cox_node *waves = COX_GET(p->rollout, "waves");
	size_t used = put_head(&p->l, p->rollout, lines);

	for (size_t i = 0; i < cox_node_len(waves); i++) {
		struct block b;

		read_block(&b, cox_node_at(waves, i));
		cox_vec_push(&p->blocks, b);
	}
	if (used >= lines)
		return;
	share_lines(p, lines - used);
	measure(p);
	put_waves(p);
	if (p->unplanned)
		put_unplanned(&p->l, COX_GET(p->rollout, "unplanned"));
	if (p->airy && p->audit > 0)
		end_line(&p->l);
	put_audit(&p->l, COX_GET(p->rollout, "audit"), p->audit);
}

void cli_picture(struct cox_buf *out, const struct cox_node *rollout,
		 const struct cli_picture_style *style)
{
	struct picture p = {.l = {.out = out, .style = style}, .rollout = rollout};
	/* so many that nobody writes them all, and sums of them do not overflow */
	size_t lines = style->height ? style->height : SIZE_MAX / 4;

	if (style->note && lines > 1)
		lines--;
	if (rollout) {
		draw(&p, lines);
	} else {
		put(&p.l, NULL, "no rollout yet");
		end_line(&p.l);
	}
	if (style->note && style->height != 1) {
		put(&p.l, "Moving", style->note);
		end_line(&p.l);
	}
	blocks_fini(&p.blocks);
}
