/* What every Kubernetes object has: its type, its name, its marks; and the key that names it.
 *
 * Every accessor reads from the object's root node, takes NULL and malformed objects, and says
 * "absent" (an empty string, 0, NULL) for what is not there or has another type: nothing that a
 * stranger wrote makes them fail. What they return is borrowed from the object's document.
 * Threads: pure; documents are immutable. */
#ifndef COX_KUBE_META_H
#define COX_KUBE_META_H

#include "common/base/buf.h"
#include "common/doc/doc.h"

#include <stdint.h>

struct cox_str cox_meta_api_version(const struct cox_node *object);
struct cox_str cox_meta_kind(const struct cox_node *object);
/* The part of apiVersion before the slash, "" for the core group; and the part after it. */
struct cox_str cox_meta_group(const struct cox_node *object);
struct cox_str cox_meta_version(const struct cox_node *object);
struct cox_str cox_meta_name(const struct cox_node *object);
struct cox_str cox_meta_generate_name(const struct cox_node *object);
struct cox_str cox_meta_namespace(const struct cox_node *object);
struct cox_str cox_meta_uid(const struct cox_node *object);
struct cox_str cox_meta_resource_version(const struct cox_node *object);
int64_t cox_meta_generation(const struct cox_node *object);
/* metadata.deletionTimestamp is there. */
bool cox_meta_is_deleting(const struct cox_node *object);
/* Maps and lists, or NULL. */
const struct cox_node *cox_meta_labels(const struct cox_node *object);
const struct cox_node *cox_meta_annotations(const struct cox_node *object);
const struct cox_node *cox_meta_owner_references(const struct cox_node *object);
const struct cox_node *cox_meta_finalizers(const struct cox_node *object);
const struct cox_node *cox_meta_managed_fields(const struct cox_node *object);
/* The value of one; ptr is NULL when there is none, so that an empty value can be told apart. */
struct cox_str cox_meta_label(const struct cox_node *object, const char *key);
struct cox_str cox_meta_annotation(const struct cox_node *object, const char *key);
bool cox_meta_has_finalizer(const struct cox_node *object, const char *finalizer);

/* "apps/v1" is "apps" and "v1"; "v1" is "" and "v1". */
void cox_api_version_split(struct cox_str api_version, struct cox_str *ret_group,
			   struct cox_str *ret_version);

/* The identity of an object in one cluster: its version is not part of it. The strings are
 * borrowed; who keeps a key keeps its text (cox_object_key_text) and parses that. */
struct cox_object_key {
	struct cox_str group, kind, namespace, name;
};

struct cox_object_key cox_object_key_of(const struct cox_node *object);
/* "group/kind/namespace/name", "" for the core group and for no namespace: unique, because none of
 * the four can hold a slash in a cluster. Appends. */
void cox_object_key_write(struct cox_buf *out, struct cox_object_key key);
/* The same, the caller's. */
char *cox_object_key_text(struct cox_object_key key);
/* Views into text. COX_INVALID_ARGUMENT when it hasn't four parts or no kind or name. */
int cox_object_key_parse(struct cox_str text, struct cox_object_key *ret_key,
			 struct cox_error *err);
/* By group, kind, namespace, name: the order of a bundle. */
int cox_object_key_compare(struct cox_object_key a, struct cox_object_key b);
bool cox_object_key_equal(struct cox_object_key a, struct cox_object_key b);
/* Keyed; differs from process to process. */
uint64_t cox_object_key_hash(struct cox_object_key key);
/* For people: "Deployment 'guestbook/web'", "Namespace 'guestbook'". Appends. */
void cox_object_key_describe(struct cox_buf *out, struct cox_object_key key);

#endif
