#!/usr/bin/python3
"""Instructions per operation of a microbenchmark, by callgrind: those of the loop with 2n iterations less those
with n, over n (bench/micro/repeat.hpp).

    bench/micro/instructions.py [PROGRAM [NAME]]     all programs of build/bench/micro, or one, or one benchmark of it
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

ITERATIONS = 100
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build" / "bench" / "micro"


def collected(program: pathlib.Path, name: str, iterations: int) -> int:
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null", program,
         f"--benchmark_filter=^{re.escape(name)}/iterations:{iterations}$"],
        env={**os.environ, "ALCOVE_BENCH_ITERATIONS": str(iterations)}, capture_output=True, text=True, timeout=600)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found or "ERROR OCCURRED" in done.stdout + done.stderr:
        raise RuntimeError(f"{program} {name}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return int(found[1])


def per_operation(program: pathlib.Path, name: str) -> float:
    return (collected(program, name, 2 * ITERATIONS) - collected(program, name, ITERATIONS)) / ITERATIONS


def names(program: pathlib.Path) -> list[str]:
    out = subprocess.run([program, "--benchmark_list_tests"], capture_output=True, text=True, timeout=60, check=True).stdout
    return out.split()


def main():
    programs = [FOLDER / sys.argv[1]] if len(sys.argv) > 1 else sorted(FOLDER.glob("*_bench"))
    for program in programs:
        for name in [sys.argv[2]] if len(sys.argv) > 2 else names(program):
            print(f"{program.name:<18}{name:<28}{per_operation(program, name):>12,.0f}", flush=True)


if __name__ == "__main__":
    main()
