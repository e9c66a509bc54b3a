/* From lines to nfnetlink batches: linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h. */
#include "net/elements.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/cleanup.h"
#include "base/rtnl.h"
#include "base/str.h"

enum { KEY_MAX = 64, INTERFACE_LEN = 16, ANSWER_MAX = 8192 };

/*
 * The types of keys and data, a letter for each part: i interface, m hardware address, 4 and 6 IP address, p protocol, s port, x bytes in hexadecimal,
 * at most 16. Sets of networks are not here: they change with a network, and intervals have an encoding of their own.
 */
static const struct set {
	uint8_t family;
	const char *family_name, *name, *key, *data;
} sets[] = {
	{NFPROTO_BRIDGE, "bridge", "macs", "im", NULL},
	{NFPROTO_BRIDGE, "bridge", "addresses4", "im4", NULL},
	{NFPROTO_BRIDGE, "bridge", "addresses6", "im6", NULL},
	{NFPROTO_BRIDGE, "bridge", "links6", "ix", NULL},
	{NFPROTO_BRIDGE, "bridge", "targets6", "imx", NULL},
	{NFPROTO_BRIDGE, "bridge", "closed", "i", NULL},
	{NFPROTO_INET, "inet", "closed4", "4", NULL},
	{NFPROTO_INET, "inet", "closed6", "6", NULL},
	{NFPROTO_INET, "inet", "open4", "4ps", NULL},
	{NFPROTO_INET, "inet", "open6", "6ps", NULL},
	{NFPROTO_INET, "inet", "publish4", "ps", "4s"},
	{NFPROTO_INET, "inet", "publish6", "ps", "6s"},
	{NFPROTO_INET, "inet", "publish4at", "4ps", "4s"},
	{NFPROTO_INET, "inet", "publish6at", "6ps", "6s"},
	{NFPROTO_INET, "inet", "resolvers", "4", "4s"},
};

/* ---- values ---- */

struct value {
	uint8_t bytes[KEY_MAX]; /* in the network's order; each part begins at a multiple of four */
	size_t len;
};

static int interface_bytes(const char *text, uint8_t *at)
{
	size_t n = strlen(text);

	if (n < 3 || n - 2 >= INTERFACE_LEN || *text != '"' || text[n - 1] != '"')
		return -EINVAL;
	memcpy(at, text + 1, n - 2);
	return INTERFACE_LEN;
}

static int address_bytes(const char *text, int family, uint8_t *at)
{
	struct address a;

	if (address_parse(text, &a) < 0 || a.family != family)
		return -EINVAL;
	size_t n = address_bits(&a) / 8;
	memcpy(at, a.bytes, n);
	return (int)n;
}

static int port_bytes(const char *text, uint8_t *at)
{
	uint32_t port;

	if (parse_u32(text, &port) < 0 || port > UINT16_MAX)
		return -EINVAL;
	memcpy(at, &(uint16_t){htons((uint16_t)port)}, sizeof(uint16_t));
	return sizeof(uint16_t);
}

static int hex_bytes(const char *text, uint8_t *at)
{
	size_t n = strlen(text) / 2 - 1;

	if (!str_starts(text, "0x") || n > 16 || strspn(text + 2, "0123456789abcdef") != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		unsigned byte = 0;
		sscanf(text + 2 + 2 * i, "%2x", &byte);
		at[i] = (uint8_t)byte;
	}
	return (int)n;
}

/* Its length, or -EINVAL. */
static int part_bytes(char type, const char *text, uint8_t *at)
{
	switch (type) {
	case 'i':
		return interface_bytes(text, at);
	case 'm':
		return mac_parse(text, at) < 0 ? -EINVAL : MAC_LEN;
	case '4':
		return address_bytes(text, AF_INET, at);
	case '6':
		return address_bytes(text, AF_INET6, at);
	case 'p':
		*at = !strcmp(text, "tcp") ? IPPROTO_TCP : IPPROTO_UDP;
		return *at == IPPROTO_TCP || !strcmp(text, "udp") ? 1 : -EINVAL;
	case 's':
		return port_bytes(text, at);
	default:
		return hex_bytes(text, at);
	}
}

/* "PART . PART . PART", of which *words is moved on to what follows. */
static int take_value(char ***words, const char *types, struct value *v)
{
	*v = (struct value){0};
	for (const char *t = types; *t; t++) {
		if (t != types && (!**words || strcmp(*(*words)++, ".") != 0))
			return -EINVAL;
		int n = **words ? part_bytes(*t, *(*words)++, v->bytes + v->len) : -EINVAL;
		if (n < 0)
			return n;
		v->len += t == types && !t[1] ? (size_t)n : NLMSG_ALIGN((size_t)n);
	}
	return 0;
}

/* ---- messages ---- */

static int add_message(struct rtnl_msg *m, struct buf *batch)
{
	if (m->full)
		return -EMSGSIZE;
	((struct nlmsghdr *)(void *)m->data)->nlmsg_len = (uint32_t)m->len;
	return buf_add(batch, m->data, m->len);
}

/* The begin or the end of a batch. */
static int add_bracket(uint16_t type, struct buf *batch)
{
	struct nfgenmsg h = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
	struct rtnl_msg m;

	rtnl_begin(&m, type, 0, &h, sizeof(h));
	return add_message(&m, batch);
}

static void add_value(struct rtnl_msg *m, uint16_t attribute, const struct value *v)
{
	size_t at = rtnl_nest(m, attribute);

	rtnl_add(m, NFTA_DATA_VALUE, v->bytes, v->len);
	rtnl_nest_end(m, at);
}

static int add_element(uint16_t type, uint16_t flags, const struct set *s, const struct value *key,
	const struct value *data, struct buf *batch)
{
	struct nfgenmsg h = {.nfgen_family = s->family, .version = NFNETLINK_V0};
	struct rtnl_msg m;

	rtnl_begin(&m, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &h, sizeof(h));
	rtnl_add_str(&m, NFTA_SET_ELEM_LIST_TABLE, "caisson");
	rtnl_add_str(&m, NFTA_SET_ELEM_LIST_SET, s->name);
	size_t list = rtnl_nest(&m, NFTA_SET_ELEM_LIST_ELEMENTS);
	size_t element = rtnl_nest(&m, NFTA_LIST_ELEM);
	add_value(&m, NFTA_SET_ELEM_KEY, key);
	if (s->data)
		add_value(&m, NFTA_SET_ELEM_DATA, data);
	rtnl_nest_end(&m, element);
	rtnl_nest_end(&m, list);
	return add_message(&m, batch);
}

static const struct set *find_set(char **words)
{
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets) && strv_len(words) > 2; i++)
		if (!strcmp(sets[i].family_name, words[0]) && !strcmp(sets[i].name, words[1]))
			return &sets[i];
	return NULL;
}

static int add_line(uint16_t type, uint16_t flags, const char *line, struct buf *batch)
{
	_cleanup_strv_ char **words = strv_split(line, " ");
	struct value key, data;

	if (!words)
		return -ENOMEM;
	const struct set *s = find_set(words);
	char **at = words + 2;
	int r = s ? take_value(&at, s->key, &key) : -EINVAL;
	if (r == 0 && s->data)
		r = *at && !strcmp(*at++, ":") ? take_value(&at, s->data, &data) : -EINVAL;
	if (r == 0 && *at)
		r = -EINVAL;
	return r < 0 ? r : add_element(type, flags, s, &key, &data, batch);
}

/* The last one's answer is asked for: all went well if it is the first to come. */
static int make_batch(uint16_t type, const char *lines, struct buf *batch)
{
	_cleanup_strv_ char **all = strv_split(lines, "\n");
	uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;

	if (!all)
		return -ENOMEM;
	int r = add_bracket(NFNL_MSG_BATCH_BEGIN, batch);
	for (char **line = all; *line && r == 0; line++)
		r = add_line(type, line[1] ? flags : flags | NLM_F_ACK, *line, batch);
	return r < 0 ? r : add_bracket(NFNL_MSG_BATCH_END, batch);
}

/* ---- the exchange ---- */

static int take_answer(int fd)
{
	_Alignas(8) char answer[ANSWER_MAX];
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answer;
	const struct nlmsgerr *e = NLMSG_DATA(h);
	ssize_t n;

	/* ENOBUFS: there were more errors than the socket holds; the first of them are there */
	do
		n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || errno == ENOBUFS));
	if (n < 0)
		return -errno;
	return n < (ssize_t)NLMSG_LENGTH(sizeof(*e)) || h->nlmsg_type != NLMSG_ERROR ? -EPROTO : e->error;
}

/* The kernel carries a batch out, and answers, while it is sent. */
static int exchange(int *sock, const struct buf *batch)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (*sock < 0)
		*sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (*sock < 0 || setsockopt(*sock, SOL_SOCKET, SO_SNDBUFFORCE, &(int){(int)batch->len}, sizeof(int)) < 0 ||
		sendto(*sock, batch->data, batch->len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return take_answer(*sock);
}

static int change(int *sock, uint16_t type, const char *lines, struct err *e)
{
	_cleanup_buf_ struct buf batch = {0};

	if (!lines[strspn(lines, "\n")])
		return 0;
	int r = make_batch(type, lines, &batch);
	if (r == 0)
		r = exchange(sock, &batch);
	return r < 0 ? err_errno(e, r, "set the firewall's elements of the container") : 0;
}

int elements_add(const char *lines, struct err *e)
{
	_cleanup_close_ int sock = -1;

	return change(&sock, NFT_MSG_NEWSETELEM, lines, e);
}

int elements_remove(int *sock, const char *lines, struct err *e)
{
	return change(sock, NFT_MSG_DELSETELEM, lines, e);
}
