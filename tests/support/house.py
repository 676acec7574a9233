"""A whole Alcove on one machine, as processes of their own: provisioner, reaper, gateways; each can be killed and
started again. The test's `make` ends and judges them."""

from __future__ import annotations

from support.alcove import Alcove, app
from support.http1 import Response
from support.ports import pod_network


class House:
    def __init__(self, make, place, store: str, *arguments: str, gateways: int = 2, workers: int = 1,
                 gateway_stores: tuple[str, ...] = (), provisioner_environment: dict | None = None,
                 config: dict | None = None, environment: dict | None = None, network: str | None = None, **app_keys):
        """`arguments` and `app_keys` make the app "test"; `config` overrides keys of every role's configuration.
        `gateway_stores`: another address of the store for each of the gateways."""
        self.place = place
        shared = {
            "apps": {"test": app(*arguments, **app_keys)},
            "runtime": {"local": {"directory": str(place / "state"), "network": network or pod_network()}},
            "reaper": {"interval": "100ms", "orphan_grace": "2s"},
            "provisioner": {"retry_first": "500ms", "claim_lease": "3s"},
            "outage": {"serve_known_for": "3s"},
            "activity_interval": "100ms",
            "log": {"access": False},
            "timeouts": {"drain": "2s"},
            "workers": workers,
            **(config or {}),
        }
        self.keys = {"state": place / "state", "environment": environment}

        def role(name: str, url: str) -> Alcove:
            return make(start=False, role=name, store=url, **self.keys, **shared)

        self.provisioner = role("provisioner", store)
        self.reaper = role("reaper", store)
        urls = gateway_stores or (store,) * gateways
        self.gateways = [role("gateway", url) for url in urls]
        for run in self.all:
            run.spawn()
        for run in self.all:
            run.wait_ready()

    @property
    def all(self) -> list[Alcove]:
        return [self.provisioner, self.reaper, *self.gateways]

    def warm(self, names) -> dict[str, dict]:
        """Every one of these users is known to every gateway. name -> what their pod says."""
        facts = {}
        for name in names:
            for gateway in self.gateways:
                answer = gateway.get(name)
                assert answer.status == 200, answer
                facts[name] = answer.json()
        return facts

    def get(self, user: str, target: str = "/", **keys) -> Response:
        return self.gateways[0].get(user, target, **keys)

    def session(self, user: str) -> dict | None:
        return self.provisioner.session(f"test/{user}")
