/* Where a cluster's API is and how to be let in: one context of a kubeconfig file, or the service
 * account of the pod that this runs in.
 *
 * Taken: server, certificate authority (data, file), insecure-skip-tls-verify, tls-server-name,
 * proxy-url, client certificate and key (data, file), token, tokenFile, namespace. Refused with a
 * sentence: exec, auth-provider, username. Relative paths are relative to the kubeconfig's folder.
 * Files are read once, except the token's, which is read again whenever it changes.
 * https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 *
 * Loop-owned after it was handed to a client; holds secrets, which are wiped when freed.
 */
#ifndef COX_KUBE_KUBECONFIG_H
#define COX_KUBE_KUBECONFIG_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cox_kubeconfig {
	char *context;				  /* its name; "in-cluster" */
	char *server;				  /* "https://host:port", no slash at the end */
	char *namespace;			  /* never NULL; "default" when none is named */
	struct cox_buf ca_pem, cert_pem, key_pem; /* empty: none */
	char *server_name; /* to be found in the server's certificate; NULL: the server's host */
	char *proxy_url;   /* or NULL */
	bool insecure;
	char *token;		/* or NULL; see cox_kubeconfig_token */
	char *token_path;	/* or NULL */
	int64_t token_stamp[3]; /* of the file that token was read from */
};

/* context NULL: the file's current one. */
int cox_kubeconfig_load(const char *path, const char *context, struct cox_kubeconfig **ret_config,
			struct cox_error *err);
/* The same from text; dir is what relative paths are relative to. */
int cox_kubeconfig_parse(struct cox_str text, const char *name, const char *dir,
			 const char *context, struct cox_kubeconfig **ret_config,
			 struct cox_error *err);
/* From KUBERNETES_SERVICE_HOST and _PORT and the files token, ca.crt and namespace in dir (NULL:
 * where Kubernetes puts them). COX_NOT_FOUND when this is no pod. */
int cox_kubeconfig_in_cluster(const char *dir, struct cox_kubeconfig **ret_config,
			      struct cox_error *err);
void cox_kubeconfig_free(struct cox_kubeconfig *config);
DEFINE_CLEANUP(struct cox_kubeconfig *, cox_kubeconfig_free);

/* The token as it is now, borrowed until the next call; *ret_token NULL when there is none. A stat a
 * call, a read when the file has changed. */
int cox_kubeconfig_token(struct cox_kubeconfig *config, const char **ret_token,
			 struct cox_error *err);

#endif
