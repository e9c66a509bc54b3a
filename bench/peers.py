"""The engines that are compared, each made ready in a folder of its own: the same busybox image in all.

An engine has prepare() (raises measure.Failed if it cannot run here), run(args) -> (argv, env), version(), stop(), and `note`: what is
unusual about how it runs here.
"""
import json
import os
import resource
import shutil
import signal
import subprocess
import time

from measure import Failed, once

IMAGE = "bench/busybox:1"


def output(argv, **kw):
    """What argv prints; Failed with what it says if it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **kw)
    except OSError as error:
        raise Failed(f"{argv[0]}: {error.strerror}") from error
    if done.returncode:
        raise Failed(f"{' '.join(argv[:3])}: {' '.join((done.stderr or done.stdout).split())[-300:]}")
    return done.stdout.strip()


def make_root(where, load):
    """A root file system of the static busybox and the program `load`: the folder, and the same as a tar."""
    root, tar = os.path.join(where, "root"), os.path.join(where, "root.tar")
    busybox = shutil.which("busybox")
    if not busybox:
        raise Failed("busybox is not installed")
    for name in "bin etc proc sys dev tmp".split():
        os.makedirs(os.path.join(root, name), exist_ok=True)
    shutil.copy(busybox, os.path.join(root, "bin/busybox"))
    shutil.copy(load, os.path.join(root, "bin/netload"))
    for applet in "sh true cat echo sleep ls".split():
        os.symlink("busybox", os.path.join(root, "bin", applet))
    with open(os.path.join(root, "etc/passwd"), "w") as f:
        f.write("root:x:0:0:root:/:/bin/sh\n")
    output(["tar", "-C", root, "--owner=0", "--group=0", "-cf", tar, "."])
    return root, tar


class Engine:
    note = ""

    def __init__(self, where, root, tar):
        self.where, self.root, self.tar = os.path.join(where, type(self).__name__.lower()), root, tar
        os.makedirs(self.where, exist_ok=True)

    def stop(self):
        pass


class Caisson(Engine):
    """Both modes; the root is private, guest kernels and their caches are those of the default root."""

    def __init__(self, where, root, tar, program):
        super().__init__(where, root, tar)
        self.program = os.path.realpath(program)

    linger = 600

    def base(self):
        return [self.program, "--root", f"{self.where}/data", "--run", f"{self.where}/run", "--config", f"{self.where}/conf"]

    def prepare(self):
        os.makedirs(f"{self.where}/data", exist_ok=True)
        with open(f"{self.where}/conf", "w") as f:
            f.write(f"accel = auto\ntemplate-linger = {self.linger}\n")
        for shared in ("kernel", "cache"):
            there = f"/var/lib/caisson/{shared}"
            if os.path.isdir(there):
                os.symlink(there, f"{self.where}/data/{shared}")
        output(self.base() + ["import", self.tar, IMAGE])

    def run(self, args, isolation="process", network=False, extra=()):
        return self.base() + ["run", "--rm", *extra] + ([] if network else ["--network=none"]) + [f"--isolation={isolation}", IMAGE] + args, None

    def stop(self):
        """Its name servers and what holds its templates would stay for some minutes."""
        output(self.base() + ["template", "rm", "--all"])
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    command = f.read().split(b"\0")
            except OSError:
                continue
            if command[0] == b"caisson-dns" and any(self.where.encode() in a for a in command):
                os.kill(int(pid), signal.SIGTERM)

    def version(self):
        return output([self.program, "--version"])

    def acceleration(self):
        return output(self.base() + ["info", "--format", "{{.Acceleration}}"])


class CaissonAlone(Caisson):
    """Each start of a virtual machine reads its template from the file, as nobody holds it. Another root, so without a network."""

    linger = 0


class Podman(Engine):
    network = "none"

    def base(self):
        return ["podman", "--root", f"{self.where}/root", "--runroot", f"{self.where}/run", "--cgroup-manager=cgroupfs", "--events-backend=file"]

    def prepare(self):
        self.extra = []
        output(self.base() + ["import", "-q", self.tar, IMAGE])
        try:
            once(*self.run(["true"]), log=f"{self.where}/log")
        except Failed:
            # its default limits cannot be given on hosts without CAP_SYS_RESOURCE
            files, processes = (min(resource.getrlimit(what)[0], most) for what, most in
                                ((resource.RLIMIT_NOFILE, 1024), (resource.RLIMIT_NPROC, 4096)))
            self.extra = [f"--ulimit=nofile={files}:{files}", f"--ulimit=nproc={processes}:{processes}"]
            self.note = "with lowered --ulimit, as it cannot raise limits here"
            once(*self.run(["true"]), log=f"{self.where}/log")

    def run(self, args):
        return self.base() + ["run", "--rm", f"--network={self.network}"] + self.extra + [IMAGE] + args, None

    def version(self):
        return output(["podman", "--version"])

    def stop(self):
        subprocess.run(self.base() + ["system", "reset", "-f"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class PodmanNetwork(Podman):
    """Its bridge; an engine of its own, as it may be that only this cannot run here."""

    network = "podman"


class Docker(Engine):
    """A dockerd of its own, in the namespace of the whole run."""

    daemon = None

    def prepare(self):
        program = next((p for p in ("/usr/sbin/dockerd", "/usr/bin/dockerd") if os.path.exists(p)), None)
        self.client = "/usr/bin/docker"
        if not program or not os.path.exists(self.client):
            raise Failed("docker is not installed")
        self.env = dict(os.environ, DOCKER_HOST=f"unix://{self.where}/sock", DOCKER_CONFIG=self.where)
        command = [program, "--data-root", f"{self.where}/data", "--exec-root", f"{self.where}/exec", "-H", f"unix://{self.where}/sock",
                   "--pidfile", f"{self.where}/pid"]
        with open(f"{self.where}/log", "w") as log:
            self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while True:
            try:
                output([self.client, "info"], env=self.env)
                break
            except Failed as error:
                if self.daemon.poll() is not None or time.monotonic() > end:
                    with open(f"{self.where}/log") as log:
                        raise Failed("dockerd: " + " ".join(log.read().split())[-300:]) from error
                time.sleep(0.2)
        output([self.client, "import", self.tar, IMAGE], env=self.env)
        once(*self.run(["true"]), log=f"{self.where}/log-run")

    def run(self, args, network=False):
        return [self.client, "run", "--rm"] + ([] if network else ["--network=none"]) + [IMAGE] + args, self.env

    def version(self):
        return output([self.client, "--version"])

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()


class Runtime(Engine):
    """crun and runc: a bundle of the same root, no image, no layers, no network set up."""

    program = None

    def prepare(self):
        self.program = type(self).__name__.lower()
        bundle = f"{self.where}/bundle"
        os.makedirs(bundle, exist_ok=True)
        shutil.copytree(self.root, f"{bundle}/rootfs", symlinks=True, dirs_exist_ok=True)
        output([self.program, "spec"], cwd=bundle)
        self.use(["true"])
        once(*self.run(["true"]), log=f"{self.where}/log")

    def use(self, args):
        path = f"{self.where}/bundle/config.json"
        with open(path) as f:
            spec = json.load(f)
        spec["process"].update(terminal=False, args=args)
        spec["process"].pop("rlimits", None)  # hosts without CAP_SYS_RESOURCE cannot raise them
        with open(path, "w") as f:
            json.dump(spec, f)

    def run(self, args):
        return [self.program, "--root", f"{self.where}/state", "run", "--bundle", f"{self.where}/bundle", "bench"], None

    def version(self):
        return output([self.program, "--version"]).splitlines()[0]


class Crun(Runtime):
    note = "a bundle, without an image store"


class Runc(Runtime):
    note = "a bundle, without an image store"
