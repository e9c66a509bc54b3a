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


def build(where, name):
    """A static program of this folder's."""
    program = os.path.join(where, name)
    output(["gcc", "-O2", "-static", "-o", program, os.path.join(os.path.dirname(os.path.realpath(__file__)), f"{name}.c")])
    return program


def guest_kernel(own):
    """The folder of the newest kernel for virtual machines: the one of `make kernel`, or the distribution's."""
    there = "/var/lib/caisson/kernel"
    names = [n for n in os.listdir(there) if not n.startswith(".") and n.endswith("-caisson") == own] if os.path.isdir(there) else []
    if not names:
        raise Failed("there is no kernel of our own: make kernel" if own else "there is no guest kernel: caisson kernel update")
    return os.path.join(there, max(names))


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

    def leave_boxes(self):
        pass

    def stop(self):
        pass


class Caisson(Engine):
    """Both modes; the root is private, guest kernels and their caches are those of the default root. The guest's kernel is the distribution's."""

    def __init__(self, where, root, tar, program):
        super().__init__(where, root, tar)
        self.program = os.path.realpath(program)
        self.boxes = {}

    linger = 600
    own_kernel = False
    image_templates = "manual"  # made beforehand, so that no start is measured beside their making

    def base(self):
        return [self.program, "--root", f"{self.where}/data", "--run", f"{self.where}/run", "--config", self.config()]

    def config(self):
        return f"{self.where}/conf-{type(self).__name__}"

    def write_config(self):
        with open(self.config(), "w", encoding="utf-8") as f:
            f.write(f"accel = auto\ntemplate-linger = {self.linger}\nkernel = {guest_kernel(self.own_kernel)}/vmlinuz\nimage-templates = {self.image_templates}\n")

    def build_templates(self, image):
        for network in "bridge", "none":
            output(self.base() + ["template", "build", f"--network={network}"] + ([image] if self.image_templates == "manual" else []))

    def prepare(self):
        os.makedirs(f"{self.where}/data", exist_ok=True)
        self.write_config()
        for shared in ("kernel", "cache"):
            there = f"/var/lib/caisson/{shared}"
            if os.path.isdir(there):
                os.symlink(there, f"{self.where}/data/{shared}")
        os.makedirs(f"{self.where}/shared", exist_ok=True)
        self.load(self.tar, IMAGE)

    def load(self, tar, image):
        output(self.base() + ["import", tar, image])
        self.build_templates(image)

    def run(self, args, isolation="process", network=False, extra=(), image=IMAGE):
        return self.base() + ["run", "--rm", *extra] + ([] if network else ["--network=none"]) + [f"--isolation={isolation}", image] + args, None

    def run_shared(self, args):
        return self.run(args, "hyperv", True, ["-v", f"{self.where}/shared:/x"])

    def execute(self, args, isolation):
        """In a container that runs from the first call on until leave_boxes()."""
        if isolation not in self.boxes:
            self.boxes[isolation] = output(self.base() + ["run", "-d", f"--isolation={isolation}", IMAGE, "sleep", "100000"])
        return self.base() + ["exec", self.boxes[isolation]] + args, None

    def leave_boxes(self):
        if self.boxes:
            output(self.base() + ["rm", "-f", *self.boxes.values()])
        self.boxes = {}

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


class CaissonVariant(Caisson):
    """The same root, images and networks, otherwise configured: prepared after Caisson."""

    def __init__(self, caisson):
        super().__init__(os.path.dirname(caisson.where), caisson.root, caisson.tar, caisson.program)
        self.where = caisson.where

    def prepare(self):
        self.write_config()
        self.build_templates(IMAGE)

    def stop(self):
        pass


class CaissonOwnKernel(CaissonVariant):
    own_kernel = True
    note = "with the kernel of make kernel"


class CaissonShape(CaissonVariant):
    """As an image's first two starts are: cloned from a machine that has no image yet."""

    image_templates = "never"


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

    daemon, box = None, None

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
        self.load(self.tar, IMAGE)
        once(*self.run(["true"]), log=f"{self.where}/log-run")

    def load(self, tar, image):
        output([self.client, "import", tar, image], env=self.env)

    def run(self, args, network=False, image=IMAGE):
        return [self.client, "run", "--rm"] + ([] if network else ["--network=none"]) + [image] + args, self.env

    def execute(self, args):
        """In a container that runs from the first call on until leave_boxes()."""
        self.box = self.box or output([self.client, "run", "-d", IMAGE, "sleep", "100000"], env=self.env)
        return [self.client, "exec", self.box] + args, self.env

    def leave_boxes(self):
        if self.box:
            output([self.client, "rm", "-f", self.box], env=self.env)
        self.box = None

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
