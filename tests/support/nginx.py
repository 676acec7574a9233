"""A real nginx as the pod behind a static endpoint: fast enough that the gateway is what is measured."""

from __future__ import annotations

import pathlib
import shutil
import socket
import subprocess
import time

from support.ports import free_port

CONFIG = """
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log crit;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; client_max_body_size 0; sendfile on;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type text/plain; return 200 "{small}"; }}
    location /files/ {{ alias {directory}/files/; }}
    location /sink {{ proxy_pass http://127.0.0.1:{port}/; }}  # reads the body before it answers
  }}
}}
"""


class Nginx:
    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, timeout: float = 30):
        program = shutil.which("nginx")
        assert program, "nginx is not installed: ./dev test installs it"
        (self.directory / "files").mkdir(parents=True)
        (self.directory / "files" / "large").write_bytes(b"0123456789abcdef" * 65536 * 4)
        config = self.directory / "nginx.conf"
        config.write_text(CONFIG.format(directory=self.directory, port=self.port, small="x" * 128))
        self.process = subprocess.Popen([program, "-c", str(config)], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "nginx does not listen"
                time.sleep(0.02)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
