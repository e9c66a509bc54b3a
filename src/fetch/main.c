/*
 * caisson-fetch: what needs HTTP, archives and digests, kept out of the programs that must start fast. Internal: the caisson command runs it with its own
 * standard streams (stdout led to stderr when `run` pulls a missing image).
 *
 *	caisson-fetch --root DIR [--insecure-registry HOST]... [--timeout S] pull [--quiet] [--all-tags] [--isolation=KIND] [--platform P] REF
 *	caisson-fetch --root DIR import [--change C]... [--message M] FILE|- [REF]
 *	caisson-fetch --root DIR load [--quiet] FILE|-
 *	caisson-fetch --root DIR save [--output FILE] IMAGE...
 *	caisson-fetch --root DIR erofs IMAGE
 *	caisson-fetch --root DIR commit [--change C]... [--message M] [--author A] IMAGE [REF]    the layer's archive on stdin, what the container is on
 *	    descriptor 4; errors likewise
 *	caisson-fetch --root DIR tar|untar NAME        records of files (proto/files.h) to an archive, and back; an error goes to descriptor 3 as it is
 *	caisson-fetch --root DIR push [--quiet] [--all-tags] REF
 *	caisson-fetch --root DIR login [SERVER]    {"Username", "Password"} on stdin; {}: those that are kept, status 3 if there are none
 *	caisson-fetch --root DIR logout [SERVER]
 *
 * stdout has docker's lines (of save: the archive, unless it is for a file); one line on stderr says why it failed (status 1).
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/outfile.h"
#include "base/path.h"
#include "base/str.h"
#include "fetch/commands.h"
#include "image/fetch.h"
#include "image/image.h"
#include "image/ref.h"
#include "image/tar.h"
#include "store/db.h"
#include "store/events.h"

enum { ERRORS = 3, CONTAINER = 4 };

static int run_import(struct db *d, const struct options *o, struct err *e)
{
	_cleanup_close_ int file = -1;
	char id[DIGEST_SIZE];
	bool standard_input = !strcmp(o->args[0], "-");

	if (!standard_input && (file = open(o->args[0], O_RDONLY | O_CLOEXEC)) < 0)
		return err_errno(e, errno, "import %s", o->args[0]);
	int r = image_import(d, standard_input ? STDIN_FILENO : file, o->n_args > 1 ? o->args[1] : NULL, o->platform,
		o->changes, o->message, id, e);
	if (r < 0)
		return err_wrap(e, "import %s", o->args[0]);
	event_image(db_root_fd(d), "import", id, o->n_args > 1 ? o->args[1] : id);
	printf("%s\n", id);
	return 0;
}

static int run_load(struct db *d, const struct options *o, struct err *e)
{
	const char *path = o->args[0];
	_cleanup_close_ int file = -1;
	bool standard_input = !strcmp(path, "-");

	if (!standard_input && (file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return err_errno(e, errno, "open %s", path);
	struct stat st;
	if (file >= 0 && fstat(file, &st) == 0 && S_ISDIR(st.st_mode))
		return err_errno(e, EISDIR, "load %s", path);
	int r = image_load(
		d, standard_input ? STDIN_FILENO : file, stdout, !o->quiet && isatty(STDOUT_FILENO) ? stdout : NULL, e);
	return r < 0 ? err_wrap(e, "load %s", standard_input ? "from standard input" : path) : 0;
}

static void tell_saved(struct db *d, const struct options *o)
{
	struct err none;

	for (int i = 0; i < o->n_args; i++) {
		_cleanup_image_ struct image image = {0};
		if (image_find(d, o->args[i], &image, &none) == 0)
			event_image(db_root_fd(d), "save", image.id, image.id);
	}
}

static int run_save(struct db *d, const struct options *o, struct err *e)
{
	_cleanup_(outfile_done) struct outfile out = OUTFILE_INIT;

	if (o->output && outfile_open(o->output, &out, e) < 0)
		return err_wrap(e, "failed to save image");
	int r = image_save(d, o->args, o->output ? out.fd : STDOUT_FILENO, e);
	if (r == 0 && o->output)
		r = outfile_keep(&out, e);
	if (r < 0)
		return o->output ? err_wrap(e, "save %s", o->output) : err_wrap(e, "save");
	tell_saved(d, o);
	return 0;
}

/* The caller tells of the error, which may be one of what a container sent. */
static int told(int r, const struct err *e)
{
	if (r < 0 && fd_write_all(ERRORS, e, sizeof(*e)) == 0)
		_exit(1);
	return r;
}

static int run_commit(struct db *d, const struct options *o, struct err *e)
{
	const struct commit_options how = {
		.parent = o->args[0],
		.layer_fd = STDIN_FILENO,
		.container_fd = CONTAINER,
		.author = o->author,
		.message = o->message,
		.ref = o->n_args > 1 ? o->args[1] : NULL,
		.changes = o->changes,
	};
	char id[DIGEST_SIZE];
	int r = image_commit(d, &how, id, e);

	if (r == 0)
		printf("%s\n", id);
	return told(r, e);
}

static int run_erofs(struct db *d, const struct options *o, struct err *e)
{
	_cleanup_image_ struct image image = {0};
	int r = image_find(d, o->args[0], &image, e);

	return r < 0 ? r : image_build_erofs(d, &image, e);
}

static int run_tar(struct db *d, const struct options *o, bool write, struct err *e)
{
	(void)d;
	int r = tar_confine(e);

	if (r == 0)
		r = write ? tar_write(0, 1, o->args[0], e) : tar_read(0, 1, e);
	return told(r, e);
}

static int run_tar_write(struct db *d, const struct options *o, struct err *e)
{
	return run_tar(d, o, true, e);
}

static int run_tar_read(struct db *d, const struct options *o, struct err *e)
{
	return run_tar(d, o, false, e);
}

static const struct {
	const char *name;
	int min_args, max_args;
	int (*run)(struct db *d, const struct options *o, struct err *e);
	bool alone; /* it has no use for the database */
} commands[] = {
	{"pull", 1, 1, run_pull},
	{"commit", 1, 2, run_commit},
	{"import", 1, 2, run_import},
	{"load", 1, 1, run_load},
	{"save", 1, INT_MAX, run_save},
	{"erofs", 1, 1, run_erofs},
	{"tar", 1, 1, run_tar_write, true},
	{"untar", 1, 1, run_tar_read, true},
	{"push", 1, 1, run_push},
	{"login", 0, 1, run_login, true},
	{"logout", 0, 1, run_logout, true},
};

static int usage(struct err *e)
{
	return err_set(e, EINVAL,
		"usage: caisson-fetch --root DIR pull|import|commit|load|save|erofs|tar|untar|push|login|logout ...");
}

static int parse(int argc, char *argv[], struct options *o, struct err *e)
{
	static const struct option longs[] = {{"root", required_argument, NULL, 'r'}, {"quiet", no_argument, NULL, 'q'},
		{"isolation", required_argument, NULL, 'i'}, {"platform", required_argument, NULL, 'p'},
		{"change", required_argument, NULL, 'c'}, {"message", required_argument, NULL, 'm'},
		{"author", required_argument, NULL, 'A'}, {"all-tags", no_argument, NULL, 'a'},
		{"insecure-registry", required_argument, NULL, 'I'}, {"timeout", required_argument, NULL, 't'},
		{"output", required_argument, NULL, 'o'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "qac:m:", longs, NULL)) >= 0)
		switch (c) {
		case 'r':
			o->root = optarg;
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'i':
			o->isolation = optarg;
			break;
		case 'p':
			o->platform = optarg;
			break;
		case 'c':
			if (strv_push(&o->changes, optarg) < 0)
				return err_nomem(e);
			break;
		case 'a':
			o->all_tags = true;
			break;
		case 'I':
			if (strv_push(&o->insecure, optarg) < 0)
				return err_nomem(e);
			break;
		case 't':
			if (parse_u32(optarg, &o->timeout_s) < 0)
				return usage(e);
			break;
		case 'o':
			o->output = optarg;
			break;
		case 'A':
			o->author = optarg;
			break;
		case 'm':
			o->message = optarg;
			break;
		default:
			return usage(e);
		}
	o->args = argv + optind + 1;
	o->n_args = argc - optind - 1;
	return o->root && o->n_args >= 0 ? 0 : usage(e);
}

static int run(const char *command, const struct options *o, struct err *e)
{
	_cleanup_close_ int root = -1;
	_cleanup_db_ struct db *d = NULL;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(command, commands[i].name) != 0)
			continue;
		if (o->n_args < commands[i].min_args || o->n_args > commands[i].max_args)
			return usage(e);
		if (commands[i].alone)
			return commands[i].run(NULL, o, e);
		int r = mkdir_p(AT_FDCWD, o->root, 0700);
		if (r < 0)
			return err_errno(e, r, "make %s", o->root);
		root = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root < 0)
			return err_errno(e, errno, "open %s", o->root);
		r = db_open(root, o->root, &d, e);
		return r < 0 ? r : commands[i].run(d, o, e);
	}
	return usage(e);
}

int main(int argc, char *argv[])
{
	struct options o = {0};
	struct err e = ERR_INIT;

	/* so that libarchive takes the UTF-8 names of pax headers as they are */
	setlocale(LC_CTYPE, "C.UTF-8");
	setvbuf(stdout, NULL, _IOLBF, 0);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	int r = parse(argc, argv, &o, &e);
	if (r == 0)
		r = run(argv[optind], &o, &e);
	if (r < 0)
		fprintf(stderr, "caisson: %s\n", e.msg);
	strv_free(o.changes);
	strv_free(o.insecure);
	curl_global_cleanup();
	return r < 0 ? 1 : r;
}
