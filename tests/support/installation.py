"""Alcove as config/kubernetes/overlays/test installs it on the test cluster, from an image of the release binary."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess

from support import http1, ws
from support.alcove import ROOT, run_alcove
from support.cluster import HERE, Cluster, run, with_libraries

MANIFESTS = ROOT / "config" / "kubernetes"
OVERLAY = MANIFESTS / "overlays" / "test"
RELEASE = pathlib.Path(os.environ.get("ALCOVE_RELEASE_BIN", ROOT / "build" / "release" / "alcove")).resolve()
TOKEN = "the-admin-token-of-the-test"
DEPLOYMENTS = ("alcove-redis", "alcove-gateway", "alcove-provisioner", "alcove-reaper", "alcove-api")
VOLUME = "alcove-install-test"  # storage class in files/alcove.yaml


class Installation:
    def __init__(self, place: pathlib.Path):
        self.place = place
        self.all = Cluster("")
        self.own = Cluster("alcove")
        self.sessions = Cluster("alcove-sessions")

    def make_images(self):
        archive = self.place / "alcove.tar"
        run(MANIFESTS / "image" / "build.sh", "localhost/alcove:test", archive, RELEASE)
        run(HERE / "load.sh", archive)
        redis = self.place / "redis"
        with_libraries(redis, pathlib.Path(shutil.which("redis-server")), "/usr/bin/redis-server")
        self.all.import_image("localhost/redis:test", redis, ["/usr/bin/redis-server"])

    def apply(self):
        self.all.folder_volume(self.place / "volume", VOLUME)
        self.all.kubectl("apply", "-k", str(OVERLAY))
        for deployment in DEPLOYMENTS:
            said = self.own.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=90s", check=False)
            assert "successfully rolled out" in said, f"{deployment}: {said}\n{self.story()}"

    def remove(self, wait: bool = True):
        self.all.kubectl("delete", "namespace", "alcove-sessions", "alcove", "--ignore-not-found", f"--wait={str(wait).lower()}",
                         "--timeout=100s")
        self.all.kubectl("delete", "pv", VOLUME, "--ignore-not-found", "--wait=false")

    def story(self) -> str:
        """For the report of a test that has failed."""
        logs = self.own.kubectl("logs", "-l", "app.kubernetes.io/name=alcove", "--prefix", "--tail=40", check=False)
        pods = self.all.kubectl("get", "pods,events", "--all-namespaces", "-o", "wide", check=False)
        return logs[-12000:] + pods[-8000:]

    # --- what runs ------------------------------------------------------------------------------------------------

    def pods(self, component: str) -> list[dict]:
        return [p for p in self.own.items("pods", f"app.kubernetes.io/component={component}")
                if "deletionTimestamp" not in p["metadata"]]

    def addresses(self, component: str) -> list[str]:
        return [p["status"]["podIP"] for p in self.pods(component)]

    def session_pods(self) -> list[dict]:
        return self.sessions.items("pods")

    @staticmethod
    def process_of(pod: dict) -> pathlib.Path:
        """/proc/PID of the pod's container, which says what is really in there: the image has no shell to ask."""
        name = "redis-server" if "redis" in pod["metadata"]["name"] else "alcove"
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                program = (process / "cmdline").read_text().replace("\0", " ").split(" ")[0]
                if pod["metadata"]["uid"] in (process / "cgroup").read_text() and program.endswith(name):
                    return process
            except OSError:
                continue  # it has ended meanwhile
        raise AssertionError(f"no process of {pod['metadata']['name']}")

    # --- using it -------------------------------------------------------------------------------------------------

    def get(self, address: str, user: str, target: str = "/", app: str = "test", port: int = 8080,
            timeout: float = 90) -> http1.Response:
        return http1.request(port, target, f"{app}.localhost", "GET", [("X-User-ID", user)], timeout=timeout, address=address)

    def websocket(self, address: str, user: str) -> ws.Client:
        return ws.Client(http1.Connection(8080, address), "/ws", "test.localhost", [("X-User-ID", user)])

    def cli(self, *words: str) -> subprocess.CompletedProcess:
        """`alcove WORDS...` for people, asking the api role."""
        address, = self.addresses("api")
        return run_alcove(*words, "--admin", f"{address}:8081", "--token", TOKEN)

    def listed(self) -> list[dict]:
        done = self.cli("ls", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return found["sessions"] if isinstance(found, dict) else found

    # --- rights ---------------------------------------------------------------------------------------------------

    def rights(self, account: str, namespace: str) -> set[tuple[str, str]]:
        """(resource, verb), as the API itself lists them."""
        table = self.all.kubectl("auth", "can-i", "--list", "-n", namespace, f"--as=system:serviceaccount:{account}")
        found = set()
        for line in table.splitlines()[1:]:
            row = re.fullmatch(r"([^\s\[]*)\s*\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]", line.strip())
            assert row, line
            resource, paths, names, verbs = row.groups()
            found |= {(f"{resource or paths}{f' {names}' if names else ''}", verb) for verb in verbs.split()}
        return found


def documented_rights() -> dict[str, set[tuple[str, str]]]:
    """The table of docs/kubernetes.md: account -> (resource, verb) in the pods' namespace."""
    found = {}
    for account, rights in re.findall(r"^\| [\w ]+ \| `(alcove-\w+)` \| (.*?) \|$", (ROOT / "docs/kubernetes.md").read_text(),
                                      re.MULTILINE):
        found[account] = {(resource, verb) for resource, verbs in re.findall(r"`([\w/]+)` ([a-z, ]+)", rights)
                          for verb in verbs.replace(",", " ").split()}
    return found
