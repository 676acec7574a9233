"""Rule 7: no 1xx and no chunked coding towards HTTP/1.0 clients (RFC 9110 15.2, RFC 9112 6.1)."""

import pytest

ANSWERS = {
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked_with_trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    "until_close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    "http_10_until_close": b"HTTP/1.0 200 OK\r\n\r\nhello",
}


@pytest.mark.parametrize("raw", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("fields", [[], ["Connection: keep-alive"]], ids=["plain", "keep_alive"])
def test_rule_07_a_body_without_a_length_ends_with_the_connection(wire, raw, fields):
    client, link = wire.send("GET / HTTP/1.0", *fields)
    link.read_request()
    link.send(raw)
    if b"chunked" not in raw:
        link.end_writing()
    answer = client.read_head()
    assert answer.header("Transfer-Encoding") is None and answer.header("Content-Length") is None
    assert answer.header("Connection") == "close" and client.read_to_end() == b"hello"


@pytest.mark.parametrize("status", [100, 102, 103])
def test_rule_07_no_1xx_reaches_it(wire, status):
    client, link = wire.send("POST / HTTP/1.0", "Content-Length: 2", body=b"hi")
    link.read_request()
    link.send(b"HTTP/1.1 %d Soon\r\nX-Odd: 1\r\n\r\n" % status)
    link.answer(b"final")
    answer = client.read_response("POST")
    assert answer.interim == [] and answer.status == 200 and answer.body == b"final"


def test_rule_07_its_expect_is_ignored(wire):
    seen, answer = wire.ask("POST / HTTP/1.0", "Expect: 100-continue", "Content-Length: 2", body=b"hi")
    assert seen.get("Expect") is None and seen.body == b"hi" and answer.status == 200


def test_rule_07_it_is_closed_unless_it_asks_for_more(wire):
    client, link = wire.send("GET / HTTP/1.0")
    seen = link.read_request()
    assert seen.get("Via") == "1.0 alcove" and b" HTTP/1.1\r\n" in seen.head
    link.answer()
    answer = client.read_response()
    assert answer.header("Connection") == "close" and client.closed_by_peer()


def test_rule_07_it_is_kept_if_it_asks_and_the_length_is_known(wire):
    client = wire.dial()
    for target in ("/1", "/2"):
        _, link = wire.send(f"GET {target} HTTP/1.0", "Connection: keep-alive", client=client)
        assert link.read_request().target == target
        link.answer()
        answer = client.read_response()
        assert answer.header("Connection") == "keep-alive" and answer.body == b"ok"


def test_rule_07_it_cannot_upgrade(wire):
    seen, answer = wire.ask("GET / HTTP/1.0", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    assert seen.get("Upgrade") is None and answer.status == 200


def test_rule_07_alcoves_own_answers_suit_it(wire):
    wire.app = "nowhere"
    client = wire.dial()
    client.send(wire.raw("GET / HTTP/1.0"))
    answer = client.read_response()
    assert answer.status == 404 and answer.header("Transfer-Encoding") is None and answer.header("Content-Length")
    assert answer.header("Connection") == "close" and client.closed_by_peer()
