/* Any bytes as a layer. Nothing may appear beside the directory that it is unpacked into. */
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
#include "image/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_alone(const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct dirent *de;

	while ((de = readdir(d)))
		if (de->d_name[0] != '.' && strcmp(de->d_name, "layer") != 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/caisson-fuzz-XXXXXX";
	struct unpack_result result;
	struct err e = ERR_INIT;
	_cleanup_close_ int tar = memfd_create("tar", MFD_CLOEXEC), here = open(".", O_PATH | O_CLOEXEC);

	if (!mkdtemp(dir) || fd_write_all(tar, data, size) < 0)
		abort();
	_cleanup_free_ char *path = path_join(dir, "layer");
	mkdir(path, 0700);
	_cleanup_close_ int layer = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lseek(tar, 0, SEEK_SET);
	unpack_tar(tar, layer, -1, NULL, NULL, &result, &e);
	check_alone(dir);
	if (fchdir(here) < 0 || rm_rf(AT_FDCWD, dir) < 0)
		abort();
	return 0;
}
