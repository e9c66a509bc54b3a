/* The container's processes as `ps -ef` shows them, read from the /proc of the kernel that carries the
 * container. */
#pragma once

#include "sandbox/sandbox.h"

/* One tab-separated text per process: uid pid ppid c stime tty time stat vsz rss nice %cpu %mem elapsed comm cmd (vsz and rss in KiB, elapsed in seconds).
 * Pids are the caller's namespace's. *ret_lines is a strv of the caller's. */
int sandbox_ps(const struct sandbox *s, char ***ret_lines);
