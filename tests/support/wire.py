"""Both ends of the gateway for the conformance suite: the process that listens plainly and with TLS, a client's
connection to it, and the pod behind it, all as raw sockets."""

from __future__ import annotations

import itertools
import os
import pathlib
import time

from support import http1, strict_http
from support.alcove import Alcove
from support.certificates import trusting
from support.ports import free_port
from support.raw_pod import Link, RawPod

TRANSPORTS = ("tcp", "tls")
PATIENCE_S = 30.0
NUMBERS = itertools.count(1)

# Who speaks from where (see `config`).
CLIENT = "127.0.0.1"    # may say who the user is, but nothing about how the request came
STRANGER = "127.0.0.9"  # may say nothing
FRONT = "127.0.0.3"     # a proxy in front that is trusted with both

JWT_SECRET = "a secret that the pod and Alcove know"
COOKIE_SECRET = "a secret that only tests know"


class Gateway(Alcove):
    """Listens twice, plain and TLS; its sessions' pods are `pods`."""

    def __init__(self, directory: pathlib.Path, pods: list, certificate: tuple[pathlib.Path, pathlib.Path], **keys):
        super().__init__(directory)
        self.tls_port = free_port()
        self.context = trusting(certificate[0])
        self.config.update({
            "listen": [{"address": f"127.0.0.1:{self.port}"},
                       {"address": f"127.0.0.1:{self.tls_port}",
                        "tls": {"certificate": str(certificate[0]), "key": str(certificate[1])}}],
            "workers": 1,  # so that a user's pooled connections are found by the next request, whoever sends it
            "identity": [{"trusted_header": {"header": "X-User-ID", "from": [f"{CLIENT}/32", f"{FRONT}/32"]}},
                         {"dev": {"secret": COOKIE_SECRET}}],
            "trusted_proxies": [f"{FRONT}/32"],
            "runtime": {"static": {"endpoints": [pod.endpoint for pod in pods], "shared": True}},
            "log": {"format": "json"},
            "apps": {"test": app()},
        })
        self.config.update(keys)
        self.baseline = 0

    def start(self, timeout: float = 60):
        super().start(timeout)
        self.baseline = self.descriptors()
        return self

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def check_descriptors(self, timeout: float = 20):
        """Idle pod connections are closed by their time limit; everything else must be closed already."""
        deadline = time.monotonic() + timeout
        while (now := self.descriptors()) > self.baseline:
            assert time.monotonic() < deadline, f"{now} descriptors are open, {self.baseline} were at the start"
            time.sleep(0.05)

    def dial(self, transport: str, source: str | None = None, timeout: float = PATIENCE_S) -> http1.Connection:
        if transport == "tls":
            return http1.Connection(self.tls_port, tls=self.context, server_name="test.localhost", timeout=timeout,
                                    source=source)
        return http1.Connection(self.port, timeout=timeout, source=source)

    def metric(self, name: str) -> float:
        """The sum over all of its labels."""
        values = [line.rpartition(" ")[2] for line in self.admin("/metrics").text.splitlines()
                  if line.partition("{")[0].partition(" ")[0] == name]
        assert values, f"there is no metric {name}"
        return sum(map(float, values))


def app(**keys) -> dict:
    return {"start_timeout": "60s", "hold_timeout": "30s", "idle_timeout": "10m", "pod_idle": "2s", **keys}


def hears_nothing(client: http1.Connection, seconds: float = 0.15) -> bool:
    """Nothing comes, not even the end, for so long: only for what must not happen."""
    if client.buffer:
        return False
    client.socket.settimeout(seconds)
    try:
        client.buffer += client.socket.recv(1)
        return False
    except TimeoutError:
        return True


class Wire:
    """Both ends of the gateway for one test. Everything that it opened is closed after it."""

    def __init__(self, gateway: Gateway, pod: RawPod, transport: str, app_name: str = "test"):
        self.gateway = gateway
        self.pod = pod
        self.transport = transport
        self.app = app_name
        self.user = f"user{next(NUMBERS)}"
        self.connections: list[http1.Connection] = []

    @property
    def tls(self) -> bool:
        return self.transport == "tls"

    @property
    def port(self) -> int:
        return self.gateway.tls_port if self.tls else self.gateway.port

    @property
    def host(self) -> str:
        return f"{self.app}.localhost"

    def other_user(self) -> "Wire":
        other = Wire(self.gateway, self.pod, self.transport, self.app)
        other.connections = self.connections
        return other

    def dial(self, source: str | None = None) -> http1.Connection:
        self.connections.append(self.gateway.dial(self.transport, source))
        return self.connections[-1]

    def raw(self, line: str, *fields: str, body: bytes = b"") -> bytes:
        """A request with exactly these fields behind Host and user."""
        head = "\r\n".join([line, f"Host: {self.host}", f"X-User-ID: {self.user}", *fields, "", ""])
        return head.encode("latin-1") + body

    def send(self, line: str, *fields: str, body: bytes = b"", client: http1.Connection | None = None,
             source: str | None = None) -> tuple[http1.Connection, Link]:
        """Sends it and waits until the pod has the first byte of it."""
        client = client or self.dial(source)
        client.send(self.raw(line, *fields, body=body))
        return client, self.pod.accept()

    def ask(self, line: str = "GET / HTTP/1.1", *fields: str, body: bytes = b"", answer: bytes | None = None,
            client: http1.Connection | None = None, source: str | None = None
            ) -> tuple[strict_http.Request, http1.Response]:
        """One exchange by a new connection to the pod: what the pod saw, and what the client saw of `answer`."""
        client, link = self.send(line, *fields, body=body, client=client, source=source)
        seen = link.read_request()
        if answer is None:
            link.answer()
        else:
            link.busy = False
            link.send(answer)
        return seen, client.read_response(line.split(" ")[0])

    def ready(self) -> Link:
        """Makes the session ready and answers with its pooled connection, which is idle."""
        client, link = self.send("GET /warm-up HTTP/1.1")
        link.read_request()
        link.answer()
        assert client.read_response().status == 200
        client.close()
        return link

    def refused(self, data: bytes) -> http1.Response:
        """Sends it; the answer must be Alcove's own and the end of the connection."""
        client = self.dial()
        client.send(data)
        answer = client.read_response()
        assert answer.by_alcove, answer.head
        assert answer.header("Connection") == "close" and client.closed_by_peer(PATIENCE_S), answer.head
        return answer

    def close(self):
        for connection in self.connections:
            connection.close()
        self.pod.clear()


def run_gateway(place: pathlib.Path, certificate, pods: list, **keys):
    """A started gateway as a generator for a fixture; judged at its end."""
    run = Gateway(place / f"run{next(NUMBERS)}", pods, certificate, **keys).start()
    try:
        yield run
        if run.process.poll() is None:
            for pod in pods:
                pod.close()
            run.check_descriptors()
        run.check_end()
    finally:
        if run.process.poll() is None:
            run.process.kill()
