"""Rule 24: closing politely, so that an early answer is not lost to a reset (RFC 9112 9.6)."""

import time

import pytest

from support.half_tls import HalfTls
from support.wire import Wire

SIZE = 8 << 20


def push(client, size: int = SIZE) -> int:
    """Sends without looking at what comes back, as many clients do; how much went out."""
    sent = 0
    client.socket.settimeout(20)
    try:
        while sent < size:
            sent += client.socket.send(b"x" * min(65536, size - sent))
    except OSError:
        pass
    return sent


EARLY = {
    "malformed": (400, lambda w: w.raw("POST / HTTP/1.1", "Bad Field: x", f"Content-Length: {SIZE}")),
    "both_framings": (400, lambda w: w.raw("POST / HTTP/1.1", "Transfer-Encoding: chunked", f"Content-Length: {SIZE}")),
    "no_host": (400, lambda w: b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % SIZE),
    "unknown_host": (404, lambda w: b"POST / HTTP/1.1\r\nHost: x.example\r\nContent-Length: %d\r\n\r\n" % SIZE),
    "nobody": (401, lambda w: b"POST / HTTP/1.1\r\nHost: test.localhost\r\nContent-Length: %d\r\n\r\n" % SIZE),
    "too_large": (413, lambda w: w.raw("POST / HTTP/1.1", f"Content-Length: {SIZE}")),
    "expectation": (417, lambda w: w.raw("POST / HTTP/1.1", "Expect: x", f"Content-Length: {SIZE}")),
    "coding": (501, lambda w: w.raw("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked")),
    "head_too_large": (431, lambda w: w.raw("POST / HTTP/1.1", "X-Large: " + "x" * 100_000)),
}


@pytest.mark.parametrize("status, request_of", EARLY.values(), ids=EARLY)
def test_rule_24_an_early_answer_reaches_a_client_that_is_still_sending(wire, status, request_of):
    """haproxy 3316: the client saw a reset."""
    wire.app = "small"
    client = wire.dial()
    client.send(request_of(wire))
    push(client)
    answer = client.read_response("POST")
    assert answer.status == status and answer.by_alcove and answer.header("Connection") == "close"
    assert answer.json()["status"] == status and client.closed_by_peer()


def test_rule_24_a_body_over_the_limit_without_a_length_is_a_413(wire):
    wire.app = "small"
    client, link = wire.send("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=b"10\r\n0123456789abcdef\r\n")
    link.read_head()
    client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
    answer = client.read_response("POST")
    assert answer.status == 413 and answer.by_alcove and client.closed_by_peer()
    assert b"\r\n0\r\n\r\n" not in link.drain(5) and link.closed()


def test_rule_24_a_pods_early_answer_reaches_a_client_that_is_still_sending(wire):
    client, link = wire.send("POST / HTTP/1.1", f"Content-Length: {SIZE}")
    link.read_head()
    link.answer(b"no" * 50_000, status="413 Content Too Large")
    link.close()
    push(client)
    answer = client.read_response("POST")
    assert answer.status == 413 and answer.body == b"no" * 50_000 and client.closed_by_peer()


def test_rule_24_who_goes_on_sending_for_ever_is_cut_off_in_time(wire):
    wire.app = "nowhere"
    client = wire.dial()
    client.send(wire.raw("POST / HTTP/1.1", "Content-Length: 100000000000"))
    assert client.read_response("POST").status == 404
    began = time.monotonic()
    client.socket.settimeout(20)
    with pytest.raises(OSError) as ended:
        while time.monotonic() - began < 20:
            client.socket.send(b"x" * 65536)
    assert not isinstance(ended.value, TimeoutError) and time.monotonic() - began < 8


@pytest.mark.parametrize("fields", [["Connection: close"], ["Connection: CLOSE"], ["Connection: keep-alive, close"]])
def test_rule_24_close_is_said_and_done(wire, fields):
    client, link = wire.send("GET / HTTP/1.1", *fields, body=wire.raw("GET /never HTTP/1.1"))
    link.read_request()
    link.answer()
    answer = client.read_response()
    assert answer.header("Connection") == "close" and client.closed_by_peer()
    assert wire.pod.untouched(), "what follows a request with close is not served (RFC 9112 9.6)"


ENDS = {
    "after_close": lambda w: w.raw("GET / HTTP/1.1", "Connection: close"),
    "after_a_refusal": lambda w: w.raw("GET / HTTP/1.1", "Bad Field: x"),
    "after_http_10": lambda w: w.raw("GET / HTTP/1.0"),
}


@pytest.mark.parametrize("data", ENDS.values(), ids=ENDS)
def test_rule_24_over_tls_the_end_is_said_as_such(shared, data):
    """RFC 8446 6.1: without close_notify a client cannot tell the end from a cut."""
    wire = Wire(*shared, "tls")
    client = HalfTls(wire.port, wire.gateway.context, "test.localhost")
    wire.connections.append(client)
    request = data(wire)
    client.send(request)
    if b"Bad" not in request:
        link = wire.pod.accept()
        link.read_request()
        link.answer()
    client.read_response()
    assert client.closed_by_peer() and client.clean_end
    wire.close()


def test_rule_24_a_cut_answer_over_tls_is_told_as_a_cut(shared):
    wire = Wire(*shared, "tls")
    client = HalfTls(wire.port, wire.gateway.context, "test.localhost")
    wire.connections.append(client)
    client.send(wire.raw("GET / HTTP/1.0"))
    link = wire.pod.accept()
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    assert client.read_until(b"hello")
    link.reset()
    assert client.closed_by_peer() and not client.clean_end
    wire.close()
