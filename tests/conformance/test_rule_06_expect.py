"""Rule 6: Expect: 100-continue and 1xx answers; bodies of held requests (RFC 9110 10.1.1, 15.2)."""

import hashlib
import socket
import threading
import time

import pytest

from support.wire import hears_nothing

EXPECT = "Expect: 100-continue"


@pytest.mark.parametrize("expect", [EXPECT, "expect: 100-Continue", "EXPECT:100-CONTINUE"])
@pytest.mark.parametrize("framing, sent, wanted", [
    ("Content-Length: 5", b"hello", b"hello"),
    ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
], ids=["length", "chunked"])
def test_rule_06_expect_goes_on_and_the_pods_100_comes_back(wire, expect, framing, sent, wanted):
    client, link = wire.send("POST / HTTP/1.1", expect, framing)
    assert link.read_head().get("Expect") == "100-continue"
    assert link.silent() and hears_nothing(client)
    link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.read_head().status == 100
    client.send(sent)
    assert link.read_exactly(len(wanted)) == wanted
    link.answer()
    answer = client.read_response("POST")
    assert answer.status == 200 and answer.header("Connection") is None


def test_rule_06_a_body_that_does_not_wait_for_the_100_goes_on(wire):
    client, link = wire.send("POST / HTTP/1.1", EXPECT, "Content-Length: 5", body=b"hello")
    seen = link.read_request()
    assert seen.get("Expect") == "100-continue" and seen.body == b"hello"
    link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    link.answer()
    answer = client.read_response("POST")
    assert answer.interim == [100] and answer.status == 200


def test_rule_06_nothing_is_expected_without_a_body(wire):
    seen, answer = wire.ask("GET / HTTP/1.1", EXPECT)
    assert seen.get("Expect") is None and answer.status == 200


@pytest.mark.parametrize("expect", ["Expect: 200-ok", "Expect: 100-continue, x", "Expect:"])
def test_rule_06_another_expectation_is_a_417(wire, expect):
    assert wire.refused(wire.raw("POST / HTTP/1.1", expect, "Content-Length: 5")).status == 417


INTERIM = {
    "100": (b"HTTP/1.1 100 Continue\r\n\r\n", 100),
    "102": (b"HTTP/1.1 102 Processing\r\n\r\n", 102),
    "103_with_fields": (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n"
                        b"Connection: X-Hop\r\nX-Hop: 1\r\n\r\n", 103),
    "199_unknown": (b"HTTP/1.1 199 Whatever\r\nX-Odd: 1\r\n\r\n", 199),
}


@pytest.mark.parametrize("raw, status", INTERIM.values(), ids=INTERIM)
def test_rule_06_every_1xx_is_relayed_when_it_comes(wire, raw, status):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(raw)
    interim = client.read_head()
    assert interim.status == status and interim.header("X-Hop") is None
    assert interim.header("Content-Length") is None and interim.header("Transfer-Encoding") is None
    if status == 103:
        assert interim.header("Link") == "</a.css>; rel=preload"
    link.answer(b"final")
    assert client.read_response().body == b"final"


def test_rule_06_many_1xx_before_one_answer(wire):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"".join(b"HTTP/1.1 103 Early Hints\r\nX-Number: %d\r\n\r\n" % i for i in range(500)))
    link.answer(b"final")
    answer = client.read_response()
    assert answer.interim == [103] * 500 and answer.body == b"final"


@pytest.mark.parametrize("status", ["413 Content Too Large", "401 Unauthorized", "417 Expectation Failed", "200 OK"])
def test_rule_06_a_final_status_before_the_body_ends_the_upload(wire, status):
    client, link = wire.send("POST / HTTP/1.1", EXPECT, "Content-Length: 5000000")
    link.read_head()
    link.answer(b"no", status=status)
    answer = client.read_response("POST")
    assert f"{answer.status} {answer.reason}" == status and answer.body == b"no" and answer.interim == []
    assert answer.header("Connection") == "close" and client.closed_by_peer() and link.closed()


def test_rule_06_a_final_status_within_the_body_ends_the_upload(wire):
    """haproxy 3316: the answer was lost since the client was still sending."""
    client, link = wire.send("POST / HTTP/1.1", "Content-Length: 50000000", body=b"x" * 1000)
    link.read_head()
    stop = threading.Event()

    def upload():
        try:
            while not stop.is_set():
                client.socket.send(b"x" * 65536)
        except OSError:
            pass

    sender = threading.Thread(target=upload, daemon=True)
    sender.start()
    link.read_exactly(200_000)
    link.answer(b"enough", status="413 Content Too Large")
    answer = client.read_response("POST")
    assert answer.status == 413 and answer.body == b"enough" and answer.header("Connection") == "close"
    stop.set()
    client.socket.shutdown(socket.SHUT_RDWR)
    sender.join(10)


def test_rule_06_alcoves_own_answer_asks_for_no_body(wire):
    wire.app = "nowhere"
    client = wire.dial()
    client.send(wire.raw("POST / HTTP/1.1", EXPECT, "Content-Length: 5000000"))
    answer = client.read_response("POST")
    assert answer.status == 404 and answer.interim == [] and answer.header("Connection") == "close"


def test_rule_06_no_100_is_sent_while_a_request_is_held(held):
    client = held.dial()
    client.send(held.raw("POST / HTTP/1.1", EXPECT, "Content-Length: 5"))
    held.gateway.wait_state(f"test/{held.user}", "starting")
    assert hears_nothing(client, 0.5)
    held.pod.listen()
    link = held.pod.accept()
    assert link.read_head().get("Expect") == "100-continue" and hears_nothing(client)
    link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.read_head().status == 100
    client.send(b"hello")
    assert link.read_exactly(5) == b"hello"
    link.answer()
    assert client.read_response("POST").status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_rule_06_a_body_sent_while_held_meets_back_pressure_and_arrives_whole(held, framing):
    """KEDA http-add-on 1668: the body was lost, or was all in memory."""
    size = 48 << 20
    block = hashlib.sha256(b"seed").digest() * 2048
    client = held.dial()
    if framing == "length":
        client.send(held.raw("POST / HTTP/1.1", f"Content-Length: {size}"))
        pieces = [block] * (size // len(block))
    else:
        client.send(held.raw("POST / HTTP/1.1", "Transfer-Encoding: chunked"))
        pieces = [b"%x\r\n%s\r\n" % (len(block), block)] * (size // len(block)) + [b"0\r\n\r\n"]
    sent = [0]
    failed = []

    def upload():
        try:
            for piece in pieces:
                client.socket.sendall(piece)
                sent[0] += len(piece)
        except OSError as error:
            failed.append(error)

    client.socket.settimeout(60)
    sender = threading.Thread(target=upload, daemon=True)
    sender.start()
    held.gateway.wait_state(f"test/{held.user}", "starting")
    before = -1
    while before != sent[0]:  # until nothing more is taken
        before = sent[0]
        time.sleep(0.3)
    assert sender.is_alive() and sent[0] < 16 << 20, f"{sent[0]} bytes were taken while nobody could have them"
    held.pod.listen()
    link = held.pod.accept()
    request = link.read_request()
    assert len(request.body) == size
    assert hashlib.sha256(request.body).digest() == hashlib.sha256(block * (size // len(block))).digest()
    link.answer()
    sender.join(30)
    assert not failed and client.read_response("POST").status == 200


def test_rule_06_a_held_client_that_gives_up_its_upload_harms_nobody(held):
    client = held.dial()
    client.send(held.raw(f"POST /gone-{held.user} HTTP/1.1", EXPECT, "Content-Length: 5"))
    held.gateway.wait_state(f"test/{held.user}", "starting")
    client.close()
    held.gateway.wait_log(f"/gone-{held.user}")
    held.pod.listen()
    other, link = held.send("GET /next HTTP/1.1")
    assert link.read_request().target == "/next"
    link.answer()
    assert other.read_response().status == 200
