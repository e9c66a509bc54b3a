/* An image's passwd and group files: the first line is what is asked for, the rest, cut at a form feed, the two files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	char *rest = text, *spec = strsep(&rest, "\n"), *passwd = rest ? strsep(&rest, "\f") : NULL;
	char *const extra[] = {(char *)"wheel", NULL};
	struct user u = {0};
	struct err e = ERR_INIT;

	if (user_from_files(passwd, rest, spec, size % 2 ? extra : NULL, &u, &e) < 0)
		return 0;
	if (u.uid > INT32_MAX || u.gid > INT32_MAX || !u.home || !u.groups_len)
		abort();
	user_done(&u);
	return 0;
}
