/* Whether the container could send as another: its ports, the rules that hold for them, the addresses they are bound to. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "audit/audit-private.h"
#include "audit/nft.h"
#include "base/fd.h"
#include "base/json.h"

/* The rules are exactly those of the engine's file, as the kernel has them. */
static void compare_rules(struct audit *a, struct finding *f)
{
	_cleanup_json_ json_t *wanted = NULL;
	struct err e = ERR_INIT;

	if (nft_table_of_file("bridge", a->host->ruleset, &wanted, &e) < 0) {
		finding_unknown(f, "the rules as they should be: %s", e.msg);
		return;
	}
	_cleanup_strv_ char **should = nft_rules(wanted), **are = nft_rules(a->tables.bridge);
	size_t n = 0;
	while (should && are && should[n] && are[n] && !strcmp(should[n], are[n]))
		n++;
	if (should && are && !should[n] && !are[n]) {
		finding_note(f, "table bridge caisson has the %zu chains and rules of %s, and no others", n,
			a->host->ruleset);
		return;
	}
	finding_note(f, "it should have: %s", should && should[n] ? should[n] : "nothing more");
	finding_note(f, "it has: %s", are && are[n] ? are[n] : "nothing more");
	f->result = FINDING_FAILS;
	finding_because(f, "the rules of table bridge caisson are not the engine's");
}

/* An element's parts: port, hardware address, address. */
static bool is_bound(const struct plan_interface *f, const json_t *element, bool addresses)
{
	char address[ADDRESS_TEXT];
	bool own = !addresses;

	strv_foreach(s, f->addresses) {
		without_prefix(s, address);
		own = own || nft_element_names(element, address);
	}
	return own && nft_element_names(element, f->mac);
}

static bool is_link_local(const json_t *element)
{
	_cleanup_buf_ struct buf text = {0};

	return nft_element_text(element, &text) == 0 && text.data && strstr(text.data, " . fe80::");
}

/* What the port may send as: its own, and nothing else. */
static void check_port(struct audit *a, struct finding *f, const struct plan_interface *p)
{
	static const char *const sets[] = {"macs", "addresses4", "addresses6"};
	size_t own = 0;

	for (size_t k = 0; k < 3; k++) {
		const json_t *element;
		bool there;
		size_t i;
		json_array_foreach(nft_elements(a->tables.bridge, sets[k], &there), i, element) {
			_cleanup_buf_ struct buf text = {0};
			if (!nft_element_names(element, p->port) || nft_element_text(element, &text) < 0)
				continue;
			bool bound = is_bound(p, element, k > 0) ||
				(k == 2 && nft_element_names(element, p->mac) && is_link_local(element));
			finding_note(f, "%s: %s", sets[k], text.data);
			own += bound && k == 0;
			if (bound)
				continue;
			f->result = FINDING_FAILS;
			finding_because(f, "port %s may also send as %s", p->port, text.data);
		}
		if (!there) {
			f->result = FINDING_FAILS;
			finding_because(f, "set %s is missing", sets[k]);
		}
	}
	if (!own) {
		f->result = FINDING_FAILS;
		finding_because(f, "port %s is not bound to the address %s", p->port, p->mac);
	}
}

/* A card that is put by for a later network keeps a port that is down and on no bridge. */
static bool is_up(const char *port)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq q = {0};

	snprintf(q.ifr_name, sizeof(q.ifr_name), "%.15s", port);
	return fd < 0 || ioctl(fd, SIOCGIFFLAGS, &q) < 0 || (q.ifr_flags & IFF_UP);
}

static void judge_tap(struct audit *a, struct finding *f, const char *port, bool known)
{
	bool up = known || is_up(port);

	finding_note(f, "pid %d (%s) has the port %s open%s", a->vmm->pid, a->vmm->comm, port,
		known        ? ""
			: up ? ", which is of no network of its own"
			     : ", which is down and on no network");
	if (known || !up)
		return;
	f->result = FINDING_FAILS;
	finding_because(f, "what port %s may send is not known", port);
}

/* The ports that the virtual machine has open, by what the kernel says of its descriptors: "iff: csp0". Each must be one of the engine's. */
static void check_taps(struct audit *a, struct finding *f, size_t *ret)
{
	char path[40], link[64];

	*ret = 0;
	snprintf(path, sizeof(path), "%d/fdinfo", a->vmm->pid);
	_cleanup_closedir_ DIR *d = dir_open(a->snap.proc, path);
	struct dirent *en;

	if (!d) {
		finding_unknown(f, "the descriptors of pid %d cannot be read: %s", a->vmm->pid, strerror(errno));
		return;
	}
	while ((en = readdir(d))) {
		_cleanup_buf_ struct buf b = {0};
		const char *name = NULL;
		if (en->d_name[0] != '.' && file_read(dirfd(d), en->d_name, 65536, &b) == 0 && b.data)
			name = strstr(b.data, "\niff:\t");
		if (!name || sscanf(name, "\niff: %15s", link) != 1)
			continue;
		size_t i = 0;
		while (i < a->target->interfaces_len && strcmp(a->target->interfaces[i].port, link) != 0)
			i++;
		(*ret)++;
		judge_tap(a, f, link, i < a->target->interfaces_len);
	}
}

/* Interfaces inside beside loopback, of which a virtual machine may make as many as it likes without reaching anything. */
static size_t other_interfaces(struct audit *a, struct finding *f)
{
	const struct look *l = a->target->look;
	size_t n = 0;

	for (uint32_t i = 0; l && i < l->interfaces_len; i++) {
		if (l->interfaces[i].loopback)
			continue;
		finding_note(f, "inside there is %s", l->interfaces[i].name);
		n++;
	}
	return n;
}

static void without_port(struct audit *a, struct finding *f, size_t taps)
{
	size_t inside = other_interfaces(a, f);

	if (a->vmm && !taps)
		finding_note(f, "pid %d (%s) has no port of a network open", a->vmm->pid, a->vmm->comm);
	else if (!a->vmm && !a->target->look)
		finding_unknown(f, "its interfaces are not known: %s", a->target->look_error);
	else if (!a->vmm && inside)
		finding_unknown(f, "%zu interfaces of it are of no network of Caisson's", inside);
	if (!finding_reasoned(f)) {
		finding_value(f, "it has no port on a bridge");
		f->result = FINDING_HOLDS;
	}
}

void measure_spoofing(struct audit *a, struct finding *f)
{
	size_t taps = 0;

	tables_load(a);
	if (on_host_network(a)) {
		finding_value(f, "it is the host");
		f->result = FINDING_FAILS;
		finding_because(f, "it is in the host's network namespace and can send as the host");
		return;
	}
	if (a->vmm)
		check_taps(a, f, &taps);
	if (!a->target->interfaces_len) {
		without_port(a, f, taps);
		return;
	}
	finding_value(f, "%zu port%s", a->target->interfaces_len, a->target->interfaces_len == 1 ? "" : "s");
	if (a->tables.bridge_error == -ENOENT) {
		f->result = FINDING_FAILS;
		finding_because(f, "%s: nothing is filtered", a->tables.bridge_why.msg);
		return;
	}
	if (a->tables.bridge_error) {
		finding_unknown(f, "%s", a->tables.bridge_why.msg);
		return;
	}
	compare_rules(a, f);
	for (size_t i = 0; i < a->target->interfaces_len; i++)
		check_port(a, f, &a->target->interfaces[i]);
	if (!finding_reasoned(f)) {
		finding_value(f, "%zu port%s, bound to its addresses", a->target->interfaces_len,
			a->target->interfaces_len == 1 ? "" : "s");
		f->result = FINDING_HOLDS;
	}
}
