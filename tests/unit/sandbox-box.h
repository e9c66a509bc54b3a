/* Containers for the tests of the sandbox: a root with a static busybox in a scratch directory, and a plan for it. */
#pragma once

#include <stddef.h>

#include "plan/plan.h"
#include "sandbox/sandbox.h"

struct box {
	char dir[64]; /* root, upper, work, src */
	char out[16384];
	char id[65];
	struct plan plan;
	struct err err;
};

char *in_dir(const struct box *b, const char *name);
void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int set_up(void **state);
int tear_down(void **state);
struct box *need_root(void **state);
void set_command(struct plan_process *p, const char *script);
int collect(pid_t pid);
/* Runs the plan's process to its end; its output is in b->out. -errno with b->err if it did not start. */
int run_plan(struct box *b);
int run(struct box *b, const char *script);
void expect(struct box *b, const char *script, const char *output);
/* Starts a script that says "go" and then lasts. */
void start(struct box *b, const char *script, struct sandbox *s);
struct plan_mount *add_mount(struct box *b, const char *source, const char *target);
int exec_in(struct box *b, struct sandbox *s, struct plan_process *p, const char *script);

#define box_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
