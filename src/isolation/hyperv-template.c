/*
 * Templates: a start that does not boot.
 *
 *   build   (hyperv-template-build.c) a VM boots with memory that is a memfd, and says HELLO. Before any secret, plan or disk is in it, QEMU writes the
 *           state of its devices out ("migrate" with x-ignore-shared: the memory stays where it is) and ends. Memory and state become one file,
 *           STATE/template/NAME.
 *   read    (hyperv-template-file.c) the file becomes a sealed memfd: it can be mapped and copied on write, but never changed, whatever the QEMU of
 *           a clone does. The first start that does so leaves it with caisson-template, which hands it to the next ones.
 *   clone   (hyperv.c) QEMU with the same devices maps the memory privately, reads the state, and the agent goes on where it was: waiting for START.
 *   plug    (hyperv-plug.c) a share, and more network cards than one, come when the clone runs. virtiofsd writes to the guest's memory, which cannot be a
 *           private mapping then: such a clone maps a copy of the memory.
 *
 *        STATE/template/NAME --read, checked--> memfd, sealed <==== caisson-template (RUN/template/NAME.sock)
 *                                                  |    |    |
 *                                               mapped privately by each clone's QEMU
 *
 * What is behind a device may differ from the template, the devices may not. So a template has a null disk of 1 TiB where a clone has the image and the
 * container's disk, and a card with a hardware address of its own, which START changes (AGENT_CARD_MAC).
 *
 * What clones share although they should not: entropy, clock, boot id. START brings the first two; the boot id is made when it is first read, which is in
 * the clone, after the entropy. They do share the addresses of the kernel's text and data (KASLR), which docs/security.md says.
 *
 * A template that turns out damaged is removed, and the start that found it boots as if there had been none.
 */
#include "isolation/hyperv-template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc.h"
#include "proto/agent.h"
#include "proto/template.h"

enum { HOLDER_MS = 2000 };

/* ---- names ---- */

/* The command line without what differs between shapes, containers and boots of the host. */
static int mix_arguments(uint64_t *hash, const struct vm_config *c)
{
	static const struct card card = {.mac = AGENT_CARD_MAC};
	struct vm_config plain = {.name = "template",
		.ram = 0, /* as a template has: with disks that stand for others */
		.cards = &card,
		.cards_len = 1,
		.accel = c->accel,
		.memory_mib = 256,
		.cpus = 1,
		.image = -1,
		.disk = -1,
		.scratch = -1,
		.share = -1};
	_cleanup_strv_ char **argv = NULL;
	int fds[VM_FDS_MAX];
	size_t n;
	int r = vm_argv(&plain, &argv, fds, &n);

	strv_foreach(a, argv) {
		*hash = hash_add(*hash, a, strlen(a) + 1);
	}
	return r;
}

int template_name(const struct isolation_host *h, const struct kernel *k, const struct vm_config *c,
	struct template_name *ret, struct err *e)
{
	uint64_t hash = HASH_INIT + TEMPLATE_FORMAT;
	char qemu[1024];
	int r = qemu_find(h, qemu, sizeof(qemu), e);

	if (r < 0)
		return r;
	_cleanup_free_ char *initrd = initrd_path(h, k, e);
	if (!initrd)
		return -e->code;
	const char *made_of = path_base(initrd); /* the kernel, the agent and its modules */
	hash = hash_add(hash, made_of, strlen(made_of));
	r = file_hash(&hash, qemu);
	if (r == 0)
		r = mix_arguments(&hash, c);
	if (r < 0)
		return err_errno(e, r, "look at what a template is made of");
	snprintf(ret->generation, sizeof(ret->generation), "%016llx", (unsigned long long)hash);
	snprintf(ret->text, sizeof(ret->text), "%s-%s-%llum-%uc-%zun", ret->generation, c->accel,
		(unsigned long long)c->memory_mib, c->cpus, (size_t)(c->cards_len > 0));
	return 0;
}

char *template_path(const struct isolation_host *h, const char *name)
{
	return str_fmt("%s/template%s%s", h->state_dir, *name ? "/" : "", name);
}

bool template_is_name(const char *s)
{
	return *s && !strpbrk(s, "./") && strlen(s) < sizeof(((struct template_name *)0)->text);
}

bool template_any(const struct isolation_host *h, const struct template_name *n)
{
	_cleanup_free_ char *path = template_path(h, "");
	_cleanup_closedir_ DIR *d = path ? opendir(path) : NULL;
	size_t len = strlen(n->generation);

	for (struct dirent *e; d && (e = readdir(d));)
		if (!strncmp(e->d_name, n->generation, len) && template_is_name(e->d_name))
			return true;
	return false;
}

/* ---- the holder ---- */

int template_run_dir(const struct isolation_host *h)
{
	_cleanup_free_ char *path = path_join(h->run_dir, TEMPLATE_RUN_DIR);
	int r = path ? mkdir_p(AT_FDCWD, path, 0700) : -ENOMEM;

	if (r < 0)
		return r;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Asks for the memory; -Exxx: nobody holds it. */
static int ask_holder(int dir, const struct template_name *n, struct template *t)
{
	_cleanup_free_ char *name = str_fmt("%s.sock", n->text);
	_cleanup_close_ int sock = name ? unix_connect(dir, name) : -ENOMEM;
	struct timeval wait = {.tv_sec = HOLDER_MS / 1000};
	size_t nfds = 1;
	char byte;

	if (sock < 0)
		return sock;
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	ssize_t got = fd_recv(sock, &byte, 1, &t->memory, &nfds);
	if (got != 1 || nfds != 1) {
		t->memory = -1;
		return got < 0 ? (int)got : -EPIPE;
	}
	int r = template_footer(t->memory, n->text, &t->footer);
	if (r < 0)
		close_fd(&t->memory);
	else
		t->holder = steal_fd(&sock);
	return r;
}

static int spawn_holder(const struct isolation_host *h, const struct template_name *n, const int fds[3])
{
	_cleanup_free_ char *program = path_join(h->libexec_dir, "caisson-template");
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	char linger[16];
	int moved[3];
	pid_t pid;

	if (!program)
		return -ENOMEM;
	snprintf(linger, sizeof(linger), "%u", h->template_linger_s);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++) {
		moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, TEMPLATE_FD_LOCK + 1);
		posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_RDWR, 0);
		posix_spawn_file_actions_adddup2(&actions, moved[i], TEMPLATE_FD_SOCKET + i);
	}
	int r = posix_spawn(&pid, program, &actions, &attr,
		(char *[]){(char *)"caisson-template", (char *)n->text, linger, NULL}, (char *[]){NULL});
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	for (int i = 0; i < 3; i++)
		close_fd(&moved[i]);
	return -r;
}

/* By a process in between: it is to be nobody's child, as it is no process of a container's. */
static int spawn_detached(const struct isolation_host *h, const struct template_name *n, const int fds[3])
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(-spawn_holder(h, n, fds));
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/* One for each name: the lock goes with the holder. */
static void start_holder(const struct isolation_host *h, int dir, const struct template_name *n, struct template *t)
{
	_cleanup_free_ char *lock_name = str_fmt("%s.lock", n->text), *name = str_fmt("%s.sock", n->text);
	_cleanup_close_ int lock = lock_name ? fd_lock_file(dir, lock_name, true, false) : -ENOMEM;
	_cleanup_close_ int sock = lock >= 0 && name ? unix_listen(dir, name, 0600) : -1;
	struct template mine = TEMPLATE_NONE;

	if (sock < 0)
		return;
	int r = spawn_detached(h, n, (int[]){sock, t->memory, lock});
	close_fd(&sock);
	if (r == 0)
		r = ask_holder(dir, n, &mine);
	if (r < 0)
		log_trace("vm", "caisson-template: %s", strerror(-r));
	close_fd(&mine.memory);
	t->holder = mine.holder;
}

/* ---- opening ---- */

static void end_holder(int dir, const char *name)
{
	static const char quit = TEMPLATE_QUIT;
	_cleanup_free_ char *sock_name = str_fmt("%s.sock", name);
	_cleanup_close_ int sock = dir < 0 || !sock_name ? -1 : unix_connect(dir, sock_name);

	if (sock >= 0)
		(void)!send(sock, &quit, 1, MSG_NOSIGNAL);
}

/* What is held may be of a file that is gone, with another of its name in its place. */
static int ask_for_file(int dir, const struct template_name *n, int file, struct template *ret)
{
	struct template_footer f;
	int r = ask_holder(dir, n, ret);

	if (r < 0 || (template_footer(file, n->text, &f) == 0 && f.hash == ret->footer.hash))
		return r;
	template_close(ret);
	end_holder(dir, n->text);
	return -ESTALE;
}

int template_open(const struct isolation_host *h, const struct template_name *n, struct template *ret, struct err *e)
{
	_cleanup_close_ int dir = template_run_dir(h);
	_cleanup_free_ char *path = template_path(h, n->text);

	*ret = TEMPLATE_NONE;
	if (!path)
		return err_nomem(e);
	_cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "there is no template %s", n->text);
	futimens(file, NULL); /* when it was last used */
	if (dir >= 0 && ask_for_file(dir, n, file, ret) == 0)
		return 0;
	int fd = template_read(path, n->text, &ret->footer, e);
	if (fd == -EBADMSG) {
		log_trace("vm", "%s: removed", e->msg);
		unlink(path);
		return -ENOENT;
	}
	if (fd < 0)
		return fd;
	ret->memory = fd;
	if (dir >= 0)
		start_holder(h, dir, n, ret);
	return 0;
}

int template_finish_disk(
	const struct isolation_host *h, const struct template *t, int fd, const char *path, struct err *e)
{
	_cleanup_free_ char *mine = template_path(h, t->footer.name);
	_cleanup_free_ char *disk = mine ? str_fmt(TEMPLATE_DISK, mine) : NULL;

	return disk ? template_fill_disk(disk, fd, path, &t->footer, e) : err_nomem(e);
}

int template_open_state(const struct template *t)
{
	char path[32];

	/* not a duplicate: the position is each reader's own */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->memory);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || lseek(fd, (off_t)t->footer.memory_len, SEEK_SET) < 0)
		return -errno;
	return steal_fd(&fd);
}

int template_make_copy(struct template *t)
{
	t->copy = memfd_create("caisson-clone", MFD_CLOEXEC);
	return t->copy < 0 || ftruncate(t->copy, (off_t)t->footer.memory_len) < 0 ? -errno : t->copy;
}

int template_fill_copy(struct template *t)
{
	_cleanup_close_ int to = steal_fd(&t->copy);

	return to < 0 ? 0 : fd_copy_sparse(t->memory, to, (off_t)t->footer.memory_len);
}

void template_close(struct template *t)
{
	close_fd(&t->copy);
	close_fd(&t->memory);
	close_fd(&t->holder);
}

int template_remove(const struct isolation_host *h, const char *name, struct err *e)
{
	_cleanup_free_ char *path = template_path(h, name);

	if (!path)
		return err_nomem(e);
	int r = !template_is_name(name) ? -ENOENT : unlink(path) < 0 ? -errno : 0;
	if (r == -ENOENT)
		return err_set(e, ENOENT, "No such template: %s", name);
	if (r < 0)
		return err_errno(e, r, "remove the template %s", name);
	_cleanup_free_ char *disk = str_fmt(TEMPLATE_DISK, path);
	if (disk)
		unlink(disk);
	_cleanup_close_ int dir = template_run_dir(h);
	end_holder(dir, name);
	return 0;
}
