/*
 * The directory ROOT/layers. Whoever adds layers holds the lock shared for as long as it has some that no image in the database uses yet; whoever
 * removes takes it exclusive, and leaves the work to the last adder if there is one.
 */
#pragma once

#include "base/err.h"

struct db;

/* Makes the directories; *ret_fd is ROOT/layers. */
int layers_open(struct db *d, int *ret_fd, struct err *e);
/* The lock, shared; released by closing it. Sweeps first if nobody else is adding. */
int layers_lock(struct db *d, int *ret_lock, struct err *e);
/* Removes what no image uses: layers, temporary directories, downloads, EROFS files. Does nothing while others add. */
int layers_sweep(struct db *d, struct err *e);
