/* What a plain scalar of YAML means, by schema. Pure. The rules are those of go-yaml's resolver as
 * measured with kubectl 1.32 (v2: sigs.k8s.io/yaml) and its kustomize (v3):
 *
 *                       KUBERNETES                    KUSTOMIZE
 *   y, yes, on, n, …    booleans                      strings
 *   true, True, TRUE    booleans                      booleans
 *   0777, 0o17, 0b11    511, 15, 3                    the same
 *   1_000, +1           1000, 1                       the same
 *   1.0, 1e3            1, 1000 (as Go's JSON has it) the same
 *   over 2^64           the nearest double            the same
 *   2020-01-01          string                        "2020-01-01T00:00:00Z"
 *   .inf, .nan          refused: JSON has no such number
 */
#ifndef COX_DOC_YAML_SCALAR_H
#define COX_DOC_YAML_SCALAR_H

#include "common/doc/yaml.h"

#define DOC_SCALAR_TEXT 64

struct doc_scalar {
	enum cox_kind kind;	    /* COX_ABSENT: refused, as .inf */
	int64_t value;		    /* COX_BOOL, COX_INT */
	char text[DOC_SCALAR_TEXT]; /* COX_FLOAT: a JSON number; COX_STRING with is_time: a time */
	size_t text_len;
	bool is_time;
};

void doc_yaml_resolve(enum cox_yaml_schema schema, struct cox_str text, struct doc_scalar *ret);
/* Whether a writer must quote the text so that both schemas read it as a string. */
bool doc_yaml_is_ambiguous(struct cox_str text);

#endif
