"""The arrows between the rooms: which folder may include which.

Read by test_arrows.py. A room may include itself and what is listed for it, nothing else of ours.
Source: docs/architecture.md, "The house".
"""

from __future__ import annotations

import dataclasses
import pathlib
import re

ARROWS: dict[str, frozenset[str]] = {
    "base": frozenset(),
    "config": frozenset({"base"}),
    "store": frozenset({"base", "config"}),
    "lifecycle": frozenset({"base", "config", "store"}),
    "local": frozenset({"base", "config", "store", "lifecycle"}),
    "k8s": frozenset({"base", "config", "store", "lifecycle"}),
    "proxy": frozenset({"base", "config", "store"}),
    "api": frozenset({"base", "config", "store"}),
    "alcove": frozenset({"base", "config", "store", "lifecycle", "local", "k8s", "proxy", "api"}),
    # A pod knows nothing of Alcove but the odds and ends of base.
    "demo": frozenset({"base"}),
}
# These look at every room and no room looks at them.
OUTSIDE = frozenset({"tests", "bench"})

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Fault:
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def sources(root: pathlib.Path, room: str) -> list[pathlib.Path]:
    return sorted(p for p in (root / room).rglob("*") if p.suffix in {".cpp", ".hpp", ".h", ".in"} and p.is_file())


def target_of(root: pathlib.Path, file: pathlib.Path, include: str) -> str | None:
    """The room that an include leads to; None for what is not ours."""
    known = ARROWS.keys() | OUTSIDE
    first = include.split("/", 1)[0]
    if first in known and "/" in include:
        return first
    beside = (file.parent / include).resolve()
    if beside.is_file() and beside.is_relative_to(root):
        return beside.relative_to(root).parts[0]
    return None


def faults(root: pathlib.Path) -> list[Fault]:
    root = root.resolve()
    found = []
    for room, allowed in ARROWS.items():
        for file in sources(root, room):
            text = file.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                target = target_of(root, file, match.group(1))
                if target is None or target == room or target in allowed:
                    continue
                line = text.count("\n", 0, match.start(1)) + 1
                may = ", ".join(sorted(allowed)) or "nothing of ours"
                found.append(Fault(str(file.relative_to(root)), line,
                                   f'{room} includes "{match.group(1)}", but it may include only: {may}'))
    return found


def unknown_rooms(root: pathlib.Path) -> list[str]:
    """Folders with C++ sources that no arrow speaks of: a new room has to say where it stands."""
    skipped = ARROWS.keys() | OUTSIDE | {"build"}
    return sorted(d.name for d in root.iterdir()
                  if d.is_dir() and not d.name.startswith(".") and d.name not in skipped and sources(root, d.name))
