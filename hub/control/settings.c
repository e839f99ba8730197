/* argocd-cm: what it means for agents and applications. */
#include "hub/model/settings.h"
#include "common/doc/json.h"
#include "hub/control/internal.h"

static struct cox_doc *read_ignored(const struct cox_node *config_map)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("settings");
	struct cox_node *list = hub_settings_ignored(config_map, doc);

	return list ? cox_doc_copy("settings", list) : NULL;
}

void control_settings_read(struct hub_control *c, struct hub_batch *batch)
{
	_cleanup_free_ char *key = control_key(c, HUB_CONFIG_MAP, NULL, HUB_SETTINGS_NAME);
	const struct control_object *o = control_object(c, HUB_CONFIG_MAP, key);
	const struct cox_node *config_map = o ? cox_doc_root(o->doc) : NULL;
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;
	struct cox_doc *ignored = read_ignored(config_map);
	bool same = cox_node_equal(cox_doc_root(ignored), cox_doc_root(c->ignored));

	hub_settings_for_agents(config_map, &body);
	hub_fleet_configure(c->fleet, batch, cox_buf_str(&body));
	cox_doc_unref(c->ignored);
	c->ignored = ignored;
	if (!same)
		COX_MAP_EACH (&c->objects[HUB_APPLICATION], slot)
			cox_queue_add(c->apps, slot->key);
}

void control_settings_ignored(const struct hub_control *c, const struct cox_node *own,
			      struct cox_buf *out)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *const lists[] = {own, cox_doc_root(c->ignored)};
	struct cox_node *all;

	if (cox_node_len(lists[0]) + cox_node_len(lists[1]) == 0)
		return;
	doc = cox_doc_new("ignored");
	all = cox_doc_list(doc);
	for (size_t i = 0; i < COX_ARRAY_LEN(lists); i++)
		for (size_t k = 0; k < cox_node_len(lists[i]); k++)
			cox_list_push(doc, all, cox_doc_clone(doc, cox_node_at(lists[i], k)));
	cox_json_write(out, all);
}
