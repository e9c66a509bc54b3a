/*
 * Which devices a container may use: docker's list plus the plan's, as text for the v1 controller and as a
 * BPF program for v2 (BPF_PROG_TYPE_CGROUP_DEVICE, written by hand). Kernel:
 * Documentation/admin-guide/cgroup-v1/devices.rst and cgroup-v2.rst.
 */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "plan/plan.h"

enum { DEVICE_MKNOD = 1, DEVICE_READ = 2, DEVICE_WRITE = 4, DEVICE_ANY = -1, DEVICE_RULES_MAX = 256 };

struct device_rule {
	char type;     /* 'b', 'c' */
	int32_t major; /* or DEVICE_ANY */
	int32_t minor;
	unsigned access; /* bits as above */
};

struct device_rules {
	struct device_rule rule[DEVICE_RULES_MAX];
	size_t len;
};

/* The defaults and those of the plan, whose nodes are looked up on this kernel. */
int device_rules_make(const struct plan *p, struct device_rules *ret, struct err *e);
void device_rule_format(const struct device_rule *r, char ret[48]); /* "c 1:3 rwm" */

enum { DEVICE_INSNS_MAX = 8 + 8 * DEVICE_RULES_MAX };
/* Writes the program; returns the number of instructions. */
size_t device_program(const struct device_rules *rules, struct bpf_insn *ret);
/* Loads it and attaches it to the v2 cgroup. */
int device_program_attach(const struct device_rules *rules, int cgroup, struct err *e);
/* Whether the kernel loads such programs. */
int device_program_check(struct err *e);
