/* Temporary places in the directories of layers and blobs. Those of killed processes are removed by layers_sweep. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/proc.h"
#include "image/blobs.h"
#include "image/layers.h"

static int temporary_name(char *ret, struct err *e)
{
	char id[65];
	int r = random_id(id);

	if (r < 0)
		return err_errno(e, r, "random bytes");
	snprintf(ret, 40, "tmp-%.32s", id);
	return 0;
}

int layer_place_open(int layers_fd, struct layer_place *ret, struct err *e)
{
	struct layer_place p = {.dir = layers_fd, .fd = -1};
	int r = temporary_name(p.name, e);

	if (r < 0)
		return r;
	if (mkdirat(layers_fd, p.name, 0755) < 0)
		return err_errno(e, errno, "make a directory for the layer");
	p.fd = openat(layers_fd, p.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p.fd < 0 || fchmod(p.fd, 0755) < 0) {
		r = err_errno(e, errno, "open the layer's directory");
		layer_place_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

/* A directory of that name has been made by another pull of the same layer, and checked: it is as good. */
int layer_place_keep(struct layer_place *p, const char *diff_id, uint64_t size, struct image_layer *ret, struct err *e)
{
	*ret = (struct image_layer){.size = (int64_t)size};
	snprintf(ret->diff_id, sizeof(ret->diff_id), "%s", diff_id);
	snprintf(ret->dir, sizeof(ret->dir), "%.*s", LAYER_DIR_LEN, diff_id + strlen("sha256:"));
	if (renameat(p->dir, p->name, p->dir, ret->dir) == 0)
		p->name[0] = 0;
	else if (errno != EEXIST && errno != ENOTEMPTY)
		return err_errno(e, errno, "put the layer in place");
	return 0;
}

void layer_place_done(struct layer_place *p)
{
	close_fd(&p->fd);
	if (p->name[0])
		rm_rf(p->dir, p->name);
	p->name[0] = 0;
}

int blob_place_open(int blobs_fd, struct blob_place *ret, struct err *e)
{
	struct blob_place p = {.dir = blobs_fd, .fd = -1};
	int r = temporary_name(p.name, e);

	if (r < 0)
		return r;
	p.fd = openat(blobs_fd, p.name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p.fd < 0)
		return err_errno(e, errno, "make a file for the layer");
	*ret = p;
	return 0;
}

/* Locked, and still of that name: who had it before may have put it in place, or removed it. */
static bool is_ours(int blobs_fd, const char *name, int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat mine, named;

	return fcntl(fd, F_OFD_SETLK, &lock) == 0 && fstat(fd, &mine) == 0 &&
		fstatat(blobs_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && mine.st_ino == named.st_ino;
}

int blob_place_resume(int blobs_fd, const char *digest, struct blob_place *ret, struct err *e)
{
	struct blob_place p = {.dir = blobs_fd};

	snprintf(p.name, sizeof(p.name), PART_PREFIX "%.64s", digest + strlen("sha256:"));
	p.fd = openat(blobs_fd, p.name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p.fd < 0)
		return err_errno(e, errno, "make a file for the layer");
	if (is_ours(blobs_fd, p.name, p.fd)) {
		*ret = p;
		return 0;
	}
	close(p.fd);
	return blob_place_open(blobs_fd, ret, e);
}

void blob_place_leave(struct blob_place *p)
{
	if (str_starts(p->name, PART_PREFIX))
		p->name[0] = 0;
	blob_place_done(p);
}

int blob_place_link(int blobs_fd, int from_dir, const char *from, struct blob_place *ret, struct err *e)
{
	struct blob_place p = {.dir = blobs_fd, .fd = -1};
	int r = temporary_name(p.name, e);

	if (r < 0)
		return r;
	if (linkat(from_dir, from, blobs_fd, p.name, 0) < 0)
		return err_errno(e, errno, "make a file for the layer");
	p.fd = openat(blobs_fd, p.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (p.fd < 0) {
		r = err_errno(e, errno, "open the layer");
		blob_place_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

/* One that is there has the same content. */
int blob_place_keep(struct blob_place *p, const char *digest, struct err *e)
{
	if (renameat(p->dir, p->name, p->dir, digest + strlen("sha256:")) < 0)
		return err_errno(e, errno, "put the layer's blob in place");
	unlinkat(p->dir, p->name, 0); /* rename does nothing if both are names of one file */
	p->name[0] = 0;
	return 0;
}

void blob_place_done(struct blob_place *p)
{
	close_fd(&p->fd);
	if (p->name[0])
		unlinkat(p->dir, p->name, 0);
	p->name[0] = 0;
}
