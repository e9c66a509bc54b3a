/*
 * A QEMU for hosts without KVM, of which KVM is asked (kvm.bats). MODE says what KVM does:
 *
 *   WORKS    the probe's guest speaks; other machines are run by the true QEMU, which emulates them
 *   HANGS    no guest ever speaks
 *   DIES     QEMU is killed
 *   REFUSES  QEMU says that it cannot, and ends
 *   FADES    as WORKS for the probe, as REFUSES afterwards
 *
 * Machines without KVM are the true QEMU's in any case. What it was given goes to the guest's console first, a line per argument.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum mode { WORKS, HANGS, DIES, REFUSES, FADES };

static char *value(char **argv, const char *option, const char *start)
{
	for (; argv[0] && argv[1]; argv++)
		if (!strcmp(argv[0], option) && !strncmp(argv[1], start, strlen(start)))
			return argv[1];
	return NULL;
}

static int number(char **argv, const char *start)
{
	const char *v = value(argv, "-chardev", start);

	return v ? atoi(v + strlen(start)) : -1;
}

/* The true one has no KVM: it emulates, and needs to be told the clock's speed. */
static void emulate(char **argv)
{
	static char line[4096];

	for (char **a = argv; *a; a++) {
		if (!strcmp(*a, "kvm"))
			*a = (char *)"tcg";
		else if (!strcmp(*a, "host"))
			*a = (char *)"max";
		else if (!strncmp(*a, "console=", 8) && !strstr(*a, "tsc_early_khz"))
			*a = (snprintf(line, sizeof(line), "%s tsc_early_khz=%llu lpj=%llu tsc=reliable", *a, TSC_KHZ,
				      2 * TSC_KHZ),
				line);
	}
	execv("/usr/bin/qemu-system-x86_64.true", argv);
	perror("fake-qemu: the true QEMU");
	exit(4);
}

int main(int argc, char **argv)
{
	int agent = number(argv, "socket,id=agent,fd="), console = number(argv, "socket,id=console,fd=");
	enum mode mode = MODE;

	for (int i = 1; i < argc; i++)
		dprintf(console, "fake-qemu: %s\n", argv[i]);
	if (!value(argv, "-accel", "kvm"))
		emulate(argv);
	dprintf(console, "fake-qemu: /dev/kvm %s\n", open("/dev/kvm", O_RDWR | O_CLOEXEC) >= 0 ? "opens" : "is closed");
	if (mode == FADES)
		mode = value(argv, "-name", "guest=caisson-probe") ? WORKS : REFUSES;
	if (mode == REFUSES) {
		fprintf(stderr, "qemu-system-x86_64: failed to initialize kvm: Device or resource busy\n");
		return 1;
	}
	if (mode == DIES)
		raise(SIGKILL);
	if (mode == WORKS && !value(argv, "-name", "guest=caisson-probe"))
		emulate(argv);
	if (mode == WORKS)
		(void)!write(agent, "hello", 5);
	for (;;)
		pause();
}
