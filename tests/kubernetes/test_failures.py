"""A start that fails on the cluster is told in the cluster's own words, soon, and leaves nothing behind."""

import time

from support.alcove import run_alcove
from support.cluster import kubernetes_app, python_app
from support.ports import free_port


def told(run, user: str = "ada") -> str:
    before = run.calls()
    began = time.monotonic()
    answer = run.get(user)
    took = time.monotonic() - began
    assert answer.status == 503 and answer.json()["code"] == "RW", answer
    assert took < 30, f"told only after {took:.1f} s"
    session = run.session(f"test/{user}")
    assert session["state"] == "failed" and session["reason"] in answer.text.replace('\\"', '"')
    run.wait_pods(lambda pods: not pods, timeout=20)
    calls = {verb: count - before.get(verb, 0) for verb, count in run.calls().items() if verb != "watch"}
    assert calls.pop("create") == 1 and calls.pop("delete") <= 1, "one try"
    assert sum(calls.values()) <= 1, f"one look at what went wrong: {calls}"
    return session["reason"]


def test_an_image_that_is_not_there(make):
    run = make(apps={"test": kubernetes_app(kubernetes={"image": "localhost/no-such-image:1"})})
    assert "ErrImageNeverPull" in told(run)


def test_an_image_that_cannot_be_pulled(make):
    run = make(apps={"test": kubernetes_app(kubernetes={"image": "localhost/no-such-image:1", "pull": "always"})})
    reason = told(run)
    assert "ErrImagePull" in reason and "no-such-image" in reason


def test_a_pod_that_fits_on_no_node(make):
    run = make(apps={"test": kubernetes_app(start_timeout="3s", kubernetes={"requests": {"cpu": "1000"}})})
    reason = told(run)
    assert reason.startswith("the pod was not ready within 3.0 s: no node takes it: ")
    assert "Insufficient cpu" in reason


def test_a_program_that_ends_with_its_last_words(make):
    run = make(apps={"test": kubernetes_app("--fail", "the licence has expired")})
    assert told(run) == "the pod exited with code 1 before it was ready; it wrote: the licence has expired"


def test_a_program_that_does_not_exist(make):
    run = make(apps={"test": kubernetes_app(kubernetes={"command": ["/no/such/program"], "args": []})})
    assert "/no/such/program" in told(run)


def test_a_program_that_wants_too_much_memory(make):
    hungry = "x = []\nwhile True: x.append('x' * 1_000_000)"
    run = make(apps={"test": python_app(hungry, kubernetes={"limits": {"memory": "32Mi"}})})
    assert "OOMKilled" in told(run)


def test_a_crash_loop(make):
    run = make(apps={"test": kubernetes_app("--fail", "broken again", kubernetes={"pod": {"spec": {"restartPolicy": "Always"}}})})
    reason = told(run)
    assert "CrashLoopBackOff" in reason and "broken again" in reason


def test_a_secret_that_is_not_there(make):
    run = make(apps={"test": kubernetes_app(kubernetes={"secret_env": {"TOKEN": "no-such-secret/token"}})})
    assert "no-such-secret" in told(run)


def test_a_volume_that_cannot_be_mounted(make):
    run = make(apps={"test": kubernetes_app(start_timeout="8s", kubernetes={
        "volumes": {"keys": {"path": "/keys", "secret": "no-such-secret"}}})})
    reason = told(run)
    assert "FailedMount" in reason and "no-such-secret" in reason


def test_a_quota_that_is_used_up(make, cluster):
    cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
                   "spec": {"hard": {"requests.nvidia.com/gpu": "1"}}})
    deadline = time.monotonic() + 30
    while not cluster.items("resourcequotas")[0].get("status", {}).get("hard"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    try:
        run = make(apps={"test": kubernetes_app(kubernetes={"requests": {"nvidia.com/gpu": "2"},
                                                            "limits": {"nvidia.com/gpu": "2"}})})
        reason = told(run)
        assert "exceeded quota: small" in reason
    finally:
        cluster.kubectl("delete", "resourcequota", "small")


def test_an_overlay_that_the_api_refuses(make):
    run = make(apps={"test": kubernetes_app(kubernetes={"pod": {"spec": {"dnsPolicy": "Nonsense"}}})})
    assert "dnsPolicy" in told(run)


def test_an_image_that_would_run_as_root(make):
    run = make(apps={"test": kubernetes_app(kubernetes={"run_as_user": 0})})
    assert "runAsNonRoot" in told(run)


def test_check_asks_the_cluster_whether_it_would_take_the_pods(make, cluster):
    """A dry run: what is wrong is told in the API's words, and nothing is made."""
    apps = {"good": kubernetes_app(kubernetes={"volumes": {"data": {"path": "/data", "claim": {"size": "1Gi"}}}}),
            "bad": kubernetes_app(kubernetes={"pod": {"spec": {"dnsPolicy": "Nonsense"}}}),
            "worse": kubernetes_app(kubernetes={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})}
    run = make(start=False, apps=apps)
    run.write_config()
    done = run_alcove("check", "--server", str(run.file))
    assert done.returncode == 2, done.stdout
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["apps.bad", "apps.worse"]
    assert "dnsPolicy" in done.stderr and "must be less than or equal to cpu limit" in done.stderr
    assert not cluster.items("pods,persistentvolumeclaims", f"alcove/instance={run.instance}")
    run.config["apps"] = {"good": apps["good"]}
    run.write_config()
    done = run_alcove("check", "--server", str(run.file))
    assert done.returncode == 0, done.stderr


def test_check_says_that_the_cluster_cannot_be_reached(make):
    run = make(start=False, api_port=free_port())
    run.write_config()
    done = run_alcove("check", "--server", str(run.file), timeout=90)
    assert done.returncode == 2 and "cannot be reached" in done.stderr, done.stderr
