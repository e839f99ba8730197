/* Clocks and randomness; the linker leads calls of cox_clock_ms here, and so on. */
#include "tests/sim/virtual/private.h"

#include "common/base/clock.h"
#include "common/base/encode.h"

#include <stdio.h>

static int64_t now_ms, wall_ms; /* wall_ms: by how much the wall clock was set */
static struct cox_rng kernel;

void virtual_begin(uint64_t seed)
{
	now_ms = 1000; /* no deadline is at 0 */
	wall_ms = 0;
	cox_rng_init(&kernel, seed ^ 0x6b65726e656c);
}

int64_t virtual_now_ms(void)
{
	return now_ms;
}

void virtual_wall_jump(int64_t by_ms)
{
	wall_ms += by_ms;
}

void virtual_set_now(int64_t to_ms)
{
	if (to_ms > now_ms)
		now_ms = to_ms;
}

int64_t __wrap_cox_clock_ms(void);
int64_t __wrap_cox_clock_us(void);
int64_t __wrap_cox_clock_wall_ms(void);
int64_t __wrap_cox_clock_wall_us(void);
void __wrap_cox_random_bytes(void *ret_bytes, size_t n);
void __wrap_cox_uuid_new(char ret_text[COX_UUID_TEXT]);

int64_t __wrap_cox_clock_ms(void)
{
	return now_ms;
}

int64_t __wrap_cox_clock_us(void)
{
	return now_ms * 1000;
}

int64_t __wrap_cox_clock_wall_ms(void)
{
	return VIRTUAL_EPOCH_MS + wall_ms + now_ms;
}

int64_t __wrap_cox_clock_wall_us(void)
{
	return (VIRTUAL_EPOCH_MS + wall_ms + now_ms) * 1000;
}

void __wrap_cox_random_bytes(void *ret_bytes, size_t n)
{
	uint8_t *p = ret_bytes;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)cox_rng_next(&kernel);
}

void __wrap_cox_uuid_new(char ret_text[COX_UUID_TEXT])
{
	uint64_t a = cox_rng_next(&kernel), b = cox_rng_next(&kernel);

	snprintf(ret_text, COX_UUID_TEXT, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(a >> 32),
		 (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(b >> 52),
		 (unsigned long long)(b & 0xffffffffffff));
}
