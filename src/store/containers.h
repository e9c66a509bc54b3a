/*
 * Containers in the database: what each is (a JSON text that the engine makes and reads) and the last state that was recorded.
 * Whether a container runs now is told by its run directory (container/state.h); the row says what was true when it last changed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct db;

enum container_status { CONTAINER_CREATED = 0, CONTAINER_RUNNING = 1, CONTAINER_EXITED = 2, CONTAINER_REMOVING = 3 };

struct container_row {
	char id[65];
	char *name;     /* without a slash */
	char *image_id; /* "sha256:..." */
	char *record;   /* JSON */
	int64_t created_ns;
	bool auto_remove;
	enum container_status status;
	pid_t pid;
	int exit_code;
	bool oom;
	char *error;
	int64_t started_ns, finished_ns; /* 0: never */
	char *accel;                     /* of the last run in a VM; "" otherwise */
	char *boot_id;                   /* of the host when it was started */
	uint32_t restarts;               /* by its restart policy, since somebody started it */
	bool by_hand;                    /* somebody asked for its last end */
};
void container_row_done(struct container_row *r); /* leaves it zeroed */
struct container_row container_row_copy(const struct container_row *r);

extern const char containers_schema[], containers_restarts_schema[];

int containers_insert(struct db *d, const struct container_row *r,
	struct err *e); /* -EEXIST: the name is taken; e names its holder */
/* By full id, name, or unique id prefix, in this order. -ENOENT, -ENOTUNIQ. */
int containers_find(struct db *d, const char *ref, struct container_row *ret, struct err *e);
int containers_rename(struct db *d, const char *id, const char *name, struct err *e);
/* Only if the record is still `old`: 1, else 0. */
int containers_set_record(struct db *d, const char *id, const char *old, const char *record, struct err *e);
int containers_set_state(
	struct db *d, const struct container_row *r, struct err *e); /* status ... by_hand of the row with this id */
int containers_delete(struct db *d, const char *id, struct err *e);  /* 1: it was there, 0: not */
/* Newest first; fn returns 0 to go on. */
int containers_each(
	struct db *d, int (*fn)(void *data, const struct container_row *r, struct err *e), void *data, struct err *e);
/* Whether any container is made of this image; ret_id is one of them. */
int containers_use_image(struct db *d, const char *image_id, char ret_id[65], struct err *e); /* 1, 0 */
