/* A container's published ports. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

/* The target's address becomes this one, its port stays. */
static bool set_address(struct sockaddr_storage *to, int family, const char *address)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = ((struct sockaddr_in *)to)->sin_port};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = v4.sin_port};
	void *at = family == AF_INET6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr;

	if (inet_pton(family, address, at) != 1)
		return false;
	if (family == AF_INET6)
		memcpy(to, &v6, sizeof(v6));
	else
		memcpy(to, &v4, sizeof(v4));
	return true;
}

static int family_of(int fd)
{
	struct sockaddr_storage own = {0};

	getsockname(fd, (struct sockaddr *)&own, &(socklen_t){sizeof(own)});
	return own.ss_family;
}

void ports_lead(struct container *c, const char *address4, const char *address6)
{
	for (size_t i = 0; c->proxies && i < c->run->ports_len; i++) {
		const struct container_port *p = &c->run->ports[i];
		struct sockaddr_storage to = p->to;
		bool v6 = family_of(p->fd) == AF_INET6;
		bool found = set_address(&to, v6 ? AF_INET6 : AF_INET, v6 ? address6 : address4) ||
			set_address(&to, v6 ? AF_INET : AF_INET6, v6 ? address4 : address6);
		proxy_set_target(c->proxies[i], (struct sockaddr *)&to, found ? address_len(&to) : 0);
	}
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
