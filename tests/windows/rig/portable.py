"""A pytest plugin: leave out what not-under-wine.txt lists, and nothing else.

A line is a pattern for node IDs (``fnmatch``; square brackets only as ``?`` or ``*``), a number
sign and the reason. One without ``::`` names files, which are not even imported. A pattern that
matches nothing in a whole run is an error: whatever it stood for works now, or is gone.
"""

from __future__ import annotations

import fnmatch
import os
import pathlib

import pytest

LIST = pathlib.Path(__file__).parents[1] / "not-under-wine.txt"


def _patterns() -> list[str]:
    found = []
    for number, line in enumerate(LIST.read_text(encoding="utf-8").splitlines(), 1):
        pattern, _, reason = line.partition("#")
        if pattern.strip():
            if not reason.strip():
                raise pytest.UsageError(f"{LIST.name}, line {number}: no reason")
            found.append(pattern.strip())
    return found


_unused: set[str] = set()


def pytest_configure() -> None:
    _unused.update(_patterns())


def pytest_ignore_collect(collection_path: pathlib.Path, config: pytest.Config) -> bool | None:
    path = os.path.relpath(collection_path, config.rootpath).replace(os.sep, "/")
    matching = {one for one in _patterns() if "::" not in one and fnmatch.fnmatchcase(path, one)}
    _unused.difference_update(matching)
    return True if matching else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    patterns = [one for one in _patterns() if "::" in one]
    left_out = []
    for item in items:
        matching = {one for one in patterns if fnmatch.fnmatchcase(item.nodeid, one)}
        _unused.difference_update(matching)
        if matching:
            left_out.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session) -> None:
    whole = {one for one in session.config.args if os.path.isdir(one)}
    if session.config.option.keyword or session.testsfailed:
        return
    for pattern in sorted(_unused):
        if any(pattern.startswith(f"{folder.rstrip('/')}/") for folder in whole):
            writer = session.config.get_terminal_writer()
            writer.line(f"{LIST.name}: matches nothing: {pattern}", red=True)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
