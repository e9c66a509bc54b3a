#!/usr/bin/env python3
"""Kills one process of this network namespace's Caisson: kill-one.py KIND MILLISECONDS [CONTAINER]

Waits until there is one of this kind, then for so many milliseconds more, and kills it with SIGKILL. Prints its pid; nothing if none came in time, which is
an error if a container is named (else it is called victim). It looks from the moment on when the file $READY, if set, is there.
A process belongs here if it, or its parent (for those with a network namespace of their own), is in this network namespace.
"""
import os
import signal
import sys
import time

PATIENCE_S, PATIENCE_NAMED_S = 8, 30
KINDS = {
    "command": lambda argv, _: os.path.basename(argv[0]) == "caisson",
    "monitor": lambda argv, _: argv[0] == "caisson-monitor",
    "qemu": lambda argv, name: f"guest=caisson-{name}" in argv,
    "restoring": lambda argv, name: f"guest=caisson-{name}" in argv and "-incoming" in argv,
    "template-qemu": lambda argv, _: "guest=caisson-template" in argv,
    "builder": lambda argv, _: argv[0] == "caisson-builder",
    "holder": lambda argv, _: argv[0] == "caisson-template",
    "virtiofsd": lambda argv, name: argv[0] == f"virtiofsd:caisson-{name}",
    "names": lambda argv, _: argv[0] == "caisson-dns",
}


def namespace(pid):
    return os.readlink(f"/proc/{pid}/ns/net")


def parent(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[1]


def is_ours(pid, own):
    return namespace(pid) == own or namespace(parent(pid)) == own


def find(matches, name, own):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                argv = f.read().decode(errors="replace").split("\0")
            if argv[0] and matches(argv, name) and is_ours(pid, own):
                return int(pid)
        except OSError:
            pass
    return None


def main():
    matches, delay, named = KINDS[sys.argv[1]], int(sys.argv[2]) / 1000, len(sys.argv) > 3
    name, patience = (sys.argv[3], PATIENCE_NAMED_S) if named else ("victim", PATIENCE_S)
    own, end, pid = os.readlink("/proc/self/ns/net"), time.monotonic() + patience, None
    if "READY" in os.environ:
        open(os.environ["READY"], "w").close()
    while pid is None and time.monotonic() < end:
        pid = find(matches, name, own)
    if pid is None:
        return int(named)
    handle = os.pidfd_open(pid)
    time.sleep(delay)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        print(pid)
    except ProcessLookupError:
        return int(named)
    return 0


sys.exit(main())
