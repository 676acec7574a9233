"""Apps that nobody here wrote, each started per user from a config in config/examples/, which stays as it is."""

import hashlib
import os
import shutil
import subprocess

import pytest

from support.alcove import BIN, ROOT
from support.procs import wait_gone

SIZE = 100 * 1024 * 1024


@pytest.fixture
def example(make):
    """example(NAME, PROGRAM) -> a run of config/examples/NAME.yaml on free ports; state in the test's own home."""

    def start(name: str, program: str):
        assert shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin"), \
            f"{program} is not installed: ./dev test installs it"
        run = make(start=False)
        file = ROOT / "config" / "examples" / f"{name}.yaml"
        run.command = lambda: [str(BIN), "up", "-c", str(file), "--listen", f"127.0.0.1:{run.port}",
                               "--admin-listen", f"127.0.0.1:{run.admin_port}"]
        run.state = run.directory / ".local" / "state" / "alcove"
        return run.start()

    return start


def curl(*arguments: str) -> str:
    done = subprocess.run(["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "240", *arguments],
                          capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr)
    return done.stdout


def digest(path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_python_http_server_gives_each_user_a_directory_of_their_own(example):
    run = example("http-server", "python3")
    url = f"http://files.localhost:{run.port}"
    assert "hello.txt" in curl("-H", "X-User-ID: ada", url + "/")
    assert "Hello ada, this is the directory of files/ada." in curl("-H", "X-User-ID: ada", url + "/hello.txt")
    assert "Hello grace, this is the directory of files/grace." in curl("-H", "X-User-ID: grace", url + "/hello.txt")
    # It speaks HTTP/1.0 and closes each connection: the client's stays open all the same.
    with run.connect() as connection:
        for _ in range(3):
            answer = connection.request("GET", "/hello.txt", run.host("files"), [("X-User-ID", "ada")])
            assert answer.status == 200 and answer.header("Server").startswith("SimpleHTTP")
    missing = run.get("ada", "/no/such/file", "files")
    assert missing.status == 404 and not missing.by_alcove, "the app's own 404"


def test_websocketd_echoes_over_a_websocket_for_each_user(example):
    run = example("websocketd", "websocketd")
    ada = run.websocket("ada", "/", "echo")
    grace = run.websocket("grace", "/", "echo")
    for i in range(20):
        # websocketd makes a line of each message, cat gives it back, websocketd makes a message of it.
        ada.send(f"ada {i}")
        grace.send(f"grace {i}")
        assert ada.receive()[1] == f"ada {i}".encode()
        assert grace.receive()[1] == f"grace {i}".encode()
    long = "x" * 50_000
    ada.send(long)
    assert ada.receive()[1] == long.encode()
    assert len([c for c in run.pods().values() if c.startswith("websocketd")]) == 2
    ada.close()
    grace.close()


def test_nginx_takes_and_gives_100_MiB_and_not_a_byte_is_lost(example, place):
    run = example("nginx", "nginx")
    url = f"http://web.localhost:{run.port}"
    assert "nginx of ada" in curl("-H", "X-User-ID: ada", url + "/")
    sent, got = place / "sent", place / "got"
    with open(sent, "wb") as file:
        for _ in range(SIZE // (1 << 20)):
            file.write(os.urandom(1 << 20))
    before = peak_memory_kb(run.process.pid)
    curl("-H", "X-User-ID: ada", "-T", str(sent), url + "/big")
    curl("-H", "X-User-ID: ada", "-o", str(got), url + "/big")
    assert digest(got) == digest(sent)
    assert peak_memory_kb(run.process.pid) - before < 64 * 1024, "streamed, not kept in memory"
    # Chunked, from a pipe, so that nobody knows the length before.
    got.unlink()
    with subprocess.Popen(["cat", str(sent)], stdout=subprocess.PIPE) as cat:
        done = subprocess.run(["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "240", "-H",
                               "X-User-ID: ada", "-T", "-", url + "/chunked"], stdin=cat.stdout, timeout=250,
                              capture_output=True, check=False)
    assert done.returncode == 0, done
    curl("-H", "X-User-ID: ada", "-o", str(got), url + "/chunked")
    assert digest(got) == digest(sent)
    # A range, and another user who has none of it.
    assert run.get("ada", "/big", "web", headers=[("Range", "bytes=5-9")]).status == 206
    assert run.get("grace", "/big", "web").status == 404


def test_nginx_pods_are_gone_with_all_their_workers(example):
    run = example("nginx", "nginx")
    assert run.get("ada", "/", "web").status == 200
    pods = run.pods()
    assert len(pods) >= 2, "a master and a worker"
    done = run.cli("stop", "web/ada")
    assert done.returncode == 0, done.stderr
    assert wait_gone(pods, 30)


def peak_memory_kb(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
