/* The comparison of two objects, as fields that differ. */
#include "agent/compare/walk.h"

#include "common/base/map.h"
#include "common/doc/diff.h"
#include "common/doc/json.h"
#include "common/kube/meta.h"

void agent_difference_fini(struct agent_difference *d)
{
	cox_strings_fini(&d->paths);
	d->n = 0;
}

static void add_path(struct agent_difference *d, const char *path)
{
	COX_VEC_EACH (&d->paths, known)
		if (cox_streq(*known, path))
			return;
	d->n++;
	if (d->paths.n < AGENT_COMPARE_PATHS_MAX)
		cox_vec_push(&d->paths, cox_strdup(path));
}

static void differs(struct agent_walk *w, struct agent_sides s)
{
	(void)s;
	add_path(w->arg, cox_buf_cstr(&w->path));
}

/* ---- what a dry run changes though nobody asked for it ---- */

static bool is_bookkeeping(const char *path)
{
	static const char *const prefixes[] = {"metadata.managedFields", "metadata.resourceVersion",
					       "metadata.generation", "status"};

	for (size_t i = 0; i < COX_ARRAY_LEN(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (strncmp(path, prefixes[i], n) == 0 && (!path[n] || strchr(".[", path[n])))
			return true;
	}
	return false;
}

static void add_mutations(const struct cox_node *live, const struct cox_node *predicted,
			  struct agent_difference *d)
{
	_cleanup_differences_ cox_differences all = {0};

	cox_diff(live, predicted, 1000, &all);
	COX_VEC_EACH (&all, one)
		if (!is_bookkeeping(one->path))
			add_path(d, one->path);
}

void agent_compare_walk(struct cox_doc *desired_doc, struct cox_doc *live_doc,
			const struct agent_compare_options *options,
			void (*fn)(struct agent_walk *w, struct agent_sides s), void *arg)
{
	_cleanup_doc_ struct cox_doc *canonical = agent_compare_canonical(desired_doc);
	_cleanup_doc_ struct cox_doc *desired =
		agent_compare_cut(canonical, options->ignore, options->desired_cuts);
	_cleanup_doc_ struct cox_doc *live =
		agent_compare_cut(live_doc, options->ignore, options->live_cuts);
	/* the prediction is the live object with our wishes in it: what is cut off one is cut off
	 * the other */
	_cleanup_doc_ struct cox_doc *predicted =
		options->predicted
			? agent_compare_cut(options->predicted, options->ignore, options->live_cuts)
			: NULL;
	struct agent_walk w = {.options = options, .differs = fn, .arg = arg};

	agent_walk_objects(&w, cox_doc_root(desired), cox_doc_root(live),
			   predicted ? cox_doc_root(predicted) : NULL);
	cox_buf_fini(&w.path);
}

void agent_compare(struct cox_doc *desired, struct cox_doc *live,
		   const struct agent_compare_options *options, struct agent_difference *d)
{
	agent_difference_fini(d);
	agent_compare_walk(desired, live, options, differs, d);
	if (!options->predicted || !options->with_mutations)
		return;
	_cleanup_doc_ struct cox_doc *before =
		agent_compare_cut(live, options->ignore, options->live_cuts);
	_cleanup_doc_ struct cox_doc *after =
		agent_compare_cut(options->predicted, options->ignore, options->live_cuts);

	add_mutations(cox_doc_root(before), cox_doc_root(after), d);
}

bool agent_compare_is_managed(const struct cox_node *live, const char *manager)
{
	return agent_applied_set(cox_meta_managed_fields(live), manager) != NULL;
}

/* ---- the state of a live object ---- */

static void add_metadata(struct cox_buf *text, const struct cox_node *metadata)
{
	for (size_t i = 0; i < cox_node_len(metadata); i++) {
		struct cox_str key = cox_node_key(metadata, i);
		const struct cox_node *value = cox_node_at(metadata, i);

		if (cox_str_is(key, "resourceVersion") || cox_str_is(key, "generation"))
			continue;
		cox_buf_puts_str(text, key);
		if (!cox_str_is(key, "managedFields")) {
			cox_json_write(text, value);
			continue;
		}
		for (size_t k = 0; k < cox_node_len(value); k++) {
			const struct cox_node *entry = cox_node_at(value, k);

			if (cox_node_str(cox_node_get(entry, "subresource")).len)
				continue;
			cox_buf_puts_str(text, cox_node_str(cox_node_get(entry, "manager")));
			cox_buf_puts_str(text, cox_node_str(cox_node_get(entry, "operation")));
			cox_json_write(text, cox_node_get(entry, "fieldsV1"));
		}
	}
}

uint64_t agent_compare_state(const struct cox_node *live)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	for (size_t i = 0; i < cox_node_len(live); i++) {
		struct cox_str key = cox_node_key(live, i);

		if (cox_str_is(key, "status"))
			continue;
		cox_buf_puts_str(&text, key);
		if (cox_str_is(key, "metadata"))
			add_metadata(&text, cox_node_at(live, i));
		else
			cox_json_write(&text, cox_node_at(live, i));
	}
	return cox_hash(text.ptr, text.len);
}
