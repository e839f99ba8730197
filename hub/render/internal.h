/* What the files of this room share. Private to it. */
#ifndef COX_HUB_RENDER_INTERNAL_H
#define COX_HUB_RENDER_INTERNAL_H

#include "hub/render/render.h"
#include "hub/source/tree.h"

struct hub_render {
	struct hub_tree *tree;
	const struct hub_source *source;
	const struct hub_render_options *options; /* never NULL */
	const char *path;			  /* clean */
	struct hub_application overridden; /* what source points into once it was overridden */
	size_t max_bytes, max_objects;
	size_t n_bytes; /* of manifests read so far */
	struct hub_rendered *out;
};

/* Appends the objects of one file: documents split, lists expanded, unrelated files left out. */
int hub_render_file(struct hub_render *r, const char *path, struct cox_str content,
		    struct cox_error *err);

/* Lays the override files of a directory over r->source. */
int hub_render_override(struct hub_render *r, const struct hub_tree_list *list,
			struct cox_error *err);

/* The directory source. */
int hub_render_directory(struct hub_render *r, struct cox_error *err);

#endif
