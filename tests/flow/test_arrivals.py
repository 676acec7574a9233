"""Many at once: a class logs in, and one user's hundred requests."""

import asyncio

import pytest

from support.alcove import THREAD_SANITIZER, app, demo

CROWD = 40 if THREAD_SANITIZER else 200


def test_two_hundred_users_at_once_get_two_hundred_pods_and_each_is_answered_by_their_own(make):
    run = make(apps={"demo": demo(hold_timeout="3m", start_timeout="2m", idle_timeout="10m")},
               limits={"holds": 1000})

    async def crowd():
        return await asyncio.gather(*(run.fetch(f"user{i}", "/json", "demo", timeout=180) for i in range(CROWD)))

    answers = asyncio.run(crowd())
    assert [a.status for a in answers] == [200] * CROWD, [a.text for a in answers if a.status != 200][:3]
    facts = [a.json() for a in answers]
    for i, fact in enumerate(facts):
        assert (fact["user"], fact["session"], fact["generation"], fact["requests"]) == \
            (f"user{i}", f"demo/user{i}", 1, 1)
    assert len({f["pid"] for f in facts}) == CROWD
    assert len({f["address"] for f in facts}) == CROWD
    assert len([c for c in run.pods().values() if "alcove-demo" in c]) == CROWD


@pytest.mark.threads
def test_a_hundred_requests_at_once_for_an_absent_user_make_one_start(make, gate):
    run = make(apps={"test": app(*gate.arguments)}, limits={"holds_per_user": 200})

    async def hundred():
        requests = [asyncio.create_task(run.fetch("ada", f"/{i}", timeout=120)) for i in range(100)]
        await asyncio.to_thread(gate.open)
        return await asyncio.gather(*requests)

    answers = asyncio.run(hundred())
    assert [a.status for a in answers] == [200] * 100, [a.text for a in answers if a.status != 200][:3]
    facts = [a.json() for a in answers]
    assert sorted(f["target"] for f in facts) == sorted(f"/{i}" for i in range(100))
    assert {(f["session"], f["generation"]) for f in facts} == {("test/ada", 1)}
    assert len({f["pid"] for f in facts}) == 1
    assert sorted(f["requests"] for f in facts) == list(range(1, 101)), "each arrived once"


def test_holds_past_the_cap_of_a_user_are_refused_at_once_and_the_others_are_served(make, gate):
    run = make(apps={"test": app(*gate.arguments)}, limits={"holds_per_user": 5})

    async def eight():
        requests = [asyncio.create_task(run.fetch("ada", timeout=120)) for _ in range(8)]
        refused = []
        for next_done in asyncio.as_completed(requests, timeout=60):
            refused.append(await next_done)
            if len(refused) == 3:
                break
        await asyncio.to_thread(gate.open)
        served = [a for a in await asyncio.gather(*requests) if a.status == 200]
        return refused, served

    refused, served = asyncio.run(eight())
    assert [a.status for a in refused] == [503] * 3
    assert all(a.by_alcove and a.header("Retry-After") for a in refused)
    assert len(served) == 5


def test_one_scope_with_many_waiting_starts_does_not_starve_another(make, gate):
    """One start at a time; ten users of `slow` are queued before the one of `quick`, who is third, not eleventh."""
    run = make(apps={"slow": app(*gate.arguments, hold_timeout="2m", start_timeout="2m"), "quick": app()},
               provisioner={"starts_at_once": 1})

    async def scene():
        many = [asyncio.create_task(run.fetch(f"user{i}", "/", "slow", timeout=180)) for i in range(10)]
        await asyncio.to_thread(run.wait_sessions, lambda keys: sum(k.startswith("slow/") for k in keys) == 10)
        one = asyncio.create_task(run.fetch("grace", "/", "quick", timeout=180))
        await asyncio.to_thread(run.wait_sessions, lambda keys: "quick/grace" in keys)
        for _ in range(2):  # the one that has started, and the one whose turn it is
            await asyncio.to_thread(gate.open)
        answer = await one
        assert answer.status == 200
        assert sum(r.done() for r in many) <= 2, "only those whose turn was before"
        for _ in range(8):
            await asyncio.to_thread(gate.open)
        assert [a.status for a in await asyncio.gather(*many)] == [200] * 10

    asyncio.run(scene())
