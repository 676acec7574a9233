"""Free ports and networks for one test: below the ephemeral range, so that no outgoing connection takes them."""

from __future__ import annotations

import random
import socket

_GIVEN: set[int] = set()


def free_port() -> int:
    for _ in range(1000):
        port = random.randrange(15000, 32000)
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


def pod_network() -> str:
    """A part of 127.96.0.0/11 of one's own, so that runs side by side do not meet."""
    return f"127.{random.randrange(96, 128)}.{random.randrange(0, 64) * 4}.0/22"
