"""The faults of a cluster, each while a load runs that judges every answer (support/load.py): nothing is lost and nobody
reaches another's pod. Provisioner, reaper and two gateways over one Redis; the users' pods are on the cluster."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import threading
import time

import pytest

from support.cluster import API_PORT, kubernetes_app
from support.cluster_house import ClusterHouse
from support.faulty_link import FaultyLink
from support.load import Load

USERS = 6
PATIENT = {"start_timeout": "90s", "hold_timeout": "70s"}
# Kubernetes' own parts look again for an API server that was away after 30 to 60 s (client-go's reflector), and only then
# is a pod scheduled or begun: the hold of who comes meanwhile has to outlast the fault and that.
VERY_PATIENT = {"start_timeout": "150s", "hold_timeout": "130s"}


@pytest.fixture
def house(redis, make, cluster):
    return lambda *arguments, **keys: ClusterHouse(make, cluster, redis.url, *arguments, **keys)


@contextlib.contextmanager
def judged(home, **keys):
    """A load that everybody was served in before the fault and after it."""
    load = Load(home.gateways, users=USERS, pause=(0.05, 0.3), **keys)
    with load:
        load.all_served(90)
        yield load
        if load.fault_began and not load.fault_ended:
            load.fault_ends()
        load.recovered(90)
        load.has_been_right(10, 60)
    row = load.row()
    print(row)
    assert row["lost"] == row["wrong"] == 0, load.problems()


def only_right(load):
    assert set(load.count()) == {"right"}, load.problems()


@pytest.mark.parametrize(("component", "how", "seconds"), [
    ("kube-apiserver", "kill", 30), ("etcd", "kill", 15), ("etcd", "freeze", 15)])
def test_a_control_plane_that_is_away_for_a_while(house, component, how, seconds):
    """Who has a pod does not notice; who comes meanwhile waits, and is served afterwards."""
    home = house(**VERY_PATIENT)
    with judged(home) as load, concurrent.futures.ThreadPoolExecutor(1) as pool:
        load.fault_begins()
        with home.cluster.without(component, how):
            late = pool.submit(lambda: home.get("late", timeout=160))
            time.sleep(seconds)  # the length of the fault
            assert not late.done()
        load.fault_ends()
        answer = late.result(160)
        assert answer.status == 200, answer
        assert answer.json()["session"] == "test/late"
    only_right(load)
    assert all(home.generation(user.name) == 1 for user in load.users), "nobody lost a pod over it"


def test_a_provisioner_killed_between_create_and_publish(house):
    home = house("--start-delay", "3")
    with judged(home) as load, concurrent.futures.ThreadPoolExecutor(1) as pool:
        load.fault_begins()
        late = pool.submit(lambda: home.get("late", timeout=120))
        home.provisioner.wait_pods(lambda pods: len(pods) == USERS + 1)
        made = home.pod_of("late")["metadata"]["uid"]
        home.provisioner.kill()
        home.provisioner.start_again()
        load.fault_ends()
        assert late.result(120).json()["generation"] == 1
        assert home.pod_of("late")["metadata"]["uid"] == made, "it was adopted, not made again"
    only_right(load)


def test_watches_that_are_cut_every_two_seconds(house):
    """While sessions come and go: starts and ends are told by the watch."""
    link = FaultyLink(API_PORT)
    home = house(api_port=link.port, **PATIENT)
    ending = threading.Event()

    def cut():
        while not ending.wait(2):
            link.cut()

    with judged(home) as load:
        load.fault_begins()
        cutter = threading.Thread(target=cut, daemon=True)
        cutter.start()
        for number in range(4):
            assert home.get(f"guest{number}", timeout=90).status == 200
            home.stop(f"guest{number}")
        ending.set()
        cutter.join()
        load.fault_ends()
    only_right(load)
    assert link.cuts >= 8, link.cuts
    assert len(home.provisioner.wait_pods(lambda pods: len(pods) == USERS)) == USERS
    link.close()


def test_resource_versions_that_expire(house):
    """The watch is cut off; when it comes back, the version that it wants to go on from is history: 410, and a new list."""
    link = FaultyLink(API_PORT)
    home = house(api_port=link.port, **PATIENT)
    with judged(home, pods_die=True) as load:
        before = home.provisioner.metric("alcove_kubernetes_relists_total")
        load.fault_begins()
        link.refuses = True
        link.cut()
        gone = home.pod_of("user0")["metadata"]["name"]
        home.cluster.kubectl("delete", "pod", gone, "--grace-period=1")  # nobody tells us
        home.cluster.fault("compact")
        home.cluster.fault("kill", "kube-apiserver")  # its own memory of the history goes too
        home.cluster.fault("start", "kube-apiserver")
        home.cluster.wait_api()
        link.mend()
        load.fault_ends()
        load.recovered(90)
        assert home.provisioner.metric("alcove_kubernetes_relists_total") > before
        assert home.get("user0").json()["generation"] == 2
    link.close()


def test_a_pod_that_is_deleted_by_hand(house):
    home = house()
    with judged(home, pods_die=True) as load:
        load.fault_begins()
        for user in ("user0", "user1"):
            home.cluster.kubectl("delete", "pod", home.pod_of(user)["metadata"]["name"], "--grace-period=1", "--wait=false")
        deadline = time.monotonic() + 60
        while (s := home.provisioner.session("test/user1")) is None or s["state"] != "ready" or s["generation"] != 2:
            assert time.monotonic() < deadline, s
            time.sleep(0.1)
    assert [home.generation(u.name) for u in load.users] == [2, 2, 1, 1, 1, 1]


def test_a_pod_that_is_killed_for_its_memory(house):
    home = house(kubernetes={"limits": {"memory": "96Mi"}})
    with judged(home, pods_die=True) as load:
        load.fault_begins()
        assert home.get("user0", "/eat", method="POST").status == 502
        load.recovered(90)
        home.provisioner.wait_log("OOMKilled")
    assert home.generation("user0") == 2


@pytest.mark.parametrize(("broken", "reason"), [
    ({"image": "localhost/no-such-image:1"}, "ErrImageNeverPull"),
    ({"requests": {"cpu": "1000"}}, "Insufficient cpu")], ids=["image missing", "unschedulable"])
def test_an_app_that_cannot_start_harms_only_its_own_users(house, broken, reason):
    home = house(apps={"broken": kubernetes_app(start_timeout="4s", kubernetes=broken)})
    with judged(home) as load:
        load.fault_begins()
        for number in range(3):
            answer = home.get(f"user{number}", app_name="broken")
            assert (answer.status, answer.json()["code"]) == (503, "RW") and reason in answer.text, answer
        load.fault_ends()
    only_right(load)
    home.provisioner.wait_pods(lambda pods: len(pods) == USERS)


def test_a_quota_that_is_reached(house, cluster):
    """Who has a pod keeps it; who comes is told why, and is served as soon as there is room."""
    home = house()
    with judged(home) as load:
        load.fault_begins()
        cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "1"}}})
        try:
            deadline = time.monotonic() + 30
            while not cluster.items("resourcequotas")[0].get("status", {}).get("hard"):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            refused = home.get("late")
            assert refused.status == 503 and "exceeded quota: full" in refused.text, refused
        finally:
            cluster.kubectl("delete", "resourcequota", "full")
        load.fault_ends()
        deadline = time.monotonic() + 30
        while (answer := home.get("late")).status != 200:
            assert answer.status == 503 and time.monotonic() < deadline, answer
            time.sleep(0.5)  # until its start may be tried again
    only_right(load)


def test_a_node_that_is_not_ready(house):
    """40 s until it counts as lost and 30 s that our pods wait for it; they run on, cut off from Kubernetes. Then their
    sessions wait, since there is no other node, and begin anew when it is back."""
    home = house(start_timeout="150s", hold_timeout="70s")
    with judged(home, pods_die=True) as load:
        load.fault_begins()
        with home.cluster.second_node(), home.cluster.without("kubelet", "freeze"):
            for user in load.users:
                home.provisioner.wait_state(f"test/{user.name}", "absent", "pending", "starting", timeout=150)
        load.fault_ends()
        load.recovered(120)
    assert all(home.generation(user.name) == 2 for user in load.users)


def test_a_token_that_rotates(house, cluster, place):
    """The old one is of no more use, as after its expiry: a new account of the same name has another identity."""
    rights = [("role", "provisioner", "--verb=get,list,watch,create,delete", "--resource=pods"),
              ("rolebinding", "provisioner", "--role=provisioner", f"--serviceaccount={cluster.namespace}:provisioner")]
    for words in rights:
        cluster.kubectl("create", *words, check=False)
    token = place / "token"

    def rotate():
        cluster.kubectl("delete", "serviceaccount", "provisioner", "--ignore-not-found")
        cluster.kubectl("create", "serviceaccount", "provisioner")
        path = f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/provisioner/token"
        answer = cluster.kubectl("create", "--raw", path, "-f", "-", stdin='{"spec": {"expirationSeconds": 600}}')
        replacement = place / "token.new"
        replacement.write_text(json.loads(answer)["status"]["token"])
        replacement.rename(token)

    rotate()
    home = house(prepare=lambda run: run.as_token(token))
    with judged(home) as load:
        load.fault_begins()
        for number in range(3):
            rotate()
            assert home.get(f"guest{number}").status == 200
            home.stop(f"guest{number}")
        load.fault_ends()
    only_right(load)


def test_a_pod_that_is_stuck_terminating(house, cluster):
    """Something holds on to the object. Its own session waits for it; everybody else does not."""
    home = house(runtime={"force_after": "2s"})
    with judged(home) as load, concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert home.get("stuck").json()["generation"] == 1
        name = home.pod_of("stuck")["metadata"]["name"]
        cluster.kubectl("patch", "pod", name, "--type=merge", "-p", '{"metadata": {"finalizers": ["example.com/holds-on"]}}')
        load.fault_begins()
        stopped = pool.submit(home.stop, "stuck")
        home.provisioner.wait_state("test/stuck", "stopping")
        again = pool.submit(lambda: home.get("stuck", timeout=120))
        home.reaper.wait_log("removing it by force")
        assert home.get("late").json()["generation"] == 1
        assert not again.done()
        cluster.kubectl("patch", "pod", name, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        load.fault_ends()
        assert again.result(120).json()["generation"] == 2
        stopped.result(120)
    only_right(load)
