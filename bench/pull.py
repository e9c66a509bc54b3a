"""Pulling and unpacking an image of more than 100 MB from a registry on this machine, by engines in turns."""
import gzip
import hashlib
import json
import os
import resource
import statistics
import subprocess
import tarfile
import time

from measure import Failed, Samples, once
from peers import output

LAYERS, BYTES, WHERE = 4, 360 << 20, ("/usr/lib", "/usr/bin", "/usr/share")
OCI = "application/vnd.oci.image."


def files_of_host():
    """Paths of so many bytes of this machine's regular files, a mix of programs and text as images have."""
    total = 0
    for top in WHERE:
        for folder, folders, names in os.walk(top):
            folders.sort()
            for path in (os.path.join(folder, name) for name in sorted(names)):
                if os.path.isfile(path) and not os.path.islink(path) and total < BYTES:
                    total += os.path.getsize(path)
                    yield path


class Layout:
    """An OCI image layout in a folder, with the tag t."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(f"{folder}/blobs/sha256")

    def blob(self, data):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{self.folder}/blobs/sha256/{digest}", "wb") as f:
            f.write(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def layer(self, paths):
        plain, packed = f"{self.folder}/plain", f"{self.folder}/packed"
        with tarfile.open(plain, "w") as tar:
            for path in paths:
                tar.add(path, arcname=path.lstrip("/"))
        with open(plain, "rb") as f, gzip.open(packed, "wb", compresslevel=1) as z:
            data = f.read()
            z.write(data)
        with open(packed, "rb") as f:
            blob = self.blob(f.read())
        os.unlink(plain)
        os.unlink(packed)
        return dict(blob, mediaType=f"{OCI}layer.v1.tar+gzip"), f"sha256:{hashlib.sha256(data).hexdigest()}"

    def finish(self, layers):
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]}, "rootfs": {"type": "layers", "diff_ids": [d for _, d in layers]}}
        manifest = {"schemaVersion": 2, "mediaType": f"{OCI}manifest.v1+json", "layers": [b for b, _ in layers],
                    "config": dict(self.blob(json.dumps(config).encode()), mediaType=f"{OCI}config.v1+json")}
        index = {"schemaVersion": 2, "manifests": [dict(self.blob(json.dumps(manifest).encode()), mediaType=f"{OCI}manifest.v1+json",
                                                        annotations={"org.opencontainers.image.ref.name": "t"})]}
        for name, content in (("index.json", index), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
            with open(f"{self.folder}/{name}", "w", encoding="utf-8") as f:
                json.dump(content, f)
        return sum(b["size"] for b, _ in layers)


class Registry:
    """docker-registry with the image big/image; ended by stop()."""

    def __init__(self, where):
        program = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "tests", "e2e", "registry")
        self.server = subprocess.Popen([program, f"{where}/registry"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = f"{where}/registry/port"

    def fill(self, where):
        layout = Layout(f"{where}/big")
        paths = list(files_of_host())
        size = layout.finish([layout.layer(paths[i::LAYERS]) for i in range(LAYERS)])
        end = time.monotonic() + 30
        while not os.path.exists(self.port):
            if self.server.poll() is not None or time.monotonic() > end:
                raise Failed("docker-registry does not answer")
            time.sleep(0.1)
        with open(self.port, encoding="utf-8") as f:
            image = f"127.0.0.1:{f.read().strip()}/big/image"
        output(["skopeo", "--insecure-policy", "copy", "-q", "--preserve-digests", "--dest-tls-verify=false", f"oci:{where}/big:t", f"docker://{image}:latest"])
        return image, size

    def stop(self):
        self.server.terminate()
        self.server.wait()


def measure(where, engines, broken, rounds=5, most=1.0):
    """Pulls of caisson, podman and docker in turns, the image removed in between; prints medians, CPU time and the ratio to podman."""
    registry = Registry(where)
    try:
        image, size = registry.fill(where)
        commands = {
            "caisson pull": ("caisson", lambda e: (e.base() + ["pull", "-q", image], None), lambda e: (e.base() + ["rmi", image], None)),
            "podman pull": ("podman", lambda e: (e.base() + ["pull", "-q", "--tls-verify=false", image], None), lambda e: (e.base() + ["rmi", image], None)),
            "docker pull": ("docker", lambda e: ([e.client, "pull", "-q", image], e.env), lambda e: ([e.client, "rmi", image], e.env)),
        }
        commands = {name: c for name, c in commands.items() if c[0] in engines and c[0] not in broken}
        samples, cpu = {name: Samples() for name in commands}, {name: Samples() for name in commands}
        for n in range(rounds + 1):
            for name, (engine, pull, remove) in list(commands.items())[n % 2::] + list(commands.items())[:n % 2]:
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                took = once(*pull(engines[engine]), log=f"{where}/log")
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                once(*remove(engines[engine]), log=f"{where}/log")
                if n:
                    samples[name].append(took)
                    cpu[name].append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    except Failed as error:
        print(f"pull of a large image cannot be measured here: {error}")
        return False
    finally:
        registry.stop()
    print(f"pull and unpack of {size / 1e6:.0f} MB in {LAYERS} layers from a registry on loopback, {rounds} rounds after one warm-up, interleaved")
    base = samples.get("podman pull")
    for name, s in samples.items():
        low, high = s.quartiles
        ratio = f"{s.median / base.median:9.2f}" if base else "        ?"
        print(f"{name:14}  {s.median:8.1f} ms  {low:8.1f} - {high:8.1f} ms  CPU {statistics.median(cpu[name]):8.1f} ms  {ratio}")
    if not base:
        print(f"goal: pull and unpack at most {most} of podman: not measured")
        return False
    value = samples["caisson pull"].median / base.median
    print(f"goal: pull and unpack at most {most} of podman: {'holds' if value <= most else 'MISSED'} ({value:.2f})")
    return value <= most
