"""Many starts at once: how well they share the machine."""
import os
import statistics
import subprocess
import time

from measure import once

ALONE, ROUNDS = 4, 5


def at_once(commands):
    """Milliseconds from the first start to the last end, and how many failed."""
    began = time.perf_counter_ns()
    running = [subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for argv, env in commands]
    failed = sum(p.wait() != 0 for p in running)
    return (time.perf_counter_ns() - began) / 1e6, failed


def hyperv(caisson, log, n=20, most=1.2):
    """Total / (n x one alone / number of cores), one alone and all at once in turns."""
    command, cores = caisson.run(["true"], "hyperv", True), os.cpu_count()
    alone, total, failed = [], [], 0
    once(*command, log=log)
    for _ in range(ROUNDS):
        alone += [once(*command, log=log) for _ in range(ALONE)]
        took, lost = at_once([command] * n)
        total.append(took)
        failed += lost
    value = statistics.median(total) / (n * statistics.median(alone) / cores)
    held = not failed and value <= most
    print(f"{n} hyperv starts at once, with network, {ROUNDS} rounds: {statistics.median(total):.0f} ms ({min(total):.0f} - {max(total):.0f}), "
          f"{failed} failed; one alone {statistics.median(alone):.1f} ms ({min(alone):.1f} - {max(alone):.1f}), {cores} cores")
    print(f"goal: {n} hyperv starts at once, total / ({n} x one alone / cores) at most {most}: {'holds' if held else 'MISSED'} ({value:.2f})")
    return held
