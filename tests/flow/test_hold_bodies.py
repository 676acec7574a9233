"""A request with a body to an absent session: the body waits, and arrives whole."""

import hashlib
import json
import os
import subprocess
import threading
import time

import pytest

from support.alcove import app
from support.http1 import Connection

SIZE = 10 * 1024 * 1024
BODY = hashlib.sha256(b"seed").digest() * (SIZE // 32)
DIGEST = hashlib.sha256(BODY).hexdigest()

pytestmark = pytest.mark.threads


@pytest.fixture
def run(make, gate):
    return make(apps={"test": app(*gate.arguments)})


def head(run, *fields: str) -> bytes:
    return "\r\n".join(["POST /upload HTTP/1.1", f"Host: {run.host('test')}", "X-User-ID: ada", *fields, "", ""]).encode()


def arrived(fact: dict) -> tuple:
    return fact["method"], fact["body_length"], fact["body_sha256"], fact["generation"], fact["requests"]


WHOLE = ("POST", SIZE, DIGEST, 1, 1)


def test_a_10_MiB_body_with_expect_arrives_whole_and_no_100_is_sent_while_it_is_held(run, gate):
    with run.connect() as connection:
        connection.send(head(run, f"Content-Length: {SIZE}", "Expect: 100-continue"))
        fd = gate.wait_for_pod()
        assert run.session("test/ada")["state"] == "starting"
        connection.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.socket.recv(1)
        os.write(fd, b"x")
        os.close(fd)
        go_on = connection.read_head()
        at = time.monotonic()
        assert go_on.status == 100
        connection.send(BODY)
        answer = connection.read_response("POST")
        fact = answer.json()
        assert answer.status == 200 and arrived(fact) == WHOLE
        assert at >= fact["listening_at"], "the 100 was the pod's own, not ours"
        assert connection.request("GET", "/again", run.host("test"), [("X-User-ID", "ada")]).json()["requests"] == 2


def test_a_10_MiB_body_without_expect_arrives_whole(run, gate):
    with run.connect() as connection:
        sender = threading.Thread(
            target=connection.socket.sendall, args=(head(run, f"Content-Length: {SIZE}") + BODY,), daemon=True)
        sender.start()
        fd = gate.wait_for_pod()
        assert sender.is_alive(), "10 MiB were taken while nobody could have them: that is memory, not back-pressure"
        os.write(fd, b"x")
        os.close(fd)
        answer = connection.read_response("POST")
        sender.join(30)
        assert not sender.is_alive()
        assert answer.status == 200 and arrived(answer.json()) == WHOLE


def test_a_10_MiB_chunked_body_arrives_whole(run, gate):
    pieces = [BODY[i:i + 100_000] for i in range(0, SIZE, 100_000)]
    data = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    with run.connect() as connection:
        sender = threading.Thread(
            target=connection.socket.sendall, args=(head(run, "Transfer-Encoding: chunked") + data,), daemon=True)
        sender.start()
        gate.open()
        answer = connection.read_response("POST")
        sender.join(30)
        assert answer.status == 200 and arrived(answer.json()) == WHOLE


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"], ids=["with_expect", "without_expect"])
def test_curl_posts_10_MiB_to_an_absent_session(run, gate, place, expect):
    (place / "body").write_bytes(BODY)
    curl = subprocess.Popen(
        ["curl", "--silent", "--show-error", "--max-time", "80", "--expect100-timeout", "60", "-H", expect,
         "-H", "X-User-ID: ada", "--data-binary", f"@{place / 'body'}", f"http://test.localhost:{run.port}/upload"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    gate.open()
    out, err = curl.communicate(timeout=90)
    assert curl.returncode == 0, err
    assert arrived(json.loads(out)) == WHOLE


def test_an_early_answer_ends_the_upload_and_reaches_the_client(make):
    run = make()
    run.get("ada")
    with run.connect() as connection:
        connection.send(head(run, f"Content-Length: {SIZE}", "Expect: 100-continue").replace(b"/upload", b"/early"))
        answer = connection.read_response("POST")
        assert answer.status == 413 and answer.header("Server") == "test-pod" and answer.interim == []


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(make):
    run = make()
    run.get("ada")
    with Connection(run.port) as connection:
        connection.send(head(run, f"Content-Length: {SIZE}") + BODY[:100_000])
    run.wait_log("/upload")
    assert run.get("ada").status == 200


def test_a_body_over_the_limit_of_the_app_is_refused_before_it_is_sent(make):
    run = make(apps={"test": app(body_limit="1MiB")})
    with run.connect() as connection:
        connection.send(head(run, f"Content-Length: {SIZE}", "Expect: 100-continue"))
        answer = connection.read_response("POST")
        assert answer.status == 413 and answer.by_alcove and answer.interim == []
    with run.connect() as connection:
        connection.send(head(run, "Transfer-Encoding: chunked"))
        sent = 0
        try:
            while sent < 3 * 1024 * 1024:
                connection.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
        except OSError:
            pass
        assert connection.read_response("POST").status == 413
