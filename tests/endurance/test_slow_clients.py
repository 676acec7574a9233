"""Two thousand slow clients (slowhttptest) do not slow down another user."""

import http.client
import re
import statistics
import subprocess
import time

import pytest

from support import http1

WINDOWS = 10
REQUESTS = 400
SLOW = 2000


def p99_ms(run) -> float:
    """Of a user's requests on a kept connection from an address of their own, median of several windows."""
    with http1.Connection(run.port, source="127.0.0.2") as connection:
        windows = []
        for _ in range(WINDOWS):
            took = []
            for _ in range(REQUESTS):
                began = time.perf_counter()
                answer = connection.request("GET", "/", run.host("test"), [("X-User-ID", "ada")])
                took.append((time.perf_counter() - began) * 1000)
                assert answer.status == 200
            windows.append(sorted(took)[int(len(took) * 0.99)])
    return statistics.median(windows)


def sign_in(run, user: str) -> str:
    answer = http1.request(run.port, "/.alcove/sign-in", run.host("test"), "POST",
                           [("Content-Type", "application/x-www-form-urlencoded")], f"user={user}".encode())
    assert answer.status == http.client.SEE_OTHER, answer
    return answer.header("Set-Cookie").split(";")[0]


def connections(run) -> int:
    return int(float(re.search(r"alcove_gateway_connections_now (\S+)", run.admin("/metrics").text)[1]))


MODES = {
    "slowloris": ["-H", "-i", "5", "-x", "20"],
    "slow body": ["-B", "-i", "5", "-s", "8192", "-x", "10"],
    "slow read": ["-X", "-n", "2", "-w", "256", "-y", "512", "-z", "32", "-k", "3"],
}


@pytest.mark.parametrize("mode", MODES)
def test_another_users_latency_stays(gateway, mode):
    # The slow clients are let in: it is the gateway that has to bear them, not a cap that keeps them out.
    # And under a path, so that they need no name for the host.
    run = gateway(limits={"connections_per_address": SLOW + 100},
                  apps={"test": {"ready_path": "/", "path": "/app/", "strip_path": True}})
    target = "/app/files/large" if mode == "slow read" else "/app/sink"
    cookie = sign_in(run, "mallory")
    p99_ms(run)  # warm
    before = p99_ms(run)
    attack = subprocess.Popen(
        ["slowhttptest", *MODES[mode], "-c", str(SLOW), "-r", "400", "-l", "90", "-p", "5", "-j", cookie,
         "-u", f"http://127.0.0.1:{run.port}{target}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    try:
        deadline = time.monotonic() + 40
        most = 0
        while most < SLOW * 0.9:
            assert time.monotonic() < deadline, f"only {most} slow connections"
            most = max(most, connections(run))
            time.sleep(0.1)
        during = p99_ms(run)
        still = connections(run)
    finally:
        attack.kill()
        attack.communicate()
    print(f"{mode}: p99 {before:.2f} ms before, {during:.2f} ms with {most} slow connections ({still} at the end)")
    assert during <= 2 * before, (before, during)
