#include "common/zip/zip.h"

#include "common/base/mem.h"

#include <zstd.h>
#include <zstd_errors.h>

void cox_zip_compress(struct cox_str plain, int level, struct cox_buf *out)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(plain.len), n;

	COX_ASSERT(c && !ZSTD_isError(bound));
	ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level ? level : COX_ZIP_LEVEL);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	cox_buf_reserve(out, bound);
	n = ZSTD_compress2(c, out->ptr + out->len, bound, plain.len ? plain.ptr : "", plain.len);
	ZSTD_freeCCtx(c);
	/* With room for the worst case only memory can run out. */
	COX_ASSERT(!ZSTD_isError(n));
	out->len += n;
	out->ptr[out->len] = '\0';
}

static int too_long(struct cox_error *err, size_t max_bytes)
{
	return cox_error(err, COX_RESOURCE_EXHAUSTED, "unpacked content is longer than %zu bytes",
			 max_bytes);
}

int cox_zip_decompress(struct cox_str packed, size_t max_bytes, struct cox_buf *out,
		       struct cox_error *err)
{
	unsigned long long size = ZSTD_getFrameContentSize(packed.ptr, packed.len);
	size_t frame, n;
	ZSTD_DCtx *d;

	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
		return cox_error(err, COX_DATA_LOSS,
				 "packed content has no zstd frame with a size");
	if (size > max_bytes)
		return too_long(err, max_bytes);
	frame = ZSTD_findFrameCompressedSize(packed.ptr, packed.len);
	if (ZSTD_isError(frame) || frame != packed.len)
		return cox_error(err, COX_DATA_LOSS,
				 "packed content is cut short or has something behind it");
	d = ZSTD_createDCtx();
	COX_ASSERT(d);
	cox_buf_reserve(out, size);
	n = ZSTD_decompressDCtx(d, out->ptr + out->len, size, packed.ptr, packed.len);
	ZSTD_freeDCtx(d);
	if (ZSTD_isError(n) || n != size)
		out->ptr[out->len] = '\0';
	if (ZSTD_isError(n))
		return cox_error(err, COX_DATA_LOSS, "packed content is damaged: %s",
				 ZSTD_getErrorName(n));
	if (n != size)
		return cox_error(err, COX_DATA_LOSS, "packed content is not as long as it says");
	out->len += n;
	out->ptr[out->len] = '\0';
	return 0;
}
