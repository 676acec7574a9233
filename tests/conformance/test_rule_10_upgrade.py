"""Rule 10: upgrades: websocket only, 101 only if asked for, nothing lost (RFC 9110 7.8, RFC 6455 4)."""

import pytest

from support import ws
from support.ws import HANDSHAKE, KEY, SWITCH


def tunnel(wire, *fields: str, early: bytes = b""):
    client, link = wire.send("GET /ws HTTP/1.1", *(fields or HANDSHAKE), body=early)
    seen = link.read_head()
    link.send(SWITCH)
    answer = client.read_head()
    assert answer.status == 101 and answer.header("Upgrade") == "websocket" and answer.header("Connection") == "Upgrade"
    return client, link, seen


ASKED = {
    "plainly": HANDSHAKE,
    "in_any_case": ("connection: UPGRADE", "upgrade: WebSocket", f"sec-websocket-key: {KEY}",
                    "sec-websocket-version: 13"),
    "as_firefox": ("Connection: keep-alive, Upgrade", *HANDSHAKE[1:]),
    "with_protocols": (*HANDSHAKE, "Sec-WebSocket-Protocol: chat, superchat",
                       "Sec-WebSocket-Extensions: permessage-deflate"),
    "among_others": ("Connection: Upgrade", "Upgrade: h2c, websocket", *HANDSHAKE[2:]),
}


@pytest.mark.parametrize("fields", ASKED.values(), ids=ASKED)
def test_rule_10_a_websocket_handshake_goes_on_and_becomes_a_tunnel(wire, fields):
    client, link, seen = tunnel(wire, *fields)
    assert seen.get("Connection") == "Upgrade" and seen.get("Upgrade") == "websocket"
    assert seen.get("Sec-WebSocket-Key") == KEY and seen.get("Sec-WebSocket-Version") == "13"
    for name in ("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
        assert (seen.get(name) is not None) == any(f.startswith(name) for f in fields)
    frame = ws.frame(ws.TEXT, b"from the client", masked=True)
    client.send(frame)
    assert link.read_exactly(len(frame)) == frame
    link.send(ws.frame(ws.TEXT, b"from the pod", masked=False))
    assert ws.read_frame(client.read_exactly) == (ws.TEXT, b"from the pod")


def test_rule_10_bytes_that_came_with_the_handshake_are_passed_on(wire):
    """Traefik 9341."""
    early = ws.frame(ws.TEXT, b"early", masked=True) * 3
    client, link, _ = tunnel(wire, *HANDSHAKE, early=early)
    assert link.read_exactly(len(early)) == early
    link.send(b"\x81\x02ok")
    assert ws.read_frame(client.read_exactly) == (ws.TEXT, b"ok")


def test_rule_10_bytes_that_came_with_the_101_are_passed_on(wire):
    client, link = wire.send("GET /ws HTTP/1.1", *HANDSHAKE)
    link.read_head()
    link.send(SWITCH + b"\x81\x05hello")
    assert client.read_head().status == 101
    assert ws.read_frame(client.read_exactly) == (ws.TEXT, b"hello")


def test_rule_10_nothing_of_the_tunnel_is_read_as_http(wire):
    client, link, _ = tunnel(wire)
    for data in (b"GET /smuggled HTTP/1.1\r\n\r\n", bytes(range(256)) * 500, b"HTTP/1.1 200 OK\r\n\r\n"):
        client.send(data)
        assert link.read_exactly(len(data)) == data
        link.send(data)
        assert client.read_exactly(len(data)) == data
    assert wire.pod.untouched()


NOT_ASKED = {
    "no_connection": HANDSHAKE[1:],
    "no_upgrade": (HANDSHAKE[0], *HANDSHAKE[2:]),
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "tls": ("Connection: Upgrade", "Upgrade: TLS/1.0"),
    "websocket_in_quotes": ("Connection: Upgrade", 'Upgrade: "websocket"', *HANDSHAKE[2:]),
    "websocketx": ("Connection: Upgrade", "Upgrade: websocketx", *HANDSHAKE[2:]),
}


@pytest.mark.parametrize("fields", NOT_ASKED.values(), ids=NOT_ASKED)
def test_rule_10_another_upgrade_is_an_ordinary_request(wire, fields):
    seen, answer = wire.ask("GET / HTTP/1.1", *fields)
    assert not {"upgrade", "connection", "http2-settings"} & seen.names and answer.status == 200


@pytest.mark.parametrize("line, fields, body", [
    ("POST / HTTP/1.1", ["Content-Length: 5"], b"hello"),
    ("GET / HTTP/1.1", ["Content-Length: 5"], b"hello"),
    ("GET / HTTP/1.1", ["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
    ("PUT / HTTP/1.1", [], b""),
], ids=["post", "get_with_length", "get_chunked", "put"])
def test_rule_10_an_upgrade_with_a_body_or_another_method_is_an_ordinary_request(wire, line, fields, body):
    seen, answer = wire.ask(line, *HANDSHAKE, *fields, body=body)
    assert "upgrade" not in seen.names and seen.body in (b"", b"hello") and answer.status == 200


UNASKED = {
    "to_an_ordinary_request": ((), SWITCH),
    "to_h2c": (NOT_ASKED["h2c"], b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
    "of_another_protocol": (HANDSHAKE,
                            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
    "without_upgrade": (HANDSHAKE, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "without_connection": (HANDSHAKE, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
}


@pytest.mark.parametrize("fields, raw", UNASKED.values(), ids=UNASKED)
def test_rule_10_a_101_that_nobody_asked_for_is_a_502(wire, fields, raw):
    client, link = wire.send("GET / HTTP/1.1", *fields)
    link.read_request()
    link.send(raw + b"bytes of no protocol")
    answer = client.read_response()
    assert answer.status == 502 and answer.by_alcove and link.closed()


REFUSALS = {
    "200": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    "400": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
    "401": b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno",
    "426": b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 2\r\n\r\nno",
    "chunked": b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    "102_first": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
}


@pytest.mark.parametrize("raw", REFUSALS.values(), ids=REFUSALS)
def test_rule_10_another_answer_than_101_is_an_ordinary_answer(wire, raw):
    """agent-sandbox 923: the connection was a tunnel although the pod had said no, and the next request went by it."""
    client, link = wire.send("GET /ws HTTP/1.1", *HANDSHAKE, body=wire.raw("GET /next HTTP/1.1"))
    link.read_head()
    assert link.silent(), "what follows the handshake waits for the answer"
    link.busy = False
    link.send(raw)
    answer = client.read_response()
    assert answer.status != 101 and answer.body == b"no"
    link = wire.pod.accept()
    assert link.read_request().target == "/next"
    link.answer(b"next")
    assert client.read_response().body == b"next"


def test_rule_10_a_refused_handshake_with_frames_behind_it_is_no_request(wire):
    frame = b"\x81\x92" + bytes(4) + b"GET / HTTP/1.1\r\n\r\n"  # a mask of zeros, so that it can be read
    client, link = wire.send("GET /ws HTTP/1.1", *HANDSHAKE, body=frame)
    link.read_head()
    link.answer(b"no", status="400 Bad Request")
    assert client.read_response().status == 400
    answer = client.read_response()
    assert answer.status == 400 and answer.by_alcove and answer.header("Connection") == "close"
    assert link.received.count(b"HTTP/1.1") == 1
