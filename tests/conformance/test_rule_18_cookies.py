"""Rule 18: one Cookie line, Set-Cookie never folded (RFC 6265 5.4, RFC 9110 5.3). Alcove's own: test_credentials.py."""

import pytest

CASES = {
    "one": (["Cookie: a=1"], "a=1"),
    "pairs": (["Cookie: a=1; b=2"], "a=1; b=2"),
    "lines": (["Cookie: a=1", "Cookie: b=2", "X: y", "cookie: c=3"], "a=1; b=2; c=3"),
    "odd_spacing": (["Cookie: a=1;b=2 ;  c=3;"], "a=1; b=2; c=3"),
    "the_same_twice": (["Cookie: a=1; a=2"], "a=1; a=2"),
    "quotes_and_equals": (['Cookie: a="x y"; b=c=d; e'], 'a="x y"; b=c=d; e'),
    "commas_in_a_value": (["Cookie: a=x,y,z; b={1,2}"], "a=x,y,z; b={1,2}"),
    "eighth_bit": (["Cookie: a=\xe4"], "a=\xe4"),
    "large": (["Cookie: a=" + "x" * 20_000], "a=" + "x" * 20_000),
}


@pytest.mark.parametrize("fields, wanted", CASES.values(), ids=CASES)
def test_rule_18_cookies_are_one_line(wire, fields, wanted):
    seen, answer = wire.ask("GET / HTTP/1.1", *fields)
    assert seen.get("Cookie") == wanted and answer.status == 200


@pytest.mark.parametrize("field", ["Cookie:", "Cookie: ;;", "Cookie:  ; "])
def test_rule_18_no_cookies_are_no_line(wire, field):
    seen, _ = wire.ask("GET / HTTP/1.1", field)
    assert seen.get("Cookie") is None


def test_rule_18_set_cookie_lines_stay_apart_and_as_they_are(wire):
    cookies = ["a=1; Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "b=2; HttpOnly", "c=3, still c; Secure", "d=",
               "a=again", "=noname"]
    raw = "\r\n".join(["HTTP/1.1 200 OK", *(f"Set-Cookie: {c}" for c in cookies), "Content-Length: 0", "", ""])
    _, answer = wire.ask(answer=raw.encode())
    assert answer.all("Set-Cookie") == cookies


def test_rule_18_set_cookie_of_a_1xx_stays_as_it_is(wire):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 103 Early Hints\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n")
    assert client.read_head().all("Set-Cookie") == ["a=1", "b=2"]
    link.answer()
    assert client.read_response().status == 200
