/* Creating a container: the body completed from the image, everything checked, then the record and its directory made. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/proc.h"
#include "engine/engine-private.h"
#include "engine/publish.h"
#include "isolation/hyperv.h"

static const char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* The image's value where the body has none. */
static void inherit(json_t *config, const json_t *image, const char *key)
{
	const json_t *own = json_object_get(config, key);
	json_t *theirs = json_object_get(image, key);

	if ((!own || json_is_null(own) || (json_is_string(own) && !json_string_length(own))) && theirs &&
		!json_is_null(theirs))
		json_object_set(config, key, theirs);
}

static void inherit_map(json_t *config, const json_t *image, const char *key)
{
	_cleanup_json_ json_t *merged = json_object();

	json_object_update(merged, json_object_get(image, key));
	json_object_update(merged, json_object_get(config, key));
	if (json_object_size(merged))
		json_object_set(config, key, merged);
}

static int merge_env(json_t *config, const json_t *image, struct err *e)
{
	_cleanup_strv_ char **env = NULL, **theirs = json_strv(json_object_get(image, "Env"));
	_cleanup_strv_ char **own = json_strv(json_object_get(config, "Env"));
	int r = strv_push_all(&env, theirs);

	if (r == 0 && !env_get(env, "PATH"))
		r = env_set(&env, default_path);
	strv_foreach(s, own) {
		if (r < 0)
			break;
		if (!*s || *s == '=')
			return err_set(e, EINVAL, "invalid environment variable: %s", s);
		if (strchr(s, '='))
			r = env_set(&env, s);
	}
	if (r == 0 && !env_get(env, "HOSTNAME") && !str_empty(json_str(config, "Hostname")))
		r = strv_pushf(&env, "HOSTNAME=%s", json_str(config, "Hostname"));
	if (r == 0 && json_flag(config, "Tty") && !env_get(env, "TERM"))
		r = env_set(&env, "TERM=xterm");
	return r < 0 ? err_nomem(e) : json_object_set_new(config, "Env", json_from_strv(env));
}

/* docker's rule: an Entrypoint of the user's leaves the image's Cmd out; an empty one ([""]) means none at all. */
static int merge_command(json_t *config, const json_t *image, struct err *e)
{
	json_t *entry = json_object_get(config, "Entrypoint");
	bool own_entry = json_array_size(entry) > 0;

	if (!own_entry) {
		if (!json_array_size(json_object_get(config, "Cmd")) && json_array_size(json_object_get(image, "Cmd")))
			json_object_set(config, "Cmd", json_object_get(image, "Cmd"));
		if (json_array_size(json_object_get(image, "Entrypoint")))
			json_object_set(config, "Entrypoint", json_object_get(image, "Entrypoint"));
	} else if (json_array_size(entry) == 1 && !json_string_length(json_array_get(entry, 0))) {
		json_object_set_new(config, "Entrypoint", json_null());
	}
	if (!json_array_size(json_object_get(config, "Cmd")) && !json_array_size(json_object_get(config, "Entrypoint")))
		return err_set(e, EINVAL, "no command specified");
	return 0;
}

static int merge_image(json_t *config, const json_t *image, struct err *e)
{
	static const char *const inherited[] = {"User", "WorkingDir", "StopSignal", "Shell", NULL};

	for (size_t i = 0; inherited[i]; i++)
		inherit(config, image, inherited[i]);
	health_inherit(config, image);
	inherit_map(config, image, "Labels");
	inherit_map(config, image, "Volumes");
	inherit_map(config, image, "ExposedPorts");
	int r = merge_command(config, image, e);
	return r < 0 ? r : merge_env(config, image, e);
}

static int check_config(const json_t *config, struct err *e)
{
	const char *cwd = json_str(config, "WorkingDir"), *signal = json_str(config, "StopSignal");
	const char *hostname = json_str(config, "Hostname");
	int sig;

	if (!str_empty(cwd) && *cwd != '/')
		return err_set(
			e, EINVAL, "the working directory '%s' is invalid, it needs to be an absolute path", cwd);
	if (health_check_config(config, e) < 0)
		return -EINVAL;
	if (!str_empty(signal) && parse_signal(signal, &sig) < 0)
		return err_set(e, EINVAL, "invalid signal: %s", signal);
	if (hostname &&
		(strlen(hostname) > 63 ||
			strspn(hostname, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") !=
				strlen(hostname)))
		return err_set(e, EINVAL, "invalid hostname format: %s", hostname);
	return 0;
}

static int set_isolation(struct engine *g, json_t *hc, enum isolation_kind *ret, struct err *e)
{
	const char *asked = json_str(hc, "Isolation");
	enum isolation_kind k = ISOLATION_DEFAULT;

	if (!str_empty(asked)) {
		int r = isolation_parse(asked, &k, e);
		if (r < 0)
			return r;
	}
	if (k == ISOLATION_DEFAULT)
		k = g->isolation;
	json_object_set_new(hc, "Isolation", json_string(isolation_name(k)));
	*ret = k;
	return 0;
}

/* What only one kind of isolation can do. */
static int check_kind(enum isolation_kind kind, const json_t *hc, struct err *e)
{
	if (kind == ISOLATION_HYPERV)
		return 0;
	if (!str_empty(json_str(hc, "Kernel")))
		return err_set(e, ENOTSUP,
			"--kernel is for --isolation=hyperv: a container in process isolation runs on the host's "
			"kernel");
	if (json_object_size(json_object_get(hc, "StorageOpt")))
		return err_set(e, ENOTSUP,
			"--storage-opt is for --isolation=hyperv, where a container has a disk of its own: in process "
			"isolation it writes to the host's file system");
	return 0;
}

static void set_hostname(json_t *config, const json_t *hc, const char *id)
{
	struct utsname u;
	char shortened[13];
	const char *mode = json_str(hc, "NetworkMode"), *uts = json_str(hc, "UTSMode");

	if (!str_empty(json_str(config, "Hostname")))
		return;
	snprintf(shortened, sizeof(shortened), "%.12s", id);
	if (((mode && !strcmp(mode, "host")) || (uts && !strcmp(uts, "host"))) && uname(&u) == 0)
		json_object_set_new(config, "Hostname", json_from_str(u.nodename));
	else
		json_object_set_new(config, "Hostname", json_string(shortened));
}

/* What only Caisson keeps of a container, beside docker's fields. */
static int own_fields(struct engine *g, enum isolation_kind kind, const json_t *hc, const struct image *image,
	json_t **ret, struct err *e)
{
	_cleanup_strv_ char **layers = NULL;
	_cleanup_free_ char *erofs = NULL;
	json_t *security;

	timing_end(g->timing, TIMING_RESOLVE);
	int r = image_lower_dirs(g->root, image, &layers, e);
	if (r == 0 && kind == ISOLATION_HYPERV)
		r = engine_erofs(g, image, &erofs, e);
	timing_end(g->timing, TIMING_ROOTFS);
	if (r == 0)
		r = security_resolve(hc, &security, e);
	if (r < 0)
		return r;
	*ret = json_pack("{s:o, s:o}", "Layers", json_from_strv(layers), "Security", security);
	if (*ret && erofs)
		json_object_set_new(*ret, "Erofs", json_string(erofs));
	return *ret ? 0 : err_nomem(e);
}

static int split_command(const json_t *config, json_t *record)
{
	json_t *all = json_array();

	json_array_extend(all, json_object_get(config, "Entrypoint"));
	json_array_extend(all, json_object_get(config, "Cmd"));
	json_object_set(record, "Path", json_array_get(all, 0));
	json_array_remove(all, 0);
	return json_object_set_new(record, "Args", all);
}

/* What a creation works out before it makes anything. */
struct creation {
	json_t *record;
	json_t *networks; /* endpoints_resolve's */
	json_t *warnings;
};

static void creation_done(struct creation *c)
{
	json_decref(c->record);
	json_decref(c->networks);
	json_decref(c->warnings);
}

/* The whole record but for the name and what mounts_prepare makes. */
static int make_record(struct engine *g, const char *id, const json_t *body, const struct image *image,
	struct creation *c, struct err *e)
{
	json_t **ret = &c->record;
	_cleanup_json_ json_t *config = json_deep_copy(body);
	_cleanup_json_ json_t *hc = json_is_object(json_object_get(body, "HostConfig"))
		? json_deep_copy(json_object_get(body, "HostConfig"))
		: json_object();
	json_t *own = NULL, *mounts = NULL;
	struct isolation_host host;
	enum isolation_kind kind;
	char time[40];

	if (!config || !hc)
		return err_nomem(e);
	json_object_del(config, "HostConfig");
	json_object_del(config, "NetworkingConfig");
	set_hostname(config, hc, id);
	int r = hostconfig_check(hc, e);
	if (r == 0)
		r = merge_image(config, image->config, e);
	if (r == 0)
		r = check_config(config, e);
	if (r == 0)
		r = set_isolation(g, hc, &kind, e);
	if (r == 0)
		r = check_kind(kind, hc, e);
	if (r == 0)
		r = namespaces_resolve(g, body, hc, kind, e);
	host = engine_host(g, hc);
	if (r == 0)
		r = isolation_probe(kind, &host, e);
	if (r == 0)
		r = resources_check(hc, kind, c->warnings, e);
	if (r == 0)
		r = endpoints_resolve(g, hc, json_object_get(body, "NetworkingConfig"), kind, &c->networks, e);
	if (r == 0)
		r = publish_check(config, hc, c->warnings, e);
	if (r == 0)
		r = mounts_resolve(g, config, hc, &mounts, e);
	if (r == 0 && kind == ISOLATION_HYPERV)
		mounts_warn(mounts, c->warnings);
	if (r == 0)
		r = own_fields(g, kind, hc, image, &own, e);
	if (r < 0) {
		json_decref(mounts);
		return r;
	}
	*ret = json_pack("{s:s, s:s, s:s, s:o, s:O, s:O, s:o}", "Id", id, "Created",
		clock_rfc3339(clock_real_ns(), time), "Image", image->id, "Mounts", mounts, "Config", config,
		"HostConfig", hc, "Caisson", own);
	return !*ret || split_command(config, *ret) < 0 ? err_nomem(e) : 0;
}

/* What this host cannot do of it is known before anything is made. */
static int check_plan(struct engine *g, const json_t *record, struct err *e)
{
	struct isolation_host host = engine_host(g, json_object_get(record, "HostConfig"));
	struct plan plan = {0};
	_cleanup_buf_ struct buf encoded = {0};
	int r = engine_plan(g, record, &plan, e);

	if (r == 0)
		r = isolation_check(record_isolation(record), &host, &plan, e);
	int code = r < 0 ? 0 : plan_encode(&plan, &encoded);
	plan_done(&plan);
	return code < 0 ? plan_too_long(code, e) : r;
}

/* The upper directory is the container's "/": it has the owner and mode of the image's. */
static int make_upper(struct engine *g, const char *dir, const json_t *record, struct err *e)
{
	const char *top = json_string_value(json_array_get(json_path(record, "Caisson.Layers"), 0));
	_cleanup_free_ char *upper = path_join(dir, "upper"), *work = path_join(dir, "work");
	struct stat st;

	if (!top || stat(top, &st) < 0)
		return err_set(e, ENOENT, "the image's layer %s is missing: pull the image again", top ? top : "");
	if (!upper || !work)
		return err_nomem(e);
	if (mkdirat(g->root_fd, work, 0700) < 0 || mkdirat(g->root_fd, upper, 0700) < 0 ||
		fchownat(g->root_fd, upper, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		fchmodat(g->root_fd, upper, st.st_mode & 07777, 0) < 0)
		return err_errno(e, errno, "make %s/%s", g->root, upper);
	return 0;
}

static int make_directory(struct engine *g, const char *id, const json_t *record, struct err *e)
{
	char dir[80];
	uint64_t bytes;

	snprintf(dir, sizeof(dir), "containers/%s", id);
	int r = mkdir_p(g->root_fd, dir, 0700);
	if (r < 0)
		return err_errno(e, r, "make %s/%s", g->root, dir);
	if (record_isolation(record) == ISOLATION_PROCESS)
		return make_upper(g, dir, record, e);
	_cleanup_free_ char *disk = str_fmt("%s/%s/disk.ext4", g->root, dir);
	if (!disk)
		return err_nomem(e);
	const char *size = json_str(json_path(record, "HostConfig.StorageOpt"), "size");
	return parse_bytes(size ? size : "", &bytes) == 0 ? hyperv_disk_create(&g->host, disk, bytes, e)
							  : hyperv_disk_new(disk, e);
}

/* With a made-up name where the user gave none. */
static int insert_named(struct db *db, const char *name, json_t *record, struct container_row *row, struct err *e)
{
	char generated[64];
	int r = -EEXIST;

	for (int tries = 0; r == -EEXIST && tries < (name ? 1 : 20); tries++) {
		if (!name && name_generate(generated) < 0)
			return err_set(e, EIO, "no random bytes");
		row->name = (char *)(name ? name : generated);
		json_object_set_new(record, "Name", json_sprintf("/%s", row->name));
		_cleanup_free_ char *text = json_dumps(record, JSON_COMPACT);
		row->record = text;
		r = text ? containers_insert(db, row, e) : err_nomem(e);
	}
	return r;
}

/* The image and the volumes must still be there when the row is: their removals look for rows in transactions of their own. */
static int insert(struct engine *g, const char *name, const struct creation *c, struct err *e)
{
	json_t *record = c->record;
	_cleanup_image_ struct image image = {0};
	struct container_row row = {.created_ns = clock_real_ns(),
		.auto_remove = json_flag(json_object_get(record, "HostConfig"), "AutoRemove")};
	struct db *db;
	int r = engine_db(g, &db, e);

	snprintf(row.id, sizeof(row.id), "%s", json_str(record, "Id"));
	row.image_id = (char *)json_str(record, "Image");
	if (r == 0)
		r = db_begin(db, e);
	if (r < 0)
		return r;
	r = image_find(db, row.image_id, &image, e);
	if (r == 0)
		r = mounts_keep_volumes(g, json_object_get(record, "Mounts"), e);
	if (r == 0)
		r = insert_named(db, name, record, &row, e);
	if (r == 0)
		r = endpoints_create(g, db, row.id, json_object_get(record, "HostConfig"), c->networks, e);
	return db_end(db, r, e);
}

static int check_name(struct engine *g, const char *name, struct err *e)
{
	_cleanup_(container_row_done) struct container_row row = {0};
	struct err none;
	struct db *db;

	if (!name)
		return 0;
	int r = name_check_length("container", name, e);
	if (r < 0)
		return r;
	if (!name_valid(name))
		return err_set(
			e, EINVAL, "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
	r = engine_db(g, &db, e);
	if (r < 0)
		return r;
	if (containers_find(db, name, &row, &none) == 0 && !strcmp(row.name, name))
		return err_set(e, EEXIST,
			"Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to "
			"remove (or rename) that container to be able to reuse that name.",
			name, row.id);
	return 0;
}

/* The image, for the platform that was asked for; one of another than this machine's is a warning if none was. */
static int find_image(struct db *db, const json_t *body, struct image *ret, json_t *warnings, struct err *e)
{
	const char *ref = json_str(body, "Image"), *platform = json_str(body, "Platform");
	int r = image_find(db, ref ? ref : "", ret, e);

	if (r == 0)
		r = image_check_platform(ret, ref, platform, e);
	if (r != -ENOEXEC)
		return r;
	json_array_append_new(warnings, json_from_str(e->msg));
	*e = ERR_INIT;
	return 0;
}

int engine_create(
	struct engine *g, const char *name, const json_t *body, char ret_id[65], json_t **ret_warnings, struct err *e)
{
	_cleanup_(image_done) struct image image = {0};
	_cleanup_(intent_done) struct intent intent = {.fd = -1};
	_cleanup_(creation_done) struct creation c = {.warnings = json_array()};
	char id[65];
	struct db *db;

	if (name && *name == '/')
		name++;
	int r = check_name(g, name, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0)
		r = find_image(db, body, &image, c.warnings, e);
	if (r == 0 && random_id(id) < 0)
		r = err_set(e, EIO, "no random bytes");
	timing_end(g->timing, TIMING_RESOLVE);
	if (r == 0)
		r = make_record(g, id, body, &image, &c, e);
	if (r < 0)
		return r;
	json_t *record = c.record;
	json_object_set_new(record, "Name", json_sprintf("/%s", name ? name : ""));
	r = check_plan(g, record, e);
	if (r < 0)
		return r;
	intents_sweep(g);
	r = mounts_name_volumes(json_object_get(record, "Mounts"), e);
	if (r == 0)
		r = intent_begin(g, id, record, &intent, e);
	if (r < 0)
		return r;
	r = make_directory(g, id, record, e);
	timing_end(g->timing, record_isolation(record) == ISOLATION_HYPERV ? TIMING_DISK : TIMING_ROOTFS);
	if (r == 0)
		r = mounts_prepare(g, json_object_get(record, "Mounts"), e);
	if (r == 0)
		r = insert(g, name, &c, e);
	if (r < 0) {
		intent_undo(g, &intent);
		return r;
	}
	intent_forget(g, &intent);
	_cleanup_json_ json_t *actor = event_actor(json_str(record, "Name") + 1, record);
	event_container(g->root_fd, id, actor, "create", NULL);
	memcpy(ret_id, id, sizeof(id));
	if (ret_warnings)
		*ret_warnings = steal_ptr(c.warnings);
	return 0;
}
