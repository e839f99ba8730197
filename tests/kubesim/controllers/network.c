/* Services, Ingresses, PersistentVolumeClaims, ResourceQuotas: what a cloud provider and the
 * smaller controllers of a cluster write into their status. */
#include "common/kube/meta.h"
#include "tests/kubesim/controllers/controller.h"

#include <stdio.h>

/* {"loadBalancer": {"ingress": [{"ip": …}]}} */
static void put_address(struct kubesim *sim, struct ks_edit *edit)
{
	struct cox_node *status = cox_map_edit_map(edit->doc, edit->root, "status");
	struct cox_node *balancer = cox_map_edit_map(edit->doc, status, "loadBalancer");
	struct cox_node *list = cox_doc_list(edit->doc), *entry = cox_doc_map(edit->doc);
	uint32_t n = sim->next_ip++;

	cox_map_put(edit->doc, entry, "ip",
		    cox_doc_stringf(edit->doc, "203.0.%u.%u", 113 + ((n >> 8) & 7), n & 255));
	cox_list_push(edit->doc, list, entry);
	cox_map_put(edit->doc, balancer, "ingress", list);
}

/* An object that gets an address after a while. */
static void give_address(struct kubesim *sim, const char *group, const char *kind, const char *ns,
			 const char *name)
{
	const struct cox_node *object = ks_live(sim, group, kind, ns, name);
	struct ks_edit edit;

	if (cox_node_len(COX_GET(object, "status", "loadBalancer", "ingress")))
		return;
	int64_t left = ks_wish_ms(sim, object, KS_LB_AFTER, KS_DEFAULT_PROVIDER_MS) -
		       ks_since(sim, object, "provide");
	if (left > 0) {
		ks_enqueue(sim, group, kind, ns, name, left);
		return;
	}
	ks_edit_begin(&edit, sim, ks_kind_of(sim, group, kind), ns, name, "status",
		      "cloud-controller-manager");
	put_address(sim, &edit);
	ks_edit_commit(&edit);
	ks_edit_end(&edit);
}

void ks_reconcile_service(struct kubesim *sim, const char *ns, const char *name)
{
	const struct cox_node *service = ks_live(sim, "", "Service", ns, name);

	if (!service || cox_meta_is_deleting(service) ||
	    !cox_streq(cox_node_cstr(COX_GET(service, "spec", "type"), ""), "LoadBalancer"))
		return;
	give_address(sim, "", "Service", ns, name);
}

void ks_reconcile_ingress(struct kubesim *sim, const char *ns, const char *name)
{
	const struct cox_node *ingress = ks_live(sim, "networking.k8s.io", "Ingress", ns, name);

	if (ingress && !cox_meta_is_deleting(ingress))
		give_address(sim, "networking.k8s.io", "Ingress", ns, name);
}

/* ---- volumes ---- */

static void release_claim(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_edit_ struct ks_edit edit = {0};

	ks_edit_begin(&edit, sim, ks_kind_of(sim, "", "PersistentVolumeClaim"), ns, name, "",
		      KS_MANAGER);
	struct cox_node *metadata = cox_map_edit_map(edit.doc, edit.root, "metadata");
	struct cox_node *kept = cox_doc_list(edit.doc);
	COX_DOC_LIST_EACH (cox_meta_finalizers(edit.root), i, f) {
		if (!cox_streq(cox_node_cstr(f, ""), "kubernetes.io/pvc-protection"))
			cox_list_push(edit.doc, kept, cox_doc_clone(edit.doc, f));
	}
	cox_map_put(edit.doc, metadata, "finalizers", kept);
	ks_edit_commit(&edit);
}

static void bind_claim(struct kubesim *sim, const struct cox_node *claim, const char *ns,
		       const char *name)
{
	struct ks_kind *kind = ks_kind_of(sim, "", "PersistentVolumeClaim");
	_cleanup_doc_ struct cox_doc *held = cox_doc_copy(NULL, claim);
	_cleanup_free_ char *volume = cox_asprintf("pvc-%.*s", COX_STR_ARG(cox_meta_uid(claim)));
	struct ks_edit edit;

	ks_edit_begin(&edit, sim, kind, ns, name, "", KS_MANAGER);
	cox_map_put_cstr(edit.doc, cox_map_edit_map(edit.doc, edit.root, "spec"), "volumeName",
			 volume);
	ks_edit_commit(&edit);
	ks_edit_end(&edit);
	ks_edit_begin(&edit, sim, kind, ns, name, "status", KS_MANAGER);
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	const struct cox_node *spec = COX_GET(cox_doc_root(held), "spec");
	cox_map_put_cstr(edit.doc, status, "phase", "Bound");
	if (COX_GET(spec, "accessModes"))
		cox_map_put(edit.doc, status, "accessModes",
			    cox_doc_clone(edit.doc, COX_GET(spec, "accessModes")));
	if (COX_GET(spec, "resources", "requests"))
		cox_map_put(edit.doc, status, "capacity",
			    cox_doc_clone(edit.doc, COX_GET(spec, "resources", "requests")));
	ks_edit_commit(&edit);
	ks_edit_end(&edit);
}

void ks_reconcile_claim(struct kubesim *sim, const char *ns, const char *name)
{
	const struct cox_node *claim = ks_live(sim, "", "PersistentVolumeClaim", ns, name);

	if (!claim)
		return;
	if (cox_meta_is_deleting(claim)) {
		if (cox_meta_has_finalizer(claim, "kubernetes.io/pvc-protection"))
			release_claim(sim, ns, name);
		return;
	}
	if (sim->no_controllers || ks_wish_true(sim, claim, KS_PVC_NEVER) ||
	    !cox_streq(cox_node_cstr(COX_GET(claim, "status", "phase"), ""), "Pending"))
		return;
	int64_t left = ks_wish_ms(sim, claim, KS_PVC_AFTER, KS_DEFAULT_PROVIDER_MS) -
		       ks_since(sim, claim, "provide");
	if (left > 0)
		ks_enqueue(sim, "", "PersistentVolumeClaim", ns, name, left);
	else
		bind_claim(sim, claim, ns, name);
}

/* ---- quotas: the limits are written down, nothing is counted ---- */

void ks_reconcile_quota(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_edit_ struct ks_edit edit = {0};

	ks_edit_begin(&edit, sim, ks_kind_of(sim, "", "ResourceQuota"), ns, name, "status",
		      KS_MANAGER);
	if (!edit.root)
		return;
	const struct cox_node *hard = COX_GET(edit.root, "spec", "hard");
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	struct cox_node *used = cox_map_edit_map(edit.doc, status, "used");
	if (!hard)
		return;
	cox_map_put(edit.doc, status, "hard", cox_doc_clone(edit.doc, hard));
	COX_DOC_MAP_EACH (hard, i, key, value) {
		if (value && !cox_node_get_str(used, key))
			cox_map_put_str(edit.doc, used, key, cox_doc_cstring(edit.doc, "0"));
	}
	ks_edit_commit(&edit);
}
