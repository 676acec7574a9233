"""Rule 2: one framing or none, and always framed anew (RFC 9112 6.1, 6.3)."""

import pytest

REFUSED = {
    "both": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "both_the_other_way": ["Transfer-Encoding: chunked", "Content-Length: 5"],
    "both_with_no_length": ["Content-Length: 0", "Transfer-Encoding: chunked"],
    "two_lengths": ["Content-Length: 5", "Content-Length: 6"],
    "the_same_length_twice": ["Content-Length: 5", "Content-Length: 5"],
    "a_list_of_lengths": ["Content-Length: 5, 5"],
    "plus": ["Content-Length: +5"],
    "minus": ["Content-Length: -5"],
    "hexadecimal": ["Content-Length: 0x5"],
    "decimal_point": ["Content-Length: 5.0"],
    "exponent": ["Content-Length: 5e0"],
    "space_inside": ["Content-Length: 5 5"],
    "empty": ["Content-Length:"],
    "word": ["Content-Length: five"],
    "past_64_bits": ["Content-Length: 18446744073709551621"],
    "endless_digits": ["Content-Length: " + "9" * 300],
    "quotes": ['Content-Length: "5"'],
    "identity": ["Transfer-Encoding: identity"],
    "gzip": ["Transfer-Encoding: gzip"],
    "chunked_not_last": ["Transfer-Encoding: chunked, gzip"],
    "unknown": ["Transfer-Encoding: x"],
    "xchunked": ["Transfer-Encoding: xchunked"],
    "parameter": ["Transfer-Encoding: chunked;q=1"],
    "no_coding": ["Transfer-Encoding:"],
    "quoted": ['Transfer-Encoding: "chunked"'],
    "twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "hidden_behind_another": ["Transfer-Encoding: identity", "Transfer-Encoding: chunked"],
}


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
def test_rule_02_what_could_be_framed_in_two_ways_is_refused(wire, fields):
    wire.ready()
    assert wire.refused(wire.raw("POST / HTTP/1.1", *fields, body=b"5\r\nhello\r\n0\r\n\r\n")).status == 400
    assert wire.pod.untouched()


def test_rule_02_a_coding_in_http_10_is_refused(wire):
    answer = wire.refused(wire.raw("POST / HTTP/1.0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"))
    assert answer.status == 400 and wire.pod.untouched()


@pytest.mark.parametrize("coding", ["gzip, chunked", "chunked, chunked", "chunked,"])
def test_rule_02_a_coding_that_is_not_done_here_is_501(wire, coding):
    answer = wire.refused(wire.raw("POST / HTTP/1.1", f"Transfer-Encoding: {coding}", body=b"0\r\n\r\n"))
    assert answer.status == 501 and wire.pod.untouched()


ANEW = {
    "length": ("Content-Length: 5", b"hello", b"Content-Length: 5\r\n\r\nhello"),
    "leading_zeros": ("Content-Length: 0005", b"hello", b"Content-Length: 5\r\n\r\nhello"),
    "spaces": ("Content-Length: \t 5 \t ", b"hello", b"Content-Length: 5\r\n\r\nhello"),
    "name_in_any_case": ("cOnTeNt-lEnGtH: 5", b"hello", b"Content-Length: 5\r\n\r\nhello"),
    "no_length": ("Content-Length: 0", b"", b"Content-Length: 0\r\n\r\n"),
    "chunked": ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n",
                b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "coding_in_any_case": ("TRANSFER-ENCODING: ChUnKeD", b"5\r\nhello\r\n0\r\n\r\n",
                           b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "sizes_with_zeros": ("Transfer-Encoding: chunked", b"0005\r\nhello\r\n000\r\n\r\n",
                         b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "extensions": ("Transfer-Encoding: chunked", b'5;a="b;c";d\r\nhello\r\n0;e\r\n\r\n',
                   b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "sizes_in_any_case": ("Transfer-Encoding: chunked", b"A\r\n0123456789\r\n0\r\n\r\n",
                          b"Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"),
    "no_chunks": ("Transfer-Encoding: chunked", b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("field, body, wanted", ANEW.values(), ids=ANEW)
def test_rule_02_a_request_is_framed_anew(wire, field, body, wanted):
    client, link = wire.send("POST / HTTP/1.1", field, body=body)
    link.read_request()
    assert link.received.endswith(wanted), link.received
    link.answer()
    assert client.read_response().status == 200


def test_rule_02_a_request_without_a_body_has_no_framing(wire):
    seen, _ = wire.ask("POST / HTTP/1.1")
    assert seen.framing == "none"


ANSWERS_REFUSED = {
    "both": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "two_lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the_same_length_twice": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a_list_of_lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    "minus": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
    "empty_length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
    "gzip_chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello",
    "chunked_in_http_10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("raw", ANSWERS_REFUSED.values(), ids=ANSWERS_REFUSED)
def test_rule_02_an_answer_that_could_be_framed_in_two_ways_is_a_502(wire, raw):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(raw)
    answer = client.read_response()
    assert answer.status == 502 and answer.by_alcove and answer.json()["code"] == "PR" and link.closed()


ANSWERS_ANEW = {
    "length": (b"Content-Length: 005\r\n\r\nhello", "length"),
    "chunked": (b"Transfer-Encoding: Chunked\r\n\r\n0005;x=y\r\nhello\r\n0\r\n\r\n", "chunked"),
    "until_close": (b"Connection: close\r\n\r\nhello", "chunked"),
}


@pytest.mark.parametrize("raw, framing", ANSWERS_ANEW.values(), ids=ANSWERS_ANEW)
def test_rule_02_an_answer_is_framed_anew(wire, raw, framing):
    client, link = wire.send("GET / HTTP/1.1")
    link.read_request()
    link.send(b"HTTP/1.1 200 OK\r\n" + raw)
    if framing == "chunked":
        link.end_writing()
    answer = client.read_response()
    assert answer.body == b"hello" and answer.header("Connection") is None
    assert answer.header("Transfer-Encoding") == ("chunked" if framing == "chunked" else None)
    assert answer.header("Content-Length") == ("5" if framing == "length" else None)


def test_rule_02_an_answer_that_is_cut_off_is_not_passed_off_as_whole(wire):
    for raw in (b"Content-Length: 100\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
        client, link = wire.send("GET / HTTP/1.1")
        link.read_request()
        link.send(b"HTTP/1.1 200 OK\r\n" + raw)
        assert client.read_head().status == 200
        link.close()
        rest = client.read_to_end()
        assert b"hello" in rest and not rest.endswith(b"0\r\n\r\n")
