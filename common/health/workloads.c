/* Health of what runs containers. */
#include "common/health/rules.h"

static int64_t status_int(const struct cox_node *object, const char *key)
{
	return cox_node_int(COX_GET(object, "status", key), 0);
}

static const struct cox_node *spec(const struct cox_node *object, const char *key)
{
	return COX_GET(object, "spec", key);
}

/* The controller has seen the newest spec. */
static bool is_observed(const struct cox_node *object)
{
	return cox_meta_generation(object) <= status_int(object, "observedGeneration");
}

static void wait_observed(struct cox_health *ret)
{
	cox_health_say(ret, COX_HEALTH_PROGRESSING,
		       "waiting for the controller to see the newest specification");
}

void cox_health_deployment(const struct cox_node *object, struct cox_health *ret)
{
	int64_t wanted = cox_node_int(spec(object, "replicas"), 0);
	int64_t replicas = status_int(object, "replicas");
	int64_t updated = status_int(object, "updatedReplicas");
	int64_t available = status_int(object, "availableReplicas");
	const struct cox_node *progressing = cox_health_condition(object, "Progressing");

	if (cox_node_bool(spec(object, "paused"), false))
		cox_health_say(ret, COX_HEALTH_SUSPENDED, "paused");
	else if (!is_observed(object))
		wait_observed(ret);
	else if (cox_str_is(cox_health_text(progressing, "reason"), "ProgressDeadlineExceeded"))
		cox_health_say(ret, COX_HEALTH_DEGRADED, "progress deadline exceeded");
	else if (updated < wanted)
		cox_health_say(ret, COX_HEALTH_PROGRESSING,
			       "%lld of %lld replicas have the new specification",
			       (long long)updated, (long long)wanted);
	else if (replicas > updated)
		cox_health_say(ret, COX_HEALTH_PROGRESSING,
			       "%lld old replicas are still to be terminated",
			       (long long)(replicas - updated));
	else if (available < updated)
		cox_health_say(ret, COX_HEALTH_PROGRESSING,
			       "%lld of %lld updated replicas are available", (long long)available,
			       (long long)updated);
	else
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
}

void cox_health_replica_set(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *failure = cox_health_condition(object, "ReplicaFailure");
	int64_t wanted = cox_node_int(spec(object, "replicas"), 0);
	int64_t available = status_int(object, "availableReplicas");

	if (!is_observed(object))
		wait_observed(ret);
	else if (cox_health_condition_is(failure, "True"))
		cox_health_quote(ret, COX_HEALTH_DEGRADED, cox_health_text(failure, "message"));
	else if (available < wanted)
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "%lld of %lld replicas are available",
			       (long long)available, (long long)wanted);
	else
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
}

void cox_health_stateful_set(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *strategy = spec(object, "updateStrategy");
	struct cox_str type = cox_health_text(strategy, "type");
	const struct cox_node *rolling = cox_node_get(strategy, "rollingUpdate");
	struct cox_str current = cox_health_text(cox_node_get(object, "status"), "currentRevision");
	struct cox_str update = cox_health_text(cox_node_get(object, "status"), "updateRevision");
	int64_t wanted = cox_node_int(spec(object, "replicas"), 0);
	int64_t ready = status_int(object, "readyReplicas");
	int64_t updated = status_int(object, "updatedReplicas");

	if (status_int(object, "observedGeneration") == 0 || !is_observed(object)) {
		wait_observed(ret);
	} else if (ready < wanted) {
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "%lld of %lld pods are ready",
			       (long long)ready, (long long)wanted);
	} else if (cox_str_is(type, "RollingUpdate") && cox_node_is(rolling, COX_MAP)) {
		int64_t due = wanted - cox_node_int(cox_node_get(rolling, "partition"), 0);

		if (updated < due)
			cox_health_say(ret, COX_HEALTH_PROGRESSING,
				       "%lld of %lld pods have the new specification",
				       (long long)updated, (long long)due);
		else
			cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
	} else if (cox_str_is(type, "OnDelete") || cox_str_eq(update, current)) {
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
	} else {
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "%lld pods are at revision %.*s",
			       (long long)updated, COX_STR_ARG(update));
	}
}

void cox_health_daemon_set(const struct cox_node *object, struct cox_health *ret)
{
	struct cox_str type = cox_health_text(spec(object, "updateStrategy"), "type");
	int64_t wanted = status_int(object, "desiredNumberScheduled");
	int64_t updated = status_int(object, "updatedNumberScheduled");
	int64_t available = status_int(object, "numberAvailable");

	if (!is_observed(object))
		wait_observed(ret);
	else if (cox_str_is(type, "OnDelete"))
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
	else if (updated < wanted)
		cox_health_say(ret, COX_HEALTH_PROGRESSING,
			       "%lld of %lld pods have the new specification", (long long)updated,
			       (long long)wanted);
	else if (available < wanted)
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "%lld of %lld pods are available",
			       (long long)available, (long long)wanted);
	else
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
}

/* ---- pods ---- */

static bool is_failing_reason(struct cox_str reason)
{
	return cox_str_starts(reason, "Err") || cox_str_ends(reason, "Error") ||
	       cox_str_ends(reason, "BackOff");
}

static bool is_hook(const struct cox_node *object)
{
	return cox_meta_annotation(object, "argocd.argoproj.io/hook").len ||
	       cox_meta_annotation(object, "helm.sh/hook").len;
}

/* Containers that wait for a reason that doesn't pass by itself; true when there is one. */
static bool judge_waiting(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *list = COX_GET(object, "status", "containerStatuses");
	COX_CLEANUP(cox_buf_fini) struct cox_buf said = COX_BUF_INIT;
	bool failing = false;

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *waiting = COX_GET(cox_node_at(list, i), "state", "waiting");
		struct cox_str reason = cox_health_text(waiting, "reason");
		struct cox_str message = cox_health_text(waiting, "message");

		if (!is_failing_reason(reason))
			continue;
		failing = true;
		if (said.len)
			cox_buf_puts(&said, ", ");
		cox_buf_puts_str(&said, message.len ? message : reason);
	}
	if (failing)
		cox_health_quote(ret, COX_HEALTH_DEGRADED, cox_buf_str(&said));
	return failing;
}

/* Says why the container failed; false when it doesn't tell. */
static bool judge_failed(const struct cox_node *container, struct cox_health *ret)
{
	const struct cox_node *end = COX_GET(container, "state", "terminated");
	struct cox_str message = cox_health_text(end, "message");
	int64_t exit_code = cox_node_int(cox_node_get(end, "exitCode"), 0);

	if (message.len)
		cox_health_quote(ret, COX_HEALTH_DEGRADED, message);
	else if (cox_str_is(cox_health_text(end, "reason"), "OOMKilled"))
		cox_health_say(ret, COX_HEALTH_DEGRADED, "OOMKilled");
	else if (exit_code != 0)
		cox_health_say(
			ret, COX_HEALTH_DEGRADED, "container '%.*s' failed with exit status %lld",
			COX_STR_ARG(cox_health_text(container, "name")), (long long)exit_code);
	else
		return false;
	return true;
}

static void judge_failed_pod(const struct cox_node *object, struct cox_str message,
			     struct cox_health *ret)
{
	static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};

	cox_health_quote(ret, COX_HEALTH_DEGRADED, message);
	if (message.len)
		return;
	for (size_t l = 0; l < COX_ARRAY_LEN(lists); l++) {
		const struct cox_node *list = COX_GET(object, "status", lists[l]);

		for (size_t i = 0; i < cox_node_len(list); i++)
			if (judge_failed(cox_node_at(list, i), ret))
				return;
	}
}

static bool has_restarted(const struct cox_node *object)
{
	const struct cox_node *list = COX_GET(object, "status", "containerStatuses");

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_node_is(COX_GET(cox_node_at(list, i), "lastState", "terminated"), COX_MAP))
			return true;
	return false;
}

static void judge_running_pod(const struct cox_node *object, struct cox_str restart,
			      struct cox_str message, struct cox_health *ret)
{
	enum cox_health_status status = COX_HEALTH_UNKNOWN;

	if (cox_str_is(restart, "Always")) {
		if (cox_health_condition_is(cox_health_condition(object, "Ready"), "True"))
			status = COX_HEALTH_HEALTHY;
		else
			status = has_restarted(object) ? COX_HEALTH_DEGRADED
						       : COX_HEALTH_PROGRESSING;
	} else if (cox_str_is(restart, "Never") || cox_str_is(restart, "OnFailure")) {
		status = COX_HEALTH_PROGRESSING;
	}
	cox_health_quote(ret, status, message);
}

void cox_health_pod(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *status = cox_node_get(object, "status");
	struct cox_str phase = cox_health_text(status, "phase");
	struct cox_str message = cox_health_text(status, "message");
	struct cox_str restart = cox_node_str(spec(object, "restartPolicy"));
	bool as_always =
		!is_hook(object) &&
		cox_str_is(cox_meta_annotation(object, "argocd.argoproj.io/ignore-restart-policy"),
			   "true");

	if ((cox_str_is(restart, "Always") || as_always) && judge_waiting(object, ret))
		return;
	if (cox_str_is(phase, "Pending"))
		cox_health_quote(ret, COX_HEALTH_PROGRESSING, message);
	else if (cox_str_is(phase, "Succeeded"))
		cox_health_quote(ret, COX_HEALTH_HEALTHY, message);
	else if (cox_str_is(phase, "Failed"))
		judge_failed_pod(object, message, ret);
	else if (cox_str_is(phase, "Running"))
		judge_running_pod(object, restart, message, ret);
	else
		cox_health_quote(ret, COX_HEALTH_UNKNOWN, message);
}

/* ---- jobs ---- */

/* A condition counts by being there, whatever its status says, but for Suspended. */
void cox_health_job(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *failed = cox_health_condition(object, "Failed");
	const struct cox_node *complete = cox_health_condition(object, "Complete");
	const struct cox_node *suspended = cox_health_condition(object, "Suspended");

	if (failed)
		cox_health_quote(ret, COX_HEALTH_DEGRADED, cox_health_text(failed, "message"));
	else if (cox_health_condition_is(suspended, "True"))
		cox_health_quote(ret, COX_HEALTH_SUSPENDED, cox_health_text(suspended, "message"));
	else if (complete)
		cox_health_quote(ret, COX_HEALTH_HEALTHY, cox_health_text(complete, "message"));
	else
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "%s", "");
}

void cox_health_cron_job(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *status = cox_node_get(object, "status");
	struct cox_str scheduled = cox_health_text(status, "lastScheduleTime");
	struct cox_str succeeded = cox_health_text(status, "lastSuccessfulTime");

	if (cox_node_bool(spec(object, "suspend"), false))
		cox_health_say(ret, COX_HEALTH_HEALTHY, "suspended");
	else if (!cox_node_is(status, COX_MAP))
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting for the controller");
	else if (!scheduled.len)
		cox_health_say(ret, COX_HEALTH_HEALTHY, "not scheduled yet");
	else if (!succeeded.len)
		cox_health_say(ret, COX_HEALTH_HEALTHY, "no run has succeeded yet");
	else if (cox_node_len(cox_node_get(status, "active")) > 0)
		cox_health_say(ret, COX_HEALTH_HEALTHY, "running");
	else if (cox_str_compare(succeeded, scheduled) < 0)
		cox_health_say(ret, COX_HEALTH_DEGRADED, "the last run did not succeed");
	else
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
}

void cox_health_workflow(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *status = cox_node_get(object, "status");
	struct cox_str phase = cox_health_text(status, "phase");
	struct cox_str message = cox_health_text(status, "message");

	if (!phase.len || cox_str_is(phase, "Pending") || cox_str_is(phase, "Running"))
		cox_health_quote(ret, COX_HEALTH_PROGRESSING, message);
	else if (cox_str_is(phase, "Succeeded"))
		cox_health_quote(ret, COX_HEALTH_HEALTHY, message);
	else if (cox_str_is(phase, "Failed") || cox_str_is(phase, "Error"))
		cox_health_quote(ret, COX_HEALTH_DEGRADED, message);
	else
		cox_health_quote(ret, COX_HEALTH_UNKNOWN, message);
}
