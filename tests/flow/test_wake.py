"""What may start a pod that is at rest, and what keeps one that is not asked anything."""

import json
import os
import re
import signal
import time

import pytest

from support import http1, ws
from support.alcove import app
from support.procs import wait_gone

BROWSER = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0")
BACKGROUND = {
    "script": [BROWSER, ("Sec-Fetch-Mode", "cors")],
    "script over plain http": [BROWSER, ("Accept", "*/*")],
    "prefetch": [BROWSER, ("Sec-Fetch-Mode", "navigate"), ("Sec-Purpose", "prefetch")],
    "monitor": [("User-Agent", "UptimeRobot/2.0"), ("Accept", "text/html")],
}
NAVIGATION = [BROWSER, ("Sec-Fetch-Mode", "navigate"), ("Accept", "application/json")]


def not_woken(run) -> int:
    return sum(int(float(n)) for n in re.findall(r'alcove_gateway_not_woken_total{why="\w+"} (\S+)', run.admin("/metrics").text))


@pytest.mark.parametrize("who", BACKGROUND)
def test_background_requests_use_what_runs_and_start_nothing(make, who):
    run = make()
    answer = run.get("ada", headers=BACKGROUND[who])
    assert answer.status == 424 and answer.by_alcove
    assert int(answer.header("Retry-After")) >= 30 and answer.header("Cache-Control") == "no-store"
    assert run.session("test/ada") is None and not_woken(run) == 1
    first = run.get("ada", headers=NAVIGATION)
    assert first.status == 200
    assert run.get("ada", headers=BACKGROUND[who]).json()["pid"] == first.json()["pid"]


def test_a_reconnecting_websocket_of_a_forgotten_tab_starts_nothing(make):
    run = make(apps={"test": app(idle_timeout="500ms", drain_grace="0s")})
    pid = run.get("ada").json()["pid"]
    assert wait_gone([pid], 30)
    run.wait_sessions(lambda keys: not keys)
    for _ in range(5):
        with run.connect() as connection, pytest.raises(AssertionError, match="status=424"):
            ws.Client(connection, "/ws", run.host("test"), [("X-User-ID", "ada"), ("Origin", "http://test.localhost")])
    assert run.session("test/ada") is None
    assert run.websocket("ada").echo("a program may") == "a program may"


def test_background_requests_wait_with_a_navigation_that_starts_the_pod(make, gate):
    run = make(apps={"test": app(*gate.arguments)})
    navigation, script = run.connect(), run.connect()
    navigation.send(http1.build("GET", "/", run.host("test"), [("X-User-ID", "ada"), *NAVIGATION]))
    run.wait_state("test/ada", "starting")
    script.send(http1.build("GET", "/", run.host("test"), [("X-User-ID", "ada"), *BACKGROUND["script"]]))
    deadline = time.monotonic() + 20
    while "\nalcove_gateway_holds_now 2\n" not in run.admin("/metrics").text:
        assert time.monotonic() < deadline
    gate.open()
    assert {navigation.read_response().json()["pid"]} == {script.read_response().json()["pid"]}


def test_a_pod_that_crashed_in_use_is_started_again_for_any_request(make):
    run = make()
    pid = run.get("ada").json()["pid"]
    os.kill(pid, signal.SIGKILL)
    assert wait_gone([pid], 30)
    again = run.get("ada", headers=BACKGROUND["script"])
    assert again.status == 200 and again.json()["generation"] == 2


def test_listed_paths_and_apps_that_say_so_are_started_by_anything(make):
    run = make(apps={"test": app(wake={"paths": ["/hooks/"]}), "all": app(wake={"background": True, "bots": []})})
    assert run.get("ada", "/other", headers=BACKGROUND["monitor"]).status == 424
    assert run.get("ada", "/hooks/push", headers=BACKGROUND["monitor"]).status == 200
    assert run.get("ada", app_name="all", headers=BACKGROUND["monitor"]).status == 200
    assert run.get("grace", app_name="all", headers=BACKGROUND["script"]).status == 200


def test_a_pod_that_says_it_is_busy_is_kept_until_it_says_otherwise(make):
    run = make(apps={"test": app(idle_timeout="500ms", drain_grace="0s")})
    answer = run.get("ada", "/busy?for=3600")
    pid = answer.json()["pid"]
    assert answer.header("X-Alcove-Busy-For") is None  # between the pod and us
    assert not wait_gone([pid], 3)
    shown = run.cli("show", "test/ada").stdout
    assert "busy for" in shown and "goes in" in shown
    run.get("ada", "/busy?for=0")
    assert wait_gone([pid], 30)


def test_what_a_pod_says_of_itself_is_bounded(make):
    run = make(apps={"test": app(idle_timeout="500ms", drain_grace="0s", busy_limit="1s"),
                     "deaf": app(idle_timeout="500ms", drain_grace="0s", busy_limit="0s")})
    bounded = run.get("ada", "/busy?for=3600").json()["pid"]
    ignored = run.get("ada", "/busy?for=3600", app_name="deaf").json()["pid"]
    nonsense = run.get("grace", "/busy?for=soon").json()["pid"]
    assert wait_gone([bounded, ignored, nonsense], 30)


def test_people_can_keep_a_session_for_a_time_or_for_good(make):
    run = make(apps={"test": app(idle_timeout="500ms", drain_grace="0s")})
    pid = run.get("ada").json()["pid"]
    assert "busy for" in run.cli("busy", "test/ada", "1h").stdout
    assert not wait_gone([pid], 2)
    assert "pinned" in run.cli("pin", "test/ada").stdout
    run.cli("busy", "test/ada", "0s")
    assert not wait_gone([pid], 2)
    assert json.loads(run.cli("show", "--json", "test/ada").stdout)["pinned"] is True
    assert run.cli("unpin", "test/ada").returncode == 0
    assert wait_gone([pid], 30)
    missing = run.cli("pin", "test/nobody")
    assert missing.returncode == 1 and "test/nobody" in missing.stderr
    wrong = run.admin("/api/v1/sessions/test/ada", "PATCH", body=b'{"busy_for": "soon"}')
    assert wrong.status == 400 and "30m" in wrong.text
