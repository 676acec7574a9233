"""One run of the real `alcove` process for a test: config, ports, state, log; and what must hold when it ends."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import uuid

from support import http1, ws
from support.ports import free_port, pod_network
from support.procs import carrying, wait_gone, working_under

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ALCOVE_BIN", ROOT / "build" / "asan" / "alcove")).resolve()
DEMO = BIN.parent / "alcove-demo"
POD = [sys.executable, "-S", "-E", str(ROOT / "tests" / "support" / "pod.py"), "{address}", "{port}"]

THREAD_SANITIZER = "tsan" in BIN.parent.name
READY_S = 60.0
STOP_S = 60.0
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:",
           "AddressSanitizer:DEADLYSIGNAL", "terminate called", "Assertion")


def app(*arguments: str, **keys) -> dict:
    """The test pod as an app. Patient where a test does not say otherwise."""
    return {"command": [*POD, *arguments], "start_timeout": "30s", "idle_timeout": "10m", "drain_grace": "200ms",
            "stop_grace": "2s", "hold_timeout": "45s", **keys}


def demo(*arguments: str, **keys) -> dict:
    return {**app(**keys), "command": [str(DEMO), "--listen", "{address}:{port}", *arguments]}


class Alcove:
    """`directory` holds config, log and state; two processes of one test may share `state`."""

    def __init__(self, directory: pathlib.Path, config: dict | str | None = None, role: str = "up",
                 arguments: tuple[str, ...] = (), environment: dict | None = None,
                 state: pathlib.Path | None = None, network: str | None = None, **keys):
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.role = role
        self.arguments = arguments
        self.mark = f"ALCOVE_TEST_RUN={uuid.uuid4()}"
        self.state = state or directory / "state"
        self.port = free_port()
        self.admin_port = free_port()
        self.file = directory / "alcove.yaml"
        self.network = network or pod_network()
        self.config = config if config is not None else self.defaults()
        if isinstance(self.config, dict):
            self.config.update(keys)
        self.environment = environment or {}
        self.process: subprocess.Popen | None = None
        self.lines: list[str] = []
        self.news = threading.Condition()
        self.reader: threading.Thread | None = None
        self.killed = False  # a test ended it the hard way: no exit code to judge
        self.kills = 0
        self.down = True  # not started, or killed and not ready again

    def defaults(self) -> dict:
        return {
            "listen": [{"address": f"127.0.0.1:{self.port}"}],
            "workers": 2,
            "domains": ["localhost"],
            "identity": [{"trusted_header": {"header": "X-User-ID", "from": ["127.0.0.0/8"]}},
                         {"dev": {"secret": "a secret that only tests know"}}],
            "store": "memory",
            "runtime": {"local": {"directory": str(self.state), "network": self.network}},
            "provisioner": {"retry_first": "500ms"},
            "reaper": {"interval": "50ms"},
            "activity_interval": "100ms",
            "admin": {"address": f"127.0.0.1:{self.admin_port}"},
            "timeouts": {"drain": "5s"},
            "apps": {"test": app()},
        }

    def write_config(self):
        # JSON is YAML.
        text = self.config if isinstance(self.config, str) else json.dumps(self.config, indent=2)
        self.file.write_text(text, encoding="utf-8")

    # --- the process ----------------------------------------------------------------------------------------------

    def command(self) -> list[str]:
        return [str(BIN), self.role, "-c", str(self.file), *self.arguments]

    def spawn(self):
        self.write_config()
        key, _, value = self.mark.partition("=")
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.directory), "LC_ALL": "C.UTF-8",
                       "ASAN_OPTIONS": "verify_asan_link_order=0:detect_stack_use_after_return=1:abort_on_error=0:exitcode=99",
                       "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
                       "TSAN_OPTIONS": "exitcode=99:second_deadlock_stack=1",
                       key: value, **self.environment}
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, env=environment, cwd=self.directory)
        self.reader = threading.Thread(target=self._collect, args=(self.process.stdout,), daemon=True)
        self.reader.start()
        return self

    def start(self, timeout: float = READY_S):
        self.spawn()
        self.wait_ready(timeout)
        return self

    def _collect(self, pipe):
        with open(self.directory / "alcove.log", "a", encoding="utf-8") as copy:
            for raw in pipe:
                line = raw.decode(errors="replace").rstrip("\n")
                copy.write(line + "\n")
                copy.flush()
                with self.news:
                    self.lines.append(line)
                    self.news.notify_all()
        with self.news:
            self.lines.append("(end of output)")
            self.news.notify_all()

    @property
    def log(self) -> str:
        with self.news:
            return "\n".join(self.lines)

    def wait_log(self, text: str, timeout: float = READY_S, after: int = 0) -> str:
        """The first line from number `after` on that holds `text`."""
        deadline = time.monotonic() + timeout
        with self.news:
            at = after
            while True:
                for line in self.lines[at:]:
                    if text in line:
                        return line
                at = len(self.lines)
                left = deadline - time.monotonic()
                assert left > 0, f"no line with {text!r} in the log:\n" + "\n".join(self.lines[-40:])
                assert self.lines[-1:] != ["(end of output)"], f"ended without {text!r}:\n" + "\n".join(self.lines)
                self.news.wait(left)

    def wait_ready(self, timeout: float = READY_S):
        deadline = time.monotonic() + timeout
        while True:
            assert self.process.poll() is None, f"alcove {self.role} ended with {self.process.returncode}:\n{self.log}"
            try:
                if self.admin("/readyz").status == 200:
                    self.down = False
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"alcove {self.role} is not ready:\n{self.log}"
            time.sleep(0.02)

    def kill(self):
        """SIGKILL; what is left of it is the test's business."""
        self.killed = self.down = True
        self.kills += 1
        self.process.kill()
        self.process.wait(STOP_S)
        self.reader.join(STOP_S)

    def start_again(self):
        """After kill() or stop(), with the same configuration, ports and state."""
        self.killed = False
        return self.start()

    def stop(self, sig: int = signal.SIGTERM, within: float = STOP_S) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_S)
            raise AssertionError(f"alcove {self.role} did not end within {within} s of its signal\n{self.log}") from None
        self.reader.join(STOP_S)
        return self.process.returncode

    def check_exit(self):
        """Ends it, if it has not ended, and judges its exit code and what it wrote."""
        if self.process is None:
            return
        code = 0 if self.killed else self.stop()
        first = next((i for i, line in enumerate(self.lines) if any(r in line for r in REPORTS)), None)
        assert first is None, "sanitizer or crash report:\n" + "\n".join(l[:400] for l in self.lines[first:first + 120])
        assert code == 0, f"alcove {self.role} ended with {code}\n{self.log[-8000:]}"

    def check_nothing_left(self):
        """Once all processes that share the state directory have ended."""
        left = self.left_behind()
        assert wait_gone(left, 15), f"left behind: {left}"

    def check_end(self):
        """What must hold after every test."""
        self.check_exit()
        self.check_nothing_left()

    def left_behind(self) -> dict[int, str]:
        return {**carrying(self.mark), **self.pods()}

    def pods(self) -> dict[int, str]:
        """Processes that carry the mark of this state directory's pods, or work in one of their directories."""
        try:
            identity = (self.state / "id").read_text().strip()
        except FileNotFoundError:
            return {}
        assert identity
        return {**carrying(f"ALCOVE_POD=local-{identity}-"), **working_under(str(self.state.resolve() / "pods"))}

    # --- talking to it --------------------------------------------------------------------------------------------

    def admin(self, path: str, method: str = "GET", headers=(), body: bytes | None = None) -> http1.Response:
        return http1.request(self.admin_port, path, f"127.0.0.1:{self.admin_port}", method, headers, body)

    def host(self, app_name: str) -> str:
        return f"{app_name}.localhost:{self.port}"

    def get(self, user: str, target: str = "/", app_name: str = "test", method: str = "GET", headers=(),
            body: bytes | None = None, timeout: float = http1.PATIENCE_S) -> http1.Response:
        return http1.request(self.port, target, self.host(app_name), method, [("X-User-ID", user), *headers], body,
                             timeout)

    async def fetch(self, user: str, target: str = "/", app_name: str = "test", method: str = "GET", headers=(),
                    body: bytes | None = None, timeout: float = http1.PATIENCE_S) -> http1.Response:
        return await http1.fetch(self.port, target, self.host(app_name), method, [("X-User-ID", user), *headers],
                                 body, timeout)

    def connect(self, **keys) -> http1.Connection:
        return http1.Connection(self.port, **keys)

    def websocket(self, user: str, target: str = "/ws", app_name: str = "test", headers=()) -> ws.Client:
        return ws.Client(self.connect(), target, self.host(app_name), [("X-User-ID", user), *headers])

    def cli(self, *words: str, timeout: float = 60, environment: dict | None = None) -> subprocess.CompletedProcess:
        """`alcove WORDS...` for people, told where this run's admin listener is."""
        return run_alcove(*words, "--admin", f"127.0.0.1:{self.admin_port}", timeout=timeout, environment=environment)

    def sessions(self) -> list[dict]:
        answer = self.admin("/api/v1/sessions")
        assert answer.status == 200, answer
        return answer.json()["sessions"]

    def session(self, key: str) -> dict | None:
        return next((s for s in self.sessions() if s["key"] == key), None)

    def wait_sessions(self, enough, timeout: float = READY_S):
        """Looks until `enough` is true of the keys of all sessions."""
        deadline = time.monotonic() + timeout
        while not enough(keys := [s["key"] for s in self.sessions()]):
            assert time.monotonic() < deadline, keys
            time.sleep(0.01)

    def wait_state(self, key: str, *states: str, timeout: float = READY_S) -> dict | None:
        """Looks until the session is in one of `states` ("absent" is none)."""
        deadline = time.monotonic() + timeout
        while True:
            session = self.session(key)
            state = session["state"] if session else "absent"
            if state in states:
                return session
            assert time.monotonic() < deadline, f"{key} is {state}, not {states}\n{self.log[-4000:]}"
            time.sleep(0.01)


def wait_output(run, key: str, text: str, timeout: float = READY_S) -> str:
    """What `alcove logs` says of the session of a run or an installation, once it has `text`: a pod's answer may
    be here before what it wrote has been read."""
    deadline = time.monotonic() + timeout
    while True:
        done = run.cli("logs", key)
        assert done.returncode == 0, done.stderr
        if text in done.stdout:
            return done.stdout
        assert time.monotonic() < deadline, done.stdout[-4000:]


def run_alcove(*words: str, timeout: float = 60, environment: dict | None = None,
               cwd: pathlib.Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([str(BIN), *words], capture_output=True, text=True, timeout=timeout, cwd=cwd,
                          env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **(environment or {})})
