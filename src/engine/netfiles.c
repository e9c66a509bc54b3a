/* /etc/hosts, /etc/resolv.conf and /etc/hostname of a container. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "engine/engine-private.h"

enum { FILE_MAX = 256 * 1024 };

struct making {
	const json_t *config, *hc;
	const struct plan *plan;
	char *gateway4, *gateway6; /* the host's addresses on the first network; NULL: none */
};

/* Its own name, at the addresses that others know it by; without a network at loopback. */
static int add_own_name(const struct making *m, struct buf *b)
{
	const char *hostname = json_str(m->config, "Hostname"), *domain = json_str(m->config, "Domainname");
	_cleanup_strv_ char **addresses = NULL;
	int r = 0;

	if (str_empty(hostname))
		return 0;
	if (m->plan->interfaces_len)
		r = strv_push_all(&addresses, m->plan->interfaces[0].addresses);
	else
		r = strv_push(&addresses, "127.0.0.1");
	strv_foreach(a, addresses) {
		int n = (int)strcspn(a, "/");
		if (r == 0)
			r = str_empty(domain) ? buf_addf(b, "%.*s\t%s\n", n, a, hostname)
					      : buf_addf(b, "%.*s\t%s.%s %s\n", n, a, hostname, domain, hostname);
	}
	return r;
}

static int add_extra(const struct making *m, struct buf *b)
{
	size_t i;
	json_t *v;
	int r = 0;

	json_array_foreach(json_object_get(m->hc, "ExtraHosts"), i, v) {
		const char *text = json_string_value(v), *colon = text ? strpbrk(text, ":=") : NULL;
		if (r < 0 || !colon)
			continue;
		const char *address = colon + 1;
		if (!strcmp(address, "host-gateway"))
			address = m->gateway4 ? m->gateway4 : "127.0.0.1";
		r = buf_addf(b, "%s\t%.*s\n", address, (int)(colon - text), text);
	}
	return r;
}

static int add_hosts(const struct making *m, struct buf *b)
{
	bool host = network_mode_is(m->hc, "host");
	int r;

	if (host)
		r = file_read(AT_FDCWD, "/etc/hosts", FILE_MAX, b) == -ENOMEM ? -ENOMEM : 0;
	else
		r = buf_adds(b,
			"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
			"ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
	if (r == 0 && !host)
		r = add_own_name(m, b);
	return r < 0 ? r : add_extra(m, b);
}

/* The lines of the host's file that still hold when the network's own name server is asked instead of the host's. */
static int add_host_lines(struct buf *b, bool nameservers)
{
	_cleanup_buf_ struct buf host = {0};

	if (file_read(AT_FDCWD, "/etc/resolv.conf", FILE_MAX, &host) == -ENOMEM)
		return -ENOMEM;
	_cleanup_strv_ char **lines = strv_split(host.data ? host.data : "", "\n");
	strv_foreach(line, lines) {
		if ((nameservers || !str_starts(line, "nameserver")) && buf_addf(b, "%s\n", line) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* One line for all values of a key, or one for each. */
static int add_list(const struct making *m, const char *key, const char *word, bool each, struct buf *b)
{
	const json_t *list = json_object_get(m->hc, key);
	size_t i;
	json_t *v;
	int r = 0;

	json_array_foreach((json_t *)list, i, v) {
		const char *text = json_is_string(v) ? json_string_value(v) : "";
		if (r == 0)
			r = buf_addf(b, "%s%s%s", each || !i ? word : " ", text, each ? "\n" : "");
	}
	return r == 0 && json_array_size(list) && !each ? buf_adds(b, "\n") : r;
}

static int add_resolv(const struct making *m, struct buf *b)
{
	bool own = json_array_size(json_object_get(m->hc, "Dns")) > 0;
	/* also for one that is on no network at the moment: it may be connected */
	bool ours = m->gateway4 || !network_mode_foreign(m->hc);

	int r = buf_adds(b, "");
	if (r == 0 && !own)
		r = add_host_lines(b, !ours);
	/* a name without a dot is a container's, and not one of the host's domain */
	if (r == 0 && !own && ours)
		r = buf_addf(b, "nameserver " PLAN_NAMESERVER "\n%s",
			json_array_size(json_object_get(m->hc, "DnsOptions")) ? "" : "options ndots:0\n");
	if (r == 0)
		r = add_list(m, "DnsSearch", "search ", false, b);
	if (r == 0)
		r = add_list(m, "Dns", "nameserver ", true, b);
	return r < 0 ? r : add_list(m, "DnsOptions", "options ", false, b);
}

int netfiles_make(struct engine *g, const json_t *record, struct plan *p, struct err *e)
{
	_cleanup_buf_ struct buf hosts = {0}, resolv = {0};
	struct making m = {
		.config = json_object_get(record, "Config"), .hc = json_object_get(record, "HostConfig"), .plan = p};

	int r = endpoints_gateway(g, record, &m.gateway4, &m.gateway6, e);
	if (r == 0 && (buf_adds(&hosts, "") < 0 || add_hosts(&m, &hosts) < 0 || add_resolv(&m, &resolv) < 0))
		r = err_nomem(e);
	free(m.gateway4);
	free(m.gateway6);
	if (r < 0)
		return r;
	p->hosts = steal_ptr(hosts.data);
	p->resolv_conf = steal_ptr(resolv.data);
	p->hostname_file = str_fmt("%s\n", p->hostname ? p->hostname : "");
	return p->hostname_file ? 0 : err_nomem(e);
}
