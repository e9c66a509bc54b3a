/* Credentials: what the files say, and who keeps those of a domain. */
#include "image/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/proc.h"

enum { FILE_MAX = 1024 * 1024, ANSWER_MAX = 64 * 1024, HELPER_NAME_MAX = 64 };

void credentials_done(struct credentials *c)
{
	if (c->secret)
		explicit_bzero(c->secret, strlen(c->secret));
	free(c->user);
	free(c->secret);
	*c = (struct credentials){0};
}

/* Under what docker keeps those of a domain. */
static const char *server_of(const char *domain)
{
	return !strcmp(domain, "docker.io") ? "https://index.docker.io/v1/" : domain;
}

/* What docker and podman write for a domain: the domain, or an URL with it. */
static bool key_matches(const char *key, const char *domain)
{
	if (!strcmp(domain, "docker.io") &&
		(!strcmp(key, "https://index.docker.io/v1/") || !strcmp(key, "index.docker.io")))
		return true;
	if (str_starts(key, "https://"))
		key += strlen("https://");
	else if (str_starts(key, "http://"))
		key += strlen("http://");
	size_t n = strcspn(key, "/");
	return strlen(domain) == n && !strncasecmp(key, domain, n);
}

static int copy(struct credentials *ret, const char *user, const char *secret, bool is_token, struct err *e)
{
	struct credentials c = {.user = strdup(user), .secret = strdup(secret), .is_token = is_token};

	if (!c.user || !c.secret) {
		credentials_done(&c);
		return err_nomem(e);
	}
	*ret = c;
	return 0;
}

/* base64("user:password") */
static int decode(const char *base64, const char *key, struct credentials *ret, struct err *e)
{
	size_t n = 0;
	char *text = strlen(base64) > ANSWER_MAX ? NULL : base64_decode(base64, &n);
	char *colon = text && strlen(text) == n ? strchr(text, ':') : NULL;
	int r = 0;

	if (colon)
		*colon++ = 0;
	if (!colon || !*text)
		r = err_set(e, EINVAL, "the credentials for %.200s are not valid", key);
	else if (*colon)
		r = copy(ret, text, colon, false, e);
	if (text)
		explicit_bzero(text, n);
	free(text);
	return r;
}

int credentials_of_file(const json_t *doc, const char *domain, struct credentials *ret, struct err *e)
{
	const char *key;
	json_t *entry;

	json_object_foreach(json_object_get(doc, "auths"), key, entry) {
		const char *auth = json_str(entry, "auth"), *token = json_str(entry, "identitytoken"),
			   *user = json_str(entry, "username"), *password = json_str(entry, "password");
		if (!key_matches(key, domain))
			continue;
		if (!str_empty(token))
			return copy(ret, "", token, true, e);
		if (!str_empty(auth))
			return decode(auth, key, ret, e);
		if (!str_empty(user) && !str_empty(password))
			return copy(ret, user, password, false, e);
	}
	return 0;
}

int credentials_helper_of_file(const json_t *doc, const char *domain, const char **ret, struct err *e)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const char *key, *name = json_str(doc, "credsStore");
	json_t *v;

	json_object_foreach(json_object_get(doc, "credHelpers"), key, v)
		if (key_matches(key, domain) && json_is_string(v))
			name = json_string_value(v);
	*ret = str_empty(name) ? NULL : name;
	if (*ret && (strspn(name, chars) != strlen(name) || strlen(name) > HELPER_NAME_MAX))
		return err_set(e, EINVAL, "'%.64s' is not the name of a credential helper", name);
	return 0;
}

int credentials_of_answer(const char *text, size_t n, struct credentials *ret, struct err *e)
{
	_cleanup_json_ json_t *doc = json_parse(text, n, "its answer", e);
	const char *user = json_str(doc, "Username"), *secret = json_str(doc, "Secret");

	if (!doc)
		return -e->code;
	if (!user || str_empty(secret))
		return err_set(e, EBADMSG, "its answer has no Username and Secret");
	return copy(ret, user, secret, !strcmp(user, "<token>"), e);
}

static char *docker_file(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (!str_empty(dir))
		return path_join(dir, "config.json");
	return str_fmt("%s/.docker/config.json", !str_empty(home) ? home : "/root");
}

/* {} if there is no such file. */
static json_t *read_file(const char *path, struct err *e)
{
	if (access(path, F_OK) < 0)
		return json_object();
	json_t *doc = json_parse_file(AT_FDCWD, path, FILE_MAX, e);
	if (doc && !json_is_object(doc)) {
		json_decref(doc);
		err_set(e, EINVAL, "%s: not an object", path);
		return NULL;
	}
	return doc;
}

/* Runs docker-credential-NAME VERB; 0 and what it prints, or -EIO with its words; -ENOENT if it knows no such server. */
static int ask_helper(const char *name, char *verb, const void *input, size_t n, struct buf *out, struct err *e)
{
	_cleanup_free_ char *program = str_fmt("docker-credential-%s", name);
	char *argv[] = {program, verb, NULL};

	if (!program)
		return err_nomem(e);
	int r = proc_run_answer(argv, input, n, ANSWER_MAX, out, e);
	if (r <= 0)
		return r;
	const char *said = out->len ? out->data : "";
	if (strstr(said, "credentials not found") || strstr(said, "no credentials"))
		return err_set(e, ENOENT, "%s knows nothing of it", program);
	return err_set(e, EIO, "%s %s: %.*s", program, verb, (int)strcspn(said, "\r\n"), *said ? said : "failed");
}

static int from_helper(const char *name, const char *domain, struct credentials *ret, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	const char *server = server_of(domain);
	char verb[] = "get";
	int r = ask_helper(name, verb, server, strlen(server), &out, e);

	if (r == -ENOENT && strstr(e->msg, "knows nothing"))
		return 0;
	if (r == 0 && credentials_of_answer(out.data ? out.data : "", out.len, ret, e) < 0)
		r = err_wrap(e, "docker-credential-%s", name);
	if (out.data)
		explicit_bzero(out.data, out.len);
	return r;
}

static int from_path(const char *path, const char *domain, bool helpers, struct credentials *ret, struct err *e)
{
	const char *helper = NULL;

	if (!path)
		return 0;
	_cleanup_json_ json_t *doc = read_file(path, e);
	if (!doc)
		return -e->code;
	int r = helpers ? credentials_helper_of_file(doc, domain, &helper, e) : 0;
	if (r == 0)
		r = helper ? from_helper(helper, domain, ret, e) : credentials_of_file(doc, domain, ret, e);
	return r < 0 ? err_wrap(e, "%s", path) : 0;
}

int credentials_find(const char *domain, struct credentials *ret, struct err *e)
{
	const char *home = getenv("HOME"), *run = getenv("XDG_RUNTIME_DIR"), *own = getenv("REGISTRY_AUTH_FILE");
	_cleanup_free_ char *docker = docker_file();
	_cleanup_free_ char *in_run = str_fmt("%s/containers/auth.json", run ? run : "");
	_cleanup_free_ char *in_home = str_fmt("%s/.config/containers/auth.json", home ? home : "");
	const char *files[] = {docker, own, run ? in_run : NULL, home ? in_home : NULL};

	*ret = (struct credentials){0};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !ret->secret; i++) {
		int r = from_path(files[i], domain, i == 0, ret, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The file, through a link if it is one, keeps its owner; its folder is made. */
static int write_file(const char *path, const json_t *doc, struct err *e)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	_cleanup_free_ char *text = json_dumps(doc, JSON_INDENT(2));
	_cleanup_free_ char *dir = strdup(real ? real : path),
			    *new = str_fmt("%s.%d", real ? real : path, (int)getpid());
	struct stat st;
	int r;

	if (!text || !dir || !new)
		return err_nomem(e);
	*strrchr(dir, '/') = 0;
	r = *dir ? mkdir_p(AT_FDCWD, dir, 0700) : 0;
	if (r == 0)
		r = file_replace(AT_FDCWD, new, text, strlen(text), 0600);
	if (r == 0 && real && stat(real, &st) == 0 && lchown(new, st.st_uid, st.st_gid) < 0)
		r = -errno;
	if (r == 0 && rename(new, real ? real : path) < 0)
		r = -errno;
	if (r < 0)
		unlink(new);
	explicit_bzero(text, strlen(text));
	return r < 0 ? err_errno(e, r, "write %s", path) : 0;
}

/* What docker writes for it in the file. */
static json_t *entry_of(const struct credentials *c)
{
	_cleanup_free_ char *plain = str_fmt("%s:%s", c->user, c->is_token ? "" : c->secret);
	_cleanup_free_ char *auth = plain ? base64_encode(plain, strlen(plain)) : NULL;

	if (!auth)
		return NULL;
	return c->is_token ? json_pack("{s:s, s:s}", "auth", auth, "identitytoken", c->secret)
			   : json_pack("{s:s}", "auth", auth);
}

static int to_helper(const char *name, const char *domain, const struct credentials *c, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	_cleanup_json_ json_t *doc = json_pack("{s:s, s:s, s:s}", "ServerURL", server_of(domain), "Username",
		c->is_token ? "<token>" : c->user, "Secret", c->secret);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL, verb[] = "store";
	int r = text ? ask_helper(name, verb, text, strlen(text), &out, e) : err_nomem(e);

	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return r;
}

/* Takes those of the domain out of the file's "auths"; how many there were. */
static int forget(json_t *doc, const char *domain)
{
	json_t *auths = json_object_get(doc, "auths"), *entry;
	const char *key;
	void *next;
	int n = 0;

	json_object_foreach_safe(
		auths, next, key, entry) if (key_matches(key, domain) && json_object_del(auths, key) == 0) n++;
	return n;
}

int credentials_store(const char *domain, const struct credentials *c, char **ret_file, struct err *e)
{
	_cleanup_free_ char *path = docker_file();
	_cleanup_json_ json_t *doc = path ? read_file(path, e) : NULL;
	const char *helper;

	if (!doc)
		return path ? -e->code : err_nomem(e);
	int r = credentials_helper_of_file(doc, domain, &helper, e);
	if (r < 0)
		return err_wrap(e, "%s", path);
	*ret_file = NULL;
	if (helper)
		return to_helper(helper, domain, c, e);
	json_t *entry = entry_of(c);
	forget(doc, domain);
	if (!json_is_object(json_object_get(doc, "auths")))
		json_set(doc, "auths", json_object());
	if (!entry || json_set(json_object_get(doc, "auths"), server_of(domain), entry) < 0)
		return err_nomem(e);
	r = write_file(path, doc, e);
	if (r == 0)
		*ret_file = steal_ptr(path);
	return r;
}

int credentials_erase(const char *domain, struct err *e)
{
	_cleanup_free_ char *path = docker_file();
	_cleanup_json_ json_t *doc = path ? read_file(path, e) : NULL;
	_cleanup_credentials_ struct credentials kept = {0};
	_cleanup_buf_ struct buf out = {0};
	const char *helper, *server = server_of(domain);
	char verb[] = "erase";

	if (!doc)
		return path ? -e->code : err_nomem(e);
	int r = credentials_helper_of_file(doc, domain, &helper, e);
	if (r == 0 && helper)
		r = from_helper(helper, domain, &kept, e);
	if (r < 0)
		return err_wrap(e, "%s", path);
	if (kept.secret)
		r = ask_helper(helper, verb, server, strlen(server), &out, e);
	int in_file = forget(doc, domain);
	if (in_file && write_file(path, doc, e) < 0)
		return -e->code;
	return r < 0 ? r : kept.secret || in_file;
}
