#include "tests/kubesim/faults.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/vec.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "common/text/glob.h"

struct ks_faults {
	COX_VEC(struct ks_fault) rules;
	struct cox_rng rng;
	size_t n_refs;
};

struct ks_faults *ks_faults_ref(struct ks_faults *faults)
{
	faults->n_refs++;
	return faults;
}

void ks_faults_unref(struct ks_faults *faults)
{
	if (!faults || --faults->n_refs)
		return;
	COX_VEC_EACH (&faults->rules, f) {
		free(f->method);
		free(f->path);
		free(f->query);
		free(f->message);
	}
	cox_vec_fini(&faults->rules);
	free(faults);
}

static int duration(struct cox_doc *doc, const struct cox_node *node, int64_t *ret_ms,
		    struct cox_error *err)
{
	if (!node)
		return 0;
	if (cox_node_is(node, COX_INT)) {
		*ret_ms = cox_node_int(node, 0);
		return 0;
	}
	if (cox_duration_parse(cox_node_str(node), ret_ms, NULL) < 0)
		return cox_node_error(err, doc, node, "expected a duration, like 200ms");
	return 0;
}

static int check_keys(struct cox_doc *doc, const struct cox_node *map, struct cox_error *err)
{
	static const char *const known[] = {"method",
					    "path",
					    "query",
					    "probability",
					    "skip",
					    "count",
					    "latency",
					    "jitter",
					    "status",
					    "retryAfter",
					    "message",
					    "drop",
					    "timeoutAfterCommit",
					    "watchEvents",
					    "watchFor",
					    "truncate"};

	if (!cox_node_is(map, COX_MAP))
		return cox_node_error(err, doc, map, "expected a rule");
	for (size_t i = 0; i < cox_node_len(map); i++) {
		bool found = false;
		for (size_t k = 0; k < COX_ARRAY_LEN(known); k++)
			found = found || cox_str_is(cox_node_key(map, i), known[k]);
		if (!found)
			return cox_node_error(err, doc, cox_node_at(map, i),
					      "no such field in a rule: '%.*s'",
					      COX_STR_ARG(cox_node_key(map, i)));
	}
	return 0;
}

static int read_rule(struct cox_doc *doc, const struct cox_node *map, struct ks_fault *f,
		     struct cox_error *err)
{
	int r = check_keys(doc, map, err);

	if (r == 0)
		r = duration(doc, COX_GET(map, "latency"), &f->latency_ms, err);
	if (r == 0)
		r = duration(doc, COX_GET(map, "jitter"), &f->jitter_ms, err);
	if (r == 0)
		r = duration(doc, COX_GET(map, "watchFor"), &f->watch_ms, err);
	if (r < 0)
		return r;
	f->method = cox_strdup(cox_node_cstr(COX_GET(map, "method"), NULL));
	f->path = cox_strdup(cox_node_cstr(COX_GET(map, "path"), NULL));
	f->query = cox_strdup(cox_node_cstr(COX_GET(map, "query"), NULL));
	f->message = cox_strdup(cox_node_cstr(COX_GET(map, "message"), NULL));
	f->probability = cox_node_double(COX_GET(map, "probability"), 1);
	f->skip = cox_node_int(COX_GET(map, "skip"), 0);
	f->count = cox_node_int(COX_GET(map, "count"), -1);
	f->status = (int)cox_node_int(COX_GET(map, "status"), 0);
	f->retry_after_s = cox_node_int(COX_GET(map, "retryAfter"), 0);
	f->drop = cox_node_bool(COX_GET(map, "drop"), false);
	f->after_commit = cox_node_bool(COX_GET(map, "timeoutAfterCommit"), false);
	f->watch_events = cox_node_int(COX_GET(map, "watchEvents"), -1);
	f->truncate = cox_node_bool(COX_GET(map, "truncate"), false);
	return 0;
}

int ks_faults_new(struct cox_str text, struct ks_faults **ret_faults, struct cox_error *err)
{
	COX_CLEANUP(ks_faults_unref_p) struct ks_faults *faults = cox_new(struct ks_faults);
	_cleanup_doc_ struct cox_doc *doc = NULL;

	faults->n_refs = 1;
	cox_rng_init(&faults->rng, 1);
	if (text.len) {
		int r = cox_yaml_read(text, "faults", NULL, &doc, err);
		if (r < 0)
			return r;
		const struct cox_node *root = cox_doc_root(doc);
		const struct cox_node *rules = COX_GET(root, "rules");
		cox_rng_init(&faults->rng, (uint64_t)cox_node_int(COX_GET(root, "seed"), 1));
		for (size_t i = 0; i < cox_node_len(rules); i++) {
			cox_vec_push(&faults->rules, (struct ks_fault){0});
			r = read_rule(doc, cox_node_at(rules, i), &faults->rules.items[i], err);
			if (r < 0)
				return r;
		}
	}
	*ret_faults = TAKE(faults);
	return 0;
}

static bool glob(const char *pattern, const char *text)
{
	return !pattern || cox_glob_matches(cox_str(pattern), 0, cox_str(text));
}

const struct ks_fault *ks_faults_strike(struct ks_faults *faults, const char *method,
					const char *path, const char *query)
{
	COX_VEC_EACH (&faults->rules, f) {
		if (!glob(f->method, method) || !glob(f->path, path) || !glob(f->query, query))
			continue;
		if (f->n_matched++ < f->skip || (f->count >= 0 && f->n_struck >= f->count))
			continue;
		double chance = (double)cox_rng_below(&faults->rng, 1u << 30) / (1u << 30);
		if (f->probability < 1 && chance >= f->probability)
			continue;
		f->n_struck++;
		return f;
	}
	return NULL;
}

int64_t ks_faults_latency(struct ks_faults *faults, const struct ks_fault *fault)
{
	int64_t jitter =
		fault->jitter_ms > 0
			? (int64_t)cox_rng_below(&faults->rng, (uint64_t)fault->jitter_ms + 1)
			: 0;

	return fault->latency_ms + jitter;
}

void ks_faults_write(const struct ks_faults *faults, struct cox_buf *out)
{
	cox_buf_puts(out, "{\"rules\":[");
	for (size_t i = 0; i < faults->rules.n; i++) {
		const struct ks_fault *f = &faults->rules.items[i];
		cox_buf_puts(out, i ? "," : "");
		cox_buf_puts(out, "{\"path\":");
		cox_json_write_string(out, cox_str(f->path ? f->path : "*"));
		cox_buf_printf(out, ",\"matched\":%lld,\"struck\":%lld}", (long long)f->n_matched,
			       (long long)f->n_struck);
	}
	cox_buf_puts(out, "]}\n");
}
