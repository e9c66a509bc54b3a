#!/usr/bin/env python3
"""Tries to change the memory that virtual machines are cloned from, in every way there is, and prints a checksum of it.

    sealed.py hold SOCKET      as a start gets it: from caisson-template (src/proto/template.h)
    sealed.py open PATH...     as the file behind a descriptor of QEMU's: /proc/PID/fd/N
    sealed.py sum PATH...      only the checksum, of a template's file or of such a descriptor
    sealed.py control          the same attempts on memory that is not sealed: all must succeed, or they prove nothing

Every attempt must fail; the exit status is 1 and the attempt is named if one does not.
"""
import array
import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import socket
import sys

PAGE = 4096
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE = 1, 2, 4, 8, 16
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
PROT_READ, PROT_WRITE, MAP_SHARED, MADV_REMOVE = 1, 2, 1, 9
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.madvise.argtypes = libc.mprotect.argtypes
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


def checked(result):
    if result in (-1, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def with_mapping(fd, fn):
    at = checked(libc.mmap(None, PAGE, PROT_READ, MAP_SHARED, fd, 0))
    try:
        return fn(at)
    finally:
        libc.munmap(at, PAGE)


def fallocate(fd, mode, at, size):
    checked(libc.fallocate(fd, mode, at, size))


def splice_in(fd):
    r, w = os.pipe()
    try:
        os.write(w, b"x")
        os.splice(r, fd, 1, offset_dst=0) if hasattr(os, "splice") else os.pwrite(fd, b"x", 0)
    finally:
        os.close(r)
        os.close(w)


def size(fd):
    return os.fstat(fd).st_size


# In an order in which each leaves what the next one needs, for the control.
ATTEMPTS = [
    ("write", lambda fd: os.write(fd, b"x")),
    ("pwrite", lambda fd: os.pwrite(fd, b"x", PAGE)),
    ("splice", splice_in),
    ("mmap shared and writable", lambda fd: mmap.mmap(fd, PAGE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close()),
    ("mprotect of a shared mapping", lambda fd: with_mapping(fd, lambda at: checked(libc.mprotect(at, PAGE, PROT_READ | PROT_WRITE)))),
    ("madvise REMOVE", lambda fd: with_mapping(fd, lambda at: checked(libc.madvise(at, PAGE, MADV_REMOVE)))),
    ("fallocate PUNCH_HOLE", lambda fd: fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, PAGE)),
    ("fallocate beyond the end", lambda fd: fallocate(fd, 0, size(fd), PAGE)),
    ("write beyond the end", lambda fd: os.pwrite(fd, b"x", size(fd))),
    ("ftruncate longer", lambda fd: os.ftruncate(fd, size(fd) + PAGE)),
    ("ftruncate shorter", lambda fd: os.ftruncate(fd, size(fd) - PAGE)),
    ("adding a seal", lambda fd: fcntl.fcntl(fd, F_ADD_SEALS, FUTURE_WRITE)),
    ("ending the sealing", lambda fd: fcntl.fcntl(fd, F_ADD_SEALS, SEAL)),
]
# A seal is never taken away: F_ADD_SEALS adds to those that are there, and what is there must be all of these.
SEALS = SEAL | SHRINK | GROW | WRITE


def attempt_all(fd, name):
    bad = []
    for what, fn in ATTEMPTS:
        try:
            fn(fd)
            bad.append(f"{name}: {what} succeeded")
        except (OSError, PermissionError) as e:
            if e.errno not in (errno.EPERM, errno.EACCES):
                bad.append(f"{name}: {what} failed for another reason: {e}")
    seals = fcntl.fcntl(fd, F_GET_SEALS)
    if seals & SEALS != SEALS:
        bad.append(f"{name}: the seals are {seals:#x}")
    return bad


def private_write(fd, name):
    """What a clone does: it writes to a private mapping, and nobody else sees it."""
    m = mmap.mmap(fd, PAGE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    before = os.pread(fd, PAGE, 0)
    m[:] = bytes(b ^ 0xFF for b in before)
    after = os.pread(fd, PAGE, 0)
    m.close()
    return [] if before == after else [f"{name}: a private mapping wrote through"]


def checksum(fd):
    """Of every block that is not zero, with its place: holes do not count."""
    h, zero, at, end = hashlib.sha256(), bytes(1 << 16), 0, size(fd)
    while at < end:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        hole = os.lseek(fd, at, os.SEEK_HOLE)
        at -= at % len(zero)
        while at < hole:
            block = os.pread(fd, len(zero), at)
            if block != zero:
                h.update(at.to_bytes(8, "little") + block)
            at += len(zero)
    return h.hexdigest()


def from_holder(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    fds = array.array("i")
    byte, ancillary, _, _ = s.recvmsg(1, socket.CMSG_LEN(4))
    assert byte == b"m", byte
    [(level, kind, data)] = ancillary
    assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
    fds.frombytes(data)
    return fds[0], s


def control():
    fd = os.memfd_create("control", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4 * PAGE)
    failed = []
    for what, fn in ATTEMPTS:
        try:
            fn(fd)
        except OSError as e:
            failed.append(f"control: {what}: {e}")
    return failed


def main():
    how, paths, bad = sys.argv[1], sys.argv[2:], []
    if how == "control":
        bad = control()
    elif how == "sum":
        for path in paths:
            print(checksum(os.open(path, os.O_RDONLY)))
    else:
        kept = []
        for path in paths:
            if how == "hold":
                fd, sock = from_holder(path)
                kept.append(sock)
            else:
                fd = os.open(path, os.O_RDWR)
            before = checksum(fd)
            bad += attempt_all(fd, path)
            # the file opened anew, in case the descriptor was more limited than the file
            again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
            bad += attempt_all(again, f"{path}, opened anew") + private_write(again, path)
            if checksum(fd) != before:
                bad.append(f"{path}: it has changed")
            print(before)
    for line in bad:
        print(line, file=sys.stderr)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
