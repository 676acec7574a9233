"""The first minute of a newcomer: curl, a pod of one's own, and what happens after one has left."""

import re
import socket
import subprocess

import pytest

from support.alcove import BIN, DEMO, demo
from support.procs import wait_gone

GREETING = re.compile(r"Hello (\S+), this is pod (\S+) generation (\d+) at (127\.\d+\.\d+\.\d+:\d+), up \d+ s, "
                      r"request (\d+)\n")


def curl(*arguments: str, timeout: float = 90) -> tuple[str, float]:
    """What real curl prints, and how long it took."""
    done = subprocess.run(["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "80",
                           "--write-out", "\n%{time_total}", *arguments],
                          capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    body, _, seconds = done.stdout.rpartition("\n")
    return body, float(seconds)


def hello(alcove, user: str) -> tuple[re.Match, float]:
    body, seconds = curl("-H", f"X-User-ID: {user}", f"http://demo.localhost:{alcove.port}/")
    match = GREETING.fullmatch(body)
    assert match, body
    assert match[1] == user and match[2] == f"demo/{user}"
    return match, seconds


@pytest.fixture
def run(make):
    return make(apps={"demo": demo("--start-delay", "1s")})


def test_curl_waits_while_the_pod_starts_and_the_second_call_answers_in_milliseconds(run):
    first, waited = hello(run, "ada")
    assert first[3] == "1" and first[5] == "1"
    assert waited >= 1.0, "the demo listens only after a second"
    took = []
    for request in range(2, 7):
        match, seconds = hello(run, "ada")
        assert (match[3], match[4], match[5]) == ("1", first[4], str(request)), "the same pod each time"
        took.append(seconds)
    assert min(took) < 0.1, took


def test_another_user_gets_another_pod(run):
    ada, _ = hello(run, "ada")
    grace, _ = hello(run, "grace")
    assert grace[5] == "1"
    assert ada[4] != grace[4]


def test_an_idle_pod_goes_and_the_next_call_starts_a_new_generation(make):
    run = make(apps={"demo": demo(idle_timeout="1s")})
    first, _ = hello(run, "ada")
    pods = [pid for pid, command in run.pods().items() if str(DEMO) in command]
    assert len(pods) == 1
    assert wait_gone(pods, 20), "the pod is still there"
    second, _ = hello(run, "ada")
    assert (first[3], second[3], second[5]) == ("1", "2", "1")


def test_a_pod_that_is_used_now_and_then_does_not_go(make):
    """Each call comes before the idle time is over; a pod that went all the same would show as a new generation."""
    run = make(apps={"demo": demo(idle_timeout="3s")})
    with run.connect() as connection:
        for request in range(1, 11):
            text = connection.request("GET", "/", run.host("demo"), [("X-User-ID", "ada")]).text
            match = GREETING.fullmatch(text)
            assert match and (match[3], match[5]) == ("1", str(request)), text
            assert not wait_gone(run.pods(), 0.5)


def free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_without_a_config_the_demo_runs_and_it_says_what_to_open_and_to_type(make):
    """On 8080 and 8081, unless somebody has them on this machine: then it is told other ports."""
    run = make(start=False)
    words = [str(BIN), "up"]
    if free(8080) and free(8081):
        run.port, run.admin_port = 8080, 8081
    else:
        words += ["--listen", f"127.0.0.1:{run.port}", "--admin-listen", f"127.0.0.1:{run.admin_port}"]
    run.command = lambda: words
    run.state = run.directory / ".local" / "state" / "alcove"
    run.start()
    run.wait_log(f"http://demo.localhost:{run.port}/", timeout=10)
    run.wait_log(f"curl -H 'X-User-ID: ada' http://demo.localhost:{run.port}/", timeout=10)
    first, _ = hello(run, "ada")
    assert first[3] == "1"
    assert run.admin("/healthz").status == 200
    assert "alcove_gateway_" in run.admin("/metrics").text
