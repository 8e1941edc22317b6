"""What is left when a run ends at any moment, or when any call of the system fails.

Each fault is tried at every single call: the first run dies at the first call, the next one at
the second, until one comes to its end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.folders import POLICY, back_up, bring_back, files, fill, snapshot
from wmbackup.engine import OnConflict, open_archive, verify
from wmbackup.errors import HalfRestored, SystemFailure
from wmbackup.storage.files import sync_everything
from wmbackup.stores import journal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork and no SIGKILL")

CALLS = ("write", "link", "rename", "replace", "fsync", "unlink", "mkdir", "rmdir", "utime", "open")
MOST = 400  # calls; no run here has as many

OLD = {b"same": b"same", b"changed": b"old", b"sub/changed": b"old too", b"own": b"stays"}
NEW = {
    b"same": b"same",
    b"changed": b"new",
    b"sub/changed": b"new too",
    b"sub/added": b"added",
    b"far/below/added": b"x" * 3000,
}
RESTORED = {**OLD, **NEW}

Fault = Callable[[], None]


@contextlib.contextmanager
def failing(at: Callable[[int, str], bool], fault: Fault) -> Iterator[list[str]]:
    """Have a fault before each changing call of the system for which ``at(number, name)`` holds.

    Yields the names of the calls so far. Opening counts where it creates a file.
    """
    calls: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            flags = args[1] if name == "open" else os.O_CREAT
            if flags & os.O_CREAT:
                calls.append(name)
                if at(len(calls), name):
                    fault()
            return real(*args, **more)

        return call

    # Not through monkeypatch, whose undoing would come too late for the cleaning up here.
    # `os.supports_dir_fd` holds the real functions, so the choice of the tree is made anew.
    real = {name: getattr(os, name) for name in CALLS}
    supports = set(os.supports_dir_fd)
    real_sync = sync_everything
    try:
        for name, function in real.items():
            setattr(os, name, wrap(name, function))
        os.supports_dir_fd |= {getattr(os, name) for name in CALLS}
        vars(journal)["sync_everything"] = wrap("syncfs", real_sync)
        yield calls
    finally:
        for name, function in real.items():
            setattr(os, name, function)
        os.supports_dir_fd = supports
        vars(journal)["sync_everything"] = real_sync


def kill_at(number: int, work: Callable[[], object]) -> bool:
    """Run in a child that kills itself at a call; return whether it died of that."""
    child = os.fork()
    if child == 0:
        with (
            contextlib.suppress(BaseException),
            failing(lambda n, _: n == number, lambda: os.kill(os.getpid(), signal.SIGKILL)),
        ):
            work()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the child failed"
    return False


class Backup:
    """A backup over an older archive, and what may be left of it."""

    def __init__(self, place: Path, *, replace: bool) -> None:
        self.store = fill(place / "store", {**NEW, b"large": bytes(3_000_000)})
        self.folder = place / "backups"
        self.archive = self.folder / "a.wmbackup.tar"
        self.replace = replace
        self.folder.mkdir()
        self.old = b""
        if replace:
            back_up(fill(place / "before", OLD), self.archive)
            self.old = self.archive.read_bytes()

    def reset(self) -> None:
        for left in self.folder.iterdir():
            left.unlink()
        if self.replace:
            self.archive.write_bytes(self.old)

    def run(self) -> None:
        back_up(self.store, self.archive, replace_output=self.replace)

    def is_published(self) -> bool:
        """Whether the new archive stands there; it is whole then."""
        there = self.archive.read_bytes() if self.archive.exists() else b""
        if there == self.old:
            return False
        with open_archive(str(self.archive)) as source:
            assert verify(source, POLICY).info.files == len(NEW) + 1
        return True

    def check(self) -> bool:
        published = self.is_published()
        back_up(self.store, self.archive, replace_output=True)
        assert self.is_published()
        assert [name.name for name in self.folder.iterdir()] == [self.archive.name]
        return published


class Restore:
    """A restore that replaces, and what may be left of it."""

    def __init__(self, place: Path, *, existing: bool) -> None:
        self.archive = place / "a.wmbackup.tar"
        self.parent = place / "parent"
        self.target = self.parent / "target" if existing else self.parent / "some" / "target"
        self.existing = existing
        back_up(fill(place / "store", NEW), self.archive)

    def reset(self) -> None:
        shutil.rmtree(self.parent, ignore_errors=True)
        self.parent.mkdir()
        if self.existing:
            fill(self.target, OLD)
        self.old = snapshot(self.parent)

    def run(self, **more: Any) -> None:
        bring_back(self.archive, self.target, on_conflict=OnConflict.REPLACE, **more)

    def check(self) -> bool:
        # Even what only looks puts back first what stood there before.
        self.run(dry_run=True)
        if snapshot(self.parent) == self.old:
            self.run()
            self.check_new()
            return False
        self.check_new()
        return True

    def check_new(self) -> None:
        assert files(self.target) == (RESTORED if self.existing else NEW)
        assert not [path for path in snapshot(self.parent) if b".wmbackup" in path]


def every_call(work: Backup | Restore, run: Callable[[int], bool]) -> None:
    """Try each call in turn; demand that some leave the old and, towards the end, some the new."""
    seen = []
    for number in range(1, MOST):
        work.reset()
        done = not run(number)
        seen.append(work.check())
        if done:
            break
    assert number > 4, "nothing was tried"
    assert seen[-1], "the last run came to its end"
    assert seen == sorted(seen), "what is done stays done"
    assert not seen[0]


@pytest.mark.parametrize("replace", [False, True])
def test_a_killed_backup_leaves_the_old_archive_or_the_whole_new_one(
    place: Path, *, replace: bool
) -> None:
    work = Backup(place, replace=replace)
    every_call(work, lambda number: kill_at(number, work.run))


@pytest.mark.parametrize("existing", [False, True])
def test_a_killed_restore_leaves_the_old_target_or_the_whole_new_one(
    place: Path, *, existing: bool
) -> None:
    work = Restore(place, existing=existing)
    every_call(work, lambda number: kill_at(number, work.run))


def test_a_killed_rolling_back_is_gone_on_with(place: Path) -> None:
    work = Restore(place, existing=True)

    def run(number: int) -> bool:
        # As late as it can be: everything is in its new place, and nothing says that it is done.
        assert kill_at(calls_of(work).index("unlink") + 1, work.run)
        return kill_at(number, lambda: work.run(dry_run=True))

    for number in range(1, MOST):
        work.reset()
        died = run(number)
        assert not work.check(), "what was rolled back is as it was"
        if not died:
            break
    assert number > 5


def calls_of(work: Restore) -> list[str]:
    work.reset()
    with failing(lambda _n, _name: False, lambda: None) as calls:
        work.run()
    work.reset()
    return list(calls)


def fail_with(number: int) -> Fault:
    def fault() -> None:
        raise OSError(number, os.strerror(number))

    return fault


def only(at: int) -> Callable[[int, str], bool]:
    return lambda number, _name: number == at


def from_then_on(at: int, call: str) -> Callable[[int, str], bool]:
    return lambda number, name: number >= at and call in {name, "all"}


def breaks(work: Callable[[], object]) -> bool:
    """Whether the work ends in an error, which is the one that it should end in."""
    try:
        work()
    except (SystemFailure, HalfRestored):
        return True
    return False


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("replace", [False, True])
def test_a_backup_in_which_one_call_fails_leaves_the_old_archive_or_the_whole_new_one(
    place: Path, *, replace: bool, number: int
) -> None:
    work = Backup(place, replace=replace)
    for at in range(1, MOST):
        work.reset()
        with failing(only(at), fail_with(number)) as calls:
            broken = breaks(work.run)
        assert broken or work.is_published()
        if len(calls) < at:
            break
        work.check()
    assert at > 4


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("existing", [False, True])
def test_a_restore_in_which_one_call_fails_leaves_the_old_target_or_the_whole_new_one(
    place: Path, *, existing: bool, number: int
) -> None:
    work = Restore(place, existing=existing)
    for at in range(1, MOST):
        work.reset()
        with failing(only(at), fail_with(number)) as calls:
            broken = breaks(work.run)
        if not broken:
            assert NEW.items() <= files(work.target).items()
        if len(calls) < at:
            break
        work.check()
    assert at > 4


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("call", [*CALLS, "syncfs", "all"])
def test_a_restore_in_which_a_call_fails_from_then_on_loses_nothing(
    place: Path, *, existing: bool, call: str
) -> None:
    work = Restore(place, existing=existing)
    for at in range(1, MOST):
        work.reset()
        with failing(from_then_on(at, call), fail_with(errno.ENOSPC)) as calls:
            breaks(work.run)
        work.check()
        if len(calls) < at:
            break


@pytest.mark.parametrize("call", [*CALLS, "all"])
def test_a_backup_in_which_a_call_fails_from_then_on_loses_nothing(
    place: Path, *, call: str
) -> None:
    work = Backup(place, replace=True)
    for at in range(1, MOST):
        work.reset()
        with failing(from_then_on(at, call), fail_with(errno.ENOSPC)) as calls:
            breaks(work.run)
        work.check()
        if len(calls) < at:
            break
