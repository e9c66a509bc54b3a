/*
 * Templates of images: the guest has mounted the image and made the container's root of it, so that a clone need not. They are made of what is started
 * more than once, behind the back of the second start, and serve containers that have written nothing yet.
 *
 * No container's data is in one: the image is the same for all that are started from it, and no other image's clones see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/path.h"
#include "isolation/hyperv-template.h"

enum { SHORT_ID = 12, HEAD_BYTES = 4096 };

void template_image_name(const struct template_name *shape, const char *erofs, struct template_name *ret)
{
	*ret = *shape;
	size_t n = strlen(ret->text);
	snprintf(ret->text + n, sizeof(ret->text) - n, "-%.*s", SHORT_ID, path_base(erofs));
}

const char *template_image_of(const char *name)
{
	const char *last = strrchr(name, '-');

	return last && last > name && last[-1] == 'n' && strlen(last + 1) == SHORT_ID ? last + 1 : NULL;
}

/* The guest remembers parts of the file, so it must be the same one: its superblock has a UUID of its own, and nobody writes to it. */
uint64_t template_image_hash(int erofs)
{
	char head[HEAD_BYTES];
	struct stat st;
	ssize_t n = pread(erofs, head, sizeof(head), 0);

	if (n < 0 || fstat(erofs, &st) < 0)
		return 0;
	const uint64_t file[] = {
		(uint64_t)st.st_size, (uint64_t)st.st_ino, (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};
	return hash_add(hash_add(HASH_INIT, head, (size_t)n), file, sizeof(file)) | 1;
}

void template_drop_stale(const struct isolation_host *h, const struct template_name *n, int erofs)
{
	_cleanup_free_ char *path = template_path(h, n->text);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct template_footer f;
	struct err none;

	if (fd >= 0 && (template_footer(fd, n->text, &f) < 0 || f.image != template_image_hash(erofs)))
		template_remove(h, n->text, &none);
}

bool template_wanted_again(const struct isolation_host *h, const struct template_name *n)
{
	_cleanup_close_ int dir = template_run_dir(h);
	_cleanup_free_ char *name = str_fmt(TEMPLATE_WANTED, n->text);
	_cleanup_close_ int fd =
		dir < 0 || !name ? -1 : openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 && dir >= 0 && errno == EEXIST;
}
