"""Pods die. Who comes next gets a new one, not an error."""

import os
import signal

import pytest

from support.procs import wait_gone

pytestmark = pytest.mark.threads


def kill(pid: int):
    """Returns when it is dead: before that it might still take a connection, and fail the request in a fair way."""
    os.kill(pid, signal.SIGKILL)
    assert wait_gone([pid], 20)


def test_after_its_process_was_killed_the_next_request_gets_a_new_pod(alcove):
    generation = 0
    for _ in range(10):
        fact = alcove.get("ada").json()
        assert fact["generation"] == generation + 1
        generation = fact["generation"]
        kill(fact["pid"])


def test_a_get_that_meets_the_kill_itself_gets_a_new_pod_too(alcove):
    """No wait for the death: the connection may still be taken by the dying process. A GET can be sent again."""
    for _ in range(20):
        pid = alcove.get("ada").json()["pid"]
        os.kill(pid, signal.SIGKILL)
        answer = alcove.get("ada")
        assert answer.status == 200, answer.text


def test_after_the_kill_was_noticed_the_next_request_gets_a_new_pod(alcove):
    fact = alcove.get("ada").json()
    kill(fact["pid"])
    alcove.wait_state("test/ada", "absent")
    assert alcove.get("ada").json()["generation"] == 2


def test_on_a_kept_connection_the_next_request_gets_a_new_pod(alcove):
    with alcove.connect() as connection:
        for generation in (1, 2, 3):
            fact = connection.request("GET", "/", alcove.host("test"), [("X-User-ID", "ada")]).json()
            assert fact["generation"] == generation
            kill(fact["pid"])


def test_a_post_right_after_the_kill_gets_a_new_pod_too(alcove):
    kill(alcove.get("ada").json()["pid"])
    answer = alcove.get("ada", "/save", method="POST", body=b"precious")
    assert answer.status == 200, answer.text
    assert (answer.json()["generation"], answer.json()["body_length"], answer.json()["requests"]) == (2, 8, 1)


def test_a_request_that_the_pod_died_of_is_a_clear_502_and_is_not_sent_twice(alcove):
    pid = alcove.get("ada").json()["pid"]
    answer = alcove.get("ada", "/crash", method="POST", body=b"once")
    assert answer.status == 502 and answer.by_alcove
    assert answer.json()["code"] == "PR"
    assert wait_gone([pid], 10)
    fact = alcove.get("ada").json()
    assert (fact["generation"], fact["requests"]) == (2, 1)


def test_a_connection_that_the_pod_closes_without_an_answer_is_a_502_and_the_pod_lives(alcove):
    pid = alcove.get("ada").json()["pid"]
    assert alcove.get("ada", "/close", method="POST", body=b"").status == 502
    assert alcove.get("ada").json()["pid"] == pid


def test_a_body_cut_short_by_the_pod_is_never_shown_as_whole(alcove):
    alcove.get("ada")
    with alcove.connect() as connection:
        connection.send(b"GET /half HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: ada\r\n\r\n")
        head = connection.read_head()
        assert head.status == 200 and head.header("Content-Length") == "1000"
        assert connection.read_to_end() == b"half"


def test_the_others_notice_nothing(alcove):
    grace = alcove.get("grace").json()
    kill(alcove.get("ada").json()["pid"])
    assert alcove.get("ada").json()["generation"] == 2
    again = alcove.get("grace").json()
    assert (again["pid"], again["generation"]) == (grace["pid"], 1)
