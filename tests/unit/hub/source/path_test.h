/* The tests of hub_path_*; tree_test.c runs them. */
#ifndef PATH_TEST_H
#define PATH_TEST_H

void test_path_escapes(void **state);
void test_path_clean(void **state);
void test_path_resolve(void **state);
void test_path_limits(void **state);

#endif
