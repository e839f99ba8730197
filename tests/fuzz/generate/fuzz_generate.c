/* A stranger's ApplicationSet: reading, validating, generating and updating must not fail in any way
 * but by an error; what is generated is valid; and generating from it again changes nothing. */
#include "common/base/mem.h"
#include "common/doc/yaml.h"
#include "hub/generate/generate.h"
#include "hub/model/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void generate(struct cox_doc *doc)
{
	_cleanup_generated_ struct hub_generated out = {0};
	_cleanup_appset_ struct hub_appset set = {0};
	struct hub_generate_input in = {.max_apps = 50};

	if (hub_appset_init(&set, doc, NULL) < 0 || hub_generate(&set, &in, &out, NULL) < 0)
		return;
	for (size_t i = 0; i < out.applications.n; i++) {
		struct cox_doc *app = out.applications.items[i];

		COX_ASSERT(hub_validate(app, NULL) == 0);
		COX_ASSERT(hub_generate_is_same(&set, app, app));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cox_yaml_options options = {.max_nodes = 5000};
	_cleanup_problems_ struct hub_problems problems = {0};
	_cleanup_docs_ cox_docs docs = {0};

	if (size > 1 << 16 || cox_yaml_read_all(cox_str_n((const char *)data, size), "input",
						&options, &docs, NULL) < 0)
		return 0;
	for (size_t i = 0; i < docs.n; i++) {
		hub_check(docs.items[i], &problems);
		generate(docs.items[i]);
	}
	return 0;
}
