"""The command line for people, and the admin listener behind it."""

import json
import subprocess
import threading

from support import http1
from support.alcove import BIN, app, run_alcove, wait_output
from support.procs import wait_gone


def test_ls_and_show_tell_what_there_is(alcove):
    assert json.loads(alcove.cli("ls", "--json").stdout) == []
    fact = alcove.get("ada").json()
    alcove.get("grace")
    listed = json.loads(alcove.cli("ls", "--json").stdout)
    assert sorted(s["key"] for s in listed) == ["test/ada", "test/grace"]
    table = alcove.cli("ls").stdout
    assert "test/ada" in table and "ready" in table
    shown = json.loads(alcove.cli("show", "test/ada", "--json").stdout)
    assert (shown["key"], shown["state"], shown["generation"], shown["user"]) == ("test/ada", "ready", 1, "ada")
    assert shown["pod"]["endpoint"] == fact["address"]
    for word in ("test/ada", "ready", fact["address"]):
        assert word in alcove.cli("show", "test/ada").stdout


def test_show_of_what_is_not_there_says_so(alcove):
    done = alcove.cli("show", "test/nobody")
    assert done.returncode not in (0, 99) and "test/nobody" in done.stderr
    done = alcove.cli("show", "not a key")
    assert done.returncode not in (0, 99) and done.stderr


def test_start_starts_and_stop_stops(alcove):
    done = alcove.cli("start", "test/ada")
    assert done.returncode == 0, done.stderr
    alcove.wait_state("test/ada", "ready")
    fact = alcove.get("ada").json()
    assert (fact["generation"], fact["requests"]) == (1, 1)
    done = alcove.cli("stop", "test/ada")
    assert done.returncode == 0, done.stderr
    assert wait_gone([fact["pid"]], 20)
    alcove.wait_state("test/ada", "absent")
    assert alcove.get("ada").json()["generation"] == 2


def test_a_request_while_a_deleted_session_goes_is_answered_by_the_next_generation(make):
    run = make(apps={"test": app("--ignore-sigterm", stop_grace="1500ms")})
    first = run.get("ada").json()
    stopper = threading.Thread(target=run.cli, args=("stop", "test/ada"))
    stopper.start()
    run.wait_state("test/ada", "draining", "stopping")
    fact = run.get("ada").json()
    stopper.join(60)
    assert (fact["generation"], fact["pid"] != first["pid"]) == (2, True)


def test_logs_show_what_the_pod_said_and_follow_it(alcove):
    alcove.get("ada", "/first")
    assert "pod listens on" in wait_output(alcove, "test/ada", "GET /first request 1")
    follow = subprocess.Popen([str(BIN), "logs", "-f", "test/ada", "--admin", f"127.0.0.1:{alcove.admin_port}"],
                              stdout=subprocess.PIPE, text=True)
    try:
        lines = iter(follow.stdout.readline, "")
        assert any("GET /first" in line for line in lines)
        alcove.get("ada", "/second")
        assert any("GET /second" in line for line in lines)
        alcove.cli("stop", "test/ada")
        assert follow.wait(30) == 0, "ends with the pod"
    finally:
        follow.kill()
        follow.wait()


def test_logs_of_a_pod_that_is_gone_are_kept(alcove):
    alcove.get("ada", "/last-words")
    alcove.cli("stop", "test/ada")
    alcove.wait_state("test/ada", "absent")
    assert "GET /last-words" in alcove.cli("logs", "test/ada").stdout


def test_a_token_is_needed_where_one_is_set_and_never_shown(make):
    run = make(start=False)
    run.config["admin"]["token"] = "open-sesame-0123456789"
    run.start()
    run.get("ada")
    refused = run.cli("ls", "--json")
    assert refused.returncode not in (0, 99) and "token" in refused.stderr.lower()
    wrong = run.cli("ls", "--json", environment={"ALCOVE_TOKEN": "wrong"})
    assert wrong.returncode not in (0, 99)
    right = run.cli("ls", "--json", environment={"ALCOVE_TOKEN": "open-sesame-0123456789"})
    assert right.returncode == 0 and [s["key"] for s in json.loads(right.stdout)] == ["test/ada"]
    assert "open-sesame" not in run.log


def test_when_nothing_runs_there_it_says_where_it_looked():
    done = run_alcove("ls", "--admin", "127.0.0.1:1")
    assert done.returncode not in (0, 99) and "127.0.0.1:1" in done.stderr


def test_health_readiness_and_metrics(alcove):
    alcove.get("ada")
    assert alcove.admin("/healthz").status == 200
    assert alcove.admin("/readyz").status == 200
    metrics = alcove.admin("/metrics")
    assert metrics.status == 200 and metrics.header("Content-Type").startswith("text/plain")
    assert 'alcove_gateway_requests_total{code="2xx"} 1' in metrics.text, metrics.text[:3000]
    assert alcove.admin("/nothing").status == 404


def test_other_sites_cannot_use_the_admin_listener_through_a_browser(alcove):
    alcove.get("ada")
    for headers in ([("Origin", "http://evil.example")], [("Sec-Fetch-Site", "cross-site")]):
        for method, path in (("DELETE", "/api/v1/sessions/test/ada"), ("POST", "/api/v1/sessions/test/ada")):
            assert alcove.admin(path, method, headers, b"").status == 403
    rebound = http1.request(alcove.admin_port, "/metrics", "evil.example")
    assert rebound.status == 403
    assert alcove.session("test/ada")["state"] == "ready"


def test_malformed_requests_to_the_admin_listener_are_refused(alcove):
    for data in (b"nonsense\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
                 b"\x16\x03\x01\x00\xa5" + b"\0" * 200):
        with http1.Connection(alcove.admin_port) as connection:
            connection.send(data)
            connection.socket.shutdown(1)
            connection.read_to_end(30)
    assert alcove.admin("/healthz").status == 200
