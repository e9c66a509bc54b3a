/* FNV-1a, 64 bits: tells versions and texts apart; no protection against whoever wants two to be the same. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_INIT 0xcbf29ce484222325u

static inline uint64_t hash_add(uint64_t hash, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ ((const uint8_t *)p)[i]) * 0x100000001b3u;
	return hash;
}
