/*
 * The directories ROOT/layers, with each layer unpacked, and ROOT/blobs, with the tar stream that it was unpacked from: the file HEX has the SHA-256 HEX
 * and is compressed as the registry sent it, so that images can be saved and pushed. Both change under one lock, ROOT/layers/.lock.
 *
 * Whoever adds layers holds the lock shared for as long as it has some that no image in the database uses yet; whoever
 * removes takes it exclusive, and leaves the work to the last adder if there is one.
 */
#pragma once

#include "base/err.h"

struct db;

#define PART_PREFIX "part-" /* in ROOT/blobs: a download that broke off, with the digest it is to have */

/* Make the directory if it is not there. */
int layers_open(struct db *d, int *ret_fd, struct err *e);
int blobs_open(struct db *d, int *ret_fd, struct err *e);
/* The lock, shared; released by closing it. Sweeps first if nobody else is adding. */
int layers_lock(struct db *d, int *ret_lock, struct err *e);
/* Removes what no image uses: layers, blobs, what is temporary, EROFS files. Does nothing while others add. */
int layers_sweep(struct db *d, struct err *e);
