/*
 * A template that could not be built: RUN/template/NAME.failed says why, so that starts boot for a while instead of trying each time, and so that
 * somebody hears of a builder that nobody watched. It is in the run directory, as a disk that is full is the likeliest reason. The name tells what the
 * template would have been made of: when that changes, nothing holds up the next try.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "isolation/hyperv-template.h"

#define SUFFIX ".failed"

enum { REST_S = 600, WHY_MAX = 400 };

static char *file_name(const char *name)
{
	return str_fmt("%s" SUFFIX, name);
}

/* Its age in seconds, and the reason; -ENOENT. */
static int64_t look(int dir, const char *file, char *ret, size_t size)
{
	struct stat st;
	int r = fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : file_read_line(dir, file, ret, size);

	if (r < 0)
		return r;
	time_t now = time(NULL);
	return now > st.st_mtime ? now - st.st_mtime : 0;
}

void template_build_failed(const struct isolation_host *h, const char *name, const char *why)
{
	_cleanup_close_ int dir = template_run_dir(h);
	_cleanup_free_ char *file = file_name(name);

	if (dir >= 0 && file)
		file_replace(dir, file, why, strnlen(why, WHY_MAX), 0600);
}

void template_build_worked(const struct isolation_host *h, const char *name)
{
	_cleanup_close_ int dir = template_run_dir(h);
	_cleanup_free_ char *file = file_name(name), *wanted = str_fmt(TEMPLATE_WANTED, name);

	if (dir >= 0 && file)
		unlinkat(dir, file, 0);
	if (dir >= 0 && wanted)
		unlinkat(dir, wanted, 0);
}

bool template_failed_lately(const struct isolation_host *h, const char *name, char *ret, size_t size)
{
	_cleanup_close_ int dir = template_run_dir(h);
	_cleanup_free_ char *file = file_name(name);
	int64_t age = dir >= 0 && file ? look(dir, file, ret, size) : -ENOENT;

	return age >= 0 && age < REST_S;
}

bool template_last_failure(const struct isolation_host *h, char *ret, size_t size)
{
	_cleanup_close_ int dir = template_run_dir(h);
	_cleanup_closedir_ DIR *d = dir < 0 ? NULL : dir_open(dir, ".");
	int64_t least = INT64_MAX;
	char why[WHY_MAX + 1];

	for (struct dirent *e; d && (e = readdir(d));) {
		if (!str_ends(e->d_name, SUFFIX))
			continue;
		int64_t age = look(dir, e->d_name, why, sizeof(why));
		if (age < 0 || age >= least)
			continue;
		least = age;
		snprintf(ret, size, "%.*s could not be built %lld minutes ago: %s",
			(int)(strlen(e->d_name) - strlen(SUFFIX)), e->d_name, (long long)age / 60, why);
	}
	return least < INT64_MAX;
}
