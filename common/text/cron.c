#include "common/text/cron.h"

#include <string.h>
#include <strings.h>

#define MINUTE_S 60
#define HOUR_S	 3600
#define DAY_S	 86400
#define YEARS	 8

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
				     "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct field {
	const char *what;
	int low, high;
	const char *const *names;
};

static const struct field fields[] = {{"minute", 0, 59, NULL},
				      {"hour", 0, 23, NULL},
				      {"day of the month", 1, 31, NULL},
				      {"month", 1, 12, months},
				      {"day of the week", 0, 6, weekdays}};

static const struct {
	const char *name, *fields;
} shorthands[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},	{"@midnight", "0 0 * * *"},
		  {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
		  {"@annually", "0 0 1 1 *"}};

/* ---- reading ---- */

static int wrong(const struct field *f, struct cox_str text, struct cox_error *err)
{
	return cox_error(err, COX_INVALID_ARGUMENT, "schedule: '%.*s' is no %s from %d to %d",
			 (int)text.len, text.ptr, f->what, f->low, f->high);
}

static bool value(const struct field *f, struct cox_str text, int *ret)
{
	int n = 0;

	for (int i = 0; f->names && i <= f->high - f->low; i++)
		if (text.len == 3 && strncasecmp(text.ptr, f->names[i], 3) == 0) {
			*ret = f->low + i;
			return true;
		}
	if (text.len == 0 || text.len > 3)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + text.ptr[i] - '0';
	}
	*ret = n;
	return true;
}

static bool is_star(struct cox_str s)
{
	return cox_str_is(s, "*") || cox_str_is(s, "?");
}

/* One of the parts between commas. */
static int read_part(const struct field *f, struct cox_str part, uint64_t *bits, bool *ret_star,
		     struct cox_error *err)
{
	struct cox_str rest = part, range, low_text, high_text;
	int low = f->low, high = f->high, step = 1;
	bool has_step, star;

	cox_str_split(&rest, '/', &range);
	has_step = rest.ptr != NULL;
	if (has_step && (!value(&(struct field){0}, rest, &step) || step < 1))
		return wrong(f, part, err);
	star = is_star(range);
	if (!star) {
		high_text = range;
		cox_str_split(&high_text, '-', &low_text);
		if (!value(f, low_text, &low))
			return wrong(f, part, err);
		if (high_text.ptr ? !value(f, high_text, &high) : !has_step)
			high = high_text.ptr ? -1 : low;
	}
	if (low < f->low || high > f->high || low > high)
		return wrong(f, part, err);
	for (int v = low; v <= high; v += step)
		*bits |= UINT64_C(1) << v;
	*ret_star |= star && step == 1;
	return 0;
}

static int read_field(const struct field *f, struct cox_str text, uint64_t *bits, bool *ret_star,
		      struct cox_error *err)
{
	struct cox_str part;
	int r = text.len ? 0 : wrong(f, text, err);

	while (r == 0 && cox_str_split(&text, ',', &part))
		r = read_part(f, part, bits, ret_star, err);
	return r;
}

int cox_cron_parse(struct cox_str text, struct cox_cron *ret_cron, struct cox_error *err)
{
	struct cox_cron c = {0};
	uint64_t *const bits[] = {&c.minute, &c.hour, &c.day, &c.month, &c.weekday};
	bool stars[COX_ARRAY_LEN(fields)] = {false};
	struct cox_str rest = cox_str_trim(text), word;
	size_t n = 0;

	if (rest.len > COX_LIMIT_CRON_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT, "schedule: longer than %d characters",
				 COX_LIMIT_CRON_BYTES);
	for (size_t i = 0; i < COX_ARRAY_LEN(shorthands); i++)
		if (cox_str_is(rest, shorthands[i].name))
			rest = cox_str(shorthands[i].fields);
	while (cox_str_split(&rest, ' ', &word)) {
		int r = 0;

		word = cox_str_trim(word);
		if (!word.len)
			continue;
		if (n < COX_ARRAY_LEN(fields))
			r = read_field(&fields[n], word, bits[n], &stars[n], err);
		if (r < 0)
			return r;
		n++;
	}
	if (n != COX_ARRAY_LEN(fields))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "schedule: %zu fields instead of 5 (minute, hour, day of the "
				 "month, month, day of the week)",
				 n);
	c.any_day = stars[2];
	c.any_weekday = stars[4];
	*ret_cron = c;
	return 0;
}

/* ---- ticks ---- */

struct local {
	int year, month, day, weekday;
	int64_t of_day; /* seconds */
};

static struct local local_of(int64_t local_s)
{
	int64_t days = local_s / DAY_S - (local_s % DAY_S < 0), z, era, doe, yoe, doy, mp;
	struct local l;

	l.of_day = local_s - days * DAY_S;
	l.weekday = (int)(((days + 4) % 7 + 7) % 7);
	z = days + 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	l.day = (int)(doy - (153 * mp + 2) / 5 + 1);
	l.month = (int)(mp < 10 ? mp + 3 : mp - 9);
	l.year = (int)(yoe + era * 400 + (l.month <= 2));
	return l;
}

static bool has(uint64_t bits, int value)
{
	return bits >> value & 1;
}

static bool day_matches(const struct cox_cron *c, const struct local *l)
{
	bool day = has(c->day, l->day), weekday = has(c->weekday, l->weekday);

	if (!has(c->month, l->month))
		return false;
	return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

int64_t cox_cron_next(const struct cox_cron *c, const struct cox_zone *zone, int64_t after_s)
{
	int64_t t = after_s + 1, until = 0;
	int64_t end = after_s + (int64_t)YEARS * 366 * DAY_S;

	while (t < end) {
		int32_t offset = cox_zone_offset(zone, t, &until);
		struct local l = local_of(t + offset);
		int64_t skip;

		if (!day_matches(c, &l))
			skip = DAY_S - l.of_day;
		else if (!has(c->hour, (int)(l.of_day / HOUR_S)))
			skip = HOUR_S - l.of_day % HOUR_S;
		else if (l.of_day % MINUTE_S)
			skip = MINUTE_S - l.of_day % MINUTE_S;
		else if (!has(c->minute, (int)(l.of_day % HOUR_S / MINUTE_S)))
			skip = MINUTE_S;
		else
			return t;
		/* Behind a change of clocks the local time is another one. */
		t = until - t < skip ? until : t + skip;
	}
	return INT64_MAX;
}

bool cox_cron_is_within(const struct cox_cron *cron, const struct cox_zone *zone,
			int64_t duration_s, int64_t now_s, int64_t *ret_edge_s)
{
	int64_t tick = cox_cron_next(cron, zone, now_s - duration_s);
	bool within = tick <= now_s;

	if (ret_edge_s)
		*ret_edge_s = within ? tick + duration_s : tick;
	return within;
}
