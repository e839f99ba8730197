/* What people and pipelines read: tables with aligned columns, YAML, JSON. Colour only on a
 * terminal, and not when NO_COLOR is set. */
#ifndef COX_HUB_CLI_OUTPUT_H
#define COX_HUB_CLI_OUTPUT_H

#include "common/base/buf.h"
#include "common/base/options.h"
#include "common/doc/doc.h"

enum cli_format { CLI_TABLE, CLI_WIDE, CLI_JSON, CLI_YAML, CLI_NAME };

/* CLI_USAGE for a word that is none of -o's. */
int cli_format_parse(const char *word, enum cli_format *ret_format, struct cox_error *err);

struct cli_table {
	cox_strings cells; /* row after row; the first row is the header */
	size_t n_columns;
};

void cli_table_fini(struct cli_table *t);
#define _cleanup_table_ __attribute__((cleanup(cli_table_fini)))
/* "NAME", "AGE", NULL */
void cli_table_header(struct cli_table *t, const char *first, ...) __attribute__((sentinel));
/* Cells from left to right; a row is full when it has as many as the header. Empty ones show as
 * "-". */
void cli_cell(struct cli_table *t, const char *text);
void cli_cellf(struct cli_table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends; words of status are coloured when colour is set. */
void cli_table_write(struct cox_buf *out, const struct cli_table *t, bool colour);
void cli_table_print(const struct cli_table *t);

/* Standard output is a terminal that takes colour. */
bool cli_has_colour(void);
/* The colour (SGR) of a word of state: "Synced", "Failed"; 0: it has none. */
int cli_word_colour(const char *word);
/* The text in the colour of what it means ("Synced", "Degraded", …), the caller's. */
char *cli_coloured(const char *text);

/* One node to standard output, as JSON or YAML; lists as a YAML stream when `stream`. */
void cli_print_node(enum cli_format format, const struct cox_node *node);

/* "3m12s" since an RFC 3339 time; "" when it is none. ret_text has room for COX_TIME_TEXT_MAX. */
void cli_age(const struct cox_node *time, char *ret_text);
/* Seven digits of a commit's name; other words as they are. */
const char *cli_short_revision(const char *revision, char ret_text[16]);

#endif
