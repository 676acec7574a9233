"""A wall clock for processes of a test that can be moved while they run (other_clock.c)."""

from __future__ import annotations

import mmap
import pathlib
import struct
import subprocess


class OtherClock:
    def __init__(self, directory: pathlib.Path):
        library = directory / "other_clock.so"
        source = pathlib.Path(__file__).with_suffix(".c")
        subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source)],
                       check=True)
        self._file = open(directory / "clock", "w+b")
        self._file.write(struct.pack("q", 0))
        self._file.flush()
        self._page = mmap.mmap(self._file.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "OTHER_CLOCK": str(directory / "clock")}

    def move(self, seconds: int):
        """To so many seconds from the real time, at once for all."""
        self._page[:8] = struct.pack("q", seconds)
