/* Quantities and selectors: whatever is accepted is written and reads back the same. */
#include "common/kube/meta.h"
#include "common/kube/quantity.h"
#include "common/kube/selector.h"

#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_quantity(struct cox_str text)
{
	struct cox_quantity q, again;
	char out[COX_QUANTITY_TEXT_MAX];

	if (cox_quantity_parse(text, &q, NULL) < 0)
		return;
	cox_quantity_write(q, out);
	COX_ASSERT(cox_quantity_parse(cox_str(out), &again, NULL) == 0);
	COX_ASSERT(cox_quantity_compare(q, again) == 0);
}

static void try_selector(struct cox_str text)
{
	_cleanup_selector_ struct cox_selector *s = NULL, *again = NULL;
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT, twice = COX_BUF_INIT;

	if (cox_selector_parse(text, &s, NULL) < 0)
		return;
	cox_selector_matches(s, NULL);
	cox_selector_write(&out, s);
	COX_ASSERT(cox_selector_parse(cox_buf_str(&out), &again, NULL) == 0);
	cox_selector_write(&twice, again);
	COX_ASSERT(cox_str_eq(cox_buf_str(&out), cox_buf_str(&twice)));
}

static void try_key(struct cox_str text)
{
	struct cox_object_key key;

	if (cox_object_key_parse(text, &key, NULL) < 0)
		return;
	_cleanup_free_ char *out = cox_object_key_text(key);

	COX_ASSERT(cox_str_is(text, out) || memchr(text.ptr, 0, text.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cox_str text = cox_str_n((const char *)data, size);
	_cleanup_field_selector_ struct cox_field_selector *fields = NULL;

	try_quantity(text);
	try_selector(text);
	try_key(text);
	if (cox_field_selector_parse(text, &fields, NULL) == 0)
		cox_field_selector_matches(fields, NULL);
	return 0;
}
