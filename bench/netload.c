/*
 * The load of the network rows, one static program for every engine:
 *   netload serve                     TCP on port 5201: takes what comes ("S"), or sends each byte back ("P"), as the first byte says
 *   netload send ADDRESS SECONDS      prints MB/s
 *   netload ping ADDRESS COUNT        prints the median and the 99th percentile of a 1-byte round trip in microseconds
 *   netload init                      PID 1 of a plain virtual machine: /modules.txt names modules, the address is 10.254.0.2/24; then serves
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 5201, BLOCK = 128 * 1024 };
static char block[BLOCK];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void serve_one(int fd)
{
	ssize_t n;

	if (read(fd, block, 1) != 1)
		return;
	if (*block == 'P')
		while ((n = read(fd, block, 1)) == 1 && write(fd, block, 1) == 1)
			;
	else
		while (read(fd, block, BLOCK) > 0)
			;
}

static int serve(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 16) < 0)
		return 1;
	for (;;) {
		int fd = accept(s, NULL, NULL);
		if (fd < 0)
			return 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		serve_one(fd);
		close(fd);
	}
}

static int dial(const char *address, char what)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (inet_pton(AF_INET, address, &a.sin_addr) != 1 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		exit(1);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (write(fd, &what, 1) != 1)
		exit(1);
	return fd;
}

static int send_load(const char *address, double seconds)
{
	int fd = dial(address, 'S');
	double began = now(), sent = 0;

	while (now() - began < seconds) {
		ssize_t n = write(fd, block, BLOCK);
		if (n < 0)
			return 1;
		sent += (double)n;
	}
	printf("%.1f\n", sent / (now() - began) / 1e6);
	return 0;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int ping(const char *address, int count)
{
	int fd = dial(address, 'P');
	double *took = calloc((size_t)count, sizeof(*took));

	for (int i = 0; i < count; i++) {
		double began = now();
		if (write(fd, "x", 1) != 1 || read(fd, block, 1) != 1)
			return 1;
		took[i] = (now() - began) * 1e6;
	}
	qsort(took, (size_t)count, sizeof(*took), ascending);
	printf("%.1f %.1f\n", took[count / 2], took[count * 99 / 100]);
	return 0;
}

static int init(void)
{
	struct ifreq r = {.ifr_name = "eth0"};
	struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;
	char name[64];
	FILE *f = fopen("/modules.txt", "r");

	while (f && fscanf(f, "%63s", name) == 1) {
		int fd = open(name, O_RDONLY);
		if (fd >= 0 && syscall(SYS_finit_module, fd, "", 0) < 0)
			perror(name);
		close(fd);
	}
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	a->sin_family = AF_INET;
	inet_pton(AF_INET, "10.254.0.2", &a->sin_addr);
	for (int tries = 0; tries < 500 && ioctl(s, SIOCSIFADDR, &r) < 0; tries++)
		usleep(10000);
	inet_pton(AF_INET, "255.255.255.0", &a->sin_addr);
	ioctl(s, SIOCSIFNETMASK, &r);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	ioctl(s, SIOCSIFFLAGS, &r);
	serve();
	reboot(RB_AUTOBOOT);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve();
	if (argc == 4 && !strcmp(argv[1], "send"))
		return send_load(argv[2], atof(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "ping"))
		return ping(argv[2], atoi(argv[3]));
	return init();
}
