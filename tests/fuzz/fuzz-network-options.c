/* Any text as the value of --network, --publish and --expose: what is taken is within bounds, and what it became means the same when it is written
 * as a specification again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/network-options.h"
#include "cli/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_network(const char *text)
{
	_cleanup_json_ json_t *network = NULL;
	struct err e = ERR_INIT;

	if (network_spec_parse(text, &network, &e) < 0)
		return;
	_cleanup_free_ char *json = json_dumps(network, 0);
	check(json && json_str(network, "Target"));
}

/* Keys are "1/tcp" to "65535/udp". */
static void check_ports(const json_t *exposed)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)exposed, key, v) {
		char *end;
		unsigned long port = strtoul(key, &end, 10);
		check(port >= 1 && port <= 65535 && (!strcmp(end, "/tcp") || !strcmp(end, "/udp")));
	}
}

static void check_publish(const char *text)
{
	_cleanup_json_ json_t *bindings = json_object(), *exposed = json_object(), *again = json_object(),
			      *none = json_object();
	struct err e = ERR_INIT;

	if (port_publish(text, bindings, exposed, &e) < 0)
		return;
	check_ports(exposed);
	check(json_object_size(exposed) > 0 && json_object_size(bindings) == json_object_size(exposed));
	const char *key = json_object_iter_key(json_object_iter(bindings));
	json_t *list = json_object_get(bindings, key), *first = json_array_get(list, 0);
	const char *ip = json_str(first, "HostIp");
	_cleanup_free_ char *spec =
		str_fmt("%s%s%s%s:%s", *ip ? "[" : "", ip, *ip ? "]:" : "", json_str(first, "HostPort"), key);
	check(port_publish(spec, again, none, &e) == 0 && json_equal(json_object_get(again, key), list));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_json_ json_t *exposed = json_object();
	struct err e = ERR_INIT;

	check_network(text);
	check_publish(text);
	port_expose(text, exposed, &e);
	check_ports(exposed);
	return 0;
}
