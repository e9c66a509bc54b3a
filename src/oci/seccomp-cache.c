/* Compiled seccomp profiles, kept as files: header, profile, filter. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/str.h"
#include "oci/seccomp.h"

enum { FORMAT = 1, FILE_MAX = 2 << 20 };

/* Everything that a result depends on is compared; the hash only names the file. */
struct header {
	char magic[8];
	uint32_t format;
	uint32_t word;     /* size of a pointer: 32- and 64-bit programs share no entry */
	uint32_t compiler; /* libseccomp's version */
	uint32_t unused;
	char kernel[64]; /* its release, which minKernel asks for */
	uint64_t caps;
	uint64_t profile_len;
	uint64_t filter_len;
};

/* FNV-1a, 64 bits */
static uint64_t hash(uint64_t h, const void *p, size_t n)
{
	const uint8_t *s = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ s[i]) * 0x100000001b3ULL;
	return h;
}

static struct header make_header(size_t n, uint64_t caps)
{
	const struct scmp_version *v = seccomp_version();
	struct header h = {"caisscmp", FORMAT, sizeof(void *), 0, 0, "", caps, n, 0};
	struct utsname u;

	if (v)
		h.compiler = v->major << 16 | v->minor << 8 | v->micro;
	if (uname(&u) == 0)
		snprintf(h.kernel, sizeof(h.kernel), "%.63s", u.release);
	return h;
}

static int lookup(int dir, const char *name, const char *json, size_t n, uint64_t caps, char **ret_bpf, size_t *ret_len)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_buf_ struct buf b = {0};
	struct header want = make_header(n, caps), h;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		return -EPERM;
	int r = fd_read_to_end(fd, FILE_MAX, &b);
	if (r < 0)
		return r;
	if (b.len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, b.data, sizeof(h));
	want.filter_len = h.filter_len;
	if (memcmp(&h, &want, sizeof(h)) != 0 || !h.filter_len || h.filter_len % sizeof(struct sock_filter) ||
		h.filter_len > BPF_MAXINSNS * sizeof(struct sock_filter) || b.len != sizeof(h) + n + h.filter_len ||
		memcmp(b.data + sizeof(h), json, n) != 0)
		return -EBADMSG;
	char *filter = malloc(h.filter_len);
	if (!filter)
		return -ENOMEM;
	memcpy(filter, b.data + sizeof(h) + n, h.filter_len);
	*ret_bpf = filter;
	*ret_len = h.filter_len;
	return 0;
}

/* A cache that cannot be written is no error: the next start compiles again. */
static void store(int dir, const char *name, const char *json, size_t n, uint64_t caps, const char *bpf, size_t len)
{
	_cleanup_buf_ struct buf b = {0};
	struct header h = make_header(n, caps);

	h.filter_len = len;
	if (buf_add(&b, &h, sizeof(h)) == 0 && buf_add(&b, json, n) == 0 && buf_add(&b, bpf, len) == 0)
		file_replace(dir, name, b.data, b.len, 0600);
}

int seccomp_cached(
	int cache_dirfd, const char *json, size_t n, uint64_t caps, char **ret_bpf, size_t *ret_len, struct err *e)
{
	struct header h = make_header(n, caps);
	char name[40];

	snprintf(name, sizeof(name), "%016llx.bpf",
		(unsigned long long)hash(hash(0xcbf29ce484222325ULL, &h, sizeof(h)), json, n));
	if (cache_dirfd >= 0 && lookup(cache_dirfd, name, json, n, caps, ret_bpf, ret_len) == 0)
		return 0;
	int r = seccomp_compile(json, n, caps, ret_bpf, ret_len, e);
	if (r == 0 && cache_dirfd >= 0)
		store(cache_dirfd, name, json, n, caps, *ret_bpf, *ret_len);
	return r;
}
