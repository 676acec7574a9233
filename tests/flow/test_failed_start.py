"""A start that fails: who waits learns why at once, and nobody hammers."""

import time

from support.alcove import DEMO, app, demo


def test_a_start_that_fails_answers_at_once_with_the_reason(make):
    run = make(apps={"demo": demo("--fail", "the licence has expired")})
    began = time.monotonic()
    answer = run.get("ada", app_name="demo")
    assert time.monotonic() - began < 10, "hold_timeout is 45 s"
    assert answer.status == 503 and answer.by_alcove
    problem = answer.json()
    assert problem["code"] == "RW"
    assert "the licence has expired" in answer.text
    assert int(answer.header("Retry-After")) >= 1
    assert answer.header("Cache-Control") == "no-store"
    assert answer.header("Proxy-Status")


def test_while_it_backs_off_no_new_start_is_made_and_the_reason_is_repeated(make):
    run = make(provisioner={"retry_first": "1h", "retry_most": "2h"},
               apps={"demo": demo("--fail", "the licence has expired")})
    for _ in range(3):
        answer = run.get("ada", app_name="demo")
        assert answer.status == 503 and "the licence has expired" in answer.text
        assert 3500 <= int(answer.header("Retry-After")) <= 3600
    session = run.session("demo/ada")
    assert (session["state"], session["generation"]) == ("failed", 1)
    assert "the licence has expired" in session["reason"]


def test_after_the_back_off_the_next_request_starts_again(make, place):
    mended = place / "mended"
    script = f'if [ -e {mended} ]; then exec {DEMO} --listen "$0"; else echo "not mended yet" >&2; exit 1; fi'
    run = make(provisioner={"retry_first": "300ms"},
               apps={"demo": {**app(), "command": ["/bin/sh", "-c", script, "{address}:{port}"]}})
    assert "not mended yet" in run.get("ada", app_name="demo").text
    mended.touch()
    deadline = time.monotonic() + 20
    while (answer := run.get("ada", app_name="demo")).status != 200:
        assert answer.status == 503 and time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    assert "Hello ada" in answer.text


def test_the_delay_doubles_with_each_failure_in_a_row(make):
    run = make(provisioner={"retry_first": "200ms", "retry_most": "1h"}, apps={"test": app("--fail", "broken")})
    delays = []
    for generation in range(1, 5):
        deadline = time.monotonic() + 30
        while True:
            assert "broken" in run.get("ada").text
            session = run.session("test/ada")
            if session["generation"] == generation:
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        failed_at = time.monotonic()
        delays.append(failed_at)
    gaps = [b - a for a, b in zip(delays, delays[1:])]
    assert gaps[1] > 0.3 and gaps[2] > 0.7, gaps


def test_a_program_that_does_not_exist_is_named(make):
    run = make(apps={"test": {**app(), "command": ["/no/such/program"]}})
    answer = run.get("ada")
    assert answer.status == 503 and "/no/such/program" in answer.text


def test_a_pod_that_never_listens_fails_at_its_start_deadline(make, gate):
    run = make(apps={"test": app(*gate.arguments, start_timeout="700ms")})
    answer = run.get("ada")
    assert answer.status == 503 and answer.json()["code"] == "RW"
    assert not [p for p in run.pods() if p != run.process.pid] or run.wait_state("test/ada", "failed")


def test_a_browser_gets_a_page_with_the_reason(make):
    run = make(apps={"demo": demo("--fail", "no <b>licence</b>")})
    answer = run.get("ada", app_name="demo", headers=[("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")])
    assert answer.status == 503 and answer.header("Content-Type").startswith("text/html")
    assert "no &lt;b&gt;licence&lt;/b&gt;" in answer.text and "<b>licence" not in answer.text
    assert "default-src 'none'" in answer.header("Content-Security-Policy")
