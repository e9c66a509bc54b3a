/*
 * One image in both modes, side by side.
 *
 * The work is done by a child. The parent knows the names of both containers before there are any, waits, and removes them, however the child ends: by an
 * error, by ctrl-C, which both get, or by a signal to the parent, which is passed on.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"
#include "cli/audit-report.h"

static const char *const modes[] = {"process", "hyperv"};
enum { MODES = 2, SETTLE_US = 200000 };

struct pair {
	char names[MODES][48];
};

static int pull(struct engine *g, const char *image, struct err *e)
{
	char *args[] = {"pull", (char *)image, NULL};

	fprintf(stderr, "Unable to find image '%s' locally\n", image);
	int r = engine_fetch(g, args, true, e);
	return r > 0 ? err_set(e, EIO, "image %s could not be pulled", image) : r;
}

/* With an open stdin a shell stays. */
static json_t *body_of(const struct opts *o, const char *mode)
{
	json_t *body =
		json_pack("{s:s, s:b, s:{s:s}}", "Image", o->args[0], "OpenStdin", 1, "HostConfig", "Isolation", mode);

	if (body && o->args_len > 1)
		json_object_set_new(body, "Cmd", json_from_strv(o->args + 1));
	return body;
}

static int start(struct engine *g, const struct opts *o, const struct pair *p, size_t i, struct err *e)
{
	_cleanup_json_ json_t *body = body_of(o, modes[i]);
	struct engine_start how = {.notice = cli_notice};
	char id[65];

	if (!body)
		return err_nomem(e);
	int r = engine_create(g, p->names[i], body, id, NULL, e);
	if (r == -ENOENT && strstr(e->msg, "No such image")) {
		r = pull(g, o->args[0], e);
		if (r == 0)
			r = engine_create(g, p->names[i], body, id, NULL, e);
	}
	return r < 0 ? r : engine_start(g, id, &how, NULL, e);
}

/* A command that ends at once leaves nothing to look at. */
static int check_running(struct engine *g, const struct opts *o, const struct pair *p, size_t i, struct err *e)
{
	_cleanup_json_ json_t *c = NULL;
	int r = engine_inspect(g, p->names[i], false, &c, e);

	if (r < 0 || json_flag(json_object_get(c, "State"), "Running"))
		return r;
	return err_set(e, ESRCH,
		"the command of %s ended at once in %s mode, with exit status %lld: give one that stays, such as: "
		"caisson audit "
		"--compare %s sleep 1000",
		o->args[0], modes[i], (long long)json_int(json_object_get(c, "State"), "ExitCode", 0), o->args[0]);
}

static int audit_both(struct cli *c, struct opts *o, const struct pair *p, json_t **ret, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	_cleanup_json_ json_t *report = json_array();
	int r = g ? 0 : -e->code;

	for (size_t i = 0; r == 0 && i < MODES; i++)
		r = start(g, o, p, i, e);
	if (r == 0)
		usleep(SETTLE_US);
	for (size_t i = 0; r == 0 && i < MODES; i++)
		r = check_running(g, o, p, i, e);
	for (size_t i = 0; r == 0 && i < MODES; i++) {
		json_t *audit;
		r = engine_audit(g, p->names[i], &audit, e);
		if (r == 0 && json_array_append_new(report, audit) < 0)
			r = err_nomem(e);
	}
	if (r == 0)
		*ret = json_incref(report);
	return r;
}

static __attribute__((noreturn)) void child(struct cli *c, struct opts *o, compare_fn *print, const struct pair *p)
{
	_cleanup_json_ json_t *report = NULL;
	struct err e = ERR_INIT;

	int r = audit_both(c, o, p, &report, &e);
	if (r == 0)
		r = print(c, o, report, &e);
	if (r < 0)
		cli_error(&e);
	if (fflush(stdout) && r == 0)
		r = 1;
	_exit(r < 0 ? 1 : r);
}

static int remove_both(struct cli *c, const struct pair *p, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	int r = g ? 0 : -e->code;

	for (size_t i = 0; g && i < MODES; i++) {
		struct err own = ERR_INIT;
		int k = engine_remove(g, p->names[i], true, true, &own);
		if (k < 0 && k != -ENOENT && r == 0) {
			*e = own;
			r = k;
		}
	}
	return r;
}

/* Waits for the child; the signals that would end us are passed on to it meanwhile. */
static int wait_for(pid_t pid, const sigset_t *ending, struct err *e)
{
	sigset_t set = *ending;
	int sig, status;

	sigaddset(&set, SIGCHLD);
	for (;;) {
		pid_t ended = waitpid(pid, &status, WNOHANG);
		if (ended == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (ended < 0)
			return err_errno(e, errno, "wait");
		if (sigwait(&set, &sig) == 0 && sig != SIGCHLD)
			kill(pid, sig);
	}
}

int audit_compare(struct cli *c, struct opts *o, compare_fn *print, struct err *e)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct pair p;
	char id[65];
	sigset_t set, old;

	if (random_id(id) < 0)
		return err_set(e, EIO, "no random bytes");
	for (size_t i = 0; i < MODES; i++)
		snprintf(p.names[i], sizeof(p.names[i]), "audit-%.8s-%s", id, modes[i]);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
		sigaddset(&set, ending[i]);
	sigset_t all = set;
	sigaddset(&all, SIGCHLD);
	sigprocmask(SIG_BLOCK, &all, &old);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		child(c, o, print, &p);
	}
	int status = pid < 0 ? err_errno(e, errno, "fork") : wait_for(pid, &set, e);
	if (pid > 0) {
		struct err own = ERR_INIT;
		if (remove_both(c, &p, &own) < 0) {
			cli_error(&own);
			status = status ? status : 1;
		}
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return status;
}
