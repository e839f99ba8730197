/* Jobs and CronJobs, after https://kubernetes.io/docs/concepts/workloads/controllers/job/ */
#include "common/kube/meta.h"
#include "tests/kubesim/controllers/controller.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct job {
	struct kubesim *sim;
	const struct cox_node *object;
	const char *ns, *name;
	cox_docs pods;
	int64_t active, ready, succeeded, failed;
};

static void job_fini(struct job *j)
{
	cox_docs_fini(&j->pods);
}

static bool has_condition(const struct cox_node *object, const char *type)
{
	COX_DOC_LIST_EACH (COX_GET(object, "status", "conditions"), i, c) {
		if (cox_streq(cox_node_cstr(COX_GET(c, "type"), ""), type) &&
		    cox_streq(cox_node_cstr(COX_GET(c, "status"), ""), "True"))
			return true;
	}
	return false;
}

static void count(struct job *j)
{
	for (size_t i = 0; i < j->pods.n; i++) {
		const struct cox_node *pod = cox_doc_root(j->pods.items[i]);
		const char *phase = cox_node_cstr(COX_GET(pod, "status", "phase"), "");
		j->succeeded += cox_streq(phase, "Succeeded");
		j->failed += cox_streq(phase, "Failed");
		j->active += ks_pod_is_active(pod);
		j->ready += ks_pod_is_active(pod) && ks_pod_is_ready(pod);
	}
}

static void delete_active(struct job *j)
{
	for (size_t i = 0; i < j->pods.n; i++) {
		const struct cox_node *pod = cox_doc_root(j->pods.items[i]);
		if (ks_pod_is_active(pod))
			ks_pod_delete(j->sim, j->object, pod, "job-controller");
	}
	j->active = j->ready = 0;
}

/* Sets a condition the way Jobs have them: with lastProbeTime. */
static bool set_condition(struct job *j, struct cox_doc *doc, struct cox_node *status,
			  const char *type, const char *value, const char *reason,
			  const char *message)
{
	if (!ks_condition_set(j->sim, doc, status, type, value, reason, message, false))
		return false;
	ks_put_now(j->sim, doc, ks_condition(doc, status, type), "lastProbeTime");
	return true;
}

static void finish(struct job *j, struct cox_doc *doc, struct cox_node *status, int64_t completions)
{
	int64_t limit = cox_node_int(COX_GET(j->object, "spec", "backoffLimit"), 6);
	const struct cox_node *deadline = COX_GET(j->object, "spec", "activeDeadlineSeconds");
	int64_t started = ks_time_of(COX_GET(status, "startTime"));

	if (j->succeeded >= completions) {
		set_condition(j, doc, status, "Complete", "True", NULL, NULL);
		ks_tell(j->sim, j->object, "job-controller", "Completed", "Job completed");
		ks_put_now(j->sim, doc, status, "completionTime");
		return;
	}
	if (j->failed > limit) {
		delete_active(j);
		set_condition(j, doc, status, "Failed", "True", "BackoffLimitExceeded",
			      "Job has reached the specified backoff limit");
		return;
	}
	if (!deadline || !started)
		return;
	int64_t left = started + cox_node_int(deadline, 0) * 1000 - j->sim->now_ms;
	if (left > 0) {
		ks_enqueue(j->sim, "batch", "Job", j->ns, j->name, left);
		return;
	}
	delete_active(j);
	set_condition(j, doc, status, "Failed", "True", "DeadlineExceeded",
		      "Job was active longer than specified deadline");
}

static void write_status(struct job *j, bool suspended)
{
	int64_t completions = cox_node_int(COX_GET(j->object, "spec", "completions"), 1);
	_cleanup_edit_ struct ks_edit edit = {0};

	ks_edit_begin(&edit, j->sim, ks_kind_of(j->sim, "batch", "Job"), j->ns, j->name, "status",
		      KS_MANAGER);
	if (!edit.root)
		return;
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	bool was = has_condition(j->object, "Suspended");
	if (suspended) {
		set_condition(j, edit.doc, status, "Suspended", "True", "JobSuspended",
			      "Job suspended");
		cox_map_drop(edit.doc, status, COX_STR("startTime"));
	} else {
		if (was)
			set_condition(j, edit.doc, status, "Suspended", "False", "JobResumed",
				      "Job resumed");
		if (!COX_GET(status, "startTime"))
			ks_put_now(j->sim, edit.doc, status, "startTime");
		finish(j, edit.doc, status, completions);
	}
	ks_put_count(edit.doc, status, "active", j->active);
	ks_put_count(edit.doc, status, "succeeded", j->succeeded);
	ks_put_count(edit.doc, status, "failed", j->failed);
	cox_map_put_int(edit.doc, status, "ready", j->ready);
	cox_map_put(edit.doc, status, "uncountedTerminatedPods", cox_doc_map(edit.doc));
	ks_edit_commit(&edit);
}

/* ttlSecondsAfterFinished */
static void expire(struct kubesim *sim, const struct cox_node *job, const char *ns,
		   const char *name)
{
	const struct cox_node *ttl = COX_GET(job, "spec", "ttlSecondsAfterFinished");
	int64_t end = ks_time_of(COX_GET(job, "status", "completionTime"));

	if (!ttl)
		return;
	COX_DOC_LIST_EACH (COX_GET(job, "status", "conditions"), i, c) {
		if (!end)
			end = ks_time_of(COX_GET(c, "lastTransitionTime"));
	}
	int64_t left = end + cox_node_int(ttl, 0) * 1000 - sim->now_ms;
	if (left > 0)
		ks_enqueue(sim, "batch", "Job", ns, name, left);
	else
		ks_controller_delete(sim, "batch", "Job", ns, name, "Foreground");
}

void ks_reconcile_job(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = ks_live_ref(sim, "batch", "Job", ns, name);

	if (!doc || cox_meta_is_deleting(cox_doc_root(doc)))
		return;
	COX_CLEANUP(job_fini)
	struct job j = {.sim = sim, .object = cox_doc_root(doc), .ns = ns, .name = name};
	if (has_condition(j.object, "Complete") || has_condition(j.object, "Failed")) {
		expire(sim, j.object, ns, name);
		return;
	}
	bool suspended = cox_node_bool(COX_GET(j.object, "spec", "suspend"), false);
	ks_owned(sim, "", "Pod", ns, cox_meta_uid(j.object), &j.pods);
	count(&j);
	if (suspended)
		delete_active(&j);
	int64_t completions = cox_node_int(COX_GET(j.object, "spec", "completions"), 1);
	int64_t parallelism = cox_node_int(COX_GET(j.object, "spec", "parallelism"), 1);
	int64_t limit = cox_node_int(COX_GET(j.object, "spec", "backoffLimit"), 6);
	int64_t want =
		completions - j.succeeded < parallelism ? completions - j.succeeded : parallelism;
	while (!suspended && j.failed <= limit && j.active < want) {
		if (ks_pod_create(sim, j.object, COX_GET(j.object, "spec", "template"), NULL, NULL,
				  NULL, "job-controller") >= 300)
			break;
		j.active++;
	}
	write_status(&j, suspended);
}

/* ---- CronJobs: minute patterns of numbers, lists, steps and * ---- */

static bool field_matches(struct cox_str field, int value)
{
	struct cox_str part;

	while (cox_str_split(&field, ',', &part)) {
		char text[32];
		int low, high, step = 1;
		snprintf(text, sizeof(text), "%.*s", COX_STR_ARG(part));
		char *slash = strchr(text, '/');
		if (slash) {
			*slash = 0;
			step = atoi(slash + 1);
		}
		if (text[0] == '*') {
			low = 0;
			high = 1 << 20;
		} else if (sscanf(text, "%d-%d", &low, &high) != 2) {
			low = atoi(text);
			high = slash ? 1 << 20 : low;
		}
		if (step > 0 && value >= low && value <= high && (value - low) % step == 0)
			return true;
	}
	return false;
}

static bool schedule_matches(const char *schedule, int64_t wall_ms)
{
	static const struct {
		const char *name, *fields;
	} names[] = {{"@hourly", "0 * * * *"},	 {"@daily", "0 0 * * *"},
		     {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
		     {"@monthly", "0 0 1 * *"},	 {"@yearly", "0 0 1 1 *"}};
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		if (cox_streq(schedule, names[i].name))
			schedule = names[i].fields;
	gmtime_r(&seconds, &tm);
	const int values[] = {tm.tm_min, tm.tm_hour, tm.tm_mday, tm.tm_mon + 1, tm.tm_wday};
	struct cox_str rest = cox_str(schedule), field;
	size_t n = 0;
	while (n < 5 && cox_str_split(&rest, ' ', &field))
		if (field.len && !field_matches(field, values[n++]))
			return false;
	return n == 5;
}

static void start_job(struct kubesim *sim, const struct cox_node *cron, const char *ns,
		      const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("job");
	struct cox_node *job = cox_doc_clone(doc, COX_GET(cron, "spec", "jobTemplate"));
	struct cox_node *metadata = cox_map_edit_map(doc, job, "metadata");

	cox_map_drop(doc, metadata, COX_STR("creationTimestamp"));
	cox_map_put(doc, metadata, "name",
		    cox_doc_stringf(doc, "%s-%lld", name, (long long)(sim->now_ms / 60000)));
	ks_put_owner(doc, job, cron);
	ks_controller_create(sim, "batch", "Job", ns, job);
	_cleanup_edit_ struct ks_edit edit = {0};
	ks_edit_begin(&edit, sim, ks_kind_of(sim, "batch", "CronJob"), ns, name, "status",
		      KS_MANAGER);
	ks_put_now(sim, edit.doc, cox_map_edit_map(edit.doc, edit.root, "status"),
		   "lastScheduleTime");
	ks_edit_commit(&edit);
}

void ks_reconcile_cron_job(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = ks_live_ref(sim, "batch", "CronJob", ns, name);
	const struct cox_node *cron = doc ? cox_doc_root(doc) : NULL;

	if (!cron || cox_meta_is_deleting(cron))
		return;
	int64_t last = ks_time_of(COX_GET(cron, "status", "lastScheduleTime")) / 60000;
	int64_t born = ks_time_of(COX_GET(cron, "metadata", "creationTimestamp")) / 60000;
	int64_t minute = sim->now_ms / 60000;
	if (!cox_node_bool(COX_GET(cron, "spec", "suspend"), false) && minute > last &&
	    minute > born &&
	    schedule_matches(cox_node_cstr(COX_GET(cron, "spec", "schedule"), ""), sim->now_ms))
		start_job(sim, cron, ns, name);
	ks_enqueue(sim, "batch", "CronJob", ns, name, 60000 - sim->now_ms % 60000);
}
