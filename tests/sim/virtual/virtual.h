/* A process without a machine: the loop, the clocks, randomness and the HTTP client of a program
 * under simulation, in virtual time and from one seed.
 *
 * Everything above common/run and common/net's HTTP client is the real code: this room defines the
 * same symbols as common/run/loop.c and common/net/http_client.c, and a program that links it ahead
 * of those libraries gets these. The clocks and the kernel's randomness share their files with code
 * that is wanted as it is, so that the linker renames calls to them (cox_virtual in CMakeLists.txt).
 *
 * Nothing moves but by virtual_step: it runs one callback that is due, or sets the clock to when the
 * next one is. Requests go to a simulated cluster (tests/kubesim) after a latency; what goes wrong
 * with each is its fate, which the owner decides when it is sent. A request outlives the client that
 * sent it, as one does that is in the kernel's buffers when its program is killed.
 *
 * Threads: one. One virtual machine at a time. */
#ifndef SIM_VIRTUAL_VIRTUAL_H
#define SIM_VIRTUAL_VIRTUAL_H

#include "common/base/rand.h"
#include "common/run/loop.h"
#include "tests/kubesim/kubesim.h"

/* ---- time and randomness ---- */

/* Wall clock at virtual millisecond 0. */
#define VIRTUAL_EPOCH_MS INT64_C(1767225600000)

/* Both clocks at their beginning; everything drawn from now on follows from the seed. */
void virtual_begin(uint64_t seed);
int64_t virtual_now_ms(void);
/* The wall clock is set by so much; the monotonic one knows nothing of it. */
void virtual_wall_jump(int64_t by_ms);

/* ---- the loop ---- */

/* Runs one callback; when none is due, the clock jumps to the next. Which of a mailbox's task and a
 * timer comes first is drawn from rng. false: nothing will ever happen again. */
bool virtual_step(struct cox_loop *loop, struct cox_rng *rng);
/* When virtual_step would do something next; INT64_MAX. */
int64_t virtual_next_ms(struct cox_loop *loop);

/* ---- the network ---- */

/* What becomes of one request; all zeros: answered at once. */
struct virtual_fate {
	int64_t there_ms, back_ms; /* latency */
	int status;		   /* this answer, and nothing is done */
	int retry_after_s;
	const char *reason; /* of the Status, with `status` */
	bool lost;	    /* never arrives, the connection is cut */
	bool answer_lost;   /* done, and the connection is cut */
	bool hangs;	    /* never arrives, and nobody says so */
	bool answer_hangs;  /* done, and nobody says so */
	bool answer_torn;   /* half of the body comes, as if it were all */
	bool cut_arrives;   /* arrives even when its sender is gone */
	/* of a watch */
	int64_t watch_ms;     /* cut after so long; 0: not */
	int watch_events;     /* cut after so many bytes' worth of events; -1: not */
	bool watch_torn;      /* in the middle of one */
	bool watch_expires;   /* instead of being cut it says 410 */
	int64_t watch_lag_ms; /* events come so much later */
};

struct virtual_request {
	uint64_t id; /* grows */
	const char *method, *path, *query;
	const char *accept, *content_type;
	struct cox_str body;
	bool streams;
};

struct virtual_net_options {
	struct cox_loop *loop;
	struct kubesim *cluster;
	struct cox_rng *rng; /* of how streams are cut into pieces */
	/* Any may be NULL. */
	void (*fate)(void *ctx, const struct virtual_request *request, struct virtual_fate *fate);
	/* Before the cluster does it, and after. `cut`: its sender is gone. */
	void (*arrives)(void *ctx, const struct virtual_request *request, bool cut);
	void (*done)(void *ctx, const struct virtual_request *request, int status);
	void *ctx;
};
/* Before any HTTP client is made; the options are copied. */
void virtual_net_open(const struct virtual_net_options *options);
/* After all of them are gone. */
void virtual_net_close(void);
/* Lets the cluster's own controllers act when they are due; after every change from outside. */
void virtual_net_changed(void);
/* Requests under way whose sender is gone: they arrive no more. */
void virtual_net_drop_cut(void);
/* As above, and they all arrive now. */
void virtual_net_land_cut(void);

#endif
