/* The small parts of the controllers: which addresses may be connected to, conditions, and which bundles
 * are kept. */
#include "fixture.h"
#include "hub/control/addresses.h"
#include "hub/control/internal.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* ---- addresses ---- */

static int check(const char *cidr, const char *address)
{
	struct control_addresses a = {0};
	cox_strings cidrs = {0};
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	const struct sockaddr *s = (const struct sockaddr *)&four;
	int r;

	if (cidr)
		cox_vec_push(&cidrs, (char *)cidr);
	assert_int_equal(control_addresses_init(&a, &cidrs, NULL), 0);
	if (inet_pton(AF_INET, address, &four.sin_addr) != 1) {
		assert_int_equal(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
		s = (const struct sockaddr *)&six;
	}
	r = control_addresses_check(&a, "host", s, NULL);
	control_addresses_fini(&a);
	cox_vec_fini(&cidrs);
	return r;
}

static void test_addresses(void **state)
{
	static const struct {
		const char *cidr, *address;
		bool fine;
	} rows[] = {
		{NULL, "93.184.216.34", true},
		{NULL, "2606:2800:220:1::1", true},
		{NULL, "127.0.0.1", false},
		{NULL, "127.255.255.254", false},
		{NULL, "0.0.0.0", false},
		{NULL, "169.254.169.254", false},
		{NULL, "10.1.2.3", false},
		{NULL, "172.15.255.255", true},
		{NULL, "172.16.0.0", false},
		{NULL, "172.31.255.255", false},
		{NULL, "172.32.0.0", true},
		{NULL, "192.168.1.1", false},
		{NULL, "100.64.0.1", false},
		{NULL, "224.0.0.1", false},
		{NULL, "::1", false},
		{NULL, "::", false},
		{NULL, "fe80::1", false},
		{NULL, "fd00::1", false},
		{NULL, "::ffff:127.0.0.1", false},
		{NULL, "::ffff:93.184.216.34", true},
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", true},
		{"10.0.0.0/8", "192.168.1.1", false},
		{"10.1.0.0/15", "10.1.2.3", true},
		{"10.2.0.0/15", "10.1.2.3", false},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"fd00::/8", "fd12::1", true},
		{"::1", "::1", true},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++)
		if ((check(rows[i].cidr, rows[i].address) == 0) != rows[i].fine)
			fail_msg("%s with %s", rows[i].address, rows[i].cidr);
}

static void test_networks_are_checked(void **state)
{
	static const char *const bad[] = {"",		"10.0.0.0/33", "10.0.0.0/",
					  "::/129",	"10.0.0/8",    "host/8",
					  "10.0.0.0/x", "/8",	       "10.0.0.0/-1"};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++) {
		struct control_addresses a = {0};
		cox_strings cidrs = {0};

		cox_vec_push(&cidrs, (char *)bad[i]);
		if (control_addresses_init(&a, &cidrs, NULL) >= 0)
			fail_msg("'%s' was taken", bad[i]);
		control_addresses_fini(&a);
		cox_vec_fini(&cidrs);
	}
}

/* ---- conditions ---- */

static void test_conditions(void **state)
{
	control_conditions v = {0};

	(void)state;
	assert_false(control_condition_set(&v, "A", NULL));
	assert_true(control_condition_set(&v, "A", "one"));
	assert_false(control_condition_set(&v, "A", "one"));
	assert_true(control_condition_set(&v, "A", "two"));
	assert_true(control_condition_set(&v, "B", "three"));
	assert_string_equal(control_condition_get(&v, "A"), "two");
	assert_true(control_condition_set(&v, "A", NULL));
	assert_null(control_condition_get(&v, "A"));
	assert_int_equal(v.n, 1);
	control_conditions_fini(&v);
}

/* ---- bundles that nothing names ---- */

#define REPO "file:///srv/apps.git"

static void push(const char *commit)
{
	_cleanup_free_ char *text =
		cox_asprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n", commit);

	repo_set(REPO, commit, "book/book.yaml", text);
	repo_head(REPO, commit);
}

static void test_collects(void **state)
{
	static const char *const commits[] = {"aaaa", "bbbb", "cccc", "dddd"};
	struct site site;
	struct agent dev;
	_cleanup_free_ char *token = NULL;
	struct hub_batch *batch;

	(void)state;
	site_init(&site);
	site_start(&site);
	push(commits[0]);
	site_apply(
		&site,
		"apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\nmetadata: {name: dev}\nspec: "
		"{}\n"
		"---\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: one}\n"
		"spec:\n  project: default\n  source: {repoURL: '" REPO "', path: book}\n"
		"  destination: {name: dev, namespace: x}\n  revisionHistoryLimit: 2\n"
		"  syncPolicy: {automated: {}}\n");
	token = site_token(&site, "dev");
	agent_init(&dev, &site, "dev");
	agent_join(&dev, token);
	agent_connect(&dev);
	for (size_t i = 0; i < COX_ARRAY_LEN(commits); i++) {
		if (i > 0)
			push(commits[i]);
		assert_int_equal(hub_control_refresh(site.control, NULL, "one", false, NULL), 0);
		site_wait_status(&site, "one", "Synced", "Healthy", commits[i]);
	}
	assert_int_equal(site.control->bundles.n, 4);
	control_collect(site.control);
	/* What is deployed, and what the history can go back to. */
	assert_true(site.control->bundles.n >= 1 && site.control->bundles.n <= 2);
	site_settle(&site);
	site_wait_status(&site, "one", "Synced", "Healthy", "dddd");
	batch = hub_batch_new();
	assert_int_equal(hub_control_delete(site.control, batch, HUB_APPLICATION, NULL, "one",
					    HUB_DELETE_CASCADE, NULL),
			 1);
	hub_store_commit(site.store, batch);
	site_wait_status(&site, "one", "", "", "");
	control_collect(site.control);
	assert_int_equal(site.control->bundles.n, 0);
	agent_fini(&dev);
	site_fini(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_networks_are_checked),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_collects),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	cox_net_fini();
	return failed;
}
