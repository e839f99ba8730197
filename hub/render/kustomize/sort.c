/* The order of the output: as read, or by kind ("legacy", what one gets without sortOptions). */
#include "hub/render/kustomize/internal.h"

static const char *const first[] = {
	"Namespace",
	"ResourceQuota",
	"StorageClass",
	"CustomResourceDefinition",
	"ServiceAccount",
	"PodSecurityPolicy",
	"Role",
	"ClusterRole",
	"RoleBinding",
	"ClusterRoleBinding",
	"ConfigMap",
	"Secret",
	"Endpoints",
	"Service",
	"LimitRange",
	"PriorityClass",
	"PersistentVolume",
	"PersistentVolumeClaim",
	"Deployment",
	"StatefulSet",
	"CronJob",
	"PodDisruptionBudget",
};
static const char *const last[] = {"MutatingWebhookConfiguration",
				   "ValidatingWebhookConfiguration"};

struct key {
	int rank;
	const char *gvk, *id;
	bool core_namespace, namespace;
	struct kz_res *r;
};

static const char *or_word(const char *text, const char *word)
{
	return *text ? text : word;
}

static int rank_in(const char *const *list, size_t n, const char *kind, int base)
{
	for (size_t i = n; i-- > 0;)
		if (*list[i] == *kind && strcmp(list[i], kind) == 0)
			return base + (int)i;
	return 0;
}

static int rank_in_node(const struct cox_node *list, const char *kind, int base)
{
	for (size_t i = cox_node_len(list); i-- > 0;)
		if (cox_str_is(cox_node_str(cox_node_at(list, i)), kind))
			return base + (int)i;
	return 0;
}

static int default_rank(const char *kind)
{
	int rank = rank_in(last, COX_ARRAY_LEN(last), kind, 1);

	return rank ? rank : rank_in(first, COX_ARRAY_LEN(first), kind, -(int)COX_ARRAY_LEN(first));
}

/* As the texts "group_version_kind" compare: '_' ends a part. */
static int compare_parts(const char *x, const char *y)
{
	while (*x && *x == *y) {
		x++;
		y++;
	}
	if (!*x && !*y)
		return 0;
	if ((!*x && *y == '_') || (*x == '_' && !*y))
		return *x ? 1 : -1;
	return (unsigned char)(*x ? *x : '_') - (unsigned char)(*y ? *y : '_');
}

int kz_gvk_compare(const struct kz_gvk *a, const struct kz_gvk *b)
{
	const char *const words[][3] = {{a->group, b->group, "~G"},
					{a->version, b->version, "~V"},
					{a->kind, b->kind, "~K"}};
	int rank =
		strcmp(a->kind, b->kind) == 0 ? 0 : default_rank(a->kind) - default_rank(b->kind);

	for (size_t i = 0; rank == 0 && i < COX_ARRAY_LEN(words); i++)
		rank = compare_parts(or_word(words[i][0], words[i][2]),
				     or_word(words[i][1], words[i][2]));
	return rank;
}

static struct key make_key(struct kz *kz, struct kz_res *r, const struct cox_node *orders)
{
	struct kz_id id = kz_res_id(kz, r);
	const char *kind = id.gvk.kind;
	struct key key = {.r = r};

	if (orders) {
		const struct cox_node *a = COX_GET(orders, "orderFirst"),
				      *z = COX_GET(orders, "orderLast");

		key.rank = rank_in_node(z, kind, 1);
		if (!key.rank)
			key.rank = rank_in_node(a, kind, -(int)cox_node_len(a));
	} else {
		key.rank = default_rank(kind);
	}
	key.namespace = strcmp(kind, "Namespace") == 0;
	key.core_namespace = key.namespace && !*id.gvk.group;
	key.gvk = kz_printf(kz, "%s_%s_%s", or_word(id.gvk.group, "~G"),
			    or_word(id.gvk.version, "~V"), or_word(kind, "~K"));
	key.id = kz_printf(kz, "%s.%s.%s|%s|%s", or_word(kind, "[noKind]"),
			   or_word(id.gvk.version, "[noVer]"), or_word(id.gvk.group, "[noGrp]"),
			   or_word(id.namespace, "~X"), or_word(id.name, "~N"));
	return key;
}

static int compare_keys(const void *p, const void *q)
{
	const struct key *a = p, *b = q;
	int c;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	c = strcmp(a->gvk, b->gvk);
	if (c && a->namespace && b->namespace && (a->core_namespace || b->core_namespace))
		return -c; /* the core Namespace before other groups' */
	return c ? c : strcmp(a->id, b->id);
}

int kz_sort(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
	    const struct cox_node *options, struct cox_error *err)
{
	const struct cox_node *order = COX_GET(options, "order");
	const struct cox_node *orders = COX_GET(options, "legacySortOptions");
	bool fifo = cox_str_is(cox_node_str(order), "fifo");
	COX_VEC(struct key) keys = {0};

	if (options && !fifo && !cox_str_is(cox_node_str(order), "legacy"))
		return cox_node_error(err, doc, order ? order : options,
				      "sortOptions.order: must be legacy or fifo");
	if (fifo && orders)
		return cox_node_error(err, doc, orders,
				      "sortOptions.legacySortOptions: means nothing with order "
				      "fifo");
	if (fifo || (!options && kz->in->order == HUB_KUSTOMIZE_AS_READ))
		return 0;
	COX_VEC_EACH (&acc->res, r)
		cox_vec_push(&keys, make_key(kz, *r, orders));
	cox_vec_sort(&keys, compare_keys);
	for (size_t i = 0; i < keys.n; i++)
		acc->res.items[i] = keys.items[i].r;
	cox_vec_fini(&keys);
	return 0;
}
