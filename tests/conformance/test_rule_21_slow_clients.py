"""Rule 21: slow clients: an absolute deadline for the head, a least rate for the body, caps per source address and on
holds."""

import threading
import time

import pytest

from support import http1
from support.raw_pod import RawPod
from support.wire import Wire, hears_nothing, run_gateway


@pytest.fixture(scope="module")
def strict(place, certificate):
    pod = RawPod()
    limits = {"connections_per_address": 4, "connections": 6}
    timeouts = {"head": "1s", "drain": "5s"}
    for run in run_gateway(place, certificate, [pod], limits=limits, timeouts=timeouts):
        yield run, pod


@pytest.fixture
def capped(strict, transport):
    made = Wire(*strict, transport)
    yield made
    made.close()
    deadline = time.monotonic() + 10
    while made.gateway.metric("alcove_gateway_connections_now") > 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_rule_21_the_deadline_of_a_head_is_absolute(capped):
    """Each byte is in time for an idle limit; together they are not."""
    client = capped.dial()
    began = time.monotonic()
    for byte in capped.raw("GET / HTTP/1.1", "X-Slow: " + "x" * 200):
        client.send(bytes([byte]))
        if not hears_nothing(client, 0.05):
            break
    took = time.monotonic() - began
    answer = client.read_response()
    assert answer.status == 408 and answer.by_alcove and 0.8 < took < 3


def is_admitted(wire, client) -> bool:
    """Whether its request is heard. Who is not admitted hears so, or nothing but the end."""
    try:
        client.send(b"GET / HTTP/1.1\r\nHost: nothing.here\r\n\r\n")
        answer = client.read_response()
    except (OSError, http1.Broken):
        return False
    assert answer.by_alcove and answer.status in (404, 429, 503)
    if answer.status != 404:
        assert answer.header("Connection") == "close" and int(answer.header("Retry-After")) > 0
    return answer.status == 404


def comes_in(wire, source: str) -> bool:
    try:
        return is_admitted(wire, wire.dial(source))
    except (OSError, http1.Broken):
        return False  # TLS: not even a handshake


def test_rule_21_connections_per_address_are_capped(capped):
    mine = [capped.dial() for _ in range(4)]
    assert all(is_admitted(capped, client) for client in mine)
    assert not comes_in(capped, "127.0.0.1")
    assert comes_in(capped, "127.0.0.3"), "another address is not concerned"
    assert all(is_admitted(capped, client) for client in mine), "nor are those that are in"
    mine[0].close()
    deadline = time.monotonic() + 10
    while not comes_in(capped, "127.0.0.1"):
        assert time.monotonic() < deadline


def test_rule_21_connections_in_all_are_capped(capped):
    assert all(comes_in(capped, source) for source in ("127.0.0.1", "127.0.0.3") for _ in range(3))
    assert not comes_in(capped, "127.0.0.4") and not comes_in(capped, "127.0.0.1")


def test_rule_21_holds_of_one_user_are_capped(held):
    """http-add-on 1732: a queue without a cap took down every tenant. The suite's cap is 8."""
    clients = [held.dial() for _ in range(8)]
    for client in clients:
        client.send(held.raw("GET / HTTP/1.1"))
    deadline = time.monotonic() + 10
    while held.gateway.metric("alcove_gateway_holds_now") < 8:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    late = held.dial()
    late.send(held.raw("GET / HTTP/1.1"))
    answer = late.read_response()
    assert answer.status == 503 and answer.by_alcove and int(answer.header("Retry-After")) > 0
    other = held.other_user()
    others = other.dial()
    others.send(other.raw("GET /other HTTP/1.1"))
    held.pod.listen()
    for _ in range(9):
        link = held.pod.accept()
        link.read_request()
        link.answer()
    for client in (*clients, others):
        assert client.read_response().status == 200


class Drip(threading.Thread):
    """Sends a body at this many bytes a second until it is told to stop, or cannot any more."""

    def __init__(self, wire, rate: int):
        super().__init__(daemon=True)
        self.client, self.link = wire.send("POST / HTTP/1.1", "Content-Length: 1000000")
        self.link.read_head()
        self.rate, self.began, self.stop = rate, time.monotonic(), threading.Event()
        self.start()

    def run(self):
        while not self.stop.wait(0.5):
            try:
                self.client.socket.send(b"x" * (self.rate // 2))
            except OSError:
                return


def dripping(wire):
    """Begun with the session: below the least rate (256 bytes a second over 10 s), and above it."""
    return {rate: Drip(wire, rate) for rate in (40, 800)}


@pytest.mark.patient(begin=dripping)
def test_rule_21_a_body_below_the_least_rate_is_a_408(patience, transport):
    drip = patience["dripping", transport][40]
    answer = drip.client.read_response("POST", timeout=60)
    assert answer.status == 408 and answer.by_alcove and answer.json()["code"] == "CB"
    drip.stop.set()
    drip.join(10)


@pytest.mark.patient(begin=dripping)
def test_rule_21_a_body_above_it_goes_on(patience, transport):
    drip = patience["dripping", transport][800]
    while time.monotonic() - drip.began < 25:
        time.sleep(0.1)
    drip.stop.set()
    drip.join(10)
    assert len(drip.link.drain()) > 800 * 20
    drip.link.answer()
    assert drip.client.read_response("POST").status == 200


@pytest.mark.parametrize("start", [b"\rA", b"\r\rGET / HTTP/1.1", b"\r\n\rG"], ids=["letter", "two", "after_an_empty_line"])
def test_rule_21_a_stray_cr_does_not_put_the_deadline_off(capped, start):
    """It looked like the begin of an empty line, before which there is no deadline yet."""
    assert capped.refused(start).status == 400
