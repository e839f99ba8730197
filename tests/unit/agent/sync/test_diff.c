/* How objects differ from what they shall be: of what is assigned, and, in a frame, of what is not. */
#include "tests/unit/agent/sync/world.h"

#include "common/base/file.h"
#include "common/doc/json.h"

#include <stdio.h>
#include <stdlib.h>

#define MAPS(a, b)                                                                                 \
	"[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"            \
	"\"data\":{\"k\":\"" a "\"}},"                                                             \
	"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"b\"},"             \
	"\"data\":{\"k\":\"" b "\"}}]"

static struct found {
	bool done, framed;
	enum cox_code code;
	char message[256];
	unsigned n_compared;
	char text[4096]; /* "Absent Kind name [refused|kept]: message" a line */
} found;

static const char *const states[] = {"Different", "Absent", "Extra", "Unknown"};

static void take(void *arg, const Coxswain__Agent__V1__DiffResponse *r, const struct cox_error *err)
{
	size_t n = 0;

	(void)arg;
	found.done = true;
	found.code = (enum cox_code)err->code;
	found.framed = r->framed;
	snprintf(found.message, sizeof(found.message), "%s", err->message);
	found.n_compared = r->n_compared;
	for (size_t i = 0; i < r->n_objects; i++) {
		const Coxswain__Agent__V1__ObjectDifference *o = r->objects[i];

		n += (size_t)snprintf(found.text + n, sizeof(found.text) - n, "%s %s %s%s%s%s%s\n",
				      states[o->state], o->kind, o->name,
				      o->refused ? " refused" : "", o->kept ? " kept" : "",
				      *o->message ? ": " : "", o->message);
		for (size_t k = 0; k < o->n_fields && n < sizeof(found.text); k++)
			n += (size_t)snprintf(found.text + n, sizeof(found.text) - n,
					      "  %s %s -> %s\n", o->fields[k]->path,
					      o->fields[k]->live, o->fields[k]->desired);
	}
}

struct question {
	const char *uid, *objects;
	bool framed, deletion;
	const char *namespace, *option, *project, *ignore;
};

static int begin(const struct question *q, struct agent_diff **ret_diff, struct cox_error *err)
{
	Coxswain__Agent__V1__DiffRequest request = COXSWAIN__AGENT__V1__DIFF_REQUEST__INIT;
	Coxswain__Agent__V1__Frame frame = COXSWAIN__AGENT__V1__FRAME__INIT;
	Coxswain__Assignment__V1__ProjectRules rules =
		COXSWAIN__ASSIGNMENT__V1__PROJECT_RULES__INIT;
	char *options[] = {(char *)q->option};

	found = (struct found){0};
	request.app_uid = (char *)q->uid;
	request.objects.data = (uint8_t *)q->objects;
	request.objects.len = strlen(q->objects);
	frame.instance = (char *)"shop";
	frame.destination_namespace = (char *)(q->namespace ? q->namespace : "shop");
	frame.sync_options = options;
	frame.n_sync_options = q->option != NULL;
	frame.deletion = q->deletion;
	frame.ignore_differences.data = (uint8_t *)q->ignore;
	frame.ignore_differences.len = q->ignore ? strlen(q->ignore) : 0;
	rules.project.data = (uint8_t *)q->project;
	rules.project.len = q->project ? strlen(q->project) : 0;
	rules.server = (char *)"https://here.example.com";
	if (q->project)
		frame.project_rules = &rules;
	if (q->framed)
		request.frame = &frame;
	return agent_engine_diff(w.engine, &request, take, NULL, ret_diff, err);
}

static const char *ask(struct question q)
{
	struct cox_error err = COX_ERROR_INIT;
	struct agent_diff *diff;

	if (begin(&q, &diff, &err) < 0)
		fail_msg("%s", err.message);
	WAIT("an answer", found.done);
	if (found.code)
		fail_msg("%s", found.message);
	assert_true(found.framed == q.framed);
	return found.text;
}

static void ready(void)
{
	assign((struct assign){.uid = "other", .name = "other", .yaml = "[]", .allow_empty = true});
	WAIT("the cluster to be known", is_settled("other"));
}

/* Lines of the cluster's audit that wrote something. */
static size_t n_writes(void)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	struct cox_str rest, line;
	size_t n = 0;

	if (cox_file_read(w.audit, 100 << 20, &text, NULL) < 0)
		fail_msg("no audit");
	rest = cox_buf_str(&text);
	while (cox_str_split(&rest, '\n', &line)) {
		_cleanup_doc_ struct cox_doc *doc = NULL;

		if (cox_json_read(line, "audit", &doc, NULL) == 0)
			n += !cox_str_is(cox_node_str(cox_node_get(cox_doc_root(doc), "verb")),
					 "request");
	}
	return n;
}

static void test_of_what_is_not_assigned(void **state)
{
	size_t before;

	(void)state;
	ready();
	before = n_writes();
	/* the namespace is not there: a sync would stop */
	ask((struct question){.uid = "new", .objects = MAPS("1", "2"), .framed = true});
	assert_non_null(strstr(found.text, "Absent ConfigMap a refused: the API server says"));
	assert_int_equal(found.n_compared, 2);
	/* unless it makes it */
	ask((struct question){.uid = "new",
			      .objects = MAPS("1", "2"),
			      .framed = true,
			      .option = "CreateNamespace=true"});
	assert_string_equal(found.text, "Absent ConfigMap a\nAbsent ConfigMap b\n"
					"Absent Namespace shop\n");
	assert_int_equal(n_writes(), before);
	assert_int_equal(call("GET", "/api/v1/namespaces/shop", NULL, ""), 404);
	assert_null(cox_map_get(&w.pictures, "new"));
}

/* Objects that somebody made by hand would be taken over: what would change in them is told. */
static void test_what_is_there_already(void **state)
{
	size_t before;

	(void)state;
	ready();
	call("POST", "/api/v1/namespaces", "application/json",
	     "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"shop\"}}");
	call("POST", "/api/v1/namespaces/shop/configmaps", "application/json",
	     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
	     "\"data\":{\"k\":\"by hand\"}}");
	/* the cluster's own controllers write too, when there is a new namespace */
	WAIT("the namespace to be furnished",
	     call("GET", "/api/v1/namespaces/shop/serviceaccounts/default", NULL, "") == 200 &&
		     call("GET", CM("kube-root-ca.crt"), NULL, "") == 200);
	before = n_writes();
	ask((struct question){.uid = "new", .objects = MAPS("1", "2"), .framed = true});
	assert_non_null(strstr(found.text, "Different ConfigMap a\n"));
	assert_non_null(strstr(found.text, "  data.k \"by hand\" -> \"1\"\n"));
	assert_non_null(strstr(found.text, "Absent ConfigMap b\n"));
	/* what the new application ignores, the question ignores too */
	ask((struct question){.uid = "new",
			      .objects = MAPS("1", "2"),
			      .framed = true,
			      .ignore = "[{\"kind\":\"ConfigMap\",\"jsonPointers\":[\"/data\"]}]"});
	assert_null(strstr(found.text, "data.k"));
	assert_int_equal(n_writes(), before);
}

static void test_another_frame_than_the_assigned(void **state)
{
	(void)state;
	assign((struct assign){
		.uid = "u1", .name = "shop", .yaml = MAPS("1", "2"), .no_heal = true});
	WAIT("the first sync", is_settled("u1"));
	/* as it is assigned nothing differs */
	assert_string_equal(ask((struct question){.uid = "u1", .objects = MAPS("1", "2")}), "");
	assert_string_equal(
		ask((struct question){.uid = "u1", .objects = MAPS("1", "2"), .framed = true}), "");
	/* in another namespace all are new, and those that were are not wanted any more */
	ask((struct question){
		.uid = "u1", .objects = MAPS("1", "2"), .framed = true, .namespace = "default"});
	assert_string_equal(found.text, "Absent ConfigMap a\nAbsent ConfigMap b\n"
					"Extra ConfigMap a\nExtra ConfigMap b\n");
	/* one that goes */
	ask((struct question){.uid = "u1",
			      .objects = "[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
					 "\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"1\"}}]",
			      .framed = true,
			      .option = "Prune=false"});
	assert_string_equal(found.text, "Extra ConfigMap b kept\n");
	/* what somebody took our marks off is not ours to prune */
	call("PATCH", CM("b"), MERGE,
	     "{\"metadata\":{\"annotations\":{\"coxswain.dev/app-uid\":null}}}");
	WAIT("that to be seen", picture("u1")->assigned == 2);
	ask((struct question){.uid = "u1", .objects = "[]", .framed = true});
	assert_string_equal(found.text, "Extra ConfigMap a\nExtra ConfigMap b kept\n");
}

static void test_of_a_deletion(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = MAPS("1", "2")});
	WAIT("the first sync", is_settled("u1"));
	ask((struct question){.uid = "u1", .objects = "[]", .framed = true, .deletion = true});
	assert_string_equal(found.text, "Extra ConfigMap a\nExtra ConfigMap b\n");
	/* Prune=false keeps nothing of an application that goes */
	ask((struct question){.uid = "u1",
			      .objects = "[]",
			      .framed = true,
			      .deletion = true,
			      .option = "Prune=false"});
	assert_string_equal(found.text, "Extra ConfigMap a\nExtra ConfigMap b\n");
	ask((struct question){.uid = "u1",
			      .objects = "[]",
			      .framed = true,
			      .deletion = true,
			      .option = "Delete=false"});
	assert_string_equal(found.text, "Extra ConfigMap a kept\nExtra ConfigMap b kept\n");
}

static void test_refusals(void **state)
{
	static const char kind[] = "[{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\","
				   "\"metadata\":{\"name\":\"x\"}}]";

	(void)state;
	ready();
	ask((struct question){.uid = "new",
			      .objects = "[{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\","
					 "\"metadata\":{\"name\":\"x\"},\"spec\":{\"replicas\":"
					 "\"many\"}}]",
			      .framed = true,
			      .namespace = "default"});
	assert_non_null(strstr(found.text, "Absent Deployment x refused: "));
	ask((struct question){
		.uid = "new", .objects = kind, .framed = true, .namespace = "default"});
	assert_string_equal(found.text,
			    "Absent Widget x refused: the cluster does not know this kind\n");
	ask((struct question){.uid = "new",
			      .objects = kind,
			      .framed = true,
			      .namespace = "default",
			      .option = "SkipDryRunOnMissingResource=true"});
	assert_string_equal(found.text, "Absent Widget x\n");
}

static void refuse(struct question q, const char *said)
{
	struct cox_error err = COX_ERROR_INIT;
	struct agent_diff *diff;

	assert_true(begin(&q, &diff, &err) < 0);
	if (!strstr(err.message, said))
		fail_msg("%s", err.message);
}

static void test_what_cannot_be_asked(void **state)
{
	(void)state;
	ready();
	refuse((struct question){.uid = "new", .objects = MAPS("1", "2")},
	       "no application with uid 'new'");
	refuse((struct question){.uid = "new", .objects = "{}", .framed = true}, "no list");
	refuse((struct question){.uid = "new",
				 .objects = MAPS("1", "2"),
				 .framed = true,
				 .project = "{\"metadata\":{\"name\":\"p\"},\"spec\":{"
					    "\"namespaceResourceBlacklist\":[{\"group\":\"\","
					    "\"kind\":\"ConfigMap\"}]}}"},
	       "ConfigMap");
}

/* Whoever asked, and the engine, may go at any time. */
static void test_cut_short(void **state)
{
	struct question q = {.uid = "new", .objects = MAPS("1", "2"), .framed = true};
	struct agent_diff *diff;

	(void)state;
	ready();
	assert_int_equal(begin(&q, &diff, NULL), 0);
	agent_diff_cancel(diff);
	assert_int_equal(begin(&q, &diff, NULL), 0);
	turn("a request to be out", INT64_MAX);
	close_engine();
	assert_false(found.done && found.code == COX_OK && found.n_compared != 2);
	open_engine();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_of_what_is_not_assigned),
		TEST(test_what_is_there_already),
		TEST(test_another_frame_than_the_assigned),
		TEST(test_of_a_deletion),
		TEST(test_refusals),
		TEST(test_what_cannot_be_asked),
		TEST(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
