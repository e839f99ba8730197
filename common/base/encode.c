#include "common/base/encode.h"

static const char hex[] = "0123456789abcdef";

void cox_hex_encode(const uint8_t *bytes, size_t n, char *ret_text)
{
	for (size_t i = 0; i < n; i++) {
		ret_text[2 * i] = hex[bytes[i] >> 4];
		ret_text[2 * i + 1] = hex[bytes[i] & 15];
	}
	ret_text[2 * n] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cox_hex_decode(struct cox_str text, uint8_t *ret_bytes, size_t n, struct cox_error *err)
{
	if (text.len != 2 * n)
		return cox_error(err, COX_INVALID_ARGUMENT, "expected %zu hexadecimal digits",
				 2 * n);
	for (size_t i = 0; i < text.len; i++)
		if (hex_digit(text.ptr[i]) < 0)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "'%c' is not a hexadecimal digit", text.ptr[i]);
	for (size_t i = 0; i < n; i++)
		ret_bytes[i] =
			(uint8_t)(hex_digit(text.ptr[2 * i]) << 4 | hex_digit(text.ptr[2 * i + 1]));
	return 0;
}

static void encode64(struct cox_buf *out, const uint8_t *p, size_t n, const char *tail, bool pad)
{
	static const char head[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#define DIGIT(x) ((x) < 62 ? head[x] : tail[(x)-62])
	cox_buf_reserve(out, (n + 2) / 3 * 4);
	for (; n >= 3; p += 3, n -= 3) {
		char q[4] = {DIGIT(p[0] >> 2), DIGIT((p[0] & 3) << 4 | p[1] >> 4),
			     DIGIT((p[1] & 15) << 2 | p[2] >> 6), DIGIT(p[2] & 63)};

		cox_buf_add(out, q, 4);
	}
	if (n == 1) {
		char q[4] = {DIGIT(p[0] >> 2), DIGIT((p[0] & 3) << 4), '=', '='};

		cox_buf_add(out, q, pad ? 4 : 2);
	} else if (n == 2) {
		char q[4] = {DIGIT(p[0] >> 2), DIGIT((p[0] & 3) << 4 | p[1] >> 4),
			     DIGIT((p[1] & 15) << 2), '='};

		cox_buf_add(out, q, pad ? 4 : 3);
	}
#undef DIGIT
}

void cox_base64_encode(struct cox_buf *out, const void *bytes, size_t n)
{
	encode64(out, bytes, n, "+/", true);
}

void cox_base64url_encode(struct cox_buf *out, const void *bytes, size_t n)
{
	encode64(out, bytes, n, "-_", false);
}

static int value64(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

int cox_base64_decode(struct cox_buf *out, struct cox_str text, struct cox_error *err)
{
	size_t before = out->len, n_digits = 0, n_pad = 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		int v;

		if (c == '\r' || c == '\n')
			continue;
		if (c == '=') {
			n_pad++;
			continue;
		}
		v = value64(c);
		if (v < 0 || n_pad)
			goto bad;
		bits = bits << 6 | (uint32_t)v;
		if (++n_digits % 4 == 0) {
			char b[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};

			cox_buf_add(out, b, 3);
			bits = 0;
		}
	}
	if (n_digits % 4 == 1 || (n_pad && (n_digits + n_pad) % 4) || n_pad > 2)
		goto bad;
	if (n_digits % 4 == 2) {
		cox_buf_putc(out, (char)(bits >> 4));
	} else if (n_digits % 4 == 3) {
		char b[2] = {(char)(bits >> 10), (char)(bits >> 2)};

		cox_buf_add(out, b, 2);
	}
	return 0;
bad:
	out->len = before;
	if (out->ptr)
		out->ptr[before] = '\0';
	return cox_error(err, COX_INVALID_ARGUMENT, "not base64");
}

void cox_url_encode(struct cox_buf *out, struct cox_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '.' || c == '_' || c == '~')
			cox_buf_putc(out, (char)c);
		else
			cox_buf_printf(out, "%%%02X", c);
	}
}

int cox_url_decode(struct cox_buf *out, struct cox_str text, bool form, struct cox_error *err)
{
	size_t before = out->len;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '%') {
			int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
			int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;

			if (high < 0 || low < 0 || (high | low) == 0) {
				out->len = before;
				if (out->ptr)
					out->ptr[before] = '\0';
				return cox_error(err, COX_INVALID_ARGUMENT,
						 "bad percent encoding at offset %zu", i);
			}
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && form) {
			c = ' ';
		}
		cox_buf_putc(out, c);
	}
	return 0;
}
