"""The test cluster (tests/kubernetes/cluster) as tests use it, and an alcove whose pods run there.

The tests run inside of the cluster's network namespace, where pods have addresses: ./dev test kubernetes.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import uuid

from support.alcove import BIN, Alcove

HERE = pathlib.Path(__file__).resolve().parents[1] / "kubernetes" / "cluster"
SUPPORT = pathlib.Path(__file__).resolve().parent
RUN = pathlib.Path(os.environ.get("KUBERNETES_RUN", pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "alcove-kubernetes"))
CACHE = pathlib.Path(os.environ.get(
    "KUBERNETES_CACHE",
    pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "kubernetes-1.20"))
KUBECONFIG = RUN / "admin.kubeconfig"
API_PORT = int(os.environ.get("KUBERNETES_PORT", "6443"))
NODE = "node1"
IMAGE = "localhost/alcove-pod:1"
NOBODY = 65532  # user and group of all our pods
PYTHON = ["/usr/bin/python3.11", "-S", "-E"]


def run(*command, check: bool = True, timeout: float = 120, **keys) -> subprocess.CompletedProcess:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, **keys)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def with_libraries(root: pathlib.Path, program: pathlib.Path, at: str):
    """Puts a program into the image's root folder, with all that it is linked to."""
    target = root / at.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, target)
    for path in re.findall(r"(/\S+) \(0x", run("ldd", program, check=False).stdout):
        library = root / path.lstrip("/")
        library.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, library)  # what a link leads to


class Cluster:
    def __init__(self, namespace: str):
        """Empty: objects say for themselves where they are."""
        self.namespace = namespace
        self.was_away = False  # the API, since settle()

    # --- the cluster ----------------------------------------------------------------------------------------------

    def kubectl(self, *words, check: bool = True, stdin: str | None = None, timeout: float = 120) -> str:
        where = ["-n", self.namespace] if self.namespace else []
        done = run(CACHE / "bin" / "kubectl", "--kubeconfig", KUBECONFIG, *where, *words, check=check, timeout=timeout,
                   input=stdin)
        return done.stdout

    def apply(self, *objects: dict):
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def items(self, kind: str, selector: str = "") -> list[dict]:
        return json.loads(self.kubectl("get", kind, "-o", "json", *(["-l", selector] if selector else [])))["items"]

    def fault(self, *words: str):
        run(HERE / "fault.sh", *words)
        self.was_away |= words[-1] in ("kube-apiserver", "etcd")

    def settle(self):
        """After a test during which the API was away. Kubernetes' parts wait longer and longer before they watch again,
        up to a minute, and that for two minutes more: the next test would meet a node that counts as lost since nobody
        sees its leases. Begun anew they have no such memory."""
        if not self.was_away:
            return
        for component in ("kube-controller-manager", "kube-scheduler", "kubelet"):
            self.fault("restart", component)
        deadline = time.monotonic() + 60
        while True:
            node, = [n for n in self.items("nodes") if n["metadata"]["name"] == NODE]
            ready, = [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"]
            if ready == "True" and not node["spec"].get("taints"):
                break
            assert time.monotonic() < deadline, node["status"]
            time.sleep(0.2)
        self.was_away = False

    @contextlib.contextmanager
    def without(self, component: str, how: str = "kill"):
        """`kill`: it is gone; `freeze`: it is there and does not answer. Afterwards all is well again."""
        self.fault(how, component)
        try:
            yield
        finally:
            self.fault("thaw" if how == "freeze" else "start", component)
            self.wait_api()

    def api(self, method: str, path: str, body: dict, kind: str = "application/json") -> dict:
        answer = run("curl", "-sS", "--max-time", "20", "--cacert", RUN / "pki/ca.crt", "--cert", RUN / "pki/admin.crt",
                     "--key", RUN / "pki/admin.key", "-X", method, "-H", f"Content-Type: {kind}", "-d", json.dumps(body),
                     f"https://127.0.0.1:{API_PORT}{path}").stdout
        return json.loads(answer)

    @contextlib.contextmanager
    def second_node(self):
        """One that lives on paper: it takes no pods, but while it is well Kubernetes believes that the other can be lost,
        and not only the connection to all of them."""
        ended = threading.Event()
        self.kubectl("apply", "-f", "-", stdin=json.dumps(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "paper"}, "spec": {"unschedulable": True}}))
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.api("PATCH", "/api/v1/nodes/paper/status", {"status": {"conditions": [
            {"type": "Ready", "status": "True", "reason": "Paper", "message": "", "lastHeartbeatTime": now,
             "lastTransitionTime": now}]}}, "application/merge-patch+json")

        def live():
            while not ended.is_set():
                renewed = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
                self.api("PATCH", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/paper?fieldManager=paper",
                         {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "paper"},
                          "spec": {"holderIdentity": "paper", "leaseDurationSeconds": 40, "renewTime": renewed}},
                         "application/apply-patch+yaml")
                ended.wait(5)

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(30)
            self.kubectl("delete", "node", "paper")

    def wait_api(self, timeout: float = 60):
        deadline = time.monotonic() + timeout
        while run(CACHE / "bin" / "kubectl", "--kubeconfig", KUBECONFIG, "--request-timeout=2s", "get", "--raw", "/readyz",
                  check=False).returncode != 0:
            assert time.monotonic() < deadline, "the API does not come back"
            time.sleep(0.2)

    def import_image(self, name: str, root: pathlib.Path, entrypoint: list[str]):
        for path in [root, *root.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
        run(HERE / "image.sh", name, root, json.dumps(entrypoint))

    def import_pod_image(self, root: pathlib.Path):
        """Python with its library, and the test pod."""
        with_libraries(root, pathlib.Path(PYTHON[0]), PYTHON[0])
        library = root / "usr/lib/python3.11"
        shutil.copytree("/usr/lib/python3.11", library, symlinks=False, ignore_dangling_symlinks=True,
                        ignore=shutil.ignore_patterns("__pycache__", "test", "idlelib", "tkinter", "config-*"))
        for extension in (library / "lib-dynload").glob("*.so"):
            for path in re.findall(r"(/\S+) \(0x", run("ldd", extension, check=False).stdout):
                if not (root / path.lstrip("/")).exists():
                    (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, root / path.lstrip("/"))
        (root / "pod").mkdir()
        (root / "tmp").mkdir()
        for file in ("pod.py", "ws.py", "pattern.py"):
            shutil.copy(SUPPORT / file, root / "pod" / file)
        self.import_image(IMAGE, root, [*PYTHON, "/pod/pod.py"])

    def folder_volume(self, folder: pathlib.Path, name: str):
        """A PersistentVolume that is a folder of the node: the cluster has no storage class."""
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        self.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
                    "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": name,
                             "persistentVolumeReclaimPolicy": "Delete", "hostPath": {"path": str(folder)}}})


def kubernetes_app(*arguments: str, kubernetes: dict | None = None, **keys) -> dict:
    """The test pod as an app on the cluster."""
    return {"start_timeout": "60s", "idle_timeout": "10m", "drain_grace": "200ms", "stop_grace": "2s",
            "hold_timeout": "75s", "port": 8080,
            "kubernetes": {"image": IMAGE, "pull": "never", "run_as_user": NOBODY, "read_only_root": True,
                           "args": ["{address}", "{port}", *arguments], **(kubernetes or {})},
            **keys}


def python_app(script: str, **keys) -> dict:
    """A script of a few lines in place of the test pod."""
    own = keys.pop("kubernetes", {})
    return kubernetes_app(kubernetes={"command": [*PYTHON, "-c", script], "args": [], **own}, **keys)


def new_instance() -> str:
    return "t" + uuid.uuid4().hex[:12]


class ClusterAlcove(Alcove):
    """An alcove on this machine whose pods run on the cluster, each in an instance of its own."""

    def __init__(self, directory: pathlib.Path, cluster: Cluster, api_port: int = API_PORT, instance: str = "",
                 binary: pathlib.Path = BIN, **keys):
        """`api_port`: of something that leads to the API. `instance`: shared with another process."""
        self.cluster = cluster
        self.instance = instance or new_instance()
        self.binary = binary
        self.kubeconfig = directory / "kubeconfig"
        directory.mkdir(parents=True, exist_ok=True)
        self.kubeconfig.write_text(KUBECONFIG.read_text().replace(f"127.0.0.1:{API_PORT}", f"127.0.0.1:{api_port}"))
        super().__init__(directory, **keys)

    def defaults(self) -> dict:
        return {**super().defaults(),
                "runtime": {"kubernetes": {"kubeconfig": str(self.kubeconfig), "namespace": self.cluster.namespace,
                                           "instance": self.instance}},
                "apps": {"test": kubernetes_app()}}

    def command(self) -> list[str]:
        return [str(self.binary), *super().command()[1:]]

    def as_token(self, file: pathlib.Path):
        """It shows a token in place of the administrator's certificate."""
        ca = re.search(r"certificate-authority-data: ([A-Za-z0-9+/=]+)", KUBECONFIG.read_text())[1]
        self.kubeconfig.write_text(json.dumps({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{API_PORT}",
                                                   "certificate-authority-data": ca}}],
            "users": [{"name": "u", "user": {"tokenFile": str(file)}}]}))

    def cluster_pods(self) -> list[dict]:
        """Those that are not on their way out."""
        return [p for p in self.cluster.items("pods", f"alcove/instance={self.instance}")
                if "deletionTimestamp" not in p["metadata"]]

    def wait_pods(self, enough, timeout: float = 60) -> list[dict]:
        deadline = time.monotonic() + timeout
        while not enough(pods := self.cluster_pods()):
            assert time.monotonic() < deadline, [p["metadata"]["name"] for p in pods]
            time.sleep(0.1)
        return pods

    def metric(self, name: str) -> float:
        """The sum over all labels."""
        return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*?\}})? (\S+)", self.admin("/metrics").text, re.MULTILINE))

    def calls(self) -> dict[str, int]:
        """Calls of the Kubernetes API so far, by verb."""
        found: dict[str, int] = {}
        for verb, count in re.findall(r'^alcove_kubernetes_calls_total\{.*?verb="(\w+)".*?\} (\d+)', self.admin("/metrics").text,
                                      re.MULTILINE):
            found[verb] = found.get(verb, 0) + int(count)
        return found

    def clear(self):
        """Nothing of this instance stays on the cluster; nobody waits for kubelet."""
        for kind in ("pods", "persistentvolumeclaims"):
            self.cluster.kubectl("delete", kind, "-l", f"alcove/instance={self.instance}", "--wait=false",
                                 "--grace-period=1", "--ignore-not-found", check=False)
