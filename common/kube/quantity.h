/* Kubernetes quantities ("500m", "1Gi", "0.5", "1e3"): the grammar, exact values and the canonical
 * text of k8s.io/apimachinery/pkg/api/resource,
 * https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource A value is kept in billionths; what is
 * finer is rounded away from zero and what is larger than 2^63-1 is cut to that, as Kubernetes
 * does. Threads: pure. */
#ifndef COX_KUBE_QUANTITY_H
#define COX_KUBE_QUANTITY_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

enum cox_quantity_format {
	COX_QUANTITY_DECIMAL,  /* m, k, M, … */
	COX_QUANTITY_BINARY,   /* Ki, Mi, … */
	COX_QUANTITY_EXPONENT, /* e3 */
};

struct cox_quantity {
	__int128 nano;
	enum cox_quantity_format format;
};

int cox_quantity_parse(struct cox_str text, struct cox_quantity *ret_quantity,
		       struct cox_error *err);
/* <0, 0, >0 by value; "1Gi" and "1024Mi" are equal. */
int cox_quantity_compare(struct cox_quantity a, struct cox_quantity b);
/* Rounded away from zero to whole units. */
int64_t cox_quantity_value(struct cox_quantity q);

#define COX_QUANTITY_TEXT_MAX 48
/* The canonical text: no fraction, the largest suffix that keeps the value whole. */
void cox_quantity_write(struct cox_quantity q, char ret_text[COX_QUANTITY_TEXT_MAX]);

#endif
