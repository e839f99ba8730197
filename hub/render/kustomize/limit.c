/* What one build may take. Little bounds what a few lines can ask for: a value copied into itself,
 * ten thousand objects by ten thousand patches. So every change of an object asks here first; each is
 * small against the limits, for what it puts there was read or made within them. */
#include "hub/render/kustomize/internal.h"

#include "common/base/limits.h"

struct cox_doc *kz_doc_new(struct kz *kz, const char *name)
{
	struct cox_doc *doc = cox_doc_new(name);

	cox_doc_charge(doc, kz->account);
	return doc;
}

int kz_check(struct kz *kz, struct cox_error *err)
{
	if (cox_account_held(kz->account) > kz->in->max_memory)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "the build takes more than %zu bytes of memory; divide it into "
				 "several applications",
				 kz->in->max_memory);
	if (++kz->n_steps > kz->in->max_steps)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "the build takes more than %zu steps; divide it into several "
				 "applications",
				 kz->in->max_steps);
	return 0;
}

int kz_check_text(size_t len, struct cox_error *err)
{
	if (len <= COX_LIMIT_SCALAR_BYTES)
		return 0;
	return cox_error(err, COX_RESOURCE_EXHAUSTED,
			 "a text would have more than %d bytes; put less into it",
			 COX_LIMIT_SCALAR_BYTES);
}

/* Bytes of the node as JSON at least, each value counted at every place where it stands; past most,
 * any number above. */
static size_t size_of(const struct cox_node *node, size_t most)
{
	size_t n = cox_node_text(node).len + 1;

	for (size_t i = 0; i < cox_node_len(node) && n <= most; i++) {
		n += cox_node_key(node, i).len;
		n += size_of(cox_node_at(node, i), n < most ? most - n : 0);
	}
	return n;
}

int kz_check_size(struct kz *kz, const struct kz_res *r, size_t *size, struct cox_error *err)
{
	struct kz_id id = kz_res_id(kz, r);

	*size += size_of(kz_root(r), kz->in->max_memory - *size);
	if (*size <= kz->in->max_memory)
		return 0;
	*size = kz->in->max_memory;
	return cox_error(err, COX_RESOURCE_EXHAUSTED,
			 "%s: with %s, what is built has more than %zu bytes; divide it into "
			 "several applications",
			 kz_place(kz, r), kz_id_text(kz, &id), kz->in->max_memory);
}
