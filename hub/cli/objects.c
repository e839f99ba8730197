/* apply, get, delete: the objects that the hub keeps. */
#include "common/base/encode.h"
#include "common/base/file.h"
#include "hub/cli/app.h"
#include "hub/cli/cli.h"
#include "hub/cli/columns.h"
#include "hub/model/check.h"
#include "hub/model/gate_secret.h"

#include <stdio.h>

/* ---- apply ---- */

/* Errors here name the line, which the hub cannot know. */
static int check_documents(const cox_docs *docs, struct cox_error *err)
{
	_cleanup_problems_ struct hub_problems problems = {0};

	for (size_t i = 0; i < docs->n; i++) {
		const struct cox_node *root = cox_doc_root(docs->items[i]);
		const char *kind = cox_node_cstr(COX_GET(root, "kind"), "");

		hub_check(docs->items[i], &problems);
		if (hub_kind_of(root) == HUB_KIND_NONE)
			hub_problem_add(
				&problems, HUB_ERROR, docs->items[i], root,
				"the hub keeps no '%s' of '%s'%s; it deploys those from Git", kind,
				cox_node_cstr(COX_GET(root, "apiVersion"), ""),
				strcmp(kind, "Secret") == 0
					? " but those labelled " HUB_SECRET_TYPE_LABEL
					  " or " HUB_OUR_SECRET_TYPE_LABEL
					: "");
	}
	COX_VEC_EACH (&problems.list, p) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		if (p->severity != HUB_WARNING)
			continue;
		hub_problem_print(&text, p);
		fprintf(stderr, "warning: %s\n", cox_buf_cstr(&text));
	}
	return hub_problems_error(&problems, err);
}

static void push_object(struct cox_doc *all, struct cox_node *list, struct cox_doc *doc,
			const char *namespace)
{
	const struct hub_kind_info *info = hub_kind_info(hub_kind_of(cox_doc_root(doc)));

	if (namespace && info && info->namespaced && !*hub_object_namespace(cox_doc_root(doc))) {
		_cleanup_doc_ struct cox_doc *with = hub_object_with_namespace(doc, namespace);

		cox_doc_use(all, with);
		cox_list_push(all, list, cox_doc_root(with));
		return;
	}
	cox_doc_use(all, doc);
	cox_list_push(all, list, cox_doc_root(doc));
}

static void print_applied(const struct cox_node *items, bool dry_run)
{
	for (size_t i = 0; i < cox_node_len(items); i++) {
		const struct cox_node *it = cox_node_at(items, i);
		enum hub_kind kind = hub_kind_parse(cox_node_cstr(COX_GET(it, "kind"), ""));
		const struct hub_kind_info *info = hub_kind_info(kind);

		printf("%s/%s %s%s\n", info ? info->singular : "object",
		       cox_node_cstr(COX_GET(it, "name"), ""),
		       cox_node_cstr(COX_GET(it, "result"), ""), dry_run ? " (dry run)" : "");
	}
}

CLI_RUN(cli_apply)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *all = NULL, *answer = NULL;
	_cleanup_docs_ cox_docs docs = {0};
	enum cli_format format;
	struct cox_node *list;
	int r = cli_format_parse(flags->output, &format, err);

	(void)args;
	if (r == 0)
		r = cli_read_files(&flags->files, true, &docs, err);
	if (r == 0)
		cli_expand_lists(&docs);
	if (r == 0)
		r = check_documents(&docs, err);
	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r != 0)
		return r;
	all = cox_doc_new("request");
	list = cox_doc_list(all);
	for (size_t i = 0; i < docs.n; i++)
		push_object(all, list, docs.items[i], flags->namespace);
	r = cli_hub_call(hub, "POST",
			 flags->dry_run ? "/api/v1/apply?dryRun=true" : "/api/v1/apply", list,
			 &answer, err);
	if (r < 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	else
		print_applied(COX_GET(cox_doc_root(answer), "items"), flags->dry_run);
	return 0;
}

/* ---- get, delete ---- */

static int parse_kind(const char *word, const struct hub_kind_info **ret, struct cox_error *err)
{
	const struct hub_kind_info *info = hub_kind_info(hub_kind_parse(word));

	if (!info)
		return cli_usage(err,
				 "no kind '%s': the hub keeps applications, applicationsets, "
				 "appprojects, clusters, rolloutpolicies, secrets",
				 word);
	*ret = info;
	return 0;
}

static char *list_path(const struct hub_kind_info *info, const char *namespace)
{
	struct cox_buf path = COX_BUF_INIT;

	cox_buf_printf(&path, "/api/v1/%s", info->plural);
	if (namespace && info->namespaced) {
		cox_buf_puts(&path, "?namespace=");
		cox_url_encode(&path, cox_str(namespace));
	}
	return cox_buf_take(&path);
}

CLI_RUN(cli_get)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_free_ char *path = NULL;
	const struct hub_kind_info *info = NULL;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = parse_kind(args->items[0], &info, err);
	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r != 0)
		return r;
	path = args->n > 1 ? cli_object_path(info->plural, info->namespaced, flags->namespace,
					     args->items[1], "")
			   : list_path(info, flags->namespace);
	r = CLI_GET(hub, path, &answer, err);
	return r < 0 ? r : cli_print_objects(info->kind, format, cox_doc_root(answer), err);
}

static int check_cascade(const char *word, struct cox_error *err)
{
	if (!word || strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
		return 0;
	return cli_usage(err, "--cascade takes true or false, not '%s'", word);
}

static int check_propagation(const char *word, struct cox_error *err)
{
	if (!word || strcmp(word, "foreground") == 0 || strcmp(word, "background") == 0 ||
	    strcmp(word, "orphan") == 0)
		return 0;
	return cli_usage(err, "--propagation-policy is foreground, background or orphan, not '%s'",
			 word);
}

static char *delete_query(const struct cli_flags *flags)
{
	struct cox_buf query = COX_BUF_INIT;

	if (flags->cascade)
		cox_buf_printf(&query, "&cascade=%s", flags->cascade);
	if (flags->propagation)
		cox_buf_printf(&query, "&propagationPolicy=%s", flags->propagation);
	if (flags->forget)
		cox_buf_puts(&query, "&forget=true");
	if (query.len)
		query.ptr[0] = '?';
	return cox_buf_take(&query);
}

int cli_delete_object(struct cli_hub *hub, const struct cli_flags *flags,
		      const struct hub_kind_info *info, const char *name, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_free_ char *tail = delete_query(flags);
	_cleanup_free_ char *path =
		cli_object_path(info->plural, info->namespaced, flags->namespace, name, tail);
	int r = check_cascade(flags->cascade, err);

	if (r == 0)
		r = check_propagation(flags->propagation, err);
	if (r == 0)
		r = cli_hub_call(hub, "DELETE", path, NULL, &answer, err);
	if (r != 0)
		return r;
	printf("%s/%s %s\n", info->singular, name,
	       cox_node_cstr(COX_GET(cox_doc_root(answer), "result"), "deleted"));
	return 0;
}

CLI_RUN(cli_delete)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	const struct hub_kind_info *info = NULL;
	int r = parse_kind(args->items[0], &info, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	for (size_t i = 1; r == 0 && i < args->n; i++)
		r = cli_delete_object(hub, flags, info, args->items[i], err);
	return r;
}

/* ---- login, version ---- */

static int read_token(const struct cli_flags *flags, char **ret_token, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_str token;
	int r;

	if (!flags->token_file && isatty(STDIN_FILENO))
		fprintf(stderr, "token: ");
	r = cox_file_read(flags->token_file ? flags->token_file : "-", 4096, &text, err);
	if (r < 0)
		return r;
	token = cox_str_trim(cox_buf_str(&text));
	if (!token.len)
		return cox_error(err, COX_INVALID_ARGUMENT, "the token is empty");
	*ret_token = cox_str_dup(token);
	explicit_bzero(text.ptr, text.len);
	return 0;
}

CLI_RUN(cli_login)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_free_ char *token = NULL, *path = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	struct cli_flags plain = *flags;
	int r;

	(void)args;
	r = read_token(flags, &token, err);
	if (r < 0)
		return r;
	plain.token_file = NULL;
	r = cli_hub_open(&plain, &hub, err);
	if (r < 0)
		return r;
	cli_hub_set_token(hub, token);
	r = CLI_GET(hub, "/api/v1/version", &answer, err);
	if (r == 0)
		r = cli_credentials_store(cli_hub_url(hub), token, &path, err);
	explicit_bzero(token, strlen(token));
	if (r == 0)
		printf("logged in to %s (version %s); the token is in %s\n", cli_hub_url(hub),
		       cox_node_cstr(COX_GET(cox_doc_root(answer), "version"), "?"), path);
	return r;
}

CLI_RUN(cli_version)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	const struct cox_node *root;
	int r;

	(void)args;
	printf("cox %s\n", COX_VERSION);
	r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = CLI_GET(hub, "/api/v1/version", &answer, err);
	if (r < 0)
		return r;
	root = cox_doc_root(answer);
	printf("hub %s at %s, namespace %s, agents join at %s\n",
	       cox_node_cstr(COX_GET(root, "version"), "?"), cli_hub_url(hub),
	       cox_node_cstr(COX_GET(root, "namespace"), "?"),
	       cox_node_cstr(COX_GET(root, "agents"), "?"));
	return 0;
}
