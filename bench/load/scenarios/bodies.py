"""Bodies of 64 KiB and 10 MiB, down and up: CPU per GiB."""

from __future__ import annotations

from load import measure, peers
from load.backend import backend
from load.processes import Stage
from load.result import Column, Goal, Result, Table

KIB, MIB = 1024, 1024 * 1024
# Size, connections, users. A large upload is kept whole by wrk for each user and each connection.
SIZES = ((64 * KIB, 64, 100, "64 KiB"), (10 * MIB, 8, 8, "10 MiB"))


def run(options) -> Result:
    result = Result("bodies", "Bodies", """
Downloads and uploads with Content-Length by wrk: 64 KiB on 64 connections of 100 users, 10 MiB on 8 connections of 8. nginx
streams uploads (`proxy_request_buffering off`) and writes no temporary files; HAProxy also with `option splice-auto`.""")
    with Stage() as stage:
        pods = backend(stage, measure.USERS)
        alcove = peers.alcove(stage, pods)
        candidates = [alcove, peers.haproxy(stage, pods), peers.haproxy(stage, pods, "haproxy, splice", splice=True),
                      peers.nginx(stage, pods)]
        for size, connections, users, words in SIZES:
            for method in ("GET", "POST"):
                path, body = (f"/bytes/{size}", 0) if method == "GET" else ("/", size)
                script = stage.write("bodies.lua", measure.users_lua(list(range(users)), method, path, body))

                def one(peer: peers.Peer) -> dict:
                    measure.warm(stage, peer, users)
                    with measure.Cpu(peer) as cpu:
                        load = measure.wrk(stage, peer.port, options.seconds, script, connections)
                    gib = load["requests"] * size / 2**30
                    return {"cpu": 1000 * cpu.used / gib, "rate": gib / load["seconds"], "busy": 100 * cpu.used / load["seconds"]}

                direction = "down" if method == "GET" else "up"
                table = Table(f"{words} {direction}", [Column("cpu", "CPU ms per GiB", 0), Column("rate", "GiB/s", 2),
                                                       Column("busy", "core %", 0)],
                              measure.rounds(options, candidates, one))
                result.tables.append(table)
                best = min((peer.name for peer in candidates[1:]), key=lambda name: table.median(name, "cpu"))
                result.goals.append(Goal(f"CPU per GiB, {words} {direction}, against the best of the others ({best})",
                                         table.median("alcove", "cpu") / table.median(best, "cpu"), 1.0))
        result.commands, result.config = list(stage.commands), alcove.config
    return result
