"""WebSocket frames (RFC 6455) and a small client, for tests and for the test pod. No extensions, no fragments sent."""

from __future__ import annotations

import base64
import hashlib
import os
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def accept_key(key: str) -> str:
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


# A handshake without its request line, and the answer to it.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
          + accept_key(KEY).encode() + b"\r\n\r\n")


def frame(opcode: int, payload: bytes, masked: bool) -> bytes:
    head = bytes([0x80 | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + unmask(payload, mask)


def unmask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big") if size else b""


def read_frame(read_exactly) -> tuple[int, bytes]:
    first, second = read_exactly(2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", read_exactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", read_exactly(8))
    mask = read_exactly(4) if second & 0x80 else None
    payload = read_exactly(size)
    return first & 0x0F, unmask(payload, mask) if mask else payload


class Client:
    """Over a http1.Connection. Raises AssertionError if the handshake is answered with anything but 101."""

    def __init__(self, connection, target: str, host: str, headers=()):
        self.connection = connection
        key = base64.b64encode(os.urandom(16)).decode()
        connection.send((f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                         + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n").encode())
        self.response = connection.read_head()
        assert self.response.status == 101, self.response
        assert self.response.header("Sec-WebSocket-Accept") == accept_key(key)

    def send(self, payload: bytes | str, opcode: int | None = None):
        if opcode is None:
            opcode = TEXT if isinstance(payload, str) else BINARY
        self.connection.send(frame(opcode, payload.encode() if isinstance(payload, str) else payload, masked=True))

    def receive(self) -> tuple[int, bytes]:
        return read_frame(self.connection.read_exactly)

    def echo(self, text: str) -> str:
        self.send(text)
        opcode, payload = self.receive()
        assert opcode == TEXT
        return payload.decode()

    def close(self):
        self.send(struct.pack(">H", 1000), CLOSE)
        while self.receive()[0] != CLOSE:
            pass
        self.connection.close()
