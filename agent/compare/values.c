/* What differs, with what is wanted and what is there: for people. */
#include "agent/compare/walk.h"

#include "common/doc/json.h"
#include "common/kube/meta.h"

#define MASK_MIN 8

void agent_values_fini(agent_values *values)
{
	COX_VEC_EACH (values, v) {
		free(v->path);
		free(v->desired);
		free(v->live);
	}
	cox_vec_fini(values);
}

/* ---- masks ---- */

/* The secret texts that were met, in order: the mask of one is as long as its place tells, so that
 * equal texts have equal masks and others have not, and no mask tells a length. */
struct masks {
	bool whole; /* a Secret */
	cox_strings seen;
};

static char *mask_of(struct masks *m, struct cox_str text)
{
	size_t i = 0;

	while (i < m->seen.n && !cox_str_is(text, m->seen.items[i]))
		i++;
	if (i == m->seen.n)
		cox_vec_push(&m->seen, cox_str_dup(text));
	char *mask = cox_calloc(MASK_MIN + i + 1, 1);

	memset(mask, '+', MASK_MIN + i);
	return mask;
}

static struct cox_node *masked(struct masks *m, struct cox_doc *doc, const struct cox_node *node)
{
	if (!cox_node_is(node, COX_MAP)) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

		cox_json_write(&text, node);
		_cleanup_free_ char *mask = mask_of(m, cox_buf_str(&text));

		return cox_doc_cstring(doc, mask);
	}
	struct cox_node *map = cox_doc_map(doc);

	for (size_t i = 0; i < cox_node_len(node); i++)
		cox_map_put_str(doc, map, cox_node_key(node, i),
				masked(m, doc, cox_node_at(node, i)));
	return map;
}

static bool is_at(const struct agent_walk *w, size_t i, const char *name)
{
	return w->n_steps > i && cox_str_is(w->steps[i].name, name);
}

/* Everything of a Secret but what is known to be public: its type and metadata. Of whatever kind:
 * the annotation in which kubectl keeps a copy of the whole. */
static bool is_secret(const struct agent_walk *w, const struct masks *m)
{
	if (!is_at(w, 0, "metadata"))
		return m->whole && !is_at(w, 0, "type") && !is_at(w, 0, "immutable");
	if (w->n_steps == 1)
		return true;
	return is_at(w, 1, "annotations") &&
	       (w->n_steps == 2 || is_at(w, 2, "kubectl.kubernetes.io/last-applied-configuration"));
}

static char *text_of(const struct agent_walk *w, struct masks *m, const struct cox_node *node)
{
	struct cox_buf text = COX_BUF_INIT;

	if (!node)
		return NULL;
	if (!is_secret(w, m)) {
		cox_json_write(&text, node);
		return cox_buf_take(&text);
	}
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("masked");

	cox_json_write(&text, masked(m, doc, node));
	return cox_buf_take(&text);
}

/* ---- the list ---- */

struct listing {
	struct masks masks;
	agent_values *values;
};

static void differs(struct agent_walk *w, struct agent_sides s)
{
	struct listing *l = w->arg;

	if (l->values->n >= AGENT_VALUES_MAX)
		return;
	struct agent_value v = {
		.path = cox_strdup(cox_buf_cstr(&w->path)),
		.desired = text_of(w, &l->masks, s.desired),
		.live = text_of(w, &l->masks, s.live),
	};

	cox_vec_push(l->values, v);
}

void agent_compare_values(struct cox_doc *desired, struct cox_doc *live,
			  const struct agent_compare_options *options, agent_values *ret_values)
{
	struct listing l = {.values = ret_values};
	const struct cox_node *root = cox_doc_root(desired);

	agent_values_fini(ret_values);
	l.masks.whole = cox_str_is(cox_meta_kind(root), "Secret") && !cox_meta_group(root).len;
	agent_compare_walk(desired, live, options, differs, &l);
	cox_strings_fini(&l.masks.seen);
}
