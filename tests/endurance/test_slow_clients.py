"""Two thousand slow clients (slowhttptest) do not slow down another user."""

import http.client
import os
import pathlib
import re
import statistics
import subprocess
import time

import pytest

from support import http1

WINDOWS = 25
REQUESTS = 200
SLOW = 2000


def p99_ms(connection, run) -> float:
    """Of a user's requests on a kept connection."""
    took = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        answer = connection.request("GET", "/", run.host("test"), [("X-User-ID", "ada")])
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200
    return sorted(took)[int(len(took) * 0.99)]


def compare(attacked, quiet) -> tuple[float, float]:
    """Medians of many windows, in turns: whatever else the machine does meanwhile, it does to both."""
    # From an address of their own: the slow ones fill the cap of theirs.
    with http1.Connection(attacked.port, source="127.0.0.2") as one, http1.Connection(quiet.port, source="127.0.0.2") as two:
        pairs = [(p99_ms(one, attacked), p99_ms(two, quiet)) for _ in range(WINDOWS)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def cpu_seconds(run) -> float:
    fields = pathlib.Path(f"/proc/{run.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12)) / os.sysconf("SC_CLK_TCK")


def sign_in(run, user: str) -> str:
    answer = http1.request(run.port, "/.alcove/sign-in", run.host("test"), "POST",
                           [("Content-Type", "application/x-www-form-urlencoded")], f"user={user}".encode())
    assert answer.status == http.client.SEE_OTHER, answer
    return answer.header("Set-Cookie").split(";")[0]


def connections(run) -> int:
    return int(float(re.search(r"(?m)^alcove_gateway_connections_now (\S+)", run.admin("/metrics").text)[1]))


MODES = {
    "slowloris": ["-H", "-i", "5", "-x", "20"],
    "slow body": ["-B", "-i", "5", "-s", "8192", "-x", "10"],
    "slow read": ["-X", "-n", "2", "-w", "256", "-y", "512", "-z", "32", "-k", "3"],
}


@pytest.mark.parametrize("mode", MODES)
def test_another_users_latency_stays(gateway, mode):
    # The slow clients are let in and let stay: it is the gateway that has to bear them, not the limits that
    # would end them. And under a path, so that they need no name for the host.
    run = gateway(limits={"connections_per_address": SLOW + 100, "body_rate": 0}, timeouts={"head": "5m", "drain": "1s"},
                  apps={"test": {"ready_path": "/", "path": "/app/", "strip_path": True}})
    target = "/app/files/large" if mode == "slow read" else "/app/sink"
    cookie = sign_in(run, "mallory")
    # slowhttptest calls itself another browser or bot each time, and not all of them wake a pod.
    assert http1.request(run.port, "/app/", run.host("test"), headers=[("Cookie", cookie)]).status == 200
    quiet = gateway()
    compare(run, quiet)  # warm
    attack = subprocess.Popen(
        ["slowhttptest", *MODES[mode], "-c", str(SLOW), "-r", "400", "-l", "90", "-p", "5", "-j", cookie,
         "-u", f"http://127.0.0.1:{run.port}{target}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    try:
        deadline = time.monotonic() + 40
        most = 0
        while most < SLOW * 0.9:
            assert attack.poll() is None, f"slowhttptest has ended: {attack.returncode}"
            assert time.monotonic() < deadline, f"only {most} slow connections"
            most = max(most, connections(run))
            time.sleep(0.1)
        used, began = cpu_seconds(run), time.monotonic()
        time.sleep(5)  # of nothing but slow clients
        share = (cpu_seconds(run) - used) / (time.monotonic() - began)
        with_them, without = compare(run, quiet)
        still = connections(run)
    finally:
        attack.kill()
        told = re.sub(r"\x1b\[[0-9;]*m", "", attack.communicate()[0])
        print(told[-1500:])
    print(f"{mode}: p99 {with_them:.3f} ms with {still} slow connections, {without:.3f} ms without; "
          f"they cost {100 * share:.1f} % of a core")
    assert still >= SLOW * 0.9, "the slow clients had gone before the end"
    assert with_them <= 2 * without, (with_them, without)
    assert share < 0.25
