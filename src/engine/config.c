/* Opening the engine: directories, the configuration file, and where the parts of an installed or just built Caisson are. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "config.h"
#include "engine/engine-private.h"

enum { TEMPLATE_LINGER_S = 600 };

static const char host_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";

static int set_string(char **at, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static int set_isolation(struct engine *g, const char *value, struct err *e)
{
	return isolation_parse(value, &g->isolation, e);
}

static int set_accel(struct engine *g, const char *value, struct err *e)
{
	static const char *const known[] = {"auto", "kvm", "tcg", NULL};

	if (!str_in(value, known))
		return err_set(e, EINVAL, "invalid accel (%s): use 'auto', 'kvm' or 'tcg'", value);
	return set_string(&g->accel, value) < 0 ? err_nomem(e) : 0;
}

static int set_kernel(struct engine *g, const char *value, struct err *e)
{
	if (*value != '/')
		return err_set(e, EINVAL, "invalid kernel (%s): an absolute path is needed", value);
	return set_string(&g->kernel, value) < 0 ? err_nomem(e) : 0;
}

/* "65536-": a first uid and how many follow, "2000000:65536" */
static int set_vm_uids(struct engine *g, const char *value, struct err *e)
{
	_cleanup_strv_ char **parts = strv_split(value, ":");

	if (strv_len(parts) != 2 || parse_u32(parts[0], &g->host.uid_base) < 0 ||
		parse_u32(parts[1], &g->host.uid_count) < 0 || g->host.uid_base < 1000 || !g->host.uid_count ||
		g->host.uid_count > UINT32_MAX - g->host.uid_base)
		return err_set(e, EINVAL, "invalid vm-uids (%s): use FIRST:COUNT, such as 2000000:65536", value);
	return 0;
}

static int set_fresh_boot(struct engine *g, const char *value, struct err *e)
{
	g->fresh_boot = !strcmp(value, "yes");
	return g->fresh_boot || !strcmp(value, "no")
		? 0
		: err_set(e, EINVAL, "invalid fresh-boot (%s): use 'yes' or 'no'", value);
}

/* seconds */
static int set_template_linger(struct engine *g, const char *value, struct err *e)
{
	if (parse_u32(value, &g->host.template_linger_s) < 0 || g->host.template_linger_s > 7 * 86400)
		return err_set(e, EINVAL, "invalid template-linger (%s): use seconds, at most a week", value);
	return 0;
}

static int set_image_templates(struct engine *g, const char *value, struct err *e)
{
	static const char *const names[] = {[IMAGE_TEMPLATES_AUTO] = "auto",
		[IMAGE_TEMPLATES_MANUAL] = "manual",
		[IMAGE_TEMPLATES_NEVER] = "never"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(value, names[i])) {
			g->host.image_templates = (enum image_templates)i;
			return 0;
		}
	return err_set(e, EINVAL, "invalid image-templates (%s): use 'auto', 'manual' or 'never'", value);
}

/* Hosts that may be spoken to without TLS, or with a certificate that nobody signed: "10.0.0.1:5000, registry.lan" */
static int set_insecure_registries(struct engine *g, const char *value, struct err *e)
{
	_cleanup_strv_ char **hosts = strv_split(value, ", \t");

	strv_foreach(host, hosts)
		if (strchr(host, '/') || str_starts(host, "-") || strspn(host, host_chars) != strlen(host))
			return err_set(e, EINVAL,
				"invalid insecure-registries (%s): use HOST or HOST:PORT, separated by commas", host);
	return strv_push_all(&g->insecure_registries, hosts) < 0 ? err_nomem(e) : 0;
}

static int set_registry_timeout(struct engine *g, const char *value, struct err *e)
{
	if (parse_u32(value, &g->registry_timeout_s) < 0 || !g->registry_timeout_s || g->registry_timeout_s > 86400)
		return err_set(e, EINVAL, "invalid registry-timeout (%s): use seconds, from 1 to 86400", value);
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct engine *g, const char *value, struct err *e);
} keys[] = {
	{"isolation", set_isolation},
	{"accel", set_accel},
	{"kernel", set_kernel},
	{"vm-uids", set_vm_uids},
	{"fresh-boot", set_fresh_boot},
	{"template-linger", set_template_linger},
	{"image-templates", set_image_templates},
	{"insecure-registries", set_insecure_registries},
	{"registry-timeout", set_registry_timeout},
};

static char *trim(char *s)
{
	s += strspn(s, " \t");
	for (char *end = s + strlen(s); end > s && strchr(" \t\r", end[-1]); end--)
		end[-1] = 0;
	return s;
}

static int parse_line(struct engine *g, char *line, struct err *e)
{
	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	char *eq = strchr(line, '=');
	if (!eq)
		return err_set(e, EINVAL, "'%s' is not of the form KEY = VALUE", line);
	*eq = 0;
	char *key = trim(line), *value = trim(eq + 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(key, keys[i].key))
			return keys[i].set(g, value, e);
	return err_set(e, EINVAL, "unknown key '%s'", key);
}

static int read_config(struct engine *g, bool required, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = file_read(AT_FDCWD, g->config_file, 64 * 1024, &b), number = 0;

	if (r == -ENOENT && !required)
		return 0;
	if (r < 0)
		return err_errno(e, r, "%s", g->config_file);
	for (char *line = b.data, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		number++;
		r = parse_line(g, line, e);
		if (r < 0)
			return err_wrap(e, "%s:%d", g->config_file, number);
	}
	return 0;
}

/* Beside the program when it runs from where it was built, else where it was installed. */
static int find_parts(struct engine *g, const struct engine_paths *paths)
{
	char exe[4096];

	if (paths->libexec_dir && paths->data_dir) {
		g->libexec_dir = strdup(paths->libexec_dir);
		g->data_dir = strdup(paths->data_dir);
		return g->libexec_dir && g->data_dir ? 0 : -ENOMEM;
	}
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 32);

	if (n > 0) {
		exe[n] = 0;
		char *slash = strrchr(exe, '/');
		strcpy(slash + 1, "caisson-monitor");
		bool built = access(exe, X_OK) == 0 && access("/proc/self/exe", X_OK) == 0;
		strcpy(slash + 1, "data/seccomp.json");
		if (built && access(exe, R_OK) == 0) {
			*slash = 0;
			g->libexec_dir = strdup(exe);
			g->data_dir = path_join(exe, "data");
			return g->libexec_dir && g->data_dir ? 0 : -ENOMEM;
		}
	}
	g->libexec_dir = strdup(CAISSON_LIBEXECDIR);
	g->data_dir = strdup(CAISSON_DATADIR);
	return g->libexec_dir && g->data_dir ? 0 : -ENOMEM;
}

static char *choose(const char *given, const char *variable, const char *dflt)
{
	const char *env = secure_getenv(variable);

	return strdup(!str_empty(given) ? given : !str_empty(env) ? env : dflt);
}

/* An absolute path: a monitor goes on with it from "/". */
static int absolute(char **path)
{
	if (**path == '/')
		return 0;
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	char *joined = cwd ? path_join(cwd, *path) : NULL;
	if (!joined)
		return -errno;
	free(*path);
	*path = joined;
	return 0;
}

static int open_dir(const char *path, int *ret_fd, struct err *e)
{
	int r = mkdir_p(AT_FDCWD, path, 0700);

	if (r == 0) {
		*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = *ret_fd < 0 ? -errno : 0;
	}
	if (r == -EACCES || r == -EPERM)
		return err_set(e, -r, "%s: permission denied: run caisson as root or with sudo", path);
	return r < 0 ? err_errno(e, r, "%s", path) : 0;
}

int engine_open(struct engine **ret, const struct engine_paths *paths, struct err *e)
{
	struct engine *g = calloc(1, sizeof(*g));
	bool required = !str_empty(paths->config) || !str_empty(secure_getenv("CAISSON_CONFIG"));

	if (!g)
		return err_nomem(e);
	g->root_fd = g->run_fd = g->elements_sock = -1;
	g->isolation = ISOLATION_PROCESS;
	g->host.template_linger_s = TEMPLATE_LINGER_S;
	g->host.uid_base = 2000000;
	g->host.uid_count = 65536;
	g->host.usual_filter = security_usual_filter;
	g->host.usual_filter_data = g;
	g->root = choose(paths->root, "CAISSON_ROOT", "/var/lib/caisson");
	g->run = choose(paths->run, "CAISSON_RUN", "/run/caisson");
	g->config_file = choose(paths->config, "CAISSON_CONFIG", CAISSON_SYSCONFDIR "/caisson/caisson.conf");
	g->accel = strdup("auto");
	int r = 0;
	if (!g->root || !g->run || !g->config_file || !g->accel || find_parts(g, paths) < 0)
		r = err_nomem(e);
	if (r == 0 && (absolute(&g->root) < 0 || absolute(&g->run) < 0 || absolute(&g->config_file) < 0))
		r = err_errno(e, errno, "current directory");
	if (r == 0)
		r = read_config(g, required, e);
	if (r == 0)
		r = open_dir(g->root, &g->root_fd, e);
	if (r == 0)
		r = open_dir(g->run, &g->run_fd, e);
	if (r < 0) {
		engine_free(g);
		return r;
	}
	if (g->isolation == ISOLATION_DEFAULT)
		g->isolation = ISOLATION_PROCESS;
	g->host.state_dir = g->root;
	g->host.run_dir = g->run;
	g->host.libexec_dir = g->libexec_dir;
	g->host.data_dir = g->data_dir;
	g->host.accel = g->accel;
	g->host.kernel = g->kernel;
	*ret = g;
	return 0;
}

void engine_close_db(struct engine *g)
{
	db_close(g->db);
	g->db = NULL;
}

int engine_db(struct engine *g, struct db **ret, struct err *e)
{
	if (!g->db) {
		int r = db_open(g->root_fd, g->root, &g->db, e);
		if (r < 0)
			return r;
	}
	*ret = g->db;
	return 0;
}

void engine_free(struct engine *g)
{
	if (!g)
		return;
	engine_close_db(g);
	close_fd(&g->root_fd);
	close_fd(&g->run_fd);
	close_fd(&g->elements_sock);
	free(g->root);
	free(g->run);
	free(g->libexec_dir);
	free(g->data_dir);
	free(g->config_file);
	free(g->accel);
	free(g->kernel);
	strv_free(g->insecure_registries);
	free(g);
}
