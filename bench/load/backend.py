"""The pods: bench/load/backend.c, one process that listens on 127.64.0.1 and the addresses after it, one for each user.
And a redis-server."""

from __future__ import annotations

import dataclasses
import ipaddress
import socket

from load.processes import BUILD, LOAD, Process, Stage, free_port

FIRST = ipaddress.IPv4Address("127.64.0.1")


@dataclasses.dataclass
class Backend:
    port: int
    count: int
    process: Process | None = None

    def address(self, i: int) -> str:
        return str(FIRST + i % self.count)

    def endpoint(self, i: int) -> str:
        return f"{self.address(i)}:{self.port}"

    @property
    def endpoints(self) -> list[str]:
        return [self.endpoint(i) for i in range(self.count)]

    def start(self, stage: Stage, core: str = LOAD) -> Backend:
        self.process = stage.start("backend", [BUILD / "load" / "backend", FIRST, self.count, self.port], core)
        self.process.wait_line("listening")
        return self


def backend(stage: Stage, count: int = 1000, core: str = LOAD) -> Backend:
    return Backend(free_port(), count).start(stage, core)


@dataclasses.dataclass
class Redis:
    port: int
    process: Process

    def command(self, *words: str) -> bytes:
        return self.commands([words])

    def commands(self, many: list[tuple]) -> bytes:
        """One after the other in one go; the first bytes of the answers."""
        text = "".join(f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words) for words in many)
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(text.encode())
            return connection.recv(65536)


def redis(stage: Stage, core: str = LOAD) -> Redis:
    port = free_port()
    process = stage.start("redis", ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
                                    "no"], core)
    process.wait_port(port)
    return Redis(port, process)
