"""The candidates: each is started with its configuration on a core of its own choice and answers as a Peer. All know
the same 1,000 users, user-0 to user-999, and pass each on to the pod of that number; access logs are off; one worker.

What a peer is given to do: find the pod by X-User-ID, tell the pod who asks in X-Alcove-User, drop X-User-ID, append to
X-Forwarded-For. Alcove does that and all the rest that it always does.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import pathlib
import time

from load import peer_configs as configs
from load.backend import Backend, Redis
from load.processes import BUILD, PROXY, Process, Stage, free_port

CHP = BUILD / "npm" / "node_modules" / "configurable-http-proxy"


@dataclasses.dataclass
class Peer:
    name: str
    port: int
    process: Process
    tls_port: int = 0
    admin: int = 0
    beside: Process | None = None  # what it needs besides itself; its CPU is told apart
    config: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid


@dataclasses.dataclass
class Certificate:
    certificate: pathlib.Path
    key: pathlib.Path
    both: pathlib.Path


def certificate(stage: Stage) -> Certificate:
    """ECDSA P-256, for all candidates the same."""
    made = Certificate(*(stage.folder / name for name in ("cert.pem", "key.pem", "both.pem")))
    stage.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", made.key, "-out", made.certificate, "-days", "2", "-subj", "/CN=demo.localhost"], "0,1", 60)
    made.both.write_text(made.certificate.read_text() + made.key.read_text())
    return made


def floor(stage: Stage, backend: Backend, mode: str) -> Peer:
    port = free_port()
    process = stage.start("relay", [BUILD / "load" / "relay", port, backend.address(0), backend.count, backend.port, mode],
                          PROXY)
    process.wait_port(port)
    return Peer(f"floor, {mode}", port, process)


def haproxy(stage: Stage, backend: Backend, name: str = "haproxy", mode: str = "http", splice: bool = False,
            tls: Certificate | None = None, core: str = PROXY, threads: int = 1) -> Peer:
    port, tls_port = free_port(), free_port() if tls else 0
    file = name.replace(",", "").replace(" ", "-")
    users = stage.write(f"{file}.map", "".join(f"user-{i} u{i}\n" for i in range(backend.count)))
    text = configs.haproxy(backend, port, users, mode, splice, tls_port, tls.both if tls else None, threads)
    process = stage.start("haproxy", ["haproxy", "-db", "-f", stage.write(f"{file}.cfg", text)], core)
    process.wait_port(port)
    return Peer(name, port, process, tls_port)


def nginx(stage: Stage, backend: Backend, tls: Certificate | None = None) -> Peer:
    port, tls_port = free_port(), free_port() if tls else 0
    text = configs.nginx(backend, port, stage.folder, tls_port, tls)
    process = stage.start("nginx", ["nginx", "-c", stage.write("nginx.conf", text)], PROXY)
    process.wait_port(port)
    return Peer("nginx", port, process, tls_port)


def nginx_lua(stage: Stage, backend: Backend, store: Redis) -> Peer:
    port = free_port()
    store.commands([("SET", f"pod:user-{i}", backend.endpoint(i)) for i in range(backend.count)])
    text = configs.nginx_lua(port, stage.folder, store.port)
    process = stage.start("nginx-lua", ["nginx", "-c", stage.write("nginx-lua.conf", text)], PROXY)
    process.wait_port(port)
    return Peer("nginx, Lua, Redis", port, process, beside=store.process)


def caddy(stage: Stage, backend: Backend) -> Peer:
    port = free_port()
    file = stage.write("Caddyfile", configs.caddy(backend, port))
    process = stage.start("caddy", ["caddy", "run", "--config", file, "--adapter", "caddyfile"], PROXY,
                          {"GOMAXPROCS": "1", "HOME": str(stage.folder), "XDG_DATA_HOME": str(stage.folder)})
    process.wait_port(port)
    return Peer("caddy", port, process)


def chp(stage: Stage, backend: Backend) -> Peer:
    """Routes by path, so every candidate is asked for /user-N/."""
    port, api = free_port(), free_port()
    process = stage.start("chp", ["node", CHP / "bin" / "configurable-http-proxy", "--ip", "127.0.0.1", "--port", port,
                                  "--api-ip", "127.0.0.1", "--api-port", api, "--log-level", "error"],
                          PROXY, {"CONFIGPROXY_AUTH_TOKEN": "bench", "NODE_ENV": "production"})
    process.wait_port(port)
    process.wait_port(api)
    connection = http.client.HTTPConnection("127.0.0.1", api, timeout=30)
    for i in range(backend.count):
        connection.request("POST", f"/api/routes/user-{i}", json.dumps({"target": f"http://{backend.endpoint(i)}"}),
                           {"Authorization": "token bench"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 201, answer.status
    connection.close()
    return Peer("configurable-http-proxy", port, process)


def alcove(stage: Stage, backend: Backend | None, name: str = "alcove", role: str = "up", core: str = PROXY, workers: int = 1,
           store: Redis | None = None, tls: Certificate | None = None, app: dict | None = None, **keys) -> Peer:
    """`app` and `keys` are what differs from the configuration that is measured elsewhere."""
    port, admin, tls_port = free_port(), free_port(), free_port() if tls else 0
    listen = [{"address": f"127.0.0.1:{port}"}]
    if tls:
        listen.append({"address": f"127.0.0.1:{tls_port}", "tls": {"certificate": str(tls.certificate), "key": str(tls.key)}})
    config = {
        "listen": listen,
        "workers": workers,
        "domains": ["localhost"],
        "identity": [{"trusted_header": {"header": "X-User-ID", "from": ["127.0.0.0/8"]}}],
        "store": {"redis": {"url": f"redis://127.0.0.1:{store.port}/0"}} if store else "memory",
        "runtime": {"static": {"endpoints": backend.endpoints, "shared": True}} if backend else {},
        "admin": {"address": f"127.0.0.1:{admin}"},
        "log": {"level": "warn", "access": False},
        "apps": {"demo": {"ready_path": "/ready", **(app or {})}},
        **keys,
    }
    file = stage.write(f"alcove-{admin}.yaml", json.dumps(config))  # JSON is YAML
    process = stage.start("alcove", [BUILD / "alcove", role, "-c", file], core)
    process.wait_port(admin)
    wait_ready(process, admin)
    return Peer(name, port, process, tls_port, admin, config=configs.shown(config))


def wait_ready(process: Process, admin: int, timeout: float = 120):
    deadline = time.monotonic() + timeout
    while True:
        try:
            status, _ = get(admin, "/readyz")
            if status == 200:
                return
        except OSError:
            pass
        if process.popen.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"alcove is not ready\n{process.tail()}")
        time.sleep(0.05)


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
