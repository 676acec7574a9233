"""Rule 25: draining on SIGTERM: not ready, answers that say close, WebSockets closed with 1012 spread over time, then the
hard stop (RFC 6455 7.4). A restart that takes the sockets over: tests/flow/test_takeover.py."""

import struct
import time

import pytest

from support import http1, ws
from support.raw_pod import RawPod
from support.wire import Wire
from support.ws import HANDSHAKE, SWITCH

DRAIN_S = 3.0


@pytest.fixture
def ending(make_gateway, transport):
    pod = RawPod()
    made = Wire(make_gateway([pod], timeouts={"drain": f"{DRAIN_S:.0f}s", "linger": "1s"}), pod, transport)
    made.ready()
    yield made
    made.close()


def tunnel(wire):
    client, link = wire.send("GET /ws HTTP/1.1", *HANDSHAKE)
    link.read_head()
    link.send(SWITCH)
    assert client.read_head().status == 101
    return client, link


def test_rule_25_a_request_under_way_is_finished_and_its_answer_says_close(ending):
    client, link = ending.send("POST / HTTP/1.1", "Content-Length: 10", body=b"hello")
    assert link.read_head()
    ending.gateway.process.terminate()
    ending.gateway.wait_log("ending in order")
    assert link.read_exactly(5) == b"hello"
    client.send(b"world")
    assert link.read_exactly(5) == b"world"
    time.sleep(0.5)
    link.answer(b"finished")
    answer = client.read_response("POST")
    assert answer.body == b"finished" and answer.header("Connection") == "close" and client.closed_by_peer()
    assert ending.gateway.process.wait(20) == 0


def test_rule_25_it_is_not_ready_any_more_and_idle_connections_end(ending):
    client, link = ending.send("GET / HTTP/1.1")
    link.read_request()
    idle = ending.dial()
    other = ending.other_user()
    other.ask(client=idle)
    began = time.monotonic()
    ending.gateway.process.terminate()
    while ending.gateway.admin("/readyz").status == 200:
        assert time.monotonic() - began < 2
    assert ending.gateway.admin("/healthz").status == 200
    assert idle.closed_by_peer(3), "long before the drain's end"
    link.answer()
    assert client.read_response().header("Connection") == "close"
    client.close()
    assert ending.gateway.process.wait(20) == 0 and time.monotonic() - began < DRAIN_S


def test_rule_25_it_accepts_for_a_while_if_told_so(make_gateway, transport):
    """Load balancers notice late: until then nobody is refused."""
    pod = RawPod()
    wire = Wire(make_gateway([pod], timeouts={"drain_delay": "2s", "drain": "4s"}), pod, transport)
    wire.ready()
    wire.gateway.process.terminate()
    began = time.monotonic()
    while wire.gateway.admin("/readyz").status == 200:
        assert time.monotonic() - began < 2
    while time.monotonic() - began < 1.5:
        _, answer = wire.ask()
        assert answer.status == 200 and answer.header("Connection") == "close"
        time.sleep(0.1)
    assert wire.gateway.process.wait(20) == 0 and time.monotonic() - began > 1.9
    with pytest.raises(OSError):
        wire.dial()
    wire.close()


def test_rule_25_nothing_to_wait_for_is_the_end_at_once(ending):
    began = time.monotonic()
    ending.gateway.process.terminate()
    assert ending.gateway.process.wait(20) == 0 and time.monotonic() - began < 2.5


def test_rule_25_websockets_are_closed_with_1012_late_and_spread_over_time(ending):
    """knative 15759, ingress-nginx 2461: all were cut at once, and all came back at once."""
    pairs = [tunnel(ending) for _ in range(12)]
    ending.gateway.process.terminate()
    began = time.monotonic()
    for client, link in pairs:
        link.send(ws.frame(ws.TEXT, b"still here", masked=False))
        assert ws.read_frame(client.read_exactly) == (ws.TEXT, b"still here")
    ends = {}
    while len(ends) < len(pairs):
        assert time.monotonic() - began < DRAIN_S + 2, f"only {len(ends)} were closed"
        for number, (client, link) in enumerate(pairs):
            if number in ends:
                continue
            client.socket.settimeout(0.02)
            try:
                client.buffer += client.socket.recv(4096)
            except TimeoutError:
                continue
            assert ws.read_frame(client.read_exactly) == (ws.CLOSE, struct.pack(">H", 1012))
            ends[number] = time.monotonic() - began
            reply = ws.frame(ws.CLOSE, struct.pack(">H", 1012), masked=True)
            client.send(reply)
            assert link.read_exactly(len(reply)) == reply, "the pod hears of it as of any frame"
            link.end_writing()
    assert min(ends.values()) > DRAIN_S / 2 - 0.5 and max(ends.values()) - min(ends.values()) > 0.4, sorted(ends.values())
    assert ending.gateway.process.wait(20) == 0


def test_rule_25_a_close_frame_never_lands_within_another_frame(ending):
    client, link = tunnel(ending)
    frame = ws.frame(ws.BINARY, b"x" * 1000, masked=False)
    link.send(frame[:500])
    assert client.read_exactly(500)
    ending.gateway.process.terminate()
    time.sleep(DRAIN_S / 2 + 0.3)
    link.send(frame[500:])
    assert client.read_exactly(len(frame) - 500) == frame[500:]
    assert ws.read_frame(client.read_exactly) == (ws.CLOSE, struct.pack(">H", 1012))
    client.close()
    assert ending.gateway.process.wait(20) == 0


def test_rule_25_after_the_limit_comes_the_hard_stop(ending):
    client, link = ending.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    assert client.read_until(b"hello")
    ending.gateway.process.terminate()
    began = time.monotonic()
    try:
        assert client.read_to_end() == b""
    except http1.Broken:
        pass
    assert link.closed() and DRAIN_S - 0.5 < time.monotonic() - began < DRAIN_S + 3
    assert ending.gateway.process.wait(20) == 0


def test_rule_25_who_is_held_is_told_to_come_again(make_gateway, transport):
    pod = RawPod(listening=False)
    wire = Wire(make_gateway([pod], timeouts={"drain": "2s"}), pod, transport)
    client = wire.dial()
    client.send(wire.raw("GET / HTTP/1.1"))
    wire.gateway.wait_state(f"test/{wire.user}", "starting")
    wire.gateway.process.terminate()
    answer = client.read_response()
    assert answer.status == 503 and answer.by_alcove and int(answer.header("Retry-After")) > 0
    assert answer.header("Connection") == "close"
    assert wire.gateway.process.wait(20) == 0
    wire.close()
