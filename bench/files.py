"""The rows about files: each figure is the workload's own, in a container that has just started, of an image with a Debian, its python3 and a big file."""
import os
import shutil
import statistics

from measure import Failed
from peers import output

IMAGE, BIG_MIB, COUNT = "bench/debian:1", 64, 1000

# text, unit, command, which of the printed numbers
FIGURES = [
    ("sequential read of the root file system", "MB/s", ["/fileload", "read", "/big"], 0),
    ("creation of a small file", "us", ["/fileload", "files", "/tmp", str(COUNT)], 0),
    ("stat of a small file", "us", ["/fileload", "files", "/tmp", str(COUNT)], 1),
    ("python3 -c pass, first time", "ms", ["/fileload", "spawn", "python3", "-c", "pass"], 0),
    ("python3 -c pass, again", "ms", ["/fileload", "spawn", "python3", "-c", "pass"], 1),
]


def debian(build):
    return os.path.join(build, "bench-debian.tar")


def fetch(build):
    """The tar of a small Debian, made once and kept in the build folder. Needs the network; what cannot be fetched is told when it is missed."""
    tar = debian(build)
    if os.path.exists(tar):
        return
    try:
        release = output(["sh", "-c", '. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}"'])
        output(["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", "--include=python3-minimal", "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/man/*", release, f"{tar}.new"])
        os.rename(f"{tar}.new", tar)
    except Failed as error:
        print(f"no Debian for the rows about files: {error}")


def make_image(where, build, load):
    extra = os.path.join(where, "files-root")
    os.makedirs(extra)
    shutil.copy(load, os.path.join(extra, "fileload"))
    with open(os.path.join(extra, "big"), "wb") as f:
        for _ in range(BIG_MIB):
            f.write(os.urandom(1 << 20))
    tar = os.path.join(where, "files.tar")
    if not os.path.exists(debian(build)):
        raise Failed("there is no bench-debian.tar in the build folder")
    shutil.copy(debian(build), tar)
    output(["tar", "-C", extra, "--owner=0", "--group=0", "-rf", tar, "./fileload", "./big"])
    return tar


def measure(where, build, load, engines, broken, runs, warmups):
    """Containers of all engines in turn; prints medians with quartiles and their ratios."""
    places = {"caisson hyperv": ("caisson", {"isolation": "hyperv"}), "caisson process": ("caisson", {}), "docker": ("docker", {})}
    print(f"inside a container that has just started, {runs} runs after {warmups} warm-ups, interleaved")
    try:
        tar = make_image(where, build, load)
    except Failed as error:
        print(f"  cannot run here: {error}")
        return False
    seen, errors = {}, {}
    for name in sorted({engine for engine, _ in places.values()}):
        try:
            if name not in engines:
                raise Failed(broken.get(name, "not asked for"))
            engines[name].load(tar, IMAGE)
        except Failed as error:
            errors.update({place: str(error) for place, (engine, _) in places.items() if engine == name})
    commands = {tuple(command) for _, _, command, _ in FIGURES}
    for n in range(warmups + runs):
        for command in commands:
            for place, (engine, how) in places.items():
                if place in errors:
                    continue
                argv, env = engines[engine].run(list(command), image=IMAGE, **how)
                try:
                    numbers = [float(x) for x in output(argv, env=env).split()]
                except Failed as error:
                    errors[place] = str(error)
                    continue
                if n >= warmups:
                    seen.setdefault((place, command), []).append(numbers)
    for text, unit, command, which in FIGURES:
        show(text, unit, {place: [s[which] for s in seen.get((place, tuple(command)), [])] for place in places}, errors)
    return not errors


def show(text, unit, samples, errors):
    print(f"  {text}")
    for place, values in samples.items():
        if place in errors:
            print(f"    {place:16} cannot run here: {errors[place]}")
            continue
        low, _, high = statistics.quantiles(values, n=4)
        ratios = [f"{statistics.median(values) / statistics.median(samples[other]):.2f} of {other}" for other in ("caisson process", "docker")
                  if other != place and samples[other] and other not in errors]
        print(f"    {place:16} {statistics.median(values):8.1f} {unit:4} ({low:.1f} - {high:.1f})   {', '.join(ratios)}")
