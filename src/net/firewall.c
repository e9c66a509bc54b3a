/* The nftables rules and their elements. */
#include "net/firewall.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/fd.h"
#include "base/proc.h"
#include "net/link.h"

enum { FILE_MAX = 1 << 20, RULESET_MAX = 1 << 20 };

/* ---- elements ---- */

static int line(struct buf *b, const char *set, const char *element)
{
	return buf_addf(b, "%s %s\n", set, element);
}

int firewall_network_elements(const struct network_row *n, struct buf *b)
{
	_cleanup_free_ char *name = str_fmt("\"%s\"", n->bridge);
	_cleanup_free_ char *pair = str_fmt("\"%s\" . \"%s\"", n->bridge, n->bridge);
	uint8_t mac[MAC_LEN];
	char text[18];

	link_bridge_mac(n, mac);
	if (!name || !pair || line(b, "inet same", pair) < 0 ||
		buf_addf(b, "inet back \"%s\" . %s . \"%s\"\n", n->bridge, mac_format(mac, text), n->bridge) < 0 ||
		buf_addf(b, "inet nameservers \"%s\" : %s\n", n->bridge, n->gateway4) < 0)
		return -ENOMEM;
	if (n->internal && line(b, "inet internal", name) < 0)
		return -ENOMEM;
	if (n->isolated && line(b, "inet isolated", name) < 0)
		return -ENOMEM;
	if (!n->internal && *n->subnet4 && line(b, "inet subnets4", n->subnet4) < 0)
		return -ENOMEM;
	if (!n->internal && *n->subnet6 && line(b, "inet subnets6", n->subnet6) < 0)
		return -ENOMEM;
	return 0;
}

/* The address that the kernel makes of a hardware address: RFC 4291, appendix A. */
static void link_local(const char *mac, struct address *ret)
{
	unsigned m[6] = {0};

	sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]);
	*ret = (struct address){.family = AF_INET6,
		.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, (uint8_t)(m[0] ^ 2), (uint8_t)m[1], (uint8_t)m[2], 0xff, 0xfe,
			(uint8_t)m[3], (uint8_t)m[4], (uint8_t)m[5]}};
}

int firewall_resolver_element(const char *address, const char *server, uint16_t port, struct buf *b)
{
	return buf_addf(b, FIREWALL_RESOLVERS " %s : %s . %u\n", address, server, port);
}

static int link6_element(const struct endpoint_row *p, struct buf *b)
{
	uint8_t m[MAC_LEN];

	if (mac_parse(p->mac, m) < 0)
		return 0; /* nothing is accepted from it either */
	return buf_addf(
		b, "bridge links6 \"%s\" . 0x%02x%02x%02x%02x%02x%02x\n", p->port, m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int address6_elements(const struct endpoint_row *p, const struct address *a, struct buf *b)
{
	char text[ADDRESS_TEXT];
	int r = buf_addf(b, "bridge addresses6 \"%s\" . %s . %s\n", p->port, p->mac, address_format(a, text));

	if (r == 0)
		r = buf_addf(b, "bridge targets6 \"%s\" . %s . 0x", p->port, p->mac);
	for (size_t i = 0; i < sizeof(a->bytes) && r == 0; i++)
		r = buf_addf(b, "%02x", a->bytes[i]);
	return r < 0 ? r : buf_adds(b, "\n");
}

int firewall_endpoint_elements(const struct endpoint_row *p, struct buf *b)
{
	struct address a;
	int r = buf_addf(b, FIREWALL_PORTS " \"%s\" . %s\n", p->port, p->mac);

	if (r == 0 && !str_empty(p->address4))
		r = buf_addf(b, "bridge addresses4 \"%s\" . %s . %s\n", p->port, p->mac, p->address4);
	if (r == 0 && !str_empty(p->address6) && address_parse(p->address6, &a) == 0) {
		r = address6_elements(p, &a, b);
		link_local(p->mac, &a);
		if (r == 0)
			r = address6_elements(p, &a, b);
		if (r == 0)
			r = link6_element(p, b);
	}
	if (r < 0 || !p->closed)
		return r;
	r = buf_addf(b, "bridge closed \"%s\"\n", p->port);
	if (r == 0 && !str_empty(p->address4))
		r = line(b, "inet closed4", p->address4);
	return r == 0 && !str_empty(p->address6) ? line(b, "inet closed6", p->address6) : r;
}

int firewall_publish_elements(
	const char *proto, const char *host, uint16_t host_port, const char *address, uint16_t port, struct buf *b)
{
	int family = strchr(address, ':') ? 6 : 4;

	int r = buf_addf(b, "inet open%d %s . %s . %u\n", family, address, proto, port);
	if (r < 0 || !host_port)
		return r;
	if (str_empty(host))
		return buf_addf(b, "inet publish%d %s . %u : %s . %u\n", family, proto, host_port, address, port);
	return buf_addf(b, "inet publish%dat %s . %s . %u : %s . %u\n", family, host, proto, host_port, address, port);
}

/* ---- nft ---- */

/* The last line that says what is wrong, without the place in a script that the user does not see. */
static void reason(const char *text, char *ret, size_t size)
{
	const char *at = text ? strstr(text, "Error: ") : NULL;

	at = at ? at + strlen("Error: ") : text ? text : "";
	snprintf(ret, size, "%.*s", (int)strcspn(at, "\n"), at);
}

int firewall_check_program(struct err *e)
{
	char path[4096];

	if (proc_find_program("nft", path, sizeof(path)))
		return 0;
	return err_set(e, EOPNOTSUPP, "nft not found, which networks need: apt-get install nftables");
}

static int run_nft(const struct buf *script, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	char why[200];
	int r = proc_run_input((char *[]){(char *)"nft", (char *)"-f", (char *)"-", NULL},
		script->data ? script->data : "", script->len, &out, e);

	if (r == -ENOENT)
		return firewall_check_program(e);
	if (r <= 0)
		return r;
	reason(out.data, why, sizeof(why));
	if (out.data && strstr(out.data, strerror(ENOENT)))
		return err_set(e, ENOENT, "nft: %s", why);
	return err_set(e, EIO, "the firewall rules could not be set: nft: %s", why);
}

/* One "add element" or "delete element" per line. */
static int add_commands(const char *verb, const char *elements, struct buf *script)
{
	for (const char *s = elements, *end; *s; s = *end ? end + 1 : end) {
		char family[8], set[24];
		int used = 0;
		end = s + strcspn(s, "\n");
		if (sscanf(s, "%7s %23s %n", family, set, &used) != 2 || !used || s + used > end)
			continue;
		int r = buf_addf(script, "%s element %s caisson %s { %.*s }\n", verb, family, set,
			(int)(end - s - used), s + used);
		if (r < 0)
			return r;
	}
	return 0;
}

static int change(const char *verb, const char *elements, struct err *e)
{
	_cleanup_buf_ struct buf script = {0};

	if (add_commands(verb, elements, &script) < 0)
		return err_nomem(e);
	return script.len ? run_nft(&script, e) : 0;
}

int firewall_add(const char *elements, struct err *e)
{
	return change("add", elements, e);
}

int firewall_remove(const char *elements, struct err *e)
{
	return change("delete", elements, e);
}

int firewall_drop(struct err *e)
{
	_cleanup_buf_ struct buf script = {0};

	if (buf_adds(&script,
		    "table inet caisson\ndelete table inet caisson\ntable bridge caisson\ndelete table bridge "
		    "caisson\n") < 0)
		return err_nomem(e);
	return run_nft(&script, e);
}

bool firewall_present(void)
{
	_cleanup_buf_ struct buf script = {0};
	struct err none;

	/* listing a set of each without its elements: cheap, and an error when it is not there */
	return buf_adds(&script, "list chain inet caisson forward\nlist chain bridge caisson forward\n") == 0 &&
		run_nft(&script, &none) == 0;
}

/* ---- files ---- */

static void file_path(const char *id, char ret[96])
{
	snprintf(ret, 96, "containers/%.64s/" FIREWALL_FILE, id);
}

int firewall_file_write(const struct firewall *f, const char *id, const struct buf *elements, struct err *e)
{
	char path[96];

	file_path(id, path);
	int r = file_replace(f->run_fd, path, elements->data ? elements->data : "", elements->len, 0600);
	return r < 0 ? err_errno(e, r, "write the run directory of container %.12s", id) : 0;
}

int firewall_file_read(const struct firewall *f, const char *id, struct buf *elements)
{
	char path[96];

	file_path(id, path);
	return file_read(f->run_fd, path, FILE_MAX, elements);
}

int firewall_file_remove(const struct firewall *f, const char *id)
{
	char path[96];

	file_path(id, path);
	return unlinkat(f->run_fd, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* The elements of all containers that have some. */
static int add_all_files(const struct firewall *f, struct buf *script)
{
	_cleanup_closedir_ DIR *d = dir_open(f->run_fd, "containers");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_cleanup_buf_ struct buf elements = {0};
		if (*entry->d_name == '.' || firewall_file_read(f, entry->d_name, &elements) < 0 || !elements.data)
			continue;
		int r = add_commands("add", elements.data, script);
		if (r < 0)
			return r;
	}
	return 0;
}

int firewall_rebuild(const struct firewall *f, const struct buf *networks, struct err *e)
{
	_cleanup_buf_ struct buf script = {0};
	int r = file_read(AT_FDCWD, f->ruleset, RULESET_MAX, &script);

	if (r < 0)
		return err_errno(e, r, "%s", f->ruleset);
	if (networks->data)
		r = add_commands("add", networks->data, &script);
	if (r == 0)
		r = add_all_files(f, &script);
	if (r < 0)
		return err_nomem(e);
	r = run_nft(&script, e);
	if (r == -ENOENT) { /* here it cannot mean that the tables are missing */
		err_wrap(e, "the kernel lacks a part of nftables that networks need");
		e->code = EOPNOTSUPP;
		r = -EOPNOTSUPP;
	}
	return r;
}
