"""Redis as the store; gateways, provisioner and reaper as processes of their own."""

import asyncio

import pytest

from support.alcove import app
from support.ports import pod_network
from support.procs import wait_gone


@pytest.fixture
def house(redis, make, place):
    """house(**app keys) -> two gateways, one provisioner, one reaper, on one Redis and one state directory."""

    def build(*arguments, roles=("provisioner", "gateway", "gateway", "reaper"), **keys):
        network = pod_network()
        runs = []
        for role in roles:
            runs.append(make(role=role, state=place / "state", store=redis.url, apps={"test": app(*arguments, **keys)},
                             runtime={"local": {"directory": str(place / "state"), "network": network}}))
        return runs

    return build


def test_a_session_started_through_one_gateway_is_served_by_the_other_with_no_second_start(house):
    _, one, two, _ = house()
    first = one.get("ada").json()
    second = two.get("ada").json()
    third = one.get("ada").json()
    assert first["generation"] == 1
    assert [(f["pid"], f["address"], f["generation"], f["requests"]) for f in (second, third)] == \
        [(first["pid"], first["address"], 1, n) for n in (2, 3)]
    assert two.get("grace").json()["pid"] != first["pid"]


def test_requests_through_both_gateways_for_one_absent_user_make_one_start(house, gate):
    provisioner, one, two, _ = house(*gate.arguments)

    async def scene():
        requests = [asyncio.create_task((one, two)[i % 2].fetch("ada", f"/{i}")) for i in range(40)]
        await asyncio.to_thread(gate.open)
        return await asyncio.gather(*requests)

    answers = asyncio.run(scene())
    assert [a.status for a in answers] == [200] * 40
    assert {(a.json()["generation"], a.json()["pid"]) for a in answers} == {(1, answers[0].json()["pid"])}
    assert len([c for c in provisioner.pods().values() if "pod.py" in c]) == 1


def test_use_through_one_gateway_keeps_the_pod_for_the_other_and_idleness_in_both_ends_it(house):
    _, one, two, _ = house(idle_timeout="1500ms", drain_grace="100ms")
    pid = one.get("ada").json()["pid"]
    for _ in range(8):
        assert two.get("ada").json()["pid"] == pid
        assert not wait_gone([pid], 0.4)
    assert wait_gone([pid], 30)
    fact = one.get("ada").json()
    assert fact["generation"] == 2
    assert two.get("ada").json()["pid"] == fact["pid"], "no route to the old pod is left"


def test_a_sign_in_at_one_gateway_holds_at_the_other(house):
    _, one, two, _ = house()
    signed = one.connect().request("POST", "/.alcove/sign-in", one.host("test"),
                                   [("Content-Type", "application/x-www-form-urlencoded")], b"user=ada&to=%2F")
    cookie = signed.header("Set-Cookie").partition(";")[0]
    for gateway in (one, two):
        answer = gateway.connect().request("GET", "/", gateway.host("test"), [("Cookie", cookie)])
        assert answer.json()["session"] == "test/ada"


def test_when_one_gateway_is_killed_the_other_serves_on_and_eviction_goes_on(house):
    _, one, two, _ = house(idle_timeout="1s", drain_grace="100ms")
    pid = one.get("ada").json()["pid"]
    one.kill()
    assert two.get("ada").json()["pid"] == pid
    # The dead one may have been serving until its lease is over; then the pod goes.
    assert wait_gone([pid], 110)


def test_a_provisioner_that_comes_back_finds_what_was_asked_for_meanwhile(house, make, redis, place):
    gateway, = house(roles=("gateway",))

    async def scene():
        waiting = asyncio.create_task(gateway.fetch("ada"))
        await asyncio.to_thread(gateway.wait_sessions, lambda keys: "test/ada" in keys)
        await asyncio.to_thread(lambda: make(
            role="provisioner", state=place / "state", store=redis.url,
            runtime={"local": {"directory": str(place / "state"), "network": pod_network()}}))
        return await waiting

    assert asyncio.run(scene()).json()["generation"] == 1


def test_known_users_are_served_while_redis_is_away_and_all_is_well_when_it_is_back(redis, make):
    run = make(store=redis.url, workers=1)  # each worker knows the routes that it has served
    pid = run.get("ada").json()["pid"]
    redis.stop()
    for _ in range(5):
        assert run.get("ada").json()["pid"] == pid
    redis.start()
    run.wait_ready()
    fact = run.get("ada").json()
    assert (fact["pid"], fact["generation"]) == (pid, 1), "rebuilt from the pods that run"
    assert run.get("grace").status == 200


def test_an_emptied_redis_is_rebuilt_from_the_pods(redis, make):
    run = make(store=redis.url)
    pid = run.get("ada").json()["pid"]
    redis.command("FLUSHALL")
    fact = run.get("ada").json()
    assert (fact["pid"], fact["generation"]) in {(pid, 1)} or fact["generation"] > 1
    assert fact["session"] == "test/ada"
