/* Rules of others: any text as nft's answer, or, if it begins with '-', as that of iptables -S. Whatever is read can be followed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/foreign-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *data, const char *text)
{
	for (const char *s = text; *s; s++)
		if (*s < ' ' || *s > '~')
			abort();
	++*(int *)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *const bridges[] = {(char *)"caisson0", (char *)"caisson-0", NULL};
	const struct foreign_place place = {.bridges = bridges, .outside = "eth0", .bridged = size % 2};
	_cleanup_foreign_ struct foreign_rules rules = {0};
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct err e = ERR_INIT;
	int seen = 0;

	int r = *text == '-' ? foreign_read_iptables(&rules, "ip", "filter", "iptables-legacy", text, &e)
			     : foreign_read_nft(&rules, text, strlen(text), &e);
	if (r == 0)
		r = foreign_report(&rules, &place, count, &seen, &e);
	if (r >= 0 ? r != seen : !*e.msg)
		abort();
	return 0;
}
