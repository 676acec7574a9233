"""A TLS client that can end its own direction and go on reading (RFC 8446 6.1), and that tells a clean end from a cut:
Python's SSLSocket can do neither."""

from __future__ import annotations

import socket
import ssl
import time

from support.http1 import PATIENCE_S, Broken, Connection


class HalfTls(Connection):
    def __init__(self, port: int, context: ssl.SSLContext, server_name: str, timeout: float = PATIENCE_S):
        super().__init__(port, timeout=timeout)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=server_name)
        self.clean_end = False  # its close_notify has come
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                assert self._feed(deadline), "closed within the handshake"
        self._flush()

    def _flush(self):
        self.socket.settimeout(self.timeout)
        self.socket.sendall(self.outgoing.read())

    def _feed(self, deadline: float) -> bool:
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Broken(f"reset: {error}") from error
        self.incoming.write(data)
        return bool(data)

    def send(self, data: bytes):
        self.tls.write(data)
        self._flush()

    def _more(self, deadline: float) -> bool:
        while True:
            try:
                data = self.tls.read(65536)
                self.clean_end = not data
                self.buffer += data
                return bool(data)
            except ssl.SSLWantReadError:
                if not self._feed(deadline):
                    return False
            except ssl.SSLZeroReturnError:
                self.clean_end = True
                return False

    def end_writing(self):
        """Sends close_notify; nothing more is sent, everything is still read."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()

    def cut(self):
        """A FIN without a word."""
        self.socket.shutdown(socket.SHUT_WR)
