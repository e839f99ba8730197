#include "common/health/custom.h"

#include "common/base/map.h"
#include "common/doc/yaml.h"
#include "common/health/rules.h"
#include "common/text/glob.h"

#include <stdlib.h>

#define BLOCK  "resource.customizations"
#define SPLIT  "resource.customizations.health."
#define SCRIPT "health.lua"

struct script {
	char *key, *text;      /* "group/Kind" */
	struct cox_glob *glob; /* NULL: no wildcard */
};

struct cox_health_custom {
	struct cox_map by_key;	       /* to struct script, owned */
	COX_VEC(struct script *) wild; /* in the order in which they are asked */
};

static void free_script(void *p)
{
	struct script *s = p;

	if (!s)
		return;
	free(s->key);
	free(s->text);
	cox_glob_free(s->glob);
	free(s);
}

void cox_health_custom_free(struct cox_health_custom *custom)
{
	if (!custom)
		return;
	cox_map_fini_values(&custom->by_key, free_script);
	cox_vec_fini(&custom->wild);
	free(custom);
}

size_t cox_health_custom_count(const struct cox_health_custom *custom)
{
	return custom ? custom->by_key.n : 0;
}

/* ---- reading ---- */

/* Takes the place of an earlier script with the same key. */
static int add_script(struct cox_health_custom *custom, struct cox_str key,
		      const struct cox_node *text, struct cox_error *err)
{
	struct cox_str body = cox_node_str(text);
	struct cox_glob *glob = NULL;
	struct script *s;
	int r;

	if (!cox_node_is(text, COX_STRING))
		return cox_error(err, COX_INVALID_ARGUMENT, "the health script for '%.*s' is a %s",
				 COX_STR_ARG(key), cox_kind_name(cox_node_kind(text)));
	if (cox_str_trim(body).len == 0)
		return 0;
	if (body.len > COX_LIMIT_HEALTH_SCRIPT_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the health script for '%.*s' is longer than %d bytes",
				 COX_STR_ARG(key), COX_LIMIT_HEALTH_SCRIPT_BYTES);
	if (custom->by_key.n >= COX_LIMIT_HEALTH_SCRIPTS && !cox_map_get_str(&custom->by_key, key))
		return cox_error(err, COX_INVALID_ARGUMENT, "there are more than %d health scripts",
				 COX_LIMIT_HEALTH_SCRIPTS);
	if (memchr(key.ptr, '*', key.len) || memchr(key.ptr, '?', key.len) ||
	    memchr(key.ptr, '[', key.len) || memchr(key.ptr, '{', key.len)) {
		r = cox_glob_compile(key, '\0', &glob, err);
		if (r < 0)
			return cox_error_wrap(err, "the health script for '%.*s'",
					      COX_STR_ARG(key));
	}
	s = cox_new(struct script);
	s->key = cox_str_dup(key);
	s->text = cox_str_dup(body);
	s->glob = glob;
	free_script(cox_map_set_str(&custom->by_key, key, s));
	return 0;
}

/* "group_Kind" or "Kind". */
static int add_split(struct cox_health_custom *custom, struct cox_str name,
		     const struct cox_node *text, struct cox_error *err)
{
	_cleanup_free_ char *key = cox_str_dup(name);
	char *bar = strchr(key, '_');

	if (bar)
		*bar = '/';
	if (!*key || (bar && (bar == key || !bar[1] || strchr(bar, '_'))))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'" SPLIT "%.*s' doesn't end in <group>_<Kind> or <Kind>",
				 COX_STR_ARG(name));
	return add_script(custom, cox_str(key), text, err);
}

static int add_block(struct cox_health_custom *custom, const struct cox_node *block,
		     struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_str text = cox_node_str(block);
	const struct cox_node *root;
	int r = 0;

	if (cox_str_trim(text).len == 0)
		return 0;
	r = cox_yaml_read(text, BLOCK, NULL, &doc, err);
	if (r < 0)
		return r;
	root = cox_doc_root(doc);
	if (!cox_node_is(root, COX_MAP) && !cox_node_is(root, COX_NULL))
		return cox_error(err, COX_INVALID_ARGUMENT, "'" BLOCK "' is a %s instead of a map",
				 cox_kind_name(cox_node_kind(root)));
	for (size_t i = 0; r == 0 && i < cox_node_len(root); i++) {
		const struct cox_node *script = cox_node_get(cox_node_at(root, i), SCRIPT);

		if (script && !cox_node_is(script, COX_NULL))
			r = add_script(custom, cox_node_key(root, i), script, err);
	}
	return r;
}

static int ask_before(const void *a, const void *b)
{
	const struct script *x = *(const struct script *const *)a;
	const struct script *y = *(const struct script *const *)b;
	size_t x_len = strlen(x->key), y_len = strlen(y->key);

	if (x_len != y_len)
		return x_len > y_len ? -1 : 1;
	return strcmp(x->key, y->key);
}

int cox_health_custom_new(const struct cox_node *config_map, struct cox_health_custom **ret_custom,
			  struct cox_error *err)
{
	_cleanup_health_custom_ struct cox_health_custom *custom =
		cox_new(struct cox_health_custom);
	const struct cox_node *data = cox_node_get(config_map, "data");
	const struct cox_node *block = cox_node_get(data, BLOCK);
	int r = block ? add_block(custom, block, err) : 0;

	for (size_t i = 0; r == 0 && cox_node_is(data, COX_MAP) && i < cox_node_len(data); i++) {
		struct cox_str key = cox_node_key(data, i);
		size_t skip = strlen(SPLIT);

		if (cox_str_starts(key, SPLIT))
			r = add_split(custom, cox_str_n(key.ptr + skip, key.len - skip),
				      cox_node_at(data, i), err);
	}
	if (r < 0)
		return r;
	COX_MAP_EACH (&custom->by_key, e) {
		struct script *s = e->value;

		if (s->glob)
			cox_vec_push(&custom->wild, s);
	}
	cox_vec_sort(&custom->wild, ask_before);
	*ret_custom = TAKE(custom);
	return 0;
}

/* ---- asking ---- */

static const struct script *find_script(const struct cox_health_custom *custom,
					struct cox_str group, struct cox_str kind)
{
	_cleanup_buf_ struct cox_buf key = COX_BUF_INIT;
	const struct script *exact;

	if (cox_health_custom_count(custom) == 0)
		return NULL;
	if (group.len)
		cox_buf_printf(&key, "%.*s/", COX_STR_ARG(group));
	cox_buf_puts_str(&key, kind);
	exact = cox_map_get_str(&custom->by_key, cox_buf_str(&key));
	if (exact)
		return exact;
	COX_VEC_EACH (&custom->wild, s)
		if (cox_glob_match((*s)->glob, cox_buf_str(&key)))
			return *s;
	return NULL;
}

const char *cox_health_custom_find(const struct cox_health_custom *custom, struct cox_str group,
				   struct cox_str kind)
{
	const struct script *s = find_script(custom, group, kind);

	return s ? s->key : NULL;
}

void cox_health_assess_custom(const struct cox_health_custom *custom, const struct cox_node *object,
			      const struct cox_health_run *run, struct cox_health *ret_health)
{
	struct cox_health h = {.status = COX_HEALTH_NONE};
	const struct script *s;

	if (cox_health_is_going(object, &h)) {
		*ret_health = h;
		return;
	}
	s = find_script(custom, cox_meta_group(object), cox_meta_kind(object));
	if (s)
		cox_health_run_script(cox_str(s->text), object, run, &h);
	else
		cox_health_by_rules(object, &h);
	*ret_health = h;
}
