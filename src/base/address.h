/* IP addresses and subnets of both families, as numbers: parsing, printing, and what the choice of addresses needs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ADDRESS_TEXT = 46 }; /* INET6_ADDRSTRLEN */

struct address {
	int family; /* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16];
};

struct subnet {
	struct address base; /* host bits are zero */
	unsigned prefix;
};

int address_parse(const char *s, struct address *ret);                 /* -EINVAL */
char *address_format(const struct address *a, char ret[ADDRESS_TEXT]); /* "" for none */
bool address_equal(const struct address *a, const struct address *b);
unsigned address_bits(const struct address *a); /* 32 or 128 */

/* "10.0.0.0/16"; host bits are cut off. -EINVAL. */
int subnet_parse(const char *s, struct subnet *ret);
char *subnet_format(const struct subnet *s, char ret[ADDRESS_TEXT + 4]);
bool subnet_contains(const struct subnet *s, const struct address *a);
bool subnet_within(const struct subnet *inner, const struct subnet *outer);
bool subnet_overlaps(const struct subnet *a, const struct subnet *b);
/* The n-th address, the 0th being the subnet's own. False beyond its end. */
bool subnet_nth(const struct subnet *s, uint64_t n, struct address *ret);
/* Which one it is; UINT64_MAX beyond 2^64. */
uint64_t subnet_index(const struct subnet *s, const struct address *a);
uint64_t subnet_size(const struct subnet *s); /* number of addresses, at most UINT64_MAX */
/* Whether a host may have it: not the subnet's own and, in IPv4, not the broadcast address. */
bool subnet_is_host(const struct subnet *s, const struct address *a);
