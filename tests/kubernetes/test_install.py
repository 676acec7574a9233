"""The installation, end to end: `kubectl apply -k config/kubernetes/overlays/test`, and users."""

from __future__ import annotations

import shutil
import time

import pytest

from support.alcove import wait_output
from support.installation import DEPLOYMENTS, MANIFESTS, RELEASE, Installation, documented_rights

ROLES = ("gateway", "provisioner", "reaper", "api")
ACCOUNTS = [*(f"alcove-{role}" for role in ROLES), "alcove-redis"]
# What Kubernetes lets every account do: ask what it may do itself.
EVERYBODY = {(f"selfsubject{what}reviews.authorization.k8s.io", "create") for what in ("access", "rules")}


@pytest.fixture(scope="module")
def installed(cluster, tmp_path_factory):
    assert RELEASE.exists(), f"{RELEASE} is missing: ./dev build release makes it, or set ALCOVE_RELEASE_BIN"
    installation = Installation(tmp_path_factory.mktemp("install"))
    installation.make_images()
    installation.remove()  # what a run that was cut off has left
    try:
        installation.apply()
        yield installation
    finally:
        installation.remove(wait=False)


@pytest.fixture(autouse=True)
def use_nothing_yet(installed):
    """Each test begins with no pod of another."""
    wait_gone(installed)


def wait_gone(installed, timeout: float = 60):
    deadline = time.monotonic() + timeout
    while pods := [p["metadata"]["name"] for p in installed.session_pods()]:
        assert time.monotonic() < deadline, (pods, installed.story())
        time.sleep(0.2)


def test_all_roles_run_from_our_image_which_has_no_shell(installed):
    ready = {d["metadata"]["name"]: d["status"].get("readyReplicas", 0) for d in installed.own.items("deployments")}
    assert ready == {name: 2 if name == "alcove-gateway" else 1 for name in DEPLOYMENTS}
    for role in ROLES:
        for pod in installed.pods(role):
            assert pod["spec"]["containers"][0]["image"] == "localhost/alcove:test"
            process = installed.process_of(pod)
            status = (process / "status").read_text()
            assert "Uid:\t65532\t65532" in status and "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
            programs = [p.name for folder in ("bin", "usr/bin", "usr/sbin", "sbin")
                        for p in (process / "root" / folder).glob("*")]
            assert programs == ["alcove"]
            assert (process / "root/etc/ssl/certs/ca-certificates.crt").stat().st_size > 100_000


def test_a_request_is_held_while_its_pod_starts_and_the_next_is_direct_until_the_pod_is_idle(installed):
    one, two = installed.addresses("gateway")
    first = installed.get(one, "ada").json()
    assert (first["session"], first["user"], first["generation"]) == ("test/ada", "ada", 1)
    pod, = installed.session_pods()
    assert first["address"] == f"{pod['status']['podIP']}:8080"
    began = time.monotonic()
    second = installed.get(two, "ada").json()
    assert time.monotonic() - began < 0.5
    assert (second["address"], second["generation"], second["requests"]) == (first["address"], 1, 2)
    service, = [s for s in installed.own.items("services") if s["metadata"]["name"] == "alcove-gateway"]
    third = installed.get(service["spec"]["clusterIP"], "ada", port=80).json()
    assert third["requests"] == 3
    wait_gone(installed)
    deadline = time.monotonic() + 20
    while installed.listed():
        assert time.monotonic() < deadline, installed.listed()
        time.sleep(0.1)
    assert installed.get(one, "ada").json()["generation"] == 2


def test_a_websocket_lives_and_keeps_its_pod(installed):
    """For three times the idle time."""
    one, two = installed.addresses("gateway")
    socket = installed.websocket(one, "ada")
    for turn in range(12):
        assert socket.echo(f"turn {turn}")
        time.sleep(1)
    assert installed.get(two, "ada").json()["requests"] == 1, "the pod has seen no other request, and is still the first"


def test_a_file_on_the_volume_is_there_in_the_next_generation(installed):
    one, two = installed.addresses("gateway")
    assert installed.get(one, "ada", "/generations", app="keeper").text == "1\n"
    wait_gone(installed)
    assert installed.get(two, "ada", "/generations", app="keeper").text == "1\n2\n"
    claim, = installed.sessions.items("persistentvolumeclaims")
    assert claim["status"]["phase"] == "Bound"


def test_people_ask_the_api_role(installed):
    one, _ = installed.addresses("gateway")
    installed.get(one, "ada")
    assert [s["key"] for s in installed.listed()] == ["test/ada"]
    written = wait_output(installed, "test/ada", "request 1\n")
    assert written == "pod listens on 0.0.0.0:8080\nGET / request 1\n"
    done = installed.cli("stop", "test/ada")
    assert done.returncode == 0, done.stderr
    wait_gone(installed)


def test_the_cluster_takes_the_apps_of_the_configuration(installed):
    said = installed.own.kubectl("exec", "deployment/alcove-provisioner", "--", "alcove", "check", "--server",
                                 "/etc/alcove/config/alcove.yaml")
    assert "is good" in said
    assert not installed.session_pods(), "a dry run keeps nothing"


def test_the_admin_listener_wants_its_token(installed):
    address, = installed.addresses("api")
    for path, status in (("/api/v1/sessions", 401), ("/metrics", 401), ("/healthz", 200), ("/readyz", 200)):
        assert installed.get(address, "ada", path, port=8081).status == status, path


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_has_the_rights_that_the_page_says_and_no_other(installed, account):
    documented = documented_rights()
    assert set(documented) == set(ACCOUNTS)
    for namespace in ("alcove-sessions", "alcove", "default", "kube-system"):
        everybody = installed.rights("default:default", namespace)
        assert {right for right in everybody if not right[0].startswith("/")} == EVERYBODY  # and to read /version and the like
        its = installed.rights(f"alcove:{account}", namespace)
        assert its - everybody == (documented[account] if namespace == "alcove-sessions" else set()), namespace


def test_only_who_calls_the_api_has_a_token_in_its_pod(installed):
    for role in (*ROLES, "redis"):
        for pod in installed.pods(role):
            token = installed.process_of(pod) / "root/var/run/secrets/kubernetes.io/serviceaccount/token"
            assert token.exists() == (role in ("provisioner", "reaper", "api")), role


def test_a_gateway_that_is_replaced_loses_no_request(installed):
    """`kubectl rollout restart` under requests to the Service: old pods finish, new ones take over."""
    service, = [s for s in installed.own.items("services") if s["metadata"]["name"] == "alcove-gateway"]
    address = service["spec"]["clusterIP"]
    pod = installed.get(address, "ada", port=80).json()["address"]
    before = {p["metadata"]["uid"] for p in installed.pods("gateway")}
    installed.own.kubectl("rollout", "restart", "deployment/alcove-gateway")
    served = 0
    while True:
        assert installed.get(address, "ada", port=80).json()["address"] == pod
        served += 1
        state, = [d for d in installed.own.items("deployments") if d["metadata"]["name"] == "alcove-gateway"]
        now = installed.own.items("pods", "app.kubernetes.io/component=gateway")
        if not before & {p["metadata"]["uid"] for p in now} and state["status"].get("readyReplicas") == 2:
            break
    assert served > 10


def test_the_production_example_is_taken_by_the_api(installed, tmp_path):
    """Dry run. The kustomize of 1.20 knows a base only under its old name, and policy/v1 not at all."""
    copy = tmp_path / "kubernetes"
    shutil.copytree(MANIFESTS, copy)
    file = copy / "overlays/production/kustomization.yaml"
    text = file.read_text()
    line = next(l for l in text.splitlines(keepends=True) if "../../base" in l)
    file.write_text(text.replace(line, "") + "bases: [../../base]\n")
    budget = copy / "base/budgets.yaml"
    budget.write_text(budget.read_text().replace("policy/v1", "policy/v1beta1"))
    installed.all.kubectl("apply", "-k", str(copy / "overlays/production"), "--dry-run=server")
