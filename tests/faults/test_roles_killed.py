"""kill -9 of every role at random moments, again and again, while users come, stay, leave and come back."""

import os
import random
import signal
import time

from support.load import Load

LEAVING = {"idle_timeout": "1s", "drain_grace": "200ms"}


def test_every_role_at_random_moments(plain_redis, house, row, soak):
    rounds = 200 if soak else 20
    home = house(plain_redis.url, **LEAVING)
    roles = {"gateway 1": home.gateways[0], "gateway 2": home.gateways[1], "provisioner": home.provisioner,
             "reaper": home.reaper, "redis": plain_redis}
    chance = random.Random(4)
    names = list(roles) * (rounds // len(roles))
    chance.shuffle(names)
    slowest = 0.0
    # A pod ends with its provisioner on the local runtime, so what it was answering is cut.
    with Load(home.gateways, users=16, drifters=4, away=3.0, pods_die=True) as load:
        load.all_served()
        for name in names:
            time.sleep(chance.uniform(0, 0.5))
            load.fault_begins()
            began = time.monotonic()
            roles[name].kill()
            time.sleep(chance.uniform(0, 0.3))
            if name == "redis":
                plain_redis.start()
            else:
                roles[name].start_again()
            load.fault_ends()
            load.recovered()
            slowest = max(slowest, time.monotonic() - began)
    row(f"kill -9 of gateways, provisioner, reaper and Redis (empty afterwards) in turn at random, {len(names)} rounds",
        "16 users, 4 of them evicted and back, 2 gateways", load, slowest_round_s=round(slowest, 1))


def test_a_gateway_killed_in_the_middle_of_requests_harms_its_own_connections_only(plain_redis, house, row):
    home = house(plain_redis.url, idle_timeout="10m")
    victim, other = home.gateways
    with Load([other], users=12, prefix="other") as others, \
            Load([victim], users=12, prefix="own", kinds="sssg", lines=2) as own:
        others.all_served()
        own.all_served()
        for _ in range(5):
            own.fault_begins()
            others.fault_begins()
            victim.kill()
            victim.start_again()
            own.fault_ends()
            others.fault_ends()
            own.recovered()
    assert own.count()["own"] >= 12, "nothing was under way when it was killed"
    assert set(others.count()) == {"right"}, others.problems()
    row("A gateway killed in the middle of requests, 5 times", "12 users on it, 12 on another gateway", own, others)


def test_pods_killed_at_random_moments(plain_redis, house, row, soak):
    home = house(plain_redis.url, idle_timeout="10m")
    chance = random.Random(7)
    with Load(home.gateways, users=12, pods_die=True, lines=2) as load:
        load.all_served()
        load.fault_begins()
        for _ in range(200 if soak else 40):
            user = chance.choice(load.users)
            pid = home.get(user.name).json()["pid"]
            time.sleep(chance.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
        load.fault_ends()
        load.recovered()
    row("Pods killed at random, between lookup and dial and in the middle of answers", "12 users, 2 requests each at once",
        load)
