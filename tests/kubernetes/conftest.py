"""Fixtures for the tests on the real cluster. ./dev test kubernetes builds it, brings it up and runs them in its
network namespace."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.alcove import BIN  # noqa: E402
from support.bounded import no_longer_than  # noqa: E402
from support.cluster import KUBECONFIG, RUN, Cluster, ClusterAlcove, with_libraries  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

LONGEST_S = 420
BUILD = BIN.parent


def pytest_sessionstart(session):
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as on ^C: the fixtures put things in order
    if not KUBECONFIG.exists():
        raise pytest.UsageError(f"no cluster in {RUN}: ./dev test kubernetes brings it up")
    if subprocess.run(["ip", "link", "show", "node0"], capture_output=True, check=False).returncode != 0:
        raise pytest.UsageError("not in the cluster's network namespace: tests/kubernetes/cluster/exec.sh runs a command there")
    if not BIN.exists():
        raise pytest.UsageError(f"{BIN} is missing: ./dev build asan makes it, or set ALCOVE_BIN")


@pytest.fixture(autouse=True)
def bounded():
    with no_longer_than(LONGEST_S):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for run in getattr(item, "alcove_runs", []):
        report.sections.append((f"alcove {run.role} ({run.file})", run.log[-12000:]))
        pods = run.cluster.kubectl("get", "pods,events", "-o", "wide", check=False)
        report.sections.append(("pods and events", pods[-8000:]))
    if installed := getattr(item, "funcargs", {}).get("installed"):
        report.sections.append(("the installation", installed.story()))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """With a namespace of its own, and the pods' image on the node."""
    own = Cluster(f"alcove-test-{uuid.uuid4().hex[:8]}")
    own.kubectl("create", "namespace", own.namespace)
    own.import_pod_image(tmp_path_factory.mktemp("image"))
    yield own
    own.kubectl("delete", "namespace", own.namespace, "--wait=false")


@pytest.fixture(autouse=True)
def settled(cluster):
    yield
    cluster.settle()


@pytest.fixture
def place():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="alcove-kube-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make(request, place, cluster):
    """make(**config keys) -> a started alcove whose pods run on the cluster."""
    runs: list[ClusterAlcove] = []
    request.node.alcove_runs = runs

    def make_run(start: bool = True, **keys) -> ClusterAlcove:
        run = ClusterAlcove(place / f"run{len(runs)}", cluster, **keys)
        runs.append(run)
        return run.start() if start else run

    yield make_run
    problems = []
    for run in reversed(runs):
        try:
            run.check_end()
        except AssertionError as problem:
            problems.append(str(problem))
        if run.process and run.process.poll() is None:
            run.process.kill()
        run.clear()
    assert not problems, "\n\n".join(problems)


@pytest.fixture
def redis(place):
    server = RedisServer(place / "redis").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shell_pod(cluster, tmp_path_factory):
    """A pod in which commands can be run: Debian's busybox, which links nothing."""
    root = tmp_path_factory.mktemp("shell")
    (root / "bin").mkdir()
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for command in ("sh", "cat", "stty", "sleep"):
        (root / "bin" / command).symlink_to("busybox")
    cluster.import_image("localhost/alcove-test-shell:1", root, ["/bin/sleep", "86400"])
    image = {"image": "localhost/alcove-test-shell:1", "imagePullPolicy": "Never"}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "initContainers": [{"name": "before", "command": ["/bin/sh", "-c", "exit 0"], **image}],
        "containers": [{"name": "app", **image}]}})
    cluster.kubectl("wait", "--for=condition=Ready", "pod/shell", "--timeout=60s")
    yield "shell"
    cluster.kubectl("delete", "pod", "shell", "--wait=true")


@pytest.fixture(scope="module")
def contract(cluster, shell_pod, tmp_path_factory):
    """Runs one of the C++ test programs with the cluster in reach."""
    root = tmp_path_factory.mktemp("test-pod")
    with_libraries(root, BUILD / "tests/unit/local/alcove_test_pod", "/bin/test-pod")
    cluster.import_image("localhost/alcove-test-pod:1", root, ["/bin/test-pod"])
    compact = pathlib.Path(__file__).resolve().parent / "cluster" / "fault.sh"

    def run(program: str, test_filter: str):
        return subprocess.run(
            [BUILD / "tests/contract" / program, f"--gtest_filter={test_filter}"], capture_output=True, text=True, timeout=400,
            check=False,
            env={**os.environ, "ALCOVE_TEST_KUBECONFIG": str(KUBECONFIG), "ALCOVE_TEST_NAMESPACE": cluster.namespace,
                 "ALCOVE_TEST_POD_IMAGE": "localhost/alcove-test-pod:1", "ALCOVE_TEST_EXEC_POD": shell_pod,
                 "ALCOVE_TEST_COMPACT": f"{compact} compact"})

    return run
