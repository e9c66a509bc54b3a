/* IP addresses and subnets as users write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct address {
	int family;        /* AF_INET or AF_INET6 */
	unsigned bits;     /* of the prefix; all of them for an address alone */
	uint8_t bytes[16]; /* in network order; as many as the family has */
};

/* "10.0.0.1", "fd00::1"; -EINVAL. */
int address_parse(const char *s, struct address *ret);
/* "10.0.0.0/8"; bits below the prefix may be set. -EINVAL. */
int address_parse_cidr(const char *s, struct address *ret);
bool address_in(const struct address *a, const struct address *subnet);
