/* Platforms as docker names them: os/arch[/variant] (image-spec, image-index.md; containerd's platforms package has the short forms). */
#pragma once

#include <jansson.h>

#include "base/err.h"

struct platform {
	char os[16], arch[32], variant[16]; /* variant "": any */
};
enum { PLATFORM_TEXT = 72 };

/* "linux/arm64/v8", "arm64", "linux"; NULL and "" are this machine's. -EINVAL with docker's words. */
int platform_parse(const char *s, struct platform *ret, struct err *e);
/* How well {"os", "architecture", "variant"} serves who wants this: 2 exactly, 1 as well, 0 not at all. */
int platform_rank(const json_t *has, const struct platform *want);
/* "linux/arm64/v8"; returns ret */
const char *platform_text(const struct platform *p, char ret[PLATFORM_TEXT]);
/* The same of an object, with "?" for what it does not say. */
const char *platform_text_of(const json_t *has, char ret[PLATFORM_TEXT]);
