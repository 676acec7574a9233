"""Faults under load. Each test breaks one thing while a load runs (support/load.py) and writes one row of
docs/reliability.md into build/reports/faults/. With ALCOVE_SOAK=1 (./dev soak) they take longer and break more."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.alcove import BIN, ROOT, Alcove  # noqa: E402
from support.bounded import no_longer_than  # noqa: E402
from support.faulty_link import FaultyLink  # noqa: E402
from support.gate import Gate  # noqa: E402
from support.house import House  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

SOAK = os.environ.get("ALCOVE_SOAK") == "1"
LONGEST_S = 1800 if SOAK else 240


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: only in ./dev soak")
    config.addinivalue_line("markers", "alone: compares latencies, so that nothing else may run beside it")


def pytest_collection_modifyitems(config, items):
    if not SOAK:
        for item in [i for i in items if i.get_closest_marker("soak")]:
            items.remove(item)


def pytest_sessionstart(session):
    if not BIN.exists():
        raise pytest.UsageError(f"{BIN} is missing: ./dev build makes it, or set ALCOVE_BIN")


@pytest.fixture
def soak() -> bool:
    return SOAK


@pytest.fixture(autouse=True)
def bounded():
    with no_longer_than(LONGEST_S):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for run in getattr(item, "alcove_runs", []):
            report.sections.append((f"alcove {run.role} ({run.file})", run.log[-6000:]))


@pytest.fixture
def place():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="alcove-faults-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make(request, place):
    runs: list[Alcove] = []
    request.node.alcove_runs = runs

    def make_run(start: bool = True, **keys) -> Alcove:
        run = Alcove(place / f"run{len(runs)}", **keys)
        runs.append(run)
        return run.start() if start else run

    yield make_run
    problems = []
    for check in [*(run.check_exit for run in reversed(runs)), *(run.check_nothing_left for run in runs)]:
        try:
            check()
        except AssertionError as problem:
            problems.append(str(problem))
    for run in runs:
        if run.process and run.process.poll() is None:
            run.process.kill()
    assert not problems, "\n\n".join(problems)


@pytest.fixture
def redis_server(place):
    """redis_server(**RedisServer keys) -> a started server of the test's own."""
    servers = []

    def start(**keys) -> RedisServer:
        directory = keys.pop("directory", place / f"redis{len(servers)}")
        servers.append(RedisServer(directory, **keys))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(params=[False, True], ids=["aof off", "aof on"])
def redis(request, redis_server):
    return redis_server(aof=request.param)


@pytest.fixture
def plain_redis(redis_server):
    return redis_server()


@pytest.fixture
def link():
    """link(port) -> a FaultyLink to it."""
    links = []

    def stand(port: int) -> FaultyLink:
        links.append(FaultyLink(port))
        return links[-1]

    yield stand
    for one in links:
        one.close()


@pytest.fixture
def house(make, place):
    return lambda store, *arguments, **keys: House(make, place, store, *arguments, **keys)


@pytest.fixture
def row(request):
    """row(fault, during, *loads, **more): judges the loads and writes the table's row. Lost and wrong must be 0."""

    def write(fault: str, during: str, *loads, least: int = 100, **more):
        rows = [load.row() for load in loads]
        whole = {key: sum(r[key] for r in rows) for key in ("users", "sent", "right", "clear", "own", "lost", "wrong")}
        recover = [r["recover_s"] for r, load in zip(rows, loads) if load.fault_began]
        errors: dict[str, int] = {}
        for r in rows:
            for what, count in r["errors"].items():
                errors[what] = errors.get(what, 0) + count
        whole.update(fault=fault, during=during, recover_s=None if None in recover or not recover else round(max(recover), 2),
                     errors=errors, test=request.node.nodeid.split("::", 1)[-1], group=request.node.path.stem,
                     binary=BIN.parent.name, soak=SOAK, at=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), **more)
        directory = ROOT / "build" / "reports" / "faults"
        directory.mkdir(parents=True, exist_ok=True)
        name = "".join(c if c.isalnum() else "_" for c in f"{whole['group']}__{whole['test']}")
        (directory / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        print({k: whole[k] for k in ("sent", "right", "clear", "own", "lost", "wrong", "recover_s", "errors")})
        problems = "\n".join(load.problems() for load in loads)
        assert whole["lost"] == 0 and whole["wrong"] == 0, problems
        assert whole["right"] >= least, f"too little load: {whole}"

    return write


@pytest.fixture
def gate(place) -> Gate:
    return Gate(place)
