/* Processes: identity that survives the reuse of a pid, pidfds, and running a program. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/* Start time in clock ticks since boot: with the pid it names a process for good. proc(5), /proc/pid/stat field 22. */
int proc_start_time(pid_t pid, uint64_t *ret);
int proc_pidfd(pid_t pid);            /* pidfd_open(2), close-on-exec */
void proc_reap(pid_t pid);            /* waits for a child whose status is of no interest */
int pidfd_signal(int pidfd, int sig); /* pidfd_send_signal(2) */
int proc_boot_id(char ret[37]);
/* A digest of the command line and the environment of the process whose directory in /proc this is, by which it can be recognised from outside its
 * PID namespace. 0: it has neither (a thread of the kernel's, or one that has ended). */
int proc_digest(int dir, uint64_t *ret);
/* What `ps` shows of this process, which was forked from another: its name (15 bytes) and an argument, in the place of those it had. */
void proc_set_title(const char *name, const char *argument);
/* What a line "KEY   123 kB" of a text of /proc says, in bytes; 0: there is none. */
uint64_t proc_kilobytes(const char *text, const char *key);
/* user + system time of a process so far, in milliseconds. */
int proc_cpu_ms(pid_t pid, uint64_t *ret);

/* Runs argv[0] (found by PATH) with stdin from /dev/null; its stdout and stderr go to *out when given (up to 16 MiB), else to /dev/null. Waits.
 * Returns its exit status 0..255, 128+n for a signal, or a negative errno with *e set if it could not be run. */
int proc_run(char *const argv[], struct buf *out, struct err *e);
int proc_run_input(
	char *const argv[], const void *input, size_t n, struct buf *out, struct err *e); /* with this as its stdin */
/* The same; its stderr is the caller's, and one that prints more than max bytes is killed. */
int proc_run_answer(char *const argv[], const void *input, size_t n, size_t max, struct buf *out, struct err *e);
bool proc_find_program(
	const char *name, char *ret, size_t size); /* PATH, then /usr/sbin:/sbin:/usr/libexec:/usr/lib/qemu */

/* A random id: 64 hex digits. */
int random_id(char ret[65]);
int random_bytes(void *p, size_t n);
