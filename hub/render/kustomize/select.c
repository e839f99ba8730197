/* Which objects a patch or a replacement is for: regular expressions over identities, selectors over
 * labels and annotations. Both are read once, and are bad whatever there is to select from. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/selector.h"
#include "common/text/regex.h"

static const char *const id_fields[] = {"group", "version", "kind", "name", "namespace"};
static const char *const maps[][2] = {{"labelSelector", "labels"},
				      {"annotationSelector", "annotations"}};

static int at_field(const struct kz_selector *s, const char *field, struct cox_error *err)
{
	const struct cox_node *node = COX_GET(s->node, field);

	return cox_error_wrap(err, "%s:%u:%u: target.%s", cox_doc_name(s->doc), cox_node_line(node),
			      cox_node_column(node), field);
}

/* What most people write means itself, and costs no more than a comparison. */
static bool is_plain(struct cox_str pattern)
{
	for (size_t i = 0; i < pattern.len; i++) {
		char c = pattern.ptr[i];

		if ((c < '0' || c > '9') && ((c | 32) < 'a' || (c | 32) > 'z') && c != '-' &&
		    c != '_' && c != '/')
			return false;
	}
	return pattern.len <= COX_LIMIT_REGEX_BYTES;
}

void kz_selector_fini(struct kz_selector *s)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(s->patterns); i++)
		cox_regex_free(s->patterns[i].regex);
	for (size_t i = 0; i < COX_ARRAY_LEN(s->maps); i++)
		cox_selector_free(s->maps[i]);
}

int kz_selector_read(const struct cox_doc *doc, const struct cox_node *target,
		     struct kz_selector *ret, struct cox_error *err)
{
	COX_CLEANUP(kz_selector_fini) struct kz_selector s = {.doc = doc, .node = target};

	for (size_t i = 0; i < COX_ARRAY_LEN(id_fields); i++) {
		const struct cox_node *node = COX_GET(target, id_fields[i]);

		s.by_id = s.by_id || node;
		s.patterns[i].text = cox_node_str(node);
		if (is_plain(s.patterns[i].text))
			continue;
		if (cox_regex_compile(s.patterns[i].text, COX_REGEX_ANCHORED, &s.patterns[i].regex,
				      err) < 0)
			return at_field(&s, id_fields[i], err);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(maps); i++) {
		struct cox_str text = cox_node_str(COX_GET(target, maps[i][0]));

		s.by_map = s.by_map || COX_GET(target, maps[i][0]);
		if (text.len && cox_selector_parse(text, &s.maps[i], err) < 0)
			return at_field(&s, maps[i][0], err);
	}
	*ret = s;
	s = (struct kz_selector){0};
	return 0;
}

/* 1, 0 or a failure; no text selects everything. */
static int matches(const struct kz_selector *s, enum kz_id_field field, const char *value,
		   struct cox_error *err)
{
	int e;

	if (!s->patterns[field].text.len)
		return 1;
	if (!s->patterns[field].regex)
		return cox_str_is(s->patterns[field].text, value);
	e = cox_regex_match(s->patterns[field].regex, cox_str(value), NULL, 0, err);
	return e < 0 ? at_field(s, id_fields[field], err) : e;
}

static int matches_gvk(const struct kz_selector *s, const struct kz_gvk *gvk, struct cox_error *err)
{
	int e = matches(s, KZ_BY_KIND, gvk->kind, err);

	if (e > 0)
		e = matches(s, KZ_BY_GROUP, gvk->group, err);
	return e > 0 ? matches(s, KZ_BY_VERSION, gvk->version, err) : e;
}

int kz_selects_id(const struct kz_selector *s, const struct kz_id *id, struct cox_error *err)
{
	int e = matches_gvk(s, &id->gvk, err);

	if (e > 0)
		e = matches(s, KZ_BY_NAME, id->name, err);
	return e > 0 ? matches(s, KZ_BY_NAMESPACE, kz_effective_namespace(id), err) : e;
}

/* Whatever a value is, it is compared as it was written. */
static struct cox_str get_label(void *ctx, struct cox_str key)
{
	const struct cox_node *value = cox_node_get_str(ctx, key);

	return value ? cox_node_written(value) : (struct cox_str){NULL, 0};
}

bool kz_selects_labels(const struct kz_selector *s, const struct kz_res *r)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(maps); i++) {
		const struct cox_node *map = COX_GET(kz_root(r), "metadata", maps[i][1]);

		if (s->maps[i] && !cox_selector_matches_with(s->maps[i], get_label, (void *)map))
			return false;
	}
	return true;
}

static int matches_either(const struct kz_selector *s, enum kz_id_field field, const char *old,
			  const char *now, struct cox_error *err)
{
	int e = matches(s, field, old, err);

	return e == 0 ? matches(s, field, now, err) : e;
}

/* By its first name and namespace, or those of now. */
static int selects(struct kz *kz, const struct kz_selector *s, const struct kz_res *r,
		   struct cox_error *err)
{
	struct kz_id now = kz_res_id(kz, r), old = kz_res_original(kz, r);
	int e = kz_check(kz, err);

	if (e == 0)
		e = matches_gvk(s, &now.gvk, err);
	if (e > 0)
		e = matches_either(s, KZ_BY_NAME, old.name, now.name, err);
	if (e > 0)
		e = matches_either(s, KZ_BY_NAMESPACE, kz_effective_namespace(&old),
				   kz_effective_namespace(&now), err);
	return e > 0 ? kz_selects_labels(s, r) : e;
}

int kz_select(struct kz *kz, const kz_list *list, const struct cox_doc *doc,
	      const struct cox_node *target, kz_list *ret, struct cox_error *err)
{
	COX_CLEANUP(kz_selector_fini) struct kz_selector s = {0};
	int e = kz_selector_read(doc, target, &s, err);

	COX_VEC_EACH (list, r) {
		if (e < 0)
			break;
		e = selects(kz, &s, *r, err);
		if (e > 0)
			cox_vec_push(ret, *r);
	}
	return e < 0 ? e : 0;
}
