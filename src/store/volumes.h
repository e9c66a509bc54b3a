/* Named volumes in the database. Their files are in ROOT/volumes/NAME/_data. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct db;

struct volume_row {
	char *name;
	int64_t created_ns;
	bool anonymous; /* made for an image's VOLUME or a nameless -v: goes with its container on `rm -v` and `--rm` */
	char *labels;   /* JSON object */
};
void volume_row_done(struct volume_row *r);

extern const char volumes_schema[];

int volumes_insert(struct db *d, const struct volume_row *r, struct err *e); /* 1: new, 0: it existed */
int volumes_find(struct db *d, const char *name, struct volume_row *ret, struct err *e);
int volumes_delete(struct db *d, const char *name, struct err *e);
int volumes_each(
	struct db *d, int (*fn)(void *data, const struct volume_row *r, struct err *e), void *data, struct err *e);
