/* What a VM costs the host: of all its processes, the monitor too. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"

enum { TEXT_MAX = 64 * 1024, CHILDREN_MAX = 16 };

/* Pages that several processes map count in parts. shared: whether memory of files in memory is its own. 0: it is gone. */
static uint64_t memory_of(pid_t pid, bool shared)
{
	_cleanup_buf_ struct buf b = {0};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (file_read(AT_FDCWD, path, TEXT_MAX, &b) < 0 || !b.data)
		return 0;
	return proc_kilobytes(b.data, "\nPss:") - (shared ? 0 : proc_kilobytes(b.data, "\nPss_Shmem:"));
}

static void add(pid_t pid, bool shared, uint64_t *memory, uint64_t *cpu_ns)
{
	uint64_t ms;

	*memory += memory_of(pid, shared);
	if (proc_cpu_ms(pid, &ms) == 0)
		*cpu_ns += ms * 1000000;
}

/* virtiofsd puts itself into namespaces, where its child does the work. */
static void add_with_children(pid_t pid, bool shared, uint64_t *memory, uint64_t *cpu_ns)
{
	char path[64], line[512] = "", *save = NULL;
	unsigned n = 0;

	add(pid, shared, memory, cpu_ns);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	if (file_read_line(AT_FDCWD, path, line, sizeof(line)) < 0)
		return;
	for (char *word = strtok_r(line, " ", &save); word && n < CHILDREN_MAX; word = strtok_r(NULL, " ", &save), n++)
		add((pid_t)atoi(word), shared, memory, cpu_ns);
}

void vm_cost(const struct vm *vm, bool clone, uint64_t *ret_memory, uint64_t *ret_cpu_ns)
{
	/* the memory that a clone maps is its template's, and what it has written there is no file's any more; virtiofsd shares the VM's own */
	bool own = !clone || vm->virtiofsd > 0;

	*ret_memory = *ret_cpu_ns = 0;
	add(getpid(), own, ret_memory, ret_cpu_ns);
	if (vm->qemu > 0)
		add(vm->qemu, own, ret_memory, ret_cpu_ns);
	if (vm->virtiofsd > 0)
		add_with_children(vm->virtiofsd, own, ret_memory, ret_cpu_ns);
}
