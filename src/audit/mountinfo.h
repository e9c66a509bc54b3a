/* /proc/PID/mountinfo, parsed: proc_pid_mountinfo(5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct mount {
	unsigned major, minor;
	char *root;    /* of the mount, inside its file system */
	char *point;   /* relative to the root of the process that was read */
	char *options; /* of the mount: "rw,nosuid" */
	char *type, *source;
	char *super; /* options of the file system */
};

struct mounts {
	char *text; /* what the strings above point into */
	struct mount *v;
	size_t len;
};

/* Reads dir/mountinfo; lines that make no sense are left out. -errno; mounts_done also after a failure. */
int mounts_read(int dir, struct mounts *ret);
int mounts_parse(char *text, struct mounts *ret); /* takes the text over, which may be NULL */
void mounts_done(struct mounts *m);

bool mount_readonly(const struct mount *m); /* the mount itself, or its file system */
/* A file system that is a kernel interface and holds no files of the host's (proc, sysfs, cgroup, ...). */
bool mount_is_kernels(const struct mount *m);
/* The mount at that point that is on top of the others there; NULL: none. */
const struct mount *mounts_at(const struct mounts *m, const char *point);
