/* What the files of kubesim share: the simulator's state and the context of one request.
 * Threads: one. */
#ifndef KUBESIM_SIM_H
#define KUBESIM_SIM_H

#include "common/base/options.h"
#include "common/base/rand.h"
#include "tests/kubesim/kinds.h"
#include "tests/kubesim/kubesim.h"
#include "tests/kubesim/managed.h"
#include "tests/kubesim/status.h"
#include "tests/kubesim/store.h"

struct ks_queue;

struct kubesim {
	char *name, *token;
	struct ks_store store;
	struct ks_kinds kinds;
	int64_t now_ms, step_ms;
	struct cox_rng rng;
	struct ks_queue *queue; /* controllers: what to look at, and when */
	COX_VEC(struct kubesim_watch *) watches;
	struct cox_map marks; /* "uid tag" -> when it began, wall ms */
	uint32_t next_ip, next_node_port;
	bool no_controllers, no_kubelet;
	void (*on_change)(void *arg, const char *verb, const struct cox_node *object);
	void *on_change_arg;
};

enum ks_validation { KS_VALIDATE_WARN = 0, KS_VALIDATE_IGNORE, KS_VALIDATE_STRICT };

/* One request, or one act of a controller. Everything borrowed lives in the arena. */
struct ks_ctx {
	struct kubesim *sim;
	struct cox_arena arena;
	struct ks_kind *kind;
	const char *ns, *name; /* of the path; NULL */
	const char *sub;       /* subresource, "" for none */
	const char *manager;   /* field manager */
	bool named_manager;    /* it was given, not guessed */
	bool dry_run, force;
	enum ks_validation validation;
	cox_strings warnings;
};
void ks_ctx_init(struct ks_ctx *ctx, struct kubesim *sim, struct ks_kind *kind, const char *ns,
		 const char *name);
void ks_ctx_fini(struct ks_ctx *ctx);
#define _cleanup_ctx_ COX_CLEANUP(ks_ctx_fini)

const char *ks_text(struct ks_ctx *ctx, struct cox_str s);
const char *ks_now(struct ks_ctx *ctx);
void ks_uuid(struct kubesim *sim, char ret_text[COX_UUID_TEXT]);
/* n letters and digits that make no words, as generateName uses them. */
void ks_suffix(struct kubesim *sim, char *ret_text, size_t n);

#endif
