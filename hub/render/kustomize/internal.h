/* What the files of this room share. Private to it. Everything here is job-local: strings and
 * structs live in the build's arena, documents until its end. */
#ifndef COX_HUB_RENDER_KUSTOMIZE_INTERNAL_H
#define COX_HUB_RENDER_KUSTOMIZE_INTERNAL_H

#include "common/base/arena.h"
#include "common/base/map.h"
#include "common/base/vec.h"
#include "common/doc/doc.h"
#include "hub/render/kustomize/kustomize.h"
#include "hub/source/tree.h"

/* ---- identities ---- */

struct kz_gvk {
	const char *group, *version, *kind; /* "" in a selector: any */
	bool cluster;			    /* of a resource: lives in no namespace */
};

struct kz_id {
	struct kz_gvk gvk;
	const char *name, *namespace;
};

bool kz_gvk_selected(const struct kz_gvk *gvk, const struct kz_gvk *by);
/* "default" for none, and a word of its own for what lives in no namespace. */
const char *kz_effective_namespace(const struct kz_id *id);
bool kz_id_equal(const struct kz_id *a, const struct kz_id *b);
/* The same but for the namespace. */
bool kz_id_equal_name(const struct kz_id *a, const struct kz_id *b);

enum kz_behavior { KZ_UNSPECIFIED = 0, KZ_CREATE, KZ_REPLACE, KZ_MERGE };

/* Where an object came from, or what changed it (buildMetadata); texts in the arena, "" or NULL for
 * none. */
struct kz_origin {
	const char *path, *repo, *ref;
	const char *configured_in, *api_version, *kind, *name, *namespace;
};

/* Values that stand at more than one place of an object, as YAML's aliases do. */
typedef COX_VEC(const struct cox_node *) kz_shared;

/* One object on its way. doc is unsealed between steps; NULL: deleted by a patch. */
struct kz_res {
	struct cox_doc *doc;
	COX_VEC(struct kz_id) previous; /* oldest first */
	COX_VEC(const char *) prefixes, suffixes, vars;
	const struct kz_origin *origin; /* NULL: nobody asked, or nobody knows */
	COX_VEC(const struct kz_origin *) changes;
	enum kz_behavior behavior;
	const struct kz_id *now; /* while names are fixed, and nothing changes them */
	struct kz_known *known;	 /* what kz_res_id found last */
	bool json;		 /* it went through JSON, which forgets quotes */
	bool hash;		 /* the name gets the hash of the content */
	bool allow_name, allow_kind;
	kz_shared shared;  /* see kz_share */
	kz_shared untyped; /* see kz_untyped */
};

typedef COX_VEC(struct kz_res *) kz_list;

/* ---- configuration of transformers ---- */

struct kz_spec {
	struct kz_gvk gvk;
	const char *path; /* parts divided by '/', "\/" for a slash; "x[]" is a list */
	bool create;
};
typedef COX_VEC(struct kz_spec) kz_specs;

struct kz_reference {
	struct kz_gvk gvk; /* of what is named */
	kz_specs from;	   /* where the names stand */
};

enum kz_config_list {
	KZ_NAME_PREFIX,
	KZ_NAME_SUFFIX,
	KZ_NAMESPACE,
	KZ_COMMON_LABELS,
	KZ_LABELS,
	KZ_TEMPLATE_LABELS,
	KZ_CLAIM_LABELS,
	KZ_COMMON_ANNOTATIONS,
	KZ_VAR_REFERENCE,
	KZ_IMAGES,
	KZ_REPLICAS,
	KZ_N_LISTS,
};

struct kz_config {
	bool plain; /* the defaults, and nothing else */
	kz_specs lists[KZ_N_LISTS];
	COX_VEC(struct kz_reference) references;
};

struct kz_var {
	const struct cox_doc *doc;
	const struct cox_node *node; /* where it is defined */
	const char *name, *path;     /* of the field */
	struct kz_id id;
};

/* What a kustomization has gathered so far. */
struct kz_acc {
	kz_list res;
	struct cox_map index; /* identity -> resource; counts while indexed is set */
	bool indexed;	      /* what changes names or takes resources away unsets it */
	struct kz_config config;
	COX_VEC(struct kz_var) vars;
};

void kz_acc_fini(struct kz_acc *acc);

/* ---- a build ---- */

struct kz_repository {
	const char *url, *revision;
	struct hub_tree *tree;
};

struct kz {
	struct hub_tree *tree;
	const struct hub_kustomize_input *in;
	struct cox_arena arena;
	struct cox_account *account; /* of the arena and all documents */
	kz_list all;		     /* every resource that was made: who frees them */
	cox_docs docs;		     /* files that nodes are borrowed from */
	struct cox_doc *schema;	     /* of `openapi.path`; NULL: none */
	struct cox_map scopes;	     /* group, version, kind -> what its paths say */
	struct kz_config defaults;
	COX_VEC(struct kz_repository) repositories;
	size_t n_bytes, n_dirs, n_documents, n_steps;
	bool origins, transformations, managed_by, schema_set;
	bool schema_adds; /* to the built-in one */
};

/* A directory with a kustomization. */
struct kz_dir {
	struct kz *kz;
	const struct kz_dir *parent; /* who reads it; NULL: the root */
	struct hub_tree *tree;	     /* that path and file are in */
	const char *repo;	     /* its URL; NULL: the tree of the build */
	const char *path, *file;     /* clean; file as messages name it */
	struct kz_origin origin;     /* path: as the root's user would write it; "" at the root */
	struct cox_doc *doc;
	const struct cox_node *k; /* its root, known fields only */
	bool component;
};

const char *kz_strdup(struct kz *kz, const char *text);
const char *kz_str(struct kz *kz, struct cox_str text);
const char *kz_printf(struct kz *kz, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- limit.c ---- */

/* On the build's account, as all are that come from its files. */
struct cox_doc *kz_doc_new(struct kz *kz, const char *name);
/* Before each object that is looked at and each change: memory and steps are within the limits. */
int kz_check(struct kz *kz, struct cox_error *err);
/* A text that is made may be as long as one that is read. */
int kz_check_text(size_t len, struct cox_error *err);
/* Adds to *size what r takes when it is written, where values that stand at many places are written as
 * often. */
int kz_check_size(struct kz *kz, const struct kz_res *r, size_t *size, struct cox_error *err);

/* Puts "file:line:column: " before a message that names no place yet: the innermost one helps most.
 * node NULL, or one that was made here: "file: ".
 * Returns -err->code. */
int kz_locate(struct cox_error *err, const char *file, const struct cox_node *node);

/* ---- load.c ---- */

/* Appends the file that `dir` calls `text`. ret_path is what messages call it, in the arena. */
int kz_read(const struct kz_dir *dir, const char *text, const char **ret_path, struct cox_buf *out,
	    struct cox_error *err);
/* Every document of a text, kept by the build; empty ones are left out. */
int kz_parse(struct kz *kz, struct cox_str text, const char *name, cox_docs *ret,
	     struct cox_error *err);
/* The resources of documents, lists expanded. */
int kz_objects(struct kz *kz, const cox_docs *docs, kz_list *ret, struct cox_error *err);
/* Those of a text. */
int kz_resources(struct kz *kz, struct cox_str text, const char *name, kz_list *ret,
		 struct cox_error *err);
/* The kustomization of a directory. */
int kz_dir_load(struct kz_dir *dir, struct cox_error *err);
/* A file's text as YAML 1.1, kept by the build: configurations, CRDs. */
int kz_load_yaml(const struct kz_dir *dir, const char *text, struct cox_doc **ret,
		 struct cox_error *err);

/* ---- remote.c ---- */

struct kz_place_in {
	struct hub_tree *tree;
	const char *path, *name; /* clean; the repository's URL */
	bool file;
	struct kz_origin origin;
};

const char *kz_file_name(struct kz *kz, const char *repo, const char *path);
bool kz_is_remote(struct kz *kz, const char *text);
int kz_remote_find(const struct kz_dir *dir, const char *text, struct kz_place_in *ret,
		   struct cox_error *err);
void kz_remote_ask(const struct kz_dir *dir, const struct cox_node *paths);

/* ---- shape.c ---- */

/* Refuses what no kustomization has. *doc becomes one with the fields' right names and without null,
 * kept by the build, where it has others. */
int kz_check_shape(struct kz *kz, struct cox_doc **doc, struct cox_error *err);

/* ---- schema.c ---- */

/* Of the kustomization that says so first, from the root on. */
int kz_schema_load(const struct kz_dir *dir, struct cox_error *err);
bool kz_is_cluster_scoped(struct kz *kz, const struct kz_gvk *gvk);

/* ---- resource.c ---- */

struct kz_res *kz_res_new(struct kz *kz, struct cox_doc *doc /* sealed, one reference */);
const struct cox_node *kz_root(const struct kz_res *r);
struct kz_gvk kz_res_gvk(struct kz *kz, const struct kz_res *r);
struct kz_id kz_res_id(struct kz *kz, const struct kz_res *r);
struct kz_id kz_res_original(struct kz *kz, const struct kz_res *r);
/* An earlier identity with the group and version of now. */
struct kz_id kz_id_then(struct kz *kz, const struct kz_id *old, const struct kz_id *now);
/* What they were read as may mean something else now. */
void kz_forget_ids(struct kz *kz);
void kz_res_remember(struct kz *kz, struct kz_res *r);
/* Seals what r has been so far; it goes on as an edit of `doc` (taken). */
void kz_res_replace(struct kz_res *r, struct cox_doc *doc);
/* r becomes what JSON makes of it: how it was written is gone. */
void kz_res_as_json(struct kz_res *r);
struct cox_doc *kz_res_sealed(struct kz_res *r); /* borrowed */
/* A copy of a scalar that knows no more how it was written. */
struct cox_node *kz_as_read(struct cox_doc *doc, const struct cox_node *scalar);
void kz_res_put_meta(struct kz_res *r, const char *key, const char *value);
void kz_res_annotate(struct kz_res *r, const char *key, const char *value);
bool kz_res_has_any_id(struct kz *kz, const struct kz_res *r, const struct kz_id *id,
		       bool (*equal)(const struct kz_id *, const struct kz_id *));
/* "apps/web.yaml:7" where that is known, in the arena. */
const char *kz_place(struct kz *kz, const struct kz_res *r);
/* "Deployment 'web' (apps/v1, namespace x)", in the arena. */
const char *kz_id_text(struct kz *kz, const struct kz_id *id);

/* A label or an annotation that is new at several places is one value there, in the reference
 * program: what overwrites it at one place later (a label, a patch, a replacement) overwrites it at
 * all of them, selectors too. Nobody planned that, but selectors cannot change in a cluster, so that
 * what runs must come out the same. A JSON patch makes copies of all. */
void kz_share(struct kz_res *r, const struct cox_node *value);
/* old, which was at some place of r, gave way to `now` there. */
void kz_overwrite(struct kz *kz, struct kz_res *r, const struct cox_node *old,
		  const struct cox_node *now);

/* A value that was made of a text, without quotes: it is whatever the text says, and so is what
 * takes its place later. To vars, and to what generators merge, it is a text. Where it stands among
 * those of r; NULL: it is none. A JSON patch makes values of all. */
const struct cox_node **kz_untyped(struct kz *kz, const struct kz_res *r,
				   const struct cox_node *value);

/* A strategic merge puts quotes around what would be no text without them. */
void kz_quote_untyped(struct kz *kz, struct kz_res *r);

const struct kz_res *kz_find_double(struct kz *kz, const kz_list *list);
int kz_acc_append(struct kz *kz, struct kz_acc *acc, struct kz_res *r, struct cox_error *err);
/* What a generator made: adds, replaces or merges. */
int kz_acc_absorb(struct kz *kz, struct kz_acc *acc, struct kz_res *r, struct cox_error *err);
int kz_acc_merge(struct kz *kz, struct kz_acc *acc, struct kz_acc *other, struct cox_error *err);
void kz_acc_drop_deleted(struct kz_acc *acc);

/* ---- select.c ---- */

enum kz_id_field {
	KZ_BY_GROUP,
	KZ_BY_VERSION,
	KZ_BY_KIND,
	KZ_BY_NAME,
	KZ_BY_NAMESPACE,
	KZ_N_ID_FIELDS
};

/* A target, read. */
struct kz_selector {
	const struct cox_doc *doc;
	const struct cox_node *node; /* of doc, for messages */
	struct {
		struct cox_str text;	 /* "": anything */
		struct cox_regex *regex; /* NULL: the text means itself */
	} patterns[KZ_N_ID_FIELDS];
	struct cox_selector *maps[2]; /* labels, annotations; NULL: any */
	bool by_id, by_map;	      /* whether it says anything of them */
};

int kz_selector_read(const struct cox_doc *doc, const struct cox_node *target,
		     struct kz_selector *ret, struct cox_error *err);
void kz_selector_fini(struct kz_selector *s);
/* 1, 0 or a failure. */
int kz_selects_id(const struct kz_selector *s, const struct kz_id *id, struct cox_error *err);
bool kz_selects_labels(const struct kz_selector *s, const struct kz_res *r);
/* Appends those of list that target selects; NULL: all. */
int kz_select(struct kz *kz, const kz_list *list, const struct cox_doc *doc,
	      const struct cox_node *target, kz_list *ret, struct cox_error *err);

/* ---- config.c, tables.c ---- */

extern const struct kz_spec kz_default_specs[KZ_N_LISTS][80];
struct kz_default_reference {
	struct kz_gvk gvk;
	struct kz_spec from[96];
};
extern const struct kz_default_reference kz_default_references[];
extern const size_t kz_n_default_references;

/* The order of kinds that the configuration and the output have. */
int kz_gvk_compare(const struct kz_gvk *a, const struct kz_gvk *b);
int kz_specs_merge(kz_specs *into, const struct kz_spec *spec, struct cox_error *err);
int kz_specs_add(kz_specs *into, const kz_specs *from, struct cox_error *err);
/* The defaults, with what `configurations` and `crds` of the directory add, into acc's. */
int kz_config_load(const struct kz_dir *dir, struct kz_acc *acc, struct cox_error *err);
int kz_config_merge(struct kz_config *into, const struct kz_config *from, struct cox_error *err);
void kz_config_fini(struct kz_config *config);
/* A list of field specs as it stands in a document. */
int kz_specs_read(struct kz *kz, const struct cox_node *list, kz_specs *ret, struct cox_error *err);

/* ---- field.c ---- */

/* A place in a document: a key of a map or an item of a list, both the document's own. */
struct kz_slot {
	struct cox_doc *doc;
	struct cox_node *parent;
	struct cox_str key; /* ptr NULL: item */
	size_t index;
};
const struct cox_node *kz_slot_get(const struct kz_slot *slot);
void kz_slot_put(const struct kz_slot *slot, const struct cox_node *value);
/* The value as the document's own. */
struct cox_node *kz_slot_edit(const struct kz_slot *slot);
typedef int (*kz_set)(void *ctx, const struct kz_slot *slot, struct cox_error *err);

/* Calls set for every place that the spec leads to in r. create: what a missing last part becomes
 * when the spec says so (COX_ABSENT: nothing is made). */
int kz_field(struct kz *kz, struct kz_res *r, const struct kz_spec *spec, enum cox_kind create,
	     kz_set set, void *ctx, struct cox_error *err);
/* "a/b\/c" divided; in the arena, NULL at its end. */
int kz_split_path(struct kz *kz, const char *path, char delimiter, const char ***ret,
		  struct cox_error *err);
/* As replacements write them: "a.[b=c.d].e". */
int kz_split_smart(struct kz *kz, const char *path, char delimiter, const char ***ret,
		   struct cox_error *err);

/* ---- the transformers ---- */

int kz_namespace(struct kz *kz, struct kz_acc *acc, const char *namespace, const kz_specs *specs,
		 const char *subjects, bool unset_only, struct cox_error *err);
/* metadata.namespace, and that of a binding's default subject, of one object. */
int kz_set_namespace(struct kz *kz, struct kz_res *r, const char *namespace, struct cox_error *err);
int kz_prefix(struct kz *kz, struct kz_acc *acc, const char *text, bool suffix,
	      const kz_specs *specs, struct cox_error *err);
int kz_put_labels(struct kz *kz, struct kz_acc *acc, const struct cox_node *pairs,
		  const kz_specs *specs, struct cox_error *err);
int kz_images(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
	      const struct cox_node *image, const kz_specs *specs, struct cox_error *err);
int kz_replicas(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
		const struct cox_node *replica, const kz_specs *specs, struct cox_error *err);
int kz_generate(const struct kz_dir *dir, const struct cox_doc *doc, const struct cox_node *args,
		const struct cox_node *global, bool secret, struct kz_res **ret,
		struct cox_error *err);
/* "-" and ten characters, in the arena. */
const char *kz_hash(struct kz *kz, const struct kz_res *r);
int kz_patch_entry(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_doc *doc,
		   const struct cox_node *entry, bool json_only, struct cox_error *err);
int kz_patch_strategic(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_doc *doc,
		       const struct cox_node *texts, struct cox_error *err);
/* A field that had no value has no type either: it is what the text says without quotes, a number or a
 * date. */
const struct cox_node *kz_plain(struct cox_doc *doc, struct cox_str text);
int kz_value_add(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_doc *doc,
		 const struct cox_node *config, struct cox_error *err);
int kz_replacements(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_doc *doc,
		    const struct cox_node *list, struct cox_error *err);
int kz_fix_names(struct kz *kz, struct kz_acc *acc, struct cox_error *err);
int kz_vars_merge(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
		  const struct cox_node *vars, struct cox_error *err);
int kz_vars_resolve(struct kz *kz, struct kz_acc *acc, struct cox_error *err);
int kz_sort(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
	    const struct cox_node *options, struct cox_error *err);
/* The hash of its content at the end of each name that asks for one. */
int kz_add_hashes(struct kz *kz, struct kz_acc *acc, struct cox_error *err);
int kz_plugins(const struct kz_dir *dir, struct kz_acc *acc, const char *field,
	       struct cox_error *err);

/* ---- steps.c ---- */

/* What the kustomization's own fields say, in the order that the reference program has. */
int kz_transform(const struct kz_dir *dir, struct kz_acc *acc, struct cox_error *err);

/* ---- type.c ---- */

struct cox_schema_type;
#define KZ_MAX_KEYS 4

/* What is known of a value: a type of the table, or a schema of `openapi.path`. */
struct kz_type {
	const struct cox_schema_type *known;
	const struct cox_node *openapi;
	bool object; /* a kind of which only its metadata is known */
};

struct kz_keys {
	const char *names[KZ_MAX_KEYS];
	size_t n; /* 0: values themselves */
};

/* Where types come from. */
struct kz_schema {
	const struct cox_node *definitions; /* of openapi.path; NULL: the built-in ones */
	bool adds;			    /* the built-in ones are there too */
};

/* Whether Kustomize's own schema has that kind. */
bool kz_is_known(struct kz *kz, const struct kz_gvk *gvk);
struct kz_type kz_type_of(struct kz *kz, const struct kz_gvk *gvk, struct kz_schema *ret_schema);
struct kz_type kz_type_child(const struct kz_schema *schema, const struct kz_type *type,
			     struct cox_str key);
struct kz_type kz_type_item(const struct kz_schema *schema, const struct kz_type *type);
/* Whether items of such a list are matched, and by what. */
bool kz_type_merges(const struct kz_schema *schema, const struct kz_type *type,
		    struct kz_keys *ret);

/* ---- merge.c ---- */

/* What a patch put over values that r shares, in order. */
struct kz_written {
	const struct cox_node *old, *now;
};
typedef COX_VEC(struct kz_written) kz_writes;

/* patch over base by the schema of `gvk`; the result is a new unsealed document, NULL in *ret when
 * the patch deletes the object. base and patch are sealed. json: base went through JSON. Values of `shared` that were overwritten
 * are appended to ret_writes. */
int kz_strategic_merge(struct kz *kz, struct cox_doc *base, struct cox_doc *patch,
		       const struct kz_gvk *gvk, const kz_shared *shared, bool json,
		       struct cox_doc **ret, kz_writes *ret_writes, struct cox_error *err);

/* ---- source.c ---- */

/* The root's kustomization with an Application's fields in it. */
int kz_apply_source(struct kz_dir *dir, const struct cox_node *source, struct cox_error *err);

/* ---- origin.c: notes do nothing unless buildMetadata asks for them ---- */

const char *kz_join_text(struct kz *kz, const char *base, const char *text);
struct kz_origin *kz_origin_below(const struct kz_dir *dir, const char *text);
void kz_note_file(const struct kz_dir *dir, struct kz_res *r, const char *text);
void kz_note_generator(const struct kz_dir *dir, struct kz_res *r, const char *kind);
void kz_note_plugin_generator(struct kz *kz, struct kz_res *r, const struct kz_res *plugin);
/* All of acc went through it. */
void kz_note_transformer(const struct kz_dir *dir, struct kz_acc *acc, const char *kind);
void kz_note_plugin_transformer(struct kz *kz, struct kz_acc *acc, const struct kz_res *plugin);
/* The notes as annotations; what others wrote there without being asked is dropped. */
void kz_write_origin(struct kz *kz, struct kz_res *r);

/* ---- build.c ---- */

/* Adds what the kustomization of `dir` says; a component works on its user's acc. */
int kz_accumulate(const struct kz_dir *dir, struct kz_acc *acc, struct cox_error *err);
int kz_accumulate_path(const struct kz_dir *dir, struct kz_acc *acc, const char *text,
		       bool component, struct cox_error *err);
int kz_accumulate_list(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *paths,
		       bool components, struct cox_error *err);

#endif
