"""A real redis-server on a port of its own: without persistence, or with an append-only file; to be broken by tests."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from support.ports import free_port


def encoded(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    parts += [f"${len(w.encode())}\r\n{w}\r\n".encode() for w in words]
    return b"".join(parts)


class RedisServer:
    def __init__(self, directory: pathlib.Path, port: int | None = None, aof: bool = False,
                 arguments: tuple[str, ...] = (), environment: dict | None = None, login: tuple[str, str] | None = None):
        """`login`: user and password of the tests' own commands, where an ACL asks for them."""
        self.directory = directory
        self.port = port or free_port()
        self.aof = aof
        self.arguments = arguments
        self.environment = environment or {}
        self.login = login
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, timeout: float = 30):
        program = shutil.which("redis-server")
        assert program, "redis-server is not installed: ./dev test installs it"
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.directory / "redis.log", "ab") as log:
            self.process = subprocess.Popen(
                [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly",
                 "yes" if self.aof else "no", "--dir", str(self.directory), *self.arguments],
                stdout=log, stderr=log, env={**os.environ, **self.environment})
        deadline = time.monotonic() + timeout
        while True:
            try:
                if self.command("PING") == b"+PONG\r\n":
                    return self
            except OSError:
                pass
            assert self.process.poll() is None, (self.directory / "redis.log").read_text()
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def command(self, *words: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            if self.login:
                connection.sendall(encoded("AUTH", *self.login))
                assert (answer := connection.recv(65536)) == b"+OK\r\n", answer
            connection.sendall(encoded(*words))
            return connection.recv(65536)

    def info(self, field: str) -> str:
        for line in self.command("INFO").decode(errors="replace").splitlines():
            if line.startswith(field + ":"):
                return line.partition(":")[2]
        raise KeyError(field)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """SIGKILL. start() begins again: empty, or with what the append-only file has."""
        self.process.kill()
        self.process.wait(20)
        self.process = None

    def stop(self):
        if self.process and self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None
