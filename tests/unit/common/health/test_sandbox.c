/* What a script can do, and what it can't: escapes, loops, memory, patterns, the language. */
#include "common/base/clock.h"
#include "common/doc/yaml.h"
#include "common/health/custom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define OBJECT                                                                                     \
	"{apiVersion: example.com/v1, kind: Lamp, metadata: {name: a, generation: 3},"             \
	" spec: {count: 3, half: 0.5, flag: true, none: null, list: [1, 2, 3]},"                   \
	" status: {message: 'pulled image v1.2.3 (ok)'}}"

static struct cox_health run_with(const char *script, const struct cox_health_run *options)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_health h;
	struct cox_error err;

	if (cox_yaml_read(COX_STR(OBJECT), "object", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	cox_health_run_script(cox_str(script), cox_doc_root(doc), options, &h);
	return h;
}

static struct cox_health run(const char *script)
{
	return run_with(script, &(struct cox_health_run){.wall_ms = 1767323045000});
}

/* The script is Unknown, and the sentence has `part` in it. */
static void expect_unknown(const char *script, const char *part)
{
	struct cox_health h = run(script);

	if (h.status != COX_HEALTH_UNKNOWN || !strstr(h.message, part))
		fail_msg("%s\n gave %s '%s' instead of '%s'", script, cox_health_name(h.status),
			 h.message, part);
}

/* An expression that must be true. */
static void expect_true(const char *expression)
{
	_cleanup_free_ char *script = cox_asprintf(
		"if %s then return {status='Healthy'} end return {status='Degraded'}", expression);
	struct cox_health h = run(script);

	if (h.status != COX_HEALTH_HEALTHY)
		fail_msg("%s: %s %s", expression, cox_health_name(h.status), h.message);
}

/* ---- escapes ---- */

static void test_nothing_leads_out(void **state)
{
	static const char *const absent[] = {
		"load",	       "loadstring", "dofile",	     "loadfile",	"collectgarbage",
		"coroutine",   "debug",	     "io",	     "package",		"utf8",
		"os.execute",  "os.getenv",  "os.exit",	     "os.remove",	"os.rename",
		"os.tmpname",  "os.clock",   "os.setlocale", "string.dump",	"string.pack",
		"math.random", "getfenv",    "setfenv",	     "module",		"newproxy",
		"table.move",  "warn",	     "('').dump",    "math.randomseed",
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(absent); i++) {
		_cleanup_free_ char *e = cox_asprintf("%s == nil", absent[i]);

		expect_true(e);
	}
	expect_unknown("require('io')", "there is no module 'io' here");
	expect_unknown("require('package')", "there is no module");
	expect_true("require('os').time == os.time and require('string') == string");
	expect_true("getmetatable('') == false");
	expect_true("_G._G == _G and _G.load == nil and _ENV == _G");
	expect_unknown("setmetatable({}, {__gc = function() end})", "'__gc' is not permitted");
	expect_unknown("local x <close> = setmetatable({}, {__close = function() end})",
		       "'__close' is not permitted");
	expect_unknown("\x1bLua", "attempt to load a binary chunk");
}

static void test_addresses_are_hidden(void **state)
{
	(void)state;
	expect_true("tostring({}) == 'table' and tostring(print) == 'function'");
	expect_true("string.format('%s', {}) == 'table'");
	expect_unknown("return {status = string.format('%p', {})}", "'%p' is not permitted");
	expect_unknown("error({})", "failed with a table");
	expect_unknown("error()", "failed with a nil");
}

/* One run leaves nothing for the next. */
static void test_runs_are_apart(void **state)
{
	(void)state;
	run("leak = 1; string.leak = 1; obj.leak = 1; return {status='Healthy'}");
	expect_true("leak == nil and string.leak == nil and obj.leak == nil");
	expect_unknown("while true do end", "too many steps");
}

/* ---- limits ---- */

static void expect_bounded(const char *script)
{
	int64_t from = cox_clock_ms();
	struct cox_health h = run_with(
		script, &(struct cox_health_run){.now_ms = cox_clock_ms, .steps = 2000000});

	if (h.status != COX_HEALTH_UNKNOWN ||
	    !(strstr(h.message, "too many steps") || strstr(h.message, "too long") ||
	      strstr(h.message, "too much memory") || strstr(h.message, "too many") ||
	      strstr(h.message, "overflow") || strstr(h.message, "longer than") ||
	      strstr(h.message, "more than") || strstr(h.message, "metatable")))
		fail_msg("%s: %s '%s'", script, cox_health_name(h.status), h.message);
	/* a second by the clock, and generously what a loaded machine adds */
	if (cox_clock_ms() - from > 20000)
		fail_msg("%s took %lld ms", script, (long long)(cox_clock_ms() - from));
}

static void test_loops_end(void **state)
{
	static const char *const scripts[] = {
		"while true do end",
		"repeat until false",
		"for i = 1, math.huge do end",
		"::again:: goto again",
		"while true do pcall(function() while true do end end) end",
		"local function f() pcall(f) return f() end f()",
		"local function f() return f() end f()",
		"while true do pcall(error) end",
		"xpcall(function() while true do end end, function() while true do end end)",
		"local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) "
		"while true do end end return t.x",
		"string.gsub(string.rep('a', 100), 'a', function() while true do end end)",
		"table.sort({3, 2, 1}, function() while true do end end)",
		"for k in function() return 1 end do end",
		"local s = string.rep('a', 1000000) while true do local x = s == s .. '' end",
		"local s = string.rep('a', 1000000) while true do s:upper() end",
		"local s = string.rep('a', 1000000) while true do s:find('b', 1, true) end",
		"local t = {} for i = 1, 65000 do t[i] = '' end while true do table.concat(t) end",
		"local t = {} for i = 1, 65000 do t[i] = i end while true do table.insert(t, 1, 1)"
		" table.remove(t, 1) end",
		"while true do string.rep('', 2000000) end",
		"while true do os.date(string.rep('%c', 1000)) end",
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(scripts); i++)
		expect_bounded(scripts[i]);
}

static void test_memory_ends(void **state)
{
	static const char *const scripts[] = {
		"string.rep('x', 1 << 40)",
		"string.rep('', 1 << 62, 'x')",
		"local s = 'x' while true do s = s .. s end",
		"local t = {} while true do t[#t + 1] = {} end",
		"local t = {} for i = 1, 1e9 do t[i] = i end",
		"local t = {} while true do t[{}] = 1 end",
		"local t = {} while true do pcall(function() while true do t[#t+1] = {} end end) "
		"end",
		"local s = string.rep('x', 1000000) local t = {} while true do t[#t+1] = s .. #t "
		"end",
		"local t = {} for i = 1, 65000 do t[i] = string.rep('x', 1000) end table.concat(t)",
		"local s = string.rep('x', 1500000) s:gsub('x', 'yyyyyyyy')",
		"unpack({}, 1, 1e8)",
		"table.unpack({}, -9007199254740992, 9007199254740992)",
		"string.byte(string.rep('x', 1000000), 1, -1)",
		"table.concat(setmetatable({}, {__index = table.concat}), '', 1, 1 << 60)",
		"table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)",
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(scripts); i++)
		expect_bounded(scripts[i]);
}

static void test_recursion_ends(void **state)
{
	_cleanup_buf_ struct cox_buf deep = COX_BUF_INIT;

	(void)state;
	expect_bounded("local function f() return 1 + f() end f()");
	expect_bounded("local function f(...) return f(1, ...) + 1 end f()");
	expect_bounded("local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) "
		       "return t[k] end return t.x");
	expect_bounded("local function f() ('a'):gsub('a', f) end f()");
	expect_bounded("local function f() table.sort({1, 2}, f) end f()");
	cox_buf_puts(&deep, "return ");
	for (int i = 0; i < 5000; i++)
		cox_buf_putc(&deep, '(');
	expect_bounded(cox_buf_cstr(&deep));
	cox_buf_clear(&deep);
	for (int i = 0; i < 5000; i++)
		cox_buf_puts(&deep, "do ");
	expect_bounded(cox_buf_cstr(&deep));
	cox_buf_clear(&deep);
	for (int i = 0; i < 5000; i++)
		cox_buf_puts(&deep, "return {");
	expect_unknown(cox_buf_cstr(&deep), "");
}

static void test_patterns_end(void **state)
{
	static const char *const scripts[] = {
		"local s = string.rep('a', 20000) s:find('.-.-.-.-.-b')",
		"local s = string.rep('a', 20000) s:match('a*a*a*a*a*b')",
		"local s = string.rep('a', 20000) s:gsub('(a+)+a*a*b', '')",
		"local s = string.rep('a', 20000) for w in s:gmatch('a*a*a*a*b') do end",
		"local s = string.rep('(', 200000) s:find('%b()')",
		"local s = string.rep('a', 20000) s:find('(.-)(.-)(.-)%1%2%3b')",
		"local p = string.rep('a?', 200) .. string.rep('a', 200) "
		"string.find(string.rep('a', 200), p)",
		"string.find('x', string.rep('.', 513))",
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(scripts); i++)
		expect_bounded(scripts[i]);
}

static int64_t fake_now;

static int64_t fake_clock(void)
{
	return fake_now += 10;
}

/* The clock that is passed ends a script that has steps left, and not before its time. */
static void test_deadline(void **state)
{
	struct cox_health_run options = {.now_ms = fake_clock, .deadline_ms = 500};
	struct cox_health h;

	(void)state;
	fake_now = 0;
	h = run_with("while true do end", &options);
	assert_string_equal(h.message, "the health script ran for too long");
	assert_in_range(fake_now, 500, 510);
	fake_now = 0;
	h = run_with("return {status = 'Healthy'}", &options);
	assert_int_equal(h.status, COX_HEALTH_HEALTHY);
}

/* At the limit of steps: deterministic, so the same script ends the same way each time. */
static void test_steps_are_counted(void **state)
{
	struct cox_health_run few = {.steps = 50000}, more = {.steps = 5000000};
	const char *script =
		"local n = 0 for i = 1, 100000 do n = n + i end return {status='Healthy'}";

	(void)state;
	assert_string_equal(run_with(script, &few).message,
			    "the health script ran for too many steps");
	assert_int_equal(run_with(script, &more).status, COX_HEALTH_HEALTHY);
}

static void test_memory_is_the_callers(void **state)
{
	struct cox_health_run none = {.memory = 1000}, little = {.memory = 100000};

	(void)state;
	assert_string_equal(run_with("return nil", &none).message,
			    "the health script needs too much memory");
	assert_int_equal(run_with("return {status='Healthy'}", &little).status, COX_HEALTH_HEALTHY);
	assert_int_equal(
		run_with("local s = ('x'):rep(100000) return {status='Healthy'}", &little).status,
		COX_HEALTH_UNKNOWN);
}

static void test_script_size(void **state)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const char *tail = " return {status='Healthy'}";

	(void)state;
	cox_buf_puts(&text, "--");
	while (text.len + strlen(tail) + 1 < COX_LIMIT_HEALTH_SCRIPT_BYTES)
		cox_buf_putc(&text, 'x');
	cox_buf_printf(&text, "\n%s", tail);
	assert_int_equal(text.len, COX_LIMIT_HEALTH_SCRIPT_BYTES);
	assert_int_equal(run(cox_buf_cstr(&text)).status, COX_HEALTH_HEALTHY);
	cox_buf_putc(&text, ' ');
	expect_unknown(cox_buf_cstr(&text), "is longer than");
}

/* ---- the contract ---- */

static void test_results(void **state)
{
	struct cox_health h;

	(void)state;
	assert_int_equal(run("").status, COX_HEALTH_NONE);
	assert_int_equal(run("return nil").status, COX_HEALTH_NONE);
	assert_int_equal(run("return {}").status, COX_HEALTH_NONE);
	h = run("return {status='Degraded', message='no '..obj.metadata.name}");
	assert_int_equal(h.status, COX_HEALTH_DEGRADED);
	assert_string_equal(h.message, "no a");
	assert_int_equal(run("return {status='Suspended'}").status, COX_HEALTH_SUSPENDED);
	assert_string_equal(run("return {status='Healthy', message=7}").message, "7");
	assert_string_equal(run("return {status='Healthy', message={}}").message, "");
	/* the last of several values, as Argo CD takes it */
	assert_int_equal(run("return 1, {status='Missing'}").status, COX_HEALTH_MISSING);
	expect_unknown("return {status='healthy'}", "returned 'healthy', which is no status");
	expect_unknown("return {message='x'}", "returned no status");
	expect_unknown("return {status=1}", "returned no status");
	expect_unknown("return 'Healthy'", "returned a string instead of a table");
	expect_unknown("return {status=", "the health script failed: script:1:");
	expect_unknown("return obj.status.nothing.at.all", "script:1: attempt to index a nil");
	expect_unknown("error('my words', 0)", "the health script failed: my words");
	h = run("return {status='Healthy', message='a\\xff\\xfeb'}");
	assert_string_equal(h.message, "a");
	h = run("return {status='Healthy', message=string.rep('x', 1000)}");
	assert_int_equal(strlen(h.message), COX_HEALTH_MESSAGE_MAX - 1);
}

static void test_object(void **state)
{
	(void)state;
	expect_true("obj.spec.count == 3 and obj.spec.half == 0.5 and obj.spec.flag == true");
	expect_true("obj.spec.none == nil and #obj.spec.list == 3 and obj.spec.list[3] == 3");
	expect_true("obj.metadata.generation == 3 and math.type(obj.spec.count) == 'integer'");
}

/* ---- the language of 5.1 ---- */

static void test_compatibility(void **state)
{
	static const char *const expressions[] = {
		"select('#', unpack({1, 2, 3})) == 3 and unpack == table.unpack",
		"table.getn({1, 2}) == 2 and table.maxn({1, [9] = 1}) == 9",
		"math.pow(2, 3) == 8 and math.mod(7, 4) == 3 and math.log10(1000) == 3",
		"math.ldexp(1, 3) == 8 and math.frexp(8) == 0.5",
		"string.gfind == string.gmatch and string.len('abc') == 3",
		"tostring(4 / 2) == '2' and tostring(0.5) == '0.5' and tostring(3) == '3'",
		"string.format('%d', 2.7) == '2' and string.format('%d', 4 / 2) == '2'",
		"string.format('%s %s %5.1f %q %%', 1, nil, 2.25, 'a') == '1 nil   2.2 \"a\" %'",
		"string.format('%i|%u|%x|%c|%05d', 3.0, 4, 255, 65, 42) == '3|4|ff|A|00042'",
		"select(2, pcall(string.format, '%d', 'x')) ~= nil",
		"tostring(nil) == 'nil' and tostring(true) == 'true' and tonumber('10') == 10",
		"tonumber('ff', 16) == 255 and tonumber('x') == nil",
		"(function() local n = 0 table.foreach({a=1,b=2}, function(k, v) n = n + v end) "
		"return n end)() == 3",
		"(function() local n = 0 table.foreachi({5,6}, function(i, v) n = n + i * v end) "
		"return n end)() == 17",
		"table.concat({1, 2, 3}, ',') == '1,2,3'",
		"(function() local t = {3, 1, 2} table.sort(t) return t[1] == 1 and t[3] == 3 "
		"end)()",
		"(function() local t = {1, 3} table.insert(t, 2, 2) table.insert(t, 4) "
		"return table.remove(t) == 4 and table.remove(t, 1) == 1 and #t == 2 end)()",
		"os.time() == 1767323045",
		"os.time({year=2026, month=1, day=2, hour=3, min=4, sec=5}) == 1767323045",
		"os.date('!%Y-%m-%dT%H:%M:%SZ') == '2026-01-02T03:04:05Z'",
		"os.date('*t', 0).year == 1970 and os.date('%d.%m.', 86400) == '02.01.'",
		"print('x') == nil",
		"('x'):rep(3) == 'xxx' and ('abc'):upper() == 'ABC' and ('abc'):sub(-2) == 'bc'",
		"('abc'):byte() == 97 and string.char(97, 98) == 'ab' and ('ab'):reverse() == 'ba'",
		"select('#', ('abc'):byte(1, -1)) == 3",
		"'10' + 1 == 11",
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(expressions); i++)
		expect_true(expressions[i]);
}

static void test_patterns(void **state)
{
	static const char *const expressions[] = {
		"obj.status.message:find('image') == 8",
		"obj.status.message:match('v(%d+)%.(%d+)') == '1'",
		"select(2, obj.status.message:match('v(%d+)%.(%d+)')) == '2'",
		"('key = value'):match('^(%w+)%s*=%s*(%w+)$') == 'key'",
		"('  x  '):gsub('^%s+', ''):gsub('%s+$', '') == 'x'",
		"select(2, ('hello world'):gsub('o', '0')) == 2",
		"('hello'):gsub('l', {l = 'L'}) == 'heLLo'",
		"('hello'):gsub('(h)(e)', '%2%1') == 'ehllo' and ('abc'):gsub('%w', '%0%0') == "
		"'aabbcc'",
		"('abc'):gsub('', '-') == '-a-b-c-' and ('abc'):gsub('b', '%%') == 'a%c'",
		"('hello'):gsub('l', function(c) return nil end) == 'hello'",
		"('hello'):gsub('l', 'x', 1) == 'hexlo'",
		"('f(a(b)c)d'):match('%b()') == '(a(b)c)'",
		"('THE (quick) fox'):find('%((%a+)%)') == 5",
		"select(3, ('THE (quick) fox'):find('%((%a+)%)')) == 'quick'",
		"('THE quick'):gsub('%f[%a]%a+', 'w') == 'w w'",
		"('aaab'):match('a-b') == 'aaab' and ('aab'):match('^a?') == 'a'",
		"('x]y'):match('[]]') == ']' and ('a-b'):match('[a%-]+') == 'a-'",
		"('a^b'):match('[%^]') == '^' and ('abc'):match('[^b]+') == 'a'",
		"('2026-01-02'):match('(%d%d%d%d)-(%d%d)-(%d%d)') == '2026'",
		"('abc'):find('b', 1, true) == 2 and ('a.c'):find('.', 1, true) == 2",
		"('abc'):find('', 10) == nil and ('abc'):find('', 4) == 4 and ('abc'):find('c', "
		"-1) == 3",
		"('abab'):match('(ab)%1') == 'abab' or ('abab'):match('(ab)%1') == 'ab'",
		"('hello'):match('()ll()') == 3 and select(2, ('hello'):match('()ll()')) == 5",
		"('a$'):match('a$') == nil and ('a$b'):find('$b') == 2",
		"(function() local n = 0 for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do "
		"n = n + tonumber(v) end return n end)() == 3",
		"(function() local n = 0 for w in ('one two three'):gmatch('%a+') do n = n + 1 end "
		"return n end)() == 3",
		"(function() local n = 0 for w in ('abc'):gmatch('') do n = n + 1 end return n "
		"end)() == 4",
		"('a\\0b'):find('%z') == 2 and ('a\\0b'):match('.+') == 'a\\0b'",
		"not pcall(string.find, 'a', '[a') and not pcall(string.find, 'a', '%')",
		"not pcall(string.find, 'a', '(a') and not pcall(string.match, 'a', 'a)')",
		"not pcall(string.find, 'a', '%1') and not pcall(string.gsub, 'a', 'a', '%2')",
		"not pcall(string.find, 'a', string.rep('()', 33))",
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(expressions); i++)
		expect_true(expressions[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_leads_out),
		cmocka_unit_test(test_addresses_are_hidden),
		cmocka_unit_test(test_runs_are_apart),
		cmocka_unit_test(test_loops_end),
		cmocka_unit_test(test_memory_ends),
		cmocka_unit_test(test_recursion_ends),
		cmocka_unit_test(test_patterns_end),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_steps_are_counted),
		cmocka_unit_test(test_memory_is_the_callers),
		cmocka_unit_test(test_script_size),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_object),
		cmocka_unit_test(test_compatibility),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
