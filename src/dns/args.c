/*
 * dnsmasq's command line. Nothing comes from the host's configuration of it.
 *
 *   --bind-dynamic --interface   sockets on the bridge's addresses only, also those that come later, and a query is answered only if it
 *                                arrives by the bridge or from the host itself: another network's containers get no answer here.
 *                                (--listen-address would accept it from everywhere.)
 *   --domain-needed --local=//   names without a dot are never forwarded; the latter is for the types other than A and AAAA
 *   --rev-server                 the addresses of the network are looked up here only
 *   --no-negcache                that a name was unknown is forgotten at once: a container may have it a moment later
 *   --dns-loop-detect            the host's resolver may be one that asks us
 *   --no-ident                   CHAOS queries would tell the host's resolvers
 */
#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "base/str.h"
#include "dns/dns.h"

/* "ADDRESS[/LENGTH]"; with a length, the subnet, else one of no family. */
static bool parse_listen(const char *s, struct subnet *ret)
{
	struct address a;

	*ret = (struct subnet){0};
	return strchr(s, '/') ? subnet_parse(s, ret) == 0 && ret->prefix > 0 : address_parse(s, &a) == 0;
}

int dnsmasq_args(const struct dns_options *o, const char *resolv, char ***ret, struct err *e)
{
	static const char *const fixed[] = {"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
		"--pid-file=", "--log-facility=/dev/null", "--no-hosts", "--user=", "--hostsdir=" DNS_HOSTS,
		"--bind-dynamic", "--except-interface=lo", "--domain-needed", "--local=//", "--cache-size=1000",
		"--no-negcache", "--dns-forward-max=1000", "--dns-loop-detect", "--no-ident", NULL};
	_cleanup_strv_ char **v = NULL;
	int r = 0;

	for (const char *const *s = fixed; *s && r == 0; s++)
		r = strv_push(&v, *s);
	if (r == 0)
		r = strv_pushf(&v, "--port=%u", o->port);
	strv_foreach(bridge, o->bridges) {
		if (r == 0)
			r = strv_pushf(&v, "--interface=%s", bridge);
	}
	strv_foreach(a, o->listen) {
		struct subnet own;
		char text[ADDRESS_TEXT + 4];
		if (!parse_listen(a, &own))
			return err_set(e, EINVAL, "%s is not an address", a);
		if (own.prefix && r == 0)
			r = strv_pushf(&v, "--rev-server=%s", subnet_format(&own, text));
	}
	if (r == 0)
		r = resolv ? strv_pushf(&v, "--resolv-file=%s", resolv) : strv_push(&v, "--no-resolv");
	/* a name that nobody has does not exist, instead of being refused */
	if (r == 0 && o->internal)
		r = strv_push(&v, "--local=/#/");
	if (r < 0)
		return err_nomem(e);
	*ret = steal_ptr(v);
	return 0;
}
