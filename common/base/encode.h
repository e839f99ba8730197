/* Hexadecimal, base64 (RFC 4648), and percent encoding. Results are the caller's. */
#ifndef COX_BASE_ENCODE_H
#define COX_BASE_ENCODE_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

/* Lower case; ret_text has room for 2 * n + 1. */
void cox_hex_encode(const uint8_t *bytes, size_t n, char *ret_text);
/* Exactly n bytes from 2 * n digits of either case. */
int cox_hex_decode(struct cox_str text, uint8_t *ret_bytes, size_t n, struct cox_error *err);

/* Standard alphabet, padded. Appends. */
void cox_base64_encode(struct cox_buf *out, const void *bytes, size_t n);
/* URL alphabet, no padding. Appends. */
void cox_base64url_encode(struct cox_buf *out, const void *bytes, size_t n);
/* Standard or URL alphabet, padding checked when it is there; line breaks are skipped, as Go
 * does. Appends to out; on failure out is as before. */
int cox_base64_decode(struct cox_buf *out, struct cox_str text, struct cox_error *err);

/* RFC 3986: all but unreserved characters become %XX. Appends. */
void cox_url_encode(struct cox_buf *out, struct cox_str text);
/* %XX decoded, and '+' as a space when form is set; NUL is refused. Appends. */
int cox_url_decode(struct cox_buf *out, struct cox_str text, bool form, struct cox_error *err);

#endif
