/* A container's published ports. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "container/container-private.h"

static socklen_t address_len(const struct sockaddr_storage *to)
{
	return to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

int ports_open(struct container *c)
{
	const struct container_run *run = c->run;
	int r = 0;

	c->proxies = calloc(run->ports_len ? run->ports_len : 1, sizeof(struct proxy *));
	if (!c->proxies)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < run->ports_len; i++) {
		const struct container_port *p = &run->ports[i];
		r = proxy_new(
			c->loop, p->fd, p->proto, (const struct sockaddr *)&p->to, address_len(&p->to), &c->proxies[i]);
	}
	return r;
}

void ports_close(struct container *c)
{
	for (size_t i = 0; i < c->run->ports_len; i++) {
		if (c->proxies && c->proxies[i])
			proxy_free(c->proxies[i]);
		else
			close(c->run->ports[i].fd);
	}
	free(steal_ptr(c->proxies));
}
