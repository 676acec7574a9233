"""How long a request waits after its pod is ready: what Alcove adds to a cold start. The time from create to ready is
Kubernetes' own, and told apart. Measured with the release binary: sanitizers would be what is measured."""

from __future__ import annotations

import concurrent.futures
import json
import math
import os
import re
import subprocess
import threading
import time

import pytest

from support.alcove import ROOT
from support.cluster import CACHE, KUBECONFIG, kubernetes_app, with_libraries
from support.installation import RELEASE

ROUNDS, AT_ONCE = 2, 100  # a node holds 110 pods
LIGHT_POD = "localhost/light-pod:1"


@pytest.fixture(scope="module")
def light_pod(cluster, tmp_path_factory):
    program = tmp_path_factory.mktemp("build") / "light_pod"
    subprocess.run(["gcc", "-O2", "-o", program, ROOT / "tests/support/light_pod.c"], check=True)
    root = tmp_path_factory.mktemp("root")
    with_libraries(root, program, "/light_pod")
    cluster.import_image(LIGHT_POD, root, ["/light_pod"])


@pytest.fixture
def first():
    """Who measures, and what is measured, gets the CPU before others: else it would be told how busy the machine is."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, -15)
    yield
    os.setpriority(os.PRIO_PROCESS, 0, before)


class ReadyTimes:
    """Watches the pods on its own, beside Alcove: when each of them was made, and when the API said that it is ready."""

    def __init__(self, run):
        self.ready: dict[str, float] = {}
        self.process = subprocess.Popen(
            [str(CACHE / "bin/kubectl"), "--kubeconfig", str(KUBECONFIG), "-n", run.cluster.namespace, "get", "pods",
             "-l", f"alcove/instance={run.instance}", "--watch", "-o",
             'jsonpath={.metadata.labels.alcove/name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}'],
            stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            now = time.monotonic()
            name, _, ready = line.strip().partition(" ")
            if ready == "True":
                self.ready.setdefault(name, now)

    def wait_all(self, users: list[str]):
        deadline = time.monotonic() + 20
        while missing := [u for u in users if u not in self.ready]:
            assert time.monotonic() < deadline, missing
            time.sleep(0.05)

    def close(self):
        self.process.kill()
        self.process.wait(20)
        self.thread.join(20)


def quantile(values: list[float], q: float) -> float:
    """The smallest that `q` of the values do not exceed."""
    return sorted(values)[math.ceil(q * len(values)) - 1]


def told_to_first_byte(run) -> dict[float, int]:
    """Upper bound in seconds -> how many held requests were at their pod so soon after the news that it is ready."""
    text = run.admin("/metrics").text
    return {float(bound): int(count) for bound, count in re.findall(
        r'^alcove_gateway_ready_to_first_byte_seconds_bucket\{.*?le="([^"]+)".*?\} (\d+)', text, re.MULTILINE)}


def kubernetes_share(run) -> dict[str, tuple[int, float]]:
    """Phase -> how many starts, and seconds on average."""
    found = {}
    text = run.admin("/metrics").text
    for phase in ("scheduled", "started", "ready"):
        total, count = (float(re.search(rf'^alcove_kubernetes_start_seconds_{what}\{{.*?phase="{phase}".*?\}} (\S+)', text,
                                        re.MULTILINE)[1]) for what in ("sum", "count"))
        found[phase] = (int(count), round(total / count, 3))
    return found


def test_two_hundred_cold_starts_are_served_within_ten_milliseconds_of_ready(light_pod, first, make):
    assert RELEASE.exists(), f"{RELEASE} is missing: ./dev build release makes it, or set ALCOVE_RELEASE_BIN"
    # 100 of them are most of the node: with less they would wait for the CPU behind everything else on a busy machine.
    app = kubernetes_app(start_timeout="180s", hold_timeout="200s", kubernetes={
        "image": LIGHT_POD, "args": ["{address}", "{port}"], "requests": {"cpu": "15m", "memory": "4Mi"}})
    run = make(binary=RELEASE, apps={"test": app}, provisioner={"starts_at_once": 4}, log={"access": False})
    after_ready, whole = [], []
    before = run.calls()
    for turn in range(ROUNDS):
        users = [f"r{turn}-{number}" for number in range(AT_ONCE)]
        seen = ReadyTimes(run)

        def visit(user: str) -> tuple[dict, float]:
            began = time.monotonic()
            return run.get(user, timeout=240).json(), began

        # Few at once: what is measured is Alcove's share, not that of a machine with no time for anybody.
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            visits = dict(zip(users, clients.map(visit, users)))
        seen.wait_all(users)
        for user, (answer, began) in visits.items():
            assert answer["session"] == f"test/{user}", answer
            after_ready.append(answer["first_byte_at"] - seen.ready[user])
            whole.append(seen.ready[user] - began)
        seen.close()
        if turn == 0:
            assert len(run.cluster_pods()) == AT_ONCE
        for user in users:
            assert run.admin(f"/api/v1/sessions/test/{user}", "DELETE").status in (200, 202)
        deadline = time.monotonic() + 120
        while run.cluster.items("pods", f"alcove/instance={run.instance}"):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    calls = {verb: count - before.get(verb, 0) for verb, count in run.calls().items()}
    buckets = told_to_first_byte(run)
    share = kubernetes_share(run)
    total, soon = buckets[float("inf")], buckets[0.01]
    print(json.dumps({
        "cold starts": total, "calls of the API": calls, "Kubernetes' share, s": {phase: mean for phase, (_, mean) in share.items()},
        "told ready to first byte, at most ms": {1000 * bound: count for bound, count in sorted(buckets.items())},
        "ready on a watch to first byte at the pod, ms": {f"p{round(100 * q)}": round(1000 * quantile(after_ready, q), 1)
                                                          for q in (0.5, 0.9, 0.99)},
        "asked to ready, s": {f"p{round(100 * q)}": round(quantile(whole, q), 2) for q in (0.5, 0.9, 0.99)}}))
    assert total == ROUNDS * AT_ONCE
    assert {count for count, _ in share.values()} == {total}
    assert soon >= 0.99 * total, buckets
    # From outside the last percent also waits for the API server's and the pods' turn: on a machine that others use too,
    # that was 10 to 22 ms, while all that Alcove did took 2.5. Alone it is 3 ms.
    assert quantile(after_ready, 0.9) <= 0.010
    asked = {verb: count for verb, count in calls.items() if count and verb != "watch"}
    assert asked == {"create": total, "delete": total}
