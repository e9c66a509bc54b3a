"""What can be seen of a virtual machine's start from the host: the agent's frames, QEMU's threads and translated code, where QEMU's CPU time goes."""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess

from peers import IMAGE, output

PIDFD_OPEN, PIDFD_GETFD = 434, 438

# of docs/protocol.md; what the guest has done when it sends it
FRAMES = {8: "asks for the time: plan read, entropy added", 7: "committed: clock, mounts and network are ready", 2: "started: the workload is executed",
          64: "its first output", 4: "the workload has ended"}
LINE = re.compile(r"^(\d+\.\d+) caisson\[\d+\] (vm|proto): (?:guest: type (\d+)|guest kernel)")


def milestones(caisson, timed, show_rows, options):
    """From the moment the plan was sent on."""
    extra, rows = ["--fresh-boot"] if options.boot else [], {}
    argv = caisson.run(["echo", "hello"], "hyperv", True, extra)[0]
    for n in range(options.warmups + options.runs):
        began, seen = None, set()
        for line in timed(argv, trace=True)[2]:
            m = LINE.match(line)
            if m and m.group(2) == "vm":
                began = float(m.group(1))
            elif m and m.group(3) and began and int(m.group(3)) in FRAMES and m.group(3) not in seen:
                seen.add(m.group(3))
                if n >= options.warmups:
                    rows.setdefault(FRAMES[int(m.group(3))], []).append((float(m.group(1)) - began) * 1000)
    print("\nthe guest, since the plan was sent to it")
    show_rows(rows, options.runs)


def ask_qemu(qemu, command):
    """
    What QEMU's monitor answers. Its other end is held by caisson-monitor, of which we take a copy while it stands still: it never learns of the question.
    """
    with open(f"/proc/{qemu}/cmdline") as f:
        number = re.search(r"id=qmp,fd=(\d+)", f.read()).group(1)
    theirs = os.stat(f"/proc/{qemu}/fd/{number}").st_ino
    peer = next((line.split() for line in output(["ss", "-xaH"]).splitlines() if f" {theirs} " in line), None)
    ours = peer[-1] if peer[-3] == str(theirs) else peer[-3]
    with open(f"/proc/{qemu}/status") as f:
        monitor = int(re.search(r"PPid:\s+(\d+)", f.read()).group(1))
    fd = next(int(n) for n in os.listdir(f"/proc/{monitor}/fd") if os.readlink(f"/proc/{monitor}/fd/{n}") == f"socket:[{ours}]")
    libc = ctypes.CDLL(None, use_errno=True)
    os.kill(monitor, signal.SIGSTOP)
    try:
        mine = libc.syscall(PIDFD_GETFD, libc.syscall(PIDFD_OPEN, monitor, 0), fd, 0)
        if mine < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        with socket.socket(fileno=mine) as s:
            s.setblocking(True)
            s.settimeout(10)
            s.sendall(json.dumps({"execute": "human-monitor-command", "arguments": {"command-line": command}}).encode() + b"\n")
            text = b""
            while b"\n" not in text:
                text += s.recv(65536)
            s.setblocking(False)  # the file is shared
    finally:
        os.kill(monitor, signal.SIGCONT)
    return json.loads(text.splitlines()[0])["return"]


def threads_and_code(caisson):
    """Of a machine whose workload has just been executed."""
    box = output(caisson.base() + ["run", "-d", "--rm", "--isolation=hyperv", IMAGE, "sleep", "1000"])
    try:
        qemu = output(caisson.base() + ["inspect", "--format", "{{.State.Pid}}", box])
        threads = []
        for task in os.listdir(f"/proc/{qemu}/task"):
            with open(f"/proc/{qemu}/task/{task}/schedstat") as f:
                ran, waited, times = map(int, f.read().split())
            threads.append((ran / 1e6, waited / 1e6, times))
        print("\nQEMU's threads when the workload has been executed: ms on a CPU, ms waiting for one, times scheduled")
        for ran, waited, times in sorted(threads, reverse=True):
            print(f"  {ran:8.1f} {waited:8.1f} {times:6}")
        print("\nwhat QEMU had translated by then (info jit)")
        for line in ask_qemu(qemu, "info jit").splitlines():
            if re.search(r"gen code size|TB count|TB avg|TB flush|TB invalidate|TLB", line):
                print(f"  {line.strip()}")
    finally:
        output(caisson.base() + ["rm", "-f", box])


def samples(caisson, where, options):
    """Where the CPU time of several starts goes, by perf."""
    print(f"\nCPU time of {options.runs} starts, by perf")
    if not shutil.which("perf"):
        print("  not measured: perf is not installed")
        return
    data, starts = os.path.join(where, "perf.data"), caisson.run(["true"], "hyperv", True, ["--fresh-boot"] if options.boot else [])[0]
    script = 'i=$1; shift; while [ "$i" -gt 0 ]; do "$@" || exit; i=$((i - 1)); done'
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-o", data, "--", "sh", "-c", script, "sh", str(options.runs)] + starts
    done = subprocess.run(record, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"  not measured: {' '.join(done.stderr.split())[-200:]}")
        return
    shares = {}
    for line in output(["perf", "report", "-q", "-i", data, "--stdio", "--sort", "comm,dso"]).splitlines():
        m = re.match(r"\s*([0-9.]+)%\s+(\S+)\s+(.+)", line)
        if m:
            key = m.group(2), "translated code" if m.group(3).startswith("[JIT]") else m.group(3).strip()
            shares[key] = shares.get(key, 0) + float(m.group(1))
    for (program, part), share in sorted(shares.items(), key=lambda x: -x[1]):
        if share >= 1:
            print(f"  {share:5.1f} %  {program:16} {part}")
