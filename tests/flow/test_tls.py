"""The TLS listener, and its certificates replaced while it runs."""

import signal
import ssl
import subprocess

import pytest

from support import http1, ws
from support.certificates import common_name, make_certificate, trusting


@pytest.fixture
def secure(make, place):
    certificate, key = make_certificate(place / "tls", "first")
    run = make(start=False)
    run.config["listen"][0]["tls"] = {"certificate": str(certificate), "key": str(key)}
    run.start()
    run.certificate = certificate
    return run


def connect(run) -> http1.Connection:
    return http1.Connection(run.port, tls=trusting(run.certificate), server_name="test.localhost")


@pytest.mark.threads
def test_a_request_over_tls_reaches_the_pod_which_is_told_so(secure):
    with connect(secure) as connection:
        fact = connection.request("POST", "/", secure.host("test"), [("X-User-ID", "ada")], b"x" * 1_000_000).json()
        fields = {n.lower(): v for n, v in fact["headers"]}
        assert fields["x-forwarded-proto"] == "https" and fact["body_length"] == 1_000_000
        answer = connection.request("GET", "/big?bytes=5000000", secure.host("test"), [("X-User-ID", "ada")])
        assert len(answer.body) == 5_000_000


def test_a_websocket_over_tls(secure):
    client = ws.Client(connect(secure), "/ws", secure.host("test"), [("X-User-ID", "ada")])
    assert client.echo("over tls") == "over tls"
    client.close()


def test_the_sign_in_cookie_is_secure_over_tls(secure):
    with connect(secure) as connection:
        answer = connection.request("POST", "/.alcove/sign-in", secure.host("test"),
                                    [("Content-Type", "application/x-www-form-urlencoded")], b"user=ada&to=%2F")
        assert "Secure" in answer.header("Set-Cookie") and "HttpOnly" in answer.header("Set-Cookie")


def test_curl_over_tls(secure):
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60", "--cacert", str(secure.certificate),
                           "-H", "X-User-ID: ada", f"https://test.localhost:{secure.port}/"],
                          capture_output=True, text=True, timeout=70, check=False)
    assert done.returncode == 0 and '"session": "test/ada"' in done.stdout, done


def test_plain_http_at_the_tls_port_and_a_broken_handshake_harm_nobody(secure):
    for data in (b"GET / HTTP/1.1\r\nHost: test.localhost\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 500, b""):
        with http1.Connection(secure.port) as connection:
            connection.send(data)
            connection.socket.shutdown(1)
            try:
                connection.read_to_end(30)
            except http1.Broken:
                pass
    with connect(secure) as connection:
        assert connection.request("GET", "/", secure.host("test"), [("X-User-ID", "ada")]).status == 200


def test_a_handshake_that_never_comes_is_given_up_in_time(make, place):
    certificate, key = make_certificate(place / "tls", "first")
    run = make(start=False, timeouts={"head": "500ms", "drain": "5s"})
    run.config["listen"][0]["tls"] = {"certificate": str(certificate), "key": str(key)}
    run.start()
    with http1.Connection(run.port) as connection:
        assert connection.closed_by_peer(15)


def test_sighup_takes_new_certificates_and_drops_no_connection(secure, place):
    with connect(secure) as old:
        assert old.request("GET", "/", secure.host("test"), [("X-User-ID", "ada")]).status == 200
        assert common_name(old) == "first"
        make_certificate(place / "tls", "second")
        before = len(secure.lines)
        secure.process.send_signal(signal.SIGHUP)
        secure.wait_log("reload", after=before)
        with connect(secure) as new:
            assert common_name(new) == "second"
            assert new.request("GET", "/", secure.host("test"), [("X-User-ID", "ada")]).status == 200
        assert old.request("GET", "/", secure.host("test"), [("X-User-ID", "ada")]).status == 200


def test_sighup_with_broken_certificates_keeps_the_good_ones_and_says_why(secure):
    good = secure.certificate.read_text()
    secure.certificate.write_text("this is no certificate")
    before = len(secure.lines)
    secure.process.send_signal(signal.SIGHUP)
    secure.wait_log(str(secure.certificate), after=before)
    context = ssl.create_default_context(cadata=good)
    with http1.Connection(secure.port, tls=context, server_name="test.localhost") as connection:
        assert connection.request("GET", "/", secure.host("test"), [("X-User-ID", "ada")]).status == 200
