/* Deployments and ReplicaSets, after
 * https://kubernetes.io/docs/concepts/workloads/controllers/deployment/ */
#include "common/kube/meta.h"
#include "tests/kubesim/controllers/controller.h"

#include <stdio.h>
#include <stdlib.h>

#define HASH_LABEL "pod-template-hash"
#define REVISION   "deployment.kubernetes.io/revision"
#define DESIRED	   "deployment.kubernetes.io/desired-replicas"
#define MAXIMUM	   "deployment.kubernetes.io/max-replicas"

/* What a Deployment looks like at one moment. */
struct rollout {
	struct kubesim *sim;
	struct cox_doc *doc;
	const struct cox_node *object;
	char *ns, *name, hash[16];
	cox_docs sets;			/* its ReplicaSets */
	const struct cox_node *current; /* the one of the present template, or NULL */
	int64_t replicas, surge, unavailable;
};

static void rollout_fini(struct rollout *r)
{
	cox_doc_unref(r->doc);
	cox_docs_fini(&r->sets);
	free(r->ns);
	free(r->name);
}

static int64_t int_at(const struct cox_node *o, const char *a, const char *b)
{
	return cox_node_int(COX_GET(o, a, b), 0);
}

static int64_t revision_of(const struct cox_node *o)
{
	struct cox_str text = cox_meta_annotation(o, REVISION);

	return text.ptr ? strtoll(text.ptr, NULL, 10) : 0;
}

static void read_limits(struct rollout *r)
{
	const struct cox_node *rolling = COX_GET(r->object, "spec", "strategy", "rollingUpdate");

	if (!rolling) {
		r->surge = 0;
		r->unavailable = r->replicas;
		return;
	}
	r->surge = ks_int_or_percent(COX_GET(rolling, "maxSurge"), r->replicas, true, 1);
	r->unavailable =
		ks_int_or_percent(COX_GET(rolling, "maxUnavailable"), r->replicas, false, 0);
	if (!r->surge && !r->unavailable)
		r->unavailable = 1;
}

static void rollout_read(struct rollout *r)
{
	r->replicas = cox_node_int(COX_GET(r->object, "spec", "replicas"), 1);
	ks_template_hash(COX_GET(r->object, "spec", "template"), r->hash);
	read_limits(r);
	ks_owned(r->sim, "apps", "ReplicaSet", r->ns, cox_meta_uid(r->object), &r->sets);
	for (size_t i = 0; i < r->sets.n; i++) {
		const struct cox_node *set = cox_doc_root(r->sets.items[i]);
		if (cox_str_is(cox_meta_label(set, HASH_LABEL), r->hash))
			r->current = set;
	}
}

static int64_t total(const struct rollout *r, const char *part, const char *field)
{
	int64_t sum = 0;

	for (size_t i = 0; i < r->sets.n; i++)
		sum += int_at(cox_doc_root(r->sets.items[i]), part, field);
	return sum;
}

static void annotate_set(const struct rollout *r, struct cox_doc *doc, struct cox_node *metadata,
			 int64_t revision)
{
	struct cox_node *notes = cox_map_edit_map(doc, metadata, "annotations");

	cox_map_put(doc, notes, DESIRED, cox_doc_stringf(doc, "%lld", (long long)r->replicas));
	cox_map_put(doc, notes, MAXIMUM,
		    cox_doc_stringf(doc, "%lld", (long long)(r->replicas + r->surge)));
	if (revision)
		cox_map_put(doc, notes, REVISION,
			    cox_doc_stringf(doc, "%lld", (long long)revision));
	COX_DOC_MAP_EACH (cox_meta_annotations(r->object), i, key, value) {
		if (!cox_str_is(key, REVISION) && !cox_str_is(key, DESIRED) &&
		    !cox_str_is(key, MAXIMUM) &&
		    !cox_str_is(key, "kubectl.kubernetes.io/last-applied-configuration"))
			cox_map_put_str(doc, notes, key, cox_doc_clone(doc, value));
	}
}

static int64_t next_revision(const struct rollout *r)
{
	int64_t highest = 0;

	for (size_t i = 0; i < r->sets.n; i++) {
		int64_t n = revision_of(cox_doc_root(r->sets.items[i]));
		if (cox_doc_root(r->sets.items[i]) != r->current && n > highest)
			highest = n;
	}
	return highest + 1;
}

/* How many pods the new ReplicaSet may have now. */
static int64_t new_replicas(const struct rollout *r)
{
	int64_t have = int_at(r->current, "spec", "replicas");
	int64_t all = total(r, "spec", "replicas");

	if (cox_streq(cox_node_cstr(COX_GET(r->object, "spec", "strategy", "type"), ""),
		      "Recreate")) {
		/* the old ones go first */
		int64_t old =
			total(r, "status", "replicas") - int_at(r->current, "status", "replicas");
		return old > 0 ? have : r->replicas;
	}
	int64_t room = r->replicas + r->surge - all;
	int64_t wanted = r->replicas - have;
	if (room <= 0)
		return have > r->replicas ? r->replicas : have;
	return have + (wanted < room ? wanted : room);
}

static void create_set(struct rollout *r)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("replicaset");
	struct cox_node *set = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	struct cox_node *spec = cox_doc_map(doc);
	struct cox_node *template = cox_doc_clone(doc, COX_GET(r->object, "spec", "template"));
	struct cox_node *selector = cox_doc_clone(doc, COX_GET(r->object, "spec", "selector"));
	struct cox_node *inner = cox_map_edit_map(doc, template, "metadata");

	cox_map_put_cstr(doc, cox_map_edit_map(doc, inner, "labels"), HASH_LABEL, r->hash);
	cox_map_put_cstr(doc, cox_map_edit_map(doc, selector, "matchLabels"), HASH_LABEL, r->hash);
	cox_map_put(doc, metadata, "name", cox_doc_stringf(doc, "%s-%s", r->name, r->hash));
	cox_map_put(doc, metadata, "labels", cox_doc_clone(doc, COX_GET(inner, "labels")));
	cox_map_put(doc, set, "metadata", metadata);
	cox_map_put_int(doc, spec, "replicas", new_replicas(r));
	cox_map_put(doc, spec, "selector", selector);
	cox_map_put(doc, spec, "template", template);
	cox_map_put(doc, set, "spec", spec);
	ks_put_owner(doc, set, r->object);
	annotate_set(r, doc, metadata, next_revision(r));
	if (ks_controller_create(r->sim, "apps", "ReplicaSet", r->ns, set) < 300)
		ks_tell(r->sim, r->object, "deployment-controller", "ScalingReplicaSet",
			"Scaled up replica set %s-%s to %lld", r->name, r->hash,
			(long long)new_replicas(r));
}

static void scale_set(struct rollout *r, const struct cox_node *set, int64_t replicas,
		      int64_t revision)
{
	_cleanup_edit_ struct ks_edit edit = {0};
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(set));

	ks_edit_begin(&edit, r->sim, ks_kind_of(r->sim, "apps", "ReplicaSet"), r->ns, name, "",
		      KS_MANAGER);
	if (!edit.root)
		return;
	cox_map_put_int(edit.doc, cox_map_edit_map(edit.doc, edit.root, "spec"), "replicas",
			replicas);
	annotate_set(r, edit.doc, cox_map_edit_map(edit.doc, edit.root, "metadata"), revision);
	ks_edit_commit(&edit);
	int64_t had = int_at(set, "spec", "replicas");
	if (had != replicas)
		ks_tell(r->sim, r->object, "deployment-controller", "ScalingReplicaSet",
			"Scaled %s replica set %s to %lld from %lld",
			replicas > had ? "up" : "down", name, (long long)replicas, (long long)had);
}

/* A new template: its ReplicaSet, and the Deployment's revision and condition. */
static void begin_revision(struct rollout *r)
{
	_cleanup_edit_ struct ks_edit edit = {0};
	char message[256];

	create_set(r);
	ks_edit_begin(&edit, r->sim, ks_kind_of(r->sim, "apps", "Deployment"), r->ns, r->name,
		      "status", KS_MANAGER);
	struct cox_node *metadata = cox_map_edit_map(edit.doc, edit.root, "metadata");
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	cox_map_put(edit.doc, cox_map_edit_map(edit.doc, metadata, "annotations"), REVISION,
		    cox_doc_stringf(edit.doc, "%lld", (long long)next_revision(r)));
	snprintf(message, sizeof(message), "Created new replica set \"%s-%s\"", r->name, r->hash);
	ks_condition_set(r->sim, edit.doc, status, "Progressing", "True", "NewReplicaSetCreated",
			 message, true);
	ks_edit_commit(&edit);
	ks_enqueue(r->sim, "apps", "Deployment", r->ns, r->name, r->sim->step_ms);
}

/* An older template again: its ReplicaSet becomes the newest. */
static void reuse_revision(struct rollout *r)
{
	int64_t revision = next_revision(r);

	if (revision_of(r->current) >= revision &&
	    revision_of(r->object) == revision_of(r->current))
		return;
	if (revision_of(r->current) > revision)
		revision = revision_of(r->current);
	if (revision_of(r->current) != revision)
		scale_set(r, r->current, int_at(r->current, "spec", "replicas"), revision);
	_cleanup_edit_ struct ks_edit edit = {0};
	ks_edit_begin(&edit, r->sim, ks_kind_of(r->sim, "apps", "Deployment"), r->ns, r->name,
		      "status", KS_MANAGER);
	struct cox_node *metadata = cox_map_edit_map(edit.doc, edit.root, "metadata");
	cox_map_put(edit.doc, cox_map_edit_map(edit.doc, metadata, "annotations"), REVISION,
		    cox_doc_stringf(edit.doc, "%lld", (long long)revision));
	ks_edit_commit(&edit);
}

/* Takes pods away from the old ones as far as enough are available. */
static void scale_down(struct rollout *r)
{
	bool recreate = cox_streq(cox_node_cstr(COX_GET(r->object, "spec", "strategy", "type"), ""),
				  "Recreate");
	int64_t minimum = r->replicas - r->unavailable;
	int64_t fresh_missing = int_at(r->current, "spec", "replicas") -
				int_at(r->current, "status", "availableReplicas");
	int64_t spare = total(r, "spec", "replicas") - minimum - fresh_missing;

	/* first those that are not available anyway */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < r->sets.n; i++) {
			const struct cox_node *set = cox_doc_root(r->sets.items[i]);
			int64_t have = int_at(set, "spec", "replicas");
			int64_t broken = have - int_at(set, "status", "availableReplicas");
			if (set == r->current || !have)
				continue;
			int64_t take = pass == 0 && !recreate ? broken : have;
			if (!recreate && take > spare)
				take = spare;
			if (take <= 0)
				continue;
			spare -= take;
			scale_set(r, set, have - take, 0);
			if (pass == 0)
				return; /* look again with what is there then */
		}
}

static void keep_history(struct rollout *r)
{
	int64_t limit = cox_node_int(COX_GET(r->object, "spec", "revisionHistoryLimit"), 10);

	for (;;) {
		const struct cox_node *oldest = NULL;
		int64_t idle = 0;
		for (size_t i = 0; i < r->sets.n; i++) {
			const struct cox_node *set = cox_doc_root(r->sets.items[i]);
			_cleanup_free_ char *name = cox_str_dup(cox_meta_name(set));
			if (set == r->current || int_at(set, "spec", "replicas") ||
			    int_at(set, "status", "replicas") ||
			    !ks_live(r->sim, "apps", "ReplicaSet", r->ns, name))
				continue;
			idle++;
			if (!oldest || revision_of(set) < revision_of(oldest))
				oldest = set;
		}
		if (idle <= limit || !oldest)
			return;
		_cleanup_free_ char *name = cox_str_dup(cox_meta_name(oldest));
		ks_controller_delete(r->sim, "apps", "ReplicaSet", r->ns, name, "Background");
	}
}

/* ---- status ---- */

static const struct cox_node *find_condition(const struct cox_node *object, const char *type)
{
	COX_DOC_LIST_EACH (COX_GET(object, "status", "conditions"), i, c) {
		if (cox_streq(cox_node_cstr(COX_GET(c, "type"), ""), type))
			return c;
	}
	return NULL;
}

static void set_progress(struct rollout *r, struct cox_doc *doc, struct cox_node *status,
			 bool complete, bool moved)
{
	const struct cox_node *before = find_condition(r->object, "Progressing");
	int64_t deadline =
		cox_node_int(COX_GET(r->object, "spec", "progressDeadlineSeconds"), 600) * 1000;
	const char *reason = cox_node_cstr(COX_GET(before, "reason"), "");
	char message[256];

	snprintf(message, sizeof(message), "ReplicaSet \"%s-%s\" has successfully progressed.",
		 r->name, r->hash);
	if (complete) {
		ks_condition_set(r->sim, doc, status, "Progressing", "True",
				 "NewReplicaSetAvailable", message, true);
		return;
	}
	if (moved) {
		snprintf(message, sizeof(message), "ReplicaSet \"%s-%s\" is progressing.", r->name,
			 r->hash);
		if (ks_condition_set(r->sim, doc, status, "Progressing", "True",
				     "ReplicaSetUpdated", message, true))
			before = NULL;
		else
			ks_put_now(r->sim, doc, ks_condition(doc, status, "Progressing"),
				   "lastUpdateTime");
	}
	/* once complete, it has no deadline until the next change */
	if (cox_streq(reason, "NewReplicaSetAvailable") && !moved)
		return;
	int64_t since =
		before && !moved ? ks_time_of(COX_GET(before, "lastUpdateTime")) : r->sim->now_ms;
	int64_t left = since + deadline - r->sim->now_ms;
	if (left > 0) {
		ks_enqueue(r->sim, "apps", "Deployment", r->ns, r->name, left + 1);
		return;
	}
	snprintf(message, sizeof(message), "ReplicaSet \"%s-%s\" has timed out progressing.",
		 r->name, r->hash);
	ks_condition_set(r->sim, doc, status, "Progressing", "False", "ProgressDeadlineExceeded",
			 message, true);
}

static void write_status(struct rollout *r)
{
	_cleanup_edit_ struct ks_edit edit = {0};
	int64_t all = total(r, "status", "replicas");
	int64_t ready = total(r, "status", "readyReplicas");
	int64_t available = total(r, "status", "availableReplicas");
	int64_t updated = int_at(r->current, "status", "replicas");
	int64_t wanted = total(r, "spec", "replicas");
	int64_t missing = wanted > available ? wanted - available : 0;

	ks_edit_begin(&edit, r->sim, ks_kind_of(r->sim, "apps", "Deployment"), r->ns, r->name,
		      "status", KS_MANAGER);
	if (!edit.root)
		return;
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	bool complete = updated == r->replicas && all == r->replicas && available == r->replicas;
	bool moved = updated > int_at(r->object, "status", "updatedReplicas") ||
		     all - updated < int_at(r->object, "status", "replicas") -
					     int_at(r->object, "status", "updatedReplicas") ||
		     ready > int_at(r->object, "status", "readyReplicas") ||
		     available > int_at(r->object, "status", "availableReplicas");
	cox_map_put_int(edit.doc, status, "observedGeneration", cox_meta_generation(r->object));
	ks_put_count(edit.doc, status, "replicas", all);
	ks_put_count(edit.doc, status, "updatedReplicas", updated);
	ks_put_count(edit.doc, status, "readyReplicas", ready);
	ks_put_count(edit.doc, status, "availableReplicas", available);
	ks_put_count(edit.doc, status, "unavailableReplicas", missing);
	bool enough = available >= r->replicas - r->unavailable;
	ks_condition_set(r->sim, edit.doc, status, "Available", enough ? "True" : "False",
			 enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
			 enough ? "Deployment has minimum availability."
				: "Deployment does not have minimum availability.",
			 true);
	if (!cox_node_bool(COX_GET(r->object, "spec", "paused"), false))
		set_progress(r, edit.doc, status, complete, moved);
	ks_edit_commit(&edit);
}

/* Pausing and resuming are conditions too; written before anything else is. true: written. */
static bool note_pause(struct rollout *r, bool paused)
{
	const struct cox_node *before = find_condition(r->object, "Progressing");
	const char *reason = cox_node_cstr(COX_GET(before, "reason"), "");
	bool noted = cox_streq(reason, "DeploymentPaused");
	_cleanup_edit_ struct ks_edit edit = {0};

	if (noted == paused || cox_streq(reason, "ProgressDeadlineExceeded"))
		return false;
	ks_edit_begin(&edit, r->sim, ks_kind_of(r->sim, "apps", "Deployment"), r->ns, r->name,
		      "status", KS_MANAGER);
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	ks_condition_set(r->sim, edit.doc, status, "Progressing", "Unknown",
			 paused ? "DeploymentPaused" : "DeploymentResumed",
			 paused ? "Deployment is paused" : "Deployment is resumed", true);
	ks_edit_commit(&edit);
	return true;
}

void ks_reconcile_deployment(struct kubesim *sim, const char *ns, const char *name)
{
	COX_CLEANUP(rollout_fini)
	struct rollout r = {.sim = sim, .ns = cox_strdup(ns), .name = cox_strdup(name)};

	r.doc = ks_live_ref(sim, "apps", "Deployment", ns, name);
	if (!r.doc)
		return;
	r.object = cox_doc_root(r.doc);
	rollout_read(&r);
	if (cox_meta_is_deleting(r.object)) {
		write_status(&r);
		return;
	}
	bool paused = cox_node_bool(COX_GET(r.object, "spec", "paused"), false);
	if (note_pause(&r, paused))
		return;
	if (!r.current && !paused) {
		begin_revision(&r);
		return;
	}
	if (r.current && !paused) {
		reuse_revision(&r);
		int64_t want = new_replicas(&r);
		if (want != int_at(r.current, "spec", "replicas"))
			scale_set(&r, r.current, want, revision_of(r.current));
		else
			scale_down(&r);
		keep_history(&r);
	}
	/* with what the writes above left */
	cox_docs_fini(&r.sets);
	r.sets = (cox_docs){0};
	r.current = NULL;
	rollout_read(&r);
	write_status(&r);
}

/* ---- ReplicaSets ---- */

static int by_readiness(const void *a, const void *b)
{
	const struct cox_node *x = cox_doc_root(*(struct cox_doc *const *)a);
	const struct cox_node *y = cox_doc_root(*(struct cox_doc *const *)b);

	return ks_pod_is_ready(x) - ks_pod_is_ready(y);
}

void ks_reconcile_replica_set(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = ks_live_ref(sim, "apps", "ReplicaSet", ns, name);
	_cleanup_docs_ cox_docs pods = {0};
	_cleanup_docs_ cox_docs active = {0};
	int64_t ready = 0;

	if (!doc)
		return;
	const struct cox_node *set = cox_doc_root(doc);
	if (cox_meta_is_deleting(set))
		return;
	int64_t want = cox_node_int(COX_GET(set, "spec", "replicas"), 1);
	ks_owned(sim, "", "Pod", ns, cox_meta_uid(set), &pods);
	for (size_t i = 0; i < pods.n; i++)
		if (ks_pod_is_active(cox_doc_root(pods.items[i])))
			cox_vec_push(&active, cox_doc_ref(pods.items[i]));
	cox_vec_sort(&active, by_readiness);
	for (size_t i = 0; i < active.n; i++)
		ready += ks_pod_is_ready(cox_doc_root(active.items[i]));

	/* the status is what was found; the pods that are made or taken now show up next time */
	_cleanup_edit_ struct ks_edit edit = {0};
	ks_edit_begin(&edit, sim, ks_kind_of(sim, "apps", "ReplicaSet"), ns, name, "status",
		      KS_MANAGER);
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	cox_map_put_int(edit.doc, status, "replicas", (int64_t)active.n);
	ks_put_count(edit.doc, status, "fullyLabeledReplicas", (int64_t)active.n);
	ks_put_count(edit.doc, status, "readyReplicas", ready);
	ks_put_count(edit.doc, status, "availableReplicas", ready);
	cox_map_put_int(edit.doc, status, "observedGeneration", cox_meta_generation(set));
	ks_edit_commit(&edit);

	for (int64_t i = (int64_t)active.n; i < want; i++)
		ks_pod_create(sim, set, COX_GET(set, "spec", "template"), NULL, NULL, NULL,
			      "replicaset-controller");
	for (int64_t i = 0; i < (int64_t)active.n - want; i++)
		ks_pod_delete(sim, set, cox_doc_root(active.items[i]), "replicaset-controller");
}
