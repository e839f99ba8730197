/* The run of one seed: chaos, then calm in which everything has to come right, then quiet. */
#include "tests/sim/hub/world.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CALM_MS	   (8 * 60 * SIM_MINUTE_MS) /* windows open once an hour */
#define SETTLED_MS (3 * SIM_MINUTE_MS) /* a server that did not answer is asked again by then */
#define QUIET_MS   (10 * SIM_MINUTE_MS)
#define HELP_MS	   10000
#define STEPS_MAX  30000000

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
}

/* The hub's own log goes into the trace. */
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
	sim_trace("hub: %s%s", message, cox_buf_cstr(&text));
	cox_buf_fini(&text);
}

bool sim_chance(struct cox_rng *rng, int percent)
{
	return (int)cox_rng_below(rng, 100) < percent;
}

bool sim_strikes(int per_thousand)
{
	return per_thousand && !w.calm && (int)cox_rng_below(&w.net_rng, 1000) < per_thousand;
}

int64_t sim_between(struct cox_rng *rng, int64_t low, int64_t high)
{
	return low + (int64_t)cox_rng_below(rng, (uint64_t)(high - low) + 1);
}

const char *sim_brief(const uint8_t *digest)
{
	static char texts[4][2 * HUB_DIGEST_BYTES + 16];
	static unsigned next;
	char *text = texts[next++ % 4];
	const struct sim_content *c = sim_content_by_digest(digest);
	char hex[2 * HUB_DIGEST_BYTES + 1];

	cox_hex_encode(digest, HUB_DIGEST_BYTES, hex);
	if (c)
		snprintf(text, sizeof(texts[0]), "%.8s (path%d version %u)", hex, c->path,
			 c->version);
	else
		snprintf(text, sizeof(texts[0]), "%.8s", hex);
	return text;
}

/* ---- the hub's life ---- */

static void on_broken(void *ctx, const struct cox_error *err)
{
	(void)ctx;
	sim_fail("the store is broken: %s", err->message);
}

static void open_hub(void *arg)
{
	struct cox_error err = COX_ERROR_INIT;
	bool restored = w.restore_next;

	(void)arg;
	w.restore_next = false;
	if (restored) {
		w.stats.restores++;
		sim_trace("hub: an older copy of its state is put in place");
		sim_store_restore();
	}
	w.hub_base_ms = cox_clock_wall_ms() - virtual_now_ms();
	sim_check_starting();
	if (hub_store_open(w.loop,
			   &(struct hub_store_options){
				   .dir = "", .restored = restored, .on_broken = on_broken},
			   &w.store, &err) < 0 ||
	    hub_control_new(&(struct hub_control_options){.loop = w.loop,
							  .store = w.store,
							  .poll_ms = SIM_POLL_MS,
							  .fleet = {.listen = ""}},
			    &w.control, &err) < 0) {
		sim_fail("the hub does not start: %s", err.message);
		return;
	}
	sim_trace("hub: is up, epoch %llu", (unsigned long long)hub_store_epoch(w.store));
	if (w.calm)
		sim_people_apply_all();
}

static void stopped(void *arg)
{
	*(bool *)arg = true;
}

/* Nothing is written or told on the way. */
static void close_hub(void)
{
	bool done = false;

	if (!w.control)
		return;
	w.dead = true;
	hub_control_stop(w.control, stopped, &done);
	COX_ASSERT(done);
	sim_store_abandon(w.store);
	hub_control_free(TAKE(w.control));
	hub_store_free(TAKE(w.store));
	w.dead = false;
}

void sim_hub_kill(const char *why)
{
	if (!w.control || w.dead)
		return;
	sim_trace("hub: dies %s", why);
	w.stats.crashes++;
	w.dead = true;
}

static void reap(void)
{
	close_hub();
	cox_timer_start(&w.hub_restart, sim_between(&w.rng, 0, w.calm ? 1000 : 30000));
}

static void kill_hub(void *arg)
{
	(void)arg;
	if (w.calm)
		return;
	sim_hub_kill("at some moment");
	cox_timer_start(&w.hub_kill, sim_between(&w.rng, 1000, 240000));
}

/* ---- faults that come by themselves ---- */

static int rate(int percent, int most)
{
	return sim_chance(&w.net_rng, percent) ? (int)sim_between(&w.net_rng, 1, most) : 0;
}

static void draw_rates(void)
{
	struct sim_rates *r = &w.rates;

	r->store_ms = sim_between(&w.net_rng, 0, sim_chance(&w.net_rng, 20) ? 2000 : 20);
	r->pool_ms = sim_between(&w.net_rng, 1, sim_chance(&w.net_rng, 20) ? 20000 : 500);
	r->healthy_ms = sim_between(&w.net_rng, 100, sim_chance(&w.net_rng, 30) ? 120000 : 15000);
	if (w.o.calm)
		return;
	r->cut = rate(40, 30);
	r->agent_crash = rate(30, 30);
	r->hub_crash = rate(30, 20);
	r->fetch_error = rate(30, 300);
	r->probe_bad = rate(40, 500);
	r->probe_none = rate(30, 500);
	r->drift = rate(30, 500);
	r->restores = sim_chance(&w.net_rng, 20);
	r->jumps = sim_chance(&w.net_rng, 30);
	r->flaps = sim_chance(&w.net_rng, 30);
}

static struct sim_agent *any_agent(void)
{
	return w.agents.items[cox_rng_below(&w.net_rng, w.agents.n)];
}

static void drift(struct sim_agent *a)
{
	COX_MAP_EACH (&a->deploys, e)
		sim_deploy_drift(e->value);
}

static void on_fault(void *arg)
{
	struct sim_agent *a = any_agent();
	int what = (int)sim_between(&w.net_rng, 0, 99);

	(void)arg;
	if (w.calm)
		return;
	cox_timer_start(&w.faults, sim_between(&w.net_rng, 500, 30000));
	if (what < 20) {
		a->partitioned = !a->partitioned;
		sim_trace("%s: is %s", a->name, a->partitioned ? "cut off" : "reachable");
		if (a->partitioned && a->conn)
			sim_wire_cut(a->conn, "with all others");
	} else if (what < 35 && a->conn) {
		sim_wire_cut(a->conn, "by chance");
	} else if (what < 50) {
		sim_agent_kill(a);
	} else if (what < 60) {
		if (sim_strikes(w.rates.drift))
			drift(a);
	} else if (what < 68) {
		w.git_down = !w.git_down;
	} else if (what < 78 && w.rates.jumps) {
		w.stats.jumps++;
		virtual_wall_jump(sim_between(&w.net_rng, -3600000, 3600000));
		sim_trace("the wall clock jumps");
	} else if (what < 84 && w.rates.restores && w.control && !w.dead) {
		sim_store_backup();
		sim_trace("hub: a copy of its state is made");
	} else if (what < 88 && w.rates.restores && w.has_backup && w.stats.restores == 0) {
		w.restore_next = true;
		sim_hub_kill("to have an older state");
	}
}

/* ---- phases ---- */

static void begin_calm(void)
{
	w.calm = true;
	w.calm_ms = virtual_now_ms();
	w.git_down = false;
	if (w.rates.healthy_ms > 20000)
		w.rates.healthy_ms = 20000;
	sim_trace("calm");
	cox_timer_stop(&w.hub_kill);
	cox_timer_stop(&w.faults);
	sim_agents_calm();
	sim_people_calm();
}

static void pulse(void *arg)
{
	char why[900] = "";
	int64_t now = virtual_now_ms();

	(void)arg;
	cox_timer_start(&w.pulse, HELP_MS);
	sim_check_always();
	if (!w.calm) {
		if (now >= w.chaos_until_ms)
			begin_calm();
		return;
	}
	if (w.quiet)
		return;
	sim_people_help();
	if (sim_is_settled(why, sizeof(why))) {
		if (!w.settled_ms)
			w.settled_ms = now;
		if (now - w.settled_ms < SETTLED_MS)
			return;
		w.quiet = true;
		w.quiet_ms = now;
		sim_trace("quiet");
		return;
	}
	w.settled_ms = 0;
	if (now - w.calm_ms > CALM_MS) {
		sim_check_tell();
		sim_fail("I-18: does not settle: %s", why);
	}
}

static bool is_over(void)
{
	return *w.failure || (w.quiet && virtual_now_ms() - w.quiet_ms > QUIET_MS);
}

/* ---- the world's life ---- */

static void open_world(const struct sim_options *options)
{
	w = (struct world){.o = *options};
	cox_rng_init(&w.rng, options->seed);
	cox_rng_init(&w.net_rng, options->seed ^ 0x6e6574);
	cox_rng_init(&w.step_rng, options->seed ^ 0x73746570);
	virtual_begin(options->seed);
	cox_loop_new(&w.loop, NULL);
	draw_rates();
	w.chaos_until_ms = options->calm ? sim_between(&w.rng, 5, 15) * SIM_MINUTE_MS
					 : sim_between(&w.rng, 5, 60) * SIM_MINUTE_MS;
	w.actions_left = (int)sim_between(&w.rng, 2, options->calm ? 8 : 60);
	cox_timer_init(&w.hub_restart, w.loop, open_hub, NULL);
	cox_timer_init(&w.hub_kill, w.loop, kill_hub, NULL);
	cox_timer_init(&w.faults, w.loop, on_fault, NULL);
	cox_timer_init(&w.pulse, w.loop, pulse, NULL);
	cox_timer_start(&w.pulse, HELP_MS);
	sim_scene_draw();
	open_hub(NULL);
	sim_scene_apply();
	sim_people_open();
	if (options->calm)
		return;
	if (sim_chance(&w.rng, 60))
		cox_timer_start(&w.hub_kill, sim_between(&w.rng, 1, 300000));
	cox_timer_start(&w.faults, sim_between(&w.net_rng, 500, 60000));
}

static void close_world(void)
{
	close_hub();
	cox_timer_stop(&w.hub_restart);
	cox_timer_stop(&w.hub_kill);
	cox_timer_stop(&w.faults);
	cox_timer_stop(&w.pulse);
	sim_people_close();
	sim_agents_close();
	sim_wire_close_all();
	sim_repos_close();
	sim_store_wipe();
	sim_check_close();
	sim_scene_close();
	cox_loop_free(TAKE(w.loop));
}

bool sim_run(const struct sim_options *options)
{
	open_world(options);
	while (!is_over() && virtual_step(w.loop, &w.step_rng)) {
		if (w.dead)
			reap();
		if (++w.stats.steps > STEPS_MAX)
			sim_fail("the hub spins");
	}
	if (!*w.failure && w.quiet_changes)
		sim_fail("I-6: %llu assignments changed when all was quiet",
			 (unsigned long long)w.quiet_changes);
	w.stats.virtual_ms = (uint64_t)virtual_now_ms();
	close_world();
	return !*w.failure;
}
