"""Rule 3: framing never depends on the method (RFC 9112 6)."""

import pytest

METHODS = ["GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "POST", "PUT", "PATCH", "PROPFIND", "QUERY", "X-OWN", "get"]
BODY = b"GET /smuggled HTTP/1.1\r\nHost: test.localhost\r\n\r\n"
FRAMINGS = {
    "length": ([f"Content-Length: {len(BODY)}"], BODY),
    "chunked": (["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fields, body", FRAMINGS.values(), ids=FRAMINGS)
def test_rule_03_a_body_is_a_body_whatever_the_method(wire, method, fields, body):
    """node-http-proxy CVE-2026-29057: the body of a GET or DELETE was read as the next request."""
    pooled = wire.ready()
    client, link = wire.send(f"{method} /1 HTTP/1.1", *fields, body=body + wire.raw("GET /2 HTTP/1.1"))
    first = link.read_request()
    assert (first.method, first.target, first.body) == (method, "/1", BODY)
    link.answer(b"" if method == "HEAD" else b"one")
    assert client.read_response(method).status == 200
    assert wire.pod.accept() is link is pooled
    second = link.read_request()
    assert (second.method, second.target, second.body) == ("GET", "/2", b"")
    link.answer(b"two")
    assert client.read_response().body == b"two" and link.silent()


@pytest.mark.parametrize("method", METHODS)
def test_rule_03_no_framing_is_no_body_whatever_the_method(wire, method):
    pooled = wire.ready()
    client, link = wire.send(f"{method} /1 HTTP/1.1", body=wire.raw("GET /2 HTTP/1.1"))
    assert link.read_request().framing == "none"
    link.answer(b"" if method == "HEAD" else b"one")
    assert client.read_response(method).status == 200
    assert wire.pod.accept() is link is pooled
    assert link.read_request().target == "/2"
    link.answer(b"two")
    assert client.read_response().body == b"two"
