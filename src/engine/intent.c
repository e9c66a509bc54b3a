/* Notes of what a killed creation or removal would leave behind, and their sweeping. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/engine-private.h"

#define INTENTS "intents"

enum { INTENT_MAX = 1024 * 1024 };

static int open_directory(struct engine *g)
{
	int r = mkdir_p(g->root_fd, INTENTS, 0700);
	int fd = r < 0 ? r : openat(g->root_fd, INTENTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return r < 0 ? r : fd < 0 ? -errno : fd;
}

void intent_done(struct intent *i)
{
	close_fd(&i->fd);
}

int intent_begin(struct engine *g, const char *id, const json_t *record, struct intent *ret, struct err *e)
{
	_cleanup_buf_ struct buf names = {0};
	size_t i;
	json_t *m;
	int r = 0;

	json_array_foreach(json_object_get(record, "Mounts"), i, m)
		if (r == 0 && json_flag(m, "Anonymous"))
			r = buf_addf(&names, "%s\n", json_str(m, "Name"));
	_cleanup_close_ int dir = open_directory(g);
	_cleanup_close_ int fd = dir < 0 ? dir : fd_lock_file(dir, id, true, true);
	if (r == 0 && fd < 0)
		r = fd;
	if (r == 0)
		r = ftruncate(fd, 0) < 0 ? -errno : fd_write_all(fd, names.data, names.len);
	if (r < 0) {
		if (fd >= 0)
			unlinkat(dir, id, 0);
		return err_errno(e, r, "write %s/" INTENTS "/%s", g->root, id);
	}
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	ret->fd = steal_fd(&fd);
	return 0;
}

void intent_forget(struct engine *g, struct intent *i)
{
	char path[96];

	if (i->fd < 0)
		return;
	snprintf(path, sizeof(path), INTENTS "/%s", i->id);
	unlinkat(g->root_fd, path, 0);
	close_fd(&i->fd);
}

void intent_undo(struct engine *g, struct intent *i)
{
	_cleanup_buf_ struct buf b = {0};

	if (i->fd >= 0 && lseek(i->fd, 0, SEEK_SET) == 0)
		fd_read_to_end(i->fd, INTENT_MAX, &b);
	container_discard(g, i->id);
	_cleanup_strv_ char **names = b.data ? strv_split(b.data, "\n") : NULL;
	strv_foreach(name, names)
		volume_discard(g, name);
	intent_forget(g, i);
}

static void sweep_one(struct engine *g, struct db *db, int dir, const char *id)
{
	_cleanup_(intent_done) struct intent i = {.fd = fd_lock_file(dir, id, true, false)};
	_cleanup_(container_row_done) struct container_row row = {0};
	struct err none;

	if (i.fd < 0)
		return; /* its command is at work */
	snprintf(i.id, sizeof(i.id), "%s", id);
	int r = containers_find(db, id, &row, &none);
	if (r == -ENOENT)
		intent_undo(g, &i);
	else if (r == 0)
		intent_forget(g, &i);
}

void intents_sweep(struct engine *g)
{
	_cleanup_closedir_ DIR *d = dir_open(g->root_fd, INTENTS);
	struct dirent *entry;
	struct err none;
	struct db *db;

	while (d && (entry = readdir(d)))
		if (strlen(entry->d_name) == 64 && engine_db(g, &db, &none) == 0)
			sweep_one(g, db, dirfd(d), entry->d_name);
}
