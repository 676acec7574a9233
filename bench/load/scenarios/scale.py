"""Does a request cost more among a million sessions? And is a second worker worth a second core?"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json

from load import measure, peers
from load.backend import FIRST, Backend, Redis, backend, redis
from load.processes import ANY, BUILD, LOAD, Stage
from load.result import Column, Goal, Result, Table

ASKED = 100  # users whose requests are measured, the same number on both sides


def fill(stage: Stage, store: Redis, pods: Backend, sessions: int):
    stage.run([BUILD / "load" / "store_load", "fill", "--redis", store.port, "--sessions", sessions, "--endpoints", FIRST,
               pods.count, pods.port], ANY, 60 + sessions / 500)


def run(options) -> Result:
    many, known = options.shrink(1_000_000), options.shrink(100_000)
    result = Result("scale", "Many sessions", f"""
Two gateways, each with a Redis of its own: {ASKED} sessions, all of them known to the gateway; and {many:,} sessions, of which
the gateway knows {known:,}, each having been asked for once. Both are then asked for {ASKED} users, in the second case evenly
spread among those it knows. Only the role `gateway` runs: the roles that start and stop pods have nothing to do here, and
what they cost is not a request's.""")
    with Stage() as stage:
        pods = backend(stage, measure.USERS)
        few_store, many_store = redis(stage), redis(stage)
        fill(stage, few_store, pods, ASKED)
        fill(stage, many_store, pods, many)
        few_name, many_name = f"{ASKED} sessions", f"{many:,} sessions"
        few = peers.alcove(stage, pods, few_name, "gateway", store=few_store)
        many_peer = peers.alcove(stage, pods, many_name, "gateway", store=many_store)
        measure.warm(stage, few, ASKED)
        before = measure.settled_bytes(many_peer.process)
        measure.http_load(stage, many_peer.port, users=known, requests=known, connections=16, timeout=60)
        after = measure.settled_bytes(many_peer.process, 15)

        scripts = {few_name: stage.write("few.lua", measure.users_lua(list(range(ASKED)))),
                   many_name: stage.write("many.lua", measure.users_lua(list(range(0, known, known // ASKED))[:ASKED]))}

        def one(peer: peers.Peer) -> dict:
            measure.wrk(stage, peer.port, 1, scripts[peer.name])  # connections to the pods are open again
            with measure.Cpu(peer) as cpu:
                load = measure.wrk(stage, peer.port, options.seconds, scripts[peer.name])
            return {"cpu": cpu.used * 1e6 / load["requests"], "rps": load["requests"] / load["seconds"],
                    "resident": measure.resident_bytes(peer.process) / 2**20}

        table = Table("", [Column("cpu", "CPU µs per request", 2), Column("rps", "requests/s", 0),
                           Column("resident", "resident MiB")], measure.rounds(options, [few, many_peer], one))
        result.tables.append(table)
        result.ratio(f"CPU per request among {many:,} sessions against {ASKED}", table, "cpu", many_name, few_name, 1.10)
        result.goals.append(Goal("memory of a route in the route cache (malloc, route_cache_bench)",
                                 bytes_per_route(stage), 160, unit=" bytes"))
        result.notes.append(f"Resident memory grew by {(after - before) / known:,.0f} bytes for each user of whom the gateway "
                            f"learnt ({known:,} of them, one after the other): the route, and what else it keeps for a while.")
        result.commands, result.config = list(stage.commands), many_peer.config
    return result


def bytes_per_route(stage: Stage) -> float:
    out = stage.run([BUILD / "micro" / "route_cache_bench", "--benchmark_filter=find/100000", "--benchmark_format=json",
                     "--benchmark_min_time=0.05"], ANY, 120)
    return json.loads(out)["benchmarks"][0]["bytes_per_route"]


def workers(options) -> Result:
    result = Result("workers", "A second worker", """
The same load against one worker and against two. Where load generator, pods and two workers share two cores, throughput says
nothing, so CPU accounting does: two workers on two cores of their own serve 2 x (CPU per request of one) / (CPU per request of
two) times what one serves. Nothing is pinned here, so that the two workers do run at the same time, on different cores. What
the crowded machine takes of that is told by two processes with one worker each, which share nothing, and by HAProxy with one
thread and with two. The load is the same for all: two generators with half of the connections each.""")
    with Stage() as stage:
        pods = backend(stage, measure.USERS, core=ANY)
        script = stage.write("users.lua", measure.users_lua(list(range(measure.USERS))))
        many = [peers.alcove(stage, pods, f"{n} worker{'s' * (n > 1)}", core=ANY, workers=n) for n in (1, 2)]
        apart = [peers.alcove(stage, pods, f"process {n} of 2", core=ANY) for n in (1, 2)]
        threads = [peers.haproxy(stage, pods, f"haproxy, {n} thread{'s' * (n > 1)}", core=ANY, threads=n) for n in (1, 2)]
        candidates = {peer.name: [peer] for peer in (*many, *threads)} | {"2 processes": apart}

        def one(name: str) -> dict:
            loaded = candidates[name]
            for peer in loaded:
                measure.warm(stage, peer, connections=measure.CONNECTIONS)
            with contextlib.ExitStack() as measured, concurrent.futures.ThreadPoolExecutor() as pool:
                cpus = [measured.enter_context(measure.Cpu(peer)) for peer in loaded]
                loads = list(pool.map(lambda peer: measure.wrk(stage, peer.port, options.seconds, script,
                                                               measure.CONNECTIONS // 2, ANY), loaded * (2 // len(loaded))))
            used, requests = sum(cpu.used for cpu in cpus), sum(load["requests"] for load in loads)
            return {"cpu": used * 1e6 / requests, "rps": requests / loads[0]["seconds"],
                    "busy": 100 * used / loads[0]["seconds"]}

        table = Table("", [Column("cpu", "CPU µs per request", 2), Column("rps", "requests/s", 0), Column("busy", "core %", 0)],
                      measure.rounds(options, list(candidates), one))
        result.tables.append(table)

        def gain(single: str, double: str) -> float:
            return 2 * table.median(single, "cpu") / table.median(double, "cpu")

        result.goals.append(Goal("throughput of two workers against one, by CPU accounting", gain("1 worker", "2 workers"), 1.9,
                                 at_most=False))
        alike = table.median("2 workers", "cpu") / table.median("2 processes", "cpu")
        result.notes.append(f"In the same way two processes: {gain('1 worker', '2 processes'):.2f}, and HAProxy's second thread: "
                            f"{gain('haproxy, 1 thread', 'haproxy, 2 threads'):.2f}. A request costs two workers of one process "
                            f"{alike:.2f} of what it costs the two processes.")
        result.commands, result.config = list(stage.commands), many[1].config
    return result
