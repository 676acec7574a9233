"""What a run of a fuzzer came to, read from libFuzzer's own words; and the table of it in docs/fuzzing.md.

Called by run.py. The words are those of clang 14's libFuzzer with -print_final_stats=1.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re

BEGIN = "<!-- written by ./dev fuzz -->"
END = "<!-- to here -->"


@dataclasses.dataclass(frozen=True)
class Outcome:
    target: str
    executions: int
    seconds: int
    edges: int  # covered, of those that tests/fuzz/not_counted.txt leaves
    findings: int


def _last(pattern: str, log: str) -> int | None:
    found = re.findall(pattern, log, re.MULTILINE)
    return int(found[-1]) if found else None


def read(target: str, log: str, seconds: int, findings: int) -> Outcome:
    """`log`: all that the fuzzer wrote. `seconds`: how long it ran. Raises ValueError if it never got to run."""
    executions = _last(r"^stat::number_of_executed_units:\s*(\d+)$", log)
    edges = _last(r"^#\d+\s.*\bcov: (\d+)", log)
    if executions is None:
        raise ValueError(f"{target}: the fuzzer said nothing about what it did")
    return Outcome(target, executions, seconds, edges or 0, findings)


def row(outcome: Outcome, when: str) -> str:
    return (f"| {outcome.target} | {outcome.executions:,} | {outcome.seconds:,} "
            f"| {outcome.executions // max(1, outcome.seconds):,} | {outcome.edges:,} | {outcome.findings} | {when} |")


def update(page: pathlib.Path, outcomes: list[Outcome], when: str) -> None:
    """Puts a row for each outcome between the two marks in `page`, in the place of the one of its last run."""
    head, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    table, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no marks for the table")
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if re.match(r"\| \w+ \| \d", line)}
    rows |= {outcome.target: row(outcome, when) for outcome in outcomes}
    lines = [
        "| target | executions | seconds | a second | edges covered | findings | run |",
        "|---|---:|---:|---:|---:|---:|---|",
        *(rows[target] for target in sorted(rows)),
    ]
    page.write_text(f"{head}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{tail}", encoding="utf-8")
