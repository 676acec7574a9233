"""Rule 20: each time limit is its own, and no limit of a request runs on a tunnel. Drain: test_rule_25_drain.py;
connect: test_rule_14_refused.py."""

import contextlib
import threading
import time

import pytest

from support import http1, ws
from support.raw_pod import RawPod
from support.wire import Wire, app, hears_nothing, run_gateway
from support.ws import HANDSHAKE, SWITCH

# So far apart that one can be told from the other.
HEAD_S, CLIENT_IDLE_S, BODY_IDLE_S, RESPONSE_S, TUNNEL_IDLE_S = 0.6, 1.2, 0.9, 1.8, 2.5
SLACK_S = 1.5  # a tick is 0.25 s; the rest is for the machine


class Clock:
    """Between `least` and a little more seconds."""

    def __init__(self, least: float):
        self.least = least

    def __enter__(self):
        self.began = time.monotonic()

    def __exit__(self, kind, *_):
        if kind is None:
            took = time.monotonic() - self.began
            assert self.least - 0.3 <= took <= self.least + SLACK_S, f"{took:.2f} s, not {self.least} s"


@pytest.fixture(scope="module")
def strict(place, certificate):
    pod = RawPod()
    timeouts = {"head": "600ms", "client_idle": "1200ms", "body_idle": "900ms", "tunnel_idle": "2500ms", "drain": "5s"}
    for run in run_gateway(place, certificate, [pod], timeouts=timeouts, apps={"test": app(response_timeout="1800ms")}):
        yield run, pod


@pytest.fixture
def quick(strict, transport):
    made = Wire(*strict, transport)
    made.ready()
    yield made
    made.close()


def cut_off(client: http1.Connection) -> bool:
    """Ended without another byte; it may be a reset."""
    try:
        return client.read_to_end() == b""
    except http1.Broken:
        return True


def test_rule_20_a_head_must_be_whole_in_time(quick):
    client = quick.dial()
    with Clock(HEAD_S):
        client.send(quick.raw("GET / HTTP/1.1")[:-4])
        answer = client.read_response()
    assert answer.status == 408 and answer.json()["code"] == "CH" and client.closed_by_peer()


def test_rule_20_a_tls_handshake_must_be_over_in_time(quick):
    with http1.Connection(quick.gateway.tls_port) as client, Clock(HEAD_S):
        client.send(b"\x16\x03\x01")
        assert cut_off(client)


def test_rule_20_a_connection_may_be_idle_for_so_long(quick):
    with Clock(CLIENT_IDLE_S):
        assert cut_off(quick.dial())
    client = quick.dial()
    quick.ask(client=client)
    with Clock(CLIENT_IDLE_S):
        assert cut_off(client)


def test_rule_20_a_body_may_pause_for_so_long(quick):
    client, link = quick.send("POST / HTTP/1.1", "Content-Length: 100", body=b"hello")
    link.read_head()
    with Clock(BODY_IDLE_S):
        answer = client.read_response("POST")
    assert answer.status == 408 and answer.json()["code"] == "CB" and link.read_exactly(5) == b"hello" and link.closed()


def test_rule_20_a_body_that_comes_slowly_may_take_longer_than_any_pause(quick):
    client, link = quick.send("POST / HTTP/1.1", "Content-Length: 12000")
    link.read_head()
    for _ in range(6):
        time.sleep(0.4)
        client.send(b"x" * 2000)
    assert link.read_exactly(12_000)
    link.answer()
    assert client.read_response("POST").status == 200


def test_rule_20_an_answer_must_begin_in_time(quick):
    client, link = quick.send("GET / HTTP/1.1")
    link.read_request()
    with Clock(RESPONSE_S):
        answer = client.read_response()
    assert answer.status == 504 and answer.json()["code"] == "PR" and link.closed()


def test_rule_20_a_1xx_is_not_the_answer(quick):
    client, link = quick.send("GET / HTTP/1.1")
    link.read_request()
    with Clock(RESPONSE_S):
        link.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        answer = client.read_response()
    assert answer.interim == [103] and answer.status == 504


def test_rule_20_an_answer_may_pause_for_so_long(quick):
    client, link = quick.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    assert client.read_until(b"hello")
    with Clock(BODY_IDLE_S):
        assert cut_off(client)
    assert link.closed()


def test_rule_20_an_event_stream_may_be_silent_for_longer(quick):
    client, link = quick.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n")
    client.read_until(b"data: 1\n\n")
    time.sleep(BODY_IDLE_S + RESPONSE_S)
    link.send(b"data: 2\n\n")
    assert client.read_until(b"data: 2\n\n")


def test_rule_20_a_client_that_does_not_read_is_given_up_in_time(quick):
    client, link = quick.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    link.socket.settimeout(10)
    began = time.monotonic()
    with pytest.raises(OSError) as ended:
        while True:
            link.socket.send(b"x" * 65536)
    assert not isinstance(ended.value, TimeoutError) and time.monotonic() - began < 6


def test_rule_20_no_limit_of_a_request_runs_on_a_tunnel(quick):
    """knative 16169: WebSockets were cut by the request's time limit."""
    client, link = quick.send("GET /ws HTTP/1.1", *HANDSHAKE)
    link.read_head()
    link.send(SWITCH)
    assert client.read_head().status == 101
    time.sleep(RESPONSE_S + 0.3)  # longer than head, body and response; shorter than the tunnel's
    client.send(ws.frame(ws.TEXT, b"still here", masked=True))
    assert link.read_exactly(16)
    with Clock(TUNNEL_IDLE_S):
        assert cut_off(client)
    assert link.closed()


def test_rule_20_a_tunnel_in_use_has_no_end(quick):
    client, link = quick.send("GET /ws HTTP/1.1", *HANDSHAKE)
    link.read_head()
    link.send(SWITCH)
    assert client.read_head().status == 101
    for i in range(4):
        time.sleep(1)
        if i % 2:
            client.send(b"x")
            assert link.read_exactly(1) == b"x"
        else:
            link.send(b"y")
            assert client.read_exactly(1) == b"y"


def test_rule_20_a_hold_has_a_limit_of_its_own(held):
    held.app = "hasty"
    client = held.dial()
    with Clock(1.0):
        client.send(held.raw("GET / HTTP/1.1"))
        answer = client.read_response()
    assert answer.status == 504 and answer.json()["code"] == "RW" and answer.header("Connection") is None


def test_rule_20_interim_answers_without_end_are_over_in_time_and_harm_nobody(quick):
    """A pod that sends faster than the gateway reads: nothing else ran on its thread, no time limit either."""
    client, link = quick.send("GET / HTTP/1.0")  # so that no interim answer is passed on
    link.read_request()

    def pour():
        with contextlib.suppress(OSError):
            while True:
                link.socket.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000)

    with Clock(RESPONSE_S):
        pouring = threading.Thread(target=pour, daemon=True)
        pouring.start()
        began = time.monotonic()
        assert quick.other_user().ask()[1].status == 200 and time.monotonic() - began < RESPONSE_S - 0.5
        assert client.read_response().status == 504
    pouring.join(10)
    assert not pouring.is_alive()


def test_rule_20_empty_lines_make_an_idle_connection_live_no_longer(quick):
    client = quick.dial()
    with Clock(CLIENT_IDLE_S), contextlib.suppress(OSError):
        while hears_nothing(client, 0.2):
            client.send(b"\r\n")
