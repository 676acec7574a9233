"""Free ports and networks for one test: below the ephemeral range, so that no outgoing connection takes them."""

from __future__ import annotations

import os
import random
import socket

_GIVEN: set[int] = set()
# Runs side by side (pytest -n) take from parts of their own: a port is not held between its choice and its use.
_WORKERS = 8
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_SHARE = (32000 - 15000) // _WORKERS


def free_port() -> int:
    first, last = 15000, 32000
    if "PYTEST_XDIST_WORKER" in os.environ:
        first, last = 15000 + _WORKER * _SHARE, 15000 + (_WORKER + 1) * _SHARE
    for _ in range(1000):
        port = random.randrange(first, last)
        if port in _GIVEN:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _GIVEN.add(port)
        return port
    raise RuntimeError("no free port")


def pod_network(prefix: int = 22) -> str:
    """A part of 127.96.0.0/11 of one's own, so that runs side by side do not meet. `prefix`: 16 to 22."""
    first, count = (96 + 4 * _WORKER, 4) if "PYTEST_XDIST_WORKER" in os.environ else (96, 32)
    return f"127.{random.randrange(first, first + count)}.{random.randrange(0, 64) * 4 & -(1 << 24 - prefix)}.0/{prefix}"
