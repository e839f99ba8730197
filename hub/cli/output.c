#include "hub/cli/output.h"

#include "common/base/clock.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

int cli_format_parse(const char *word, enum cli_format *ret_format, struct cox_error *err)
{
	static const struct {
		const char *word;
		enum cli_format format;
	} words[] = {{"", CLI_TABLE},	 {"table", CLI_TABLE}, {"wide", CLI_WIDE},
		     {"json", CLI_JSON}, {"yaml", CLI_YAML},   {"name", CLI_NAME}};

	for (size_t i = 0; i < COX_ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, word ? word : "") == 0) {
			*ret_format = words[i].format;
			return 0;
		}
	return cli_usage(err, "no output '%s': -o takes json, yaml, name, wide", word);
}

/* ---- colour ---- */

enum { GREEN = 32, YELLOW = 33, RED = 31, GREY = 90 };

static const struct {
	const char *word;
	int colour;
} colours[] = {
	{"Synced", GREEN},   {"Healthy", GREEN},    {"Succeeded", GREEN},    {"Done", GREEN},
	{"yes", GREEN},	     {"OutOfSync", YELLOW}, {"Progressing", YELLOW}, {"Suspended", YELLOW},
	{"Running", YELLOW}, {"Moving", YELLOW},    {"Open", YELLOW},	     {"Waiting", GREY},
	{"Missing", RED},    {"Degraded", RED},	    {"Failed", RED},	     {"Blocked", RED},
	{"Error", RED},	     {"no", RED},	    {"Unknown", GREY},	     {"Superseded", GREY},
	{"Passed", GREEN},   {"Pending", GREY},	    {"Skipped", GREY},	     {"Aborted", RED},
};

bool cli_has_colour(void)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

int cli_word_colour(const char *text)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(colours); i++)
		if (strcmp(colours[i].word, text) == 0)
			return colours[i].colour;
	return 0;
}

char *cli_coloured(const char *text)
{
	int colour = cli_has_colour() ? cli_word_colour(text) : 0;

	return colour ? cox_asprintf("\033[%dm%s\033[0m", colour, text) : cox_strdup(text);
}

/* ---- tables ---- */

void cli_table_fini(struct cli_table *t)
{
	cox_strings_fini(&t->cells);
}

void cli_table_header(struct cli_table *t, const char *first, ...)
{
	va_list args;

	va_start(args, first);
	for (const char *name = first; name; name = va_arg(args, const char *)) {
		cox_vec_push(&t->cells, cox_strdup(name));
		t->n_columns++;
	}
	va_end(args);
}

/* What comes from elsewhere must neither move the cursor nor break the line. */
static char *printable(const char *text)
{
	char *copy = cox_strdup(*text ? text : "-");

	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return copy;
}

void cli_cell(struct cli_table *t, const char *text)
{
	cox_vec_push(&t->cells, printable(text ? text : ""));
}

void cli_cellf(struct cli_table *t, const char *format, ...)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	cli_cell(t, cox_buf_cstr(&text));
}

/* Characters, not bytes: every byte but those that go on with a UTF-8 sequence. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void write_cell(struct cox_buf *out, const char *text, size_t pad, bool colour)
{
	int code = colour ? cli_word_colour(text) : 0;

	if (code)
		cox_buf_printf(out, "\033[%dm%s\033[0m", code, text);
	else
		cox_buf_puts(out, text);
	for (size_t i = 0; i < pad; i++)
		cox_buf_putc(out, ' ');
}

void cli_table_write(struct cox_buf *out, const struct cli_table *t, bool colour)
{
	_cleanup_free_ size_t *widths = cox_new_n(size_t, t->n_columns + 1);

	for (size_t i = 0; i < t->cells.n; i++) {
		size_t w = width_of(t->cells.items[i]);

		if (w > widths[i % t->n_columns])
			widths[i % t->n_columns] = w;
	}
	for (size_t i = 0; i < t->cells.n; i++) {
		const char *text = t->cells.items[i];
		bool last = (i + 1) % t->n_columns == 0;
		size_t pad = last ? 0 : widths[i % t->n_columns] - width_of(text) + 3;

		write_cell(out, text, pad, colour && i >= t->n_columns);
		if (last)
			cox_buf_putc(out, '\n');
	}
}

void cli_table_print(const struct cli_table *t)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	cli_table_write(&out, t, cli_has_colour());
	fwrite(cox_buf_cstr(&out), 1, out.len, stdout);
}

/* ---- nodes ---- */

void cli_print_node(enum cli_format format, const struct cox_node *node)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	if (format == CLI_JSON) {
		cox_json_write_pretty(&out, node);
		cox_buf_putc(&out, '\n');
	} else {
		cox_yaml_write(&out, node);
	}
	fwrite(cox_buf_cstr(&out), 1, out.len, stdout);
}

void cli_age(const struct cox_node *time, char *ret_text)
{
	int64_t then, ms;

	ret_text[0] = 0;
	if (!cox_node_str(time).len || cox_time_parse(cox_node_str(time), &then, NULL) < 0)
		return;
	ms = cox_clock_wall_ms() - then;
	cox_duration_human(ms > 0 ? ms : 0, ret_text);
}

const char *cli_short_revision(const char *revision, char ret_text[16])
{
	size_t n = strlen(revision);

	if (n < 12 || strspn(revision, "0123456789abcdef") != n)
		return revision;
	memcpy(ret_text, revision, 7);
	ret_text[7] = 0;
	return ret_text;
}
