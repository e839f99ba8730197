/* Repository Secrets, as Argo CD has them: label argocd.argoproj.io/secret-type `repository` (one
 * URL) or `repo-creds` (the credentials for every URL that begins so). The decoded values are the
 * struct's own, and wiped when it goes; they must not reach a log. */
#ifndef COX_HUB_MODEL_REPOSITORY_H
#define COX_HUB_MODEL_REPOSITORY_H

#include "hub/model/kind.h"

struct hub_repository {
	bool is_template; /* repo-creds */
	char *name;	  /* of the Secret */
	char *namespace;
	char *url;
	char *type; /* "git" (default), "helm", "oci" */
	char *project;
	char *username, *password, *bearer_token;
	char *ssh_private_key;
	char *tls_client_cert, *tls_client_key, *tls_ca; /* PEM */
	char *proxy, *no_proxy;
	bool insecure; /* neither the TLS certificate nor the SSH host key is checked */
	bool enable_oci;
};

/* From `data` (base64) and `stringData`, which wins. */
int hub_repository_init(struct hub_repository *repo, const struct cox_doc *doc,
			struct cox_error *err);
void hub_repository_fini(struct hub_repository *repo);
#define _cleanup_repository_ __attribute__((cleanup(hub_repository_fini)))

/* After common/project/repo_url.h's normal form. */
bool hub_repository_same_url(const char *a, const char *b);

/* Which of the n serves this URL: the `repository` with that URL, else the `repo-creds` with the
 * longest prefix; NULL: none. A repository without credentials of its own takes those of the
 * template: call hub_repository_credentials for them. */
const struct hub_repository *hub_repository_find(const struct hub_repository *repos, size_t n,
						 const char *url);
const struct hub_repository *hub_repository_credentials(const struct hub_repository *repos,
							size_t n, const char *url);

#endif
