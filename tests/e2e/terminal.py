#!/usr/bin/env python3
"""Runs a program on a terminal of its own and talks with it: terminal.py ROWSxCOLS STEP... -- PROGRAM ARG...

Steps, in order: expect:TEXT (fails after 60 s), send:TEXT (\\n, \\x10 ... as in Python), resize:ROWSxCOLS, sleep:SECONDS, hangup (closes the
terminal and leaves), wait (the program ends by itself). Prints what the program wrote and exits with its status.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

TIMEOUT = 60


def size(fd, text):
    rows, cols = (int(n) for n in text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


class Terminal:
    def __init__(self, fd):
        self.fd, self.seen, self.at = fd, b"", 0

    def read(self, timeout):
        """False at the end."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.seen += data
        return bool(data)

    def expect(self, text):
        end = time.monotonic() + TIMEOUT
        while True:
            found = self.seen.find(text, self.at)
            if found >= 0:
                self.at = found + len(text)
                return
            if time.monotonic() > end or not self.read(0.2):
                if self.seen.find(text, self.at) < 0:
                    sys.stdout.write(self.seen.decode(errors="replace"))
                    sys.exit(f"terminal.py: never saw {text!r}")


def main():
    split = sys.argv.index("--")
    steps, command = sys.argv[2:split], sys.argv[split + 1:]
    pid, fd = pty.fork()
    if pid == 0:
        time.sleep(0.05)
        os.execvp(command[0], command)
    size(fd, sys.argv[1])
    terminal = Terminal(fd)
    for step in steps:
        verb, _, text = step.partition(":")
        raw = text.encode().decode("unicode_escape").encode("latin-1")
        if verb == "expect":
            terminal.expect(raw)
        elif verb == "send":
            os.write(fd, raw)
        elif verb == "resize":
            size(fd, text)
            os.kill(pid, signal.SIGWINCH)
        elif verb == "sleep":
            end = time.monotonic() + float(text)
            while time.monotonic() < end:
                terminal.read(0.05)
        elif verb == "hangup":
            os.close(fd)
            os.waitpid(pid, 0)
            sys.exit(0)
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end and terminal.read(0.2):
        pass
    sys.stdout.write(terminal.seen.decode(errors="replace"))
    sys.stdout.flush()
    status = os.waitpid(pid, 0)[1]
    sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


main()
