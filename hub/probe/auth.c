/* What a gate's Secret adds to its question, and that nothing of it comes back in a message. */
#include "common/base/cleanup.h"
#include "common/base/encode.h"
#include "common/doc/json.h"
#include "hub/probe/question.h"

#include <stdlib.h>
#include <strings.h>

#define SHORTEST 4 /* shorter texts are no secrets, and may be part of anything */

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, ":");

	return n == strcspn(b, ":") && strncasecmp(a, b, n) == 0;
}

/* The policy's own headers may neither send it elsewhere nor take the place of what it gives. */
static int check_headers(const struct hub_gate_secret *s, const struct hub_question *q,
			 struct cox_error *err)
{
	bool authorizes = *s->bearer_token || *s->username;

	COX_VEC_EACH (&q->headers, h) {
		bool given = (authorizes && same_name(*h, "Authorization:"));

		COX_VEC_EACH (&s->headers, mine)
			given |= same_name(*h, *mine);
		if (given || same_name(*h, "Host:"))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "headers.%.*s: not beside `auth`%s", (int)strcspn(*h, ":"),
					 *h, given ? ": its secret gives it" : "");
	}
	return 0;
}

static void add_basic(struct hub_question *q, const struct hub_gate_secret *s)
{
	_cleanup_free_ char *pair = cox_asprintf("%s:%s", s->username, s->password);
	struct cox_buf line = COX_BUF_INIT;

	cox_buf_puts(&line, "Authorization: Basic ");
	cox_base64_encode(&line, pair, strlen(pair));
	explicit_bzero(pair, strlen(pair));
	cox_vec_push(&q->secret_headers, cox_buf_take(&line));
}

int probe_auth(const struct hub_gate_secret *s, struct hub_question *q, struct cox_error *err)
{
	if (hub_gate_secret_check_url(s, q->url, err) < 0 || check_headers(s, q, err) < 0)
		return -err->code;
	if (*s->bearer_token)
		cox_vec_push(&q->secret_headers,
			     cox_asprintf("Authorization: Bearer %s", s->bearer_token));
	if (*s->username) {
		add_basic(q, s);
		q->password = cox_strdup(s->password);
	}
	COX_VEC_EACH (&s->headers, h)
		cox_vec_push(&q->secret_headers, cox_strdup(*h));
	if (*s->ca)
		q->ca = cox_strdup(s->ca);
	return 0;
}

/* ---- answers ---- */

static void mask(struct cox_buf *text, struct cox_str secret)
{
	struct cox_buf out = COX_BUF_INIT;
	const char *at = cox_buf_cstr(text), *end = at + text->len;

	if (secret.len < SHORTEST)
		return;
	while (at < end) {
		const char *found = memmem(at, (size_t)(end - at), secret.ptr, secret.len);

		cox_buf_add(&out, at, (size_t)((found ? found : end) - at));
		if (!found)
			break;
		cox_buf_puts(&out, HUB_SECRET_MASK);
		at = found + secret.len;
	}
	if (text->ptr)
		explicit_bzero(text->ptr, text->len);
	cox_buf_fini(text);
	*text = out;
}

/* Also as JSON writes it. */
static void mask_both(struct cox_buf *text, struct cox_str secret)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new(NULL);
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;

	mask(text, secret);
	cox_json_write(&json, cox_doc_string(doc, secret));
	if (json.len > secret.len + 2)
		mask(text, cox_str_n(json.ptr + 1, json.len - 2));
	explicit_bzero(json.ptr, json.len);
}

void hub_question_mask(const struct hub_question *q, struct cox_str answer, struct cox_buf *out)
{
	cox_buf_puts_str(out, answer);
	COX_VEC_EACH (&q->secret_headers, h) {
		struct cox_str value = cox_str(strchr(*h, ':') + 2);
		const char *word = memchr(value.ptr, ' ', value.len);

		mask_both(out, value);
		/* without the scheme, "Bearer" and the like */
		if (word)
			mask_both(out, cox_str(word + 1));
	}
	if (q->password)
		mask_both(out, cox_str(q->password));
}
