#include "common/base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

static int64_t read_clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t cox_clock_ms(void)
{
	return read_clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t cox_clock_us(void)
{
	return read_clock_us(CLOCK_MONOTONIC);
}

int64_t cox_clock_wall_ms(void)
{
	return read_clock_us(CLOCK_REALTIME) / 1000;
}

int64_t cox_clock_wall_us(void)
{
	return read_clock_us(CLOCK_REALTIME);
}

static struct tm to_utc(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	return tm;
}

void cox_time_format(int64_t wall_ms, char ret_text[COX_TIME_TEXT_MAX])
{
	struct tm tm = to_utc(wall_ms >= 0 ? wall_ms / 1000 : (wall_ms - 999) / 1000);

	strftime(ret_text, COX_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void cox_time_format_micro(int64_t wall_us, char ret_text[COX_TIME_TEXT_MAX])
{
	int64_t s = wall_us >= 0 ? wall_us / 1000000 : (wall_us - 999999) / 1000000;
	struct tm tm = to_utc(s);
	size_t n = strftime(ret_text, COX_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(ret_text + n, COX_TIME_TEXT_MAX - n, ".%06dZ", (int)(wall_us - s * 1000000));
}

static int digits(const char *p, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

int cox_time_parse(struct cox_str text, int64_t *ret_wall_ms, struct cox_error *err)
{
	const char *p = text.ptr, *end = text.ptr + text.len;
	int64_t ms = 0, scale = 100, seconds;
	int year, month, day, hour, minute, second, sign, oh, om;
	struct tm tm = {0};

	if (text.len < 20 || text.len > 48)
		goto bad;
	year = digits(p, 4);
	month = digits(p + 5, 2);
	day = digits(p + 8, 2);
	hour = digits(p + 11, 2);
	minute = digits(p + 14, 2);
	second = digits(p + 17, 2);
	if (p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != 't') || p[13] != ':' ||
	    p[16] != ':' || year < 0 || month < 1 || month > 12 || day < 1 || day > 31 ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		goto bad;
	p += 19;
	if (p < end && *p == '.') {
		const char *first = ++p;

		for (; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10)
			ms += (*p - '0') * scale;
		if (p == first)
			goto bad;
	}
	tm = (struct tm){.tm_year = year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = hour,
			 .tm_min = minute,
			 .tm_sec = second};
	seconds = timegm(&tm);
	if (tm.tm_mday != day)
		goto bad;
	if (end - p == 1 && (*p == 'Z' || *p == 'z')) {
		*ret_wall_ms = seconds * 1000 + ms;
		return 0;
	}
	if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':')
		goto bad;
	sign = *p == '+' ? 1 : -1;
	oh = digits(p + 1, 2);
	om = digits(p + 4, 2);
	if (oh < 0 || oh > 23 || om < 0 || om > 59)
		goto bad;
	*ret_wall_ms = (seconds - sign * (oh * 3600 + om * 60)) * 1000 + ms;
	return 0;
bad:
	return cox_error(err, COX_INVALID_ARGUMENT,
			 "'%.*s' is not a time like 2026-01-02T03:04:05Z", COX_STR_ARG(text));
}

static const struct {
	const char *name;
	double ns;
} units[] = {
	{"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3},
	{"ms", 1e6}, {"s", 1e9},  {"m", 60e9},	      {"h", 3600e9},
};

static double unit_of(const char **p, const char *end)
{
	const char *first = *p;
	size_t n;

	while (*p < end && *(*p) != '.' && (**p < '0' || **p > '9'))
		(*p)++;
	n = (size_t)(*p - first);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].name) == n && memcmp(units[i].name, first, n) == 0)
			return units[i].ns;
	return 0;
}

int cox_duration_parse(struct cox_str text, int64_t *ret_ms, struct cox_error *err)
{
	const char *p = text.ptr, *end = text.ptr + text.len;
	double total_ns = 0;
	int sign = 1;

	if (text.len && (*p == '-' || *p == '+'))
		sign = *p++ == '-' ? -1 : 1;
	if (end - p == 1 && *p == '0') {
		*ret_ms = 0;
		return 0;
	}
	if (p == end)
		goto bad;
	while (p < end) {
		double value = 0, scale = 0.1, unit;
		const char *first = p;

		for (; p < end && *p >= '0' && *p <= '9'; p++)
			value = value * 10 + (*p - '0');
		if (p < end && *p == '.')
			for (p++; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10)
				value += (*p - '0') * scale;
		if (p == first || (p == first + 1 && *first == '.'))
			goto bad;
		unit = unit_of(&p, end);
		if (unit == 0)
			goto bad;
		total_ns += value * unit;
	}
	if (total_ns > 9.2e18)
		goto bad;
	*ret_ms = sign * (int64_t)(total_ns / 1e6 + 1e-6);
	return 0;
bad:
	return cox_error(err, COX_INVALID_ARGUMENT, "'%.*s' is not a duration like 90s or 1h30m",
			 COX_STR_ARG(text));
}

void cox_duration_format(int64_t ms, char ret_text[COX_TIME_TEXT_MAX])
{
	const char *sign = ms < 0 ? "-" : "";
	uint64_t t = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
	unsigned long long h = t / 3600000, m = t / 60000 % 60, s = t / 1000 % 60, f = t % 1000;
	char fraction[8] = "";

	if (!t) {
		strcpy(ret_text, "0s");
		return;
	}
	if (t < 1000) {
		snprintf(ret_text, COX_TIME_TEXT_MAX, "%s%llums", sign, f);
		return;
	}
	if (f) {
		snprintf(fraction, sizeof(fraction), ".%03llu", f);
		for (size_t n = strlen(fraction); n > 0 && fraction[n - 1] == '0'; n--)
			fraction[n - 1] = '\0';
	}
	if (h)
		snprintf(ret_text, COX_TIME_TEXT_MAX, "%s%lluh%llum%llu%ss", sign, h, m, s,
			 fraction);
	else if (m)
		snprintf(ret_text, COX_TIME_TEXT_MAX, "%s%llum%llu%ss", sign, m, s, fraction);
	else
		snprintf(ret_text, COX_TIME_TEXT_MAX, "%s%llu%ss", sign, s, fraction);
}

void cox_duration_human(int64_t ms, char ret_text[COX_TIME_TEXT_MAX])
{
	long long s = ms < 0 ? 0 : ms / 1000;

	if (s < 60)
		snprintf(ret_text, COX_TIME_TEXT_MAX, "%llds", s);
	else if (s < 3600)
		snprintf(ret_text, COX_TIME_TEXT_MAX, "%lldm%llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(ret_text, COX_TIME_TEXT_MAX, "%lldh%lldm", s / 3600, s / 60 % 60);
	else
		snprintf(ret_text, COX_TIME_TEXT_MAX, "%lldd%lldh", s / 86400, s / 3600 % 24);
}
