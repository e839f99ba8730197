/* The hub's settings: the ConfigMap argocd-cm of its home namespace, as Argo CD's declarative set-up
 * has it. What is acted on:
 *
 *	resource.customizations.health.<group>_<Kind>			a script; common/health/custom.h
 *	resource.customizations.ignoreDifferences.<group>_<Kind>, .all	YAML
 *	resource.customizations		YAML, "<group>/<Kind>": {health.lua, ignoreDifferences}
 *
 * Agents judge health, so the scripts go to every agent; ignored differences become part of each
 * application's own. useOpenLibs is refused: nobody gets a script out of its sandbox. Every other key
 * is kept, and a warning says that it means nothing here. Pure; any thread. */
#ifndef COX_HUB_MODEL_SETTINGS_H
#define COX_HUB_MODEL_SETTINGS_H

#include "common/base/buf.h"
#include "common/doc/doc.h"

#define HUB_LIMIT_SETTINGS_BYTES                                                                   \
	(1 << 20) /* of all values: what Kubernetes lets a ConfigMap have */

/* Of a ConfigMap that passed hub_validate; NULL is one without anything. */

/* What agents get: JSON, {"data": {…}} with what they act on; nothing at all is "". */
void hub_settings_for_agents(const struct cox_node *config_map, struct cox_buf *out);
/* A list of entries as spec.ignoreDifferences has, in doc; NULL: there are none. */
struct cox_node *hub_settings_ignored(const struct cox_node *config_map, struct cox_doc *doc);

#endif
