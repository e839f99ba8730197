#include "hub/cli/width.h"

#include "common/base/cleanup.h"

#define REPLACEMENT 0xfffd

struct range {
	uint32_t first, last;
};

/* Marks and joiners that stand over or between others: the general categories Mn, Me and Cf of the
 * scripts that names are written in. */
static const struct range none[] = {
	{0x0300, 0x036f},   {0x0483, 0x0489},	{0x0591, 0x05bd},   {0x05bf, 0x05bf},
	{0x05c1, 0x05c2},   {0x05c4, 0x05c5},	{0x0610, 0x061a},   {0x064b, 0x065f},
	{0x0670, 0x0670},   {0x06d6, 0x06dc},	{0x06df, 0x06e4},   {0x06e7, 0x06e8},
	{0x06ea, 0x06ed},   {0x0900, 0x0902},	{0x093a, 0x093a},   {0x093c, 0x093c},
	{0x0941, 0x0948},   {0x094d, 0x094d},	{0x0951, 0x0957},   {0x0e31, 0x0e31},
	{0x0e34, 0x0e3a},   {0x0e47, 0x0e4e},	{0x1ab0, 0x1aff},   {0x1dc0, 0x1dff},
	{0x200b, 0x200d},   {0x2060, 0x2064},	{0x20d0, 0x20f0},   {0x302a, 0x302d},
	{0x3099, 0x309a},   {0xfe00, 0xfe0f},	{0xfe20, 0xfe2f},   {0xfeff, 0xfeff},
	{0x1f3fb, 0x1f3ff}, {0xe0020, 0xe007f}, {0xe0100, 0xe01ef},
};

/* East Asian Width W and F (Unicode's annex 11). */
static const struct range two[] = {
	{0x1100, 0x115f},   {0x231a, 0x231b},	{0x2329, 0x232a},   {0x23e9, 0x23ec},
	{0x23f0, 0x23f0},   {0x23f3, 0x23f3},	{0x25fd, 0x25fe},   {0x2614, 0x2615},
	{0x2648, 0x2653},   {0x267f, 0x267f},	{0x2693, 0x2693},   {0x26a1, 0x26a1},
	{0x26aa, 0x26ab},   {0x26bd, 0x26be},	{0x26c4, 0x26c5},   {0x26ce, 0x26ce},
	{0x26d4, 0x26d4},   {0x26ea, 0x26ea},	{0x26f2, 0x26f3},   {0x26f5, 0x26f5},
	{0x26fa, 0x26fa},   {0x26fd, 0x26fd},	{0x2705, 0x2705},   {0x270a, 0x270b},
	{0x2728, 0x2728},   {0x274c, 0x274c},	{0x274e, 0x274e},   {0x2753, 0x2755},
	{0x2757, 0x2757},   {0x2795, 0x2797},	{0x27b0, 0x27b0},   {0x27bf, 0x27bf},
	{0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},	{0x2b55, 0x2b55},   {0x2e80, 0x303e},
	{0x3041, 0x33ff},   {0x3400, 0x4dbf},	{0x4e00, 0x9fff},   {0xa000, 0xa4cf},
	{0xa960, 0xa97f},   {0xac00, 0xd7a3},	{0xf900, 0xfaff},   {0xfe10, 0xfe19},
	{0xfe30, 0xfe6f},   {0xff01, 0xff60},	{0xffe0, 0xffe6},   {0x16fe0, 0x18aff},
	{0x1b000, 0x1b2ff}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e},
	{0x1f191, 0x1f19a}, {0x1f200, 0x1f320}, {0x1f32d, 0x1f335}, {0x1f337, 0x1f37c},
	{0x1f37e, 0x1f393}, {0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3}, {0x1f3e0, 0x1f3f0},
	{0x1f3f4, 0x1f3f4}, {0x1f3f8, 0x1f43e}, {0x1f440, 0x1f440}, {0x1f442, 0x1f4fc},
	{0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f54e}, {0x1f550, 0x1f567}, {0x1f57a, 0x1f57a},
	{0x1f595, 0x1f596}, {0x1f5a4, 0x1f5a4}, {0x1f5fb, 0x1f64f}, {0x1f680, 0x1f6c5},
	{0x1f6cc, 0x1f6cc}, {0x1f6d0, 0x1f6d2}, {0x1f6d5, 0x1f6d7}, {0x1f6dc, 0x1f6df},
	{0x1f6eb, 0x1f6ec}, {0x1f6f4, 0x1f6fc}, {0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1f93a},
	{0x1f93c, 0x1f945}, {0x1f947, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

static bool is_in(const struct range *ranges, size_t n, uint32_t c)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (c < ranges[middle].first)
			n = middle;
		else if (c > ranges[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

size_t cli_char_columns(uint32_t c)
{
	if (c < 0x300)
		return 1;
	if (is_in(none, COX_ARRAY_LEN(none), c))
		return 0;
	return is_in(two, COX_ARRAY_LEN(two), c) ? 2 : 1;
}

/* Bidirectional controls and line separators. */
static bool is_harmful(uint32_t c)
{
	return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x206f);
}

/* The character at *p, which moves behind it. */
static uint32_t next_char(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 1;
	size_t have = strnlen(*p, n);
	uint32_t c = s[0];

	if (have < n || !cox_utf8_valid(cox_str_n(*p, n), NULL)) {
		*p += 1;
		return REPLACEMENT;
	}
	*p += n;
	if (n == 1)
		return c;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

/* What is shown in the place of the character. */
static uint32_t shown(uint32_t c, bool unicode)
{
	if (is_harmful(c))
		return ' ';
	return unicode || c < 0x80 ? c : '?';
}

static void put_char(struct cox_buf *out, uint32_t c)
{
	if (c < 0x80) {
		cox_buf_putc(out, (char)c);
	} else if (c < 0x800) {
		cox_buf_putc(out, (char)(0xc0 | c >> 6));
		cox_buf_putc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		cox_buf_putc(out, (char)(0xe0 | c >> 12));
		cox_buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		cox_buf_putc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		cox_buf_putc(out, (char)(0xf0 | c >> 18));
		cox_buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		cox_buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		cox_buf_putc(out, (char)(0x80 | (c & 0x3f)));
	}
}

size_t cli_text_columns(const char *text, bool unicode)
{
	size_t n = 0;

	while (*text)
		n += cli_char_columns(shown(next_char(&text), unicode));
	return n;
}

size_t cli_text_fit(struct cox_buf *out, const char *text, size_t columns, bool unicode)
{
	const char *ellipsis = unicode ? "…" : columns > 4 ? ".." : ".";
	size_t tail = unicode ? 1 : strlen(ellipsis), used = 0;
	bool fits = cli_text_columns(text, unicode) <= columns;
	size_t room = fits ? columns : columns > tail ? columns - tail : 0;

	while (*text) {
		uint32_t c = shown(next_char(&text), unicode);
		size_t w = cli_char_columns(c);

		if (used + w > room)
			break;
		put_char(out, c);
		used += w;
	}
	if (fits || columns < tail)
		return used;
	cox_buf_puts(out, ellipsis);
	return used + tail;
}
