/* Any text as a health script: it ends, it stays within its memory, what it says is UTF-8, and with
 * the same input it says the same. */
#include "common/doc/json.h"
#include "common/health/custom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OBJECT                                                                                     \
	"{\"metadata\":{\"name\":\"a\",\"generation\":2},\"spec\":{\"list\":[1,2.5,\"x\"]},"       \
	"\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"message\":\"m\"}]" \
	"}}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cox_health_run run = {.steps = 100000, .memory = 1 << 20, .wall_ms = 1767323045000};
	struct cox_str script = cox_str_n((const char *)data, size);
	_cleanup_doc_ struct cox_doc *object = NULL;
	struct cox_health first, second;

	COX_ASSERT(cox_json_read(COX_STR(OBJECT), "object", &object, NULL) == 0);
	cox_health_run_script(script, cox_doc_root(object), &run, &first);
	COX_ASSERT(cox_utf8_valid(cox_str(first.message), NULL));
	COX_ASSERT(first.status <= COX_HEALTH_UNKNOWN);
	/* the order of pairs may differ from run to run, and with it the result */
	if (memmem(data, size, "pairs", 5) || memmem(data, size, "next", 4) ||
	    memmem(data, size, "foreach", 7))
		return 0;
	cox_health_run_script(script, cox_doc_root(object), &run, &second);
	COX_ASSERT(first.status == second.status);
	return 0;
}
