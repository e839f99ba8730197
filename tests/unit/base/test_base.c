/* common/base: errors, buffers, maps, arenas, clock texts, encodings, files, URLs in logs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/error.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/base/suggest.h"
#include "common/base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static void error_keeps_code_and_text(void **state)
{
	struct cox_error err = COX_ERROR_INIT;

	(void)state;
	assert_int_equal(cox_error(&err, COX_NOT_FOUND, "no cluster '%s'", "a"), -COX_NOT_FOUND);
	assert_string_equal(err.message, "no cluster 'a'");
	assert_int_equal(cox_error_wrap(&err, "cannot assign '%s'", "app"), -COX_NOT_FOUND);
	assert_string_equal(err.message, "cannot assign 'app': no cluster 'a'");
	assert_int_equal(cox_error_sys(&err, ENOENT, "cannot open '%s'", "x"), -COX_NOT_FOUND);
	assert_string_equal(err.message, "cannot open 'x': No such file or directory");
	assert_int_equal(cox_error(NULL, COX_ABORTED, "nobody reads this"), -COX_ABORTED);
	assert_int_equal(sizeof(err), 256);
}

static void error_marks_a_cut_message(void **state)
{
	struct cox_error err;
	char longer[400];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cox_error(&err, COX_INTERNAL, "%s", longer);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_string_equal(err.message + sizeof(err.message) - 4, "...");
}

static void codes_go_round(void **state)
{
	(void)state;
	for (int i = 0; i <= 16; i++)
		assert_int_equal(cox_code_parse(cox_code_name(i)), i);
	assert_string_equal(cox_code_name(99), "unknown");
	assert_int_equal(cox_code_from_http(404), COX_NOT_FOUND);
	assert_int_equal(cox_code_to_http(COX_UNAUTHENTICATED), 401);
	assert_true(cox_code_is_transient(COX_UNAVAILABLE));
	assert_false(cox_code_is_transient(COX_INVALID_ARGUMENT));
}

static void map_is_ordered_and_survives_churn(void **state)
{
	_cleanup_map_ struct cox_map m = COX_MAP_INIT;
	char key[32];
	intptr_t want = 1;

	(void)state;
	for (intptr_t i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key-%ld", (long)i);
		assert_null(cox_map_set(&m, key, (void *)(i + 1)));
	}
	assert_int_equal(m.n, 1000);
	for (intptr_t i = 0; i < 1000; i += 2) {
		snprintf(key, sizeof(key), "key-%ld", (long)i);
		assert_ptr_equal(cox_map_remove(&m, key), (void *)(i + 1));
		assert_null(cox_map_remove(&m, key));
	}
	COX_MAP_EACH (&m, e) {
		assert_ptr_equal(e->value, (void *)(want + 1));
		want += 2;
	}
	assert_int_equal(want, 1001);
	/* Removing and adding for ever must not grow the table. */
	for (int round = 0; round < 100000; round++) {
		assert_null(cox_map_set(&m, "again", &m));
		assert_ptr_equal(cox_map_set(&m, "again", &want), &m);
		assert_ptr_equal(cox_map_remove(&m, "again"), &want);
	}
	assert_true(m.cap < 4096);
	assert_ptr_equal(cox_map_get(&m, "key-501"), (void *)502);
	assert_false(cox_map_has(&m, "key-500"));
	assert_null(cox_map_get(&m, ""));
}

static void arena_respects_its_quota(void **state)
{
	struct cox_arena a = COX_ARENA_INIT(1024);
	char *s;

	(void)state;
	assert_non_null(cox_arena_alloc(&a, 1016));
	assert_null(cox_arena_alloc(&a, 16));
	s = cox_arena_strndup(&a, "seven", 5);
	assert_string_equal(s, "seven");
	assert_null(cox_arena_alloc(&a, 1));
	cox_arena_fini(&a);
	/* Large and small objects in one arena do not overlap. */
	a = COX_ARENA_INIT(0);
	for (int i = 0; i < 200; i++) {
		size_t n = i % 7 ? 40 : 100000;
		char *p = cox_arena_alloc(&a, n);

		memset(p, i, n);
		assert_int_equal((uintptr_t)p % 8, 0);
	}
	cox_arena_fini(&a);
}

static void durations_are_go_s(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
		const char *again;
	} good[] = {
		{"0", 0, "0s"},
		{"1h30m", 5400000, "1h30m0s"},
		{"90s", 90000, "1m30s"},
		{"500ms", 500, "500ms"},
		{"1.5h", 5400000, "1h30m0s"},
		{"-2s", -2000, "-2s"},
		{"1m0.25s", 60250, "1m0.25s"},
		{"300us", 0, "0s"},
	};
	static const char *const bad[] = {"", "5", "1x", "s", "1h30", ".s", "--1s", "1 s"};
	char text[COX_TIME_TEXT_MAX];
	struct cox_error err;
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(good); i++) {
		assert_int_equal(cox_duration_parse(cox_str(good[i].text), &ms, &err), 0);
		assert_int_equal(ms, good[i].ms);
		cox_duration_format(ms, text);
		assert_string_equal(text, good[i].again);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		assert_int_equal(cox_duration_parse(cox_str(bad[i]), &ms, &err),
				 -COX_INVALID_ARGUMENT);
}

static void times_are_rfc3339(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2024-02-29T12:34:56.789Z", 1709210096789},
		{"2024-02-29T13:34:56+01:00", 1709210096000},
		{"2024-02-29T12:34:56.5Z", 1709210096500},
	};
	static const char *const bad[] = {
		"2023-02-29T00:00:00Z",	    "2024-01-01 00:00:00Z", "2024-01-01T00:00:00",
		"2024-13-01T00:00:00Z",	    "2024-01-01T24:00:00Z", "2024-01-01T00:00:00.Z",
		"2024-01-01T00:00:00+0100",
	};
	char text[COX_TIME_TEXT_MAX];
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(good); i++) {
		assert_int_equal(cox_time_parse(cox_str(good[i].text), &ms, NULL), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		assert_int_equal(cox_time_parse(cox_str(bad[i]), &ms, NULL), -COX_INVALID_ARGUMENT);
	cox_time_format(1709210096789, text);
	assert_string_equal(text, "2024-02-29T12:34:56Z");
	cox_time_format_micro(1709210096789012, text);
	assert_string_equal(text, "2024-02-29T12:34:56.789012Z");
}

static void base64_goes_round(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
	static const char *const bad[] = {"Z", "Zg=", "Zg===", "Zm9v!", "=Zg=", "Zg==Zg=="};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(pairs); i++) {
		_cleanup_buf_ struct cox_buf out = COX_BUF_INIT, back = COX_BUF_INIT;

		cox_base64_encode(&out, pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(cox_buf_cstr(&out), pairs[i][1]);
		assert_int_equal(cox_base64_decode(&back, cox_buf_str(&out), NULL), 0);
		assert_string_equal(cox_buf_cstr(&back), pairs[i][0]);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++) {
		_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

		assert_int_equal(cox_base64_decode(&out, cox_str(bad[i]), NULL),
				 -COX_INVALID_ARGUMENT);
		assert_int_equal(out.len, 0);
	}
}

static void url_decoding_refuses_nul(void **state)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	(void)state;
	assert_int_equal(cox_url_decode(&out, cox_str("a%2Fb+c"), true, NULL), 0);
	assert_string_equal(cox_buf_cstr(&out), "a/b c");
	assert_int_equal(cox_url_decode(&out, cox_str("%00"), false, NULL), -COX_INVALID_ARGUMENT);
	assert_int_equal(cox_url_decode(&out, cox_str("%4"), false, NULL), -COX_INVALID_ARGUMENT);
	cox_buf_clear(&out);
	assert_int_equal(cox_url_decode(&out, cox_str("%41"), false, NULL), 0);
	assert_string_equal(cox_buf_cstr(&out), "A");
}

static void utf8_is_rfc3629(void **state)
{
	static const char *const good[] = {
		"", "plain", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xef\xbf\xbf"};
	static const char *const bad[] = {
		"\x80",	    "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xe2\x82", "\xff",	"\xe0\x80\x80"};
	size_t at;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(good); i++)
		assert_true(cox_utf8_valid(cox_str(good[i]), NULL));
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++) {
		assert_false(cox_utf8_valid(cox_str(bad[i]), &at));
		assert_int_equal(at, 0);
	}
}

static void files_have_limits_and_are_whole(void **state)
{
	char dir[] = "/tmp/cox-base-XXXXXX";
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_free_ char *deep = NULL, *path = NULL, *lock = NULL;
	struct cox_error err;
	struct stat st;
	int fd, other;

	(void)state;
	assert_non_null(mkdtemp(dir));
	deep = cox_path_join(dir, "a/b");
	path = cox_path_join(deep, "file");
	lock = cox_path_join(deep, "lock");
	assert_int_equal(cox_dir_make(deep, 0700, &err), 0);
	assert_int_equal(cox_dir_make(deep, 0700, &err), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(cox_file_write(path, COX_STR("12345"), 0600, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(cox_file_read(path, 4, &text, &err), -COX_RESOURCE_EXHAUSTED);
	assert_int_equal(text.len, 0);
	assert_int_equal(cox_file_read(path, 5, &text, &err), 0);
	assert_string_equal(cox_buf_cstr(&text), "12345");
	assert_int_equal(cox_dir_make(path, 0700, &err), -COX_ALREADY_EXISTS);
	assert_int_equal(cox_file_lock(lock, &fd, &err), 0);
	assert_int_equal(cox_file_lock(lock, &other, &err), -COX_UNAVAILABLE);
	close(fd);
	assert_int_equal(cox_file_lock(lock, &other, &err), 0);
	close(other);
	unlink(lock);
	unlink(path);
	rmdir(deep);
	*strrchr(deep, '/') = '\0';
	rmdir(deep);
	rmdir(dir);
}

static void urls_are_shown_without_secrets(void **state)
{
	static const char *const pairs[][2] = {
		{"https://user:pw@host/x?token=1#f", "https://host/x"},
		{"https://host/a@b", "https://host/a@b"},
		{"https://a:p@q@host", "https://host"},
		{"git@github.com:org/repo.git", "git@github.com:org/repo.git"},
		{"ssh://git:secret@host:22/x", "ssh://host:22/x"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(pairs); i++) {
		_cleanup_free_ char *shown = cox_url_redact(pairs[i][0]);

		assert_string_equal(shown, pairs[i][1]);
	}
}

static void split_gives_every_part(void **state)
{
	struct cox_str rest = cox_str("a,,b"), part;
	const char *want[] = {"a", "", "b"};
	size_t n = 0;

	(void)state;
	while (cox_str_split(&rest, ',', &part))
		assert_true(cox_str_is(part, want[n++]));
	assert_int_equal(n, 3);
}

static void rng_repeats_and_uuid_is_version_4(void **state)
{
	struct cox_rng a, b;
	char uuid[COX_UUID_TEXT];

	(void)state;
	cox_rng_init(&a, 7);
	cox_rng_init(&b, 7);
	for (int i = 0; i < 100; i++) {
		uint64_t x = cox_rng_below(&a, 10);

		assert_true(x < 10);
		assert_int_equal(x, cox_rng_below(&b, 10));
		assert_in_range(cox_backoff_ms(&a, 500, 60000, 20), 0, 60000);
		(void)cox_backoff_ms(&b, 500, 60000, 20);
	}
	cox_uuid_new(uuid);
	assert_int_equal(strlen(uuid), 36);
	assert_int_equal(uuid[14], '4');
}

static void vectors_insert_and_remove(void **state)
{
	COX_VEC(int) v = {0};

	(void)state;
	for (int i = 0; i < 20; i++)
		cox_vec_push(&v, i);
	cox_vec_remove(&v, 0);
	cox_vec_insert(&v, 1, 100);
	assert_int_equal(v.items[0], 1);
	assert_int_equal(v.items[1], 100);
	assert_int_equal(v.items[2], 2);
	assert_int_equal(v.n, 20);
	cox_vec_fini(&v);
}

static void near_words_are_suggested(void **state)
{
	static const struct {
		const char *word, *near;
	} cases[] = {
		{"prot", "port"},
		{"repoUrl", "repoURL"},
		{"destinatoin", "destination"},
		{"sorce", "source"},
		{"x", NULL},
		{"", NULL},
		{"somethingelse", NULL},
	};
	static const char *const known[] = {"port", "repoURL", "source", "destination"};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		struct cox_suggestion near = {0};

		for (size_t k = 0; k < COX_ARRAY_LEN(known); k++)
			cox_suggest(&near, cox_str(cases[i].word), known[k]);
		assert_true(cox_streq(near.best, cases[i].near));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_keeps_code_and_text),
		cmocka_unit_test(error_marks_a_cut_message),
		cmocka_unit_test(codes_go_round),
		cmocka_unit_test(map_is_ordered_and_survives_churn),
		cmocka_unit_test(arena_respects_its_quota),
		cmocka_unit_test(durations_are_go_s),
		cmocka_unit_test(times_are_rfc3339),
		cmocka_unit_test(base64_goes_round),
		cmocka_unit_test(url_decoding_refuses_nul),
		cmocka_unit_test(utf8_is_rfc3629),
		cmocka_unit_test(files_have_limits_and_are_whole),
		cmocka_unit_test(urls_are_shown_without_secrets),
		cmocka_unit_test(split_gives_every_part),
		cmocka_unit_test(rng_repeats_and_uuid_is_version_4),
		cmocka_unit_test(vectors_insert_and_remove),
		cmocka_unit_test(near_words_are_suggested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
