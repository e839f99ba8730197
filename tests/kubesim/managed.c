#include "tests/kubesim/managed.h"

#include "common/kube/meta.h"

#define OP_APPLY  "Apply"
#define OP_UPDATE "Update"

static const char *arena_text(struct cox_arena *arena, struct cox_str s)
{
	return cox_arena_strndup(arena, s.ptr ? s.ptr : "", s.len);
}

static struct ks_manager *managers_push(struct cox_arena *arena, struct ks_managers *s)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 8;
		struct ks_manager *items = cox_arena_calloc(arena, cap * sizeof(*items));
		if (s->n)
			memcpy(items, s->items, s->n * sizeof(*items));
		s->items = items;
		s->cap = cap;
	}
	return &s->items[s->n++];
}

static void managers_drop_empty(struct ks_managers *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (!ks_set_is_empty(s->items[i].set))
			s->items[kept++] = s->items[i];
	s->n = kept;
}

static bool is_manager(const struct ks_manager *m, const char *operation,
		       const struct ks_writer *writer)
{
	return cox_streq(m->name, writer->name) && cox_streq(m->operation, operation) &&
	       cox_streq(m->subresource, writer->subresource) &&
	       cox_streq(m->api_version, writer->api_version);
}

static struct ks_manager *find(struct ks_managers *s, const char *operation,
			       const struct ks_writer *writer)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_manager(&s->items[i], operation, writer))
			return &s->items[i];
	return NULL;
}

static struct ks_manager *find_or_add(struct cox_arena *arena, struct ks_managers *s,
				      const char *operation, const struct ks_writer *writer)
{
	struct ks_manager *m = find(s, operation, writer);

	if (m)
		return m;
	m = managers_push(arena, s);
	*m = (struct ks_manager){.name = arena_text(arena, cox_str(writer->name)),
				 .operation = operation,
				 .api_version = arena_text(arena, cox_str(writer->api_version)),
				 .subresource = arena_text(arena, cox_str(writer->subresource)),
				 .set = ks_set_new(arena)};
	return m;
}

struct ks_managers ks_managers_read(struct cox_arena *arena, const struct cox_node *object)
{
	struct ks_managers out = {0};

	COX_DOC_LIST_EACH (cox_meta_managed_fields(object), i, entry) {
		struct ks_manager *m = managers_push(arena, &out);
		const struct cox_node *time = COX_GET(entry, "time");
		*m = (struct ks_manager){
			.name = arena_text(arena, cox_node_str(COX_GET(entry, "manager"))),
			.operation = arena_text(arena, cox_node_str(COX_GET(entry, "operation"))),
			.api_version =
				arena_text(arena, cox_node_str(COX_GET(entry, "apiVersion"))),
			.subresource =
				arena_text(arena, cox_node_str(COX_GET(entry, "subresource"))),
			.time = cox_node_is(time, COX_STRING)
					? arena_text(arena, cox_node_str(time))
					: NULL,
			.set = ks_set_read(arena, COX_GET(entry, "fieldsV1"))};
	}
	managers_drop_empty(&out);
	return out;
}

/* Applies first, then by time, then by name. */
static int compare_managers(const void *a, const void *b)
{
	const struct ks_manager *x = a, *y = b;
	int order = strcmp(x->operation, y->operation);

	if (!order)
		order = strcmp(x->time ? x->time : "", y->time ? y->time : "");
	if (!order)
		order = strcmp(x->name, y->name);
	if (!order)
		order = strcmp(x->api_version, y->api_version);
	return order ? order : strcmp(x->subresource, y->subresource);
}

struct cox_node *ks_managers_write(struct cox_doc *doc, struct ks_managers *managers)
{
	managers_drop_empty(managers);
	if (!managers->n)
		return NULL;
	qsort(managers->items, managers->n, sizeof(*managers->items), compare_managers);
	struct cox_node *list = cox_doc_list(doc);
	for (size_t i = 0; i < managers->n; i++) {
		const struct ks_manager *m = &managers->items[i];
		struct cox_node *entry = cox_doc_map(doc);
		cox_map_put_cstr(doc, entry, "manager", m->name);
		cox_map_put_cstr(doc, entry, "operation", m->operation);
		cox_map_put_cstr(doc, entry, "apiVersion", m->api_version);
		cox_map_put_cstr(doc, entry, "time", m->time);
		cox_map_put_cstr(doc, entry, "fieldsType", "FieldsV1");
		cox_map_put(doc, entry, "fieldsV1", ks_set_write(doc, m->set));
		if (*m->subresource)
			cox_map_put_cstr(doc, entry, "subresource", m->subresource);
		cox_list_push(doc, list, entry);
	}
	return list;
}

bool ks_managers_equal(const struct ks_managers *a, const struct ks_managers *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct ks_manager *x = &a->items[i];
		bool found = false;
		for (size_t j = 0; j < b->n && !found; j++) {
			const struct ks_manager *y = &b->items[j];
			found = cox_streq(x->name, y->name) &&
				cox_streq(x->operation, y->operation) &&
				cox_streq(x->api_version, y->api_version) &&
				cox_streq(x->subresource, y->subresource) &&
				ks_set_equal(x->set, y->set);
		}
		if (!found)
			return false;
	}
	return true;
}

/* What nobody ever owns: the object's own identity. */
static struct ks_set *without_identity(struct cox_arena *arena, struct ks_set *set)
{
	static const char *const metadata[] = {
		"f:name",	 "f:namespace",	 "f:creationTimestamp", "f:selfLink",	    "f:uid",
		"f:clusterName", "f:generation", "f:managedFields",	"f:resourceVersion"};
	struct ks_set *never = ks_set_new(arena);

	ks_set_put(arena, never, "f:apiVersion", NULL);
	ks_set_put(arena, never, "f:kind", NULL);
	ks_set_put(arena, never, "f:metadata", NULL);
	for (size_t i = 0; i < COX_ARRAY_LEN(metadata); i++)
		ks_set_put(arena, never, "f:metadata", metadata[i], NULL);
	return ks_set_difference(arena, set, never);
}

static struct ks_set *ownable(struct cox_arena *arena, struct ks_set *set,
			      const struct ks_writer *writer)
{
	if (writer->reset)
		set = ks_set_recursive_difference(arena, set, writer->reset);
	return without_identity(arena, set);
}

/* What others lose: fields that changed, and fields that are gone. */
static void others_lose(struct cox_arena *arena, struct ks_managers *s,
			const struct ks_manager *writer, const struct ks_comparison *c,
			const struct ks_writer *how)
{
	struct ks_set *changed = ks_set_union(arena, c->modified, c->added);
	struct ks_set *removed = c->removed;

	if (how->reset) {
		changed = ks_set_recursive_difference(arena, changed, how->reset);
		removed = ks_set_recursive_difference(arena, removed, how->reset);
	}
	for (size_t i = 0; i < s->n; i++) {
		struct ks_manager *m = &s->items[i];
		if (m == writer)
			continue;
		m->set = ks_set_difference(arena, ks_set_difference(arena, m->set, changed),
					   removed);
	}
}

void ks_managers_update(struct cox_arena *arena, struct ks_managers *managers,
			const struct cox_node *before, const struct cox_node *after,
			const struct cox_schema_type *type, const struct ks_writer *writer)
{
	struct ks_comparison c = ks_typed_compare(arena, before, after, type);

	others_lose(arena, managers, NULL, &c, writer);
	struct ks_set *taken = ownable(arena, ks_set_union(arena, c.modified, c.added), writer);
	if (!ks_set_is_empty(taken)) {
		struct ks_manager *m = find_or_add(arena, managers, OP_UPDATE, writer);
		m->set = ks_set_union(arena, m->set, taken);
		m->time = writer->now;
	}
	managers_drop_empty(managers);
}

void ks_managers_take(struct cox_arena *arena, struct ks_managers *managers,
		      const struct ks_set *set, const struct ks_writer *writer, bool give)
{
	for (size_t i = 0; i < managers->n; i++)
		managers->items[i].set = ks_set_difference(arena, managers->items[i].set, set);
	if (give) {
		struct ks_manager *m = find_or_add(arena, managers, OP_UPDATE, writer);
		m->set = ks_set_union(arena, m->set, set);
		m->time = writer->now;
	}
	managers_drop_empty(managers);
}

/* ---- apply ---- */

static struct ks_set *named(struct cox_arena *arena, const struct ks_set *set,
			    const struct cox_schema_type *type)
{
	return ks_set_with_named(arena, set, type);
}

/* Takes out of merged what the applier owned before and no longer names, unless somebody else owns
 * it, and then puts back what went with it although the applier never owned it. */
static const struct cox_node *prune(struct cox_arena *arena, struct cox_doc *doc,
				    const struct ks_managers *managers, const struct ks_set *last,
				    const struct cox_node *merged,
				    const struct cox_schema_type *type)
{
	if (!last || ks_set_is_empty(last))
		return merged;
	struct ks_set *owned = ks_set_new(arena);
	for (size_t i = 0; i < managers->n; i++)
		owned = ks_set_union(arena, owned, managers->items[i].set);

	const struct ks_set *last_named = named(arena, last, type);
	const struct ks_set *merged_set = named(arena, ks_typed_fields(arena, merged, type), type);
	const struct cox_node *pruned = ks_typed_remove(arena, doc, merged, last_named, type);

	struct ks_set *keep = named(arena, ks_typed_fields(arena, pruned, type), type);
	keep = ks_set_union(arena, keep, named(arena, owned, type));
	pruned = ks_typed_remove(arena, doc, merged, ks_set_difference(arena, merged_set, keep),
				 type);

	const struct ks_set *pruned_set = named(arena, ks_typed_fields(arena, pruned, type), type);
	const struct ks_set *gone = ks_set_difference(arena, merged_set, pruned_set);
	gone = ks_set_intersection(arena, gone, last_named);
	return ks_typed_remove(arena, doc, merged, gone, type);
}

struct conflict_walk {
	struct cox_arena *arena;
	struct ks_conflicts *out;
	const struct ks_manager *manager;
};

static void conflict_add(void *ctx, const struct ks_path *path)
{
	struct conflict_walk *w = ctx;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	ks_path_write(&text, path);
	if (w->out->n == w->out->cap) {
		size_t cap = w->out->cap ? w->out->cap * 2 : 8;
		struct ks_conflict *items = cox_arena_alloc(w->arena, cap * sizeof(*items));
		if (w->out->n)
			memcpy(items, w->out->items, w->out->n * sizeof(*items));
		w->out->items = items;
		w->out->cap = cap;
	}
	w->out->items[w->out->n++] = (struct ks_conflict){
		.manager = w->manager, .path = cox_arena_strndup(w->arena, text.ptr, text.len)};
}

static void find_conflicts(struct cox_arena *arena, const struct ks_managers *managers,
			   const struct ks_manager *self, const struct ks_comparison *c,
			   const struct ks_writer *writer, struct ks_conflicts *out)
{
	struct ks_set *changed = ks_set_union(arena, c->modified, c->added);

	if (writer->reset)
		changed = ks_set_recursive_difference(arena, changed, writer->reset);
	for (size_t i = 0; i < managers->n; i++) {
		struct conflict_walk walk = {
			.arena = arena, .out = out, .manager = &managers->items[i]};
		if (&managers->items[i] != self)
			ks_set_each(ks_set_intersection(arena, managers->items[i].set, changed),
				    conflict_add, &walk);
	}
}

int ks_managers_apply(struct cox_arena *arena, struct cox_doc *doc, struct ks_managers *managers,
		      const struct cox_node *live, const struct cox_node *config,
		      const struct cox_schema_type *type, const struct ks_writer *writer,
		      const struct cox_node **ret_merged, struct ks_conflicts *ret_conflicts)
{
	struct ks_manager *self = find(managers, OP_APPLY, writer);
	struct ks_set *last = self ? self->set : NULL;

	const struct cox_node *merged = ks_typed_merge(arena, doc, live, config, type);
	struct ks_set *set = ks_typed_fields(arena, config, type);
	if (writer->reset)
		set = ks_set_recursive_difference(arena, set, writer->reset);
	self = find_or_add(arena, managers, OP_APPLY, writer);
	self->set = set;
	merged = prune(arena, doc, managers, last, merged, type);

	struct ks_comparison c = ks_typed_compare(arena, live, merged, type);
	struct ks_conflicts conflicts = {0};
	if (!writer->force)
		find_conflicts(arena, managers, self, &c, writer, &conflicts);
	if (conflicts.n) {
		*ret_conflicts = conflicts;
		return 1;
	}
	others_lose(arena, managers, self, &c, writer);
	self->set = without_identity(arena, self->set);
	/* an apply that changes no value keeps its time, or has none */
	if (!ks_set_is_empty(c.added) || !ks_set_is_empty(c.modified) ||
	    !ks_set_is_empty(c.removed))
		self->time = writer->now;
	managers_drop_empty(managers);
	*ret_merged = merged;
	return 0;
}

void ks_manager_describe(struct cox_buf *out, const struct ks_manager *manager)
{
	cox_buf_printf(out, "\"%s\"", manager->name);
	if (*manager->subresource)
		cox_buf_printf(out, " with subresource \"%s\"", manager->subresource);
	if (cox_streq(manager->operation, OP_UPDATE))
		cox_buf_printf(out, " using %s", manager->api_version);
}
