/* tests/golden/watch: rollout.yaml is a rollout as the REST API has it, where a wave's `repeat` stands for
 * so many targets; styles.yaml says at which sizes it is drawn; `want` has the pictures. Every case is
 * also drawn at all sizes up to a large one: no line may be too wide, and no picture too high. */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/doc/yaml.h"
#include "hub/cli/picture.h"
#include "hub/cli/width.h"
#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>

static int read_yaml(const char *dir, const char *name, struct cox_doc **ret, struct cox_error *err)
{
	_cleanup_free_ char *path = cox_path_join(dir, name);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int r = cox_file_read(path, 1 << 20, &text, err);

	return r < 0 ? r : cox_yaml_read(cox_buf_str(&text), name, NULL, ret, err);
}

/* {count, application: "argocd/app-", cluster, …}: the names get a number. */
static void repeat(struct cox_doc *doc, struct cox_node *targets, const struct cox_node *what)
{
	static const char *const numbered[] = {"application", "cluster"};

	for (int64_t i = 0; i < cox_node_int(cox_node_get(what, "count"), 0); i++) {
		struct cox_node *one = cox_doc_map(doc);

		for (size_t k = 0; k < cox_node_len(what); k++)
			cox_map_put_str(doc, one, cox_node_key(what, k), cox_node_at(what, k));
		for (size_t k = 0; k < COX_ARRAY_LEN(numbered); k++)
			cox_map_put(
				doc, one, numbered[k],
				cox_doc_stringf(doc, "%s%03lld",
						cox_node_cstr(cox_node_get(what, numbered[k]), ""),
						(long long)i + 1));
		cox_list_push(doc, targets, one);
	}
}

static struct cox_doc *expand(struct cox_doc *from)
{
	struct cox_doc *doc = cox_doc_edit(from);
	struct cox_node *waves = cox_map_edit_list(doc, cox_doc_root_edit(doc), "waves");

	for (size_t i = 0; i < cox_node_len(waves); i++) {
		struct cox_node *wave = cox_list_edit(doc, waves, i);
		const struct cox_node *list = cox_node_get(wave, "repeat");
		struct cox_node *targets = cox_map_edit_list(doc, wave, "targets");

		for (size_t k = 0; k < cox_node_len(list); k++)
			repeat(doc, targets, cox_node_at(list, k));
	}
	return cox_doc_seal(doc);
}

static struct cli_picture_style style_of(const struct cox_node *node)
{
	struct cli_picture_style s = {
		.width = (size_t)cox_node_int(cox_node_get(node, "width"), 80),
		.height = (size_t)cox_node_int(cox_node_get(node, "height"), 0),
		.colour = cox_node_bool(cox_node_get(node, "colour"), false),
		.unicode = cox_node_bool(cox_node_get(node, "unicode"), true),
		.note = cox_node_cstr(cox_node_get(node, "note"), NULL),
	};

	(void)cox_time_parse(cox_node_str(cox_node_get(node, "now")), &s.now_ms, NULL);
	return s;
}

/* Without the escapes of colours. */
static void strip(struct cox_str text, struct cox_buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '\033') {
			cox_buf_putc(out, text.ptr[i]);
			continue;
		}
		while (i < text.len && text.ptr[i] != 'm')
			i++;
	}
}

static void check_size(const struct cox_node *rollout, const struct cli_picture_style *style,
		       struct cox_buf *complaints)
{
	_cleanup_buf_ struct cox_buf picture = COX_BUF_INIT;
	struct cox_str rest, line;
	size_t n = 0;

	cli_picture(&picture, rollout, style);
	rest = cox_buf_str(&picture);
	while (cox_str_split(&rest, '\n', &line) && rest.ptr) {
		_cleanup_buf_ struct cox_buf plain = COX_BUF_INIT;

		n++;
		strip(line, &plain);
		if (cli_text_columns(cox_buf_cstr(&plain), style->unicode) > style->width)
			cox_buf_printf(complaints, "%zux%zu: line %zu is too wide: %s\n",
				       style->width, style->height, n, cox_buf_cstr(&plain));
	}
	if (style->height && n > style->height)
		cox_buf_printf(complaints, "%zux%zu: %zu lines\n", style->width, style->height, n);
}

static void check_sizes(const struct cox_node *rollout, struct cli_picture_style style,
			struct cox_buf *complaints)
{
	for (style.width = 1; style.width <= 130; style.width += 1 + style.width / 6)
		for (style.height = 1; style.height <= 50; style.height += 1 + style.height / 6)
			for (int i = 0; i < 4; i++) {
				style.colour = i & 1;
				style.unicode = i & 2;
				check_size(rollout, &style, complaints);
			}
}

static void run_watch(const char *dir, struct cox_buf *ret_text)
{
	_cleanup_doc_ struct cox_doc *read = NULL, *styles = NULL, *rollout = NULL;
	const struct cox_node *list;
	struct cox_error err;

	if (read_yaml(dir, "rollout.yaml", &read, &err) < 0 ||
	    read_yaml(dir, "styles.yaml", &styles, &err) < 0) {
		cox_buf_printf(ret_text, "error: %s\n", err.message);
		return;
	}
	rollout = expand(read);
	list = cox_doc_root(styles);
	for (size_t i = 0; i < cox_node_len(list); i++) {
		struct cli_picture_style style = style_of(cox_node_at(list, i));

		cox_buf_printf(ret_text, "==== %zux%zu%s%s\n", style.width, style.height,
			       style.colour ? " colour" : "", style.unicode ? "" : " ascii");
		cli_picture(ret_text, cox_doc_root(rollout), &style);
		check_size(cox_doc_root(rollout), &style, ret_text);
		if (i == 0)
			check_sizes(cox_doc_root(rollout), style, ret_text);
	}
}

int main(int argc, char *argv[])
{
	return golden_run("tests/golden/watch", argc > 1 ? argv[1] : NULL, run_watch);
}
