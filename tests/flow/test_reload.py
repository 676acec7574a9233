"""SIGHUP: apps and limits change, connections and pods stay."""

import signal

import pytest

from support.alcove import app

pytestmark = pytest.mark.threads


def reload(run):
    run.write_config()
    before = len(run.lines)
    run.process.send_signal(signal.SIGHUP)
    run.wait_log("reload", after=before)


def test_a_new_app_is_there_and_no_connection_is_dropped(alcove):
    with alcove.connect() as connection:
        fact = connection.request("GET", "/", alcove.host("test"), [("X-User-ID", "ada")]).json()
        assert alcove.get("ada", app_name="second").status == 404
        alcove.config["apps"]["second"] = app(env={"COLOUR": "green"})
        reload(alcove)
        again = connection.request("GET", "/", alcove.host("test"), [("X-User-ID", "ada")]).json()
        assert (again["pid"], again["generation"]) == (fact["pid"], 1)
        assert alcove.get("ada", app_name="second").json()["environment"]["COLOUR"] == "green"


def test_a_changed_app_is_used_by_the_next_generation(alcove):
    assert "COLOUR" not in alcove.get("ada").json()["environment"]
    alcove.config["apps"]["test"]["env"] = {"COLOUR": "blue"}
    reload(alcove)
    assert "COLOUR" not in alcove.get("ada").json()["environment"], "the pod that runs is left alone"
    assert alcove.get("grace").json()["environment"]["COLOUR"] == "blue"
    alcove.cli("stop", "test/ada")
    alcove.wait_state("test/ada", "absent")
    assert alcove.get("ada").json()["environment"]["COLOUR"] == "blue"


def test_changed_limits_hold(alcove):
    head = b"GET / HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: ada\r\nX-Large: " + b"x" * 5000 + b"\r\n\r\n"

    def status():
        with alcove.connect() as connection:
            connection.send(head)
            return connection.read_response().status

    assert status() == 200
    alcove.config["limits"] = {"head_bytes": 2048}
    reload(alcove)
    assert status() == 431


def test_a_broken_file_changes_nothing_and_is_told_with_its_line(alcove):
    fact = alcove.get("ada").json()
    good = alcove.config
    alcove.config = "identity: [dev]\napps:\n  test:\n    comand: [x]\n"
    alcove.write_config()
    before = len(alcove.lines)
    alcove.process.send_signal(signal.SIGHUP)
    assert "apps.test.comand" in alcove.wait_log(f"{alcove.file}:4", after=before)
    alcove.config = good
    assert alcove.get("ada").json()["pid"] == fact["pid"]
    assert alcove.get("grace").status == 200


def test_what_needs_a_restart_is_named(alcove):
    alcove.config["workers"] = 3
    alcove.write_config()
    before = len(alcove.lines)
    alcove.process.send_signal(signal.SIGHUP)
    line = alcove.wait_log("workers", after=before)
    assert "restart" in line, line


def test_many_reloads_under_traffic_lose_no_request(alcove):
    with alcove.connect() as connection:
        for i in range(20):
            alcove.config["apps"][f"extra{i}"] = app()
            alcove.write_config()
            alcove.process.send_signal(signal.SIGHUP)
            for _ in range(5):
                answer = connection.request("GET", "/", alcove.host("test"), [("X-User-ID", "ada")])
                assert (answer.status, answer.json()["generation"]) == (200, 1)
