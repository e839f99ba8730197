/* Git repositories, by libgit2 (its only door): fetched into bare mirrors, resolved to commits,
 *read as trees. Nothing is ever checked out; there are no submodules, no hooks, no filters, no
 *user's or system's Git configuration.
 *
 *	r = hub_source_fetch(source, url, &credentials, err);           // talks to the server
 *	r = hub_source_resolve(source, url, "main", "", &revision, err); // the mirror answers
 *	r = hub_source_tree(source, url, revision.commit, &tree, err);
 *
 * What is refused: schemes other than https and ssh ("git@host:path" counts as ssh), file only with
 * allow_file; a password in a URL, any user information in an https one; control characters and a
 * leading '-'; redirects to another host, port or scheme; a server whose certificate or host key does not check out (there is no
 * switch for that); what is larger than the limits. Credentials go to the host they were given for
 * and nowhere else.
 *
 * The mirrors lie below options.dir, one directory a URL, named by the URL's SHA-256. A mirror that
 * is damaged, fell into too many packs, or outgrew its limit through forced pushes, is built anew
 * beside the old one by the next fetch; commits that no branch and no tag reaches are gone then, and
 * a tree that is open at that moment may fail to read (COX_DATA_LOSS: take it again).
 *
 * Errors, for people: COX_UNAUTHENTICATED (user, password, key refused, or none given),
 * COX_PERMISSION_DENIED (host key or certificate not trusted, address or scheme not allowed),
 * COX_NOT_FOUND (repository, revision, commit), COX_DEADLINE_EXCEEDED, COX_UNAVAILABLE (not
 * reachable), COX_RESOURCE_EXHAUSTED (limits), COX_CANCELLED. None holds a secret.
 *
 * Threads: everything blocks; call it on worker threads. struct hub_source may be used by any
 *number of them. Its table of repositories is under its mutex `lock`; a repository's fetch is under
 *that repository's mutex `fetch_lock` (a second fetch of the same URL waits, and takes the first
 *one's result when that began after it was asked for). Resolving and reading do not wait for
 *fetches: each opens the mirror for itself, and a fetch only adds objects and then moves
 *references. A hub_tree stays readable while others fetch. */
#ifndef COX_HUB_SOURCE_SOURCE_H
#define COX_HUB_SOURCE_SOURCE_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "hub/source/tree.h"

#include <stdbool.h>
#include <stdint.h>

#define HUB_LIMIT_URL_BYTES	 2048
#define HUB_LIMIT_REPO_BYTES	 (1LL << 30)
#define HUB_LIMIT_REFS		 20000
#define HUB_LIMIT_REVISION_BYTES 512
#define HUB_FETCH_TIMEOUT_MS	 120000
#define HUB_CONNECT_TIMEOUT_MS	 10000

struct sockaddr;
struct hub_source;

struct hub_source_options {
	const char *dir; /* made with mode 0700 */
	bool allow_file;
	int64_t max_repo_bytes;	    /* 0: HUB_LIMIT_REPO_BYTES */
	int64_t fetch_timeout_ms;   /* of one fetch as a whole; 0: HUB_FETCH_TIMEOUT_MS */
	int64_t connect_timeout_ms; /* of one address; 0: HUB_CONNECT_TIMEOUT_MS */
	/* Asked for every address before it is connected to, on the fetching thread; 0 to go on,
	 * negative with err set to refuse. NULL: all are fine. */
	int (*check_address)(void *arg, const char *host, const struct sockaddr *address,
			     struct cox_error *err);
	void *check_address_arg;
};

int hub_source_open(const struct hub_source_options *options, struct hub_source **ret_source,
		    struct cox_error *err);
/* Makes every running fetch, and those to come, fail with COX_CANCELLED; returns at once. */
void hub_source_cancel(struct hub_source *s);
/* No other thread may be inside any more (cancel, then wait for them). Trees stay readable. */
void hub_source_close(struct hub_source *s);
DEFINE_CLEANUP(struct hub_source *, hub_source_close);

/* Borrowed for the call. Only what is not NULL is used; nothing given is an anonymous fetch. */
struct hub_credentials {
	const char *username; /* https: NULL with a password means "git"; ssh: over the URL's */
	const char *password; /* https: a password or a token */
	const char *bearer;   /* https: sent as "Authorization: Bearer" */
	const char *tls_ca;   /* https: PEM; the only authorities trusted then, else the system's */
	const char *ssh_key;  /* PEM or OpenSSH text */
	const char *ssh_passphrase;
	const char *known_hosts; /* OpenSSH's format; ssh needs it: an unknown host is refused */
};

/* Brings the mirror up to the server's branches and tags (and its HEAD): forced pushes, moved tags
 * and deletions included. 1: something changed, 0: nothing did. What was there stays usable when it
 * fails. */
int hub_source_fetch(struct hub_source *s, const char *url,
		     const struct hub_credentials *credentials, struct cox_error *err);

enum hub_revision_kind {
	HUB_REVISION_HEAD = 1,
	HUB_REVISION_BRANCH,
	HUB_REVISION_TAG,
	HUB_REVISION_COMMIT,
	HUB_REVISION_SEMVER, /* ref is the tag that the constraint chose */
};

struct hub_revision {
	enum hub_revision_kind kind;
	char commit[65];
	char ref[HUB_LIMIT_REVISION_BYTES]; /* "refs/tags/v1.2.3"; "" for a commit */
};

/* What a targetRevision means now, from the mirror alone; the first of these that there is: a full
 * commit; "" and "HEAD"; "refs/..."; a semver constraint that some tag fulfils (the highest wins);
 * a branch; a tag (annotated ones peeled); an abbreviated commit, from 7 digits on. The order is Argo
 * CD's: "2.x" is a constraint first and a branch only when no tag fits. In a constraint only tags
 * that begin with tag_prefix ("" for none) take part, without it. */
int hub_source_resolve(struct hub_source *s, const char *url, const char *revision,
		       const char *tag_prefix, struct hub_revision *ret_revision,
		       struct cox_error *err);

/* The files of a commit (40 digits) that the mirror has. One reference, the caller's. */
int hub_source_tree(struct hub_source *s, const char *url, const char *commit,
		    struct hub_tree **ret_tree, struct cox_error *err);

struct hub_commit {
	char commit[65];
	char *author;	 /* "Name <mail>" */
	char *message;	 /* at most 4 KiB, valid UTF-8 */
	int64_t time_ms; /* of the commit, wall clock */
};

void hub_commit_fini(struct hub_commit *c);
int hub_source_commit(struct hub_source *s, const char *url, const char *commit,
		      struct hub_commit *ret_commit, struct cox_error *err);

/* Branches ("refs/heads/…") and tags ("refs/tags/…") with their commits, sorted by name. */
struct hub_ref {
	char *name;
	char commit[65];
};
struct hub_ref_list {
	struct hub_ref *items;
	size_t n, cap;
};
#define HUB_REF_LIST_INIT ((struct hub_ref_list){0})

void hub_ref_list_fini(struct hub_ref_list *list);
int hub_source_refs(struct hub_source *s, const char *url, struct hub_ref_list *ret_list,
		    struct cox_error *err);

/* Removes a mirror that nobody needs any more; 0 also when there was none. Trees of it that are
 * open may fail to read afterwards. */
int hub_source_forget(struct hub_source *s, const char *url, struct cox_error *err);

/* ---- URLs ---- */

enum hub_url_scheme { HUB_URL_HTTPS = 1, HUB_URL_SSH, HUB_URL_FILE };

struct hub_url {
	enum hub_url_scheme scheme;
	char *user;  /* ssh only; may be NULL */
	char *host;  /* lower case; NULL for file */
	int port;    /* 0: the scheme's own */
	char *path;  /* without "/" in front: relative to the user's home ("git@host:path") */
	char *clean; /* the URL as the mirror is named by and the server is asked with */
};

void hub_url_fini(struct hub_url *u);
/* Refuses what this room refuses, whatever the options say about file. */
int hub_url_parse(const char *text, struct hub_url *ret_url, struct cox_error *err);
/* Whether two URLs mean the same repository, as Argo CD compares them: without regard to the case
 * of the host, ".git" and '/' at the end, and whether ssh was written as "git@host:path". */
bool hub_url_same(const char *a, const char *b);

#endif
