"""Full disks: for Redis' append-only file, and for what Alcove keeps of its pods and writes as logs."""

import os
import subprocess
import time

import pytest

from support.load import Load


class SmallDisk:
    """A tmpfs of its own: needs root."""

    def __init__(self, directory, size: str):
        self.directory = directory
        directory.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], check=True)

    def fill(self):
        with open(self.directory / "ballast", "ab", buffering=0) as file:
            for size in (1 << 16, 1 << 10, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def free(self):
        (self.directory / "ballast").unlink()

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.directory)], check=True)


@pytest.fixture
def disk(place):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disks = []

    def mount(name: str, size: str) -> SmallDisk:
        disks.append(SmallDisk(place / name, size))
        return disks[-1]

    yield mount
    for one in disks:
        one.unmount()


def test_full_for_redis_aof(redis_server, disk, house, row):
    small = disk("aof", "4m")
    redis = redis_server(aof=True, directory=small.directory)
    home = house(redis.url, config={"outage": {"serve_known_for": "20s"}}, hold_timeout="3s", idle_timeout="10m")
    with Load(home.gateways, users=16) as known:
        known.all_served()
        home.warm([u.name for u in known.users])
        known.fault_begins()
        small.fill()
        with Load(home.gateways, users=6, prefix="new", pause=(0.2, 0.5)) as new:
            new.fault_begins()
            time.sleep(7)
            small.free()
            known.fault_ends()
            new.fault_ends()
            new.recovered()
            known.recovered()
    meanwhile = [a for a in known.answers(known.fault_began) if a.done < known.fault_ended]
    assert all(a.verdict == "right" for a in meanwhile), known.problems()
    assert b"No space left" in (small.directory / "redis.log").read_bytes() or redis.info("aof_last_write_status")
    row("Disk full for Redis' AOF, for 7 s", "16 known users (all served), 6 new ones", known, new)


def test_full_for_alcoves_state_and_logs(plain_redis, disk, house, row, place):
    """Nothing can be written where pods have their directories, records and logs: who has a pod notices nothing, who
    needs one is told so."""
    small = disk("state", "4m")
    home = house(plain_redis.url, idle_timeout="10m", hold_timeout="5s")
    with Load(home.gateways, users=12) as known:
        known.all_served()
        known.fault_begins()
        small.fill()
        with Load(home.gateways, users=4, prefix="new", pause=(0.2, 0.5)) as new:
            new.fault_begins()
            time.sleep(5)
            small.free()
            known.fault_ends()
            new.fault_ends()
            new.recovered()
            known.recovered()
    assert set(known.count()) == {"right"}, known.problems()
    assert any("space" in a.what for a in new.answers() if a.verdict == "clear"), new.problems()
    row("Disk full for pods' directories, records and logs, for 5 s", "12 known users, 4 new ones (told why)", known, new)
