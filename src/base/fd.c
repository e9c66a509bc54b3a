/* File descriptors: whole reads and writes, atomic replacement, look-ups inside a root, locks, descriptor passing. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

int fd_write_all(int fd, const void *p, size_t n)
{
	const char *s = p;

	while (n) {
		ssize_t k = write(fd, s, n);
		if (k < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
			continue;
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		s += k;
		n -= (size_t)k;
	}
	return 0;
}

ssize_t fd_read_full(int fd, void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t k = read(fd, (char *)p + done, n - done);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (!k)
			break;
		done += (size_t)k;
	}
	return (ssize_t)done;
}

int fd_read_to_end(int fd, size_t max, struct buf *b)
{
	size_t start = b->len;

	for (;;) {
		if (buf_reserve(b, 4096) < 0)
			return -ENOMEM;
		ssize_t k = read(fd, b->data + b->len, b->size - b->len - 1);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		b->len += (size_t)k;
		b->data[b->len] = 0;
		if (b->len - start > max)
			return -EFBIG;
		if (!k)
			return 0;
	}
}

static int change_flags(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags < 0 || fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
		return -errno;
	return 0;
}

int fd_nonblock(int fd, bool on)
{
	return change_flags(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_cloexec(int fd, bool on)
{
	return change_flags(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int fd_keep(int first, int *const fds[], size_t n)
{
	int end = first + (int)n;

	/* two steps, as a descriptor may have the number that another is to get */
	for (size_t i = 0; i < n; i++) {
		int copy = fcntl(*fds[i], F_DUPFD_CLOEXEC, end);
		if (copy < 0)
			return -errno;
		*fds[i] = copy;
	}
	for (size_t i = 0; i < n; i++) {
		int to = first + (int)i;
		if (dup3(*fds[i], to, to > 2 ? O_CLOEXEC : 0) < 0)
			return -errno;
		*fds[i] = to;
	}
	return close_range((unsigned)end, ~0U, 0) < 0 ? -errno : 0;
}

DIR *dir_open(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

int file_read(int dirfd, const char *path, size_t max, struct buf *b)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_read_to_end(fd, max, b);
}

int file_read_line(int dirfd, const char *path, char *ret, size_t size)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = fd_read_full(fd, ret, size);
	if (n < 0)
		return (int)n;
	char *end = memchr(ret, '\n', (size_t)n);
	if (!end && (size_t)n == size)
		return -ENOSPC;
	*(end ? end : ret + n) = 0;
	return 0;
}

int file_write(int dirfd, const char *path, const char *s)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, s, strlen(s)) < 0 ? -errno : 0;
}

int file_replace(int dirfd, const char *path, const void *p, size_t n, mode_t mode)
{
	char tmp[512];

	if (snprintf(tmp, sizeof(tmp), "%s.tmp-%d", path, getpid()) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	int r = fd_write_all(fd, p, n);
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, tmp, 0);
	return r;
}

int fd_open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	/* EAGAIN: a rename elsewhere raced with "..", see openat2(2) */
	for (int tries = 0; tries < 64; tries++) {
		long fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

enum { FDS_MAX = 16 };

int fd_send(int sock, const void *p, size_t n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)p, .iov_len = n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nfds > FDS_MAX || !n)
		return -EINVAL;
	if (nfds) {
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	ssize_t k;
	do
		k = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (k < 0 && errno == EINTR);
	return k < 0 ? -errno : (size_t)k < n ? fd_write_all(sock, (const char *)p + k, n - (size_t)k) : 0;
}

ssize_t fd_recv(int sock, void *p, size_t n, int *ret_fds, size_t *ret_nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = p, .iov_len = n};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space)};
	size_t room = ret_nfds ? *ret_nfds : 0, count = 0;
	ssize_t k;

	do
		k = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < got; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < room)
				ret_fds[count++] = fd;
			else
				close(fd);
		}
	}
	if (ret_nfds)
		*ret_nfds = count;
	return k;
}

int fd_lock_file(int dirfd, const char *path, bool exclusive, bool wait)
{
	for (;;) {
		_cleanup_close_ int fd = openat(dirfd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat a, b;

		if (fd < 0)
			return -errno;
		while (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)) < 0)
			if (errno != EINTR)
				return -errno;
		/* the file may have been removed by the holder that we waited for */
		if (fstat(fd, &a) < 0)
			return -errno;
		if (fstatat(dirfd, path, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
			return steal_fd(&fd);
	}
}

static int unix_address(int dirfd, const char *name, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = dirfd == AT_FDCWD ? snprintf(a->sun_path, sizeof(a->sun_path), "%s", name)
				  : snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	return n < (int)sizeof(a->sun_path) ? 0 : -ENAMETOOLONG;
}

/* A new socket and the address of `name`. */
static int unix_socket(int dirfd, const char *name, struct sockaddr_un *a)
{
	int r = unix_address(dirfd, name, a);

	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int unix_connect(int dirfd, const char *name)
{
	struct sockaddr_un a;
	_cleanup_close_ int fd = unix_socket(dirfd, name, &a);

	if (fd < 0)
		return fd;
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : steal_fd(&fd);
}

int unix_listen(int dirfd, const char *name, mode_t mode)
{
	struct sockaddr_un a;
	_cleanup_close_ int fd = unix_socket(dirfd, name, &a);

	if (fd < 0)
		return fd;
	unlinkat(dirfd, name, 0);
	mode_t old = umask(0777 & ~mode);
	int r = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(old);
	if (r == 0 && listen(fd, 64) < 0)
		r = -errno;
	return r < 0 ? r : steal_fd(&fd);
}

/* copy_file_range(2) does not go from one kind of file system to another. */
static ssize_t copy_some(int from, off_t *at, int to, off_t *out, size_t n)
{
	ssize_t done = copy_file_range(from, at, to, out, n, 0);

	if (done >= 0 || errno != EXDEV)
		return done;
	if (lseek(to, *out, SEEK_SET) < 0)
		return -1;
	done = sendfile(to, from, at, n);
	*out += done > 0 ? done : 0;
	return done;
}

int fd_copy_sparse(int from, int to, off_t size)
{
	off_t at = 0;

	if (ftruncate(to, size) < 0)
		return -errno;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0 && at < size) {
		off_t end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		if (end > size)
			end = size;
		for (off_t out = at; at < end;) {
			ssize_t n = copy_some(from, &at, to, &out, (size_t)(end - at));
			if (n <= 0)
				return n < 0 ? -errno : -EIO;
		}
	}
	return at >= 0 || errno == ENXIO ? 0 : -errno;
}
