/* Any text as an image reference: what is taken can be written and taken again, with the same meaning. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_reference_ struct reference r = {0}, again = {0};
	struct err e = ERR_INIT;

	if (reference_parse(text, &r, &e) < 0)
		return 0;
	_cleanup_free_ char *name = reference_name(&r);
	if (reference_parse(name, &again, &e) < 0)
		abort();
	_cleanup_free_ char *name_again = reference_name(&again);
	_cleanup_free_ char *familiar = reference_familiar(name);
	if (strcmp(name, name_again) != 0 || strlen(familiar) > strlen(name) || strstr(r.path, ".."))
		abort();
	reference_is_local(reference_host(&r));
	return 0;
}
