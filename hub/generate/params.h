/* Parameter sets: what a generator makes, what a template is rendered with. Private to the room. */
#ifndef COX_HUB_GENERATE_PARAMS_H
#define COX_HUB_GENERATE_PARAMS_H

#include "common/base/map.h"
#include "common/base/vec.h"
#include "hub/generate/generate.h"

struct hub_params {
	struct cox_map values;		 /* key -> char *, owned */
	const struct cox_node *place;	 /* where a problem with this set is shown */
	char *path;			 /* "spec.generators[0].list.elements[1]" */
	const struct cox_node *override; /* the generator's own template; may be NULL */
};
typedef COX_VEC(struct hub_params) hub_params_list;

void hub_params_set(struct hub_params *p, const char *key, const char *value);
void hub_params_fini(struct hub_params *p);
void hub_params_list_fini(hub_params_list *list);

struct hub_generator_ctx {
	const struct hub_appset *set;
	const struct hub_generate_input *in;
	hub_params_list *out;
	size_t max;
};

/* Appends the sets of the generator at spec.generators[index]. */
int hub_generator_run(const struct hub_generator_ctx *ctx, const struct cox_node *generator,
		      size_t index, struct cox_error *err);

#endif
