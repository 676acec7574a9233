"""Pods end in ways that nobody asked for: it is noticed, and the session goes on. The faults of the cluster, with load
running, are in test_faults_under_load.py."""

import time

from support.cluster import kubernetes_app


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
