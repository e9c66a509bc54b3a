/* From the kernel's hand-over to an open port: mounts, modules, the virtio-serial port by its name. */
#include "agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum { PORT_DEADLINE_MS = 20000, PORT_RETRY_MS = 2 };

static int mount_at(const char *type, const char *target, unsigned long flags, const char *data, struct err *e)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		return err_errno(e, errno, "make %s", target);
	if (mount(type, target, type, flags, data) < 0 && errno != EBUSY)
		return err_errno(e, errno, "mount %s", target);
	return 0;
}

/* pivot_root(2) refuses the kernel's first root: the sandbox needs one that is mounted on it. */
static int leave_first_root(struct err *e)
{
	if (mkdir("/root", 0700) < 0 && errno != EEXIST)
		return err_errno(e, errno, "make /root");
	if (mount("/", "/root", NULL, MS_BIND, NULL) < 0 || chdir("/root") < 0 ||
		mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_errno(e, errno, "move to a root that can be pivoted");
	return 0;
}

/* Descriptors 0 to 2 must not become something else's; what the agent and its children print goes to the
 * console. */
static int open_console(struct err *e)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		return err_errno(e, errno, "open /dev/console");
	if (fd > 2)
		close(fd);
	return 0;
}

/* Each on its own: a kernel may lack some, which sandbox_check then says where it matters. */
static void enable_controllers(void)
{
	static const char *const controllers[] = {"+cpu", "+memory", "+pids", "+cpuset", "+io"};

	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		file_write(AT_FDCWD, "/sys/fs/cgroup/cgroup.subtree_control", controllers[i]);
}

int boot_mounts(struct err *e)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int r = leave_first_root(e);

	if (r == 0)
		r = mount_at("devtmpfs", "/dev", MS_NOSUID, "mode=755", e);
	if (r == 0)
		r = open_console(e);
	if (r == 0)
		r = mount_at("proc", "/proc", flags, NULL, e);
	if (r == 0)
		r = mount_at("sysfs", "/sys", flags, NULL, e);
	if (r == 0)
		r = mount_at("cgroup2", "/sys/fs/cgroup", flags, NULL, e);
	if (r == 0)
		enable_controllers();
	return r;
}

/* Whether an earlier list had it: to read it again and be refused costs some ten milliseconds. */
static bool module_loaded(const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%.*s", (int)strcspn(file, "."), file);
	for (char *c = path; *c; c++)
		if (*c == '-')
			*c = '_';
	return access(path, F_OK) == 0;
}

/* "name.ko parameters": a file of AGENT_MODULES. */
static int load_module(int dir, char *line, struct err *e)
{
	char *parameters = strchr(line, ' ');

	if (parameters)
		*parameters++ = 0;
	if (module_loaded(line))
		return 0;
	_cleanup_close_ int fd = openat(dir, line, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, parameters ? parameters : "", 0) < 0 && errno != EEXIST))
		return err_errno(e, errno, "load the guest's module %s", line);
	return 0;
}

int boot_modules(const char *list, struct err *e)
{
	_cleanup_close_ int dir = open(AGENT_MODULES, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = {0};
	char *save = NULL;
	int r = dir < 0 ? -errno : file_read(dir, list, 64 * 1024, &b);

	if (r == -ENOENT || (r == 0 && !b.len))
		return 0; /* built into the kernel */
	if (r < 0)
		return err_errno(e, r, "read the list %s of the guest's modules", list);
	for (char *line = strtok_r(b.data, "\n", &save); line && r == 0; line = strtok_r(NULL, "\n", &save))
		r = load_module(dir, line, e);
	return r;
}

/* The kernel does not look at its PCIe slots by itself: their power is not controlled. One bus is a fifth faster to look at than all. */
int boot_plugged(unsigned bus, struct err *e)
{
	int r = boot_modules("plug", e);
	char path[64];

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/sys/class/pci_bus/0000:%02x/rescan", bus & 255);
	r = file_write(AT_FDCWD, path, "1");
	return r < 0 ? err_errno(e, r, "look for what was plugged into PCI bus %u", bus) : 0;
}

/* The device that the port's name belongs to, opened; -ENOENT while there is none. */
static int find_port(void)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/class/virtio-ports");
	char path[300], name[64];

	for (struct dirent *entry; d && (entry = readdir(d));) {
		snprintf(path, sizeof(path), "%s/name", entry->d_name);
		if (entry->d_name[0] == '.' || file_read_line(dirfd(d), path, name, sizeof(name)) < 0 ||
			strcmp(name, AGENT_PORT))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

int boot_open_port(int *ret_fd, struct err *e)
{
	uint64_t deadline = clock_mono_ms() + PORT_DEADLINE_MS;
	int fd;

	while ((fd = find_port()) == -ENOENT && clock_mono_ms() < deadline)
		nanosleep(&(struct timespec){.tv_nsec = PORT_RETRY_MS * 1000000L}, NULL);
	if (fd < 0)
		return err_errno(e, fd, "find the port %s", AGENT_PORT);
	*ret_fd = fd;
	return 0;
}
