"""Who waits together: one leaves, the start goes on, the others are served."""

import asyncio
import os

import pytest

from support.alcove import app

pytestmark = pytest.mark.threads


def test_the_first_waiter_hangs_up_and_the_others_are_served(make, gate):
    run = make(apps={"test": app(*gate.arguments)})

    async def scene():
        first = asyncio.create_task(run.fetch("ada", "/first"))
        await asyncio.to_thread(lambda: gate_fds.append(gate.wait_for_pod()))
        others = [asyncio.create_task(run.fetch("ada", f"/{i}")) for i in range(4)]
        first.cancel()
        await asyncio.wait([first])
        await asyncio.to_thread(run.wait_log, "/first")  # its access line: the gateway knows that it has left
        os.write(gate_fds[0], b"x")
        os.close(gate_fds[0])
        return await asyncio.gather(*others)

    gate_fds: list[int] = []
    answers = asyncio.run(scene())
    assert [a.status for a in answers] == [200] * 4
    facts = [a.json() for a in answers]
    assert {f["generation"] for f in facts} == {1}
    assert "/first" not in {f["target"] for f in facts} and max(f["requests"] for f in facts) == 4, \
        "who left was not sent to the pod"


def test_when_all_waiters_leave_the_start_goes_on_and_the_next_visitor_finds_the_pod(make, gate):
    run = make(apps={"test": app(*gate.arguments)})
    with run.connect() as connection:
        connection.send(b"GET /gone HTTP/1.1\r\nHost: test.localhost\r\nX-User-ID: ada\r\n\r\n")
        fd = gate.wait_for_pod()
    run.wait_log("/gone")
    os.write(fd, b"x")
    os.close(fd)
    run.wait_state("test/ada", "ready")
    fact = run.get("ada").json()
    assert (fact["generation"], fact["requests"]) == (1, 1)


def test_a_hold_that_ends_at_its_deadline_says_so_and_the_start_goes_on(make, gate):
    run = make(apps={"test": app(*gate.arguments, hold_timeout="300ms")})
    answer = run.get("ada")
    assert answer.status == 504 and answer.by_alcove
    assert answer.header("Content-Type") == "application/problem+json"
    gate.open()
    run.wait_state("test/ada", "ready")
    assert run.get("ada").json()["generation"] == 1
