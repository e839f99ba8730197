#include "common/base/mem.h"
#include "common/base/vec.h"
#include "common/text/semver.h"

enum relation { REL_EQUAL, REL_NOT, REL_MORE, REL_LESS, REL_LEAST, REL_MOST, REL_TILDE, REL_CARET };

/* What of the version was written; the rest is a wildcard. */
enum precision { PRECISE_NOTHING, PRECISE_MAJOR, PRECISE_MINOR, PRECISE_ALL };

struct part {
	enum relation relation;
	enum precision precision;
	struct cox_semver version; /* what was not written is 0 */
};

struct group {
	COX_VEC(struct part) parts; /* all must hold */
	bool names_prerelease;
};

struct cox_constraint {
	char *text;		      /* what the versions borrow from */
	COX_VEC(struct group) groups; /* one must hold */
};

/* Longer ones first. */
static const struct {
	const char *text;
	enum relation relation;
} relations[] = {
	{"!=", REL_NOT},  {">=", REL_LEAST}, {"=>", REL_LEAST}, {"<=", REL_MOST},
	{"=<", REL_MOST}, {"~>", REL_TILDE}, {"=", REL_EQUAL},	{">", REL_MORE},
	{"<", REL_LESS},  {"~", REL_TILDE},  {"^", REL_CARET},
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_space(struct cox_str *s)
{
	while (s->len && is_space(s->ptr[0])) {
		s->ptr++;
		s->len--;
	}
}

/* False when none is written, which means REL_EQUAL too. */
static bool take_relation(struct cox_str *s, enum relation *ret_relation)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(relations); i++) {
		size_t n = strlen(relations[i].text);

		if (!cox_str_starts(*s, relations[i].text))
			continue;
		s->ptr += n;
		s->len -= n;
		*ret_relation = relations[i].relation;
		return true;
	}
	return false;
}

static bool is_wildcard(struct cox_str s)
{
	return cox_str_is(s, "x") || cox_str_is(s, "X") || cox_str_is(s, "*");
}

/* The numbers before the first wildcard, as a version; what follows it must be wildcards too. */
static int parse_wildcards(struct cox_str core, struct part *part, struct cox_error *err)
{
	struct cox_str rest = core, one;
	size_t precise_len = 0;
	int n = 0, n_precise = 0;

	if (cox_str_starts(rest, "v")) {
		rest.ptr++;
		rest.len--;
	}
	while (cox_str_split(&rest, '.', &one)) {
		if (++n > 3)
			return -COX_INVALID_ARGUMENT;
		if (is_wildcard(one))
			continue;
		/* A number behind a wildcard. */
		if (n_precise != n - 1)
			return -COX_INVALID_ARGUMENT;
		n_precise = n;
		precise_len = (size_t)(one.ptr + one.len - core.ptr);
	}
	part->precision = (enum precision)n_precise;
	part->version = (struct cox_semver){0};
	if (n_precise == 0)
		return 0;
	return cox_semver_parse(cox_str_n(core.ptr, precise_len), &part->version, err);
}

/* The version behind a relation: full, or with parts left out or replaced by wildcards. */
static int parse_partial(struct cox_str text, struct part *part, struct cox_error *err)
{
	size_t n_core = 0;
	struct cox_str core;
	int r;

	while (n_core < text.len && text.ptr[n_core] != '-' && text.ptr[n_core] != '+')
		n_core++;
	core = cox_str_n(text.ptr, n_core);
	r = core.len ? parse_wildcards(core, part, NULL) : -COX_INVALID_ARGUMENT;
	/* The suffix, with its own rules, is read once more together with the numbers. */
	if (r == 0 && n_core < text.len) {
		struct cox_semver whole;
		bool wild = part->precision != PRECISE_ALL &&
			    (memchr(core.ptr, 'x', core.len) || memchr(core.ptr, 'X', core.len) ||
			     memchr(core.ptr, '*', core.len));

		r = wild ? -COX_INVALID_ARGUMENT : cox_semver_parse(text, &whole, NULL);
		if (r == 0)
			part->version = whole;
	}
	if (r < 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "'%.*s' is not a version",
				 COX_STR_ARG(text));
	return 0;
}

static struct cox_str take_word(struct cox_str *s)
{
	struct cox_str word = cox_str_n(s->ptr, 0);

	while (s->len && !is_space(s->ptr[0]) && s->ptr[0] != ',') {
		word.len++;
		s->ptr++;
		s->len--;
	}
	return word;
}

static void push(struct group *g, struct part part)
{
	g->names_prerelease = g->names_prerelease || part.version.pre.len > 0;
	cox_vec_push(&g->parts, part);
}

/* " - " and the upper end, after the lower one. */
static bool take_hyphen(struct cox_str *s)
{
	if (s->len < 3 || !is_space(s->ptr[0]))
		return false;
	for (size_t i = 1; i + 1 < s->len; i++) {
		if (is_space(s->ptr[i]))
			continue;
		if (s->ptr[i] != '-' || !is_space(s->ptr[i + 1]))
			return false;
		s->ptr += i + 1;
		s->len -= i + 1;
		skip_space(s);
		return true;
	}
	return false;
}

static int parse_part(struct cox_str *s, struct group *g, struct cox_error *err)
{
	struct part part = {.relation = REL_EQUAL};
	bool written = take_relation(s, &part.relation);
	int r;

	skip_space(s);
	r = parse_partial(take_word(s), &part, err);
	if (r < 0)
		return r;
	if (!written && take_hyphen(s)) {
		part.relation = REL_LEAST;
		push(g, part);
		part = (struct part){.relation = REL_MOST};
		r = parse_partial(take_word(s), &part, err);
		if (r < 0)
			return r;
	}
	push(g, part);
	return 0;
}

static int parse_group(struct cox_str s, struct group *g, struct cox_error *err)
{
	skip_space(&s);
	if (s.len == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "a version is missing");
	while (s.len) {
		bool comma = false;
		int r = parse_part(&s, g, err);

		if (r < 0)
			return r;
		skip_space(&s);
		if (s.len && s.ptr[0] == ',') {
			comma = true;
			s.ptr++;
			s.len--;
			skip_space(&s);
		}
		if (comma && s.len == 0)
			return cox_error(err, COX_INVALID_ARGUMENT, "nothing follows the comma");
	}
	return 0;
}

int cox_constraint_parse(struct cox_str text, struct cox_constraint **ret_constraint,
			 struct cox_error *err)
{
	COX_CLEANUP(cox_constraint_free_p) struct cox_constraint *c = NULL;
	struct cox_str rest;

	if (text.len > COX_LIMIT_CONSTRAINT_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "version constraint is longer than %d bytes",
				 COX_LIMIT_CONSTRAINT_BYTES);
	c = cox_new(struct cox_constraint);
	c->text = cox_str_dup(text);
	rest = cox_str_n(c->text, text.len);
	while (rest.ptr) {
		const char *bars = rest.len ? memmem(rest.ptr, rest.len, "||", 2) : NULL;
		struct cox_str one =
			cox_str_n(rest.ptr, bars ? (size_t)(bars - rest.ptr) : rest.len);
		int r;

		cox_vec_push(&c->groups, (struct group){0});
		r = parse_group(one, &c->groups.items[c->groups.n - 1], err);
		if (r < 0)
			return cox_error_wrap(err, "bad version constraint '%.*s'",
					      COX_STR_ARG(text));
		rest = bars ? cox_str_n(bars + 2, rest.len - one.len - 2) : (struct cox_str){0};
	}
	*ret_constraint = TAKE(c);
	return 0;
}

void cox_constraint_free(struct cox_constraint *c)
{
	if (!c)
		return;
	COX_VEC_EACH (&c->groups, g)
		cox_vec_fini(&g->parts);
	cox_vec_fini(&c->groups);
	free(c->text);
	free(c);
}

/* ---- checking ---- */

static bool same_up_to(const struct part *p, const struct cox_semver *v, enum precision precision)
{
	return (precision < PRECISE_MAJOR || v->major == p->version.major) &&
	       (precision < PRECISE_MINOR || v->minor == p->version.minor) &&
	       (precision < PRECISE_ALL || cox_semver_compare(v, &p->version) == 0);
}

/* Compares only what was written: 1.3.0 is more than 1.2.x, 1.2.9 is not. */
static int compare_written(const struct part *p, const struct cox_semver *v)
{
	if (p->precision == PRECISE_ALL || p->precision == PRECISE_NOTHING)
		return cox_semver_compare(v, &p->version);
	if (v->major != p->version.major)
		return v->major > p->version.major ? 1 : -1;
	if (p->precision == PRECISE_MAJOR || v->minor == p->version.minor)
		return 0;
	return v->minor > p->version.minor ? 1 : -1;
}

static bool is_zero(const struct cox_semver *v)
{
	return v->major == 0 && v->minor == 0 && v->patch == 0;
}

/* "~1.2.3": patches of 1.2 from 3 on; "~1": all of 1. "~0.0.0" is everything, as in Helm. */
static bool check_tilde(const struct part *p, const struct cox_semver *v)
{
	if (cox_semver_compare(v, &p->version) < 0)
		return false;
	if (p->precision == PRECISE_ALL && is_zero(&p->version))
		return true;
	return same_up_to(p, v, p->precision == PRECISE_ALL ? PRECISE_MINOR : p->precision);
}

/* "^1.2.3": up to the next change of the leftmost number that is not 0. */
static bool check_caret(const struct part *p, const struct cox_semver *v)
{
	const struct cox_semver *from = &p->version;

	if (p->precision == PRECISE_NOTHING)
		return true;
	if (cox_semver_compare(v, from) < 0 || v->major != from->major)
		return false;
	if (from->major > 0 || p->precision == PRECISE_MAJOR)
		return true;
	if (v->minor != from->minor)
		return false;
	return from->minor > 0 || p->precision == PRECISE_MINOR || v->patch == from->patch;
}

static bool check_part(const struct part *p, const struct cox_semver *v)
{
	switch (p->relation) {
	case REL_EQUAL:
		return p->precision == PRECISE_ALL ? cox_semver_compare(v, &p->version) == 0
						   : check_tilde(p, v);
	case REL_NOT:
		return !same_up_to(p, v, p->precision);
	case REL_MORE:
		return compare_written(p, v) > 0;
	case REL_LESS:
		return cox_semver_compare(v, &p->version) < 0;
	case REL_LEAST:
		return cox_semver_compare(v, &p->version) >= 0;
	case REL_MOST:
		return p->precision == PRECISE_NOTHING || compare_written(p, v) <= 0;
	case REL_TILDE:
		return check_tilde(p, v);
	case REL_CARET:
		return check_caret(p, v);
	}
	return false;
}

static bool check_group(const struct group *g, const struct cox_semver *v)
{
	if (v->pre.len && !g->names_prerelease)
		return false;
	COX_VEC_EACH (&g->parts, p)
		if (!check_part(p, v))
			return false;
	return true;
}

bool cox_constraint_check(const struct cox_constraint *constraint, const struct cox_semver *version)
{
	COX_VEC_EACH (&constraint->groups, g)
		if (check_group(g, version))
			return true;
	return false;
}

bool cox_constraint_is(struct cox_str text)
{
	COX_CLEANUP(cox_constraint_free_p) struct cox_constraint *c = NULL;
	struct cox_semver v;

	return cox_semver_parse(text, &v, NULL) < 0 && cox_constraint_parse(text, &c, NULL) == 0;
}
