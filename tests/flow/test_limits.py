"""Every limit is settable, and who meets it is told which: in the answer, and in a metric of its own."""

import re
import time

import pytest

from support import http1
from support.alcove import app
from support.http1 import Broken

ADA = [("X-User-ID", "ada")]


def met(run, limit: str) -> int:
    text = run.admin("/metrics").text
    return int(float(re.search(rf'alcove_gateway_limits_met_total{{limit="{limit}"}} (\S+)', text)[1]))


def wait_met(run, limit: str, times: int = 1):
    deadline = time.monotonic() + 20
    while met(run, limit) < times:
        assert time.monotonic() < deadline, (limit, met(run, limit))
        time.sleep(0.02)


def wait_none_open(run):
    deadline = time.monotonic() + 20
    while "\nalcove_gateway_connections_now 0\n" not in run.admin("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refused(answer, status: int, limit: str):
    assert answer.status == status and answer.by_alcove, answer
    assert answer.json()["limit"] == limit, answer.body


def head(run, *fields: str, method: str = "GET") -> bytes:
    lines = [f"{method} / HTTP/1.1", f"Host: {run.host('test')}", "X-User-ID: ada", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_bytes_of_a_head(make):
    run = make(limits={"head_bytes": "2KiB"})
    with run.connect() as connection:
        connection.send(head(run, "X-Large: " + "a" * 3000))
        refused(connection.read_response(), 431, "head_bytes")
    assert run.get("ada").status == 200
    wait_met(run, "head_bytes")


def test_fields_of_a_head(make):
    run = make(limits={"head_fields": 10})
    with run.connect() as connection:
        connection.send(head(run, *(f"X-{i}: {i}" for i in range(10))))
        refused(connection.read_response(), 431, "head_fields")
    assert run.get("ada", headers=[(f"X-{i}", "1") for i in range(7)]).status == 200
    wait_met(run, "head_fields")


def test_time_of_a_head_even_if_bytes_keep_coming(make):
    run = make(timeouts={"head": "600ms"})
    with run.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\n")
        connection.socket.settimeout(0.05)
        deadline = time.monotonic() + 20
        while not connection.buffer:
            assert time.monotonic() < deadline
            connection.send(b"X-A: b\r\n")
            try:
                connection.socket.settimeout(0.05)
                connection.buffer += connection.socket.recv(65536)
            except TimeoutError:
                pass
        refused(connection.read_response(), 408, "head")
    wait_met(run, "head")


@pytest.mark.parametrize("announced", [True, False])
def test_size_of_a_body(make, announced):
    run = make(apps={"test": app(body_limit="1KiB")})
    body = b"x" * 2000
    with run.connect() as connection:
        if announced:
            connection.send(head(run, f"Content-Length: {len(body)}", method="POST"))
        else:
            connection.send(head(run, "Transfer-Encoding: chunked", method="POST") + b"7d0\r\n" + body + b"\r\n0\r\n\r\n")
        refused(connection.read_response("POST"), 413, "body_limit")
    wait_met(run, "body_limit")


def test_rate_of_a_body(make):
    run = make(limits={"body_rate": "1KiB"}, timeouts={"body_idle": "60s"})
    assert run.get("ada").status == 200
    with run.connect() as connection:
        connection.send(head(run, "Content-Length: 100000", method="POST"))
        deadline = time.monotonic() + 40
        while not connection.buffer:
            assert time.monotonic() < deadline
            connection.send(b"x")
            connection.socket.settimeout(0.2)
            try:
                connection.buffer += connection.socket.recv(65536)
            except TimeoutError:
                pass
        refused(connection.read_response("POST"), 408, "body_rate")
    wait_met(run, "body_rate")


def test_idleness_of_a_body(make):
    run = make(timeouts={"body_idle": "500ms"})
    assert run.get("ada").status == 200
    with run.connect() as connection:
        connection.send(head(run, "Content-Length: 100000", method="POST") + b"some")
        refused(connection.read_response("POST"), 408, "body_idle")
    wait_met(run, "body_idle")


def test_time_of_an_answer(make):
    run = make(apps={"test": app(response_timeout="500ms")})
    refused(run.get("ada", "/sleep?ms=5000"), 504, "response_timeout")
    wait_met(run, "response_timeout")


def test_connections_in_all_and_per_address(make):
    run = make(limits={"connections": 6, "connections_per_address": 4})
    with run.connect() as first:
        assert first.request("GET", "/", run.host("test"), ADA).status == 200
    wait_none_open(run)  # its place is given back
    open_now = [http1.Connection(run.port) for _ in range(4)]
    assert all(c.request("GET", "/", run.host("test"), ADA).status == 200 for c in open_now)
    with run.connect() as one_too_many:
        refused(one_too_many.read_response(), 429, "connections_per_address")
        assert one_too_many.closed_by_peer(15)
    open_now += [http1.Connection(run.port, source="127.0.0.2") for _ in range(2)]
    assert all(c.request("GET", "/", run.host("test"), ADA).status == 200 for c in open_now)
    with http1.Connection(run.port, source="127.0.0.2") as one_too_many:
        answer = one_too_many.read_response()
        refused(answer, 503, "connections")
        assert answer.header("Retry-After") and answer.header("Connection") == "close"
    wait_met(run, "connections")
    wait_met(run, "connections_per_address")
    # A place that is given back is a place for the next.
    open_now.pop(0).close()
    deadline = time.monotonic() + 20
    while True:
        try:
            with run.connect() as connection:
                if connection.request("GET", "/", run.host("test"), ADA).status == 200:
                    break
        except (Broken, OSError):
            pass
        assert time.monotonic() < deadline
    for connection in open_now:
        connection.close()


def test_who_is_turned_away_in_a_crowd_holds_nothing(make):
    run = make(limits={"connections_per_address": 1})
    with run.connect() as first:
        assert first.request("GET", "/", run.host("test"), ADA).status == 200
        crowd = [http1.Connection(run.port) for _ in range(300)]  # none of them reads or leaves
        wait_met(run, "connections_per_address", 300)
        assert all(c.closed_by_peer(15) or c.buffer for c in crowd)
        assert first.request("GET", "/", run.host("test"), ADA).status == 200
        for connection in crowd:
            connection.close()


def test_requests_on_a_connection(make):
    run = make(limits={"requests_per_connection": 3})
    with run.connect() as connection:
        answers = [connection.request("GET", "/", run.host("test"), ADA) for _ in range(3)]
        assert [a.header("Connection") for a in answers] == [None, None, "close"]
        assert connection.closed_by_peer(15)
    wait_met(run, "requests_per_connection")


def test_holds_in_all_and_per_user(make, gate):
    run = make(limits={"holds": 3, "holds_per_user": 2}, apps={"test": app(*gate.arguments)})

    def hold(user):
        connection = run.connect()
        connection.send(http1.build("GET", "/", run.host("test"), [("X-User-ID", user)]))
        return connection

    waiting = [hold("ada"), hold("ada")]
    gate.wait_for_pod()
    wait_holds(run, 2)
    refused(run.get("ada"), 503, "holds_per_user")
    waiting.append(hold("grace"))
    wait_holds(run, 3)
    answer = run.get("eve")
    refused(answer, 503, "holds")
    assert answer.header("Retry-After")
    wait_met(run, "holds")
    wait_met(run, "holds_per_user")
    for connection in waiting:
        connection.close()


def wait_holds(run, count: int):
    deadline = time.monotonic() + 20
    while f"alcove_gateway_holds_now {count}\n" not in run.admin("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_time_of_a_hold(make, gate):
    run = make(apps={"test": app(*gate.arguments, hold_timeout="500ms")})
    refused(run.get("ada"), 504, "hold_timeout")
    wait_met(run, "hold_timeout")


def test_idleness_of_a_tunnel(make):
    run = make(timeouts={"tunnel_idle": "500ms"})
    socket = run.websocket("ada")
    assert socket.echo("x") == "x"
    assert socket.connection.closed_by_peer(15)
    wait_met(run, "tunnel_idle")


def test_drain(make):
    run = make(timeouts={"drain": "1s"})
    assert run.get("ada").status == 200
    with run.connect() as connection:
        connection.send(http1.build("GET", "/sse?events=1000&ms=20", run.host("test"), ADA))
        connection.read_head()
        began = time.monotonic()
        run.process.terminate()
        with pytest.raises(Broken):
            for _ in connection.read_chunks():
                pass
        assert time.monotonic() - began < 10
    assert run.process.wait(20) == 0
