"""What is read off a candidate and off the load generators, and the rounds in which candidates take turns."""

from __future__ import annotations

import json
import os
import pathlib
import re
import time

from load.peers import Peer
from load.processes import BUILD, LOAD, Process, Stage

CONNECTIONS = 64
USERS = 1000
HOST = "demo.localhost"


# --- the candidate ---------------------------------------------------------------------------------------------------

def tree(pid: int) -> list[int]:
    pids = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
            pids += tree(int(child))
    return pids


def cpu_seconds(process: Process) -> float:
    """User and system time of all threads of a process and of its children. To the nanosecond, unlike /proc/PID/stat,
    which is the same sum in steps of 10 ms; what has ended is not in it, and no candidate ends threads while measured."""
    used = 0
    for pid in tree(process.pid):
        for task in os.listdir(f"/proc/{pid}/task"):
            used += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return used / 1e9


def resident_bytes(process: Process) -> int:
    """smaps_rollup walks the pages: VmRSS is only near the truth."""
    return sum(int(re.search(r"^Rss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) * 1024
               for pid in tree(process.pid))


def settled_bytes(process: Process, limit: float = 10) -> int:
    """When it has not changed for a second."""
    deadline = time.monotonic() + limit
    before = resident_bytes(process)
    while time.monotonic() < deadline:
        time.sleep(1)
        now = resident_bytes(process)
        if now == before:
            break
        before = now
    return before


class Cpu:
    """with Cpu(peer) as cpu: ...; then cpu.used seconds of the candidate in cpu.wall seconds, cpu.beside of its helper."""

    def __init__(self, peer: Peer):
        self.peer = peer
        self.used = self.beside = self.wall = 0.0

    def _read(self) -> tuple[float, float, float]:
        return (cpu_seconds(self.peer.process), cpu_seconds(self.peer.beside) if self.peer.beside else 0.0, time.monotonic())

    def __enter__(self) -> Cpu:
        self.before = self._read()
        return self

    def __exit__(self, *_):
        self.used, self.beside, self.wall = (a - b for a, b in zip(self._read(), self.before))


# --- load ------------------------------------------------------------------------------------------------------------

def users_lua(users: list[int], method: str = "GET", path: str = "", body: int = 0) -> str:
    """Requests made before the start, the users in a shuffled order that is always the same."""
    listed = ",".join(map(str, users))
    return f"""
local users, requests, n = {{{listed}}}, {{}}, 0
math.randomseed(1)
for i = #users, 2, -1 do local j = math.random(i); users[i], users[j] = users[j], users[i] end
local body = {body} > 0 and string.rep("x", {body}) or nil
init = function()
  for i, user in ipairs(users) do
    requests[i] = wrk.format("{method}", "{path}" ~= "" and "{path}" or "/user-" .. user .. "/",
                             {{["Host"] = "{HOST}", ["X-User-ID"] = "user-" .. user}}, body)
  end
end
request = function()
  n = n % #requests + 1
  return requests[n]
end
"""


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def wrk(stage: Stage, port: int, seconds: float, script: pathlib.Path, connections: int = CONNECTIONS,
        core: str = LOAD) -> dict:
    seconds = max(1, round(seconds))
    out = stage.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", script,
                     f"http://127.0.0.1:{port}/"], core, seconds + 60)
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(f"wrk met errors:\n{out}")
    count, duration, unit = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", out).groups()
    result = {"requests": int(count), "seconds": float(duration) * _UNITS[unit] / 1000}
    for name in ("50", "99"):
        value, unit = re.search(rf"{name}%\s+([\d.]+)(us|ms|s|m)", out).groups()
        result[f"p{name}_ms"] = float(value) * _UNITS[unit]
    return result


def _json(stage: Stage, program: str, core: str, timeout: float, *options) -> dict:
    return json.loads(stage.run([BUILD / "load" / program, *options], core, timeout))


def http_load(stage: Stage, port: int, *, core: str = LOAD, expect_all: bool = True, **options) -> dict:
    """bench/load/http_load.c. What was not answered with 200 is an error unless it is what is asked."""
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    bound = options.get("seconds", 0) + options.get("timeout", 5) + 600
    result = _json(stage, "http_load", core, bound, "--port", port, *words)
    if expect_all and (result["other"] or result["lost"]):
        raise RuntimeError(f"not all requests were answered with 200: {result}")
    return result


def warm(stage: Stage, peer: Peer, users: int = USERS, connections: int = 8):
    """Each user once: sessions are there, connections to pods are open."""
    http_load(stage, peer.port, users=users, requests=users, connections=connections, timeout=30)


def connections(stage: Stage, peer: Peer, seconds: float, tls: bool) -> dict:
    words = ["--port", peer.tls_port if tls else peer.port, "--users", USERS, "--connections", CONNECTIONS, "--seconds", seconds]
    result = _json(stage, "connections", LOAD, seconds + 60, *words, *(["--tls"] if tls else []))
    if result["failed"] or result["resumed"]:
        raise RuntimeError(f"{peer.name}: {result}")
    return result


def websocket_echo(stage: Stage, peer: Peer, seconds: float, sockets: int = CONNECTIONS) -> tuple[dict, Cpu]:
    """The CPU is of the echoes alone: it is read when all are open and again at the end."""
    process = stage.start("websockets", [BUILD / "load" / "websockets", "--port", peer.port, "--sockets", sockets, "--users",
                                         USERS, "--seconds", seconds], LOAD)
    stage.note(process.popen.args[3:])
    process.wait_line("open")
    with Cpu(peer) as cpu:
        code = process.popen.wait(seconds + 60)
    if code != 0:
        raise RuntimeError(process.tail())
    result = json.loads(process.log.read_text().splitlines()[-1])
    stage.end(process)
    if result["closed"]:
        raise RuntimeError(f"{peer.name}: {result}")
    return result, cpu


def h2load(stage: Stage, port: int, rate: float, seconds: float) -> dict:
    """A known tool as second opinion. It has one set of header fields for all requests, so one user; latency counts from
    the sending, so a stalled connection hides what would have been sent meanwhile."""
    seconds = max(1, round(seconds))
    log = stage.folder / "h2load.log"
    log.unlink(missing_ok=True)
    stage.run(["h2load", "--h1", "-t1", f"-c{CONNECTIONS}", f"--rps={rate / CONNECTIONS:.3f}", f"-D{seconds}",
               f"--log-file={log}", f"--connect-to=127.0.0.1:{port}", "-H", "X-User-ID: user-1", f"http://{HOST}/user-1/"],
              LOAD, seconds + 60)
    rows = [line.split() for line in log.read_text().splitlines()]
    if not rows or any(row[1] != "200" for row in rows):
        raise RuntimeError("h2load met answers other than 200")
    took = sorted(int(row[2]) for row in rows)
    return {"p50_ms": took[len(took) // 2] / 1000, "p99_ms": took[int(len(took) * 0.99)] / 1000, "rps": len(rows) / seconds}


# --- rounds ----------------------------------------------------------------------------------------------------------

def rounds(options, candidates: list, one) -> dict[str, dict[str, list[float]]]:
    """one(candidate) -> {figure: value}, for every candidate in turn, round by round; each round begins with another one,
    so that nobody always follows the same neighbour. name -> figure -> values."""
    seen: dict[str, dict[str, list[float]]] = {}
    names = [getattr(candidate, "name", candidate) for candidate in candidates]
    for name in names:
        seen[name] = {}
    for number in range(options.rounds):
        first = number % len(candidates)
        for candidate, name in list(zip(candidates, names))[first:] + list(zip(candidates, names))[:first]:
            for figure, value in one(candidate).items():
                seen[name].setdefault(figure, []).append(value)
        options.say(f"round {number + 1} of {options.rounds}")
    return seen
