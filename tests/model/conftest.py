"""The marker `deep`: larger bounds, only when they are asked for."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


def pytest_configure(config):
    config.addinivalue_line("markers", "deep: larger bounds; run with -m deep")


def pytest_collection_modifyitems(config, items):
    if "deep" in (config.getoption("markexpr") or ""):
        return
    shallow = [item for item in items if item.get_closest_marker("deep") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in shallow])
    items[:] = shallow
