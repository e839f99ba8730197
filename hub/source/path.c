#include "common/base/mem.h"
#include "common/base/vec.h"
#include "hub/source/tree.h"

#include <strings.h>

#define QUOTE_BYTES 80

/* A user's text for a message: printable, and not too long. */
static void quote(struct cox_str text, char ret_text[QUOTE_BYTES + 1])
{
	size_t n = text.len < QUOTE_BYTES ? text.len : QUOTE_BYTES;

	for (size_t i = 0; i < n; i++)
		ret_text[i] = (unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f
				      ? '?'
				      : text.ptr[i];
	ret_text[n] = '\0';
}

static bool contains(struct cox_str text, const char *what)
{
	return text.len && memmem(text.ptr, text.len, what, strlen(what)) != NULL;
}

static bool has_control(struct cox_str text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return true;
	return false;
}

/* What is wrong with the text whatever base it is relative to; NULL when nothing is. */
static const char *complaint(struct cox_str text)
{
	if (text.len > HUB_LIMIT_PATH_BYTES)
		return "is too long";
	if (has_control(text))
		return "has a control character";
	if (!cox_utf8_valid(text, NULL))
		return "is not UTF-8";
	if (cox_str_starts(text, "/"))
		return "is absolute, it must be relative";
	if (contains(text, "\\"))
		return "has a backslash";
	if (contains(text, "://"))
		return "is a URL, it must be a path";
	return NULL;
}

typedef COX_VEC(struct cox_str) parts_vec;

static int refuse(struct cox_error *err, enum cox_code code, struct cox_str text, const char *why)
{
	char shown[QUOTE_BYTES + 1];

	quote(text, shown);
	return cox_error(err, code, "path '%s' %s", shown, why);
}

static int add_parts(parts_vec *parts, struct cox_str text, bool may_go_up, struct cox_error *err)
{
	struct cox_str rest = text, part;

	while (cox_str_split(&rest, '/', &part)) {
		if (part.len == 0 || cox_str_is(part, "."))
			continue;
		if (cox_str_is(part, "..")) {
			if (!may_go_up)
				return refuse(err, COX_PERMISSION_DENIED, text,
					      "must not have '..'");
			if (parts->n == 0)
				return refuse(err, COX_PERMISSION_DENIED, text,
					      "leads out of the repository");
			parts->n--;
			continue;
		}
		if (part.len == 4 && strncasecmp(part.ptr, ".git", 4) == 0)
			return refuse(err, COX_PERMISSION_DENIED, text, "must not enter '.git'");
		if (part.len > 255)
			return refuse(err, COX_INVALID_ARGUMENT, text, "has too long a part");
		if (parts->n == HUB_LIMIT_PATH_PARTS)
			return refuse(err, COX_INVALID_ARGUMENT, text, "is too deep");
		cox_vec_push(parts, part);
	}
	return 0;
}

static char *join(const parts_vec *parts)
{
	struct cox_buf path = COX_BUF_INIT;

	COX_VEC_EACH (parts, part) {
		if (path.len)
			cox_buf_putc(&path, '/');
		cox_buf_puts_str(&path, *part);
	}
	return cox_buf_take(&path);
}

static int normal_form(const char *base, struct cox_str text, bool may_go_up, char **ret_path,
		       struct cox_error *err)
{
	const char *wrong = complaint(text);
	parts_vec parts = {0};
	int r = 0;

	if (wrong)
		return refuse(err, COX_INVALID_ARGUMENT, text, wrong);
	if (base)
		r = add_parts(&parts, cox_str(base), false, err);
	if (r == 0)
		r = add_parts(&parts, text, may_go_up, err);
	if (r == 0) {
		char *path = join(&parts);

		if (strlen(path) > HUB_LIMIT_PATH_BYTES) {
			free(path);
			r = refuse(err, COX_INVALID_ARGUMENT, text, "is too long");
		} else {
			*ret_path = path;
		}
	}
	cox_vec_fini(&parts);
	return r;
}

int hub_path_clean(struct cox_str text, char **ret_path, struct cox_error *err)
{
	return normal_form(NULL, text, false, ret_path, err);
}

int hub_path_resolve(const char *base, struct cox_str text, char **ret_path, struct cox_error *err)
{
	return normal_form(base, text, true, ret_path, err);
}
