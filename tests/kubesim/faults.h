/* Faults on demand: which request gets which one, by rules from a file. Rules are tried in order,
 * the first that matches and strikes decides. Chance comes from the file's seed, so that a run can
 * be repeated. README.md documents the file. Threads: one. */
#ifndef KUBESIM_FAULTS_H
#define KUBESIM_FAULTS_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/rand.h"

struct ks_fault {
	char *method, *path, *query; /* globs; NULL: any */
	double probability;	     /* 1: always */
	int64_t skip, count;	     /* strikes after skip matches, count times; -1: for ever */
	int64_t latency_ms, jitter_ms;
	int status;	       /* answer this instead; 0: don't */
	int64_t retry_after_s; /* with status; 0: no header */
	char *message;
	bool drop;	   /* cut the connection before anything is done */
	bool after_commit; /* do it, then cut the connection instead of answering */
	/* Of a watch: cut it after so many events (-1: never) or so long; truncated: within a line. */
	int64_t watch_events, watch_ms;
	bool truncate;
	int64_t n_matched, n_struck;
};

struct ks_faults;

/* NULL text: no faults. YAML or JSON. */
int ks_faults_new(struct cox_str text, struct ks_faults **ret_faults, struct cox_error *err);
/* A request that is held back holds the rules that it was held back by. */
struct ks_faults *ks_faults_ref(struct ks_faults *faults);
void ks_faults_unref(struct ks_faults *faults);
DEFINE_CLEANUP(struct ks_faults *, ks_faults_unref);
/* The fault that this request gets, borrowed; NULL. */
const struct ks_fault *ks_faults_strike(struct ks_faults *faults, const char *method,
					const char *path, const char *query);
/* Latency with its jitter. */
int64_t ks_faults_latency(struct ks_faults *faults, const struct ks_fault *fault);
/* What has struck how often, as JSON. Appends. */
void ks_faults_write(const struct ks_faults *faults, struct cox_buf *out);

#endif
