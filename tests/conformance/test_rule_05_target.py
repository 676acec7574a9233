"""Rule 5: one valid Host, absolute form, OPTIONS *, no CONNECT (RFC 9112 3.2)."""

import pytest


def raw(wire, line: str, *fields: str) -> bytes:
    return "\r\n".join([line, f"X-User-ID: {wire.user}", *fields, "", ""]).encode("latin-1")


def ask(wire, line: str, *fields: str):
    client = wire.dial()
    client.send(raw(wire, line, *fields))
    link = wire.pod.accept()
    seen = link.read_request()
    link.answer()
    assert client.read_response(line.split(" ")[0]).status == 200
    return seen


HOSTS = ["test.localhost", "TEST.LocalHost", "test.localhost:80", "test.localhost:8080", "test.localhost:",
         "test.localhost.", "test.localhost.:8443", "tEsT.localhost:65535"]


@pytest.mark.parametrize("host", HOSTS)
def test_rule_05_a_host_is_compared_in_lower_case_and_without_its_port(wire, host):
    assert ask(wire, "GET /x HTTP/1.1", f"Host: {host}").get("Host") == host


@pytest.mark.parametrize("host", ["[::1]", "[::1]:8080", "[2001:DB8::1]:80", "[::ffff:127.0.0.1]", "127.0.0.1:1",
                                  "elsewhere.example"])
def test_rule_05_an_address_is_a_host_too(wire, host):
    wire.app = "prefixed"
    seen = ask(wire, "GET /prefixed/x HTTP/1.1", f"Host: {host}")
    assert seen.get("Host") == host and seen.target == "/x"


REFUSED = {
    "none": [],
    "two": ["Host: test.localhost", "Host: evil.localhost"],
    "the_same_twice": ["Host: test.localhost", "Host: test.localhost"],
    "empty": ["Host:"],
    "list": ["Host: test.localhost, evil.localhost"],
    "user_info": ["Host: ada@test.localhost"],
    "path": ["Host: test.localhost/"],
    "backslash": ["Host: test.localhost\\evil"],
    "space": ["Host: test.localhost evil"],
    "port_too_large": ["Host: test.localhost:65536"],
    "port_is_a_word": ["Host: test.localhost:http"],
    "port_with_sign": ["Host: test.localhost:+80"],
    "two_ports": ["Host: test.localhost:80:80"],
    "open_bracket": ["Host: [::1"],
    "no_address_in_brackets": ["Host: [test]"],
    "text_after_brackets": ["Host: [::1]evil"],
    "only_a_port": ["Host: :80"],
    "empty_label": ["Host: test..localhost"],
    "only_a_dot": ["Host: ."],
    "too_long": ["Host: " + "a" * 300 + ".localhost"],
    "percent": ["Host: test%2elocalhost"],
    "alias": ["Host_: test.localhost"],
    "odd_case_twice": ["Host: test.localhost", "hOST: evil.localhost"],
}


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_rule_05_anything_but_one_valid_host_is_refused(wire, fields, version):
    answer = wire.refused(raw(wire, f"GET / {version}", *fields))
    assert answer.status == 400 and wire.pod.untouched()


ABSOLUTE = {
    "http": ("http://test.localhost/a/b?c", "test.localhost", "/a/b?c"),
    "https": ("https://test.localhost/a", "test.localhost", "/a"),
    "any_case": ("HtTp://Test.Localhost/a", "Test.Localhost", "/a"),
    "port": ("http://test.localhost:99/a", "test.localhost:99", "/a"),
    "no_path": ("http://test.localhost", "test.localhost", "/"),
    "path_like_a_url": ("http://test.localhost/http://evil/", "test.localhost", "/http://evil/"),
}


@pytest.mark.parametrize("target, host, path", ABSOLUTE.values(), ids=ABSOLUTE)
@pytest.mark.parametrize("field", ["nothing.example", "test.localhost", "small.localhost"])
def test_rule_05_absolute_form_wins_over_host(wire, target, host, path, field):
    """Traefik 3.6.23: routed by one of them, sent on with the other."""
    seen = ask(wire, f"GET {target} HTTP/1.1", f"Host: {field}")
    assert (seen.get("Host"), seen.target, seen.get("X-Forwarded-Host")) == (host, path, host)


ABSOLUTE_REFUSED = {
    "user_info": "http://ada@test.localhost/",
    "password": "http://ada:x@test.localhost/",
    "no_host": "http:///a",
    "nothing": "http://",
    "query_without_path": "http://test.localhost?a",
    "ftp": "ftp://test.localhost/",
    "no_slashes": "http:test.localhost/",
    "fragment": "http://test.localhost/#a",
    "backslash": "http://test.localhost\\@evil/",
    "no_slash": "test",
    "authority": "test.localhost:80",
    "double_host": "http://test.localhost,evil/",
    "star_with_get": "*",
}


@pytest.mark.parametrize("target", ABSOLUTE_REFUSED.values(), ids=ABSOLUTE_REFUSED)
def test_rule_05_a_target_of_another_form_is_refused(wire, target):
    assert wire.refused(raw(wire, f"GET {target} HTTP/1.1", "Host: test.localhost")).status == 400
    assert wire.pod.untouched()


def test_rule_05_absolute_form_does_not_do_away_with_host(wire):
    assert wire.refused(raw(wire, "GET http://test.localhost/ HTTP/1.1")).status == 400


@pytest.mark.parametrize("target", ["*", "http://test.localhost", "HTTP://TEST.localhost:80"])
def test_rule_05_options_of_the_server_reach_it(wire, target):
    assert ask(wire, f"OPTIONS {target} HTTP/1.1", "Host: test.localhost").target == "*"


def test_rule_05_options_of_a_resource_stay_so(wire):
    assert ask(wire, "OPTIONS http://test.localhost/ HTTP/1.1", "Host: test.localhost").target == "/"


@pytest.mark.parametrize("target", ["test.localhost:443", "test.localhost", "/", "*", "http://test.localhost/"])
def test_rule_05_connect_is_a_405_and_the_end(wire, target):
    answer = wire.refused(raw(wire, f"CONNECT {target} HTTP/1.1", "Host: test.localhost"))
    assert answer.status in (400, 405) and wire.pod.untouched()
    if target == "test.localhost:443":
        assert answer.status == 405 and "CONNECT" not in answer.header("Allow")


def test_rule_05_an_unknown_host_is_a_404_and_the_connection_goes_on(wire):
    client = wire.dial()
    client.send(raw(wire, "GET / HTTP/1.1", "Host: elsewhere.example"))
    answer = client.read_response()
    assert answer.status == 404 and answer.by_alcove and answer.header("Connection") is None
    client.send(wire.raw("GET / HTTP/1.1"))
    wire.pod.accept().answer()
    assert client.read_response().status == 200
