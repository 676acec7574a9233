"""WebSockets: what an echo costs, and what an open one weighs while nothing is said."""

from __future__ import annotations

import resource
import statistics
import subprocess

from load import measure, peers
from load.backend import backend
from load.processes import BUILD, LOAD, Stage
from load.result import Column, Goal, Plot, Result, Table

SOURCES = 10  # addresses that clients come from: the default allows 2,000 connections of each


def echo(options) -> Result:
    result = Result("echo", "WebSocket echo", f"""
{measure.CONNECTIONS} WebSockets, each sends a masked text frame of 64 bytes and waits for its echo before it sends the next
(bench/load/websockets.c). A message is one there and back: two frames through the proxy. The floor is the relay of
bench/floor/relay.c with an endpoint for each client: it passes on what a read brings, and that is all.""")
    with Stage() as stage:
        pods = backend(stage, measure.USERS)
        alcove = peers.alcove(stage, pods)
        candidates = [alcove, peers.haproxy(stage, pods), peers.nginx(stage, pods), peers.chp(stage, pods),
                      peers.floor(stage, pods, "pairs")]

        def one(peer: peers.Peer) -> dict:
            measure.warm(stage, peer, measure.CONNECTIONS)
            load, cpu = measure.websocket_echo(stage, peer, options.seconds)
            return {"cpu": cpu.used * 1e6 / load["messages"], "rate": load["messages"] / load["seconds"],
                    "busy": 100 * cpu.used / load["seconds"], "p50": load["p50_us"] / 1000, "p99": load["p99_us"] / 1000}

        table = Table("", [Column("cpu", "CPU µs per message"), Column("rate", "messages/s", 0), Column("busy", "core %", 0),
                           Column("p50", "p50 ms", 2), Column("p99", "p99 ms", 2)], measure.rounds(options, candidates, one))
        result.tables.append(table)
        result.ratio("CPU per message against HAProxy", table, "cpu", "alcove", "haproxy", 0.85)
        floor = table.median("floor, pairs", "cpu")
        result.notes.append(f"The floor is at {floor / table.median('haproxy', 'cpu'):.2f} of HAProxy, Alcove at "
                            f"{table.median('alcove', 'cpu') / floor:.2f} of the floor.")
        result.commands, result.config = list(stage.commands), alcove.config
    return result


def most_sockets(wanted: int) -> int:
    """A proxied WebSocket takes two open files of the proxy."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return wanted if limit == resource.RLIM_INFINITY else min(wanted, (limit - 1000) // 2)


class OpenSockets:
    """WebSockets that rest until the end of the block. They are opened in steps, each by a process of its own."""

    def __init__(self, stage: Stage, peer: peers.Peer, users: int):
        self.stage, self.peer, self.users = stage, peer, users
        self.open = 0
        self.processes = []

    def add(self, count: int):
        process = self.stage.start("websockets", [
            BUILD / "load" / "websockets", "--port", self.peer.port, "--sockets", count, "--users", self.users, "--first",
            self.open % self.users, "--sources", SOURCES], LOAD, stdin=subprocess.PIPE)
        self.stage.note(process.popen.args[3:])
        process.wait_line("open", timeout=180)
        self.processes.append(process)
        self.open += count

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for process in self.processes:
            process.popen.stdin.close()
            process.popen.wait(30)
            if kind is None and '"closed": 0' not in process.tail():
                raise RuntimeError(f"{self.peer.name} closed WebSockets: {process.tail()}")
            self.stage.end(process)


def sockets(options) -> Result:
    count = most_sockets(options.shrink(10_000))
    step = count // 4
    count = 4 * step
    result = Result("sockets", "Memory of idle WebSockets", f"""
{count:,} WebSockets of {measure.USERS} users are opened through a candidate that was just started, in four steps, and say
nothing. Resident memory (`Rss` of /proc/PID/smaps_rollup, all its processes) is read when it has settled, and divided by what
was opened since the first reading. Memory of sockets in the kernel is not in it. Clients come from {SOURCES} addresses.""")
    if count < options.shrink(10_000):
        result.notes.append(f"{count:,} and not 10,000: this machine allows a process "
                            f"{resource.getrlimit(resource.RLIMIT_NOFILE)[1]:,} open files, two for each.")
    curves: dict[str, list] = {}
    config = ""

    def one(name: str) -> dict:
        nonlocal config
        with Stage() as stage:
            pods = backend(stage, measure.USERS)
            peer = {"alcove": peers.alcove, "haproxy": peers.haproxy, "nginx": peers.nginx,
                    "configurable-http-proxy": peers.chp}[name](stage, pods)
            config = peer.config or config
            measure.warm(stage, peer)
            first = measure.settled_bytes(peer.process)
            points = [(0, first)]
            with OpenSockets(stage, peer, measure.USERS) as opened:
                for _ in range(4):
                    opened.add(step)
                    points.append((opened.open, measure.settled_bytes(peer.process)))
            for at, (open_now, size) in enumerate(points):
                curves.setdefault(name, [[] for _ in points])[at].append((open_now, size / 2**20))
            result.commands = list(stage.commands)
            return {"each": (points[-1][1] - first) / count / 1024, "before": first / 2**20, "after": points[-1][1] / 2**20}

    names = ["alcove", "haproxy", "nginx", "configurable-http-proxy"]
    table = Table("", [Column("each", "KiB per WebSocket", 2), Column("before", "before, MiB"), Column("after", "with all, MiB")],
                  measure.rounds(options, names, one))
    result.tables.append(table)
    result.goals.append(Goal("resident memory per idle WebSocket", table.median("alcove", "each"), 2.5, unit=" KiB"))
    result.plots.append(Plot("sockets", "Resident memory against open WebSockets", "WebSockets", "MiB", {
        name: [(at[0][0], statistics.median(size for _, size in at)) for at in points] for name, points in curves.items()}))
    result.config = config
    return result
