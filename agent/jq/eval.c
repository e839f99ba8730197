/* The only place that knows libjq.
 *
 * Compiling takes tens of milliseconds, because jq compiles its own library of functions each time:
 * so the last programs are kept. */
#include "agent/jq/eval.h"

#include "agent/jq/jq.h"
#include "common/base/mem.h"

#include <jq.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define PROGRAMS_MAX 16
#define TEXT_MAX     400 /* of an error */

struct program {
	char *expression;
	jq_state *jq;
	char error[TEXT_MAX]; /* why it cannot be used; "": it can */
};

static struct program programs[PROGRAMS_MAX];
static size_t next_program;

/* The first complaint, without what a command line would add. */
static void complain(void *arg, jv message)
{
	struct program *p = arg;

	if (!p->error[0]) {
		jv text = jq_format_error(message);
		const char *s = jv_string_value(text);

		if (strncmp(s, "jq: error: ", 11) == 0)
			s += 11;
		size_t n = strcspn(s, "\n");
		const char *shell = strstr(s, " (Unix shell quoting issues?)");

		if (shell && (size_t)(shell - s) < n)
			n = (size_t)(shell - s);
		snprintf(p->error, sizeof(p->error), "%.*s", (int)n, s);
		jv_free(text);
		return;
	}
	jv_free(message);
}

/* Without these two `input` and `debug` end the process. */
static void no_debug(void *arg, jv message)
{
	(void)arg;
	jv_free(message);
}

static jv no_input(jq_state *jq, void *arg)
{
	(void)jq;
	(void)arg;
	return jv_invalid();
}

static void compile(struct program *p)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	p->jq = jq_init();
	if (!p->jq) {
		snprintf(p->error, sizeof(p->error), "jq does not start");
		return;
	}
	jq_set_error_cb(p->jq, complain, p);
	jq_set_input_cb(p->jq, no_input, NULL);
	jq_set_debug_cb(p->jq, no_debug, NULL);
	jq_set_attr(p->jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
	/* a line of its own, so that a comment at its end stays one */
	cox_buf_printf(&text, "path(%s\n)", p->expression);
	if (!jq_compile(p->jq, cox_buf_cstr(&text)) && !p->error[0])
		snprintf(p->error, sizeof(p->error), "it cannot be compiled");
}

static struct program *program_of(const char *expression)
{
	for (size_t i = 0; i < PROGRAMS_MAX; i++)
		if (programs[i].expression && strcmp(programs[i].expression, expression) == 0)
			return &programs[i];
	struct program *p = &programs[next_program++ % PROGRAMS_MAX];

	if (p->jq)
		jq_teardown(&p->jq);
	free(p->expression);
	*p = (struct program){.expression = cox_strdup(expression)};
	compile(p);
	return p;
}

/* One second of the processor from now; then SIGPROF ends the process. */
static void set_alarm(int seconds)
{
	struct itimerval t = {.it_value.tv_sec = seconds};

	setitimer(ITIMER_PROF, &t, NULL);
}

/* The paths as an array; invalid: *ret_error says why. */
static jv run(struct program *p, jv object, const char **ret_error)
{
	jv paths = jv_array(), path;

	jq_start(p->jq, object, 0);
	while (jv_is_valid(path = jq_next(p->jq))) {
		if (jv_array_length(jv_copy(paths)) >= AGENT_JQ_PATHS_MAX) {
			*ret_error = "it names too many places";
			jv_free(path);
			jv_free(paths);
			return jv_invalid();
		}
		paths = jv_array_append(paths, path);
	}
	bool failed = jv_invalid_has_msg(jv_copy(path));

	jv_free(path);
	if (jq_halted(p->jq)) {
		*ret_error = "it halts";
		jv_free(paths);
		return jv_invalid();
	}
	if (failed) { /* it cannot go there: it names nothing, not a part of what it wants */
		jv_free(paths);
		return jv_array();
	}
	return paths;
}

static jv evaluate(const char *expression, jv objects, const char **ret_error)
{
	struct program *p;
	jv all = jv_array();

	set_alarm(1);
	p = program_of(expression);
	if (p->error[0])
		*ret_error = p->error;
	jv_array_foreach(objects, i, object)
	{
		if (*ret_error) {
			jv_free(object);
			continue;
		}
		set_alarm(1);
		jv paths = run(p, object, ret_error);

		if (jv_is_valid(paths))
			all = jv_array_append(all, paths);
		else
			jv_free(paths);
	}
	set_alarm(0);
	return all;
}

static void answer_one(int i, const char *expression, jv objects,
		       void (*answer)(void *arg, struct cox_str json), void *arg)
{
	const char *error = NULL;
	jv paths = evaluate(expression, objects, &error);
	jv out = jv_object_set(jv_object(), jv_string("i"), jv_number(i));

	if (error) {
		jv_free(paths);
		out = jv_object_set(out, jv_string("error"), jv_string(error));
	} else {
		out = jv_object_set(out, jv_string("paths"), paths);
	}
	jv text = jv_dump_string(out, 0);

	answer(arg,
	       cox_str_n(jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text))));
	jv_free(text);
}

int agent_jq_eval(struct cox_str question, void (*answer)(void *arg, struct cox_str json),
		  void *arg)
{
	jv q = jv_parse_sized(question.ptr, (int)question.len);
	int code = -1;

	if (jv_get_kind(q) == JV_KIND_OBJECT) {
		jv objects = jv_object_get(jv_copy(q), jv_string("objects"));
		jv expressions = jv_object_get(jv_copy(q), jv_string("expressions"));

		if (jv_get_kind(objects) == JV_KIND_ARRAY &&
		    jv_get_kind(expressions) == JV_KIND_ARRAY) {
			code = 0;
			jv_array_foreach(expressions, i, e)
			{
				if (jv_get_kind(e) == JV_KIND_STRING)
					answer_one(i, jv_string_value(e), objects, answer, arg);
				jv_free(e);
			}
		}
		jv_free(objects);
		jv_free(expressions);
	}
	jv_free(q);
	return code;
}
