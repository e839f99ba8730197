/* Just as much of Kubernetes' protobuf encoding as clients insist on: `kubectl create` sends what it
 * makes itself (namespaces, config maps, deployments, …) in it, and kubectl before 1.27 reads
 * /openapi/v2 in it. Answers are JSON all the same; every client takes that.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding-idl
 * https://protobuf.dev/programming-guides/encoding/ Threads: pure. */
#ifndef KUBESIM_PROTOBUF_H
#define KUBESIM_PROTOBUF_H

#include "common/kube/schema.h"

#define KS_PROTOBUF "application/vnd.kubernetes.protobuf"

/* An object in its envelope ("k8s\0", then runtime.Unknown). COX_UNIMPLEMENTED for a kind whose
 * field numbers are not known here, COX_INVALID_ARGUMENT for what is no such thing. Fields that are
 * not known are left out. */
int ks_protobuf_read(struct cox_str bytes, struct cox_doc **ret_doc, struct cox_error *err);

/* An OpenAPI v2 document as JSON, in gnostic's message openapi.v2.Document. Appends. */
void ks_protobuf_write_openapi(struct cox_buf *out, const struct cox_node *document);

#endif
