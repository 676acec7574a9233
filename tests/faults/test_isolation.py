"""A gateway that is cut off from Redis while the others are not: nothing that it serves is taken away."""

import time

from support.load import Load
from support.procs import wait_gone


def test_a_gateway_without_redis_keeps_its_users_pods_though_the_reaper_sees_them_idle(plain_redis, link, house, row):
    known_for_s = 8
    way = link(plain_redis.port)
    home = house(plain_redis.url, gateway_stores=(way.url, plain_redis.url), idle_timeout="1s", drain_grace="200ms",
                 hold_timeout="3s", config={"outage": {"serve_known_for": f"{known_for_s}s"}})
    alone, _ = home.gateways
    # Its users are known to it alone: to the store and the reaper they fall silent.
    with Load([alone], users=8, prefix="alone", pause=(0.02, 0.3)) as cut_off, \
            Load(home.gateways[1:], users=8, drifters=3, away=3.0) as others:
        cut_off.all_served()
        others.all_served()
        before = {u.name: home.session(u.name) for u in cut_off.users}
        cut_off.fault_begins()
        others.fault_begins()
        way.cut_off()
        time.sleep(known_for_s - 1.5)
        meanwhile = cut_off.answers(cut_off.fault_began)
        after = {u.name: home.session(u.name) for u in cut_off.users}
        time.sleep(6)  # past the time for which it may serve: it says so now
        told = cut_off.answers(time.monotonic() - 2.5)
        way.mend()
        cut_off.fault_ends()
        others.fault_ends()
        cut_off.recovered()
        others.recovered()
    assert len(meanwhile) > 200 and all(a.verdict == "right" for a in meanwhile), cut_off.problems()
    for name, session in after.items():
        assert session["generation"] == before[name]["generation"], session
        assert session["state"] in ("ready", "draining"), session
    assert any(s["state"] == "draining" for s in after.values()), "the reaper saw nobody idle: nothing was tested"
    assert all(a.verdict == "clear" for a in told), cut_off.problems()
    row("A gateway cut off from Redis, the reaper not: no eviction of what it serves",
        "8 users on it alone, 8 on another gateway", cut_off, others)


def test_what_a_cut_off_gateway_may_serve_no_more_is_evicted_at_last(plain_redis, link, house):
    way = link(plain_redis.port)
    home = house(plain_redis.url, gateway_stores=(way.url, plain_redis.url), idle_timeout="1s", drain_grace="200ms",
                 config={"outage": {"serve_known_for": "1s"}})
    pid = home.gateways[0].get("ada").json()["pid"]
    way.cut_off()
    began = time.monotonic()
    assert wait_gone([pid], 60)
    assert time.monotonic() - began > 4, "its lease (serve_known_for and 5 s) ran still"
