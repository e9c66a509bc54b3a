/*
 * The modules that a utility VM needs of a distribution's kernel, in load order.
 *
 * A package has no modules.dep (depmod runs at its installation), so what each module needs is read where depmod reads it: the "depends=" of the
 * .modinfo section of its ELF file.
 */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"

enum { MODULE_MAX = 16 << 20, DEPTH_MAX = 16 };

/* One list of agent.h's AGENT_MODULES. Modules that this kernel has built in are not in its tree and are left out. */
static const struct {
	const char *list;
	const char *modules[6];
} needs[] = {
	{"boot", {"virtio_mmio", "virtio_console"}},
	{"root", {"virtio_blk", "erofs", "overlay", "ext4"}},
	{"share", {"fuse", "virtiofs"}},
	{"net", {"virtio_net"}},
	{"plug", {"virtio_pci", "virtio_net"}},
	{"memory", {"virtio_balloon"}},
};

/* The section ".modinfo" of an ELF64 file; every offset is checked, as the package's content is not ours. */
static const char *modinfo_section(const char *p, size_t n, size_t *ret_len)
{
	Elf64_Ehdr h;
	Elf64_Shdr names, s;

	if (n < sizeof(h))
		return NULL;
	memcpy(&h, p, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_shentsize != sizeof(s) ||
		h.e_shoff > n || (n - h.e_shoff) / sizeof(s) < h.e_shnum || h.e_shstrndx >= h.e_shnum)
		return NULL;
	memcpy(&names, p + h.e_shoff + h.e_shstrndx * sizeof(s), sizeof(names));
	if (names.sh_offset > n || names.sh_size > n - names.sh_offset)
		return NULL;
	for (size_t i = 0; i < h.e_shnum; i++) {
		static const char want[] = ".modinfo";
		memcpy(&s, p + h.e_shoff + i * sizeof(s), sizeof(s));
		if (s.sh_name > names.sh_size || names.sh_size - s.sh_name < sizeof(want) ||
			memcmp(p + names.sh_offset + s.sh_name, want, sizeof(want)) != 0)
			continue;
		if (s.sh_type == SHT_NOBITS || s.sh_offset > n || s.sh_size > n - s.sh_offset)
			return NULL;
		*ret_len = s.sh_size;
		return p + s.sh_offset;
	}
	return NULL;
}

int module_depends(const void *elf, size_t n, char ***ret)
{
	size_t left;
	const char *p = modinfo_section(elf, n, &left);

	*ret = NULL;
	if (!p)
		return -ENOEXEC;
	while (left) {
		size_t len = strnlen(p, left);
		if (len > 8 && !memcmp(p, "depends=", 8)) {
			_cleanup_free_ char *list = strndup(p + 8, len - 8);
			*ret = list ? strv_split(list, ",") : NULL;
			return list ? 0 : -ENOMEM;
		}
		p += len;
		left -= len;
		for (; left && !*p; left--)
			p++;
	}
	return 0;
}

/* "virtio-rng" and "virtio_rng" are the same module. */
static bool same_module(const char *file, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if ((file[i] == '-' ? '_' : file[i]) != (name[i] == '-' ? '_' : name[i]))
			return false;
	return str_in(file + n, (const char *const[]){".ko", ".ko.xz", ".ko.zst", ".ko.gz", NULL});
}

/* The path of a module's file in a tree, or NULL. */
static char *find_module(const char *tree, const char *name)
{
	char *const roots[] = {(char *)tree, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	char *found = NULL;

	for (FTSENT *f; fts && !found && (f = fts_read(fts));)
		if (f->fts_info == FTS_F && same_module(f->fts_name, name))
			found = strdup(f->fts_path);
	if (fts)
		fts_close(fts);
	return found;
}

/* The module's bytes, decompressed by the usual programs: the guest's kernel may not know how. */
static int read_module(const char *path, struct buf *b, struct err *e)
{
	static const struct {
		const char *suffix, *program;
	} packed[] = {{".xz", "xz"}, {".zst", "zstd"}, {".gz", "gzip"}};

	for (size_t i = 0; i < sizeof(packed) / sizeof(*packed); i++) {
		if (!str_ends(path, packed[i].suffix))
			continue;
		_cleanup_free_ char *plain = strndup(path, strlen(path) - strlen(packed[i].suffix));
		if (!plain)
			return err_nomem(e);
		int r = proc_run((char *[]){(char *)packed[i].program, (char *)"-dk", (char *)path, NULL}, NULL, e);
		if (r < 0)
			return r;
		if (r)
			return err_set(e, EIO, "%s -d %s: exit status %d", packed[i].program, path, r);
		r = file_read(AT_FDCWD, plain, MODULE_MAX, b);
		return r < 0 ? err_errno(e, r, "read %s", plain) : 0;
	}
	int r = file_read(AT_FDCWD, path, MODULE_MAX, b);
	return r < 0 ? err_errno(e, r, "read %s", path) : 0;
}

/*
 * Cuts the signature off the end (Documentation/admin-guide/module-signing.rst): the package's own was checked by apt, nobody else can write the
 * initramfs, and an emulated CPU spends some 20 ms on each. Behind the signature stand 12 bytes, the last four its length, and the mark.
 */
void module_strip_signature(struct buf *b)
{
	static const char mark[] = "~Module signature appended~\n";
	const size_t tail = 12 + strlen(mark);
	uint32_t n;

	if (b->len < tail || memcmp(b->data + b->len - strlen(mark), mark, strlen(mark)) != 0)
		return;
	memcpy(&n, b->data + b->len - strlen(mark) - sizeof(n), sizeof(n));
	n = be32toh(n);
	if (n <= b->len - tail)
		b->len -= tail + n;
}

struct collect {
	const char *tree, *to;
	char **list; /* file names in load order */
};

/* Depth first: what a module needs is in the list before it. */
static int collect_one(struct collect *c, const char *name, bool wanted, unsigned depth, struct err *e)
{
	_cleanup_free_ char *path = find_module(c->tree, name);
	_cleanup_free_ char *file = str_fmt("%s.ko", name);
	_cleanup_free_ char *to = file ? path_join(c->to, file) : NULL;
	_cleanup_buf_ struct buf b = {0};
	_cleanup_strv_ char **depends = NULL;

	if (!to)
		return err_nomem(e);
	if (strv_has(c->list, file))
		return 0;
	if (!path)
		return wanted ? 0 : err_set(e, ENOENT, "kernel module %s: not in the package", name);
	if (depth > DEPTH_MAX)
		return err_set(e, ELOOP, "kernel module %s: its dependencies have no end", name);
	int r = read_module(path, &b, e);
	if (r < 0)
		return r;
	module_strip_signature(&b);
	r = module_depends(b.data, b.len, &depends);
	if (r < 0)
		return err_errno(e, r, "kernel module %s", path);
	strv_foreach(d, depends) {
		r = collect_one(c, d, false, depth + 1, e);
		if (r < 0)
			return r;
	}
	r = file_replace(AT_FDCWD, to, b.data, b.len, 0644);
	if (r < 0)
		return err_errno(e, r, "write %s", to);
	return strv_push(&c->list, file) < 0 ? err_nomem(e) : 0;
}

int kernel_modules_collect(const char *tree, const char *to, struct err *e)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
		struct collect c = {.tree = tree, .to = to};
		_cleanup_buf_ struct buf text = {0};
		int r = 0;

		for (size_t k = 0; r == 0 && k < 6 && needs[i].modules[k]; k++)
			r = collect_one(&c, needs[i].modules[k], true, 0, e);
		strv_foreach(file, c.list) {
			if (r == 0 && buf_addf(&text, "%s\n", file) < 0)
				r = err_nomem(e);
		}
		strv_free(c.list);
		_cleanup_free_ char *path = path_join(to, needs[i].list);
		if (r == 0)
			r = path ? file_replace(AT_FDCWD, path, text.data ? text.data : "", text.len, 0644) : -ENOMEM;
		if (r < 0)
			return e->code ? r : err_errno(e, r, "write the list of modules in %s", to);
	}
	return 0;
}
