"""Writes the tables of docs/model.md from a run of the models; test_model.py holds the page to its own run.

    /usr/bin/python3 tests/model/report.py [--deep]
"""

from __future__ import annotations

import re
import sys

from checker import HERE, MUTANTS, RUNS, run, run_mutant

PAGE = HERE.parents[1] / "docs" / "model.md"
TIME = re.compile(r" \| [\d.]+ s \|$")


def shown(story: tuple[str, ...]) -> str:
    """The steps in one cell: what follows at once, in one line."""
    return "; ".join(step.replace("|", "/") for step in story)


def runs_table(timed: bool, deep: bool) -> str:
    lines = ["| run | what happens in it | bounds | search | states | transitions | depth |" + (" time |" if timed else ""),
             "|---|---|---|---|---:|---:|---:|" + ("---:|" if timed else "")]
    kinds = {"safety": "assertions", "ltl": "`answered`, weak fairness", "cycles": "no cycle"}
    for one in RUNS:
        if one.deep != deep:
            continue
        result = run(one)
        if not result.complete:
            raise RuntimeError(f"{one.name} does not hold or was cut short:\n{result.output[-3000:]}")
        line = (f"| {one.name} | {one.what} | `{one.bounds}` | {kinds[one.search]} | {result.states:,} | "
                f"{result.transitions:,} | {result.depth} |")
        lines.append(line + (f" {result.seconds:.0f} s |" if timed else ""))
    return "\n".join(lines)


def mutants_table() -> str:
    lines = ["| guard | without it violated | the shortest run that shows it |", "|---|---|---|"]
    for mutant in MUTANTS:
        if mutant.unneeded:
            continue
        result = run_mutant(mutant)
        if result.errors != 1:
            raise RuntimeError(f"the guard of {mutant.name} is not needed")
        lines.append(f"| {mutant.guard} (`{mutant.name}`) | {result.violated} | {shown(result.story)} |")
    return "\n".join(lines)


def unneeded_table() -> str:
    lines = ["| guard | states without it | why it is there |", "|---|---:|---|"]
    for mutant in MUTANTS:
        if not mutant.unneeded:
            continue
        result = run_mutant(mutant)
        if not result.complete:
            raise RuntimeError(f"the guard of {mutant.name} is needed after all")
        lines.append(f"| {mutant.guard} (`{mutant.name}`) | {result.states:,} | {mutant.unneeded} |")
    return "\n".join(lines)


def tables(timed: bool) -> dict[str, str]:
    return {"Runs": runs_table(timed, deep=False), "Guards and what happens without them": mutants_table(),
            "Guards that no invariant needs": unneeded_table()}


def bounds_of(text: str, title: str) -> tuple[int, int]:
    """Where the table of a section begins and ends."""
    heading = text.index(f"\n## {title}\n")
    begin = text.index("\n| ", heading) + 1
    end = begin
    while text.startswith("|", end):
        end = text.index("\n", end) + 1
    return begin, end - 1


def section(text: str, title: str) -> str:
    begin, end = bounds_of(text, title)
    return text[begin:end]


def without_times(table: str) -> str:
    lines = table.splitlines()
    if lines[0].endswith(" time |"):
        lines = [lines[0].removesuffix(" time |"), lines[1].removesuffix("---:|"), *lines[2:]]
        lines[2:] = [TIME.sub(" |", line) for line in lines[2:]]
    return "\n".join(lines)


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    written = tables(timed=True)
    if "--deep" in sys.argv:
        written["Larger bounds"] = runs_table(timed=True, deep=True)
    for title, body in written.items():
        begin, end = bounds_of(text, title)
        text = text[:begin] + body + text[end:]
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
