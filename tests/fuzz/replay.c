/* main() of the fuzz targets in plain builds: gives every file named, or found in a directory named, to the target. Prints TAP, a test per file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(int dirfd, const char *name, int number)
{
	_cleanup_buf_ struct buf b = {0};
	int r = file_read(dirfd, name, 64 * 1024 * 1024, &b);

	if (r < 0) {
		printf("not ok %d - %s: %s\n", number, name, strerror(-r));
		return 1;
	}
	/* A copy of exactly its size: the sanitizer sees a read beyond its end. */
	_cleanup_free_ uint8_t *copy = malloc(b.len ? b.len : 1);
	if (!copy)
		return 1;
	if (b.len)
		memcpy(copy, b.data, b.len);
	LLVMFuzzerTestOneInput(copy, b.len);
	printf("ok %d - %s\n", number, name);
	fflush(stdout);
	return 0;
}

static int replay_directory(const char *path, int *number)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	const struct dirent *entry;
	int failed = 0;

	if (!dir) {
		printf("not ok %d - %s: %s\n", ++*number, path, strerror(errno));
		return 1;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			failed |= replay_file(dirfd(dir), entry->d_name, ++*number);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0, number = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			failed |= replay_directory(argv[i], &number);
		else
			failed |= replay_file(AT_FDCWD, argv[i], ++number);
	}
	if (!number) {
		printf("Bail out! no input given\n");
		return 1;
	}
	printf("1..%d\n", number);
	return failed;
}
