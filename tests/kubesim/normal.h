/* The form in which an API server keeps an object: what decoding into the API's own structs and
 * encoding again makes of a text. Fields that the schema does not have are dropped and named;
 * nulls and empty values go, except where the API always writes them; quantities get their
 * canonical text; the few fields that are conversions of others are converted (stringData,
 * serviceAccountName). https://kubernetes.io/docs/reference/using-api/api-concepts/
 * Threads: job-local. */
#ifndef KUBESIM_NORMAL_H
#define KUBESIM_NORMAL_H

#include "common/base/options.h"
#include "common/kube/schema.h"

struct ks_normal {
	struct cox_doc *doc;	 /* results are its own nodes */
	cox_strings unknown;	 /* paths of fields that were dropped: "spec.bogus"; the caller's */
	struct cox_buf path;	 /* where we are */
	const char *struct_name; /* innermost struct, for messages */
	bool custom;		 /* a custom resource: nulls and zero values stay */
};

/* value may be NULL: the empty object, with what is always written. The error's message is the one
 * of Go's JSON decoder ("json: cannot unmarshal number into Go struct field …"). */
int ks_normal(struct ks_normal *s, const struct cox_node *value, const struct cox_schema_type *type,
	      const struct cox_node **ret_node, struct cox_error *err);
void ks_normal_fini(struct ks_normal *s);
#define _cleanup_normal_ COX_CLEANUP(ks_normal_fini)

#endif
