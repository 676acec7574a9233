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
    window, settled = (1, 1) if options.quick else (max(options.seconds, 10), 12)
    result = Result("activity", "Activity and store traffic", f"""
{sessions:,} sessions in a Redis. First by bench/load/store_load.cpp, which has a gateway worker's routes and activity and the
store's client and nothing else: with every session used in each second, and with each used once in ten seconds. Then through a
gateway with as many WebSockets as it may have open files for, each of another session, silent: once none of them is activity
(`websocket: data`, the default) and once all of them are, all the time (`websocket: open`). A session that goes on being used
is told of again after at most 10 s, so each figure is a share of a core over {window:g} s, {settled:g} s after the first use.""")
    with Stage() as stage:
        pods = backend(stage, measure.USERS)
        store = redis(stage)
        fill(stage, store, pods, sessions)

        def use(each_second: int) -> dict:
            process = stage.start("use", [BUILD / "load" / "store_load", "use", "--redis", store.port, "--sessions", sessions,
                                          "--each-second", each_second, "--seconds", round(settled + window) + 1], PROXY)
            stage.note(process.popen.args[3:])
            process.wait_line("using")
            time.sleep(settled)
            gateway = shares(peers.Peer("use", 0, process, beside=store.process), window)
            if process.popen.wait(60) != 0:
                raise RuntimeError(process.tail())
            stage.end(process)
            return gateway

        columns = [Column("gateway", "gateway, % of a core", 2), Column("redis", "redis-server, % of a core", 2)]
        every, tenth = f"{sessions:,} sessions, each used every second", f"{sessions:,} sessions, each used every 10 s"
        table = Table("Activity alone", columns, {})
        seen = measure.rounds(options, [every, tenth], lambda name: use(sessions if name == every else sessions // 10))
        table.rows = seen
        result.tables.append(table)
        for name in (every, tenth):
            result.goals.append(Goal(f"gateway, {name}", table.median(name, "gateway"), 5, unit=" %"))
            result.goals.append(Goal(f"redis-server, {name}", table.median(name, "redis"), 10, unit=" %"))
        result.tables.append(through_gateways(options, stage, pods, store, columns, result, window, settled))
        result.commands = list(stage.commands)
    return result


def shares(peer: peers.Peer, seconds: float) -> dict:
    with measure.Cpu(peer) as cpu:
        time.sleep(seconds)
    return {"gateway": 100 * cpu.used / cpu.wall, "redis": 100 * cpu.beside / cpu.wall}


def through_gateways(options, stage: Stage, pods, store: Redis, columns: list[Column], result: Result,
                     window: float, settled: float) -> Table:
    count = most_sockets(options.shrink(10_000))
    rows: dict[str, dict] = {}
    for name, setting in ((f"{count:,} silent WebSockets, not active", "data"),
                          (f"{count:,} silent WebSockets, all active", "open")):
        peer = peers.alcove(stage, pods, name, "gateway", store=store, app={"websocket": setting})
        peer.beside = store.process
        result.config = peer.config
        with OpenSockets(stage, peer, count) as opened:
            opened.add(count)
            time.sleep(settled)
            rows |= measure.rounds(options, [name], lambda _, peer=peer: shares(peer, window))
        stage.end(peer.process)
    names = list(rows)
    result.notes.append("The difference of the two through the gateway, for 50,000 instead of that many: gateway "
                        f"{difference(rows, names, 'gateway') * 50_000 / count:.1f} %, redis-server "
                        f"{difference(rows, names, 'redis') * 50_000 / count:.1f} %.")
    return Table("Through a gateway", columns, rows)


def difference(rows: dict, names: list[str], figure: str) -> float:
    table = Table("", [], rows)
    return table.median(names[1], figure) - table.median(names[0], figure)
