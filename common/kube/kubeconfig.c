#include "common/kube/kubeconfig.h"

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/doc/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_CONFIG = 1 << 20, MAX_PEM = 256 << 10, MAX_TOKEN = 64 << 10 };

static const char ACCOUNT_DIR[] = "/var/run/secrets/kubernetes.io/serviceaccount";

static void wipe(struct cox_buf *text)
{
	if (text->ptr)
		explicit_bzero(text->ptr, text->cap);
	cox_buf_fini(text);
}

static void wipe_text(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void cox_kubeconfig_free(struct cox_kubeconfig *config)
{
	if (!config)
		return;
	free(config->context);
	free(config->server);
	free(config->namespace);
	free(config->server_name);
	wipe_text(&config->proxy_url);
	wipe_text(&config->token);
	free(config->token_path);
	cox_buf_fini(&config->ca_pem);
	cox_buf_fini(&config->cert_pem);
	wipe(&config->key_pem);
	free(config);
}

/* ---- the token ---- */

static int read_token(struct cox_kubeconfig *config, struct cox_error *err)
{
	struct cox_buf text = COX_BUF_INIT;
	int r = cox_file_read(config->token_path, MAX_TOKEN, &text, err);

	if (r == 0) {
		wipe_text(&config->token);
		config->token = cox_str_dup(cox_str_trim(cox_buf_str(&text)));
	}
	wipe(&text);
	return r;
}

/* Times alone do not tell two writes within a clock tick apart; size and inode mostly do. */
static void stamp_of(const struct stat *st, int64_t ret_stamp[3])
{
	ret_stamp[0] = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	ret_stamp[1] = (int64_t)st->st_ino;
	ret_stamp[2] = st->st_size;
}

int cox_kubeconfig_token(struct cox_kubeconfig *config, const char **ret_token,
			 struct cox_error *err)
{
	int64_t stamp[3];
	struct stat st;
	int r;

	if (config->token_path) {
		if (stat(config->token_path, &st) < 0)
			return cox_error_sys(err, errno, "cannot read token file '%s'",
					     config->token_path);
		stamp_of(&st, stamp);
		if (memcmp(stamp, config->token_stamp, sizeof(stamp)) != 0) {
			r = read_token(config, err);
			if (r < 0)
				return r;
			memcpy(config->token_stamp, stamp, sizeof(stamp));
		}
	}
	*ret_token = config->token && *config->token ? config->token : NULL;
	return 0;
}

/* ---- the file ---- */

struct reader {
	const struct cox_doc *doc;
	const char *dir;
	struct cox_kubeconfig *config;
};

/* The entry of a list of {name, <kind>: {…}}. */
static int find_named(const struct reader *r, const char *list, const char *kind, const char *name,
		      const struct cox_node **ret_node, struct cox_error *err)
{
	const struct cox_node *items = cox_node_get(cox_doc_root(r->doc), list);

	for (size_t i = 0; i < cox_node_len(items); i++) {
		const struct cox_node *item = cox_node_at(items, i);
		if (!cox_str_is(cox_node_str(cox_node_get(item, "name")), name))
			continue;
		*ret_node = cox_node_get(item, kind);
		return 0;
	}
	return cox_node_error(err, r->doc, items, "there is no %s '%s'", kind, name);
}

static char *text_of(const struct cox_node *map, const char *key)
{
	struct cox_str text = cox_node_str(cox_node_get(map, key));

	return text.len ? cox_str_dup(text) : NULL;
}

static char *path_of(const struct reader *r, const char *path)
{
	return *path == '/' || !r->dir ? cox_strdup(path) : cox_path_join(r->dir, path);
}

/* PEM from "<stem>-data" (base64), which wins, or from the file that "<stem>" names. */
static int read_pem(const struct reader *r, const struct cox_node *map, const char *stem,
		    struct cox_buf *out, struct cox_error *err)
{
	char key[64];
	const struct cox_node *data;
	struct cox_error why;

	snprintf(key, sizeof(key), "%s-data", stem);
	data = cox_node_get(map, key);
	if (cox_node_str(data).len) {
		if (cox_node_str(data).len > MAX_PEM)
			return cox_node_error(err, r->doc, data, "%s: too long", key);
		if (cox_base64_decode(out, cox_node_str(data), &why) < 0)
			return cox_node_error(err, r->doc, data, "%s: %s", key, why.message);
		return 0;
	}
	const char *file = cox_node_cstr(cox_node_get(map, stem), "");
	if (!*file)
		return 0;
	_cleanup_free_ char *path = path_of(r, file);
	if (cox_file_read(path, MAX_PEM, out, err) < 0)
		return cox_error_wrap(err, "%s: %s", cox_doc_name(r->doc), stem);
	return 0;
}

static int read_cluster(const struct reader *r, const struct cox_node *cluster,
			struct cox_error *err)
{
	struct cox_kubeconfig *c = r->config;
	struct cox_str server = cox_node_str(cox_node_get(cluster, "server"));

	while (cox_str_ends(server, "/"))
		server.len--;
	if (!cox_str_starts(server, "https://") && !cox_str_starts(server, "http://"))
		return cox_node_error(err, r->doc, cluster,
				      "server: expected an http or https URL");
	c->server = cox_str_dup(server);
	c->insecure = cox_node_bool(cox_node_get(cluster, "insecure-skip-tls-verify"), false);
	c->server_name = text_of(cluster, "tls-server-name");
	c->proxy_url = text_of(cluster, "proxy-url");
	return read_pem(r, cluster, "certificate-authority", &c->ca_pem, err);
}

static const struct {
	const char *key, *why;
} refused[] = {
	{"exec", "programs that give credentials are not run here; use a token, a token file or "
		 "a client certificate"},
	{"auth-provider", "auth providers are not supported; use a token, a token file or a client "
			  "certificate"},
	{"username", "Kubernetes has no password login any more; use a token or a client "
		     "certificate"},
};

static int read_user(const struct reader *r, const struct cox_node *user, struct cox_error *err)
{
	struct cox_kubeconfig *c = r->config;

	for (size_t i = 0; i < COX_ARRAY_LEN(refused); i++) {
		const struct cox_node *node = cox_node_get(user, refused[i].key);
		if (cox_node_len(node) || cox_node_str(node).len)
			return cox_node_error(err, r->doc, node, "user: %s: %s", refused[i].key,
					      refused[i].why);
	}
	int e = read_pem(r, user, "client-certificate", &c->cert_pem, err);
	if (!e)
		e = read_pem(r, user, "client-key", &c->key_pem, err);
	if (e < 0)
		return e;
	if (!c->cert_pem.len != !c->key_pem.len)
		return cox_node_error(err, r->doc, user,
				      "user: client-certificate and client-key go together");
	const char *file = cox_node_cstr(cox_node_get(user, "tokenFile"), "");
	if (*file) { /* it wins over token, as in kubectl */
		c->token_path = path_of(r, file);
		return 0;
	}
	c->token = text_of(user, "token");
	return 0;
}

static int read_context(const struct reader *r, const char *name, struct cox_error *err)
{
	const struct cox_node *context, *cluster, *user = NULL;
	int e = find_named(r, "contexts", "context", name, &context, err);

	if (e < 0)
		return e;
	r->config->context = cox_strdup(name);
	r->config->namespace = text_of(context, "namespace");
	if (!r->config->namespace)
		r->config->namespace = cox_strdup("default");
	e = find_named(r, "clusters", "cluster",
		       cox_node_cstr(cox_node_get(context, "cluster"), ""), &cluster, err);
	if (!e)
		e = read_cluster(r, cluster, err);
	const char *user_name = cox_node_cstr(cox_node_get(context, "user"), "");
	if (!e && *user_name)
		e = find_named(r, "users", "user", user_name, &user, err);
	if (!e)
		e = read_user(r, user, err);
	return e;
}

int cox_kubeconfig_parse(struct cox_str text, const char *name, const char *dir,
			 const char *context, struct cox_kubeconfig **ret_config,
			 struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct reader r = {.dir = dir};
	int e = cox_yaml_read(text, name, NULL, &doc, err);

	if (e < 0)
		return e;
	const struct cox_node *root = cox_doc_root(doc);
	if (!context || !*context)
		context = cox_node_cstr(cox_node_get(root, "current-context"), "");
	if (!*context)
		return cox_node_error(err, doc, root,
				      "no context is named, and there is no current-context");
	r.doc = doc;
	r.config = cox_new(struct cox_kubeconfig);
	e = read_context(&r, context, err);
	if (e < 0) {
		cox_kubeconfig_free(r.config);
		return e;
	}
	*ret_config = r.config;
	return 0;
}

int cox_kubeconfig_load(const char *path, const char *context, struct cox_kubeconfig **ret_config,
			struct cox_error *err)
{
	struct cox_buf text = COX_BUF_INIT;
	_cleanup_free_ char *dir = cox_strdup(path);
	char *slash = strrchr(dir, '/');
	int r = cox_file_read(path, MAX_CONFIG, &text, err);

	if (slash)
		*slash = '\0';
	if (r == 0)
		r = cox_kubeconfig_parse(cox_buf_str(&text), path,
					 slash ? (*dir ? dir : "/") : NULL, context, ret_config,
					 err);
	wipe(&text);
	return r;
}

/* ---- in a pod ---- */

static int read_account(struct cox_kubeconfig *c, const char *dir, struct cox_error *err)
{
	_cleanup_free_ char *ca = cox_path_join(dir, "ca.crt");
	_cleanup_free_ char *namespace = cox_path_join(dir, "namespace");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const char *token;
	int r;

	c->token_path = cox_path_join(dir, "token");
	r = cox_kubeconfig_token(c, &token, err);
	if (!r)
		r = cox_file_read(ca, MAX_PEM, &c->ca_pem, err);
	if (r < 0)
		return cox_error_wrap(err, "service account");
	if (cox_file_read(namespace, 1024, &text, NULL) == 0)
		c->namespace = cox_str_dup(cox_str_trim(cox_buf_str(&text)));
	else
		c->namespace = cox_strdup("default");
	return 0;
}

int cox_kubeconfig_in_cluster(const char *dir, struct cox_kubeconfig **ret_config,
			      struct cox_error *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!host || !*host || !port || !*port)
		return cox_error(err, COX_NOT_FOUND,
				 "this is no pod (KUBERNETES_SERVICE_HOST is not set), so a "
				 "kubeconfig is needed");
	struct cox_kubeconfig *c = cox_new(struct cox_kubeconfig);
	c->context = cox_strdup("in-cluster");
	c->server =
		cox_asprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	int r = read_account(c, dir ? dir : ACCOUNT_DIR, err);
	if (r < 0) {
		cox_kubeconfig_free(c);
		return r;
	}
	*ret_config = c;
	return 0;
}
