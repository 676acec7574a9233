"""Starting and stopping what a comparison needs. A Stage owns a folder and every process that was started on it, and
ends them all, by pid, however the comparison ends.

Two cores: the proxy under test has one of them, whatever gives it work has the other.
"""

from __future__ import annotations

import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
PROXY, LOAD, ANY = "0", "1", "0,1"


def without_folder(word: str) -> str:
    """For the report: `/some/where/program` and `--option=/some/where/file` without the folders of this machine."""
    return re.sub(r"(^|=)/.*/", r"\1", word)


def free_port() -> int:
    """Below the range that outgoing connections take their ports from."""
    for _ in range(1000):
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port")


class Process:
    def __init__(self, popen: subprocess.Popen, log: pathlib.Path):
        self.popen = popen
        self.pid = popen.pid
        self.log = log

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def wait_line(self, line: str, timeout: float = 60, count: int = 1):
        """Until its output has `count` lines that begin so."""
        deadline = time.monotonic() + timeout
        while sum(text.startswith(line) for text in self.log.read_text(errors="replace").splitlines()) < count:
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.popen.args}: no line \"{line}\"\n{self.tail()}")
            time.sleep(0.002)

    def wait_port(self, port: int, address: str = "127.0.0.1", timeout: float = 60):
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection((address, port), 1).close()
                return
            except OSError:
                if self.popen.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.popen.args}: nothing listens on {address}:{port}\n{self.tail()}") from None
                time.sleep(0.02)

    def end(self, timeout: float = 60) -> int | None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(timeout)
        return self.popen.returncode

    def kill(self, pids: list[int], timeout: float = 30):
        """At once, without the chance to tidy up; returns when all of `pids` have ended too."""
        def lives(pid: int) -> bool:
            try:
                return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
            except OSError:
                return False

        self.popen.kill()
        self.popen.wait(timeout)
        deadline = time.monotonic() + timeout
        while left := [pid for pid in pids if lives(pid)]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.popen.args}: {len(left)} of its processes do not end")
            time.sleep(0.02)


class Stage:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="alcove-bench-"))
        self.folder.chmod(0o755)
        self.processes: list[Process] = []
        self.commands: dict[str, None] = {}  # in the order of their first use, for the report

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind, *_):
        for process in reversed(self.processes):
            process.end()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name: str, text: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, name: str, command: list, core: str, environment: dict | None = None, **keys) -> Process:
        log = self.folder / f"{name}-{len(self.processes)}.log"
        command = ["taskset", "-c", core, *map(str, command)]
        with open(log, "wb") as out:
            popen = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder,
                                     env={**os.environ, **(environment or {})}, **{"stdin": subprocess.DEVNULL, **keys})
        self.processes.append(Process(popen, log))
        return self.processes[-1]

    def end(self, process: Process):
        """Sooner than the stage."""
        process.end()
        self.processes.remove(process)

    def run(self, command: list, core: str, timeout: float) -> str:
        """To its end; its output."""
        command = list(map(str, command))
        self.note(command)
        done = subprocess.run(["taskset", "-c", core, *command], capture_output=True, text=True, timeout=timeout,
                              cwd=self.folder)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def note(self, command: list[str]):
        """Ports and paths of this one run say nothing."""
        words = [without_folder(word) for word in command]
        for i, word in enumerate(words):
            if i and words[i - 1] in ("--port", "--redis"):
                words[i] = "PORT"
            words[i] = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", words[i])
        self.commands[" ".join(words)] = None
