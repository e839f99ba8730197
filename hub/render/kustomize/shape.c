/* The fields of a kustomization, all of them: names without regard to case and nothing unknown,
 * as the reference program decodes them. */
#include "hub/render/kustomize/internal.h"

#include "common/base/suggest.h"

#define MAX_FIELDS 40

enum form { TEXT = 1, FLAG, NUMBER, TEXTS, TEXT_MAP, OBJECT, OBJECTS };

struct shape {
	const char *what; /* "a patch" */
	struct shape_field {
		const char *name;
		enum form form;
		const struct shape *of;
	} fields[MAX_FIELDS];
};

/* clang-format off */
#define GVK {"group", TEXT}, {"version", TEXT}, {"kind", TEXT}
#define ID GVK, {"name", TEXT}, {"namespace", TEXT}
#define GENERATOR                                                                                  \
	{"namespace", TEXT}, {"name", TEXT}, {"behavior", TEXT}, {"literals", TEXTS},              \
	{"files", TEXTS}, {"envs", TEXTS}, {"env", TEXT}, {"options", OBJECT, &generator_options}
/* clang-format on */

static const struct shape metadata = {
	"metadata",
	{{"name", TEXT}, {"namespace", TEXT}, {"labels", TEXT_MAP}, {"annotations", TEXT_MAP}}};
static const struct shape field_spec = {"a field spec", {GVK, {"path", TEXT}, {"create", FLAG}}};
static const struct shape label = {"an entry of labels",
				   {{"pairs", TEXT_MAP},
				    {"includeSelectors", FLAG},
				    {"includeTemplates", FLAG},
				    {"includeVolumeClaimTemplates", FLAG},
				    {"fields", OBJECTS, &field_spec}}};
static const struct shape selector = {"a target",
				      {ID, {"annotationSelector", TEXT}, {"labelSelector", TEXT}}};
static const struct shape patch_options = {"the options of a patch",
					   {{"allowNameChange", FLAG}, {"allowKindChange", FLAG}}};
static const struct shape patch = {"a patch",
				   {{"path", TEXT},
				    {"patch", TEXT},
				    {"target", OBJECT, &selector},
				    {"options", OBJECT, &patch_options}}};
static const struct shape image = {"an image",
				   {{"name", TEXT},
				    {"newName", TEXT},
				    {"tagSuffix", TEXT},
				    {"newTag", TEXT},
				    {"digest", TEXT}}};
static const struct shape field_options = {
	"the options of a replacement",
	{{"delimiter", TEXT}, {"index", NUMBER}, {"encoding", TEXT}, {"create", FLAG}}};
static const struct shape replacement_source = {
	"the source of a replacement",
	{ID, {"fieldPath", TEXT}, {"options", OBJECT, &field_options}}};
static const struct shape replacement_target = {"the target of a replacement",
						{{"select", OBJECT, &selector},
						 {"reject", OBJECTS, &selector},
						 {"fieldPaths", TEXTS},
						 {"options", OBJECT, &field_options}}};
static const struct shape replacement = {"a replacement",
					 {{"source", OBJECT, &replacement_source},
					  {"sourceValue", TEXT},
					  {"targets", OBJECTS, &replacement_target},
					  {"path", TEXT}}};
static const struct shape replica = {"an entry of replicas", {{"name", TEXT}, {"count", NUMBER}}};
static const struct shape var_target = {"the objref of a var", {{"apiVersion", TEXT}, ID}};
static const struct shape var_field = {"the fieldref of a var", {{"fieldPath", TEXT}}};
static const struct shape var = {
	"a var",
	{{"name", TEXT}, {"objref", OBJECT, &var_target}, {"fieldref", OBJECT, &var_field}}};
static const struct shape legacy_order = {"legacySortOptions",
					  {{"orderFirst", TEXTS}, {"orderLast", TEXTS}}};
static const struct shape sort_options = {
	"sortOptions", {{"order", TEXT}, {"legacySortOptions", OBJECT, &legacy_order}}};
static const struct shape generator_options = {"generator options",
					       {{"labels", TEXT_MAP},
						{"annotations", TEXT_MAP},
						{"disableNameSuffixHash", FLAG},
						{"immutable", FLAG}}};
static const struct shape config_map = {"an entry of configMapGenerator", {GENERATOR}};
static const struct shape secret = {"an entry of secretGenerator", {GENERATOR, {"type", TEXT}}};
static const struct shape helm_globals = {"helmGlobals",
					  {{"chartHome", TEXT}, {"configHome", TEXT}}};

static const struct shape kustomization = {"a kustomization",
					   {{"apiVersion", TEXT},
					    {"kind", TEXT},
					    {"metadata", OBJECT, &metadata},
					    {"openapi", TEXT_MAP},
					    {"namePrefix", TEXT},
					    {"nameSuffix", TEXT},
					    {"namespace", TEXT},
					    {"commonLabels", TEXT_MAP},
					    {"labels", OBJECTS, &label},
					    {"commonAnnotations", TEXT_MAP},
					    {"patchesStrategicMerge", TEXTS},
					    {"patchesJson6902", OBJECTS, &patch},
					    {"patches", OBJECTS, &patch},
					    {"images", OBJECTS, &image},
					    {"imageTags", OBJECTS, &image},
					    {"replacements", OBJECTS, &replacement},
					    {"replicas", OBJECTS, &replica},
					    {"vars", OBJECTS, &var},
					    {"sortOptions", OBJECT, &sort_options},
					    {"resources", TEXTS},
					    {"components", TEXTS},
					    {"crds", TEXTS},
					    {"bases", TEXTS},
					    {"configMapGenerator", OBJECTS, &config_map},
					    {"secretGenerator", OBJECTS, &secret},
					    {"helmGlobals", OBJECT, &helm_globals},
					    /* refused as a whole, with a word of their own */
					    {"helmCharts", OBJECTS},
					    {"helmChartInflationGenerator", OBJECTS},
					    {"generatorOptions", OBJECT, &generator_options},
					    {"configurations", TEXTS},
					    {"generators", TEXTS},
					    {"transformers", TEXTS},
					    {"validators", TEXTS},
					    {"buildMetadata", TEXTS}}};

static const enum cox_kind kinds[] = {
	[TEXT] = COX_STRING,  [FLAG] = COX_BOOL,  [NUMBER] = COX_INT,	[TEXTS] = COX_LIST,
	[TEXT_MAP] = COX_MAP, [OBJECT] = COX_MAP, [OBJECTS] = COX_LIST,
};

static const struct shape_field *find(const struct shape *shape, struct cox_str key)
{
	for (const struct shape_field *f = shape->fields; f->name; f++)
		if (strlen(f->name) == key.len && strncasecmp(f->name, key.ptr, key.len) == 0)
			return f;
	return NULL;
}

static int unknown(const struct cox_doc *doc, const struct shape *shape, const struct cox_node *map,
		   size_t i, struct cox_error *err)
{
	struct cox_suggestion near = {0};
	uint32_t line, column;

	for (const struct shape_field *f = shape->fields; f->name; f++)
		cox_suggest(&near, cox_node_key(map, i), f->name);
	cox_node_key_position(map, i, &line, &column);
	return cox_error(err, COX_INVALID_ARGUMENT, "%s:%u:%u: unknown field '%.*s' in %s%s%s%s",
			 cox_doc_name(doc), line, column, COX_STR_ARG(cox_node_key(map, i)),
			 shape->what, near.best ? "; did you mean '" : "",
			 near.best ? near.best : "", near.best ? "'?" : "");
}

static int expect(const struct cox_doc *doc, const char *name, const struct cox_node *value,
		  enum cox_kind kind, struct cox_error *err)
{
	bool quote = kind == COX_STRING && cox_node_kind(value) < COX_STRING &&
		     !cox_node_is(value, COX_NULL);

	if (cox_node_is(value, kind))
		return 0;
	return cox_node_error(err, doc, value, "%s: expected %s %s, got %s%s", name,
			      kind == COX_INT ? "an" : "a", cox_kind_name(kind),
			      cox_kind_name(cox_node_kind(value)),
			      quote ? "; put it in quotes" : "");
}

static int expect_text(const struct cox_doc *doc, const char *name, struct cox_str key,
		       const struct cox_node *value, struct cox_error *err)
{
	_cleanup_free_ char *path = cox_asprintf("%s.%.*s", name, COX_STR_ARG(key));

	return expect(doc, path, value, COX_STRING, err);
}

/* ---- checking: 1 when something is written otherwise than it is called ---- */

static int check_object(const struct cox_doc *doc, const struct shape *shape,
			const struct cox_node *map, struct cox_error *err);

static int check_items(const struct cox_doc *doc, const struct shape_field *f,
		       const struct cox_node *value, struct cox_error *err)
{
	bool is_map = cox_node_is(value, COX_MAP);
	int differs = 0;

	for (size_t i = 0; i < cox_node_len(value); i++) {
		const struct cox_node *item = cox_node_at(value, i);
		int e;

		if (is_map && cox_node_is(item, COX_NULL))
			continue; /* an empty text */
		e = f->of || !is_map ? expect(doc, f->name, item, f->of ? COX_MAP : COX_STRING, err)
				     : expect_text(doc, f->name, cox_node_key(value, i), item, err);
		if (e == 0 && f->of)
			e = check_object(doc, f->of, item, err);
		if (e < 0)
			return e;
		differs |= e;
	}
	return differs;
}

static int check_field(const struct cox_doc *doc, const struct shape_field *f,
		       const struct cox_node *value, struct cox_error *err)
{
	int e = expect(doc, f->name, value, kinds[f->form], err);

	if (e < 0)
		return e;
	if (f->form == OBJECT)
		return check_object(doc, f->of, value, err);
	if (f->form == TEXTS || f->form == TEXT_MAP || (f->form == OBJECTS && f->of))
		return check_items(doc, f, value, err);
	return 0;
}

static int check_object(const struct cox_doc *doc, const struct shape *shape,
			const struct cox_node *map, struct cox_error *err)
{
	int differs = 0;

	for (size_t i = 0; i < cox_node_len(map); i++) {
		const struct shape_field *f = find(shape, cox_node_key(map, i));
		bool null = cox_node_is(cox_node_at(map, i), COX_NULL);
		int e;

		if (!f)
			return unknown(doc, shape, map, i, err);
		e = null ? 1 : check_field(doc, f, cox_node_at(map, i), err);
		if (e < 0)
			return e;
		differs |= e | !cox_str_is(cox_node_key(map, i), f->name);
	}
	return differs;
}

/* ---- putting right: names as they are called, null left out ---- */

static void fix_object(struct cox_doc *doc, const struct shape *shape, struct cox_node *map)
{
	for (size_t i = cox_node_len(map); i-- > 0;) {
		struct cox_str key = cox_node_key(map, i);
		const struct shape_field *f = find(shape, key);
		const struct cox_node *value = cox_node_at(map, i);
		struct cox_node *own;

		if (cox_node_is(value, COX_NULL)) {
			cox_map_drop(doc, map, key);
			continue;
		}
		if (!cox_str_is(key, f->name)) {
			cox_map_drop(doc, map, key);
			cox_map_put(doc, map, f->name, value);
			i = cox_node_len(map); /* from the end again: nothing is done twice */
			continue;
		}
		if (!f->of)
			continue;
		own = cox_map_edit(doc, map, f->name);
		if (f->form == OBJECT)
			fix_object(doc, f->of, own);
		for (size_t j = 0; f->form == OBJECTS && j < cox_node_len(own); j++)
			fix_object(doc, f->of, cox_list_edit(doc, own, j));
	}
}

int kz_check_shape(struct kz *kz, struct cox_doc **doc, struct cox_error *err)
{
	int e = check_object(*doc, &kustomization, cox_doc_root(*doc), err);
	struct cox_doc *fixed;

	if (e <= 0)
		return e;
	fixed = cox_doc_edit(*doc);
	fix_object(fixed, &kustomization, cox_doc_root_edit(fixed));
	cox_vec_push(&kz->docs, fixed);
	*doc = cox_doc_seal(fixed);
	return 0;
}
