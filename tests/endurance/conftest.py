"""Tests that take load: the release binary, since sanitizers would be what is measured; nginx as every user's pod."""

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.alcove import BIN, Alcove  # noqa: E402
from support.bounded import no_longer_than  # noqa: E402
from support.nginx import Nginx  # noqa: E402

LONGEST_S = 420


def pytest_sessionstart(session):
    if not BIN.exists():
        raise pytest.UsageError(f"{BIN} is missing: ./dev build makes it, or set ALCOVE_BIN")


@pytest.fixture(autouse=True)
def bounded():
    with no_longer_than(LONGEST_S):
        yield


@pytest.fixture
def place():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="alcove-endurance-"))
    directory.chmod(0o755)  # nginx' worker is another user
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def gateway(place):
    """gateway(**config keys) -> a started Alcove whose app "test" is nginx for everyone."""
    nginx = Nginx(place / "nginx").start()
    runs = []

    def make(**keys) -> Alcove:
        run = Alcove(place / f"run{len(runs)}", **{
            "runtime": {"static": {"endpoints": [nginx.endpoint], "shared": True}}, "log": {"access": False},
            "apps": {"test": {"ready_path": "/"}}, **keys})
        runs.append(run)
        return run.start()

    yield make
    for run in runs:
        run.check_exit()
    nginx.stop()
