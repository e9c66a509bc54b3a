/* What is done with a look wherever it comes from. */
#include "plan/look.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void look_done(struct look *l)
{
	free(l->processes);
	free(l->sockets);
	free(l->interfaces);
	*l = (struct look){0};
}

char *look_address_format(const struct look_address *a, bool prefix, char ret[64])
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->bytes, text, sizeof(text));
	if (prefix)
		snprintf(ret, 64, "%s/%u", text, a->prefix);
	else
		snprintf(ret, 64, "%s", text);
	return ret;
}

bool look_address_any(const struct look_address *a)
{
	static const uint8_t none[16];

	return !memcmp(a->bytes, none, a->len);
}
