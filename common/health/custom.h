/* common/health/custom.h: health by scripts that people wrote, as argocd-cm holds them.
 *
 * What is read of the ConfigMap's data:
 *
 *	resource.customizations.health.<group>_<Kind>	a script (a core kind: <Kind> alone)
 *	resource.customizations				YAML, "<group>/<Kind>": {health.lua: script}
 *
 * `*`, `?` and the rest of common/text/glob.h are wildcards in both; the first form wins over the
 * second for the same key. Order of judgement (Argo CD's): an object that is being deleted, a script
 * under its exact key, a script under a wildcard, the rules of the room. Of several wildcards
 * the longest one counts, then the one that sorts first, so that it doesn't depend on the order of
 * a map. A script that gives nil gives no health: the rules of the room aren't asked then.
 * The ConfigMap's useOpenLibs keys change nothing: what is safe of those libraries is always there.
 * (A hub refuses them, so that nobody counts on the rest.)
 *
 * A script: global `obj` is the live object; it returns {status = "Healthy", message = "..."}. nil
 * and {} are no health; a status that isn't one of the six is Unknown. A script that fails in
 * any way makes the object Unknown with a sentence that says why; this never fails.
 *
 * The language is Lua 5.4 with what scripts for 5.1 (gopher-lua) expect: unpack, table.getn, maxn,
 * foreach and foreachi, math.pow, mod, log10, ldexp and frexp, string.gfind, %d of a fraction,
 * tostring(4/2) == "2". Not to be had: `..` of a float with a whole value ends in ".0", setfenv.
 *
 * The sandbox:
 *	base		assert error getmetatable ipairs next pairs pcall rawequal rawget rawlen
 *			rawset select setmetatable (no __gc, no __close) tonumber tostring type
 *			unpack xpcall; print, which says nothing; require of the four names below
 *	string		without dump, pack, packsize, unpack; patterns by a matcher that counts
 *			its steps; no %p
 *	table		on plain tables (no metatable) of up to 65,536 items
 *	math		without random and randomseed: equal objects have equal health
 *	os		time and date, in UTC, of the time that the caller passes
 * No load, loadstring, dofile, loadfile, collectgarbage, coroutine, debug, io, package, utf8; no
 * bytecode. Addresses of tables and functions can't be seen. Each run has a state of its own that
 * is gone afterwards: nothing is kept between objects, and without scripts Lua is never started.
 * Bounded: steps (an instruction is one; long strings, table functions, patterns and memory cost
 * more), the deadline, memory, the size of one string. pcall doesn't get a script around them.
 *
 * Threads: struct cox_health_custom is immutable, any thread. Pure: the clock is the caller's. */
#ifndef COX_HEALTH_CUSTOM_H
#define COX_HEALTH_CUSTOM_H

#include "common/base/cleanup.h"
#include "common/health/health.h"

#define COX_LIMIT_HEALTH_SCRIPTS      1000
#define COX_LIMIT_HEALTH_SCRIPT_BYTES (256 << 10)
#define COX_LIMIT_HEALTH_MEMORY	      (16 << 20) /* of one run, the object in it included */
#define COX_LIMIT_HEALTH_STEPS	      20000000	 /* some 0.2 s */
#define COX_LIMIT_HEALTH_MS	      1000
#define COX_LIMIT_HEALTH_STRING	      (2 << 20) /* the longest string, the biggest table part */

struct cox_health_custom;

/* config_map: the object, or NULL for no scripts. Copies what it needs. COX_INVALID_ARGUMENT names
 * the key that is wrong; scripts are not compiled here. */
int cox_health_custom_new(const struct cox_node *config_map, struct cox_health_custom **ret_custom,
			  struct cox_error *err);
void cox_health_custom_free(struct cox_health_custom *custom);
DEFINE_CLEANUP(struct cox_health_custom *, cox_health_custom_free);
#define _cleanup_health_custom_ COX_CLEANUP(cox_health_custom_free_p)
/* How many scripts there are. */
size_t cox_health_custom_count(const struct cox_health_custom *custom);
/* The key of the script that judges such objects ("argoproj.io/Rollout", "*.example.com/Lamp"),
 * borrowed; NULL when none does. */
const char *cox_health_custom_find(const struct cox_health_custom *custom, struct cox_str group,
				   struct cox_str kind);

/* What one run may have; 0 and NULL take the limits above. */
struct cox_health_run {
	int64_t wall_ms;	 /* what os.time and os.date say */
	int64_t (*now_ms)(void); /* a monotonic clock; NULL: only the steps count */
	int64_t deadline_ms; /* on that clock; 0: COX_LIMIT_HEALTH_MS from the start of a script */
	int64_t steps;
	size_t memory;
};

/* As cox_health_assess, with the scripts. custom and run may be NULL. */
void cox_health_assess_custom(const struct cox_health_custom *custom, const struct cox_node *object,
			      const struct cox_health_run *run, struct cox_health *ret_health);
/* Whether it is Lua at all; COX_INVALID_ARGUMENT with the line. Nothing of it runs. */
int cox_health_script_check(struct cox_str script, struct cox_error *err);
/* One script, by itself. */
void cox_health_run_script(struct cox_str script, const struct cox_node *object,
			   const struct cox_health_run *run, struct cox_health *ret_health);

#endif
