/* cox rollout …: where one revision is on its way through the waves, and why. */
#include "hub/cli/rollout.h"
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "hub/cli/cli.h"
#include "hub/cli/client.h"
#include "hub/cli/output.h"

#include <stdio.h>

static const char *text_at(const struct cox_node *node, const char *a, const char *b)
{
	return cox_node_cstr(b ? COX_GET(node, a, b) : COX_GET(node, a), "");
}

bool cli_rollout_is_id(const char *word)
{
	return strlen(word) == 36 && strspn(word, "0123456789abcdef-") == 36;
}

char *cli_rollout_path(const struct cli_flags *flags, const char *word, const char *tail)
{
	return cli_object_path("rollouts", !cli_rollout_is_id(word), flags->namespace, word, tail);
}

/* ---- list ---- */

static size_t count(const struct cox_node *rollout, const char *state, size_t *ret_all)
{
	const struct cox_node *waves = COX_GET(rollout, "waves");
	size_t n = 0;

	*ret_all = 0;
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *targets = COX_GET(cox_node_at(waves, i), "targets");

		*ret_all += cox_node_len(targets);
		for (size_t k = 0; k < cox_node_len(targets); k++)
			n += strcmp(text_at(cox_node_at(targets, k), "state", NULL), state) == 0;
	}
	return n;
}

static const char *current_wave(const struct cox_node *rollout)
{
	const struct cox_node *waves = COX_GET(rollout, "waves");

	for (size_t i = 0; i < cox_node_len(waves); i++)
		if (strcmp(text_at(cox_node_at(waves, i), "state", NULL), "Done") != 0)
			return text_at(cox_node_at(waves, i), "name", NULL);
	return "";
}

static void print_list(const struct cox_node *items)
{
	_cleanup_table_ struct cli_table t = {0};

	if (cox_node_len(items) == 0) {
		fprintf(stderr, "no rollouts\n");
		return;
	}
	cli_table_header(&t, "OF", "REVISION", "PHASE", "WAVE", "HEALTHY", "STARTED", "ID", NULL);
	for (size_t i = 0; i < cox_node_len(items); i++) {
		const struct cox_node *r = cox_node_at(items, i);
		char age[COX_TIME_TEXT_MAX], revision[16];
		size_t all, healthy = count(r, "Healthy", &all);

		cli_age(COX_GET(r, "startedAt"), age);
		cli_cell(&t, text_at(r, "owner", "name"));
		cli_cell(&t, cli_short_revision(text_at(r, "revision", NULL), revision));
		cli_cell(&t, text_at(r, "phase", NULL));
		cli_cell(&t, current_wave(r));
		cli_cellf(&t, "%zu/%zu", healthy, all);
		cli_cellf(&t, "%s%s", age, *age ? " ago" : "");
		cli_cell(&t, text_at(r, "id", NULL));
	}
	cli_table_print(&t);
}

CLI_RUN(cli_rollout_list)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT;
	const char *namespace = flags->namespace ? flags->namespace : "-";
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	cox_buf_puts(&path, "/api/v1/rollouts");
	if (args->n) {
		cox_buf_puts(&path, "?owner=ApplicationSet/");
		cox_url_encode(&path, cox_str(namespace));
		cox_buf_putc(&path, '/');
		cox_url_encode(&path, cox_str(args->items[0]));
	}
	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = CLI_GET(hub, cox_buf_cstr(&path), &answer, err);
	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	else
		print_list(COX_GET(cox_doc_root(answer), "items"));
	return 0;
}

/* ---- status ---- */

static void add_targets(struct cli_table *t, const char *wave, const struct cox_node *targets)
{
	for (size_t i = 0; i < cox_node_len(targets); i++) {
		const struct cox_node *one = cox_node_at(targets, i);
		char age[COX_TIME_TEXT_MAX], revision[16];

		cli_age(COX_GET(one, "since"), age);
		cli_cell(t, wave);
		cli_cell(t, text_at(one, "application", NULL));
		cli_cell(t, text_at(one, "cluster", NULL));
		cli_cell(t, text_at(one, "state", NULL));
		cli_cell(t, cli_short_revision(text_at(one, "revision", NULL), revision));
		cli_cell(t, age);
		cli_cell(t, text_at(one, "message", NULL));
	}
}

static void print_why(const struct cox_node *why)
{
	if (*text_at(why, "text", NULL))
		printf("%-10s %s\n", "Waiting:", text_at(why, "text", NULL));
}

static void add_gates(struct cli_table *t, const struct cox_node *wave, const char *key)
{
	const struct cox_node *gates = COX_GET(wave, key);

	for (size_t i = 0; i < cox_node_len(gates); i++) {
		const struct cox_node *g = cox_node_at(gates, i);
		char age[COX_TIME_TEXT_MAX];

		cli_age(COX_GET(g, "since"), age);
		cli_cell(t, text_at(wave, "name", NULL));
		cli_cellf(t, "%s: %s", key, text_at(g, "name", NULL));
		cli_cell(t, text_at(g, "state", NULL));
		cli_cell(t, age);
		cli_cell(t, text_at(g, "next", NULL));
		cli_cellf(t, "%s%s%s", text_at(g, "message", NULL),
			  *text_at(g, "by", NULL) ? " by " : "", text_at(g, "by", NULL));
	}
}

static void print_gates(const struct cox_node *waves)
{
	_cleanup_table_ struct cli_table t = {0};
	bool any = false;

	cli_table_header(&t, "WAVE", "GATE", "STATE", "SINCE", "NEXT", "MESSAGE", NULL);
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);

		any |= cox_node_len(COX_GET(wave, "before")) + cox_node_len(COX_GET(wave, "after"));
		add_gates(&t, wave, "before");
		add_gates(&t, wave, "after");
	}
	if (!any)
		return;
	cli_table_print(&t);
	printf("\n");
}

static void print_reason(const struct cox_node *r)
{
	const char *reason = text_at(r, "reason", NULL), *back = text_at(r, "reversedBy", NULL);

	if (*reason)
		printf("%-10s %s\n", "Reason:", reason);
	if (*text_at(r, "reverses", NULL))
		printf("%-10s rollout %s\n", "Reverses:", text_at(r, "reverses", NULL));
	if (*back)
		printf("%-10s rollout %s\n", "Taken back:", back);
	if (*text_at(r, "paused", "by"))
		printf("%-10s by %s: %s\n", "Paused:", text_at(r, "paused", "by"),
		       text_at(r, "paused", "message"));
}

static void print_status(const struct cox_node *r)
{
	_cleanup_table_ struct cli_table t = {0};
	_cleanup_free_ char *phase = cli_coloured(text_at(r, "phase", NULL));
	const struct cox_node *waves = COX_GET(r, "waves");
	char revision[16], age[COX_TIME_TEXT_MAX];

	cli_age(COX_GET(r, "startedAt"), age);
	printf("%-10s %s %s/%s\n", "Rollout:", text_at(r, "owner", "kind"),
	       text_at(r, "owner", "namespace"), text_at(r, "owner", "name"));
	printf("%-10s %s\n",
	       "Revision:", cli_short_revision(text_at(r, "revision", NULL), revision));
	printf("%-10s %s%s%s%s\n", "Phase:", phase, *age ? ", started " : "", age,
	       *age ? " ago" : "");
	if (*text_at(r, "next", NULL))
		printf("%-10s %s\n",
		       "Next:", cli_short_revision(text_at(r, "next", NULL), revision));
	print_reason(r);
	print_why(COX_GET(r, "why"));
	printf("\n");
	print_gates(waves);
	cli_table_header(&t, "WAVE", "APPLICATION", "CLUSTER", "STATE", "REVISION", "SINCE",
			 "MESSAGE", NULL);
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);
		_cleanup_free_ char *name = cox_asprintf("%s (%s)", text_at(wave, "name", NULL),
							 text_at(wave, "state", NULL));

		add_targets(&t, name, COX_GET(wave, "targets"));
	}
	add_targets(&t, "in no wave", COX_GET(r, "unplanned"));
	cli_table_print(&t);
}

CLI_RUN(cli_rollout_status)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_free_ char *path = cli_rollout_path(flags, args->items[0], "");
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = CLI_GET(hub, path, &answer, err);
	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	else
		print_status(cox_doc_root(answer));
	return 0;
}
