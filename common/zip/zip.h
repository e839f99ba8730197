/* zstd, one whole value at a time; its only door. Frames carry their content's size and checksum.
 * Threads: any; each call works in its own context. */
#ifndef COX_ZIP_ZIP_H
#define COX_ZIP_ZIP_H

#include "common/base/buf.h"
#include "common/base/error.h"

#define COX_ZIP_LEVEL 3

/* Appends one frame to out. level is zstd's (1 to 19; 0 means COX_ZIP_LEVEL). */
void cox_zip_compress(struct cox_str plain, int level, struct cox_buf *out);
/* Appends the content of one frame to out. COX_RESOURCE_EXHAUSTED when it would be longer than
 * max_bytes (told from the frame's header before memory is taken, and again while decompressing);
 * COX_DATA_LOSS when it is no frame, is cut short, is damaged, or has something behind it. */
int cox_zip_decompress(struct cox_str packed, size_t max_bytes, struct cox_buf *out,
		       struct cox_error *err);

#endif
