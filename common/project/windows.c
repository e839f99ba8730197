#include "common/project/windows.h"

#include "common/base/clock.h"
#include "common/base/vec.h"
#include "common/text/cron.h"
#include "common/text/glob.h"

#include <stdio.h>
#include <string.h>

struct window {
	const struct cox_node *applications, *namespaces, *clusters; /* borrowed */
	bool denies, manual, overrun, all_lists;
	struct cox_cron cron;
	struct cox_zone *zone;
	int64_t duration_s;
	char *schedule, *description;
	char *error; /* NULL: it could be read */
};

struct cox_windows {
	struct cox_doc *doc; /* what the windows borrow */
	COX_VEC(struct window) items;
	bool too_many;
};

/* ---- reading ---- */

static const char *text_of(const struct cox_node *map, const char *key)
{
	return cox_node_cstr(cox_node_get(map, key), "");
}

static int read_times(const struct cox_node *node, struct cox_cron *cron, int64_t *ret_duration_s,
		      struct cox_error *err)
{
	const char *kind = text_of(node, "kind");
	int64_t ms = 0;
	int r;

	if (strcmp(kind, "allow") != 0 && strcmp(kind, "deny") != 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "kind: 'allow' or 'deny' is needed, not '%s'", kind);
	r = cox_cron_parse(cox_str(text_of(node, "schedule")), cron, err);
	if (r < 0)
		return r;
	r = cox_duration_parse(cox_str(text_of(node, "duration")), &ms, err);
	if (r < 0)
		return r;
	if (ms < 1000)
		return cox_error(err, COX_INVALID_ARGUMENT, "duration: a second at least");
	*ret_duration_s = ms / 1000;
	return 0;
}

static struct window read_window(const struct cox_node *node)
{
	struct cox_error err = COX_ERROR_INIT;
	struct window w = {
		.applications = cox_node_get(node, "applications"),
		.namespaces = cox_node_get(node, "namespaces"),
		.clusters = cox_node_get(node, "clusters"),
		.denies = strcmp(text_of(node, "kind"), "allow") != 0,
		.manual = cox_node_bool(cox_node_get(node, "manualSync"), false),
		.overrun = cox_node_bool(cox_node_get(node, "syncOverrun"), false),
		.all_lists = cox_node_bool(cox_node_get(node, "andOperator"), false),
		.schedule = cox_strdup(text_of(node, "schedule")),
		.description = cox_strdup(text_of(node, "description")),
	};

	if (read_times(node, &w.cron, &w.duration_s, &err) < 0 ||
	    cox_zone_open(text_of(node, "timeZone"), &w.zone, &err) < 0)
		w.error = cox_strdup(err.message);
	return w;
}

struct cox_windows *cox_windows_new(const struct cox_node *list)
{
	struct cox_windows *ws = cox_new(struct cox_windows);
	struct cox_node *copy;

	if (cox_node_len(list) == 0)
		return ws;
	ws->too_many = cox_node_len(list) > COX_LIMIT_SYNC_WINDOWS;
	if (ws->too_many)
		return ws;
	ws->doc = cox_doc_new("syncWindows");
	copy = cox_doc_clone(ws->doc, list);
	cox_doc_set_root(ws->doc, copy);
	cox_doc_seal(ws->doc);
	for (size_t i = 0; i < cox_node_len(copy); i++)
		cox_vec_push(&ws->items, read_window(cox_node_at(copy, i)));
	return ws;
}

void cox_windows_free(struct cox_windows *ws)
{
	if (!ws)
		return;
	COX_VEC_EACH (&ws->items, w) {
		cox_zone_free(w->zone);
		free(w->schedule);
		free(w->description);
		free(w->error);
	}
	cox_vec_fini(&ws->items);
	cox_doc_unref(ws->doc);
	free(ws);
}

/* ---- judging ---- */

static bool listed(const struct cox_node *list, const char *a, const char *b)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		struct cox_str pattern = cox_str(cox_node_cstr(cox_node_at(list, i), ""));

		if ((*a && cox_glob_matches(pattern, 0, cox_str(a))) ||
		    (*b && cox_glob_matches(pattern, 0, cox_str(b))))
			return true;
	}
	return false;
}

static bool is_for(const struct window *w, const struct cox_window_subject *s)
{
	const struct {
		const struct cox_node *list;
		const char *a, *b;
	} lists[] = {{w->applications, s->application, ""},
		     {w->namespaces, s->namespace, ""},
		     {w->clusters, s->cluster, s->server}};
	bool any = false, all = true, given = false;

	for (size_t i = 0; i < COX_ARRAY_LEN(lists); i++) {
		bool match;

		if (cox_node_len(lists[i].list) == 0)
			continue;
		match = listed(lists[i].list, lists[i].a, lists[i].b);
		given = true;
		any = any || match;
		all = all && match;
	}
	return given && (w->all_lists ? all : any);
}

/* Those of one kind: how many there are for the subject, how many are active, and what all of the
 * ones that count permit. */
struct tally {
	size_t n, active;
	bool manual, overrun;
	const struct window *first; /* of those that count */
};

static void count(struct tally *t, const struct window *w, bool active, bool counts)
{
	t->n++;
	t->active += active;
	if (!counts)
		return;
	if (!t->first) {
		t->first = w;
		t->manual = t->overrun = true;
	}
	t->manual = t->manual && w->manual;
	t->overrun = t->overrun && w->overrun;
}

static void refuse(struct cox_window_verdict *v, const struct tally *t, const char *what)
{
	const struct window *w = t->first;

	v->automated = false;
	v->manual = t->manual;
	v->overrun = t->overrun;
	snprintf(v->message, sizeof(v->message), "%s (schedule '%s'%s%s%s%s)", what, w->schedule,
		 *w->description ? ", " : "", w->description, w->error ? ": " : "",
		 w->error ? w->error : "");
}

void cox_windows_judge(const struct cox_windows *ws, const struct cox_window_subject *subject,
		       int64_t now_ms, struct cox_window_verdict *ret_verdict)
{
	struct cox_window_verdict v = {
		.automated = true, .manual = true, .overrun = true, .until_ms = INT64_MAX};
	struct tally deny = {0}, allow = {0};

	COX_VEC_EACH (&ws->items, w) {
		int64_t edge_s = INT64_MAX;
		bool active = w->denies;

		if (!is_for(w, subject))
			continue;
		if (!w->error)
			active = cox_cron_is_within(&w->cron, w->zone, w->duration_s, now_ms / 1000,
						    &edge_s);
		if (edge_s < INT64_MAX / 1000 && edge_s * 1000 < v.until_ms)
			v.until_ms = edge_s * 1000;
		if (w->denies)
			count(&deny, w, active, active);
		else
			count(&allow, w, active, true);
	}
	if (deny.active)
		refuse(&v, &deny, "a sync window of the project denies syncs now");
	else if (allow.n && !allow.active)
		refuse(&v, &allow, "no sync window of the project permits syncs now");
	if (ws->too_many) {
		v = (struct cox_window_verdict){.until_ms = INT64_MAX};
		snprintf(v.message, sizeof(v.message),
			 "the project has more than %d sync windows: none of them is read",
			 COX_LIMIT_SYNC_WINDOWS);
	}
	*ret_verdict = v;
}
