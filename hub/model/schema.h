/* The fields of every kind that the hub keeps, as tables: what type each has, which are required,
 * which values they take. check.c walks them. Private to the room. */
#ifndef COX_HUB_MODEL_SCHEMA_H
#define COX_HUB_MODEL_SCHEMA_H

#include "hub/model/kind.h"

enum hub_type {
	HUB_ANY,
	HUB_STRING,
	HUB_BOOL,
	HUB_INT,
	HUB_INT_OR_STRING,
	HUB_DURATION,	/* a string in Go's syntax */
	HUB_STRINGS,	/* list of strings */
	HUB_STRING_MAP, /* map of strings */
	HUB_ANY_LIST,
	HUB_ANY_MAP,
	HUB_OBJECT,  /* map of the fields below */
	HUB_OBJECTS, /* list of such maps */
};

enum {
	HUB_REQUIRED = 1,  /* must be there and, if a string or list, not empty */
	HUB_TEMPLATED = 2, /* what is below is an Application's template: nothing is required, and
			    * values with {{ are not judged */
};

struct hub_field {
	const char *name; /* NULL ends a table */
	enum hub_type type;
	unsigned flags;
	const struct hub_field *fields; /* of OBJECT and OBJECTS */
	const char *values;		/* "a,b": the only ones */
};

/* Fields of the whole object; NULL for HUB_KIND_NONE. */
const struct hub_field *hub_schema(enum hub_kind kind);
/* Fields of metadata, for any object. */
extern const struct hub_field hub_metadata_fields[];

#endif
