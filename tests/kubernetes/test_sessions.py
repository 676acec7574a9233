"""Sessions whose pods run on a real cluster, through the real binary."""

import concurrent.futures
import json
import re
import subprocess
import time
import uuid

import pytest

from support.alcove import BIN, wait_output
from support.cluster import kubernetes_app, python_app

# Appends its generation to a file on its volume, and serves the folder.
KEEPER = """
import http.server, os
with open('/data/generations', 'a') as file: print(os.environ['ALCOVE_GENERATION'], file=file)
os.chdir('/data')
http.server.ThreadingHTTPServer(('0.0.0.0', 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def spent(run, before: dict) -> dict:
    """Calls of the API since `before`, by verb, without what was not called."""
    return {verb: count - before.get(verb, 0) for verb, count in run.calls().items() if count != before.get(verb, 0)}


@pytest.fixture
def storage(cluster, place):
    """The name of a storage class that has one volume."""
    name = f"folder-{uuid.uuid4().hex[:8]}"
    cluster.folder_volume(place / "volume", name)
    yield name
    cluster.kubectl("delete", "pv", name, "--wait=false", "--ignore-not-found")


def test_a_request_is_held_until_its_pod_answers_and_the_next_goes_straight_to_it(make):
    run = make()
    first = run.get("ada", "/hello", method="POST", body=b"x" * 100_000).json()
    assert (first["session"], first["generation"], first["body_length"]) == ("test/ada", 1, 100_000)
    assert first["address"].startswith("10.244.")
    began = time.monotonic()
    again = run.get("ada").json()
    assert time.monotonic() - began < 1
    assert (again["address"], again["pid"], again["requests"]) == (first["address"], first["pid"], 2)


def test_a_cold_start_costs_one_call_of_the_api_and_an_end_one(make):
    run = make()
    run.get("ada")
    before = run.calls()
    for user in ("grace", "edsger", "barbara"):
        assert run.get(user).status == 200
    assert spent(run, before) == {"create": 3}
    before = run.calls()
    assert run.cli("stop", "test/grace").returncode == 0
    assert spent(run, before) == {"delete": 1}


def test_a_pod_is_locked_down_and_says_whose_it_is(make):
    run = make()
    assert run.get("Ada $(ALCOVE_SESSION) \"Lovelace\"").status == 200
    pod, = run.cluster_pods()
    assert pod["metadata"]["annotations"]["alcove/user"] == "Ada $(ALCOVE_SESSION) \"Lovelace\""
    assert pod["metadata"]["labels"]["alcove/app"] == "test"
    facts = run.get("Ada $(ALCOVE_SESSION) \"Lovelace\"").json()
    assert facts["environment"]["ALCOVE_USER"] == "Ada $(ALCOVE_SESSION) \"Lovelace\"", "nothing was replaced in it"
    name = pod["metadata"]["name"]
    found = run.cluster.kubectl("exec", name, "--", "/usr/bin/python3.11", "-S", "-c",
                                "import os,json\n"
                                "try: open('/etc/x','w'); writes=True\n"
                                "except OSError: writes=False\n"
                                "status=open('/proc/1/status').read()\n"
                                "print(json.dumps([os.getuid(), writes, os.path.exists('/var/run/secrets'),"
                                " [l for l in status.splitlines() if l.startswith(('CapEff','NoNewPrivs'))]]))")
    uid, writes, token, status = json.loads(found)
    assert (uid, writes, token) == (65532, False, False)
    assert [re.split(r"\s+", line)[1] for line in status] == ["0000000000000000", "1"]


def test_an_idle_pod_goes_and_its_files_are_there_in_the_next_generation(make, cluster, storage):
    app = python_app(KEEPER, idle_timeout="2s", ready_path="/generations", kubernetes={
        "fs_group": 65532,
        "volumes": {"data": {"path": "/data", "claim": {"size": "1Gi", "storage_class": storage}}}})
    run = make(apps={"test": app})
    before = run.calls()
    assert run.get("ada", "/generations").text == "1\n"
    assert spent(run, before) == {"create": 2}
    run.wait_state("test/ada", "absent")
    run.wait_pods(lambda pods: not pods)
    before = run.calls()
    assert run.get("ada", "/generations").text == "1\n2\n"
    assert spent(run, before) == {"create": 2}, "it finds the volume there"
    claims = cluster.items("persistentvolumeclaims", f"alcove/instance={run.instance}")
    assert len(claims) == 1, "one volume for all generations"


def test_a_volume_that_is_not_kept_goes_with_its_pod(make, cluster, storage):
    run = make(apps={"test": kubernetes_app(kubernetes={"volumes": {
        "data": {"path": "/data", "claim": {"size": "1Gi", "storage_class": storage, "keep": False}}}})})
    before = run.calls()
    run.get("ada")
    assert spent(run, before) == {"create": 2, "patch": 1}
    of_ours = ("persistentvolumeclaims", f"alcove/instance={run.instance}")
    claim, = cluster.items(*of_ours)
    pod, = run.cluster_pods()
    assert [owner["uid"] for owner in claim["metadata"]["ownerReferences"]] == [pod["metadata"]["uid"]]
    assert run.cli("stop", "test/ada").returncode == 0
    deadline = time.monotonic() + 60
    while cluster.items(*of_ours):
        assert time.monotonic() < deadline, "Kubernetes takes away what its owner has left"
        time.sleep(0.2)


def test_a_websocket_lives_and_keeps_its_pod(make):
    run = make(apps={"test": kubernetes_app(idle_timeout="2s")})
    socket = run.websocket("ada")
    for turn in range(8):
        assert socket.echo(f"turn {turn}")
        time.sleep(0.5)
    assert run.session("test/ada")["generation"] == 1


def test_output_is_read_and_followed(make):
    run = make()
    run.get("ada")
    assert wait_output(run, "test/ada", "request 1\n") == "pod listens on 0.0.0.0:8080\nGET / request 1\n"
    follower = subprocess.Popen([str(BIN), "logs", "-f", "test/ada", "--admin", f"127.0.0.1:{run.admin_port}"],
                                stdout=subprocess.PIPE, text=True)
    try:
        run.get("ada", "/later")
        for line in follower.stdout:
            if line == "GET /later request 2\n":
                break
        else:
            raise AssertionError("it ended without the line")
    finally:
        follower.kill()
        follower.wait(20)


def test_fifty_sessions_at_once_are_fifty_pods_each_with_its_own_answers(make):
    users = [f"user{number}" for number in range(50)]
    run = make(provisioner={"starts_at_once": 50, "retry_first": "500ms"},
               apps={"test": kubernetes_app(start_timeout="180s", hold_timeout="200s",
                                            kubernetes={"requests": {"cpu": "1m", "memory": "8Mi"}})})
    before = run.calls()
    with concurrent.futures.ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(lambda user: run.get(user, timeout=240).json(), users))
    assert [a["session"] for a in answers] == [f"test/{user}" for user in users]
    assert len({a["address"] for a in answers}) == 50
    pods = run.cluster_pods()
    assert len(pods) == 50
    assert {p["metadata"]["annotations"]["alcove/user"] for p in pods} == set(users)
    calls = spent(run, before)
    objects = {kind: len(run.cluster.items(kind, f"alcove/instance={run.instance}"))
               for kind in ("pods", "persistentvolumeclaims", "configmaps", "secrets", "services")}
    print("for 50 cold starts: calls of the API", calls, "objects", objects)
    assert {verb: count for verb, count in calls.items() if verb != "watch"} == {"create": 50}
    assert {kind: count for kind, count in objects.items() if count} == {"pods": 50}


def test_a_killed_alcove_with_an_empty_store_finds_its_pods_again(make):
    """Its memory store is gone with it: all that is known comes from the pods' labels."""
    run = make()
    before = run.get("ada").json()
    run.kill()
    run.start_again()
    run.wait_log("its record was lost; wrote it again")
    after = run.get("ada").json()
    assert (after["address"], after["pid"], after["generation"]) == (before["address"], before["pid"], 1)


def test_a_provisioner_that_dies_while_a_pod_starts_is_followed_by_one_that_adopts_it(make, redis):
    app = kubernetes_app("--start-delay", "6", ready_path="/")
    run = make(store=redis.url, provisioner={"claim_lease": "1s", "retry_first": "500ms"}, apps={"test": app})
    with concurrent.futures.ThreadPoolExecutor(1) as client:
        asked = client.submit(lambda: run.get("ada").status)
        made, = run.wait_pods(lambda pods: len(pods) == 1)
        run.kill()
        try:
            asked.result(60)
        except Exception:  # the gateway died with it  # noqa: BLE001
            pass
    run.start_again()
    answer = run.get("ada").json()
    assert answer["generation"] == 1
    pod, = run.cluster_pods()
    assert pod["metadata"]["uid"] == made["metadata"]["uid"]
