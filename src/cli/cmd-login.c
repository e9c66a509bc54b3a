/* caisson login: asks for what the options do not say; caisson-fetch asks the registry, and keeps it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cmd.h"
#include "cli/term.h"

enum { PASSWORD_MAX = 16384 };

static const struct opt options[] = {
	{"password", 'p', &opt_string, NULL, "Password"},
	{"password-stdin", 0, &opt_bool, NULL, "Take the password from stdin"},
	{"username", 'u', &opt_string, NULL, "Username"},
	{0},
};

static int check(const struct opts *o, struct err *e)
{
	if (opts_given(o, "password")) {
		fputs("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n", stderr);
		if (opts_flag(o, "password-stdin"))
			return err_set(e, EINVAL, "--password and --password-stdin are mutually exclusive");
	}
	if (opts_flag(o, "password-stdin") && str_empty(opts_str(o, "username")))
		return err_set(e, EINVAL, "Must provide --username with --password-stdin");
	return 0;
}

/* Without the end of its line. */
static int read_stdin(char **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = fd_read_to_end(STDIN_FILENO, PASSWORD_MAX, &b);

	if (r < 0)
		return err_errno(e, r, "read the password");
	if (b.len && b.data[b.len - 1] == '\n')
		b.len--;
	if (b.len && b.data[b.len - 1] == '\r')
		b.len--;
	*ret = strndup(b.data ? b.data : "", b.len);
	if (b.data)
		explicit_bzero(b.data, b.size);
	return *ret ? 0 : err_nomem(e);
}

static int ask(const char *prompt, bool secret, char **ret, struct err *e)
{
	if (term_ask(prompt, secret, ret, e) == -ENOTTY)
		return err_set(e, ENOTTY,
			"Cannot perform an interactive login from a non TTY device: use --username and "
			"--password-stdin");
	return e->code ? -e->code : 0;
}

static int get(const struct opts *o, char **user, char **password, struct err *e)
{
	int r = 0;

	if (!str_empty(opts_str(o, "username")) && !(*user = strdup(opts_str(o, "username"))))
		return err_nomem(e);
	if (!str_empty(opts_str(o, "password")) && !(*password = strdup(opts_str(o, "password"))))
		return err_nomem(e);
	if (opts_flag(o, "password-stdin"))
		r = read_stdin(password, e);
	if (r == 0 && !*user)
		r = ask("Username: ", false, user, e);
	if (r == 0 && str_empty(*user))
		return err_set(e, EINVAL, "Non-null Username Required");
	if (r == 0 && !*password)
		r = ask("Password: ", true, password, e);
	return r == 0 && str_empty(*password) ? err_set(e, EINVAL, "Password Required") : r;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_free_ char *user = NULL, *password = NULL;
	const char *server = o->args_len ? o->args[0] : "";
	int r = check(o, e);
	struct engine *g = r == 0 ? cli_engine(c, e) : NULL;

	if (!g)
		return -e->code;
	if (str_empty(opts_str(o, "username")) && str_empty(opts_str(o, "password"))) {
		/* those that are kept may be good still */
		r = engine_login(g, server, NULL, NULL, e);
		if (r <= 0 || (r != ENGINE_LOGIN_NONE && !isatty(0)))
			return r;
	}
	r = get(o, &user, &password, e);
	if (r == 0)
		r = engine_login(g, server, user, password, e);
	if (password)
		explicit_bzero(password, strlen(password));
	return r;
}

const struct command cmd_login = {
	.name = "login",
	.synopsis = "[OPTIONS] [SERVER]",
	.summary = "Log in to a registry",
	.options = {options},
	.min_args = 0,
	.max_args = 1,
	.run = run,
};
