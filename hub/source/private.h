/* What the files of this room share; nobody else includes it (it opens the door to libgit2). */
#ifndef HUB_SOURCE_PRIVATE_H
#define HUB_SOURCE_PRIVATE_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/crypto/digest.h"
#include "hub/source/source.h"

#include <git2.h>
#include <pthread.h>

/* One fetch. On the stack of the fetching thread; `fd`, `stop_code` and its place in the list are
 * under the source's watch_lock, the rest is the thread's own. */
struct hub_fetch {
	struct hub_source *source;
	const struct hub_url *url;
	const struct hub_credentials *credentials;
	struct cox_error first; /* what our own callbacks found: it says more than libgit2 can */
	int64_t deadline_ms;
	int64_t max_bytes;
	int n_asked; /* how often the server wanted credentials */
	bool connected;
	int fd;	       /* -1: none; the watchdog shuts it down */
	int stop_code; /* 0, or why the watchdog stopped it */
	struct cox_list in_watch;
};

/* A repository's mirror. Lives as long as the source. */
struct mirror {
	struct hub_url url; /* immutable */
	char *dir;	    /* immutable */
	pthread_mutex_t fetch_lock;
	/* Under the source's lock: */
	uint64_t n_asked;		    /* fetches wanted so far */
	uint64_t n_served;		    /* how many of them the last good one answered */
	int last_result;		    /* of that one */
	uint8_t last_who[COX_SHA256_BYTES]; /* whose credentials it used */
};

struct hub_source {
	struct hub_source_options options; /* immutable */
	char *dir;
	pthread_mutex_t lock;
	struct cox_map mirrors; /* by clean URL; under lock */
	/* The watchdog ends fetches that take too long: libgit2 1.5 has no timeouts. */
	pthread_mutex_t watch_lock;
	pthread_cond_t watch_changed;
	struct cox_list watched; /* struct hub_fetch; under watch_lock */
	bool cancelled, closing; /* under watch_lock */
	pthread_t watchdog;
};

/* The fetch that this thread is in; libgit2 calls streams without a payload. */
extern _Thread_local struct hub_fetch *hub_fetch_now;

/* stream.c: makes libgit2 use our sockets and TLS for every connection; once a process. */
int hub_streams_register(struct cox_error *err);

/* watch.c */
int hub_watch_start(struct hub_source *s, struct cox_error *err);
void hub_watch_stop(struct hub_source *s);
void hub_watch_begin(struct hub_fetch *f);
void hub_watch_end(struct hub_fetch *f);
/* Gives the socket to the watchdog, or takes it back with -1 (before it is closed). Negative when
 * the fetch is stopped already. */
int hub_watch_socket(struct hub_fetch *f, int fd);
/* Negative, with err set, when the fetch was stopped or is over time. */
int hub_watch_check(struct hub_fetch *f, struct cox_error *err);

/* fetch.c: talks to the server; the mirror's fetch_lock is held. 1: changed, 0: not. */
int hub_mirror_fetch(struct hub_source *s, struct mirror *m,
		     const struct hub_credentials *credentials, struct cox_error *err);

/* source.c: the mirror of a URL (borrowed), and a handle on it that is the caller's; COX_NOT_FOUND
 * before the first fetch. */
int hub_mirror_find(struct hub_source *s, const char *url, struct mirror **ret_mirror,
		    git_repository **ret_repo, struct cox_error *err);
/* err from what libgit2 says now. */
int hub_git_error(struct cox_error *err, enum cox_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* tree_commit.c: takes repo. */
int hub_tree_open_commit(git_repository *repo, const char *url, const git_oid *commit,
			 struct hub_tree **ret_tree, struct cox_error *err);

static inline void hub_repo_free_p(git_repository **r)
{
	git_repository_free(*r);
}
#define _cleanup_repo_ __attribute__((cleanup(hub_repo_free_p)))
static inline void hub_ref_free_p(git_reference **r)
{
	git_reference_free(*r);
}
#define _cleanup_ref_ __attribute__((cleanup(hub_ref_free_p)))
static inline void hub_object_free_p(git_object **o)
{
	git_object_free(*o);
}
#define _cleanup_object_ __attribute__((cleanup(hub_object_free_p)))

#endif
