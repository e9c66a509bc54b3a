/* The thread with the filter: made, and let go. */
#include "sandbox/filtered.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/first.h"
#include "sandbox/seccomp.h"

enum { STACK_BYTES = 256 * 1024 };
enum turn { TURN_NONE, TURN_THREAD, TURN_READY, TURN_LAUNCH };

static void wait_while(uint32_t *turn, uint32_t value)
{
	while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == value)
		syscall(SYS_futex, turn, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void give(uint32_t *turn, uint32_t value)
{
	__atomic_store_n(turn, value, __ATOMIC_RELEASE);
	syscall(SYS_futex, turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static int thread(void *data)
{
	struct filtered *f = data;
	int r = launch_leave_keyring(f->error);

	if (r == 0)
		seccomp_install(f->filter, f->len, f->error);
	give(&f->turn, TURN_READY);
	wait_while(&f->turn, TURN_READY);
	launch(f->launch, f->error);
	first_die(f->launch->sock, f->error);
}

int filtered_make(struct filtered *f, const void *filter, size_t len, struct err *e)
{
	*f = (struct filtered){.filter = filter, .len = len, .turn = TURN_NONE, .error = e};
	if (!len)
		return 0;
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return err_errno(e, errno, "make a stack");
	f->turn = TURN_THREAD;
	int flags = CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	if (clone(thread, stack + STACK_BYTES, flags, f) < 0)
		return err_errno(e, errno, "make a thread");
	wait_while(&f->turn, TURN_THREAD);
	return -e->code;
}

bool filtered_fits(const struct filtered *f, const struct plan_process *p)
{
	return f->turn == TURN_READY && p->seccomp && p->seccomp_len == f->len &&
		!memcmp(p->seccomp, f->filter, f->len);
}

_Noreturn void filtered_launch(struct filtered *f, const struct launch *l, struct err *e)
{
	f->launch = l;
	f->error = e;
	give(&f->turn, TURN_LAUNCH);
	for (;;)
		syscall(SYS_pause);
}
