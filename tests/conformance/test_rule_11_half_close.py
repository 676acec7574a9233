"""Rule 11: half-close in a tunnel: the other direction goes on, for a while."""

import time

import pytest

from support import http1
from support.half_tls import HalfTls
from support.ws import HANDSHAKE, SWITCH


def end_writing(client):
    if isinstance(client, HalfTls):
        client.end_writing()
    else:
        client.socket.shutdown(1)


def tunnel(wire):
    if wire.tls:
        client = HalfTls(wire.port, wire.gateway.context, "test.localhost", timeout=60)
        wire.connections.append(client)
    else:
        client = wire.dial()
    client, link = wire.send("GET /ws HTTP/1.1", *HANDSHAKE, client=client)
    link.read_head()
    link.send(SWITCH)
    assert client.read_head().status == 101
    return client, link


def test_rule_11_a_client_that_ends_its_side_still_hears_the_pod(wire):
    """Caddy 8026."""
    client, link = tunnel(wire)
    client.send(b"last words")
    end_writing(client)
    assert link.read_exactly(10) == b"last words" and link.closed()
    for i in range(20):
        link.send(b"%09d" % i)
        assert client.read_exactly(9) == b"%09d" % i
    link.send(b"x" * 1_000_000)
    link.end_writing()
    assert client.read_to_end() == b"x" * 1_000_000
    if wire.tls:
        assert client.clean_end, "TLS must say that this is the end, or it could be a cut"


def test_rule_11_a_pod_that_ends_its_side_still_hears_the_client(wire):
    client, link = tunnel(wire)
    link.send(b"last words")
    link.end_writing()
    assert client.read_to_end() == b"last words"
    if wire.tls:
        assert client.clean_end
    for i in range(20):
        client.send(b"%09d" % i)
        assert link.read_exactly(9) == b"%09d" % i
    client.send(b"x" * 1_000_000)
    end_writing(client)
    assert link.read_exactly(1_000_000) == b"x" * 1_000_000 and link.closed()


def test_rule_11_both_sides_ended_is_the_end(wire):
    client, link = tunnel(wire)
    end_writing(client)
    assert link.closed()
    link.end_writing()
    assert client.read_to_end() == b""


@pytest.mark.parametrize("who", ["client", "pod"])
def test_rule_11_a_side_that_breaks_off_ends_both(wire, who):
    client, link = tunnel(wire)
    if who == "pod":
        link.reset()
        try:
            assert client.read_to_end() == b""
        except http1.Broken:
            pass
    else:
        client.socket.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER: a reset
        client.close()
        assert link.closed()


def half_closed(wire):
    """Begun with the session: a tunnel whose pod has ended its side, and one whose client has."""
    pairs = {}
    for who in ("client", "pod"):
        client, link = tunnel(wire)
        if who == "client":
            end_writing(client)
            assert link.closed()
        else:
            link.end_writing()
            assert client.read_to_end() == b""
        pairs[who] = client, link, time.monotonic()
    return pairs


@pytest.mark.patient(begin=half_closed)
@pytest.mark.parametrize("who", ["client", "pod"])
def test_rule_11_the_other_direction_may_be_silent_for_half_a_minute_at_most(patience, transport, who):
    client, link, began = patience["half_closed", transport][who]
    if who == "client":
        assert client.read_to_end(60) == b""
    else:
        assert link.closed(60)
    assert 25 < time.monotonic() - began
