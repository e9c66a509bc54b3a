/* Platforms: os/arch[/variant]. */
#include "image/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/json.h"

/* What machines and users say, and what it is among images. */
static const struct {
	const char *said, *arch, *variant;
} names[] = {{"x86_64", "amd64", ""}, {"x86-64", "amd64", ""}, {"amd64", "amd64", ""}, {"aarch64", "arm64", "v8"},
	{"arm64", "arm64", "v8"}, {"arm", "arm", "v7"}, {"armhf", "arm", "v7"}, {"armel", "arm", "v6"},
	{"armv7l", "arm", "v7"}, {"armv6l", "arm", "v6"}, {"i386", "386", ""}, {"i686", "386", ""}, {"386", "386", ""},
	{"loong64", "loong64", ""}, {"mips64le", "mips64le", ""}, {"mipsle", "mipsle", ""}, {"ppc64le", "ppc64le", ""},
	{"riscv64", "riscv64", ""}, {"s390x", "s390x", ""}};
static const char *const systems[] = {"linux", "windows", "darwin", "freebsd", NULL};

static bool set_arch(struct platform *p, const char *said)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(said, names[i].said)) {
			strcpy(p->arch, names[i].arch);
			strcpy(p->variant, names[i].variant);
			return true;
		}
	return false;
}

static int of_machine(struct platform *ret, struct err *e)
{
	struct utsname u;

	if (uname(&u) < 0)
		return err_errno(e, errno, "uname");
	*ret = (struct platform){.os = "linux"};
	if (!set_arch(ret, u.machine))
		snprintf(ret->arch, sizeof(ret->arch), "%.31s", u.machine);
	return 0;
}

static int unknown(const char *s, struct err *e)
{
	return err_set(e, EINVAL,
		"\"%.60s\": unknown operating system or architecture: invalid argument (use os/arch[/variant], such as "
		"linux/arm64)",
		s);
}

int platform_parse(const char *s, struct platform *ret, struct err *e)
{
	struct platform p = {.os = "linux"};

	if (str_empty(s))
		return of_machine(ret, e);
	_cleanup_free_ char *lower = strdup(s);
	_cleanup_strv_ char **parts = lower ? strv_split(str_lower(lower), "/") : NULL;
	size_t n = strv_len(parts);
	if (n == 1 && str_in(parts[0], systems)) {
		int r = of_machine(&p, e);
		if (r < 0)
			return r;
	} else if (n < 1 || n > 3 || !set_arch(&p, parts[n > 1]) || (n > 1 && !str_in(parts[0], systems)) ||
		(n == 3 && strlen(parts[2]) >= sizeof(p.variant))) {
		return unknown(s, e);
	}
	if (n == 3)
		strcpy(p.variant, parts[2]);
	if ((n > 1 || str_in(parts[0], systems)) && strcmp(parts[0], "linux") != 0)
		return err_set(e, EINVAL, "invalid platform: %.60s: only linux images can be used", s);
	*ret = p;
	return 0;
}

int platform_rank(const json_t *has, const struct platform *want)
{
	const char *os = json_str(has, "os"), *arch = json_str(has, "architecture"),
		   *variant = json_str(has, "variant");

	if (!os || !arch || strcmp(os, want->os) != 0 || strcmp(arch, want->arch) != 0)
		return 0;
	if (!strcmp(variant ? variant : "", want->variant))
		return 2;
	/* a newer variant is not run on an older machine; v8 is what arm64 without a variant means */
	if (variant && *want->variant)
		return strcmp(variant, want->variant) < 0;
	return 1;
}

const char *platform_text(const struct platform *p, char ret[PLATFORM_TEXT])
{
	snprintf(ret, PLATFORM_TEXT, "%s/%s%s%s", p->os, p->arch, *p->variant ? "/" : "", p->variant);
	return ret;
}

const char *platform_text_of(const json_t *has, char ret[PLATFORM_TEXT])
{
	const char *os = json_str(has, "os"), *arch = json_str(has, "architecture"),
		   *variant = json_str(has, "variant");

	snprintf(ret, PLATFORM_TEXT, "%.16s/%.32s%s%.16s", os ? os : "?", arch ? arch : "?",
		str_empty(variant) ? "" : "/", variant ? variant : "");
	return ret;
}
