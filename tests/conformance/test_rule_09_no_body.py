"""Rule 9: HEAD, 1xx, 204 and 304 have no body whatever the lengths say (RFC 9112 6.3)."""

import pytest

CASES = {
    "head_with_length": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "1000"),
    "head_chunked": ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    "head_without_framing": ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", None),
    "head_of_nothing": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"),
    "head_404": ("HEAD", b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", "9"),
    "204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
    "204_with_length": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", None),
    "204_chunked": ("GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    "204_to_delete": ("DELETE", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", None),
    "304_with_length": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n", "1000"),
    "304_chunked": ("GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    "200_of_nothing": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"),
}


@pytest.mark.parametrize("method, raw, length", CASES.values(), ids=CASES)
def test_rule_09_an_answer_without_a_body_ends_with_its_head(wire, method, raw, length):
    pooled = wire.ready()
    client = wire.dial()
    for target in ("/1", "/2"):
        _, link = wire.send(f"{method} {target} HTTP/1.1", client=client)
        assert link is pooled and link.read_request().target == target
        link.busy = False
        link.send(raw)
        answer = client.read_response(method)
        assert answer.body == b"" and answer.header("Content-Length") == length
        assert answer.header("Transfer-Encoding") is None and answer.header("Connection") is None
    _, link = wire.send("GET /after HTTP/1.1", client=client)
    link.read_request()
    link.answer(b"after")
    assert client.read_response().body == b"after"


@pytest.mark.parametrize("field", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_rule_09_a_1xx_has_no_body(wire, field):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(f"HTTP/1.1 103 Early Hints\r\n{field}\r\n\r\n".encode())
    interim = client.read_head()
    assert interim.status == 103 and interim.header(field.partition(":")[0]) is None
    link.answer(b"final")
    assert client.read_response().body == b"final"


EXTRA = {
    "head": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "204": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    "length": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    "chunked": ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\npoison"),
}


@pytest.mark.parametrize("method, raw", EXTRA.values(), ids=EXTRA)
@pytest.mark.parametrize("when", ["at_once", "later"])
def test_rule_09_bytes_after_an_answer_end_the_pods_connection(wire, method, raw, when):
    """bun 34919: they became the next user's answer."""
    pooled = wire.ready()
    client, link = wire.send(f"{method} / HTTP/1.1")
    assert link is pooled
    link.read_request()
    end = raw.index(b"\r\n\r\n") + 4 if b"chunked" not in raw else raw.index(b"0\r\n\r\n") + 5
    link.send(raw if when == "at_once" else raw[:end])
    assert client.read_response(method).body == b""
    if when == "later":
        link.send(raw[end:])
    else:
        assert link.closed()
    _, other = wire.send("GET /next HTTP/1.1", client=client)
    assert other is not link and other.read_request().target == "/next"
    other.answer(b"mine")
    assert client.read_response().body == b"mine"
    assert link.closed()
