/* Plans through the whole hub: what they say, what they leave alone, and how they end. */
#include "fixture.h"

#include <stdlib.h>

#define REPO "file:///srv/apps.git"

#define CLUSTER(name, n)                                                                           \
	"apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\nmetadata: {name: " name                 \
	", labels: {env: " name "}}\nspec: {server: 'https://" n "'}\n---\n"

static const char *const CLUSTERS =
	CLUSTER("dev", "1.1.1.1") CLUSTER("pre", "2.2.2.2") CLUSTER("prod", "3.3.3.3");

static const char *const names[] = {"dev", "pre", "prod"};
static const char *const apps[] = {"dev-book", "pre-book", "prod-book"};

/* generators, and what is behind spec.template.spec.syncPolicy */
#define SET(name, generators, more)                                                                \
	"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"                                 \
	"metadata: {name: " name ", annotations: {coxswain.dev/rollout-policy: staged}}\n"         \
	"spec:\n  generators:\n" generators "  template:\n    metadata: {name: '{{name}}-" name    \
	"'}\n"                                                                                     \
	"    spec:\n      project: default\n"                                                      \
	"      source: {repoURL: '" REPO "', targetRevision: HEAD, path: book}\n"                  \
	"      destination: {server: '{{server}}', namespace: book}\n"                             \
	"      syncPolicy: {automated: {prune: true, selfHeal: true}}\n" more
#define ALL "  - clusters: {}\n"

#define POLICY(waves)                                                                              \
	"apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: staged}\n"       \
	"spec:\n  waves:\n" waves
#define DEV "  - {name: dev, clusters: {names: [dev]}}\n"

struct world {
	struct site site;
	struct agent agents[3];
	/* the plan */
	struct cox_doc *answer;
	struct cox_error error;
	bool done;
	struct control_plan *plan;
	size_t n_progress;
};

static void manifest(const char *commit, const char *version)
{
	_cleanup_free_ char *text = cox_asprintf("apiVersion: v1\nkind: ConfigMap\n"
						 "metadata: {name: book}\ndata: {version: '%s'}\n",
						 version);

	repo_set(REPO, commit, "book/book.yaml", text);
	repo_head(REPO, commit);
}

static int setup(void **state)
{
	struct world *w = cox_new(struct world);

	site_init(&w->site);
	site_start(&w->site);
	site_apply(&w->site, CLUSTERS);
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *token = site_token(&w->site, names[i]);

		agent_init(&w->agents[i], &w->site, names[i]);
		agent_join(&w->agents[i], token);
		agent_connect(&w->agents[i]);
		assert_true(w->agents[i].up);
	}
	site_apply(&w->site, POLICY(DEV "  - {name: rest}\n"));
	manifest("aaaa", "1");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 3; i++)
		agent_fini(&w->agents[i]);
	site_fini(&w->site);
	cox_doc_unref(w->answer);
	free(w);
	return 0;
}

/* ---- plans ---- */

static void made(void *arg, const struct cox_doc *answer, const struct cox_error *err)
{
	struct world *w = arg;

	assert_false(w->done);
	w->done = true;
	w->plan = NULL;
	if (answer)
		w->answer = cox_doc_ref((struct cox_doc *)answer);
	else
		w->error = *err;
}

static void progressed(void *arg, const char *what, size_t n, size_t all)
{
	assert_non_null(what);
	assert_true(n <= all);
	((struct world *)arg)->n_progress++;
}

static bool is_made(void *arg)
{
	return ((struct world *)arg)->done;
}

static struct cox_doc *read_yaml(const char *yaml)
{
	struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_yaml_read(cox_str(yaml), "plan", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	return doc;
}

static int try_begin(struct world *w, struct hub_plan_request q, const char *yaml,
		     const char *policy, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *object = yaml ? read_yaml(yaml) : NULL;
	_cleanup_doc_ struct cox_doc *other = policy ? read_yaml(policy) : NULL;

	cox_doc_unref(TAKE(w->answer));
	w->done = false;
	w->n_progress = 0;
	q.object = object;
	q.policy = other;
	return hub_control_plan(w->site.control, &q, made, progressed, w, &w->plan, err);
}

static void begin(struct world *w, struct hub_plan_request q, const char *yaml, const char *policy)
{
	struct cox_error err = COX_ERROR_INIT;

	if (try_begin(w, q, yaml, policy, &err) < 0)
		fail_msg("%s", err.message);
}

/* The answer's root. */
static const struct cox_node *plan(struct world *w, struct hub_plan_request q, const char *yaml,
				   const char *policy)
{
	begin(w, q, yaml, policy);
	site_wait(&w->site, is_made, w);
	if (!w->answer)
		fail_msg("%s", w->error.message);
	return cox_doc_root(w->answer);
}

static void refuse(struct world *w, struct hub_plan_request q, const char *yaml, const char *policy,
		   const char *said)
{
	struct cox_error err = COX_ERROR_INIT;

	assert_true(try_begin(w, q, yaml, policy, &err) < 0);
	if (!strstr(err.message, said))
		fail_msg("%s", err.message);
}

static const char *text(const struct cox_node *node, const char *key)
{
	return cox_node_cstr(cox_node_get(node, key), "");
}

static const struct cox_node *find(const struct cox_node *list, const char *key, const char *value)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (strcmp(text(cox_node_at(list, i), key), value) == 0)
			return cox_node_at(list, i);
	return NULL;
}

static const struct cox_node *target(const struct cox_node *p, const char *application)
{
	const struct cox_node *waves = cox_node_get(p, "waves"), *found = NULL;

	for (size_t i = 0; !found && i < cox_node_len(waves); i++)
		found = find(cox_node_get(cox_node_at(waves, i), "targets"), "application",
			     application);
	if (!found)
		found = find(cox_node_get(p, "unplanned"), "application", application);
	if (!found)
		found = find(cox_node_get(p, "leaving"), "application", application);
	assert_non_null(found);
	return found;
}

static int64_t count(const struct cox_node *p, const char *application, const char *what)
{
	return cox_node_int(COX_GET(target(p, application), "objects", what), -1);
}

static const char *action(const struct cox_node *p, const char *application)
{
	const struct cox_node *a =
		find(cox_node_get(p, "applications"), "application", application);

	return a ? text(a, "action") : "";
}

static bool is_blocked(const struct cox_node *p, const char *key, const char *value,
		       const char *word)
{
	const struct cox_node *list = cox_node_get(p, "blockers");

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (strcmp(text(cox_node_at(list, i), key), value) == 0 &&
		    strstr(text(cox_node_at(list, i), "message"), word))
			return true;
	return false;
}

/* ---- that nothing is written ---- */

static uint64_t n_rows(struct world *w)
{
	struct hub_store_stats stats;

	site_settle(&w->site);
	hub_store_stats(w->site.store, &stats);
	return stats.rows;
}

static size_t n_objects(struct world *w)
{
	struct hub_control_stats stats;
	size_t n = 0;

	hub_control_stats(w->site.control, &stats);
	for (int k = 0; k < HUB_N_KINDS; k++)
		n += stats.objects[k];
	return n;
}

static void wait_all(struct world *w, const char *revision)
{
	for (int i = 0; i < 3; i++)
		site_wait_status(&w->site, apps[i], "Synced", "Healthy", revision);
	site_settle(&w->site);
}

static bool is_over(void *arg)
{
	const struct cox_rollout *r =
		hub_control_rollout(((struct world *)arg)->site.control, NULL, "book");

	return r && r->phase == COX_ROLLOUT_SUCCEEDED;
}

static void roll_out(struct world *w)
{
	site_apply(&w->site, SET("book", ALL, ""));
	wait_all(w, "aaaa");
	site_wait(&w->site, is_over, w);
}

/* ---- tests ---- */

static void test_new_set(void **state)
{
	struct world *w = *state;
	uint64_t rows = n_rows(w);
	size_t objects = n_objects(w);
	const struct cox_node *p =
		plan(w, (struct hub_plan_request){0}, SET("book", ALL, ""), NULL);

	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *key = cox_asprintf("argocd/%s", apps[i]);

		assert_string_equal(action(p, key), "create");
		assert_string_equal(text(target(p, key), "to"), "aaaa");
		assert_int_equal(count(p, key, "create"), 1);
		assert_int_equal(count(p, key, "update"), 1);
		assert_int_equal(count(p, key, "delete"), 1);
		assert_int_equal(count(p, key, "kept"), 1);
		assert_int_equal(cox_node_int(cox_node_get(target(p, key), "batch"), 0), 1);
		/* nobody was told anything but the question */
		assert_int_equal(w->agents[i].told.n, 0);
		assert_int_equal(w->agents[i].n_diffs, 1);
	}
	assert_string_equal(w->agents[0].frame, "dev-book book ");
	assert_string_equal(text(cox_node_get(p, "rollout"), "begins"), "now");
	assert_int_equal(cox_node_len(cox_node_get(p, "blockers")), 0);
	assert_true(cox_node_bool(cox_node_get(p, "changes"), false));
	assert_true(w->n_progress > 0);
	/* the bundle in the cache alone */
	assert_int_equal(n_rows(w), rows + 1);
	assert_int_equal(n_objects(w), objects);
	assert_null(hub_control_rollout(w->site.control, NULL, "book"));
}

static void test_changed_set(void **state)
{
	struct world *w = *state;
	const struct cox_node *p, *a;

	roll_out(w);
	p = plan(w, (struct hub_plan_request){.set = true, .name = "book"}, NULL, NULL);
	assert_false(cox_node_bool(cox_node_get(p, "changes"), true));
	assert_string_equal(text(cox_node_get(p, "rollout"), "begins"), "nothing");
	assert_int_equal(w->agents[0].n_diffs, 0);
	/* a cluster less, a new one, and another policy for all */
	p = plan(w, (struct hub_plan_request){.objects = true},
		 SET("book",
		     "  - list:\n      elements:\n      - {name: dev, server: 'https://1.1.1.1'}\n"
		     "      - {name: pre, server: 'https://2.2.2.2'}\n"
		     "      - {name: new, server: 'https://2.2.2.2'}\n",
		     "      ignoreDifferences: [{kind: ConfigMap, jsonPointers: [/data]}]\n"),
		 NULL);
	assert_string_equal(action(p, "argocd/dev-book"), "update");
	assert_string_equal(action(p, "argocd/new-book"), "create");
	assert_string_equal(action(p, "argocd/prod-book"), "delete");
	a = find(cox_node_get(p, "applications"), "application", "argocd/dev-book");
	assert_string_equal(text(cox_node_at(cox_node_get(a, "changes"), 0), "path"),
			    "spec.ignoreDifferences");
	/* one that goes takes its objects with it */
	assert_int_equal(count(p, "argocd/prod-book", "delete"), 2);
	assert_string_equal(w->agents[2].frame, "prod-book book deletion ");
	/* told field by field */
	a = cox_node_get(target(p, "argocd/dev-book"), "differences");
	assert_string_equal(
		text(cox_node_at(COX_GET(find(a, "state", "Different"), "fields"), 0), "live"),
		"one");
}

static void test_deletions(void **state)
{
#define DOOMED "  - list: {elements: []}\n"
	struct world *w = *state;
	const struct cox_node *p;

	site_apply(&w->site,
		   SET("book", ALL, "") "  syncPolicy: {applicationsSync: create-update}\n");
	wait_all(w, "aaaa");
	p = plan(w, (struct hub_plan_request){0},
		 SET("book", DOOMED, "") "  syncPolicy: {applicationsSync: create-update}\n", NULL);
	assert_string_equal(action(p, "argocd/dev-book"), "kept");
	/* and goes on with its rollouts */
	assert_string_equal(text(target(p, "argocd/dev-book"), "state"), "Healthy");
	p = plan(w, (struct hub_plan_request){0}, SET("book", DOOMED, ""), NULL);
	assert_string_equal(action(p, "argocd/dev-book"), "delete");
	assert_int_equal(cox_node_int(COX_GET(p, "deletions", "budget"), 0), 10);
	assert_false(cox_node_bool(COX_GET(p, "deletions", "held"), true));
	/* a set that cannot say everything deletes nothing */
	p = plan(w, (struct hub_plan_request){0},
		 SET("book", "  - list: {elements: [{name: 'Not A Name', server: x}]}\n", ""),
		 NULL);
	assert_string_equal(action(p, "argocd/dev-book"), "kept");
	assert_true(cox_node_len(cox_node_get(p, "problems")) > 0);
}

static void test_clash(void **state)
{
	struct world *w = *state;
	const struct cox_node *p;

	roll_out(w);
	/* the same names, made by another set */
	p = plan(w, (struct hub_plan_request){0},
		 "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: two}\n"
		 "spec:\n  generators: [{clusters: {}}]\n"
		 "  template:\n    metadata: {name: '{{name}}-book'}\n"
		 "    spec:\n      project: nobody\n"
		 "      source: {repoURL: '" REPO "', path: book}\n"
		 "      destination: {server: '{{server}}', namespace: book}\n",
		 NULL);
	assert_string_equal(action(p, "argocd/dev-book"), "refused");
	assert_non_null(
		strstr(text(find(cox_node_get(p, "applications"), "application", "argocd/dev-book"),
			    "message"),
		       "ApplicationSet/argocd/book"));
	assert_int_equal(w->agents[0].n_diffs, 0);
	assert_true(is_blocked(p, "application", "argocd/pre-book", "does not belong to"));
	/* one that would move to another cluster leaves what it has there */
	p = plan(
		w, (struct hub_plan_request){0},
		SET("book", "  - list: {elements: [{name: dev, server: 'https://3.3.3.3'}]}\n", ""),
		NULL);
	assert_string_equal(
		text(find(cox_node_get(p, "applications"), "application", "argocd/dev-book"),
		     "leaves"),
		"dev");
	assert_string_equal(text(target(p, "argocd/dev-book"), "cluster"), "prod");
}

/* The commit that a plan finds is for the plan alone. */
static void test_next_commit(void **state)
{
	struct world *w = *state;
	const struct cox_node *p;
	struct hub_batch *batch;
	uint64_t rows;

	roll_out(w);
	manifest("bbbb", "2");
	rows = n_rows(w);
	p = plan(w, (struct hub_plan_request){.name = "book"}, NULL, NULL);
	assert_string_equal(text(target(p, "argocd/dev-book"), "from"), "aaaa");
	assert_string_equal(text(target(p, "argocd/dev-book"), "to"), "bbbb");
	assert_int_equal(count(p, "argocd/dev-book", "update"), 1);
	assert_int_equal(n_rows(w), rows + 1);
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *revision = site_status(&w->site, apps[i], "sync", "revision");

		assert_string_equal(revision, "aaaa");
	}
	/* an Application of a set moves with the set */
	p = plan(w, (struct hub_plan_request){.name = "pre-book"}, NULL, NULL);
	assert_string_equal(text(cox_node_get(p, "owner"), "name"), "book");
	/* pruned only where syncs prune */
	site_apply(&w->site,
		   "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: lone}\n"
		   "spec:\n  project: default\n  source: {repoURL: '" REPO "', path: book}\n"
		   "  destination: {name: dev, namespace: lone}\n  syncPolicy: {automated: {}}\n");
	/* of the commit that the others know */
	site_wait_status(&w->site, "lone", "Synced", "Healthy", "aaaa");
	p = plan(w, (struct hub_plan_request){.name = "lone"}, NULL, NULL);
	assert_string_equal(text(cox_node_get(p, "owner"), "kind"), "Application");
	assert_int_equal(count(p, "argocd/lone", "delete"), 0);
	assert_int_equal(count(p, "argocd/lone", "kept"), 2);
	/* a repository that does not answer is in the way of those that need it */
	repo_break(REPO, "it is on fire");
	p = plan(w, (struct hub_plan_request){.name = "book"}, NULL, NULL);
	assert_true(is_blocked(p, "application", "argocd/dev-book", "it is on fire"));
	assert_string_equal(text(target(p, "argocd/dev-book"), "state"), "Blocked");
	repo_break(REPO, NULL);
	/* once it is deleted there is nothing to plan */
	batch = hub_batch_new();
	hub_control_delete(w->site.control, batch, HUB_APPLICATION_SET, NULL, "book",
			   HUB_DELETE_DEFAULT, NULL);
	hub_store_commit(w->site.store, batch);
	refuse(w, (struct hub_plan_request){.set = true, .name = "book"}, NULL, NULL,
	       "being deleted");
}

static bool is_away(void *arg)
{
	struct world *w = arg;

	return !hub_fleet_cluster(hub_control_fleet(w->site.control), "pre")->connected;
}

static void test_blockers(void **state)
{
	struct world *w = *state;
	const struct cox_node *p;

	roll_out(w);
	manifest("bbbb", "2");
	agent_disconnect(&w->agents[1]);
	site_wait(&w->site, is_away, w);
	p = plan(w, (struct hub_plan_request){.name = "book"}, NULL,
		 POLICY("  - name: all\n    maxConcurrent: 1\n    before:\n"
			"    - window: {schedule: '0 0 29 2 *', duration: 1m}\n"
			"    - approval: {count: 2}\n    after: [{soak: 1h}]\n"));
	assert_true(is_blocked(p, "gate", "window", "no window is open"));
	assert_true(is_blocked(p, "gate", "approval", "needs 2 approvals"));
	assert_true(is_blocked(p, "cluster", "pre", "catches up when it is back"));
	assert_string_equal(text(target(p, "argocd/pre-book"), "comparison"), "unknown");
	assert_non_null(strstr(text(target(p, "argocd/pre-book"), "why"), "offline since"));
	assert_int_equal(cox_node_int(COX_GET(p, "summary", "notComputed"), 0), 1);
	/* one after the other */
	assert_int_equal(cox_node_int(cox_node_get(target(p, "argocd/dev-book"), "batch"), 0), 1);
	assert_int_equal(cox_node_int(cox_node_get(target(p, "argocd/prod-book"), "batch"), 0), 2);
	p = plan(w, (struct hub_plan_request){.name = "book"}, NULL, POLICY(DEV));
	assert_true(is_blocked(p, "cluster", "prod", "in no wave"));
	assert_int_equal(cox_node_len(cox_node_get(p, "unplanned")), 2);
	/* a policy that is named and missing moves nobody */
	p = plan(w, (struct hub_plan_request){0},
		 "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"
		 "metadata: {name: two, annotations: {coxswain.dev/rollout-policy: nobody}}\n"
		 "spec:\n  generators: [{clusters: {}}]\n"
		 "  template:\n    metadata: {name: '{{name}}-two'}\n"
		 "    spec:\n      project: default\n"
		 "      source: {repoURL: '" REPO "', path: book}\n"
		 "      destination: {server: '{{server}}', namespace: book}\n",
		 NULL);
	assert_string_equal(text(cox_node_get(p, "rollout"), "begins"), "never");
	assert_non_null(
		strstr(text(cox_node_get(p, "rollout"), "message"), "no RolloutPolicy 'nobody'"));
	assert_non_null(find(cox_node_get(p, "blockers"), "message",
			     "there is no RolloutPolicy 'nobody', which "
			     "coxswain.dev/rollout-policy names: no rollout begins"));
	assert_int_equal(count(p, "argocd/dev-two", "create"), 1);
}

struct word {
	struct world *w;
	const char *word;
};

static bool waits(void *arg)
{
	const struct word *x = arg;
	const struct cox_rollout *r = hub_control_rollout(x->w->site.control, NULL, "book");
	struct cox_rollout_why why = {0};

	if (r)
		cox_rollout_why(r, &why);
	return strstr(why.message, x->word) != NULL;
}

static void test_rollout_under_way(void **state)
{
	struct world *w = *state;
	const struct cox_node *p, *r;
	_cleanup_doc_ struct cox_doc *other = NULL;

	roll_out(w);
	site_apply(&w->site, POLICY(DEV "  - name: rest\n    before: [{approval: {}}]\n"
					"  supersede: finished\n"));
	manifest("bbbb", "2");
	hub_control_refresh(w->site.control, NULL, "dev-book", false, NULL);
	site_wait(&w->site, waits, &(struct word){w, "nobody has approved"});
	p = plan(w, (struct hub_plan_request){.name = "book"}, NULL, NULL);
	r = cox_node_get(p, "rollout");
	assert_string_equal(text(r, "begins"), "same");
	assert_string_equal(text(cox_node_get(r, "underWay"), "wave"), "rest");
	assert_true(is_blocked(p, "gate", "approval", "nobody has approved"));
	assert_false(cox_node_bool(cox_node_get(target(p, "argocd/dev-book"), "moves"), false));
	assert_true(cox_node_bool(cox_node_get(target(p, "argocd/pre-book"), "moves"), false));
	/* a newer one waits, by the policy of the one that is under way */
	manifest("cccc", "3");
	p = plan(w, (struct hub_plan_request){.name = "book"}, NULL, NULL);
	r = cox_node_get(p, "rollout");
	assert_string_equal(text(r, "begins"), "later");
	assert_non_null(strstr(text(r, "message"), "when it is finished, or stuck"));
	/* who is new joins it */
	repo_head(REPO, "bbbb");
	p = plan(w, (struct hub_plan_request){0},
		 SET("book", ALL "  - list: {elements: [{name: new, server: 'https://3.3.3.3'}]}\n",
		     ""),
		 NULL);
	assert_string_equal(text(cox_node_get(p, "rollout"), "begins"), "joins");
	assert_true(cox_node_bool(cox_node_get(target(p, "argocd/new-book"), "moves"), false));
	/* and the one that is under way is none the worse for it */
	site_wait(&w->site, waits, &(struct word){w, "nobody has approved"});
}

static void test_barred(void **state)
{
	struct world *w = *state;
	const struct cox_rollout *r = NULL;
	struct hub_batch *batch = hub_batch_new();
	const struct cox_node *p;

	roll_out(w);
	site_apply(&w->site, POLICY(DEV "  - name: rest\n    before: [{approval: {}}]\n"));
	manifest("bbbb", "2");
	hub_control_refresh(w->site.control, NULL, "dev-book", false, NULL);
	site_wait(&w->site, waits, &(struct word){w, "nobody has approved"});
	assert_int_equal(
		hub_control_rollout_act(w->site.control, batch, NULL, "book",
					&(struct hub_rollout_order){.verb = "abort", .by = "me"},
					&r, NULL),
		0);
	hub_store_commit(w->site.store, batch);
	p = plan(w, (struct hub_plan_request){.name = "book"}, NULL, NULL);
	assert_string_equal(text(cox_node_get(p, "rollout"), "begins"), "never");
	assert_non_null(strstr(text(cox_node_get(p, "rollout"), "message"), "cox rollout retry"));
	manifest("cccc", "3");
	p = plan(w, (struct hub_plan_request){.name = "book"}, NULL, NULL);
	assert_string_equal(text(cox_node_get(p, "rollout"), "begins"), "now");
}

/* ---- agents ---- */

static void test_agents_that_cannot_say(void **state)
{
	struct world *w = *state;
	const struct cox_node *p;

	w->agents[0].old = true;	/* skips what it does not know */
	w->agents[1].hold_diffs = true; /* takes too long */
	p = plan(w, (struct hub_plan_request){.target_ms = 200}, SET("book", ALL, ""), NULL);
	assert_non_null(strstr(text(target(p, "argocd/dev-book"), "why"), "older than this"));
	assert_string_equal(text(target(p, "argocd/pre-book"), "comparison"), "unknown");
	assert_string_equal(text(target(p, "argocd/prod-book"), "comparison"), "computed");
	assert_int_equal(cox_node_int(COX_GET(p, "summary", "notComputed"), 0), 2);
}

/* Whatever is not known when its time is over stays unknown; the plan comes all the same. */
static void test_too_long(void **state)
{
	struct world *w = *state;
	const struct cox_node *p;

	w->agents[1].hold_diffs = true;
	p = plan(w, (struct hub_plan_request){.total_ms = 500}, SET("book", ALL, ""), NULL);
	assert_true(cox_node_bool(cox_node_get(p, "late"), false));
	assert_non_null(strstr(text(target(p, "argocd/pre-book"), "why"), "taken too long"));
	assert_string_equal(text(target(p, "argocd/dev-book"), "comparison"), "computed");
	/* an answer that comes after that finds nobody */
	agent_answer(&w->agents[1]);
	site_settle(&w->site);
	/* before anything is rendered */
	p = plan(w, (struct hub_plan_request){.total_ms = 1}, SET("book", ALL, ""), NULL);
	assert_int_equal(cox_node_len(cox_node_get(p, "applications")), 3);
}

static void test_paused(void **state)
{
	struct world *w = *state;
	const struct cox_node *p;

	roll_out(w);
	site_apply(&w->site,
		   "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: lone\n"
		   "  annotations: {argocd.argoproj.io/skip-reconcile: 'true'}\n"
		   "spec:\n  project: default\n  source: {repoURL: '" REPO "', path: book}\n"
		   "  destination: {name: dev, namespace: lone}\n  syncPolicy: {automated: {}}\n");
	p = plan(w, (struct hub_plan_request){.name = "lone"}, NULL, NULL);
	assert_non_null(strstr(text(cox_node_at(cox_node_get(p, "applications"), 0), "message"),
			       "skip-reconcile"));
	assert_false(cox_node_bool(cox_node_get(p, "changes"), true));
}

/* Twenty of one cluster, and a few of the others. */
static char *many(void)
{
	struct cox_buf yaml = COX_BUF_INIT;

	cox_buf_puts(&yaml, "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"
			    "metadata: {name: many}\nspec:\n  generators:\n  - list:\n"
			    "      elements:\n");
	for (int i = 0; i < 20; i++)
		cox_buf_printf(&yaml, "      - {name: a%02d, cluster: dev}\n", i);
	cox_buf_puts(&yaml, "      - {name: z1, cluster: pre}\n      - {name: z2, cluster: prod}\n"
			    "  template:\n    metadata: {name: '{{name}}'}\n"
			    "    spec:\n      project: default\n"
			    "      source: {repoURL: '" REPO "', path: book}\n"
			    "      destination: {name: '{{cluster}}', namespace: '{{name}}'}\n"
			    "      syncPolicy: {automated: {}}\n");
	return cox_buf_take(&yaml);
}

static bool others_were_asked(void *arg)
{
	struct world *w = arg;

	return w->agents[1].n_diffs == 1 && w->agents[2].n_diffs == 1 && w->agents[0].asked.n == 2;
}

static void test_one_cluster_holds_up_no_other(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *yaml = many();

	w->agents[0].hold_diffs = true;
	begin(w, (struct hub_plan_request){0}, yaml, NULL);
	site_wait(&w->site, others_were_asked, w);
	w->agents[0].hold_diffs = false;
	agent_answer(&w->agents[0]);
	site_wait(&w->site, is_made, w);
	assert_int_equal(w->agents[0].n_diffs, 20);
	assert_int_equal(w->agents[0].most_diffs, 2);
	assert_int_equal(cox_node_int(COX_GET(cox_doc_root(w->answer), "summary", "computed"), 0),
			 22);
}

static void test_limits(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *yaml = many();
	static const int64_t limits[] = {21, 22, 23};
	const struct cox_node *p;

	for (size_t i = 0; i < COX_ARRAY_LEN(limits); i++) {
		int64_t left = limits[i] < 22 ? 22 - limits[i] : 0;

		p = plan(w, (struct hub_plan_request){.max_targets = limits[i]}, yaml, NULL);
		assert_int_equal(cox_node_int(COX_GET(p, "summary", "leftOut"), -1), left);
		assert_int_equal(cox_node_int(COX_GET(p, "summary", "computed"), -1), 22 - left);
	}
	plan(w, (struct hub_plan_request){.max_targets = HUB_PLAN_TARGETS_MAX}, yaml, NULL);
	refuse(w, (struct hub_plan_request){.max_targets = HUB_PLAN_TARGETS_MAX + 1}, yaml, NULL,
	       "targets: from 1 to 10000");
	plan(w, (struct hub_plan_request){.target_ms = HUB_PLAN_TARGET_MAX_MS}, yaml, NULL);
	refuse(w, (struct hub_plan_request){.target_ms = HUB_PLAN_TARGET_MAX_MS + 1}, yaml, NULL,
	       "at most 300 seconds");
}

/* The old one has a label, the new one so many more. */
static char *labelled(int n)
{
	struct cox_buf yaml = COX_BUF_INIT;

	cox_buf_puts(&yaml, "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"
			    "metadata: {name: book, annotations: {coxswain.dev/rollout-policy: "
			    "staged}}\nspec:\n  generators:\n  - clusters: {}\n"
			    "  template:\n    metadata:\n      name: '{{name}}-book'\n"
			    "      labels: {first: x");
	for (int i = 0; i < n; i++)
		cox_buf_printf(&yaml, ", l%d: x", i);
	cox_buf_puts(&yaml,
		     "}\n    spec:\n      project: default\n"
		     "      source: {repoURL: '" REPO "', targetRevision: HEAD, path: book}\n"
		     "      destination: {server: '{{server}}', namespace: book}\n"
		     "      syncPolicy: {automated: {prune: true, selfHeal: true}}\n");
	return cox_buf_take(&yaml);
}

static void test_so_many_changes(void **state)
{
	static const int wanted[] = {49, 50, 51};
	struct world *w = *state;
	_cleanup_free_ char *old = labelled(0);

	site_apply(&w->site, old);
	wait_all(w, "aaaa");
	for (size_t i = 0; i < COX_ARRAY_LEN(wanted); i++) {
		_cleanup_free_ char *yaml = labelled(wanted[i]);
		const struct cox_node *p = plan(w, (struct hub_plan_request){0}, yaml, NULL);
		const struct cox_node *a = cox_node_at(cox_node_get(p, "applications"), 0);

		assert_int_equal(cox_node_len(cox_node_get(a, "changes")),
				 wanted[i] < 50 ? wanted[i] : 50);
		assert_true(cox_node_bool(cox_node_get(a, "moreChanges"), false) ==
			    (wanted[i] > 50));
	}
}

#define MANY 9

struct crowd {
	struct world *w;
	struct agent agents[MANY];
	size_t wanted;
};

static size_t n_asked(const struct crowd *x)
{
	size_t n = 0;

	for (int i = 0; i < MANY; i++)
		n += x->agents[i].asked.n;
	return n;
}

static bool so_many_are_asked(void *arg)
{
	const struct crowd *x = arg;

	return n_asked(x) == x->wanted;
}

static struct crowd *gather(struct world *w)
{
	struct crowd *x = cox_new(struct crowd);

	x->w = w;
	for (int i = 0; i < MANY; i++) {
		_cleanup_free_ char *name = cox_asprintf("m%d", i);
		_cleanup_free_ char *yaml =
			cox_asprintf("apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
				     "metadata: {name: %s, labels: {many: 'yes'}}\n"
				     "spec: {server: 'https://%s'}\n",
				     name, name);
		_cleanup_free_ char *token = NULL;

		site_apply(&w->site, yaml);
		token = site_token(&w->site, name);
		agent_init(&x->agents[i], &w->site, name);
		agent_join(&x->agents[i], token);
		agent_connect(&x->agents[i]);
	}
	return x;
}

static void disperse(struct crowd *x)
{
	for (int i = 0; i < MANY; i++)
		agent_fini(&x->agents[i]);
	free(x);
}

static char *two_each(void)
{
	struct cox_buf yaml = COX_BUF_INIT;

	cox_buf_puts(&yaml, "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"
			    "metadata: {name: two}\nspec:\n  generators:\n  - list:\n"
			    "      elements:\n");
	for (int i = 0; i < 2 * MANY; i++)
		cox_buf_printf(&yaml, "      - {name: %c-m%d, cluster: m%d}\n", 'a' + i / MANY,
			       i % MANY, i % MANY);
	cox_buf_puts(&yaml, "  template:\n    metadata: {name: '{{name}}'}\n"
			    "    spec:\n      project: default\n"
			    "      source: {repoURL: '" REPO "', path: book}\n"
			    "      destination: {name: '{{cluster}}', namespace: '{{name}}'}\n"
			    "      syncPolicy: {automated: {}}\n");
	return cox_buf_take(&yaml);
}

static void test_so_many_agents_at_one_time(void **state)
{
	struct crowd *x = gather(*state);
	_cleanup_free_ char *yaml = two_each();

	for (int i = 0; i < MANY; i++)
		x->agents[i].hold_diffs = true;
	begin(x->w, (struct hub_plan_request){0}, yaml, NULL);
	x->wanted = 16; /* of 18 */
	site_wait(&x->w->site, so_many_are_asked, x);
	site_settle(&x->w->site);
	assert_int_equal(n_asked(x), 16);
	agent_answer(&x->agents[0]);
	site_wait(&x->w->site, so_many_are_asked, x);
	for (int i = 0; i < MANY; i++) {
		x->agents[i].hold_diffs = false;
		agent_answer(&x->agents[i]);
	}
	site_wait(&x->w->site, is_made, x->w);
	assert_int_equal(
		cox_node_int(COX_GET(cox_doc_root(x->w->answer), "summary", "computed"), 0), 18);
	disperse(x);
}

/* 16 MiB in all are told field by field: of 18 with a mebibyte and more each, 15; what is left out says so,
 * and is counted all the same. */
static void test_so_much_is_told(void **state)
{
	struct crowd *x = gather(*state);
	_cleanup_free_ char *yaml = two_each();
	const struct cox_node *p, *targets;
	size_t truncated = 0;

	for (int i = 0; i < MANY; i++)
		x->agents[i].bulk = 1 << 20;
	p = plan(x->w, (struct hub_plan_request){.objects = true}, yaml, NULL);
	targets = cox_node_get(cox_node_at(cox_node_get(p, "waves"), 0), "targets");
	assert_int_equal(cox_node_len(targets), 18);
	for (size_t i = 0; i < 18; i++) {
		const struct cox_node *t = cox_node_at(targets, i);

		truncated += cox_node_bool(cox_node_get(t, "truncated"), false);
		assert_int_equal(cox_node_int(COX_GET(t, "objects", "create"), 0), 1);
	}
	assert_int_equal(truncated, 3);
	/* and none of it where nobody asks */
	p = plan(x->w, (struct hub_plan_request){0}, yaml, NULL);
	targets = cox_node_get(cox_node_at(cox_node_get(p, "waves"), 0), "targets");
	assert_int_equal(cox_node_len(cox_node_get(cox_node_at(targets, 0), "differences")), 0);
	assert_false(cox_node_bool(cox_node_get(cox_node_at(targets, 17), "truncated"), false));
	disperse(x);
}

static void ignore(void *arg, const struct cox_doc *answer, const struct cox_error *err)
{
	(void)answer;
	(void)err;
	++*(size_t *)arg;
}

static void test_so_many_plans_at_one_time(void **state)
{
	struct world *w = *state;
	_cleanup_doc_ struct cox_doc *object = read_yaml(SET("book", ALL, ""));
	struct hub_plan_request q = {.object = object};
	struct control_plan *plans[9];
	struct cox_error err = COX_ERROR_INIT;
	size_t n = 0;

	for (int i = 0; i < 8; i++)
		assert_int_equal(
			hub_control_plan(w->site.control, &q, ignore, NULL, &n, &plans[i], &err),
			0);
	assert_int_equal(hub_control_plan(w->site.control, &q, ignore, NULL, &n, &plans[8], &err),
			 -COX_RESOURCE_EXHAUSTED);
	/* one that was refused for what it says takes no place, nor does one that is given up */
	refuse(w, (struct hub_plan_request){.name = "x"}, NULL, NULL, "8 plans");
	hub_control_plan_cancel(plans[3]);
	refuse(w, (struct hub_plan_request){.name = "x"}, NULL, NULL, "no ApplicationSet");
	assert_int_equal(hub_control_plan(w->site.control, &q, ignore, NULL, &n, &plans[3], &err),
			 0);
	for (int i = 0; i < 8; i++)
		hub_control_plan_cancel(plans[i]);
	site_settle(&w->site);
	assert_int_equal(n, 0);
}

static bool is_asked(void *arg)
{
	return ((struct world *)arg)->agents[0].asked.n > 0;
}

/* While it is rendered, and while an agent is asked. */
static void test_given_up(void **state)
{
	struct world *w = *state;

	begin(w, (struct hub_plan_request){0}, SET("book", ALL, ""), NULL);
	hub_control_plan_cancel(w->plan);
	w->agents[0].hold_diffs = true;
	begin(w, (struct hub_plan_request){0}, SET("book", ALL, ""), NULL);
	site_wait(&w->site, is_asked, w);
	hub_control_plan_cancel(w->plan);
	agent_answer(&w->agents[0]);
	site_settle(&w->site);
	assert_false(w->done);
	/* the hub ends in the middle of one */
	begin(w, (struct hub_plan_request){0}, SET("book", ALL, ""), NULL);
	site_wait(&w->site, is_asked, w);
	for (int i = 1; i < 3; i++)
		agent_disconnect(&w->agents[i]);
	site_stop(&w->site);
	assert_true(w->done);
	assert_int_equal(w->error.code, COX_UNAVAILABLE);
	site_start(&w->site);
}

static void test_refused(void **state)
{
	struct world *w = *state;

	refuse(w, (struct hub_plan_request){0}, CLUSTER("x", "y"), NULL, "not of 'Cluster'");
	refuse(w, (struct hub_plan_request){0}, SET("Bad Name", ALL, ""), NULL, "Bad Name");
	refuse(w, (struct hub_plan_request){.set = true, .name = "x"}, NULL, NULL,
	       "no applicationset 'argocd/x'");
	refuse(w, (struct hub_plan_request){0}, SET("book", ALL, ""), CLUSTER("x", "y"),
	       "is no RolloutPolicy");
	refuse(w, (struct hub_plan_request){0}, SET("book", ALL, ""),
	       POLICY("  - {name: x, before: [{soak: 1m}]}\n"), "soak");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_new_set),
		TEST(test_changed_set),
		TEST(test_deletions),
		TEST(test_clash),
		TEST(test_next_commit),
		TEST(test_blockers),
		TEST(test_rollout_under_way),
		TEST(test_barred),
		TEST(test_agents_that_cannot_say),
		TEST(test_too_long),
		TEST(test_paused),
		TEST(test_one_cluster_holds_up_no_other),
		TEST(test_limits),
		TEST(test_so_many_changes),
		TEST(test_so_many_agents_at_one_time),
		TEST(test_so_much_is_told),
		TEST(test_so_many_plans_at_one_time),
		TEST(test_given_up),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
