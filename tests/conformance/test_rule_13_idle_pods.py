"""Rule 13: idle connections to pods: closed before the pod does it, and looked at before they are used again."""

import time

import pytest

from support.alcove import ROOT


def test_rule_13_an_idle_connection_is_closed_in_time(wire):
    """The suite's apps say pod_idle: 2s. The default, 4s, is below the 5s of Node."""
    link = wire.ready()
    began = time.monotonic()
    assert link.closed(10) and 1 < time.monotonic() - began < 5


def test_rule_13_the_default_is_below_nodes_5_seconds():
    example = (ROOT / "config" / "alcove.example.yaml").read_text(encoding="utf-8")
    assert next(line.split()[1] for line in example.splitlines() if " pod_idle:" in line) == "4s"


@pytest.mark.parametrize("line, fields, body", [
    ("GET / HTTP/1.1", [], b""),
    ("POST / HTTP/1.1", ["Content-Length: 5"], b"hello"),
    ("POST / HTTP/1.1", ["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
], ids=["get", "post", "chunked"])
@pytest.mark.parametrize("how", ["closed", "reset", "half_closed", "said_something"])
def test_rule_13_a_connection_that_the_pod_has_ended_is_not_used_again(wire, line, fields, body, how):
    """caddy 6452: a POST was lost on it."""
    link = wire.ready()
    if how == "closed":
        link.close()
    elif how == "reset":
        link.reset()
    elif how == "half_closed":
        link.end_writing()
    else:
        link.send(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    if how != "reset":
        link.busy = True
    wire.pod.links.remove(link)
    client, other = wire.send(line, *fields, body=body)
    assert other is not link
    assert other.read_request().body == (b"hello" if body else b"")
    other.answer(b"fine")
    assert client.read_response("POST").body == b"fine"
    if how == "said_something":
        assert link.closed()
    link.close()


def test_rule_13_the_first_connection_of_a_session_is_used_again(wire):
    """Pushes of the session's start arrive late: they must not take away the route of the pod that is ready by now."""
    for _ in range(20):
        one = wire.other_user()
        client, first = one.send("GET /1 HTTP/1.1")
        first.read_request()
        first.answer()
        assert client.read_response().status == 200
        _, second = one.send("GET /2 HTTP/1.1", client=client)
        assert second is first
        second.read_request()
        second.answer()
        assert client.read_response().status == 200


def test_rule_13_a_pod_that_says_close_is_not_used_again(wire):
    link = wire.ready()
    client, same = wire.send("GET / HTTP/1.1")
    assert same is link
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert client.read_response().status == 200 and link.closed()


def test_rule_13_a_pod_of_http_10_is_used_again_only_if_it_says_so(wire):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert client.read_response().body == b"ok" and link.closed()
    pooled = wire.ready()
    for target in ("/1", "/2"):
        _, link = wire.send(f"GET {target} HTTP/1.1", client=client)
        assert link is pooled and link.read_request().target == target
        link.busy = False
        link.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
        assert client.read_response().body == b"ok"
