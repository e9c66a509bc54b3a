"""What is measured and what it is to reach. A new row is a line here; a goal names two rows, or one and a time."""

# Each group is measured for itself, its rows interleaved: name, engine, how the command is made.
STARTS = [
    ("caisson run --isolation=process", "caisson", lambda engine: engine.run(["true"], "process")),
    ("caisson run --isolation=hyperv", "caisson", lambda engine: engine.run(["true"], "hyperv")),
    ("caisson hyperv, template from its file", "caisson-alone", lambda engine: engine.run(["true"], "hyperv")),
    ("caisson hyperv, boot", "caisson", lambda engine: engine.run(["true"], "hyperv", extra=["--fresh-boot"])),
    ("podman run", "podman", lambda engine: engine.run(["true"])),
    ("docker run", "docker", lambda engine: engine.run(["true"])),
    ("crun run", "crun", lambda engine: engine.run(["true"])),
    ("runc run", "runc", lambda engine: engine.run(["true"])),
    ("caisson process, network", "caisson", lambda engine: engine.run(["true"], "process", True)),
    ("caisson hyperv, network", "caisson", lambda engine: engine.run(["true"], "hyperv", True)),
    ("caisson hyperv, network, an image's first starts", "caisson-shape", lambda engine: engine.run(["true"], "hyperv", True)),
    ("caisson hyperv, boot, network", "caisson", lambda engine: engine.run(["true"], "hyperv", True, ["--fresh-boot"])),
    ("podman run, network", "podman-network", lambda engine: engine.run(["true"])),
    ("caisson hyperv, network, own kernel", "caisson-own-kernel", lambda engine: engine.run(["true"], "hyperv", True)),
    ("caisson hyperv, network, -v", "caisson", lambda engine: engine.run_shared(["true"])),
    ("docker run, network", "docker", lambda engine: engine.run(["true"], True)),
]
EXECS = [
    ("caisson exec, process", "caisson", lambda engine: engine.execute(["true"], "process")),
    ("caisson exec, hyperv", "caisson", lambda engine: engine.execute(["true"], "hyperv")),
    ("docker exec", "docker", lambda engine: engine.execute(["true"])),
]
GROUPS = [("run --rm --network=none (and with a network), busybox, true", STARTS), ("exec of true in a running container", EXECS)]

# what the ratios are taken to: the first of these that was measured in the group
BASES = ["podman run", "docker run, network", "docker exec"]

# text, row, other row (ratio) or None (milliseconds), at most
GOALS = [
    ("process at most 0.3 of podman", "caisson run --isolation=process", "podman run", 0.3),
    ("hyperv (cold boot) at most 4 s", "caisson hyperv, boot", None, 4000),
    ("process at most 3 of crun", "caisson run --isolation=process", "crun run", 3),
    ("process with network at most 0.15 of docker", "caisson process, network", "docker run, network", 0.15),
    ("process with network at most 0.15 of podman", "caisson process, network", "podman run, network", 0.15),
    ("hyperv with network at most 1.0 of docker's ordinary container", "caisson hyperv, network", "docker run, network", 1.0),
    ("the same with our own kernel at most 0.7", "caisson hyperv, network, own kernel", "docker run, network", 0.7),
    ("hyperv with network and -v at most 1.5 of docker's ordinary container", "caisson hyperv, network, -v", "docker run, network", 1.5),
    ("exec in hyperv at most 0.5 of docker exec", "caisson exec, hyperv", "docker exec", 0.5),
]

# text, row with the network, row without, at most so many milliseconds between the medians
ADDED = [
    ("the network adds at most 15 ms, process", "caisson process, network", "caisson run --isolation=process", 15),
    ("the network adds at most 30 ms, hyperv", "caisson hyperv, network", "caisson run --isolation=hyperv", 30),
    ("the network adds at most 30 ms, hyperv that boots", "caisson hyperv, boot, network", "caisson hyperv, boot", 30),
]
