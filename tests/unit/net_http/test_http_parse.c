/* Heads and chunks: what is taken, and what must be refused because two readers could differ. */
#include "common/base/cleanup.h"
#include "common/net/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static char text[65536];

static int parse(const char *wanted, struct cox_http_head *ret_head)
{
	const char *why = NULL;

	memcpy(text, wanted, strlen(wanted) + 1);
	int status = cox_http_head_parse(text, strlen(wanted), ret_head, &why);
	assert_true((status == 0) == (why == NULL));
	return status;
}

static void plain_head(void **state)
{
	struct cox_http_head head;

	(void)state;
	assert_int_equal(parse("GET /a/b%20c?x=1&y HTTP/1.1\r\nHost: h\r\nX-One:  v w \t\r\n"
			       "Content-Length: 12\r\n\r\n",
			       &head),
			 0);
	assert_string_equal(head.method, "GET");
	assert_string_equal(head.path, "/a/b%20c");
	assert_string_equal(head.query, "x=1&y");
	assert_int_equal(head.minor, 1);
	assert_int_equal(head.content_length, 12);
	assert_true(head.keep_alive);
	assert_string_equal(cox_http_head_get(&head, "x-one"), "v w");
	assert_null(cox_http_head_get(&head, "x-two"));
}

static void variants(void **state)
{
	struct cox_http_head head;

	(void)state;
	assert_int_equal(parse("POST http://h:1/p HTTP/1.1\r\nHost: h\r\nConnection: a, Close\r\n"
			       "Transfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n",
			       &head),
			 0);
	assert_string_equal(head.path, "/p");
	assert_string_equal(head.query, "");
	assert_true(head.chunked && head.expects_continue && !head.keep_alive);
	assert_int_equal(head.content_length, -1);
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &head), 0);
	assert_false(head.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &head), 0);
	assert_true(head.keep_alive);
	assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", &head), 0);
}

#define H "\r\nHost: h\r\n"
static const struct {
	const char *text;
	int status;
} bad_heads[] = {
	{"GET / HTTP/1.1\r\n\r\n", 400},
	{"GET / HTTP/1.1" H "Host: i\r\n\r\n", 400},
	{"GET / HTTP/2.0" H "\r\n", 505},
	{"GET /" H "\r\n", 400},
	{"GET  / HTTP/1.1" H "\r\n", 400},
	{"GE(T / HTTP/1.1" H "\r\n", 400},
	{"GET x HTTP/1.1" H "\r\n", 400},
	{"GET /# HTTP/1.1" H "\r\n", 400},
	{"GET /\x80 HTTP/1.1" H "\r\n", 400},
	{"GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
	{"GET / HTTP/1.1\rX: y" H "\r\n", 400},
	{"GET / HTTP/1.1" H "A : b\r\n\r\n", 400},
	{"GET / HTTP/1.1" H " folded\r\n\r\n", 400},
	{"GET / HTTP/1.1" H "no colon\r\n\r\n", 400},
	{"GET / HTTP/1.1" H ": v\r\n\r\n", 400},
	{"GET / HTTP/1.1" H "A: b\x01\r\n\r\n", 400},
	{"POST / HTTP/1.1" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
	{"POST / HTTP/1.1" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"POST / HTTP/1.1" H "Content-Length: 1, 1\r\n\r\n", 400},
	{"POST / HTTP/1.1" H "Content-Length: +1\r\n\r\n", 400},
	{"POST / HTTP/1.1" H "Content-Length: \r\n\r\n", 400},
	{"POST / HTTP/1.1" H "Content-Length: 9999999999999999999\r\n\r\n", 400},
	{"POST / HTTP/1.1" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
	{"POST / HTTP/1.1" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	 400},
	{"POST / HTTP/1.0" H "Transfer-Encoding: chunked\r\n\r\n", 400},
	{"POST / HTTP/1.1" H "Expect: more\r\n\r\n", 417},
	{"GET / HTTP/1.1" H "\r\nrest\r\n\r\n", 400},
};

static void ambiguous_heads_are_refused(void **state)
{
	struct cox_http_head head;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad_heads); i++) {
		int status = parse(bad_heads[i].text, &head);
		if (status != bad_heads[i].status)
			fail_msg("%d instead of %d for: %s", status, bad_heads[i].status,
				 bad_heads[i].text);
	}
}

static void headers_are_counted(void **state)
{
	struct cox_http_head head;

	(void)state;
	for (int n = COX_HTTP_MAX_HEADERS - 1; n <= COX_HTTP_MAX_HEADERS + 1; n++) {
		_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
		cox_buf_puts(&b, "GET / HTTP/1.1\r\nHost: h\r\n");
		for (int i = 1; i < n; i++)
			cox_buf_printf(&b, "x-%d: %d\r\n", i, i);
		cox_buf_puts(&b, "\r\n");
		assert_int_equal(parse(b.ptr, &head), n <= COX_HTTP_MAX_HEADERS ? 0 : 431);
	}
}

/* The same result however the bytes are cut. */
static ssize_t feed(const char *bytes, size_t step, size_t max, struct cox_buf *body)
{
	struct cox_http_chunks chunks = {0};
	size_t n = strlen(bytes), at = 0;

	cox_buf_clear(body);
	while (at < n && chunks.state != COX_CHUNK_DONE) {
		size_t take = n - at < step ? n - at : step;
		ssize_t r = cox_http_chunks_feed(&chunks, bytes + at, take, max, body);
		if (r < 0)
			return r;
		at += (size_t)r;
	}
	return chunks.state == COX_CHUNK_DONE ? (ssize_t)at : 0;
}

static void chunks_however_cut(void **state)
{
	static const char bytes[] =
		"4;ext=\"x\"\r\nWiki\r\n00A\r\n0123456789\r\n0\r\nT: v\r\n\r\nNEXT";
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;

	(void)state;
	for (size_t step = 1; step < sizeof(bytes); step++) {
		assert_int_equal(feed(bytes, step, 14, &body), sizeof(bytes) - 1 - 4);
		assert_string_equal(cox_buf_cstr(&body), "Wiki0123456789");
	}
	assert_int_equal(feed(bytes, 100, 13, &body), -413);
	assert_int_equal(feed(bytes, 100, 15, &body), sizeof(bytes) - 1 - 4);
}

static void bad_chunks_are_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n",	       "x\r\n",		 "4\nWiki",	    "4\r\nWikiX\r\n",
		"4\r\nWiki\n", " 4\r\nWiki\r\n", "-1\r\n",	    "4 \r\nWiki\r\n",
		"0\r\n\n",     "0\r\nA\n\r\n",	 "0x4\r\nWiki\r\n", "4;\n\r\n",
	};
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		if (feed(bad[i], 100, 1000, &body) != -400)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(feed("fffffffff\r\n", 100, 1000, &body), -413);
	assert_int_equal(feed("ffffffff\r\n", 100, 1000, &body), -413);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_head),
		cmocka_unit_test(variants),
		cmocka_unit_test(ambiguous_heads_are_refused),
		cmocka_unit_test(headers_are_counted),
		cmocka_unit_test(chunks_however_cut),
		cmocka_unit_test(bad_chunks_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
