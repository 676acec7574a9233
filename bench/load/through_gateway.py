#!/usr/bin/env python3
"""What does the gateway cost per request when the route is known?

Three targets in one run, round by round: wrk straight to the backend (nginx, 128-byte answers), through HAProxy if it is
installed, and through Alcove as it is configured by default (access log off for both proxies). Proxy with one worker on
one CPU; load generator and backend on the other. CPU microseconds per request (user and system, from /proc) are the
figure to compare; requests a second on a small machine mostly measure the load generator.
Not measured: TLS, bodies, WebSockets, the store, holds.
"""
import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

USERS = 100
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, deadline=10.0):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on 127.0.0.1:{port} after {deadline} s")


def cpu_seconds(pid):
    """User and system time of a process and of the children it has waited for."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICKS


def tree(pid):
    pids = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        children = open(f"/proc/{pid}/task/{task}/children").read().split()
        for child in children:
            pids += tree(int(child))
    return pids


def start(command, cpus, log):
    return subprocess.Popen(["taskset", "-c", cpus, *command], stdout=log, stderr=subprocess.STDOUT)


NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ default_type text/plain; return 200 "{body}"; }} }} }}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 3s
  timeout client 75s
  timeout server 60s
  option http-keep-alive
frontend f
  bind 127.0.0.1:{port}
  option forwardfor
  http-request set-header X-Alcove-User %[req.hdr(X-User-ID)]
  http-request del-header X-User-ID
  use_backend %[req.hdr(X-Alcove-User),map({dir}/users.map,b)]
backend b
  http-reuse always
  server s 127.0.0.1:{backend}
"""

ALCOVE = """
listen: [{{address: "127.0.0.1:{port}"}}]
workers: 1
domains: [localhost]
identity: [{{trusted_header: {{header: X-User-ID, from: [127.0.0.0/8]}}}}]
store: memory
runtime: {{static: {{endpoints: ["127.0.0.1:{backend}"], shared: true}}}}
admin: {{address: "127.0.0.1:{admin}"}}
log: {{level: warn, access: false}}
apps: {{demo: {{ready_path: /}}}}
"""

LUA = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "/", {{["Host"] = "demo.localhost", ["X-User-ID"] = "user-" .. (n % {users})}})
end
"""


def wrk(port, seconds, script):
    out = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{port}/"],
        capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit("errors during the run:\n" + out)
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    return requests, float(p99.group(1)) * {"us": 0.001, "ms": 1, "s": 1000}[p99.group(2)]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--alcove", default="build/release/alcove")
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--seconds", type=int, default=3)
    options = args.parse_args()
    processes = []
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(folder, "out"), "w+") as log:
        def write(name, text):
            path = os.path.join(folder, name)
            with open(path, "w") as file:
                file.write(text)
            return path

        try:
            backend = free_port()
            nginx = write("nginx.conf", NGINX.format(dir=folder, port=backend, body="x" * 128))
            processes.append(start(["nginx", "-c", nginx], "1", log))
            wait_for(backend)
            targets = {"backend": (backend, None)}
            if shutil.which("haproxy"):
                port = free_port()
                write("users.map", "".join(f"user-{i} b\n" for i in range(USERS)))
                config = write("haproxy.cfg", HAPROXY.format(dir=folder, port=port, backend=backend))
                processes.append(start(["haproxy", "-f", config], "0", log))
                wait_for(port)
                targets["haproxy"] = (port, processes[-1].pid)
            port, admin = free_port(), free_port()
            config = write("alcove.yaml", ALCOVE.format(port=port, admin=admin, backend=backend))
            processes.append(start([options.alcove, "up", "-c", config], "0", log))
            wait_for(port)
            targets["alcove"] = (port, processes[-1].pid)
            script = write("users.lua", LUA.format(users=USERS))
            for user in range(USERS):
                ask = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "demo.localhost", "X-User-ID": f"user-{user}"})
                urllib.request.urlopen(ask, timeout=10).read()

            seen = {name: [] for name in targets}
            for round_number in range(options.rounds):
                for name, (port, pid) in targets.items():
                    before = sum(cpu_seconds(p) for p in tree(pid)) if pid else 0
                    requests, p99 = wrk(port, options.seconds, script)
                    used = (sum(cpu_seconds(p) for p in tree(pid)) - before) * 1e6 / requests if pid else float("nan")
                    seen[name].append((requests / options.seconds, used, p99))
                print(f"round {round_number + 1} of {options.rounds} done", file=sys.stderr)

            print(f"{options.rounds} rounds of {options.seconds} s, 64 connections, {USERS} users, 128-byte answers; median (least - most)")
            print(f"{'target':<10}{'requests/s':>26}{'CPU us/request':>24}{'p99 ms':>20}")
            for name, rows in seen.items():
                cells = []
                for column, digits in ((0, 0), (1, 1), (2, 2)):
                    values = [row[column] for row in rows]
                    if values[0] != values[0]:
                        cells.append("-")
                    else:
                        cells.append(f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})")
                print(f"{name:<10}{cells[0]:>26}{cells[1]:>24}{cells[2]:>20}")
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read()[-4000:])
            raise
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


if __name__ == "__main__":
    main()
