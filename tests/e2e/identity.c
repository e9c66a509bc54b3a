/* What must differ between two machines, a line each; with "clock" the real time in ns for every line of input. Linked static-pie, it is all of an image. */
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static void print_hex(const char *what, const unsigned char *p, size_t n)
{
	printf("%s ", what);
	for (size_t i = 0; i < n; i++)
		printf("%02x", p[i]);
	printf("\n");
}

static void print_file(const char *what, const char *path)
{
	char line[256] = "";
	FILE *f = fopen(path, "r");

	if (f && fgets(line, sizeof(line), f))
		printf("%s %.*s\n", what, (int)strcspn(line, "\n"), line);
	if (f)
		fclose(f);
}

static void print_urandom(void)
{
	unsigned char bytes[16];
	FILE *f = fopen("/dev/urandom", "r");

	if (f && fread(bytes, sizeof(bytes), 1, f) == 1)
		print_hex("urandom", bytes, sizeof(bytes));
	if (f)
		fclose(f);
	if (getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes))
		print_hex("getrandom", bytes, sizeof(bytes));
}

/* The random of a ClientHello that goes nowhere. */
static void print_tls(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	SSL *s = c ? SSL_new(c) : NULL;
	unsigned char bytes[SSL3_RANDOM_SIZE];

	if (!s)
		return;
	SSL_set_bio(s, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_connect(s);
	if (SSL_get_client_random(s, bytes, sizeof(bytes)) == sizeof(bytes) && BIO_pending(SSL_get_wbio(s)) > 0)
		print_hex("tls", bytes, sizeof(bytes));
}

static void print_addresses(void)
{
	int on_stack = 0;

	printf("text %p\n", (void *)(uintptr_t)print_addresses);
	printf("stack %p\n", (void *)&on_stack);
	printf("heap %p\n", sbrk(0));
	printf("mmap %p\n", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	printf("vdso %#lx\n", getauxval(AT_SYSINFO_EHDR));
	print_hex("canary", (const unsigned char *)getauxval(AT_RANDOM), 16);
}

static int tell_time(void)
{
	char line[16];
	struct timespec t;

	while (fgets(line, sizeof(line), stdin)) {
		clock_gettime(CLOCK_REALTIME, &t);
		printf("%lld\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "clock"))
		return tell_time();
	print_addresses();
	print_urandom();
	print_tls();
	print_file("uuid", "/proc/sys/kernel/random/uuid");
	print_file("boot", "/proc/sys/kernel/random/boot_id");
	print_file("host", "/proc/sys/kernel/hostname");
	print_file("card", "/sys/class/net/eth0/address");
	return 0;
}
