#include "hub/model/repository.h"

#include "common/project/repo_url.h"
#include "hub/model/gate_secret.h"
#include "hub/model/view.h"

/* The keys of a repository Secret, by the reference's A8. */
static const struct {
	const char *key;
	size_t offset;
} text_keys[] = {
	{"url", offsetof(struct hub_repository, url)},
	{"type", offsetof(struct hub_repository, type)},
	{"project", offsetof(struct hub_repository, project)},
	{"username", offsetof(struct hub_repository, username)},
	{"password", offsetof(struct hub_repository, password)},
	{"bearerToken", offsetof(struct hub_repository, bearer_token)},
	{"sshPrivateKey", offsetof(struct hub_repository, ssh_private_key)},
	{"tlsClientCertData", offsetof(struct hub_repository, tls_client_cert)},
	{"tlsClientCertKey", offsetof(struct hub_repository, tls_client_key)},
	{"tlsCaData", offsetof(struct hub_repository, tls_ca)},
	{"proxy", offsetof(struct hub_repository, proxy)},
	{"noProxy", offsetof(struct hub_repository, no_proxy)},
};

static char **slot(struct hub_repository *repo, size_t i)
{
	return (char **)((char *)repo + text_keys[i].offset);
}

static bool flag_of(const struct cox_node *root, const char *key)
{
	_cleanup_free_ char *text = hub_view_secret(root, key);

	return strcmp(text, "true") == 0;
}

int hub_repository_init(struct hub_repository *repo, const struct cox_doc *doc,
			struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);
	int r = hub_view_check(doc, HUB_SECRET, err);

	if (r == 0 && hub_is_gate_secret(root))
		r = cox_error(err, COX_FAILED_PRECONDITION, "secret '%s' is no repository's",
			      hub_object_name(root));
	if (r < 0)
		return r;
	*repo = (struct hub_repository){
		.is_template =
			cox_streq(hub_object_label(root, HUB_SECRET_TYPE_LABEL), "repo-creds"),
		.name = cox_strdup(hub_object_name(root)),
		.namespace = cox_strdup(hub_object_namespace(root)),
		/* insecureIgnoreHostKey is the older name, for SSH alone */
		.insecure = flag_of(root, "insecure") || flag_of(root, "insecureIgnoreHostKey"),
		.enable_oci = flag_of(root, "enableOCI"),
	};
	for (size_t i = 0; i < COX_ARRAY_LEN(text_keys); i++)
		*slot(repo, i) = hub_view_secret(root, text_keys[i].key);
	if (!*repo->type) {
		free(repo->type);
		repo->type = cox_strdup("git");
	}
	return 0;
}

void hub_repository_fini(struct hub_repository *repo)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(text_keys); i++) {
		char *text = *slot(repo, i);

		if (text)
			explicit_bzero(text, strlen(text));
		free(text);
	}
	free(repo->name);
	free(repo->namespace);
	*repo = (struct hub_repository){0};
}

/* ---- URLs ---- */

bool hub_repository_same_url(const char *a, const char *b)
{
	_cleanup_free_ char *x = cox_repo_url_normal(a), *y = cox_repo_url_normal(b);

	return strcmp(x, y) == 0;
}

static const struct hub_repository *find_exact(const struct hub_repository *repos, size_t n,
					       const char *url)
{
	for (size_t i = 0; i < n; i++)
		if (!repos[i].is_template && hub_repository_same_url(repos[i].url, url))
			return &repos[i];
	return NULL;
}

/* A prefix ends where a part of the path ends: https://host/team is none of https://host/teams. */
static bool is_prefix(const char *prefix, const char *url)
{
	size_t n = strlen(prefix);

	while (n && prefix[n - 1] == '/')
		n--;
	return strncmp(prefix, url, n) == 0 && (url[n] == 0 || url[n] == '/');
}

static const struct hub_repository *find_template(const struct hub_repository *repos, size_t n,
						  const char *url)
{
	_cleanup_free_ char *normal = cox_repo_url_normal(url);
	const struct hub_repository *best = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *prefix = NULL;

		if (!repos[i].is_template)
			continue;
		prefix = cox_repo_url_normal(repos[i].url);
		if (is_prefix(prefix, normal) && (!best || strlen(prefix) > longest)) {
			best = &repos[i];
			longest = strlen(prefix);
		}
	}
	return best;
}

const struct hub_repository *hub_repository_find(const struct hub_repository *repos, size_t n,
						 const char *url)
{
	const struct hub_repository *exact = find_exact(repos, n, url);

	return exact ? exact : find_template(repos, n, url);
}

static bool has_credentials(const struct hub_repository *r)
{
	return *r->username || *r->password || *r->bearer_token || *r->ssh_private_key ||
	       *r->tls_client_cert;
}

const struct hub_repository *hub_repository_credentials(const struct hub_repository *repos,
							size_t n, const char *url)
{
	const struct hub_repository *exact = find_exact(repos, n, url), *template;

	if (exact && has_credentials(exact))
		return exact;
	template = find_template(repos, n, url);
	return template ? template : exact;
}
