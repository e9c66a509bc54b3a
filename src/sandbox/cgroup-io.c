/*
 * Block devices in cgroups: what may be read and written of one, a container's share of it, and what was.
 *
 *   v1   blkio.throttle.{read,write}_{bps,iops}_device   "MAJ:MIN N", N = 0 lifts it
 *        blkio.weight[_device], or with BFQ blkio.bfq.weight[_device]
 *   v2   io.max "MAJ:MIN rbps=N wbps=N riops=N wiops=N", io.weight or io.bfq.weight "default N", "MAJ:MIN N"
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "sandbox/cgroup.h"

enum { STAT_MAX = 256 * 1024 };

static const struct {
	const char *v1, *v2;
} rates[] = {
	[PLAN_IO_READ_BPS] = {"blkio.throttle.read_bps_device", "rbps"},
	[PLAN_IO_WRITE_BPS] = {"blkio.throttle.write_bps_device", "wbps"},
	[PLAN_IO_READ_IOPS] = {"blkio.throttle.read_iops_device", "riops"},
	[PLAN_IO_WRITE_IOPS] = {"blkio.throttle.write_iops_device", "wiops"},
};

uint64_t cgroup_io_weight(uint64_t weight)
{
	weight = weight < 10 ? 10 : weight > 1000 ? 1000 : weight;
	return 1 + (weight - 10) * 9999 / 990;
}

static int device_of(const struct plan_io *io, dev_t *ret, struct err *e)
{
	struct stat st;
	char path[96];

	if (str_empty(io->path) || stat(io->path, &st) < 0)
		return err_errno(e, errno, "stat %s", io->path ? io->path : "");
	if (!S_ISBLK(st.st_mode))
		return err_set(e, ENOTBLK, "%s is not a block device", io->path);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(st.st_rdev), minor(st.st_rdev));
	if (access(path, F_OK) == 0)
		return err_set(e, EINVAL, "%s is a partition: only whole disks have limits", io->path);
	*ret = st.st_rdev;
	return 0;
}

int cgroup_io_check(const struct plan *p, struct err *e)
{
	dev_t dev;
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->io_len; i++)
		r = device_of(&p->io[i], &dev, e);
	if (r == 0 && p->io_len && !(cgroup_can() & CGROUP_CAN_IO_RATE))
		r = err_set(e, ENOTSUP, "Your kernel does not support Block I/O limits or the cgroup is not mounted");
	return r;
}

static int set(const struct cgroup *c, const char *file, const char *text, struct err *e)
{
	int fd = cgroup_fd(c, "blkio");
	int r = file_write(c->v2 ? c->dir[0].fd : fd, file, text);

	return r < 0 ? err_errno(e, r, "set %s of cgroup %s to %s", file, c->path, text) : 0;
}

/* The scheduler of BFQ has files of its own. */
static const char *weight_file(const struct cgroup *c, bool device)
{
	const char *plain = c->v2 ? "io.weight" : device ? "blkio.weight_device" : "blkio.weight";
	const char *bfq = c->v2 ? "io.bfq.weight" : device ? "blkio.bfq.weight_device" : "blkio.bfq.weight";
	int fd = cgroup_fd(c, "blkio");

	return fd >= 0 && faccessat(fd, plain, F_OK, 0) < 0 && faccessat(fd, bfq, F_OK, 0) == 0 ? bfq : plain;
}

static uint64_t weight(const char *file, uint64_t w)
{
	return !strcmp(file, "io.weight") ? cgroup_io_weight(w) : w;
}

static int limit_device(const struct cgroup *c, const struct plan_io *io, struct err *e)
{
	char text[96];
	dev_t dev;
	int r = device_of(io, &dev, e);

	if (r < 0)
		return r;
	unsigned maj = major(dev), min = minor(dev);
	unsigned long long value = io->value;
	if (io->kind == PLAN_IO_WEIGHT) {
		const char *file = weight_file(c, true);
		snprintf(text, sizeof(text), "%u:%u %llu", maj, min, (unsigned long long)weight(file, value));
		return set(c, file, text, e);
	}
	if (!c->v2) {
		snprintf(text, sizeof(text), "%u:%u %llu", maj, min, value);
		return set(c, rates[io->kind].v1, text, e);
	}
	if (value)
		snprintf(text, sizeof(text), "%u:%u %s=%llu", maj, min, rates[io->kind].v2, value);
	else
		snprintf(text, sizeof(text), "%u:%u %s=max", maj, min, rates[io->kind].v2);
	return set(c, "io.max", text, e);
}

int cgroup_io_limit(const struct cgroup *c, const struct plan *p, struct err *e)
{
	char text[48];
	int r = 0;

	if (p->blkio_weight) {
		const char *file = weight_file(c, false);
		snprintf(text, sizeof(text), c->v2 ? "default %llu" : "%llu",
			(unsigned long long)weight(file, p->blkio_weight));
		r = set(c, file, text, e);
	}
	for (size_t i = 0; r == 0 && i < p->io_len; i++)
		r = limit_device(c, &p->io[i], e);
	return r;
}

/* v1: "8:0 Read 4096" and at the end "Total 8192"; v2: "8:0 rbytes=4096 wbytes=0 ...". */
void cgroup_io_sum(char *text, bool v2, uint64_t *ret_read, uint64_t *ret_written)
{
	char *line, *word;

	*ret_read = *ret_written = 0;
	while ((line = strsep(&text, "\n"))) {
		uint64_t *to = NULL, n;
		while ((word = strsep(&line, " "))) {
			bool pair = v2 && (!strncmp(word, "rbytes=", 7) || !strncmp(word, "wbytes=", 7));
			if (pair)
				to = *word == 'r' ? ret_read : ret_written;
			if (to && parse_u64(pair ? word + 7 : word, &n) == 0 && __builtin_add_overflow(*to, n, to))
				*to = UINT64_MAX;
			to = v2 ? NULL : !strcmp(word, "Read") ? ret_read : !strcmp(word, "Write") ? ret_written : NULL;
		}
	}
}

void cgroup_io_bytes(const struct cgroup *c, uint64_t *ret_read, uint64_t *ret_written)
{
	static const char *const v1[] = {
		"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"};
	_cleanup_buf_ struct buf b = {0};
	int fd = cgroup_fd(c, "blkio"), r = -ENOENT;

	*ret_read = *ret_written = UINT64_MAX;
	if (fd >= 0)
		r = file_read(fd, c->v2 ? "io.stat" : v1[0], STAT_MAX, &b);
	if (fd >= 0 && r < 0 && !c->v2)
		r = file_read(fd, v1[1], STAT_MAX, &b);
	if (r >= 0)
		cgroup_io_sum(b.data ? b.data : (char[]){""}, c->v2, ret_read, ret_written);
}
