/* Joining: a key of our own, a signing request, a token; a certificate and the hub's CA back. */
#include "agent/link/internal.h"

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/crypto/token.h"

#include <stdio.h>
#include <stdlib.h>

#define RETRY_MS    5000
#define TOKEN_BYTES 4096

static int get_text(struct agent_store *store, const char *name, char **ret, struct cox_error *err)
{
	struct cox_buf text = COX_BUF_INIT;
	int code = agent_store_get(store, name, &text, err);

	if (code > 0)
		*ret = cox_buf_take(&text);
	cox_buf_fini(&text);
	return code;
}

static void wipe_text(char **text)
{
	if (*text)
		cox_wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void agent_identity_fini(struct agent_identity *identity)
{
	wipe_text(&identity->key_pem);
	free(identity->chain_pem);
	free(identity->hub_ca_pem);
	*identity = (struct agent_identity){0};
}

int agent_identity_load(struct agent_link *link, struct cox_error *err)
{
	struct agent_store *s = link->o.store;
	_cleanup_free_ char *cluster = NULL;
	char *uuid = NULL;
	int code = get_text(s, "identity/cluster", &cluster, err);

	/* One cluster's certificate and assignments are never used for another. */
	if (code > 0 && !cox_streq(cluster, link->o.cluster))
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "the state is of cluster '%s', not of '%s': each cluster needs a "
				 "--state of its own",
				 cluster, link->o.cluster);
	if (code >= 0)
		code = get_text(s, "identity/instance", &uuid, err);

	if (code == 0) {
		cox_uuid_new(link->instance_uuid);
		code = agent_store_put(s, "identity/instance", cox_str(link->instance_uuid), err);
	} else if (code > 0) {
		snprintf(link->instance_uuid, sizeof(link->instance_uuid), "%s", uuid);
	}
	free(uuid);
	if (code >= 0)
		code = get_text(s, "identity/key", &link->identity.key_pem, err);
	if (code >= 0)
		code = get_text(s, "identity/chain", &link->identity.chain_pem, err);
	if (code >= 0)
		code = get_text(s, "identity/hub-ca", &link->identity.hub_ca_pem, err);
	if (code < 0)
		return code;
	return link->identity.chain_pem && link->identity.hub_ca_pem;
}

/* Durable before it is used, so that a second try asks for the same key. */
static int make_key(struct agent_link *link, struct cox_error *err)
{
	COX_CLEANUP(cox_key_free_p) struct cox_key *key = NULL;
	struct cox_buf pem = COX_BUF_INIT;

	if (link->identity.key_pem)
		return 0;
	int code = cox_key_generate(&key, err);

	if (code < 0)
		return code;
	cox_key_to_pem(key, &pem);
	code = agent_store_put(link->o.store, "identity/key", cox_buf_str(&pem), err);
	if (code == 0) {
		link->identity.key_pem = cox_buf_take(&pem);
		return 0;
	}
	cox_wipe(pem.ptr, pem.len);
	cox_buf_fini(&pem);
	return code;
}

static int make_request(struct agent_link *link, struct cox_buf *out, struct cox_error *err)
{
	COX_CLEANUP(cox_key_free_p) struct cox_key *key = NULL;
	int code = make_key(link, err);

	if (code == 0)
		code = cox_key_from_pem(cox_str(link->identity.key_pem), &key, err);
	return code < 0 ? code : cox_csr_create(key, link->o.cluster, out, err);
}

static void try_again(struct agent_link *link, const char *what)
{
	cox_log_warn("cannot join the hub, will try again", COX_KV("hub", link->o.hub),
		     COX_KV("error", what));
	link->joining = false;
	if (!link->stopping)
		cox_timer_start(&link->redial, RETRY_MS);
}

static int keep(struct agent_link *link, const Coxswain__Enrol__V1__EnrolResponse *r,
		struct cox_error *err)
{
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	struct cox_str chain =
		cox_str_n((const char *)r->certificate_chain.data, r->certificate_chain.len);
	struct cox_str ca = cox_str_n((const char *)r->hub_ca.data, r->hub_ca.len);
	COX_CLEANUP(cox_cert_free_p) struct cox_cert *cert = NULL, *hub = NULL;
	COX_CLEANUP(cox_key_free_p) struct cox_key *key = NULL;
	int code = cox_cert_from_pem(chain, &cert, err);

	if (code == 0)
		code = cox_cert_from_pem(ca, &hub, err);
	if (code == 0)
		code = cox_key_from_pem(cox_str(link->identity.key_pem), &key, err);
	if (code < 0)
		return code;
	if (!cox_cert_is_of_key(cert, key))
		return cox_error(err, COX_DATA_LOSS, "the certificate is not of this agent's key");
	code = agent_store_begin(link->o.store, &tx, err);
	if (code == 0)
		code = agent_store_put(link->o.store, "identity/cluster", cox_str(link->o.cluster),
				       err);
	if (code == 0)
		code = agent_store_put(link->o.store, "identity/chain", chain, err);
	if (code == 0)
		code = agent_store_put(link->o.store, "identity/hub-ca", ca, err);
	if (code == 0)
		code = cox_tx_commit(&tx, err);
	if (code < 0)
		return code;
	link->identity.chain_pem = cox_str_dup(chain);
	link->identity.hub_ca_pem = cox_str_dup(ca);
	return 0;
}

static void joined(void *ctx, const struct cox_rpc_status *status,
		   const Coxswain__Enrol__V1__EnrolResponse *response)
{
	struct agent_link *link = ctx;
	struct cox_error err;

	if (link->stopping) {
		link->stopped(link->stopped_arg);
		return;
	}
	if (status->code != COX_OK) {
		try_again(link, status->message);
		return;
	}
	if (keep(link, response, &err) < 0) {
		try_again(link, err.message);
		return;
	}
	link->joining = false;
	cox_log_info("joined the hub", COX_KV("hub", link->o.hub),
		     COX_KV("cluster", link->o.cluster));
	agent_link_dial(link);
}

static int send_request(struct agent_link *link, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf token = COX_BUF_INIT, csr = COX_BUF_INIT;
	COX_CLEANUP(cox_tls_context_unref_p) struct cox_tls_context *tls = NULL;
	Coxswain__Enrol__V1__EnrolRequest request = COXSWAIN__ENROL__V1__ENROL_REQUEST__INIT;
	uint8_t pin[COX_TLS_SHA256];
	int code;

	if (!link->o.token_file || !link->o.ca_pin)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "this agent has not joined yet: give --token-file and --ca-pin "
				 "(`cox cluster add NAME` prints both)");
	code = cox_hex_decode(cox_str(link->o.ca_pin), pin, sizeof(pin), err);
	if (code < 0)
		return cox_error_wrap(err, "--ca-pin");
	code = cox_file_read(link->o.token_file, TOKEN_BYTES, &token, err);
	if (code == 0)
		code = make_request(link, &csr, err);
	if (code < 0)
		return code;
	code = cox_tls_client_new(
		&(struct cox_tls_client_options){.alpn = COX_ALPN_ENROL, .ca_pin = pin}, &tls, err);
	if (code < 0)
		return code;
	struct cox_str trimmed = cox_str_trim(cox_buf_str(&token));
	_cleanup_free_ char *text = cox_str_dup(trimmed);

	request.cluster = (char *)link->o.cluster;
	request.token = text;
	request.certificate_request.data = (uint8_t *)csr.ptr;
	request.certificate_request.len = csr.len;
	request.cluster_uid = link->cluster_uid ? link->cluster_uid : (char *)"";
	code = cox_rpc_enrol(link->o.loop,
			     &(struct cox_rpc_dial_options){
				     .address = link->o.hub, .tls = tls, .pool = link->o.pool},
			     &request, joined, link, err);
	cox_wipe(text, strlen(text));
	cox_wipe(token.ptr, token.len);
	return code;
}

static void begin(struct agent_link *link)
{
	struct cox_error err;

	if (send_request(link, &err) < 0)
		try_again(link, err.message);
}

/* The uid of kube-system names the cluster: a token stolen for another one is noticed. A cluster
 * that doesn't answer now may join all the same. */
static void got_uid(void *arg, const struct cox_kube_answer *answer)
{
	struct agent_link *link = arg;

	link->uid_call = NULL;
	if (link->stopping)
		return;
	if (answer->error->code == COX_OK && answer->doc)
		link->cluster_uid = cox_str_dup(cox_meta_uid(cox_doc_root(answer->doc)));
	begin(link);
}

void agent_link_join(struct agent_link *link)
{
	if (link->joining)
		return;
	link->joining = true;
	if (link->cluster_uid) {
		begin(link);
		return;
	}
	link->uid_call = cox_kube_send(
		link->o.kube, &(struct cox_kube_request){.method = "GET",
							 .path = "/api/v1/namespaces/kube-system",
							 .no_retry = true,
							 .timeout_ms = 5000,
							 .done = got_uid,
							 .arg = link});
}
