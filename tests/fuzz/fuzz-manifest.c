/* Any text as a manifest, an image configuration, and a registry's challenge. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/auth.h"
#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct platform platform = {.os = "linux", .arch = "amd64"};
	static struct manifest m;
	static struct image_config c;
	struct descriptor child;
	struct challenge challenge = {0};
	struct err e = ERR_INIT;
	_cleanup_free_ char *text = strndup((const char *)data, size);

	int r = manifest_parse((const char *)data, size, "", &platform, &m, &child, &e);
	if (r == 1 && !digest_valid(child.digest))
		abort();
	for (size_t i = 0; r == 0 && i < m.n_layers; i++)
		if (!digest_valid(m.layers[i].digest) || m.layers[i].size < 0)
			abort();
	if (image_config_parse((const char *)data, size, 1, &c, &e) == 0) {
		image_config_check_platform(&c, &platform, &e);
		json_decref(c.doc);
	}
	if (challenge_parse(text, &challenge, &e) == 0)
		challenge_done(&challenge);
	return 0;
}
