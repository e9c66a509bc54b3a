/* IP addresses and subnets as numbers. */
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

unsigned address_bits(const struct address *a)
{
	return a->family == AF_INET6 ? 128 : 32;
}

int address_parse(const char *s, struct address *ret)
{
	struct address a = {.family = strchr(s, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(a.family, s, a.bytes) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

char *address_format(const struct address *a, char ret[ADDRESS_TEXT])
{
	*ret = 0;
	if (a->family)
		inet_ntop(a->family, a->bytes, ret, ADDRESS_TEXT);
	return ret;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* Clears what is behind the first `prefix` bits. */
static void cut(struct address *a, unsigned prefix)
{
	for (unsigned i = 0; i < address_bits(a); i++)
		if (i >= prefix)
			a->bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

int subnet_parse(const char *s, struct subnet *ret)
{
	const char *slash = strchr(s, '/');
	char text[ADDRESS_TEXT];
	struct subnet n = {0};
	uint32_t prefix;

	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = 0;
	if (address_parse(text, &n.base) < 0 || parse_u32(slash + 1, &prefix) < 0 || prefix > address_bits(&n.base))
		return -EINVAL;
	n.prefix = prefix;
	cut(&n.base, prefix);
	*ret = n;
	return 0;
}

char *subnet_format(const struct subnet *s, char ret[ADDRESS_TEXT + 4])
{
	address_format(&s->base, ret);
	if (*ret)
		sprintf(ret + strlen(ret), "/%u", s->prefix);
	return ret;
}

bool subnet_contains(const struct subnet *s, const struct address *a)
{
	struct address b = *a;

	cut(&b, s->prefix);
	return address_equal(&b, &s->base);
}

bool subnet_within(const struct subnet *inner, const struct subnet *outer)
{
	return inner->prefix >= outer->prefix && subnet_contains(outer, &inner->base);
}

bool subnet_overlaps(const struct subnet *a, const struct subnet *b)
{
	return subnet_within(a, b) || subnet_within(b, a);
}

uint64_t subnet_size(const struct subnet *s)
{
	unsigned bits = address_bits(&s->base) - s->prefix;

	return bits >= 64 ? UINT64_MAX : (uint64_t)1 << bits;
}

bool subnet_nth(const struct subnet *s, uint64_t n, struct address *ret)
{
	struct address a = s->base;
	unsigned at = address_bits(&a) / 8;
	uint64_t size = subnet_size(s);

	if (size != UINT64_MAX && n >= size)
		return false;
	for (; n && at; n >>= 8) {
		n += a.bytes[--at];
		a.bytes[at] = (uint8_t)n;
	}
	*ret = a;
	return true;
}

uint64_t subnet_index(const struct subnet *s, const struct address *a)
{
	uint64_t n = 0;

	for (unsigned i = s->prefix; i < address_bits(a); i++) {
		if (n >> 63)
			return UINT64_MAX;
		n = n << 1 | (a->bytes[i / 8] >> (7 - i % 8) & 1);
	}
	return n;
}

bool subnet_is_host(const struct subnet *s, const struct address *a)
{
	uint64_t n = subnet_index(s, a);

	if (s->prefix + 1 >= address_bits(a))
		return true; /* /31, /32: RFC 3021 */
	return n && (a->family == AF_INET6 || n != subnet_size(s) - 1);
}
