/*
 * Image archives, as `load` takes them: a tar, compressed or not, with a manifest.json (docker's) or an index.json (an OCI image layout). Everything in it is
 * hostile: the tar is read by a confined child, which makes of each regular file one whose name is a number, so that no name or link of the
 * archive ever meets a file system. What a name or a link means is worked out here, as text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"
#include "image/manifest.h"

enum { MEMBERS_MAX = 16384, MEMBER_NAME_SIZE = 256, IMAGES_MAX = 1024 };

struct member {
	enum { MEMBER_FILE, MEMBER_SYMLINK, MEMBER_HARDLINK } kind;
	uint32_t number; /* the file's name in the directory */
	uint64_t size;
	char digest[DIGEST_SIZE];
	char name[MEMBER_NAME_SIZE],
		target[MEMBER_NAME_SIZE]; /* both from the archive's root, clean; target: what a link means */
};

/* load-read.c: tells fn of every file and link. max_bytes: of all files together. Errors name the entry. */
typedef int load_member_fn(void *data, const struct member *m, struct err *e);
int load_extract(int fd, int dir_fd, uint64_t max_bytes, load_member_fn *fn, void *data, struct err *e);

/* members.c: the archive's files by name. */
struct members {
	struct member *list; /* by name, after members_sort */
	size_t n, room;
};
int members_add(struct members *m, const struct member *what, struct err *e);
/* To be found. A name that comes twice with different content is an error. */
int members_sort(struct members *m, struct err *e);
/* Through links. -ENOENT "NAME is not in the archive", -ELOOP. */
int members_find(const struct members *m, const char *name, const struct member **ret, struct err *e);
void members_done(struct members *m);
/* A name of the archive, or a link's target seen from the entry `from` (NULL: the root), made clean. */
int member_name(const char *from, const char *name, char ret[MEMBER_NAME_SIZE], struct err *e);

/* load-job.c: load_extract in a confined child; the members are sorted. */
int load_open(int fd, int dir_fd, struct members *ret, struct err *e);

/* load-list.c: what images the archive has. */
struct load_image {
	const struct member *config, *layers[LAYERS_MAX];
	const struct member *manifest; /* NULL in an archive that is docker's only */
	const char *media_type;        /* of the manifest */
	size_t n_layers;
	char **names; /* canonical, with tags */
};
struct load_images {
	struct load_image *list;
	size_t n;
};
int load_list(const struct members *m, int dir_fd, struct load_images *ret, struct err *e);
/* A text of at most max bytes, without a NUL. Appends. */
int load_text(int dir_fd, const struct member *m, size_t max, struct buf *ret, struct err *e);
void load_images_done(struct load_images *a);
