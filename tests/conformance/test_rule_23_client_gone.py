"""Rule 23: a client that has gone: its pod is told, or its hold is left; both sockets are freed; nobody else notices."""

import contextlib
import os
import socket
import struct
import time

import pytest

from support.wire import Wire
from support.ws import HANDSHAKE, SWITCH

AT_MOST_S = 2.0  # a tick of 0.25 s, and the machine


def leave(client, how: str):
    if how == "reset":
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("when", ["before_the_answer", "within_the_answer", "within_its_body", "after_a_1xx"])
def test_rule_23_the_pod_is_told_soon(wire, how, when):
    """configurable-http-proxy 434: the pod worked on for nobody, and its socket stayed open for ever."""
    if when == "within_its_body":
        client, link = wire.send("POST / HTTP/1.1", "Content-Length: 100000", body=b"x" * 1000)
    else:
        client, link = wire.send("GET / HTTP/1.1")
    link.read_head()
    if when == "within_the_answer":
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
        assert client.read_until(b"hello")
    elif when == "after_a_1xx":
        link.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        assert client.read_head().status == 103
    leave(client, how)
    began = time.monotonic()
    link.drain(AT_MOST_S)
    assert link.closed(AT_MOST_S) and time.monotonic() - began < AT_MOST_S


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_rule_23_a_pod_that_keeps_sending_is_stopped(wire, how):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.read_head().status == 200
    leave(client, how)
    began = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - began < 10:
            link.send(b"5\r\nhello\r\n")
            time.sleep(0.01)
    assert time.monotonic() - began < AT_MOST_S


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_rule_23_a_tunnel_ends_with_its_client(wire, how):
    client, link = wire.send("GET /ws HTTP/1.1", *HANDSHAKE)
    link.read_head()
    link.send(SWITCH)
    assert client.read_head().status == 101
    leave(client, how)
    assert link.closed(AT_MOST_S)


def test_rule_23_an_upload_that_breaks_off_is_never_a_whole_request(wire):
    client, link = wire.send("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n")
    link.read_head()
    client.close()
    assert link.drain(AT_MOST_S) == b"5\r\nhello\r\n" and link.closed()


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_rule_23_one_of_many_waiters_leaves(held, how):
    """agent-sandbox: the first waiter left, and all held requests failed. The start goes on, and the others with it."""
    first, *others = [held.dial() for _ in range(4)]
    first.send(held.raw(f"GET /first-{held.user} HTTP/1.1"))
    held.gateway.wait_state(f"test/{held.user}", "starting")
    for client in others:
        client.send(held.raw("GET /other HTTP/1.1"))
    leave(first, how)
    held.gateway.wait_log(f"/first-{held.user}")
    held.pod.listen()
    for _ in others:
        link = held.pod.accept()
        assert link.read_request().target == "/other"
        link.answer()
    for client in others:
        assert client.read_response().status == 200
    assert held.pod.untouched(), "the first one's request is never sent"


def test_rule_23_the_start_goes_on_when_all_have_left(held):
    client = held.dial()
    client.send(held.raw(f"GET /left-{held.user} HTTP/1.1"))
    held.gateway.wait_state(f"test/{held.user}", "starting")
    client.close()
    held.gateway.wait_log(f"/left-{held.user}")
    held.pod.listen()
    held.gateway.wait_state(f"test/{held.user}", "ready")
    assert held.gateway.session(f"test/{held.user}")["generation"] == 1 and held.pod.untouched()


def test_rule_23_no_socket_is_left(wire):
    """Every way to leave, many times over: as many descriptors as before."""
    gateway, pod = wire.gateway, wire.pod
    wire.ready()
    deadline = time.monotonic() + 10
    while (before := gateway.descriptors()) > gateway.baseline + 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for number in range(16):
        one = Wire(gateway, pod, wire.transport)
        one.user = wire.user
        client, link = one.send("GET / HTTP/1.1")
        link.read_request()
        if number % 4 >= 2:
            link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            client.read_until(b"hello")
        leave(client, "reset" if number % 2 else "closed")
        link.drain(AT_MOST_S)
        pod.clear()
    deadline = time.monotonic() + 10
    while gateway.descriptors() > before:
        assert time.monotonic() < deadline, f"{gateway.descriptors()} descriptors, {before} before"
        time.sleep(0.1)


def break_off(wire, client):
    """In the middle of what it says: with bytes that are no TLS, or with a reset."""
    if wire.tls:
        os.write(client.socket.fileno(), b"this is no record of TLS at all " * 4)
    else:
        leave(client, "reset")


def test_rule_23_who_breaks_off_in_a_form_harms_nobody(wire):
    client = wire.dial()
    client.send(f"POST /.alcove/sign-in HTTP/1.1\r\nHost: {wire.host}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nuser=".encode())
    break_off(wire, client)
    assert wire.other_user().ask()[1].status == 200


def test_rule_23_who_breaks_off_while_an_answer_waits_for_them_harms_nobody(wire):
    client, link = wire.send("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n")
    link.read_head()
    link.socket.settimeout(0.3)
    with contextlib.suppress(OSError):  # until nobody takes any more
        link.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            link.socket.sendall(b"x" * 1_000_000)
    break_off(wire, client)
    for _ in range(100 if wire.tls else 0):  # there is room again
        with contextlib.suppress(BlockingIOError):
            os.read(client.socket.fileno(), 65536)
    assert wire.other_user().ask()[1].status == 200
