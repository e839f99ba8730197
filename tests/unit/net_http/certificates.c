#include "certificates.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/crypto/pki.h"

#include <stdio.h>
#include <unistd.h>

static char *save(struct certificates *c, const char *name, const struct cox_buf *text)
{
	char *path = cox_path_join(c->dir, name);

	COX_ASSERT(cox_file_write(path, cox_buf_str(text), 0600, NULL) == 0);
	return path;
}

static void make_server(struct certificates *c, int64_t now_ms)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "kube.test"};
	COX_CLEANUP(cox_key_free_p) struct cox_key *ca_key = NULL, *key = NULL;
	COX_CLEANUP(cox_cert_free_p) struct cox_cert *ca = NULL, *cert = NULL;
	_cleanup_buf_ struct cox_buf cert_pem = COX_BUF_INIT, key_pem = COX_BUF_INIT;

	COX_ASSERT(cox_ca_create(COX_CA_HUB, "test", now_ms, &ca_key, &ca, NULL) == 0);
	struct cox_issuer issuer = {ca, ca_key, now_ms, 3600000};
	COX_ASSERT(cox_key_generate(&key, NULL) == 0);
	COX_ASSERT(cox_issue_server(&issuer, key, names, 3, &cert, NULL) == 0);
	cox_cert_to_pem(ca, &c->server_ca);
	cox_cert_to_pem(cert, &cert_pem);
	cox_key_to_pem(key, &key_pem);
	c->server_ca_path = save(c, "server-ca.pem", &c->server_ca);
	c->server_cert_path = save(c, "server.pem", &cert_pem);
	c->server_key_path = save(c, "server-key.pem", &key_pem);
}

static void make_client(struct certificates *c, int64_t now_ms)
{
	COX_CLEANUP(cox_key_free_p) struct cox_key *ca_key = NULL, *key = NULL;
	COX_CLEANUP(cox_cert_free_p) struct cox_cert *ca = NULL, *cert = NULL;
	COX_CLEANUP(cox_csr_free_p) struct cox_csr *csr = NULL;
	_cleanup_buf_ struct cox_buf der = COX_BUF_INIT;

	COX_ASSERT(cox_ca_create(COX_CA_AGENTS, "test", now_ms, &ca_key, &ca, NULL) == 0);
	struct cox_issuer issuer = {ca, ca_key, now_ms, 3600000};
	COX_ASSERT(cox_key_generate(&key, NULL) == 0);
	COX_ASSERT(cox_csr_create(key, "somebody", &der, NULL) == 0);
	COX_ASSERT(cox_csr_parse(cox_buf_str(&der), &csr, NULL) == 0);
	COX_ASSERT(cox_issue_client(&issuer, csr, "test", "somebody", &cert, NULL) == 0);
	cox_cert_to_pem(ca, &c->client_ca);
	cox_cert_to_pem(cert, &c->client_cert);
	cox_key_to_pem(key, &c->client_key);
	c->client_ca_path = save(c, "client-ca.pem", &c->client_ca);
}

void certificates_init(struct certificates *c)
{
	int64_t now_ms = cox_clock_wall_ms();

	*c = (struct certificates){.dir = "/tmp/cox-certificates-XXXXXX"};
	COX_ASSERT(mkdtemp(c->dir));
	make_server(c, now_ms);
	make_client(c, now_ms);
}

static void drop_file(char *path)
{
	unlink(path);
	free(path);
}

void certificates_fini(struct certificates *c)
{
	drop_file(c->server_ca_path);
	drop_file(c->server_cert_path);
	drop_file(c->server_key_path);
	drop_file(c->client_ca_path);
	rmdir(c->dir);
	cox_buf_fini(&c->server_ca);
	cox_buf_fini(&c->client_ca);
	cox_buf_fini(&c->client_cert);
	cox_buf_fini(&c->client_key);
}
