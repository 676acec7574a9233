"""The conformance suite: the gateway as a process between raw sockets, over plain TCP and over TLS.

Each file is one rule of the table in docs/conformance.md, or a few that belong together; each test is named for its rule.
A test gets a `wire`: a client side of one transport, the pod side, and a user whom nobody else has, so that the route and
the pooled connections are its own. One process serves all tests that need nothing special; it must end with 0, without a
sanitizer's report, and with as many descriptors as it began with.
"""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.alcove import BIN  # noqa: E402
from support.bounded import no_longer_than  # noqa: E402
from support.certificates import make_certificate  # noqa: E402
from support.raw_pod import RawPod  # noqa: E402
from support.wire import JWT_SECRET, TRANSPORTS, Wire, app, run_gateway  # noqa: E402

LONGEST_S = 120


def pytest_sessionstart(session):
    if not BIN.exists():
        raise pytest.UsageError(f"{BIN} is missing: ./dev build asan makes it, or set ALCOVE_BIN")


@pytest.fixture(autouse=True)
def bounded():
    with no_longer_than(LONGEST_S):
        yield


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"), "conformance")


@pytest.fixture(scope="session", autouse=True)
def place():
    """A short directory for processes' files."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="alcove-conf-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_gateway(place, certificate):
    """make_gateway(pods, **config) -> a process for one test."""
    runs = []

    def make(pods: list, **keys):
        run = run_gateway(place, certificate, pods, **keys)
        runs.append(run)
        return next(run)

    yield make
    for run in runs:
        next(run, None)


@pytest.fixture(scope="session")
def shared(place, certificate):
    """The process that most tests share, and its pod."""
    pod = RawPod()
    apps = {
        "test": app(),
        "small": app(body_limit="1KiB"),
        "renamed": app(host_header="inner.example:8080"),
        "prefixed": app(path="/prefixed/", strip_path=True),
        "jwt": app(identity_jwt={"secret": JWT_SECRET}, identity_header="X_App_User"),
    }
    for run in run_gateway(place, certificate, [pod], apps=apps):
        yield run, pod


@pytest.fixture(scope="session")
def late(place, certificate):
    """A process whose pod does not listen until a test says so: sessions that are new are held."""
    pod = RawPod(listening=False)
    for run in run_gateway(place, certificate, [pod], apps={"test": app(), "hasty": app(hold_timeout="1s")},
                           limits={"holds_per_user": 8}):
        yield run, pod


@pytest.fixture(params=TRANSPORTS)
def transport(request) -> str:
    return request.param


@pytest.fixture
def wire(shared, transport):
    """On the shared process. Afterwards it must still serve."""
    run, pod = shared
    made = Wire(run, pod, transport)
    yield made
    made.close()
    after = Wire(run, pod, "tcp")
    client, link = after.send("GET /after HTTP/1.1")
    # What the test broke off can still be sent again.
    while link.read_request().get("X-Alcove-User") != after.user:
        link = pod.accept()
    link.answer()
    assert client.read_response().status == 200
    after.close()


@pytest.fixture
def held(late, transport):
    """On the process whose pod does not listen: wire.pod.listen() makes the session ready."""
    run, pod = late
    made = Wire(run, pod, transport)
    yield made
    made.close()
    pod.refuse()


# --- tests that wait for a limit of half a minute -----------------------------------------------------------------


def pytest_configure(config):
    config.addinivalue_line("markers", "patient: what it waits for begins with the session (fixture `patience`)")


def pytest_collection_modifyitems(items):
    """They come last, when most of the waiting is over."""
    items.sort(key=lambda item: item.get_closest_marker("patient") is not None)


@pytest.fixture(scope="session", autouse=True)
def patience(request, place, certificate):
    """(name, transport) -> what the function of a mark patient(begin=...) began: it is called with a wire for each
    transport, at the start, on a process that does nothing else."""
    begun = {}
    marks = {}
    for item in request.session.items:
        for mark in item.iter_markers("patient"):
            marks[mark.kwargs["begin"]] = mark.kwargs["begin"].__name__
    if not marks:
        yield begun
        return
    pod = RawPod()
    wires = []
    for run in run_gateway(place, certificate, [pod]):
        for begin, name in marks.items():
            for transport in TRANSPORTS:
                wires.append(Wire(run, pod, transport))
                begun[name, transport] = begin(wires[-1])
        yield begun
        for wire in wires:
            wire.close()
