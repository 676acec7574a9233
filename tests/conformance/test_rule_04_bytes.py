"""Rule 4: bytes that readers disagree about are refused (RFC 9112 2.2, 5.1, 5.2, 7.1.1)."""

import pytest

LINES = {
    "space_before_colon": "X-Odd : 1",
    "tab_before_colon": "X-Odd\t: 1",
    "folded": "X-Odd: 1\r\n 2",
    "folded_with_tab": "X-Odd: 1\r\n\t2",
    "folded_to_nothing": "X-Odd: 1\r\n ",
    "bare_lf": "X-Odd: 1\nX-Other: 2",
    "bare_lf_at_the_end": "X-Odd: 1\n",
    "bare_cr": "X-Odd: 1\rX-Other: 2",
    "cr_cr_lf": "X-Odd: 1\r",
    "nul": "X-Odd: 1\x002",
    "nul_in_name": "X-O\x00dd: 1",
    "vertical_tab": "X-Odd: 1\x0b2",
    "form_feed": "X-Odd: \x0c1",
    "backspace": "X-Odd: \x081",
    "delete": "X-Odd: 1\x7f",
    "escape": "X-Odd: \x1b[2J",
    "no_colon": "X-Odd",
    "no_name": ": 1",
    "space_in_name": "X Odd: 1",
    "brackets_in_name": "X[Odd]: 1",
    "eighth_bit_in_name": "X-\xd6dd: 1",
    "quotes_in_name": 'X"Odd": 1',
    "at_in_name": "X@Odd: 1",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_rule_04_a_malformed_field_is_refused(wire, line):
    answer = wire.refused(wire.raw("GET / HTTP/1.1", line))
    assert answer.status == 400 and wire.pod.untouched()


FIRST_LINES = {
    "two_spaces": "GET  / HTTP/1.1",
    "space_at_the_end": "GET / HTTP/1.1 ",
    "tab": "GET\t/ HTTP/1.1",
    "space_in_target": "GET /a b HTTP/1.1",
    "no_version": "GET /",
    "lower_case_version": "GET / http/1.1",
    "bare_cr": "GET / HTTP/1.1\rX: y",
    "nul_in_target": "GET /\x00 HTTP/1.1",
    "delete_in_target": "GET /\x7f HTTP/1.1",
    "control_in_method": "G\x01T / HTTP/1.1",
    "brackets_in_method": "GET() / HTTP/1.1",
    "no_method": " / HTTP/1.1",
    "fragment": "GET /a#b HTTP/1.1",
    "bare_lf": "GET / HTTP/1.1\nX: y",
    "folded": "GET /\r\n HTTP/1.1",
}


@pytest.mark.parametrize("line", FIRST_LINES.values(), ids=FIRST_LINES)
def test_rule_04_a_malformed_request_line_is_refused(wire, line):
    answer = wire.refused(wire.raw(line))
    assert answer.status in (400, 505) and wire.pod.untouched()


@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/9.9"])
def test_rule_04_another_version_is_a_505(wire, version):
    assert wire.refused(wire.raw(f"GET / {version}")).status == 505 and wire.pod.untouched()


def test_rule_04_a_head_without_cr_is_refused_at_once(wire):
    assert wire.refused(wire.raw("GET / HTTP/1.1").replace(b"\r\n", b"\n")).status == 400


FINE = {
    "eighth_bit_in_value": ("X-Odd: \xe4\xf6\xfc", "\xe4\xf6\xfc"),
    "tab_in_value": ("X-Odd: 1\t2", "1\t2"),
    "spaces_around": ("X-Odd: \t 1 2 \t", "1 2"),
    "no_space": ("X-Odd:1", "1"),
    "empty": ("X-Odd:", ""),
    "all_token_characters": ("!#$%&'*+-.^`|~09azAZ: 1", None),
}


@pytest.mark.parametrize("line, value", FINE.values(), ids=FINE)
def test_rule_04_what_is_odd_but_clear_goes_on(wire, line, value):
    seen, answer = wire.ask("GET / HTTP/1.1", line)
    assert answer.status == 200 and (value is None or seen.get("X-Odd") == value)


def test_rule_04_an_empty_line_before_a_request_is_skipped(wire):
    client = wire.dial()
    client.send(b"\r\n\r\n" + wire.raw("GET /1 HTTP/1.1"))
    link = wire.pod.accept()
    assert link.read_request().target == "/1"
    link.answer()
    assert client.read_response().status == 200


CHUNKS = {
    "not_hexadecimal": b"g\r\n",
    "empty_size": b"\r\n",
    "sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "space_before": b" 5\r\nhello\r\n0\r\n\r\n",
    "space_after": b"5 \r\nhello\r\n0\r\n\r\n",
    "tab_after": b"5\t\r\nhello\r\n0\r\n\r\n",
    "bare_lf": b"5\nhello\n0\n\n",
    "bare_lf_after_size": b"5\nhello\r\n0\r\n\r\n",
    "bare_lf_after_data": b"5\r\nhello\n0\r\n\r\n",
    "bare_cr_after_size": b"5\rhello\r\n0\r\n\r\n",
    "no_end_of_data": b"5\r\nhello0\r\n\r\n",
    "more_data_than_said": b"5\r\nhello!\r\n0\r\n\r\n",
    "less_data_than_said": b"6\r\nhello\r\n0\r\n\r\n",
    "past_64_bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "all_64_bits": b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "endless_zeros": b"0" * 5000,
    "endless_extension": b"5;" + b"x" * 5000,
    "lf_in_extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "cr_in_extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "nul_in_extension": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "underscore_in_size": b"1_0\r\nhello\r\n0\r\n\r\n",
    "comma": b"5,\r\nhello\r\n0\r\n\r\n",
    "trailer_without_colon": b"0\r\nnonsense\r\n\r\n",
    "trailer_folded": b"0\r\nX: 1\r\n 2\r\n\r\n",
    "trailer_with_space_before_colon": b"0\r\nX : 1\r\n\r\n",
    "trailer_with_bare_lf": b"0\r\nX: 1\n\r\n",
    "trailer_with_nul": b"0\r\nX: \0\r\n\r\n",
    "endless_trailers": b"0\r\n" + b"X: 1\r\n" * 3000,
}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_rule_04_a_malformed_chunk_that_comes_with_the_head_never_reaches_the_pod(wire, body):
    """Kestrel CVE-2025-55315 among them."""
    answer = wire.refused(wire.raw("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=body))
    assert answer.status == 400 and wire.pod.untouched()


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_rule_04_a_malformed_chunk_that_comes_later_ends_the_pods_request_too(wire, body):
    client, link = wire.send("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
    assert link.read_head().framing == "chunked" and link.read_exactly(8) == b"3\r\nabc\r\n"
    client.send(body)
    answer = client.read_response()
    assert answer.status == 400 and answer.by_alcove and client.closed_by_peer()
    # Whatever of it was clear may have gone on, but never as a whole message.
    assert not (b"\r\n" + link.drain(10)).endswith(b"\r\n0\r\n\r\n")
    assert link.closed()


def test_rule_04_extensions_are_taken_up_to_a_bound(wire):
    seen, answer = wire.ask("POST / HTTP/1.1", "Transfer-Encoding: chunked",
                            body=b"5;" + b"x" * 500 + b"\r\nhello\r\n0\r\n\r\n")
    assert seen.body == b"hello" and answer.status == 200


ANSWERS = {
    "space_before_colon": b"HTTP/1.1 200 OK\r\nX-Odd : 1\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX-Odd: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "bare_lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare_cr": b"HTTP/1.1 200 OK\r\nX-Odd: 1\rX: 2\r\nContent-Length: 0\r\n\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nX-Odd: \0\r\nContent-Length: 0\r\n\r\n",
    "no_colon": b"HTTP/1.1 200 OK\r\nX-Odd\r\nContent-Length: 0\r\n\r\n",
    "no_http": b"hello, I am no web server\r\n\r\n",
    "bad_status": b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
    "status_of_four_digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status_0": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "status_600": b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "version_2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "endless_head": b"HTTP/1.1 200 OK\r\nX-Odd: " + b"x" * 100_000,
    "bad_chunk_at_once": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


@pytest.mark.parametrize("raw", ANSWERS.values(), ids=ANSWERS)
def test_rule_04_a_malformed_answer_is_a_502(wire, raw):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    try:
        link.send(raw)
    except OSError:
        pass  # it had heard enough
    answer = client.read_response()
    assert answer.status == 502 and answer.by_alcove and answer.json()["code"] == "PR" and link.closed()


def test_rule_04_a_malformed_chunk_in_an_answer_ends_it_visibly(wire):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    assert client.read_until(b"hello\r\n")
    link.send(b"5 \r\nworld\r\n0\r\n\r\n")
    assert b"0\r\n\r\n" not in client.read_to_end() and link.closed()
