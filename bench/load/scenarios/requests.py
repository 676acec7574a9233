"""CPU per request and throughput of all candidates, on connections that are kept."""

from __future__ import annotations

from load import measure, peers
from load.backend import backend, redis
from load.processes import Stage
from load.result import Column, Result, Table


def run(options) -> Result:
    result = Result("requests", "A request on a kept connection", f"""
wrk with {measure.CONNECTIONS} connections asks for {measure.USERS} users in a shuffled order; each has a pod at an address of
its own, which answers with 128 bytes. CPU is the candidate's own, user and system, over the requests of the round. *Core*
is how much of its core the candidate used: below 95 % the load generator or the pods were the limit, and then the throughput
says little. Latencies are of a saturated closed loop: see *latency* for a fair one. *Beside* is what a helper used (Redis).""")
    with Stage() as stage:
        pods = backend(stage, measure.USERS)
        alcove = peers.alcove(stage, pods)
        candidates = [alcove, peers.haproxy(stage, pods), peers.haproxy(stage, pods, "haproxy, tcp", "tcp"),
                      peers.nginx(stage, pods), peers.nginx_lua(stage, pods, redis(stage)), peers.caddy(stage, pods),
                      peers.chp(stage, pods), peers.floor(stage, pods, "turns"), peers.floor(stage, pods, "pairs")]
        script = stage.write("users.lua", measure.users_lua(list(range(measure.USERS))))

        def one(peer: peers.Peer) -> dict:
            measure.warm(stage, peer)
            with measure.Cpu(peer) as cpu:
                load = measure.wrk(stage, peer.port, options.seconds, script)
            row = {"cpu": cpu.used * 1e6 / load["requests"], "rps": load["requests"] / load["seconds"],
                   "busy": 100 * cpu.used / load["seconds"], "p50": load["p50_ms"], "p99": load["p99_ms"],
                   "resident": measure.resident_bytes(peer.process) / 2**20}
            if peer.beside:
                row["beside"] = cpu.beside * 1e6 / load["requests"]
            return row

        table = Table("", [Column("cpu", "CPU µs per request"), Column("rps", "requests/s", 0), Column("busy", "core %", 0),
                           Column("p50", "p50 ms", 2), Column("p99", "p99 ms", 2), Column("resident", "resident MiB"),
                           Column("beside", "beside, µs")],
                      measure.rounds(options, candidates, one))
        result.tables.append(table)
        for peer, limit, words in (("haproxy", 0.70, "HAProxy (map, no Redis)"), ("nginx", 0.80, "nginx (map, no Redis)"),
                                   ("haproxy, tcp", 1.05, "HAProxy in TCP mode"),
                                   ("floor, turns", 1.25, "the floor, each request to the next of 1,000 endpoints"),
                                   ("nginx, Lua, Redis", 0.42, "nginx + Lua + Redis lookup per request"),
                                   ("configurable-http-proxy", 0.12, "configurable-http-proxy")):
            result.ratio(f"CPU per request against {words}", table, "cpu", "alcove", peer, limit)
        result.ratio("throughput on one core against HAProxy", table, "rps", "alcove", "haproxy", 1.25, at_most=False)
        pairs = table.median("alcove", "cpu") / table.median("floor, pairs", "cpu")
        result.notes.append(f"Against the floor in pairs, which touches 64 endpoints where Alcove touches 1,000: {pairs:.2f}.")
        result.commands, result.config = list(stage.commands), alcove.config
    return result
