"""A restart without a refused connection: a gateway takes the listening sockets over from the one that runs."""

import concurrent.futures
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import time

import pytest

from support import http1, ws
from support.alcove import app, run_alcove
from support.ports import free_port, pod_network

ADA = [("X-User-ID", "ada")]
TAKEN = "takeover: accepting in place of the other process"


@pytest.fixture
def house(redis, make, place):
    """Provisioner and reaper on a Redis, and gateways that all have the same configuration."""
    shared = {"store": redis.url, "state": place / "state", "apps": {"test": app()},
              "runtime": {"local": {"directory": str(place / "state"), "network": pod_network()}}}
    make(role="provisioner", **shared)
    make(role="reaper", **shared)
    port, admin_port = free_port(), free_port()

    def gateway(*arguments, start=True, **keys):
        run = make(role="gateway", start=False, arguments=arguments, takeover=str(place / "gateway.sock"), **shared)
        run.port, run.admin_port = port, admin_port
        run.config.update(listen=[{"address": f"127.0.0.1:{port}"}], admin={"address": f"127.0.0.1:{admin_port}"}, **keys)
        if not start:
            return run
        if "--take-over" in arguments:
            run.spawn().wait_log("takeover: ")
        else:
            run.start()
        return run

    gateway.socket = place / "gateway.sock"
    return gateway


def ended(run) -> int:
    run.process.wait(60)
    return run.process.returncode


def test_load_runs_across_ten_restarts_without_an_error(house):
    assert shutil.which("wrk"), "wrk is not installed: ./dev test installs it"
    gateways = [house(workers=2)]
    assert gateways[0].get("ada").status == 200
    wrk = subprocess.Popen(["wrk", "-t2", "-c32", "-d300s", "--timeout", "30s", "-H", "X-User-ID: ada", "-H",
                            f"Host: {gateways[0].host('test')}", f"http://127.0.0.1:{gateways[0].port}/"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        served = 0
        for _ in range(10):
            gateways.append(house("--take-over", workers=2))
            gateways[-1].wait_log(TAKEN)
            assert ended(gateways[-2]) == 0
            before, served = served, gateways[-1].get("ada").json()["requests"]
            assert served > before
        wrk.send_signal(signal.SIGINT)
        report, _ = wrk.communicate(timeout=60)
    finally:
        if wrk.poll() is None:
            wrk.kill()
            wrk.wait()
    # wrk speaks of errors only if there were any.
    assert "Socket errors" not in report and "Non-2xx" not in report, report
    assert int(re.search(r"(\d+) requests in", report)[1]) > 1000, report


def test_sockets_go_to_fewer_and_to_more_workers_and_none_is_forgotten(house):
    # Clients are spread over all sockets by the kernel: one that nobody accepts from would hang some of them.
    house(workers=3)
    for workers in (1, 4):
        house("--take-over", workers=workers).wait_log(TAKEN)
        run = house(start=False)
        for _ in range(60):
            assert http1.request(run.port, "/", run.host("test"), headers=ADA, timeout=15).status == 200


def test_websockets_live_on_at_the_old_one_and_are_closed_one_by_one_with_1012(house):
    drain_s = 8
    old = house(timeouts={"drain": f"{drain_s}s"})
    sockets = [old.websocket("ada") for _ in range(12)]
    new = house("--take-over")
    new.wait_log(TAKEN)
    began = time.monotonic()
    assert [s.echo("still here") for s in sockets] == ["still here"] * len(sockets)
    assert new.websocket("ada").echo("new here") == "new here"

    def farewell(socket) -> float:
        opcode, payload = socket.receive()
        at = time.monotonic() - began
        assert opcode == ws.CLOSE and struct.unpack(">H", payload[:2]) == (1012,)
        socket.send(payload[:2], ws.CLOSE)
        assert socket.connection.closed_by_peer(15)
        return at

    with concurrent.futures.ThreadPoolExecutor(len(sockets)) as pool:
        ends = list(pool.map(farewell, sockets))
    assert min(ends) > drain_s / 2 - 1 and max(ends) < drain_s + 1, ends
    assert max(ends) - min(ends) > 0.5, ends  # not all at once
    assert ended(old) == 0
    assert new.get("ada").status == 200


def test_a_signal_after_the_takeover_does_not_cut_what_is_under_way(house):
    old = house(timeouts={"drain": "30s"})
    assert old.get("ada").status == 200
    with old.connect() as connection:
        connection.send(http1.build("GET", "/sleep?ms=2000", old.host("test"), ADA))
        while old.get("ada").json()["requests"] < 3:
            pass
        new = house("--take-over")
        new.wait_log(TAKEN)
        old.wait_log("ending in order")
        old.process.terminate()
        assert connection.read_response().status == 200
    assert ended(old) == 0


def test_a_successor_that_does_not_become_ready_takes_nothing(house, place):
    old = house()
    deaf = house("--take-over", start=False, store=f"redis://127.0.0.1:{free_port()}/0")
    deaf.spawn()
    old.wait_log("makes itself ready")
    deaf.wait_log("not ready yet")
    assert old.get("ada").status == 200 and old.admin("/readyz").status == 200
    deaf.kill()
    old.wait_log("has gone before it was ready; going on")
    assert old.get("ada").status == 200
    new = house("--take-over")
    new.wait_log(TAKEN)
    assert ended(old) == 0
    assert new.get("ada").status == 200


def test_if_the_old_one_is_killed_meanwhile_the_new_one_goes_on_alone(house, redis):
    old = house()
    assert old.get("ada").status == 200
    redis.process.send_signal(signal.SIGSTOP)  # so that the new one cannot become ready
    try:
        new = house("--take-over")
        old.wait_log("makes itself ready")
        old.kill()
        new.wait_log(TAKEN)
    finally:
        redis.process.send_signal(signal.SIGCONT)
    assert new.get("ada").status == 200


def test_nobody_to_take_over_from_is_an_ordinary_start(house):
    run = house("--take-over")
    run.wait_log("nobody to take over from, starting afresh")
    run.wait_ready()
    assert run.get("ada").status == 200
    assert stat.S_IMODE(os.stat(house.socket).st_mode) == 0o600
    assert run.stop() == 0
    assert not house.socket.exists()


def test_a_second_start_by_mistake_is_told_how_it_is_done(house):
    old = house()
    second = house(start=False).spawn()
    assert ended(second) == 1
    second.killed = True  # its exit has been judged
    assert "to replace a gateway that runs, start this one with --take-over" in second.log
    assert old.get("ada").status == 200


def test_take_over_without_a_socket_in_the_configuration_is_refused(make, redis):
    run = make(role="gateway", start=False, store=redis.url)
    run.write_config()
    result = run_alcove("gateway", "-c", str(run.file), "--take-over")
    assert result.returncode == 2
    assert "--take-over: needs `takeover: /path/of/a/socket`" in result.stderr


def test_a_relative_or_long_socket_path_is_refused(make):
    for path in ("gateway.sock", "/" + "x" * 120, "/run/"):
        run = make(start=False, takeover=path)
        run.write_config()
        result = run_alcove("check", str(run.file))
        assert result.returncode == 2 and "takeover" in result.stdout + result.stderr, path
