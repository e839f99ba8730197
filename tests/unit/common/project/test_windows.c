/* Sync windows: what may be synced when. */
#include "common/base/clock.h"
#include "common/doc/yaml.h"
#include "common/project/windows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NIGHT "schedule: '0 22 * * *', duration: 4h"

static struct cox_window_verdict judge(const char *windows, const char *when)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_window_verdict v;
	struct cox_windows *ws;
	struct cox_error err;
	int64_t ms = 0;

	if (cox_yaml_read(cox_str(windows), "w.yaml", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	ws = cox_windows_new(cox_doc_root(doc));
	assert_int_equal(cox_time_parse(cox_str(when), &ms, NULL), 0);
	cox_windows_judge(ws,
			  &(struct cox_window_subject){.application = "web",
						       .namespace = "shop",
						       .cluster = "prod-1",
						       .server = "https://1.2.3.4"},
			  ms, &v);
	cox_windows_free(ws);
	return v;
}

static void test_decisions(void **state)
{
	static const struct {
		const char *windows, *when;
		bool automated, manual, overrun;
	} cases[] = {
		{"[]", "2026-07-01T22:30:00Z", true, true, true},
		{"[{kind: deny, applications: ['*'], " NIGHT "}]", "2026-07-01T22:30:00Z", false,
		 false, false},
		{"[{kind: deny, applications: ['*'], " NIGHT "}]", "2026-07-01T12:00:00Z", true,
		 true, true},
		{"[{kind: deny, applications: ['*'], manualSync: true, " NIGHT "}]",
		 "2026-07-01T22:30:00Z", false, true, false},
		{"[{kind: deny, applications: ['*'], syncOverrun: true, " NIGHT "}]",
		 "2026-07-01T22:30:00Z", false, false, true},
		/* all active denials must permit it */
		{"[{kind: deny, applications: ['*'], manualSync: true, " NIGHT "},"
		 " {kind: deny, clusters: ['prod-*'], " NIGHT "}]",
		 "2026-07-01T22:30:00Z", false, false, false},
		/* those that are not active have no say */
		{"[{kind: deny, applications: ['*'], manualSync: true, " NIGHT "},"
		 " {kind: deny, clusters: ['prod-*'], schedule: '0 3 * * *', duration: 1h}]",
		 "2026-07-01T22:30:00Z", false, true, false},
		{"[{kind: allow, applications: ['*'], " NIGHT "}]", "2026-07-01T22:30:00Z", true,
		 true, true},
		{"[{kind: allow, applications: ['*'], " NIGHT "}]", "2026-07-01T12:00:00Z", false,
		 false, false},
		{"[{kind: allow, applications: ['*'], manualSync: true, " NIGHT "}]",
		 "2026-07-01T12:00:00Z", false, true, false},
		/* one permission is enough */
		{"[{kind: allow, applications: ['*'], " NIGHT "},"
		 " {kind: allow, namespaces: [shop], schedule: '0 12 * * *', duration: 1m}]",
		 "2026-07-01T12:00:00Z", true, true, true},
		/* a denial beats permissions */
		{"[{kind: allow, applications: ['*'], " NIGHT "},"
		 " {kind: deny, namespaces: [shop], " NIGHT "}]",
		 "2026-07-01T22:30:00Z", false, false, false},
		/* for whom */
		{"[{kind: deny, applications: [other], namespaces: [shop], " NIGHT "}]",
		 "2026-07-01T22:30:00Z", false, false, false},
		{"[{kind: deny, applications: [other], namespaces: [shop], andOperator: "
		 "true, " NIGHT "}]",
		 "2026-07-01T22:30:00Z", true, true, true},
		{"[{kind: deny, applications: [w*], namespaces: [shop], andOperator: true, " NIGHT
		 "}]",
		 "2026-07-01T22:30:00Z", false, false, false},
		{"[{kind: deny, clusters: ['https://1.2.*'], " NIGHT "}]", "2026-07-01T22:30:00Z",
		 false, false, false},
		{"[{kind: deny, " NIGHT "}]", "2026-07-01T22:30:00Z", true, true, true},
		/* local time */
		{"[{kind: deny, applications: ['*'], timeZone: Europe/Paris, " NIGHT "}]",
		 "2026-07-01T20:30:00Z", false, false, false},
		{"[{kind: deny, applications: ['*'], timeZone: Europe/Paris, " NIGHT "}]",
		 "2026-12-01T20:30:00Z", true, true, true},
		/* what cannot be read is on the safe side */
		{"[{kind: deny, applications: ['*'], schedule: never, duration: 1h}]",
		 "2026-07-01T12:00:00Z", false, false, false},
		{"[{kind: allow, applications: ['*'], timeZone: Europe/Atlantis, " NIGHT "}]",
		 "2026-07-01T22:30:00Z", false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		struct cox_window_verdict v = judge(cases[i].windows, cases[i].when);

		if (v.automated != cases[i].automated || v.manual != cases[i].manual ||
		    v.overrun != cases[i].overrun || !*v.message != cases[i].automated)
			fail_msg("%s at %s: automated %d, manual %d, overrun %d: %s",
				 cases[i].windows, cases[i].when, v.automated, v.manual, v.overrun,
				 v.message);
	}
}

static void test_edges(void **state)
{
	static const struct {
		const char *windows, *when, *until;
	} cases[] = {
		{"[{kind: deny, applications: ['*'], " NIGHT "}]", "2026-07-01T12:00:00Z",
		 "2026-07-01T22:00:00Z"},
		{"[{kind: deny, applications: ['*'], " NIGHT "}]", "2026-07-01T22:00:00Z",
		 "2026-07-02T02:00:00Z"},
		{"[{kind: deny, applications: ['*'], " NIGHT "},"
		 " {kind: allow, clusters: ['*'], schedule: '0 23 * * *', duration: 1h}]",
		 "2026-07-01T22:00:00Z", "2026-07-01T23:00:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		char text[COX_TIME_TEXT_MAX];

		cox_time_format(judge(cases[i].windows, cases[i].when).until_ms, text);
		assert_string_equal(text, cases[i].until);
	}
	assert_true(judge("[]", "2026-07-01T12:00:00Z").until_ms == INT64_MAX);
}

static void test_limit(void **state)
{
	for (size_t n = COX_LIMIT_SYNC_WINDOWS - 1; n <= COX_LIMIT_SYNC_WINDOWS + 1; n++) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		(void)state;
		for (size_t i = 0; i < n; i++)
			cox_buf_puts(&text, "- {kind: deny, applications: [other], " NIGHT "}\n");
		assert_int_equal(judge(cox_buf_cstr(&text), "2026-07-01T22:30:00Z").automated,
				 n <= COX_LIMIT_SYNC_WINDOWS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
