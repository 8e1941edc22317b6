from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from tests.cli.program import Inside, Place, Process


@pytest.fixture
def root() -> Iterator[str]:
    # Not pytest's own folder: other users may not enter that, and some tests run as one.
    folder = tempfile.mkdtemp(prefix="wmbackup-tests-")
    os.chmod(folder, 0o755)  # noqa: S103 - other users enter it
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _leaves_nothing(place: Place) -> None:
    assert place.leftovers() == []


@pytest.fixture
def program(root: str) -> Iterator[Process]:
    place = Process(root)
    yield place
    _leaves_nothing(place)


@pytest.fixture
def inside(root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    place = Inside(root)
    for name in os.environ:
        if name.startswith(("XDG_", "WMBACKUP_", "NO_COLOR", "TERM", "WIN_PD_", "SSH_")):
            monkeypatch.delenv(name)
    for name, text in place.environment().items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(place.here)
    yield place
    _leaves_nothing(place)
