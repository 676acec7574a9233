"""Processes as /proc tells: who carries a mark in its environment, and waiting for one to end."""

from __future__ import annotations

import os
import select


def carrying(mark: str) -> dict[int, str]:
    """pid -> command line of every process whose environment holds `mark`. Zombies have none."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                environment = file.read()
            if mark.encode() not in environment:
                continue
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                found[int(entry)] = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def working_under(directory: str) -> dict[int, str]:
    """pid -> command line of every process that works in `directory` or below. Some programs (nginx) write over
    their environment, so that no mark can be found in it."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            where = os.readlink(f"/proc/{entry}/cwd").removesuffix(" (deleted)")
            if where != directory and not where.startswith(directory + "/"):
                continue
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                found[int(entry)] = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def wait_gone(pids, timeout: float) -> bool:
    """True when all of them have ended, by pidfd: an event, not a poll."""
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([fd], [], [], timeout)[0]:
                return False
        finally:
            os.close(fd)
    return True


def pidfd(pid: int) -> int:
    return os.pidfd_open(pid)
