#include "hub/control/made.h"

#include "common/doc/json.h"

struct control_made *control_made_ref(struct control_made *m)
{
	if (m)
		m->n_refs++;
	return m;
}

void control_made_unref(struct control_made *m)
{
	if (!m || --m->n_refs > 0)
		return;
	COX_VEC_EACH (&m->reads, reads)
		hub_reads_fini(reads);
	cox_vec_fini(&m->reads);
	control_remotes_fini(&m->remotes);
	cox_strings_fini(&m->images);
	cox_docs_fini(&m->own);
	free(m->what);
	free(m);
}

/* ---- images ---- */

#define IMAGES_MAX 500

static void add_images(const struct cox_node *containers, cox_strings *ret)
{
	for (size_t i = 0; i < cox_node_len(containers) && ret->n < IMAGES_MAX; i++) {
		struct cox_str image =
			cox_node_str(cox_node_get(cox_node_at(containers, i), "image"));

		if (image.len)
			cox_vec_push(ret, cox_str_dup(image));
	}
}

/* A pod's specification may be anywhere: in a Deployment, a CronJob, a Rollout. */
static void walk_images(const struct cox_node *node, cox_strings *ret)
{
	for (size_t i = 0; i < cox_node_len(node); i++) {
		const struct cox_node *below = cox_node_at(node, i);
		struct cox_str key =
			cox_node_is(node, COX_MAP) ? cox_node_key(node, i) : COX_STR("");

		if (cox_node_is(below, COX_LIST) &&
		    (cox_str_is(key, "containers") || cox_str_is(key, "initContainers")))
			add_images(below, ret);
		else if (cox_node_is(below, COX_MAP) || cox_node_is(below, COX_LIST))
			walk_images(below, ret);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void control_images(const cox_docs *objects, cox_strings *ret)
{
	size_t n = 0;

	COX_VEC_EACH (objects, o)
		walk_images(cox_node_get(cox_doc_root(*o), "spec"), ret);
	cox_vec_sort(ret, by_text);
	for (size_t i = 0; i < ret->n; i++) {
		if (n > 0 && strcmp(ret->items[n - 1], ret->items[i]) == 0)
			free(ret->items[i]);
		else
			ret->items[n++] = ret->items[i];
	}
	ret->n = n;
}

/* A revision says where to look for a commit; it is the commit's files that are rendered. */
static void write_source(struct cox_buf *out, const struct cox_node *source)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_copy("source", source), *edit = NULL;

	edit = cox_doc_edit(doc);
	cox_map_drop(edit, cox_doc_root_edit(edit), COX_STR("targetRevision"));
	cox_json_write_canonical(out, cox_doc_root(edit));
}

char *control_made_what(const struct control_app *a, bool split)
{
	struct cox_buf what = COX_BUF_INIT;

	cox_buf_putc(&what, split ? 's' : '-');
	COX_VEC_EACH (&a->view.sources, source) {
		cox_buf_putc(&what, '\n');
		write_source(&what, source->node);
	}
	if (!a->own_render)
		return cox_buf_take(&what);
	cox_buf_printf(&what, "\n%s\n%s\n%s", a->key, a->view.destination.namespace,
		       a->view.project);
	COX_VEC_EACH (&a->repos, repo)
		cox_buf_printf(&what, "\n%s\n%s", (*repo)->revision, (*repo)->commit);
	return cox_buf_take(&what);
}

/* Another repository is not looked into: it has moved, or it has not. */
static bool remotes_hold(const control_remotes *used, control_remotes *now)
{
	COX_VEC_EACH (used, u) {
		struct control_remote *r = control_remote_find(now, u->url, u->revision);

		if (!r || strcmp(r->commit, u->commit) != 0)
			return false;
	}
	COX_VEC_EACH (used, u)
		control_remote_find(now, u->url, u->revision)->used = true;
	return true;
}

static bool source_holds(const struct hub_reads *reads, struct repo_sources *sources,
			 const char *url, const char *commit)
{
	_cleanup_tree_ struct hub_tree *tree = NULL;

	/* what cannot be read is for the rendering to say */
	return control_repo_tree(sources, url, commit, &tree, NULL) == 0 &&
	       hub_reads_hold(reads, tree, NULL) == 1;
}

bool control_made_holds(const struct control_made *m, struct repo_sources *sources,
			const struct hub_application *view, const cox_strings *commits,
			control_remotes *remotes)
{
	if (m->reads.n != view->sources.n || commits->n != view->sources.n)
		return false;
	for (size_t i = 0; i < view->sources.n; i++)
		if (m->reads.items[i].n > 0 &&
		    !source_holds(&m->reads.items[i], sources, view->sources.items[i].repo_url,
				  commits->items[i]))
			return false;
	return remotes_hold(&m->remotes, remotes);
}
