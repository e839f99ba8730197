/* The guard of deletions: what an ApplicationSet may delete by itself, and what it asks for. */
#include "fixture.h"

#include <stdlib.h>

#define REPO "file:///srv/apps.git"

struct world {
	struct site site;
	struct agent agent;
	size_t wanted;
};

static int setup(void **state)
{
	struct world *w = cox_new(struct world);

	site_init(&w->site);
	site_start(&w->site);
	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
			     "metadata: {name: silent}\nspec: {}\n---\n"
			     "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
			     "metadata: {name: dev}\nspec: {}\n");
	agent_init(&w->agent, &w->site, "dev");
	repo_set(REPO, "aaaa", "web/web.yaml",
		 "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n");
	repo_head(REPO, "aaaa");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	agent_fini(&w->agent);
	site_fini(&w->site);
	repos_clear();
	free(w);
	return 0;
}

/* ---- the set ---- */

/* Applications prefix-FROM … prefix-(TO-1), besides what extra has. */
static void apply_set(struct world *w, const char *annotations, const char *cluster, int from,
		      int to, const char *extra)
{
	_cleanup_buf_ struct cox_buf yaml = COX_BUF_INIT;

	cox_buf_printf(&yaml,
		       "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"
		       "metadata: {name: many, annotations: {%s}}\nspec:\n"
		       "  generators:\n  - list:\n      elements: [",
		       annotations);
	for (int i = from; i < to; i++)
		cox_buf_printf(&yaml, "{name: a-%02d}, ", i);
	cox_buf_printf(&yaml,
		       "%s]\n  template:\n"
		       "    metadata:\n      name: '{{name}}'\n"
		       "      finalizers: [resources-finalizer.argocd.argoproj.io]\n"
		       "    spec:\n      project: default\n"
		       "      source: {repoURL: '" REPO "', targetRevision: HEAD, path: web}\n"
		       "      destination: {name: %s, namespace: '{{name}}'}\n"
		       "      syncPolicy: {automated: {}}\n",
		       extra, cluster);
	site_apply(&w->site, cox_buf_cstr(&yaml));
}

static size_t n_apps(struct world *w)
{
	struct hub_control_stats stats;

	hub_control_stats(w->site.control, &stats);
	return stats.objects[HUB_APPLICATION];
}

static bool has_app(struct world *w, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	return hub_control_get(w->site.control, HUB_APPLICATION, NULL, name, &doc, NULL) == 0;
}

static bool has_wanted(void *arg)
{
	return n_apps(arg) == ((struct world *)arg)->wanted;
}

static void wait_apps(struct world *w, size_t n)
{
	w->wanted = n;
	site_wait(&w->site, has_wanted, w);
}

static char *set_field(struct world *w, const char *type, const char *field)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *list;

	if (hub_control_get(w->site.control, HUB_APPLICATION_SET, NULL, "many", &doc, NULL) < 0)
		return NULL;
	list = COX_GET(cox_doc_root(doc), "status", "conditions");
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_is(cox_node_str(cox_node_get(cox_node_at(list, i), "type")), type))
			return cox_str_dup(cox_node_str(cox_node_get(cox_node_at(list, i), field)));
	return NULL;
}

static char *digest(struct world *w)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	assert_int_equal(
		hub_control_get(w->site.control, HUB_APPLICATION_SET, NULL, "many", &doc, NULL), 0);
	return cox_strdup(
		cox_node_cstr(COX_GET(cox_doc_root(doc), "status", "heldDeletions", "digest"), ""));
}

struct condition {
	struct world *w;
	const char *type, *word; /* NULL: there is none */
};

static bool condition_is(void *arg)
{
	const struct condition *k = arg;
	_cleanup_free_ char *text = set_field(k->w, k->type, "message");

	return k->word ? text && strstr(text, k->word) : text == NULL;
}

static void wait_condition(struct world *w, const char *type, const char *word)
{
	site_wait(&w->site, condition_is, &(struct condition){w, type, word});
}

static int confirm(struct world *w, const char *text, struct cox_error *err)
{
	struct hub_batch *batch = hub_batch_new();
	int r = hub_control_confirm_set(w->site.control, batch, NULL, "many", text, "me", err);

	hub_store_commit(w->site.store, batch);
	return r;
}

static void assert_refused(struct world *w, const char *text, const char *word)
{
	struct cox_error err = COX_ERROR_INIT;

	assert_int_equal(confirm(w, text, &err), -COX_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, word));
}

/* ---- tests ---- */

static void within_the_budget_goes(void **state)
{
	struct world *w = *state;

	apply_set(w, "", "silent", 0, 12, "");
	wait_apps(w, 12);
	apply_set(w, "", "silent", 0, 2, "");
	wait_apps(w, 2);
	wait_condition(w, "DeletionHeld", NULL);
	assert_refused(w, "00", "holds no deletions back");
}

static void beyond_it_nothing_goes_until_confirmed(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL, *again = NULL, *up = NULL;

	apply_set(w, "", "silent", 0, 12, "");
	wait_apps(w, 12);
	apply_set(w, "", "silent", 0, 1, "{name: b}");
	wait_condition(w, "DeletionHeld",
		       "11 of 12 applications would be deleted, the budget is 10");
	wait_condition(w, "DeletionHeld", "argocd/a-05 and 6 more");
	assert_int_equal(n_apps(w), 13);
	assert_true(has_app(w, "b"));
	up = set_field(w, "ResourcesUpToDate", "status");
	assert_string_equal(up, "False");
	first = digest(w);
	assert_int_equal(strlen(first), 64);
	wait_condition(w, "DeletionHeld", first);
	/* A hub that is started again has it still, and it is the same. */
	site_stop(&w->site);
	site_start(&w->site);
	wait_condition(w, "DeletionHeld", first);
	assert_int_equal(n_apps(w), 13);
	again = digest(w);
	assert_string_equal(again, first);
	assert_refused(w, "abcdef", "not what digest 'abcdef' names");
	assert_int_equal(confirm(w, first, NULL), 0);
	wait_apps(w, 2);
	assert_true(has_app(w, "a-00"));
	wait_condition(w, "DeletionHeld", NULL);
}

static void a_confirmation_is_of_exactly_these(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL, *second = NULL, *said = NULL;

	apply_set(w, "", "silent", 0, 14, "");
	wait_apps(w, 14);
	apply_set(w, "", "silent", 0, 2, "");
	wait_condition(w, "DeletionHeld", "12 of 14");
	first = digest(w);
	/* One more goes: what was seen before says nothing about it, by whatever way it is said. */
	said = cox_asprintf("coxswain.dev/confirm-deletion: '%s'", first);
	apply_set(w, said, "silent", 0, 1, "");
	wait_condition(w, "DeletionHeld", "13 of 14");
	assert_refused(w, first, "13 applications");
	site_settle(&w->site);
	assert_int_equal(n_apps(w), 14);
	second = digest(w);
	assert_string_not_equal(first, second);
	/* Back to what it was: the annotation is about exactly this. */
	apply_set(w, said, "silent", 0, 2, "");
	wait_apps(w, 2);
	/* The same names made anew are others. */
	apply_set(w, said, "silent", 0, 14, "");
	wait_apps(w, 14);
	apply_set(w, said, "silent", 0, 2, "");
	wait_condition(w, "DeletionHeld", "12 of 14");
	site_settle(&w->site);
	assert_int_equal(n_apps(w), 14);
	/* Whoever wants them again has them. */
	apply_set(w, "", "silent", 0, 14, "");
	wait_condition(w, "DeletionHeld", NULL);
	assert_int_equal(n_apps(w), 14);
}

/* The hub ends between the word and the deed. */
static void a_confirmation_is_durable(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;

	apply_set(w, "", "silent", 0, 12, "");
	wait_apps(w, 12);
	apply_set(w, "", "silent", 0, 0, "");
	wait_condition(w, "DeletionHeld", "12 of 12");
	text = digest(w);
	assert_int_equal(confirm(w, text, NULL), 0);
	assert_int_equal(n_apps(w), 12);
	site_stop(&w->site);
	site_start(&w->site);
	wait_apps(w, 0);
}

static void the_budget_is_the_sets_own(void **state)
{
	struct world *w = *state;

	apply_set(w, "coxswain.dev/deletion-budget: 25%", "silent", 0, 12, "");
	wait_apps(w, 12);
	apply_set(w, "coxswain.dev/deletion-budget: 25%", "silent", 0, 8, "");
	wait_condition(w, "DeletionHeld", "4 of 12 applications would be deleted, the budget is 3");
	assert_int_equal(n_apps(w), 12);
	apply_set(w, "coxswain.dev/deletion-budget: 25%", "silent", 0, 9, "");
	wait_apps(w, 9);
	apply_set(w, "coxswain.dev/deletion-budget: '0'", "silent", 0, 8, "");
	wait_condition(
		w, "DeletionHeld",
		"1 of 9 applications would be deleted, the budget is 0 in an hour, of which 3 "
		"are used up: none is. ");
	assert_int_equal(n_apps(w), 9);
	/* What nobody can read is no permission; the default is one of ten here. */
	apply_set(w, "coxswain.dev/deletion-budget: 200%", "silent", 0, 9, "{name: b}, {name: c}");
	wait_condition(w, "InvalidDeletionBudget", "'200%' is neither a number");
	wait_apps(w, 11);
	apply_set(w, "coxswain.dev/deletion-budget: lots", "silent", 0, 0, "");
	wait_condition(w, "InvalidDeletionBudget", "'lots' is neither a number");
	wait_condition(w, "DeletionHeld",
		       "11 of 11 applications would be deleted, the budget is 10");
	assert_int_equal(n_apps(w), 11);
	apply_set(w, "coxswain.dev/deletion-budget: '13'", "silent", 0, 0, "");
	wait_condition(w, "DeletionHeld", "the budget is 13 in an hour, of which 3 are used up");
	apply_set(w, "coxswain.dev/deletion-budget: '14'", "silent", 0, 0, "");
	wait_apps(w, 0);
	wait_condition(w, "InvalidDeletionBudget", NULL);
}

static void ten_percent_where_that_is_more(void **state)
{
	struct world *w = *state;

	apply_set(w, "", "silent", 0, 120, "");
	wait_apps(w, 120);
	apply_set(w, "", "silent", 0, 107, "");
	wait_condition(w, "DeletionHeld",
		       "13 of 120 applications would be deleted, the budget is 12");
	assert_int_equal(n_apps(w), 120);
	apply_set(w, "", "silent", 0, 108, "");
	wait_apps(w, 108);
}

static void who_is_on_his_way_counts(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *token = site_token(&w->site, "dev");
	const char *two = "coxswain.dev/deletion-budget: '2'";

	agent_join(&w->agent, token);
	agent_connect(&w->agent);
	apply_set(w, two, "dev", 0, 4, "");
	for (int i = 0; i < 4; i++) {
		_cleanup_free_ char *name = cox_asprintf("a-%02d", i);

		site_wait_status(&w->site, name, "Synced", "Healthy", "aaaa");
	}
	w->agent.hold = true;
	apply_set(w, two, "dev", 0, 2, "");
	site_wait_condition(&w->site, "a-02", "Deleting", "");
	site_wait_condition(&w->site, "a-03", "Deleting", "");
	wait_condition(w, "DeletionHeld", NULL);
	apply_set(w, two, "dev", 0, 1, "");
	wait_condition(w, "DeletionHeld",
		       "1 of 4 applications would be deleted while 2 are on their way");
	site_wait_condition(&w->site, "a-01", "Deleting", NULL);
	/* They are gone, and have used up what there was. */
	w->agent.hold = false;
	agent_report(&w->agent);
	wait_apps(w, 2);
	wait_condition(
		w, "DeletionHeld",
		"1 of 2 applications would be deleted, the budget is 2 in an hour, of which 2 "
		"are used up: none is before 20");
	assert_true(has_app(w, "a-01"));
}

static void restart_after(struct world *w, int64_t ms)
{
	site_stop(&w->site);
	w->site.clock_skew_ms += ms;
	site_start(&w->site);
}

/* A list that melts away: each look deletes little. */
static void the_budget_is_one_over_time(void **state)
{
	struct world *w = *state;

	apply_set(w, "", "silent", 0, 30, "");
	wait_apps(w, 30);
	apply_set(w, "", "silent", 0, 26, "");
	wait_apps(w, 26);
	apply_set(w, "", "silent", 0, 21, "");
	wait_apps(w, 21); /* nine */
	apply_set(w, "", "silent", 0, 20, "");
	wait_apps(w, 20); /* ten */
	apply_set(w, "", "silent", 0, 19, "");
	wait_condition(
		w, "DeletionHeld",
		"1 of 20 applications would be deleted, the budget is 10 in an hour, of which "
		"10 are used up: none is before 20");
	/* A hub that is started again knows it, and lets nothing go before its time. */
	restart_after(w, 59 * 60 * 1000);
	wait_condition(w, "DeletionHeld", "of which 10 are used up");
	site_settle(&w->site);
	assert_int_equal(n_apps(w), 20);
	restart_after(w, 60 * 1000);
	wait_apps(w, 19);
	wait_condition(w, "DeletionHeld", NULL);
}

/* In pieces of an hour: what is older than that is given back bit by bit. */
static void the_budget_comes_back(void **state)
{
	struct world *w = *state;

	apply_set(w, "", "silent", 0, 30, "");
	wait_apps(w, 30);
	apply_set(w, "", "silent", 0, 22, "");
	wait_apps(w, 22);
	restart_after(w, 30 * 60 * 1000);
	apply_set(w, "", "silent", 0, 20, "");
	wait_apps(w, 20);
	apply_set(w, "", "silent", 0, 11, "");
	wait_condition(w, "DeletionHeld", "9 of 20 applications");
	/* Two are used up then: nine are too many, and eight are not. */
	restart_after(w, 30 * 60 * 1000);
	wait_condition(w, "DeletionHeld", "of which 2 are used up");
	apply_set(w, "", "silent", 0, 12, "");
	wait_apps(w, 12);
	wait_condition(w, "DeletionHeld", NULL);
}

/* The wait ends by itself. */
static void the_hour_ends_while_the_hub_is_there(void **state)
{
	struct world *w = *state;
	const char *one = "coxswain.dev/deletion-budget: '1'";

	apply_set(w, one, "silent", 0, 3, "");
	wait_apps(w, 3);
	apply_set(w, one, "silent", 0, 2, "");
	wait_apps(w, 2);
	apply_set(w, one, "silent", 0, 1, "");
	wait_condition(w, "DeletionHeld", "of which 1 are used up");
	restart_after(w, 60 * 60 * 1000 - 2000);
	wait_condition(w, "DeletionHeld", "of which 1 are used up");
	wait_apps(w, 1);
}

static void what_was_confirmed_uses_up_nothing(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;

	apply_set(w, "", "silent", 0, 40, "");
	wait_apps(w, 40);
	apply_set(w, "", "silent", 0, 20, "");
	wait_condition(w, "DeletionHeld", "20 of 40");
	text = digest(w);
	assert_int_equal(confirm(w, text, NULL), 0);
	wait_apps(w, 20);
	apply_set(w, "", "silent", 0, 10, "");
	wait_apps(w, 10);
	apply_set(w, "", "silent", 0, 9, "");
	wait_condition(w, "DeletionHeld", "of which 10 are used up");
	assert_int_equal(n_apps(w), 10);
}

/* A tenth of what there was when the hour began, and not of what is left. */
static void a_percentage_is_of_what_there_was(void **state)
{
	struct world *w = *state;

	apply_set(w, "coxswain.dev/deletion-budget: 50%", "silent", 0, 8, "");
	wait_apps(w, 8);
	apply_set(w, "coxswain.dev/deletion-budget: 50%", "silent", 0, 5, "");
	wait_apps(w, 5);
	apply_set(w, "coxswain.dev/deletion-budget: 50%", "silent", 0, 4, "");
	wait_apps(w, 4);
	apply_set(w, "coxswain.dev/deletion-budget: 50%", "silent", 0, 3, "");
	wait_condition(w, "DeletionHeld", "the budget is 4 in an hour, of which 4 are used up");
	assert_int_equal(n_apps(w), 4);
}

static void an_error_deletes_nothing(void **state)
{
	struct world *w = *state;

	apply_set(w, "", "silent", 0, 4, "");
	wait_apps(w, 4);
	/* Twice the same name: what else there is may not be all. */
	apply_set(w, "", "silent", 0, 1, "{name: a-00}");
	wait_condition(w, "ErrorOccurred", "a-00");
	site_settle(&w->site);
	assert_int_equal(n_apps(w), 4);
	/* A generator that there is none of. */
	site_apply(&w->site,
		   "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"
		   "metadata: {name: many}\nspec:\n  generators:\n"
		   "  - list: {elements: []}\n  - plugin: {configMapRef: {name: x}}\n"
		   "  template:\n    metadata: {name: '{{name}}'}\n"
		   "    spec: {project: default, source: {repoURL: '" REPO "', path: web}, "
		   "destination: {name: silent, namespace: x}}\n");
	wait_condition(w, "ErrorOccurred", "plugin");
	site_settle(&w->site);
	assert_int_equal(n_apps(w), 4);
	apply_set(w, "", "silent", 0, 1, "");
	wait_apps(w, 1);
}

/* It is what was asked for. */
static void deleting_the_set_is_not_guarded(void **state)
{
	struct world *w = *state;
	struct hub_batch *batch;

	apply_set(w, "", "silent", 0, 12, "");
	wait_apps(w, 12);
	batch = hub_batch_new();
	assert_true(hub_control_delete(w->site.control, batch, HUB_APPLICATION_SET, NULL, "many",
				       HUB_DELETE_DEFAULT, NULL) >= 0);
	hub_store_commit(w->site.store, batch);
	wait_apps(w, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(within_the_budget_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(beyond_it_nothing_goes_until_confirmed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_confirmation_is_of_exactly_these, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_confirmation_is_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(the_budget_is_the_sets_own, setup, teardown),
		cmocka_unit_test_setup_teardown(ten_percent_where_that_is_more, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_on_his_way_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(the_budget_is_one_over_time, setup, teardown),
		cmocka_unit_test_setup_teardown(the_budget_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(the_hour_ends_while_the_hub_is_there, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_was_confirmed_uses_up_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_percentage_is_of_what_there_was, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_deletes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(deleting_the_set_is_not_guarded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
