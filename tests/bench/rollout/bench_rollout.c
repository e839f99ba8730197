/* bench rollout: the planner with 10,000 targets in 10 waves, at most a quarter of a wave on its way.
 *
 * Method: one thread, a clock of its own. Each target that is moved is assigned and reported healthy,
 * one report after the other, each followed by a step and by writing as JSON what has to be kept, as
 * a hub with no other work would. Printed: a report with its step (median, 99th percentile, the
 * longest), and the writing that follows; a step that opens a wave; the whole state written and read
 * back; heap that the rollout holds. tests/bench/rollout/run times the whole hub. */
#include "common/base/clock.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/rollout/rollout.h"
#include "tests/unit/hub/rollout/rows.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#define N_TARGETS 10000
#define N_WAVES	  10

static struct cox_rollout_member members[N_TARGETS];
static char names[N_TARGETS][16];
static uint8_t digests[N_TARGETS][32];
static struct cox_doc *labels[N_WAVES];
static int64_t times[N_TARGETS], writes[N_TARGETS];

static void make_plan(struct cox_rollout_plan *plan)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	cox_buf_puts(&text, "onFailure: rollback\nwaves:\n");
	for (int i = 0; i < N_WAVES; i++)
		cox_buf_printf(&text,
			       "- name: w%d\n  clusters: {matchLabels: {wave: '%d'}}\n"
			       "  maxConcurrent: 25%%\n  progressDeadline: 10m\n",
			       i, i);
	if (cox_yaml_read(cox_buf_str(&text), "policy", NULL, &doc, &err) < 0 ||
	    cox_rollout_plan_policy("p", cox_doc_root(doc), plan, &err) < 0) {
		printf("%s\n", err.message);
		exit(1);
	}
}

static void make_members(void)
{
	for (int i = 0; i < N_WAVES; i++) {
		char json[32];

		snprintf(json, sizeof(json), "{\"wave\":\"%d\"}", i);
		cox_json_read(cox_str(json), "labels", &labels[i], NULL);
	}
	for (int i = 0; i < N_TARGETS; i++) {
		snprintf(names[i], sizeof(names[i]), "t%05d", i);
		memcpy(digests[i], &i, sizeof(i));
		members[i] = (struct cox_rollout_member){
			.uid = names[i],
			.name = names[i],
			.cluster = names[i],
			.revision = "0123456789abcdef0123456789abcdef01234567",
			.cluster_labels = cox_doc_root(labels[i % N_WAVES]),
			.digest = digests[i],
			.previous = digests[(i + 1) % N_TARGETS],
			.previous_revision = "89abcdef0123456789abcdef0123456789abcdef"};
	}
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The whole state, as when the rollout begins and as when a hub starts. */
static void state_times(struct cox_rollout *r)
{
	struct rows rows = {0};
	struct cox_rollout *copy = NULL;
	int64_t start = cox_clock_us(), written;

	rows_write_all(&rows, r);
	written = cox_clock_us();
	if (rows_read(&rows, &copy, NULL) < 0)
		exit(1);
	printf("state: %zu rows, %zu KiB, written in %.1f ms, read in %.1f ms\n", rows.n_written,
	       rows.n_bytes / 1024, (double)(written - start) / 1000,
	       (double)(cox_clock_us() - written) / 1000);
	cox_rollout_free(copy);
	rows_fini(&rows);
}

static void tell(const char *what, int64_t *us)
{
	qsort(us, N_TARGETS, sizeof(*us), by_value);
	printf("%s: median %lld us, p99 %lld us, longest %lld us\n", what,
	       (long long)us[N_TARGETS / 2], (long long)us[N_TARGETS * 99 / 100],
	       (long long)us[N_TARGETS - 1]);
}

int main(void)
{
	struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
	cox_rollout_effects effects = {0};
	struct cox_rollout_report report = {.epoch = 1,
					    .generation = 1,
					    .synced = true,
					    .healthy = true,
					    .operation_phase = COX_OP_SUCCEEDED};
	int64_t now_ms = 1700000000000, start, opens = 0, n_opens = 0;
	struct cox_rollout *r;
	struct rows rows = {0};
	size_t done = 0, before, bytes = 0, written = 0;

	make_plan(&plan);
	make_members();
	before = mallinfo2().uordblks;
	start = cox_clock_us();
	r = cox_rollout_new(&(struct cox_rollout_spec){.id = "id",
						       .owner = "ApplicationSet/ns/x",
						       .plan = &plan,
						       .members = members,
						       .n_members = N_TARGETS},
			    now_ms);
	printf("%d targets in %d waves: begun in %.1f ms, %zu KiB held\n", N_TARGETS, N_WAVES,
	       (double)(cox_clock_us() - start) / 1000, (mallinfo2().uordblks - before) / 1024);
	cox_rollout_step(r, NULL, now_ms, &effects, NULL);
	rows_write(&rows, r);
	while (done < effects.n) {
		size_t first = effects.n, target = effects.items[done].target;
		const char *uid = r->targets.items[target].uid;
		bool opened;

		cox_rollout_assigned(r, uid, 1, 1, "", now_ms);
		report.sync_digest = r->targets.items[target].digest;
		report.operation_digest = report.sync_digest;
		start = cox_clock_us();
		cox_rollout_observe(r, uid, &report, now_ms);
		cox_rollout_step(r, NULL, now_ms, &effects, NULL);
		times[done] = cox_clock_us() - start;
		start = cox_clock_us();
		rows_write(&rows, r);
		writes[done] = cox_clock_us() - start;
		bytes += rows.n_bytes;
		written += rows.n_written;
		opened = effects.n - first > 1;
		opens += opened ? times[done] : 0;
		n_opens += opened;
		done++;
		now_ms += 10;
		if (done == N_TARGETS / 2)
			state_times(r);
	}
	if (r->phase != COX_ROLLOUT_SUCCEEDED || done != N_TARGETS)
		return 1;
	tell("a report and its step", times);
	tell("writing what it changed", writes);
	printf("a report writes %.1f rows, %.1f KiB\n", (double)written / N_TARGETS,
	       (double)bytes / 1024 / N_TARGETS);
	printf("of those that open a wave of %d (%lld): %lld us\n", N_TARGETS / N_WAVES,
	       (long long)n_opens, (long long)(n_opens ? opens / n_opens : 0));
	cox_vec_fini(&effects);
	rows_fini(&rows);
	cox_rollout_free(r);
	cox_rollout_plan_fini(&plan);
	for (int i = 0; i < N_WAVES; i++)
		cox_doc_unref(labels[i]);
	return 0;
}
