"""Credentials: Alcove's cookies, tokens and internal fields never reach a pod, and a pod cannot make them. Who asks is what
Alcove alone says, signed for who wants proof. Goes further than rules 1, 8, 16 and 18."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from support.wire import CLIENT, FRONT, JWT_SECRET, STRANGER
from support.ws import HANDSHAKE, SWITCH

TOKEN = "v1.c3RvbGVu.9999999999.c3RvbGVu"


def sign_in(wire, user: str | None = None) -> str:
    """A real, valid cookie: name=value."""
    form = f"user={user or wire.user}&to=%2F".encode()
    client = wire.dial()
    client.send(b"POST /.alcove/sign-in HTTP/1.1\r\nHost: test.localhost\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s" % (len(form), form))
    answer = client.read_response("POST")
    assert answer.status == 303, answer
    return answer.header("Set-Cookie").partition(";")[0]


def spellings(name: str):
    """A field's name as pods might read it."""
    yield from (name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", "_").upper(),
                name.replace("-", "_", 1), name.swapcase())


INTERNAL = ["X-Alcove-User", "X-Alcove-Jwt", "X-Alcove-Session", "X-Alcove-Anything", "X-User-ID"]


@pytest.mark.parametrize("name", INTERNAL)
@pytest.mark.parametrize("source", [CLIENT, FRONT], ids=["client", "trusted_proxy"])
def test_credentials_internal_fields_of_a_client_never_reach_a_pod(wire, name, source):
    fields = [f"{spelling}: eve" for spelling in spellings(name) if not (name == "X-User-ID" and "_" not in spelling)]
    seen, answer = wire.ask("GET / HTTP/1.1", *fields, *fields, source=source)
    assert b"eve" not in seen.head and answer.status == 200
    assert seen.all("X-Alcove-User") == [wire.user]
    assert not {n.replace("_", "-") for n in seen.names} & {"x-user-id", "x-alcove-jwt", "x-alcove-session"}


def test_credentials_a_trusted_header_more_than_once_is_nobody(wire):
    for second in ("X-User-ID: eve", "x-user-id: eve", "X-USER-ID:"):
        client = wire.dial()
        client.send(wire.raw("GET / HTTP/1.1", second))
        answer = client.read_response()
        assert answer.status == 400 and answer.by_alcove and wire.pod.untouched()


def test_credentials_an_alias_of_the_trusted_header_names_nobody(wire):
    client = wire.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: test.localhost\r\nX_User_ID: eve\r\nX-User_ID: eve\r\n\r\n")
    assert client.read_response().status == 401 and wire.pod.untouched()


@pytest.mark.parametrize("spelling", list(dict.fromkeys(spellings("X-User-ID"))))
def test_credentials_a_stranger_who_says_who_he_is_is_nobody(wire, spelling):
    client = wire.dial(STRANGER)
    client.send(f"GET / HTTP/1.1\r\nHost: test.localhost\r\n{spelling}: eve\r\n\r\n".encode())
    assert client.read_response().status == 401 and wire.pod.untouched()


def test_credentials_a_stranger_who_is_signed_in_is_not_whom_he_says(wire):
    """The field is ignored and dropped; the cookie counts."""
    cookie = sign_in(wire)
    client = wire.dial(STRANGER)
    lies = "".join(f"{spelling}: eve\r\n" for spelling in spellings("X-User-ID"))
    client.send(f"GET / HTTP/1.1\r\nHost: test.localhost\r\n{lies}Cookie: {cookie}; a=1\r\n\r\n".encode())
    link = wire.pod.accept()
    seen = link.read_request()
    link.answer()
    assert seen.get("X-Alcove-User") == wire.user and b"eve" not in seen.head and seen.get("Cookie") == "a=1"
    assert client.read_response().status == 200


COOKIES = {
    "alone": (["Cookie: {own}"], None),
    "first": (["Cookie: {own}; a=1"], "a=1"),
    "last": (["Cookie: a=1; {own}"], "a=1"),
    "without_spaces": (["Cookie: a=1;{own};b=2"], "a=1; b=2"),
    "with_tabs": (["Cookie: a=1;\t{own}\t;\tb=2"], "a=1; b=2"),
    "in_its_own_line": (["Cookie: a=1", "Cookie: {own}", "Cookie: b=2"], "a=1; b=2"),
    "twice": (["Cookie: {own}; a=1; {own}"], "a=1"),
    "twice_in_two_lines": (["Cookie: {own}", "cookie: {own}; a=1"], "a=1"),
    "spaces_around_equals": (["Cookie: alcove_dev = {token}; a=1"], "a=1"),
    "upper_case": (["Cookie: ALCOVE_DEV={token}; a=1"], "a=1"),
    "mixed_case": (["Cookie: a=1; Alcove_Dev={token}"], "a=1"),
    "dashes": (["Cookie: alcove-dev={token}; a=1"], "a=1"),
    "folded_by_a_proxy": (["Cookie: a=1, {own}, b=2"], "a=1; b=2"),
    "folded_in_front": (["Cookie: {own}, a=1"], "a=1"),
    "without_a_value": (["Cookie: alcove_dev; a=1", "Cookie: alcove_dev="], "a=1"),
    "field_in_upper_case": (["COOKIE: {own}; a=1"], "a=1"),
}


@pytest.mark.parametrize("fields, wanted", COOKIES.values(), ids=COOKIES)
@pytest.mark.parametrize("handshake", [False, True], ids=["request", "handshake"])
def test_credentials_the_sign_in_cookie_never_reaches_a_pod(wire, fields, wanted, handshake):
    own = sign_in(wire)
    token = own.partition("=")[2]
    fields = [field.format(own=own, token=token) for field in fields]
    client, link = wire.send("GET / HTTP/1.1", *fields, *(HANDSHAKE if handshake else ()))
    seen = link.read_head()
    assert token.encode() not in seen.head and b"alcove_dev" not in seen.head.lower().replace(b"-", b"_")
    assert seen.get("Cookie") == wanted and (seen.get("Upgrade") is not None) == handshake
    link.send(SWITCH if handshake else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert client.read_head().status in (101, 200)


@pytest.mark.parametrize("name", [*INTERNAL, "Cookie"])
def test_credentials_nothing_of_it_goes_by_trailers(wire, name):
    own = sign_in(wire)
    trailers = "".join(f"{spelling}: {own}\r\n" for spelling in spellings(name)).encode()
    client, link = wire.send("POST / HTTP/1.1", "Transfer-Encoding: chunked", f"Trailer: {name}",
                             body=b"2\r\nhi\r\n0\r\n" + trailers + b"\r\n")
    link.read_request()
    assert own.encode() not in link.received and link.received.endswith(b"2\r\nhi\r\n0\r\n\r\n")
    link.answer()
    assert client.read_response("POST").status == 200


@pytest.mark.parametrize("name", INTERNAL)
def test_credentials_nothing_of_it_goes_with_a_handshake(wire, name):
    fields = [f"{spelling}: eve" for spelling in spellings(name) if not (name == "X-User-ID" and "_" not in spelling)]
    client, link = wire.send("GET /ws HTTP/1.1", *HANDSHAKE, *fields)
    seen = link.read_head()
    assert b"eve" not in seen.head and seen.all("X-Alcove-User") == [wire.user]
    link.send(SWITCH)
    assert client.read_head().status == 101


def test_credentials_a_folded_field_is_refused(wire):
    for fold in ("X-Alcove-User:\r\n eve", "X-A: b\r\n\tX-Alcove-User: eve", "Cookie: a=1;\r\n alcove_dev=x"):
        assert wire.refused(wire.raw("GET / HTTP/1.1", fold)).status == 400 and wire.pod.untouched()


SET = ["alcove_dev={token}; Path=/", "alcove_dev={token}", "ALCOVE_DEV={token}", "Alcove-Dev={token}",
       " alcove_dev = {token}", "alcove_dev=; Max-Age=0", "alcove_dev", "=alcove_dev={token}", "a=1, alcove_dev={token}",
       "\talcove_dev={token}; Domain=localhost"]


@pytest.mark.parametrize("value", SET)
@pytest.mark.parametrize("where", ["answer", "interim", "trailer", "handshake", "error"])
def test_credentials_a_pod_cannot_set_the_sign_in_cookie(wire, value, where):
    field = f"Set-Cookie: {value.format(token=TOKEN)}\r\nSet-Cookie: theirs=1\r\n".encode()
    client, link = wire.send("GET / HTTP/1.1", *(HANDSHAKE if where == "handshake" else ()))
    link.read_head()
    if where == "interim":
        link.send(b"HTTP/1.1 103 Early Hints\r\n" + field + b"\r\n")
    elif where == "trailer":
        link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + field + b"\r\n")
    elif where == "handshake":
        link.send(SWITCH[:-2] + field + b"\r\n")
    else:
        status = b"500 Oops" if where == "error" else b"200 OK"
        link.send(b"HTTP/1.1 " + status + b"\r\n" + field + b"Content-Length: 0\r\n\r\n")
    head = client.read_head()
    assert head.all("Set-Cookie") == ([] if where == "trailer" else ["theirs=1"])
    if where == "trailer":
        assert client.read_exactly(5) == b"0\r\n\r\n"


def test_credentials_internal_fields_of_a_pod_never_reach_a_client(wire):
    names = (*spellings("X-Alcove-User"), *spellings("X-Alcove-Jwt"), "x-alcove-anything")
    raw = "".join(f"{name}: forged\r\n" for name in names)
    _, answer = wire.ask(answer=f"HTTP/1.1 200 OK\r\n{raw}Content-Length: 0\r\n\r\n".encode())
    assert answer.status == 200 and b"forged" not in answer.head


def test_credentials_a_user_name_can_forge_nothing(wire):
    """Names that are no header value are percent-encoded, so that one field stays one field."""
    for name, shown in (("ada lovelace", "ada%20lovelace"), ("a%41", "a%2541"), ("\u00e4", "%C3%A4"), ("a,b;c", "a,b;c")):
        wire.user = name.encode().decode("latin-1")
        seen, _ = wire.ask()
        assert seen.all("X-Alcove-User") == [shown]


# --- the signed form: identity_jwt ---------------------------------------------------------------------------------


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verify(token: str, secret: str, app: str) -> dict:
    """What a pod has to do, in any language: RFC 7515 with HS256, then the claims."""
    head, claims, signature = token.split(".")
    expected = hmac.new(secret.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(expected, decoded(signature)):
        raise ValueError("not signed by Alcove")
    if json.loads(decoded(head)) != {"alg": "HS256", "typ": "JWT"}:
        raise ValueError("another algorithm")
    said = json.loads(decoded(claims))
    if said["aud"] != app or said["iss"] != "alcove" or not said["iat"] - 5 <= time.time() < said["exp"]:
        raise ValueError("not for this app, or not for now")
    return said


@pytest.fixture
def jwt(wire):
    wire.app = "jwt"
    return wire


def test_credentials_a_pod_can_check_who_asks(jwt):
    seen, _ = jwt.ask()
    said = verify(seen.get("X-Alcove-Jwt"), JWT_SECRET, "jwt")
    assert said["sub"] == jwt.user and said["session"] == f"jwt/{jwt.user}"
    assert said["exp"] - time.time() > 140, "at least half of its five minutes is left"
    assert seen.get("X_App_User") == jwt.user


def test_credentials_it_is_the_same_for_a_while_and_anothers_is_another(jwt):
    first, second = jwt.ask()[0], jwt.ask()[0]
    assert first.get("X-Alcove-Jwt") == second.get("X-Alcove-Jwt")
    other = jwt.other_user()
    assert verify(other.ask()[0].get("X-Alcove-Jwt"), JWT_SECRET, "jwt")["sub"] == other.user


def test_credentials_a_changed_one_is_not_believed(jwt):
    token = jwt.ask()[0].get("X-Alcove-Jwt")
    head, claims, signature = token.split(".")
    forged = json.loads(decoded(claims))
    forged["sub"] = "eve"
    forged_claims = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    for wrong in (f"{head}.{forged_claims}.{signature}", f"{head}.{claims}.{flipped}", f"{none}.{forged_claims}."):
        with pytest.raises(ValueError):
            verify(wrong, JWT_SECRET, "jwt")
    with pytest.raises(ValueError):
        verify(token, JWT_SECRET + "x", "jwt")
    with pytest.raises(ValueError):
        verify(token, JWT_SECRET, "another-app")


@pytest.mark.parametrize("spelling", list(dict.fromkeys([*spellings("X-Alcove-Jwt"), *spellings("X-App-User")])))
@pytest.mark.parametrize("source", [CLIENT, FRONT], ids=["client", "trusted_proxy"])
def test_credentials_one_that_a_client_sends_is_dropped(jwt, spelling, source):
    seen, _ = jwt.ask("GET / HTTP/1.1", f"{spelling}: eve", f"Connection: close, {spelling}", source=source)
    assert b"eve" not in seen.head
    assert verify(seen.get("X-Alcove-Jwt"), JWT_SECRET, "jwt")["sub"] == jwt.user == seen.get("X_App_User")


def test_credentials_a_handshake_carries_it_too(jwt):
    client, link = jwt.send("GET /ws HTTP/1.1", *HANDSHAKE, "X-Alcove-Jwt: eve")
    seen = link.read_head()
    assert verify(seen.get("X-Alcove-Jwt"), JWT_SECRET, "jwt")["sub"] == jwt.user
    link.send(SWITCH)
    assert client.read_head().status == 101


def test_credentials_an_app_without_a_secret_gets_none(wire):
    seen, _ = wire.ask()
    assert seen.get("X-Alcove-Jwt") is None
