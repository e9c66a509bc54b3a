#!/usr/bin/env python3
"""complete.py bash|zsh|fish SCRIPT CAISSON LINE...: types each LINE, in which "\\t" is a tab, into an interactive shell that has the completion SCRIPT,
ends it with a return, and prints the arguments that the command got, a line each. A shell reads on only when a completion is done, so nothing waits here."""
import os
import pty
import select
import sys
import time

SECONDS = 30

# the command asks the real one for completions, and else shows what it got
BOURNE = 'caisson() { if [ "$1" = __complete ]; then "$CAISSON" "$@"; else printf "GOT""<%s>\\n" "$*"; fi; }; '
SETUP = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set bell-style none'; source \"$SCRIPT\"; " + BOURNE),
    "zsh": (["zsh", "-f", "-i"], "unsetopt beep; autoload -Uz compinit; compinit -u -D; source \"$SCRIPT\"; " + BOURNE),
    "fish": (["fish", "--no-config", "-i"],
             'source "$SCRIPT"; function caisson; if test "$argv[1]" = __complete; command $CAISSON $argv; else; '
             'printf "GOT""<%s>\\n" "$argv"; end; end; '),
}


class Shell:
    def __init__(self, argv, env):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)

    def wait_for(self, begin, end):
        """What stands between the two, once both were printed; what was read is forgotten."""
        stop = time.monotonic() + SECONDS
        while True:
            at = self.seen.find(begin)
            till = self.seen.find(end, at + len(begin)) if at >= 0 else -1
            if till >= 0:
                found = self.seen[at + len(begin):till]
                self.seen = self.seen[till:]
                return found.decode()
            if time.monotonic() > stop or not select.select([self.fd], [], [], SECONDS)[0]:
                sys.exit("no answer; seen: %r" % self.seen[-2000:])
            try:
                self.seen += os.read(self.fd, 65536)
            except OSError:
                sys.exit("the shell has ended; seen: %r" % self.seen[-2000:])

    def type(self, text):
        os.write(self.fd, text.encode())


def main():
    name, script, caisson, *lines = sys.argv[1:]
    argv, setup = SETUP[name]
    env = dict(os.environ, SCRIPT=script, CAISSON=caisson, TERM="dumb", PS1="> ", HOME=os.environ["E2E_DIR"], COLUMNS="200")
    shell = Shell(argv, env)
    shell.type(setup + "echo RE''ADY\r")
    shell.wait_for(b"READY", b"\n")
    for line in lines:
        shell.type("caisson " + line.replace("\\t", "\t") + "\r")
        print(shell.wait_for(b"GOT<", b">"))
    os.close(shell.fd)
    os.waitpid(shell.pid, 0)


main()
