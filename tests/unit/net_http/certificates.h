/* Authorities, a server's and a client's certificate for tests, as text and as files in a new
 * folder. Either ends the test when it fails. */
#ifndef COX_TEST_CERTIFICATES_H
#define COX_TEST_CERTIFICATES_H

#include "common/base/buf.h"

struct certificates {
	char dir[64];
	struct cox_buf server_ca, client_ca, client_cert, client_key;
	char *server_ca_path, *server_cert_path, *server_key_path, *client_ca_path;
};

/* The server is "localhost", "127.0.0.1" and "kube.test". */
void certificates_init(struct certificates *c);
void certificates_fini(struct certificates *c);

#endif
