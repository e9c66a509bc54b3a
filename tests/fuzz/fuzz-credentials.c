/* Any text as docker's config.json, and as what a credential helper answers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is found is whole, and nothing else is. */
static void check(int r, struct credentials *c)
{
	if ((r < 0 && c->secret) || (c->secret && !c->user) || (c->secret && !*c->secret))
		abort();
	credentials_done(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const domains[] = {"docker.io", "localhost:5000", "a.test"};
	struct credentials c = {0};
	struct err e = ERR_INIT;

	check(credentials_of_answer((const char *)data, size, &c, &e), &c);
	_cleanup_json_ json_t *doc = json_parse((const char *)data, size, "config.json", &e);
	for (size_t i = 0; doc && i < sizeof(domains) / sizeof(domains[0]); i++) {
		const char *helper = NULL;
		check(credentials_of_file(doc, domains[i], &c, &e), &c);
		if (credentials_helper_of_file(doc, domains[i], &helper, &e) == 0 && helper &&
			(!*helper || strpbrk(helper, "/ ;$\n")))
			abort();
	}
	return 0;
}
