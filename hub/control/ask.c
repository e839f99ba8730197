/* An Application rendered at another revision than it says, for one question: a sync to a revision,
 * a difference. The question follows the repositories as an Application would, under a key that no
 * Application can have, and ends when there is a bundle, an error, or no time left. */
#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "common/doc/json.h"
#include "hub/control/made.h"
#include "hub/render/bundle.h"

#include <inttypes.h>

#define ASK_MS (2 * 60 * 1000)

struct control_ask {
	struct control_app *app; /* owned */
	struct cox_timer deadline;
	hub_control_answer *done;
	void *arg;
};

struct control_app *control_ask_app(struct hub_control *c, const char *key)
{
	const struct control_ask *ask = cox_map_get(&c->asks, key);

	return ask ? ask->app : NULL;
}

static void ask_free(struct control_ask *ask)
{
	cox_timer_stop(&ask->deadline);
	control_app_free(ask->app);
	free(ask);
}

static void answer(struct control_ask *ask, const struct hub_bundle_at *bundle,
		   const struct cox_error *err)
{
	struct hub_control *c = ask->app->control;

	cox_map_remove(&c->asks, ask->app->key);
	ask->done(ask->arg, bundle, err);
	ask_free(ask);
}

static void late(void *arg)
{
	struct control_ask *ask = arg;
	struct cox_error err;

	(void)cox_error(&err, COX_DEADLINE_EXCEEDED,
			"the repository, or its rendering, takes too long");
	answer(ask, NULL, &err);
}

void control_asks_end(struct hub_control *c)
{
	struct cox_error err;

	(void)cox_error(&err, COX_UNAVAILABLE, "the hub is stopping");
	while (c->asks.n)
		COX_MAP_EACH (&c->asks, slot) {
			answer(slot->value, NULL, &err);
			break;
		}
	cox_map_fini(&c->asks);
}

static struct cox_doc *sources_of(const struct control_app *a)
{
	struct cox_doc *doc = cox_doc_new("sources");
	struct cox_node *list = cox_doc_list(doc);

	COX_VEC_EACH (&a->view.sources, s)
		cox_list_push(doc, list, cox_doc_clone(doc, s->node));
	cox_doc_set_root(doc, list);
	return cox_doc_seal(doc);
}

static void answer_rendered(struct control_ask *ask)
{
	const struct control_rendered *r = &ask->app->rendered;
	_cleanup_doc_ struct cox_doc *sources = sources_of(ask->app);
	struct hub_bundle_at bundle = {
		.sources = sources, .commits = &r->commits, .n_objects = r->n_objects};
	struct cox_error err;

	if (r->error) {
		(void)cox_error(&err, COX_FAILED_PRECONDITION, "%s", r->error);
		answer(ask, NULL, &err);
		return;
	}
	memcpy(bundle.digest, r->digest, sizeof(bundle.digest));
	bundle.revision = r->revision;
	answer(ask, &bundle, NULL);
}

enum cox_queue_result control_look_at_ask(struct hub_control *c, struct control_app *a)
{
	struct cox_error err = COX_ERROR_INIT;
	int r;

	if (c->stopping || a->job)
		return COX_QUEUE_OK;
	if (control_render_is_current(a)) {
		answer_rendered(a->ask);
		return COX_QUEUE_OK;
	}
	if (control_app_repo_error(a)) {
		(void)cox_error(&err, COX_FAILED_PRECONDITION, "%s", control_app_repo_error(a));
		answer(a->ask, NULL, &err);
		return COX_QUEUE_OK;
	}
	if (!control_app_may_render(a))
		return COX_QUEUE_OK;
	r = control_render_start(a, &err);
	if (r < 0)
		answer(a->ask, NULL, &err);
	else if (r > 0)
		answer_rendered(a->ask);
	return COX_QUEUE_OK;
}

/* The Application with these revisions; NULL where nothing else is said. */
static struct cox_doc *at_revisions(const struct control_app *a, const char *const *revisions)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(a->view.doc);
	struct cox_node *root = cox_doc_root_edit(doc);
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < a->view.sources.n; i++) {
		struct cox_node *source;

		cox_list_push(doc, list, a->view.sources.items[i].node);
		source = cox_list_edit(doc, list, i);
		if (revisions[i])
			cox_map_put_cstr(doc, source, "targetRevision", revisions[i]);
	}
	cox_map_drop(doc, spec, COX_STR("source"));
	cox_map_drop(doc, spec, COX_STR("sourceHydrator"));
	cox_map_put(doc, spec, "sources", list);
	return cox_doc_copy(a->key, root);
}

#define SOURCES_MAX 100

static int revisions_of(const struct control_app *a, const struct cox_node *which,
			const char *revisions[SOURCES_MAX], struct cox_error *err)
{
	const struct cox_node *list = cox_node_get(which, "revisions");
	const struct cox_node *positions = cox_node_get(which, "sourcePositions");
	const char *one = cox_node_cstr(cox_node_get(which, "revision"), "");
	size_t n = a->view.sources.n;

	if (n > SOURCES_MAX)
		return cox_error(err, COX_UNIMPLEMENTED, "more than %d sources", SOURCES_MAX);
	if (*one && n > 1)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "application '%s' has %zu sources: give revisions with "
				 "sourcePositions",
				 a->key, n);
	if (cox_node_len(list) != cox_node_len(positions))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "revisions and sourcePositions: as many of one as of the other");
	if (*one)
		revisions[0] = one;
	for (size_t i = 0; i < cox_node_len(list); i++) {
		int64_t at = cox_node_int(cox_node_at(positions, i), 0);

		if (at < 1 || (size_t)at > n)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "sourcePositions[%zu]: from 1 to %zu", i, n);
		revisions[at - 1] = cox_node_cstr(cox_node_at(list, i), "");
	}
	return 0;
}

/* What doc renders to, in the place of a. */
static int ask(const struct control_app *a, struct cox_doc *doc, bool apart,
	       hub_control_answer *done, void *arg, struct control_ask **ret_ask,
	       struct cox_error *err)
{
	struct hub_control *c = a->control;
	_cleanup_free_ char *key = cox_asprintf("?%" PRIu64, ++c->n_asks);
	struct control_ask *q = cox_new(struct control_ask);
	int r;

	q->done = done;
	q->arg = arg;
	q->app = control_app_new(c, key);
	q->app->ask = q;
	q->app->apart = apart;
	q->app->generation = 1;
	q->app->cluster = cox_strdup(a->cluster);
	r = hub_application_init(&q->app->view, doc, err);
	if (r < 0) {
		ask_free(q);
		return r;
	}
	q->app->has_view = true;
	cox_timer_init(&q->deadline, c->loop, late, q);
	cox_timer_start(&q->deadline, ASK_MS);
	cox_map_set(&c->asks, key, q);
	control_app_follow(q->app);
	cox_queue_add(c->apps, key);
	*ret_ask = q;
	return 0;
}

int hub_control_ask(struct hub_control *c, const char *namespace, const char *name,
		    const struct cox_node *which, hub_control_answer *done, void *arg,
		    struct control_ask **ret_ask, struct cox_error *err)
{
	const char *revisions[SOURCES_MAX] = {NULL};
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct control_app *a = NULL;
	int r = control_find(c, namespace, name, &a, err);

	if (r == 0)
		r = control_check_ready(a, err);
	if (r == 0)
		r = revisions_of(a, which, revisions, err);
	if (r < 0)
		return r;
	doc = at_revisions(a, revisions);
	return ask(a, doc, false, done, arg, ret_ask, err);
}

int control_ask_about(const struct control_app *a, const char *revision, struct control_made *made,
		      hub_control_answer *done, void *arg, struct control_ask **ret_ask,
		      struct cox_error *err)
{
	const char *revisions[SOURCES_MAX] = {revision};
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int r;

	if (revision && a->view.sources.n > 1)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "application '%s' has %zu sources: of which one the revision is, "
				 "nobody can say",
				 a->key, a->view.sources.n);
	doc = revision ? at_revisions(a, revisions) : cox_doc_ref(a->view.doc);
	r = ask(a, doc, true, done, arg, ret_ask, err);
	/* what was made for it before may still be what it makes */
	if (r == 0)
		(*ret_ask)->app->rendered.made = control_made_ref(made);
	return r;
}

void hub_control_ask_cancel(struct control_ask *ask)
{
	cox_map_remove(&ask->app->control->asks, ask->app->key);
	ask_free(ask);
}

/* ---- bundles of other origins ---- */

void control_bundle_keep(struct hub_control *c, const uint8_t digest[HUB_DIGEST_BYTES],
			 struct cox_str row)
{
	char hex[2 * HUB_DIGEST_BYTES + 1];
	struct hub_batch *batch;

	cox_hex_encode(digest, HUB_DIGEST_BYTES, hex);
	if (cox_map_has(&c->bundles, hex))
		return;
	batch = hub_batch_new();
	hub_batch_put(batch, HUB_TABLE_BUNDLE, hex, row);
	/* Whatever names the bundle is committed behind it. */
	hub_store_commit(c->store, batch);
	cox_map_set(&c->bundles, hex, c);
}

static int read_manifests(struct cox_doc *body, const struct cox_node *list, cox_docs *ret,
			  struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i), *root;
		struct cox_doc *doc = NULL;
		int r = 0;

		if (cox_node_is(item, COX_MAP))
			doc = cox_doc_view(body, item);
		else
			r = cox_json_read(cox_node_str(item), "manifests", &doc, err);
		if (r < 0)
			return r;
		cox_vec_push(ret, doc);
		root = cox_doc_root(doc);
		if (!*cox_node_cstr(cox_node_get(root, "kind"), "") ||
		    !*cox_node_cstr(cox_node_get(root, "apiVersion"), ""))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "manifests[%zu]: needs an apiVersion and a kind", i);
	}
	return 0;
}

int hub_control_local(struct hub_control *c, struct cox_doc *doc, const struct cox_node *manifests,
		      uint8_t ret_digest[HUB_DIGEST_BYTES], struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT, row = COX_BUF_INIT;
	_cleanup_docs_ cox_docs objects = {0};
	int r = read_manifests(doc, manifests, &objects, err);

	if (r == 0)
		r = hub_bundle_build(&objects, &json, NULL, err);
	if (r < 0)
		return r;
	cox_sha256(cox_buf_str(&json), ret_digest);
	hub_bundle_pack(cox_buf_str(&json), &row);
	control_bundle_keep(c, ret_digest, cox_buf_str(&row));
	return 0;
}
