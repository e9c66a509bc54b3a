/*
 * What the engine asks of the hyperv backend beside the table of isolation-ops.h: guest kernels, writable disks, and what this host has or lacks.
 *
 * Everything is below host->state_dir:
 *   kernel/VERSION/{vmlinuz,modules/,initrd-HASH.img}   guest kernels, unpacked from the distribution's packages, never installed
 *   kernel/VERSION-caisson/...                           one that `make kernel` built, VERSION being that of the source's package
 *   kernel.use                                           which of them `caisson kernel use` has chosen: a version, or the path of a file
 *   cache/disk-SIZE.ext4                                 empty file systems, copied for each container
 *   vmm-root/HASH/                                       the read-only root that QEMU runs in
 *   cache/accel.HASH                                     whether KVM boots a guest here, with one kernel
 *   template/NAME                                        virtual machines that have booted (hyperv-template.c)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "isolation/isolation.h"

/* Progress of something long, a line at a time. May be NULL. */
typedef void hyperv_notice_fn(void *data, const char *text);

struct kernel {
	char version
		[128]; /* "6.1.0-56-cloud-amd64", "6.1.192-2-caisson", or the file's name for a kernel of the user's */
	const char *origin; /* in words, static */
	char path[2048];    /* of the kernel's image */
	char dir[2048];     /* where its modules/ and initrd-*.img are */
	bool own;           /* a file of the user's, beside which nothing is written */
};

/* host->kernel, or what kernel_use has chosen, or the first of kernel_list. -ENOENT: "no guest kernel: run 'caisson kernel update'". */
int kernel_find(const struct isolation_host *h, struct kernel *ret, struct err *e);
/* The versions there are: what was built here before what was unpacked, the newest first; *ret is the caller's. */
int kernel_list(const struct isolation_host *h, char ***ret);
/* From now on the kernel of this version, or in this file if it has a slash, is the usual one; NULL: the first of kernel_list again. */
int kernel_use(const struct isolation_host *h, const char *which, struct err *e);
bool kernel_is_built(const char *version); /* by `make kernel` */
/* Fetches the distribution's newest cloud kernel with apt-get and unpacks it. 0 also if it is there already. */
int kernel_update(const struct isolation_host *h, hyperv_notice_fn *notice, void *data, struct err *e);
/* The version that apt would fetch, or `make kernel` build, without doing it; asks apt's cache, no network. */
int kernel_candidate(bool built, char *ret, size_t size, struct err *e);

enum { HYPERV_DISK_DEFAULT_GIB = 10 };
/* A container's disk before its first start: a file of no length at `path`, mode 0600. -EEXIST. */
int hyperv_disk_new(const char *path, struct err *e);
/* Makes `path` an empty sparse ext4 disk of `size` bytes (0: the default), mode 0600, by rename. */
int hyperv_disk_create(const struct isolation_host *h, const char *path, uint64_t size, struct err *e);

/* Bytes that files take on a disk, as its superblock said when the VM ended; what mkfs makes is in it. -EBADMSG: it is no such disk. */
int hyperv_disk_used(int fd, uint64_t *ret);

struct hyperv_need {
	const char *what; /* "qemu", "guest kernel", ... */
	bool ok;
	bool required;  /* without it nothing in hyperv mode starts */
	char text[512]; /* what was found; or what is missing, and the remedy */
};
typedef void hyperv_need_fn(void *data, const struct hyperv_need *need);
/* Calls fn for each thing that hyperv needs; boots nothing. Returns whether all that is required is there. */
bool hyperv_doctor(const struct isolation_host *h, hyperv_need_fn *fn, void *data);

/* "kvm" or "tcg" where that is known without booting a guest, else "". */
const char *hyperv_accel_known(const struct isolation_host *h);

/* ---- templates ---- */

struct template_info {
	char name[80], generation[17];
	char kernel[96]; /* its release */
	char accel[8];
	uint64_t memory_mib, size; /* size: of the file, on its disk, in bytes */
	unsigned cpus, cards;
	char image[13];      /* the first digits of the id of the image that is mounted in it; "": none */
	int64_t built, used; /* seconds since 1970 */
	bool damaged;        /* then name, size, used and held are all that is known */
	bool held;           /* a caisson-template has its memory */
};
/* The last used first; *ret is the caller's. whole: files are read to their end, which finds all damage, else their last bytes only. */
int template_list(const struct isolation_host *h, bool whole, struct template_info **ret, size_t *ret_len);

/* That of a container with these limits (0: none) and, or not, a network. */
struct template_shape {
	uint64_t memory, nanocpus;
	bool card;
};
/* Builds the template of a shape, and of an image if `erofs`, the path of its file, is not NULL; ret_name is "" if it was there. May probe KVM. */
int template_make(const struct isolation_host *h, const struct template_shape *s, const char *erofs,
	hyperv_notice_fn *notice, void *data, char ret_name[80], struct err *e);
/* Removes those of an image that is gone. id: "sha256:..." */
void template_forget_image(const struct isolation_host *h, const char *id);
/* -ENOENT. Machines that were cloned from it go on. */
int template_remove(const struct isolation_host *h, const char *name, struct err *e);
/* Removes what builders that were killed have left. */
void template_tidy(const struct isolation_host *h);
