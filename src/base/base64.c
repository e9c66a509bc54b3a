/* Base64. */
#include "base/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t n)
{
	const unsigned char *p = data;
	char *out = malloc(n / 3 * 4 + 5), *to = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t v =
			(uint32_t)p[i] << 16 | (have > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (have > 2 ? p[i + 2] : 0);
		for (unsigned k = 0; k < 4; k++)
			*to++ = k <= have ? digits[v >> (18 - 6 * k) & 63] : '=';
	}
	*to = 0;
	return out;
}

char *base64_decode(const char *s, size_t *ret_len)
{
	size_t n = strlen(s), len = 0, pad = n && s[n - 1] == '=' ? 1 + (n > 1 && s[n - 2] == '=') : 0;
	char *out = n % 4 ? NULL : malloc(n / 4 * 3 + 1);
	uint32_t v = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const char *digit = i < n - pad ? strchr(digits, s[i]) : digits;
		if (!digit) {
			free(out);
			return NULL;
		}
		v = v << 6 | (uint32_t)(digit - digits);
		for (int k = 2; i % 4 == 3 && k >= 0; k--)
			out[len++] = (char)(v >> (8 * k));
	}
	len -= pad;
	out[len] = 0;
	*ret_len = len;
	return out;
}
