/*
 * KVM or emulation. A /dev/kvm that opens is no proof: nested hosts exist where it opens and no guest ever boots. So `auto` boots one under KVM with
 * a deadline, once; the verdict is kept in cache/accel.HASH under a key made from the boot, QEMU and the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"

enum { PROBE_MS = 3000, PROBE_MIB = 128, TSC_SAMPLE_MS = 20 };

int qemu_find(const struct isolation_host *h, char *ret, size_t size, struct err *e)
{
	const char *name = h->qemu ? h->qemu : "qemu-system-x86_64";

	if (proc_find_program(name, ret, size))
		return 0;
	return err_set(e, ENOENT, "%s not found: apt-get install qemu-system-x86", name);
}

int virtiofsd_find(const struct isolation_host *h, char *ret, size_t size, struct err *e)
{
	const char *name = h->virtiofsd ? h->virtiofsd : "virtiofsd";

	if (proc_find_program(name, ret, size))
		return 0;
	return err_set(e, ENOENT, "%s not found: apt-get install virtiofsd (Debian 12: qemu-system-common)", name);
}

/* ---- the probe ---- */

static int key(const struct isolation_host *h, const struct kernel *k, char ret[80])
{
	char qemu[1024], boot[37];
	struct stat q, kern;
	int r = qemu_find(h, qemu, sizeof(qemu), NULL);

	if (r < 0)
		return r;
	r = proc_boot_id(boot);
	if (r < 0)
		return r;
	if (stat(qemu, &q) < 0 || stat(k->path, &kern) < 0)
		return -errno;
	uint64_t v[] = {q.st_dev, q.st_ino, (uint64_t)q.st_size, (uint64_t)q.st_mtim.tv_sec, kern.st_dev, kern.st_ino,
		(uint64_t)kern.st_size, (uint64_t)kern.st_mtim.tv_sec};
	snprintf(ret, 80, "%s %016llx", boot, (unsigned long long)hash_add(HASH_INIT, v, sizeof(v)));
	return 0;
}

/* What the guest's agent says first proves that the kernel, its drivers and user space run. */
static bool wait_for_agent(int agent, int pidfd)
{
	uint64_t end = clock_mono_ms() + PROBE_MS;

	for (uint64_t now; (now = clock_mono_ms()) < end;) {
		struct pollfd p[2] = {{.fd = agent, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
		if (poll(p, 2, (int)(end - now)) <= 0)
			continue;
		if (p[0].revents & POLLIN)
			return true;
		if (p[1].revents)
			return false;
	}
	return false;
}

/* A pair whose first end is ours; the other is QEMU's. */
static int pair(int ours[3], int theirs[3], int k)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return -errno;
	ours[k] = s[0];
	theirs[k] = s[1];
	return 0;
}

static void trace_output(int fd)
{
	char text[1024];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n > 0)
		log_trace("vm", "probe: QEMU said: %.*s", (int)n, text);
}

static bool probe_with(const struct isolation_host *h, const struct kernel *k, int ours[3], int theirs[3])
{
	char qemu[1024], *root = NULL, **argv = NULL;
	_cleanup_close_ int kernel = open(k->path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int initrd = initrd_open(h, k, NULL);
	_cleanup_close_ int lock = -1, pidfd = -1, output = memfd_create("qemu-output", MFD_CLOEXEC);
	struct vm_config c = {.name = "probe",
		.accel = "kvm",
		.memory_mib = PROBE_MIB,
		.cpus = 1,
		.kernel = kernel,
		.initrd = initrd,
		.image = -1,
		.disk = -1,
		.ram = -1,
		.scratch = -1,
		.agent = theirs[0],
		.qmp = theirs[1],
		.console = theirs[2],
		.share = -1};
	int fds[VM_FDS_MAX];
	struct confine place = {.program = VMM_PROGRAM, .fds = fds, .output = output, .kvm = true};
	pid_t pid;
	bool ok = false;

	if (kernel >= 0 && initrd >= 0 && qemu_find(h, qemu, sizeof(qemu), NULL) == 0 &&
		vmm_root(h, qemu, &root, NULL) == 0 && confine_uid(h, "probe", &place.uid, &lock, NULL) == 0 &&
		vm_argv(&c, &argv, fds, &place.nfds) == 0) {
		struct err e = ERR_INIT;
		place.root = root;
		place.argv = argv;
		if (confine_spawn(&place, &pid, &pidfd, &e) == 0) {
			ok = wait_for_agent(ours[0], pidfd);
			pidfd_signal(pidfd, SIGKILL);
			waitpid(pid, NULL, 0);
			trace_output(output);
		} else {
			log_trace("vm", "probe: %s", e.msg);
		}
	}
	strv_free(argv);
	free(root);
	return ok;
}

static bool probe(const struct isolation_host *h, const struct kernel *k)
{
	int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1};
	bool ok = true;

	for (int i = 0; i < 3; i++)
		ok = ok && pair(ours, theirs, i) == 0;
	ok = ok && probe_with(h, k, ours, theirs);
	for (int i = 0; i < 3; i++) {
		close_fd(&ours[i]);
		close_fd(&theirs[i]);
	}
	return ok;
}

/* Each kernel has its own, as containers may have different ones. The caller frees. */
static char *verdict_path(const struct isolation_host *h, const struct kernel *k)
{
	uint64_t hash = hash_add(HASH_INIT, k->path, strlen(k->path));

	return str_fmt("%s/cache/accel.%016llx", h->state_dir, (unsigned long long)hash);
}

/* The kept verdict: 1 KVM boots, 0 it does not, -1 not known. */
static int kept(const char *path, const char *k)
{
	char line[128];
	size_t n = strlen(k);

	if (file_read_line(AT_FDCWD, path, line, sizeof(line)) < 0 || strncmp(line, k, n) != 0 || line[n] != ' ')
		return -1;
	return !strcmp(line + n + 1, "kvm") ? 1 : 0;
}

/* One prober at a time; those that waited find its verdict. */
static int verdict(const struct isolation_host *h, const struct kernel *k, bool *ret, struct err *e)
{
	_cleanup_free_ char *dir = path_join(h->state_dir, "cache");
	_cleanup_free_ char *path = verdict_path(h, k);
	_cleanup_free_ char *lock_path = path_join(h->state_dir, "cache/accel.lock");
	_cleanup_close_ int lock = -1;
	char now[80], line[128];

	if (!dir || !path || !lock_path)
		return err_nomem(e);
	int r = key(h, k, now);
	if (r < 0)
		return err_errno(e, r, "look at QEMU and the guest kernel");
	int known = kept(path, now);
	if (known < 0) {
		r = mkdir_p(AT_FDCWD, dir, 0700);
		if (r == 0)
			r = lock = fd_lock_file(AT_FDCWD, lock_path, true, true);
		if (r < 0)
			return err_errno(e, r, "lock %s", lock_path);
		known = kept(path, now);
	}
	if (known < 0) {
		known = probe(h, k);
		int n = snprintf(line, sizeof(line), "%s %s\n", now, known ? "kvm" : "tcg");
		r = file_replace(AT_FDCWD, path, line, (size_t)n, 0600);
		if (r < 0)
			return err_errno(e, r, "write %s", path);
	}
	*ret = known;
	return 0;
}

static int open_kvm(struct err *e)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, errno,
			"/dev/kvm cannot be used (accel=kvm); is virtualization on in the firmware, the module kvm "
			"loaded?");
	close(fd);
	return 0;
}

int accel_check(const struct isolation_host *h, struct err *e)
{
	const char *want = h->accel && *h->accel ? h->accel : "auto";

	if (!strcmp(want, "kvm"))
		return open_kvm(e);
	if (strcmp(want, "auto") != 0 && strcmp(want, "tcg") != 0)
		return err_set(e, EINVAL, "invalid accel (%s): use 'auto', 'kvm' or 'tcg'", want);
	return 0;
}

int accel_choose(const struct isolation_host *h, const struct kernel *k, const char **ret, const char **ret_notice,
	struct err *e)
{
	const char *want = h->accel && *h->accel ? h->accel : "auto";
	bool boots = false;

	*ret = "tcg";
	*ret_notice = NULL;
	int r = accel_check(h, e);
	if (r < 0 || !strcmp(want, "tcg"))
		return r;
	if (access("/dev/kvm", F_OK) < 0) { /* only auto comes here: accel_check has opened it for kvm */
		*ret_notice = "no /dev/kvm: using emulation, which is slow and no security boundary (set accel=tcg to "
			      "silence this)";
		return 0;
	}
	r = verdict(h, k, &boots, e);
	if (r < 0)
		return r;
	if (boots)
		*ret = "kvm";
	else if (!strcmp(want, "kvm"))
		return err_set(e, ENODEV,
			"/dev/kvm opens but a guest does not boot with it within %d s: set accel=tcg or accel=auto",
			PROBE_MS / 1000);
	else
		*ret_notice = "/dev/kvm does not boot a guest: using emulation, which is slow and no security boundary "
			      "(set accel=tcg to silence this)";
	return 0;
}

const char *hyperv_accel_known(const struct isolation_host *h)
{
	const char *want = h->accel && *h->accel ? h->accel : "auto";
	struct kernel k;
	char now[80];

	if (!strcmp(want, "tcg") || access("/dev/kvm", F_OK) < 0)
		return "tcg";
	if (kernel_find(h, &k, NULL) < 0 || key(h, &k, now) < 0)
		return "";
	_cleanup_free_ char *path = verdict_path(h, &k);
	int known = path ? kept(path, now) : -1;
	return known < 0 ? "" : known ? "kvm" : "tcg";
}

/* ---- the clock ---- */

#ifdef __x86_64__
/* The counter and the time it had, taken as close together as some tries allow. */
static void sample(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		struct timespec t;
		uint64_t before = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC, &t);
		uint64_t after = __rdtsc();
		if (after - before < best) {
			best = after - before;
			*tsc = before + best / 2;
			*ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
		}
	}
}

static uint64_t measure(void)
{
	uint64_t tsc[2], ns[2];
	struct timespec wait = {.tv_nsec = TSC_SAMPLE_MS * 1000000};

	sample(&tsc[0], &ns[0]);
	nanosleep(&wait, NULL);
	sample(&tsc[1], &ns[1]);
	return ns[1] > ns[0] ? (uint64_t)((__uint128_t)(tsc[1] - tsc[0]) * 1000000 / (ns[1] - ns[0])) : 0;
}
#else
static uint64_t measure(void)
{
	return 0;
}
#endif

uint64_t accel_tsc_khz(const struct isolation_host *h)
{
	_cleanup_free_ char *path = path_join(h->run_dir, "tsc");
	char line[80], now[80], boot[37];
	uint64_t khz;

	if (!path || proc_boot_id(boot) < 0)
		return measure();
	if (file_read_line(AT_FDCWD, path, line, sizeof(line)) >= 0 && !strncmp(line, boot, 36) && line[36] == ' ' &&
		parse_u64(line + 37, &khz) == 0)
		return khz;
	khz = measure();
	int n = snprintf(now, sizeof(now), "%s %llu\n", boot, (unsigned long long)khz);
	file_replace(AT_FDCWD, path, now, (size_t)n, 0600);
	return khz;
}
