/* Lua's patterns (Lua 5.4 manual, 6.4.1), with a count of steps.
 *
 * A pattern becomes a row of items, each a set of bytes with a repetition, or one of the special
 * forms; matching goes back over the row. That takes time exponential in the number of repetitions
 * in the worst case: each step is paid for, and the run's limit ends it. The depth of recursion is
 * the number of items. What a string method does when a pattern is malformed: it raises an error. */
#include "common/health/lua.h"

#include <ctype.h>

#define PATTERN_MAX  512 /* bytes */
#define CAPTURES_MAX 32
#define PAY_EVERY    1024

enum what { SET, OPEN, PLACE, CLOSE, BACK, BALANCE, FRONTIER, LAST, END };

struct item {
	unsigned char what;
	char repeat;	    /* 0 * + - ? */
	unsigned char a, b; /* OPEN, PLACE, CLOSE, BACK: the capture in a; BALANCE: the pair */
	uint32_t bytes[8];  /* SET, FRONTIER */
};

struct capture {
	const char *at;
	ptrdiff_t len; /* IS_PLACE: a position */
};
#define IS_PLACE (-1)

struct matcher {
	lua_State *L;
	const struct item *items;
	const char *text, *end;
	size_t n_captures;
	unsigned unpaid;
	struct capture captures[CAPTURES_MAX];
};

/* ---- reading a pattern ---- */

struct reader {
	lua_State *L;
	const char *p, *end;
	struct item *items;
	size_t n, n_captures;
	bool open[CAPTURES_MAX];
};

static void add_byte(struct item *item, unsigned char c)
{
	item->bytes[c / 32] |= 1u << (c % 32);
}

static bool has_byte(const struct item *item, char c)
{
	unsigned char u = (unsigned char)c;

	return item->bytes[u / 32] >> (u % 32) & 1;
}

static bool in_class(int c, int class)
{
	switch (class) {
	case 'a':
		return isalpha(c);
	case 'c':
		return iscntrl(c);
	case 'd':
		return isdigit(c);
	case 'g':
		return isgraph(c);
	case 'l':
		return islower(c);
	case 'p':
		return ispunct(c);
	case 's':
		return isspace(c);
	case 'u':
		return isupper(c);
	case 'w':
		return isalnum(c);
	case 'x':
		return isxdigit(c);
	default:
		return c == 0; /* z, of 5.1 */
	}
}

/* %x: a class, or the character itself. */
static void add_escape(struct item *item, unsigned char x)
{
	int lower = tolower(x);

	if (!strchr("acdglpsuwxz", lower) || !x) {
		add_byte(item, x);
		return;
	}
	for (int c = 0; c < 256; c++)
		if (in_class(c, lower) != (x != lower))
			add_byte(item, (unsigned char)c);
}

static void invert(struct item *item)
{
	for (size_t i = 0; i < 8; i++)
		item->bytes[i] = ~item->bytes[i];
}

static unsigned char next_byte(struct reader *r, const char *missing)
{
	if (r->p == r->end)
		luaL_error(r->L, "malformed pattern (%s)", missing);
	return (unsigned char)*r->p++;
}

/* After the opening bracket. A ']' that comes first is a member. */
static void read_set(struct reader *r, struct item *item)
{
	bool inverted = r->p < r->end && *r->p == '^';
	bool first = true;

	if (inverted)
		r->p++;
	for (;; first = false) {
		unsigned char c = next_byte(r, "missing ']'");

		if (c == ']' && !first)
			break;
		if (c == '%') {
			add_escape(item, next_byte(r, "missing ']'"));
		} else if (r->end - r->p >= 2 && r->p[0] == '-' && r->p[1] != ']') {
			for (unsigned high = (unsigned char)r->p[1], b = c; b <= high; b++)
				add_byte(item, (unsigned char)b);
			r->p += 2;
		} else {
			add_byte(item, c);
		}
	}
	if (inverted)
		invert(item);
}

static void read_special(struct reader *r, struct item *item, unsigned char c)
{
	if (c == 'b') {
		item->what = BALANCE;
		item->a = next_byte(r, "missing arguments to '%b'");
		item->b = next_byte(r, "missing arguments to '%b'");
	} else if (c == 'f') {
		item->what = FRONTIER;
		if (next_byte(r, "missing '[' after '%f'") != '[')
			luaL_error(r->L, "missing '[' after '%%f' in pattern");
		read_set(r, item);
	} else if (c >= '0' && c <= '9') {
		item->what = BACK;
		item->a = (unsigned char)(c - '1');
		if (c == '0' || item->a >= r->n_captures || r->open[item->a])
			luaL_error(r->L, "invalid capture index in pattern");
	} else {
		add_escape(item, c);
	}
}

static void read_open(struct reader *r, struct item *item)
{
	if (r->n_captures == CAPTURES_MAX)
		luaL_error(r->L, "too many captures");
	item->what = OPEN;
	item->a = (unsigned char)r->n_captures;
	if (r->p < r->end && *r->p == ')') {
		r->p++;
		item->what = PLACE;
	} else {
		r->open[item->a] = true;
	}
	r->n_captures++;
}

static void read_close(struct reader *r, struct item *item)
{
	size_t i = r->n_captures;

	while (i > 0 && !r->open[i - 1])
		i--;
	if (i == 0)
		luaL_error(r->L, "invalid pattern capture");
	item->what = CLOSE;
	item->a = (unsigned char)(i - 1);
	r->open[i - 1] = false;
}

static void read_item(struct reader *r, struct item *item)
{
	unsigned char c = (unsigned char)*r->p++;

	switch (c) {
	case '(':
		read_open(r, item);
		return;
	case ')':
		read_close(r, item);
		return;
	case '$':
		if (r->p == r->end) {
			item->what = LAST;
			return;
		}
		add_byte(item, c);
		break;
	case '%':
		read_special(r, item, next_byte(r, "ends with '%'"));
		break;
	case '[':
		read_set(r, item);
		break;
	case '.':
		invert(item);
		break;
	default:
		add_byte(item, c);
		break;
	}
	if (item->what == SET && r->p < r->end && strchr("*+-?", *r->p) && *r->p)
		item->repeat = *r->p++;
}

/* Pushes the memory of the items, which are m's. `pattern` without its leading '^'. */
static void compile(lua_State *L, const char *pattern, size_t len, struct matcher *m)
{
	struct reader r = {.L = L, .p = pattern, .end = pattern + len};

	if (len > PATTERN_MAX)
		luaL_error(L, "the pattern is longer than %d bytes", PATTERN_MAX);
	lua_run_pay(L, (int64_t)len * 4 + 1);
	r.items = lua_newuserdatauv(L, (len + 1) * sizeof(*r.items), 0);
	memset(r.items, 0, (len + 1) * sizeof(*r.items));
	while (r.p < r.end)
		read_item(&r, &r.items[r.n++]);
	for (size_t i = 0; i < r.n_captures; i++)
		if (r.open[i])
			luaL_error(L, "unfinished capture");
	r.items[r.n].what = END;
	m->L = L;
	m->items = r.items;
	m->n_captures = r.n_captures;
}

/* ---- matching ---- */

static void step(struct matcher *m)
{
	if (++m->unpaid < PAY_EVERY)
		return;
	m->unpaid = 0;
	lua_run_pay(m->L, PAY_EVERY);
}

static const char *match(struct matcher *m, const struct item *item, const char *s);

static const char *match_longest(struct matcher *m, const struct item *item, const char *s)
{
	const char *least = s + (item->repeat == '+'), *at = s, *end;

	for (; at < m->end && has_byte(item, *at); at++)
		step(m);
	for (; at >= least; at--)
		if ((end = match(m, item + 1, at)))
			return end;
	return NULL;
}

static const char *match_shortest(struct matcher *m, const struct item *item, const char *s)
{
	for (;; s++) {
		const char *end = match(m, item + 1, s);

		if (end)
			return end;
		if (s == m->end || !has_byte(item, *s))
			return NULL;
	}
}

static const char *match_balance(struct matcher *m, const struct item *item, const char *s)
{
	size_t depth = 0;

	for (; s < m->end; s++) {
		unsigned char c = (unsigned char)*s;

		step(m);
		if (depth > 0 && c == item->b) {
			if (--depth == 0)
				return s + 1;
		} else if (c == item->a) {
			depth++;
		} else if (depth == 0) {
			return NULL;
		}
	}
	return NULL;
}

static const char *match_back(struct matcher *m, const struct item *item, const char *s)
{
	const struct capture *c = &m->captures[item->a];
	size_t len = c->len > 0 ? (size_t)c->len : 0;

	lua_run_pay(m->L, (int64_t)(len / 8));
	return (size_t)(m->end - s) >= len && memcmp(s, c->at, len) == 0 ? s + len : NULL;
}

static bool is_frontier(const struct matcher *m, const struct item *item, const char *s)
{
	char before = s == m->text ? '\0' : s[-1], after = s == m->end ? '\0' : *s;

	return !has_byte(item, before) && has_byte(item, after);
}

/* The end of what matches from s on, or NULL. */
static const char *match(struct matcher *m, const struct item *item, const char *s)
{
	const char *end;

	for (; s; item++) {
		struct capture *c = &m->captures[item->a % CAPTURES_MAX];
		bool fits = s < m->end && has_byte(item, *s);

		step(m);
		switch ((enum what)item->what) {
		case END:
			return s;
		case LAST:
			return s == m->end ? s : NULL;
		case OPEN:
			c->at = s;
			break;
		case PLACE:
			*c = (struct capture){.at = s, .len = IS_PLACE};
			break;
		case CLOSE:
			c->len = s - c->at;
			break;
		case BACK:
			s = match_back(m, item, s);
			break;
		case BALANCE:
			s = match_balance(m, item, s);
			break;
		case FRONTIER:
			if (!is_frontier(m, item, s))
				return NULL;
			break;
		case SET:
			if (item->repeat == '-')
				return match_shortest(m, item, s);
			if (item->repeat == '*' || item->repeat == '+')
				return match_longest(m, item, s);
			if (item->repeat == '?' && fits && (end = match(m, item + 1, s + 1)))
				return end;
			if (!item->repeat)
				s = fits ? s + 1 : NULL;
			break;
		}
	}
	return NULL;
}

/* ---- what a match gives ---- */

static void push_capture(struct matcher *m, size_t i)
{
	const struct capture *c = &m->captures[i];

	if (c->len == IS_PLACE)
		lua_pushinteger(m->L, c->at - m->text + 1);
	else
		lua_pushlstring(m->L, c->at, (size_t)c->len);
}

/* All captures; the whole match when there are none and `from` isn't NULL. */
static int push_captures(struct matcher *m, const char *from, const char *to)
{
	luaL_checkstack(m->L, CAPTURES_MAX + 2, "too many captures");
	if (m->n_captures == 0 && from) {
		lua_pushlstring(m->L, from, (size_t)(to - from));
		return 1;
	}
	for (size_t i = 0; i < m->n_captures; i++)
		push_capture(m, i);
	return (int)m->n_captures;
}

/* ---- find, match ---- */

static int find_plain(lua_State *L, const char *text, size_t len, size_t from, const char *word,
		      size_t word_len)
{
	const char *at = word_len ? memmem(text + from, len - from, word, word_len) : text + from;

	lua_run_pay(L, (int64_t)((len - from) / 4) + 1);
	if (!at) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, at - text + 1);
	lua_pushinteger(L, at - text + (lua_Integer)word_len);
	return 2;
}

static int find_or_match(lua_State *L, bool find)
{
	size_t len, pattern_len, from;
	const char *text = luaL_checklstring(L, 1, &len);
	const char *pattern = luaL_checklstring(L, 2, &pattern_len);
	lua_Integer start = luaL_optinteger(L, 3, 1);
	struct matcher m = {.text = text, .end = text + len};
	bool anchored;

	if (start < 0)
		start = -start > (lua_Integer)len ? 1 : (lua_Integer)len + start + 1;
	from = start > 0 ? (size_t)start - 1 : 0;
	if (from > len) {
		lua_pushnil(L);
		return 1;
	}
	if (find && (lua_toboolean(L, 4) ||
		     (!strpbrk(pattern, "^$*+?.([%-") && strlen(pattern) == pattern_len)))
		return find_plain(L, text, len, from, pattern, pattern_len);
	anchored = pattern_len > 0 && *pattern == '^';
	compile(L, pattern + anchored, pattern_len - anchored, &m);
	for (const char *s = text + from; s <= m.end; s++) {
		const char *end = match(&m, m.items, s);

		if (end && !find)
			return push_captures(&m, s, end);
		if (end) {
			lua_pushinteger(L, s - text + 1);
			lua_pushinteger(L, end - text);
			return 2 + push_captures(&m, NULL, NULL);
		}
		if (anchored)
			break;
	}
	lua_pushnil(L);
	return 1;
}

static int string_find(lua_State *L)
{
	return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* ---- gmatch: text, pattern, where to go on, where the last match ended (from 0; -1: none) ---- */

static int gmatch_next(lua_State *L)
{
	size_t len, pattern_len;
	const char *text = lua_tolstring(L, lua_upvalueindex(1), &len);
	const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_len);
	lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
	struct matcher m = {.text = text, .end = text + len};

	compile(L, pattern, pattern_len, &m);
	for (const char *s = text + at; s <= m.end; s++) {
		const char *end = match(&m, m.items, s);

		if (!end || end - text == last)
			continue;
		lua_pushinteger(L, end - text);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return push_captures(&m, s, end);
	}
	return 0;
}

static int string_gmatch(lua_State *L)
{
	luaL_checkstring(L, 1);
	luaL_checkstring(L, 2);
	lua_settop(L, 2);
	lua_pushinteger(L, 0);
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, gmatch_next, 4);
	return 1;
}

/* ---- gsub ---- */

/* The replacement's text, with %0 to %9 in it; another character after % stands for itself. */
static void add_replacement(struct matcher *m, luaL_Buffer *out, const char *from, const char *to)
{
	size_t len;
	const char *p = lua_tolstring(m->L, 3, &len), *end = p + len;

	lua_run_pay(m->L, (int64_t)len);
	for (; p < end; p++) {
		size_t i = p + 1 < end ? (size_t)(p[1] - '1') : 0;

		if (*p != '%' || p + 1 == end) {
			luaL_addchar(out, *p);
			continue;
		}
		p++;
		if (*p < '0' || *p > '9') {
			luaL_addchar(out, *p);
		} else if (*p == '0' || (*p == '1' && m->n_captures == 0)) {
			luaL_addlstring(out, from, (size_t)(to - from));
		} else if (i >= m->n_captures) {
			luaL_error(m->L, "invalid capture index in the replacement");
		} else {
			push_capture(m, i);
			luaL_addvalue(out);
		}
	}
}

/* A table's value or a function's result; false and nil keep what matched. */
static void add_result(struct matcher *m, luaL_Buffer *out, const char *from, const char *to)
{
	lua_State *L = m->L;

	if (lua_type(L, 3) == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		lua_call(L, push_captures(m, from, to), 1);
	} else {
		if (m->n_captures)
			push_capture(m, 0);
		else
			lua_pushlstring(L, from, (size_t)(to - from));
		lua_gettable(L, 3);
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(out, from, (size_t)(to - from));
		return;
	}
	if (!lua_isstring(L, -1))
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	luaL_addvalue(out);
}

static int string_gsub(lua_State *L)
{
	size_t len, pattern_len;
	const char *text = luaL_checklstring(L, 1, &len), *s = text, *last = NULL;
	const char *pattern = luaL_checklstring(L, 2, &pattern_len);
	int kind = lua_type(L, 3);
	lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)len + 1), n = 0;
	struct matcher m = {.text = text, .end = text + len};
	bool anchored = pattern_len > 0 && *pattern == '^';
	luaL_Buffer out;

	luaL_argexpected(L,
			 kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TTABLE ||
				 kind == LUA_TFUNCTION,
			 3, "string/function/table");
	lua_settop(L, 4);
	compile(L, pattern + anchored, pattern_len - anchored, &m);
	luaL_buffinit(L, &out);
	while (n < most) {
		const char *end = match(&m, m.items, s);

		if (end && end != last) {
			n++;
			if (kind == LUA_TTABLE || kind == LUA_TFUNCTION)
				add_result(&m, &out, s, end);
			else
				add_replacement(&m, &out, s, end);
			s = last = end;
		} else if (s < m.end) {
			luaL_addchar(&out, *s++);
		} else {
			break;
		}
		if (anchored)
			break;
	}
	luaL_addlstring(&out, s, (size_t)(m.end - s));
	luaL_pushresult(&out);
	lua_pushinteger(L, n);
	return 2;
}

void lua_open_patterns(lua_State *L)
{
	static const luaL_Reg functions[] = {{"find", string_find},
					     {"match", string_match},
					     {"gmatch", string_gmatch},
					     {"gsub", string_gsub},
					     {NULL, NULL}};

	luaL_setfuncs(L, functions, 0);
}
