/* StatefulSets and DaemonSets, after https://kubernetes.io/docs/concepts/workloads/controllers/ */
#include "common/kube/meta.h"
#include "tests/kubesim/controllers/controller.h"

#include <stdio.h>
#include <stdlib.h>

#define REVISION_LABEL "controller-revision-hash"

static const char *revision_of(const struct cox_node *pod)
{
	return cox_node_cstr(COX_GET(pod, "metadata", "labels", REVISION_LABEL), "");
}

/* "web-" and the template's hash: the name of a revision. */
static void revision_name(const struct cox_node *object, const char *name, char *ret, size_t n)
{
	char hash[16];

	ks_template_hash(COX_GET(object, "spec", "template"), hash);
	snprintf(ret, n, "%s-%s", name, hash);
}

/* The revision's object, kept as a real controller keeps it. */
static void keep_revision(struct kubesim *sim, const struct cox_node *owner, const char *ns,
			  const char *revision)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("revision");
	struct cox_node *root = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	struct cox_node *data = cox_doc_map(doc), *spec = cox_doc_map(doc);

	if (ks_live(sim, "apps", "ControllerRevision", ns, revision))
		return;
	cox_map_put_cstr(doc, metadata, "name", revision);
	cox_map_put(doc, root, "metadata", metadata);
	cox_map_put_int(doc, root, "revision", cox_meta_generation(owner));
	cox_map_put(doc, spec, "template", cox_doc_clone(doc, COX_GET(owner, "spec", "template")));
	cox_map_put(doc, data, "spec", spec);
	cox_map_put(doc, root, "data", data);
	ks_put_owner(doc, root, owner);
	ks_controller_create(sim, "apps", "ControllerRevision", ns, root);
}

/* ---- StatefulSets ---- */

struct set {
	struct kubesim *sim;
	const struct cox_node *object;
	const char *ns, *name;
	char revision[320];
	const char *current; /* the revision before the update, or the same */
	int64_t replicas;
};

static void claim_volumes(struct set *s, int64_t ordinal)
{
	COX_DOC_LIST_EACH (COX_GET(s->object, "spec", "volumeClaimTemplates"), i, claim) {
		_cleanup_doc_ struct cox_doc *doc = cox_doc_new("claim");
		struct cox_node *copy = cox_doc_clone(doc, claim);
		struct cox_node *metadata = cox_map_edit_map(doc, copy, "metadata");
		_cleanup_free_ char *name =
			cox_asprintf("%.*s-%s-%lld", COX_STR_ARG(cox_meta_name(claim)), s->name,
				     (long long)ordinal);
		cox_map_put_cstr(doc, metadata, "name", name);
		cox_map_drop(doc, copy, COX_STR("status"));
		cox_map_drop(doc, metadata, COX_STR("creationTimestamp"));
		cox_map_put(
			doc, metadata, "labels",
			cox_doc_clone(doc, COX_GET(s->object, "spec", "selector", "matchLabels")));
		if (!ks_live(s->sim, "", "PersistentVolumeClaim", s->ns, name))
			ks_controller_create(s->sim, "", "PersistentVolumeClaim", s->ns, copy);
	}
}

/* The template of the revision that a pod of that ordinal gets. */
static const struct cox_node *template_for(struct set *s, const char *revision)
{
	const struct cox_node *kept =
		ks_live(s->sim, "apps", "ControllerRevision", s->ns, revision);
	const struct cox_node *template = COX_GET(kept, "data", "spec", "template");

	return template && !cox_streq(revision, s->revision)
		       ? template
		       : COX_GET(s->object, "spec", "template");
}

static void make_pod(struct set *s, int64_t ordinal, int64_t partition)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("template");
	const char *revision = ordinal < partition ? s->current : s->revision;
	struct cox_node *copy = cox_doc_clone(doc, template_for(s, revision));
	_cleanup_free_ char *name = cox_asprintf("%s-%lld", s->name, (long long)ordinal);
	struct cox_node *metadata = cox_map_edit_map(doc, copy, "metadata");

	cox_map_put_cstr(doc, cox_map_edit_map(doc, metadata, "labels"),
			 "statefulset.kubernetes.io/pod-name", name);
	claim_volumes(s, ordinal);
	ks_pod_create(s->sim, s->object, copy, name, REVISION_LABEL, revision,
		      "statefulset-controller");
}

static void delete_pod(struct set *s, const struct cox_node *pod)
{
	ks_pod_delete(s->sim, s->object, pod, "statefulset-controller");
}

/* One step at a time, in order: what is missing from below, what is too much from above, what is
 * old from above. Gives the number of old pods that were told to go. */
static int64_t move(struct set *s)
{
	bool parallel = cox_streq(
		cox_node_cstr(COX_GET(s->object, "spec", "podManagementPolicy"), ""), "Parallel");
	bool rolling =
		!cox_streq(cox_node_cstr(COX_GET(s->object, "spec", "updateStrategy", "type"), ""),
			   "OnDelete");
	int64_t partition = cox_node_int(
		COX_GET(s->object, "spec", "updateStrategy", "rollingUpdate", "partition"), 0);
	_cleanup_docs_ cox_docs pods = {0};

	for (int64_t i = 0; i < s->replicas; i++) {
		_cleanup_free_ char *name = cox_asprintf("%s-%lld", s->name, (long long)i);
		const struct cox_node *pod = ks_live(s->sim, "", "Pod", s->ns, name);
		if (!pod)
			make_pod(s, i, partition);
		if ((!pod || !ks_pod_is_ready(pod) || cox_meta_is_deleting(pod)) && !parallel) {
			/* one that will never be ready does not stop its own replacement */
			if (pod && rolling && i >= partition && !cox_meta_is_deleting(pod) &&
			    !cox_streq(revision_of(pod), s->revision)) {
				delete_pod(s, pod);
				return 1;
			}
			return 0;
		}
	}
	ks_owned(s->sim, "", "Pod", s->ns, cox_meta_uid(s->object), &pods);
	for (size_t i = pods.n; i-- > 0;) {
		const struct cox_node *pod = cox_doc_root(pods.items[i]);
		_cleanup_free_ char *name = cox_str_dup(cox_meta_name(pod));
		int64_t ordinal = strtoll(strrchr(name, '-') + 1, NULL, 10);
		if (cox_meta_is_deleting(pod))
			return 0;
		if (ordinal >= s->replicas) {
			delete_pod(s, pod);
			return 0;
		}
	}
	for (int64_t i = s->replicas - 1; rolling && i >= partition; i--) {
		_cleanup_free_ char *name = cox_asprintf("%s-%lld", s->name, (long long)i);
		const struct cox_node *pod = ks_live(s->sim, "", "Pod", s->ns, name);
		if (pod && !cox_streq(revision_of(pod), s->revision)) {
			delete_pod(s, pod);
			return 1;
		}
	}
	return 0;
}

/* pods: as they were before this step; old pods that it told to go count no more as current. */
static void set_status(struct set *s, const cox_docs *pods, int64_t gone)
{
	_cleanup_edit_ struct ks_edit edit = {0};
	int64_t all = 0, ready = 0, current = -gone, updated = 0;

	for (size_t i = 0; i < pods->n; i++) {
		const struct cox_node *pod = cox_doc_root(pods->items[i]);
		if (cox_meta_is_deleting(pod))
			continue;
		all++;
		ready += ks_pod_is_ready(pod);
		current += cox_streq(revision_of(pod), s->current);
		updated += cox_streq(revision_of(pod), s->revision);
	}
	ks_edit_begin(&edit, s->sim, ks_kind_of(s->sim, "apps", "StatefulSet"), s->ns, s->name,
		      "status", KS_MANAGER);
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	bool done = updated == all && ready == all;
	cox_map_put_int(edit.doc, status, "observedGeneration", cox_meta_generation(s->object));
	cox_map_put_int(edit.doc, status, "replicas", all);
	ks_put_count(edit.doc, status, "readyReplicas", ready);
	if (done)
		current = updated;
	ks_put_count(edit.doc, status, "currentReplicas", current > 0 ? current : 0);
	ks_put_count(edit.doc, status, "updatedReplicas", updated);
	cox_map_put_int(edit.doc, status, "availableReplicas", ready);
	cox_map_put_cstr(edit.doc, status, "currentRevision", done ? s->revision : s->current);
	cox_map_put_cstr(edit.doc, status, "updateRevision", s->revision);
	cox_map_put_int(edit.doc, status, "collisionCount", 0);
	ks_edit_commit(&edit);
}

void ks_reconcile_stateful_set(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = ks_live_ref(sim, "apps", "StatefulSet", ns, name);

	if (!doc || cox_meta_is_deleting(cox_doc_root(doc)))
		return;
	struct set s = {.sim = sim, .object = cox_doc_root(doc), .ns = ns, .name = name};
	s.replicas = cox_node_int(COX_GET(s.object, "spec", "replicas"), 1);
	revision_name(s.object, name, s.revision, sizeof(s.revision));
	s.current = cox_node_cstr(COX_GET(s.object, "status", "currentRevision"), s.revision);
	keep_revision(sim, s.object, ns, s.revision);
	_cleanup_docs_ cox_docs pods = {0};
	ks_owned(sim, "", "Pod", ns, cox_meta_uid(s.object), &pods);
	set_status(&s, &pods, move(&s));
}

/* ---- DaemonSets: one pod on the one node ---- */

void ks_reconcile_daemon_set(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = ks_live_ref(sim, "apps", "DaemonSet", ns, name);
	_cleanup_docs_ cox_docs pods = {0};
	const struct cox_node *pod = NULL;
	char revision[320];

	if (!doc || cox_meta_is_deleting(cox_doc_root(doc)))
		return;
	const struct cox_node *set = cox_doc_root(doc);
	revision_name(set, name, revision, sizeof(revision));
	keep_revision(sim, set, ns, revision);
	ks_owned(sim, "", "Pod", ns, cox_meta_uid(set), &pods);
	for (size_t i = 0; i < pods.n; i++)
		if (!cox_meta_is_deleting(cox_doc_root(pods.items[i])))
			pod = cox_doc_root(pods.items[i]);
	bool fresh = pod && cox_streq(revision_of(pod), revision);
	bool ready = pod && ks_pod_is_ready(pod);

	_cleanup_edit_ struct ks_edit edit = {0};
	ks_edit_begin(&edit, sim, ks_kind_of(sim, "apps", "DaemonSet"), ns, name, "status",
		      KS_MANAGER);
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	cox_map_put_int(edit.doc, status, "currentNumberScheduled", pod ? 1 : 0);
	cox_map_put_int(edit.doc, status, "numberMisscheduled", 0);
	cox_map_put_int(edit.doc, status, "desiredNumberScheduled", 1);
	cox_map_put_int(edit.doc, status, "numberReady", ready);
	cox_map_put_int(edit.doc, status, "observedGeneration", cox_meta_generation(set));
	ks_put_count(edit.doc, status, "updatedNumberScheduled", fresh);
	ks_put_count(edit.doc, status, "numberAvailable", ready);
	ks_put_count(edit.doc, status, "numberUnavailable", !ready);
	ks_edit_commit(&edit);

	bool rolling = !cox_streq(cox_node_cstr(COX_GET(set, "spec", "updateStrategy", "type"), ""),
				  "OnDelete");
	if (!pod) {
		ks_pod_create(sim, set, COX_GET(set, "spec", "template"), NULL, REVISION_LABEL,
			      revision, "daemonset-controller");
	} else if (!fresh && rolling) {
		ks_pod_delete(sim, set, pod, "daemonset-controller");
	}
}
