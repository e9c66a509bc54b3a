/*
 * The load of the rows about files, one static program for every engine; each prints its figures on one line:
 *   fileload read FILE               MB/s, from the first byte to the last
 *   fileload files DIR COUNT         microseconds per file of 1 KiB: to create it, to stat it
 *   fileload spawn PROGRAM [ARG...]  milliseconds from fork to the end: the first time, the second time
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 128 * 1024, SMALL = 1024 };
static char block[BLOCK];
extern char **environ;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int read_file(const char *path)
{
	double began = now(), total = 0;
	int fd = open(path, O_RDONLY);
	ssize_t n;

	while ((n = read(fd, block, BLOCK)) > 0)
		total += (double)n;
	if (n < 0)
		return 1;
	printf("%.1f\n", total / 1e6 / (now() - began));
	return 0;
}

static int small_files(const char *dir, int count)
{
	double began = now(), created;
	struct stat st;
	char name[64];

	if (chdir(dir) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd < 0 || write(fd, block, SMALL) != SMALL || close(fd) < 0)
			return 1;
	}
	created = now();
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		if (stat(name, &st) < 0)
			return 1;
	}
	printf("%.2f %.2f\n", (created - began) * 1e6 / count, (now() - created) * 1e6 / count);
	return 0;
}

static double spawn(char *argv[])
{
	double began = now();
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) < 0 || status)
		exit(1);
	return (now() - began) * 1e3;
}

int main(int argc, char *argv[])
{
	if (argc == 3 && !strcmp(argv[1], "read"))
		return read_file(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "files"))
		return small_files(argv[2], atoi(argv[3]));
	if (argc > 2 && !strcmp(argv[1], "spawn")) {
		double first = spawn(argv + 2);
		printf("%.2f %.2f\n", first, spawn(argv + 2));
		return 0;
	}
	return 2;
}
