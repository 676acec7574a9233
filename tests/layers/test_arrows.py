"""The includes follow the arrows of the design, and the check itself finds what it has to find."""

import pathlib

import pytest

from arrows import ARROWS, faults, unknown_rooms

ROOT = pathlib.Path(__file__).resolve().parents[2]


def house(root: pathlib.Path, file: str, include: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#pragma once\n\n#include {include}\n#include <vector>\n", encoding="utf-8")


def test_every_include_follows_the_arrows():
    assert [str(f) for f in faults(ROOT)] == []


def test_every_room_with_sources_has_its_place_in_the_picture():
    assert unknown_rooms(ROOT) == []


def test_the_check_reads_the_rooms_that_exist():
    for room in ("base", "config", "store", "lifecycle", "local", "k8s", "proxy", "api", "alcove",
                 "demo"):
        assert (ROOT / room).is_dir(), room


def test_arrows_have_no_circle():
    for room in ARROWS:
        seen, todo = set(), set(ARROWS[room])
        while todo:
            seen |= todo
            todo = set().union(*(ARROWS[r] for r in todo)) - seen
        assert room not in seen


@pytest.mark.parametrize("file, include", [
    ("proxy/exchange.cpp", '"k8s/client.hpp"'),
    ("proxy/identity/identity.hpp", '"lifecycle/runtime.hpp"'),
    ("proxy/worker.cpp", "<local/guard.hpp>"),
    ("proxy/worker.cpp", '"api/admin.hpp"'),
    ("api/admin.cpp", '"proxy/metrics.hpp"'),
    ("api/admin.cpp", '"lifecycle/runtime.hpp"'),
    ("base/log.cpp", '"config/settings.hpp"'),
    ("store/store.hpp", '"lifecycle/runtime.hpp"'),
    ("lifecycle/reaper.cpp", '"local/local_runtime.hpp"'),
    ("local/guard.cpp", '"tests/support/fake.hpp"'),
    ("demo/server.cpp", '"proxy/head.hpp"'),
])
def test_a_forbidden_include_is_found_with_its_line(tmp_path, file, include):
    house(tmp_path, file, include)
    found = faults(tmp_path)
    assert [(f.file, f.line) for f in found] == [(file, 3)]


def test_a_forbidden_include_by_relative_path_is_found(tmp_path):
    house(tmp_path, "k8s/client.hpp", "<string>")
    house(tmp_path, "proxy/exchange.cpp", '"../k8s/client.hpp"')
    assert [f.file for f in faults(tmp_path)] == ["proxy/exchange.cpp"]


def test_allowed_includes_are_not_faults(tmp_path):
    house(tmp_path, "proxy/exchange.cpp", '"store/store.hpp"')
    house(tmp_path, "alcove/main.cpp", '"k8s/client.hpp"')
    house(tmp_path, "proxy/head.cpp", '"proxy/head.hpp"')
    assert faults(tmp_path) == []
