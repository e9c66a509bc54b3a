/* The audit's rows about the network, in a network namespace of the test's own: rules as a made-up nft tells them, and sockets that listen. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "fake-host.h"

#define PORT "csp0123456789ab"
#define MAC  "02:42:7f:00:00:05"

/* The rules as the engine's file has them, and as nft orders what has no order. */
#define RULES                                                                                                          \
	"{\"chain\":{\"name\":\"container\",\"handle\":2}},"                                                           \
	"{\"rule\":{\"chain\":\"container\",\"handle\":13,\"expr\":[{\"match\":{\"op\":\"!=\",\"right\":\"@macs\"}},{" \
	"\"drop\":null}]}},"                                                                                           \
	"{\"rule\":{\"chain\":\"container\",\"handle\":14,\"expr\":[{\"vmap\":{\"data\":{\"set\":[%s]}}}]}}"
#define BOUND                                                                                            \
	"{\"set\":{\"name\":\"macs\",\"elem\":[{\"concat\":[\"" PORT "\",\"" MAC "\"]}]}},"              \
	"{\"set\":{\"name\":\"addresses4\",\"elem\":[{\"concat\":[\"" PORT "\",\"" MAC "\",\"%s\"]}]}}," \
	"{\"set\":{\"name\":\"addresses6\"}},"

static struct plan_interface interface = {.name = "eth0", .port = PORT, .bridge = "caisson0", .mac = MAC};
static char *addresses[] = {"127.0.0.5/8", NULL};

static void make_vm(struct fake *f)
{
	fake_process(f, 300, 100, "qemu-system-x86");
	fake_namespaces(f, 300, 2000);
	fake_file(f, "containers/" FAKE_ID "/vm.pids", "qemu 300 307\n");
	fake_process_file(f, 300, "fdinfo/20", "pos:\t0\niff:\t" PORT "\n");
	f->target.pid = 300;
	interface.addresses = addresses;
	f->target.interfaces = &interface;
	f->target.interfaces_len = 1;
}

static int with_network(void **state)
{
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (fake_set_up(state) || geteuid())
		return 0;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM, 0);
	return ioctl(fd, SIOCSIFFLAGS, &up);
}

static void need_network(void)
{
	if (geteuid()) {
		print_message("# SKIP needs root\n");
		skip();
	}
}

static void result_is(struct fake *f, const char *key, const char *result)
{
	if (strcmp(fake_result(f, key), result) != 0)
		fail_msg("%s %s: %s (%s)", key, fake_result(f, key), fake_value(f, key), fake_why(f, key));
}

/* ---- rules ---- */

/* What `nft list table FAMILY` says, and, below unshare, of the engine's file. */
static void make_tables(struct fake *f, const char *inet, const char *bridge, const char *file)
{
	_cleanup_free_ char *nft = str_fmt("#!/bin/sh\nif [ \"$4\" = inet ]; then cat <<'E'\n{\"nftables\":[%s]}\nE\n"
					   "else cat <<'E'\n{\"nftables\":[%s]}\nE\nfi\n",
		inet, bridge);
	_cleanup_free_ char *unshare_program = str_fmt("#!/bin/sh\ncat <<'E'\n{\"nftables\":[%s]}\nE\n", file);

	fake_program(f, "nft", nft);
	fake_program(f, "unshare", unshare_program);
	fake_measure(f);
}

static void test_spoofing(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *rules = str_fmt(RULES, "[\"ip\",1],[\"arp\",2]"),
			    *file = str_fmt(RULES, "[\"arp\",2],[\"ip\",1]");
	_cleanup_free_ char *bound = str_fmt(BOUND "%s", "127.0.0.5", rules),
			    *other = str_fmt(BOUND "%s", "127.0.0.6", rules);
	_cleanup_free_ char *more =
		str_fmt("%s,{\"rule\":{\"chain\":\"container\",\"expr\":[{\"accept\":null}]}}", bound);

	need_network();
	make_vm(f);
	result_is(f, "no-spoofing", "fails"); /* there are no tables */
	make_tables(f, "", bound, file);
	result_is(f, "no-spoofing", "holds");
	assert_true(fake_evidence(f, "no-spoofing", "pid 300 (qemu-system-x86) has the port " PORT " open"));
	assert_true(fake_evidence(f, "no-spoofing", "addresses4: " PORT " . " MAC " . 127.0.0.5"));
	make_tables(f, "", other, file);
	result_is(f, "no-spoofing", "fails");
	assert_string_equal(
		fake_why(f, "no-spoofing"), "port " PORT " may also send as " PORT " . " MAC " . 127.0.0.6");
	make_tables(f, "", rules, file);
	result_is(f, "no-spoofing", "fails"); /* its sets are missing */
	make_tables(f, "", more, file);
	result_is(f, "no-spoofing", "fails");
	assert_true(fake_evidence(f, "no-spoofing", "it should have: nothing more"));
	fake_process_file(f, 300, "fdinfo/21", "pos:\t0\niff:\tcspffffffffffff\n");
	make_tables(f, "", bound, file);
	result_is(f, "no-spoofing", "fails");
	fake_program(f, "nft", "#!/bin/sh\necho 'Operation not permitted'; exit 1\n");
	fake_measure(f);
	assert_non_null(strstr(fake_why(f, "no-spoofing"), "cannot be listed: Operation not permitted"));
}

static void test_inbound(void **state)
{
	struct fake *f = *state;

	need_network();
	make_vm(f);
	result_is(f, "no-inbound-rules", "holds");
	make_tables(f,
		"{\"map\":{\"name\":\"publish4\",\"elem\":[[{\"concat\":[\"tcp\",80]},{\"concat\":[\"10.9.9.9\",80]}]]}"
		"}",
		"", "");
	result_is(f, "no-inbound-rules", "holds"); /* another's */
	make_tables(f,
		"{\"map\":{\"name\":\"publish4\",\"elem\":[[{\"concat\":[\"tcp\",8080]},{\"concat\":[\"127.0.0.5\",80]}"
		"]]}}",
		"", "");
	result_is(f, "no-inbound-rules", "fails");
	assert_true(fake_evidence(f, "no-inbound-rules", "inet publish4: tcp . 8080 : 127.0.0.5 . 80"));
	make_tables(f, "", "", "");
	result_is(f, "no-inbound-rules", "holds");
	/* a port that its monitor holds */
	fake_process_link(f, 100, "fd/7", "socket:[4242]");
	fake_process_file(f, 100, "net/tcp",
		"  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 "
		"00:00000000 00000000     0        0 4242 1\n");
	fake_measure(f);
	result_is(f, "no-inbound-rules", "fails");
	assert_true(fake_evidence(f, "no-inbound-rules", "listens on tcp port 8080"));
	fake_program(f, "nft", "#!/bin/sh\necho 'not JSON'\n");
	fake_process_link(f, 100, "fd/7", "socket:[1]");
	fake_measure(f);
	result_is(f, "no-inbound-rules", "unknown");
}

/* ---- connects ---- */

struct neighbour {
	int netns;
	int error;
	const char *gateway;
	int open; /* how many are not done */
};

static int open_neighbour(void *data, size_t number, struct audit_neighbour *ret, struct err *e)
{
	struct neighbour *n = data;

	assert_int_equal(number, 0);
	if (n->error)
		return err_set(e, n->error, "no neighbour today");
	n->open++;
	*ret = (struct audit_neighbour){.netns = n->netns, .gateways = {n->gateway, NULL}};
	return 0;
}

static void close_neighbour(void *data)
{
	((struct neighbour *)data)->open--;
}

static int listen_on(int type, const char *address, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &in.sin_addr);
	assert_int_equal(bind(fd, (const void *)&in, sizeof(in)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 10), 0);
	return fd;
}

/* The container's kernel says that it listens there; any: on all addresses. */
static void look_listens(struct fake *f, bool udp, const char *address, uint16_t port)
{
	struct look *l = &f->look;
	struct look_socket *s;

	if (!l->sockets)
		l->sockets = calloc(8, sizeof(*l->sockets));
	s = &l->sockets[l->sockets_len++];
	l->sockets_total = l->sockets_len;
	*s = (struct look_socket){.udp = udp, .port = port, .address.len = 4};
	if (address)
		inet_pton(AF_INET, address, s->address.bytes);
}

/* A namespace where nothing is reached. */
static int empty_netns(void)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	close(own);
	return fd;
}

static void test_connect(void **state)
{
	struct fake *f = *state;

	need_network();
	_cleanup_close_ int listener = listen_on(SOCK_STREAM, "127.0.0.5", 135), netns = empty_netns();
	struct neighbour n = {.netns = netns};
	make_vm(f);
	f->target.neighbour = open_neighbour;
	f->target.neighbour_done = close_neighbour;
	f->target.neighbour_data = &n;
	result_is(f, "closed-network", "holds"); /* nothing is said to listen */
	assert_string_equal(fake_value(f, "ping"), "host: 1 of 1 answered; neighbours: 0 of 1");
	look_listens(f, false, NULL, 135);
	fake_measure(f);
	result_is(f, "closed-network", "fails");
	assert_true(fake_evidence(f, "closed-network", "tcp 135 from the host: 127.0.0.5 connected"));
	assert_true(fake_evidence(f, "closed-network", "tcp 135 from a neighbour: 127.0.0.5 no way there"));
	assert_int_equal(n.open, 0);
	/* published, it may be reached */
	make_tables(f, "{\"set\":{\"name\":\"open4\",\"elem\":[{\"concat\":[\"127.0.0.5\",\"tcp\",135]}]}}", "", "");
	result_is(f, "closed-network", "holds");
	assert_true(fake_evidence(f, "closed-network", "127.0.0.5 connected (published)"));
	/* a port that nobody listens on */
	f->look.sockets[0].port = 136;
	fake_measure(f);
	result_is(f, "closed-network", "holds");
	/* a neighbour that reaches nothing proves nothing */
	n.gateway = "192.0.2.1";
	fake_measure(f);
	result_is(f, "closed-network", "unknown");
	assert_non_null(strstr(fake_why(f, "closed-network"), "not even the network's gateway answers"));
	assert_int_equal(n.open, 0);
	n.error = EIO;
	fake_measure(f);
	result_is(f, "closed-network", "unknown");
	assert_non_null(strstr(fake_why(f, "closed-network"), "no neighbour today"));
}

static void test_udp(void **state)
{
	struct fake *f = *state;

	need_network();
	_cleanup_close_ int socket_fd = listen_on(SOCK_DGRAM, "127.0.0.5", 53), netns = empty_netns();
	struct neighbour n = {.netns = netns};
	make_vm(f);
	f->target.neighbour = open_neighbour;
	f->target.neighbour_done = close_neighbour;
	f->target.neighbour_data = &n;
	look_listens(f, true, NULL, 53);
	look_listens(f, true, NULL, 33434);
	result_is(f, "closed-network", "fails");
	assert_true(fake_evidence(f, "closed-network", "udp 53 from the host: 127.0.0.5 arrives"));
	assert_true(fake_evidence(f, "closed-network", "a datagram to port 33435, where nothing listens"));
}

/* A guest that names an address which the engine did not give it must not make the host connect there. */
static void test_lying_guest(void **state)
{
	struct fake *f = *state;

	need_network();
	_cleanup_close_ int listener = listen_on(SOCK_STREAM, "127.0.0.9", 22);
	make_vm(f);
	look_listens(f, false, "127.0.0.9", 22);
	f->look.interfaces = calloc(1, sizeof(*f->look.interfaces));
	f->look.interfaces_len = 1;
	f->look.interfaces[0] = (struct look_interface){.name = "eth0",
		.up = true,
		.addresses_len = 1,
		.addresses[0] = {.len = 4, .bytes = {127, 0, 0, 9}, .prefix = 8}};
	fake_measure(f);
	assert_true(fake_evidence(f, "closed-network", "tcp 22 is bound to 127.0.0.9: no address of its networks'"));
	fd_nonblock(listener, true);
	assert_true(accept(listener, NULL, NULL) < 0 && errno == EAGAIN);
	/* that of a container on the host's kernel is no lie */
	fake_process(f, 200, 100, "server");
	fake_namespaces(f, 200, 2000);
	fake_file(f, "containers/" FAKE_ID "/vm.pids", "");
	f->target.pid = 200;
	fake_measure(f);
	result_is(f, "closed-network", "fails");
}

static void test_host_network(void **state)
{
	struct fake *f = *state;

	need_network();
	fake_process(f, 200, 100, "server");
	result_is(f, "closed-network", "fails");
	result_is(f, "no-spoofing", "fails");
	result_is(f, "no-inbound-rules", "fails");
}

#define network_test(f) cmocka_unit_test_setup_teardown(f, with_network, fake_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		network_test(test_spoofing),
		network_test(test_inbound),
		network_test(test_connect),
		network_test(test_udp),
		network_test(test_lying_guest),
		network_test(test_host_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
