#!/usr/bin/env python3
"""Kills one process of this network namespace's Caisson: kill-one.py KIND MILLISECONDS

Waits until there is one of this kind, then for so many milliseconds more, and kills it with SIGKILL. Prints its pid; nothing if none came in time.
A process belongs here if it, or its parent (for those with a network namespace of their own), is in this network namespace.
"""
import os
import signal
import sys
import time

PATIENCE_S = 8
KINDS = {
    "command": lambda argv: os.path.basename(argv[0]) == "caisson",
    "monitor": lambda argv: argv[0] == "caisson-monitor",
    "qemu": lambda argv: "guest=caisson-victim" in argv,
    "template-qemu": lambda argv: "guest=caisson-template" in argv,
    "builder": lambda argv: argv[0] == "caisson-builder",
    "holder": lambda argv: argv[0] == "caisson-template",
    "virtiofsd": lambda argv: "virtiofsd" in argv[0],
    "names": lambda argv: argv[0] == "caisson-dns",
}


def namespace(pid):
    return os.readlink(f"/proc/{pid}/ns/net")


def parent(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[1]


def is_ours(pid, own):
    return namespace(pid) == own or namespace(parent(pid)) == own


def find(matches, own):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                argv = f.read().decode(errors="replace").split("\0")
            if argv[0] and matches(argv) and is_ours(pid, own):
                return int(pid)
        except OSError:
            pass
    return None


def main():
    matches, delay = KINDS[sys.argv[1]], int(sys.argv[2]) / 1000
    own, end, pid = os.readlink("/proc/self/ns/net"), time.monotonic() + PATIENCE_S, None
    while pid is None and time.monotonic() < end:
        pid = find(matches, own)
    if pid is None:
        return
    handle = os.pidfd_open(pid)
    time.sleep(delay)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        print(pid)
    except ProcessLookupError:
        pass


main()
