"""A small HTTP/1.1 client on raw sockets, so that tests see every byte: blocking (Connection) and for herds (fetch).

Strict about what it reads: a malformed head or a body cut short is an error, never a shorter body.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import ssl
import time

PATIENCE_S = 60.0  # everything here is bounded; sanitizers and busy machines need room


class Broken(Exception):
    """What the other side sent is no HTTP, or it closed where it must not."""


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    head: bytes
    body: bytes = b""
    interim: list[int] = dataclasses.field(default_factory=list)  # 1xx before it

    def header(self, name: str) -> str | None:
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(values) < 2, f"{name} more than once: {values}"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [v for n, v in self.headers if n.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    @property
    def by_alcove(self) -> bool:
        return self.header("Server") == "alcove"


def parse_head(head: bytes) -> Response:
    lines = head[:-4].split(b"\r\n")
    first = lines[0].decode("latin-1").split(" ", 2)
    if len(first) < 2 or not first[0].startswith("HTTP/1.") or not first[1].isdigit():
        raise Broken(f"not a status line: {lines[0]!r}")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise Broken(f"not a header field: {line!r}")
        headers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
    return Response(int(first[1]), first[2] if len(first) > 2 else "", headers, head)


def framing(response: Response, method: str) -> tuple[str, int]:
    if method == "HEAD" or response.status < 200 or response.status in (204, 304):
        return "none", 0
    if (response.header("Transfer-Encoding") or "").lower() == "chunked":
        assert response.header("Content-Length") is None, "both framings"
        return "chunked", 0
    length = response.header("Content-Length")
    return ("length", int(length)) if length is not None else ("close", 0)


def build(method: str, target: str, host: str, headers=(), body: bytes | None = None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{n}: {v}" for n, v in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


class Connection:
    def __init__(self, port: int, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None,
                 server_name: str | None = None, timeout: float = PATIENCE_S, source: str | None = None):
        self.socket = socket.create_connection((address, port), timeout=timeout,
                                               source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self.buffer = b""
        self.timeout = timeout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data: bytes):
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def _more(self, deadline: float) -> bool:
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Broken(f"reset: {error}") from error
        self.buffer += data
        return bool(data)

    def read_until(self, end: bytes, timeout: float | None = None) -> bytes:
        deadline = time.monotonic() + (timeout or self.timeout)
        while end not in self.buffer:
            if not self._more(deadline):
                raise Broken(f"closed before {end!r}; had {self.buffer[:200]!r}")
        data, _, self.buffer = self.buffer.partition(end)
        return data + end

    def read_exactly(self, size: int, timeout: float | None = None) -> bytes:
        deadline = time.monotonic() + (timeout or self.timeout)
        parts, have = [self.buffer], len(self.buffer)
        while have < size:
            self.buffer = b""
            if not self._more(deadline):
                raise Broken(f"closed after {have} of {size} bytes")
            parts.append(self.buffer)
            have += len(self.buffer)
        data = b"".join(parts)
        self.buffer = data[size:]
        return data[:size]

    def read_to_end(self, timeout: float | None = None) -> bytes:
        deadline = time.monotonic() + (timeout or self.timeout)
        while self._more(deadline):
            pass
        data, self.buffer = self.buffer, b""
        return data

    def closed_by_peer(self, timeout: float | None = None) -> bool:
        """Waits for the end of the stream; False if bytes come instead."""
        try:
            return self.buffer == b"" and not self._more(time.monotonic() + (timeout or self.timeout))
        except Broken:
            return True

    def read_head(self, timeout: float | None = None) -> Response:
        return parse_head(self.read_until(b"\r\n\r\n", timeout))

    def read_response(self, method: str = "GET", timeout: float | None = None) -> Response:
        interim = []
        response = self.read_head(timeout)
        while response.status < 200 and response.status != 101:
            interim.append(response.status)
            response = self.read_head(timeout)
        response.interim = interim
        kind, length = framing(response, method)
        if kind == "length":
            response.body = self.read_exactly(length, timeout)
        elif kind == "close":
            response.body = self.read_to_end(timeout)
        elif kind == "chunked":
            response.body = b"".join(self.read_chunks(timeout))
        return response

    def read_chunks(self, timeout: float | None = None):
        while True:
            size = int(self.read_until(b"\r\n", timeout).split(b";")[0], 16)
            data = self.read_exactly(size, timeout)
            end = self.read_until(b"\r\n", timeout)
            if size == 0:
                while end != b"\r\n":
                    end = self.read_until(b"\r\n", timeout)
                return
            assert end == b"\r\n", end
            yield data

    def request(self, method: str, target: str, host: str, headers=(), body: bytes | None = None,
                timeout: float | None = None) -> Response:
        self.send(build(method, target, host, headers, body))
        return self.read_response(method, timeout)


def request(port: int, target: str = "/", host: str = "localhost", method: str = "GET", headers=(),
            body: bytes | None = None, timeout: float = PATIENCE_S, **tls) -> Response:
    with Connection(port, timeout=timeout, **tls) as connection:
        return connection.request(method, target, host, [*headers, ("Connection", "close")], body)


async def fetch(port: int, target: str = "/", host: str = "localhost", method: str = "GET", headers=(),
                body: bytes | None = None, timeout: float = PATIENCE_S) -> Response:
    """One request on a connection of its own."""

    async def run() -> Response:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        try:
            writer.write(build(method, target, host, [*headers, ("Connection", "close")], body))
            await writer.drain()
            response = parse_head(await reader.readuntil(b"\r\n\r\n"))
            while response.status < 200:
                response = parse_head(await reader.readuntil(b"\r\n\r\n"))
            kind, length = framing(response, method)
            if kind == "length":
                response.body = await reader.readexactly(length)
            elif kind == "close":
                response.body = await reader.read(-1)
            elif kind == "chunked":
                parts = []
                while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                    parts.append((await reader.readexactly(size + 2))[:-2])
                await reader.readuntil(b"\r\n")
                response.body = b"".join(parts)
            return response
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Broken(f"{method} {target}: {error!r}") from error
        finally:
            writer.close()

    return await asyncio.wait_for(run(), timeout)
