"""Rule 12: what is sent again, and what never (RFC 9110 9.2.2, RFC 9112 9.3.1)."""

import time

import pytest


def dies(wire, line: str, *fields: str, body: bytes = b"", said: bytes = b""):
    """A request on a pooled connection that the pod closes after having read it and said something."""
    pooled = wire.ready()
    client, link = wire.send(line, *fields, body=body)
    assert link is pooled
    request = link.read_request()
    if said:
        link.send(said)
        time.sleep(0.05)  # or the end could overtake it into the same read
    link.close()
    return client, request


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_rule_12_an_idempotent_bodyless_request_is_sent_again_if_a_reused_connection_dies(wire, method):
    """caddy 6452, varnish 4413: the client saw a 502 since the pod closed an idle connection."""
    client, before = dies(wire, f"{method} /again HTTP/1.1")
    link = wire.pod.accept()
    assert link.read_request().head == before.head, "it is the same request"
    link.answer(b"" if method == "HEAD" else b"second")
    assert client.read_response(method).status == 200


@pytest.mark.parametrize("line, fields, body", [
    ("POST /once HTTP/1.1", [], b""),
    ("POST /once HTTP/1.1", ["Content-Length: 5"], b"hello"),
    ("PATCH /once HTTP/1.1", [], b""),
    ("X-OWN /once HTTP/1.1", [], b""),
    ("get /once HTTP/1.1", [], b""),
    ("GET /once HTTP/1.1", ["Content-Length: 5"], b"hello"),
    ("PUT /once HTTP/1.1", ["Content-Length: 5"], b"hello"),
    ("DELETE /once HTTP/1.1", ["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
], ids=["post", "post_with_body", "patch", "unknown", "lower_case", "get_with_body", "put_with_body", "delete_chunked"])
def test_rule_12_anything_else_is_sent_once(wire, line, fields, body):
    client, _ = dies(wire, line, *fields, body=body)
    answer = client.read_response()
    assert answer.status == 502 and answer.by_alcove and answer.json()["code"] == "PR"
    assert wire.pod.untouched(0.3)


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 100 Continue\r\n\r\n"],
                         ids=["one_byte", "half_a_head", "a_100"])
def test_rule_12_nothing_is_sent_again_once_the_answer_has_begun(wire, said):
    client, _ = dies(wire, "GET /once HTTP/1.1", said=said)
    answer = client.read_response()
    assert answer.status == 502 and answer.by_alcove
    assert wire.pod.untouched(0.3)


def test_rule_12_nothing_is_sent_again_within_the_body(wire):
    client, _ = dies(wire, "GET /once HTTP/1.1", said=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    assert client.read_head().status == 200 and client.read_to_end() == b"hello"
    assert wire.pod.untouched(0.3)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_rule_12_a_fresh_connection_that_dies_is_not_tried_again_on_the_same_pod(wire, method):
    client, link = wire.send(f"{method} /once HTTP/1.1")
    link.read_request()
    link.close()
    answer = client.read_response()
    assert answer.status == 502 and answer.by_alcove and wire.pod.untouched(0.3)


def test_rule_12_several_dead_connections_cost_the_client_nothing(wire):
    wire.ready()
    clients = [wire.dial() for _ in range(5)]
    links = []
    for client in clients:
        client.send(wire.raw("GET /warm-up HTTP/1.1"))
        links.append(wire.pod.accept())
        links[-1].read_request()
    for client, link in zip(clients, links, strict=True):
        link.answer()
        assert client.read_response().status == 200
    client = wire.dial()
    client.send(wire.raw("GET /after HTTP/1.1"))
    for _ in range(5):
        link = wire.pod.accept()
        assert link in links and link.read_request().target == "/after"
        links.remove(link)
        link.close()
    link = wire.pod.accept()
    assert link.read_request().target == "/after"
    link.answer(b"at last")
    assert client.read_response().body == b"at last"


def test_rule_12_a_pod_that_refuses_is_asked_again_with_growing_pauses(held):
    """A pod that was ready, and refuses now: a handful of tries a second, not thousands (http-add-on 1734)."""
    held.app = "hasty"
    held.pod.listen()
    held.ready()
    held.pod.clear()
    held.pod.refuse()
    before = held.gateway.metric("alcove_gateway_pod_dial_failures_total")
    client = held.dial()
    began = time.monotonic()
    client.send(held.raw("POST / HTTP/1.1", "Content-Length: 5", body=b"hello"))
    answer = client.read_response("POST")
    tries = held.gateway.metric("alcove_gateway_pod_dial_failures_total") - before
    assert answer.status == 502 and answer.json()["code"] == "PD" and answer.by_alcove
    assert 3 <= tries <= 15 and 0.4 < time.monotonic() - began < 10
