"""Timing commands: fork, exec and wait, with nothing in between; and what is said of the samples."""
import os
import statistics
import time


class Failed(Exception):
    """A command could not be run, or ended with another status than 0."""


def once(argv, env=None, log=None):
    """Milliseconds of wall time from fork to the end of argv. stdin is empty, the output goes to the file `log`."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, log or "/dev/null", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
    began = time.perf_counter_ns()
    try:
        pid = os.posix_spawnp(argv[0], argv, env or os.environ, file_actions=actions)
    except OSError as error:
        raise Failed(f"{argv[0]}: {error.strerror}") from error
    status = os.waitpid(pid, 0)[1]
    took = (time.perf_counter_ns() - began) / 1e6
    if status:
        said = ""
        if log:
            with open(log, errors="replace") as f:
                said = " ".join(f.read().split())
        raise Failed(f"{' '.join(argv[:2])}: exit status {os.waitstatus_to_exitcode(status)}: {said[-300:]}")
    return took


class Samples(list):
    """Milliseconds of one row."""

    @property
    def median(self):
        return statistics.median(self)

    @property
    def quartiles(self):
        if len(self) < 2:
            return self[0], self[0]
        q = statistics.quantiles(self, n=4)
        return q[0], q[2]


def interleaved(commands, runs, warmups, log, progress=None):
    """Runs the commands in turns: {name: (argv, env)} -> ({name: Samples}, {name: error}).

    The order turns by one each round, so that no row always follows the same other one. A command that fails is left out from then on.
    """
    names, samples, errors = list(commands), {name: Samples() for name in commands}, {}
    for n in range(warmups + runs):
        turn = n % len(names) if names else 0
        for name in names[turn:] + names[:turn]:
            if name in errors:
                continue
            try:
                took = once(*commands[name], log=log)
            except Failed as error:
                errors[name] = str(error)
                continue
            if n >= warmups:
                samples[name].append(took)
        if progress:
            progress(n + 1, warmups + runs)
    return {name: s for name, s in samples.items() if s and name not in errors}, errors
