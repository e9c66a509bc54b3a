/* A made-up host for tests of the audit: a /proc with the processes and files that a test puts there, programs that say what it wants, rows by key. */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "audit/audit.h"

#define FAKE_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct fake {
	char dir[64];
	char proc[80], sys[80], container[160];
	struct audit_host host;
	struct audit_target target;
	struct look look;
	json_t *rows;
};

/* With a PID 1 in the host's namespaces, 1 above all others, and a monitor with pid 100. */
int fake_set_up(void **state);
int fake_tear_down(void **state);
void fake_file(struct fake *f, const char *path, const char *text); /* below dir; makes the directories */
void fake_bytes(struct fake *f, const char *path, const void *p, size_t n);
void fake_link(struct fake *f, const char *path, const char *to);
/* A process in the host's namespaces with no rights. */
void fake_process(struct fake *f, pid_t pid, pid_t ppid, const char *comm);
void fake_process_file(struct fake *f, pid_t pid, const char *name, const char *text); /* in its directory; replaces */
void fake_process_link(struct fake *f, pid_t pid, const char *name, const char *to);
void fake_namespaces(struct fake *f, pid_t pid, unsigned base); /* all but user: inodes from base on */
void fake_status(struct fake *f, pid_t pid, pid_t thread, unsigned uid, unsigned long long caps, int seccomp);
void fake_program(struct fake *f, const char *name, const char *script); /* found before all others */

/* Measures anew; then rows by their key. */
void fake_measure(struct fake *f);
const char *fake_result(struct fake *f, const char *key);
const char *fake_value(struct fake *f, const char *key);
const char *fake_why(struct fake *f, const char *key);
bool fake_evidence(struct fake *f, const char *key, const char *part); /* a piece of evidence has this text */
