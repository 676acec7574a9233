"""Rule 16: what says how a request came: appended to for trusted proxies, else overwritten (RFC 7239, RFC 9110 7.6.3)."""

import pytest

from support.wire import CLIENT, FRONT

LIES = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: evil.example",
        "X-Forwarded-Port: 666", "Forwarded: for=6.6.6.6;proto=gopher;host=evil.example", "Via: 1.1 evil.example",
        "X-Real-IP: 6.6.6.6", "X-Request-ID: evil", "X-Forwarded-Prefix: /evil",
        "X-Forwarded-User: evil", "X-Forwarded-Server: evil"]


def is_lie(text: str) -> bool:
    return any(word in text for word in ("6.6.6.6", "gopher", "evil", "666"))


def respelled(fields):
    for field in fields:
        name, _, value = field.partition(":")
        yield f"{name.upper()}:{value}"
        yield f"{name.lower()}:{value}"


def test_rule_16_what_a_client_says_is_overwritten(wire):
    seen, _ = wire.ask("GET / HTTP/1.1", *LIES, *respelled(LIES))
    assert not is_lie(seen.head.decode()), seen.head
    assert seen.get("X-Forwarded-For") == CLIENT and seen.get("X-Forwarded-Host") == wire.host
    assert seen.get("X-Forwarded-Proto") == ("https" if wire.tls else "http")
    assert seen.get("X-Forwarded-Port") == str(wire.port) and seen.get("Via") == "1.1 alcove"
    assert len(seen.get("X-Request-ID")) == 16


@pytest.mark.parametrize("source", [CLIENT, FRONT], ids=["client", "trusted"])
@pytest.mark.parametrize("alias", ["X_Forwarded_For", "x_forwarded_for", "X-Forwarded_For", "X_FORWARDED-FOR",
                                   "X_Forwarded_Proto", "X_Forwarded_Host", "X_Forwarded_Port", "X_Forwarded_Prefix",
                                   "X_Real_IP", "X_Request_ID"])
def test_rule_16_an_alias_with_underscores_never_goes_on(wire, alias, source):
    """Traefik CVE-2026-35051. Pods that read variables as CGI does cannot tell them apart."""
    seen, _ = wire.ask("GET / HTTP/1.1", f"{alias}: 6.6.6.6", source=source)
    assert alias.lower() not in seen.names and not is_lie(seen.head.decode())


def test_rule_16_what_a_trusted_proxy_says_is_kept_and_appended_to(wire):
    seen, _ = wire.ask("GET / HTTP/1.1", "X-Forwarded-For: 198.51.100.7, 198.51.100.8", "X-Forwarded-Proto: https",
                       "X-Forwarded-Host: public.example", "X-Forwarded-Port: 443", "Via: 2 front",
                       "X-Real-IP: 198.51.100.7", "Forwarded: for=198.51.100.7;proto=https",
                       "X-Request-ID: from-the-front", "X-Forwarded-Prefix: /p", source=FRONT)
    assert seen.get("X-Forwarded-For") == f"198.51.100.7, 198.51.100.8, {FRONT}"
    assert seen.get("X-Forwarded-Proto") == "https" and seen.get("X-Forwarded-Host") == "public.example"
    assert seen.get("X-Forwarded-Port") == "443" and seen.get("X-Real-IP") == "198.51.100.7"
    assert seen.all("Via") == ["2 front", "1.1 alcove"] and seen.get("X-Request-ID") == "from-the-front"
    own = f'for={FRONT};host="{wire.host}";proto={"https" if wire.tls else "http"}'
    assert seen.get("Forwarded") == f"for=198.51.100.7;proto=https, {own}" and seen.get("X-Forwarded-Prefix") == "/p"


def test_rule_16_several_lines_of_a_trusted_proxy_are_one_list_in_their_order(wire):
    seen, _ = wire.ask("GET / HTTP/1.1", "X-Forwarded-For: 198.51.100.1", "X-Other: x",
                       "x-forwarded-for: 198.51.100.2", source=FRONT)
    assert seen.get("X-Forwarded-For") == f"198.51.100.1, 198.51.100.2, {FRONT}"


def test_rule_16_a_trusted_proxy_that_says_nothing_is_the_client(wire):
    seen, _ = wire.ask(source=FRONT)
    assert seen.get("X-Forwarded-For") == FRONT and seen.get("X-Forwarded-Proto") == ("https" if wire.tls else "http")
    assert seen.get("Forwarded") is None


def test_rule_16_via_is_in_answers_too(wire):
    _, answer = wire.ask(answer=b"HTTP/1.1 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 0\r\n\r\n")
    assert answer.all("Via") == ["1.1 inner", "1.1 alcove"]
    _, answer = wire.ask(answer=b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert answer.header("Via") == "1.0 alcove"
