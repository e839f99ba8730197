/* Inside common/health: the Lua state of one run, and what every function in it pays. */
#ifndef COX_HEALTH_LUA_H
#define COX_HEALTH_LUA_H

#include "common/health/custom.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum lua_end { LUA_RUNS = 0, LUA_OUT_OF_STEPS, LUA_OUT_OF_TIME };

/* One run; the state's extra space points here. */
struct lua_run {
	lua_State *L;
	enum lua_end end;
	int64_t steps;	   /* that are left */
	int64_t unclocked; /* steps since the clock was read */
	int64_t (*now_ms)(void);
	int64_t deadline_ms, wall_ms;
	size_t used, memory;
};

static inline struct lua_run *lua_run_of(lua_State *L)
{
	return *(struct lua_run **)lua_getextraspace(L);
}

/* Takes steps off; from the first one too many on, every instruction fails. */
void lua_run_spend(struct lua_run *run, int64_t steps);
/* The same for a function of the script: raises an error when there are none left. */
void lua_run_pay(lua_State *L, int64_t steps);

/* Puts the sandbox's globals in place; raises errors. */
void lua_open_sandbox(lua_State *L);
/* Pushes the text that tostring gives of the value at index. */
void lua_push_text(lua_State *L, int index);
/* string.find, match, gmatch and gsub: sets them in the table on top. */
void lua_open_patterns(lua_State *L);

#endif
