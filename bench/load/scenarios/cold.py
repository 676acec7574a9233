"""Cold starts: from a pod's being ready to the first byte that reaches it, and a thousand of them at once."""

from __future__ import annotations

import shutil
import tempfile
import time

from load import measure, peers
from load.backend import backend, redis
from load.processes import ANY, BUILD, Stage, free_port
from load.result import Column, Goal, Result, Table


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def first_byte(options) -> Result:
    count = options.shrink(1000)
    result = Result("first_byte", "From a ready pod to the first byte", f"""
{count:,} users ask for the first time, one after the other. Their pods note when they have answered the readiness check
(`ready_path`) with 200 and when the first byte of the request that waited for it arrives: in between is all that Alcove does
to publish the pod, wake the request, connect and send it. Quantiles over the {count:,} starts of a round.""")
    config = {}

    def one(name: str) -> dict:
        with Stage() as stage:
            pods = backend(stage, count)
            peer = peers.alcove(stage, pods, store=redis(stage) if name == "Redis" else None)
            config[name] = peer.config
            load = measure.http_load(stage, peer.port, users=count, requests=count, connections=1, timeout=60)
            took = [float(line.split()[1]) / 1000 for line in pods.process.log.read_text().splitlines()
                    if line.startswith("first_byte_us ")]
            if len(took) != count:
                raise RuntimeError(f"{len(took)} of {count} pods have seen a check and then a request")
            result.commands = list(stage.commands)
            return {"p50": quantile(took, 0.5), "p99": quantile(took, 0.99), "most": max(took), "whole": load["p50_us"] / 1000}

    table = Table("", [Column("p50", "p50 ms", 3), Column("p99", "p99 ms", 3), Column("most", "most ms", 3),
                       Column("whole", "whole cold request, p50 ms", 3)],
                  measure.rounds(options, ["memory", "Redis"], one))
    result.tables.append(table)
    for name in ("memory", "Redis"):
        result.goals.append(Goal(f"p99, store: {name}", table.median(name, "p99"), 3, unit=" ms"))
    result.config = config["Redis"]
    return result


def starts(options) -> Result:
    count = options.shrink(1000)
    result = Result("starts", "Many cold starts at once", f"""
{count:,} users ask for the first time, all at once; each gets a process of its own on this machine (runtime `local`): the program
of bench/load/backend.c, which is up within a millisecond, so that what is measured is Alcove and not the pods. Until the last
request was answered by its pod; once with its state directory on the disk, as it is by default, and once in memory
(/dev/shm), which tells what the file system takes. Against it a shell that starts the same {count:,} processes in a loop, until
the last one listens; nobody asks them anything. For Alcove too a pod is ready when it listens (no `ready_path`, the default).
Both have the whole machine. Alcove is killed after each round and its directories are removed after the last: an ext4 without a
journal looks at every inode that was freed within the last minutes before it gives one out, and each round would pay for the
tidying up of those before it.""")
    program = BUILD / "load" / "backend"
    config = ""
    left = []  # directories

    def by_alcove(memory: bool) -> float:
        nonlocal config
        left.append(tempfile.mkdtemp(prefix="alcove-bench-", dir="/dev/shm" if memory else BUILD))
        with Stage() as stage:
            peer = peers.alcove(stage, None, core=ANY, runtime={"local": {"directory": left[-1]}},
                                app={"command": [str(program), "{address}", "1", "{port}"], "ready_path": ""})
            config = config or peer.config
            load = measure.http_load(stage, peer.port, core=ANY, users=count, requests=count, connections=count, timeout=120)
            peer.process.kill(measure.tree(peer.process.pid))
            result.commands = list(stage.commands)
            return load["seconds"]

    def by_shell() -> float:
        port = free_port()
        with Stage() as stage:
            script = stage.write("loop.sh", f"""
i=0
while [ $i -lt {count} ]; do
  {program} 127.80.$((i / 250)).$((i % 250 + 1)) 1 {port} &
  i=$((i + 1))
done
trap 'kill $(jobs -p); exit' TERM
wait
""")
            began = time.monotonic()
            loop = stage.start("loop", ["bash", script], ANY)
            loop.wait_line("listening", 120, count)
            return time.monotonic() - began

    ways = {"alcove": lambda: by_alcove(memory=False), "alcove, state in memory": lambda: by_alcove(memory=True),
            "shell loop": by_shell}
    try:
        table = Table("", [Column("seconds", "s until all were there", 3)],
                      measure.rounds(options, list(ways), lambda name: {"seconds": ways[name]()}))
    finally:
        for directory in left:
            shutil.rmtree(directory, ignore_errors=True)
    result.tables.append(table)
    result.ratio("wall time against a plain shell loop", table, "seconds", "alcove", "shell loop", 1.25)
    result.config = config
    return result
