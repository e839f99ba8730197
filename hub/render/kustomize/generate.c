/* configMapGenerator, secretGenerator, and the hash that ends their names. */
#include "hub/render/kustomize/internal.h"

#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "common/doc/json.h"
#include "common/kube/meta.h"

struct maker {
	const struct kz_dir *dir;
	const struct cox_doc *doc; /* of args, for messages */
	const struct cox_node *args;
	struct cox_doc *out;
	struct cox_node *data, *binary;
	bool secret;
};

/* Lines of 70, each with its end, when there is more than one: it is part of the content, and of its
 * hash. */
static void encode_lines(struct cox_buf *out, struct cox_str value)
{
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;

	cox_base64_encode(&b, value.ptr, value.len);
	if (b.len < 70) {
		cox_buf_puts_str(out, cox_buf_str(&b));
		return;
	}
	for (size_t i = 0; i < b.len; i += 70) {
		cox_buf_add(out, b.ptr + i, b.len - i < 70 ? b.len - i : 70);
		cox_buf_putc(out, '\n');
	}
}

static int put(struct maker *m, const struct cox_node *at, struct cox_str key, struct cox_str value,
	       struct cox_error *err)
{
	bool text = cox_utf8_valid(value, NULL);
	struct cox_node *into = m->secret || text ? m->data : m->binary;
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;

	/* which characters a key may have is the API server's to say, as with the reference program */
	if (cox_node_get_str(m->data, key) || cox_node_get_str(m->binary, key))
		return cox_node_error(err, m->doc, at, "key '%.*s' is given twice",
				      COX_STR_ARG(key));
	if (m->secret || !text) {
		encode_lines(&b, value);
		value = cox_buf_str(&b);
	}
	cox_map_put_str(m->out, into, key, cox_doc_string(m->out, value));
	return 0;
}

static struct cox_str unquote(struct cox_str s)
{
	if (s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') && s.ptr[s.len - 1] == s.ptr[0])
		return cox_str_n(s.ptr + 1, s.len - 2);
	return s;
}

static int add_env_line(struct maker *m, const struct cox_node *at, struct cox_str line,
			struct cox_error *err)
{
	const char *equals;

	if (!cox_utf8_valid(line, NULL))
		return cox_node_error(err, m->doc, at, "a line is not valid UTF-8");
	while (line.len && (*line.ptr == ' ' || *line.ptr == '\t')) {
		line.ptr++;
		line.len--;
	}
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (!line.len || *line.ptr == '#')
		return 0;
	equals = memchr(line.ptr, '=', line.len);
	if (!equals)
		return put(m, at, line, COX_STR(""), err);
	return put(m, at, cox_str_n(line.ptr, (size_t)(equals - line.ptr)),
		   cox_str_n(equals + 1, (size_t)(line.ptr + line.len - equals - 1)), err);
}

static int add_env(struct maker *m, const struct cox_node *at, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf content = COX_BUF_INIT;
	struct cox_str rest, line;
	int e = kz_read(m->dir, cox_node_cstr(at, ""), NULL, &content, err);

	if (e < 0)
		return e;
	rest = cox_buf_str(&content);
	if (cox_str_starts(rest, "\xef\xbb\xbf"))
		rest = cox_str_n(rest.ptr + 3, rest.len - 3);
	if (!rest.len)
		return 0;
	while (e == 0 && cox_str_split(&rest, '\n', &line))
		e = add_env_line(m, at, line, err);
	return e;
}

static int add_literal(struct maker *m, const struct cox_node *at, struct cox_error *err)
{
	struct cox_str text = cox_node_str(at);
	const char *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;

	if (!equals || equals == text.ptr)
		return cox_node_error(err, m->doc, at, "literal '%.*s' must be KEY=VALUE",
				      COX_STR_ARG(text));
	return put(m, at, cox_str_n(text.ptr, (size_t)(equals - text.ptr)),
		   unquote(cox_str_n(equals + 1, (size_t)(text.ptr + text.len - equals - 1))), err);
}

static int add_file(struct maker *m, const struct cox_node *at, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf content = COX_BUF_INIT;
	const char *source = cox_node_cstr(at, ""), *equals = strchr(source, '='), *path = source;
	struct cox_str key;
	int e;

	if (equals) {
		path = equals + 1;
		key = cox_str_n(source, (size_t)(equals - source));
	} else {
		const char *slash = strrchr(source, '/');

		key = cox_str(slash ? slash + 1 : source);
	}
	if (!key.len || !*path || strchr(path, '='))
		return cox_node_error(err, m->doc, at, "file '%s' must be PATH or KEY=PATH",
				      source);
	e = kz_read(m->dir, path, NULL, &content, err);
	return e < 0 ? e : put(m, at, key, cox_buf_str(&content), err);
}

static int add_each(struct maker *m, const char *field,
		    int (*add)(struct maker *, const struct cox_node *, struct cox_error *),
		    struct cox_error *err)
{
	const struct cox_node *list = COX_GET(m->args, field);

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);
		int e = add(m, item, err);

		if (e < 0)
			return kz_locate(err, cox_doc_name(m->doc), item);
	}
	return 0;
}

static void put_options(struct maker *m, struct cox_node *root, const struct cox_node *options,
			const char *key)
{
	const struct cox_node *from = COX_GET(options, key);
	struct cox_node *map;

	if (!cox_node_len(from))
		return;
	map = cox_map_edit_map(m->out, cox_map_edit_map(m->out, root, "metadata"), key);
	for (size_t i = 0; i < cox_node_len(from); i++)
		cox_map_put_str(m->out, map, cox_node_key(from, i),
				cox_doc_string(m->out, cox_node_text(cox_node_at(from, i))));
}

/* A word that is none of these means nothing, as in the reference program. */
static enum kz_behavior read_behavior(const struct cox_node *args)
{
	static const char *const names[] = {"", "create", "replace", "merge"};
	const char *text = cox_node_cstr(COX_GET(args, "behavior"), "");

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum kz_behavior)i;
	return KZ_UNSPECIFIED;
}

static bool option(const struct cox_node *local, const struct cox_node *global, const char *key)
{
	return cox_node_bool(COX_GET(local, key), false) ||
	       cox_node_bool(COX_GET(global, key), false);
}

static int fill(struct maker *m, const struct cox_node *global, struct cox_error *err)
{
	const struct cox_node *local = COX_GET(m->args, "options"), *args = m->args;
	struct cox_node *root = cox_doc_map(m->out), *meta;
	int e = 0;

	cox_doc_set_root(m->out, root);
	cox_map_put_cstr(m->out, root, "apiVersion", "v1");
	cox_map_put_cstr(m->out, root, "kind", m->secret ? "Secret" : "ConfigMap");
	meta = cox_map_edit_map(m->out, root, "metadata");
	cox_map_put_cstr(m->out, meta, "name", cox_node_cstr(COX_GET(args, "name"), ""));
	if (cox_node_str(COX_GET(args, "namespace")).len)
		cox_map_put_cstr(m->out, meta, "namespace",
				 cox_node_cstr(COX_GET(args, "namespace"), ""));
	if (m->secret)
		cox_map_put_cstr(m->out, root, "type",
				 cox_node_str(COX_GET(args, "type")).len
					 ? cox_node_cstr(COX_GET(args, "type"), "")
					 : "Opaque");
	m->data = cox_doc_map(m->out);
	m->binary = cox_doc_map(m->out);
	if (cox_node_str(COX_GET(args, "env")).len)
		e = add_env(m, COX_GET(args, "env"), err);
	if (e == 0)
		e = add_each(m, "envs", add_env, err);
	if (e == 0)
		e = add_each(m, "literals", add_literal, err);
	if (e == 0)
		e = add_each(m, "files", add_file, err);
	if (e < 0)
		return e;
	if (m->secret || cox_node_len(m->data))
		cox_map_put(m->out, root, "data", m->data);
	if (cox_node_len(m->binary))
		cox_map_put(m->out, root, "binaryData", m->binary);
	put_options(m, root, global, "labels");
	put_options(m, root, local, "labels");
	put_options(m, root, global, "annotations");
	put_options(m, root, local, "annotations");
	if (option(local, global, "immutable"))
		cox_map_put_bool(m->out, root, "immutable", true);
	return 0;
}

int kz_generate(const struct kz_dir *dir, const struct cox_doc *doc, const struct cox_node *args,
		const struct cox_node *global, bool secret, struct kz_res **ret,
		struct cox_error *err)
{
	struct maker m = {.dir = dir, .doc = doc, .args = args, .secret = secret};
	struct kz_res *r;
	int e;

	if (!cox_node_str(COX_GET(args, "name")).len)
		return cox_node_error(err, doc, args, "a generator needs a name");
	m.out = kz_doc_new(dir->kz, dir->file);
	e = fill(&m, global, err);
	if (e < 0) {
		cox_doc_unref(m.out);
		return e;
	}
	r = kz_res_new(dir->kz, cox_doc_seal(m.out));
	r->hash = !option(COX_GET(args, "options"), global, "disableNameSuffixHash");
	r->behavior = read_behavior(args);
	*ret = r;
	return 0;
}

/* ---- the hash ---- */

static void put_or_empty(struct cox_buf *b, const struct cox_node *node)
{
	if (node)
		cox_json_write_go(b, node);
	else
		cox_buf_puts(b, "\"\"");
}

static void encode(struct cox_buf *b, const struct cox_node *root)
{
	bool config = cox_str_is(cox_meta_kind(root), "ConfigMap");

	if (!config && !cox_str_is(cox_meta_kind(root), "Secret")) {
		cox_json_write_go(b, root);
		return;
	}
	/* the name is always empty: the reference program looks for it where it never is */
	cox_buf_puts(b, "{");
	if (config && COX_GET(root, "binaryData")) {
		cox_buf_puts(b, "\"binaryData\":");
		cox_json_write_go(b, COX_GET(root, "binaryData"));
		cox_buf_puts(b, ",");
	}
	cox_buf_puts(b, "\"data\":");
	put_or_empty(b, COX_GET(root, "data"));
	cox_buf_printf(b, ",\"kind\":\"%s\",\"name\":\"\"", config ? "ConfigMap" : "Secret");
	if (!config && COX_GET(root, "stringData")) {
		cox_buf_puts(b, ",\"stringData\":");
		cox_json_write_go(b, COX_GET(root, "stringData"));
	}
	if (!config) {
		cox_buf_puts(b, ",\"type\":");
		put_or_empty(b, COX_GET(root, "type"));
	}
	cox_buf_puts(b, "}");
}

const char *kz_hash(struct kz *kz, const struct kz_res *r)
{
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	char hex[COX_SHA256_TEXT];

	encode(&b, kz_root(r));
	cox_sha256_hex(cox_buf_str(&b), hex);
	hex[10] = 0;
	for (char *c = hex; *c; c++) {
		static const char from[] = "013ae", to[] = "ghkmt";
		const char *at = strchr(from, *c);

		if (at)
			*c = to[at - from];
	}
	return kz_printf(kz, "-%s", hex);
}
