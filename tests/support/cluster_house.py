"""A whole Alcove, as processes of this machine over one Redis, whose pods run on the cluster: provisioner, reaper and two
gateways, each of which can be killed and started again. The test's `make` ends and judges them."""

from __future__ import annotations

from support.cluster import API_PORT, Cluster, ClusterAlcove, kubernetes_app, new_instance


class ClusterHouse:
    def __init__(self, make, cluster: Cluster, store: str, *arguments: str, api_port: int = API_PORT, prepare=None,
                 apps: dict | None = None, runtime: dict | None = None, **app_keys):
        """`arguments` and `app_keys` make the app "test"; `apps` are more. `api_port`: of something that leads to the API.
        `prepare`: called with the provisioner and the reaper, before they start. `runtime`: more keys of it."""
        self.cluster = cluster
        self.instance = new_instance()
        keys = {"hold_timeout": "60s", "stop_grace": "1s", **app_keys}
        shared = {
            "store": store,
            "instance": self.instance,
            "apps": {"test": kubernetes_app(*arguments, **keys), **(apps or {})},
            "provisioner": {"retry_first": "500ms", "retry_most": "2s", "claim_lease": "3s", "starts_at_once": 50},
            "reaper": {"interval": "100ms", "orphan_grace": "5s"},
            "log": {"access": False},
            "timeouts": {"drain": "2s"},
            "workers": 1,
        }

        def role(name: str, **more) -> ClusterAlcove:
            run = make(start=False, role=name, **shared, **more)
            run.config["runtime"]["kubernetes"].update(runtime or {})
            return run

        self.provisioner = role("provisioner", api_port=api_port)
        self.reaper = role("reaper", api_port=api_port)
        self.gateways = [role("gateway") for _ in range(2)]
        if prepare:
            prepare(self.provisioner)
            prepare(self.reaper)
        for run in self.all:
            run.spawn()
        for run in self.all:
            run.wait_ready()

    @property
    def all(self) -> list[ClusterAlcove]:
        return [self.provisioner, self.reaper, *self.gateways]

    def get(self, user: str, target: str = "/", **keys):
        return self.gateways[0].get(user, target, **keys)

    def stop(self, user: str):
        done = self.provisioner.cli("stop", f"test/{user}")
        assert done.returncode == 0, done.stderr

    def generation(self, user: str) -> int:
        return self.provisioner.session(f"test/{user}")["generation"]

    def pod_of(self, user: str) -> dict:
        pod, = [p for p in self.provisioner.cluster_pods() if p["metadata"]["labels"]["alcove/name"] == user]
        return pod
