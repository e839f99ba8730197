/* The scheduler and the kubelet: a pod gets a node and an address, its containers start, become
 * ready after a while, and go when they are told to. */
#include "common/kube/meta.h"
#include "tests/kubesim/controllers/controller.h"

#include <stdio.h>

static void bind_node(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_edit_ struct ks_edit edit = {0};

	ks_edit_begin(&edit, sim, ks_kind_of(sim, "", "Pod"), ns, name, "", "kube-scheduler");
	struct cox_node *spec = cox_map_edit_map(edit.doc, edit.root, "spec");
	cox_map_put(edit.doc, spec, "nodeName", cox_doc_stringf(edit.doc, "%s-node", sim->name));
	ks_edit_commit(&edit);
}

static void put_container(struct kubesim *sim, struct cox_doc *doc, struct cox_node *list,
			  const struct cox_node *container, const char *state, bool ready,
			  const char *reason, int exit_code)
{
	struct cox_node *c = cox_doc_map(doc), *states = cox_doc_map(doc),
			*inner = cox_doc_map(doc);

	if (cox_streq(state, "running"))
		ks_put_now(sim, doc, inner, "startedAt");
	if (cox_streq(state, "terminated")) {
		cox_map_put_int(doc, inner, "exitCode", exit_code);
		ks_put_now(sim, doc, inner, "finishedAt");
	}
	cox_map_put_cstr(doc, inner, "reason", reason);
	cox_map_put(doc, states, state, inner);
	cox_map_put(doc, c, "name", cox_doc_clone(doc, COX_GET(container, "name")));
	cox_map_put(doc, c, "image", cox_doc_clone(doc, COX_GET(container, "image")));
	cox_map_put_cstr(doc, c, "imageID", "");
	cox_map_put_bool(doc, c, "ready", ready);
	cox_map_put_bool(doc, c, "started", ready);
	cox_map_put_int(doc, c, "restartCount", 0);
	cox_map_put(doc, c, "lastState", cox_doc_map(doc));
	cox_map_put(doc, c, "state", states);
	cox_list_push(doc, list, c);
}

static void put_status(struct kubesim *sim, const char *ns, const char *name, const char *phase,
		       const char *state, bool ready, const char *reason, int exit_code)
{
	_cleanup_edit_ struct ks_edit edit = {0};
	bool over = cox_streq(state, "terminated");

	ks_edit_begin(&edit, sim, ks_kind_of(sim, "", "Pod"), ns, name, "status", KS_KUBELET);
	if (!edit.root)
		return;
	struct cox_doc *doc = edit.doc;
	struct cox_node *status = cox_map_edit_map(doc, edit.root, "status");
	struct cox_node *list = cox_doc_list(doc);
	cox_map_put_cstr(doc, status, "phase", phase);
	if (!COX_GET(status, "startTime"))
		ks_put_now(sim, doc, status, "startTime");
	if (!COX_GET(status, "podIP")) {
		uint32_t n = sim->next_ip++;
		char ip[24];
		snprintf(ip, sizeof(ip), "10.244.%u.%u", (n >> 8) & 255, n & 255);
		struct cox_node *ips = cox_doc_list(doc), *entry = cox_doc_map(doc);
		cox_map_put_cstr(doc, entry, "ip", ip);
		cox_list_push(doc, ips, entry);
		cox_map_put_cstr(doc, status, "hostIP", "192.0.2.10");
		cox_map_put_cstr(doc, status, "podIP", ip);
		cox_map_put(doc, status, "podIPs", ips);
	}
	static const char *const always[] = {"Initialized", "PodScheduled"};
	static const char *const when_ready[] = {"Ready", "ContainersReady"};
	for (size_t i = 0; i < COX_ARRAY_LEN(always); i++)
		ks_condition_set(sim, doc, status, always[i], "True", NULL, NULL, false);
	for (size_t i = 0; i < COX_ARRAY_LEN(when_ready); i++)
		ks_condition_set(sim, doc, status, when_ready[i], ready ? "True" : "False",
				 ready	? NULL
				 : over ? "PodCompleted"
					: "ContainersNotReady",
				 NULL, false);
	COX_DOC_LIST_EACH (COX_GET(edit.root, "spec", "containers"), i, container) {
		put_container(sim, doc, list, container, state, ready, reason, exit_code);
	}
	cox_map_put(doc, status, "containerStatuses", list);
	ks_edit_commit(&edit);
}

static bool has_status(const struct cox_node *pod)
{
	return cox_node_len(COX_GET(pod, "status", "containerStatuses")) > 0;
}

/* False, and the pod is looked at again when the time has come. */
static bool waited(struct kubesim *sim, const struct cox_node *pod, const char *ns,
		   const char *name, const char *tag, int64_t wanted_ms)
{
	int64_t left = wanted_ms - ks_since(sim, pod, tag);

	if (left > 0)
		ks_enqueue(sim, "", "Pod", ns, name, left);
	return left <= 0;
}

/* What its containers would do, as far as it can be read off them. */
static bool looks_broken(const struct cox_node *pod)
{
	COX_DOC_LIST_EACH (COX_GET(pod, "spec", "containers"), i, c) {
		static const char *const lists[] = {"command", "args"};
		if (cox_str_starts(cox_node_str(COX_GET(c, "image")), "never-ready"))
			return true;
		for (size_t l = 0; l < COX_ARRAY_LEN(lists); l++) {
			const struct cox_node *words = cox_node_get(c, lists[l]);
			size_t n = cox_node_len(words);
			struct cox_str last = cox_node_str(n ? cox_node_at(words, n - 1) : NULL);
			if (cox_str_is(last, "false") || cox_str_ends(last, "exit 1"))
				return true;
		}
	}
	return false;
}

/* A pod whose containers end: a Job's. */
static void run_to_end(struct kubesim *sim, const struct cox_node *pod, const char *ns,
		       const char *name)
{
	struct cox_str outcome = ks_wish(sim, pod, KS_JOB_OUTCOME);
	bool fails = cox_str_is(outcome, "fail") || (!outcome.ptr && looks_broken(pod));

	if (!ks_pod_is_ready(pod)) {
		put_status(sim, ns, name, "Running", "running", true, NULL, 0);
		return;
	}
	if (cox_str_is(outcome, "hang") ||
	    !waited(sim, pod, ns, name, "run",
		    ks_wish_ms(sim, pod, KS_JOB_DURATION, KS_DEFAULT_JOB_MS)))
		return;
	put_status(sim, ns, name, fails ? "Failed" : "Succeeded", "terminated", false,
		   fails ? "Error" : "Completed", fails ? 1 : 0);
}

static void become_ready(struct kubesim *sim, const struct cox_node *pod, const char *ns,
			 const char *name)
{
	if (ks_wish_true(sim, pod, KS_NEVER_READY) || looks_broken(pod))
		return;
	if (ks_wish_true(sim, pod, KS_CRASH)) {
		put_status(sim, ns, name, "Running", "waiting", false, "CrashLoopBackOff", 0);
		return;
	}
	put_status(sim, ns, name, "Running", "running", true, NULL, 0);
}

void ks_reconcile_pod(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = ks_live_ref(sim, "", "Pod", ns, name);

	if (!doc)
		return;
	const struct cox_node *pod = cox_doc_root(doc);
	if (cox_meta_is_deleting(pod)) {
		if (!cox_node_len(cox_meta_finalizers(pod))) {
			_cleanup_free_ char *key = cox_asprintf("%s/%s", ns, name);
			ks_store_delete(&sim->store, ks_kind_of(sim, "", "Pod")->shelf, key);
		}
		return;
	}
	if (sim->no_kubelet)
		return;
	bool ends = !cox_streq(cox_node_cstr(COX_GET(pod, "spec", "restartPolicy"), ""), "Always");
	if (!cox_node_str(COX_GET(pod, "spec", "nodeName")).len) {
		bind_node(sim, ns, name);
		return;
	}
	if (!has_status(pod)) {
		put_status(sim, ns, name, "Pending", "waiting", false, "ContainerCreating", 0);
		return;
	}
	if (!waited(sim, pod, ns, name, "start",
		    ks_wish_ms(sim, pod, KS_READY_AFTER, ends ? 0 : KS_DEFAULT_READY_MS)))
		return;
	if (ends && ks_pod_is_active(pod)) {
		run_to_end(sim, pod, ns, name);
		return;
	}
	if (!ends && !ks_pod_is_ready(pod))
		become_ready(sim, pod, ns, name);
}
