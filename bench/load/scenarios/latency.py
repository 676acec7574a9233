"""Latency at a fixed rate (open loop), and how it grows with the rate."""

from __future__ import annotations

import statistics

from load import measure, peers
from load.backend import backend
from load.processes import Stage
from load.result import Column, Plot, Result, Table

SHARES = (0.1, 0.25, 0.5, 0.7, 0.85)


def run(options) -> Result:
    result = Result("latency", "Latency at a fixed rate", "")
    with Stage() as stage:
        pods = backend(stage, measure.USERS)
        alcove = peers.alcove(stage, pods)
        haproxy = peers.haproxy(stage, pods)
        candidates = [alcove, haproxy, peers.nginx(stage, pods)]
        script = stage.write("users.lua", measure.users_lua(list(range(measure.USERS))))
        measure.warm(stage, haproxy)
        tries = [measure.wrk(stage, haproxy.port, options.seconds, script) for _ in range(min(3, options.rounds))]
        full = statistics.median(one["requests"] / one["seconds"] for one in tries)

        def at(share: float):
            def one(peer: peers.Peer) -> dict:
                measure.warm(stage, peer)
                with measure.Cpu(peer) as cpu:
                    load = measure.http_load(stage, peer.port, users=measure.USERS, connections=measure.CONNECTIONS,
                                             rate=round(full * share), seconds=options.seconds, timeout=30)
                return {"p50": load["p50_us"], "p90": load["p90_us"], "p99": load["p99_us"], "p999": load["p999_us"],
                        "cpu": cpu.used * 1e6 / load["answered"]}
            return one

        def by_h2load(peer: peers.Peer) -> dict:
            measure.warm(stage, peer)
            load = measure.h2load(stage, peer.port, full / 2, options.seconds)
            return {"p50": 1000 * load["p50_ms"], "p99": 1000 * load["p99_ms"], "rps": load["rps"]}

        result.text = f"""
HAProxy saturates at {full:,.0f} requests/s here (wrk, closed loop, median of {len(tries)}). At half of that, whatever became
of the requests before, the next one is due: latency counts from when it was due, on {measure.CONNECTIONS} connections and for
{measure.USERS} users (bench/load/http_load.c). h2load has the same rate as second opinion; it knows only one user and counts
from the sending."""
        columns = [Column("p50", "p50 µs", 0), Column("p90", "p90 µs", 0), Column("p99", "p99 µs", 0),
                   Column("p999", "p99.9 µs", 0), Column("cpu", "CPU µs per request")]
        half = Table(f"Half of it, {full / 2:,.0f} requests/s", columns, measure.rounds(options, candidates, at(0.5)))
        second = Table("The same rate by h2load, one user",
                       [Column("p50", "p50 µs", 0), Column("p99", "p99 µs", 0), Column("rps", "requests/s", 0)],
                       measure.rounds(options, candidates, by_h2load))
        result.tables += [half, second]
        result.ratio("p99 at half of HAProxy's saturation against HAProxy", half, "p99", "alcove", "haproxy", 1.0)

        curves: dict[str, list] = {peer.name: [] for peer in candidates}
        for share in SHARES:
            seen = measure.rounds(options, candidates, at(share))
            for name, figures in seen.items():
                curves[name].append((round(full * share), statistics.median(figures["p99"]) / 1000))
        result.plots.append(Plot("latency", "p99 against rate", "requests/s", "p99, ms", curves))
        result.commands, result.config = list(stage.commands), alcove.config
    return result
