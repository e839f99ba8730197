/* The health of what people run beside Kubernetes itself, as tables: what each condition or phase
 * of a kind means by its project's documentation. A kind's conditions are asked in the order of its
 * rows, and the first one that fits decides; then its phase; then the words of the row itself.
 * An object whose status is behind its specification is Progressing, where the project says so. */
#include "common/health/rules.h"

#include <stdlib.h>

#define HEALTHY	    COX_HEALTH_HEALTHY
#define SUSPENDED   COX_HEALTH_SUSPENDED
#define PROGRESSING COX_HEALTH_PROGRESSING
#define DEGRADED    COX_HEALTH_DEGRADED
#define UNKNOWN	    COX_HEALTH_UNKNOWN

/* A condition of that type, status ("" any) and reason (NULL any). */
struct when {
	const char *type, *status, *reason;
	enum cox_health_status health;
};

/* Words of a phase, separated by '|'. */
struct phase {
	const char *words;
	enum cox_health_status health;
};

enum {
	OBSERVED = 1,	 /* status.observedGeneration, where there is one, must not be behind */
	SUSPENDABLE = 2, /* spec.suspend: true is Suspended */
	PAUSABLE = 4,	 /* spec.paused: true is Suspended */
	QUIET = 8,	 /* without conditions or a phase: no health at all */
};

struct known {
	const char *group, *kind; /* "*.x.io" and "*" stand for many */
	unsigned flags;
	const struct when *when;
	const char *phase_key; /* of status; "a.b" is a step further */
	const struct phase *phases;
	cox_health_rule *rule; /* instead of the rest */
};

/* ---- what conditions mean ---- */

static const struct when ready[] = {
	{"Ready", "True", NULL, HEALTHY}, {"Ready", "False", NULL, DEGRADED}, {0}};
/* not ready is only "not yet" */
static const struct when ready_slow[] = {
	{"Ready", "True", NULL, HEALTHY}, {"Ready", "False", NULL, PROGRESSING}, {0}};
static const struct when synced[] = {
	{"Synced", "False", NULL, DEGRADED}, {"Synced", "True", NULL, HEALTHY}, {0}};
static const struct when certificate[] = {{"Issuing", "True", NULL, PROGRESSING},
					  {"Ready", "False", NULL, DEGRADED},
					  {"Ready", "True", NULL, HEALTHY},
					  {0}};
static const struct when certificate_request[] = {
	{"Denied", "True", NULL, DEGRADED},	{"InvalidRequest", "True", NULL, DEGRADED},
	{"Ready", "True", NULL, HEALTHY},	{"Ready", "False", "Failed", DEGRADED},
	{"Ready", "False", "Denied", DEGRADED}, {0}};
static const struct when flux[] = {{"Stalled", "True", NULL, DEGRADED},
				   {"Ready", "True", NULL, HEALTHY},
				   {"Ready", "False", "Progressing", PROGRESSING},
				   {"Ready", "False", "ProgressingWithRetry", PROGRESSING},
				   {"Ready", "False", "DependencyNotReady", PROGRESSING},
				   {"Ready", "False", NULL, DEGRADED},
				   {0}};
static const struct when crossplane[] = {{"Synced", "False", "ReconcilePaused", SUSPENDED},
					 {"LastAsyncOperation", "False", NULL, DEGRADED},
					 {"Synced", "False", NULL, DEGRADED},
					 {"Ready", "True", NULL, HEALTHY},
					 {0}};
static const struct when package[] = {{"Installed", "False", "ActivePackageRevision", PROGRESSING},
				      {"Installed", "False", NULL, DEGRADED},
				      {"Healthy", "False", NULL, DEGRADED},
				      {"Healthy", "True", NULL, HEALTHY},
				      {0}};
static const struct when established[] = {
	{"Established", "False", "TerminatingComposite", PROGRESSING},
	{"Established", "False", NULL, DEGRADED},
	{"Established", "True", NULL, HEALTHY},
	{0}};
static const struct when gateway[] = {
	{"ResolvedRefs", "False", NULL, DEGRADED},    {"Accepted", "False", "Pending", PROGRESSING},
	{"Accepted", "False", NULL, DEGRADED},	      {"Programmed", "True", NULL, HEALTHY},
	{"Programmed", "False", "Invalid", DEGRADED}, {0}};
static const struct when gateway_class[] = {{"Accepted", "True", NULL, HEALTHY},
					    {"Accepted", "False", "Pending", PROGRESSING},
					    {"Accepted", "False", NULL, DEGRADED},
					    {0}};
static const struct when prometheus[] = {{"Available", "True", NULL, HEALTHY},
					 {"Available", "", "SomePodsNotReady", PROGRESSING},
					 {"Available", "", NULL, DEGRADED},
					 {0}};
static const struct when keda[] = {{"Ready", "False", NULL, DEGRADED},
				   {"Fallback", "True", NULL, DEGRADED},
				   {"Paused", "True", NULL, SUSPENDED},
				   {"Ready", "True", NULL, HEALTHY},
				   {0}};
static const struct when strimzi[] = {{"ReconciliationPaused", "True", NULL, SUSPENDED},
				      {"NotReady", "True", NULL, DEGRADED},
				      {"Ready", "True", NULL, HEALTHY},
				      {0}};
static const struct when rabbit[] = {{"ReconcileSuccess", "False", NULL, DEGRADED},
				     {"AllReplicasReady", "True", NULL, HEALTHY},
				     {0}};
static const struct when succeeded[] = {
	{"Succeeded", "True", NULL, HEALTHY}, {"Succeeded", "False", NULL, DEGRADED}, {0}};
static const struct when ack[] = {{"ACK.Terminal", "True", NULL, DEGRADED},
				  {"ACK.ResourceSynced", "True", NULL, HEALTHY},
				  {0}};
static const struct when cnrm[] = {{"Ready", "True", NULL, HEALTHY},
				   {"Ready", "False", "UpdateFailed", DEGRADED},
				   {"Ready", "False", "DependencyInvalid", DEGRADED},
				   {"Ready", "False", "DeleteFailed", DEGRADED},
				   {0}};
static const struct when cron_workflow[] = {
	{"SubmissionError", "True", NULL, DEGRADED}, {"SpecError", "True", NULL, DEGRADED}, {0}};
static const struct when machine[] = {
	{"Ready", "True", NULL, HEALTHY}, {"Available", "True", NULL, HEALTHY}, {0}};

/* ---- what phases mean ---- */

static const struct phase analysis[] = {{"Pending|Running", PROGRESSING},
					{"Successful", HEALTHY},
					{"Failed|Error", DEGRADED},
					{"Inconclusive", UNKNOWN},
					{0}};
static const struct phase cnpg[] = {
	{"Cluster in healthy state", HEALTHY},
	{"Waiting for user action", SUSPENDED},
	{"Unable to create required cluster objects|"
	 "Cluster cannot proceed to reconciliation due to an unknown plugin being required|"
	 "Cluster has incomplete or invalid image catalog|"
	 "Cluster is unrecoverable and needs manual intervention|"
	 "Cluster is in an unrecoverable state, needs manual intervention|"
	 "Cluster cannot execute instance online upgrade due to missing architecture binary|"
	 "Not enough disk space|Failing over",
	 DEGRADED},
	{0}};
static const struct when cnpg_when[] = {{"cnpg.io/hibernation", "True", NULL, SUSPENDED}, {0}};
static const struct phase backup[] = {
	{"completed|Completed", HEALTHY},
	{"failed|Failed|PartiallyFailed|FailedValidation|walArchivingFailing", DEGRADED},
	{0}};
static const struct phase canary[] = {{"Initialized|Succeeded", HEALTHY},
				      {"Waiting|WaitingPromotion", SUSPENDED},
				      {"Failed", DEGRADED},
				      {0}};
static const struct phase elastic[] = {{"green", HEALTHY}, {"red", DEGRADED}, {0}};
static const struct phase zalando[] = {
	{"Running", HEALTHY}, {"CreateFailed|UpdateFailed|SyncFailed|Invalid", DEGRADED}, {0}};
static const struct phase operator_version[] = {{"Succeeded", HEALTHY}, {"Failed", DEGRADED}, {0}};
static const struct phase istio_operator[] = {{"HEALTHY|1|3", HEALTHY}, {"ERROR|4", DEGRADED}, {0}};
static const struct phase machine_phases[] = {
	{"Running|Provisioned|ScaledUp", HEALTHY}, {"Failed", DEGRADED}, {0}};
static const struct phase virtual_machine[] = {
	{"Running", HEALTHY},
	{"Stopped|Paused|Halted", SUSPENDED},
	{"CrashLoopBackOff|ErrorUnschedulable|ErrImagePull|ImagePullBackOff|ErrorPvcNotFound|"
	 "ErrorDataVolumeNotFound|DataVolumeError",
	 DEGRADED},
	{0}};
static const struct phase data_volume[] = {
	{"Succeeded|WaitForFirstConsumer|PendingPopulation", HEALTHY},
	{"Paused", SUSPENDED},
	{"Failed|Unknown", DEGRADED},
	{0}};
static const struct phase spark[] = {{"COMPLETED|RUNNING", HEALTHY},
				     {"FAILED|SUBMISSION_FAILED|FAILING|INVALIDATING", DEGRADED},
				     {0}};
static const struct phase percona[] = {
	{"ready", HEALTHY}, {"paused|stopping", SUSPENDED}, {"error", DEGRADED}, {0}};
static const struct phase mongodb[] = {{"Running", HEALTHY}, {"Failed", DEGRADED}, {0}};
static const struct phase bound[] = {{"Bound", HEALTHY}, {"Failed|Lost", DEGRADED}, {0}};
static const struct phase challenge[] = {
	{"valid", HEALTHY}, {"invalid|expired|errored", DEGRADED}, {0}};
static const struct phase location[] = {{"Available", HEALTHY}, {"Unavailable", DEGRADED}, {0}};

/* ---- the kinds ---- */

/* The first row that fits counts: exact ones stand before wildcards. */
static const struct known kinds[] = {
	{"cert-manager.io", "Certificate", 0, certificate, NULL, NULL, NULL},
	{"cert-manager.io", "Issuer", 0, ready, NULL, NULL, NULL},
	{"cert-manager.io", "ClusterIssuer", 0, ready, NULL, NULL, NULL},
	{"cert-manager.io", "CertificateRequest", 0, certificate_request, NULL, NULL, NULL},
	{"acme.cert-manager.io", "*", QUIET, NULL, "state", challenge, NULL},
	{"trust.cert-manager.io", "Bundle", 0, synced, NULL, NULL, NULL},
	{"argoproj.io", "Rollout", 0, NULL, NULL, NULL, cox_health_rollout},
	{"argoproj.io", "AnalysisRun", 0, NULL, "phase", analysis, NULL},
	{"argoproj.io", "Experiment", 0, NULL, "phase", analysis, NULL},
	{"argoproj.io", "CronWorkflow", QUIET | SUSPENDABLE, cron_workflow, NULL, NULL, NULL},
	{"argoproj.io", "Application", 0, NULL, NULL, NULL, cox_health_child_application},
	{"pkg.crossplane.io", "Provider", 0, package, NULL, NULL, NULL},
	{"pkg.crossplane.io", "Configuration", 0, package, NULL, NULL, NULL},
	{"pkg.crossplane.io", "Function", 0, package, NULL, NULL, NULL},
	{"apiextensions.crossplane.io", "CompositeResourceDefinition", 0, established, NULL, NULL,
	 NULL},
	{"*.crossplane.io", "*", QUIET, crossplane, NULL, NULL, NULL},
	{"*.upbound.io", "*", QUIET, crossplane, NULL, NULL, NULL},
	{"*.toolkit.fluxcd.io", "*", QUIET | OBSERVED | SUSPENDABLE, flux, NULL, NULL, NULL},
	{"serving.knative.dev", "*", QUIET | OBSERVED, ready, NULL, NULL, NULL},
	{"operator.knative.dev", "*", QUIET | OBSERVED, ready_slow, NULL, NULL, NULL},
	{"*.knative.dev", "*", QUIET | OBSERVED, ready, NULL, NULL, NULL},
	{"postgresql.cnpg.io", "Cluster", 0, cnpg_when, "phase", cnpg, NULL},
	{"postgresql.cnpg.io", "Backup", 0, NULL, "phase", backup, NULL},
	{"postgresql.cnpg.io", "ScheduledBackup", QUIET | SUSPENDABLE, NULL, NULL, NULL, NULL},
	{"postgresql.cnpg.io", "Database", 0, NULL, NULL, NULL, cox_health_cnpg_object},
	{"postgresql.cnpg.io", "Publication", 0, NULL, NULL, NULL, cox_health_cnpg_object},
	{"postgresql.cnpg.io", "Subscription", 0, NULL, NULL, NULL, cox_health_cnpg_object},
	{"install.istio.io", "IstioOperator", 0, NULL, "status", istio_operator, NULL},
	{"sailoperator.io", "*", QUIET | OBSERVED, ready_slow, NULL, NULL, NULL},
	{"networking.istio.io", "*", 0, NULL, NULL, NULL, cox_health_istio},
	{"security.istio.io", "*", 0, NULL, NULL, NULL, cox_health_istio},
	{"telemetry.istio.io", "*", 0, NULL, NULL, NULL, cox_health_istio},
	{"gateway.networking.k8s.io", "Gateway", OBSERVED, gateway, NULL, NULL, NULL},
	{"gateway.networking.k8s.io", "GatewayClass", OBSERVED, gateway_class, NULL, NULL, NULL},
	{"gateway.networking.k8s.io", "HTTPRoute", 0, NULL, NULL, NULL, cox_health_route},
	{"gateway.networking.k8s.io", "GRPCRoute", 0, NULL, NULL, NULL, cox_health_route},
	{"gateway.networking.k8s.io", "TLSRoute", 0, NULL, NULL, NULL, cox_health_route},
	{"gateway.networking.k8s.io", "TCPRoute", 0, NULL, NULL, NULL, cox_health_route},
	{"gateway.networking.k8s.io", "UDPRoute", 0, NULL, NULL, NULL, cox_health_route},
	{"external-secrets.io", "*", 0, ready, NULL, NULL, NULL},
	{"monitoring.coreos.com", "Prometheus", PAUSABLE, prometheus, NULL, NULL, NULL},
	{"monitoring.coreos.com", "PrometheusAgent", PAUSABLE, prometheus, NULL, NULL, NULL},
	{"monitoring.coreos.com", "Alertmanager", PAUSABLE, prometheus, NULL, NULL, NULL},
	{"monitoring.coreos.com", "ThanosRuler", PAUSABLE, prometheus, NULL, NULL, NULL},
	{"keda.sh", "ScaledObject", 0, keda, NULL, NULL, NULL},
	{"keda.sh", "ScaledJob", 0, keda, NULL, NULL, NULL},
	{"bitnami.com", "SealedSecret", OBSERVED, synced, NULL, NULL, NULL},
	{"flagger.app", "Canary", 0, NULL, "phase", canary, NULL},
	{"kafka.strimzi.io", "*", QUIET | OBSERVED, strimzi, NULL, NULL, NULL},
	{"rabbitmq.com", "RabbitmqCluster", OBSERVED, rabbit, NULL, NULL, NULL},
	{"rabbitmq.com", "*", QUIET | OBSERVED, ready, NULL, NULL, NULL},
	{"tekton.dev", "PipelineRun", 0, succeeded, NULL, NULL, NULL},
	{"tekton.dev", "TaskRun", 0, succeeded, NULL, NULL, NULL},
	{"*.services.k8s.aws", "*", QUIET, ack, NULL, NULL, NULL},
	{"*.cnrm.cloud.google.com", "*", QUIET | OBSERVED, cnrm, NULL, NULL, NULL},
	{"karpenter.sh", "NodePool", 0, ready_slow, NULL, NULL, NULL},
	{"karpenter.sh", "NodeClaim", 0, ready_slow, NULL, NULL, NULL},
	{"karpenter.k8s.aws", "EC2NodeClass", 0, ready_slow, NULL, NULL, NULL},
	{"kyverno.io", "Policy", 0, ready_slow, NULL, NULL, NULL},
	{"kyverno.io", "ClusterPolicy", 0, ready_slow, NULL, NULL, NULL},
	{"cluster.x-k8s.io", "Cluster", PAUSABLE | OBSERVED, machine, "phase", machine_phases,
	 NULL},
	{"cluster.x-k8s.io", "Machine", OBSERVED, machine, "phase", machine_phases, NULL},
	{"cluster.x-k8s.io", "MachineDeployment", OBSERVED, machine, "phase", machine_phases, NULL},
	{"elasticsearch.k8s.elastic.co", "Elasticsearch", OBSERVED, NULL, "health", elastic, NULL},
	{"kibana.k8s.elastic.co", "Kibana", OBSERVED, NULL, "health", elastic, NULL},
	{"beat.k8s.elastic.co", "Beat", OBSERVED, NULL, "health", elastic, NULL},
	{"logstash.k8s.elastic.co", "Logstash", OBSERVED, NULL, "health", elastic, NULL},
	{"acid.zalan.do", "postgresql", 0, NULL, "PostgresClusterStatus", zalando, NULL},
	{"pxc.percona.com", "PerconaXtraDBCluster", 0, NULL, "state", percona, NULL},
	{"psmdb.percona.com", "PerconaServerMongoDB", 0, NULL, "state", percona, NULL},
	{"mongodbcommunity.mongodb.com", "MongoDBCommunity", 0, NULL, "phase", mongodb, NULL},
	{"k8s.mariadb.com", "MariaDB", 0, ready_slow, NULL, NULL, NULL},
	{"velero.io", "Backup", 0, NULL, "phase", backup, NULL},
	{"velero.io", "Restore", 0, NULL, "phase", backup, NULL},
	{"velero.io", "BackupStorageLocation", 0, NULL, "phase", location, NULL},
	{"operators.coreos.com", "ClusterServiceVersion", 0, NULL, "phase", operator_version, NULL},
	{"kubevirt.io", "VirtualMachine", 0, NULL, "printableStatus", virtual_machine, NULL},
	{"cdi.kubevirt.io", "DataVolume", 0, NULL, "phase", data_volume, NULL},
	{"sparkoperator.k8s.io", "SparkApplication", 0, NULL, "applicationState.state", spark,
	 NULL},
	{"objectbucket.io", "ObjectBucketClaim", 0, NULL, "phase", bound, NULL},
	{"snapshot.storage.k8s.io", "VolumeSnapshot", 0, NULL, NULL, NULL, cox_health_snapshot},
	{"snapshot.storage.k8s.io", "VolumeSnapshotContent", 0, NULL, NULL, NULL,
	 cox_health_snapshot},
};

static bool fits(struct cox_str name, const char *pattern)
{
	if (*pattern == '*')
		return cox_str_ends(name, pattern + 1) && name.len > strlen(pattern + 1);
	return cox_str_is(name, pattern);
}

static const struct known *find_known(struct cox_str group, struct cox_str kind)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(kinds); i++)
		if (fits(group, kinds[i].group) && fits(kind, kinds[i].kind))
			return &kinds[i];
	return NULL;
}

bool cox_health_table_has(struct cox_str group, struct cox_str kind)
{
	return find_known(group, kind);
}

/* ---- judging by a row ---- */

static void say_condition(struct cox_health *h, enum cox_health_status health,
			  const struct cox_node *condition)
{
	struct cox_str message = cox_health_text(condition, "message");

	if (!message.len)
		message = cox_health_text(condition, "reason");
	if (!message.len)
		message = cox_health_text(condition, "type");
	if (health == COX_HEALTH_HEALTHY)
		message = COX_STR("");
	cox_health_quote(h, health, message);
}

static bool by_conditions(const struct cox_node *object, const struct when *when,
			  struct cox_health *h)
{
	for (; when && when->type; when++) {
		const struct cox_node *c = cox_health_condition(object, when->type);

		if (!c || (*when->status && !cox_health_condition_is(c, when->status)) ||
		    (when->reason && !cox_str_is(cox_health_text(c, "reason"), when->reason)))
			continue;
		say_condition(h, when->health, c);
		return true;
	}
	return false;
}

static struct cox_str phase_of(const struct cox_node *object, const char *key)
{
	const struct cox_node *node = cox_node_get(object, "status");
	struct cox_str rest = cox_str(key), part;

	while (key && cox_str_split(&rest, '.', &part))
		node = cox_node_get_str(node, part);
	return cox_node_text(node);
}

static bool has_word(const char *words, struct cox_str word)
{
	struct cox_str rest = cox_str(words), part;

	while (cox_str_split(&rest, '|', &part))
		if (cox_str_eq(part, word))
			return true;
	return false;
}

/* What a project calls its explanation of a phase. */
static struct cox_str phase_message(const struct cox_node *object)
{
	static const char *const keys[] = {"message", "phaseReason", "failureMessage"};

	for (size_t i = 0; i < COX_ARRAY_LEN(keys); i++) {
		struct cox_str text = cox_node_str(COX_GET(object, "status", keys[i]));

		if (text.len)
			return text;
	}
	return COX_STR("");
}

static void by_phase(const struct cox_node *object, const struct known *k, struct cox_str phase,
		     struct cox_health *h)
{
	enum cox_health_status health = COX_HEALTH_PROGRESSING;
	struct cox_str message = phase_message(object);

	for (const struct phase *p = k->phases; p && p->words; p++)
		if (has_word(p->words, phase))
			health = p->health;
	if (health == COX_HEALTH_HEALTHY)
		cox_health_say(h, health, "%s", "");
	else if (message.len)
		cox_health_say(h, health, "%.*s: %.*s", COX_STR_ARG(phase), COX_STR_ARG(message));
	else
		cox_health_quote(h, health, phase);
}

/* A number, or one that is written as a string. */
static int64_t observed_generation(const struct cox_node *holder)
{
	const struct cox_node *n = cox_node_get(holder, "observedGeneration");

	if (cox_node_is(n, COX_STRING))
		return strtoll(cox_node_cstr(n, "0"), NULL, 10);
	return cox_node_int(n, INT64_MAX);
}

static bool is_stale(const struct cox_node *object)
{
	return observed_generation(cox_node_get(object, "status")) < cox_meta_generation(object);
}

static bool is_switched_off(const struct cox_node *object, unsigned flags)
{
	const struct cox_node *spec = cox_node_get(object, "spec");

	return ((flags & SUSPENDABLE) && cox_node_bool(cox_node_get(spec, "suspend"), false)) ||
	       ((flags & PAUSABLE) && cox_node_bool(cox_node_get(spec, "paused"), false));
}

bool cox_health_by_table(struct cox_str group, struct cox_str kind, const struct cox_node *object,
			 struct cox_health *h)
{
	const struct known *k = find_known(group, kind);
	struct cox_str phase;

	if (!k)
		return false;
	if (k->rule) {
		k->rule(object, h);
		return true;
	}
	phase = phase_of(object, k->phase_key);
	if (is_switched_off(object, k->flags))
		cox_health_say(h, COX_HEALTH_SUSPENDED, "suspended by its specification");
	else if ((k->flags & OBSERVED) && is_stale(object))
		cox_health_say(h, COX_HEALTH_PROGRESSING,
			       "waiting for the controller to see the newest specification");
	else if (by_conditions(object, k->when, h))
		return true;
	else if (phase.len)
		by_phase(object, k, phase, h);
	else if (!(k->flags & QUIET) || cox_node_len(COX_GET(object, "status", "conditions")) > 0)
		cox_health_say(h, COX_HEALTH_PROGRESSING, "waiting for the controller");
	return true;
}

/* ---- kinds that nobody knows ---- */

/* Conditions that are good when True, in the order of their weight, and bad ones. */
static const struct when common[] = {{"Stalled", "True", NULL, COX_HEALTH_DEGRADED},
				     {"Failed", "True", NULL, COX_HEALTH_DEGRADED},
				     {"Degraded", "True", NULL, COX_HEALTH_DEGRADED},
				     {"Reconciling", "True", NULL, COX_HEALTH_PROGRESSING},
				     {"Synced", "False", NULL, COX_HEALTH_DEGRADED},
				     {"Ready", "True", NULL, COX_HEALTH_HEALTHY},
				     {"Ready", "False", NULL, COX_HEALTH_DEGRADED},
				     {"Ready", "", NULL, COX_HEALTH_PROGRESSING},
				     {"Available", "True", NULL, COX_HEALTH_HEALTHY},
				     {"Available", "False", NULL, COX_HEALTH_DEGRADED},
				     {"Available", "", NULL, COX_HEALTH_PROGRESSING},
				     {"Succeeded", "True", NULL, COX_HEALTH_HEALTHY},
				     {"Succeeded", "False", NULL, COX_HEALTH_DEGRADED},
				     {"Succeeded", "", NULL, COX_HEALTH_PROGRESSING},
				     {"Accepted", "False", NULL, COX_HEALTH_DEGRADED},
				     {"Progressing", "True", NULL, COX_HEALTH_PROGRESSING},
				     {"Healthy", "True", NULL, COX_HEALTH_HEALTHY},
				     {"Healthy", "False", NULL, COX_HEALTH_DEGRADED},
				     {"Synced", "True", NULL, COX_HEALTH_HEALTHY},
				     {"Accepted", "True", NULL, COX_HEALTH_HEALTHY},
				     {"Reconciled", "True", NULL, COX_HEALTH_HEALTHY},
				     {"Reconciled", "False", NULL, COX_HEALTH_DEGRADED},
				     {0}};

void cox_health_guess(const struct cox_node *object, struct cox_health *h)
{
	struct cox_health g = {.status = COX_HEALTH_NONE};

	if (cox_node_len(COX_GET(object, "status", "conditions")) == 0)
		return;
	if (is_stale(object))
		cox_health_say(&g, COX_HEALTH_PROGRESSING,
			       "its status is older than its specification");
	else if (!by_conditions(object, common, &g))
		return;
	h->guess = g.status;
	cox_health_say(h, COX_HEALTH_NONE, "not judged: its conditions read as %s%s%s",
		       cox_health_name(g.status), g.message[0] ? ": " : "", g.message);
}
