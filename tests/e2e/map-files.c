/* Fills PATH0, PATH1, ... COUNT files of 64 KiB with '0', '1', ... by shared mappings that outlive their descriptors, and ends without a word to the kernel. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = 1 << 16 };

int main(int argc, char **argv)
{
	for (int i = 0; argc == 3 && i < atoi(argv[2]); i++) {
		char path[256];
		snprintf(path, sizeof(path), "%s%d", argv[1], i);
		int fd = open(path, O_RDWR | O_CREAT, 0644);
		char *p = fd < 0 || ftruncate(fd, SIZE) < 0 ? MAP_FAILED
							    : mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED) {
			perror(path);
			return 1;
		}
		close(fd);
		memset(p, '0' + i, SIZE);
	}
	_exit(0);
}
