/* Time zones and schedules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/text/cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int64_t at(const char *text)
{
	int64_t ms = 0;

	assert_int_equal(cox_time_parse(cox_str(text), &ms, NULL), 0);
	return ms / 1000;
}

static struct cox_zone *zone(const char *name)
{
	struct cox_zone *z = NULL;
	struct cox_error err;

	if (cox_zone_open(name, &z, &err) < 0)
		fail_msg("%s", err.message);
	return z;
}

/* Against what the C library makes of the same files, at random moments of 1900 to 2100. */
static void test_zones_are_the_system_s(void **state)
{
	static const char *const names[] = {
		"Europe/Paris",	     "America/New_York",  "Asia/Kolkata",  "Australia/Lord_Howe",
		"America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia",  "Asia/Tehran",
		"America/Nuuk",	     "Etc/GMT+3",	  "Europe/Dublin", "America/Santiago"};
	uint64_t seed = 20261123;
	struct cox_rng rng;

	(void)state;
	cox_rng_init(&rng, seed);
	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++) {
		_cleanup_free_ char *path = cox_path_join(COX_ZONE_FOLDER, names[i]);
		struct cox_zone *z;

		if (access(path, R_OK) != 0) {
			print_message("no %s here\n", path);
			skip();
		}
		z = zone(names[i]);
		setenv("TZ", names[i], 1);
		tzset();
		for (int k = 0; k < 5000; k++) {
			time_t t = (time_t)cox_rng_below(&rng, 200ULL * 365 * 86400) -
				   70LL * 365 * 86400;
			struct tm tm;
			int64_t until;
			int32_t got = cox_zone_offset(z, t, &until);

			localtime_r(&t, &tm);
			if (got != tm.tm_gmtoff || until <= t)
				fail_msg("%s at %lld: %d, not %ld (until %lld; seed %llu)",
					 names[i], (long long)t, got, tm.tm_gmtoff,
					 (long long)until, (unsigned long long)seed);
		}
		cox_zone_free(z);
	}
	unsetenv("TZ");
	tzset();
}

static void test_zone_changes(void **state)
{
	struct cox_zone *z = zone("Europe/Paris");
	int64_t until;

	(void)state;
	/* by the list of the file, and by its footer */
	assert_int_equal(cox_zone_offset(z, at("2026-03-29T00:59:59Z"), &until), 3600);
	assert_int_equal(until, at("2026-03-29T01:00:00Z"));
	assert_int_equal(cox_zone_offset(z, at("2026-03-29T01:00:00Z"), &until), 7200);
	assert_int_equal(until, at("2026-10-25T01:00:00Z"));
	assert_int_equal(cox_zone_offset(z, at("2090-03-26T00:59:59Z"), &until), 3600);
	assert_int_equal(until, at("2090-03-26T01:00:00Z"));
	cox_zone_free(z);
	z = zone("");
	assert_int_equal(cox_zone_offset(z, at("2026-07-01T00:00:00Z"), &until), 0);
	assert_true(until == INT64_MAX);
	cox_zone_free(z);
}

static void test_zone_names(void **state)
{
	static const char *const bad[] = {"/etc/passwd", "../../../etc/passwd", "Europe/Paris\n",
					  "Europe//Paris", "a b"};
	struct cox_zone *z = NULL;
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		assert_int_equal(cox_zone_open(bad[i], &z, &err), -COX_INVALID_ARGUMENT);
	assert_int_equal(cox_zone_open("Europe/Atlantis", &z, &err), -COX_NOT_FOUND);
	assert_int_equal(cox_zone_open("Europe", &z, &err), -COX_NOT_FOUND);
	assert_null(z);
}

/* Whatever is damaged is refused or read, and never more than that. */
static void test_zone_damage(void **state)
{
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;
	struct cox_rng rng;

	(void)state;
	cox_rng_init(&rng, 7);
	if (cox_file_read(COX_ZONE_FOLDER "/Europe/Paris", COX_LIMIT_ZONE_BYTES, &bytes, NULL) < 0)
		skip();
	for (int i = 0; i < 3000; i++) {
		size_t n = cox_rng_below(&rng, 4) ? bytes.len : cox_rng_below(&rng, bytes.len);
		_cleanup_free_ char *copy = cox_calloc(1, n + 1);
		struct cox_zone *z = NULL;

		memcpy(copy, bytes.ptr, n);
		for (int k = 0; k < 3 && n; k++)
			copy[cox_rng_below(&rng, cox_rng_below(&rng, 2) ? n
						 : n < 90		? n
							  : 90)] = (char)cox_rng_next(&rng);
		if (cox_zone_read(cox_str_n(copy, n), &z, NULL) == 0)
			cox_zone_offset(z, (int64_t)cox_rng_below(&rng, 1ULL << 33), NULL);
		cox_zone_free(z);
	}
}

/* ---- schedules ---- */

static void test_cron(void **state)
{
	static const struct {
		const char *schedule, *zone, *after, *next;
	} cases[] = {
		{"* * * * *", "", "2026-01-02T03:04:05Z", "2026-01-02T03:05:00Z"},
		{"*/15 * * * *", "", "2026-01-02T03:45:00Z", "2026-01-02T04:00:00Z"},
		{"5/20 * * * *", "", "2026-01-02T03:26:00Z", "2026-01-02T03:45:00Z"},
		{"0 9 * * 1-5", "", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"},
		{"0 9 * * MON-FRI", "", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"},
		{"0 0 29 feb ?", "", "2026-01-02T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 22 * * sun,3", "", "2026-01-04T22:00:00Z", "2026-01-07T22:00:00Z"},
		/* the 13th, and every Friday */
		{"0 0 13 * 5", "", "2026-02-07T00:00:00Z", "2026-02-13T00:00:00Z"},
		{"0 0 13 * 5", "", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"},
		/* a step is no star: one of the two is enough */
		{"0 0 */10 * 1", "", "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"},
		{"@weekly", "", "2026-01-02T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"@yearly", "", "2026-01-02T00:00:00Z", "2027-01-01T00:00:00Z"},
		/* local hours, before and after the clocks change */
		{"0 9 * * *", "Europe/Paris", "2026-03-28T00:00:00Z", "2026-03-28T08:00:00Z"},
		{"0 9 * * *", "Europe/Paris", "2026-03-29T00:00:00Z", "2026-03-29T07:00:00Z"},
		/* 02:30 is skipped in spring */
		{"30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"},
		/* and comes twice in autumn */
		{"30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"30 2 * * *", "Europe/Paris", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		{"30 2 * * *", "Europe/Paris", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"},
		/* a midnight that does not exist: the hour after is the day's first */
		{"0 * 8 9 *", "America/Santiago", "2024-09-07T12:00:00Z", "2024-09-08T04:00:00Z"},
		/* half an hour of summer time */
		{"0 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
		 "2026-10-04T15:00:00Z"},
		{"15 0 * * *", "Asia/Kolkata", "2026-01-01T18:45:00Z", "2026-01-02T18:45:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		struct cox_zone *z = zone(cases[i].zone);
		char text[COX_TIME_TEXT_MAX];
		struct cox_cron c;
		struct cox_error err;

		if (cox_cron_parse(cox_str(cases[i].schedule), &c, &err) < 0)
			fail_msg("%s", err.message);
		cox_time_format(cox_cron_next(&c, z, at(cases[i].after)) * 1000, text);
		if (strcmp(text, cases[i].next) != 0)
			fail_msg("'%s' %s after %s: %s, not %s", cases[i].schedule, cases[i].zone,
				 cases[i].after, text, cases[i].next);
		cox_zone_free(z);
	}
}

static void test_cron_refused(void **state)
{
	static const char *const bad[] = {"",		"* * * *",     "* * * * * *", "60 * * * *",
					  "* 24 * * *", "* * 0 * *",   "* * 32 * *",  "* * * 13 *",
					  "* * * * 7",	"*/0 * * * *", "5-1 * * * *", "a * * * *",
					  "1, * * * *", "-1 * * * *",  "1- * * * *",  "*/ * * * *",
					  "@often",	"@every 1h",   "* * * * mond"};
	struct cox_cron c;
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		if (cox_cron_parse(cox_str(bad[i]), &c, &err) != -COX_INVALID_ARGUMENT)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(cox_cron_parse(COX_STR("0 0 30 2 *"), &c, &err), 0);
	assert_true(cox_cron_next(&c, NULL, 0) == INT64_MAX);
}

static void test_within(void **state)
{
	struct cox_zone *z = zone("Europe/Paris");
	struct cox_cron c;
	int64_t edge = 0;

	(void)state;
	assert_int_equal(cox_cron_parse(COX_STR("0 22 * * *"), &c, NULL), 0);
	assert_false(cox_cron_is_within(&c, z, 4 * 3600, at("2026-07-01T19:59:59Z"), &edge));
	assert_int_equal(edge, at("2026-07-01T20:00:00Z"));
	assert_true(cox_cron_is_within(&c, z, 4 * 3600, at("2026-07-01T20:00:00Z"), &edge));
	assert_int_equal(edge, at("2026-07-02T00:00:00Z"));
	assert_true(cox_cron_is_within(&c, z, 4 * 3600, at("2026-07-01T23:59:59Z"), &edge));
	assert_false(cox_cron_is_within(&c, z, 4 * 3600, at("2026-07-02T00:00:00Z"), &edge));
	/* the duration is real time, also over a change of clocks */
	assert_true(cox_cron_is_within(&c, z, 6 * 3600, at("2026-10-25T01:59:59Z"), NULL));
	assert_false(cox_cron_is_within(&c, z, 6 * 3600, at("2026-10-25T02:00:00Z"), NULL));
	cox_zone_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones_are_the_system_s),
		cmocka_unit_test(test_zone_changes),
		cmocka_unit_test(test_zone_names),
		cmocka_unit_test(test_zone_damage),
		cmocka_unit_test(test_cron),
		cmocka_unit_test(test_cron_refused),
		cmocka_unit_test(test_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
