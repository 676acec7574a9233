"""What a run of a fuzzer came to, read from libFuzzer's own words; and the table of it in docs/fuzzing.md.

Called by run.py. The words are those of clang 14's libFuzzer with -print_final_stats=1.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re

BEGIN = "<!-- written by ./dev fuzz all -->"
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


def table(outcomes: list[Outcome], about: str) -> str:
    rows = [
        about,
        "",
        "| target | executions | seconds | a second | edges covered | findings |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for o in outcomes:
        rows.append(
            f"| {o.target} | {o.executions:,} | {o.seconds:,} | {o.executions // max(1, o.seconds):,} "
            f"| {o.edges:,} | {o.findings} |"
        )
    return "\n".join(rows)


def replace(page: pathlib.Path, text: str) -> None:
    """Puts `text` between the two marks in `page`."""
    whole = page.read_text(encoding="utf-8")
    head, begin, rest = whole.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no marks for the table")
    page.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
