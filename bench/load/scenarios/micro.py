"""The microbenchmarks: their time, and their instructions, which hold still when the machine does not."""

from __future__ import annotations

import json

from load import measure
from load.processes import BUILD, LOAD, Stage
from load.result import Column, Result, Table
from micro.instructions import per_operation

PROGRAMS = ("head", "route_cache", "watch", "store")


def run(options) -> Result:
    result = Result("micro", "Microbenchmarks", """
Google Benchmark; instructions are of user space, counted by callgrind over n and over 2n iterations: the difference is the
loop alone (bench/micro/instructions.py). What an operation is says each file's head.""")
    with Stage() as stage:
        for program in PROGRAMS:
            path = BUILD / "micro" / f"{program}_bench"

            def one(_) -> dict:
                out = stage.run([path, "--benchmark_format=json", f"--benchmark_min_time={min(0.5, options.seconds / 10):g}"],
                                LOAD, 600)
                return {run["name"]: run["cpu_time"] for run in json.loads(out)["benchmarks"]}

            times = measure.rounds(options, ["time"], one)["time"]
            rows = {name: {"time": values, "instructions": [per_operation(path, name)]} for name, values in times.items()}
            result.tables.append(Table(program, [Column("instructions", "instructions", 0), Column("time", "CPU ns")], rows))
        result.commands = list(stage.commands) + ["bench/micro/instructions.py"]
    return result
