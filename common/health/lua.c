/* One run of a script: the object goes in, a status comes out, and the limits hold in between.
 *
 * The limits. A hook counts instructions; what works long inside one instruction (a library
 * function, an allocation) pays for itself. Once the steps or the time are used up the hook fires
 * at each instruction, so that a pcall only leads to the next error. Memory is counted by the
 * allocator; Lua collects garbage before it gives up. Finalizers would run without hooks: the
 * sandbox has none. */
#include "common/health/lua.h"

#include "common/health/rules.h"

#include <stdlib.h>

#define HOOK_STEPS     256
#define CLOCK_STEPS    4096
#define BYTES_PER_STEP 16

/* ---- limits ---- */

static void on_count(lua_State *L, lua_Debug *ar);

static void end_run(struct lua_run *run, enum lua_end why)
{
	run->end = why;
	/* may be called at any time, out of the allocator too */
	lua_sethook(run->L, on_count, LUA_MASKCOUNT, 1);
}

void lua_run_spend(struct lua_run *run, int64_t steps)
{
	if (run->end || !run->L)
		return;
	run->steps -= steps;
	run->unclocked += steps;
	if (run->steps < 0) {
		end_run(run, LUA_OUT_OF_STEPS);
	} else if (run->now_ms && run->unclocked >= CLOCK_STEPS) {
		run->unclocked = 0;
		if (run->now_ms() >= run->deadline_ms)
			end_run(run, LUA_OUT_OF_TIME);
	}
}

void lua_run_pay(lua_State *L, int64_t steps)
{
	struct lua_run *run = lua_run_of(L);

	lua_run_spend(run, steps);
	if (run->end)
		luaL_error(L, "over the limit");
}

static void on_count(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	lua_run_pay(L, HOOK_STEPS);
}

/* Lua's allocator: shrinking never fails, growing does at the limits. */
static void *allocate(void *user, void *p, size_t old_size, size_t size)
{
	struct lua_run *run = user;
	size_t old = p ? old_size : 0; /* without p it is the kind of object */
	void *grown;

	if (size == 0) {
		run->used -= old;
		free(p);
		return NULL;
	}
	if (size > old) {
		if (size > COX_LIMIT_HEALTH_STRING + 64 || run->used - old + size > run->memory)
			return NULL;
		lua_run_spend(run, (int64_t)(size / BYTES_PER_STEP));
		if (run->end)
			return NULL;
	}
	grown = realloc(p, size);
	if (!grown)
		return size <= old ? p : NULL;
	run->used += size;
	run->used -= old;
	return grown;
}

/* ---- the object goes in ---- */

static void push_node(lua_State *L, const struct cox_node *node);

static void push_list(lua_State *L, const struct cox_node *list)
{
	size_t n = cox_node_len(list);
	lua_Integer at = 0;

	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		if (cox_node_is(cox_node_at(list, i), COX_NULL))
			continue;
		push_node(L, cox_node_at(list, i));
		lua_rawseti(L, -2, ++at);
	}
}

static void push_map(lua_State *L, const struct cox_node *map)
{
	size_t n = cox_node_len(map);

	lua_createtable(L, 0, (int)n);
	for (size_t i = 0; i < n; i++) {
		struct cox_str key = cox_node_key(map, i);

		if (cox_node_is(cox_node_at(map, i), COX_NULL))
			continue;
		lua_pushlstring(L, key.ptr, key.len);
		push_node(L, cox_node_at(map, i));
		lua_rawset(L, -3);
	}
}

/* As deep as the document, which has a limit. */
static void push_node(lua_State *L, const struct cox_node *node)
{
	struct cox_str text;

	luaL_checkstack(L, 4, "the object is too deep");
	switch (cox_node_kind(node)) {
	case COX_BOOL:
		lua_pushboolean(L, cox_node_bool(node, false));
		break;
	case COX_INT:
		lua_pushinteger(L, cox_node_int(node, 0));
		break;
	case COX_FLOAT:
		lua_pushnumber(L, cox_node_double(node, 0));
		break;
	case COX_STRING:
		text = cox_node_str(node);
		lua_pushlstring(L, text.ptr, text.len);
		break;
	case COX_MAP:
		push_map(L, node);
		break;
	case COX_LIST:
		push_list(L, node);
		break;
	default:
		lua_pushnil(L);
		break;
	}
}

/* ---- a run ---- */

struct job {
	struct cox_str script;
	const struct cox_node *object;
	struct cox_health *health;
};

/* What the script gave is on top. */
static void read_result(lua_State *L, struct cox_health *h)
{
	enum cox_health_status status;
	struct cox_str text;

	if (lua_isnil(L, -1))
		return;
	if (!lua_istable(L, -1)) {
		cox_health_say(h, COX_HEALTH_UNKNOWN,
			       "the health script returned a %s instead of a table",
			       luaL_typename(L, -1));
		return;
	}
	lua_pushnil(L);
	if (!lua_next(L, -2))
		return;
	lua_pop(L, 2);
	lua_pushliteral(L, "status");
	lua_rawget(L, -2);
	lua_pushliteral(L, "message");
	lua_rawget(L, -3);
	if (lua_type(L, -2) != LUA_TSTRING) {
		cox_health_say(h, COX_HEALTH_UNKNOWN, "the health script returned no status");
		return;
	}
	text.ptr = lua_tolstring(L, -2, &text.len);
	status = cox_health_parse(text);
	if (status == COX_HEALTH_NONE) {
		cox_health_say(h, COX_HEALTH_UNKNOWN,
			       "the health script returned '%.*s', which is no status",
			       (int)(text.len < 64 ? text.len : 64), text.ptr);
		return;
	}
	cox_health_say(h, status, "%s", "");
	if (lua_isstring(L, -1)) {
		lua_push_text(L, -1);
		text.ptr = lua_tolstring(L, -1, &text.len);
		cox_health_quote(h, status, text);
	}
}

static int run_protected(lua_State *L)
{
	struct job *job = lua_touserdata(L, 1);
	int base;

	lua_settop(L, 0);
	lua_open_sandbox(L);
	lua_pushglobaltable(L);
	push_node(L, job->object);
	lua_setfield(L, -2, "obj");
	lua_settop(L, 0);
	/* "t": bytecode is refused */
	if (luaL_loadbufferx(L, job->script.ptr, job->script.len, "=script", "t") != LUA_OK)
		return lua_error(L);
	base = lua_gettop(L) - 1;
	lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_STEPS);
	lua_call(L, 0, LUA_MULTRET);
	lua_sethook(L, NULL, 0, 0);
	if (lua_gettop(L) == base)
		lua_pushnil(L);
	read_result(L, job->health);
	return 0;
}

static void say_failure(lua_State *L, const struct lua_run *run, int status, struct cox_health *h)
{
	if (run->end == LUA_OUT_OF_STEPS)
		cox_health_say(h, COX_HEALTH_UNKNOWN, "the health script ran for too many steps");
	else if (run->end == LUA_OUT_OF_TIME)
		cox_health_say(h, COX_HEALTH_UNKNOWN, "the health script ran for too long");
	else if (status == LUA_ERRMEM)
		cox_health_say(h, COX_HEALTH_UNKNOWN, "the health script needs too much memory");
	else if (lua_type(L, -1) == LUA_TSTRING)
		cox_health_say(h, COX_HEALTH_UNKNOWN, "the health script failed: %s",
			       lua_tostring(L, -1));
	else
		cox_health_say(h, COX_HEALTH_UNKNOWN, "the health script failed with a %s",
			       luaL_typename(L, -1));
}

void cox_health_run_script(struct cox_str script, const struct cox_node *object,
			   const struct cox_health_run *options, struct cox_health *ret_health)
{
	static const struct cox_health_run defaults;
	const struct cox_health_run *o = options ? options : &defaults;
	struct cox_health h = {.status = COX_HEALTH_NONE};
	struct lua_run run = {.steps = o->steps ? o->steps : COX_LIMIT_HEALTH_STEPS,
			      .memory = o->memory ? o->memory : COX_LIMIT_HEALTH_MEMORY,
			      .now_ms = o->now_ms,
			      .deadline_ms = o->deadline_ms,
			      .wall_ms = o->wall_ms};
	struct job job = {.script = script, .object = object, .health = &h};
	lua_State *L;
	int status;

	if (script.len > COX_LIMIT_HEALTH_SCRIPT_BYTES) {
		cox_health_say(ret_health, COX_HEALTH_UNKNOWN,
			       "the health script is longer than %d bytes",
			       COX_LIMIT_HEALTH_SCRIPT_BYTES);
		return;
	}
	if (run.now_ms && !run.deadline_ms)
		run.deadline_ms = run.now_ms() + COX_LIMIT_HEALTH_MS;
	L = lua_newstate(allocate, &run);
	if (!L) {
		cox_health_say(ret_health, COX_HEALTH_UNKNOWN,
			       "the health script needs too much memory");
		return;
	}
	*(struct lua_run **)lua_getextraspace(L) = &run;
	run.L = L;
	lua_pushcfunction(L, run_protected);
	lua_pushlightuserdata(L, &job);
	status = lua_pcall(L, 1, 0, 0);
	if (status != LUA_OK || run.end)
		say_failure(L, &run, status, &h);
	lua_close(L);
	*ret_health = h;
}

/* ---- a look at a script ---- */

int cox_health_script_check(struct cox_str script, struct cox_error *err)
{
	struct lua_run run = {.steps = COX_LIMIT_HEALTH_STEPS, .memory = COX_LIMIT_HEALTH_MEMORY};
	lua_State *L;
	int r = 0;

	if (script.len > COX_LIMIT_HEALTH_SCRIPT_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT, "longer than %d bytes",
				 COX_LIMIT_HEALTH_SCRIPT_BYTES);
	L = lua_newstate(allocate, &run);
	if (!L)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "too much memory");
	if (luaL_loadbufferx(L, script.ptr, script.len, "=script", "t") != LUA_OK)
		r = cox_error(err, COX_INVALID_ARGUMENT, "%s",
			      lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
							     : "not a script");
	lua_close(L);
	return r;
}
