/* A published port: what TCP and UDP have in common. */
#include "container/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "container/proxy-private.h"

int proxy_take_fd(int fd, int max)
{
	if (fd < max)
		return fd < 0 ? -errno : fd;
	close(fd);
	return -EMFILE;
}

/* Of the descriptors that are free above the proxy's own a part is left to the rest of the process. */
static void limit_fds(struct proxy *p)
{
	struct rlimit l = {.rlim_cur = 1024};
	int room;

	getrlimit(RLIMIT_NOFILE, &l);
	room = (l.rlim_cur < 1 << 20 ? (int)l.rlim_cur : 1 << 20) - p->fd;
	p->fd_max = p->fd + room / 4 * 3;
	p->pipe_max = p->fd + room / 8 * 7;
}

int proxy_new(struct loop *l, int fd, int proto, const struct sockaddr *to, socklen_t to_len, struct proxy **ret)
{
	struct proxy *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->loop = l;
	p->fd = fd;
	p->proto = proto;
	proxy_set_target(p, to, to_len);
	limit_fds(p);
	r = fd_nonblock(fd, true);
	if (r == 0)
		r = proto == IPPROTO_TCP ? proxy_tcp_start(p) : proxy_udp_start(p);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void proxy_set_target(struct proxy *p, const struct sockaddr *to, socklen_t to_len)
{
	p->to_len = to_len <= sizeof(p->to) ? to_len : 0;
	if (p->to_len)
		memcpy(&p->to, to, to_len);
	if (p->proto == IPPROTO_UDP)
		proxy_udp_end(p);
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	source_remove(&p->source);
	if (p->proto == IPPROTO_TCP)
		proxy_tcp_end(p);
	else
		proxy_udp_end(p);
	source_remove(&p->timer);
	close(p->fd);
	free(p);
}
