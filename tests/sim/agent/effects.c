/* The agent's disk. Every commit is an effect; between two of them the agent may die, and nothing
 * that it tries afterwards is written: what is on the stack at that moment runs on, into the void,
 * until the world takes it down. A full disk is a fault like the others.
 *
 * The linker leads calls of cox_tx_begin here, and so on. */
#include "tests/sim/agent/world.h"

#include <stdarg.h>

int __real_cox_tx_begin(struct cox_tx *tx, struct cox_db *db, struct cox_error *err);
int __real_cox_tx_commit(struct cox_tx *tx, struct cox_error *err);
void __real_cox_tx_end(struct cox_tx *tx);
int __wrap_cox_tx_begin(struct cox_tx *tx, struct cox_db *db, struct cox_error *err);
int __wrap_cox_tx_commit(struct cox_tx *tx, struct cox_error *err);
void __wrap_cox_tx_end(struct cox_tx *tx);
int __wrap_cox_db_run(struct cox_db *db, struct cox_error *err, const char *sql, const char *types,
		      ...);

void sim_effect(const char *what)
{
	w.stats.effects++;
	sim_trace("effect %llu: %s", (unsigned long long)w.stats.effects, what);
	if (w.o.crash_after && w.stats.effects == w.o.crash_after)
		w.dead = true;
}

/* 0: it may be written to. */
static int usable(struct cox_error *err)
{
	if (w.dead)
		return cox_error(err, COX_UNAVAILABLE, "the process is dead");
	if (w.tx_depth || w.calm || !w.engine || !w.rates.store ||
	    (int)cox_rng_below(&w.net_rng, 1000) >= w.rates.store)
		return 0;
	w.stats.store_faults++;
	sim_trace("disk: full");
	return cox_error(err, COX_RESOURCE_EXHAUSTED, "the disk is full");
}

int __wrap_cox_tx_begin(struct cox_tx *tx, struct cox_db *db, struct cox_error *err)
{
	int code = usable(err);

	if (code == 0)
		code = __real_cox_tx_begin(tx, db, err);
	w.tx_depth += code == 0;
	return code;
}

int __wrap_cox_tx_commit(struct cox_tx *tx, struct cox_error *err)
{
	int code = __real_cox_tx_commit(tx, err);

	w.tx_depth--;
	if (code == 0 && w.tx_depth == 0) {
		w.stats.commits++;
		sim_effect("commit");
	}
	return code;
}

void __wrap_cox_tx_end(struct cox_tx *tx)
{
	w.tx_depth -= tx->db != NULL;
	__real_cox_tx_end(tx);
}

int __wrap_cox_db_run(struct cox_db *db, struct cox_error *err, const char *sql, const char *types,
		      ...)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	int code = usable(err);
	va_list args;

	if (code == 0)
		code = cox_stmt_begin(&q, db, sql, err);
	if (code < 0)
		return code;
	va_start(args, types);
	for (int i = 1; *types; types++, i++) {
		const char *text;

		switch (*types) {
		case 's':
			text = va_arg(args, const char *);
			if (text)
				cox_stmt_bind_text(&q, i, cox_str(text));
			else
				cox_stmt_bind_null(&q, i);
			break;
		case 't':
			cox_stmt_bind_text(&q, i, va_arg(args, struct cox_str));
			break;
		case 'b':
			cox_stmt_bind_blob(&q, i, va_arg(args, struct cox_str));
			break;
		case 'i':
			cox_stmt_bind_int(&q, i, va_arg(args, int64_t));
			break;
		case 'd':
			cox_stmt_bind_double(&q, i, va_arg(args, double));
			break;
		default:
			cox_stmt_bind_null(&q, i);
		}
	}
	va_end(args);
	while ((code = cox_stmt_step(&q, err)) > 0)
		;
	if (code == 0 && w.tx_depth == 0) {
		w.stats.commits++;
		sim_effect("commit of one statement");
	}
	return code;
}
