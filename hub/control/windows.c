/* When an Application may be synced: its project's sync windows, and whether somebody paused it. What
 * the agent may do by itself is in its assignment, so that it also holds while the hub is away. */
#include "common/base/clock.h"
#include "hub/control/internal.h"

#include <stdio.h>

#define SKIP_RECONCILE "argocd.argoproj.io/skip-reconcile"

/* The windows of a project, read once for each version of it. */
struct control_windows {
	struct cox_doc *doc; /* which version */
	struct cox_windows *windows;
};

static void windows_free(void *p)
{
	struct control_windows *w = p;

	cox_windows_free(w->windows);
	cox_doc_unref(w->doc);
	free(w);
}

void control_windows_fini(struct hub_control *c)
{
	cox_map_fini_values(&c->windows, windows_free);
}

/* NULL: the project has none. */
static const struct cox_windows *windows_of(struct hub_control *c, const char *project)
{
	_cleanup_free_ char *key = control_key(c, HUB_APP_PROJECT, c->options.namespace, project);
	const struct control_object *o = control_object(c, HUB_APP_PROJECT, key);
	const struct cox_node *list =
		o ? COX_GET(cox_doc_root(o->doc), "spec", "syncWindows") : NULL;
	struct control_windows *w = cox_map_get(&c->windows, key);

	if (w && o && w->doc == o->doc)
		return w->windows;
	if (w)
		windows_free(cox_map_remove(&c->windows, key));
	if (cox_node_len(list) == 0)
		return NULL;
	w = cox_new(struct control_windows);
	w->doc = cox_doc_ref(o->doc);
	w->windows = cox_windows_new(list);
	cox_map_set(&c->windows, key, w);
	return w->windows;
}

bool control_app_is_paused(const struct control_app *a)
{
	return a->has_view &&
	       cox_streq(hub_object_annotation(a->view.root, SKIP_RECONCILE), "true");
}

int64_t control_wall_ms(const struct hub_control *c)
{
	return cox_clock_wall_ms() + c->options.clock_skew_ms;
}

void control_window_judge(const struct control_app *a, struct cox_window_verdict *ret)
{
	struct hub_control *c = a->control;
	const struct cox_windows *windows = windows_of(c, a->view.project);
	const struct control_object *cluster =
		a->cluster ? control_object(c, HUB_CLUSTER, a->cluster) : NULL;
	struct cox_window_subject subject = {.application = a->view.name,
					     .namespace = a->view.destination.namespace,
					     .cluster = a->cluster ? a->cluster
								   : a->view.destination.name,
					     .server = a->view.destination.server};

	*ret = (struct cox_window_verdict){
		.automated = true, .manual = true, .overrun = true, .until_ms = INT64_MAX};
	if (!windows)
		return;
	if (!*subject.server && cluster)
		subject.server =
			cox_node_cstr(COX_GET(cox_doc_root(cluster->doc), "spec", "server"), "");
	cox_windows_judge(windows, &subject, control_wall_ms(c), ret);
}

bool control_may_sync_itself(const struct control_app *a)
{
	struct cox_window_verdict v;

	if (control_app_is_paused(a))
		return false;
	control_window_judge(a, &v);
	return v.automated;
}

int control_check_window(const struct control_app *a, struct cox_error *err)
{
	struct cox_window_verdict v;

	control_window_judge(a, &v);
	if (v.manual)
		return 0;
	return cox_error(err, COX_FAILED_PRECONDITION, "application '%s': %s", a->key, v.message);
}

void control_window_look(struct control_app *a)
{
	struct hub_control *c = a->control;
	struct cox_window_verdict v;
	int64_t delay_ms;

	control_window_judge(a, &v);
	control_condition_set(&a->conditions, "SyncWindow", *v.message ? v.message : NULL);
	if (v.until_ms == INT64_MAX)
		return;
	/* A look at or after the edge, never before it: a clock may be set. */
	delay_ms = v.until_ms - control_wall_ms(c) + 1;
	cox_queue_add_after(c->apps, a->key, delay_ms > 1 ? delay_ms : 1);
}
