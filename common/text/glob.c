#include "common/text/glob.h"

#include "common/base/mem.h"
#include "common/base/vec.h"

/* A pattern is a program; a text runs it with all its threads at once. */
enum op {
	OP_CHAR,  /* x is the character */
	OP_ONE,	  /* any but the separator */
	OP_EACH,  /* any */
	OP_SET,	  /* x and y: the first and the number of its ranges; of them */
	OP_UNSET, /* not of them */
	OP_SPLIT, /* go on at x and at y */
	OP_JUMP,  /* at x */
	OP_MATCH,
};

struct instruction {
	enum op op;
	uint32_t x, y;
};

struct range {
	uint32_t low, high;
};

struct cox_glob {
	COX_VEC(struct instruction) code;
	COX_VEC(struct range) ranges;
	uint32_t separator; /* NO_CHARACTER: none */
};

#define NO_CHARACTER 0xffffffffu
/* A byte that is no UTF-8 is a character of its own, above all others. */
#define BAD_BYTE(b) (0x200000u + (b))

static uint32_t next_character(struct cox_str *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t first = (uint8_t)text->ptr[0];
	uint32_t c = first;
	size_t n = 1;

	if (first >= 0xf0 && first < 0xf8)
		n = 4, c = first & 0x07;
	else if (first >= 0xe0)
		n = first < 0xf0 ? 3 : 0, c = first & 0x0f;
	else if (first >= 0xc0)
		n = 2, c = first & 0x1f;
	else if (first >= 0x80)
		n = 0;
	if (n > text->len)
		n = 0;
	for (size_t i = 1; i < n; i++) {
		uint8_t b = (uint8_t)text->ptr[i];

		if ((b & 0xc0) != 0x80) {
			n = 0;
			break;
		}
		c = c << 6 | (b & 0x3f);
	}
	if (n == 0 || (n > 1 && c < least[n])) {
		n = 1;
		c = BAD_BYTE(first);
	}
	text->ptr += n;
	text->len -= n;
	return c;
}

/* ---- compiling ---- */

struct parser {
	struct cox_glob *glob;
	struct cox_str whole, rest;
	struct cox_error *err;
};

static int bad(struct parser *p, const char *what)
{
	return cox_error(p->err, COX_INVALID_ARGUMENT, "bad glob '%.*s' at byte %zu: %s",
			 p->whole.len > 100 ? 100 : (int)p->whole.len, p->whole.ptr,
			 p->whole.len - p->rest.len, what);
}

static size_t emit(struct parser *p, enum op op, uint32_t x, uint32_t y)
{
	cox_vec_push(&p->glob->code, (struct instruction){op, x, y});
	return p->glob->code.n - 1;
}

static uint32_t here(struct parser *p)
{
	return (uint32_t)p->glob->code.n;
}

static bool take(struct parser *p, char c)
{
	if (p->rest.len == 0 || p->rest.ptr[0] != c)
		return false;
	p->rest.ptr++;
	p->rest.len--;
	return true;
}

static int literal(struct parser *p, uint32_t *ret_character)
{
	if (take(p, '\\') && p->rest.len == 0)
		return bad(p, "'\\' at the end");
	*ret_character = next_character(&p->rest);
	return 0;
}

/* After '['. */
static int parse_set(struct parser *p)
{
	bool negated = take(p, '!');
	size_t first = p->glob->ranges.n;
	int r;

	while (!take(p, ']')) {
		struct range range = {0};

		if (p->rest.len == 0)
			return bad(p, "'[' without ']'");
		r = literal(p, &range.low);
		if (r < 0)
			return r;
		range.high = range.low;
		if (p->rest.len >= 2 && p->rest.ptr[0] == '-' && p->rest.ptr[1] != ']') {
			take(p, '-');
			r = literal(p, &range.high);
			if (r < 0)
				return r;
			if (range.high < range.low)
				return bad(p, "a range that runs backwards");
		}
		cox_vec_push(&p->glob->ranges, range);
	}
	if (p->glob->ranges.n == first)
		return bad(p, "'[]' is empty");
	emit(p, negated ? OP_UNSET : OP_SET, (uint32_t)first,
	     (uint32_t)(p->glob->ranges.n - first));
	return 0;
}

static void parse_star(struct parser *p)
{
	bool all = false;
	size_t split;

	while (take(p, '*'))
		all = true;
	split = emit(p, OP_SPLIT, here(p) + 1, 0);
	emit(p, all ? OP_EACH : OP_ONE, 0, 0);
	emit(p, OP_JUMP, (uint32_t)split, 0);
	p->glob->code.items[split].y = here(p);
}

static int parse_alternatives(struct parser *p, int depth);

/* Up to the end, or up to ',' or '}' inside of braces. */
static int parse_sequence(struct parser *p, int depth)
{
	while (p->rest.len) {
		uint32_t c = 0;
		int r = 0;

		if (depth && (p->rest.ptr[0] == ',' || p->rest.ptr[0] == '}'))
			return 0;
		if (take(p, '*')) {
			parse_star(p);
		} else if (take(p, '?')) {
			emit(p, OP_ONE, 0, 0);
		} else if (take(p, '[')) {
			r = parse_set(p);
		} else if (take(p, '{')) {
			r = parse_alternatives(p, depth + 1);
		} else {
			r = literal(p, &c);
			if (r == 0)
				emit(p, OP_CHAR, c, 0);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* After '{': every alternative but the last begins with a split to the next one. */
static int parse_alternatives(struct parser *p, int depth)
{
	COX_VEC(size_t) ends = {0};
	int r;

	if (depth > COX_LIMIT_GLOB_DEPTH)
		return bad(p, "too many '{' inside of each other");
	for (;;) {
		size_t split = emit(p, OP_SPLIT, here(p) + 1, 0);

		r = parse_sequence(p, depth);
		if (r < 0)
			break;
		cox_vec_push(&ends, emit(p, OP_JUMP, 0, 0));
		p->glob->code.items[split].y = here(p);
		if (take(p, ','))
			continue;
		if (!take(p, '}')) {
			r = bad(p, "'{' without '}'");
			break;
		}
		/* Nothing follows the last one: its split is a jump. */
		p->glob->code.items[split] = (struct instruction){OP_JUMP, (uint32_t)split + 1, 0};
		break;
	}
	COX_VEC_EACH (&ends, end)
		p->glob->code.items[*end].x = here(p);
	cox_vec_fini(&ends);
	return r;
}

int cox_glob_compile(struct cox_str pattern, char separator, struct cox_glob **ret_glob,
		     struct cox_error *err)
{
	COX_CLEANUP(cox_glob_free_p) struct cox_glob *glob = cox_new(struct cox_glob);
	struct parser p = {.glob = glob, .whole = pattern, .rest = pattern, .err = err};
	int r;

	if (pattern.len > COX_LIMIT_GLOB_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT, "glob is longer than %d bytes",
				 COX_LIMIT_GLOB_BYTES);
	glob->separator = separator ? (uint32_t)(uint8_t)separator : NO_CHARACTER;
	r = parse_sequence(&p, 0);
	if (r < 0)
		return r;
	emit(&p, OP_MATCH, 0, 0);
	*ret_glob = TAKE(glob);
	return 0;
}

void cox_glob_free(struct cox_glob *glob)
{
	if (!glob)
		return;
	cox_vec_fini(&glob->code);
	cox_vec_fini(&glob->ranges);
	free(glob);
}

/* ---- matching ---- */

/* The instructions that wait for the next character; none twice. */
struct threads {
	uint32_t *at, n;
	uint32_t *seen_in; /* by instruction: the step that added it last, plus 1 */
};

static void add_thread(const struct cox_glob *glob, struct threads *t, uint32_t step,
		       uint32_t *stack, uint32_t first)
{
	uint32_t n = 0;

	stack[n++] = first;
	while (n) {
		uint32_t at = stack[--n];
		const struct instruction *in = &glob->code.items[at];

		if (t->seen_in[at] == step)
			continue;
		t->seen_in[at] = step;
		if (in->op == OP_SPLIT || in->op == OP_JUMP) {
			if (in->op == OP_SPLIT)
				stack[n++] = in->y;
			stack[n++] = in->x;
			continue;
		}
		t->at[t->n++] = at;
	}
}

static bool in_ranges(const struct cox_glob *glob, const struct instruction *in, uint32_t c)
{
	for (uint32_t i = in->x; i < in->x + in->y; i++)
		if (c >= glob->ranges.items[i].low && c <= glob->ranges.items[i].high)
			return true;
	return false;
}

static bool accepts(const struct cox_glob *glob, const struct instruction *in, uint32_t c)
{
	switch (in->op) {
	case OP_CHAR:
		return c == in->x;
	case OP_ONE:
		return c != glob->separator;
	case OP_EACH:
		return true;
	case OP_SET:
		return in_ranges(glob, in, c);
	case OP_UNSET:
		return !in_ranges(glob, in, c);
	default:
		return false;
	}
}

bool cox_glob_match(const struct cox_glob *glob, struct cox_str text)
{
	size_t n = glob->code.n;
	/* Two lists, the stack (a split pushes two for the one it pops), and the marks. */
	_cleanup_free_ uint32_t *memory = cox_new_n(uint32_t, 6 * n + 2);
	struct threads now = {.at = memory, .seen_in = memory + 2 * n};
	struct threads next = {.at = memory + n, .seen_in = memory + 3 * n};
	uint32_t *stack = memory + 4 * n, step = 1;
	bool matched = false;

	add_thread(glob, &now, step, stack, 0);
	while (text.len && now.n) {
		uint32_t c = next_character(&text);
		struct threads swap = now;

		next.n = 0;
		step++;
		for (uint32_t i = 0; i < now.n; i++)
			if (accepts(glob, &glob->code.items[now.at[i]], c))
				add_thread(glob, &next, step, stack, now.at[i] + 1);
		now = next;
		next = swap;
	}
	if (text.len)
		return false;
	for (uint32_t i = 0; i < now.n && !matched; i++)
		matched = glob->code.items[now.at[i]].op == OP_MATCH;
	return matched;
}

bool cox_glob_matches(struct cox_str pattern, char separator, struct cox_str text)
{
	COX_CLEANUP(cox_glob_free_p) struct cox_glob *glob = NULL;

	return cox_glob_compile(pattern, separator, &glob, NULL) == 0 && cox_glob_match(glob, text);
}
