"""The cluster misbehaves while sessions are used: nobody is misrouted, and what was lost begins anew."""

import concurrent.futures
import contextlib
import json
import threading
import time

from support.cluster import API_PORT, kubernetes_app
from support.faulty_link import FaultyLink


class Load:
    """Users who ask again and again, each checking that the answer is its own pod's. A GET may meet the end of a pod that
    was taken away (it is asked once more then); anything else that is no 200 is a loss."""

    def __init__(self, run, users):
        self.run = run
        self.users = users
        self.ending = threading.Event()
        self.served = 0
        self.wrong = []
        self.lost = []

    def use(self, user):
        while not self.ending.is_set():
            answer = self.run.get(user)
            if answer.status != 200:
                self.lost.append((user, answer.status, answer.text))
            elif answer.json()["session"] != f"test/{user}":
                self.wrong.append((user, answer.json()["session"]))
            else:
                self.served += 1
            self.ending.wait(0.05)

    @contextlib.contextmanager
    def running(self):
        for user in self.users:
            assert self.run.get(user).status == 200
        with concurrent.futures.ThreadPoolExecutor(len(self.users)) as pool:
            users = [pool.submit(self.use, user) for user in self.users]
            try:
                yield
            finally:
                self.ending.set()
            for user in users:
                user.result(90)
        assert not self.wrong, self.wrong
        assert not self.lost, self.lost
        assert self.served > 10 * len(self.users)


def test_a_pod_that_is_deleted_by_hand_is_followed_by_the_next(make):
    run = make()
    assert run.get("ada").json()["generation"] == 1
    pod, = run.cluster_pods()
    run.cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    run.wait_state("test/ada", "absent")
    assert run.get("ada").json()["generation"] == 2


def test_a_pod_that_is_evicted_is_followed_by_the_next_while_it_still_ends(make):
    run = make(apps={"test": kubernetes_app("--ignore-sigterm", stop_grace="20s")})
    assert run.get("ada").json()["generation"] == 1
    pod, = run.cluster_pods()
    name = pod["metadata"]["name"]
    run.cluster.kubectl("create", "--raw", f"/api/v1/namespaces/{run.cluster.namespace}/pods/{name}/eviction", "-f", "-",
                        stdin='{"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "%s"}}' % name)
    began = time.monotonic()
    run.wait_state("test/ada", "absent")
    assert run.get("ada").json()["generation"] == 2
    assert time.monotonic() - began < 15, "the old one has 20 s to end"


def test_a_program_that_crashes_is_followed_by_the_next(make):
    run = make()
    run.get("ada")
    assert run.get("ada", "/crash", method="POST").status == 502
    session = run.wait_state("test/ada", "absent")
    assert session is None or "exited with code 3" in session["reason"]
    assert run.get("ada").json()["generation"] == 2


def test_without_the_api_who_has_a_pod_is_served_and_who_has_none_waits(make):
    run = make(apps={"test": kubernetes_app(start_timeout="90s", hold_timeout="100s")})
    load = Load(run, ["ada", "grace"])
    with load.running(), concurrent.futures.ThreadPoolExecutor(1) as pool:
        with run.cluster.without("kube-apiserver"):
            waits = pool.submit(lambda: run.get("edsger", timeout=120))
            time.sleep(30)  # the length of the fault
            assert not waits.done()
        assert waits.result(100).json()["session"] == "test/edsger"
    for user in ("ada", "grace"):
        assert run.session(f"test/{user}")["generation"] == 1, "nobody lost a pod over it"


def test_a_store_of_the_cluster_that_hangs_is_outlasted(make):
    run = make(apps={"test": kubernetes_app(start_timeout="90s", hold_timeout="100s")})
    load = Load(run, ["ada"])
    with load.running(), concurrent.futures.ThreadPoolExecutor(1) as pool:
        with run.cluster.without("etcd", "freeze"):
            waits = pool.submit(lambda: run.get("grace", timeout=120))
            time.sleep(15)  # the length of the fault
        assert waits.result(100).json()["session"] == "test/grace"


def test_watches_that_are_cut_and_versions_that_expire_lose_nothing(make):
    link = FaultyLink(API_PORT)
    run = make(api_port=link.port)
    load = Load(run, ["ada", "grace"])
    with load.running():
        for user in ("one", "two", "three"):
            link.cut()
            run.cluster.fault("compact")
            assert run.get(user).json()["session"] == f"test/{user}"
            link.cut()
            assert run.cli("stop", f"test/{user}").returncode == 0
    assert link.cuts >= 6
    assert {p["metadata"]["labels"]["alcove/name"] for p in run.cluster_pods()} == {"ada", "grace"}
    link.close()


def test_pods_that_went_while_the_watch_was_away_are_noticed(make):
    run = make()
    run.get("ada")
    gone, = run.cluster_pods()
    with run.cluster.without("kube-apiserver"):
        # Nobody can tell us; afterwards it is a failed pod, and the API's history begins anew.
        assert run.get("ada", "/crash", method="POST").status == 502
    assert run.get("ada").json()["generation"] == 2
    assert gone["metadata"]["uid"] not in [p["metadata"]["uid"] for p in run.cluster_pods()]


def test_a_pod_that_does_not_end_is_removed_by_force_and_its_session_goes_on(make):
    """Its node is silent: kubelet is gone, and with it whoever could say that the containers have ended."""
    run = make(apps={"test": kubernetes_app(stop_grace="1s")})
    run.config["runtime"]["kubernetes"]["force_after"] = "3s"
    assert run.stop() == 0
    run.start_again()
    assert run.get("ada").json()["generation"] == 1
    with run.cluster.without("kubelet", "freeze"):
        assert run.cli("stop", "test/ada").returncode == 0
        assert not run.cluster.items("pods", f"alcove/instance={run.instance}")
    assert run.get("ada").json()["generation"] == 2


def test_a_pod_of_a_node_that_is_lost_is_told_and_its_session_goes_on(make):
    """40 s until the node counts as lost, 30 s that our pods wait for it."""
    run = make(apps={"test": kubernetes_app(stop_grace="1s")})
    run.get("ada")
    with run.cluster.second_node(), run.cluster.without("kubelet", "freeze"):
        run.wait_state("test/ada", "absent", timeout=150)
    assert run.get("ada").json()["generation"] == 2


def test_a_token_that_rotates_is_followed(make, cluster, place):
    cluster.kubectl("create", "serviceaccount", "provisioner", check=False)
    cluster.kubectl("create", "role", "provisioner", "--verb=get,list,watch,create,delete", "--resource=pods", check=False)
    cluster.kubectl("create", "rolebinding", "provisioner", "--role=provisioner",
                    f"--serviceaccount={cluster.namespace}:provisioner", check=False)

    def new_token() -> str:
        answer = cluster.kubectl("create", "--raw", f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/provisioner/token",
                                 "-f", "-", stdin='{"spec": {"expirationSeconds": 600}}')
        return json.loads(answer)["status"]["token"]

    token = place / "token"
    token.write_text(new_token())
    run = make(start=False)
    run.as_token(token)
    run.start()
    assert run.get("ada").json()["generation"] == 1
    # The old one is of no more use, as after its expiry: a new account of the same name has another identity.
    cluster.kubectl("delete", "serviceaccount", "provisioner")
    cluster.kubectl("create", "serviceaccount", "provisioner")
    replacement = place / "token.new"
    replacement.write_text(new_token())
    replacement.rename(token)
    assert run.get("grace").json()["session"] == "test/grace"
