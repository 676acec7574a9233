"""5,000 requests that wait for their pods at once: what each weighs, and whether all are answered in the end."""

from __future__ import annotations

import json
import re
import time

from load import measure, peers
from load.backend import Backend
from load.processes import BUILD, LOAD, Stage, free_port
from load.result import Column, Goal, Result, Table


def holds_now(peer: peers.Peer) -> int:
    _, text = peers.get(peer.admin, "/metrics")
    return int(float(re.search(r"^alcove_gateway_holds_now (\S+)", text, re.M)[1]))


def run(options) -> Result:
    count = options.shrink(5000)
    result = Result("holds", "Requests that wait for a pod", f"""
{count:,} clients ask at once for users whose pods do not listen yet. When the gateway says that it holds {count:,} requests, its
resident memory is read; what it has more than before the first client, divided by {count:,}, is what a held request weighs:
its connection, its head, its seat. Then the pods begin to listen, and every request has to be answered by its pod.
`limits.holds` is its default, {5000:,}.""")
    config = ""

    def one(users: int) -> dict:
        nonlocal config
        with Stage() as stage:
            pods = Backend(free_port(), 1000)
            peer = peers.alcove(stage, pods)
            config = peer.config
            before = measure.settled_bytes(peer.process)
            load = stage.start("http_load", [BUILD / "load" / "http_load", "--port", peer.port, "--users", users, "--requests",
                                             count, "--connections", count, "--sources", 5, "--timeout", 90],
                               LOAD)
            stage.note(load.popen.args[3:])
            deadline = time.monotonic() + 30
            while (now := holds_now(peer)) < count:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"only {now} of {count} are held\n{load.tail()}")
                time.sleep(0.1)
            held = measure.resident_bytes(peer.process)
            released = time.monotonic()
            pods.start(stage)
            load.popen.wait(120)
            took = time.monotonic() - released
            answers = json.loads(load.log.read_text().splitlines()[-1])
            result.commands = list(stage.commands)
            return {"each": (held - before) / count / 1024, "lost": count - answers["answered"], "took": took}

    few = options.shrink(5000) // 250
    columns = [Column("each", "KiB per held request", 2), Column("lost", "not answered with 200", 0),
               Column("took", "until all were answered, s", 2)]
    rows = {f"{few} users, 250 each": few, f"{count:,} users, one each": count}
    table = Table("", columns, {words: {} for words in rows})
    for words, users in rows.items():
        table.rows[words] = measure.rounds(options, ["alcove"], lambda _, users=users: one(users))["alcove"]
    result.tables.append(table)
    first = next(iter(rows))
    result.goals.append(Goal(f"memory per held request ({first})", table.median(first, "each"), 4, unit=" KiB"))
    result.goals.append(Goal("requests lost, the most of all rounds", max(max(row["lost"] for row in table.rows.values())), 0,
                             unit=" lost"))
    result.notes.append(f"With {count:,} users each request brings a session, its record in the memory store and a waiting room "
                        "of its own; the goal is about the request.")
    result.config = config
    return result
