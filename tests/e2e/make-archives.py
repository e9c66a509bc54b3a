#!/usr/bin/env python3
"""Makes image archives that are wrong, of one that is right: make-archives.py GOOD.tar DIR

Each becomes DIR/NAME.tar; DIR/expected has a line for each, "NAME<tab>part of the error".
"""
import gzip
import hashlib
import io
import json
import sys
import tarfile

GOOD, WHERE = sys.argv[1:]
DIFF = "digest does not match"
with tarfile.open(GOOD) as t:
    FILES = {m.name: t.extractfile(m).read() for m in t.getmembers() if m.isfile()}
IMAGE = json.loads(FILES["manifest.json"])[0]
CONFIG, LAYER = IMAGE["Config"], IMAGE["Layers"][0]
expected = open(f"{WHERE}/expected", "w")


def tar(files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as t:
        for name, data in files:
            i = tarfile.TarInfo(name)
            if isinstance(data, tuple):
                i.type, i.linkname = data
                data = b""
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))
    return raw.getvalue()


def write(name, data, error):
    with open(f"{WHERE}/{name}.tar", "wb") as f:
        f.write(data)
    print(name, error, sep="\t", file=expected)


def change(name, error, **other):
    """GOOD with other files: config=, layer=, manifest= or, in `add`, more of them."""
    add = other.pop("add", [])
    files = {k: v for k, v in FILES.items() if k != "index.json"}
    for key, data in other.items():
        path = {"config": CONFIG, "layer": LAYER, "manifest": "manifest.json"}[key]
        files.pop(path, None)
        if data is not None:
            files[path] = data
    write(name, tar(list(files.items()) + add), error)


def docker(**changes):
    return json.dumps([{**IMAGE, "RepoTags": ["local/b:1"], **changes}]).encode()


layer = gzip.decompress(FILES[LAYER])
config = json.loads(FILES[CONFIG])
good = open(GOOD, "rb").read()
write("empty", b"", "")
write("junk", hashlib.sha512(b"x").digest() * 100, "nrecognized archive format")
write("truncated", good[: len(good) // 2], "runcated")
write("truncated-gzip", gzip.compress(good)[:-40000], "runcated")
write("other-tar", tar([("x", b"y")]), "there is neither manifest.json nor index.json")
write("dotdot", tar([("../" * 12 + "escaped", b"x")]), "leads out of the archive")
write("link-out", tar([("d", (tarfile.SYMTYPE, "/")), ("d/escaped", b"x")]), "/ leads out of the archive")
change("link-config", "leads out of the archive", config=None, add=[(CONFIG, (tarfile.SYMTYPE, "/etc/passwd"))])
change("no-layer", "is not in the archive", layer=None)
change("no-config", "is not in the archive", config=None)
change("twice", "manifest.json twice", add=[("manifest.json", b"[]")])
change("wrong-diffid", DIFF, layer=gzip.compress(tar([("escaped", b"x")])))
change("corrupt-layer", "layer " + LAYER, layer=FILES[LAYER][:5000] + b"xxxx" + FILES[LAYER][5004:])
change("short-layer", "layer " + LAYER, layer=FILES[LAYER][:-20000])
change("layer-no-tar", "layer " + LAYER, layer=b"not a tar at all" * 1000)
change("more-layers", "layers, the manifest has", manifest=docker(Layers=[LAYER, LAYER]))
change("no-layers", "layers, the manifest has", manifest=docker(Layers=[]))
change("many-layers", "128 layers, more than 127", manifest=docker(Layers=[LAYER] * 128))
change("nested", "manifest.json has 10485760 bytes", manifest=b"[" * 10485760)
change("deep", "maximum parsing depth", manifest=b"[" * 100000)
change("config-no-json", "image configuration", config=b"{")
change("config-list", "image configuration", config=b"[]")
change("bad-tag", "invalid tag", manifest=docker(RepoTags=["local/B!:1"]))
change("escaping-layer", "escaped", config=json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": [
    "sha256:" + hashlib.sha256(tar([("../" * 12 + "escaped", b"x")])).hexdigest()]}}).encode(), layer=tar([("../" * 12 + "escaped", b"x")]))

# a file that says that it is a terabyte, in an archive of some bytes
bomb = tarfile.TarInfo("manifest.json")
bomb.size = 1 << 40
bytes_of_bomb = gzip.compress(bomb.tobuf() + b"\0" * 1000000)
write("terabyte", bytes_of_bomb, "need more than the")
change("terabyte-layer", "the layer is larger than what is free: No space left on device", layer=bytes_of_bomb)

# OCI's layout alone: the blobs are what their names say, or it is an error
files = {k: v for k, v in FILES.items() if k != "manifest.json"}
write("oci-digest", tar([(k, v + b"x" if k == LAYER else v) for k, v in files.items()]), DIFF)
write("oci-missing", tar([(k, v) for k, v in files.items() if k != CONFIG]), "is not in the archive")
write("oci-manifest", tar([(k, v.replace(b'"digest"', b'"digesT"') if k == "index.json" else v) for k, v in files.items()]), "is not a sha256 digest")
