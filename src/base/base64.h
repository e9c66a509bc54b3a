/* Base64 as in RFC 4648, with padding. */
#pragma once

#include <stddef.h>

char *base64_encode(const void *p, size_t n); /* malloc'd; NULL: no memory */
/* malloc'd, a NUL behind it; NULL if the text is not base64 or memory is out. */
char *base64_decode(const char *s, size_t *ret_len);
