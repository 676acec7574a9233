"""What can be known of config/kubernetes without a cluster: the configurations are good, and the users that secrets.sh
makes for Redis may do all that their roles do there, and nothing that would spoil it. The rest is in tests/kubernetes."""

import re
import subprocess

import pytest
import yaml

from support.alcove import ROOT, Alcove, app, run_alcove, wait_output
from support.ports import pod_network
from support.redis_server import RedisServer

MANIFESTS = ROOT / "config" / "kubernetes"
CONFIGURATIONS = [MANIFESTS / "base", *sorted((MANIFESTS / "overlays").iterdir())]
ROLES = ("gateway", "provisioner", "reaper", "api")


def secrets(text: str) -> dict[str, dict[str, str]]:
    return {d["metadata"]["name"]: d["stringData"] for d in yaml.safe_load_all(text) if d["kind"] == "Secret"}


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, str]]:
    return secrets(subprocess.run([MANIFESTS / "secrets.sh"], capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("folder", CONFIGURATIONS, ids=lambda f: f.name)
def test_a_configuration_of_the_manifests_is_good(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("what-a-Secret-would-hold\n")
    file = tmp_path / "alcove.yaml"
    file.write_text(re.sub(r"file:/etc/alcove/\S+", f"file:{secret}", (folder / "files/alcove.yaml").read_text()))
    done = run_alcove("check", str(file), environment={
        "ALCOVE_ROLE": "gateway", "ALCOVE_COOKIE_KEY": "k" * 32, "ALCOVE_REDIS_SERVICE_HOST": "10.96.0.7"})
    assert done.returncode == 0, done.stderr


def test_the_dockerfile_installs_what_is_needed_to_build():
    """It cannot be tried here; that it forgets a package is what happens to it."""
    needed = re.search(r'^PACKAGES_build="([^"]+)"', (ROOT / "dev").read_text(), re.MULTILINE)[1].split()
    file = (MANIFESTS / "image/Dockerfile").read_text()
    installed = re.search(r"--no-install-recommends(.*?)&&", file, re.DOTALL)[1].replace("\\", " ").split()
    assert sorted(installed) == sorted([*needed, "binutils", "ca-certificates"])


def test_the_test_overlay_has_the_secrets_that_the_script_makes(made):
    tests = secrets((MANIFESTS / "overlays/test/secrets.yaml").read_text())
    assert {name: set(keys) for name, keys in tests.items()} == {name: set(keys) for name, keys in made.items()}
    without_passwords = [re.sub(r"#[0-9a-f]{64}", "#", s["alcove-redis"]["users.acl"]) for s in (tests, made)]
    assert without_passwords[0].strip() == without_passwords[1].strip()


@pytest.fixture
def guarded(place, made):
    """A Redis with the users of secrets.sh, and one more for the test."""
    acl = place / "users.acl"
    acl.write_text(made["alcove-redis"]["users.acl"] + "user tests reset on ~* &* +@all >tests\n")
    server = RedisServer(place / "redis", arguments=("--aclfile", str(acl)), login=("tests", "tests")).start()
    yield server
    server.stop()


def test_each_role_may_do_in_redis_what_it_has_to(make, place, guarded, made):
    runtime = {"local": {"directory": str(place / "state"), "network": pod_network()}}

    def role(name: str) -> Alcove:
        return make(role=name, state=place / "state", runtime=runtime, provisioner={"claim_lease": "3s"},
                    store={"redis": {"host": "127.0.0.1", "port": guarded.port, "user": name,
                                     "password": made["alcove-redis"][name]}},
                    apps={"test": app(idle_timeout="3s", drain_grace="100ms")})

    provisioner, one, two, reaper, api = [role(n) for n in ("provisioner", "gateway", "gateway", "reaper", "api")]
    assert one.get("ada").json()["generation"] == 1
    assert api.cli("pin", "test/ada").returncode == 0
    assert two.get("ada").json()["generation"] == 1
    assert [s["key"] for s in api.sessions()] == ["test/ada"]
    wait_output(api, "test/ada", "GET / request 1")
    assert api.cli("unpin", "test/ada").returncode == 0
    api.wait_state("test/ada", "absent")  # idle
    assert two.get("ada").json()["generation"] == 2
    provisioner.kill()
    provisioner.start_again()  # the local runtime's pods end with it
    assert one.get("ada").json()["generation"] == 3
    assert api.cli("stop", "test/ada").returncode == 0
    assert api.cli("start", "test", "grace").returncode == 0
    assert one.get("grace", "/crash", method="POST").status == 502
    api.wait_state("test/grace", "absent")
    assert "alcove_sessions" in provisioner.admin("/metrics").text
    assert two.stop() == 0  # it takes leave
    refused = guarded.command("ACL", "LOG")
    assert refused == b"*0\r\n", refused.decode(errors="replace")


def test_no_role_may_spoil_redis(guarded, made):
    for role in ROLES:
        guarded.login = (role, made["alcove-redis"][role])
        assert guarded.command("PING") == b"+PONG\r\n"
        for words in (("FLUSHALL",), ("KEYS", "*"), ("DEL", "{alcove}:ring"), ("CONFIG", "GET", "*"), ("ACL", "LIST"),
                      ("GET", "another"), ("SUBSCRIBE", "another"), ("EVAL", "return 1", "0"), ("SHUTDOWN",)):
            assert guarded.command(*words).startswith(b"-NOPERM"), (role, words)


def objects(folder) -> list[dict]:
    files = [f for f in sorted(folder.glob("*.yaml")) if f.name != "kustomization.yaml"]
    return [d for f in files for d in yaml.safe_load_all(f.read_text()) if isinstance(d, dict)]  # a JSON patch is a list


@pytest.mark.parametrize("deployment", [o for o in objects(MANIFESTS / "base") if o["kind"] == "Deployment"],
                         ids=lambda o: o["metadata"]["name"])
def test_a_role_meets_the_pod_security_level_that_its_namespace_enforces(deployment):
    """`restricted`, by its rules of Kubernetes 1.30. The test cluster is too old to enforce it."""
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= {"configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected"}
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False and security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        assert {"readinessProbe", "livenessProbe", "resources"} <= set(container)
        assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert pod["automountServiceAccountToken"] == (deployment["metadata"]["name"] in
                                                   ("alcove-provisioner", "alcove-reaper", "alcove-api"))


def test_both_namespaces_enforce_the_level_and_the_test_overlay_does_not():
    def enforced(folder) -> dict:
        return {o["metadata"]["name"]: o["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
                for o in objects(folder) if o["kind"] == "Namespace"}

    assert enforced(MANIFESTS / "base") == {"alcove": "restricted", "alcove-sessions": "restricted"}
    assert enforced(MANIFESTS / "overlays/test") == {"alcove": None, "alcove-sessions": None}
