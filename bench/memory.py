"""What an idle container costs the host: private memory of all its processes, and of its monitor alone."""
import os
import time

from peers import IMAGE, output

MANY, SETTLE = 8, 10


def rollup(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in f if line.endswith("kB\n")}


def processes(caisson):
    """{container: {pid: name}} of the processes of each that are not its workload: its monitor and what that has started."""
    parents, names, found = {}, {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                arguments = f.read().split("\0")
        except OSError:
            continue
        names[pid], parents[pid] = name, rest.split()[1]
        if arguments[0] == "caisson-monitor" and f"--run={caisson.where}/run" in arguments:
            found[pid] = arguments[1].removeprefix("--name=")
    made = {}
    for pid in names:
        at = pid
        while at in parents and at not in found:
            at = parents[at]
        if at in found and (pid == at or names[pid].startswith(("qemu", "virtiofsd"))):
            made.setdefault(found[at], {})[pid] = names[pid]
    return made


def cost(pids):
    """MiB: PSS without the template, which is the one memory of a file that these map."""
    return sum(r["Pss"] - r["Pss_Shmem"] for r in map(rollup, pids))


def monitor(pids):
    return next(r["Private_Clean"] + r["Private_Dirty"] for r in (rollup(pid) for pid, name in pids.items() if name == "caisson-monitor"))


def measure(caisson, isolation, n):
    names = [f"idle{k}" for k in range(n)]
    for name in names:
        output(caisson.base() + ["run", "-d", f"--isolation={isolation}", "--name", name, IMAGE, "sleep", "100000"])
    time.sleep(SETTLE)
    try:
        made = [processes(caisson)[name] for name in names]
        return max(map(cost, made)), max(map(monitor, made))
    finally:
        output(caisson.base() + ["rm", "-f"] + names)


def idle(caisson):
    """False if a goal was missed. The programs' pages count in parts where several containers map them."""
    print(f"private memory of an idle container, {SETTLE} s after its start, the largest of so many")
    held = True
    for isolation in "hyperv", "process":
        for n in 1, MANY:
            total, of_monitor = measure(caisson, isolation, n)
            print(f"  {isolation:8} {n:3}  {total:7.1f} MiB in all  {of_monitor:6.2f} MiB its monitor")
            goals = [("a monitor at most 1 MB private", of_monitor, 1)]
            if isolation == "hyperv" and n == MANY:
                goals.append(("an idle hyperv container at most 48 MB private", total, 48))
            for text, value, most in goals:
                value *= 1.048576
                held = held and value <= most
                print(f"goal: {text}: {'holds' if value <= most else 'MISSED'} ({value:.2f})")
    return held
