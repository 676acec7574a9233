"""Eviction against return over the real store code, rules and a real redis-server (tests/soak/eviction_rounds.cpp)."""

import json
import subprocess

from support.alcove import BIN

PROGRAM = BIN.parent / "tests" / "soak" / "eviction_rounds"


class Counted:
    """What the program counted, as a load's row."""

    def __init__(self, said: dict):
        self.said = said
        self.fault_began = 0.0

    def row(self) -> dict:
        said = self.said
        return {"users": 60, "sent": said["rounds"], "right": said["right"], "clear": 0, "own": 0,
                "lost": said["lost"] + said["twins"], "wrong": said["wrong"], "recover_s": None, "errors": {}}

    def problems(self) -> str:
        return str(self.said)


def test_eviction_against_return(plain_redis, soak, row):
    rounds = 100_000 if soak else 3_000
    done = subprocess.run([str(PROGRAM), str(plain_redis.port), str(rounds), "1"], capture_output=True, text=True,
                          timeout=1500)
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    print(said, done.stderr[-2000:])
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    assert said["evictions"] > rounds / 10, "the rounds missed their aim"
    assert said["rescues"] > rounds / 100 and said["from_cache"] > rounds / 100, said
    row(f"Eviction against return, {rounds} rounds ({said['evictions']} evictions, {said['rescues']} rescues)",
        "60 users, 3 gateways, the store's own code on a real Redis, no sockets", Counted(said), least=rounds)
