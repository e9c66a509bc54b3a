/* QEMU's command line, from numbers and descriptors alone: nothing here opens, runs or looks anything up. */
#include <errno.h>
#include <stdio.h>

#include "isolation/hyperv-private.h"
#include "proto/agent.h"

/*
 * What the VM has beyond what the workload may use. Measured with Debian's 6.1 cloud kernel: at 256 MiB it takes 39 MiB before the first
 * process (text, per-page structures, firmware), and with initramfs, modules, agent, slab and page cache of the root about 40 more;
 * per-page structures are 1/64 of all memory.
 */
enum { VM_DEFAULT_MIB = 1024, VM_BASE_MIB = 112, VM_PAGE_SHARE = 56, VM_LEAST_MIB = 256 };

#define VM_PLACEHOLDER_BYTES (1ULL << 40)

/*
 * What QEMU may keep of a guest's code as translated; when it is full, all of it is translated anew. A start needs 20 MiB, and python3 is as fast as with
 * no bound; at 32 MiB it takes 14 % more CPU time, at 16 MiB twice as much.
 */
enum { VM_CODE_MIB = 48 };

/* One request to discard is shorter than a page that the guest's kernel reports as free: the filter of hyperv-confine.c tells them apart by that. */
enum { VM_DISCARD_SECTORS = CONFINE_HOLE_BYTES / 512 - 8 };

uint64_t vm_memory_mib(uint64_t limit)
{
	uint64_t mib;

	if (!limit)
		return VM_DEFAULT_MIB;
	if (limit > (uint64_t)1 << 52)
		limit = (uint64_t)1 << 52;
	mib = (limit + ((1 << 20) - 1)) >> 20;
	mib += VM_BASE_MIB + mib / VM_PAGE_SHARE;
	uint64_t shape = VM_LEAST_MIB;
	while (shape < mib)
		shape *= 2;
	return shape;
}

unsigned vm_cpus(uint64_t nanocpus, unsigned host_cpus)
{
	uint64_t n = nanocpus ? nanocpus / 1000000000 + (nanocpus % 1000000000 != 0) : 2;

	if (host_cpus < 1)
		host_cpus = 1;
	return n > host_cpus ? host_cpus : (unsigned)n;
}

struct args {
	char **v;
	int *fds;
	size_t nfds;
	int r;
};

static void add(struct args *a, const char *s)
{
	if (a->r >= 0)
		a->r = strv_push(&a->v, s);
}

#define addf(a, ...)                                               \
	do {                                                       \
		if ((a)->r >= 0)                                   \
			(a)->r = strv_pushf(&(a)->v, __VA_ARGS__); \
	} while (0)

/* The number that the descriptor has in QEMU. */
static int give(struct args *a, int fd)
{
	a->fds[a->nfds] = fd;
	return CONFINE_FD + (int)a->nfds++;
}

/* Makes a file reachable as /dev/fdset/N; opening it there gives a duplicate, and only with the mode it was opened with. */
static int fdset(struct args *a, int fd)
{
	int n = give(a, fd);

	add(a, "-add-fd");
	addf(a, "fd=%d,set=%d", n, n);
	return n;
}

static void add_machine(struct args *a, const struct vm_config *c)
{
	bool kvm = c->accel[0] == 'k';

	add(a, "-M");
	addf(a, "microvm,acpi=on,pcie=on,pic=%s,pit=off,rtc=on,isa-serial=on,memory-backend=ram", kvm ? "on" : "off");
	add(a, "-accel");
	if (kvm)
		add(a, c->accel);
	else
		addf(a, "%s,tb-size=%d", c->accel, VM_CODE_MIB);
	add(a, "-cpu");
	/* with erms the guest's kernel copies by `rep movsb`, which is emulated byte by byte */
	add(a, kvm ? "host" : "max,-erms");
	add(a, "-smp");
	addf(a, "%u", c->cpus);
	add(a, "-m");
	addf(a, "%lluM", (unsigned long long)c->memory_mib);
	add(a, "-object");
	/* virtiofsd reads and writes the guest's memory itself, so that memory must be shared when there is one: a clone's is a copy then */
	if (c->ram < 0)
		addf(a, "memory-backend-memfd,id=ram,size=%lluM,share=%s", (unsigned long long)c->memory_mib,
			c->share >= 0 ? "on" : "off");
	else
		addf(a, "memory-backend-file,id=ram,size=%lluM,share=%s,mem-path=/proc/self/fd/%d",
			(unsigned long long)c->memory_mib, c->clone && c->share < 0 ? "off" : "on", give(a, c->ram));
	if (c->clone) {
		add(a, "-incoming");
		add(a, "defer");
	}
}

/*
 * A guest under emulation calibrates its clock against a timer that a busy host delays, and may then hang: it is told the frequency. With
 * more than one CPU it would take the clock for unstable without tsc=reliable. A panic reboots at once, which ends QEMU (-no-reboot); by a triple
 * fault, as the other ways of a PC sometimes hang here.
 */
static void add_kernel(struct args *a, const struct vm_config *c)
{
	_cleanup_buf_ struct buf line = {0};

	a->r = a->r < 0 ? a->r
			: buf_adds(&line,
				  "console=ttyS0 panic=-1 reboot=t quiet no_timer_check random.trust_cpu=on "
				  "cryptomgr.notests audit=0 nowatchdog rcupdate.rcu_expedited=1 "
				  "lsm=landlock,lockdown,yama,integrity,bpf");
	/* an emulated CPU does not speculate */
	if (a->r >= 0 && c->accel[0] == 't')
		a->r = buf_adds(&line, " mitigations=off");
	if (a->r >= 0 && c->tsc_khz && c->accel[0] == 't')
		a->r = buf_addf(&line, " tsc_early_khz=%llu lpj=%llu tsc=reliable", (unsigned long long)c->tsc_khz,
			(unsigned long long)c->tsc_khz * 2);
	/* these two are opened without QEMU's own layer, which knows /dev/fdset; both files are readable for all */
	add(a, "-kernel");
	addf(a, "/proc/self/fd/%d", give(a, c->kernel));
	add(a, "-initrd");
	addf(a, "/proc/self/fd/%d", give(a, c->initrd));
	add(a, "-append");
	add(a, line.data ? line.data : "");
}

/* A template's guest sees a disk that is larger than any that stands behind it in a clone: file systems have a size of their own. */
static void add_disk(struct args *a, const struct vm_config *c, int fd, const char *id, bool readonly)
{
	if (fd < 0 && c->ram < 0)
		return;
	int set = fd < 0 ? -1 : fdset(a, fd);
	add(a, "-blockdev");
	if (fd < 0)
		addf(a, "driver=null-co,node-name=%s,read-only=%s,discard=unmap,read-zeroes=on,size=%llu", id,
			readonly ? "on" : "off", (unsigned long long)VM_PLACEHOLDER_BYTES);
	else
		addf(a,
			"driver=raw,node-name=%s,read-only=%s,discard=unmap,file.driver=file,file.filename=/dev/fdset/"
			"%d,file.locking=off",
			id, readonly ? "on" : "off", set);
	add(a, "-device");
	addf(a, "virtio-blk-device,drive=%s,serial=%s,write-zeroes=off,max-discard-sectors=%d", id, id,
		VM_DISCARD_SECTORS);
}

/* The first card is virtio-mmio, which the guest finds without looking at PCI, and may be a template's; all else is plugged into PCIe ports. */
static void add_cards(struct args *a, const struct vm_config *c)
{
	for (size_t i = 0; i < c->cards_len; i++) {
		add(a, "-netdev");
		addf(a, "tap,id=net%zu,fd=%d,vhost=off", i, give(a, c->cards[i].tap));
	}
	if (c->cards_len) {
		add(a, "-device");
		/* no queue of commands, for each of which the guest would wait: the bridge filters already, and a clone is no news to it */
		addf(a,
			"virtio-net-device,netdev=net0,mac=%s,ctrl_vq=off,ctrl_rx=off,ctrl_rx_extra=off,ctrl_vlan=off,"
			"ctrl_mac_addr=off,ctrl_guest_offloads=off,guest_announce=off",
			c->cards[0].mac);
	}
	/* the guest numbers the buses behind them from 1, in this order */
	for (unsigned i = AGENT_SHARE_BUS; i < AGENT_CARDS_BUS + VM_SLOTS; i++) {
		add(a, "-device");
		addf(a, "pcie-root-port,id=port%u,slot=%u,chassis=%u,power_controller_present=off", i, i, i);
	}
}

char *vm_share_arguments(void)
{
	return str_fmt("\"driver\":\"vhost-user-fs-pci\",\"chardev\":\"share\",\"tag\":\"%s\",\"bus\":\"port%d\"",
		VM_SHARE_TAG, AGENT_SHARE_BUS);
}

char *vm_card_arguments(unsigned slot, unsigned number, const char *mac)
{
	return str_fmt("\"driver\":\"virtio-net-pci\",\"id\":\"card%u\",\"netdev\":\"net%u\",\"bus\":\"port%u\","
		       "\"mac\":\"%s\","
		       "\"romfile\":\"\"",
		number, number, AGENT_CARDS_BUS + slot, mac);
}

int vm_argv(const struct vm_config *c, char ***ret, int *fds, size_t *ret_nfds)
{
	struct args a = {.fds = fds};

	add(&a, "qemu-system-x86_64");
	add(&a, "-name");
	addf(&a, "guest=caisson-%s", c->name);
	add_machine(&a, c);
	for (const char *const *p = (const char *const[]){"-nodefaults", "-no-user-config", "-no-reboot", "-display",
		     "none", "-L", "/usr/share/qemu", "-bios", VMM_FIRMWARE, "-global",
		     "virtio-mmio.force-legacy=false", "-sandbox",
		     "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", NULL};
		*p; p++)
		add(&a, *p);
	if (!c->clone) /* it has one in its memory */
		add_kernel(&a, c);
	add(&a, "-chardev");
	addf(&a, "socket,id=console,fd=%d", give(&a, c->console));
	add(&a, "-serial");
	add(&a, "chardev:console");
	add(&a, "-chardev");
	addf(&a, "socket,id=qmp,fd=%d", give(&a, c->qmp));
	add(&a, "-mon");
	add(&a, "chardev=qmp,mode=control");
	add(&a, "-chardev");
	addf(&a, "socket,id=agent,fd=%d", give(&a, c->agent));
	add(&a, "-device");
	add(&a, "virtio-serial-device");
	add(&a, "-device");
	add(&a, "virtserialport,chardev=agent,name=" AGENT_PORT);
	add_disk(&a, c, c->image, "image", true);
	if (c->ram >= 0)
		add_disk(&a, c, c->scratch, "scratch", false);
	add_disk(&a, c, c->disk, "disk", false);
	add_cards(&a, c);
	if (c->share >= 0) {
		add(&a, "-chardev");
		addf(&a, "socket,id=share,fd=%d", give(&a, c->share));
	}
	/* the guest's kernel tells which pages are free, and QEMU gives them back to the host */
	add(&a, "-device");
	add(&a, "virtio-balloon-device,free-page-reporting=on");
	if (a.r < 0) {
		strv_free(a.v);
		return -ENOMEM;
	}
	*ret = a.v;
	*ret_nfds = a.nfds;
	return 0;
}
