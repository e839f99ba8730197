/* Repositories from real servers on loopback: a file, https, ssh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "git_servers.h"
#include "hub/source/reads.h"
#include "hub/source/source.h"
#include "tree_suite.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable()
#define __lsan_enable()
#endif

static struct servers servers;

struct fixture {
	struct hub_source *source;
	char *dir, *url, *name;
};

static int n_fixtures;

static struct hub_source *open_source(const char *dir, int64_t max_bytes, int64_t timeout_ms)
{
	struct hub_source_options o = {.dir = dir,
				       .allow_file = true,
				       .max_repo_bytes = max_bytes,
				       .fetch_timeout_ms = timeout_ms};
	struct hub_source *s;
	struct cox_error err = COX_ERROR_INIT;

	if (hub_source_open(&o, &s, &err) < 0)
		fail_msg("%s", err.message);
	return s;
}

/* A source, and a repository "NAME.git" with a clone "NAME" that pushes to it and has one commit. */
static int setup(void **state)
{
	struct fixture *f = cox_new(struct fixture);

	f->name = cox_asprintf("r%d", n_fixtures++);
	f->dir = cox_asprintf("%s/state-%s", servers.dir, f->name);
	f->url = cox_asprintf("file://%s/%s.git", servers.repos, f->name);
	free(run(&servers,
		 "git init -q --bare -b main repos/%1$s.git; git init -q -b main %1$s; cd %1$s; "
		 "git remote add origin ../repos/%1$s.git; echo one > a; git add a; "
		 "git commit -qm one; git push -q origin main",
		 f->name));
	f->source = open_source(f->dir, 0, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	hub_source_close(f->source);
	free(f->dir);
	free(f->url);
	free(f->name);
	free(f);
	return 0;
}

static int fetch(struct fixture *f)
{
	struct cox_error err = COX_ERROR_INIT;
	int r = hub_source_fetch(f->source, f->url, NULL, &err);

	if (r < 0)
		fail_msg("%s", err.message);
	return r;
}

/* The commit that a revision means, as git says it. */
static char *commit_of(struct fixture *f, const char *revision)
{
	return run(&servers, "git -C %s rev-parse '%s^{commit}'", f->name, revision);
}

static void expect(struct fixture *f, const char *revision, const char *prefix,
		   const char *git_revision, enum hub_revision_kind kind, const char *ref)
{
	_cleanup_free_ char *commit = commit_of(f, git_revision);
	struct cox_error err = COX_ERROR_INIT;
	struct hub_revision got;

	if (hub_source_resolve(f->source, f->url, revision, prefix, &got, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(got.commit, commit);
	assert_int_equal(got.kind, kind);
	assert_string_equal(got.ref, ref);
}

static void expect_not(struct fixture *f, const char *revision, int code, const char *says)
{
	struct cox_error err = COX_ERROR_INIT;
	struct hub_revision got;

	assert_int_equal(hub_source_resolve(f->source, f->url, revision, "", &got, &err), -code);
	if (!strstr(err.message, says))
		fail_msg("'%s' does not say '%s'", err.message, says);
}

static char *read_at(struct fixture *f, const char *revision, const char *path)
{
	_cleanup_tree_ struct hub_tree *t = NULL;
	struct cox_buf out = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;
	struct hub_revision got;

	if (hub_source_resolve(f->source, f->url, revision, "", &got, &err) < 0 ||
	    hub_source_tree(f->source, f->url, got.commit, &t, &err) < 0 ||
	    hub_tree_read(t, path, 1 << 20, &out, &err) < 0)
		fail_msg("%s", err.message);
	return cox_buf_take(&out);
}

static void expect_text(struct fixture *f, const char *revision, const char *path,
			const char *wanted)
{
	_cleanup_free_ char *text = read_at(f, revision, path);

	assert_string_equal(text, wanted);
}

static void test_follow(void **state)
{
	struct fixture *f = *state;

	expect_not(f, "main", COX_NOT_FOUND, "has not been fetched yet");
	assert_int_equal(fetch(f), 1);
	assert_int_equal(fetch(f), 0);
	expect_text(f, "main", "a", "one\n");
	expect(f, "", "", "main", HUB_REVISION_HEAD, "refs/heads/main");
	free(run(&servers, "cd %s; echo two > a; git commit -qam two; git push -q origin main",
		 f->name));
	expect_text(f, "main", "a", "one\n");
	assert_int_equal(fetch(f), 1);
	expect_text(f, "main", "a", "two\n");
	/* A forced push takes history away. */
	free(run(&servers,
		 "cd %s; git tag -f old; git reset -q --hard HEAD~1; echo three > a; "
		 "git commit -qam three; git push -qf origin main",
		 f->name));
	assert_int_equal(fetch(f), 1);
	expect_text(f, "main", "a", "three\n");
	expect(f, "main", "", "main", HUB_REVISION_BRANCH, "refs/heads/main");
}

static void test_deletions_and_moves(void **state)
{
	struct fixture *f = *state;

	free(run(&servers, "cd %s; git branch feature; git tag t1; git push -q origin feature t1",
		 f->name));
	assert_int_equal(fetch(f), 1);
	expect(f, "feature", "", "feature", HUB_REVISION_BRANCH, "refs/heads/feature");
	expect(f, "t1", "", "t1", HUB_REVISION_TAG, "refs/tags/t1");
	/* The tag moves, the branch goes, and one comes in its way: feature/x needs feature gone. */
	free(run(&servers,
		 "cd %s; echo x > b; git add b; git commit -qm b; git tag -f t1; "
		 "git branch -D feature; git branch feature/x; git push -qf origin :feature; "
		 "git push -qf origin main t1 feature/x",
		 f->name));
	assert_int_equal(fetch(f), 1);
	expect(f, "t1", "", "t1", HUB_REVISION_TAG, "refs/tags/t1");
	expect(f, "feature/x", "", "feature/x", HUB_REVISION_BRANCH, "refs/heads/feature/x");
	expect_not(f, "feature", COX_NOT_FOUND, "no such branch, tag or commit");
	free(run(&servers, "cd %s; git push -q origin :t1", f->name));
	assert_int_equal(fetch(f), 1);
	expect_not(f, "t1", COX_NOT_FOUND, "'t1'");
	/* The default branch is another one. */
	free(run(&servers, "git -C repos/%s.git symbolic-ref HEAD refs/heads/feature/x", f->name));
	assert_int_equal(fetch(f), 1);
	expect(f, "HEAD", "", "feature/x", HUB_REVISION_HEAD, "refs/heads/feature/x");
}

static void test_resolve(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *first = commit_of(f, "main");
	char short_name[9];

	free(run(&servers,
		 "cd %s; git tag v1.0.0; echo 2 > a; git commit -qam 2; git tag -a -m x v1.2.0; "
		 "echo 3 > a; git commit -qam 3; git tag v1.10.0; git tag web-3.0.0; "
		 "echo 4 > a; git commit -qam 4; git tag v2.0.0-rc.1; git branch 1.x v1.0.0; "
		 "git branch 7.x v1.2.0; git tag both v1.0.0; git branch both v1.2.0; "
		 "git tag a-blob $(git hash-object -w a); git push -q origin --all; "
		 "git push -q origin --tags",
		 f->name));
	assert_int_equal(fetch(f), 1);
	memcpy(short_name, first, 8);
	short_name[8] = '\0';
	expect(f, first, "", first, HUB_REVISION_COMMIT, "");
	expect(f, short_name, "", first, HUB_REVISION_COMMIT, "");
	expect(f, "v1.0.0", "", "v1.0.0", HUB_REVISION_TAG, "refs/tags/v1.0.0");
	/* An annotated tag means its commit. */
	expect(f, "v1.2.0", "", "v1.2.0", HUB_REVISION_TAG, "refs/tags/v1.2.0");
	expect(f, "refs/heads/main", "", "main", HUB_REVISION_BRANCH, "refs/heads/main");
	expect(f, "refs/tags/v1.2.0", "", "v1.2.0", HUB_REVISION_TAG, "refs/tags/v1.2.0");
	expect(f, "both", "", "refs/heads/both", HUB_REVISION_BRANCH, "refs/heads/both");
	expect(f, "*", "", "v1.10.0", HUB_REVISION_SEMVER, "refs/tags/v1.10.0");
	expect(f, "~1.2", "", "v1.2.0", HUB_REVISION_SEMVER, "refs/tags/v1.2.0");
	expect(f, ">=1.0.0-0", "", "v2.0.0-rc.1", HUB_REVISION_SEMVER, "refs/tags/v2.0.0-rc.1");
	expect(f, ">=1", "web-", "web-3.0.0", HUB_REVISION_SEMVER, "refs/tags/web-3.0.0");
	/* A branch that looks like a constraint: a tag that fits goes first. */
	expect(f, "1.x", "", "v1.10.0", HUB_REVISION_SEMVER, "refs/tags/v1.10.0");
	expect(f, "7.x", "", "7.x", HUB_REVISION_BRANCH, "refs/heads/7.x");
	expect_not(f, ">=9", COX_NOT_FOUND, "no tag fulfils it");
	expect_not(f, "nowhere", COX_NOT_FOUND, "'nowhere'");
	expect_not(f, "0123456789012345678901234567890123456789", COX_NOT_FOUND, "0123456");
	expect_not(f, "a-blob", COX_FAILED_PRECONDITION, "does not lead to a commit");
	expect_not(f, "x\ny", COX_INVALID_ARGUMENT, "control character");
	expect_not(f, "../../../etc/passwd", COX_NOT_FOUND, "not found");
	expect_not(f, "main~1", COX_NOT_FOUND, "not found");
	expect_not(f, "main@{0}", COX_NOT_FOUND, "not found");
}

static void test_refs_and_commit(void **state)
{
	struct fixture *f = *state;
	struct hub_ref_list list = HUB_REF_LIST_INIT;
	_cleanup_free_ char *commit = commit_of(f, "main");
	struct hub_commit info;

	free(run(&servers, "cd %s; git tag -a -m x t; git push -q origin t", f->name));
	fetch(f);
	assert_int_equal(hub_source_refs(f->source, f->url, &list, NULL), 0);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.items[0].name, "refs/heads/main");
	assert_string_equal(list.items[1].name, "refs/tags/t");
	assert_string_equal(list.items[1].commit, commit);
	hub_ref_list_fini(&list);
	assert_int_equal(hub_source_commit(f->source, f->url, commit, &info, NULL), 0);
	assert_string_equal(info.author, "Ann <ann@x>");
	assert_string_equal(info.message, "one\n");
	assert_true(info.time_ms > 1600000000000LL);
	hub_commit_fini(&info);
	assert_int_equal(hub_source_forget(f->source, f->url, NULL), 0);
	expect_not(f, "main", COX_NOT_FOUND, "has not been fetched yet");
	assert_int_equal(hub_source_forget(f->source, f->url, NULL), 0);
}

static void test_tree(void **state)
{
	struct fixture *f = *state;
	_cleanup_tree_ struct hub_tree *t = NULL, *none = NULL, *recording = NULL;
	_cleanup_reads_ struct hub_reads reads = HUB_READS_INIT;
	struct hub_revision got;
	struct cox_error err;
	enum hub_tree_kind kind;

	free(run(&servers, "cd %s; git rm -q a", f->name));
	for (size_t i = 0; i < n_tree_items; i++) {
		const struct tree_item *item = &tree_items[i];

		if (item->content)
			free(run(&servers, "cd %s; mkdir -p $(dirname %s); printf '%s' > %s",
				 f->name, item->path, item->content, item->path));
		else
			free(run(&servers, "cd %s; mkdir -p $(dirname %s); ln -s %s %s", f->name,
				 item->path, item->target, item->path));
	}
	free(run(&servers, "cd %s; git add -A; git commit -qm tree; git push -q origin main",
		 f->name));
	fetch(f);
	assert_int_equal(hub_source_resolve(f->source, f->url, "main", "", &got, NULL), 0);
	assert_int_equal(hub_source_tree(f->source, f->url, got.commit, &t, NULL), 0);
	assert_string_equal(t->commit, got.commit);
	tree_suite(t);
	recording = hub_tree_recording(t, &reads);
	tree_suite(recording);
	assert_true(reads.n > 0);
	assert_int_equal(hub_reads_hold(&reads, t, NULL), 1);
	assert_int_equal(hub_source_tree(f->source, f->url,
					 "0123456789012345678901234567890123456789", &none, &err),
			 -COX_NOT_FOUND);
	assert_int_equal(hub_source_tree(f->source, f->url, "main", &none, &err),
			 -COX_INVALID_ARGUMENT);
	/* A submodule is shown and not entered. */
	free(run(&servers,
		 "cd %s; git update-index --add --cacheinfo 160000,%s,sub; git commit -qm sub; "
		 "git push -q origin main",
		 f->name, got.commit));
	fetch(f);
	/* What was open stays as it was. */
	tree_suite(t);
	hub_tree_unref(TAKE(t));
	assert_int_equal(hub_source_resolve(f->source, f->url, "main", "", &got, NULL), 0);
	assert_int_equal(hub_source_tree(f->source, f->url, got.commit, &t, NULL), 0);
	assert_int_equal(hub_tree_kind(t, "sub", &kind, NULL), 0);
	assert_int_equal(kind, HUB_TREE_SUBMODULE);
	assert_int_equal(hub_tree_kind(t, "sub/x", &kind, &err), -COX_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, "submodule"));
}

static struct hub_tree *tree_at(struct fixture *f, const char *script)
{
	struct hub_tree *t = NULL;
	struct hub_revision got;

	free(run(&servers, "cd %s; %s; git add -A; git commit -qm x; git push -q origin main",
		 f->name, script));
	fetch(f);
	assert_int_equal(hub_source_resolve(f->source, f->url, "main", "", &got, NULL), 0);
	assert_int_equal(hub_source_tree(f->source, f->url, got.commit, &t, NULL), 0);
	return t;
}

static void test_reads(void **state)
{
	static const struct {
		const char *script;
		int holds;
	} commits[] = {
		{"echo x > other/x", 1},
		{"echo x > dir/deep/y", 1}, /* below what was listed, not in it */
		{"echo two > dir/f", 0},
		{"echo one > dir/f", 1}, /* as it was */
		{"rm dir/f; ln -s deep/y dir/f", 0},
		{"rm dir/f; echo one > dir/f; echo z > dir/z", 0}, /* a name more in a directory */
		{"rm dir/z; mkdir gone; echo x > gone/file", 0},   /* looked for in vain */
		{"rm -r gone; rm -r dir/deep; echo x > dir/deep", 0},
		{"rm dir/deep; mkdir dir/deep; echo q > dir/deep/q", 1},
	};
	struct fixture *f = *state;
	_cleanup_tree_ struct hub_tree *t = NULL, *recording = NULL;
	_cleanup_reads_ struct hub_reads reads = HUB_READS_INIT;
	_cleanup_tree_list_ struct hub_tree_list list = HUB_TREE_LIST_INIT;
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	enum hub_tree_kind kind;

	t = tree_at(f, "mkdir -p dir/deep other; echo one > dir/f; echo y > dir/deep/y");
	recording = hub_tree_recording(t, &reads);
	assert_int_equal(hub_tree_read(recording, "dir/f", 100, &out, NULL), 0);
	assert_int_equal(hub_tree_list(recording, "dir", &list, NULL), 0);
	assert_int_equal(hub_tree_kind(recording, "gone", &kind, NULL), -COX_NOT_FOUND);
	assert_int_equal(hub_tree_read(recording, "gone/file", 1, &out, NULL), -COX_NOT_FOUND);
	assert_int_equal(hub_tree_kind(recording, "dir/deep", &kind, NULL), 0);
	assert_int_equal(reads.n, 5);
	assert_int_equal(hub_reads_hold(&reads, t, NULL), 1);
	for (size_t i = 0; i < COX_ARRAY_LEN(commits); i++) {
		_cleanup_tree_ struct hub_tree *next = tree_at(f, commits[i].script);

		if (hub_reads_hold(&reads, next, NULL) != commits[i].holds)
			fail_msg("%s", commits[i].script);
	}
}

static void expect_refused(struct hub_source *s, const char *url,
			   const struct hub_credentials *credentials, int code, const char *says)
{
	struct cox_error err = COX_ERROR_INIT;
	int r = hub_source_fetch(s, url, credentials, &err);

	if (r != -code || !strstr(err.message, says))
		fail_msg("%d '%s' is not %d '%s'", r, err.message, -code, says);
	/* Canaries never come out. */
	assert_null(strstr(err.message, "canary"));
	assert_null(strstr(err.message, "PRIVATE KEY"));
}

static void test_file_refusals(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *missing = cox_asprintf("file://%s/missing.git", servers.repos);
	_cleanup_free_ char *dir = cox_asprintf("%s/other-state", servers.dir);
	struct hub_source_options closed = {.dir = dir};
	COX_CLEANUP(hub_source_close_p) struct hub_source *s = NULL;

	expect_refused(f->source, missing, NULL, COX_NOT_FOUND, "repository not found");
	expect_refused(f->source, "http://127.0.0.1/x", NULL, COX_INVALID_ARGUMENT, "https://");
	expect_refused(f->source, "https://u:canary@h/x", NULL, COX_INVALID_ARGUMENT,
		       "credentials");
	assert_int_equal(hub_source_open(&closed, &s, NULL), 0);
	expect_refused(s, f->url, NULL, COX_PERMISSION_DENIED, "--allow-file-repos");
	hub_source_cancel(s);
}

/* A hub that is killed while it stores what it fetched leaves locks, which hold up nobody. */
static void test_killed_while_storing(void **state)
{
	struct fixture *f = *state;

	fetch(f);
	free(run(&servers,
		 "for d in state-%s/*/; do touch $d/HEAD.lock $d/refs/heads/main.lock "
		 "$d/packed-refs.lock; done; cd %s; echo two > a; git commit -qam two; "
		 "git push -q origin main",
		 f->name, f->name));
	assert_int_equal(fetch(f), 1);
	expect_text(f, "main", "a", "two\n");
}

/* An empty repository is fetched, and has nothing; a damaged mirror is made anew. */
static void test_empty_and_damaged(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *empty = cox_asprintf("file://%s/empty.git", servers.repos);
	struct hub_revision got;
	struct cox_error err;

	free(run(&servers, "git init -q --bare -b main repos/empty.git"));
	assert_true(hub_source_fetch(f->source, empty, NULL, &err) >= 0);
	assert_int_equal(hub_source_resolve(f->source, empty, "HEAD", "", &got, &err),
			 -COX_NOT_FOUND);
	assert_non_null(strstr(err.message, "it is empty"));
	fetch(f);
	free(run(&servers, "rm state-%s/*/HEAD state-%s/*/config", f->name, f->name));
	assert_int_equal(fetch(f), 1);
	expect_text(f, "main", "a", "one\n");
}

/* Every fetch adds a pack; sooner or later they become one again, and nothing is missing. */
static void test_many_packs(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *many = NULL, *few = NULL;

	assert_int_equal(fetch(f), 1);
	/* As if a hundred fetches had been. */
	free(run(&servers,
		 "p=$(ls state-%s/*/objects/pack/*.pack); p=${p%%.pack}; d=$(dirname $p); "
		 "for i in $(seq 100 200); do n=pack-$(printf %%040d $i); cp $p.pack $d/$n.pack; "
		 "cp $p.idx $d/$n.idx; done",
		 f->name));
	expect_text(f, "main", "a", "one\n");
	many = run(&servers, "ls state-%s/*/objects/pack/*.pack | wc -l", f->name);
	assert_string_equal(many, "102");
	assert_int_equal(fetch(f), 1);
	few = run(&servers, "ls state-%s/*/objects/pack/*.pack | wc -l; ls state-%s", f->name,
		  f->name);
	assert_true(cox_str_starts(cox_str(few), "1\n"));
	assert_null(strstr(few, ".new"));
	expect_text(f, "main", "a", "one\n");
	assert_int_equal(fetch(f), 0);
	/* One that cannot be built anew stays what it was. */
	free(run(&servers,
		 "rm state-%s/*/objects/pack/pack-*.tmp 2>/dev/null || true; "
		 "p=$(ls state-%s/*/objects/pack/*.pack); p=${p%%.pack}; d=$(dirname $p); "
		 "for i in $(seq 100 200); do n=pack-$(printf %%040d $i); cp $p.pack $d/$n.pack; "
		 "cp $p.idx $d/$n.idx; done; mv repos/%s.git repos/away",
		 f->name, f->name, f->name));
	assert_int_equal(hub_source_fetch(f->source, f->url, NULL, NULL), -COX_NOT_FOUND);
	expect_text(f, "main", "a", "one\n");
	free(run(&servers, "mv repos/away repos/%s.git; ls state-%s | grep -c new | grep -x 0",
		 f->name, f->name));
}

static void test_size_limit(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = cox_asprintf("%s/small-%s", servers.dir, f->name);
	COX_CLEANUP(hub_source_close_p) struct hub_source *s = open_source(dir, 1 << 20, 0);

	assert_int_equal(hub_source_fetch(s, f->url, NULL, NULL), 1);
	free(run(&servers,
		 "cd %s; head -c 3000000 /dev/urandom > big; git add big; git commit -qm big; "
		 "git push -q origin main",
		 f->name));
	expect_refused(s, f->url, NULL, COX_RESOURCE_EXHAUSTED, "larger than 1 MiB");
	/* What was there before stays usable. */
	{
		struct hub_revision got;

		assert_int_equal(hub_source_resolve(s, f->url, "main", "", &got, NULL), 0);
	}
	assert_int_equal(fetch(f), 1);
}

/* ---- https ---- */

static void test_https(void **state)
{
	struct fixture *f = *state;
	struct hub_credentials right = {
		.tls_ca = servers.ca, .username = servers.user, .password = servers.password};
	struct hub_credentials anonymous = {.tls_ca = servers.ca}, wrong = right, none = {0};
	_cleanup_free_ char *url = NULL, *private = NULL, *missing = NULL, *moved = NULL;
	_cleanup_free_ char *elsewhere = NULL, *downgraded = NULL;

	if (!servers.https) {
		print_message("no https server could be started: skipped\n");
		skip();
	}
	url = cox_asprintf("%s/public/%s.git", servers.https, f->name);
	private = cox_asprintf("%s/private/%s.git", servers.https, f->name);
	missing = cox_asprintf("%s/public/missing.git", servers.https);
	elsewhere = cox_asprintf("%s/elsewhere/%s.git", servers.https, f->name);
	downgraded = cox_asprintf("%s/downgraded/%s.git", servers.https, f->name);
	moved = cox_asprintf("%s/moved/%s.git", servers.https, f->name);
	wrong.password = "canary-wrong";
	/* The private authority is known to nobody by itself. */
	expect_refused(f->source, url, &none, COX_PERMISSION_DENIED, "is not trusted");
	expect_refused(f->source, url, NULL, COX_PERMISSION_DENIED, "is not trusted");
	expect_refused(f->source, missing, &anonymous, COX_NOT_FOUND, "repository not found");
	expect_refused(f->source, elsewhere, &anonymous, COX_FAILED_PRECONDITION, "redirects");
	expect_refused(f->source, downgraded, &anonymous, COX_FAILED_PRECONDITION, "redirects");
	assert_int_equal(hub_source_fetch(f->source, moved, &anonymous, NULL), 1);
	expect_refused(f->source, private, &anonymous, COX_UNAUTHENTICATED, "wants credentials");
	expect_refused(f->source, private, &wrong, COX_UNAUTHENTICATED, "refused the user name");
	wrong = (struct hub_credentials){.tls_ca = servers.ca, .bearer = "canary-token"};
	expect_refused(f->source, private, &wrong, COX_UNAUTHENTICATED, "refused");
	free(f->url);
	f->url = cox_strdup(url);
	assert_int_equal(hub_source_fetch(f->source, url, &anonymous, NULL), 1);
	assert_int_equal(hub_source_fetch(f->source, url, &anonymous, NULL), 0);
	expect_text(f, "main", "a", "one\n");
	free(f->url);
	f->url = cox_strdup(private);
	assert_int_equal(hub_source_fetch(f->source, private, &right, NULL), 1);
	free(run(&servers, "cd %s; echo two > a; git commit -qam two; git push -q origin main",
		 f->name));
	assert_int_equal(hub_source_fetch(f->source, private, &right, NULL), 1);
	expect_text(f, "main", "a", "two\n");
	/* A success by others is nobody else's success. */
	wrong = right;
	wrong.password = "canary-wrong";
	expect_refused(f->source, private, &wrong, COX_UNAUTHENTICATED, "refused the user name");
}

/* ---- ssh ---- */

/* libgit2 1.5 and libssh2 lose some fifty bytes an ssh connection; that is not what we look for. */
static void test_ssh(void **state)
{
	struct fixture *f = *state;
	struct hub_credentials right = {.ssh_key = servers.ssh_key,
					.known_hosts = servers.known_hosts};
	struct hub_credentials wrong = right;
	_cleanup_free_ char *url = NULL, *missing = NULL, *changed = NULL;

	if (!servers.ssh) {
		print_message("no ssh server could be started: skipped\n");
		skip();
	}
	url = cox_asprintf("%s%s/%s.git", servers.ssh, servers.repos, f->name);
	missing = cox_asprintf("%s%s/missing.git", servers.ssh, servers.repos);
	__lsan_disable();
	wrong.known_hosts = NULL;
	expect_refused(f->source, url, &wrong, COX_PERMISSION_DENIED, "is not known");
	changed = run(&servers, "echo \"$(cut -d' ' -f1 <<X\n%s\nX\n) $(cat other.pub)\"",
		      servers.known_hosts);
	wrong.known_hosts = changed;
	expect_refused(f->source, url, &wrong, COX_PERMISSION_DENIED, "has changed");
	wrong = right;
	wrong.ssh_key = servers.other_key;
	expect_refused(f->source, url, &wrong, COX_UNAUTHENTICATED, "refused the ssh key");
	wrong.ssh_key = NULL;
	expect_refused(f->source, url, &wrong, COX_UNAUTHENTICATED, "wants credentials");
	wrong.ssh_key = "canary: no key at all";
	expect_refused(f->source, url, &wrong, COX_UNAUTHENTICATED, "ssh");
	expect_refused(f->source, missing, &right, COX_NOT_FOUND, "repository not found");
	free(f->url);
	f->url = cox_strdup(url);
	{
		struct cox_error err = COX_ERROR_INIT;

		if (hub_source_fetch(f->source, url, &right, &err) != 1)
			fail_msg("%s", err.message);
	}
	assert_int_equal(hub_source_fetch(f->source, url, &right, NULL), 0);
	expect_text(f, "main", "a", "one\n");
	free(run(&servers, "cd %s; echo two > a; git commit -qam two; git push -q origin main",
		 f->name));
	assert_int_equal(hub_source_fetch(f->source, url, &right, NULL), 1);
	expect_text(f, "main", "a", "two\n");
	__lsan_enable();
}

/* ---- servers that don't answer ---- */

/* Takes connections and says nothing. */
static int silent_server(char **ret_url)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*ret_url = cox_asprintf("127.0.0.1:%d/x.git", ntohs(a.sin_port));
	return fd;
}

static void test_deadline(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = cox_asprintf("%s/slow-%s", servers.dir, f->name);
	COX_CLEANUP(hub_source_close_p) struct hub_source *s = open_source(dir, 0, 200);
	_cleanup_free_ char *where = NULL;
	_cleanup_close_ int fd = silent_server(&where);
	_cleanup_free_ char *https = cox_asprintf("https://%s", where);
	_cleanup_free_ char *ssh = cox_asprintf("ssh://%s", where);
	int64_t start_ms = cox_clock_ms();

	expect_refused(s, https, NULL, COX_DEADLINE_EXCEEDED, "took too long");
	__lsan_disable();
	expect_refused(s, ssh, NULL, COX_DEADLINE_EXCEEDED, "took too long");
	__lsan_enable();
	assert_true(cox_clock_ms() - start_ms < 20000);
	close(TAKE_FD(fd));
	expect_refused(s, https, NULL, COX_UNAVAILABLE, "cannot connect");
	expect_refused(s, "https://does-not-exist.invalid/x", NULL, COX_UNAVAILABLE,
		       "cannot find host");
}

struct waiting {
	struct hub_source *source;
	const char *url;
	int result;
};

static void *fetch_in_thread(void *arg)
{
	struct waiting *w = arg;

	w->result = hub_source_fetch(w->source, w->url, NULL, NULL);
	return NULL;
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *where = NULL;
	_cleanup_close_ int fd = silent_server(&where);
	_cleanup_free_ char *url = cox_asprintf("https://%s", where);
	struct waiting w = {.source = f->source, .url = url};
	_cleanup_close_ int peer = -1;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fetch_in_thread, &w), 0);
	/* It is inside when the server sees it. */
	peer = accept(fd, NULL, NULL);
	assert_true(peer >= 0);
	hub_source_cancel(f->source);
	pthread_join(thread, NULL);
	assert_int_equal(w.result, -COX_CANCELLED);
	expect_refused(f->source, f->url, NULL, COX_CANCELLED, "cancelled");
}

static int refuse_loopback(void *arg, const char *host, const struct sockaddr *address,
			   struct cox_error *err)
{
	*(int *)arg += address->sa_family == AF_INET;
	return cox_error(err, COX_PERMISSION_DENIED, "address of '%s' is not allowed", host);
}

static void test_address_check(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = cox_asprintf("%s/fenced-%s", servers.dir, f->name);
	_cleanup_free_ char *where = NULL;
	_cleanup_close_ int fd = silent_server(&where);
	_cleanup_free_ char *url = cox_asprintf("https://%s", where);
	int n_asked = 0;
	struct hub_source_options o = {
		.dir = dir, .check_address = refuse_loopback, .check_address_arg = &n_asked};
	COX_CLEANUP(hub_source_close_p) struct hub_source *s = NULL;

	assert_int_equal(hub_source_open(&o, &s, NULL), 0);
	expect_refused(s, url, NULL, COX_PERMISSION_DENIED, "is not allowed");
	assert_int_equal(n_asked, 1);
}

/* Many ask for one repository and others at once, and read while it is fetched. */
static void *use(void *arg)
{
	struct waiting *w = arg;

	for (int i = 0; i < 5 && w->result >= 0; i++) {
		_cleanup_tree_ struct hub_tree *t = NULL;
		_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
		struct hub_revision got;

		w->result = hub_source_fetch(w->source, w->url, NULL, NULL);
		if (w->result >= 0)
			w->result = hub_source_resolve(w->source, w->url, "main", "", &got, NULL);
		if (w->result >= 0)
			w->result = hub_source_tree(w->source, w->url, got.commit, &t, NULL);
		if (w->result >= 0)
			w->result = hub_tree_read(t, "a", 100, &out, NULL);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct fixture *f = *state;
	struct waiting all[6];
	pthread_t threads[6];

	free(run(&servers, "cp -r repos/%1$s.git repos/%1$s-b.git", f->name));
	for (int i = 0; i < 6; i++) {
		all[i].source = f->source;
		all[i].result = 0;
		all[i].url = i % 2 ? cox_strdup(f->url)
				   : cox_asprintf("file://%s/%s-b.git", servers.repos, f->name);
		assert_int_equal(pthread_create(&threads[i], NULL, use, &all[i]), 0);
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(all[i].result, 0);
		free((char *)all[i].url);
	}
}

static int start(void **state)
{
	(void)state;
	servers_start(&servers);
	return 0;
}

static int end(void **state)
{
	(void)state;
	servers_stop(&servers);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deletions_and_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resolve, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refs_and_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_while_storing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty_and_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_packs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_https, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ssh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_check, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, start, end);
}
