/* A list of two JSON texts, [document, patch]: the patch as JSON Patch in both readings, and as merge
 * patch. The document stays what it was; a merge patch applied twice is the same as once; what
 * differs between the two is said by the differences, and nothing differs when they are equal. */
#include "common/doc/diff.h"
#include "common/doc/json.h"
#include "common/doc/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_diff(const struct cox_node *a, const struct cox_node *b)
{
	_cleanup_differences_ cox_differences d = {0};
	bool all = cox_diff(a, b, 20, &d);

	COX_ASSERT((all && d.n == 0) == cox_node_equal(a, b));
}

static void check_merge(struct cox_doc *base, struct cox_doc *patch)
{
	_cleanup_doc_ struct cox_doc *once = cox_merge_patch(base, patch, NULL);
	_cleanup_doc_ struct cox_doc *twice = cox_merge_patch(once, patch, NULL);

	COX_ASSERT(cox_node_equal(cox_doc_root(once), cox_doc_root(twice)));
	check_diff(cox_doc_root(base), cox_doc_root(once));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_doc_ struct cox_doc *doc = NULL, *base = NULL, *patch = NULL, *before = NULL;
	struct cox_error err;

	if (cox_json_read(cox_str_n((const char *)data, size), "fuzz", &doc, &err) < 0 ||
	    cox_node_kind(cox_doc_root(doc)) != COX_LIST || cox_node_len(cox_doc_root(doc)) != 2)
		return 0;
	base = cox_doc_view(doc, cox_node_at(cox_doc_root(doc), 0));
	patch = cox_doc_view(doc, cox_node_at(cox_doc_root(doc), 1));
	before = cox_doc_copy("before", cox_doc_root(doc));
	for (unsigned flags = 0; flags <= COX_PATCH_KUSTOMIZE; flags += COX_PATCH_KUSTOMIZE) {
		_cleanup_doc_ struct cox_doc *result = NULL;

		if (cox_json_patch(base, patch, NULL, flags, &result, &err) == 0)
			check_diff(cox_doc_root(base), cox_doc_root(result));
		else
			COX_ASSERT(!result && err.code && err.message[0]);
	}
	check_merge(base, patch);
	COX_ASSERT(cox_node_equal(cox_doc_root(before), cox_doc_root(doc)));
	return 0;
}
