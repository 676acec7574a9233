"""Redis fails in every way it can, while users come, stay, leave and come back."""

import os
import signal
import time

import pytest

from support.load import Load
from support.procs import wait_gone

USERS = 16
KEPT = {"idle_timeout": "10m"}
LEAVING = {"idle_timeout": "1s", "drain_grace": "200ms"}  # evictions and returns all the while
DURING = "16 users, 4 of them evicted and back, 2 gateways"


def leaving_load(house, **keys) -> Load:
    return Load(house.gateways, users=USERS, drifters=4, away=3.0, **keys)


def pods_of(house, names) -> dict[str, tuple[int, int]]:
    return {name: (fact["generation"], fact["pid"]) for name, fact in house.warm(names).items()}


def test_killed_and_started_again(redis, house, row):
    home = house(redis.url, **LEAVING)
    with leaving_load(home) as load:
        load.all_served()
        load.fault_begins()
        redis.kill()
        redis.start()
        load.fault_ends()
        load.recovered()
    row(f"Redis killed and restarted ({'with its AOF' if redis.aof else 'empty'})", DURING, load)


def test_emptied_is_rebuilt_from_the_pods_that_run(plain_redis, house, row):
    home = house(plain_redis.url, **KEPT)
    names = [f"user{i}" for i in range(USERS)]
    for _ in range(2):  # generations that an emptied store would not begin with
        for fact in home.warm(names).values():
            os.kill(fact["pid"], signal.SIGKILL)
            assert wait_gone([fact["pid"]], 20)
    keys = {f"test/{name}" for name in names}
    with Load(home.gateways, users=USERS) as load:
        load.all_served()
        before = pods_of(home, names)
        load.fault_begins()
        for _ in range(5):
            plain_redis.kill()
            plain_redis.start()
            home.provisioner.wait_ready()
            home.provisioner.wait_sessions(keys.issubset)
            load.fault_ends()
            load.recovered()
        after = pods_of(home, names)
    row("Redis killed and restarted empty, 5 times: every pod is found again", "16 users, 2 gateways", load)
    assert min(generation for generation, _ in before.values()) >= 3
    assert after == before, "everyone has the pod they had"


@pytest.mark.parametrize("outage_s", [5, pytest.param(30, marks=pytest.mark.soak)])
def test_away(redis, house, row, outage_s):
    home = house(redis.url, config={"outage": {"serve_known_for": f"{outage_s + 15}s"}}, hold_timeout="2s", **KEPT)
    with Load(home.gateways, users=USERS) as known:
        known.all_served()
        home.warm([u.name for u in known.users])
        known.fault_begins()
        redis.kill()
        with Load(home.gateways, users=6, prefix="new", pause=(0.2, 0.5)) as new:
            new.fault_begins()
            time.sleep(outage_s)  # the outage itself
            redis.start()
            known.fault_ends()
            new.fault_ends()
            new.recovered()
            known.recovered()
    meanwhile = [a for a in known.answers(known.fault_began) if a.done < known.fault_ended]
    assert len(meanwhile) > 20 * outage_s and all(a.verdict == "right" for a in meanwhile), known.problems()
    told = [a for a in new.answers() if a.done < new.fault_ended]
    assert told and all(a.what.startswith("503 SL") for a in told), new.problems()
    row(f"Redis away for {outage_s} s ({'AOF' if redis.aof else 'then empty'})",
        "16 known users (all served), 6 new ones (told 503)", known, new)


def test_stopped_with_sigstop(plain_redis, house, row):
    home = house(plain_redis.url, config={"outage": {"serve_known_for": "30s"}}, hold_timeout="2s", **KEPT)
    with Load(home.gateways, users=USERS) as known:
        known.all_served()
        home.warm([u.name for u in known.users])
        known.fault_begins()
        plain_redis.pause()
        with Load(home.gateways, users=6, prefix="new", pause=(0.2, 0.5)) as new:
            time.sleep(10)
            plain_redis.resume()
            known.fault_ends()
            new.fault_begins()
            new.fault_ends()
            new.recovered()
            known.recovered()
    meanwhile = [a for a in known.answers(known.fault_began) if a.done < known.fault_ended]
    assert all(a.verdict == "right" for a in meanwhile), known.problems()
    row("Redis stopped with SIGSTOP for 10 s", "16 known users (all served), 6 new ones", known, new)


def test_connections_reset_every_second(plain_redis, link, house, row):
    way = link(plain_redis.port)
    home = house(way.url, **LEAVING)
    with leaving_load(home) as load:
        load.all_served()
        load.fault_begins()
        for _ in range(10):
            way.cut()
            time.sleep(1)
        load.fault_ends()
        load.recovered()
    assert way.cuts >= 50
    row("Connections to Redis reset every second, for 10 s", DURING, load)


def test_replies_late(plain_redis, link, house, row):
    way = link(plain_redis.port)
    home = house(way.url, **LEAVING)
    with leaving_load(home) as load:
        load.all_served()
        load.fault_begins()
        way.reply_delay = 0.2
        time.sleep(8)
        way.reply_delay = 0.0
        load.fault_ends()
        load.recovered()
    row("Redis' replies delayed by 200 ms, for 8 s", DURING, load)


def test_pushes_cut(plain_redis, house, row):
    home = house(plain_redis.url, **LEAVING)
    with leaving_load(home) as load:
        load.all_served()
        load.fault_begins()
        killed = 0
        for _ in range(20):
            killed += int(plain_redis.command("CLIENT", "KILL", "TYPE", "pubsub")[1:])
            time.sleep(0.25)
        load.fault_ends()
        load.recovered()
    assert killed >= 40, killed
    row("CLIENT KILL of the pub/sub connections, 20 times", DURING, load)


def test_scripts_flushed(plain_redis, house, row):
    home = house(plain_redis.url, **LEAVING)
    with leaving_load(home) as load:
        load.all_served()
        load.fault_begins()
        for _ in range(20):
            assert plain_redis.command("SCRIPT", "FLUSH") == b"+OK\r\n"
            time.sleep(0.25)
        load.fault_ends()
        load.recovered()
    row("SCRIPT FLUSH, 20 times", DURING, load)


def wait_in_step(replica, timeout: float = 30):
    deadline = time.monotonic() + timeout
    while replica.info("master_link_status") != "up":
        assert time.monotonic() < deadline, "the replica does not follow"
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["killed", "demoted"])
def test_failover(redis_server, link, house, row, how):
    primary, replica = redis_server(), redis_server(arguments=("--repl-diskless-sync-delay", "0"))
    way = link(primary.port)
    home = house(way.url, **LEAVING)
    with leaving_load(home) as load:
        load.all_served()
        replica.command("REPLICAOF", "127.0.0.1", str(primary.port))
        wait_in_step(replica)
        load.fault_begins()
        if how == "killed":
            primary.kill()
        else:  # the connections to it stay, and meet a server that takes no writes any more
            primary.command("REPLICAOF", "127.0.0.1", str(replica.port))
        replica.command("REPLICAOF", "NO", "ONE")
        way.target = replica.port
        if how == "killed":
            way.cut()
        load.fault_ends()
        load.recovered()
        assert replica.info("role") == "master"
    row(f"Failover to a replica, the primary {how}", DURING, load)


def test_memory_full(plain_redis, house, row):
    home = house(plain_redis.url, config={"outage": {"serve_known_for": "20s"}}, hold_timeout="2s", **KEPT)
    with Load(home.gateways, users=USERS) as known:
        known.all_served()
        home.warm([u.name for u in known.users])
        known.fault_begins()
        plain_redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        plain_redis.command("CONFIG", "SET", "maxmemory", "1")
        with Load(home.gateways, users=6, prefix="new", pause=(0.2, 0.5)) as new:
            new.fault_begins()
            time.sleep(5)
            plain_redis.command("CONFIG", "SET", "maxmemory", "0")
            known.fault_ends()
            new.fault_ends()
            new.recovered()
            known.recovered()
    meanwhile = [a for a in known.answers(known.fault_began) if a.done < known.fault_ended]
    assert all(a.verdict == "right" for a in meanwhile), known.problems()
    assert any("OOM" in a.what for a in new.answers() if a.verdict == "clear"), new.problems()
    row("Redis' memory full (noeviction) for 5 s", "16 known users (all served), 6 new ones (told 503)", known, new)
