/* The run of one seed: chaos, then calm in which everything has to come right, then quiet. */
#include "tests/sim/agent/world.h"

#include "agent/sync/app.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CALM_MS	    (60 * 60 * 1000)
#define PATIENCE_MS (4 * 60 * 1000) /* with what can never become healthy */
#define HANGING_MS  (65 * 1000)
#define QUIET_MS    (10 * 60 * 1000)
#define STEPS_MAX   2000000

struct world w;

/* ---- telling ---- */

void sim_trace(const char *format, ...)
{
	va_list args;

	if (!w.o.trace)
		return;
	fprintf(stderr, "%9.3f ", (double)virtual_now_ms() / 1000);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void sim_fail(const char *format, ...)
{
	char text[900];
	va_list args;

	if (*w.failure || w.dead) /* a ghost breaks no law */
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(w.failure, sizeof(w.failure), "at %.3f s: %s", (double)virtual_now_ms() / 1000,
		 text);
	sim_trace("FAILED: %s", text);
	sim_check_dump();
}

/* The agent's own log goes into the trace. */
bool __wrap_cox_log_enabled(enum cox_log_level level);
void __wrap_cox_log_write(enum cox_log_level level, const char *message,
			  const struct cox_log_field *fields);

bool __wrap_cox_log_enabled(enum cox_log_level level)
{
	(void)level;
	return w.o.trace;
}

void __wrap_cox_log_write(enum cox_log_level level, const char *message,
			  const struct cox_log_field *fields)
{
	struct cox_buf text = COX_BUF_INIT;

	(void)level;
	for (; fields->key; fields++)
		if (fields->kind == COX_FIELD_INT)
			cox_buf_printf(&text, " %s=%lld", fields->key, (long long)fields->number);
		else
			cox_buf_printf(&text, " %s='%s'", fields->key,
				       fields->text ? fields->text : "");
	sim_trace("agent: %s%s", message, cox_buf_cstr(&text));
	cox_buf_fini(&text);
}

bool sim_chance(struct cox_rng *rng, int percent)
{
	return (int)cox_rng_below(rng, 100) < percent;
}

int64_t sim_between(struct cox_rng *rng, int64_t low, int64_t high)
{
	return low + (int64_t)cox_rng_below(rng, (uint64_t)(high - low) + 1);
}

/* ---- the agent's life ---- */

static void open_agent(void *arg)
{
	static const char config[] =
		"{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: "
		"{cluster: c, user: u}}], clusters: [{name: c, cluster: {server: 'http://sim'}}], "
		"users: [{name: u, user: {}}]}";
	struct cox_kubeconfig *kubeconfig = NULL;
	struct cox_error err;

	(void)arg;
	if (agent_store_open(w.dir, &w.store, &err) < 0 ||
	    cox_kubeconfig_parse(cox_str(config), "config", ".", NULL, &kubeconfig, &err) < 0 ||
	    cox_kube_new(w.loop, kubeconfig, NULL, &w.kube, &err) < 0 ||
	    agent_engine_new(&(struct agent_engine_options){.loop = w.loop,
							    .store = w.store,
							    .kube = w.kube,
							    .want_bundle = sim_hub_want_bundle,
							    .changed = sim_hub_changed,
							    .hook_grace_ms = 5000},
			     &w.engine, &err) < 0) {
		cox_kube_free(TAKE(w.kube));
		agent_store_close(TAKE(w.store));
		if (!w.dead) {
			sim_fail("the agent does not start: %s", err.message);
			return;
		}
		w.dead = false; /* it died on the way up */
		w.stats.crashes++;
		cox_timer_start(&w.restart, 1000);
		return;
	}
	w.started_ms = cox_clock_ms();
	sim_trace("agent: is up at position %llu",
		  (unsigned long long)agent_engine_position(w.engine));
	sim_check_restarted();
	sim_hub_agent_up();
}

/* Nothing is written or told on the way. */
static void close_agent(void)
{
	if (!w.engine)
		return;
	w.dead = true;
	agent_engine_free(TAKE(w.engine));
	cox_kube_free(TAKE(w.kube));
	agent_store_close(TAKE(w.store));
	w.dead = false;
	COX_ASSERT(w.tx_depth == 0);
	sim_hub_agent_down();
}

static void crash(void *arg)
{
	(void)arg;
	if (!w.engine)
		return;
	w.stats.crashes++;
	sim_trace("agent: is killed");
	close_agent();
	if (w.o.crash_after) {
		if (w.o.land)
			virtual_net_land_cut();
		else
			virtual_net_drop_cut();
	}
	cox_timer_start(&w.restart, sim_between(&w.rng, 0, w.calm ? 1000 : 8000));
	if (w.crashes_left-- > 0 && !w.calm)
		cox_timer_start(&w.crash, sim_between(&w.rng, 1, 30000));
}

/* ---- phases ---- */

static void begin_calm(void)
{
	w.calm = true;
	w.calm_ms = virtual_now_ms();
	sim_trace("calm");
	cox_timer_stop(&w.crash);
	cox_timer_stop(&w.act);
	sim_others_settle();
	sim_hub_settle();
}

static void pulse(void *arg)
{
	char why[900] = "";
	int64_t now = virtual_now_ms();
	bool settled = true;

	(void)arg;
	cox_timer_start(&w.pulse, 1000);
	if (!w.calm) {
		if (now >= w.chaos_until_ms)
			begin_calm();
		return;
	}
	if (w.quiet)
		return;
	COX_VEC_EACH (&w.apps, slot) {
		struct sim_app *app = *slot;
		bool fine = sim_is_settled(app, why, sizeof(why));

		settled &= fine;
		/* what can never end is ended, as somebody would */
		if (!fine && !app->tombstone && app->sync->flawed &&
		    now - w.calm_ms > PATIENCE_MS && !app->op.terminate && app->seen_phase == 1)
			sim_hub_terminate(app);
		if (!fine && !app->tombstone && !app->sync->flawed && !app->helped &&
		    now - w.calm_ms > PATIENCE_MS && (app->seen_phase == 4 || !app->automated))
			sim_hub_sync(app);
	}
	/* a request that hung in the chaos has its deadline in the calm */
	if (settled && now - w.calm_ms > HANGING_MS) {
		w.quiet = true;
		w.quiet_ms = now;
		sim_trace("quiet");
	} else if (!settled && now - w.calm_ms > CALM_MS) {
		sim_fail("I-18: does not settle: %s", why);
	}
}

static bool is_over(void)
{
	return *w.failure || (w.quiet && virtual_now_ms() - w.quiet_ms > QUIET_MS);
}

/* ---- the world's life ---- */

static void remove_dir(void)
{
	DIR *d = opendir(w.dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		_cleanup_free_ char *path = cox_path_join(w.dir, e->d_name);

		if (e->d_type == DT_REG)
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(w.dir);
}

static void open_world(const struct sim_options *options)
{
	w = (struct world){.o = *options};
	cox_rng_init(&w.rng, options->seed);
	cox_rng_init(&w.net_rng, options->seed ^ 0x6e6574);
	cox_rng_init(&w.step_rng, options->seed ^ 0x73746570);
	virtual_begin(options->seed);
	snprintf(w.dir, sizeof(w.dir), "%s/cox-sim-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(w.dir))
		cox_bug(__FILE__, __LINE__, "no temporary directory");
	cox_loop_new(&w.loop, NULL);
	w.cluster = kubesim_new(
		&(struct kubesim_options){.seed = options->seed + 1, .on_change = sim_check_change},
		VIRTUAL_EPOCH_MS + virtual_now_ms());
	virtual_net_open(&(struct virtual_net_options){.loop = w.loop,
						       .cluster = w.cluster,
						       .rng = &w.net_rng,
						       .fate = sim_fate,
						       .arrives = sim_check_arrives,
						       .done = sim_check_done});
	sim_faults_draw();
	w.chaos_until_ms = options->calm ? sim_between(&w.rng, 20000, 40000)
					 : sim_between(&w.rng, 20000, 180000);
	w.actions_left = (int)sim_between(&w.rng, 2, options->calm ? 6 : 25);
	w.others_left = (int)sim_between(&w.rng, 0, 20);
	w.crashes_left = options->calm || sim_chance(&w.rng, 25) ? 0 : 6;
	cox_timer_init(&w.restart, w.loop, open_agent, NULL);
	cox_timer_init(&w.crash, w.loop, crash, NULL);
	cox_timer_init(&w.pulse, w.loop, pulse, NULL);
	cox_timer_start(&w.pulse, 1000);
	if (w.crashes_left)
		cox_timer_start(&w.crash, sim_between(&w.rng, 1, 40000));
	sim_others_open();
	sim_hub_open();
	open_agent(NULL);
}

static void close_world(void)
{
	close_agent();
	cox_timer_stop(&w.restart);
	cox_timer_stop(&w.crash);
	cox_timer_stop(&w.pulse);
	sim_others_close();
	sim_hub_close();
	sim_check_fini();
	virtual_net_close();
	kubesim_free(TAKE(w.cluster));
	cox_loop_free(TAKE(w.loop));
	remove_dir();
}

bool sim_run(const struct sim_options *options)
{
	open_world(options);
	while (!is_over() && virtual_step(w.loop, &w.step_rng)) {
		if (w.dead)
			crash(NULL);
		if (++w.stats.steps > STEPS_MAX)
			sim_fail("the agent spins");
	}
	if (!*w.failure)
		sim_check_end();
	w.stats.virtual_ms = (uint64_t)virtual_now_ms();
	close_world();
	return !*w.failure;
}
