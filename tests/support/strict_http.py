"""A second parser of HTTP/1.1 requests, for what a gateway sends: it takes one way to write a message and no other.

Where RFC 9112 lets a reader be lenient this one is not, so that whatever it takes has one meaning for every reader. It
knows nothing of how Alcove parses. Raises Ambiguous.
"""

from __future__ import annotations

import dataclasses
import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(%s) (\*|/[!-~]*) HTTP/1\.1" % TOKEN)
FIELD = re.compile(rb"(%s): ((?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?)" % TOKEN)
HOST = re.compile(rb"[0-9A-Za-z._-]+(?::[0-9]{0,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
CHUNK_SIZE = re.compile(rb"0|[1-9a-f][0-9a-f]{0,14}")
ONCE = (b"host", b"content-length", b"transfer-encoding", b"cookie", b"connection", b"upgrade", b"expect")


class Ambiguous(Exception):
    """Two readers could understand this differently, or it is no HTTP at all."""


@dataclasses.dataclass
class Request:
    method: str
    target: str
    fields: list[tuple[str, str]]  # as they came, in order
    head: bytes
    body: bytes = b""
    framing: str = "none"  # none, length or chunked

    def all(self, name: str) -> list[str]:
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) < 2, f"{name} more than once: {values}"
        return values[0] if values else None

    @property
    def names(self) -> set[str]:
        return {n.lower() for n, _ in self.fields}


def parse_head(head: bytes) -> Request:
    """`head` ends with its empty line."""
    if not head.endswith(b"\r\n\r\n"):
        raise Ambiguous(f"no end of the head: {head[-80:]!r}")
    lines = head[:-4].split(b"\r\n")
    first = REQUEST_LINE.fullmatch(lines[0])
    if not first:
        raise Ambiguous(f"request line {lines[0]!r}")
    fields, raw = [], {}
    for line in lines[1:]:
        field = FIELD.fullmatch(line)
        if not field:
            raise Ambiguous(f"field {line!r}")
        name = field[1].lower()
        if name.replace(b"_", b"-") in ONCE and name not in ONCE:
            raise Ambiguous(f"an alias: {line!r}")
        if name in ONCE and name in raw:
            raise Ambiguous(f"{name!r} more than once")
        raw[name] = field[2]
        fields.append((field[1].decode("latin-1"), field[2].decode("latin-1")))
    if not HOST.fullmatch(raw.get(b"host", b"")):
        raise Ambiguous(f"Host {raw.get(b'host')!r}")
    request = Request(first[1].decode(), first[2].decode("latin-1"), fields, head)
    if b"transfer-encoding" in raw:
        if b"content-length" in raw or raw[b"transfer-encoding"] != b"chunked":
            raise Ambiguous(f"framing {raw.get(b'content-length')!r} and {raw[b'transfer-encoding']!r}")
        request.framing = "chunked"
    elif b"content-length" in raw:
        if not LENGTH.fullmatch(raw[b"content-length"]):
            raise Ambiguous(f"Content-Length {raw[b'content-length']!r}")
        request.framing = "length"
    return request


def read_request(source) -> Request:
    """`source` has read_until(end) and read_exactly(size), as connections of tests have."""
    request = parse_head(source.read_until(b"\r\n\r\n"))
    if request.framing == "length":
        request.body = source.read_exactly(int(request.get("Content-Length")))
    elif request.framing == "chunked":
        parts = []
        while True:
            line = source.read_until(b"\r\n")[:-2]
            if not CHUNK_SIZE.fullmatch(line):
                raise Ambiguous(f"chunk size {line!r}")
            size = int(line, 16)
            data, end = source.read_exactly(size), source.read_exactly(2)
            if end != b"\r\n":
                raise Ambiguous(f"after a chunk: {end!r}")
            if size == 0:
                break
            parts.append(data)
        request.body = b"".join(parts)
    return request
