/* Who may use the API, and as whom: the admin's token, and named ones (README.md). Of a token only its
 * hash is kept, in the table META: "token/admin" the admin's, "named/NAME" JSON {hash, created, expires}.
 * Everything is in memory as well, so what is revoked is refused from the next request on. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "hub/web/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define ADMIN_ROW "token/admin"
#define NAMED_ROW "named/"
#define DAY_MS	  (INT64_C(24) * 60 * 60 * 1000)

/* ---- names ---- */

/* Those that the hub itself signs with. */
static const char *const reserved[] = {"admin", "coxswain", "automated", "rollout"};

static bool is_inner(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static int check_name(const char *name, struct cox_error *err)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < COX_ARRAY_LEN(reserved); i++)
		if (strcmp(reserved[i], name) == 0)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "'%s' is a name of the hub itself", name);
	if (n > WEB_TOKEN_NAME_MAX)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "a token's name has at most %d characters", WEB_TOKEN_NAME_MAX);
	for (size_t i = 0; i < n; i++)
		if (!is_inner(name[i]) && (i == 0 || i + 1 == n || !strchr("-_.@", name[i])))
			n = 0;
	if (n == 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'%s' is no name for a token: lower-case letters, digits, and "
				 "between them '-', '_', '.' and '@'",
				 name);
	return 0;
}

/* What a client says of itself is shown to people: one line, and not a long one. */
static int check_claim(const char *claim, struct cox_error *err)
{
	size_t n = strlen(claim);

	if (n > WEB_TOKEN_NAME_MAX || !cox_utf8_valid(cox_str(claim), NULL))
		return cox_error(err, COX_INVALID_ARGUMENT, "a name has at most %d bytes, of UTF-8",
				 WEB_TOKEN_NAME_MAX);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)claim[i] < ' ' || claim[i] == 0x7f)
			return cox_error(err, COX_INVALID_ARGUMENT, "a name is one line");
	return 0;
}

int web_who(const struct web_call *call, const char *claim, const char *user,
	    char ret_who[WEB_WHO_MAX], struct cox_error *err)
{
	if (!call->admin) {
		if (claim && *claim && strcmp(claim, call->who) != 0)
			return cox_error(err, COX_PERMISSION_DENIED,
					 "this token is that of '%s': it cannot act as '%.80s'",
					 call->who, claim);
		snprintf(ret_who, WEB_WHO_MAX, "%s", call->who);
		return 0;
	}
	/* what a machine calls its user may be anything: it is taken where it can be */
	if (!claim || !*claim)
		claim = user && check_claim(user, NULL) == 0 ? user : "";
	if (check_claim(claim, err) < 0)
		return -err->code;
	if (*claim && strcmp(claim, call->who) != 0)
		snprintf(ret_who, WEB_WHO_MAX, "%s (says %s)", call->who, claim);
	else
		snprintf(ret_who, WEB_WHO_MAX, "%s", call->who);
	return 0;
}

/* ---- who asks ---- */

/* Whether it is that token, and it may be used still. No early end, and nothing that depends on how
 * much of the hash fits. */
static bool is_good(const struct web_token *t, const uint8_t hash[COX_SHA256_BYTES], int64_t now_ms)
{
	return cox_equal_secret(cox_str_n((const char *)t->hash, COX_SHA256_BYTES),
				cox_str_n((const char *)hash, COX_SHA256_BYTES)) &&
	       now_ms < t->expires_ms;
}

bool web_token_holds(const struct hub_web *w, const uint8_t hash[COX_SHA256_BYTES])
{
	int64_t now_ms = cox_clock_wall_ms();
	struct web_token admin = {.expires_ms = INT64_MAX};
	bool found;

	memcpy(admin.hash, w->token_hash, sizeof(admin.hash));
	found = is_good(&admin, hash, now_ms);
	COX_VEC_EACH (&w->tokens, t)
		found |= is_good(t, hash, now_ms);
	return found;
}

bool web_authenticate(const struct hub_web *w, struct web_call *call)
{
	const char *header = cox_http_header(call->request, "Authorization");
	int64_t now_ms = cox_clock_wall_ms();
	bool found = false;

	/* the scheme's case does not count */
	if (!header || strncasecmp(header, "Bearer ", 7) != 0)
		return false;
	cox_token_hash(cox_str_trim(cox_str(header + 7)), call->token);
	COX_VEC_EACH (&w->tokens, t) {
		if (!is_good(t, call->token, now_ms))
			continue;
		snprintf(call->who, sizeof(call->who), "%s", t->name);
		found = true;
	}
	if (cox_equal_secret(cox_str_n((const char *)w->token_hash, COX_SHA256_BYTES),
			     cox_str_n((const char *)call->token, COX_SHA256_BYTES))) {
		snprintf(call->who, sizeof(call->who), "admin");
		call->admin = found = true;
	}
	return found;
}

/* ---- the store ---- */

static void token_fini(struct web_token *t)
{
	free(t->name);
}

static struct web_token *find(struct hub_web *w, const char *name)
{
	COX_VEC_EACH (&w->tokens, t)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/* In the order of their names. Takes the name. */
static struct web_token *insert(struct hub_web *w, struct web_token token_taken)
{
	size_t at = 0;

	while (at < w->tokens.n && strcmp(w->tokens.items[at].name, token_taken.name) < 0)
		at++;
	cox_vec_insert(&w->tokens, at, token_taken);
	return &w->tokens.items[at];
}

static void forget(struct hub_web *w, struct web_token *t)
{
	token_fini(t);
	cox_vec_remove(&w->tokens, (size_t)(t - w->tokens.items));
}

static int load_named(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct hub_web *w = ctx;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct web_token t = {0};
	const struct cox_node *root;
	int r;

	if (!cox_str_starts(cox_str(key), NAMED_ROW))
		return 0;
	r = cox_json_read(body, key, &doc, err);
	if (r < 0)
		return r;
	root = cox_doc_root(doc);
	r = cox_hex_decode(cox_node_str(cox_node_get(root, "hash")), t.hash, sizeof(t.hash), err);
	if (r == 0)
		r = cox_time_parse(cox_node_str(cox_node_get(root, "created")), &t.created_ms, err);
	if (r < 0)
		return cox_error_wrap(err, "%s", key);
	t.expires_ms = cox_node_int(cox_node_get(root, "expiresMs"), 0);
	t.name = cox_strdup(key + strlen(NAMED_ROW));
	insert(w, t);
	return 0;
}

static int admin_make(struct hub_web *w, char **ret_path, struct cox_error *err)
{
	struct hub_store *store = hub_control_store(w->control);
	_cleanup_free_ char *path = cox_path_join(hub_store_dir(store), "admin.token");
	struct hub_batch *batch;
	char token[COX_TOKEN_TEXT], hex[2 * COX_SHA256_BYTES + 1], line[COX_TOKEN_TEXT + 1];
	int r;

	cox_token_new(token);
	cox_token_hash(cox_str(token), w->token_hash);
	cox_hex_encode(w->token_hash, sizeof(w->token_hash), hex);
	snprintf(line, sizeof(line), "%s\n", token);
	/* The file first: a token that nobody can read would lock everybody out. */
	r = cox_file_write(path, cox_str(line), 0600, err);
	cox_wipe(token, sizeof(token));
	cox_wipe(line, sizeof(line));
	if (r < 0)
		return r;
	batch = hub_batch_new();
	hub_batch_put(batch, HUB_TABLE_META, ADMIN_ROW, cox_str(hex));
	hub_store_commit(store, batch);
	*ret_path = TAKE(path);
	return 0;
}

int web_tokens_load(struct hub_web *w, char **ret_path, struct cox_error *err)
{
	struct hub_store *store = hub_control_store(w->control);
	_cleanup_buf_ struct cox_buf hex = COX_BUF_INIT;
	int r = hub_store_each(store, HUB_TABLE_META, load_named, w, err);

	if (r < 0)
		return r;
	r = hub_store_get(store, HUB_TABLE_META, ADMIN_ROW, &hex, err);
	if (r == -COX_NOT_FOUND)
		return admin_make(w, ret_path, err);
	if (r < 0)
		return r;
	return cox_hex_decode(cox_buf_str(&hex), w->token_hash, sizeof(w->token_hash), err);
}

void web_tokens_fini(struct hub_web *w)
{
	COX_VEC_EACH (&w->tokens, t)
		token_fini(t);
	cox_vec_fini(&w->tokens);
}

static void put(struct hub_batch *batch, const struct web_token *t)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("token");
	struct cox_node *map = cox_doc_map(doc);
	_cleanup_free_ char *key = cox_asprintf(NAMED_ROW "%s", t->name);
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	char hex[2 * COX_SHA256_BYTES + 1], created[COX_TIME_TEXT_MAX];

	cox_hex_encode(t->hash, sizeof(t->hash), hex);
	cox_time_format(t->created_ms, created);
	cox_map_put_cstr(doc, map, "hash", hex);
	cox_map_put_cstr(doc, map, "created", created);
	cox_map_put_int(doc, map, "expiresMs", t->expires_ms);
	cox_json_write(&json, map);
	hub_batch_put(batch, HUB_TABLE_META, key, cox_buf_str(&json));
}

/* ---- the routes ---- */

/* false: it has been answered. */
static bool is_admin(struct web_call *call)
{
	if (call->admin)
		return true;
	web_reply_code(call->request, COX_PERMISSION_DENIED,
		       "tokens are the admin's to manage, and this one is that of '%s'", call->who);
	return false;
}

static struct cox_node *describe(struct cox_doc *doc, const struct web_token *t)
{
	struct cox_node *map = cox_doc_map(doc);
	char time[COX_TIME_TEXT_MAX];

	cox_map_put_cstr(doc, map, "name", t->name);
	cox_time_format(t->created_ms, time);
	cox_map_put_cstr(doc, map, "created", time);
	cox_time_format(t->expires_ms, time);
	cox_map_put_cstr(doc, map, "expires", time);
	if (cox_clock_wall_ms() >= t->expires_ms)
		cox_map_put_bool(doc, map, "expired", true);
	return map;
}

/* A duration as everywhere, or days: "90d". */
static int parse_ttl(const char *text, int64_t *ret_ms, struct cox_error *err)
{
	size_t n = strspn(text, "0123456789");
	int64_t ms;

	if (n > 0 && n < 6 && strcmp(text + n, "d") == 0)
		ms = strtol(text, NULL, 10) * DAY_MS;
	else if (cox_duration_parse(cox_str(text), &ms, err) < 0)
		return cox_error_wrap(err, "ttl");
	if (ms <= 0 || ms > WEB_TOKEN_MAX_TTL_MS)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "ttl: more than 0 and at most %" PRId64 "d",
				 WEB_TOKEN_MAX_TTL_MS / DAY_MS);
	*ret_ms = ms;
	return 0;
}

/* Room for one of that name; one that has expired makes it. */
static int make_room(struct hub_web *w, const char *name, struct cox_error *err)
{
	struct web_token *old = find(w, name);
	size_t max = w->options.max_tokens ? w->options.max_tokens : WEB_MAX_TOKENS;

	if (old && cox_clock_wall_ms() < old->expires_ms)
		return cox_error(err, COX_ALREADY_EXISTS,
				 "there is a token '%s' already: revoke it first", name);
	if (!old && w->tokens.n >= max)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "there are %zu tokens, and no more may be: revoke some", max);
	if (old)
		forget(w, old);
	return 0;
}

static int create(struct web_call *call, const struct cox_node *body, struct cox_error *err)
{
	struct hub_web *w = call->web;
	const char *name = cox_node_cstr(cox_node_get(body, "name"), "");
	const char *ttl = cox_node_cstr(cox_node_get(body, "ttl"), WEB_TOKEN_TTL);
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("token");
	struct web_token token = {.created_ms = cox_clock_wall_ms()};
	struct hub_batch *batch;
	struct cox_node *map;
	char text[COX_TOKEN_TEXT];
	int64_t ttl_ms = 0;

	if (check_name(name, err) < 0 || parse_ttl(ttl, &ttl_ms, err) < 0 ||
	    make_room(w, name, err) < 0)
		return -err->code;
	cox_token_new(text);
	cox_token_hash(cox_str(text), token.hash);
	token.name = cox_strdup(name);
	token.expires_ms = token.created_ms + ttl_ms;
	batch = hub_batch_new();
	put(batch, &token);
	map = describe(doc, insert(w, token));
	cox_map_put_cstr(doc, map, "token", text);
	cox_log_info("a token is made", COX_KV("name", name), COX_KV("by", call->who));
	web_reply_after(call, batch, 200, map);
	cox_wipe(text, sizeof(text));
	return 0;
}

void web_token_create(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *body = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (!is_admin(call))
		return;
	if (web_body(call, &body, &err) < 0 || create(call, cox_doc_root(body), &err) < 0)
		web_reply_error(call->request, &err);
}

void web_token_list(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("tokens");
	struct cox_node *map = cox_doc_map(doc), *list = cox_doc_list(doc);

	if (!is_admin(call))
		return;
	COX_VEC_EACH (&call->web->tokens, t)
		cox_list_push(doc, list, describe(doc, t));
	cox_map_put(doc, map, "items", list);
	web_reply_node(call->request, 200, map);
}

void web_token_revoke(struct web_call *call)
{
	struct hub_web *w = call->web;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("revoked");
	struct cox_node *map = cox_doc_map(doc);
	_cleanup_free_ char *key = cox_asprintf(NAMED_ROW "%s", call->vars[0]);
	struct web_token *t;
	struct hub_batch *batch;

	if (!is_admin(call))
		return;
	t = find(w, call->vars[0]);
	if (!t) {
		web_reply_code(call->request, COX_NOT_FOUND, "no token '%s'", call->vars[0]);
		return;
	}
	forget(w, t);
	web_streams_review(w);
	batch = hub_batch_new();
	hub_batch_delete(batch, HUB_TABLE_META, key);
	cox_log_info("a token is revoked", COX_KV("name", call->vars[0]), COX_KV("by", call->who));
	cox_map_put_cstr(doc, map, "result", "revoked");
	web_reply_after(call, batch, 200, map);
}

void web_whoami(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("who");
	struct web_token *t = call->admin ? NULL : find(call->web, call->who);
	struct cox_node *map = t ? describe(doc, t) : cox_doc_map(doc);

	if (!t)
		cox_map_put_cstr(doc, map, "name", call->who);
	cox_map_put_bool(doc, map, "admin", call->admin);
	web_reply_node(call->request, 200, map);
}
