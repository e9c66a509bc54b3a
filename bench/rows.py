"""What is measured and what it is to reach. A new row is a function here; a goal names two rows, or one and a time."""

# name, engine, how the command is made
ROWS = [
    ("caisson run --isolation=process", "caisson", lambda engine: engine.run(["true"], "process")),
    ("caisson run --isolation=hyperv", "caisson", lambda engine: engine.run(["true"], "hyperv")),
    ("podman run", "podman", lambda engine: engine.run(["true"])),
    ("docker run", "docker", lambda engine: engine.run(["true"])),
    ("crun run", "crun", lambda engine: engine.run(["true"])),
    ("runc run", "runc", lambda engine: engine.run(["true"])),
]

# what the ratios are taken to
BASE = "podman run"

# text, row, other row (ratio) or None (milliseconds), at most
GOALS = [
    ("process at most 0.3 of podman", "caisson run --isolation=process", "podman run", 0.3),
    ("hyperv (cold boot) at most 4 s", "caisson run --isolation=hyperv", None, 4000),
]
