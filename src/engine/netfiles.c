/* /etc/hosts, /etc/resolv.conf and /etc/hostname of a container. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "engine/engine-private.h"

enum { FILE_MAX = 256 * 1024 };

static bool host_network(const json_t *record)
{
	const char *mode = json_str(json_object_get(record, "HostConfig"), "NetworkMode");

	return mode && !strcmp(mode, "host");
}

static int add_hosts(const json_t *record, struct buf *b)
{
	const json_t *config = json_object_get(record, "Config"), *hc = json_object_get(record, "HostConfig");
	const char *hostname = json_str(config, "Hostname"), *domain = json_str(config, "Domainname");
	size_t i;
	json_t *v;
	int r;

	if (host_network(record))
		r = file_read(AT_FDCWD, "/etc/hosts", FILE_MAX, b) == -ENOMEM ? -ENOMEM : 0;
	else
		r = buf_adds(b,
			"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
			"ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
	if (r == 0 && !host_network(record) && !str_empty(hostname))
		r = str_empty(domain) ? buf_addf(b, "127.0.0.1\t%s\n", hostname)
				      : buf_addf(b, "127.0.0.1\t%s.%s %s\n", hostname, domain, hostname);
	json_array_foreach(json_object_get(hc, "ExtraHosts"), i, v) {
		const char *text = json_string_value(v), *colon = text ? strpbrk(text, ":=") : NULL;
		if (r == 0 && colon)
			r = buf_addf(b, "%s\t%.*s\n", colon + 1, (int)(colon - text), text);
	}
	return r;
}

static int add_resolv(const json_t *record, struct buf *b)
{
	const json_t *hc = json_object_get(record, "HostConfig");
	static const struct {
		const char *key, *line;
		bool each;
	} parts[] = {{"DnsSearch", "search", false}, {"Dns", "nameserver", true}, {"DnsOptions", "options", false}};
	int r = buf_adds(b, "");

	if (!json_array_size(json_object_get(hc, "Dns"))) {
		r = file_read(AT_FDCWD, "/etc/resolv.conf", FILE_MAX, b) == -ENOMEM ? -ENOMEM : 0;
		if (r == 0 && b->len && b->data[b->len - 1] != '\n')
			r = buf_adds(b, "\n");
	}
	for (size_t k = 0; k < sizeof(parts) / sizeof(*parts); k++) {
		const json_t *list = json_object_get(hc, parts[k].key);
		size_t i;
		json_t *v;
		json_array_foreach((json_t *)list, i, v)
			if (r == 0)
				r = buf_addf(b, "%s%s%s", parts[k].each || !i ? parts[k].line : "", " ",
					    json_is_string(v) ? json_string_value(v) : "") < 0 ||
						(parts[k].each && buf_adds(b, "\n") < 0)
					? -ENOMEM
					: 0;
		if (r == 0 && json_array_size(list) && !parts[k].each)
			r = buf_adds(b, "\n");
	}
	return r;
}

int netfiles_make(const json_t *record, struct plan *p)
{
	_cleanup_buf_ struct buf hosts = {0}, resolv = {0};

	if (buf_adds(&hosts, "") < 0 || add_hosts(record, &hosts) < 0 || add_resolv(record, &resolv) < 0)
		return -ENOMEM;
	p->hosts = steal_ptr(hosts.data);
	p->resolv_conf = steal_ptr(resolv.data);
	p->hostname_file = str_fmt("%s\n", p->hostname ? p->hostname : "");
	return p->hostname_file ? 0 : -ENOMEM;
}
