/* What START does to the guest before the workload runs, and what SHUTDOWN does after it. */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"

enum { NOFILE = 1048576, RESERVE_MIN = 16 << 20, RESERVE_MAX = 64 << 20, AHEAD_MAX = 8 << 20 };

int machine_clock(uint64_t ns, struct err *e)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

	return clock_settime(CLOCK_REALTIME, &t) < 0 ? err_errno(e, errno, "set the guest's clock") : 0;
}

/* What docker's containers have: the kernel's default of 1024 is too few for many servers. */
int machine_limits(struct err *e)
{
	struct rlimit files = {NOFILE, NOFILE}, procs = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_NPROC, &procs) < 0)
		return err_errno(e, errno, "raise the guest's limits");
	return 0;
}

static int mount_one(
	const char *source, const char *target, const char *type, unsigned long flags, const char *data, struct err *e)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		return err_errno(e, errno, "make %s in the guest", target);
	if (mount(source, target, type, flags, data) < 0)
		return err_errno(e, errno, "mount %s (%s) in the guest", source, type);
	return 0;
}

static int mount_disk(const char *device, struct err *e)
{
	int r = mount_one(device, AGENT_DISK, "ext4", 0, "discard,noinit_itable", e);

	if (r == 0 && mkdir(AGENT_DISK "/work", 0700) < 0 && errno != EEXIST)
		r = err_errno(e, errno, "make the container's work directory");
	return r;
}

/* An executable is read by page faults all over it: each would wait for the disk. And nothing is to be sorted
 * or held back for a disk that is a file. */
static const struct {
	const char *path, *value;
} settings[] = {
	{"/sys/block/vda/queue/read_ahead_kb", "2048"},
	{"/sys/block/vda/queue/scheduler", "none"},
	{"/sys/block/vdb/queue/scheduler", "none"},
	{"/sys/block/vdc/queue/scheduler", "none"},
	{"/sys/block/vda/queue/wbt_lat_usec", "0"},
	{"/sys/block/vdb/queue/wbt_lat_usec", "0"},
	{"/sys/block/vdc/queue/wbt_lat_usec", "0"},
};

static void tune_disks(void)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		file_write(AT_FDCWD, settings[i].path, settings[i].value);
}

int machine_ahead(struct err *e)
{
	tune_disks();
	int r = mount_disk("/dev/vdb", e);
	if (r == 0 && mkdir(AGENT_DISK "/upper", 0755) < 0)
		r = err_errno(e, errno, "make the container's upper directory");
	sync();
	return r;
}

/* The upper directory is the container's "/": a new one has the mode and owner of the image's. */
static int make_upper(bool is_new, struct err *e)
{
	struct stat st, up;

	if (mkdir(AGENT_DISK "/upper", 0755) == 0)
		is_new = true;
	else if (errno != EEXIST)
		return err_errno(e, errno, "make the container's upper directory");
	is_new |= access(AGENT_DISK "/work/work", F_OK) < 0; /* what a first mount makes */
	if (!is_new)
		return 0;
	if (stat(AGENT_IMAGE, &st) < 0 || stat(AGENT_DISK "/upper", &up) < 0 ||
		((st.st_uid != up.st_uid || st.st_gid != up.st_gid) &&
			chown(AGENT_DISK "/upper", st.st_uid, st.st_gid) < 0) ||
		(st.st_mode != up.st_mode && chmod(AGENT_DISK "/upper", st.st_mode & 07777) < 0))
		return err_errno(e, errno, "prepare the container's upper directory");
	return 0;
}

static int mount_image(struct err *e)
{
	return mount_one("/dev/vda", AGENT_IMAGE, "erofs", MS_RDONLY, NULL, e);
}

int machine_root(struct err *e)
{
	int r = mount_image(e);

	if (r == 0)
		r = make_upper(true, e);
	return r == 0 ? mount_one("overlay", AGENT_ROOT, "overlay", 0,
				"lowerdir=" AGENT_IMAGE ",upperdir=" AGENT_DISK "/upper,workdir=" AGENT_DISK "/work", e)
		      : r;
}

/* Only a file: a device or a fifo may do anything when it is opened. */
static void read_some(int root, const char *path)
{
	static char block[65536];
	_cleanup_close_ int at = fd_open_in_root(root, path, O_PATH, 0);
	char link[32];
	struct stat st;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
	bool is_file = at >= 0 && fstat(at, &st) == 0 && S_ISREG(st.st_mode);
	_cleanup_close_ int fd = is_file ? open(link, O_RDONLY | O_CLOEXEC) : -1;
	for (ssize_t n, left = fd < 0 ? 0 : AHEAD_MAX; left > 0 && (n = read(fd, block, sizeof(block))) > 0; left -= n)
		;
}

/* What most programs of an image begin with, so that clones have it in memory. */
static void read_ahead(void)
{
	static const char *const usual[] = {"/etc/passwd", "/etc/group", "/bin/sh", "/lib64/ld-linux-x86-64.so.2",
		"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/lib/ld-musl-x86_64.so.1"};
	_cleanup_close_ int root = open(AGENT_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; root >= 0 && i < sizeof(usual) / sizeof(*usual); i++)
		read_some(root, usual[i]);
}

int machine_image(struct err *e)
{
	int r = machine_root(e);

	if (r == 0)
		read_ahead();
	sync();
	return r;
}

int machine_disks(const struct start *s, struct err *e)
{
	bool ahead = s->flags & AGENT_DISK_MOUNTED;

	if (!ahead)
		tune_disks();
	int r = mount_image(e);
	if (r == 0 && !ahead)
		r = mount_disk(s->flags & AGENT_DISK_SECOND ? "/dev/vdc" : "/dev/vdb", e);
	return r == 0 ? make_upper(ahead, e) : r;
}

int machine_share(const char *tag, struct err *e)
{
	int r = boot_modules("share", e);

	if (r == 0)
		r = boot_plugged(AGENT_SHARE_BUS, e);
	return r == 0 ? mount_one(tag, AGENT_SHARE, "virtiofs", 0, NULL, e) : r;
}

int machine_fresh(const struct start *s, struct err *e)
{
	int r = machine_clock(s->time_ns, e);

	return r == 0 ? machine_seed(s->entropy, s->entropy_len, e) : r;
}

uint64_t machine_memory(void)
{
	char text[4096];
	_cleanup_close_ int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return 0;
	text[n] = 0;
	uint64_t available = proc_kilobytes(text, "MemAvailable:"), reserve = proc_kilobytes(text, "MemTotal:") / 32;
	if (reserve < RESERVE_MIN)
		reserve = RESERVE_MIN;
	if (reserve > RESERVE_MAX)
		reserve = RESERVE_MAX;
	return available > 2 * reserve ? (available - reserve) & ~(uint64_t)4095 : 0;
}

/*
 * All is written by now but what FUSE does behind its processes' backs, which it waits for here. What it asks of the host is only to sync the directory
 * that the shares are below, which is empty.
 */
void machine_settle(void)
{
	_cleanup_close_ int fd = open(AGENT_SHARE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		syncfs(fd);
}

void machine_stop(void)
{
	sync();
	umount2(AGENT_ROOT, MNT_DETACH);
	/* a mount that is still busy is at least clean afterwards */
	if (umount2(AGENT_DISK, 0) < 0)
		mount(NULL, AGENT_DISK, NULL, MS_REMOUNT | MS_RDONLY, NULL);
	for (;;) {
		reboot(RB_AUTOBOOT);
		pause();
	}
}
