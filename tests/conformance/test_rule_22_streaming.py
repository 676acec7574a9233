"""Rule 22: every read is passed on at once; back-pressure both ways; no whole body in memory."""

import threading
import time

import pytest

from support.ws import HANDSHAKE, SWITCH

LARGE = 256 << 20
# Kernel buffers of four sockets and ours: far below a body, whatever their tuning.
IN_BETWEEN = 32 << 20


def test_rule_22_pieces_of_an_answer_arrive_one_by_one(wire):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
    assert client.read_head().status == 200, "the head does not wait for the body"
    for i in range(3):
        link.send(b"%010d" % i)
        assert client.read_exactly(10) == b"%010d" % i


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "until_close"])
def test_rule_22_events_arrive_one_by_one(wire, chunked):
    """http-add-on 918."""
    client, link = wire.send("GET / HTTP/1.1", "Accept: text/event-stream")
    link.read_request()
    coding = b"Transfer-Encoding: chunked\r\n" if chunked else b""
    link.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + coding + b"\r\n")
    assert client.read_head().status == 200
    for i in range(5):
        event = b"data: %d\n\n" % i
        link.send(b"%x\r\n%s\r\n" % (len(event), event) if chunked else event)
        assert client.read_until(b"\r\n") == b"%x\r\n" % len(event)
        assert client.read_exactly(len(event) + 2) == event + b"\r\n"


def test_rule_22_half_a_chunk_is_passed_on_too(wire):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n01234")
    assert client.read_until(b"01234\r\n").endswith(b"5\r\n01234\r\n")
    link.send(b"56789\r\n0\r\n\r\n")
    assert client.read_until(b"0\r\n\r\n") == b"5\r\n56789\r\n0\r\n\r\n"


@pytest.mark.parametrize("framing, pieces", [
    ("Content-Length: 10", [(b"01234", b"01234"), (b"56789", b"56789")]),
    ("Transfer-Encoding: chunked", [(b"5\r\n01234\r\n", b"5\r\n01234\r\n"), (b"1\r\nx\r\n", b"1\r\nx\r\n"),
                                    (b"a\r\n01234", b"5\r\n01234\r\n"), (b"56789\r\n", b"5\r\n56789\r\n"),
                                    (b"0\r\n\r\n", b"0\r\n\r\n")]),
], ids=["length", "chunked"])
def test_rule_22_pieces_of_a_request_arrive_one_by_one(wire, framing, pieces):
    client, link = wire.send("POST / HTTP/1.1", framing)
    link.read_head()
    for sent, wanted in pieces:
        client.send(sent)
        assert link.read_exactly(len(wanted)) == wanted
    link.answer()
    assert client.read_response("POST").status == 200


def test_rule_22_an_answer_can_begin_before_the_request_has_ended(wire):
    client, link = wire.send("POST / HTTP/1.1", "Transfer-Encoding: chunked")
    link.read_head()
    link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.read_head().status == 200
    for i in range(5):
        client.send(b"1\r\n%d\r\n" % i)
        assert link.read_exactly(6) == b"1\r\n%d\r\n" % i
        link.send(b"1\r\n%d\r\n" % i)
        assert client.read_exactly(6) == b"1\r\n%d\r\n" % i
    client.send(b"0\r\n\r\n")
    assert link.read_exactly(5) == b"0\r\n\r\n"
    link.send(b"0\r\n\r\n")
    assert client.read_exactly(5) == b"0\r\n\r\n"


class Pump(threading.Thread):
    """Sends as much as is taken."""

    def __init__(self, sock, size: int):
        super().__init__(daemon=True)
        self.socket, self.size, self.sent = sock, size, 0
        sock.settimeout(60)
        self.start()

    def run(self):
        block = bytes(range(256)) * 1024
        try:
            while self.sent < self.size:
                self.sent += self.socket.send(block[:self.size - self.sent])
        except OSError:
            pass

    def blocked(self) -> int:
        """Waits until nothing more is taken; how much was."""
        before = -1
        while before != self.sent:
            before = self.sent
            time.sleep(0.4)
        return before


def resident(gateway) -> int:
    with open(f"/proc/{gateway.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def test_rule_22_a_client_that_does_not_read_stops_its_pod(wire):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    before = resident(wire.gateway)
    link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
    pump = Pump(link.socket, LARGE)
    assert pump.blocked() < IN_BETWEEN
    assert resident(wire.gateway) - before < 16 << 20
    other = wire.other_user()
    _, answer = other.ask()
    assert answer.status == 200, "nobody else waits for it"
    assert client.read_head().status == 200
    got = len(client.read_exactly(64 << 20))
    assert got == 64 << 20 and pump.sent > got, "and when it reads, it goes on"
    client.close()
    pump.join(30)


def test_rule_22_a_pod_that_does_not_read_stops_its_client(wire):
    client, link = wire.send("POST / HTTP/1.1", f"Content-Length: {LARGE}")
    link.read_head()
    before = resident(wire.gateway)
    pump = Pump(client.socket, LARGE)
    assert pump.blocked() < IN_BETWEEN
    assert resident(wire.gateway) - before < 16 << 20
    got = len(link.read_exactly(64 << 20))
    assert got == 64 << 20
    link.close()
    client.socket.shutdown(2)
    pump.join(30)


def test_rule_22_a_tunnel_has_back_pressure_too(wire):
    client, link = wire.send("GET /ws HTTP/1.1", *HANDSHAKE)
    link.read_head()
    link.send(SWITCH)
    assert client.read_head().status == 101
    pump = Pump(link.socket, LARGE)
    assert pump.blocked() < IN_BETWEEN
    client.send(b"the other direction is free")
    assert link.read_exactly(27)
    link.socket.shutdown(2)
    pump.join(30)
