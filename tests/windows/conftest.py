from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import pathlib
from collections.abc import Iterator

import pytest

from tests.windows.harness import Double, Follower
from tests.windows.system import apartment_kind
from wmbackup.stores.windows import callback


@pytest.fixture
def double(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """The double; at the end nothing may be left of what was taken from it."""
    one = Double(tmp_path)
    for name, value in one.environment.items():
        monkeypatch.setenv(name, value)
    alive = set(callback._ALIVE)
    yield one
    one.check()
    assert set(callback._ALIVE) == alive
    assert apartment_kind() is None, "COM was not left"


@pytest.fixture
def follower() -> Follower:
    return Follower()
