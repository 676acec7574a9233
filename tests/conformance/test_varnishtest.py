"""A second voice: scripts for Varnish's own test program. Its client and server know nothing of this suite's; it speaks no
TLS. Each script under varnishtest/ is a case."""

import pathlib
import subprocess

import pytest

from support.raw_pod import RawPod
from support.wire import Wire, run_gateway

SCRIPTS = sorted((pathlib.Path(__file__).parent / "varnishtest").glob("*.vtc"))


@pytest.fixture(scope="module")
def ready(place, certificate):
    """A process, and the endpoint of its pods, at which nobody listens between two scripts."""
    pod = RawPod()
    for run in run_gateway(place, certificate, [pod]):
        yield run, pod


@pytest.fixture
def session(ready):
    """A session that is ready, so that the first connection that the script's server sees is that of a request."""
    run, pod = ready
    if pod.socket is None:
        pod.listen()
    wire = Wire(run, pod, "tcp")
    wire.ready()
    wire.close()
    pod.refuse()
    yield wire
    wire.close()


def play(session, script: pathlib.Path) -> subprocess.CompletedProcess:
    macros = {"gateway": f"127.0.0.1 {session.port}", "pod": f"127.0.0.1 {session.pod.port}", "host": session.host,
              "user": session.user}
    arguments = [word for name, value in macros.items() for word in ("-D", f"{name}={value}")]
    return subprocess.run(["varnishtest", "-v", "-t", "30", *arguments, str(script)], capture_output=True, text=True,
                          timeout=60, check=False, cwd=session.gateway.directory)


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_varnishtest(session, script):
    done = play(session, script)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_varnishtest_can_fail(session, tmp_path):
    wrong = tmp_path / "wrong.vtc"
    right = (SCRIPTS[0].parent / "framing_refused.vtc").read_text(encoding="utf-8")
    wrong.write_text(right.replace("== 400", "== 200"), encoding="utf-8")
    assert play(session, wrong).returncode != 0
