"""Rule 26: pipelined requests: answered in order, one at a time at the pod, with bounded read-ahead (RFC 9112 9.3.2)."""

import threading
import time

import pytest


def test_rule_26_pipelined_requests_are_answered_in_order_one_at_a_time(wire):
    wire.ready()
    client = wire.dial()
    client.send(b"".join(wire.raw(f"GET /{i} HTTP/1.1") for i in range(10)))
    for i in range(10):
        link = wire.pod.accept()
        assert link.read_request().target == f"/{i}" and link.silent(0.05), "the next one waits for the answer"
        link.answer(b"answer %d" % i)
        assert client.read_response().body == b"answer %d" % i


BODIES = {
    "length": lambda i: (f"Content-Length: {i}", b"x" * i),
    "chunked": lambda i: ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (i + 1, b"y" * (i + 1))),
    "http_inside": lambda i: ("Content-Length: 30", b"GET /smuggled HTTP/1.1\r\nHost: "),
}


@pytest.mark.parametrize("body_of", BODIES.values(), ids=BODIES)
def test_rule_26_pipelined_bodies_are_kept_apart(wire, body_of):
    client = wire.dial()
    data = b""
    for i in range(8):
        field, body = body_of(i)
        data += wire.raw(f"POST /{i} HTTP/1.1", field, body=body)
    client.send(data)
    for i in range(8):
        link = wire.pod.accept()
        seen = link.read_request()
        assert seen.target == f"/{i}"
        if seen.framing == "chunked":
            assert seen.body == b"y" * (i + 1)
        link.answer(b"%d" % i)
        assert client.read_response("POST").body == b"%d" % i


def test_rule_26_it_does_not_matter_how_the_bytes_are_cut(wire):
    client = wire.dial()
    body = b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"
    data = b"".join(wire.raw(f"POST /{i} HTTP/1.1", "Transfer-Encoding: chunked", body=body) for i in range(3))
    sender = threading.Thread(target=lambda: [client.socket.send(data[i:i + 1]) for i in range(len(data))], daemon=True)
    sender.start()
    for i in range(3):
        link = wire.pod.accept()
        seen = link.read_request()
        assert (seen.target, seen.body) == (f"/{i}", b"abc")
        link.answer(b"%d" % i)
    sender.join(30)
    for i in range(3):
        assert client.read_response("POST").body == b"%d" % i


def test_rule_26_alcoves_own_answers_keep_their_place(wire):
    client = wire.dial()
    lost = wire.raw("GET /lost HTTP/1.1").replace(b"Host: test.", b"Host: nowhere.")
    client.send(wire.raw("GET /1 HTTP/1.1") + lost + wire.raw("HEAD /3 HTTP/1.1") + wire.raw("GET /4 HTTP/1.1"))
    answers = []
    for target in ("/1", "/3", "/4"):
        link = wire.pod.accept()
        assert link.read_request().target == target
        link.answer(b"" if target == "/3" else target.encode())
        answers.append(client.read_response("HEAD" if target == "/3" else "GET"))
        if target == "/1":
            answers.append(client.read_response())
    assert [(a.status, a.by_alcove) for a in answers] == [(200, False), (404, True), (200, False), (200, False)]
    assert answers[3].body == b"/4"


def test_rule_26_a_refused_request_ends_the_pipeline(wire):
    client = wire.dial()
    client.send(wire.raw("GET /1 HTTP/1.1") + wire.raw("GET /2 HTTP/1.1", "Bad Field: x") + wire.raw("GET /3 HTTP/1.1"))
    link = wire.pod.accept()
    assert link.read_request().target == "/1"
    link.answer()
    assert client.read_response().status == 200
    answer = client.read_response()
    assert answer.status == 400 and answer.header("Connection") == "close" and client.closed_by_peer()
    assert wire.pod.untouched()


def test_rule_26_read_ahead_is_bounded(wire):
    """A client that sends requests without end while the first is unanswered is stopped by TCP, not kept in memory."""
    client, link = wire.send("GET /1 HTTP/1.1")
    link.read_request()
    sent = [0]
    data = b"".join(wire.raw(f"GET /{i} HTTP/1.1") for i in range(1000))

    def push():
        client.socket.settimeout(60)
        try:
            while sent[0] < 256 << 20:
                sent[0] += client.socket.send(data)
        except OSError:
            pass

    sender = threading.Thread(target=push, daemon=True)
    sender.start()
    before = -1
    while before != sent[0]:
        before = sent[0]
        time.sleep(0.4)
    assert before < 24 << 20 and sender.is_alive()
    link.answer(b"one")
    assert client.read_response().body == b"one"
    client.socket.shutdown(2)
    sender.join(30)
