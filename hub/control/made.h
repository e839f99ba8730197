/* What a rendering made, and what it read to make it: kept by the Applications that it is of, so that
 * a later commit which touches nothing of that is not rendered again.
 *
 * Immutable but for the count, which is the loop's. */
#ifndef HUB_CONTROL_MADE_H
#define HUB_CONTROL_MADE_H

#include "hub/control/internal.h"
#include "hub/source/reads.h"

struct control_made {
	unsigned n_refs;
	/* Everything of the Application that entered it: each source but for its revision, and
	 * whether the hub's own kinds are taken out. Neither its name nor its namespace nor its
	 * cluster does, so that one is made for all clusters; unless it has a file of its own or
	 * asks for the build environment, when all of that enters, and the commits too. What else
	 * comes to enter (Helm's release name) must come in here. */
	char *what;
	COX_VEC(struct hub_reads) reads; /* one a source */
	control_remotes remotes;	 /* that were used, at these commits */
	uint8_t digest[HUB_DIGEST_BYTES];
	size_t n_objects;
	cox_strings images; /* of containers, each once, sorted */
	cox_docs own;
};

/* The images of everything in the objects that looks like a container; appended. */
void control_images(const cox_docs *objects, cox_strings *ret_images);

struct control_made *control_made_ref(struct control_made *m);
void control_made_unref(struct control_made *m); /* NULL is fine */

/* The caller's. */
char *control_made_what(const struct control_app *a, bool split);

/* In the pool: whether rendering the sources at these commits would read the same. What of `remotes`
 * it used is marked. */
bool control_made_holds(const struct control_made *m, struct repo_sources *sources,
			const struct hub_application *view, const cox_strings *commits,
			control_remotes *remotes);

#endif
