"""The test pod: a strict little HTTP/1.1 server that tells what reached it. Standard library only, quick to start.

    pod.py ADDRESS PORT [--gate FIFO] [--start-delay SECONDS] [--fail REASON] [--ignore-sigterm] [--child]
                    [--refuse-for SECONDS]

  any path            JSON: method, target, headers as they came, SHA-256 and length of the body, and who answers
  /sleep?ms=N         the same, N milliseconds later
  /stream?chunks=N&size=B&ms=N   chunked, a pause before each chunk but the first
  /sse?events=N&ms=N  server-sent events
  /busy?for=S         says with its answer that it is busy for S seconds
  /big?bytes=N        N bytes of a known pattern
  /status?code=N      that status
  /close              closes without an answer
  /half               closes in the middle of a body
  /crash              the whole process exits with 3
  /never              no answer, ever
  /eat                takes memory until it is killed for it
  WebSocket           on any path: says back what it is told; tells pings apart

With --refuse-for it refuses connections for so long after the first request, which is that of a ready_path.
With --gate it listens only after somebody has written to the FIFO: tests hold a start for as long as they like.
"""

import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import ws
from pattern import pattern

HEAD_LIMIT = 256 * 1024


class Gone(Exception):
    pass


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.requests = 0
        self.connections = 0
        self.listening_at = 0.0  # CLOCK_MONOTONIC, the same for all processes of the machine


STATE = State()


class Connection:
    def __init__(self, sock, number):
        self.sock = sock
        self.number = number
        self.buffer = b""

    def more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise Gone
        self.buffer += data

    def read_exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > HEAD_LIMIT:
                raise ValueError("head too large")
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        method, target, version = lines[0].decode("latin-1").split(" ")
        if version != "HTTP/1.1":
            raise ValueError(f"version {version}")
        headers = []
        for line in lines[1:]:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or name != name.strip() or not name:
                raise ValueError(f"field {line!r}")
            headers.append((name, value.strip(" \t")))
        return method, target, headers

    def body(self, headers):
        """Digest and size; never the whole in memory."""
        fields = {}
        for name, value in headers:
            fields.setdefault(name.lower(), []).append(value)
        if "transfer-encoding" in fields and "content-length" in fields:
            raise ValueError("two framings")
        if any(len(fields.get(n, [])) > 1 for n in ("host", "content-length", "transfer-encoding", "cookie")):
            raise ValueError("repeated field")
        digest, size = hashlib.sha256(), 0
        if [v.lower() for v in fields.get("expect", [])] == ["100-continue"]:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "transfer-encoding" in fields:
            if fields["transfer-encoding"] != ["chunked"]:
                raise ValueError("coding")
            while chunk := int(self.read_line(), 16):
                digest.update(self.read_exactly(chunk))
                size += chunk
                if self.read_line() != b"":
                    raise ValueError("chunk end")
            while self.read_line() != b"":
                pass
        else:
            left = int(fields.get("content-length", ["0"])[0])
            while left:
                if not self.buffer:
                    self.more()
                part, self.buffer = self.buffer[:left], self.buffer[left:]
                digest.update(part)
                size += len(part)
                left -= len(part)
        return digest.hexdigest(), size

    def respond(self, status, reason, kind, body, method="GET", extra=()):
        head = [f"HTTP/1.1 {status} {reason}", "Server: test-pod", f"Content-Type: {kind}",
                f"Content-Length: {len(body)}", *extra]
        self.sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else body))


def facts(connection, method, target, headers, digest, size, number):
    environment = os.environ
    return {
        "method": method, "target": target, "headers": headers, "body_sha256": digest, "body_length": size,
        "session": environment.get("ALCOVE_SESSION"), "generation": int(environment.get("ALCOVE_GENERATION", "0")),
        "pid": os.getpid(), "address": "%s:%d" % connection.sock.getsockname()[:2],
        "user": dict((n.lower(), v) for n, v in headers).get("x-alcove-user"),
        "requests": number, "connection": connection.number, "listening_at": STATE.listening_at,
        "environment": dict(environment), "directory": os.getcwd(), "arguments": sys.argv[1:],
    }


def chunked_head(kind):
    return (f"HTTP/1.1 200 OK\r\nServer: test-pod\r\nContent-Type: {kind}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n").encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def serve_websocket(connection, headers):
    key = dict((n.lower(), v) for n, v in headers)["sec-websocket-key"]
    connection.sock.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Accept: {ws.accept_key(key)}\r\n\r\n").encode())
    while True:
        opcode, payload = ws.read_frame(connection.read_exactly)
        if opcode == ws.PING:
            connection.sock.sendall(ws.frame(ws.PONG, payload, masked=False))
        elif opcode == ws.CLOSE:
            connection.sock.sendall(ws.frame(ws.CLOSE, payload, masked=False))
            return
        elif opcode != ws.PONG:
            connection.sock.sendall(ws.frame(opcode, payload, masked=False))


def answer(connection):
    """One request. False: the connection is done."""
    method, target, headers = connection.read_head()
    lower = {n.lower(): v for n, v in headers}
    path, _, query = target.partition("?")
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)

    def number(name, default):
        return int(options.get(name, default))

    if path == "/early":
        # A final answer before the body: the upload ends here.
        connection.respond(413, "Content Too Large", "text/plain", b"too large\n", extra=["Connection: close"])
        return False
    if lower.get("upgrade", "").lower() == "websocket":
        serve_websocket(connection, headers)
        return False
    digest, size = connection.body(headers)
    with STATE.lock:
        STATE.requests += 1
        count = STATE.requests
    print(f"{method} {target} request {count}", flush=True)
    if path == "/sleep":
        time.sleep(number("ms", 100) / 1000)
    if path == "/never":
        connection.more()
    if path == "/crash":
        os._exit(3)
    if path == "/eat":
        eaten = []
        while True:
            eaten.append(b"x" * 1_000_000)
    if path == "/close":
        return False
    if path == "/half":
        connection.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nhalf")
        return False
    if path == "/big":
        connection.respond(200, "OK", "application/octet-stream", pattern(number("bytes", 1000)), method)
    elif path == "/status":
        connection.respond(number("code", 200), "As Asked", "text/plain", b"", method)
    elif path == "/cookies":
        connection.respond(200, "OK", "text/plain", b"", method,
                           extra=["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/", "Set-Cookie: alcove_dev=evil"])
    elif path == "/stream":
        connection.sock.sendall(chunked_head("application/octet-stream"))
        for i in range(number("chunks", 3)):
            if i:
                time.sleep(number("ms", 0) / 1000)
            connection.sock.sendall(chunk(pattern(number("size", 10))))
        connection.sock.sendall(b"0\r\n\r\n")
    elif path == "/sse":
        connection.sock.sendall(chunked_head("text/event-stream"))
        for i in range(number("events", 3)):
            if i:
                time.sleep(number("ms", 0) / 1000)
            connection.sock.sendall(chunk(f"data: {i}\n\n".encode()))
        connection.sock.sendall(b"0\r\n\r\n")
    else:
        text = json.dumps(facts(connection, method, target, headers, digest, size, count)).encode()
        busy = [f"X-Alcove-Busy-For: {options['for']}"] if path == "/busy" else []
        connection.respond(200, "OK", "application/json", text, method, extra=busy)
    return lower.get("connection", "").lower() != "close"


def serve(sock, number):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = Connection(sock, number)
    try:
        while answer(connection):
            pass
    except (Gone, OSError):
        pass
    except ValueError as error:
        print(f"bad request reached the pod: {error}", file=sys.stderr, flush=True)
        try:
            connection.respond(400, "Bad Request", "text/plain", f"pod refuses: {error}\n".encode())
        except OSError:
            pass
    finally:
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        sock.close()


def listen(arguments):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((arguments.address, arguments.port))
    listener.listen(512)
    return listener


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--gate")
    parser.add_argument("--start-delay", type=float, default=0)
    parser.add_argument("--fail")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--child", action="store_true", help="start a child that ignores SIGTERM in a session of its own")
    parser.add_argument("--refuse-for", type=float, default=0)
    arguments = parser.parse_args()
    if arguments.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if arguments.fail:
        sys.exit(arguments.fail)
    if arguments.child:
        subprocess.Popen(["/bin/sh", "-c", "trap '' TERM HUP; while :; do sleep 1000; done"], start_new_session=True)
    if arguments.start_delay:
        time.sleep(arguments.start_delay)
    if arguments.gate:
        with open(arguments.gate, "rb", buffering=0) as gate:
            gate.read(1)
    listener = listen(arguments)
    if arguments.refuse_for:
        probe, _ = listener.accept()
        listener.close()  # before the probe has its answer: nobody else can be in the queue that is reset here
        answer(Connection(probe, 0))
        probe.close()
        time.sleep(arguments.refuse_for)
        listener = listen(arguments)
    STATE.listening_at = time.monotonic()
    print(f"pod listens on {arguments.address}:{arguments.port}", flush=True)
    while True:
        sock, _ = listener.accept()
        STATE.connections += 1
        threading.Thread(target=serve, args=(sock, STATE.connections), daemon=True).start()


if __name__ == "__main__":
    main()
