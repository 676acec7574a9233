"""What it costs to keep the store told of 50,000 active sessions."""

from __future__ import annotations

import time

from load import measure, peers
from load.backend import Redis, backend, redis
from load.processes import BUILD, PROXY, Stage
from load.result import Column, Goal, Result, Table
from load.scenarios.scale import fill
from load.scenarios.websockets import OpenSockets, most_sockets


def run(options) -> Result:
    sessions = options.shrink(50_000)
    result = Result("activity", "Activity and store traffic", f"""
{sessions:,} sessions in a Redis. First by bench/load/store_load.cpp, which sends the beats of a gateway worker with the store's
own code and nothing else: with every session in every beat (each was used in each second), and with a tenth of them (each
was used once in ten seconds). Then through a gateway with as many WebSockets as it may have open files for, each of another
session, silent: once none of them is activity (`websocket: data`, the default) and once all of them are, in every beat
(`websocket: open`). Shares of a core over {max(options.seconds, 1):g} s.""")
    with Stage() as stage:
        pods = backend(stage, measure.USERS)
        store = redis(stage)
        fill(stage, store, pods, sessions)

        def beats(marks: int) -> dict:
            seconds = max(2, round(options.seconds))
            process = stage.start("beats", [BUILD / "load" / "store_load", "beat", "--redis", store.port, "--sessions", sessions,
                                            "--marks", marks, "--seconds", seconds + 2], PROXY)
            stage.note(process.popen.args[3:])
            process.wait_line("beating")
            gateway = shares(peers.Peer("beats", 0, process, beside=store.process), seconds)
            if process.popen.wait(60) != 0:
                raise RuntimeError(process.tail())
            stage.end(process)
            return gateway

        columns = [Column("gateway", "gateway, % of a core", 2), Column("redis", "redis-server, % of a core", 2)]
        every, tenth = f"{sessions:,} marks in each beat", f"{sessions // 10:,} marks in each beat"
        table = Table("Beats alone", columns, {})
        seen = measure.rounds(options, [every, tenth], lambda name: beats(sessions if name == every else sessions // 10))
        table.rows = seen
        result.tables.append(table)
        for name in (every, tenth):
            result.goals.append(Goal(f"gateway, {name}", table.median(name, "gateway"), 5, unit=" %"))
            result.goals.append(Goal(f"redis-server, {name}", table.median(name, "redis"), 10, unit=" %"))
        result.tables.append(through_gateways(options, stage, pods, store, columns, result))
        result.commands = list(stage.commands)
    return result


def shares(peer: peers.Peer, seconds: float) -> dict:
    with measure.Cpu(peer) as cpu:
        time.sleep(seconds)
    return {"gateway": 100 * cpu.used / cpu.wall, "redis": 100 * cpu.beside / cpu.wall}


def through_gateways(options, stage: Stage, pods, store: Redis, columns: list[Column], result: Result) -> Table:
    count = most_sockets(options.shrink(10_000))
    rows: dict[str, dict] = {}
    for name, setting in ((f"{count:,} silent WebSockets, no marks", "data"),
                          (f"{count:,} silent WebSockets, {count:,} marks in each beat", "open")):
        peer = peers.alcove(stage, pods, name, "gateway", store=store, app={"websocket": setting})
        peer.beside = store.process
        result.config = peer.config
        with OpenSockets(stage, peer, count) as opened:
            opened.add(count)
            time.sleep(2)  # what the opening marked has been sent
            rows |= measure.rounds(options, [name], lambda _, peer=peer: shares(peer, max(2, options.seconds)))
        stage.end(peer.process)
    names = list(rows)
    result.notes.append("The difference of the two through the gateway, for 50,000 instead of that many: gateway "
                        f"{difference(rows, names, 'gateway') * 50_000 / count:.1f} %, redis-server "
                        f"{difference(rows, names, 'redis') * 50_000 / count:.1f} %.")
    return Table("Through a gateway", columns, rows)


def difference(rows: dict, names: list[str], figure: str) -> float:
    table = Table("", [], rows)
    return table.median(names[1], figure) - table.median(names[0], figure)
