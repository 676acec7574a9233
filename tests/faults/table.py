#!/usr/bin/env python3
"""Writes docs/reliability.md from what the tests of tests/faults have written into build/reports/faults/.

    table.py COMMAND     the command that was run is told in the document
Rows of ./dev soak take the place of the shorter ones of ./dev test with the same name.
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPORTS = ROOT / "build" / "reports" / "faults"
GROUPS = {
    "test_roles_killed": "Processes killed",
    "test_redis": "Redis",
    "test_isolation": "A gateway alone",
    "test_pods": "Pods",
    "test_clock": "Clocks",
    "test_disk": "Disks",
    "test_herds": "Herds",
    "test_eviction_rounds": "Eviction against return",
}
TEXT = """# Reliability

What was broken on purpose while a load ran, and what became of every request. Written by `tests/faults/table.py` from a
real run of `{command}` on a machine with {cpus} CPUs ({system}), {first} to {last}.

Everything is real: the `alcove` binary as separate gateways, provisioner and reaper on loopback, pods as processes,
`redis-server`. Every request carries an id and says who asks; its pod answers with both, with its session and its pid.
So each answer is one of

- **right**: from this user's pod, to this very request, whole;
- **clear**: an error in Alcove's own words, with a code, and with `Retry-After` where one is promised. With pods that are
  killed that includes the 502 of a request that must not be sent twice;
- **own**: its connection went to a gateway that was killed, or its pod was killed in the middle of an answer;
- **lost** (must be 0): cut, reset, cut short, silent, or a 502 although no pod was killed;
- **wrong** (must be 0): another user's pod, an older pod after a newer one had answered, or another request's answer.

*Recovers in*: from the end of the fault until the last user who asks all the time has had a right answer.

"""
HEAD = ("| fault | load during it | sent | right | clear | own | lost | wrong | recovers in | binary |\n"
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|\n")


def rows() -> list[dict]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(REPORTS.glob("*.json"))]


def cells(row: dict) -> str:
    recovers = "" if row["recover_s"] is None else f"{row['recover_s']:.1f} s"
    numbers = " | ".join(f"{row[key]:,}" for key in ("sent", "right", "clear", "own", "lost", "wrong"))
    return f"| {row['fault']} | {row['during']} | {numbers} | {recovers} | {row['binary']} |\n"


def text(command: str) -> str:
    all_rows = rows()
    assert all_rows, f"no reports in {REPORTS}: run ./dev test faults"
    times = sorted(row["at"] for row in all_rows)
    out = TEXT.format(command=command, cpus=os.cpu_count(), system=f"Linux {platform.release().split('-')[0]}",
                      first=times[0], last=times[-1])
    for group, title in GROUPS.items():
        mine = [row for row in all_rows if row["group"] == group]
        if mine:
            out += f"## {title}\n\n{HEAD}{''.join(cells(row) for row in mine)}\n"
    total = {key: sum(row[key] for row in all_rows) for key in ("sent", "right", "clear", "own", "lost", "wrong")}
    out += (f"In all {total['sent']:,} requests: {total['right']:,} right, {total['clear']:,} clear errors, {total['own']:,} "
            f"on connections of their own killed gateway or pod, {total['lost']} lost, {total['wrong']} from a wrong pod.\n")
    return out


def main():
    (ROOT / "docs" / "reliability.md").write_text(text(" ".join(sys.argv[1:]) or "./dev test faults"), encoding="utf-8")


if __name__ == "__main__":
    main()
