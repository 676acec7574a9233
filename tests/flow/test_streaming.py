"""What flows through a ready session: bodies, event streams, WebSockets, kept and pipelined connections."""

import socket
import subprocess
import sys
import threading
import time

import pytest

from support import http1, ws
from support.alcove import ROOT, app
from support.pattern import pattern
from support.ports import free_port

pytestmark = pytest.mark.threads


@pytest.fixture
def run(alcove):
    assert alcove.get("ada").status == 200
    return alcove


ADA = [("X-User-ID", "ada")]


def test_events_arrive_one_by_one_and_not_when_the_stream_ends(run):
    with run.connect() as connection:
        connection.send(http1.build("GET", "/sse?events=4&ms=400", run.host("test"), ADA))
        head = connection.read_head()
        assert head.header("Content-Type") == "text/event-stream"
        at = []
        for data in connection.read_chunks():
            assert data.startswith(b"data: ")
            at.append(time.monotonic())
        assert len(at) == 4 and at[3] - at[0] > 1.0, at


def test_a_chunked_answer_arrives_whole_and_the_connection_goes_on(run):
    with run.connect() as connection:
        for _ in range(3):
            answer = connection.request("GET", "/stream?chunks=50&size=20000", run.host("test"), ADA)
            assert answer.body == pattern(20000) * 50


def test_a_slow_reader_gets_all_of_a_large_answer(run):
    with run.connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        answer = connection.request("GET", "/big?bytes=20000000", run.host("test"), ADA)
        assert answer.body == pattern(20000000)


def test_pipelined_requests_are_answered_in_order(run):
    with run.connect() as connection:
        connection.send(b"".join(http1.build("GET", f"/sleep?ms={50 - 5 * i}&n={i}", run.host("test"), ADA)
                                 for i in range(10)))
        targets = [connection.read_response().json()["target"] for _ in range(10)]
        assert targets == [f"/sleep?ms={50 - 5 * i}&n={i}" for i in range(10)]


def test_pipelined_requests_with_bodies_are_kept_apart(run):
    with run.connect() as connection:
        connection.send(b"".join(http1.build("POST", f"/{i}", run.host("test"), ADA, b"x" * (i * 1000)) for i in range(10)))
        facts = [connection.read_response("POST").json() for _ in range(10)]
        assert [(f["target"], f["body_length"]) for f in facts] == [(f"/{i}", i * 1000) for i in range(10)]


def test_many_requests_share_few_connections_to_the_pod(run):
    with run.connect() as connection:
        numbers = {connection.request("GET", "/", run.host("test"), ADA).json()["connection"] for _ in range(30)}
    assert len(numbers) <= 2, numbers


@pytest.mark.parametrize("method, target, status", [("HEAD", "/big?bytes=1000", 200), ("GET", "/status?code=204", 204),
                                                    ("GET", "/status?code=304", 304)])
def test_answers_without_a_body_leave_the_connection_in_step(run, method, target, status):
    with run.connect() as connection:
        for _ in range(3):
            answer = connection.request(method, target, run.host("test"), ADA)
            assert (answer.status, answer.body) == (status, b"")
        assert connection.request("GET", "/after", run.host("test"), ADA).json()["target"] == "/after"


def test_an_http10_client_gets_its_answer_without_chunks_and_the_end(run):
    with run.connect() as connection:
        connection.send(b"GET /stream?chunks=3&size=5 HTTP/1.0\r\nHost: test.localhost\r\nX-User-ID: ada\r\n\r\n")
        answer = connection.read_response()
        assert answer.status == 200 and answer.header("Transfer-Encoding") is None
        assert answer.body == pattern(5) * 3


def test_websocket_messages_of_every_size_come_back(run):
    client = run.websocket("ada")
    for size in (0, 1, 125, 126, 65535, 65536, 1_000_000):
        payload = bytes(i % 251 for i in range(size))
        client.send(payload)
        assert client.receive() == (ws.BINARY, payload)
    client.send(b"are you there", ws.PING)
    assert client.receive() == (ws.PONG, b"are you there")
    client.close()


def test_a_websocket_handshake_to_an_absent_session_is_held(make, gate):
    run = make(apps={"test": app(*gate.arguments)})
    opener = threading.Thread(target=gate.open, daemon=True)
    opener.start()
    client = run.websocket("ada")
    assert client.echo("first words") == "first words"
    client.close()
    opener.join(10)


def test_bytes_that_come_with_the_handshake_are_not_lost(run):
    with run.connect() as connection:
        connection.send(b"GET /ws HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: ada\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        b"Sec-WebSocket-Version: 13\r\n\r\n" + ws.frame(ws.TEXT, b"early", masked=True))
        assert connection.read_head().status == 101
        assert ws.read_frame(connection.read_exactly) == (ws.TEXT, b"early")


def test_hop_by_hop_fields_and_our_own_cookie_stay_here(run):
    signed = run.connect().request("POST", "/.alcove/sign-in", run.host("test"),
                                   [("Content-Type", "application/x-www-form-urlencoded")], b"user=ada&to=%2F")
    own = signed.header("Set-Cookie").partition(";")[0]
    answer = run.get("ada", headers=[("Cookie", f"theirs=1; {own}; more=2"), ("Keep-Alive", "5"), ("TE", "trailers"),
                                     ("Proxy-Connection", "x"), ("X-Private", "secret")])
    fields = {n.lower(): v for n, v in answer.json()["headers"]}
    assert fields["cookie"] == "theirs=1; more=2"
    assert not {"keep-alive", "te", "proxy-connection", "upgrade"} & fields.keys()
    assert fields["host"] == run.host("test") and fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-forwarded-host"] == run.host("test")


def test_a_pod_cannot_set_our_cookie_and_its_own_are_not_folded(run):
    assert run.get("ada", "/cookies").all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]


def test_a_client_that_leaves_ends_its_exchange_with_the_pod(run):
    with run.connect() as connection:
        connection.send(http1.build("GET", "/sse?events=1000&ms=20", run.host("test"), ADA))
        connection.read_head()
    run.wait_log("/sse")


def test_sigterm_lets_a_request_finish_and_closes_kept_connections(make):
    run = make(timeouts={"drain": "20s"})
    run.get("ada")
    with run.connect() as busy, run.connect() as idle:
        assert idle.request("GET", "/", run.host("test"), ADA).status == 200
        busy.send(http1.build("GET", "/sleep?ms=1500", run.host("test"), ADA))
        while run.get("ada").json()["requests"] < 3:
            pass
        run.process.terminate()
        assert idle.closed_by_peer(15)
        answer = busy.read_response()
        assert answer.status == 200 and answer.header("Connection") == "close"
    assert run.process.wait(20) == 0


def test_an_app_under_a_path_is_reached_by_any_host(make):
    run = make(apps={"test": app(path="/notebook/", strip_path=True)})
    answer = http1.request(run.port, "/notebook/a/b?x=1", "portal.example.com", headers=ADA)
    assert answer.json()["target"] == "/a/b?x=1"
    assert http1.request(run.port, "/notebookish", "portal.example.com", headers=ADA).status == 404


def test_one_may_enter_ones_own_environment_by_name_and_no_others(run):
    run.get("grace")
    own = http1.request(run.port, "/", f"ada--test.localhost:{run.port}", headers=ADA)
    assert own.json()["session"] == "test/ada"
    other = http1.request(run.port, "/", f"grace--test.localhost:{run.port}", headers=ADA)
    assert other.status == 404 and other.by_alcove


def test_a_static_runtime_hands_out_endpoints(make):
    ports = [free_port(), free_port()]
    pods = [subprocess.Popen([sys.executable, "-S", "-E", str(ROOT / "tests/support/pod.py"), "127.0.0.1", str(p)])
            for p in ports]
    try:
        run = make(runtime={"static": {"endpoints": [f"127.0.0.1:{p}" for p in ports]}},
                   apps={"test": {"start_timeout": "20s"}})
        ada, grace = run.get("ada").json(), run.get("grace").json()
        assert {ada["address"], grace["address"]} == {f"127.0.0.1:{p}" for p in ports}
        assert run.get("ada").json()["address"] == ada["address"]
        none_left = run.get("eve")
        assert none_left.status == 503 and none_left.by_alcove
    finally:
        for process in pods:
            process.kill()
            process.wait()
