/*
 * Templates: a utility VM that has booted is kept, and later starts are clones of it. The whole story: hyperv-template.c.
 *
 * A template belongs to one generation (kernel, initramfs with the agent, QEMU, command line) and one shape (acceleration, memory, CPUs, number of cards);
 * one of an image has that image mounted.
 */
#pragma once

#include "isolation/hyperv-private.h"

/* What a template is named by: "GENERATION-tcg-1024m-2c-1n", and that of an image "GENERATION-tcg-1024m-2c-1n-IMAGE". */
struct template_name {
	char generation[17];
	char text[80];
};
/* *c: accel, memory_mib, cpus, tsc_khz, cards_len count. Its files are looked at, not opened. */
int template_name(const struct isolation_host *h, const struct kernel *k, const struct vm_config *c,
	struct template_name *ret, struct err *e);

/*
 * The file STATE/template/NAME, and the sealed memfd made of it: the guest's memory, then the state of the devices as QEMU writes it, then this.
 * The hash is over all three and catches what a disk or a crash does to a file; who can write there is trusted.
 */
struct template_footer {
	char magic[8];
	uint32_t format, zero;
	uint64_t memory_len, state_len, hash;
	uint64_t disk_len, disk_hash; /* of NAME.disk, the scratch disk as the guest has it mounted */
	uint64_t tsc_khz;
	uint64_t built; /* seconds since 1970 */
	uint64_t image; /* template_image_hash of the image that its guest has mounted; 0: none */
	char name[80];
	char release[96]; /* of the guest's kernel */
};
enum { TEMPLATE_FORMAT = 3 };
#define TEMPLATE_DISK   "%s.disk"
#define TEMPLATE_WANTED "%s.wanted" /* in the run directory: a start has looked for it and there was none */

/* ---- hyperv-template-file.c ---- */
/* Writes a template from the memory and the scratch disk of a VM that has ended: into new files, renamed when whole. */
int template_write(const char *path, int memory, const void *state, int disk, struct template_footer *f, struct err *e);
/*
 * A copy of the scratch disk, in two steps: a descriptor of an empty file of its length, which QEMU may be given; what is in it, after which it has the
 * name `path`. -EBADMSG: the disk is damaged.
 */
int template_begin_disk(const char *path, const struct template_footer *f, struct err *e);
int template_fill_disk(const char *from, int to, const char *path, const struct template_footer *f, struct err *e);
/* Reads it into a sealed memfd, which is returned: -ENOENT, -EBADMSG for one that is damaged. */
int template_read(const char *path, const char *name, struct template_footer *ret, struct err *e);
/* Reads it to its end and keeps nothing; -EBADMSG for one that is damaged. name: NULL for any. */
int template_check(int file, const char *name, struct template_footer *ret);
/* The same of its scratch disk; not whole: its length. fd: -1 if there is none. */
int template_check_disk(int fd, const struct template_footer *f, bool whole);
/* The footer alone of a memfd or of a file; -EBADMSG. */
int template_footer(int fd, const char *name, struct template_footer *ret);

/* ---- hyperv-template.c ---- */
struct template
{
	int memory; /* the sealed memfd */
	int copy;   /* for a clone whose memory virtiofsd maps too; -1: none, or it has been filled */
	int holder; /* a connection to caisson-template, kept while the memory is used; -1: it could not be started */
	struct template_footer footer;
};
#define TEMPLATE_NONE ((struct template){.memory = -1, .copy = -1, .holder = -1})
/* -ENOENT: there is none, or it was damaged and has been removed. */
int template_open(const struct isolation_host *h, const struct template_name *n, struct template *ret, struct err *e);
/* The container's disk becomes a copy of the one that the template's guest has mounted: template_begin_disk and then this. */
int template_finish_disk(
	const struct isolation_host *h, const struct template *t, int fd, const char *path, struct err *e);
int template_open_state(const struct template *t); /* a descriptor of its own, placed where the devices' state begins */
/* A memfd as long as the memory, which QEMU may be given while it is empty. Filling it lets go of it here; nothing to do if there is none. */
int template_make_copy(struct template *t);
int template_fill_copy(struct template *t);
void template_close(struct template *t);
bool template_any(
	const struct isolation_host *h, const struct template_name *n); /* one of this generation, whatever its shape */
char *template_path(const struct isolation_host *h, const char *name);  /* the caller frees */
int template_run_dir(const struct isolation_host *h); /* RUN/template, made if missing: a descriptor (O_PATH) */
/* Everything else in the directory has a dot: NAME.lock, NAME.new, NAME.build. */
bool template_is_name(const char *s);

/* ---- hyperv-template-image.c ---- */
/* That of the same shape for an image, whose file is `erofs`. */
void template_image_name(const struct template_name *shape, const char *erofs, struct template_name *ret);
/* The image's part of a name, or NULL. */
const char *template_image_of(const char *name);
/* Tells whether a file is the one that a template's guest has mounted, short of reading it; never 0 but for an error. */
uint64_t template_image_hash(int erofs);
/* Removes one whose guest has another file mounted. */
void template_drop_stale(const struct isolation_host *h, const struct template_name *n, int erofs);
/* Whether it was asked for before: what is started once only needs no template. */
bool template_wanted_again(const struct isolation_host *h, const struct template_name *n);

/* ---- hyperv-template-list.c ---- */
/*
 * Removes what is left of builders and holders that were killed; and templates of other generations that nobody has used for a day, those of images
 * after a week, or when there are more than eight. generation: NULL for the first alone.
 */
void template_prune(const struct isolation_host *h, const char *generation);

/* Whether one more of an image would take the place of none that was used within the hour. */
bool template_room_for_image(const struct isolation_host *h);

/* ---- hyperv-template-failed.c ---- */
void template_build_failed(const struct isolation_host *h, const char *name, const char *why);
void template_build_worked(const struct isolation_host *h, const char *name);
/* So lately that it is not tried again; ret: why. */
bool template_failed_lately(const struct isolation_host *h, const char *name, char *ret, size_t size);
/* In words, of the template whose build failed last. */
bool template_last_failure(const struct isolation_host *h, char *ret, size_t size);

/* ---- hyperv-template-build.c ---- */
/*
 * Boots a VM as *c says (kernel and initrd open, and its image if it is to have one, but no disk) and keeps it. 0 also if it is there already. wait: while
 * another builds it, else -EBUSY.
 */
int template_build(const struct isolation_host *h, const struct template_name *n, const struct vm_config *c, bool wait,
	struct err *e);
/*
 * The same in a process of its own, "caisson-builder" in `ps`, that outlives the caller; not if another builds it. *c: no descriptors. image: the path of
 * its file, or NULL.
 */
void template_build_aside(const struct isolation_host *h, const struct kernel *k, const struct template_name *n,
	const struct vm_config *c, const char *image);
