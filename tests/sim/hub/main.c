/* hub_sim: seeds of the simulator for a hub and its agents. README.md says how it is used. */
#include "tests/sim/hub/world.h"

#include "common/base/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
	int64_t first, seeds, within, crash_after;
	char *bug;
	bool trace, every_effect, late, calm, list, all_bugs, repeats, all_sizes;
};

static const struct cox_option rows[] = {
	{"first", 'f', COX_OPT_INT, offsetof(struct config, first), .arg = "SEED",
	 .help = "the first seed", .def = "1"},
	{"seeds", 'n', COX_OPT_INT, offsetof(struct config, seeds), .arg = "N",
	 .help = "so many of them", .def = "100"},
	{"trace", 't', COX_OPT_BOOL, offsetof(struct config, trace),
	 .help = "tell everything that happens"},
	{"bug", 'b', COX_OPT_STRING, offsetof(struct config, bug), .arg = "NAME",
	 .help = "plant this bug; it must be found"},
	{"all-bugs", 0, COX_OPT_BOOL, offsetof(struct config, all_bugs),
	 .help = "plant each bug in turn; every one must be found"},
	{"repeats", 0, COX_OPT_BOOL, offsetof(struct config, repeats),
	 .help = "run each seed twice: they must be alike, to the last step"},
	{"list-bugs", 0, COX_OPT_BOOL, offsetof(struct config, list), .help = "name them"},
	{"every-effect", 'e', COX_OPT_BOOL, offsetof(struct config, every_effect),
	 .help = "run each seed without other faults, and twice more for each of its commits, "
		 "with a crash of the hub right after it"},
	{"calm", 'c', COX_OPT_BOOL, offsetof(struct config, calm), .help = "without faults"},
	{"all-sizes", 's', COX_OPT_BOOL, offsetof(struct config, all_sizes),
	 .help = "up to 500 agents, not mostly under 20"},
	{"crash-after", 0, COX_OPT_INT, offsetof(struct config, crash_after), .arg = "COMMIT",
	 .help = "with --calm: the hub dies right after that one", .def = "0"},
	{"late", 0, COX_OPT_BOOL, offsetof(struct config, late),
	 .help = "with --crash-after: when what waited for the commit has run"},
	{0},
};

static const struct cox_options spec = {.program = "hub_sim",
					.usage = "[flags]",
					.summary = "A simulator for a hub and its agents.",
					.rows = rows};

static struct sim_stats total;

static void add_up(void)
{
	const uint64_t *from = (const uint64_t *)&w.stats;
	uint64_t *to = (uint64_t *)&total;

	for (size_t i = 0; i < sizeof(total) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

static void print_stats(uint64_t n)
{
#define N(field) (unsigned long long)total.field
	printf("%llu runs with %llu agents, %llu s of virtual time: %llu steps, %llu messages, "
	       "%llu commits, %llu "
	       "rows, %llu reports, %llu changes taken\n",
	       (unsigned long long)n, N(agents), N(virtual_ms) / 1000, N(steps), N(messages),
	       N(commits), N(rows), N(reports), N(changes));
	printf("%llu rollouts of %llu targets, %llu of them back, %llu starts, %llu claims, %llu "
	       "answers of probes, %llu jobs, %llu reasons\n",
	       N(rollouts), N(targets), N(rollbacks), N(moves), N(claims), N(probes), N(jobs),
	       N(whys));
	printf("%llu acts of people, %llu refused, %llu approvals, %llu pushes, %llu joined, %llu "
	       "left, %llu deletions\n",
	       N(people), N(refused), N(approvals), N(git), N(joins), N(leaves), N(deletions));
	printf("%llu crashes of the hub, %llu of agents, %llu older copies, %llu cuts, %llu jumps "
	       "of the clock\n",
	       N(crashes), N(agent_crashes), N(restores), N(cuts), N(jumps));
#undef N
}

static bool run(const struct sim_options *o)
{
	bool fine = sim_run(o);

	add_up();
	if (!fine) {
		printf("seed %llu", (unsigned long long)o->seed);
		if (o->crash_after)
			printf(" --crash-after %llu%s", (unsigned long long)o->crash_after,
			       o->late ? " --late" : "");
		printf(": %s\n", w.failure);
	}
	return fine;
}

/* One run to count the commits, then a crash after each, twice: before and after what waited for it. */
static bool run_every_effect(struct sim_options o, uint64_t *n_runs)
{
	o.calm = true;
	if (!run(&o))
		return false;
	uint64_t n = w.stats.effects;

	for (uint64_t i = 1; i <= n; i++)
		for (int late = 0; late < 2; late++) {
			o.crash_after = i;
			o.late = late;
			++*n_runs;
			if (!run(&o))
				return false;
		}
	return true;
}

static bool find_bug(const struct config *c, struct sim_options o, const struct sim_bug *bug)
{
	bool found = false;
	int64_t k = 0;

	*bug->on = true;
	for (; k < c->seeds && !found; k++) {
		o.seed = (uint64_t)(c->first + k);
		found = !run(&o);
	}
	*bug->on = false;
	printf("%s: %s %lld seeds\n", bug->what, found ? "found, after" : "NOT FOUND in",
	       (long long)k);
	return found;
}

/* All of them when none is named. */
static int find_bugs(const struct config *c, struct sim_options o)
{
	size_t n = 0, n_missed = 0;

	for (size_t i = 0; i < sim_n_bugs; i++) {
		if (!c->all_bugs && !cox_streq(sim_bugs[i].name, c->bug))
			continue;
		n++;
		n_missed += !find_bug(c, o, &sim_bugs[i]);
	}
	if (n == 0) {
		fprintf(stderr, "hub_sim: no bug '%s' (--list-bugs)\n", c->bug);
		return 2;
	}
	return n_missed != 0;
}

static int run_twice(const struct config *c, struct sim_options o)
{
	for (int64_t k = 0; k < c->seeds; k++) {
		o.seed = (uint64_t)(c->first + k);
		bool fine = run(&o);
		struct sim_stats first = w.stats;

		if (run(&o) != fine || memcmp(&first, &w.stats, sizeof(first)) != 0) {
			printf("seed %llu gives two different runs\n", (unsigned long long)o.seed);
			return 1;
		}
	}
	print_stats((uint64_t)c->seeds * 2);
	return 0;
}

static void list_bugs(void)
{
	for (size_t i = 0; i < sim_n_bugs; i++)
		printf("%-16s %s\n", sim_bugs[i].name, sim_bugs[i].what);
}

static int run_all(const struct config *c)
{
	struct sim_options o = {.trace = c->trace,
				.calm = c->calm,
				.crash_after = (uint64_t)c->crash_after,
				.late = c->late,
				.all_sizes = c->all_sizes};
	uint64_t n_failed = 0, n_runs = 0;

	if (c->all_bugs || (c->bug && *c->bug))
		return find_bugs(c, o);
	if (c->repeats)
		return run_twice(c, o);
	for (int64_t k = 0; k < c->seeds && n_failed < 10; k++) {
		o.seed = (uint64_t)(c->first + k);
		n_runs++;
		n_failed += !(c->every_effect ? run_every_effect(o, &n_runs) : run(&o));
	}
	print_stats(n_runs);
	printf(n_failed ? "%llu failed; COX_TEST_SEED=<seed> runs one\n" : "all fine\n",
	       (unsigned long long)n_failed);
	return n_failed != 0;
}

int main(int argc, char **argv)
{
	struct config c = {0};
	const char *seed = getenv("COX_TEST_SEED");
	cox_strings args = {0};
	struct cox_error err;
	int code = cox_options_parse(&spec, argc, argv, &c, &args, &err);

	if (code < 0)
		return cox_options_usage_error("hub_sim", &err);
	cox_vec_fini(&args);
	if (code > 0)
		return 0;
	if (seed && *seed) {
		c.first = strtoll(seed, NULL, 10);
		c.seeds = 1;
	}
	if (c.list) {
		list_bugs();
		code = 0;
	} else {
		code = run_all(&c);
	}
	cox_options_fini(&spec, &c);
	return code;
}
