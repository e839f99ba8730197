/* A rollout as a picture for a terminal: the waves with their bars, the gates with what they wait for, the
 * targets that are worth a look, who did what. Pure: document, time and size in, text out. */
#ifndef COX_HUB_CLI_PICTURE_H
#define COX_HUB_CLI_PICTURE_H

#include "common/base/buf.h"
#include "common/doc/doc.h"

#include <stdint.h>

#define CLI_PICTURE_FEW	  12 /* a wave of so many targets shows all of them, if there is room */
#define CLI_PICTURE_MANY  20 /* of a larger one so many at most, those that move or are ill first */
#define CLI_PICTURE_AUDIT 5  /* the newest entries */

struct cli_picture_style {
	int64_t now_ms; /* the wall clock */
	size_t width;	/* columns, at least 1 */
	size_t height;	/* lines that there are; 0: as many as it takes */
	bool colour, unicode;
	const char *note; /* one more line at the end; NULL: none */
};

/* Appends lines, each ended by '\n', none wider than there are columns, and no more of them than there
 * are lines. rollout: as of GET /api/v1/rollouts/…; NULL: there is none yet. */
void cli_picture(struct cox_buf *out, const struct cox_node *rollout,
		 const struct cli_picture_style *style);

#endif
