"""Fixtures for the tests against the real process. Every run is checked at the end of its test (Alcove.check_end)."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.alcove import BIN, DEMO, Alcove  # noqa: E402
from support.bounded import no_longer_than  # noqa: E402
from support.gate import Gate  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "threads: run with ThreadSanitizer too")


def pytest_sessionstart(session):
    for program in (BIN, DEMO):
        if not program.exists():
            raise pytest.UsageError(f"{program} is missing: ./dev build asan makes it, or set ALCOVE_BIN")


LONGEST_S = 420


@pytest.fixture(autouse=True)
def bounded():
    with no_longer_than(LONGEST_S):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    runs = getattr(item, "alcove_runs", [])
    if report.failed:
        for run in runs:
            report.sections.append((f"alcove {run.role} ({run.file})", run.log[-12000:]))


@pytest.fixture
def place():
    """A short directory: paths of sockets and FIFOs have a limit. Kept if the test leaves it broken."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="alcove-flow-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make(request, place):
    """make(**config keys) -> a started Alcove, ended and checked after the test."""
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
def alcove(make) -> Alcove:
    return make()


@pytest.fixture
def gate(place) -> Gate:
    return Gate(place)


@pytest.fixture
def redis(place):
    server = RedisServer(place / "redis").start()
    yield server
    server.stop()
