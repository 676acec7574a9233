"""Writes docs/conformance.md: rules, tests, cases and their state, from the JUnit report of a run of the whole group.

    table.py REPORT        called by ./dev test conformance

What a rule says is the first line of its tests' file; what a test proves is its name. Nothing in the table is written by
hand, and test_table.py fails when it names other tests than there are.
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE.parents[1] / "docs" / "conformance.md"
RULES = range(1, 28)
RULE = re.compile(r"test_rule_(\d\d)_")


@dataclasses.dataclass
class File:
    path: pathlib.Path
    title: str  # the first sentence of its docstring
    tests: list[str]

    @property
    def rule(self) -> int | None:
        found = RULE.match(self.path.name)
        return int(found[1]) if found else None


def files() -> list[File]:
    """The suite as its sources say, in order."""
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        text = " ".join(ast.get_docstring(tree).split())
        title = re.match(r".*?\.(?= [A-Z])|.*", text)[0].rstrip(".:")
        tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
        found.append(File(path, title, tests))
    return sorted(found, key=lambda file: (file.rule or 99, file.path.name))


def results(report: pathlib.Path) -> dict[str, collections.Counter]:
    """test -> how many of its cases passed, failed or were skipped."""
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        state = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
        counts[case.get("name").partition("[")[0]][state] += 1
    return counts


def state(counts: collections.Counter) -> str:
    if not counts:
        return "not run"
    if counts["failed"]:
        return f"**red**: {counts['failed']} of {counts.total()} fail"
    return f"{counts['skipped']} of {counts.total()} skipped" if counts["skipped"] else "green"


def words(test: str) -> str:
    return re.sub(r"^test_(rule_\d\d_)?", "", test).replace("_", " ")


def render(suite: list[File], counts: dict[str, collections.Counter]) -> str:
    def together(file: File) -> collections.Counter:
        return sum((counts.get(test, collections.Counter()) for test in file.tests), collections.Counter())

    everything = sum((together(file) for file in suite), collections.Counter())
    ruled = [file for file in suite if file.rule]
    lines = [
        "# Conformance",
        "",
        "Written by `tests/conformance/table.py` from the names of the tests and a run of `./dev test conformance`, never by",
        "hand.",
        "",
        f"{len({file.rule for file in ruled})} rules, {sum(len(file.tests) for file in suite)} tests, {everything.total()} cases:"
        f" {state(everything)}.",
        "",
        "The gateway runs as a process with AddressSanitizer and UndefinedBehaviorSanitizer between raw sockets: a test is",
        "the client and the pod, and sees every byte of both. Cases run over plain TCP and over TLS and are counted for each.",
        "At the end the process must end with 0, without a report, and with as many descriptors as it began with.",
        "",
        "| rule | tests | cases | state |",
        "|---|---|---|---|",
    ]
    for file in suite:
        total = together(file)
        link = f"[{file.title}](../tests/conformance/{file.path.name})"
        lines.append(f"| {link} | {len(file.tests)} | {total.total()} | {state(total)} |")
    for file in suite:
        lines += ["", f"## {file.title}", "", "| test | cases | state |", "|---|---|---|"]
        for test in file.tests:
            one = counts.get(test, collections.Counter())
            lines.append(f"| {words(test)}<br>`{test}` | {one.total()} | {state(one)} |")
    return "\n".join(lines) + "\n"


def named_in(text: str) -> list[str]:
    return re.findall(r"<br>`(test\w*)`", text)


if __name__ == "__main__":
    TABLE.write_text(render(files(), results(pathlib.Path(sys.argv[1]))), encoding="utf-8")
    print(f"wrote {TABLE}")
