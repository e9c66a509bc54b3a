/* Capabilities: names to sets, and a process's sets. */
#include "sandbox/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

static const char *const names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};
enum { NAMES = sizeof(names) / sizeof(*names) };

#define BIT(cap) (1ULL << (cap))
#define ALL      (BIT(NAMES) - 1)

/* What docker gives to a container that asks for nothing. */
static const uint64_t defaults = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |
	BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) |
	BIT(CAP_NET_RAW) | BIT(CAP_SYS_CHROOT) | BIT(CAP_MKNOD) | BIT(CAP_AUDIT_WRITE) | BIT(CAP_SETFCAP);

const char *caps_name(unsigned cap)
{
	return cap < NAMES ? names[cap] : NULL;
}

int caps_number(const char *name)
{
	for (int i = 0; i < NAMES; i++)
		if (!strcmp(names[i], name))
			return i;
	return -EINVAL;
}

/* The set that a list of users' names makes; *ret_all tells that ALL was among them. */
static int parse_list(char *const *list, const char *what, uint64_t *ret, bool *ret_all, struct err *e)
{
	*ret = 0;
	*ret_all = false;
	strv_foreach(s, list) {
		char name[64];
		if (!strcasecmp(s, "all")) {
			*ret_all = true;
			continue;
		}
		int n = snprintf(name, sizeof(name), "%s%s", strncasecmp(s, "cap_", 4) ? "CAP_" : "", s);
		for (char *c = name; *c; c++)
			if (*c >= 'a' && *c <= 'z')
				*c = (char)(*c - 'a' + 'A');
		int cap = n < (int)sizeof(name) ? caps_number(name) : -EINVAL;
		if (cap < 0)
			return err_set(e, EINVAL, "invalid %s: unknown capability: \"%s\"", what, name);
		*ret |= BIT(cap);
	}
	return 0;
}

int caps_from_names(char *const *add, char *const *drop, bool privileged, uint64_t *ret, struct err *e)
{
	uint64_t adds, drops;
	bool add_all, drop_all;
	int r = parse_list(add, "CapAdd", &adds, &add_all, e);

	if (r == 0)
		r = parse_list(drop, "CapDrop", &drops, &drop_all, e);
	if (r < 0)
		return r;
	if (privileged)
		*ret = ALL | CAPS_WHAT_THERE_IS;
	else if (add_all)
		*ret = (ALL & ~drops) | CAPS_WHAT_THERE_IS;
	else if (drop_all)
		*ret = adds;
	else
		*ret = (defaults & ~drops) | adds;
	return 0;
}

uint64_t caps_bounding(void)
{
	uint64_t caps = 0;

	for (int cap = 0; cap < 63; cap++) {
		int r = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (r < 0)
			break;
		if (r)
			caps |= BIT(cap);
	}
	return caps;
}

int caps_check(uint64_t caps, struct err *e)
{
	uint64_t missing = caps & ~caps_bounding();

	if (caps & CAPS_WHAT_THERE_IS)
		return 0;
	for (unsigned cap = 0; missing && cap < 63; cap++)
		if (missing & BIT(cap))
			return err_set(e, EPERM, "cannot give the capability %s: this process does not have it itself",
				caps_name(cap) ? caps_name(cap) : "(unknown)");
	return 0;
}

int caps_limit_bounding(uint64_t caps, struct err *e)
{
	for (int cap = 0; cap < 63; cap++) {
		if (caps & BIT(cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break; /* beyond the kernel's last one */
			return err_errno(e, errno, "drop capability %d from the bounding set", cap);
		}
	}
	return 0;
}

int caps_apply(uint64_t caps, uid_t uid, struct err *e)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	uint64_t set = uid == 0 ? caps & caps_bounding() : 0;
	struct __user_cap_data_struct d[2] = {
		{.effective = (uint32_t)set, .permitted = (uint32_t)set},
		{.effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32)},
	};

	/* an empty inheritable set empties the ambient one too */
	if (syscall(SYS_capset, &h, d) < 0)
		return err_errno(e, errno, "set the capabilities");
	return 0;
}
