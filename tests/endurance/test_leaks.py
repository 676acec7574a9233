"""24 hours in little: after a million requests, a hundred thousand connections and thousands of aborted bodies, memory
and file descriptors are where they were."""

import asyncio
import os
import pathlib
import random
import re
import subprocess
import time

REQUESTS = 1_000_000
CONNECTIONS = 100_000
ABORTS = 4_000
USERS = 200


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def wrk(run, place, count: int, close: bool) -> int:
    """At least `count` requests of many users, each on a connection of its own if `close`."""
    script = place / "users.lua"
    script.write_text(f"""
        local n = 0
        request = function()
          n = n + 1
          return wrk.format("GET", "/", {{["Host"] = "{run.host('test')}", ["X-User-ID"] = "user-" .. (n % {USERS}),
                                         ["Connection"] = "{'close' if close else 'keep-alive'}"}})
        end""")
    done = 0
    while done < count:
        report = subprocess.run(["wrk", "-t1", "-c64", "-d10s", "--timeout", "30s", "-s", str(script),
                                 f"http://127.0.0.1:{run.port}/"], capture_output=True, text=True, timeout=60, check=True).stdout
        assert "Non-2xx" not in report and "Socket errors" not in report, report
        requests = int(re.search(r"(\d+) requests in", report)[1])
        assert requests > 1000, report
        done += requests
    return done


async def abort(run, chance: random.Random):
    """An upload or a download that its client gives up at a random point, with a FIN or a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", run.port)
    common = f"Host: {run.host('test')}\r\nX-User-ID: user-{chance.randrange(USERS)}\r\n"
    stop_after = chance.randrange(1 << 20)
    try:
        if chance.random() < 0.5:
            writer.write(f"POST /sink HTTP/1.1\r\n{common}Content-Length: {4 << 20}\r\n\r\n".encode())
            writer.write(b"u" * stop_after)
            if chance.random() < 0.5:
                await writer.drain()
        else:
            writer.write(f"GET /files/large HTTP/1.1\r\n{common}\r\n".encode())
            got = 0
            while got < stop_after and (data := await reader.read(65536)):
                got += len(data)
    except ConnectionError:
        pass
    finally:
        if chance.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


async def aborts(run, count: int, seed: int, at_once: int = 32):
    chance = random.Random(seed)
    slots = asyncio.Semaphore(at_once)

    async def one():
        async with slots:
            await abort(run, chance)

    await asyncio.gather(*(one() for _ in range(count)))


def settled(run, level: int) -> int:
    """Descriptors once what was given up has been noticed and what idles has been closed."""
    deadline = time.monotonic() + 60
    while (now := descriptors(run.process.pid)) > level and time.monotonic() < deadline:
        time.sleep(0.1)
    return now


def exercise(run, place, share: float, seed: int):
    wrk(run, place, int(REQUESTS * share), close=False)
    wrk(run, place, int(CONNECTIONS * share), close=True)
    asyncio.run(aborts(run, int(ABORTS * share), seed))


def test_descriptors_and_memory_return_to_where_they_were(gateway, place):
    run = gateway(limits={"connections_per_address": 20000})
    pid = run.process.pid
    idle = descriptors(pid)
    # This much fills caches, pools and the allocator's arenas: the level to return to. Pools are as full as the most
    # bodies at once have ever left them, up to a cap: more at once than the test has fill them.
    exercise(run, place, 0.3, seed=1)
    asyncio.run(aborts(run, ABORTS, seed=3, at_once=256))
    assert settled(run, idle) <= idle
    before = resident_kib(pid)
    exercise(run, place, 1.0, seed=2)
    assert settled(run, idle) <= idle
    after = resident_kib(pid)
    print(f"descriptors {idle}, resident {before} KiB before and {after} KiB after")
    assert after <= before * 1.05, (before, after)
