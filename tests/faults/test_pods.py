"""Pods that misbehave: ready but refusing, accepting and silent, ending at once; and addresses that come again."""

import time

from support.alcove import app
from support.load import Load


def test_ready_but_refusing_for_3_s(plain_redis, house, row):
    home = house(plain_redis.url, "--refuse-for", "3", ready_path="/ready", idle_timeout="10m")
    with Load(home.gateways, users=8) as load:
        load.fault_begins()
        load.fault_ends()
        load.recovered()
        time.sleep(2)
    firsts = [u.answers[0] for u in load.users]
    assert all(a.verdict == "right" for a in firsts), load.problems()
    assert min(a.done - a.sent for a in firsts) > 2.5, "the pods did not refuse"
    assert set(load.count()) == {"right"}
    row("Pods that are ready, but refuse connections for 3 s", "the first requests of 8 users", load)


def test_accepting_and_never_answering(plain_redis, house, row):
    home = house(plain_redis.url, idle_timeout="10m", response_timeout="1s")
    with Load(home.gateways, users=8) as well, Load(home.gateways, users=4, prefix="mute", kinds="n", pause=(0.1, 0.3)) as mute:
        well.all_served()
        mute.fault_begins()
        time.sleep(6)
    assert set(well.count()) == {"right"}
    assert set(mute.count()) == {"clear"}, mute.problems()
    assert {a.what[:6] for a in mute.answers()} == {"504 PR"}, mute.problems()
    assert max(a.done - a.sent for a in mute.answers()) < 4
    row("Pods that take requests and never answer (each told 504 after response_timeout)", "8 other users, 4 of them",
        well, mute)


def test_ending_at_once(plain_redis, house, row):
    """A crash loop: whoever asks is told why and when to come again, the starts are spaced out, the others go on."""
    reason = "cannot find the model"
    home = house(plain_redis.url, config={"apps": {
        "test": app(), "broken": app("--fail", reason)}})
    with Load(home.gateways, users=8) as well, \
            Load(home.gateways, users=4, app="broken", prefix="loop", pause=(0.1, 0.3)) as broken:
        well.all_served()
        time.sleep(8)
        shown = home.gateways[0].get("loop0", app_name="broken")
    assert set(broken.count()) == {"clear"}, broken.problems()
    assert shown.status == 503 and reason in shown.text, shown.text
    assert int(shown.header("Retry-After")) >= 1
    session = home.provisioner.session("broken/loop0")
    assert session["state"] in ("failed", "pending", "starting") and session["failures"] >= 3, session
    # 0.5 s, 1 s, 2 s, 4 s ... between two starts, not one for each request.
    starts = home.provisioner.log.count("session broken/loop0 generation")
    assert session["generation"] <= 7, (session, starts)
    assert broken.count()["clear"] > 4 * session["generation"]
    row("Pods that exit at once (crash loop): reason and Retry-After told, starts spaced out", "8 other users, 4 of them",
        well, broken)


def test_an_address_used_again_by_another_users_pod(plain_redis, house, row):
    """Four addresses for eight users who come and go all the time: each address serves somebody else within moments,
    while gateways have connections to it in their pools and events about its former pod are under way."""
    home = house(plain_redis.url, idle_timeout="300ms", drain_grace="0s", stop_grace="1s", network="127.113.77.0/29",
                 config={"provisioner": {"retry_first": "100ms", "retry_most": "200ms", "claim_lease": "3s"}},
                 hold_timeout="20s")
    with Load(home.gateways, users=8, drifters=8, away=1.2, kinds="gggp", lines=2) as load:
        load.fault_begins()
        time.sleep(20)
        load.fault_ends()
    pods = {a.pod: u.name for u in load.users for a in u.answers if a.pod}
    assert len(pods) >= 40, f"only {len(pods)} pods on 6 addresses"
    row(f"Addresses used again by other users' pods: {len(pods)} pods on 6 addresses", "8 users who come and go", load)
