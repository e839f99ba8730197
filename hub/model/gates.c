/* The rules of a RolloutPolicy's gates: what the planner, or who asks, would only refuse when the gate
 * is reached, when a release waits for it. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/text/cron.h"
#include "hub/model/gate_secret.h"
#include "hub/model/policy.h"
#include "hub/model/rules.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#define MAX_TIMEOUT_MS 60000

static const char *const gate_names[] = {"soak", "approval", "window", "http", "job", "metrics"};

static const char *text_of(const struct cox_node *map, const char *key)
{
	return cox_node_cstr(cox_node_get(map, key), "");
}

/* ---- amounts ---- */

static void check_duration(struct hub_check *c, const struct cox_node *map, const char *key,
			   int64_t min_ms, int64_t max_ms, const char *wanted)
{
	const struct cox_node *node = cox_node_get(map, key);
	int64_t ms;

	if (!cox_node_is(node, COX_STRING) ||
	    cox_duration_parse(cox_node_str(node), &ms, NULL) < 0 || (ms >= min_ms && ms <= max_ms))
		return;
	hub_check_bad(c, map, key, "'%.*s': expected %s", COX_STR_ARG(cox_node_str(node)), wanted);
}

void hub_check_at_least(struct hub_check *c, const struct cox_node *map, const char *key,
			int64_t min)
{
	const struct cox_node *node = cox_node_get(map, key);

	if (cox_node_is(node, COX_INT) && cox_node_int(node, 0) < min)
		hub_check_bad(c, map, key, "expected %lld or more", (long long)min);
}

/* What http and metrics have in common. */
static void check_asking(struct hub_check *c, const struct cox_node *gate)
{
	check_duration(c, gate, "interval", 1000, INT64_MAX, "1s or more");
	check_duration(c, gate, "timeout", 1, MAX_TIMEOUT_MS, "from 1ms to 60s");
	hub_check_at_least(c, gate, "successes", 1);
	hub_check_at_least(c, gate, "failureLimit", 0);
}

/* ---- texts ---- */

static bool is_filled_in(struct cox_str name)
{
	static const char *const known[] = {"rollout", "revision", "applicationSet", "wave"};

	for (size_t i = 0; i < COX_ARRAY_LEN(known); i++)
		if (cox_str_is(name, known[i]))
			return true;
	return false;
}

static void check_template(struct hub_check *c, const struct cox_node *node)
{
	struct cox_str text = cox_node_str(node);

	while (text.len) {
		const char *open = memmem(text.ptr, text.len, "{{", 2), *close;
		size_t left = open ? text.len - (size_t)(open - text.ptr) : 0;

		if (!open)
			return;
		close = memmem(open, left, "}}", 2);
		if (!close) {
			hub_check_error(c, node, "'{{' without '}}'");
			return;
		}
		struct cox_str name = cox_str_trim(cox_str_n(open + 2, (size_t)(close - open) - 2));

		if (!is_filled_in(name))
			hub_check_error(c, node,
					"'{{%.*s}}' is none of {{rollout}}, {{revision}}, "
					"{{applicationSet}}, {{wave}}",
					COX_STR_ARG(name));
		text = cox_str_n(close + 2, left - (size_t)(close + 2 - open));
	}
}

static void check_templates(struct hub_check *c, const struct cox_node *node)
{
	if (cox_node_is(node, COX_STRING))
		check_template(c, node);
	for (size_t i = 0; cox_node_is(node, COX_LIST) && i < cox_node_len(node); i++) {
		size_t mark = hub_path_push_index(c, i);

		check_templates(c, cox_node_at(node, i));
		hub_path_pop(c, mark);
	}
	for (size_t i = 0; cox_node_is(node, COX_MAP) && i < cox_node_len(node); i++) {
		size_t mark = hub_path_push(c, cox_node_key(node, i));

		check_templates(c, cox_node_at(node, i));
		hub_path_pop(c, mark);
	}
}

static void check_url(struct hub_check *c, const struct cox_node *gate, const char *key)
{
	struct cox_str url = cox_node_str(cox_node_get(gate, key));

	if (url.len && !cox_str_starts(url, "https://") && !cox_str_starts(url, "http://"))
		hub_check_bad(c, gate, key, "'%.*s' begins neither with https:// nor with http://",
			      COX_STR_ARG(url));
}

/* ---- the kinds ---- */

static void check_approval(struct hub_check *c, const struct cox_node *approval)
{
	const struct cox_node *list = COX_GET(approval, "approvers");
	int64_t count = cox_node_int(COX_GET(approval, "count"), 1);

	hub_check_at_least(c, approval, "count", 1);
	if (!cox_node_is(list, COX_LIST))
		return;
	if (cox_node_len(list) == 0)
		hub_check_bad(c, approval, "approvers",
			      "names nobody; without it everybody counts");
	if (cox_node_len(list) > HUB_MAX_APPROVERS)
		hub_check_bad(c, approval, "approvers", "at most %d", HUB_MAX_APPROVERS);
	else if (cox_node_len(list) > 0 && count > (int64_t)cox_node_len(list))
		hub_check_bad(c, approval, "count", "%lld of %zu approvers can never be",
			      (long long)count, cox_node_len(list));
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const char *name = cox_node_cstr(cox_node_at(list, i), "");
		bool twice = false;

		for (size_t k = 0; k < i && !twice; k++)
			twice = strcmp(cox_node_cstr(cox_node_at(list, k), ""), name) == 0;
		if (twice || !*name)
			hub_check_error(c, cox_node_at(list, i), "approvers: '%s' %s", name,
					twice ? "is named twice" : "is no name");
	}
}

static void check_window(struct hub_check *c, const struct cox_node *window)
{
	const char *schedule = text_of(window, "schedule"), *zone = text_of(window, "timeZone");
	struct cox_zone *opened = NULL;
	struct cox_cron cron;
	struct cox_error err;

	if (*schedule && cox_cron_parse(cox_str(schedule), &cron, &err) < 0)
		hub_check_error(c, COX_GET(window, "schedule"), "%s", err.message);
	if (*zone && cox_zone_open(zone, &opened, &err) < 0)
		hub_check_bad(c, window, "timeZone", "%s", err.message);
	cox_zone_free(opened);
	check_duration(c, window, "duration", 1000, INT64_MAX, "1s or more");
}

static void check_headers(struct hub_check *c, const struct cox_node *headers, bool auth)
{
	for (size_t i = 0; i < cox_node_len(headers); i++) {
		struct cox_str name = cox_node_key(headers, i);
		const struct cox_node *value = cox_node_at(headers, i);
		size_t mark = hub_path_push(c, COX_STR("headers"));

		if (!hub_is_header_name(name))
			hub_check_error(c, value, "'%.*s' is no header's name", COX_STR_ARG(name));
		else if (auth && name.len == 4 && strncasecmp(name.ptr, "Host", 4) == 0)
			hub_check_error(c, value,
					"'Host' would have the secret sent to another host");
		else if (name.len == 13 && strncasecmp(name.ptr, "Authorization", 13) == 0)
			hub_check_warning(
				c, value,
				"whoever reads the policy reads it: a Secret may hold it, "
				"see `auth`");
		hub_path_pop(c, mark);
	}
}

/* A secret is named, and sent to nobody who only listens. url: the field that says where. */
static void check_auth(struct hub_check *c, const struct cox_node *gate, const char *url)
{
	const struct cox_node *node = COX_GET(gate, "auth", "secretRef", "name");
	const char *name = cox_node_cstr(node, NULL);

	if (name && !hub_is_dns_subdomain(name))
		hub_check_error(c, node, "auth.secretRef.name: '%s' is no Secret's name", name);
	if (COX_GET(gate, "auth") && *text_of(gate, url) &&
	    strncmp(text_of(gate, url), "https://", 8) != 0)
		hub_check_bad(c, gate, url, "a secret is sent with https alone");
}

static void check_http(struct hub_check *c, const struct cox_node *gate)
{
	const struct cox_node *json = COX_GET(gate, "json");
	struct cox_str pointer = cox_node_str(COX_GET(json, "pointer"));
	size_t mark;

	check_url(c, gate, "url");
	check_auth(c, gate, "url");
	check_headers(c, COX_GET(gate, "headers"), COX_GET(gate, "auth") != NULL);
	check_asking(c, gate);
	check_templates(c, gate);
	if (!cox_node_is(json, COX_MAP))
		return;
	mark = hub_path_push(c, COX_STR("json"));
	if (pointer.len && pointer.ptr[0] != '/')
		hub_check_bad(c, json, "pointer", "'%.*s' does not begin with '/'",
			      COX_STR_ARG(pointer));
	if (cox_node_find(json, COX_STR("equals")) < 0)
		hub_check_bad(c, json, "equals", "is required");
	hub_path_pop(c, mark);
}

static void check_metrics(struct hub_check *c, const struct cox_node *gate)
{
	static const char *const operators[] = {"<=", ">=", "==", "!=", "<", ">"};
	struct cox_str said = cox_str_trim(cox_node_str(COX_GET(gate, "condition")));
	bool good = said.len == 0; /* that it is missing is said already */

	check_url(c, gate, "address");
	check_auth(c, gate, "address");
	check_headers(c, COX_GET(gate, "headers"), COX_GET(gate, "auth") != NULL);
	check_asking(c, gate);
	check_templates(c, gate);
	for (size_t i = 0; !good && i < COX_ARRAY_LEN(operators); i++) {
		size_t n = strlen(operators[i]);
		_cleanup_free_ char *number = NULL;
		char *end = NULL;

		if (!cox_str_starts(said, operators[i]))
			continue;
		number = cox_str_dup(cox_str_trim(cox_str_n(said.ptr + n, said.len - n)));
		good = !isnan(strtod(number, &end)) && end != number && *end == '\0';
		break;
	}
	if (!good)
		hub_check_bad(c, gate, "condition",
			      "'%.*s': expected an operator and a number, as '< 0.01'",
			      COX_STR_ARG(said));
}

static void check_job(struct hub_check *c, const struct cox_node *gate)
{
	const struct cox_node *template = COX_GET(gate, "template");
	const struct cox_node *metadata = COX_GET(template, "metadata");
	size_t mark;

	if (!template) {
		hub_check_bad(c, gate, "template", "is required: a Job's metadata and spec");
		return;
	}
	mark = hub_path_push(c, COX_STR("template"));
	if (!cox_node_get(metadata, "name") && !cox_node_get(metadata, "generateName"))
		hub_check_bad(c, template, "metadata", "needs a name or a generateName");
	if (!COX_GET(template, "spec", "template"))
		hub_check_bad(c, template, "spec", "is required, with a template of pods");
	check_templates(c, template);
	hub_path_pop(c, mark);
}

static void (*const checks[])(struct hub_check *c, const struct cox_node *gate) = {
	NULL, check_approval, check_window, check_http, check_job, check_metrics,
};

void hub_check_gate(struct hub_check *c, const struct cox_node *gate, bool before)
{
	size_t n = 0;

	for (size_t k = 0; k < COX_ARRAY_LEN(gate_names); k++) {
		const struct cox_node *spec = cox_node_get(gate, gate_names[k]);
		size_t mark;

		n += cox_node_find(gate, cox_str(gate_names[k])) >= 0;
		if (!checks[k] || !cox_node_is(spec, COX_MAP))
			continue;
		mark = hub_path_push(c, cox_str(gate_names[k]));
		checks[k](c, spec);
		hub_path_pop(c, mark);
	}
	if (cox_node_is(gate, COX_MAP) && n != 1)
		hub_check_error(c, gate,
				"needs exactly one of soak, approval, window, http, job, metrics");
	if (COX_GET(gate, "soak") && before)
		hub_check_error(c, gate,
				"soak belongs to 'after': there is nothing to watch before a wave");
}
