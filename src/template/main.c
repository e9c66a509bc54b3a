/*
 * caisson-template: holds the memory of a utility VM's template (a sealed memfd) and hands it to those that clone it (proto/template.h).
 *
 * Started by the first start that had to read the template from its file; ends when nobody has used it for some time. It can do nothing but that: no
 * files, no privileges, no other descriptors.
 *
 * A memfd has a page for whatever was touched in a mapping of it, private ones and its holes too. So it grows with the memory that clones use, up to all
 * that a machine has, and no seal permits to take that back. Once they are gone it is better read anew than kept.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/str.h"
#include "proto/template.h"

enum { NOBODY = 65534, GROWN_MAX = 64 << 20 };

struct holder {
	struct loop *loop;
	struct source *idle;
	uint32_t linger_s;
	unsigned users;
	off_t size; /* what the memory took at first, in bytes */
};

struct user {
	struct holder *holder;
	int fd;
	struct source *source;
};

static void on_idle(void *data)
{
	struct holder *h = data;

	h->idle = NULL;
	loop_stop(h->loop);
}

static off_t memory_size(void)
{
	struct stat st;

	return fstat(TEMPLATE_FD_MEMORY, &st) == 0 ? (off_t)st.st_blocks * 512 : 0;
}

static void look_idle(struct holder *h)
{
	source_remove(&h->idle);
	if (h->users)
		return;
	if (memory_size() - h->size > GROWN_MAX)
		loop_stop(h->loop);
	else
		h->idle = loop_add_timer(h->loop, (uint64_t)h->linger_s * 1000, on_idle, h);
}

/* Nothing is expected but its end (false then), and TEMPLATE_QUIT. */
static bool listen_to(struct holder *h, int fd)
{
	char c = 0;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	if (n == 1 && c == TEMPLATE_QUIT)
		loop_stop(h->loop);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_user(void *data, int fd, uint32_t events)
{
	struct user *u = data;
	struct holder *h = u->holder;

	(void)events;
	if (listen_to(h, fd))
		return;
	source_remove(&u->source);
	close_fd(&u->fd);
	free(u);
	h->users--;
	look_idle(h);
}

static void on_connection(void *data, int fd, uint32_t events)
{
	static const char byte = TEMPLATE_MEMORY;
	static const int memory = TEMPLATE_FD_MEMORY;
	struct holder *h = data;
	_cleanup_close_ int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	_cleanup_free_ struct user *u = malloc(sizeof(*u));

	(void)events;
	if (c < 0 || !u)
		return;
	if (fd_send(c, &byte, 1, &memory, 1) < 0) {
		listen_to(h, c); /* who says TEMPLATE_QUIT may have gone already */
		return;
	}
	*u = (struct user){.holder = h, .fd = c};
	u->source = loop_add_fd(h->loop, c, EPOLLIN, on_user, u);
	if (!u->source)
		return;
	steal_fd(&c);
	steal_ptr(u);
	h->users++;
	look_idle(h);
}

/* It holds what every VM of this host starts from: nobody but root may stop or read it, and it may do nothing with what it was given. */
static int drop(void)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || chdir("/") < 0 || setgroups(0, NULL) < 0 ||
		setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int serve(uint32_t linger_s)
{
	struct holder h = {.linger_s = linger_s, .size = memory_size()};
	int r = loop_new(&h.loop);

	if (r == 0 && !loop_add_fd(h.loop, TEMPLATE_FD_SOCKET, EPOLLIN, on_connection, &h))
		r = -ENOMEM;
	look_idle(&h);
	if (r == 0)
		r = loop_run(h.loop);
	loop_free(h.loop);
	return r;
}

int main(int argc, char **argv)
{
	uint32_t linger_s;

	if (argc != 3 || parse_u32(argv[2], &linger_s) < 0) { /* caisson-template NAME SECONDS */
		fprintf(stderr, "caisson-template is started by caisson only\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (close_range(TEMPLATE_FD_LOCK + 1, ~0U, 0) < 0 || drop() < 0)
		return 1;
	return serve(linger_s) < 0;
}
