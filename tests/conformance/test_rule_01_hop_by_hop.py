"""Rule 1: hop-by-hop fields, and all that Connection names, end here (RFC 9110 7.6.1)."""

import pytest

DROPPED = {
    "keep_alive": ["Keep-Alive: timeout=5"],
    "proxy_connection": ["Proxy-Connection: keep-alive"],
    "te": ["TE: trailers, deflate;q=0.5"],
    "trailer": ["Trailer: X-Sum"],
    "upgrade": ["Upgrade: h2c", "Connection: upgrade"],
    "http2_settings": ["HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: HTTP2-Settings"],
    "proxy_authorization": ["Proxy-Authorization: Basic YTpi"],
    "named": ["X-Secret: gone", "Connection: X-Secret"],
    "named_in_any_case": ["x-sEcReT: gone", "CONNECTION: X-SECRET"],
    "named_before_it_comes": ["Connection: x-secret", "X-Secret: gone"],
    "named_among_others": ["X-Secret: gone", "X-Other: gone", "Connection: close ,\t, X-Secret,X-Other , "],
    "named_in_a_second_line": ["Connection: keep-alive", "X-Secret: gone", "Connection: x-secret"],
    "named_cookie": ["Cookie: gone=1", "Connection: cookie"],
    "named_authorization": ["Authorization: gone", "Connection: authorization"],
    "connection_itself": ["Connection: close"],
    "upper_case": ["KEEP-ALIVE: gone", "PROXY-CONNECTION: gone", "TE: gone"],
    "underscores": ["Keep_Alive: gone", "Proxy_Connection: gone", "Transfer_Encoding: gone", "Content_Length: 7"],
}


@pytest.mark.parametrize("fields", DROPPED.values(), ids=DROPPED)
def test_rule_01_what_belongs_to_the_clients_connection_stays_here(wire, fields):
    seen, answer = wire.ask("GET / HTTP/1.1", *fields, "X-Stays: yes")
    named = {field.partition(":")[0].lower() for field in fields}
    assert not named & seen.names and "gone" not in seen.head.decode(), seen.head
    assert seen.get("X-Stays") == "yes" and answer.status == 200


KEPT = {
    "host": ("Host", lambda w: w.host),
    "content_length": ("Content-Length", lambda w: "3"),
    "transfer_encoding": ("Content-Length", lambda w: "3"),
    "x_forwarded_for": ("X-Forwarded-For", lambda w: "127.0.0.1"),
    "x_forwarded_proto": ("X-Forwarded-Proto", lambda w: "https" if w.tls else "http"),
    "x_forwarded_host": ("X-Forwarded-Host", lambda w: w.host),
    "x_forwarded_port": ("X-Forwarded-Port", lambda w: str(w.port)),
    "x_alcove_user": ("X-Alcove-User", lambda w: w.user),
    "via": ("Via", lambda w: "1.1 alcove"),
}


@pytest.mark.parametrize("name, value", KEPT.values(), ids=KEPT)
def test_rule_01_connection_cannot_name_away_what_alcove_sets(wire, name, value):
    seen, _ = wire.ask("POST / HTTP/1.1", f"Connection: close, {name}, transfer-encoding", "Content-Length: 3",
                       body=b"abc")
    assert seen.get(name) == value(wire) and seen.body == b"abc", seen.head


def test_rule_01_connection_cannot_name_away_who_asks(wire):
    """Traefik CVE-2021-32813: the field that the trusted proxy sets must count although Connection names it."""
    seen, answer = wire.ask("GET / HTTP/1.1", "Connection: X-User-ID, X-Alcove-User, X-Request-ID")
    assert seen.get("X-Alcove-User") == wire.user and seen.get("X-Request-ID") and answer.status == 200


def test_rule_01_connection_may_name_many_fields_but_not_thousands(wire):
    """Each is looked for among all fields of the head."""
    names = ", ".join(f"X-{i}" for i in range(64))
    seen, answer = wire.ask("GET / HTTP/1.1", f"Connection: {names}", "X-63: gone", "X-64: stays")
    assert seen.get("X-63") is None and seen.get("X-64") == "stays" and answer.status == 200
    for fields in ([f"Connection: {names}, X-64"], ["Connection: " + "a," * 15_000], [f"Connection: {names}"] * 2):
        assert wire.refused(wire.raw("GET / HTTP/1.1", *fields)).status == 400 and wire.pod.untouched()
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(f"HTTP/1.1 200 OK\r\nConnection: {names}, X-64\r\nContent-Length: 0\r\n\r\n".encode())
    assert client.read_response().status == 502


ANSWERED = {
    "keep_alive": ["Keep-Alive: timeout=5, max=100"],
    "proxy_connection": ["Proxy-Connection: close"],
    "proxy_authenticate": ["Proxy-Authenticate: Basic"],
    "te": ["TE: trailers"],
    "trailer": ["Trailer: X-Sum"],
    "upgrade": ["Upgrade: h2c"],
    "named": ["X-Secret: gone", "Connection: x-secret"],
    "named_late": ["X-Secret: gone", "Connection: keep-alive", "Connection: X-SECRET, upgrade"],
}


@pytest.mark.parametrize("fields", ANSWERED.values(), ids=ANSWERED)
def test_rule_01_what_belongs_to_the_pods_connection_stays_here(wire, fields):
    raw = "\r\n".join(["HTTP/1.1 200 OK", *fields, "X-Stays: yes", "Content-Length: 2", "", "ok"]).encode()
    _, answer = wire.ask(answer=raw)
    names = {n.lower() for n, _ in answer.headers}
    assert not {field.partition(":")[0].lower() for field in fields} & names, answer.head
    assert answer.header("X-Stays") == "yes" and answer.body == b"ok"


def test_rule_01_a_pods_connection_cannot_name_away_the_framing(wire):
    _, answer = wire.ask(answer=b"HTTP/1.1 200 OK\r\nConnection: Content-Length, Via\r\nContent-Length: 2\r\n\r\nok")
    assert answer.header("Content-Length") == "2" and answer.body == b"ok" and answer.header("Via") == "1.1 alcove"


def test_rule_01_a_pod_that_closes_does_not_close_the_client(wire):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    answer = client.read_response()
    assert answer.header("Connection") is None and link.closed()
    _, again = wire.send("GET /2 HTTP/1.1", client=client)
    again.read_request()
    again.answer()
    assert client.read_response().status == 200
