"""A new connection for each request, plain and over TLS 1.3."""

from __future__ import annotations

from load import measure, peers
from load.backend import backend
from load.processes import Stage
from load.result import Column, Result, Table


def run(options) -> Result:
    result = Result("connections", "A new connection for each request", f"""
{measure.CONNECTIONS} clients at a time connect, ask once with `Connection: close`, read to the end
(bench/load/connections.c). Over TLS each handshake is a full one. Connections to the pods are kept.""")
    with Stage() as stage:
        pods = backend(stage, measure.USERS)
        tls = peers.certificate(stage)
        alcove = peers.alcove(stage, pods, tls=tls)
        candidates = [alcove, peers.haproxy(stage, pods, tls=tls), peers.nginx(stage, pods, tls=tls)]
        negotiated = set()

        def over(secure: bool):
            def one(peer: peers.Peer) -> dict:
                measure.warm(stage, peer)
                with measure.Cpu(peer) as cpu:
                    load = measure.connections(stage, peer, options.seconds, secure)
                negotiated.add(load["negotiated"])
                return {"cpu": cpu.used * 1e6 / load["answered"], "rps": load["answered"] / load["seconds"],
                        "busy": 100 * cpu.used / load["seconds"], "p50": load["p50_us"] / 1000, "p99": load["p99_us"] / 1000}
            return one

        columns = [Column("cpu", "CPU µs per request"), Column("rps", "requests/s", 0), Column("busy", "core %", 0),
                   Column("p50", "p50 ms", 2), Column("p99", "p99 ms", 2)]
        for secure, words in ((False, "plain"), (True, "TLS 1.3")):
            table = Table(words, columns, measure.rounds(options, candidates, over(secure)))
            result.tables.append(table)
            result.ratio(f"CPU per request, {words}, against HAProxy", table, "cpu", "alcove", "haproxy", 1.0)
        negotiated.discard("")
        if len(negotiated) != 1:
            raise RuntimeError(f"the candidates did not negotiate the same: {negotiated}")
        result.notes.append(f"Negotiated with all: {negotiated.pop()}; the certificate is ECDSA P-256; no session was resumed.")
        result.commands, result.config = list(stage.commands), alcove.config
    return result
