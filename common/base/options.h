/* Command lines from a table: the same rows parse the arguments, read the environment, take the
 * configuration file's keys, and print the help.
 *
 *	static const struct cox_option options[] = {
 *		{"state", 'd', COX_OPT_STRING, offsetof(struct config, state), .arg = "DIR",
 *		 .help = "where the hub keeps what must survive"},
 *		...
 *		{0}};
 *
 * Order: flag over environment over file over the row's default. Strings in the output struct are
 * heap copies (char *), freed by cox_options_fini. Long flags take "--name value" or
 * "--name=value"; booleans also "--no-name" and "--name=false". "--" ends the flags. Flags and
 * other arguments may be mixed. */
#ifndef COX_BASE_OPTIONS_H
#define COX_BASE_OPTIONS_H

#include "common/base/error.h"
#include "common/base/vec.h"

#include <stdio.h>

typedef COX_VEC(char *) cox_strings;
void cox_strings_fini(cox_strings *v);

enum cox_option_kind {
	COX_OPT_BOOL,	  /* bool */
	COX_OPT_STRING,	  /* char * */
	COX_OPT_INT,	  /* int64_t */
	COX_OPT_DURATION, /* int64_t, milliseconds */
	COX_OPT_LIST, /* cox_strings; may be given more than once; ',' separates in environment */
};

struct cox_option {
	const char *name;
	char letter; /* 0: none */
	enum cox_option_kind kind;
	size_t offset; /* in the output struct */
	const char *arg;
	const char *help;
	const char *def; /* default, as it would be written; NULL: none */
	bool no_env;	 /* is not read from the environment */
};

struct cox_options {
	const char *program;	       /* "cox-hub" */
	const char *env_prefix;	       /* "COX_HUB_"; NULL: the environment is not read */
	const char *usage;	       /* "[flags]" */
	const char *summary;	       /* one sentence */
	const struct cox_option *rows; /* ends with a row without a name */
	/* Values of a configuration file: calls emit(ctx, key, value) for each; may be NULL. Called
	 * when a row named "config" got a value. */
	int (*read_file)(const char *path,
			 int (*emit)(void *ctx, const char *key, const char *value,
				     struct cox_error *err),
			 void *ctx, struct cox_error *err);
};

/* Fills out (zeroed by the caller), and *ret_args with the arguments that are no flags (borrowed
 * from argv). Returns 0; 1 when --help or --version was asked and printed; -COX_INVALID_ARGUMENT
 * with a sentence otherwise. argv[0] is skipped. */
int cox_options_parse(const struct cox_options *spec, int argc, char *const argv[], void *out,
		      cox_strings *ret_args, struct cox_error *err);
/* Frees the strings and lists that the rows own in out. The vector of arguments itself is freed
 * with cox_vec_fini: its strings are borrowed. */
void cox_options_fini(const struct cox_options *spec, void *out);
void cox_options_help(const struct cox_options *spec, FILE *to);

/* Prints "program: message" to standard error and gives 2, the exit status of wrong usage. */
int cox_options_usage_error(const char *program, const struct cox_error *err);

#endif
