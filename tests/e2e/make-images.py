#!/usr/bin/env python3
"""Makes the images of the end-to-end tests as OCI layouts: make-images.py BUSYBOX DEBIAN_TAR|- DIR

Each image becomes DIR/NAME, a layout with the tag `t`; tests/e2e/fixtures pushes them to a registry as caisson-test/NAME.
"""
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

MEDIA = "application/vnd.oci.image."
PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = "root:x:0:\napp:x:1000:\nextra:x:1234:app\nnogroup:x:65534:\n"
TIME = 1700000000


class Layer:
    """A tar being written, entry by entry."""

    def __init__(self, compression="gzip"):
        self.compression = compression
        self.raw = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.raw, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, data=b"", type=tarfile.REGTYPE, mode=0o644, uid=0, gid=0, link="", mtime=TIME, device=(0, 0), xattrs=None):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid, info.gid, info.linkname, info.mtime = type, mode, uid, gid, link, mtime
        info.devmajor, info.devminor = device
        info.size = len(data) if type == tarfile.REGTYPE else 0
        for key, value in (xattrs or {}).items():
            info.pax_headers["SCHILY.xattr." + key] = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        self.tar.addfile(info, io.BytesIO(data) if info.size else None)
        return self

    def text(self, name, text, **kw):
        return self.add(name, text.encode(), **kw)

    def dir(self, name, mode=0o755, **kw):
        return self.add(name, type=tarfile.DIRTYPE, mode=mode, **kw)

    def symlink(self, name, target, **kw):
        return self.add(name, type=tarfile.SYMTYPE, link=target, mode=0o777, **kw)

    def hardlink(self, name, target, **kw):
        return self.add(name, type=tarfile.LNKTYPE, link=target, **kw)

    def whiteout(self, name):
        directory, base = os.path.split(name)
        return self.add(os.path.join(directory, ".wh." + base))

    def opaque(self, directory):
        return self.add(os.path.join(directory, ".wh..wh..opq"))

    def done(self):
        """(blob, media type, digest of the plain tar)"""
        self.tar.close()
        plain = self.raw.getvalue()
        return compress(plain, self.compression) + (digest(plain),)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compress(plain, how):
    if how == "gzip":
        return gzip.compress(plain, 1, mtime=0), MEDIA + "layer.v1.tar+gzip"
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=plain, stdout=subprocess.PIPE, check=True).stdout, MEDIA + "layer.v1.tar+zstd"
    return plain, MEDIA + "layer.v1.tar"


class Layout:
    """An OCI image layout on disk."""

    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.join(path, "blobs", "sha256"), exist_ok=True)
        with open(os.path.join(path, "oci-layout"), "w") as f:
            f.write('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data, media, **more):
        name = digest(data)
        with open(os.path.join(self.path, "blobs", "sha256", name[7:]), "wb") as f:
            f.write(data)
        return dict(mediaType=media, digest=name, size=len(data), **more)

    def image(self, layers, config, architecture="amd64"):
        done = [layer.done() for layer in layers]
        document = {
            "created": "2023-11-14T22:13:20Z", "architecture": architecture, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [d[2] for d in done]},
            "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "make-images.py"} for _ in done],
        }
        manifest = {
            "schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json",
            "config": self.blob(json.dumps(document).encode(), MEDIA + "config.v1+json"),
            "layers": [self.blob(d[0], d[1]) for d in done],
        }
        return self.blob(json.dumps(manifest).encode(), MEDIA + "manifest.v1+json")

    def index(self, descriptors):
        return self.blob(json.dumps({"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": descriptors}).encode(),
                         MEDIA + "index.v1+json")

    def tag(self, descriptor):
        descriptor = dict(descriptor, annotations={"org.opencontainers.image.ref.name": "t"})
        with open(os.path.join(self.path, "index.json"), "w") as f:
            json.dump({"schemaVersion": 2, "manifests": [descriptor]}, f)


def base(busybox):
    layer = Layer()
    applets = set(subprocess.run(["busybox", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()) - {"busybox"}
    for name in "bin etc home proc root sys dev usr usr/bin usr/sbin sbin var var/tmp".split():
        layer.dir(name, 0o700 if name == "root" else 0o755)
    layer.dir("tmp", 0o1777).dir("home/app", uid=1000, gid=1000)
    layer.add("bin/busybox", busybox, mode=0o755)
    for applet in sorted(applets):
        layer.symlink("bin/" + applet, "busybox")
    layer.text("etc/passwd", PASSWD).text("etc/group", GROUP).text("etc/shadow", "root:*:::::::\n", mode=0o640)
    layer.text("etc/not-executable", "data\n").text("bin/script", "#!/bin/sh\necho script \"$@\"\n", mode=0o755)
    layer.text("bin/no-interpreter", "#!/nowhere\n", mode=0o755)
    return layer


def capability(bits):
    """security.capability, version 2, effective: bits permitted."""
    return (0x02000001).to_bytes(4, "little") + bits.to_bytes(4, "little") + bytes(12)


def layered(busybox):
    """Everything that a layer can say, in three layers with three compressions."""
    second = Layer("zstd")
    second.dir("a").dir("a/kept").text("a/removed", "old\n").text("a/replaced", "old\n").text("a/kept/file", "kept\n")
    second.dir("a/opaque").text("a/opaque/hidden", "old\n").dir("a/opaque/sub").text("a/opaque/sub/hidden", "old\n")
    second.dir("a/gone").text("a/gone/file", "old\n").text("a/becomes-dir", "file\n").dir("a/becomes-file").text("a/becomes-file/x", "x\n")
    second.text("a/one", "linked\n", uid=1000, gid=1234, mode=0o640, mtime=1600000000).hardlink("a/two", "a/one").hardlink("a/three", "a/one")
    second.symlink("a/link", "kept/file", uid=1000, gid=1000).symlink("a/dangling", "/nowhere/at/all").symlink("a/up", "../../../../etc/passwd")
    second.add("a/setuid", b"#!/bin/sh\n", mode=0o4755, uid=1000).dir("a/sticky", 0o3777, gid=1234)
    second.add("a/fifo", type=tarfile.FIFOTYPE, mode=0o600).add("a/null", type=tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    second.text("a/xattr", "x\n", xattrs={"user.caisson": "value"}).add("a/busybox", busybox, mode=0o755, xattrs={"security.capability": capability(1 << 13)})
    second.text("a/" + "long" * 40, "long name\n").text("a/spaces and \u00fcml\u00e4uts", "odd name\n").add("a/empty")
    third = Layer("plain")
    third.whiteout("a/removed").text("a/replaced", "new\n").dir("a/opaque").opaque("a/opaque").text("a/opaque/visible", "new\n")
    third.whiteout("a/gone").whiteout("a/becomes-dir").dir("a/becomes-dir").text("a/becomes-dir/y", "y\n")
    third.whiteout("a/becomes-file").text("a/becomes-file", "file\n")
    return [base(busybox), second, third]


def single(out, name, layers, config):
    layout = Layout(os.path.join(out, name))
    layout.tag(layout.image(layers, config))


def platforms(out, busybox):
    layout = Layout(os.path.join(out, "platforms"))
    found = []
    for architecture, variant in (("arm64", "v8"), ("amd64", None), ("arm", "v7"), ("s390x", None)):
        layer = base(busybox).text("etc/platform", architecture + "\n")
        platform = {"architecture": architecture, "os": "linux"}
        if variant:
            platform["variant"] = variant
        found.append(dict(layout.image([layer], {"Cmd": ["cat", "/etc/platform"]}, architecture), platform=platform))
    layout.tag(layout.index(found))
    layout = Layout(os.path.join(out, "elsewhere"))
    other = dict(layout.image([base(busybox)], {}, "s390x"), platform={"architecture": "s390x", "os": "linux"})
    layout.tag(layout.index([other]))


def main():
    busybox_path, debian, out = sys.argv[1:]
    with open(busybox_path, "rb") as f:
        busybox = f.read()
    path = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    single(out, "busybox", [base(busybox)], {"Env": path, "Cmd": ["sh"]})
    single(out, "layers", layered(busybox), {"Env": path, "Cmd": ["sh"]})
    single(out, "entrypoint", [base(busybox)], {"Env": path, "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["cmd", "two words"]})
    content = Layer().dir("data", 0o750, uid=1000, gid=1234).text("data/seed", "from the image\n", uid=1000, gid=1000).dir("work")
    single(out, "config", [base(busybox), content], {
        "Env": path + ["COLOUR=blue", "EMPTY=", "SPACED=two words"], "User": "app", "WorkingDir": "/work/deep", "Volumes": {"/data": {}},
        "StopSignal": "SIGUSR1", "Labels": {"org.example.kind": "test"}, "Cmd": ["sh", "-c", "echo cmd"], "ExposedPorts": {"80/tcp": {}}})
    platforms(out, busybox)
    if debian != "-":
        layout = Layout(os.path.join(out, "debian"))
        with open(debian, "rb") as f:
            layer = Layer()
            layer.raw = io.BytesIO(f.read())
            layer.tar = tarfile.open(fileobj=io.BytesIO(), mode="w")
        layout.tag(layout.image([layer], {"Env": path, "Cmd": ["bash"]}))


main()
