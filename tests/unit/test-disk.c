/* What a container's disk says of the room that is used on it, whoever wrote it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "isolation/hyperv.h"

static void put_u32(uint8_t *super, size_t at, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		super[at + i] = (uint8_t)(v >> 8 * i);
}

/* The fields of ext4's superblock: offsets as in Documentation/filesystems/ext4/super.rst. */
struct super {
	uint32_t blocks, blocks_high, free, free_high, shift, overhead;
	uint16_t magic;
};

static int used_of(const struct super *s, uint64_t length, uint64_t *ret)
{
	_cleanup_close_ int fd = memfd_create("disk", MFD_CLOEXEC);
	uint8_t super[1024] = {0};

	put_u32(super, 0x04, s->blocks);
	put_u32(super, 0x0c, s->free);
	put_u32(super, 0x18, s->shift);
	put_u32(super, 0x38, s->magic);
	put_u32(super, 0x150, s->blocks_high);
	put_u32(super, 0x158, s->free_high);
	put_u32(super, 0x248, s->overhead);
	assert_int_equal(pwrite(fd, super, sizeof(super), 1024), sizeof(super));
	assert_int_equal(ftruncate(fd, (off_t)length), 0);
	return hyperv_disk_used(fd, ret);
}

static void test_used(void **state)
{
	enum { MIB = 1024 * 1024, MAGIC = 0xef53 };
	static const struct {
		struct super super;
		uint64_t length, used;
		int error;
	} rows[] = {
		{{.blocks = 256, .free = 200, .shift = 2, .overhead = 40, .magic = MAGIC}, MIB, 16 * 4096, 0},
		{{.blocks = 1024, .free = 1024, .shift = 0, .magic = MAGIC}, MIB, 0, 0},
		{{.blocks = 5, .blocks_high = 1, .free = 1, .free_high = 1, .shift = 2, .magic = MAGIC}, 1ull << 45,
			4 * 4096, 0},
		{{.blocks = 256, .free = 200, .shift = 2, .overhead = 40, .magic = 0x1234}, MIB, 0, -EBADMSG},
		{{.blocks = 256, .free = 257, .shift = 2, .magic = MAGIC}, MIB, 0, -EBADMSG},
		{{.blocks = 256, .free = 200, .shift = 2, .overhead = 57, .magic = MAGIC}, MIB, 0, -EBADMSG},
		{{.blocks = 257, .free = 0, .shift = 2, .magic = MAGIC}, MIB, 0, -EBADMSG},
		{{.blocks = 256, .free = 0, .shift = 7, .magic = MAGIC}, MIB, 0, -EBADMSG},
		{{.blocks = 256, .free = 0, .shift = UINT32_MAX, .magic = MAGIC}, MIB, 0, -EBADMSG},
		{{.blocks = UINT32_MAX, .blocks_high = UINT32_MAX, .shift = 6, .magic = MAGIC}, MIB, 0, -EBADMSG},
		{{.blocks = 1, .magic = MAGIC}, 1500, 0, -EBADMSG}, /* cut within the superblock */
		{{.magic = MAGIC}, 0, 0, 0},                        /* no start has made it yet */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t used = 12345;
		int r = used_of(&rows[i].super, rows[i].length, &used);
		if (r != rows[i].error || (r == 0 && used != rows[i].used))
			fail_msg("row %zu: %d, %llu", i, r, (unsigned long long)used);
		if (r == 0)
			assert_true(used <= rows[i].length);
	}
	assert_int_equal(hyperv_disk_used(-1, &(uint64_t){0}), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_used)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
