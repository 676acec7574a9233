"""Rule 27: Alcove's own errors are told apart from the app's (RFC 9209): Server, Proxy-Status, a request id, Retry-After,
Cache-Control: no-store."""

import re

import pytest

HOSTLESS = "GET / HTTP/1.1\r\nX-User-ID: {user}\r\n\r\n"
ERRORS = {
    # name: status, the two letters of side and phase, RFC 9209's error type, the request
    "malformed": (400, "CH", "http_request_error", lambda w: w.raw("GET / HTTP/1.1", "Bad Field: x")),
    "no_host": (400, "CH", "http_request_error", lambda w: HOSTLESS.format(user=w.user).encode()),
    "nobody": (401, "CH", "http_request_denied", lambda w: b"GET / HTTP/1.1\r\nHost: test.localhost\r\n\r\n"),
    "unknown_host": (404, "CH", "destination_not_found", lambda w: b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
    "connect": (405, "CH", "http_request_error", lambda w: w.raw("CONNECT test.localhost:80 HTTP/1.1")),
    "too_large": (413, "CH", "http_request_error", lambda w: w.raw("POST / HTTP/1.1", "Content-Length: 100000")),
    "long_target": (414, "CH", "http_request_error", lambda w: w.raw(f"GET /{'x' * 40000} HTTP/1.1")),
    "expectation": (417, "CH", "http_request_error",
                    lambda w: w.raw("POST / HTTP/1.1", "Expect: x", "Content-Length: 1")),
    "large_head": (431, "CH", "http_request_error", lambda w: w.raw("GET / HTTP/1.1", f"X: {'x' * 40000}")),
    "coding": (501, "CH", "http_request_error", lambda w: w.raw("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked")),
    "version": (505, "CH", "http_request_error", lambda w: w.raw("GET / HTTP/3.0")),
}


def judge(answer, status: int, code: str, error: str):
    assert answer.status == status and answer.header("Server") == "alcove", answer.head
    kind, _, details = answer.header("Proxy-Status").partition("; details=")
    assert kind.startswith("alcove; error=") and details.startswith(f'"{code}')
    assert error is None or kind == f"alcove; error={error}"
    assert re.fullmatch("[0-9a-f]{16}", answer.header("X-Request-ID"))
    assert answer.header("Cache-Control") == "no-store" and answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Date") and answer.header("Content-Type") == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and problem["code"] == code and problem["detail"] and problem["title"]
    assert problem["request_id"] == answer.header("X-Request-ID")
    assert (answer.header("Retry-After") is not None) == (status in (429, 503))
    assert (answer.header("WWW-Authenticate") is not None) == (status == 401)
    assert (answer.header("Allow") is not None) == (status == 405)


@pytest.mark.parametrize("status, code, error, request_of", ERRORS.values(), ids=ERRORS)
def test_rule_27_a_clients_error_is_alcoves_own(wire, status, code, error, request_of):
    wire.app = "small"
    client = wire.dial()
    client.send(request_of(wire))
    judge(client.read_response(), status, code, error)


PODS = {
    "no_answer": (502, "PR", "connection_terminated", b""),
    "malformed": (502, "PR", None, b"nonsense\r\n\r\n"),
    "half_a_head": (502, "PR", "connection_terminated", b"HTTP/1.1 200 OK\r\nContent-"),
}


@pytest.mark.parametrize("status, code, error, said", PODS.values(), ids=PODS)
def test_rule_27_a_pods_error_is_alcoves_own_and_says_so(wire, status, code, error, said):
    client, link = wire.send("POST / HTTP/1.1", "Content-Length: 0")
    link.read_request()
    link.send(said)
    link.close()
    judge(client.read_response("POST"), status, code, error)


def test_rule_27_a_hold_that_ends_is_alcoves_own(held):
    held.app = "hasty"
    client = held.dial()
    client.send(held.raw("GET / HTTP/1.1"))
    judge(client.read_response(), 504, "RW", "destination_unavailable")


def test_rule_27_a_full_waiting_room_says_when_to_come_again(held):
    for _ in range(8):
        held.dial().send(held.raw("GET / HTTP/1.1"))
    held.gateway.wait_state(f"test/{held.user}", "starting")
    client = held.dial()
    client.send(held.raw("GET / HTTP/1.1"))
    judge(client.read_response(), 503, "AW", "connection_limit_reached")


def test_rule_27_a_browser_gets_a_page_and_the_same_facts(wire):
    client = wire.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\nAccept: text/html\r\n\r\n")
    answer = client.read_response()
    assert answer.status == 404 and answer.by_alcove and answer.header("Content-Type").startswith("text/html")
    assert answer.header("X-Request-ID") in answer.text and answer.header("Cache-Control") == "no-store"
    assert answer.header("Content-Security-Policy") and answer.header("Proxy-Status").startswith("alcove; error=")


@pytest.mark.parametrize("status", ["404 Not Found", "429 Too Many Requests", "500 Internal Server Error",
                                    "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
def test_rule_27_an_apps_error_stays_the_apps(wire, status):
    """shinyproxy 563: nobody could tell who had failed."""
    head = f"HTTP/1.1 {status}\r\nServer: app\r\nContent-Type: text/odd\r\nContent-Length: 4\r\n\r\n"
    _, answer = wire.ask(answer=head.encode() + b"mine")
    assert f"{answer.status} {answer.reason}" == status and answer.body == b"mine"
    assert answer.header("Server") == "app" and answer.header("Content-Type") == "text/odd"
    for name in ("Proxy-Status", "Retry-After", "Cache-Control", "X-Request-ID"):
        assert answer.header(name) is None


def test_rule_27_a_request_id_is_the_pods_too_and_in_the_log(wire):
    seen, _ = wire.ask(f"GET /traced-{wire.user} HTTP/1.1")
    assert seen.get("X-Request-ID") in wire.gateway.wait_log(f"/traced-{wire.user}")


def test_rule_27_no_id_comes_twice(wire):
    ids = {wire.ask()[0].get("X-Request-ID") for _ in range(20)}
    assert len(ids) == 20


def test_rule_27_text_from_outside_cannot_forge_a_field(wire):
    client = wire.dial()
    client.send(b"GET /%0d%0aX-Forged:%20yes HTTP/1.1\r\nHost: <script>.localhost\r\n\r\n")
    answer = client.read_response()
    assert answer.header("X-Forged") is None and answer.status == 400
    client = wire.dial()
    client.send(b"GET /\"><script> HTTP/1.1\r\nHost: a.example\r\nAccept: text/html\r\n\r\n")
    assert b"<script>" not in client.read_response().body
