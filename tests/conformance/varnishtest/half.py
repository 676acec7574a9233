"""One end of a tunnel that ends its own side first, for the scripts: varnishtest cannot do that by itself.

    half.py client "ADDRESS PORT" HOST USER    handshake, "hello", end of its side; prints what it still hears
    half.py pod "ADDRESS PORT"                 takes one handshake, "hello", end of its side; prints what it still hears
"""

import socket
import sys

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def head(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, data
        data += byte
    return data


def rest(connection: socket.socket):
    connection.shutdown(socket.SHUT_WR)
    heard = b""
    while data := connection.recv(4096):
        heard += data
    print(heard.decode())


role, where, *more = sys.argv[1:]
address, port = where.split()
if role == "client":
    with socket.create_connection((address, int(port)), timeout=20) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: {more[0]}\r\nX-User-ID: {more[1]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        assert b" 101 " in head(client)
        client.sendall(b"hello")
        rest(client)
else:
    with socket.create_server((address, int(port))) as server:
        server.settimeout(20)
        pod = server.accept()[0]
        pod.settimeout(20)
        head(pod)
        pod.sendall(SWITCH + b"hello")
        rest(pod)
