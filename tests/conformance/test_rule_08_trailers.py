"""Rule 8: trailers never become fields of the head (RFC 9110 6.5). Alcove drops them."""

import pytest

TRAILERS = {
    "harmless": b"X-Sum: 1\r\n",
    "host": b"Host: evil.localhost\r\n",
    "content_length": b"Content-Length: 100\r\n",
    "transfer_encoding": b"Transfer-Encoding: gzip\r\n",
    "identity": b"X-Alcove-User: eve\r\nX-User-ID: eve\r\n",
    "identity_alias": b"X_Alcove_User: eve\r\n",
    "cookie": b"Cookie: alcove_dev=stolen\r\n",
    "authorization": b"Authorization: Bearer eve\r\n",
    "forwarded": b"X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n",
    "connection": b"Connection: close, host\r\n",
    "set_cookie": b"Set-Cookie: alcove_dev=forged\r\n",
    "many": b"".join(b"X-%d: y\r\n" % i for i in range(200)),
}


@pytest.mark.parametrize("trailers", TRAILERS.values(), ids=TRAILERS)
@pytest.mark.parametrize("pieces", [1, 2], ids=["at_once", "later"])
def test_rule_08_trailers_of_a_request_are_dropped(wire, trailers, pieces):
    """Traefik CVE-2026-88004: they were merged into the head of the next hop."""
    whole = b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n"
    client, link = wire.send("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Trailer: X-Sum",
                             body=whole if pieces == 1 else whole[:10])
    if pieces == 2:
        client.send(whole[10:])
    seen = link.read_request()
    assert link.received.endswith(b"5\r\nhello\r\n0\r\n\r\n") and not link.buffer
    assert seen.get("X-Alcove-User") == wire.user and seen.get("Trailer") is None
    assert b"eve" not in seen.head and b"6.6.6.6" not in seen.head and seen.get("X-Sum") is None
    link.answer()
    answer = client.read_response("POST")
    assert answer.status == 200 and answer.header("Connection") is None


@pytest.mark.parametrize("trailers", TRAILERS.values(), ids=TRAILERS)
@pytest.mark.parametrize("pieces", [1, 2], ids=["at_once", "later"])
def test_rule_08_trailers_of_an_answer_are_dropped(wire, trailers, pieces):
    client, link = wire.send("GET / HTTP/1.1", "TE: trailers")
    link.read_request()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    whole = head + b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n"
    cut = len(whole) if pieces == 1 else whole.index(b"0\r\n") + 3
    link.send(whole[:cut])
    head = client.read_head()
    assert head.header("Trailer") is None and head.header("X-Sum") is None and head.all("Set-Cookie") == []
    assert client.read_until(b"hello\r\n") == b"5\r\nhello\r\n"
    link.send(whole[cut:])
    assert client.read_exactly(5) == b"0\r\n\r\n"
    link.busy = False
    _, link = wire.send("GET /next HTTP/1.1", client=client)
    assert link.read_request().target == "/next"
    link.answer()
    assert client.read_response().status == 200


def test_rule_08_what_follows_trailers_is_the_next_request(wire):
    client, link = wire.send("POST /1 HTTP/1.1", "Transfer-Encoding: chunked",
                             body=b"0\r\nX-Sum: 1\r\n\r\n" + wire.raw("GET /2 HTTP/1.1"))
    assert link.read_request().target == "/1"
    link.answer(b"one")
    assert client.read_response("POST").body == b"one"
    link = wire.pod.accept()
    assert link.read_request().target == "/2"
    link.answer(b"two")
    assert client.read_response().body == b"two"
