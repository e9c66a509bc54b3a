/*
 * What is mounted from the host into a virtual machine and cannot work there: a socket or a named pipe is a name in a directory, and its other end is a
 * process on the host's kernel. It is looked for in the source itself and, where that is a directory, among its direct children; a whole tree may be
 * large, and what lies deeper is not what the user named.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "engine/engine-private.h"

enum { CHILDREN_MAX = 4096, NAMED_MAX = 3 };

static void warn(json_t *warnings, const char *path, const char *target, bool is_socket)
{
	json_t *line = json_sprintf(
		"%s (at %s) is a %s: its other end is on the host's kernel, which a virtual machine does not "
		"reach",
		path, target, is_socket ? "socket" : "named pipe");

	/* NULL: its name is not UTF-8 */
	if (line)
		json_array_append_new(warnings, line);
}

static void warn_of_children(json_t *warnings, const char *source, const char *target)
{
	_cleanup_closedir_ DIR *d = opendir(source);
	const struct dirent *en;
	int named = 0;

	for (int i = 0; d && i < CHILDREN_MAX && named < NAMED_MAX && (en = readdir(d)); i++) {
		if (en->d_type != DT_SOCK && en->d_type != DT_FIFO)
			continue;
		_cleanup_free_ char *path = str_fmt("%s/%s", source, en->d_name);
		_cleanup_free_ char *inside = str_fmt("%s/%s", target, en->d_name);
		if (path && inside)
			warn(warnings, path, inside, en->d_type == DT_SOCK);
		named++;
	}
}

void mounts_warn(const json_t *mounts, json_t *warnings)
{
	size_t i;
	json_t *m;

	json_array_foreach((json_t *)mounts, i, m) {
		const char *source = json_str(m, "Source"), *target = json_str(m, "Destination");
		struct stat st;
		if (strcmp(json_str(m, "Type"), "bind") != 0 || stat(source, &st) < 0)
			continue;
		if (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode))
			warn(warnings, source, target, S_ISSOCK(st.st_mode));
		else if (S_ISDIR(st.st_mode))
			warn_of_children(warnings, source, target);
	}
}
