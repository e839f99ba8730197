#include "tests/kubesim/write.h"

#include "common/base/clock.h"
#include "common/kube/meta.h"
#include "tests/kubesim/defaults.h"
#include "tests/kubesim/normal.h"

#include <stdio.h>

void ks_ctx_init(struct ks_ctx *ctx, struct kubesim *sim, struct ks_kind *kind, const char *ns,
		 const char *name)
{
	*ctx = (struct ks_ctx){.sim = sim, .kind = kind, .sub = "", .manager = "unknown"};
	ctx->ns = ns ? cox_arena_strndup(&ctx->arena, ns, strlen(ns)) : NULL;
	ctx->name = name ? cox_arena_strndup(&ctx->arena, name, strlen(name)) : NULL;
}

void ks_ctx_fini(struct ks_ctx *ctx)
{
	cox_arena_fini(&ctx->arena);
	cox_strings_fini(&ctx->warnings);
}

const char *ks_text(struct ks_ctx *ctx, struct cox_str s)
{
	return cox_arena_strndup(&ctx->arena, s.ptr ? s.ptr : "", s.len);
}

const char *ks_now(struct ks_ctx *ctx)
{
	char text[COX_TIME_TEXT_MAX];

	cox_time_format(ctx->sim->now_ms, text);
	return cox_arena_strndup(&ctx->arena, text, strlen(text));
}

void ks_uuid(struct kubesim *sim, char ret_text[COX_UUID_TEXT])
{
	uint64_t a = cox_rng_next(&sim->rng), b = cox_rng_next(&sim->rng);

	snprintf(ret_text, COX_UUID_TEXT, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
		 (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
		 0x8000u | ((unsigned)(b >> 48) & 0x3fff),
		 (unsigned long long)(b & 0xffffffffffffull));
}

void ks_suffix(struct kubesim *sim, char *ret_text, size_t n)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";

	for (size_t i = 0; i < n; i++)
		ret_text[i] = letters[cox_rng_below(&sim->rng, sizeof(letters) - 1)];
	ret_text[n] = 0;
}

static struct ks_reply no_reply(void)
{
	return (struct ks_reply){0};
}

/* ---- decoding ---- */

static struct ks_reply unknown_fields(struct ks_ctx *ctx, const struct ks_normal *normal)
{
	const char *kind = ctx->kind->names.kind;

	if (!normal->unknown.n || ctx->validation == KS_VALIDATE_IGNORE)
		return no_reply();
	if (ctx->validation == KS_VALIDATE_WARN) {
		for (size_t i = 0; i < normal->unknown.n; i++)
			cox_vec_push(&ctx->warnings, cox_asprintf("unknown field \"%s\"",
								  normal->unknown.items[i]));
		return no_reply();
	}
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	for (size_t i = 0; i < normal->unknown.n; i++)
		cox_buf_printf(&text, "%sunknown field \"%s\"", i ? ", " : "",
			       normal->unknown.items[i]);
	return ks_fail(400, "BadRequest",
		       "%s in version \"%s\" cannot be handled as a %s: strict decoding error: %s",
		       kind, ctx->kind->version, kind, text.ptr);
}

static struct ks_reply normalize(struct ks_ctx *ctx, struct cox_doc *doc,
				 const struct cox_node *body, struct cox_node **ret_root)
{
	_cleanup_normal_ struct ks_normal normal = {.doc = doc, .custom = ctx->kind->custom};
	const struct cox_node *node;
	struct cox_error err;

	normal.struct_name = ctx->kind->names.kind;
	if (ks_normal(&normal, body, ctx->kind->type, &node, &err) < 0)
		return ks_fail(400, "BadRequest",
			       "%s in version \"%s\" cannot be handled as a %s: %s",
			       ctx->kind->names.kind, ctx->kind->version, ctx->kind->names.kind,
			       err.message);
	struct ks_reply reply = unknown_fields(ctx, &normal);
	if (!reply.status)
		*ret_root = (struct cox_node *)node;
	return reply;
}

struct ks_reply ks_decode(struct ks_ctx *ctx, struct cox_doc *doc, const struct cox_node *body,
			  struct cox_node **ret_root)
{
	const struct ks_kind *kind = ctx->kind;
	struct cox_str api_version = cox_meta_api_version(body);
	struct cox_str name = cox_meta_kind(body);
	struct cox_node *root;

	if (name.len && !cox_str_is(name, kind->names.kind))
		return ks_fail(400, "BadRequest",
			       "%.*s in version \"%s\" cannot be handled as a %s: converting "
			       "(%s.%.*s) to (core.%s): unknown conversion",
			       COX_STR_ARG(name), kind->version, kind->names.kind, kind->version,
			       COX_STR_ARG(name), kind->names.kind);
	if (api_version.len && !cox_str_is(api_version, kind->api_version))
		return ks_fail(400, "BadRequest",
			       "the API version in the data (%.*s) does not match the expected API "
			       "version (%s)",
			       COX_STR_ARG(api_version), kind->api_version);
	struct ks_reply reply = normalize(ctx, doc, body, &root);
	if (reply.status)
		return reply;
	cox_map_put_cstr(doc, root, "apiVersion", kind->api_version);
	cox_map_put_cstr(doc, root, "kind", kind->names.kind);
	ks_default(doc, root, kind);
	cox_doc_set_root(doc, root);
	*ret_root = root;
	return reply;
}

/* The object that nobody has said anything about. */
static struct cox_node *empty_object(struct ks_ctx *ctx, struct cox_doc *doc)
{
	struct cox_node *root = cox_doc_map(doc);

	if (!ctx->kind->custom) {
		struct ks_reply reply = normalize(ctx, doc, NULL, &root);
		cox_doc_unref(reply.body);
	}
	return root;
}

struct cox_node *ks_plain(struct ks_ctx *ctx, struct cox_doc *doc, const struct cox_node *object,
			  struct ks_managers *ret_managers)
{
	struct cox_node *root = cox_doc_clone(doc, object);

	if (ret_managers)
		*ret_managers = ks_managers_read(&ctx->arena, object);
	cox_map_drop(doc, cox_map_edit_map(doc, root, "metadata"), COX_STR("managedFields"));
	cox_map_put_cstr(doc, root, "apiVersion", ctx->kind->api_version);
	return root;
}

/* What this endpoint never owns. */
static const struct ks_set *reset_fields(struct ks_ctx *ctx)
{
	struct ks_set *set = ks_set_new(&ctx->arena);

	if (cox_streq(ctx->sub, "status")) {
		ks_set_put(&ctx->arena, set, "f:spec", NULL);
		ks_set_put(&ctx->arena, set, "f:metadata", "f:labels", NULL);
		if (ctx->kind->custom)
			ks_set_put(&ctx->arena, set, "f:metadata", NULL);
	} else if (ctx->kind->flags & KS_STATUS) {
		ks_set_put(&ctx->arena, set, "f:status", NULL);
	}
	return set;
}

static struct ks_writer writer_of(struct ks_ctx *ctx)
{
	return (struct ks_writer){.name = ctx->manager,
				  .api_version = ctx->kind->api_version,
				  .subresource = ctx->sub,
				  .now = ks_now(ctx),
				  .reset = reset_fields(ctx),
				  .force = ctx->force};
}

/* ---- checks that every write has ---- */

static struct ks_reply check_place(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	struct cox_str name = cox_meta_name(root), ns = cox_meta_namespace(root);

	if (ctx->name && name.len && !cox_str_is(name, ctx->name))
		return ks_fail(
			400, "BadRequest",
			"the name of the object (%.*s) does not match the name on the URL (%s)",
			COX_STR_ARG(name), ctx->name);
	if (ctx->ns && ns.len && !cox_str_is(ns, ctx->ns))
		return ks_fail(400, "BadRequest",
			       "the namespace of the provided object does not match the namespace "
			       "sent on the request");
	if (ctx->name)
		cox_map_put_cstr(doc, metadata, "name", ctx->name);
	if (ctx->ns)
		cox_map_put_cstr(doc, metadata, "namespace", ctx->ns);
	else
		cox_map_drop(doc, metadata, COX_STR("namespace"));
	return no_reply();
}

static struct ks_reply check_namespace(struct ks_ctx *ctx, const char *name)
{
	struct ks_shelf *shelf = ks_store_shelf(&ctx->sim->store, "", "namespaces");
	const struct ks_names names = {"", "Namespace", "namespaces"};
	_cleanup_causes_ struct ks_causes causes = {0};

	if (!ctx->ns)
		return no_reply();
	struct ks_object *o = ks_shelf_get(shelf, NULL, ctx->ns);
	if (!o)
		return ks_fail_not_found(&names, ctx->ns);
	if (!cox_meta_is_deleting(cox_doc_root(o->doc)))
		return no_reply();
	const struct ks_names *own = &ctx->kind->names;
	ks_cause_add(&causes, "NamespaceTerminating", "metadata.namespace",
		     "namespace %s is being terminated", ctx->ns);
	return ks_fail_named(
		403, "Forbidden", own, own->resource, name, &causes,
		"%s%s%s \"%s\" is forbidden: unable to create new content in namespace "
		"%s because it is being terminated",
		own->resource, *own->group ? "." : "", own->group, name, ctx->ns);
}

static void put_managers(struct cox_doc *doc, struct cox_node *root, struct ks_managers *managers)
{
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	struct cox_node *list = ks_managers_write(doc, managers);

	if (list)
		cox_map_put(doc, metadata, "managedFields", list);
	else
		cox_map_drop(doc, metadata, COX_STR("managedFields"));
}

static struct ks_reply refused(struct ks_ctx *ctx, const struct cox_node *root,
			       const struct cox_node *before)
{
	_cleanup_causes_ struct ks_causes causes = {0};

	ks_validate(ctx, root, before, &causes);
	if (!causes.n)
		return no_reply();
	return ks_fail_invalid(&ctx->kind->names, ks_text(ctx, cox_meta_name(root)), &causes);
}

/* The version of the kind that objects are stored in. */
static void store_version(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	cox_map_put_cstr(doc, root, "apiVersion", ctx->kind->storage_version);
}

/* ---- create ---- */

static struct ks_reply create(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root,
			      struct ks_managers *managers)
{
	struct ks_kind *kind = ctx->kind;
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	struct cox_str prefix = cox_meta_generate_name(root);
	char uid[COX_UUID_TEXT], suffix[6];

	struct ks_reply reply = check_namespace(ctx, ks_text(ctx, cox_meta_name(root)));
	if (reply.status)
		return reply;
	if (!cox_meta_name(root).len && prefix.len) {
		ks_suffix(ctx->sim, suffix, 5);
		cox_map_put(doc, metadata, "name",
			    cox_doc_stringf(doc, "%.*s%s", COX_STR_ARG(prefix), suffix));
	}
	ks_uuid(ctx->sim, uid);
	cox_map_put_cstr(doc, metadata, "uid", uid);
	cox_map_put_cstr(doc, metadata, "creationTimestamp", ks_now(ctx));
	cox_map_drop(doc, metadata, COX_STR("resourceVersion"));
	cox_map_drop(doc, metadata, COX_STR("deletionTimestamp"));
	cox_map_drop(doc, metadata, COX_STR("deletionGracePeriodSeconds"));
	cox_map_drop(doc, metadata, COX_STR("generation"));
	if (kind->flags & KS_GENERATION)
		cox_map_put_int(doc, metadata, "generation", 1);
	ks_prepare_create(ctx, doc, root);
	put_managers(doc, root, managers);
	reply = refused(ctx, root, NULL);
	if (reply.status)
		return reply;
	const char *name = ks_text(ctx, cox_meta_name(root));
	if (ks_shelf_get(kind->shelf, ctx->ns, name))
		return ks_fail_exists(&kind->names, name);
	if (ctx->dry_run)
		return ks_ok(201, cox_doc_copy(NULL, root));
	store_version(ctx, doc, root);
	return ks_ok(201, cox_doc_ref(ks_store_put(&ctx->sim->store, kind->shelf, root)));
}

struct ks_reply ks_create(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	struct ks_managers managers = {0};
	struct ks_reply reply = check_place(ctx, doc, root);

	if (reply.status)
		return reply;
	cox_map_drop(doc, cox_map_edit_map(doc, root, "metadata"), COX_STR("managedFields"));
	struct ks_writer writer = writer_of(ctx);
	ks_managers_update(&ctx->arena, &managers, empty_object(ctx, doc), root, ctx->kind->type,
			   &writer);
	return create(ctx, doc, root, &managers);
}

/* ---- update ---- */

static void carry(struct cox_doc *doc, struct cox_node *metadata, const struct cox_node *live,
		  const char *key)
{
	const struct cox_node *value = COX_GET(live, "metadata", key);

	if (value)
		cox_map_put(doc, metadata, key, cox_doc_clone(doc, value));
	else
		cox_map_drop(doc, metadata, cox_str(key));
}

/* Whether anything but metadata and status differs. */
static bool spec_changed(const struct ks_kind *kind, const struct cox_node *a,
			 const struct cox_node *b)
{
	const struct cox_node *sides[] = {a, b};

	for (size_t s = 0; s < 2; s++)
		COX_DOC_MAP_EACH (sides[s], i, key, value) {
			if (cox_str_is(key, "metadata") || cox_str_is(key, "apiVersion") ||
			    (cox_str_is(key, "status") && (kind->flags & KS_STATUS)))
				continue;
			if (!cox_node_equal(value, cox_node_get_str(sides[1 - s], key)))
				return true;
		}
	return cox_streq(kind->names.kind, "Deployment") &&
	       !cox_node_equal(cox_meta_annotations(a), cox_meta_annotations(b));
}

static struct ks_reply check_preconditions(struct ks_ctx *ctx, const struct cox_node *root,
					   const struct cox_node *live)
{
	struct cox_str rv = cox_meta_resource_version(root), uid = cox_meta_uid(root);

	if (uid.len && !cox_str_eq(uid, cox_meta_uid(live))) {
		_cleanup_free_ char *text = cox_asprintf(
			"Precondition failed: UID in precondition: %.*s, UID in object meta: %.*s",
			COX_STR_ARG(uid), COX_STR_ARG(cox_meta_uid(live)));
		return ks_fail_conflict(&ctx->kind->names, ctx->name, text);
	}
	if (rv.len && !cox_str_is(rv, "0") && !cox_str_eq(rv, cox_meta_resource_version(live)))
		return ks_fail_conflict(
			&ctx->kind->names, ctx->name,
			"the object has been modified; please apply your changes to "
			"the latest version and try again");
	return no_reply();
}

static struct ks_reply check_finalizers(struct ks_ctx *ctx, const struct cox_node *root,
					const struct cox_node *live)
{
	_cleanup_causes_ struct ks_causes causes = {0};
	_cleanup_buf_ struct cox_buf list = COX_BUF_INIT;

	if (!cox_meta_is_deleting(live))
		return no_reply();
	COX_DOC_LIST_EACH (cox_meta_finalizers(root), i, f) {
		const char *text = cox_node_cstr(f, "");
		if (!cox_meta_has_finalizer(live, text))
			cox_buf_printf(&list, "%s\"%s\"", list.len ? ", " : "", text);
	}
	if (!list.len)
		return no_reply();
	/* the API server checks it twice, and says so */
	for (int twice = 0; twice < 2; twice++)
		ks_cause_add(&causes, "FieldValueForbidden", "metadata.finalizers",
			     "Forbidden: no new finalizers can be added if the object is being "
			     "deleted, found new finalizers []string{%s}",
			     list.ptr);
	return ks_fail_invalid(&ctx->kind->names, ctx->name, &causes);
}

/* The object is gone now: what is returned is its last state, with the version that it had. */
static struct ks_reply finalized(struct ks_ctx *ctx, const struct cox_node *root,
				 struct ks_object *o)
{
	struct cox_doc *last = cox_doc_copy(NULL, root);

	if (!ctx->dry_run)
		ks_store_delete(&ctx->sim->store, ctx->kind->shelf, o->key);
	return ks_ok(200, last);
}

static bool is_finished(const struct ks_ctx *ctx, const struct cox_node *root)
{
	if (!cox_meta_is_deleting(root) || cox_node_len(cox_meta_finalizers(root)))
		return false;
	if (cox_streq(ctx->kind->names.kind, "Namespace") && !*ctx->kind->names.group)
		return !cox_node_len(COX_GET(root, "spec", "finalizers"));
	return cox_node_int(COX_GET(root, "metadata", "deletionGracePeriodSeconds"), 0) == 0;
}

/* Equal but for managedFields. */
static bool same_but_managers(struct ks_ctx *ctx, const struct cox_node *a,
			      const struct cox_node *b)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("compare");

	return cox_node_equal(ks_plain(ctx, doc, a, NULL), ks_plain(ctx, doc, b, NULL));
}

static struct ks_reply update(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root,
			      struct ks_object *o, struct ks_managers *managers)
{
	const struct cox_node *live = cox_doc_root(o->doc);
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	static const char *const carried[] = {"uid",
					      "creationTimestamp",
					      "deletionTimestamp",
					      "deletionGracePeriodSeconds",
					      "generation",
					      "generateName",
					      "selfLink",
					      "resourceVersion"};

	struct ks_reply reply = check_preconditions(ctx, root, live);
	if (reply.status)
		return reply;
	for (size_t i = 0; i < COX_ARRAY_LEN(carried); i++)
		carry(doc, metadata, live, carried[i]);
	ks_prepare_update(ctx, doc, root, live);
	cox_map_put(doc, root, "apiVersion", cox_doc_clone(doc, cox_node_get(live, "apiVersion")));
	if ((ctx->kind->flags & KS_GENERATION) && !cox_streq(ctx->sub, "status") &&
	    spec_changed(ctx->kind, root, live))
		cox_map_put_int(doc, metadata, "generation", cox_meta_generation(live) + 1);
	reply = check_finalizers(ctx, root, live);
	if (!reply.status)
		reply = refused(ctx, root, live);
	if (reply.status)
		return reply;
	struct ks_managers old = ks_managers_read(&ctx->arena, live);
	bool same = same_but_managers(ctx, root, live);
	if (same && ks_managers_equal(&old, managers))
		return ks_ok(200, cox_doc_ref(o->doc));
	put_managers(doc, root, managers);
	if (is_finished(ctx, root))
		return finalized(ctx, root, o);
	if (ctx->dry_run)
		return ks_ok(200, cox_doc_copy(NULL, root));
	return ks_ok(200, cox_doc_ref(ks_store_put(&ctx->sim->store, ctx->kind->shelf, root)));
}

static bool resets_managers(const struct cox_node *root)
{
	const struct cox_node *list = cox_meta_managed_fields(root);

	return list && (cox_node_len(list) == 0 ||
			(cox_node_len(list) == 1 && !cox_node_len(cox_node_at(list, 0))));
}

struct ks_reply ks_update(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	struct ks_object *o = ks_shelf_get(ctx->kind->shelf, ctx->ns, ctx->name);
	struct ks_reply reply = check_place(ctx, doc, root);
	struct ks_managers managers;

	if (reply.status)
		return reply;
	if (!o)
		return ks_fail_not_found(&ctx->kind->names, ctx->name);
	struct cox_node *before = ks_plain(ctx, doc, cox_doc_root(o->doc), &managers);
	bool reset = resets_managers(root);
	if (!*ctx->sub && (reset || cox_node_len(cox_meta_managed_fields(root)))) {
		struct ks_managers given = ks_managers_read(&ctx->arena, root);
		if (given.n || reset)
			managers = given;
	}
	bool tracked = managers.n || cox_node_len(cox_meta_managed_fields(cox_doc_root(o->doc)));
	cox_map_drop(doc, cox_map_edit_map(doc, root, "metadata"), COX_STR("managedFields"));
	struct ks_writer writer = writer_of(ctx);
	/* an object that nobody is tracked on stays so until it is applied to */
	if (tracked && !reset)
		ks_managers_update(&ctx->arena, &managers, before, root, ctx->kind->type, &writer);
	return update(ctx, doc, root, o, &managers);
}

/* ---- server-side apply ---- */

static struct ks_reply conflict_reply(const struct ks_conflicts *conflicts)
{
	_cleanup_causes_ struct ks_causes causes = {0};
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const struct ks_manager *last = NULL;

	for (size_t i = 0; i < conflicts->n; i++) {
		_cleanup_buf_ struct cox_buf who = COX_BUF_INIT;
		const struct ks_conflict *c = &conflicts->items[i];
		ks_manager_describe(&who, c->manager);
		ks_cause_add(&causes, "FieldManagerConflict", c->path, "conflict with %s", who.ptr);
		if (conflicts->n == 1) {
			cox_buf_printf(&text, "Apply failed with 1 conflict: conflict with %s: %s",
				       who.ptr, c->path);
			break;
		}
		if (!text.len)
			cox_buf_printf(&text, "Apply failed with %zu conflicts: ", conflicts->n);
		if (c->manager != last)
			cox_buf_printf(&text, "%sconflicts with %s:", last ? "\n" : "", who.ptr);
		cox_buf_printf(&text, "\n- %s", c->path);
		last = c->manager;
	}
	struct cox_doc *doc = cox_doc_new("status");
	struct ks_reply named =
		ks_fail_named(409, "Conflict", NULL, "", "", &causes, "%s", cox_buf_cstr(&text));
	/* details hold nothing but the causes */
	struct cox_node *root = cox_doc_clone(doc, cox_doc_root(named.body));
	cox_map_drop(doc, cox_map_edit_map(doc, root, "details"), COX_STR("kind"));
	cox_doc_set_root(doc, root);
	cox_doc_unref(named.body);
	return ks_ok(409, doc);
}

static struct ks_reply check_config(struct ks_ctx *ctx, const struct cox_node *config)
{
	struct cox_str version = cox_meta_api_version(config);
	struct cox_error err;

	if (!cox_str_is(version, ctx->kind->api_version))
		return ks_fail(
			400, "BadRequest",
			"Incorrect version specified in apply patch. Specified patch version: "
			"%.*s, expected: %s",
			COX_STR_ARG(version), ctx->kind->api_version);
	if (!cox_str_is(cox_meta_kind(config), ctx->kind->names.kind))
		return ks_fail(400, "BadRequest", "the kind of the object (%.*s) is not %s",
			       COX_STR_ARG(cox_meta_kind(config)), ctx->kind->names.kind);
	if (COX_GET(config, "metadata", "managedFields"))
		return ks_fail(400, "BadRequest", "metadata.managedFields must be nil");
	if (cox_meta_name(config).len && !cox_str_is(cox_meta_name(config), ctx->name))
		return ks_fail(
			400, "BadRequest",
			"the name of the object (%.*s) does not match the name on the URL (%s)",
			COX_STR_ARG(cox_meta_name(config)), ctx->name);
	if (ctx->ns && cox_meta_namespace(config).len &&
	    !cox_str_is(cox_meta_namespace(config), ctx->ns))
		return ks_fail(400, "BadRequest",
			       "the namespace of the object (%.*s) does not match the namespace on "
			       "the URL (%s)",
			       COX_STR_ARG(cox_meta_namespace(config)), ctx->ns);
	if (ks_typed_check(&ctx->arena, config, ctx->kind->type, &err) < 0) {
		struct ks_reply reply;
		struct cox_doc *doc = cox_doc_new("status");
		reply = ks_fail(500, "",
				"failed to create typed patch object (%s%s%s; %s, Kind=%s): %s",
				ctx->ns ? ctx->ns : "", ctx->ns ? "/" : "", ctx->name,
				ctx->kind->api_version, ctx->kind->names.kind, err.message);
		struct cox_node *root = cox_doc_clone(doc, cox_doc_root(reply.body));
		cox_map_drop(doc, root, COX_STR("reason"));
		cox_doc_set_root(doc, root);
		cox_doc_unref(reply.body);
		return ks_ok(500, doc);
	}
	return no_reply();
}

struct ks_reply ks_apply(struct ks_ctx *ctx, const struct cox_node *config)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("apply");
	struct ks_object *o = ks_shelf_get(ctx->kind->shelf, ctx->ns, ctx->name);
	struct ks_managers managers = {0};
	struct ks_conflicts conflicts;
	struct cox_node *live, *root;
	const struct cox_node *merged;

	struct ks_reply reply = check_config(ctx, config);
	if (reply.status)
		return reply;
	struct ks_writer writer = writer_of(ctx);
	if (o) {
		live = ks_plain(ctx, doc, cox_doc_root(o->doc), &managers);
		if (!managers.n) {
			struct ks_writer before = writer;
			before.name = "before-first-apply";
			before.subresource = "";
			ks_managers_update(&ctx->arena, &managers, empty_object(ctx, doc), live,
					   ctx->kind->type, &before);
		}
	} else if (*ctx->sub) {
		return ks_fail_not_found(&ctx->kind->names, ctx->name);
	} else {
		live = empty_object(ctx, doc);
	}
	if (ks_managers_apply(&ctx->arena, doc, &managers, live, cox_doc_clone(doc, config),
			      ctx->kind->type, &writer, &merged, &conflicts) == 1)
		return conflict_reply(&conflicts);
	reply = ks_decode(ctx, doc, merged, &root);
	if (!reply.status)
		reply = check_place(ctx, doc, root);
	if (reply.status)
		return reply;
	cox_map_drop(doc, cox_map_edit_map(doc, root, "metadata"), COX_STR("managedFields"));
	return o ? update(ctx, doc, root, o, &managers) : create(ctx, doc, root, &managers);
}

/* ---- scale ---- */

struct ks_reply ks_scale_set(struct ks_ctx *ctx, int64_t replicas)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("scale");
	struct ks_object *o = ks_shelf_get(ctx->kind->shelf, ctx->ns, ctx->name);
	const char *path = ctx->kind->custom ? ctx->kind->replicas_path : ".spec.replicas";
	struct cox_str rest = cox_str(path[0] == '.' ? path + 1 : path), part;
	struct ks_path steps = {.n = 0};
	struct ks_managers managers;

	struct cox_node *root = ks_plain(ctx, doc, cox_doc_root(o->doc), &managers);
	struct cox_node *node = root;
	while (cox_str_split(&rest, '.', &part)) {
		steps.steps[steps.n++] = ks_step_of_field(&ctx->arena, part);
		if (!rest.ptr) {
			cox_map_put_str(doc, node, part, cox_doc_int(doc, replicas));
			break;
		}
		node = cox_map_edit_map(doc, node, ks_text(ctx, part));
	}
	struct ks_set *set = ks_set_new(&ctx->arena);
	ks_set_insert(&ctx->arena, set, &steps);
	struct ks_writer writer = writer_of(ctx);
	writer.subresource = "scale";
	writer.now = NULL;
	if (cox_node_int(COX_GET(cox_doc_root(o->doc), "spec", "replicas"), -1) != replicas)
		ks_managers_take(&ctx->arena, &managers, set, &writer, !ctx->kind->custom);
	ctx->sub = "";
	return update(ctx, doc, root, o, &managers);
}

/* ---- controllers' edits ---- */

void ks_edit_begin(struct ks_edit *edit, struct kubesim *sim, struct ks_kind *kind, const char *ns,
		   const char *name, const char *sub, const char *manager)
{
	*edit = (struct ks_edit){.doc = cox_doc_new("edit")};
	ks_ctx_init(&edit->ctx, sim, kind, ns && *ns ? ns : NULL, name);
	edit->ctx.sub = sub;
	edit->ctx.manager = manager;
	struct ks_object *o = ks_shelf_get(kind->shelf, ns, name);
	if (o)
		edit->root = ks_plain(&edit->ctx, edit->doc, cox_doc_root(o->doc), NULL);
}

bool ks_edit_commit(struct ks_edit *edit)
{
	struct cox_node *root;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("edit");

	struct ks_reply reply = ks_decode(&edit->ctx, doc, edit->root, &root);
	if (!reply.status)
		reply = ks_update(&edit->ctx, doc, root);
	cox_doc_unref(reply.body);
	return reply.status < 300;
}

void ks_edit_end(struct ks_edit *edit)
{
	cox_doc_unref(edit->doc);
	ks_ctx_fini(&edit->ctx);
}
