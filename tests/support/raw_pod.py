"""Pods that are nothing but sockets, so that a test sees every byte of the gateway's and says every byte itself.

RawPod: scripted. The kernel accepts for it; the test takes one connection after the other and plays the pod. No thread.
StrictPod: answers by itself, one thread a connection, and keeps what it was asked, read by the strict second parser.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time

from support import strict_http
from support.http1 import Broken
from support.ports import free_port

PATIENCE_S = 30.0


class Link:
    """One connection that the gateway made. `received` has every byte that came."""

    def __init__(self, sock: socket.socket, timeout: float = PATIENCE_S):
        self.socket = sock
        self.timeout = timeout
        self.received = bytearray()
        self.buffer = bytearray()
        self.busy = True  # with an exchange; else its next bytes are a new request
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _more(self, timeout: float) -> bool:
        self.socket.settimeout(max(0.001, timeout))
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError):
            return False
        self.received += data
        self.buffer += data
        return bool(data)

    def read_until(self, end: bytes, timeout: float | None = None) -> bytes:
        deadline = time.monotonic() + (timeout or self.timeout)
        while end not in self.buffer:
            if not self._more(deadline - time.monotonic()):
                raise Broken(f"the gateway closed before {end!r}; had {bytes(self.buffer[:200])!r}")
        return self._take(self.buffer.index(end) + len(end))

    def read_exactly(self, size: int, timeout: float | None = None) -> bytes:
        deadline = time.monotonic() + (timeout or self.timeout)
        while len(self.buffer) < size:
            if not self._more(deadline - time.monotonic()):
                raise Broken(f"the gateway closed after {len(self.buffer)} of {size} bytes")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def drain(self, pause: float = 0.5) -> bytes:
        """What has come and comes until nothing does for so long."""
        try:
            while self._more(pause):
                pass
        except TimeoutError:
            pass
        return self._take(len(self.buffer))

    def read_head(self, timeout: float | None = None) -> strict_http.Request:
        return strict_http.parse_head(self.read_until(b"\r\n\r\n", timeout))

    def read_request(self) -> strict_http.Request:
        return strict_http.read_request(self)

    def closed(self, timeout: float | None = None) -> bool:
        """Waits for the gateway to close; False if it sends something instead, or nothing at all."""
        try:
            return not self.buffer and not self._more(timeout or self.timeout)
        except TimeoutError:
            return False

    def silent(self, seconds: float = 0.15) -> bool:
        """Nothing comes, not even the end, for so long: only for what must not happen."""
        return not self.buffer and not select.select([self.socket], [], [], seconds)[0]

    def send(self, data: bytes):
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def answer(self, body: bytes = b"ok", *fields: str, status: str = "200 OK"):
        lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]
        self.busy = False
        self.send("\r\n".join(lines).encode("latin-1") + body)

    def end_writing(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class RawPod:
    def __init__(self, listening: bool = True):
        self.port = free_port()
        self.socket: socket.socket | None = None
        self.silent: list[socket.socket] = []  # connected, but not a byte yet: readiness checks, or dials ahead
        self.links: list[Link] = []
        if listening:
            self.listen()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def listen(self, backlog: int = 64):
        assert self.socket is None
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(backlog)
        self.socket.setblocking(False)

    def refuse(self):
        """From now on nobody can connect. What waits to be accepted is reset."""
        if self.socket:
            self.socket.close()
        self.socket = None

    def _look(self, timeout: float) -> Link | None:
        """Waits for something to happen once. A connection that ends without a byte was a readiness check."""
        idle = {link.socket: link for link in self.links if not link.busy}
        for link in idle.values():
            if link.buffer:
                link.busy = True
                return link
        waiting = [self.socket] if self.socket else []
        for sock in select.select([*waiting, *self.silent, *idle], [], [], max(0.0, timeout))[0]:
            if sock in idle:
                idle[sock].busy = True  # whatever comes; its end is for the test to see
                if self._first(sock):
                    return idle[sock]
                continue
            if sock is self.socket:
                try:
                    self.silent.append(sock.accept()[0])
                except BlockingIOError:
                    pass
                continue
            self.silent.remove(sock)
            if self._first(sock):
                self.links.append(Link(sock))
                return self.links[-1]
            sock.close()
        return None

    @staticmethod
    def _first(sock: socket.socket) -> bytes:
        try:
            return sock.recv(1, socket.MSG_PEEK)
        except ConnectionResetError:
            return b""

    def accept(self, timeout: float = PATIENCE_S) -> Link:
        """The next connection that has a request: a new one, or one that has answered before."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if link := self._look(deadline - time.monotonic()):
                return link
        raise AssertionError("the gateway sent nothing to the pod")

    def untouched(self, seconds: float = 0.05) -> bool:
        """No request comes for so long: only for what must not happen."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._look(left):
                return False
        return True

    def clear(self):
        """Closes what the last test left."""
        for link in self.links:
            link.close()
        self.links.clear()
        while self.socket and select.select([self.socket], [], [], 0)[0]:
            try:
                self.silent.append(self.socket.accept()[0])
            except BlockingIOError:
                break
        for sock in self.silent:
            sock.close()
        self.silent = []

    def close(self):
        self.clear()
        self.refuse()


class StrictPod:
    """Answers 200 with what it understood. What it could not read strictly is in `problems`."""

    def __init__(self):
        self.port = free_port()
        self.lock = threading.Lock()
        self.requests: list[strict_http.Request] = []
        self.numbers: list[int] = []  # of the connection that each came by
        self.problems: list[str] = []
        self.cut: list[bytes] = []  # what had come of messages that ended before their end
        self.connections = 0
        self.open: set[socket.socket] = set()
        self.socket = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def take(self) -> list[strict_http.Request]:
        """What came since it was last asked."""
        with self.lock:
            assert not self.problems, self.problems
            taken, self.requests, self.numbers = self.requests, [], []
        return taken

    def take_cut(self) -> list[bytes]:
        with self.lock:
            taken, self.cut = self.cut, []
        return taken

    def _accept(self):
        while True:
            try:
                sock = self.socket.accept()[0]
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(sock)
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int):
        link = Link(sock, timeout=600)
        done = 0
        try:
            while True:
                if not link.buffer and not link._more(600):
                    return
                request = link.read_request()
                done = len(link.received) - len(link.buffer)
                with self.lock:
                    self.requests.append(request)
                    self.numbers.append(number)
                said = {"user": request.get("X-Alcove-User"), "target": request.target, "connection": number,
                        "body": request.body.decode("latin-1")}
                link.answer(b"" if request.method == "HEAD" else json.dumps(said).encode())
        except Broken:
            with self.lock:
                self.cut.append(bytes(link.received[done:]))
        except strict_http.Ambiguous as problem:
            with self.lock:
                self.problems.append(f"{problem}, in {bytes(link.received[-600:])!r}")
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(sock)
            sock.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        with self.lock:
            for sock in self.open:
                sock.shutdown(socket.SHUT_RDWR)
