/* Calls to one cluster's API: typed verbs over JSON, many in flight, a queue behind them.
 *
 * Every call ends in exactly one done, in a later turn of the loop, unless it is cancelled. No more
 * than `parallel` calls are in flight; the others wait in order. 429 and 503 are tried again, when
 * the server says or after a growing, jittered pause; no other failure is, because only the caller
 * knows whether that is safe. Loop-owned, all of it.
 */
#ifndef COX_KUBE_CLIENT_H
#define COX_KUBE_CLIENT_H

#include "common/doc/doc.h"
#include "common/kube/kubeconfig.h"
#include "common/run/loop.h"

struct cox_kube;
struct cox_kube_call;

struct cox_kube_options {
	unsigned parallel;    /* calls in flight; 0: 32 */
	size_t max_queue;     /* calls that wait; 0: 20000 */
	unsigned max_retries; /* of 429 and 503; 0: 6 */
	size_t max_body;      /* bytes of an answer; 0: 64 MiB */
	int64_t timeout_ms;   /* of one try; 0: 60 s */
};

/* Takes config over, also on failure. options may be NULL. */
int cox_kube_new(struct cox_loop *loop, struct cox_kubeconfig *config,
		 const struct cox_kube_options *options, struct cox_kube **ret_kube,
		 struct cox_error *err);
/* Cancels what runs. Watches and discoveries of it are freed before. */
void cox_kube_free(struct cox_kube *kube);
DEFINE_CLEANUP(struct cox_kube *, cox_kube_free);
#define _cleanup_kube_ COX_CLEANUP(cox_kube_free_p)
const struct cox_kubeconfig *cox_kube_config(const struct cox_kube *kube);

/* ---- what is called upon ---- */

enum cox_kube_verbs {
	COX_VERB_GET = 1,
	COX_VERB_LIST = 2,
	COX_VERB_WATCH = 4,
	COX_VERB_CREATE = 8,
	COX_VERB_UPDATE = 16,
	COX_VERB_PATCH = 32,
	COX_VERB_DELETE = 64,
	COX_VERB_DELETECOLLECTION = 128,
};

/* A kind of object as the API serves it; from discovery, or written down. */
struct cox_kube_resource {
	const char *group; /* "" for the core */
	const char *version, *kind, *plural;
	bool namespaced;
	unsigned verbs; /* enum cox_kube_verbs */
};
/* "/apis/apps/v1/namespaces/ns/deployments/name/status". Appends. namespace is left out when NULL
 * or "" or the resource has none; name and subresource may be NULL. */
void cox_kube_path(struct cox_buf *out, const struct cox_kube_resource *resource,
		   const char *namespace, const char *name, const char *subresource);

/* ---- answers ---- */

/* What a Status says, as far as callers act upon it. */
enum cox_kube_reason {
	COX_KUBE_NO_REASON = 0, /* no failure, no answer, or a reason not listed */
	COX_KUBE_NOT_FOUND,
	COX_KUBE_ALREADY_EXISTS,
	COX_KUBE_CONFLICT,
	COX_KUBE_INVALID,
	COX_KUBE_BAD_REQUEST,
	COX_KUBE_FORBIDDEN,
	COX_KUBE_UNAUTHORIZED,
	COX_KUBE_GONE, /* also Expired */
	COX_KUBE_TOO_MANY_REQUESTS,
	COX_KUBE_UNAVAILABLE,
	COX_KUBE_TIMEOUT, /* also ServerTimeout */
	COX_KUBE_INTERNAL,
	COX_KUBE_NOT_SUPPORTED, /* the method, the content type, the accepted types */
	COX_KUBE_TOO_LARGE,
};

struct cox_kube_answer {
	int status;	     /* HTTP's; 0: there was no answer */
	struct cox_doc *doc; /* sealed, borrowed (cox_doc_ref to keep); the object, or the Status of
			      * a failure; NULL when there was neither or raw was set */
	struct cox_str body; /* as it came */
	enum cox_kube_reason reason;
	bool namespace_terminating; /* Forbidden, because the namespace is on its way out */
	/* code COX_OK: done. Conflict is COX_ABORTED, Gone COX_OUT_OF_RANGE, Invalid and BadRequest
	 * COX_INVALID_ARGUMENT; the message is the server's. */
	const struct cox_error *error;
	const char *warning; /* the text of the first Warning header, or NULL */
};

typedef void cox_kube_done(void *arg, const struct cox_kube_answer *answer);

/* ---- calls; what they are given is copied ---- */

struct cox_kube_request {
	const char *method, *path;	   /* path with its query */
	const char *content_type, *accept; /* NULL: application/json */
	struct cox_str body;
	bool raw; /* the body is not read as JSON */
	bool no_retry;
	int64_t timeout_ms; /* 0: the client's */
	cox_kube_done *done;
	void *arg;
};
struct cox_kube_call *cox_kube_send(struct cox_kube *kube, const struct cox_kube_request *request);
/* done is not called any more. NULL is fine. */
void cox_kube_cancel(struct cox_kube_call *call);
/* Calls in flight, in the queue, and waiting to be tried again. */
size_t cox_kube_pending(const struct cox_kube *kube);

struct cox_kube_call *cox_kube_get(struct cox_kube *kube, const struct cox_kube_resource *resource,
				   const char *namespace, const char *name, cox_kube_done *done,
				   void *arg);

struct cox_kube_list_options {
	const char *label_selector, *field_selector; /* or NULL */
	unsigned limit;				     /* 0: none */
	const char *continue_token;		     /* of the page before, or NULL */
	const char *resource_version;
	bool metadata_only; /* items are PartialObjectMetadata */
};
/* namespace NULL or "": all. options may be NULL. */
struct cox_kube_call *cox_kube_list(struct cox_kube *kube, const struct cox_kube_resource *resource,
				    const char *namespace,
				    const struct cox_kube_list_options *options,
				    cox_kube_done *done, void *arg);

struct cox_kube_write_options {
	const char *field_manager;    /* NULL: "coxswain" */
	const char *field_validation; /* "Strict", "Warn", "Ignore"; NULL: the server's default */
	const char *subresource;      /* "status"; or NULL */
	bool force;		      /* apply only: take fields from other managers */
	bool dry_run;
};
struct cox_kube_call *cox_kube_create(struct cox_kube *kube,
				      const struct cox_kube_resource *resource,
				      const char *namespace, const struct cox_node *object,
				      const struct cox_kube_write_options *options,
				      cox_kube_done *done, void *arg);
/* PUT. */
struct cox_kube_call *cox_kube_update(struct cox_kube *kube,
				      const struct cox_kube_resource *resource,
				      const char *namespace, const char *name,
				      const struct cox_node *object,
				      const struct cox_kube_write_options *options,
				      cox_kube_done *done, void *arg);
/* Server-side apply. */
struct cox_kube_call *cox_kube_apply(struct cox_kube *kube,
				     const struct cox_kube_resource *resource,
				     const char *namespace, const char *name,
				     const struct cox_node *object,
				     const struct cox_kube_write_options *options,
				     cox_kube_done *done, void *arg);
enum cox_kube_patch_type { COX_PATCH_MERGE, COX_PATCH_JSON, COX_PATCH_STRATEGIC };
struct cox_kube_call *cox_kube_patch(struct cox_kube *kube,
				     const struct cox_kube_resource *resource,
				     const char *namespace, const char *name,
				     enum cox_kube_patch_type type, const struct cox_node *patch,
				     const struct cox_kube_write_options *options,
				     cox_kube_done *done, void *arg);

struct cox_kube_delete_options {
	const char *propagation; /* "Background", "Foreground", "Orphan"; NULL: the default */
	const char *uid, *resource_version; /* preconditions, or NULL: any other is a Conflict */
	int64_t grace_seconds;		    /* negative: the object's own */
	bool dry_run;
};
#define COX_KUBE_DELETE_OPTIONS ((struct cox_kube_delete_options){.grace_seconds = -1})
/* options may be NULL. */
struct cox_kube_call *cox_kube_delete(struct cox_kube *kube,
				      const struct cox_kube_resource *resource,
				      const char *namespace, const char *name,
				      const struct cox_kube_delete_options *options,
				      cox_kube_done *done, void *arg);

#endif
