/*
 * caisson-dns: holds the dnsmasq of one network of containers (dns.h says what is where, serve.c what it does).
 *
 * Started by the engine only, detached. The engine makes the bridge and writes a container's hosts file first, then sees to it that
 * somebody has the lock. So that a container which comes while the program is about to end is served, it gives the lock up first, and
 * then looks whether it is wanted after all.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "dns/dns.h"

enum { LOCK = 3, LINGER_S = 60 };

static int parse_options(int argc, char **argv, struct dns_options *o, struct err *e)
{
	static const struct option table[] = {
		{"name", required_argument, NULL, 'n'},
		{"interface", required_argument, NULL, 'i'},
		{"listen", required_argument, NULL, 'a'},
		{"port", required_argument, NULL, 'p'},
		{"dir", required_argument, NULL, 'd'},
		{"internal", no_argument, NULL, 'I'},
		{"resolv", required_argument, NULL, 'r'},
		{"linger", required_argument, NULL, 't'},
		{"locked", no_argument, NULL, 'l'},
		{0},
	};
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'n':
			o->name = optarg;
			break;
		case 'i':
			r = strv_push(&o->bridges, optarg);
			break;
		case 'a':
			r = strv_push(&o->listen, optarg);
			break;
		case 'p':
			r = parse_u32(optarg, &o->port);
			break;
		case 'd':
			o->dir = optarg;
			break;
		case 'I':
			o->internal = true;
			break;
		case 'r':
			o->resolv = optarg;
			break;
		case 't':
			r = parse_u32(optarg, &o->linger_s);
			break;
		case 'l':
			o->locked = true;
			break;
		default:
			r = -EINVAL;
		}
	}
	if (r < 0 || optind != argc || str_empty(o->name) || !o->bridges || !o->port || o->port > UINT16_MAX ||
		!o->listen || !o->dir || *o->dir != '/' || *o->resolv != '/')
		return err_set(e, EINVAL, "caisson-dns is started by caisson only");
	return 0;
}

static int run(const struct dns_options *o, struct err *e)
{
	_cleanup_close_ int dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), lock = o->locked ? LOCK : -1;
	int r;

	if (dir < 0)
		return err_errno(e, errno, "open %s", o->dir);
	do {
		if (lock < 0)
			lock = fd_lock_file(dir, "dns.lock", true, false);
		if (lock == -EWOULDBLOCK)
			return 0;
		if (lock < 0)
			return err_errno(e, lock, "lock %s/dns.lock", o->dir);
		r = dns_serve(o, dir, e);
		close_fd(&lock);
	} while (r > 0 && dns_is_wanted(o, dir));
	return r < 0 ? r : 0;
}

int main(int argc, char **argv)
{
	struct dns_options o = {.resolv = "/etc/resolv.conf", .linger_s = LINGER_S, .port = 53};
	struct err e = ERR_INIT;

	umask(0022);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	int r = parse_options(argc, argv, &o, &e);
	if (r == 0) {
		if (o.locked)
			fd_cloexec(LOCK, true);
		close_range(o.locked ? LOCK + 1 : LOCK, ~0U, 0);
		r = run(&o, &e);
	}
	strv_free(o.listen);
	if (r < 0)
		fprintf(stderr, "caisson-dns: %s\n", e.msg);
	return r < 0;
}
