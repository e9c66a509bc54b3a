/*
 * A tree of files as a stream of records: how the files of a container leave it and come in (cp, diff, export, commit).
 *
 * Records are frames as in frame.h. Who sends them may be hostile: what does not parse, a path that is not plain, or an end without FILES_END is an
 * error, and a reader needs memory for one record only.
 *
 *   ENTRY  DATA DATA ...  ENTRY  WHITEOUT  ...  END        a tree; DATA belongs to the regular file before it, holes are left out
 *   STAT_IS                                     END        what FILES_STAT has found
 *   CHANGE CHANGE ...                           END        FILES_DIFF
 *   ...                                         FAILED     in place of the end: why there is none
 *
 * The request stands in plan_process.files of an exec: the worker of sandbox/files.h carries it out, its stdout (and stdin for FILES_PUT) are the streams.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "proto/frame.h"

enum files_op {
	FILES_HOLD = 1, /* nothing: a container that stands for its files only, until its input ends */
	FILES_STAT,     /* path */
	FILES_GET,      /* path, and the name that the top of the tree gets; "." for a directory's contents */
	FILES_PUT,      /* path of a directory: the tree on stdin goes there */
	FILES_EXPORT,   /* the root file system without what is mounted in it */
	FILES_DIFF,     /* what differs from the image */
	FILES_LAYER,    /* the same as a tree: changed files, whiteouts for those that are gone */
	FILES_OP_LAST = FILES_LAYER
};
enum {
	FILES_KEEP_OWNERS = 1, /* PUT: entries' owners; else those of the process that writes */
	FILES_FREEZE = 2,      /* the container's processes stand still meanwhile */
};

struct files_request {
	uint32_t op, flags;
	char *path, *name; /* absolute; one plain component or "." */
};
int files_request_encode(const struct files_request *q, struct buf *b);
int files_request_decode(struct files_request *ret, const void *p, size_t n, struct err *e);
void files_request_done(struct files_request *q);

enum files_record_type {
	FILES_ENTRY = 1,
	FILES_DATA = 2,     /* u64 offset, bytes 1..FILES_DATA_MAX */
	FILES_WHITEOUT = 3, /* str path */
	FILES_CHANGE = 4,   /* u32 'A', 'C' or 'D', str path */
	FILES_STAT_IS = 5,  /* an entry whose link is where a symbolic link leads, inside the root */
	FILES_END = 6,
	FILES_FAILED = 7, /* u32 errno, str message */
};
enum { FILES_DATA_MAX = 64 * 1024, FILES_PATH_MAX = 4096, FILES_XATTRS_MAX = 64, FILES_XATTR_SIZE_MAX = 64 * 1024 };

struct files_xattr {
	char *name;
	const void *value; /* when read: borrowed from the reader until the next record */
	size_t len;
};
/*
 * mode: with the type; a socket is none. size: of a regular file; its last byte may lie beyond its last DATA. path: relative, plain components with
 * single slashes, or "." for the top. link: of a symbolic link where it leads; of a hard link (`hard`) the path of an entry before it.
 */
struct files_entry {
	uint32_t mode, uid, gid, major, minor;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size;
	bool hard;
	char *path, *link;
	struct files_xattr *xattrs;
	size_t xattrs_len;
};
void files_entry_done(struct files_entry *x);
void files_entry_stat(struct files_entry *x, const struct stat *st); /* all but path, link and xattrs */

struct files_record {
	enum files_record_type type;
	struct files_entry entry; /* ENTRY, STAT_IS */
	char *path;               /* WHITEOUT, CHANGE */
	uint32_t kind;            /* CHANGE */
	uint64_t offset;          /* DATA */
	const void *data;         /* borrowed */
	size_t len;
};
void files_record_done(struct files_record *r);

/* One frame as a record: -EBADMSG. FILES_FAILED returns its error, which is in *e. *ret needs files_record_done in any case. */
int files_record_decode(struct files_record *ret, const struct frame *f, struct err *e);
/* Whether this is a path as entries have them: not empty, no component "..", none "." but alone, no slash but between components. */
bool files_path_plain(const char *path);

/* From a blocking descriptor. 1: a record, which is not the end; 0: the end. Neither waits for more than the record. */
struct files_reader {
	int fd;
	struct frame_reader in;
};
int files_read(struct files_reader *r, struct files_record *ret, struct err *e);
void files_reader_done(struct files_reader *r);

/* To a blocking descriptor, in large pieces; -EPIPE when nobody reads. Functions return 0 or -errno. */
struct files_writer {
	int fd;
	struct buf out;
};
int files_write_entry(struct files_writer *w, enum files_record_type type, const struct files_entry *x);
int files_write_data(struct files_writer *w, uint64_t offset, const void *p, size_t n);
int files_write_whiteout(struct files_writer *w, const char *path);
int files_write_change(struct files_writer *w, char kind, const char *path);
int files_write_end(struct files_writer *w);                         /* and all is written */
int files_write_failed(struct files_writer *w, const struct err *e); /* the same */
void files_writer_done(struct files_writer *w);
