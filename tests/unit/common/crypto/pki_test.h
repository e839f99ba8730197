/* The tests of pki.h; crypto_test.c runs them. */
#ifndef PKI_TEST_H
#define PKI_TEST_H

void test_keys(void **state);
void test_requests(void **state);
void test_authorities(void **state);
void test_server_certificate(void **state);
void test_client_certificate(void **state);
void test_identity(void **state);
void test_lifetimes(void **state);

#endif
