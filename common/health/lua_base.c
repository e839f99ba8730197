/* The sandbox's globals. They are picked one by one out of Lua's own libraries into tables that hold
 * nothing else; what could work long inside one call, show an address or leave the sandbox is
 * replaced here. */
#include "common/health/lua.h"

#include <math.h>
#include <time.h>

#define TABLE_MAX  65536
#define UNPACK_MAX 4096 /* values that one call may give */
#define SORT_STEPS 40	/* an item, generously */

/* ---- base ---- */

static void push_number_text(lua_State *L, int index)
{
	lua_Number n = lua_tonumber(L, index);

	if (lua_isinteger(L, index))
		lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, index));
	else if (isnan(n))
		lua_pushliteral(L, "nan");
	else if (n == floor(n) && fabs(n) < 1e15)
		lua_pushfstring(L, "%I", (LUAI_UACINT)n);
	else
		lua_pushfstring(L, "%f", n);
}

/* Numbers as Lua 5.1 prints them; no addresses. */
void lua_push_text(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	if (luaL_callmeta(L, index, "__tostring")) {
		if (!lua_isstring(L, -1))
			luaL_error(L, "'__tostring' must return a string");
		return;
	}
	switch (lua_type(L, index)) {
	case LUA_TNUMBER:
		push_number_text(L, index);
		break;
	case LUA_TSTRING:
		lua_pushvalue(L, index);
		break;
	case LUA_TBOOLEAN:
		lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
		break;
	default:
		lua_pushstring(L, luaL_typename(L, index));
		break;
	}
}

static int base_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_push_text(L, 1);
	return 1;
}

static int base_print(lua_State *L)
{
	(void)L;
	return 0;
}

/* Finalizers run where no limit holds. */
static int base_setmetatable(lua_State *L)
{
	static const char *const refused[] = {"__gc", "__close"};

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
	for (size_t i = 0; lua_istable(L, 2) && i < COX_ARRAY_LEN(refused); i++) {
		lua_pushstring(L, refused[i]);
		lua_rawget(L, 2);
		if (!lua_isnil(L, -1))
			return luaL_error(L, "'%s' is not permitted here", refused[i]);
		lua_pop(L, 1);
	}
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

/* The libraries are globals already; upvalue 1 has them by name. */
static int base_require(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	if (lua_getfield(L, lua_upvalueindex(1), name) == LUA_TNIL)
		return luaL_error(L, "there is no module '%s' here", name);
	return 1;
}

/* ---- table: plain tables only, and each call pays for the items that it touches ---- */

static lua_Integer plain_table(lua_State *L, int index)
{
	lua_Unsigned n;

	luaL_checktype(L, index, LUA_TTABLE);
	if (lua_getmetatable(L, index))
		luaL_argerror(L, index, "a table without a metatable is needed");
	n = lua_rawlen(L, index);
	if (n > TABLE_MAX)
		luaL_error(L, "the table has more than %d items", TABLE_MAX);
	return (lua_Integer)n;
}

/* Calls the library's own function, upvalue 1, with the arguments as they are. */
static int call_original(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* concat, insert, remove */
static int table_linear(lua_State *L)
{
	lua_run_pay(L, plain_table(L, 1) + 1);
	return call_original(L);
}

static int table_append(lua_State *L)
{
	lua_Integer n = plain_table(L, 1);

	lua_run_pay(L, lua_gettop(L) == 2 ? 1 : n + 1);
	return call_original(L);
}

static int table_sort(lua_State *L)
{
	lua_run_pay(L, (plain_table(L, 1) + 1) * SORT_STEPS);
	return call_original(L);
}

static int table_unpack(lua_State *L)
{
	lua_Integer n = plain_table(L, 1);
	lua_Integer from = luaL_optinteger(L, 2, 1), to = luaL_optinteger(L, 3, n);

	if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= UNPACK_MAX)
		return luaL_error(L, "too many values to unpack");
	return call_original(L);
}

static int table_getn(lua_State *L)
{
	lua_pushinteger(L, plain_table(L, 1));
	return 1;
}

static int table_maxn(lua_State *L)
{
	lua_Number max = 0;

	plain_table(L, 1);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
		lua_run_pay(L, 1);
		if (lua_type(L, -2) == LUA_TNUMBER && lua_tonumber(L, -2) > max)
			max = lua_tonumber(L, -2);
	}
	lua_pushinteger(L, (lua_Integer)max);
	return 1;
}

static int table_foreach(lua_State *L)
{
	plain_table(L, 1);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 2)) {
		lua_run_pay(L, 1);
		lua_pushvalue(L, 2);
		lua_pushvalue(L, -3);
		lua_pushvalue(L, -3);
		lua_call(L, 2, 1);
		if (!lua_isnil(L, -1))
			return 1;
	}
	return 0;
}

static int table_foreachi(lua_State *L)
{
	lua_Integer n = plain_table(L, 1);

	luaL_checktype(L, 2, LUA_TFUNCTION);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_run_pay(L, 1);
		lua_pushvalue(L, 2);
		lua_pushinteger(L, i);
		lua_rawgeti(L, 1, i);
		lua_call(L, 2, 1);
		if (!lua_isnil(L, -1))
			return 1;
		lua_pop(L, 1);
	}
	return 0;
}

/* ---- string: each call pays for the bytes that it touches ---- */

static int string_linear(lua_State *L)
{
	size_t len;

	luaL_checklstring(L, 1, &len);
	lua_run_pay(L, (int64_t)(len / 8) + 1);
	return call_original(L);
}

static int string_byte(lua_State *L)
{
	size_t len;
	lua_Integer from = luaL_optinteger(L, 2, 1), to = luaL_optinteger(L, 3, from), n;

	luaL_checklstring(L, 1, &len);
	n = (lua_Integer)len;
	from = from < 0 && from >= -n ? n + from + 1 : from < 1 ? 1 : from;
	to = to < 0 ? n + to + 1 : to > n ? n : to;
	if (to >= from && to - from >= UNPACK_MAX)
		return luaL_error(L, "too many bytes");
	return call_original(L);
}

static int string_rep(lua_State *L)
{
	size_t len, gap = 0;
	lua_Integer n = luaL_checkinteger(L, 2);

	luaL_checklstring(L, 1, &len);
	if (!lua_isnoneornil(L, 3))
		luaL_checklstring(L, 3, &gap);
	if (n > 0 && (lua_Unsigned)n > COX_LIMIT_HEALTH_STRING / (len + gap + 1))
		return luaL_error(L, "the string would be too long");
	lua_run_pay(L, n > 0 ? n : 1);
	return call_original(L);
}

/* Whole numbers where 5.4 insists on them, texts without addresses. */
static void adapt_argument(lua_State *L, int arg, char conversion)
{
	lua_Number n;

	switch (conversion) {
	case 'p':
		luaL_error(L, "'%%p' is not permitted here");
		break;
	case 's':
		luaL_checkany(L, arg);
		lua_push_text(L, arg);
		lua_replace(L, arg);
		break;
	case 'c':
	case 'd':
	case 'i':
	case 'o':
	case 'u':
	case 'x':
	case 'X':
		n = luaL_checknumber(L, arg);
		if (lua_isinteger(L, arg))
			break;
		if (!(fabs(n) < 9e18))
			luaL_argerror(L, arg, "the number is too big for an integer");
		lua_pushinteger(L, (lua_Integer)n);
		lua_replace(L, arg);
		break;
	default:
		break;
	}
}

static int string_format(lua_State *L)
{
	size_t len;
	const char *format = luaL_checklstring(L, 1, &len), *end = format + len;
	luaL_Buffer adapted;
	char *copy;
	int arg = 1, top = lua_gettop(L);

	lua_run_pay(L, (int64_t)len + 1);
	/* the buffer may own a slot above the arguments */
	copy = luaL_buffinitsize(L, &adapted, len + 1);
	memcpy(copy, format, len);
	for (const char *p = format; p < end; p++) {
		if (*p != '%')
			continue;
		if (++p < end && *p == '%')
			continue;
		while (p < end && strchr("-+ #0123456789.", *p) && *p)
			p++;
		if (p == end)
			break;
		if (++arg > top)
			break;
		if (*p == 'u' || *p == 'i')
			copy[p - format] = 'd';
		adapt_argument(L, arg, *p);
	}
	luaL_pushresultsize(&adapted, len);
	lua_replace(L, 1);
	return call_original(L);
}

/* ---- math ---- */

static int math_pow(lua_State *L)
{
	lua_pushnumber(L, pow(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
	return 1;
}

static int math_log10(lua_State *L)
{
	lua_pushnumber(L, log10(luaL_checknumber(L, 1)));
	return 1;
}

static int math_ldexp(lua_State *L)
{
	lua_Integer e = luaL_checkinteger(L, 2);

	lua_pushnumber(L, ldexp(luaL_checknumber(L, 1), e > 9999    ? 9999
							: e < -9999 ? -9999
								    : (int)e));
	return 1;
}

static int math_frexp(lua_State *L)
{
	int e;

	lua_pushnumber(L, frexp(luaL_checknumber(L, 1), &e));
	lua_pushinteger(L, e);
	return 2;
}

/* ---- os: the caller's time, in UTC ---- */

#define YEAR_MAX 9999

static time_t now_s(lua_State *L)
{
	return (time_t)(lua_run_of(L)->wall_ms / 1000);
}

static int field_of(lua_State *L, const char *name, int otherwise)
{
	lua_Number n;
	int given = lua_getfield(L, 1, name) != LUA_TNIL, is_number;

	n = lua_tonumberx(L, -1, &is_number);
	lua_pop(L, 1);
	if (!given && otherwise >= 0)
		return otherwise;
	if (!is_number || !(fabs(n) < 1e6))
		return luaL_error(L, "field '%s' is missing in the date table, or no number", name);
	return (int)n;
}

static int os_time(lua_State *L)
{
	struct tm tm = {0};

	if (lua_isnoneornil(L, 1)) {
		lua_pushinteger(L, (lua_Integer)now_s(L));
		return 1;
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	tm.tm_year = field_of(L, "year", -1) - 1900;
	tm.tm_mon = field_of(L, "month", -1) - 1;
	tm.tm_mday = field_of(L, "day", -1);
	tm.tm_hour = field_of(L, "hour", 12);
	tm.tm_min = field_of(L, "min", 0);
	tm.tm_sec = field_of(L, "sec", 0);
	lua_pushinteger(L, (lua_Integer)timegm(&tm));
	return 1;
}

static int date_table(lua_State *L, const struct tm *tm)
{
	const struct {
		const char *name;
		int value;
	} fields[] = {
		{"year", tm->tm_year + 1900}, {"month", tm->tm_mon + 1}, {"day", tm->tm_mday},
		{"hour", tm->tm_hour},	      {"min", tm->tm_min},	 {"sec", tm->tm_sec},
		{"wday", tm->tm_wday + 1},    {"yday", tm->tm_yday + 1},
	};

	lua_createtable(L, 0, 9);
	for (size_t i = 0; i < COX_ARRAY_LEN(fields); i++) {
		lua_pushinteger(L, fields[i].value);
		lua_setfield(L, -2, fields[i].name);
	}
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "isdst");
	return 1;
}

/* One conversion; what strftime makes of it in UTC. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static size_t format_time(char *text, size_t size, char conversion, const struct tm *tm)
{
	const char format[3] = {'%', conversion, '\0'};

	return strftime(text, size, format, tm);
}
#pragma GCC diagnostic pop

static int os_date(lua_State *L)
{
	const char *format = luaL_optstring(L, 1, "%c");
	lua_Number at = luaL_optnumber(L, 2, (lua_Number)now_s(L));
	luaL_Buffer out;
	struct tm tm;
	time_t t;

	luaL_argcheck(L, fabs(at) < 2.5e11, 2, "the time is out of range");
	t = (time_t)at;
	gmtime_r(&t, &tm);
	if (tm.tm_year > YEAR_MAX - 1900)
		return luaL_error(L, "the time is out of range");
	if (*format == '!')
		format++;
	if (strncmp(format, "*t", 2) == 0)
		return date_table(L, &tm);
	lua_run_pay(L, (int64_t)strlen(format) * 8);
	luaL_buffinit(L, &out);
	for (; *format; format++) {
		char text[128];

		if (*format != '%') {
			luaL_addchar(&out, *format);
			continue;
		}
		if (!*++format || !strchr("aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%", *format))
			return luaL_error(L, "os.date doesn't know this conversion");
		/* the value, not the machine's zone */
		if (*format == 'Z')
			luaL_addstring(&out, "UTC");
		else
			luaL_addlstring(&out, text, format_time(text, sizeof(text), *format, &tm));
	}
	luaL_pushresult(&out);
	return 1;
}

/* ---- all together ---- */

/* A row: the name, and NULL for the library's own function, or what replaces it. `wraps`: the
 * library's own is its upvalue. */
struct pick {
	const char *name;
	lua_CFunction function;
	const char *wraps;
};

static const struct pick base_picks[] = {
	{"assert", NULL, NULL},
	{"error", NULL, NULL},
	{"getmetatable", NULL, NULL},
	{"ipairs", NULL, NULL},
	{"next", NULL, NULL},
	{"pairs", NULL, NULL},
	{"pcall", NULL, NULL},
	{"print", base_print, NULL},
	{"rawequal", NULL, NULL},
	{"rawget", NULL, NULL},
	{"rawlen", NULL, NULL},
	{"rawset", NULL, NULL},
	{"select", NULL, NULL},
	{"setmetatable", base_setmetatable, NULL},
	{"tonumber", NULL, NULL},
	{"tostring", base_tostring, NULL},
	{"type", NULL, NULL},
	{"xpcall", NULL, NULL},
	{0},
};
static const struct pick table_picks[] = {
	{"concat", table_linear, "concat"},
	{"foreach", table_foreach, NULL},
	{"foreachi", table_foreachi, NULL},
	{"getn", table_getn, NULL},
	{"insert", table_append, "insert"},
	{"maxn", table_maxn, NULL},
	{"pack", NULL, NULL},
	{"remove", table_linear, "remove"},
	{"sort", table_sort, "sort"},
	{"unpack", table_unpack, "unpack"},
	{0},
};
static const struct pick string_picks[] = {
	{"byte", string_byte, "byte"},	       {"char", NULL, NULL},
	{"format", string_format, "format"},   {"len", NULL, NULL},
	{"lower", string_linear, "lower"},     {"rep", string_rep, "rep"},
	{"reverse", string_linear, "reverse"}, {"sub", string_linear, "sub"},
	{"upper", string_linear, "upper"},     {0},
};
static const struct pick math_picks[] = {
	{"abs", NULL, NULL},	     {"acos", NULL, NULL},	  {"asin", NULL, NULL},
	{"atan", NULL, NULL},	     {"ceil", NULL, NULL},	  {"cos", NULL, NULL},
	{"deg", NULL, NULL},	     {"exp", NULL, NULL},	  {"floor", NULL, NULL},
	{"fmod", NULL, NULL},	     {"huge", NULL, NULL},	  {"log", NULL, NULL},
	{"max", NULL, NULL},	     {"maxinteger", NULL, NULL},  {"min", NULL, NULL},
	{"mininteger", NULL, NULL},  {"modf", NULL, NULL},	  {"pi", NULL, NULL},
	{"rad", NULL, NULL},	     {"sin", NULL, NULL},	  {"sqrt", NULL, NULL},
	{"tan", NULL, NULL},	     {"tointeger", NULL, NULL},	  {"type", NULL, NULL},
	{"ult", NULL, NULL},	     {"pow", math_pow, NULL},	  {"log10", math_log10, NULL},
	{"ldexp", math_ldexp, NULL}, {"frexp", math_frexp, NULL}, {0},
};
static const struct pick os_picks[] = {{"date", os_date, NULL}, {"time", os_time, NULL}, {0}};

/* The library is on top; pushes a new table with the picks. */
static void pick_all(lua_State *L, const struct pick *picks)
{
	int library = lua_gettop(L);

	lua_newtable(L);
	for (const struct pick *p = picks; p->name; p++) {
		if (!p->function) {
			lua_getfield(L, library, p->name);
		} else if (p->wraps) {
			lua_getfield(L, library, p->wraps);
			lua_pushcclosure(L, p->function, 1);
		} else {
			lua_pushcfunction(L, p->function);
		}
		lua_setfield(L, -2, p->name);
	}
}

/* Calls the library's opener and puts the picks at globals[name]; leaves them on top. */
static void open_library(lua_State *L, int globals, const char *name, lua_CFunction opener,
			 const struct pick *picks)
{
	if (opener) {
		lua_pushcfunction(L, opener);
		lua_pushstring(L, name);
		lua_call(L, 1, 1);
	} else {
		lua_newtable(L);
	}
	pick_all(L, picks);
	lua_remove(L, -2);
	lua_pushvalue(L, -1);
	lua_setfield(L, globals, name);
}

static void alias(lua_State *L, int globals, const char *library, const char *from, int target,
		  const char *to)
{
	lua_getfield(L, globals, library);
	lua_getfield(L, -1, from);
	lua_setfield(L, target ? target : -2, to);
	lua_pop(L, 1);
}

void lua_open_sandbox(lua_State *L)
{
	int globals;

	/* the opener fills the state's first globals, which nobody sees afterwards */
	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 1);
	pick_all(L, base_picks);
	lua_remove(L, -2);
	globals = lua_gettop(L);
	lua_pushliteral(L, "Lua 5.1");
	lua_setfield(L, globals, "_VERSION");
	lua_pushvalue(L, globals);
	lua_setfield(L, globals, "_G");
	open_library(L, globals, "table", luaopen_table, table_picks);
	open_library(L, globals, "math", luaopen_math, math_picks);
	open_library(L, globals, "os", NULL, os_picks);
	open_library(L, globals, "string", luaopen_string, string_picks);
	lua_open_patterns(L);
	/* methods of strings come from our table; what the metatable says of itself is nothing */
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_settop(L, globals);
	alias(L, globals, "table", "unpack", globals, "unpack");
	alias(L, globals, "math", "fmod", 0, "mod");
	alias(L, globals, "string", "gmatch", 0, "gfind");
	lua_newtable(L);
	for (const char *const *name = (const char *const[]){"string", "table", "math", "os", NULL};
	     *name; name++) {
		lua_getfield(L, globals, *name);
		lua_setfield(L, -2, *name);
	}
	lua_pushcclosure(L, base_require, 1);
	lua_setfield(L, globals, "require");
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}
