"""Smuggling: requests that two readers have understood differently are refused, or forwarded with one meaning. They are
those of the published attacks on proxies. A strict second parser (support/strict_http.py) reads what the pod gets.

Around each: the same user has a pooled connection to the pod before it, and uses it again after it; a second user's
request follows on the same gateway. What the pod has got in the end must be exactly what is expected, request by request.
"""

from __future__ import annotations

import dataclasses

import pytest

from support import http1
from support.raw_pod import StrictPod
from support.wire import Wire, run_gateway
from support.ws import HANDSHAKE

# What an attacker wants a pod (or a second user) to get. Nobody is signed in: as a request of its own it is a 401.
S = b"GET /smuggled HTTP/1.1\r\nHost: test.localhost\r\nX-Smuggled: yes\r\n\r\n"


@dataclasses.dataclass
class Refused:
    status: int | tuple = 400
    cut: bool = False  # the pod may have seen the beginning, and that it breaks off


@dataclasses.dataclass
class Forwarded:
    """(method, target, body) of each request that the pod must get; the statuses of all answers, in order."""
    requests: list
    statuses: list
    host: str = "test.localhost"


def once(body: bytes = b"", method: str = "POST", then: int | None = None, **keys) -> Forwarded:
    return Forwarded([(method, "/a", body)], [200] if then is None else [200, then], **keys)


def post(*lines: bytes, body: bytes = b"", line: bytes = b"POST /a HTTP/1.1") -> bytes:
    """@HEAD@ becomes Host and user."""
    return line + b"\r\n@HEAD@" + b"".join(x + b"\r\n" for x in lines) + b"\r\n" + body


def chunks(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)


def cl(data: bytes) -> bytes:
    return b"Content-Length: %d" % len(data)


HALF = b"0\r\n\r\n" + S  # empty when chunked, longer by its length
TE = b"Transfer-Encoding: chunked"

# Content-Length and Transfer-Encoding together, one of them in disguise.
BOTH = {
    "cl_te": (post(cl(HALF), TE, body=HALF), Refused()),
    "te_cl": (post(TE, b"Content-Length: 4", body=chunks(S)), Refused()),
    "cl_te_short": (post(b"Content-Length: 6", TE, body=b"0\r\n\r\nG"), Refused()),
    "cl_zero_te": (post(b"Content-Length: 0", TE, body=chunks(S)), Refused()),
    "te_tab": (post(cl(HALF), b"Transfer-Encoding:\tchunked", body=HALF), Refused()),
    "te_no_space": (post(cl(HALF), b"Transfer-Encoding:chunked", body=HALF), Refused()),
    "te_any_case": (post(cl(HALF), b"tRANSFER-eNCODING: cHUNKED", body=HALF), Refused()),
    "te_space_before_colon": (post(cl(HALF), b"Transfer-Encoding : chunked", body=HALF), Refused()),
    "te_tab_before_colon": (post(cl(HALF), b"Transfer-Encoding\t: chunked", body=HALF), Refused()),
    "te_leading_space": (post(cl(HALF), b" Transfer-Encoding: chunked", body=HALF), Refused()),
    "te_folded": (post(cl(HALF), b"Transfer-Encoding:\r\n chunked", body=HALF), Refused()),
    "te_folded_behind": (post(cl(HALF), b"X: y\r\n\tTransfer-Encoding: chunked", body=HALF), Refused()),
    "te_behind_bare_lf": (post(cl(HALF), b"X: y\nTransfer-Encoding: chunked", body=HALF), Refused()),
    "te_behind_bare_cr": (post(cl(HALF), b"X: y\rTransfer-Encoding: chunked", body=HALF), Refused()),
    "te_before_bare_lf": (post(cl(HALF), b"Transfer-Encoding: chunked\nX: y", body=HALF), Refused()),
    "te_vertical_tab": (post(cl(HALF), b"Transfer-Encoding: \x0bchunked", body=HALF), Refused()),
    "te_form_feed": (post(cl(HALF), b"Transfer-Encoding: chunked\x0c", body=HALF), Refused()),
    "te_nul": (post(cl(HALF), b"Transfer-Encoding: chunked\x00", body=HALF), Refused()),
    "te_nul_in_name": (post(cl(HALF), b"Transfer-Encoding\x00: chunked", body=HALF), Refused()),
    "te_no_break_space": (post(cl(HALF), b"Transfer-Encoding: \xa0chunked", body=HALF), Refused()),
    "te_soft_hyphen_in_name": (post(cl(HALF), b"Transfer\xadEncoding: chunked", body=HALF), Refused()),
    "te_quoted": (post(cl(HALF), b'Transfer-Encoding: "chunked"', body=HALF), Refused()),
    "te_single_quoted": (post(cl(HALF), b"Transfer-Encoding: 'chunked'", body=HALF), Refused()),
    "te_parameter": (post(cl(HALF), b"Transfer-Encoding: chunked;a=b", body=HALF), Refused()),
    "te_xchunked": (post(cl(HALF), b"Transfer-Encoding: xchunked", body=HALF), Refused()),
    "te_cow": (post(cl(HALF), TE, b"Transfer-Encoding: cow", body=HALF), Refused()),
    "te_identity_chunked": (post(cl(HALF), b"Transfer-Encoding: identity, chunked", body=HALF), Refused()),
    "te_chunked_identity": (post(cl(HALF), b"Transfer-Encoding: chunked, identity", body=HALF), Refused()),
    "te_named_by_connection": (post(b"Connection: Transfer-Encoding", cl(HALF), TE, body=HALF), Refused()),
    "cl_named_by_connection": (post(b"Connection: Content-Length", cl(HALF), TE, body=HALF), Refused()),
    "te_in_http_10": (post(cl(HALF), TE, body=HALF, line=b"POST /a HTTP/1.0"), Refused()),
    # These are no Transfer-Encoding for anybody who reads names as they are: the length alone counts.
    "te_with_underscore": (post(cl(HALF), b"Transfer_Encoding: chunked", body=HALF), once(HALF)),
    "te_with_x": (post(cl(HALF), b"X-Transfer-Encoding: chunked", body=HALF), once(HALF)),
    "te_misspelt": (post(cl(HALF), b"Transfer-Encodin: chunked", body=HALF), once(HALF)),
    "content_encoding": (post(cl(HALF), b"Content-Encoding: chunked", body=HALF), once(HALF)),
    "te_field": (post(cl(HALF), b"TE: chunked", body=HALF), once(HALF)),
}

CODINGS = {
    "two_codings": (post(TE, b"Transfer-Encoding: identity", body=HALF), Refused()),
    "identity_first": (post(b"Transfer-Encoding: identity", TE, body=HALF), Refused()),
    "chunked_twice": (post(TE, TE, body=HALF), Refused()),
    "chunked_chunked": (post(b"Transfer-Encoding: chunked, chunked", body=HALF), Refused(501)),
    "empty_last": (post(b"Transfer-Encoding: chunked,", body=HALF), Refused(501)),
    "empty_first": (post(b"Transfer-Encoding: ,chunked", body=HALF), Refused(501)),
    "gzip_chunked": (post(b"Transfer-Encoding: gzip, chunked", body=HALF), Refused(501)),
    "chunked_gzip": (post(b"Transfer-Encoding: chunked, gzip", body=HALF), Refused()),
    "chunked_space_gzip": (post(b"Transfer-Encoding: chunked gzip", body=HALF), Refused()),
    "identity": (post(b"Transfer-Encoding: identity", body=S), Refused()),
    "nothing": (post(b"Transfer-Encoding:", body=S), Refused()),
    "tabs_around": (post(b"Transfer-Encoding: \t chunked \t ", body=chunks(S)), once(S)),
    "http_10": (post(TE, body=chunks(S), line=b"POST /a HTTP/1.0"), Refused()),
}

LENGTHS = {
    "two": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello" + S), Refused()),
    "two_in_other_case": (post(b"content-length: 0", b"CONTENT-LENGTH: 5", body=b"hello" + S), Refused()),
    "the_same_twice": (post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), Refused()),
    "list_of_the_same": (post(b"Content-Length: 5, 5", body=b"hello"), Refused()),
    "list": (post(b"Content-Length: 5,6", body=b"hello!"), Refused()),
    "plus": (post(b"Content-Length: +5", body=b"hello" + S), Refused()),
    "minus": (post(b"Content-Length: -5", body=b"hello" + S), Refused()),
    "minus_zero": (post(b"Content-Length: -0", body=S), Refused()),
    "hexadecimal": (post(b"Content-Length: 0x5", body=b"hello" + S), Refused()),
    "hexadecimal_digits": (post(b"Content-Length: 1f", body=b"hello" + S), Refused()),
    "octal_prefix": (post(b"Content-Length: 0o5", body=b"hello" + S), Refused()),
    "space_inside": (post(b"Content-Length: 5 0", body=b"hello" + S), Refused()),
    "vertical_tab": (post(b"Content-Length: \x0b5", body=b"hello" + S), Refused()),
    "nul": (post(b"Content-Length: 5\x00", body=b"hello" + S), Refused()),
    "semicolon": (post(b"Content-Length: 5;", body=b"hello" + S), Refused()),
    "point": (post(b"Content-Length: 5.0", body=b"hello" + S), Refused()),
    "exponent": (post(b"Content-Length: 5e0", body=b"hello" + S), Refused()),
    "underscore_inside": (post(b"Content-Length: 1_0", body=b"hello" + S), Refused()),
    "wide_digits": (post("Content-Length: \uff15".encode(), body=b"hello" + S), Refused()),
    "empty": (post(b"Content-Length:", body=S), Refused()),
    "past_64_bits": (post(b"Content-Length: 18446744073709551621", body=b"hello" + S), Refused()),
    "all_64_bits": (post(b"Content-Length: 18446744073709551615", body=b"hello" + S), Refused()),
    "past_63_bits": (post(b"Content-Length: 9223372036854775808", body=b"hello" + S), Refused()),
    "folded": (post(b"Content-Length:\r\n 5", body=b"hello" + S), Refused()),
    "space_before_colon": (post(b"Content-Length : 5", body=b"hello" + S), Refused()),
    "leading_space": (post(b" Content-Length: 5", body=b"hello" + S), Refused()),
    "behind_bare_lf": (post(b"X: y\nContent-Length: 5", body=b"hello" + S), Refused()),
    "behind_bare_cr": (post(b"X: y\rContent-Length: 5", body=b"hello" + S), Refused()),
    "leading_zeros": (post(b"Content-Length: 0000000000000000000005", body=b"hello" + S), once(b"hello", then=401)),
    "alias": (post(b"Content_Length: 500", b"Content-Length: 5", body=b"hello" + S), once(b"hello", then=401)),
    "alias_alone": (post(b"Content_Length: 500", body=S), once(then=401)),
    "none": (post(body=S), once(then=401)),
    "zero": (post(b"Content-Length: 0", body=S), once(then=401)),
    "shorter_than_the_body": (post(b"Content-Length: 5", body=b"hello" + S), once(b"hello", then=401)),
    "exactly_the_smuggled": (post(cl(S), body=S), once(S)),
    "in_get": (post(cl(S), body=S, line=b"GET /a HTTP/1.1"), once(S, "GET")),
    "in_delete": (post(cl(S), body=S, line=b"DELETE /a HTTP/1.1"), once(S, "DELETE")),
    "in_http_10": (post(cl(S), b"Connection: keep-alive", body=S + S, line=b"POST /a HTTP/1.0"), once(S, then=401)),
    "multipart_instead": (
        post(b"Content-Type: multipart/byteranges; boundary=x", body=b"--x\r\n\r\n" + S),
        once(then=400)),
}


def chunked(body: bytes, expected, line: bytes = b"POST /a HTTP/1.1"):
    return post(TE, body=body, line=line), expected


BAD = Refused(cut=True)
CHUNKS = {
    "overflow_64": chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "overflow_32": chunked(b"100000005\r\nhello\r\n0\r\n\r\n" + S, Refused((400, 408), cut=True)),
    "all_ones": chunked(b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "prefix": chunked(b"0x5\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "plus": chunked(b"+5\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "minus": chunked(b"-5\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "minus_zero": chunked(b"-0\r\n\r\n" + S, BAD),
    "space_before": chunked(b" 5\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "space_after": chunked(b"5 \r\nhello\r\n0\r\n\r\n" + S, BAD),
    "tab_before_extension": chunked(b"5\t;a\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "underscore": chunked(b"0_5\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "empty_size": chunked(b"\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "only_an_extension": chunked(b";a\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "quoted_size": chunked(b'"5"\r\nhello\r\n0\r\n\r\n' + S, BAD),
    "bare_lf_after_size": chunked(b"5\nhello\r\n0\r\n\r\n" + S, BAD),
    "bare_cr_after_size": chunked(b"5\rhello\r\n0\r\n\r\n" + S, BAD),
    "bare_lf_after_data": chunked(b"5\r\nhello\n0\r\n\r\n" + S, BAD),
    "bare_lf_at_the_end": chunked(b"5\r\nhello\r\n0\n\n" + S, BAD),
    "cr_lf_lf_at_the_end": chunked(b"5\r\nhello\r\n0\r\n\n" + S, BAD),
    "nothing_after_data": chunked(b"5\r\nhello0\r\n\r\n" + S, BAD),
    "two_bytes_after_data": chunked(b"5\r\nhelloXX0\r\n\r\n" + S, BAD),
    "too_much_data": chunked(b"5\r\nhello world\r\n0\r\n\r\n" + S, BAD),
    "lf_in_extension": chunked(b"5;\nxx\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "lf_in_extension_kestrel": chunked(b"2;\nxx\r\n4c\r\n0\r\n\r\n" + S, BAD),
    "cr_in_extension": chunked(b"5;\rxx\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "cr_in_last_extension": chunked(b"5\r\nhello\r\n0;\rx\r\n\r\n" + S, BAD),
    "nul_in_extension": chunked(b"5;a=\0\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "quoted_lf_in_extension": chunked(b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n' + S, BAD),
    "endless_extension": chunked(b"5;" + b"a" * 10_000 + b"\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "endless_zeros": chunked(b"0" * 10_000 + b"5\r\nhello\r\n0\r\n\r\n" + S, BAD),
    "trailer_without_colon": chunked(b"5\r\nhello\r\n0\r\nX\r\n\r\n" + S, BAD),
    "trailer_folded": chunked(b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n" + S, BAD),
    "trailer_bare_lf": chunked(b"5\r\nhello\r\n0\r\nX: y\n\r\n" + S, BAD),
    "trailer_bare_cr": chunked(b"5\r\nhello\r\n0\r\nX: y\rZ: z\r\n\r\n" + S, BAD),
    "trailer_is_a_request": chunked(b"5\r\nhello\r\n0\r\n" + S, BAD),
    "extension": chunked(b"5;a=b;c\r\nhello\r\n0;d\r\n\r\n" + S, once(b"hello", then=401)),
    "zeros": chunked(b"0005\r\nhello\r\n0000\r\n\r\n" + S, once(b"hello", then=401)),
    "trailer_length": chunked(b"5\r\nhello\r\n0\r\nContent-Length: 500\r\n\r\n" + S, once(b"hello", then=401)),
    "trailer_coding": chunked(b"5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\nHost: evil\r\n\r\n" + S,
                              once(b"hello", then=401)),
    "in_get": chunked(chunks(S), once(S, "GET"), b"GET /a HTTP/1.1"),
    "in_head": chunked(chunks(S), once(S, "HEAD"), b"HEAD /a HTTP/1.1"),
    "in_options": chunked(chunks(S), once(S, "OPTIONS"), b"OPTIONS /a HTTP/1.1"),
    "http_as_data": chunked(chunks(HALF), once(HALF)),
}

GET = b"GET /a HTTP/1.1"
HEADS = {
    "bare_lf_everywhere": (b"GET /a HTTP/1.1\n@HEAD@\n" + S, Refused()),
    "bare_lf_ends_the_head": (b"GET /a HTTP/1.1\r\n@HEAD@\n" + S, Refused()),
    "cr_lf_lf": (b"GET /a HTTP/1.1\r\n@HEAD@X: y\r\n\n" + S, Refused()),
    "cr_cr_lf": (b"GET /a HTTP/1.1\r\n@HEAD@X: y\r\r\n\r\n" + S, Refused()),
    "request_behind_bare_cr": (b"GET /a HTTP/1.1\r\n@HEAD@X: y\r\r" + S, Refused()),
    "nul_in_value": (post(b"X: \x00", body=S, line=GET), Refused()),
    "first_field_folded": (b"GET /a HTTP/1.1\r\n X: y\r\n@HEAD@\r\n" + S, Refused()),
    "no_colon": (post(b"nonsense", body=S, line=GET), Refused()),
    "no_name": (post(b": y", body=S, line=GET), Refused()),
    "request_as_a_field": (post(b"GET /smuggled HTTP/1.1", body=S, line=GET), Refused()),
    "space_before_the_request": (b" " + post(body=S, line=GET), Refused()),
    "lf_before_the_request": (b"\n" + post(body=S, line=GET), Refused()),
    "cr_before_the_request": (b"\r" + post(body=S, line=GET), Refused()),
    "nul_before_the_request": (b"\0" + post(body=S, line=GET), Refused()),
    "empty_lines_before_the_request": (b"\r\n\r\n" + post(body=S, line=GET), once(method="GET", then=401)),
    "two_spaces": (post(body=S, line=b"GET  /a HTTP/1.1"), Refused()),
    "tab_for_a_space": (post(body=S, line=b"GET\t/a HTTP/1.1"), Refused()),
    "two_versions": (post(body=S, line=b"GET /a HTTP/1.1 HTTP/1.1"), Refused((400, 505))),
    "no_version": (post(body=S, line=b"GET /a"), Refused()),
    "http_09": (b"GET /a\r\n" + S, Refused()),
    "lower_case_version": (post(body=S, line=b"GET /a http/1.1"), Refused()),
    "version_110": (post(body=S, line=b"GET /a HTTP/1.10"), Refused((400, 505))),
    "http_2_preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + S, Refused((400, 505))),
    "request_in_target": (post(body=S, line=b"GET /a HTTP/1.1\\r\\nX: y HTTP/1.1"), Refused((400, 505))),
    "fragment": (post(body=S, line=b"GET /a#/../admin HTTP/1.1"), Refused()),
    "nul_in_target": (post(body=S, line=b"GET /a\x00 HTTP/1.1"), Refused()),
    "encoded_line_end_in_target": (post(line=b"GET /a%0d%0aX:%20y HTTP/1.1"),
                                   Forwarded([("GET", "/a%0d%0aX:%20y", b"")], [200])),
    "connect": (post(body=S, line=b"CONNECT test.localhost:80 HTTP/1.1"), Refused(405)),
    "connect_with_length": (post(cl(S), body=S, line=b"CONNECT test.localhost:80 HTTP/1.1"), Refused(405)),
    "two_hosts": (post(b"Host: evil.localhost", body=S, line=GET), Refused()),
    "two_hosts_one_odd": (post(b"Host : evil.localhost", body=S, line=GET), Refused()),
    "host_folded": (post(b"X: y\r\n Host: evil.localhost", body=S, line=GET), Refused()),
    "no_host": (b"GET /a HTTP/1.1\r\n\r\n" + S, Refused()),
    "absolute_against_host": (post(body=S, line=b"GET http://TEST.localhost/a HTTP/1.1"),
                              once(method="GET", then=401, host="TEST.localhost")),
    "absolute_with_user_info": (post(body=S, line=b"GET http://evil@test.localhost/a HTTP/1.1"), Refused()),
    "absolute_without_host": (b"GET http://test.localhost/a HTTP/1.1\r\n\r\n" + S, Refused()),
    "absolute_to_elsewhere": (post(line=b"GET http://evil.example/a HTTP/1.1"), Forwarded([], [404])),
    "absolute_https": (post(body=S, line=b"GET https://test.localhost/a HTTP/1.1"), once(method="GET", then=401)),
    "user_alias": (post(b"X_User_ID: victim", b"X-Alcove-User: victim", body=S, line=GET), once(method="GET", then=401)),
    "user_twice": (post(b"X-User-ID: victim", line=GET), Forwarded([], [400])),
    "user_named_by_connection": (post(b"Connection: close, X-Alcove-User, X-User-ID", line=GET), once(method="GET")),
    "close_with_more": (post(b"Connection: close", body=S, line=GET), once(method="GET")),
}

EXPECT = b"Expect: 100-continue"
WS = tuple(field.encode() for field in HANDSHAKE)
EXTRAS = {
    "expect_body_at_once": (post(EXPECT, cl(S), body=S + S), once(S, then=401)),
    "expect_chunked_at_once": (post(EXPECT, TE, body=chunks(S) + S), once(S, then=401)),
    "expect_without_body": (post(EXPECT, body=S, line=GET), once(method="GET", then=401)),
    "expect_zero_length": (post(EXPECT, b"Content-Length: 0", body=S), once(then=401)),
    "expect_twice": (post(EXPECT, EXPECT, cl(S), body=S), once(S)),
    "expect_something_else": (post(b"Expect: 200-ok", cl(S), body=S), Refused(417)),
    "expect_in_disguise": (post(b"Expect: y 100-continue", cl(S), body=S), Refused(417)),
    "expect_list": (post(b"Expect: 100-continue, y", cl(S), body=S), Refused(417)),
    "expect_http_10": (post(EXPECT, cl(S), body=S, line=b"POST /a HTTP/1.0"), once(S)),
    "expect_space_before_colon": (post(b"Expect : 100-continue", cl(S), body=S), Refused()),
    "upgrade_refused_by_the_pod": (post(*WS, body=S, line=GET), once(method="GET", then=401)),
    "upgrade_with_length": (post(*WS, cl(S), body=S, line=GET), once(S, "GET")),
    "upgrade_chunked": (post(*WS, TE, body=chunks(S), line=GET), once(S, "GET")),
    "upgrade_post": (post(*WS, body=S), once(then=401)),
    "upgrade_http_10": (post(*WS, line=b"GET /a HTTP/1.0"), once(method="GET")),
    "upgrade_not_named_by_connection": (post(*WS[1:], body=S, line=GET), once(method="GET", then=401)),
    "h2c": (post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__",
                 body=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", line=GET), once(method="GET", then=505)),
    "h2c_with_length": (post(b"Connection: Upgrade", b"Upgrade: h2c", cl(S), body=S), once(S)),
    "upgrade_tls": (post(b"Connection: Upgrade", b"Upgrade: TLS/1.0, HTTP/1.1", body=S, line=b"OPTIONS * HTTP/1.1"),
                    Forwarded([("OPTIONS", "*", b"")], [200, 401])),
    "pipelined_twice": (post(cl(S), body=S) + post(TE, body=chunks(S)) + S,
                        Forwarded([("POST", "/a", S)] * 2, [200, 200, 401])),
}

GROUPS = {"both": BOTH, "codings": CODINGS, "lengths": LENGTHS, "chunks": CHUNKS, "heads": HEADS, "extras": EXTRAS}
CASES = {f"{group}-{name}": case for group, cases in GROUPS.items() for name, case in cases.items()}


@pytest.fixture(scope="module")
def strict(place, certificate):
    pod = StrictPod()
    # A chunk of 4 GiB that stays away is given up soon.
    for run in run_gateway(place, certificate, [pod], timeouts={"body_idle": "700ms", "linger": "500ms", "drain": "5s"}):
        yield run, pod


def ask(wire: Wire, client: http1.Connection, target: str, body: bytes) -> dict:
    client.send(wire.raw(f"POST {target} HTTP/1.1", f"Content-Length: {len(body)}", body=body))
    answer = client.read_response("POST")
    assert answer.status == 200, answer
    return answer.json()


def answers_to(client: http1.Connection, method: str, count: int) -> list[http1.Response]:
    answers = [client.read_response(method)]
    while len(answers) < count:
        answers.append(client.read_response())
    return answers


def test_smuggling_there_are_more_than_sixty_ways():
    assert len(CASES) >= 60
    assert len({data for data, _ in CASES.values()}) == len(CASES)


@pytest.mark.parametrize("data, expected", CASES.values(), ids=CASES)
def test_smuggling(strict, transport, data, expected):
    run, pod = strict
    attacker = Wire(run, pod, transport)
    victim = attacker.other_user()
    try:
        before = attacker.dial()
        seats = {ask(attacker, before, "/warm-up", b"")["connection"] for _ in range(3)}
        bystander = victim.dial()
        ask(victim, bystander, "/warm-up", b"")
        pod.take()

        client = attacker.dial()
        head = f"Host: test.localhost\r\nX-User-ID: {attacker.user}\r\n".encode()
        client.send(data.replace(b"@HEAD@", head))
        if isinstance(expected, Refused):
            answer = client.read_response()
            statuses = expected.status if isinstance(expected.status, tuple) else (expected.status,)
            assert answer.status in statuses and answer.by_alcove, answer.head
            assert answer.header("Connection") == "close" and client.closed_by_peer()
            wanted = []
        else:
            method = data.split(b" ", 1)[0].decode().strip()
            answers = answers_to(client, method, len(expected.statuses))
            assert [a.status for a in answers] == expected.statuses
            assert all(a.by_alcove == (a.status != 200) for a in answers)
            wanted = [(attacker.user, *request) for request in expected.requests]

        # A second user, on a connection that was there before and on a new one; and the same user again.
        for who, connection in ((victim, bystander), (victim, victim.dial()), (attacker, before)):
            said = ask(who, connection, "/mine", b"my own words")
            assert said == {"user": who.user, "target": "/mine", "connection": said["connection"], "body": "my own words"}
            wanted.append((who.user, "POST", "/mine", b"my own words"))

        got = pod.take()
        assert [(r.get("X-Alcove-User"), r.method, r.target, r.body) for r in got] == wanted
        for request in got:
            assert "x-smuggled" not in request.names and not {"transfer-encoding", "content-length"} <= request.names
            assert request.get("Host") in ("test.localhost", getattr(expected, "host", None))
        cut = pod.take_cut()
        if cut:
            assert isinstance(expected, Refused) and expected.cut, cut
            assert all(b"POST /a HTTP/1.1\r\n" in part for part in cut)
        assert len(seats) <= 2
    finally:
        for connection in attacker.connections:
            connection.close()
