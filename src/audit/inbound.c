/* What lets others in: elements of the rules, and ports that the container's monitor holds for it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit-private.h"
#include "base/fd.h"

enum { LINES_MAX = 1 << 20, TCP_LISTEN = 10, UDP_UNCONNECTED = 7 };

/* ---- what the monitor itself listens on ---- */

/* The inodes of its sockets, one after the other: " 123 456 ". */
static int list_sockets(const struct audit *a, struct buf *b)
{
	char path[32], link[64];

	snprintf(path, sizeof(path), "%d/fd", a->monitor->pid);
	_cleanup_closedir_ DIR *d = dir_open(a->snap.proc, path);
	struct dirent *en;
	int r = d ? buf_adds(b, " ") : -errno;

	while (r == 0 && (en = readdir(d)))
		if (link_read(dirfd(d), en->d_name, link, sizeof(link)) && str_starts(link, "socket:["))
			r = buf_addf(b, "%llu ", strtoull(link + strlen("socket:["), NULL, 10));
	return r;
}

/* "  0: 0100007F:1F90 00000000:0000 0A ... uid timeout inode": its port, if it waits for others and is the monitor's. */
static bool listens(const char *line, bool udp, const char *inodes, unsigned *ret_port)
{
	unsigned port, state;
	unsigned long long inode;
	char text[32];

	if (sscanf(line, "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*d %*d %llu", &port, &state, &inode) != 3 ||
		state != (udp ? UDP_UNCONNECTED : TCP_LISTEN))
		return false;
	snprintf(text, sizeof(text), " %llu ", inode);
	*ret_port = port;
	return strstr(inodes, text);
}

static size_t note_listeners(struct audit *a, struct finding *f)
{
	static const struct {
		const char *file;
		bool udp;
	} files[] = {{"net/tcp", false}, {"net/tcp6", false}, {"net/udp", true}, {"net/udp6", true}};
	_cleanup_buf_ struct buf inodes = {0};
	size_t n = 0;

	if (!a->monitor || list_sockets(a, &inodes) < 0)
		return 0;
	_cleanup_close_ int dir = snapshot_dir(&a->snap, a->monitor->pid);
	for (size_t i = 0; dir >= 0 && i < sizeof(files) / sizeof(*files); i++) {
		_cleanup_close_ int fd = openat(dir, files[i].file, O_RDONLY | O_CLOEXEC);
		_cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
		char line[512];
		unsigned port;
		if (!file)
			continue;
		steal_fd(&fd);
		for (int lines = 0; lines < LINES_MAX && fgets(line, sizeof(line), file); lines++) {
			if (!listens(line, files[i].udp, inodes.data, &port))
				continue;
			finding_note(f, "pid %d (%s) listens on %s port %u of the host's", a->monitor->pid,
				a->monitor->comm, files[i].file + strlen("net/"), port);
			n++;
		}
	}
	return n;
}

/* ---- what lets others in ---- */

static void note_all(
	struct audit *a, struct finding *f, const char *family, const json_t *table, const char *const *sets, size_t *n)
{
	for (; *sets; sets++)
		*n += note_elements(a, f, family, table, *sets);
}

void measure_inbound(struct audit *a, struct finding *f)
{
	static const char *const opening[] = {
		"publish4", "publish6", "publish4at", "publish6at", "open4", "open6", NULL};
	static const char *const closing[] = {"closed4", "closed6", "isolated", "internal", NULL};
	static const char *const ports[] = {"macs", "addresses4", "addresses6", "closed", NULL};
	size_t open = 0, other = 0;

	tables_load(a);
	note_all(a, f, "inet", a->tables.inet, opening, &open);
	note_all(a, f, "inet", a->tables.inet, closing, &other);
	note_all(a, f, "bridge", a->tables.bridge, ports, &other);
	size_t listeners = note_listeners(a, f);
	if (a->tables.inet_error == -ENOENT)
		finding_note(f, "%s", a->tables.inet_why.msg);
	if (open || listeners)
		finding_value(f, "%zu let others in, %zu ports are held by its monitor", open, listeners);
	else
		finding_value(f, "none lets others in");
	finding_note(f, "%zu elements bind its ports or close them", other);
	if (on_host_network(a)) {
		f->result = FINDING_FAILS;
		finding_because(f, "it is in the host's network namespace, where nothing has to be let in");
	} else if (open || listeners) {
		f->result = FINDING_FAILS;
		finding_because(f, "ports of it are published");
	} else if (a->tables.inet_error && a->tables.inet_error != -ENOENT) {
		finding_unknown(f, "%s", a->tables.inet_why.msg);
	} else {
		f->result = FINDING_HOLDS;
	}
}
