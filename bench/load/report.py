"""bench/RESULTS.md and its plots, from what the scenarios left as JSON. A scenario that is run again replaces its own part
and no other, so each part says when and how it was run."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess

from load import svg
from load.peers import CHP
from load.processes import BUILD, ROOT
from load.result import Column, Goal, Result, Table, load


def say(*command) -> str:
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return ""
    return done.stdout + done.stderr


def version(pattern: str, *command) -> str:
    found = re.search(pattern, say(*command))
    return found[1] if found else "not installed"


def machine() -> dict[str, str]:
    """What the figures depend on, beside the code."""
    package = CHP / "package.json"
    cpu = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    dirty = say("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no", "--", ":!bench").strip()
    return {
        "commit": say("git", "-C", ROOT, "rev-parse", "--short", "HEAD").strip() + (" with changes" if dirty else ""),
        "kernel": platform.release(),
        "machine": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} CPUs",
        "alcove": version(r"alcove ([\d.]+)", BUILD / "alcove", "version"),
        "haproxy": version(r"version ([\d.]+)", "haproxy", "-v"),
        "nginx": version(r"nginx/([\d.]+)", "nginx", "-v"),
        "redis-server": version(r"v=([\d.]+)", "redis-server", "--version"),
        "caddy": version(r"v?([\d.]+)", "caddy", "version"),
        "configurable-http-proxy": json.loads(package.read_text())["version"] if package.exists() else "not installed",
        "node": version(r"v([\d.]+)", "node", "--version"),
        "wrk": version(r"wrk (\S+)", "wrk", "-v"),
        "h2load": version(r"nghttp2/([\d.]+)", "h2load", "--version"),
        "valgrind": version(r"valgrind-([\d.]+)", "valgrind", "--version"),
        "gcc": version(r"\) ([\d.]+)", "gcc", "--version"),
    }


def cell(values: list[float] | None, column: Column) -> str:
    if not values:
        return "-"
    form = f",.{column.digits}f"
    scaled = [value * column.scale for value in values]
    middle = format(statistics.median(scaled), form)
    return middle if len(scaled) == 1 else f"{middle} ({format(min(scaled), form)} – {format(max(scaled), form)})"


def table_text(table: Table) -> str:
    lines = [f"**{table.title}**\n"] if table.title else []
    lines.append("| | " + " | ".join(column.head for column in table.columns) + " |")
    lines.append("|---|" + "---:|" * len(table.columns))
    for name, figures in table.rows.items():
        lines.append(f"| {name} | " + " | ".join(cell(figures.get(column.figure), column) for column in table.columns) + " |")
    return "\n".join(lines) + "\n"


def goal_row(goal: Goal) -> str:
    digits = 0 if goal.unit in (" bytes", " lost") else 2
    return (f"{goal.text} | {goal.value:.{digits}f}{goal.unit} | {'at most' if goal.at_most else 'at least'} "
            f"{goal.limit:g}{goal.unit} | {'met' if goal.met else '**not met**'} |")


def part(result: Result) -> str:
    run = result.run
    lines = [f"## {result.title} (`./dev bench {result.name}`)\n",
             f"{run['date']}, commit {run['commit']}, {run['rounds']} rounds of {run['seconds']:g} s"
             + (f", **load of the machine before: {run['load']:.1f}**" if run["load"] > 0.5 else "") + ".\n",
             result.text.strip() + "\n"]
    for table in result.tables:
        lines.append(table_text(table))
    for plot in result.plots:
        lines.append(f"![{plot.title}](plots/{plot.name}.svg)\n")
    if result.goals:
        lines += ["| goal | measured | wanted | |", "|---|---:|---:|---|"] + ["| " + goal_row(goal) for goal in result.goals] + [""]
    lines += [f"{note}\n" for note in result.notes]
    lines.append("<details><summary>Commands and configuration</summary>\n\n```")
    lines += result.commands
    lines.append("```")
    if result.config:
        lines.append(f"\n```yaml\n{result.config}\n```")
    lines.append("\n</details>\n")
    return "\n".join(lines)


HEAD = """# What it costs

Written by `./dev bench` (bench/load/report.py), not by hand. Each figure is the median of the rounds, with the least and the
most of them in brackets; candidates take turns round by round. Only what was measured in one run may be compared. A proxy has
one core and one worker, load generator and pods have the other core; all traffic is on the loopback. CPU is user and system
time of the proxy, its children included, from /proc. Access logs are off. Nothing of Alcove's rules, limits, time-outs, metrics
or activity is switched off: its configuration is printed with each part, and what is not in it has its default. The peers'
configurations are in bench/load/peer_configs.py. What was tried to get here is in [NOTES.md](NOTES.md).
"""


def write(results: pathlib.Path, out: pathlib.Path, order: list[str]):
    """results/NAME.json -> out/RESULTS.md and out/plots/*.svg"""
    known = [load(json.loads((results / f"{name}.json").read_text())) for name in order if (results / f"{name}.json").exists()]
    lines = [HEAD, "## All goals\n", "| part | goal | measured | wanted | |", "|---|---|---:|---:|---|"]
    lines += [f"| {result.name} | " + goal_row(goal) for result in known for goal in result.goals]
    lines += ["", "## Where\n", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in machine().items()]
    lines += ["", *(part(result) for result in known)]
    (out / "plots").mkdir(parents=True, exist_ok=True)
    for result in known:
        for plot in result.plots:
            (out / "plots" / f"{plot.name}.svg").write_text(svg.draw(plot))
    (out / "RESULTS.md").write_text("\n".join(lines))


def keep(result: Result, results: pathlib.Path):
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{result.name}.json").write_text(json.dumps(dataclasses.asdict(result), indent=1))


def show(result: Result) -> str:
    """The same for a terminal."""
    lines = []
    for table in result.tables:
        lines.append(f"  {table.title}" if table.title else "")
        rows = [["", *(column.head for column in table.columns)]]
        rows += [[name, *(cell(figures.get(column.figure), column) for column in table.columns)]
                 for name, figures in table.rows.items()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines += ["  " + row[0].ljust(widths[0]) + "".join("  " + text.rjust(width) for text, width in zip(row[1:], widths[1:]))
                  for row in rows]
    lines += [""] + ["  " + goal_row(goal).replace("**", "").rstrip(" |") for goal in result.goals]
    return "\n".join(lines + [f"  {note}" for note in result.notes])
