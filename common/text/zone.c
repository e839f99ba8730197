#include "common/text/zone.h"

#include "common/base/file.h"
#include "common/base/vec.h"

#include <string.h>

#define DAY_S 86400

struct change {
	int64_t at;	/* seconds since 1970 UTC */
	int32_t offset; /* from then on */
};

/* One side of a footer: "M3.5.0/2", "J60", "59". */
struct rule {
	enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } kind;
	int month, week, day;
	int32_t time; /* seconds of the local day, before the change; may be beyond it */
};

struct cox_zone {
	int32_t first; /* before the first change */
	COX_VEC(struct change) changes;
	bool has_footer, has_summer;
	int32_t standard, summer; /* offsets */
	struct rule begin, end;	  /* of summer */
};

/* ---- the calendar: days since 1970 ---- */

static int64_t days_of(int64_t year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400, doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t year_of(int64_t utc_s)
{
	int64_t days = floor_div(utc_s, DAY_S), year = 1970 + days / 366;

	while (days_of(year + 1, 1, 1) <= days)
		year++;
	while (days_of(year, 1, 1) > days)
		year--;
	return year;
}

static int days_in(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

static int64_t rule_day(const struct rule *r, int64_t year)
{
	int64_t first, day;
	int weekday;

	if (r->kind == RULE_DAY)
		return days_of(year, 1, 1) + r->day;
	if (r->kind == RULE_JULIAN) /* 1 to 365; 29 February has no number */
		return days_of(year, 1, 1) + r->day - 1 + (is_leap(year) && r->day >= 60);
	first = days_of(year, r->month, 1);
	weekday = (int)(((first + 4) % 7 + 7) % 7);
	day = (r->day - weekday + 7) % 7 + 7 * (r->week - 1);
	while (day >= days_in(year, r->month))
		day -= 7;
	return first + day;
}

/* When summer begins (or ends) in that year, UTC. */
static int64_t rule_at(const struct rule *r, int64_t year, int32_t offset_before)
{
	return rule_day(r, year) * DAY_S + r->time - offset_before;
}

static int32_t footer_offset(const struct cox_zone *z, int64_t utc_s, int64_t *ret_until)
{
	int64_t year = year_of(utc_s), until = INT64_MAX, last = INT64_MIN;
	int32_t offset = z->standard;

	if (!z->has_summer) {
		*ret_until = INT64_MAX;
		return z->standard;
	}
	for (int64_t y = year - 1; y <= year + 1; y++) {
		const int64_t at[] = {rule_at(&z->begin, y, z->standard),
				      rule_at(&z->end, y, z->summer)};

		for (int i = 0; i < 2; i++) {
			if (at[i] <= utc_s && at[i] > last) {
				last = at[i];
				offset = i == 0 ? z->summer : z->standard;
			}
			if (at[i] > utc_s && at[i] < until)
				until = at[i];
		}
	}
	*ret_until = until;
	return offset;
}

int32_t cox_zone_offset(const struct cox_zone *z, int64_t utc_s, int64_t *ret_until)
{
	size_t low = 0, high = z ? z->changes.n : 0;
	int64_t until = INT64_MAX;
	int32_t offset;

	while (low < high) { /* the number of changes up to that moment */
		size_t mid = (low + high) / 2;

		if (z->changes.items[mid].at <= utc_s)
			low = mid + 1;
		else
			high = mid;
	}
	if (!z)
		offset = 0;
	else if (low == z->changes.n && z->has_footer)
		offset = footer_offset(z, utc_s, &until);
	else
		offset = low ? z->changes.items[low - 1].offset : z->first;
	if (z && low < z->changes.n)
		until = z->changes.items[low].at;
	if (ret_until)
		*ret_until = until;
	return offset;
}

/* ---- the footer: "<+03>-3", "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

static bool skip_name(const char **p)
{
	const char *s = *p;

	if (*s == '<') {
		while (*s && *s != '>')
			s++;
		if (*s != '>')
			return false;
		*p = s + 1;
		return true;
	}
	while ((*s | 32) >= 'a' && (*s | 32) <= 'z')
		s++;
	if (s - *p < 3)
		return false;
	*p = s;
	return true;
}

static bool number(const char **p, int most, int *ret)
{
	int n = 0;
	const char *s = *p;

	while (*s >= '0' && *s <= '9' && n <= most)
		n = n * 10 + *s++ - '0';
	if (s == *p || n > most)
		return false;
	*p = s;
	*ret = n;
	return true;
}

/* [+-]hh[:mm[:ss]] */
static bool clock_time(const char **p, int32_t *ret)
{
	int sign = **p == '-' ? -1 : 1, part[3] = {0};

	if (**p == '-' || **p == '+')
		(*p)++;
	if (!number(p, 167, &part[0]))
		return false;
	for (int i = 1; i < 3 && **p == ':'; i++) {
		(*p)++;
		if (!number(p, 59, &part[i]))
			return false;
	}
	*ret = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
	return true;
}

static bool read_rule(const char **p, struct rule *r)
{
	*r = (struct rule){.kind = RULE_DAY, .time = 2 * 3600};
	if (*(*p)++ != ',')
		return false;
	if (**p == 'M') {
		r->kind = RULE_MONTH;
		(*p)++;
		if (!number(p, 12, &r->month) || *(*p)++ != '.' || !number(p, 5, &r->week) ||
		    *(*p)++ != '.' || !number(p, 6, &r->day) || r->month < 1 || r->week < 1)
			return false;
	} else if (**p == 'J') {
		r->kind = RULE_JULIAN;
		(*p)++;
		if (!number(p, 365, &r->day) || r->day < 1)
			return false;
	} else if (!number(p, 365, &r->day)) {
		return false;
	}
	if (**p != '/')
		return true;
	(*p)++;
	return clock_time(p, &r->time);
}

static bool read_footer(struct cox_zone *z, const char *p)
{
	int32_t west;

	if (!*p)
		return true;
	if (!skip_name(&p) || !clock_time(&p, &west))
		return false;
	z->standard = -west;
	z->summer = z->standard + 3600;
	z->has_footer = true;
	if (!*p)
		return true;
	z->has_summer = true;
	if (!skip_name(&p))
		return false;
	if (*p && *p != ',') {
		if (!clock_time(&p, &west))
			return false;
		z->summer = -west;
	}
	return read_rule(&p, &z->begin) && read_rule(&p, &z->end) && !*p;
}

/* ---- the file ---- */

struct header {
	uint32_t is_ut, is_std, leaps, times, types, chars;
	size_t size; /* of the data behind it */
};

static uint64_t big(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static bool read_header(struct cox_str b, size_t at, size_t width, struct header *h)
{
	const uint8_t *p = (const uint8_t *)b.ptr + at;

	if (b.len < at + 44 || memcmp(p, "TZif", 4) != 0)
		return false;
	*h = (struct header){.is_ut = (uint32_t)big(p + 20, 4),
			     .is_std = (uint32_t)big(p + 24, 4),
			     .leaps = (uint32_t)big(p + 28, 4),
			     .times = (uint32_t)big(p + 32, 4),
			     .types = (uint32_t)big(p + 36, 4),
			     .chars = (uint32_t)big(p + 40, 4)};
	/* each is bounded by the file's size, so that the sum cannot overflow */
	if (h->is_ut > b.len || h->is_std > b.len || h->leaps > b.len || h->times > b.len ||
	    h->types > b.len || h->chars > b.len || h->types == 0)
		return false;
	h->size = h->times * (width + 1) + h->types * 6 + h->chars + h->leaps * (width + 4) +
		  h->is_std + h->is_ut;
	return at + 44 + h->size <= b.len;
}

static bool read_zone(struct cox_str b, struct cox_zone *z)
{
	struct header h;
	const uint8_t *times, *indexes, *types;
	size_t at;

	if (!read_header(b, 0, 4, &h) || b.ptr[4] < '2')
		return false;
	at = 44 + h.size; /* the second part has 64-bit times */
	if (!read_header(b, at, 8, &h))
		return false;
	times = (const uint8_t *)b.ptr + at + 44;
	indexes = times + 8 * (size_t)h.times;
	types = indexes + h.times;
	z->first = (int32_t)(uint32_t)big(types, 4);
	for (uint32_t i = 0; i < h.times; i++) {
		if (indexes[i] >= h.types)
			return false;
		cox_vec_push(&z->changes,
			     ((struct change){
				     (int64_t)big(times + 8 * (size_t)i, 8),
				     (int32_t)(uint32_t)big(types + 6 * (size_t)indexes[i], 4)}));
		if (i && z->changes.items[i].at < z->changes.items[i - 1].at)
			return false;
	}
	at += 44 + h.size;
	if (b.len < at + 2 || b.ptr[at] != '\n' || b.ptr[b.len - 1] != '\n')
		return false;
	_cleanup_free_ char *footer = cox_str_dup(cox_str_n(b.ptr + at + 1, b.len - at - 2));

	return read_footer(z, footer);
}

int cox_zone_read(struct cox_str bytes, struct cox_zone **ret_zone, struct cox_error *err)
{
	COX_CLEANUP(cox_zone_free_p) struct cox_zone *z = cox_new(struct cox_zone);

	if (!read_zone(bytes, z))
		return cox_error(err, COX_DATA_LOSS, "not a time zone file of version 2 or later");
	*ret_zone = TAKE(z);
	return 0;
}

/* "America/Argentina/Buenos_Aires", "Etc/GMT+3": a relative path without dots. */
static bool is_name(const char *name)
{
	if (strlen(name) > 64 || *name == '/' || strstr(name, "//"))
		return false;
	for (const char *p = name; *p; p++)
		if (!((*p | 32) >= 'a' && (*p | 32) <= 'z') && !(*p >= '0' && *p <= '9') &&
		    !strchr("/_-+", *p))
			return false;
	return true;
}

int cox_zone_open(const char *name, struct cox_zone **ret_zone, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;
	_cleanup_free_ char *path = NULL;

	if (!*name || strcmp(name, "UTC") == 0) {
		*ret_zone = cox_new(struct cox_zone);
		return 0;
	}
	if (!is_name(name))
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is no name of a time zone", name);
	path = cox_path_join(COX_ZONE_FOLDER, name);
	if (cox_file_read(path, COX_LIMIT_ZONE_BYTES, &bytes, NULL) < 0 ||
	    cox_zone_read(cox_buf_str(&bytes), ret_zone, NULL) < 0)
		return cox_error(err, COX_NOT_FOUND,
				 "time zone '%s' is not known here: it is no name of the IANA time "
				 "zone database, or the package tzdata is not installed",
				 name);
	return 0;
}

void cox_zone_free(struct cox_zone *z)
{
	if (!z)
		return;
	cox_vec_fini(&z->changes);
	free(z);
}
