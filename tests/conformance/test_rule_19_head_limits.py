"""Rule 19: request heads: 32 KiB and 100 fields, both settable; 431 that says which field (RFC 6585 5)."""

import pytest

from support.raw_pod import RawPod
from support.wire import Wire, run_gateway

KIB = 1024


def head_of(wire, size: int, name: str = "X-Large") -> bytes:
    """A request whose head has exactly this many bytes."""
    base = len(wire.raw("GET / HTTP/1.1", f"{name}: "))
    data = wire.raw("GET / HTTP/1.1", f"{name}: " + "x" * (size - base))
    assert len(data) == size
    return data


@pytest.fixture(scope="module")
def strict(place, certificate):
    pod = RawPod()
    for run in run_gateway(place, certificate, [pod], limits={"head_bytes": "2KiB", "head_fields": 10}):
        yield run, pod


@pytest.fixture
def small(strict, transport):
    made = Wire(*strict, transport)
    yield made
    made.close()


def fine(wire, data: bytes):
    client = wire.dial()
    client.send(data)
    link = wire.pod.accept()
    link.read_request()
    link.answer()
    assert client.read_response().status == 200


def test_rule_19_a_head_of_32_kib_is_taken(wire):
    fine(wire, head_of(wire, 32 * KIB))


@pytest.mark.parametrize("name", ["X-Large", "Cookie", "Authorization"])
@pytest.mark.parametrize("size", [32 * KIB + 1, 200 * KIB])
def test_rule_19_a_larger_one_is_a_431_that_names_the_field(wire, name, size):
    """configurable-http-proxy 207: a bare 400 that nobody understood."""
    answer = wire.refused(head_of(wire, size, name))
    assert answer.status == 431 and f'"{name}"' in answer.json()["detail"] and "32768" in answer.json()["detail"]
    assert wire.pod.untouched()


def test_rule_19_100_fields_are_taken(wire):
    fine(wire, wire.raw("GET / HTTP/1.1", *(f"X-{i}: y" for i in range(98))))


def test_rule_19_101_fields_are_a_431_that_names_the_one_too_many(wire):
    answer = wire.refused(wire.raw("GET / HTTP/1.1", *(f"X-{i}: y" for i in range(99))))
    assert answer.status == 431 and '"X-98"' in answer.json()["detail"] and wire.pod.untouched()


@pytest.mark.parametrize("size", [40_000, 500_000])
def test_rule_19_a_longer_request_line_is_a_414(wire, size):
    assert wire.refused(wire.raw(f"GET /{'x' * size} HTTP/1.1")).status == 414 and wire.pod.untouched()


def test_rule_19_the_limit_holds_for_heads_that_come_slowly(wire):
    client = wire.dial()
    data = head_of(wire, 40 * KIB)
    for at in range(0, len(data), 4 * KIB):
        client.send(data[at:at + 4 * KIB])
    answer = client.read_response()
    assert answer.status == 431 and '"X-Large"' in answer.json()["detail"]


def test_rule_19_the_limit_holds_for_the_second_request_too(wire):
    client = wire.dial()
    wire.ask(client=client)
    client.send(head_of(wire, 33 * KIB))
    assert client.read_response().status == 431


def test_rule_19_both_limits_can_be_set(small):
    fine(small, head_of(small, 2 * KIB))
    assert small.refused(head_of(small, 2 * KIB + 1)).status == 431
    fine(small, small.raw("GET / HTTP/1.1", *(f"X-{i}: y" for i in range(8))))
    answer = small.refused(small.raw("GET / HTTP/1.1", *(f"X-{i}: y" for i in range(9))))
    assert answer.status == 431 and '"X-8"' in answer.json()["detail"]


def test_rule_19_a_pipelined_head_is_measured_alone(small):
    client = small.dial()
    client.send(head_of(small, 1500) * 3)
    for _ in range(3):
        link = small.pod.accept()
        link.read_request()
        link.answer()
        assert client.read_response().status == 200
