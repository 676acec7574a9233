"""Clocks that jump by an hour, in either direction: of Redis, which is the store's clock, and of Alcove's own processes."""

import email.utils
import time

import pytest

from support.load import Load
from support.other_clock import OtherClock

HOUR = 3600


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_of_redis(redis_server, place, house, row, jump):
    clock = OtherClock(place)
    redis = redis_server(environment=clock.environment)
    home = house(redis.url, idle_timeout="2s", drain_grace="1s")
    with Load(home.gateways, users=16, drifters=4, away=4.0) as load:
        load.all_served()
        before = int(redis.command("TIME").split(b"\r\n")[2])
        load.fault_begins()
        clock.move(jump)
        time.sleep(4)
        assert abs(int(redis.command("TIME").split(b"\r\n")[2]) - before - jump) < 60
        clock.move(0)
        time.sleep(4)
        load.fault_ends()
        load.recovered()
        # New users too, after both jumps.
        with Load(home.gateways, users=4, prefix="new") as new:
            new.all_served()
    row(f"Redis' clock jumps an hour {'forward and back' if jump > 0 else 'back and forward'}",
        "16 users, 4 of them evicted and back, 4 new ones", load, new)


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_of_alcove(plain_redis, place, house, row, jump):
    clock = OtherClock(place)
    home = house(plain_redis.url, environment=clock.environment, idle_timeout="2s", drain_grace="1s")
    with Load(home.gateways, users=16, drifters=4, away=4.0) as load:
        load.all_served()
        load.fault_begins()
        clock.move(jump)
        time.sleep(4)
        says = email.utils.parsedate_to_datetime(home.gateways[0].get("ada", app_name="none").header("Date")).timestamp()
        assert abs(says - time.time() - jump) < 60, "its clock did not jump"
        clock.move(0)
        time.sleep(4)
        load.fault_ends()
        load.recovered()
    row(f"Alcove's clock jumps an hour {'forward and back' if jump > 0 else 'back and forward'}",
        "16 users, 4 of them evicted and back", load)
