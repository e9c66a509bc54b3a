/* The files of an image archive, and what its links mean. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "image/load.h"

enum { HOPS_MAX = 8 };

void members_done(struct members *m)
{
	free(m->list);
	*m = (struct members){0};
}

int member_name(const char *from, const char *name, char ret[MEMBER_NAME_SIZE], struct err *e)
{
	const char *slash = from ? strrchr(from, '/') : NULL;
	_cleanup_free_ char *joined =
		slash ? str_fmt("%.*s/%s", (int)(slash - from), from, name) : str_fmt("./%s", name);
	_cleanup_free_ char *clean = joined ? path_clean(joined) : NULL;

	if (!clean)
		return err_nomem(e);
	if ((from && *name == '/') || !strcmp(clean, "..") || str_starts(clean, "../"))
		return err_set(e, EBADMSG, "%.100s leads out of the archive", name);
	if (strlen(clean) >= MEMBER_NAME_SIZE)
		return err_set(e, ENAMETOOLONG, "%.60s...: the name is too long", name);
	strcpy(ret, clean);
	return 0;
}

int members_add(struct members *m, const struct member *what, struct err *e)
{
	if (m->n == MEMBERS_MAX)
		return err_set(e, E2BIG, "the archive has more than %d entries", MEMBERS_MAX);
	if (m->n == m->room) {
		size_t room = m->room ? 2 * m->room : 64;
		struct member *more = reallocarray(m->list, room, sizeof(*more));
		if (!more)
			return err_nomem(e);
		m->list = more;
		m->room = room;
	}
	m->list[m->n++] = *what;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

int members_sort(struct members *m, struct err *e)
{
	if (m->n)
		qsort(m->list, m->n, sizeof(*m->list), compare);
	for (size_t i = 1; i < m->n; i++) {
		const struct member *a = &m->list[i - 1], *b = &m->list[i];
		if (!strcmp(a->name, b->name) &&
			(a->kind != b->kind || strcmp(a->digest, b->digest) != 0 || strcmp(a->target, b->target) != 0))
			return err_set(e, EBADMSG, "the archive has %.100s twice, with different content", a->name);
	}
	return 0;
}

int members_find(const struct members *m, const char *name, const struct member **ret, struct err *e)
{
	struct member key = {0};
	int r = member_name(NULL, name, key.name, e);

	for (int hops = 0; r == 0; hops++) {
		const struct member *x = m->n ? bsearch(&key, m->list, m->n, sizeof(key), compare) : NULL;
		if (!x)
			return err_set(e, ENOENT, "%.100s is not in the archive", key.name);
		if (x->kind == MEMBER_FILE) {
			*ret = x;
			return 0;
		}
		if (hops == HOPS_MAX)
			return err_set(e, ELOOP, "%.100s: too many links", name);
		memcpy(key.name, x->target, sizeof(key.name));
	}
	return r;
}
