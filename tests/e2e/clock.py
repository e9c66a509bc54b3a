#!/usr/bin/env python3
"""How wrong is a clock? clock.py LIMIT_MS TIMES SECONDS COMMAND...

The command prints its real time in ns for each line it reads. Of many questions the one that was answered soonest tells best: its answer is off by what it
differs from the middle of question and answer, give or take half the time between. Asks so many TIMES, SECONDS apart; prints what was seen. The exit status
is 1 if the clock is wrong by more than the limit for certain, or if no answer came soon enough to tell.
"""
import subprocess
import sys
import time

QUESTIONS, PATIENCE_S = 30, 20


def ask(child):
    before = time.time_ns()
    child.stdin.write(b"\n")
    seen = int(child.stdout.readline())
    after = time.time_ns()
    return (after - before) / 2e6, (seen - (before + after) / 2) / 1e6


def best(child, limit):
    end, answers = time.monotonic() + PATIENCE_S, []
    while len(answers) < QUESTIONS or (min(answers)[0] > limit and time.monotonic() < end):
        answers.append(ask(child))
    return min(answers)


def main():
    limit, times, seconds = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    child = subprocess.Popen(sys.argv[4:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    bad = False
    for i in range(times):
        time.sleep(seconds if i else 0)
        known, off = best(child, limit)
        bad = bad or known > limit or abs(off) - known > limit
        print(f"{off:.1f} ms off, known to {known:.1f} ms")
    child.stdin.close()
    sys.exit(child.wait() or bad)


main()
