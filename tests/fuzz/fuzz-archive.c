/* Any bytes as an image archive, read in this process. Nothing may appear beside the directory that it is unpacked into, and what is listed must hold. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "image/load.h"

enum { MAX_BYTES = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int collect(void *data, const struct member *m, struct err *e)
{
	if (m->name[0] == '/' || !strncmp(m->name, "../", 3) || m->target[0] == '/' || !strncmp(m->target, "../", 3))
		abort();
	return members_add(data, m, e);
}

/* Files with numbers for names, and nothing beside the directory. */
static void check_files(const char *dir, const char *files)
{
	_cleanup_closedir_ DIR *outside = opendir(dir), *inside = opendir(files);
	struct dirent *de;

	while ((de = readdir(outside)))
		if (de->d_name[0] != '.' && strcmp(de->d_name, "files") != 0)
			abort();
	while ((de = readdir(inside)))
		if (de->d_name[0] != '.' && strspn(de->d_name, "0123456789") != strlen(de->d_name))
			abort();
}

static void check_images(const struct load_images *images)
{
	for (size_t i = 0; i < images->n; i++) {
		const struct load_image *x = &images->list[i];
		if (!x->config || x->config->kind != MEMBER_FILE || x->n_layers > LAYERS_MAX ||
			(x->manifest && (x->manifest->kind != MEMBER_FILE || !x->media_type)))
			abort();
		for (size_t k = 0; k < x->n_layers; k++)
			if (!x->layers[k] || x->layers[k]->kind != MEMBER_FILE || !digest_valid(x->layers[k]->digest))
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/caisson-fuzz-XXXXXX";
	struct members members = {0};
	struct load_images images = {0};
	struct err e = ERR_INIT;
	_cleanup_close_ int archive = memfd_create("archive", MFD_CLOEXEC);

	if (!mkdtemp(dir) || fd_write_all(archive, data, size) < 0)
		abort();
	_cleanup_free_ char *path = path_join(dir, "files");
	mkdir(path, 0700);
	_cleanup_close_ int files = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lseek(archive, 0, SEEK_SET);
	int r = load_extract(archive, files, MAX_BYTES, collect, &members, &e);
	check_files(dir, path);
	if (r == 0)
		r = members_sort(&members, &e);
	if (r == 0 && load_list(&members, files, &images, &e) == 0)
		check_images(&images);
	load_images_done(&images);
	members_done(&members);
	if (rm_rf(AT_FDCWD, dir) < 0)
		abort();
	return 0;
}
