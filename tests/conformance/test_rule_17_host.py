"""Rule 17: Host goes on unchanged; per app it can be rewritten, and Origin with it (RFC 9110 7.2)."""

import pytest


@pytest.mark.parametrize("host", ["test.localhost", "Test.LOCALHOST", "test.localhost:1234", "test.localhost."])
def test_rule_17_host_and_origin_go_on_unchanged(wire, host):
    client = wire.dial()
    client.send(f"GET / HTTP/1.1\r\nhost: {host}\r\nOrigin: https://{host}\r\nX-User-ID: {wire.user}\r\n\r\n".encode())
    link = wire.pod.accept()
    seen = link.read_request()
    assert seen.get("Host") == host and seen.get("Origin") == f"https://{host}"
    assert seen.fields[0][0] == "Host", "RFC 9112 3.2: Host ought to be the first"
    link.answer()
    assert client.read_response().status == 200


def test_rule_17_an_app_can_have_its_own_host_and_origin(wire):
    wire.app = "renamed"
    seen, _ = wire.ask("GET / HTTP/1.1", "Origin: http://renamed.localhost", "Referer: http://renamed.localhost/a")
    assert seen.get("Host") == "inner.example:8080"
    assert seen.get("Origin") == ("https" if wire.tls else "http") + "://inner.example:8080"
    assert seen.get("X-Forwarded-Host") == "renamed.localhost" and seen.get("Referer") == "http://renamed.localhost/a"


def test_rule_17_no_origin_is_made_up(wire):
    wire.app = "renamed"
    seen, _ = wire.ask()
    assert seen.get("Origin") is None and seen.get("Host") == "inner.example:8080"


def test_rule_17_the_path_goes_on_unchanged(wire):
    for target in ("/a%2Fb/../c//d;e?f=%20&g", "/%00%0d%0a", "/?", "//double", "/~%7E", "/a?b?c", "/\\", "/[{}]|^`\"<>"):
        seen, _ = wire.ask(f"GET {target} HTTP/1.1")
        assert seen.target == target


def test_rule_17_an_app_can_do_without_its_prefix(wire):
    wire.app = "prefixed"
    for target, wanted in (("/prefixed/a?b", "/a?b"), ("/prefixed/", "/"), ("/prefixed", "/"), ("/prefixed?a", "/?a"),
                           ("/prefixed//evil", "//evil")):
        client = wire.dial()
        client.send(f"GET {target} HTTP/1.1\r\nHost: any.example\r\nX-User-ID: {wire.user}\r\n\r\n".encode())
        link = wire.pod.accept()
        assert link.read_request().target == wanted
        link.answer()
        assert client.read_response().status == 200
