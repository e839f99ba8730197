#include "common/kube/meta.h"

#include "common/base/map.h"

static const struct cox_node *metadata(const struct cox_node *object)
{
	return cox_node_get(object, "metadata");
}

static struct cox_str meta_str(const struct cox_node *object, const char *key)
{
	return cox_node_str(cox_node_get(metadata(object), key));
}

static const struct cox_node *meta_of_kind(const struct cox_node *object, const char *key,
					   enum cox_kind kind)
{
	const struct cox_node *node = cox_node_get(metadata(object), key);

	return cox_node_is(node, kind) ? node : NULL;
}

struct cox_str cox_meta_api_version(const struct cox_node *object)
{
	return cox_node_str(cox_node_get(object, "apiVersion"));
}

struct cox_str cox_meta_kind(const struct cox_node *object)
{
	return cox_node_str(cox_node_get(object, "kind"));
}

void cox_api_version_split(struct cox_str api_version, struct cox_str *ret_group,
			   struct cox_str *ret_version)
{
	const char *slash = api_version.len ? memchr(api_version.ptr, '/', api_version.len) : NULL;

	if (!slash) {
		*ret_group = COX_STR("");
		*ret_version = api_version;
		return;
	}
	size_t n = (size_t)(slash - api_version.ptr);

	*ret_group = cox_str_n(api_version.ptr, n);
	*ret_version = cox_str_n(slash + 1, api_version.len - n - 1);
}

struct cox_str cox_meta_group(const struct cox_node *object)
{
	struct cox_str group, version;

	cox_api_version_split(cox_meta_api_version(object), &group, &version);
	return group;
}

struct cox_str cox_meta_version(const struct cox_node *object)
{
	struct cox_str group, version;

	cox_api_version_split(cox_meta_api_version(object), &group, &version);
	return version;
}

struct cox_str cox_meta_name(const struct cox_node *object)
{
	return meta_str(object, "name");
}

struct cox_str cox_meta_generate_name(const struct cox_node *object)
{
	return meta_str(object, "generateName");
}

struct cox_str cox_meta_namespace(const struct cox_node *object)
{
	return meta_str(object, "namespace");
}

struct cox_str cox_meta_uid(const struct cox_node *object)
{
	return meta_str(object, "uid");
}

struct cox_str cox_meta_resource_version(const struct cox_node *object)
{
	return meta_str(object, "resourceVersion");
}

int64_t cox_meta_generation(const struct cox_node *object)
{
	return cox_node_int(cox_node_get(metadata(object), "generation"), 0);
}

bool cox_meta_is_deleting(const struct cox_node *object)
{
	return meta_str(object, "deletionTimestamp").len > 0;
}

const struct cox_node *cox_meta_labels(const struct cox_node *object)
{
	return meta_of_kind(object, "labels", COX_MAP);
}

const struct cox_node *cox_meta_annotations(const struct cox_node *object)
{
	return meta_of_kind(object, "annotations", COX_MAP);
}

const struct cox_node *cox_meta_owner_references(const struct cox_node *object)
{
	return meta_of_kind(object, "ownerReferences", COX_LIST);
}

const struct cox_node *cox_meta_finalizers(const struct cox_node *object)
{
	return meta_of_kind(object, "finalizers", COX_LIST);
}

const struct cox_node *cox_meta_managed_fields(const struct cox_node *object)
{
	return meta_of_kind(object, "managedFields", COX_LIST);
}

static struct cox_str text_of(const struct cox_node *map, const char *key)
{
	const struct cox_node *value = cox_node_get(map, key);

	return cox_node_is(value, COX_STRING) ? cox_node_str(value) : (struct cox_str){0};
}

struct cox_str cox_meta_label(const struct cox_node *object, const char *key)
{
	return text_of(cox_meta_labels(object), key);
}

struct cox_str cox_meta_annotation(const struct cox_node *object, const char *key)
{
	return text_of(cox_meta_annotations(object), key);
}

bool cox_meta_has_finalizer(const struct cox_node *object, const char *finalizer)
{
	const struct cox_node *list = cox_meta_finalizers(object);

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_is(cox_node_str(cox_node_at(list, i)), finalizer))
			return true;
	return false;
}

struct cox_object_key cox_object_key_of(const struct cox_node *object)
{
	return (struct cox_object_key){
		.group = cox_meta_group(object),
		.kind = cox_meta_kind(object),
		.namespace = cox_meta_namespace(object),
		.name = cox_meta_name(object),
	};
}

void cox_object_key_write(struct cox_buf *out, struct cox_object_key key)
{
	cox_buf_reserve(out, key.group.len + key.kind.len + key.namespace.len + key.name.len + 3);
	cox_buf_puts_str(out, key.group);
	cox_buf_putc(out, '/');
	cox_buf_puts_str(out, key.kind);
	cox_buf_putc(out, '/');
	cox_buf_puts_str(out, key.namespace);
	cox_buf_putc(out, '/');
	cox_buf_puts_str(out, key.name);
}

char *cox_object_key_text(struct cox_object_key key)
{
	struct cox_buf text = COX_BUF_INIT;

	cox_object_key_write(&text, key);
	return cox_buf_take(&text);
}

int cox_object_key_parse(struct cox_str text, struct cox_object_key *ret_key, struct cox_error *err)
{
	struct cox_str rest = text, parts[4];

	for (size_t i = 0; i < 4; i++)
		if (!cox_str_split(&rest, '/', &parts[i]))
			goto bad;
	if (rest.ptr || !parts[1].len || !parts[3].len)
		goto bad;
	*ret_key = (struct cox_object_key){parts[0], parts[1], parts[2], parts[3]};
	return 0;
bad:
	return cox_error(err, COX_INVALID_ARGUMENT,
			 "'%.*s' is not an object key: expected 'group/kind/namespace/name'",
			 COX_STR_ARG(text));
}

int cox_object_key_compare(struct cox_object_key a, struct cox_object_key b)
{
	int order = cox_str_compare(a.group, b.group);

	if (order == 0)
		order = cox_str_compare(a.kind, b.kind);
	if (order == 0)
		order = cox_str_compare(a.namespace, b.namespace);
	if (order == 0)
		order = cox_str_compare(a.name, b.name);
	return order;
}

bool cox_object_key_equal(struct cox_object_key a, struct cox_object_key b)
{
	return cox_object_key_compare(a, b) == 0;
}

uint64_t cox_object_key_hash(struct cox_object_key key)
{
	struct cox_str parts[4] = {key.group, key.kind, key.namespace, key.name};
	uint64_t hashes[4];

	for (size_t i = 0; i < 4; i++)
		hashes[i] = cox_hash(parts[i].ptr, parts[i].len);
	return cox_hash(hashes, sizeof(hashes));
}

void cox_object_key_describe(struct cox_buf *out, struct cox_object_key key)
{
	cox_buf_printf(out, "%.*s '%.*s%s%.*s'", COX_STR_ARG(key.kind), COX_STR_ARG(key.namespace),
		       key.namespace.len ? "/" : "", COX_STR_ARG(key.name));
}
