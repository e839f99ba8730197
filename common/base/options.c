#include "common/base/options.h"

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

void cox_strings_fini(cox_strings *v)
{
	COX_VEC_EACH (v, s)
		free(*s);
	cox_vec_fini(v);
}

static const struct cox_option *find_row(const struct cox_options *spec, struct cox_str name)
{
	for (const struct cox_option *o = spec->rows; o->name; o++)
		if (cox_str_is(name, o->name))
			return o;
	return NULL;
}

static void *slot(void *out, const struct cox_option *o)
{
	return (char *)out + o->offset;
}

static int parse_bool(const char *value, bool *ret, struct cox_error *err)
{
	if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0) {
		*ret = true;
		return 0;
	}
	if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0) {
		*ret = false;
		return 0;
	}
	return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is neither true nor false", value);
}

static int set_value(const struct cox_option *o, const char *value, void *out,
		     struct cox_error *err)
{
	switch (o->kind) {
	case COX_OPT_BOOL:
		return parse_bool(value, slot(out, o), err);
	case COX_OPT_STRING: {
		char **s = slot(out, o);

		free(*s);
		*s = cox_strdup(value);
		return 0;
	}
	case COX_OPT_INT: {
		char *end;
		long long n;

		errno = 0;
		n = strtoll(value, &end, 10);
		if (errno || end == value || *end)
			return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is not an integer",
					 value);
		*(int64_t *)slot(out, o) = n;
		return 0;
	}
	case COX_OPT_DURATION:
		return cox_duration_parse(cox_str(value), slot(out, o), err);
	case COX_OPT_LIST: {
		cox_strings *list = slot(out, o);

		cox_vec_push(list, cox_strdup(value));
		return 0;
	}
	}
	return cox_error(err, COX_INTERNAL, "option '%s' has no kind", o->name);
}

static int set_named(const struct cox_option *o, const char *where, const char *value, void *out,
		     struct cox_error *err)
{
	int r = set_value(o, value, out, err);

	return r < 0 ? cox_error_wrap(err, "%s", where) : 0;
}

struct parse {
	const struct cox_options *spec;
	void *out;
	bool *given; /* by row: a stronger origin has set it */
};

static size_t row_index(const struct parse *p, const struct cox_option *o)
{
	return (size_t)(o - p->spec->rows);
}

/* Lists grow by every flag, so a flag's values come instead of the weaker origins'. */
static int set_weaker(struct parse *p, const struct cox_option *o, const char *where,
		      const char *value, struct cox_error *err)
{
	struct cox_str rest = cox_str(value), part;

	if (p->given[row_index(p, o)])
		return 0;
	if (o->kind != COX_OPT_LIST)
		return set_named(o, where, value, p->out, err);
	while (rest.len && cox_str_split(&rest, ',', &part)) {
		_cleanup_free_ char *item = cox_str_dup(cox_str_trim(part));
		int r = set_named(o, where, item, p->out, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int from_environment(struct parse *p, struct cox_error *err)
{
	if (!p->spec->env_prefix)
		return 0;
	for (const struct cox_option *o = p->spec->rows; o->name; o++) {
		_cleanup_free_ char *name = cox_asprintf("%s%s", p->spec->env_prefix, o->name);
		const char *value;
		int r;

		for (char *c = name; *c; c++)
			*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
		value = o->no_env ? NULL : getenv(name);
		if (!value)
			continue;
		r = set_weaker(p, o, name, value, err);
		if (r < 0)
			return r;
		p->given[row_index(p, o)] = true;
	}
	return 0;
}

static int from_file_value(void *ctx, const char *key, const char *value, struct cox_error *err)
{
	struct parse *p = ctx;
	const struct cox_option *o = find_row(p->spec, cox_str(key));

	if (!o || strcmp(key, "config") == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "unknown key '%s'", key);
	return set_weaker(p, o, key, value, err);
}

static int from_file(struct parse *p, struct cox_error *err)
{
	const struct cox_option *o = find_row(p->spec, cox_str("config"));
	char **path;

	if (!o || !p->spec->read_file)
		return 0;
	path = slot(p->out, o);
	return *path ? p->spec->read_file(*path, from_file_value, p, err) : 0;
}

static const struct cox_option *find_letter(const struct cox_options *spec, char letter)
{
	for (const struct cox_option *o = spec->rows; o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return NULL;
}

/* One argument that begins with '-'; *i moves over the value it takes. */
static int parse_flag(struct parse *p, int argc, char *const argv[], int *i, struct cox_error *err)
{
	const char *arg = argv[*i], *value = strchr(arg, '=');
	struct cox_str name = cox_str(arg + 2);
	const struct cox_option *o;

	if (arg[1] != '-') {
		o = find_letter(p->spec, arg[1]);
		value = arg[2] ? arg + 2 + (arg[2] == '=') : NULL;
	} else {
		if (value)
			name.len = (size_t)(value++ - arg) - 2;
		o = find_row(p->spec, name);
		if (!o && cox_str_starts(name, "no-")) {
			o = find_row(p->spec, (struct cox_str){name.ptr + 3, name.len - 3});
			if (o && o->kind == COX_OPT_BOOL && !value)
				value = "false";
			else
				o = NULL;
		}
	}
	if (!o)
		return cox_error(err, COX_INVALID_ARGUMENT, "unknown flag '%s'", arg);
	if (!value && o->kind == COX_OPT_BOOL)
		value = "true";
	if (!value) {
		if (*i + 1 >= argc)
			return cox_error(err, COX_INVALID_ARGUMENT, "flag '%s' needs a value", arg);
		value = argv[++*i];
	}
	p->given[row_index(p, o)] = true;
	return set_named(o, arg, value, p->out, err);
}

static int set_defaults(struct parse *p, struct cox_error *err)
{
	for (const struct cox_option *o = p->spec->rows; o->name; o++) {
		int r = o->def && o->kind != COX_OPT_LIST
				? set_named(o, o->name, o->def, p->out, err)
				: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_list_defaults(struct parse *p, struct cox_error *err)
{
	for (const struct cox_option *o = p->spec->rows; o->name; o++) {
		cox_strings *list = slot(p->out, o);
		int r;

		if (o->kind != COX_OPT_LIST || !o->def || list->n)
			continue;
		r = set_weaker(p, o, o->name, o->def, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cox_options_parse(const struct cox_options *spec, int argc, char *const argv[], void *out,
		      cox_strings *ret_args, struct cox_error *err)
{
	_cleanup_free_ bool *given = NULL;
	cox_strings args = {0};
	size_t n_rows = 0;
	int r;

	while (spec->rows[n_rows].name)
		n_rows++;
	given = cox_new_n(bool, n_rows + 1);
	struct parse p = {spec, out, given};

	r = set_defaults(&p, err);
	for (int i = 1; r == 0 && i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			while (++i < argc)
				cox_vec_push(&args, argv[i]);
		} else if (strcmp(argv[i], "--help") == 0 ||
			   (strcmp(argv[i], "-h") == 0 && !find_letter(spec, 'h'))) {
			cox_options_help(spec, stdout);
			r = 1;
		} else if (strcmp(argv[i], "--version") == 0) {
			printf("%s %s\n", spec->program, COX_VERSION);
			r = 1;
		} else if (argv[i][0] == '-' && argv[i][1]) {
			r = parse_flag(&p, argc, argv, &i, err);
		} else {
			cox_vec_push(&args, argv[i]);
		}
	}
	if (r == 0)
		r = from_environment(&p, err);
	if (r == 0)
		r = from_file(&p, err);
	if (r == 0)
		r = add_list_defaults(&p, err);
	if (r != 0) {
		cox_vec_fini(&args);
		return r;
	}
	*ret_args = args;
	return 0;
}

void cox_options_fini(const struct cox_options *spec, void *out)
{
	for (const struct cox_option *o = spec->rows; o->name; o++) {
		if (o->kind == COX_OPT_STRING) {
			char **s = slot(out, o);

			free(*s);
			*s = NULL;
		} else if (o->kind == COX_OPT_LIST) {
			cox_strings_fini(slot(out, o));
		}
	}
}

void cox_options_help(const struct cox_options *spec, FILE *to)
{
	size_t width = 0;

	fprintf(to, "%s\n\nUsage: %s %s\n\nFlags:\n", spec->summary, spec->program, spec->usage);
	for (const struct cox_option *o = spec->rows; o->name; o++) {
		size_t n = strlen(o->name) + (o->arg ? strlen(o->arg) + 1 : 0);

		if (n > width)
			width = n;
	}
	for (const struct cox_option *o = spec->rows; o->name; o++) {
		size_t n = strlen(o->name) + (o->arg ? strlen(o->arg) + 1 : 0);

		fprintf(to, "  %c%c%s --%s%s%s%*s  %s", o->letter ? '-' : ' ',
			o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
			o->arg ? " " : "", o->arg ? o->arg : "", (int)(width - n), "", o->help);
		if (o->def)
			fprintf(to, " (default %s)", o->def);
		fputc('\n', to);
	}
	fprintf(to, "      --help%*s  this text\n      --version%*s  the version\n",
		(int)(width > 4 ? width - 4 : 0), "", (int)(width > 7 ? width - 7 : 0), "");
	if (spec->env_prefix)
		fprintf(to,
			"\nEach flag is also an environment variable: %s and the flag's name in "
			"capitals, '-' as '_'.\n",
			spec->env_prefix);
}

int cox_options_usage_error(const char *program, const struct cox_error *err)
{
	fprintf(stderr, "%s: %s (see %s --help)\n", program, err->message, program);
	return 2;
}
