"""Rule 14: refused is not dead: a pod that is not there yet is waited for; one that cannot be reached is asked about."""

import socket
import time

import pytest

from support.raw_pod import RawPod
from support.wire import Wire, hears_nothing


def test_rule_14_a_request_is_held_until_its_pod_listens(held):
    client = held.dial()
    client.send(held.raw("POST / HTTP/1.1", "Content-Length: 5", body=b"hello"))
    assert hears_nothing(client, 0.7), "half a second of refused connections is no answer"
    held.pod.listen()
    link = held.pod.accept()
    assert link.read_request().body == b"hello"
    link.answer(b"at last")
    assert client.read_response("POST").body == b"at last"


@pytest.mark.parametrize("line, fields, body", [
    ("GET / HTTP/1.1", [], b""),
    ("POST / HTTP/1.1", ["Content-Length: 5"], b"hello"),
    ("POST / HTTP/1.1", ["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
], ids=["get", "post", "chunked"])
def test_rule_14_a_ready_pod_that_refuses_for_a_moment_is_waited_for(held, line, fields, body):
    """A pod that restarts its server: nothing was written, so anything can be sent when it is back."""
    held.pod.listen()
    held.ready()
    held.pod.clear()
    held.pod.refuse()
    client = held.dial()
    client.send(held.raw(line, *fields, body=body))
    assert hears_nothing(client, 0.7)
    held.pod.listen()
    link = held.pod.accept()
    assert link.read_request().body == (b"hello" if body else b"")
    link.answer(b"back")
    assert client.read_response("POST").body == b"back"


def test_rule_14_what_never_listens_is_a_504_that_says_so(held):
    held.app = "hasty"
    client = held.dial()
    began = time.monotonic()
    client.send(held.raw("GET / HTTP/1.1"))
    answer = client.read_response()
    assert answer.status == 504 and answer.by_alcove and answer.json()["code"] == "RW"
    assert 0.9 < time.monotonic() - began < 10


def test_rule_14_a_pod_that_does_not_take_connections_is_given_up_and_asked_about(make_gateway, transport):
    """Its backlog is full, so a connection is neither taken nor refused: as if the host were gone. After the time limit
    the route is dropped and the store asked; the pod that is there by then gets the request."""
    pod = RawPod(listening=False)
    pod.listen(backlog=0)
    gateway = make_gateway([pod], timeouts={"connect": "300ms", "drain": "5s"})
    wire = Wire(gateway, pod, transport)
    try:
        wire.ready()
        pod.clear()
        stuffing = []
        while True:  # until the kernel takes no more
            sock = socket.socket()
            sock.settimeout(0.2)
            stuffing.append(sock)
            try:
                sock.connect(("127.0.0.1", pod.port))
            except TimeoutError:
                break
        before = gateway.metric("alcove_gateway_pod_dial_failures_total")
        client = wire.dial()
        client.send(wire.raw("POST / HTTP/1.1", "Content-Length: 5", body=b"hello"))
        deadline = time.monotonic() + 15
        while gateway.metric("alcove_gateway_pod_dial_failures_total") < before + 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for sock in stuffing:
            sock.close()
        link = pod.accept()
        assert link.read_request().body == b"hello"
        link.answer(b"taken")
        assert client.read_response("POST").body == b"taken"
    finally:
        wire.close()
