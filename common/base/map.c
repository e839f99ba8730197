#include "common/base/map.h"
#include "common/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t hash_key[2];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void draw_hash_key(void)
{
	if (getrandom(hash_key, sizeof(hash_key), 0) != (ssize_t)sizeof(hash_key))
		abort();
}

static inline uint64_t rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* SipHash-1-3, Aumasson and Bernstein, https://www.aumasson.jp/siphash/siphash.pdf */
uint64_t cox_hash(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t v[4], m;
	size_t left = n & 7;

	pthread_once(&hash_once, draw_hash_key);
	v[0] = hash_key[0] ^ 0x736f6d6570736575ULL;
	v[1] = hash_key[1] ^ 0x646f72616e646f6dULL;
	v[2] = hash_key[0] ^ 0x6c7967656e657261ULL;
	v[3] = hash_key[1] ^ 0x7465646279746573ULL;
	for (const unsigned char *end = p + (n - left); p < end; p += 8) {
		memcpy(&m, p, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)n << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)p[i] << (8 * i);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void cox_map_fini(struct cox_map *m)
{
	cox_map_fini_values(m, NULL);
}

void cox_map_fini_values(struct cox_map *m, void (*free_value)(void *))
{
	for (uint32_t i = 0; i < m->n_used; i++) {
		if (m->entries[i].key && m->entries[i].value && free_value)
			free_value(m->entries[i].value);
		free(m->entries[i].key);
	}
	free(m->entries);
	free(m->slots);
	*m = COX_MAP_INIT;
}

void cox_map_clear(struct cox_map *m)
{
	cox_map_fini(m);
}

/* The slot that holds the key, or the free slot where it would go. */
static uint32_t find_slot(const struct cox_map *m, struct cox_str key, uint32_t hash)
{
	uint32_t i = hash & (m->n_slots - 1);

	for (;; i = (i + 1) & (m->n_slots - 1)) {
		const struct cox_map_entry *e;

		if (!m->slots[i])
			return i;
		e = &m->entries[m->slots[i] - 1];
		if (e->key && e->hash == hash && e->key_len == key.len &&
		    memcmp(e->key, key.ptr, key.len) == 0)
			return i;
	}
}

static void rebuild(struct cox_map *m, uint32_t want)
{
	uint32_t n = 0, n_slots = 8;

	for (uint32_t i = 0; i < m->n_used; i++)
		if (m->entries[i].key)
			m->entries[n++] = m->entries[i];
	m->n_used = n;
	while (n_slots < want * 2)
		n_slots *= 2;
	if (want > m->cap) {
		m->cap = n_slots / 2;
		m->entries = cox_realloc(m->entries, m->cap, sizeof(*m->entries));
	}
	if (n_slots > m->n_slots) {
		free(m->slots);
		m->slots = cox_new_n(uint32_t, n_slots);
		m->n_slots = n_slots;
	} else {
		memset(m->slots, 0, m->n_slots * sizeof(*m->slots));
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t s = m->entries[i].hash & (m->n_slots - 1);

		while (m->slots[s])
			s = (s + 1) & (m->n_slots - 1);
		m->slots[s] = i + 1;
	}
}

static struct cox_map_entry *find(const struct cox_map *m, struct cox_str key)
{
	uint32_t slot;

	if (!m->n)
		return NULL;
	slot = find_slot(m, key, (uint32_t)cox_hash(key.ptr, key.len));
	return m->slots[slot] ? &m->entries[m->slots[slot] - 1] : NULL;
}

void *cox_map_get_str(const struct cox_map *m, struct cox_str key)
{
	struct cox_map_entry *e = find(m, key);

	return e ? e->value : NULL;
}

void *cox_map_get(const struct cox_map *m, const char *key)
{
	return cox_map_get_str(m, cox_str(key));
}

bool cox_map_has(const struct cox_map *m, const char *key)
{
	return find(m, cox_str(key)) != NULL;
}

void *cox_map_set_str(struct cox_map *m, struct cox_str key, void *value)
{
	uint32_t hash = (uint32_t)cox_hash(key.ptr, key.len), slot;
	struct cox_map_entry *e;

	if (m->n_used + 1 > m->cap || (m->n_used + 1) * 2 > m->n_slots)
		rebuild(m, m->n < 4 ? 4 : m->n_used + 1 > m->n * 2 ? m->n + 1 : m->n * 2);
	slot = find_slot(m, key, hash);
	if (m->slots[slot]) {
		void *old;

		e = &m->entries[m->slots[slot] - 1];
		old = e->value;
		e->value = value;
		return old;
	}
	e = &m->entries[m->n_used++];
	*e = (struct cox_map_entry){cox_str_dup(key), (uint32_t)key.len, hash, value};
	m->slots[slot] = m->n_used;
	m->n++;
	return NULL;
}

void *cox_map_set(struct cox_map *m, const char *key, void *value)
{
	return cox_map_set_str(m, cox_str(key), value);
}

void *cox_map_remove_str(struct cox_map *m, struct cox_str key)
{
	struct cox_map_entry *e = find(m, key);
	void *old;

	if (!e)
		return NULL;
	old = e->value;
	/* The slot stays taken by the removed entry until the next rebuild, so that probing for
	 * other keys still passes it. */
	free(e->key);
	e->key = NULL;
	e->value = NULL;
	m->n--;
	return old;
}

void *cox_map_remove(struct cox_map *m, const char *key)
{
	return cox_map_remove_str(m, cox_str(key));
}
