/* YAML in and out. The reader drives libyaml's parser (events, never its document loader) and takes
 * what Kubernetes' loader takes: YAML 1.1 scalars, several documents, anchors, aliases and merge
 * keys within limits, BOM, CRLF. It refuses, with "name:line:column: …": duplicate keys, tabs as
 * indentation, depth, nodes, aliases and scalars over the limit (common/base/limits.h), tags
 * outside YAML's core schema, keys that are no scalars, bad UTF-8, NUL.
 * An alias shares the node it names; what it stands for counts against the limits. Numbers become what
 * Go's JSON makes of them, so 1.0 is the integer 1 and 0x10 is 16. Merge keys: KUBERNETES lets whatever
 * comes last win, as go-yaml v2 does; KUSTOMIZE lets the map's own keys win, as v3 does.
 * Columns count characters. Every refusal is COX_INVALID_ARGUMENT. Threads: any, one call a text. */
#ifndef COX_DOC_YAML_H
#define COX_DOC_YAML_H

#include "common/doc/doc.h"

/* How plain scalars resolve; reference: sigs.k8s.io/yaml (go-yaml v2, YAML 1.1) and go-yaml v3 as
 * Kustomize uses it. */
enum cox_yaml_schema {
	COX_YAML_KUBERNETES = 0, /* y, yes, on, … are booleans; 0777 is octal */
	COX_YAML_KUSTOMIZE,	 /* only true/True/TRUE and false/… are */
};

struct cox_yaml_options {
	enum cox_yaml_schema schema;
	/* 0: the limit's default */
	size_t max_depth, max_nodes, max_aliases, max_documents;
	struct cox_account *account; /* that the documents' memory is on; NULL: none */
	bool last_key_wins;	     /* a key that is there twice is no error */
	bool keep_written;	     /* for cox_node_written and cox_node_quoted */
	bool keep_empty; /* an empty document is one with a null root, instead of being left out */
};

/* Every document of the text, appended to ret_docs, sealed. options may be NULL. On failure
 * ret_docs is as before. */
int cox_yaml_read_all(struct cox_str text, const char *name, const struct cox_yaml_options *options,
		      cox_docs *ret_docs, struct cox_error *err);
/* Exactly one; COX_INVALID_ARGUMENT when there is none or another. */
int cox_yaml_read(struct cox_str text, const char *name, const struct cox_yaml_options *options,
		  struct cox_doc **ret_doc, struct cox_error *err);

/* Block style, two spaces, list items not indented under their key, `|` for text of several lines;
 * what either schema would misread is quoted. Reads back equal (a COX_FLOAT without a fraction, which
 * only JSON can bring, as the integer that it is). Ends with a line feed. Appends. */
void cox_yaml_write(struct cox_buf *out, const struct cox_node *node);
/* To the byte as Go's YAML writes (go-yaml v2: Kustomize, Helm's toYaml): keys in its order (k9 before
 * k10), its quotes, lines that end at the first space behind column 80. Reads back equal too: U+2028,
 * U+2029 and a key "<<", which it writes so that they do not, are in double quotes. */
void cox_yaml_write_sorted(struct cox_buf *out, const struct cox_node *node);

#endif
