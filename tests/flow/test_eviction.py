"""Eviction against return: nobody is lost between a pod that goes and one that comes."""

import asyncio
import collections
import random

from support.alcove import THREAD_SANITIZER, app, demo
from support.procs import wait_gone

import pytest


@pytest.mark.threads
def test_a_request_that_arrives_while_its_session_drains_is_answered_by_the_same_pod(make):
    run = make(apps={"test": app(idle_timeout="300ms", drain_grace="30s")})
    first = run.get("ada").json()
    assert run.wait_state("test/ada", "draining")["generation"] == 1
    second = run.get("ada").json()
    assert (second["pid"], second["generation"], second["requests"]) == (first["pid"], 1, 2)
    assert run.session("test/ada")["state"] in ("ready", "draining")


def test_a_request_that_arrives_past_the_drain_is_answered_by_the_next_generation(make):
    run = make(apps={"test": app("--ignore-sigterm", idle_timeout="300ms", drain_grace="0s", stop_grace="3s")})
    first = run.get("ada").json()
    run.wait_state("test/ada", "stopping")
    assert not wait_gone([first["pid"]], 0), "it ignores SIGTERM: it is still there while the next request waits"
    second = run.get("ada").json()
    assert (second["session"], second["generation"], second["requests"]) == ("test/ada", 2, 1)
    assert second["pid"] != first["pid"]
    assert wait_gone([first["pid"]], 0), "one pod at a time: the old one was gone before the new one answered"


def test_a_session_with_a_request_in_flight_is_not_idle(make):
    run = make(apps={"test": app(idle_timeout="300ms", drain_grace="0s")})
    answer = run.get("ada", "/sleep?ms=3000")
    assert (answer.status, answer.json()["generation"]) == (200, 1)
    assert run.get("ada").json()["generation"] in (1, 2)


def test_a_websocket_without_data_does_not_keep_its_pod_and_one_with_data_does(make):
    run = make(apps={"test": app(idle_timeout="1s", drain_grace="0s")})
    pid = run.get("ada").json()["pid"]
    talking = run.websocket("ada")
    for i in range(8):
        assert talking.echo(f"message {i}") == f"message {i}"
        assert not wait_gone([pid], 0.4), "it is in use"
    assert wait_gone([pid], 30), "silent now, open or not"


def test_a_websocket_keeps_its_pod_while_open_if_the_app_wants_that(make):
    run = make(apps={"test": app(idle_timeout="400ms", drain_grace="0s", websocket="open")})
    pid = run.get("ada").json()["pid"]
    socket = run.websocket("ada")
    assert not wait_gone([pid], 2.5)
    socket.close()
    assert wait_gone([pid], 30)


def test_polling_of_a_quiet_path_does_not_keep_a_pod(make):
    run = make(apps={"test": app(idle_timeout="1s", drain_grace="0s", quiet_paths=["/poll"])})
    pid = run.get("ada").json()["pid"]
    with run.connect() as connection:
        for _ in range(100):
            answer = connection.request("GET", "/poll", run.host("test"), [("X-User-ID", "ada")])
            if answer.status == 503:  # the pod goes, and a poll does not start another
                assert answer.by_alcove and wait_gone([pid], 30)
                return
            assert answer.status == 200
            if wait_gone([pid], 0.1):
                return
    raise AssertionError("a hundred polls over ten seconds kept it")


def test_a_session_past_its_lifetime_goes_whatever_its_activity_and_the_next_generation_serves(make):
    run = make(apps={"test": app(max_lifetime="1500ms", drain_grace="0s")})
    generations = set()
    with run.connect() as connection:
        while 2 not in generations:
            answer = connection.request("GET", "/sleep?ms=20", run.host("test"), [("X-User-ID", "ada")])
            assert answer.status == 200, answer.text
            generations.add(answer.json()["generation"])
    assert generations == {1, 2}


def test_a_thousand_rounds_of_eviction_against_return_lose_no_request(make):
    users, rounds = (10, 10) if THREAD_SANITIZER else (20, 50)
    idle_s = 0.1
    run = make(activity_interval="20ms", reaper={"interval": "10ms"}, workers=2,
               provisioner={"starts_at_once": 50},
               apps={"demo": demo(idle_timeout="100ms", drain_grace="30ms", stop_grace="2s")})
    seen: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)

    async def one(user: str, chance: random.Random):
        for _ in range(rounds):
            method, body = chance.choice([("GET", None), ("POST", b"x" * 1000)])
            answer = await run.fetch(user, "/json", "demo", method, body=body)
            assert answer.status == 200, (answer.status, answer.text)
            fact = answer.json()
            assert fact["session"] == f"demo/{user}" and fact["user"] == user
            seen[user].append((fact["generation"], fact["pid"]))
            # The return is aimed at the eviction: from shortly before it to shortly after.
            await asyncio.sleep(idle_s * chance.uniform(0.8, 2.5))

    async def all_of_them():
        await asyncio.gather(*(one(f"user{i}", random.Random(i)) for i in range(users)))

    asyncio.run(all_of_them())
    evictions = 0
    for user, answers in seen.items():
        assert len(answers) == rounds
        generations = [g for g, _ in answers]
        assert generations == sorted(generations), (user, generations)
        for (g, pid), (next_g, next_pid) in zip(answers, answers[1:]):
            assert (g == next_g) == (pid == next_pid), "one pod for each generation"
        evictions += generations[-1] - 1
    assert evictions >= users * rounds / 10, f"only {evictions} evictions: the rounds missed their aim"
