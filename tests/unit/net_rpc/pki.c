#include "fixture.h"

#include "common/base/clock.h"
#include "common/crypto/pki.h"

static struct test_pki pki;
static bool made;

static void make_agent(const struct cox_issuer *issuer, struct cox_buf *chain,
		       struct cox_buf *key_pem)
{
	struct cox_buf der = COX_BUF_INIT;
	struct cox_key *key;
	struct cox_csr *csr;
	struct cox_cert *cert;

	assert_int_equal(cox_key_generate(&key, NULL), 0);
	assert_int_equal(cox_csr_create(key, "dev", &der, NULL), 0);
	assert_int_equal(cox_csr_parse(cox_buf_str(&der), &csr, NULL), 0);
	assert_int_equal(cox_issue_client(issuer, csr, "test", "dev", &cert, NULL), 0);
	cox_cert_to_pem(cert, chain);
	cox_key_to_pem(key, key_pem);
	cox_cert_free(cert);
	cox_csr_free(csr);
	cox_key_free(key);
	cox_buf_fini(&der);
}

static void make_hub(const struct cox_issuer *issuer)
{
	static const char *const names[] = {"127.0.0.1", "localhost"};
	struct cox_key *key;
	struct cox_cert *cert;

	assert_int_equal(cox_key_generate(&key, NULL), 0);
	assert_int_equal(cox_issue_server(issuer, key, names, 2, &cert, NULL), 0);
	cox_cert_to_pem(cert, &pki.hub_chain);
	cox_cert_to_pem(issuer->ca, &pki.hub_chain);
	cox_cert_to_pem(issuer->ca, &pki.hub_ca);
	cox_key_to_pem(key, &pki.hub_key);
	cox_cert_pin(issuer->ca, pki.pin);
	cox_cert_free(cert);
	cox_key_free(key);
}

static void make(void)
{
	struct cox_issuer issuer = {.now_ms = cox_clock_wall_ms(), .lifetime_ms = 3600 * 1000};
	struct cox_key *key;
	struct cox_cert *ca;

	assert_int_equal(cox_ca_create(COX_CA_HUB, "test", issuer.now_ms, &key, &ca, NULL), 0);
	issuer.ca = ca;
	issuer.key = key;
	make_hub(&issuer);
	cox_cert_free(ca);
	cox_key_free(key);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			cox_ca_create(COX_CA_AGENTS, "test", issuer.now_ms, &key, &ca, NULL), 0);
		issuer.ca = ca;
		issuer.key = key;
		make_agent(&issuer, i ? &pki.other_chain : &pki.agent_chain,
			   i ? &pki.other_key : &pki.agent_key);
		if (i == 0) {
			cox_cert_to_pem(ca, &pki.agents_ca);
			cox_key_to_pem(key, &pki.agents_ca_key);
		}
		cox_cert_free(ca);
		cox_key_free(key);
	}
}

const struct test_pki *test_pki(void)
{
	if (!made)
		make();
	made = true;
	return &pki;
}

void test_pki_free(void)
{
	struct cox_buf *all[] = {&pki.hub_chain,   &pki.hub_key,   &pki.hub_ca,
				 &pki.agent_chain, &pki.agent_key, &pki.agents_ca,
				 &pki.other_chain, &pki.other_key, &pki.agents_ca_key};

	for (size_t i = 0; i < COX_ARRAY_LEN(all); i++)
		cox_buf_fini(all[i]);
	made = false;
}

struct cox_tls_context *test_hub_tls(void)
{
	const struct test_pki *p = test_pki();
	struct cox_tls_server_options options = {
		.chain_pem = cox_buf_str(&p->hub_chain),
		.key_pem = cox_buf_str(&p->hub_key),
		.client_ca_pem = cox_buf_str(&p->agents_ca),
	};
	struct cox_tls_context *tls = NULL;

	assert_int_equal(cox_tls_server_new(&options, &tls, NULL), 0);
	return tls;
}

struct cox_tls_context *test_agent_tls(void)
{
	const struct test_pki *p = test_pki();
	struct cox_tls_client_options options = {
		.alpn = COX_ALPN_RPC,
		.ca_pem = cox_buf_str(&p->hub_ca),
		.chain_pem = cox_buf_str(&p->agent_chain),
		.key_pem = cox_buf_str(&p->agent_key),
		.server_name = "127.0.0.1",
	};
	struct cox_tls_context *tls = NULL;

	assert_int_equal(cox_tls_client_new(&options, &tls, NULL), 0);
	return tls;
}
