/* The helper: reads questions from its standard input, which is a socket, and answers there. */
#include "agent/jq/eval.h"
#include "agent/jq/frame.h"
#include "agent/jq/jq.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_MAX (256 << 20) /* of address space */
#define CPU_MAX	   60	       /* seconds for one question, whatever is in it */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SHADOW_MEMORY true /* terabytes of address space */
#else
#define HAS_SHADOW_MEMORY false
#endif

static void set_limit(int resource, rlim_t value)
{
	struct rlimit limit = {.rlim_cur = value, .rlim_max = value};

	/* what cannot be limited is limited already */
	(void)!setrlimit((__rlimit_resource_t)resource, &limit);
}

static void set_limits(void)
{
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_FSIZE, 0);
	set_limit(RLIMIT_NOFILE, 3); /* what is open stays; nothing more is */
	if (!HAS_SHADOW_MEMORY)
		set_limit(RLIMIT_AS, MEMORY_MAX);
}

/* So many seconds of the processor from now on. */
static void set_processor_limit(void)
{
	struct rlimit limit = {.rlim_max = RLIM_INFINITY};
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	limit.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + CPU_MAX;
	(void)!setrlimit(RLIMIT_CPU, &limit);
}

static bool write_all(struct cox_str text)
{
	while (text.len) {
		ssize_t n = write(STDIN_FILENO, text.ptr, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text = cox_str_n(text.ptr + n, text.len - (size_t)n);
	}
	return true;
}

static void answer(void *arg, struct cox_str json)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf frame = COX_BUF_INIT;

	(void)arg;
	if (json.len > AGENT_JQ_FRAME_MAX)
		_exit(1);
	agent_jq_frame_add(&frame, json);
	if (!write_all(cox_buf_str(&frame)))
		_exit(0); /* nobody waits for it any more */
}

int agent_jq_main(void)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf in = COX_BUF_INIT;
	static char chunk[65536];

	set_limits();
	for (;;) {
		struct cox_str text;
		size_t used;
		ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0;
		cox_buf_add(&in, chunk, (size_t)n);
		for (;;) {
			int code = agent_jq_frame_next(cox_buf_str(&in), &text, &used, NULL);

			if (code < 0)
				return 1;
			if (code == 0)
				break;
			set_processor_limit();
			if (agent_jq_eval(text, answer, NULL) < 0)
				return 1;
			cox_buf_consume(&in, used);
		}
	}
}
