"""The rows of the network that are no single command: throughput and latency, many containers, many starts at once."""
import json
import os
import shutil
import statistics
import subprocess
import time

from measure import Failed, once
from peers import IMAGE, guest_kernel, output

SECONDS, ROUNDS, PINGS = 2, 5, 3000


# ---- servers: start() gives the address, stop() ends it ----

class CaissonServer:
    def __init__(self, engine, isolation):
        self.engine, self.isolation, self.name = engine, isolation, f"load-{isolation}"

    def start(self):
        output(self.engine.base() + ["run", "-d", f"--isolation={self.isolation}", "--name", self.name, IMAGE, "/bin/netload", "serve"])
        return output(self.engine.base() + ["inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.name])

    def stop(self):
        subprocess.run(self.engine.base() + ["rm", "-f", self.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class DockerServer:
    def __init__(self, engine):
        self.engine = engine

    def start(self):
        self.id = output([self.engine.client, "run", "-d", IMAGE, "/bin/netload", "serve"], env=self.engine.env)
        return output([self.engine.client, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", self.id], env=self.engine.env)

    def stop(self):
        if getattr(self, "id", None):
            subprocess.run([self.engine.client, "rm", "-f", self.id], env=self.engine.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def guest_command_line(caisson):
    """What Caisson gives its guest's kernel here: the clock's frequency is in it, without which an emulated guest may hang. A clone is given none."""
    name = "load-line"
    output(caisson.base() + ["run", "-d", "--isolation=hyperv", "--fresh-boot", "--network=none", "--name", name, IMAGE, "sleep", "1000"])
    try:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                    args = f.read().split("\0")
            except OSError:
                continue
            if f"guest=caisson-{name}" in args:
                return args[args.index("-append") + 1]
    finally:
        output(caisson.base() + ["rm", "-f", name])
    raise Failed("no virtual machine of Caisson's to take the kernel's command line from")


class PlainQemu:
    """The same kernel and machine without Caisson: a tap on a plain bridge, the load as PID 1."""

    def __init__(self, where, program, caisson):
        self.where, self.program, self.caisson, self.process = where, program, caisson, None

    def start(self):
        kernel = guest_kernel(own=False)
        root = os.path.join(self.where, "plain")
        os.makedirs(f"{root}/modules", exist_ok=True)
        shutil.copy(self.program, f"{root}/init")
        names = []
        for part in ("boot", "net"):
            with open(f"{kernel}/modules/{part}") as f:
                names += [n for n in f.read().split() if n not in names]
        for name in names:
            shutil.copy(f"{kernel}/modules/{name}", f"{root}/modules/{name}")
        with open(f"{root}/modules.txt", "w") as f:
            f.writelines(f"/modules/{n}\n" for n in names)
        os.makedirs(f"{root}/dev", exist_ok=True)
        output(["sh", "-c", f"cd {root} && find . | cpio -o -H newc --quiet > {self.where}/plain.img"])
        output(["sh", "-c", "ip link add plain0 type bridge && ip addr add 10.254.0.1/24 dev plain0 && ip link set plain0 up && "
                            "ip tuntap add plaintap mode tap vnet_hdr && ip link set plaintap master plain0 up"])
        accel = self.caisson.acceleration() or "tcg"
        with open(f"{self.where}/plain.log", "w") as log:
            self.process = subprocess.Popen(
                ["qemu-system-x86_64", "-M", "microvm,acpi=on,pic=off,pit=off,rtc=on", "-accel", accel, "-cpu", "max,-erms", "-smp", "2", "-m", "1024M", "-nodefaults",
                 "-no-reboot", "-display", "none", "-global", "virtio-mmio.force-legacy=false", "-kernel", f"{kernel}/vmlinuz", "-initrd",
                 f"{self.where}/plain.img", "-append", guest_command_line(self.caisson), "-serial", "stdio", "-netdev",
                 "tap,id=n,ifname=plaintap,script=no,downscript=no,vhost=off", "-device", "virtio-net-device,netdev=n"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return "10.254.0.2"

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        subprocess.run(["ip", "link", "del", "plain0"], stderr=subprocess.DEVNULL, check=False)


def wait_for(program, address):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if subprocess.run([program, "ping", address, "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise Failed("its server does not answer")


def transfer(where, program, engines, broken):
    """Rounds in turn over all servers; prints medians with the lowest and highest."""
    caisson = engines["caisson"]
    servers = {"caisson process": CaissonServer(caisson, "process"), "caisson hyperv": CaissonServer(caisson, "hyperv"),
               "plain QEMU with a tap": PlainQemu(where, program, caisson)}
    if "docker" in engines and "docker" not in broken:
        servers["docker"] = DockerServer(engines["docker"])
    addresses, speed, delay, errors = {}, {}, {}, {}
    try:
        for name, server in servers.items():
            try:
                addresses[name] = server.start()
                wait_for(program, addresses[name])
            except Failed as error:
                errors[name] = str(error)
                addresses.pop(name, None)
        for _ in range(ROUNDS):
            for name, address in addresses.items():
                speed.setdefault(name, []).append(float(output([program, "send", address, str(SECONDS)])))
                delay.setdefault(name, []).append(float(output([program, "ping", address, str(PINGS)]).split()[0]))
    finally:
        for server in servers.values():
            server.stop()
    print(f"TCP from the host, {ROUNDS} rounds of {SECONDS} s and of {PINGS} round trips of 1 byte")
    for name in servers:
        if name in errors:
            print(f"  {name:24} cannot run here: {errors[name]}")
            continue
        s, d = speed[name], delay[name]
        print(f"  {name:24} {statistics.median(s):8.0f} MB/s ({min(s):.0f} - {max(s):.0f})   {statistics.median(d):7.1f} us ({min(d):.1f} - {max(d):.1f})")
    if "docker" not in servers:
        print(f"  {'docker':24} cannot run here: {broken.get('docker', 'not asked for')}")
    held = True
    for text, row, other, least in (("throughput, process at least 0.95 of docker", "caisson process", "docker", 0.95),
                                    ("throughput, hyperv at least 0.5 of plain QEMU", "caisson hyperv", "plain QEMU with a tap", 0.5)):
        if row not in speed or other not in speed:
            print(f"goal: {text}: not measured")
            held = False
            continue
        value = statistics.median(speed[row]) / statistics.median(speed[other])
        latency = statistics.median(delay[row]) / statistics.median(delay[other])
        held = held and value >= least
        print(f"goal: {text}: {'holds' if value >= least else 'MISSED'} ({value:.2f}; round trip {latency:.2f})")
    return held


def count_rules():
    return sum("rule" in x for x in json.loads(output(["nft", "-j", "list", "ruleset"]))["nftables"])


def many(caisson, log, points=(1, 100, 200), runs=20):
    """Rules, and the time of one more start, with so many containers running."""
    print(f"with so many containers running: rules, and run --rm of one more ({runs} runs after 2 warm-ups)")
    first, running, held = None, 0, True
    for n in points:
        for k in range(running, n):
            output(caisson.base() + ["run", "-d", "--name", f"many{k}", IMAGE, "sleep", "100000"])
        running = n
        took = [once(*caisson.run(["true"], "process", True), log=log) for _ in range(runs + 2)][2:]
        rules, median = count_rules(), statistics.median(took)
        print(f"  {n:4} {rules:5} rules  {median:7.1f} ms ({min(took):.1f} - {max(took):.1f})")
        first = first or (rules, median)
        held = held and rules == first[0]
    print(f"goal: the number of rules does not depend on containers: {'holds' if held else 'MISSED'}; start with {points[-1]} / with {points[0]}: {median / first[1]:.2f}")
    names = [f"many{k}" for k in range(running)]
    output(caisson.base() + ["rm", "-f"] + names)
    return held


def storm(caisson, n=50):
    """So many starts at once: time, addresses, losses."""
    began = time.monotonic()
    starts = [subprocess.Popen(caisson.base() + ["run", "-d", "--name", f"storm{k}", IMAGE, "sleep", "100000"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for k in range(n)]
    failed = sum(p.wait() != 0 for p in starts)
    took = time.monotonic() - began
    addresses = [output(caisson.base() + ["inspect", "--format", "{{.NetworkSettings.IPAddress}}", f"storm{k}"]) for k in range(n)]
    output(caisson.base() + ["rm", "-f"] + [f"storm{k}" for k in range(n)])
    held = failed == 0 and len(set(addresses)) == n and "" not in addresses
    print(f"{n} starts at once: {took:.2f} s, {failed} failed, {len(set(addresses))} addresses: {'holds' if held else 'MISSED'}")
    return held
