/* How many columns of a terminal a text takes, and a text cut to so many. Pure; any thread.
 *
 * What comes from elsewhere must neither move the cursor nor break the line nor turn it around: control
 * characters, of C1 too, become spaces, and so do those that change the direction of writing; what is
 * no UTF-8 becomes U+FFFD. Without `unicode` every character that is not ASCII becomes a '?'. */
#ifndef COX_HUB_CLI_WIDTH_H
#define COX_HUB_CLI_WIDTH_H

#include "common/base/buf.h"

#include <stdint.h>

/* 0 (combining), 1 or 2 (East Asian wide, emoji). */
size_t cli_char_columns(uint32_t c);
size_t cli_text_columns(const char *text, bool unicode);
/* Appends the text; one that takes more columns than there are ends with an ellipsis. Gives the
 * columns that it took, at most `columns`. */
size_t cli_text_fit(struct cox_buf *out, const char *text, size_t columns, bool unicode);

#endif
