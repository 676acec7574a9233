"""Load that judges every answer: many users at once through several gateways, while a test breaks things.

    with Load(house.gateways, users=24) as load:
        load.all_served()          # everyone has a pod
        load.fault_begins()
        ...                        # break it
        load.fault_ends()
        load.recovered()           # everyone has had a right answer since
    load.verdict(...)              # 0 lost, 0 from the wrong pod

An answer is one of
  right    from this user's pod, to this very request, whole
  clear    an error that Alcove answers for: its own head, a two-letter code, Retry-After where it is promised
  own      the connection went to a gateway that was killed (or was not there) meanwhile, or its pod was killed in the
           middle of an answer: nobody can say more then
  lost     anything else: cut, reset, cut short, late, a 502 where no pod was killed, an error without a code
  wrong    from another user's pod, from two pods of one user in turn, or the answer to another request
Thread: the load runs in a thread of its own; the test calls from its own thread.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import hashlib
import json
import random
import threading
import time

from support import http1
from support.pattern import pattern

CLEAR = (424, 429, 503, 504)
WAITS_S = 75.0  # longer than any hold: silence past it is a lost request
STREAM = 3 * 2000
BODY = bytes(range(256)) * 8


@dataclasses.dataclass
class Answer:
    verdict: str  # right, clear, own, lost, wrong
    sent: float
    done: float
    what: str = ""
    pod: tuple[int, float] | None = None  # as User.from_two_pods


class User:
    def __init__(self, name: str, app: str, pause: tuple[float, float], drifts: bool):
        self.drifts = drifts
        self.name = name
        self.app = app
        self.pause = pause
        self.number = 0
        self.answers: list[Answer] = []
        self.latest: tuple[int, float] | None = None  # the newest pod that has answered
        self.replaced: dict[tuple[int, float] | None, float] = {}  # when a newer pod's answer had been received

    @property
    def session(self) -> str:
        return f"{self.app}/{self.name}"

    def from_two_pods(self, sent: float, done: float, pod: tuple[int, float]) -> bool:
        """A request that was sent after a newer pod's answer had come must not meet the older pod. `pod`: its pid and
        since when it listens, for the system uses a pid again after a while."""
        if pod in self.replaced:
            return sent > self.replaced[pod]
        if pod != self.latest:
            self.replaced[self.latest] = done
            self.latest = pod
        return False


class Load:
    def __init__(self, gateways, users: int = 24, app: str = "test", pause: tuple[float, float] = (0.02, 0.2),
                 pods_die: bool = False, prefix: str = "user", seed: int = 1, kinds: str = "ggggppsc",
                 lines: int = 1, away: float = 0.0, drifters: int = 0):
        """`gateways`: Alcove objects. `pods_die`: the fault kills pods, so that a request under way may be told 502.
        `kinds`: g GET, p POST, s a slow answer, c a chunked one, n none ever. `lines`: requests of a user at once. `drifters` of the
        users stay away for up to `away` seconds between two requests, so that they meet evictions."""
        self.gateways = gateways
        self.lines = lines
        self.pods_die = pods_die
        self.random = random.Random(seed)
        self.kinds = kinds
        self.users = [User(f"{prefix}{i}", app, (0.0, away) if i < drifters else pause, i < drifters)
                      for i in range(users)]
        self.began = 0.0
        self.fault_began = 0.0
        self.fault_ended = 0.0
        self.stopping = False
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.trouble: BaseException | None = None

    # --- for the test's thread ------------------------------------------------------------------------------------

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping = True
        self.thread.join(WAITS_S + 30)
        if kind is None:
            assert not self.thread.is_alive(), "the load does not end"
            if self.trouble:
                raise self.trouble

    def fault_begins(self):
        self.fault_began = time.monotonic()
        self.fault_ended = 0.0

    def fault_ends(self):
        self.fault_ended = time.monotonic()

    def all_served(self, timeout: float = 60, since: float | None = None):
        """Waits until every user has had a right answer to a request sent after `since` (a time.monotonic())."""
        since = self.began if since is None else since
        deadline = time.monotonic() + timeout
        while True:
            missing = [u.name for u in self.users if not self._served_since(u, since)]
            if not missing:
                return
            if self.trouble:
                raise self.trouble
            assert time.monotonic() < deadline, f"not served after {timeout} s: {missing}; {self.problems()}"
            time.sleep(0.02)

    def recovered(self, timeout: float = 60):
        self.all_served(timeout, self.fault_ended or self.fault_began)

    def has_been_right(self, times: int, timeout: float):
        """Waits until every user has had so many right answers: a short fault is judged by enough of them too."""
        deadline = time.monotonic() + timeout
        while few := [u.name for u in self.users if sum(a.verdict == "right" for a in list(u.answers)) < times]:
            assert time.monotonic() < deadline, f"{few} had fewer than {times} right answers; {self.problems()}"
            time.sleep(0.05)

    def answers(self, since: float = 0.0):
        return [a for u in self.users for a in list(u.answers) if a.sent >= since]

    def count(self, since: float = 0.0) -> collections.Counter:
        return collections.Counter(a.verdict for a in self.answers(since))

    def problems(self) -> str:
        bad = [f"{u.name} {a.verdict} sent {a.sent - self.began:.2f} s, done {a.done - self.began:.2f} s: {a.what}"
               for u in self.users for a in list(u.answers) if a.verdict in ("lost", "wrong")]
        clear = collections.Counter(a.what for a in self.answers() if a.verdict in ("clear", "own"))
        times = ""
        if self.fault_began:
            times = f"fault from {self.fault_began - self.began:.2f} s"
            if self.fault_ended:
                times += f" to {self.fault_ended - self.began:.2f} s"
        return "\n".join([*bad[:25], f"({len(bad)} in all; {times}; the others: {dict(clear.most_common(12))})"])

    def time_to_recover(self) -> float | None:
        """From the fault's end until the last user who asks all the time has had a right answer."""
        since = self.fault_ended or self.fault_began
        if not since:
            return None
        firsts = []
        for user in [u for u in self.users if not u.drifts] or self.users:
            done = [a.done for a in user.answers if a.verdict == "right" and a.done >= since]
            if not done:
                return None
            firsts.append(min(done) - since)
        return max(firsts)

    def row(self) -> dict:
        count = self.count()
        return {"users": len(self.users), "sent": sum(count.values()), "right": count["right"], "clear": count["clear"],
                "own": count["own"], "lost": count["lost"], "wrong": count["wrong"],
                "recover_s": self.time_to_recover(),
                "errors": dict(collections.Counter(a.what for a in self.answers()
                                                   if a.verdict in ("clear", "own")).most_common(8))}

    @staticmethod
    def _served_since(user: User, since: float) -> bool:
        for answer in reversed(user.answers):
            if answer.verdict == "right" and answer.sent >= since:
                return True
            if answer.done < since:
                return False
        return False

    # --- the load's own thread ------------------------------------------------------------------------------------

    async def _run(self):
        try:
            await asyncio.gather(*(self._user(u, random.Random(self.random.random()))
                                   for u in self.users for _ in range(self.lines)))
        except BaseException as trouble:  # told to the test
            self.trouble = trouble

    async def _user(self, user: User, chance: random.Random):
        line: Line | None = None
        await asyncio.sleep(chance.uniform(0, 0.2))
        while not self.stopping:
            if line is None:
                line = Line(chance.choice([g for g in self.gateways if g.process and g.process.poll() is None]
                                          or self.gateways))
            answer = await self._request(user, line, chance.choice(self.kinds))
            user.answers.append(answer)
            # Some connections are kept for long, others for one request, as with real clients.
            if line.done or answer.verdict != "right" or chance.random() < 0.1:
                line.close()
                line = None
            if answer.verdict == "own":
                await asyncio.sleep(0.02)
            await asyncio.sleep(chance.uniform(*user.pause))
        if line:
            line.close()

    async def _request(self, user: User, line: Line, kind: str) -> Answer:
        user.number += 1
        mark = f"{user.name}-{user.number}"
        method, body, target = "GET", None, f"/at?id={mark}"
        if kind == "p":
            method, body = "POST", BODY
        elif kind == "s":
            target = f"/sleep?ms=120&id={mark}"
        elif kind == "c":
            target = f"/stream?chunks=3&size=2000&ms=20&id={mark}"
        elif kind == "n":
            target = f"/never?id={mark}"
        sent = time.monotonic()

        def ended(verdict: str, what: str = "", pod=None) -> Answer:
            return Answer(verdict, sent, time.monotonic(), what, pod)

        try:
            response = await asyncio.wait_for(line.exchange(method, target, user, body), WAITS_S)
        except (http1.Broken, OSError, asyncio.IncompleteReadError) as error:
            gateway = line.gateway
            if gateway.kills != line.kills or gateway.down:
                return ended("own", "its gateway was killed")
            if self.pods_die and line.answering:
                return ended("own", "its pod was killed in the middle of an answer")
            return ended("lost", f"{method} {target} via {gateway.port}: {error!r}")
        except asyncio.TimeoutError:
            return ended("lost", f"{method} {target}: no answer in {WAITS_S} s")
        except AssertionError as error:
            return ended("lost", f"{method} {target}: {error}")
        return self._judge(user, response, sent, time.monotonic(), method, target, body, kind, ended)

    def _judge(self, user, response, sent, done, method, target, body, kind, ended) -> Answer:
        if response.header("Server") == "alcove":
            return self._judge_error(response, method, target, ended)
        if response.status != 200:
            return ended("lost", f"{method} {target}: {response.status} from a pod: {response.body[:200]!r}")
        if kind == "c":
            if response.body == pattern(2000) * 3:
                return ended("right")
            return ended("wrong", f"{target}: {len(response.body)} bytes that are not its own")
        fact = json.loads(response.body)
        if (fact["session"], fact["user"]) != (user.session, user.name):
            return ended("wrong", f"{user.session} was answered by the pod of {fact['session']} as {fact['user']}")
        if (fact["method"], fact["target"]) != (method, target):
            return ended("wrong", f"{method} {target} got the answer to {fact['method']} {fact['target']}")
        if body is not None and fact["body_sha256"] != hashlib.sha256(body).hexdigest():
            return ended("wrong", f"{target}: the pod got another body")
        pod = (fact["pid"], fact["listening_at"])
        if user.from_two_pods(sent, done, pod):
            return ended("wrong", f"{target}: generation {fact['generation']}, pid {fact['pid']} answered after another pod had")
        return ended("right", pod=pod)

    def _judge_error(self, response, method, target, ended) -> Answer:
        said = f"{response.status}"
        try:
            problem = response.json()
            said = f"{response.status} {problem['code']} {problem['detail'][:90]}"
        except (ValueError, KeyError):
            return ended("lost", f"{method} {target}: {response.status} without a code: {response.body[:200]!r}")
        if response.status == 502 and self.pods_die:
            return ended("clear", said)
        if response.status not in CLEAR:
            return ended("lost", f"{method} {target}: {said}")
        if response.status in (429, 503, 424) and response.header("Retry-After") is None:
            return ended("lost", f"{method} {target}: {said} without Retry-After")
        return ended("clear", said)


class Line:
    """One client connection, kept as long as both sides like."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.kills = gateway.kills  # when it was opened
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.done = False
        self.answering = False  # the head of a pod's answer has come, its end has not

    def close(self):
        if self.writer:
            self.writer.close()

    async def exchange(self, method: str, target: str, user: User, body: bytes | None) -> http1.Response:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.gateway.port, limit=1 << 20)
        self.writer.write(http1.build(method, target, self.gateway.host(user.app), [("X-User-ID", user.name)], body))
        await self.writer.drain()
        response = http1.parse_head(await self.reader.readuntil(b"\r\n\r\n"))
        while response.status < 200:
            response = http1.parse_head(await self.reader.readuntil(b"\r\n\r\n"))
        self.answering = not response.by_alcove
        kind, length = http1.framing(response, method)
        if kind == "length":
            response.body = await self.reader.readexactly(length)
        elif kind == "chunked":
            parts = []
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                parts.append((await self.reader.readexactly(size + 2))[:-2])
            await self.reader.readuntil(b"\r\n")
            response.body = b"".join(parts)
        elif kind == "close":
            response.body = await self.reader.read(-1)
        self.answering = False
        self.done = kind == "close" or (response.header("Connection") or "").lower() == "close"
        return response
