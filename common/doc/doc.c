#include "common/doc/internal.h"

#include <pthread.h>

/* Ids of documents: taken from the free ones, else the next. */
static struct {
	pthread_mutex_t lock;
	uint32_t last;
	COX_VEC(uint32_t) free;
} ids = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t take_id(void)
{
	uint32_t id;

	pthread_mutex_lock(&ids.lock);
	if (!ids.last)
		doc_make_usual_keys();
	id = ids.free.n ? ids.free.items[--ids.free.n] : ++ids.last;
	pthread_mutex_unlock(&ids.lock);
	COX_ASSERT(id != 0);
	return id;
}

static void give_id(uint32_t id)
{
	pthread_mutex_lock(&ids.lock);
	cox_vec_push(&ids.free, id);
	pthread_mutex_unlock(&ids.lock);
}

static struct cox_doc *doc_init(struct cox_doc *doc, const char *name)
{
	atomic_init(&doc->refs, 1);
	doc->id = take_id();
	doc->name = name ? cox_arena_strndup(&doc->arena, name, strlen(name)) : "document";
	return doc;
}

struct cox_doc *cox_doc_new(const char *name)
{
	return doc_init(cox_new(struct cox_doc), name);
}

struct cox_doc *cox_doc_edit(struct cox_doc *base)
{
	struct cox_doc *doc = cox_doc_new(NULL);

	COX_ASSERT(base->sealed);
	cox_doc_use(doc, base);
	doc->name = base->name;
	doc->root = base->root;
	return doc;
}

struct cox_doc *cox_doc_view(struct cox_doc *base, const struct cox_node *node)
{
	struct cox_doc *doc = cox_doc_edit(base);

	doc->root = node;
	return cox_doc_seal(doc);
}

struct cox_doc *cox_doc_ref(struct cox_doc *doc)
{
	atomic_fetch_add_explicit(&doc->refs, 1, memory_order_relaxed);
	return doc;
}

/* Whether that was the last reference. */
static bool drop(struct cox_doc *doc)
{
	/* One operation instead of a fence, which the thread sanitizer does not know. */
	return atomic_fetch_sub_explicit(&doc->refs, 1, memory_order_acq_rel) == 1;
}

/* A document that was edited a hundred thousand times is a chain of as many: freed by a list, not
 * by recursion. */
void cox_doc_unref(struct cox_doc *doc)
{
	struct cox_doc *dead;

	if (!doc || !drop(doc))
		return;
	doc->next_dead = NULL;
	for (dead = doc; dead;) {
		struct cox_doc *now = dead;

		dead = now->next_dead;
		COX_VEC_EACH (&now->uses, used) {
			if (!drop(*used))
				continue;
			(*used)->next_dead = dead;
			dead = *used;
		}
		cox_vec_fini(&now->uses);
		doc_keys_fini(&now->keys);
		cox_arena_fini(&now->arena);
		give_id(now->id);
		free(now);
	}
}

struct cox_doc *cox_doc_seal(struct cox_doc *doc)
{
	if (doc->sealed)
		return doc;
	doc_keys_fini(&doc->keys);
	doc->sealed = true;
	return doc;
}

const char *cox_doc_name(const struct cox_doc *doc)
{
	return doc->name;
}

const struct cox_node *cox_doc_root(const struct cox_doc *doc)
{
	return doc ? doc->root : NULL;
}

void cox_doc_set_root(struct cox_doc *doc, const struct cox_node *node)
{
	COX_ASSERT(!doc->sealed);
	doc->root = node;
}

void cox_doc_charge(struct cox_doc *doc, struct cox_account *account)
{
	if (account && !doc->arena.account)
		cox_arena_charge(&doc->arena, account);
}

size_t cox_doc_size(const struct cox_doc *doc)
{
	return sizeof(*doc) + doc->arena.used;
}

void cox_doc_use(struct cox_doc *doc, struct cox_doc *other)
{
	size_t n = doc->uses.n;

	COX_ASSERT(!doc->sealed);
	if (doc == other)
		return;
	cox_doc_charge(doc, other->arena.account);
	/* The same one is mostly named several times in a row; a reference too many costs little.
	 */
	for (size_t i = n; i > 0 && i + 8 > n; i--)
		if (doc->uses.items[i - 1] == other)
			return;
	cox_vec_push(&doc->uses, cox_doc_ref(other));
}

void cox_docs_fini(cox_docs *docs)
{
	COX_VEC_EACH (docs, doc)
		cox_doc_unref(*doc);
	cox_vec_fini(docs);
}

/* ---- a copy in memory of its own size ---- */

struct measure {
	struct doc_keys keys; /* the foreign keys at first, our copies of them then */
	size_t bytes;
};

static size_t round8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static void measure(struct measure *m, const struct cox_node *n)
{
	m->bytes += sizeof(*n);
	switch (n->kind) {
	case COX_STRING:
		m->bytes += n->len > DOC_INLINE_TEXT ? round8((size_t)n->len + 1) : 0;
		break;
	case COX_INT:
	case COX_FLOAT:
		m->bytes += n->len > DOC_INLINE_NUMBER ? round8((size_t)n->len + 1) : 0;
		break;
	case COX_LIST:
		m->bytes += n->len * sizeof(void *);
		for (uint32_t i = 0; i < n->len; i++)
			measure(m, n->body.list.items[i]);
		break;
	case COX_MAP:
		m->bytes += doc_map_bytes(n->len);
		for (uint32_t i = 0; i < n->len; i++) {
			const struct doc_entry *e = &n->body.map.entries[i];

			if (!doc_key_is_usual(e->key) && doc_keys_add(&m->keys, e->key) == e->key)
				m->bytes += round8(sizeof(*e->key) + e->key->len + 1);
			measure(m, e->value);
		}
		break;
	default:
		break;
	}
}

struct cox_doc *cox_doc_copy(const char *name, const struct cox_node *node)
{
	struct measure m = {.bytes = name ? round8(strlen(name) + 1) : 0};
	struct cox_doc *doc = cox_new(struct cox_doc);

	if (node)
		measure(&m, node);
	cox_arena_reserve(&doc->arena, m.bytes);
	doc_init(doc, name);
	doc->keys = m.keys;
	for (uint32_t i = 0; i < doc->keys.n_slots; i++) {
		const struct doc_key *theirs = doc->keys.slots[i];
		size_t size;

		if (!theirs)
			continue;
		size = sizeof(*theirs) + theirs->len + 1;
		doc->keys.slots[i] = memcpy(doc_alloc(doc, size), theirs, size);
	}
	if (node)
		doc->root = cox_doc_clone(doc, node);
	return cox_doc_seal(doc);
}
