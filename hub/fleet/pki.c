/* Who is who: the two CAs, tokens, joining, and the identity of a session. The flow is the one-time
 * token one: token and signing request in, a certificate out, bound to the key; the name comes from
 * the token's row, never from the request's subject. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/doc/json.h"
#include "hub/fleet/internal.h"

#include <inttypes.h>
#include <unistd.h>

/* Until agents renew by themselves, a certificate must outlive a quiet year. */
#define DEFAULT_LIFETIME_MS (365LL * 24 * 3600 * 1000)
#define MAX_TOKEN_TTL_MS    (24LL * 3600 * 1000)

/* ---- the CAs ---- */

static int ca_load(struct hub_fleet *f, const char *name, struct cox_key **ret_key,
		   struct cox_cert **ret_cert, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf pem = COX_BUF_INIT;
	COX_CLEANUP(cox_key_free_p) struct cox_key *key = NULL;
	const char *second;
	int r = hub_store_get(f->store, HUB_TABLE_META, name, &pem, err);

	if (r < 0)
		return r;
	/* The key's PEM, then the certificate's. */
	second = strstr(cox_buf_cstr(&pem), "-----BEGIN CERTIFICATE-----");
	if (!second)
		r = cox_error(err, COX_DATA_LOSS, "the kept CA '%s' holds no certificate", name);
	if (r == 0)
		r = cox_key_from_pem(cox_str_n(pem.ptr, (size_t)(second - pem.ptr)), &key, err);
	if (r == 0)
		r = cox_cert_from_pem(cox_str(second), ret_cert, err);
	cox_wipe(pem.ptr, pem.len);
	if (r < 0)
		return r;
	*ret_key = TAKE(key);
	return 0;
}

static int ca_make(struct hub_fleet *f, struct hub_batch *batch, const char *name,
		   enum cox_ca_purpose purpose, struct cox_key **ret_key,
		   struct cox_cert **ret_cert, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf pem = COX_BUF_INIT;
	int r = cox_ca_create(purpose, f->trust_domain, cox_clock_wall_ms(), ret_key, ret_cert,
			      err);

	if (r < 0)
		return r;
	cox_key_to_pem(*ret_key, &pem);
	cox_cert_to_pem(*ret_cert, &pem);
	hub_batch_put_sealed(batch, HUB_TABLE_META, name, cox_buf_str(&pem));
	cox_wipe(pem.ptr, pem.len);
	return 0;
}

static int cas_make(struct hub_fleet *f, struct cox_error *err)
{
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	int r = ca_make(f, batch, "ca/hub", COX_CA_HUB, &f->hub_key, &f->hub_ca, err);

	if (r == 0)
		r = ca_make(f, batch, "ca/agents", COX_CA_AGENTS, &f->agents_key, &f->agents_ca,
			    err);
	if (r < 0)
		return r;
	/* What is issued by these waits in the same queue behind them: nobody gets a certificate of
	 * a CA that is not on the disk. */
	hub_store_commit(f->store, TAKE(batch));
	return 0;
}

int fleet_pki_load(struct hub_fleet *f, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf pem = COX_BUF_INIT;
	uint8_t pin[COX_SHA256_BYTES];
	int r;

	f->trust_domain = cox_asprintf("%.8s.coxswain", hub_store_instance(f->store));
	r = ca_load(f, "ca/hub", &f->hub_key, &f->hub_ca, err);
	if (r == 0)
		r = ca_load(f, "ca/agents", &f->agents_key, &f->agents_ca, err);
	else if (r == -COX_NOT_FOUND)
		r = cas_make(f, err);
	if (r < 0)
		return cox_error_wrap(err, "cannot load the hub's certificate authorities");
	cox_cert_to_pem(f->hub_ca, &pem);
	f->hub_ca_pem = cox_buf_take(&pem);
	cox_cert_pin(f->hub_ca, pin);
	cox_hex_encode(pin, sizeof(pin), f->pin);
	return 0;
}

/* The part of HOST:PORT before the port, without brackets; NULL for no host or all addresses. */
static char *host_of(const char *listen)
{
	const char *colon = strrchr(listen, ':');
	size_t n = colon ? (size_t)(colon - listen) : 0;

	if (n >= 2 && listen[0] == '[')
		return n > 2 && strncmp(listen, "[::]", 4) != 0 ? cox_strndup(listen + 1, n - 2)
								: NULL;
	if (n == 0 || strncmp(listen, "0.0.0.0:", 8) == 0)
		return NULL;
	return cox_strndup(listen, n);
}

static void names_add(cox_strings *names, char *name_taken)
{
	COX_VEC_EACH (names, n) {
		if (strcmp(*n, name_taken) == 0) {
			free(name_taken);
			return;
		}
	}
	cox_vec_push(names, name_taken);
}

/* The server's key lives only in this process: a restart makes another, under the same CA. */
int fleet_pki_tls(struct hub_fleet *f, struct cox_tls_context **ret_tls, struct cox_error *err)
{
	COX_CLEANUP(cox_key_free_p) struct cox_key *key = NULL;
	COX_CLEANUP(cox_cert_free_p) struct cox_cert *cert = NULL;
	COX_CLEANUP(cox_strings_fini) cox_strings names = {0};
	_cleanup_buf_ struct cox_buf chain = COX_BUF_INIT, secret = COX_BUF_INIT,
				     clients = COX_BUF_INIT;
	char host[256] = "", *listen = host_of(f->options.listen);
	struct cox_issuer issuer = {.ca = f->hub_ca,
				    .key = f->hub_key,
				    .now_ms = cox_clock_wall_ms(),
				    .lifetime_ms = COX_SERVER_CERT_LIFETIME_MS};
	int r;

	if (listen)
		names_add(&names, listen);
	names_add(&names, cox_strdup("localhost"));
	names_add(&names, cox_strdup("127.0.0.1"));
	names_add(&names, cox_strdup("::1"));
	if (gethostname(host, sizeof(host) - 1) == 0 && cox_name_is_safe(host))
		names_add(&names, cox_strdup(host));
	for (size_t i = 0; f->options.names && i < f->options.names->n; i++)
		names_add(&names, cox_strdup(f->options.names->items[i]));
	r = cox_key_generate(&key, err);
	if (r == 0)
		r = cox_issue_server(&issuer, key, (const char *const *)names.items, names.n, &cert,
				     err);
	if (r < 0)
		return cox_error_wrap(err, "cannot issue the hub's certificate");
	cox_cert_to_pem(cert, &chain);
	cox_cert_to_pem(f->hub_ca, &chain);
	cox_cert_to_pem(f->agents_ca, &clients);
	cox_key_to_pem(key, &secret);
	r = cox_tls_server_new(
		&(struct cox_tls_server_options){.chain_pem = cox_buf_str(&chain),
						 .key_pem = cox_buf_str(&secret),
						 .client_ca_pem = cox_buf_str(&clients)},
		ret_tls, err);
	cox_wipe(secret.ptr, secret.len);
	return r;
}

/* ---- identity ---- */

struct fleet_member *fleet_identify(const struct hub_fleet *f, const char *uri)
{
	_cleanup_free_ char *prefix = cox_asprintf("spiffe://%s/cluster/", f->trust_domain);
	size_t n = strlen(prefix);

	return strncmp(uri, prefix, n) == 0 ? fleet_member(f, uri + n) : NULL;
}

int fleet_authorize(void *ctx, const struct cox_rpc_peer *peer, struct cox_error *err)
{
	struct hub_fleet *f = ctx;
	const struct fleet_member *m = fleet_identify(f, peer->tls.uri);

	if (!m)
		return cox_error(err, COX_PERMISSION_DENIED,
				 "no cluster of this hub has the identity '%s'", peer->tls.uri);
	if (!m->binding[0] || !cox_equal_secret(cox_str(m->binding), cox_str(peer->tls.spki)))
		return cox_error(err, COX_PERMISSION_DENIED,
				 "the key of cluster '%s' is another one: join again with a new "
				 "token",
				 m->name);
	return 0;
}

/* ---- tokens and bindings, kept ---- */

static void json_put(struct hub_batch *batch, enum hub_table table, const char *key,
		     struct cox_doc *doc, struct cox_node *map)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	cox_doc_set_root(doc, map);
	cox_json_write(&text, map);
	hub_batch_put(batch, table, key, cox_buf_str(&text));
}

int hub_fleet_token(struct hub_fleet *f, struct hub_batch *batch, const char *cluster,
		    int64_t ttl_ms, char ret_token[COX_TOKEN_TEXT], int64_t *ret_expires_ms,
		    struct cox_error *err)
{
	struct fleet_member *m = fleet_member(f, cluster);
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("token");
	struct cox_node *map = cox_doc_map(doc);
	char hex[2 * COX_SHA256_BYTES + 1];

	if (!m)
		return cox_error(err, COX_NOT_FOUND, "no cluster '%s'", cluster);
	if (ttl_ms <= 0 || ttl_ms > MAX_TOKEN_TTL_MS)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "a token may be valid for up to 24 hours");
	cox_token_new(ret_token);
	cox_token_hash(cox_str(ret_token), m->token_hash);
	m->has_token = true;
	m->token_expires_ms = cox_clock_wall_ms() + ttl_ms;
	cox_hex_encode(m->token_hash, sizeof(m->token_hash), hex);
	cox_map_put_cstr(doc, map, "hash", hex);
	cox_map_put_int(doc, map, "expires", m->token_expires_ms);
	json_put(batch, HUB_TABLE_TOKEN, cluster, doc, map);
	*ret_expires_ms = m->token_expires_ms;
	return 0;
}

static int load_token(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct fleet_member *m;
	const struct cox_node *root;
	int r = cox_json_read(body, key, &doc, err);

	if (r < 0)
		return r;
	hub_fleet_add(ctx, key);
	m = fleet_member(ctx, key);
	root = cox_doc_root(doc);
	m->has_token = true;
	m->token_expires_ms = cox_node_int(cox_node_get(root, "expires"), 0);
	return cox_hex_decode(cox_node_str(cox_node_get(root, "hash")), m->token_hash,
			      sizeof(m->token_hash), err);
}

static int load_binding(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct fleet_member *m;
	const struct cox_node *root;
	int r = cox_json_read(body, key, &doc, err);

	if (r < 0)
		return r;
	hub_fleet_add(ctx, key);
	m = fleet_member(ctx, key);
	root = cox_doc_root(doc);
	strncpy(m->binding, cox_node_cstr(cox_node_get(root, "spki"), ""), sizeof(m->binding) - 1);
	strncpy(m->cluster_uid, cox_node_cstr(cox_node_get(root, "clusterUid"), ""),
		sizeof(m->cluster_uid) - 1);
	return 0;
}

int fleet_tokens_load(struct hub_fleet *f, struct cox_error *err)
{
	int r = hub_store_each(f->store, HUB_TABLE_TOKEN, load_token, f, err);

	return r < 0 ? r : hub_store_each(f->store, HUB_TABLE_BINDING, load_binding, f, err);
}

/* ---- joining ---- */

/* An answer that waits until the binding is durable. */
struct joining {
	struct hub_fleet *fleet;
	struct cox_rpc_enrolment *enrolment;
	char *chain, *cluster;
};

static void joining_free(void *arg)
{
	struct joining *j = arg;

	free(j->chain);
	free(j->cluster);
	free(j);
}

static void joined(void *arg)
{
	struct joining *j = arg;
	Coxswain__Enrol__V1__EnrolResponse response = COXSWAIN__ENROL__V1__ENROL_RESPONSE__INIT;

	response.certificate_chain.data = (uint8_t *)j->chain;
	response.certificate_chain.len = strlen(j->chain);
	response.hub_ca.data = (uint8_t *)j->fleet->hub_ca_pem;
	response.hub_ca.len = strlen(j->fleet->hub_ca_pem);
	response.trust_domain = j->fleet->trust_domain;
	j->fleet->stats.enrolled++;
	cox_log_info("agent joined", COX_KV("cluster", j->cluster));
	cox_rpc_enrolment_reply(j->enrolment, &response);
	j->fleet->events.on_cluster(j->fleet->ctx, j->cluster);
}

/* One sentence for every way in which a token can be wrong: a stranger learns nothing. */
static int token_check(const struct fleet_member *m, const Coxswain__Enrol__V1__EnrolRequest *q,
		       struct cox_error *err)
{
	static const uint8_t nothing[COX_SHA256_BYTES];
	bool matches =
		cox_token_matches(cox_str(q->token), m && m->has_token ? m->token_hash : nothing);

	if (!m || !m->has_token || !matches || cox_clock_wall_ms() > m->token_expires_ms)
		return cox_error(
			err, COX_PERMISSION_DENIED,
			"the token is not valid for this cluster, was used already, or has "
			"expired: make another with `cox cluster token`");
	return 0;
}

static void bind(struct fleet_member *m, struct hub_batch *batch, const struct cox_csr *csr,
		 const char *cluster_uid)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("binding");
	struct cox_node *map = cox_doc_map(doc);
	uint8_t pin[COX_SHA256_BYTES];

	cox_csr_pin(csr, pin);
	cox_hex_encode(pin, sizeof(pin), m->binding);
	memset(m->cluster_uid, 0, sizeof(m->cluster_uid));
	strncpy(m->cluster_uid, cluster_uid, sizeof(m->cluster_uid) - 1);
	m->has_token = false;
	cox_map_put_cstr(doc, map, "spki", m->binding);
	cox_map_put_cstr(doc, map, "clusterUid", m->cluster_uid);
	cox_map_put_int(doc, map, "enrolled", cox_clock_wall_ms());
	json_put(batch, HUB_TABLE_BINDING, m->name, doc, map);
	hub_batch_delete(batch, HUB_TABLE_TOKEN, m->name);
}

static int enrol(struct hub_fleet *f, struct cox_rpc_enrolment *enrolment,
		 const Coxswain__Enrol__V1__EnrolRequest *q, struct cox_error *err)
{
	COX_CLEANUP(cox_csr_free_p) struct cox_csr *csr = NULL;
	COX_CLEANUP(cox_cert_free_p) struct cox_cert *cert = NULL;
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = NULL;
	_cleanup_buf_ struct cox_buf chain = COX_BUF_INIT;
	struct fleet_member *m = fleet_member(f, q->cluster);
	struct cox_issuer issuer = {.ca = f->agents_ca,
				    .key = f->agents_key,
				    .now_ms = cox_clock_wall_ms(),
				    .lifetime_ms = f->options.cert_lifetime_ms
							   ? f->options.cert_lifetime_ms
							   : DEFAULT_LIFETIME_MS};
	struct joining *j;
	int r = token_check(m, q, err);

	if (r == 0)
		r = cox_csr_parse(cox_str_n((const char *)q->certificate_request.data,
					    q->certificate_request.len),
				  &csr, err);
	if (r == 0)
		r = cox_issue_client(&issuer, csr, f->trust_domain, m->name, &cert, err);
	if (r < 0)
		return r;
	batch = hub_batch_new();
	bind(m, batch, csr, q->cluster_uid);
	/* The old key is worthless from now on, and so is a session that it opened. */
	if (m->conn)
		cox_rpc_conn_close(m->conn, COX_GOAWAY_REAUTH, "the cluster joined anew");
	cox_cert_to_pem(cert, &chain);
	j = cox_new(struct joining);
	j->fleet = f;
	j->enrolment = enrolment;
	j->cluster = cox_strdup(m->name);
	j->chain = cox_buf_take(&chain);
	hub_batch_after(batch, joined, j, joining_free);
	hub_store_commit(f->store, TAKE(batch));
	return 0;
}

void fleet_enrol(void *ctx, struct cox_rpc_enrolment *enrolment,
		 const Coxswain__Enrol__V1__EnrolRequest *request, const char *peer_address)
{
	struct hub_fleet *f = ctx;
	struct cox_error err = COX_ERROR_INIT;

	if (enrol(f, enrolment, request, &err) == 0)
		return;
	f->stats.enrol_refused++;
	cox_log_warn("refused a join",
		     COX_KV("cluster", cox_name_is_safe(request->cluster) ? request->cluster : "?"),
		     COX_KV("from", peer_address), COX_KV_ERROR(&err));
	cox_rpc_enrolment_refuse(enrolment, err.code, err.message);
}
