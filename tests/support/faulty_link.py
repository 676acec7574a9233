"""A TCP link between a client and a server that a test can spoil: delay, cut, refuse, swallow, lead elsewhere.

Called by tests that stand it between Alcove and Redis. Runs in a thread of its own until close().
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from support.ports import free_port


class FaultyLink:
    def __init__(self, target: int):
        self.port = free_port()
        self.target = target  # a port of 127.0.0.1; what connects from now on is led there
        self.reply_delay = 0.0  # seconds, of what the server says
        self.swallows = False  # nothing gets through, and nobody is told
        self.refuses = False  # who connects is reset
        self.cuts = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._up = threading.Event()
        self._end: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(20)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self):
        """Resets every connection that there is."""

        def now():
            self.cuts += len(self._writers) // 2
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(now)

    def cut_off(self):
        """As if the cable had been pulled out: silence, for new connections too."""
        self.swallows = True

    def mend(self):
        """All is well from now on; what was swallowed stays so, and its connections are reset."""
        self.swallows = self.refuses = False
        self.reply_delay = 0.0
        self.cut()

    def close(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self._up.set()
        async with server:
            await self._end.wait()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader, writer):
        if self.refuses:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, server_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._carry(reader, server_writer, False), self._carry(server_reader, writer, True))
        except OSError:
            pass
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _carry(self, reader, writer, replies: bool):
        """What is delayed is delayed by that, however much of it there is: a long way, not a narrow one."""
        queue: asyncio.Queue = asyncio.Queue()

        async def put():
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if data is None:
                    with contextlib.suppress(OSError, RuntimeError):
                        writer.transport.abort()
                    return
                if not self.swallows:
                    writer.write(data)
                    await writer.drain()

        putter = asyncio.create_task(put())
        try:
            while data := await reader.read(65536):
                if not self.swallows:
                    queue.put_nowait((self._loop.time() + (self.reply_delay if replies else 0.0), data))
        finally:
            queue.put_nowait((0.0, None))
            await putter
