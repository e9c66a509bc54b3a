/* IP addresses and subnets. */
#include "cli/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"

int address_parse(const char *s, struct address *ret)
{
	struct address a = {.family = strchr(s, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(a.family, s, a.bytes) != 1)
		return -EINVAL;
	a.bits = a.family == AF_INET ? 32 : 128;
	*ret = a;
	return 0;
}

int address_parse_cidr(const char *s, struct address *ret)
{
	const char *slash = strchr(s, '/');
	char text[INET6_ADDRSTRLEN];
	struct address a;
	uint32_t bits;

	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = 0;
	if (address_parse(text, &a) < 0 || parse_u32(slash + 1, &bits) < 0 || bits > a.bits)
		return -EINVAL;
	a.bits = bits;
	*ret = a;
	return 0;
}

bool address_in(const struct address *a, const struct address *subnet)
{
	unsigned whole = subnet->bits / 8, rest = subnet->bits % 8;

	if (a->family != subnet->family || memcmp(a->bytes, subnet->bytes, whole) != 0)
		return false;
	return !rest || !((a->bytes[whole] ^ subnet->bytes[whole]) >> (8 - rest));
}
