/* The guest's random numbers are made anew, before anything of the container's runs: in a clone they would be those of all clones. */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ENTROPY_LEN = 64 };

int machine_seed(const void *bytes, size_t n, struct err *e)
{
	struct {
		struct rand_pool_info info;
		char bytes[ENTROPY_LEN];
	} pool = {.info = {.entropy_count = ENTROPY_LEN * 8, .buf_size = ENTROPY_LEN}};
	_cleanup_close_ int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	if (n != ENTROPY_LEN)
		return err_set(e, EBADMSG, "the host sent %zu bytes of entropy, not %d", n, ENTROPY_LEN);
	memcpy(pool.bytes, bytes, ENTROPY_LEN);
	int r = fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0 ? -errno : 0;
	explicit_bzero(&pool, sizeof(pool));
	return r < 0 ? err_errno(e, r, "seed the guest's random numbers") : 0;
}
