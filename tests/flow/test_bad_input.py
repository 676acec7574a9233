"""What a client can get wrong, by accident or on purpose: a clear answer, and the gateway lives."""

import random

import pytest

from support.alcove import Alcove
from support.http1 import Broken

pytestmark = pytest.mark.threads


def raw(run, data: bytes, method: str = "GET"):
    """The answer to these bytes, and whether the connection was closed after it."""
    with run.connect() as connection:
        connection.send(data)
        response = connection.read_response(method)
        closed = response.header("Connection") == "close"
        if closed:
            assert connection.closed_by_peer(15)
        return response, closed


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One process for all of them: after each it must still serve. Checked at the end as the others are."""
    run = Alcove(tmp_path_factory.mktemp("bad"), arguments=()).start()
    assert run.get("ada").status == 200
    yield run
    run.check_end()


@pytest.fixture
def run(shared):
    yield shared
    fact = shared.get("ada").json()
    assert (fact["session"], fact["generation"]) == ("test/ada", 1)


def test_an_unknown_host_is_a_404_that_says_what_is_known(run):
    for host in ("nothing.localhost", "example.com", "127.0.0.1", "[::1]:8080", "test.localhost.evil.com",
                 "nobody--nowhere.localhost"):
        answer, _ = raw(run, f"GET / HTTP/1.1\r\nHost: {host}\r\nX-User-ID: ada\r\n\r\n".encode())
        assert answer.status == 404 and answer.by_alcove, (host, answer.head)
        assert answer.json()["code"] in ("CH", "CL")


def test_nobody_is_a_401_for_programs_and_the_sign_in_page_for_browsers(run):
    answer, _ = raw(run, b"GET /deep?x=1 HTTP/1.1\r\nHost: test.localhost\r\n\r\n")
    assert answer.status == 401 and answer.by_alcove
    answer, _ = raw(run, b"GET /deep?x=1 HTTP/1.1\r\nHost: test.localhost\r\nAccept: text/html\r\n\r\n")
    assert answer.status == 303 and answer.header("Location").startswith("/.alcove/sign-in?to=%2Fdeep")


@pytest.mark.parametrize("name, size", [("X-Large", 40_000), ("Cookie", 40_000)])
def test_an_oversized_head_is_a_431_that_names_the_field(run, name, size):
    answer, closed = raw(run, f"GET / HTTP/1.1\r\nHost: test.localhost\r\n{name}: {'x' * size}\r\n\r\n".encode())
    assert answer.status == 431 and closed and answer.by_alcove
    assert name.lower() in answer.text.lower()


def test_too_many_fields_are_a_431(run):
    fields = "".join(f"X-{i}: {i}\r\n" for i in range(200))
    answer, closed = raw(run, f"GET / HTTP/1.1\r\nHost: test.localhost\r\n{fields}\r\n".encode())
    assert answer.status == 431 and closed


def test_a_target_that_is_too_long_is_a_414(run):
    answer, closed = raw(run, f"GET /{'x' * 40_000} HTTP/1.1\r\nHost: test.localhost\r\n\r\n".encode())
    assert answer.status == 414 and closed


def test_a_cookie_of_twenty_kilobytes_is_fine(run):
    cookie = "a=" + "x" * 20_000
    answer, _ = raw(run, f"GET / HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: ada\r\nCookie: {cookie}\r\n\r\n".encode())
    assert answer.status == 200
    assert ["Cookie", cookie] in answer.json()["headers"]


HEAD = b"Host: test.localhost\r\nX-User-ID: ada\r\n"


@pytest.mark.parametrize("data", [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: test.localhost\r\nHost: other.localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: test.localhost:99999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: te st.localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HEAD + b"Bad Field: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HEAD + b"Spaced : x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HEAD + b"Folded: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HEAD + b"Nul: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HEAD + b"Cr: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\n" + HEAD.replace(b"\r\n", b"\n") + b"\n",
    b"GET  / HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /a b HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"G\x01T / HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: +5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
    b"POST / HTTP/1.0\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n",
], ids=["nonsense", "no_host", "two_hosts", "bad_port", "space_in_host", "space_in_name", "space_before_colon",
        "folding", "nul", "bare_cr", "bare_lf", "two_spaces", "space_in_target", "control_in_method", "both_framings",
        "two_lengths", "plus_length", "negative_length", "huge_length", "chunked_in_http10", "tls_hello"])
def test_a_malformed_request_is_a_400_and_the_connection_is_closed(run, data):
    answer, closed = raw(run, data)
    assert answer.status == 400 and closed and answer.by_alcove, answer.head


@pytest.mark.parametrize("data, status", [
    (b"CONNECT test.localhost:443 HTTP/1.1\r\n" + HEAD + b"\r\n", 405),
    (b"GET / HTTP/2.0\r\n" + HEAD + b"\r\n", 505),
    (b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
], ids=["connect", "http2", "gzip_coding"])
def test_what_is_not_done_here_says_so(run, data, status):
    answer, closed = raw(run, data)
    assert answer.status == status and closed and answer.by_alcove, answer.head


@pytest.mark.parametrize("body", [b"zz\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n",
                                  b"-5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", b"5;" + b"x" * 70_000 + b"\r\n"],
                         ids=["not_hex", "bare_lf", "wrong_end", "sign", "overflow", "endless_extension"])
def test_a_malformed_chunk_never_reaches_the_pod_as_a_whole_body(run, body):
    before = run.get("ada").json()["requests"]
    with run.connect() as connection:
        connection.send(b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        try:
            assert connection.read_response("POST").status == 400
        except Broken:
            pass
        assert connection.closed_by_peer(15)
    assert run.get("ada").json()["requests"] == before + 1


NAMES = {
    "slash": "a/b", "dots": "..", "dot_slash": "../../etc/passwd", "upper": "ADA", "spaces": "ada lovelace",
    "percent": "a%2fb", "unicode": "ада", "emoji": "👩‍💻", "combining": "e\u0301", "composed": "\u00e9", "long_ok": "x" * 250,
    "dashes": "a--b", "edge_dash": "-a-", "quote": "a'b\"c", "glob": "a*", "redis": "{a}:b", "at": "ada@example.com",
    "brace": "{dir}", "tag": "<script>alert(1)</script>", "dollar": "$(reboot)", "backslash": "a\\b",
}


def test_odd_user_names_get_sessions_of_their_own_without_collision(run):
    seen = {}
    for name, user in NAMES.items():
        data = b"GET / HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: " + user.encode() + b"\r\n\r\n"
        answer, _ = raw(run, data)
        assert answer.status == 200, (name, answer.head, answer.body)
        fact = answer.json()
        assert fact["session"] not in seen, (name, seen.get(fact["session"]))
        seen[fact["session"]] = name
        scope, _, label = fact["session"].partition("/")
        assert scope == "test" and label.replace("-", "a").isalnum() and label == label.lower() and len(label) <= 63
        assert fact["requests"] == 1, "nobody else's pod"
        assert fact["directory"].startswith(str(run.state.resolve())) and ".." not in fact["directory"]
    assert len(run.pods()) >= len(NAMES)


@pytest.mark.parametrize("user", [b"x" * 10_000, b"x" * 257, b"\xff\xfe", b"a\x7fb", b"a\x01b", b"\xc0\xaf", b"\xed\xa0\x80"],
                         ids=["10_kB", "one_too_long", "not_utf8", "delete", "control", "overlong", "surrogate"])
def test_names_that_cannot_be_names_are_a_400(run, user):
    answer, _ = raw(run, b"GET / HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: " + user + b"\r\n\r\n")
    assert answer.status == 400 and answer.by_alcove, answer.head


def test_a_nul_in_a_name_is_a_malformed_head(run):
    answer, closed = raw(run, b"GET / HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: a\0b\r\n\r\n")
    assert answer.status == 400 and closed


@pytest.mark.parametrize("user", ["", "x" * 10_000, "a%00b", "%ff%fe", "a%0d%0aSet-Cookie:%20x=1", "%c3%28"])
def test_the_sign_in_form_refuses_what_cannot_be_a_name(run, user):
    with run.connect() as connection:
        answer = connection.request("POST", "/.alcove/sign-in", "test.localhost",
                                    [("Content-Type", "application/x-www-form-urlencoded")], f"user={user}&to=/".encode())
        assert answer.status == 400 and answer.by_alcove and answer.header("Set-Cookie") is None, answer.head


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/%0d%0aX: y", "javascript:alert(1)"])
def test_sign_in_goes_only_to_a_place_of_this_host(run, to):
    with run.connect() as connection:
        answer = connection.request("POST", "/.alcove/sign-in", "test.localhost",
                                    [("Content-Type", "application/x-www-form-urlencoded")], f"user=ada&to={to}".encode())
        assert answer.status == 303 and answer.header("Location") == "/", answer.head


def test_a_trusted_header_twice_is_nobody_we_know(run):
    answer, _ = raw(run, b"GET / HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: ada\r\nX-User-ID: grace\r\n\r\n")
    assert answer.status in (400, 401), answer.head


def test_a_made_up_cookie_is_nobody(run):
    for cookie in ("alcove_dev=ada", "alcove_dev=v1.YWRh.9999999999.AAAA", "alcove_dev=", "alcove_dev=" + "x" * 5000):
        answer, _ = raw(run, f"GET / HTTP/1.1\r\nHost: test.localhost\r\nCookie: {cookie}\r\n\r\n".encode())
        assert answer.status == 401, (cookie[:40], answer.head)


def test_what_a_client_says_about_itself_never_reaches_the_pod_as_alcoves_word(run):
    answer, _ = raw(run, b"GET / HTTP/1.1\r\n" + HEAD + b"X-Alcove-User: root\r\nX_Alcove_User: root\r\nx-alcove-user: root\r\n"
                    b"X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n")
    headers = answer.json()["headers"]
    assert [v for n, v in headers if n.lower().replace("_", "-") == "x-alcove-user"] == ["ada"]
    assert not any("6.6.6.6" in v for _, v in headers)
    assert [v for n, v in headers if n.lower() == "x-forwarded-proto"] == ["http"]
    assert not [v for n, v in headers if n.lower() == "x-user-id"]


def test_half_a_head_is_given_up_in_time(make):
    run = make(timeouts={"head": "500ms", "drain": "5s"})
    with run.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: test")
        answer = connection.read_response()
        assert answer.status == 408 and connection.closed_by_peer(15)


def test_a_connection_that_says_nothing_is_closed_in_time(make):
    run = make(timeouts={"client_idle": "500ms", "drain": "5s"})
    with run.connect() as connection:
        assert connection.closed_by_peer(15)


def test_random_bytes_never_take_it_down(run):
    chance = random.Random(20260101)
    words = [b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"Host: test.localhost", b"\r\n\r\n", b"\0", b"\xff", b"Content-Length: 9",
             b"Transfer-Encoding: chunked", b": ", b"5\r\nhello\r\n", b"0\r\n\r\n", b"Connection: close", b"\n", b"\t",
             b"X-User-ID: ada", b"Upgrade: websocket", b"Expect: 100-continue", b"Connection: upgrade, host"]
    for _ in range(300):
        with run.connect() as connection:
            connection.send(b"".join(chance.choice(words) for _ in range(chance.randrange(1, 40))))
            connection.socket.shutdown(1)
            try:
                connection.read_to_end(70)
            except Broken:
                pass
