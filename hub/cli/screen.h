/* A terminal that one picture is drawn on again and again: the second screen of the terminal, so that
 * what was there before comes back, without a cursor, and with keys that are not echoed. One a process.
 * Whoever enters leaves, also when a signal ends the program. */
#ifndef COX_HUB_CLI_SCREEN_H
#define COX_HUB_CLI_SCREEN_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Standard output is a terminal that knows how to move its cursor. */
bool cli_screen_is_usable(void);
/* The locale's characters are UTF-8. */
bool cli_screen_is_unicode(void);
/* Columns and lines; 0 lines: it is no terminal. Columns are those of COLUMNS, or 100, then. */
void cli_screen_size(size_t *ret_columns, size_t *ret_lines);

void cli_screen_enter(void);
/* Harmless without an enter. */
void cli_screen_leave(void);
/* Lines that are no wider, and no more, than there is room for; in the place of those before. */
void cli_screen_show(struct cox_str picture, size_t lines);

#endif
