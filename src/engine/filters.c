/* The filters of the list of containers, and how a filter's value is held against a text. */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine-private.h"

bool filters_match(const json_t *filters, filter_fn *fn, const void *data)
{
	const char *key;
	json_t *values, *v;
	size_t i;

	json_object_foreach((json_t *)filters, key, values) {
		bool every = !strcmp(key, "label"), found = every;
		json_array_foreach(values, i, v) {
			bool m = json_is_string(v) && fn(data, key, json_string_value(v));
			found = every ? found && m : found || m;
		}
		if (!found)
			return false;
	}
	return true;
}

bool filter_text(const char *value, const char *text)
{
	regex_t re;

	if (regcomp(&re, value, REG_EXTENDED | REG_NOSUB) != 0)
		return strstr(text, value);
	bool found = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return found;
}

/* By the network's name, or its id or the beginning of it. */
static bool on_network(struct engine *g, const struct found *f, const char *value)
{
	_cleanup_json_ json_t *settings = network_settings_json(g, f);
	const char *name;
	json_t *n;

	json_object_foreach(json_object_get(settings, "Networks"), name, n) {
		const char *id = json_str(n, "NetworkID");
		if (!strcmp(name, value) || (id && *value && str_starts(id, value)))
			return true;
	}
	return false;
}

/* By the name of a volume, the path of a bind, or where it is in the container. */
static bool has_mount(const struct found *f, const char *value)
{
	size_t i;
	json_t *m;

	json_array_foreach(json_object_get(f->record, "Mounts"), i, m) {
		const char *name = json_str(m, "Name"), *source = json_str(m, "Source"),
			   *target = json_str(m, "Destination");
		const char *from = !str_empty(name) ? name : source;
		if ((from && !strcmp(from, value)) || (target && !strcmp(target, value)))
			return true;
	}
	return false;
}

struct ports {
	unsigned first, last;
	char proto[8];
};

/* "80", "80/udp", "8000-8010/tcp" */
static int parse_ports(const char *value, struct ports *ret)
{
	int n = 0;

	*ret = (struct ports){.proto = "tcp"};
	if (sscanf(value, "%5u-%5u%n", &ret->first, &ret->last, &n) < 2) {
		n = 0;
		sscanf(value, "%5u%n", &ret->first, &n);
		ret->last = ret->first;
	}
	if (!n || ret->first < 1 || ret->last > 65535 || ret->last < ret->first)
		return -EINVAL;
	if (!value[n])
		return 0;
	static const char *const protos[] = {"tcp", "udp", "sctp", NULL};
	if (value[n] != '/' || !str_in(value + n + 1, protos))
		return -EINVAL;
	snprintf(ret->proto, sizeof(ret->proto), "%s", value + n + 1);
	return 0;
}

/* One that is published or exposed: both are the container's, "80/tcp". */
static bool has_port(const struct found *f, const char *value, const char *path)
{
	struct ports wanted, has;
	const char *key;
	json_t *v;

	if (parse_ports(value, &wanted) < 0)
		return false;
	json_object_foreach(json_path(f->record, path), key, v) {
		if (parse_ports(key, &has) == 0 && has.first <= wanted.last && has.last >= wanted.first &&
			!strcmp(has.proto, wanted.proto))
			return true;
	}
	return false;
}

static bool of_image(struct engine *g, const struct found *f, const char *value)
{
	_cleanup_image_ struct image image = {0};
	struct err none;

	if (!strcmp(json_string_value(json_path(f->record, "Config.Image")), value))
		return true;
	return image_find(g->db, value, &image, &none) == 0 && !strcmp(image.id, f->row.image_id);
}

static bool has_health(struct engine *g, const struct found *f, const char *value)
{
	_cleanup_json_ json_t *state = health_json(g, f);
	const char *health = json_str(state, "Status");

	return !strcmp(health ? health : "none", value);
}

/* Whether it was made before or after the container that the value names; check_container has found that one. */
static bool made_beside(struct engine *g, const struct found *f, const char *value, bool before)
{
	_cleanup_(container_row_done) struct container_row other = {0};
	struct err none;

	if (containers_find(g->db, *value == '/' ? value + 1 : value, &other, &none) < 0)
		return false;
	return before ? f->row.created_ns < other.created_ns : f->row.created_ns > other.created_ns;
}

static bool of_isolation(const struct found *f, const char *value)
{
	enum isolation_kind kind;
	struct err none;

	return isolation_parse(value, &kind, &none) == 0 &&
		record_isolation(f->record) == (kind == ISOLATION_DEFAULT ? ISOLATION_PROCESS : kind);
}

static bool has_exited(const struct found *f, const char *value)
{
	int status;

	return !strcmp(container_status_name(f), "exited") && parse_int(value, &status) == 0 &&
		f->row.exit_code == status;
}

struct matching {
	struct engine *engine;
	const struct found *found;
};

static bool on_filter(const void *data, const char *key, const char *value)
{
	const struct matching *m = data;
	const struct found *f = m->found;
	struct engine *g = m->engine;
	bool wanted;

	if (!strcmp(key, "id"))
		return filter_text(value, f->row.id);
	if (!strcmp(key, "name"))
		return filter_text(*value == '/' ? value + 1 : value, f->row.name);
	if (!strcmp(key, "status"))
		return !strcmp(container_status_name(f), value);
	if (!strcmp(key, "isolation"))
		return of_isolation(f, value);
	if (!strcmp(key, "exited"))
		return has_exited(f, value);
	if (!strcmp(key, "ancestor"))
		return of_image(g, f, value);
	if (!strcmp(key, "before") || !strcmp(key, "since"))
		return made_beside(g, f, value, *key == 'b');
	if (!strcmp(key, "network"))
		return on_network(g, f, value);
	if (!strcmp(key, "volume"))
		return has_mount(f, value);
	if (!strcmp(key, "publish"))
		return has_port(f, value, "HostConfig.PortBindings");
	if (!strcmp(key, "expose"))
		return has_port(f, value, "Config.ExposedPorts");
	if (!strcmp(key, "health"))
		return has_health(g, f, value);
	if (!strcmp(key, "is-task"))
		return parse_bool(value, &wanted) == 0 && !wanted;
	return label_matches(json_path(f->record, "Config.Labels"), value);
}

bool container_matches(struct engine *g, const struct found *f, const json_t *filters)
{
	return filters_match(filters, on_filter, &(struct matching){g, f});
}

/* ---- what may be asked ---- */

static bool is_status(const char *s)
{
	static const char *const known[] = {
		"created", "running", "paused", "restarting", "removing", "exited", "dead", NULL};

	return str_in(s, known);
}

static bool is_health(const char *s)
{
	static const char *const known[] = {"none", "starting", "healthy", "unhealthy", NULL};

	return str_in(s, known);
}

static bool is_number(const char *s)
{
	int n;

	return parse_int(s, &n) == 0;
}

static bool is_ports(const char *s)
{
	struct ports p;

	return parse_ports(s, &p) == 0;
}

static bool is_bool(const char *s)
{
	bool b;

	return parse_bool(s, &b) == 0;
}

/* Names of filters; what a value must be, or NULL. */
static const struct {
	const char *key;
	bool (*valid)(const char *value);
} known[] = {
	{"ancestor", NULL},
	{"before", NULL},
	{"exited", is_number},
	{"expose", is_ports},
	{"health", is_health},
	{"id", NULL},
	{"is-task", is_bool},
	{"isolation", NULL},
	{"label", NULL},
	{"name", NULL},
	{"network", NULL},
	{"publish", is_ports},
	{"since", NULL},
	{"status", is_status},
	{"volume", NULL},
};

static int check_container(struct engine *g, const char *ref, struct err *e)
{
	_cleanup_(container_row_done) struct container_row row = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	return r < 0 ? r : containers_find(db, *ref == '/' ? ref + 1 : ref, &row, e);
}

static int check_value(struct engine *g, size_t k, const char *value, struct err *e)
{
	const char *key = known[k].key;
	enum isolation_kind kind;

	if (known[k].valid && !known[k].valid(value))
		return err_set(e, EINVAL, "invalid filter '%s=%s'", key, value);
	if (!strcmp(key, "isolation"))
		return isolation_parse(value, &kind, e);
	if (!strcmp(key, "before") || !strcmp(key, "since"))
		return check_container(g, value, e);
	return 0;
}

int container_filters_check(struct engine *g, const json_t *filters, struct err *e)
{
	enum { KNOWN = sizeof(known) / sizeof(*known) };
	const char *key;
	json_t *values, *v;
	size_t i, k;

	json_object_foreach((json_t *)filters, key, values) {
		for (k = 0; k < KNOWN && strcmp(known[k].key, key) != 0;)
			k++;
		if (k == KNOWN)
			return err_set(e, EINVAL, "invalid filter '%s'", key);
		json_array_foreach(values, i, v) {
			int r = json_is_string(v) ? check_value(g, k, json_string_value(v), e)
						  : err_set(e, EINVAL, "invalid filter '%s'", key);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
