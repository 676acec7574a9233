#!/usr/bin/python3
"""Runs the fuzzers that ./dev has built.

    run.py list                        their names
    run.py short --junitxml REPORT     each: corpus and regressions replayed, then fuzzed for 8 s (./dev test fuzz)
    run.py long NAME|all [SECONDS]     for so long each (./dev fuzz); writes their rows in docs/fuzzing.md

As many at once as there are CPUs. Long runs begin with what the long runs before them have found out
(build/fuzz/corpus), short ones with what is in the repository. An input for which a property does not hold is kept
in build/fuzz/findings and shown, with the command that replays it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree

import report

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
BUILD = ROOT / "build" / "fuzz"
FINDINGS = BUILD / "findings"
SHORT_S = 8
LONG_S = 600
PATIENCE_S = 120  # for a fuzzer to end, past its time
SHOWN = 256  # bytes of a finding
# -timeout and -rss_limit_mb make an input that takes absurdly long, or much memory, a finding too.
LIMITS = ("-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1")

printing = threading.Lock()


@dataclasses.dataclass
class Run:
    code: int
    log: str
    seconds: int
    findings: list[pathlib.Path]


def targets() -> list[str]:
    return sorted(path.name.removesuffix("_fuzz.cpp") for path in HERE.glob("*_fuzz.cpp"))


def binary(target: str) -> pathlib.Path:
    return BUILD / "fuzzers" / f"{target}_fuzz"


def seeds(target: str) -> list[pathlib.Path]:
    return [place for place in (HERE / "corpus" / target, HERE / "regress" / target) if place.is_dir()]


def fuzz(target: str, *arguments: str | pathlib.Path, patience_s: float) -> Run:
    FINDINGS.mkdir(parents=True, exist_ok=True)
    before = set(FINDINGS.glob(f"{target}-*"))
    environment = os.environ | {
        "ASAN_OPTIONS": "quarantine_size_mb=64",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "ASAN_SYMBOLIZER_PATH": "/usr/lib/llvm-14/bin/llvm-symbolizer",
    }
    command = [binary(target), *LIMITS, f"-artifact_prefix={FINDINGS}/{target}-", *arguments]
    begun = time.monotonic()
    with tempfile.TemporaryFile(mode="w+", errors="replace", dir=BUILD) as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            code = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        text = log.read()
    return Run(code, text, round(time.monotonic() - begun), sorted(set(FINDINGS.glob(f"{target}-*")) - before))


def dictionary(target: str) -> list[str]:
    words = HERE / f"{target}.dict"
    return [f"-dict={words}"] if words.is_file() else []


def hexadecimal(data: bytes) -> str:
    lines = []
    for at in range(0, min(len(data), SHOWN), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        lines.append(f"    {at:04x}  {row.hex(' '):<47}  {text}")
    if len(data) > SHOWN:
        lines.append(f"    ... {len(data)} bytes in all")
    return "\n".join(lines)


def explain(run: Run) -> str:
    """What a failed run has to say: the property or the sanitizer's report, the input, how to see it again."""
    lines = run.log.splitlines()
    telling = next((i for i, line in enumerate(lines) if "NOT TRUE" in line or "ERROR: " in line or "runtime error" in line), None)
    said = lines[-25:] if telling is None else [line for line in lines[telling : telling + 40] if "NEW_FUNC" not in line]
    out = ["    " + line[:300] for line in said]
    if run.code == -1:
        out.append("    it did not end in time")
    for finding in run.findings:
        out.append(f"  the input, {finding.relative_to(ROOT)}:")
        out.append(hexadecimal(finding.read_bytes()))
        out.append(f"  replay: build/fuzz/fuzzers/{finding.name.split('-')[0]}_fuzz {finding.relative_to(ROOT)}")
    return "\n".join(out)


def say(text: str) -> None:
    with printing:
        print(text, flush=True)


def at_once(work, names: list[str]) -> list:
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(work, names))


# --- short


def replay(target: str) -> Run:
    files = sorted(path for place in seeds(target) for path in place.iterdir())
    if not files:
        return Run(1, f"{target} has no corpus", 0, [])
    run = fuzz(target, *files, patience_s=PATIENCE_S)
    if run.code == 0 and run.log.count("\nExecuted ") + run.log.startswith("Executed ") != len(files):
        run.code = 1
    return run


def fuzz_briefly(target: str) -> Run:
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        arguments = [f"-max_total_time={SHORT_S}", *dictionary(target), scratch, *seeds(target)]
        return fuzz(target, *arguments, patience_s=SHORT_S + PATIENCE_S)


def short(junit: pathlib.Path) -> int:
    suite = ElementTree.Element("testsuite", name="fuzz")
    failed = 0

    def check(target: str) -> list[tuple[str, Run]]:
        done = [("replays_its_corpus", replay(target)), (f"finds_nothing_in_{SHORT_S}_seconds", fuzz_briefly(target))]
        for name, run in done:
            say(f"  {'ok    ' if run.code == 0 else 'FAILED'} {target}: {name.replace('_', ' ')}")
            if run.code != 0:
                say(explain(run))
        return done

    for target, done in zip(targets(), at_once(check, targets())):
        for name, run in done:
            case = ElementTree.SubElement(suite, "testcase", classname=f"fuzz.{target}", name=name, time=str(run.seconds))
            if run.code != 0:
                failed += 1
                printable = "".join(c if c.isprintable() or c == "\n" else "?" for c in explain(run))
                ElementTree.SubElement(case, "failure", message="a finding").text = printable
    ElementTree.ElementTree(suite).write(junit, encoding="utf-8", xml_declaration=True)
    return 1 if failed else 0


# --- long


def fuzz_long(target: str, seconds: int) -> tuple[Run, report.Outcome]:
    working = BUILD / "corpus" / target
    working.mkdir(parents=True, exist_ok=True)
    arguments = [f"-max_total_time={seconds}", *dictionary(target), working, *seeds(target)]
    run = fuzz(target, *arguments, patience_s=seconds + PATIENCE_S)
    outcome = report.read(target, run.log, run.seconds, max(len(run.findings), int(run.code != 0)))
    say(
        f"  {'ok    ' if run.code == 0 else 'FAILED'} {target}: {outcome.executions:,} executions in {outcome.seconds} s, "
        f"{outcome.edges} edges, {outcome.findings} findings"
    )
    if run.code != 0:
        say(explain(run))
    return run, outcome


def commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "an unknown commit"


def long(name: str, seconds: int) -> int:
    names = targets() if name == "all" else [name]
    if name != "all" and name not in targets():
        sys.exit(f"there is no fuzzer \"{name}\": {', '.join(targets())}")
    say(f"  {', '.join(names)}: {seconds} s each")
    done = at_once(lambda target: fuzz_long(target, seconds), names)
    when = f"{datetime.date.today()}, {os.cpu_count()} CPUs, {commit()}"
    report.update(ROOT / "docs" / "fuzzing.md", [outcome for _, outcome in done], when)
    say("  docs/fuzzing.md is brought up to date")
    return 1 if any(run.code != 0 for run, _ in done) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    commands.add_parser("short").add_argument("--junitxml", type=pathlib.Path, required=True)
    long_run = commands.add_parser("long")
    long_run.add_argument("name")
    long_run.add_argument("seconds", type=int, nargs="?", default=LONG_S)
    given = parser.parse_args()
    if given.command == "list":
        print("\n".join(targets()))
        return 0
    return short(given.junitxml) if given.command == "short" else long(given.name, given.seconds)


if __name__ == "__main__":
    sys.exit(main())
