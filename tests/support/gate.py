"""A gate that holds the test pod's start: the pod waits at a FIFO until the test opens it."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import struct
import termios
import time


class Gate:
    def __init__(self, directory: pathlib.Path):
        self.path = directory / "gate"
        os.mkfifo(self.path)

    @property
    def arguments(self) -> tuple[str, str]:
        return "--gate", str(self.path)

    def wait_for_pod(self, timeout: float = 60) -> int:
        """Returns a descriptor when a pod stands at the gate."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            assert time.monotonic() < deadline, "no pod came to the gate"
            time.sleep(0.005)

    def open(self, timeout: float = 60):
        """Lets the pod that waits (or will) listen."""
        fd = self.wait_for_pod(timeout)
        try:
            os.write(fd, b"x")
            # The pod let in before may still have the FIFO open: what it does not read is for the next one, as
            # long as somebody holds the FIFO.
            deadline = time.monotonic() + timeout
            while self._unread(fd):
                assert time.monotonic() < deadline, "no pod took its leave to listen"
                time.sleep(0.005)
        finally:
            os.close(fd)

    @staticmethod
    def _unread(fd: int) -> int:
        return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]
