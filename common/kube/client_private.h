/* What watch.c, discovery.c and verbs.c need of a client; private to this room. */
#ifndef COX_KUBE_CLIENT_PRIVATE_H
#define COX_KUBE_CLIENT_PRIVATE_H

#include "common/base/rand.h"
#include "common/kube/client.h"
#include "common/net/http_client.h"

/* Fills in URL, token and target, and sends, past queue and retries. */
int cox_kube_http_send(struct cox_kube *kube, const char *path, struct cox_http_send *send,
		       struct cox_http_call **ret_call, struct cox_error *err);
struct cox_loop *cox_kube_loop(struct cox_kube *kube);
struct cox_rng *cox_kube_rng(struct cox_kube *kube);

/* A path with a query: the first parameter is begun with '?'. */
struct cox_kube_query {
	struct cox_buf *out;
	bool begun;
};
/* value NULL or "" adds nothing. */
void cox_kube_param(struct cox_kube_query *query, const char *name, const char *value);

#define COX_ACCEPT_METADATA_LIST                                                                   \
	"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
#define COX_ACCEPT_METADATA                                                                        \
	"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

/* Fills answer from an HTTP status and body; answer->doc is the caller's to unref, ret_error is
 * what answer->error points at. */
void cox_kube_read_answer(int status, struct cox_str body, bool raw, const char *what,
			  struct cox_kube_answer *ret_answer, struct cox_error *ret_error);
/* What a Status object says; ret_error gets its message. */
enum cox_kube_reason cox_kube_read_status(const struct cox_node *status, int http_status,
					  struct cox_error *ret_error);

#endif
