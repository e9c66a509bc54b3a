/*
 * The mount namespace of this process (mount_namespaces(7)), after unshare(2) or clone(2) made it its own. Its root need not be this process's "/": in
 * a chroot the host's tree is above, and whoever joins the namespace later arrives there. Functions return 0 or -errno.
 */
#pragma once

#include <stdbool.h>

/* Makes every mount of the namespace private, so that nothing reaches the host's. *ret_chrooted (may be NULL): "/" is not the namespace's root. */
int mountns_make_private(bool *ret_chrooted);

/* Makes an attached mount the root of the namespace and "/" of this process, which stands there then; everything else is detached. */
int mountns_pivot(int mount_fd, bool chrooted);
