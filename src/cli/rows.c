/* Texts of rows. */
#include "cli/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"

char *row_id(const char *id, bool no_trunc)
{
	const char *colon = id ? strchr(id, ':') : NULL;

	if (!id || no_trunc)
		return strdup(id ? id : "");
	return strndup(colon ? colon + 1 : id, SHORT_ID);
}

char *row_ellipsis(const char *s, int width)
{
	int seen = 0;
	size_t cut = 0;

	for (size_t i = 0; s[i]; i++) {
		if (((unsigned char)s[i] & 0xc0) == 0x80)
			continue;
		if (++seen == width)
			cut = i;
	}
	return seen <= width ? strdup(s) : str_fmt("%.*s…", (int)cut, s);
}

char *row_ago(int64_t created_s)
{
	char ago[40];

	return str_fmt("%s ago", clock_ago(created_s * 1000000000, ago));
}

char *row_time(int64_t created_s)
{
	time_t t = created_s;
	struct tm tm;
	char text[64];

	localtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z %Z", &tm);
	return strdup(text);
}

char *row_created(const char *rfc3339)
{
	const char *t = rfc3339 ? strchr(rfc3339, 'T') : NULL, *end = t ? strchr(t, 'Z') : NULL;

	if (!end)
		return strdup(rfc3339 ? rfc3339 : "");
	if (strchr(t, '.')) {
		while (end[-1] == '0')
			end--;
		end -= end[-1] == '.';
	}
	t++;
	return str_fmt("%.*s %.*s +0000 UTC", (int)(t - 1 - rfc3339), rfc3339, (int)(end - t), t);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *row_labels(const json_t *labels)
{
	_cleanup_buf_ struct buf b = {0};
	_cleanup_free_ const char **names = calloc(json_object_size(labels) + 1, sizeof(*names));
	const char *name;
	json_t *value;
	size_t n = 0;

	if (!names || buf_adds(&b, "") < 0)
		return NULL;
	json_object_foreach((json_t *)labels, name, value)
		names[n++] = name;
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_str(labels, names[i]);
		if (buf_addf(&b, "%s%s=%s", i ? "," : "", names[i], text ? text : "") < 0)
			return NULL;
	}
	return steal_ptr(b.data);
}

char *row_size(int64_t bytes)
{
	char text[16];

	/* docker shows three digits in lists */
	double v = (double)bytes;
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t i = 0;
	for (; v >= 1000 && i < 6; i++)
		v /= 1000;
	snprintf(text, sizeof(text), "%.3g%s", v, units[i]);
	return strdup(text);
}

int row_set(json_t *row, const char *field, char *text)
{
	int r = text ? json_set(row, field, json_from_str(text)) : -ENOMEM;

	free(text);
	return r;
}
