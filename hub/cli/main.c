/* cox: finds the verb, reads its flags, runs it, and turns the result into an exit status. */
#include "common/base/suggest.h"
#include "hub/cli/cli.h"

#include <stdio.h>

/* How many of the words are the verb's; 0: it is another one. */
static int words_of(const struct cox_verb *verb, int argc, char *const argv[])
{
	struct cox_str rest = cox_str(verb->name), word;
	int n = 0;

	while (rest.ptr && cox_str_split(&rest, ' ', &word)) {
		if (n >= argc || !cox_str_is(word, argv[n]))
			return 0;
		n++;
	}
	return n;
}

static const struct cox_verb *find_verb(int argc, char *const argv[], int *ret_words)
{
	const struct cox_verb *found = NULL;

	*ret_words = 0;
	for (const struct cox_verb *v = cli_verbs; v->name; v++) {
		int n = words_of(v, argc, argv);

		if (n > *ret_words) {
			found = v;
			*ret_words = n;
		}
	}
	return found;
}

/* only: the first word of the verbs to show; NULL: all. */
static int print_verbs(FILE *to, const char *only)
{
	int width = 0, n_shown = 0;

	for (const struct cox_verb *v = cli_verbs; v->name; v++) {
		int n = (int)(strlen(v->name) + 1 + strlen(v->args));

		width = n > width ? n : width;
	}
	for (const struct cox_verb *v = cli_verbs; v->name; v++) {
		int n = (int)(strlen(v->name) + 1 + strlen(v->args));

		if (only &&
		    (strncmp(v->name, only, strlen(only)) != 0 || v->name[strlen(only)] != ' '))
			continue;
		n_shown++;
		fprintf(to, "  cox %s %s%*s  %s\n", v->name, v->args, width - n, "", v->help);
	}
	return n_shown;
}

static void print_help(FILE *to)
{
	fprintf(to, "The person's side of Coxswain: asks and steers the hub.\n\n");
	print_verbs(to, NULL);
	fprintf(to, "\nEach has --help. COX_HUB says where the hub is, COX_TOKEN who asks "
		    "(`cox login` keeps it).\nExit status: 0 done, 1 it failed, 2 wrong usage; "
		    "3 with --exit-code: a plan would change something.\n");
}

static int unknown_verb(int argc, char *const argv[])
{
	_cleanup_buf_ struct cox_buf typed = COX_BUF_INIT;
	struct cox_suggestion near = {0};

	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
	    strcmp(argv[0], "help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(argv[0], "--version") == 0) {
		printf("cox %s\n", COX_VERSION);
		return 0;
	}
	cox_buf_puts(&typed, argv[0]);
	if (argc > 1 && argv[1][0] != '-')
		cox_buf_printf(&typed, " %s", argv[1]);
	if (argc == 1 || argv[1][0] == '-') {
		bool asked = argc > 1 && strcmp(argv[1], "--help") == 0;

		if (print_verbs(asked ? stdout : stderr, argv[0]))
			return asked ? 0 : CLI_USAGE;
	}
	for (const struct cox_verb *v = cli_verbs; v->name; v++) {
		cox_suggest(&near, cox_buf_str(&typed), v->name);
		if (argc > 1)
			cox_suggest(&near, cox_str(argv[0]), v->name);
	}
	fprintf(stderr, "cox: no verb '%s'%s%s%s (see cox --help)\n", cox_buf_cstr(&typed),
		near.best ? ", did you mean '" : "", near.best ? near.best : "",
		near.best ? "'?" : "");
	return CLI_USAGE;
}

static int check_args(const struct cox_verb *verb, const cox_strings *args, struct cox_error *err)
{
	if (args->n < verb->min_args)
		return cli_usage(err, "needs %s", verb->args);
	if (args->n > verb->max_args)
		return cli_usage(err, "does not take '%s'", args->items[verb->max_args]);
	return 0;
}

static int run_verb(const struct cox_verb *verb, int argc, char *const argv[])
{
	_cleanup_free_ char *program = cox_asprintf("cox %s", verb->name);
	_cleanup_free_ char *usage = cox_asprintf("[flags] %s", verb->args);
	_cleanup_free_ char *summary = cox_strdup(verb->help);
	struct cox_options spec = {.program = program,
				   .env_prefix = "COX_",
				   .usage = usage,
				   .summary = summary,
				   .rows = verb->rows};
	struct cox_error err = COX_ERROR_INIT;
	struct cli_flags flags = {0};
	cox_strings args = {0};
	int r;

	if (summary[0] >= 'a' && summary[0] <= 'z')
		summary[0] = (char)(summary[0] - 'a' + 'A');
	r = cox_options_parse(&spec, argc, argv, &flags, &args, &err);
	if (r == 1) {
		cox_options_fini(&spec, &flags);
		return 0;
	}
	r = r < 0 ? CLI_USAGE : check_args(verb, &args, &err);
	if (r == 0)
		r = verb->run(&flags, &args, &err);
	cox_options_fini(&spec, &flags);
	cox_vec_fini(&args);
	if (r == CLI_USAGE)
		fprintf(stderr, "%s: %s (see %s --help)\n", program, err.message, program);
	else if (r < 0)
		fprintf(stderr, "%s: %s\n", program, err.message);
	return r < 0 ? CLI_FAILED : r;
}

int main(int argc, char *argv[])
{
	const struct cox_verb *verb;
	int n, r;

	if (argc < 2) {
		print_help(stderr);
		return CLI_USAGE;
	}
	verb = find_verb(argc - 1, argv + 1, &n);
	/* the options' parser skips its first word */
	r = verb ? run_verb(verb, argc - n, argv + n) : unknown_verb(argc - 1, argv + 1);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "cox: cannot write to standard output\n");
		return CLI_FAILED;
	}
	return r;
}
