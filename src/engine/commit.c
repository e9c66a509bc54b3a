/* An image of a container: what it has changed goes as an archive to caisson-fetch, which makes the layer and the image. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "engine/engine-private.h"
#include "proto/files.h"

enum { ERRORS = 3, CONTAINER = 4 };

/* What the container adds to its image's environment by itself. */
static bool own_variable(const json_t *config, const char *s)
{
	const char *hostname = json_str(config, "Hostname");

	return (hostname && str_starts(s, "HOSTNAME=") && !strcmp(s + strlen("HOSTNAME="), hostname)) ||
		(json_flag(config, "Tty") && !strcmp(s, "TERM=xterm"));
}

static json_t *environment(const json_t *config)
{
	json_t *v, *env = json_array();
	size_t i;

	json_array_foreach(json_object_get(config, "Env"), i, v)
		if (!own_variable(config, json_string_value(v)))
			json_array_append(env, v);
	return env;
}

static json_t *describe(const json_t *record)
{
	static const char *const kept[] = {"Cmd", "Entrypoint", "ExposedPorts", "Healthcheck", "Labels", "OnBuild",
		"Shell", "StopSignal", "User", "Volumes", "WorkingDir"};
	const json_t *from = json_object_get(record, "Config");
	_cleanup_strv_ char **cmd = json_strv(json_object_get(from, "Cmd"));
	_cleanup_buf_ struct buf by = {0};
	json_t *config = json_object();

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		json_t *v = json_object_get(from, kept[i]);
		if (v && !json_is_null(v))
			json_object_set(config, kept[i], v);
	}
	json_object_set_new(config, "Env", environment(from));
	strv_foreach(s, cmd)
		if (buf_addf(&by, "%s%s", by.len ? " " : "", s) < 0)
			break;
	return json_pack("{s:o, s:o}", "config", config, "created_by", json_from_str(by.len ? by.data : ""));
}

static int arguments(struct engine *g, const struct engine_commit *o, const char *image, char ***v)
{
	int r = strv_push(v, "caisson-fetch");

	r |= strv_pushf(v, "--root=%s", g->root);
	strv_foreach(change, o->changes)
		r |= strv_pushf(v, "--change=%s", change);
	if (o->message)
		r |= strv_pushf(v, "--message=%s", o->message);
	if (o->author)
		r |= strv_pushf(v, "--author=%s", o->author);
	r |= strv_push(v, "commit");
	r |= strv_push(v, image);
	if (o->reference)
		r |= strv_push(v, o->reference);
	return r;
}

/* The program that makes the image: our ends of its layer, of the container's configuration, and of its error. */
struct maker {
	pid_t pid;
	int layer, container, errors, id;
};

static void maker_done(struct maker *m)
{
	close_fd(&m->layer);
	close_fd(&m->container);
	if (m->pid > 0)
		proc_reap(m->pid);
	close_fd(&m->errors);
	close_fd(&m->id);
}

static int maker_spawn(struct maker *m, const char *program, char *const argv[], const int theirs[4])
{
	posix_spawn_file_actions_t actions;
	int moved[4];

	for (int i = 0; i < 4; i++)
		moved[i] = fcntl(theirs[i], F_DUPFD_CLOEXEC, CONTAINER + 1);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, moved[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, moved[1], CONTAINER);
	posix_spawn_file_actions_adddup2(&actions, moved[2], ERRORS);
	posix_spawn_file_actions_adddup2(&actions, moved[3], STDOUT_FILENO);
	int r = posix_spawn(&m->pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < 4; i++)
		close_fd(&moved[i]);
	return -r;
}

static int maker_start(struct engine *g, char *const argv[], struct maker *m, struct err *e)
{
	_cleanup_free_ char *program = path_join(g->libexec_dir, "caisson-fetch");
	int fds[4][2], n = 0, r = 0;

	if (!program)
		return err_nomem(e);
	for (; n < 4; n++)
		if (pipe2(fds[n], O_CLOEXEC) < 0)
			break;
	if (n < 4)
		r = err_errno(e, errno, "make a pipe");
	else if ((r = maker_spawn(m, program, argv, (int[]){fds[0][0], fds[1][0], fds[2][1], fds[3][1]})) < 0)
		err_errno(e, r, "%s", program);
	/* their ends, and all of them if it does not run */
	for (int i = 0; i < n; i++) {
		close(fds[i][i >= 2]);
		if (r < 0)
			close(fds[i][i < 2]);
	}
	if (r == 0) {
		m->layer = fds[0][1];
		m->container = fds[1][1];
		m->errors = fds[2][0];
		m->id = fds[3][0];
	}
	return r;
}

static int maker_wait(struct maker *m, char ret_id[72], struct err *e)
{
	struct err said = ERR_INIT;
	int status = -1;

	ssize_t n = fd_read_full(m->errors, &said, sizeof(said));
	ssize_t len = fd_read_full(m->id, ret_id, 71);
	while (waitpid(m->pid, &status, 0) < 0 && errno == EINTR)
		;
	m->pid = -1;
	if (n == sizeof(said) && said.code > 0) {
		said.msg[sizeof(said.msg) - 1] = 0;
		*e = said;
		return -said.code;
	}
	if (status || len != 71)
		return err_set(e, EIO, "the image could not be made");
	ret_id[71] = 0;
	return 0;
}

static int make(struct engine *g, struct engine_files *f, const struct engine_commit *o, char ret_id[72], struct err *e)
{
	_cleanup_(maker_done) struct maker m = {.pid = -1, .layer = -1, .container = -1, .errors = -1, .id = -1};
	const json_t *record = files_container(f);
	_cleanup_strv_ char **argv = NULL;
	_cleanup_json_ json_t *container = describe(record);
	_cleanup_free_ char *text = container ? json_dumps(container, JSON_COMPACT) : NULL;
	struct err own = ERR_INIT;

	if (!text || arguments(g, o, json_str(record, "Image"), &argv) != 0)
		return err_nomem(e);
	signal(SIGPIPE, SIG_IGN);
	int r = maker_start(g, argv, &m, e);
	if (r < 0)
		return r;
	int sent = files_archive(f, FILES_LAYER, o->pause ? FILES_FREEZE : 0, m.layer, &own);
	close_fd(&m.layer);
	/* the word that it is whole */
	if (sent == 0 && (sent = fd_write_all(m.container, text, strlen(text))) < 0)
		err_errno(&own, sent, "tell what the container is");
	close_fd(&m.container);
	r = maker_wait(&m, ret_id, e);
	/* it fails first only where the archive's writer found nobody to read it */
	if (sent < 0 && (sent != -EPIPE || r == 0)) {
		*e = own;
		return sent;
	}
	return r;
}

int engine_commit(struct engine *g, const char *ref, const struct engine_commit *o, char ret_id[72], struct err *e)
{
	struct engine_files *f;
	int r = engine_files_open(g, ref, false, &f, e);

	if (r < 0)
		return r;
	r = make(g, f, o, ret_id, e);
	if (r == 0)
		files_event(f, "commit", "imageID", ret_id);
	engine_files_close(f);
	return r;
}
