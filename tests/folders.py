"""Folders for tests: filled, looked at, backed up and restored into."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.archives import MAKER, public
from wmbackup.engine import BackupSummary, RestoreSummary, backup, open_archive, restore
from wmbackup.status import Control, Event, ItemEvent, PhaseEvent, never
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.tree import HandleTree, PathTree
from wmbackup.trust import Policy, Signer
from wmbackup.trust.keys import SigningKey

KEY = SigningKey("/key", public(1), exposed=False, private=MAKER)
POLICY = Policy((Signer("wmbackup@host", public(1)),))

FOLDER = "a folder"
WINDOWS = os.name == "nt"
WAYS = (PathTree,) if WINDOWS else (HandleTree, PathTree)
"""The ways through a folder that this system has."""
TICK = 100 if WINDOWS else 1
"""The nanoseconds by which times of files can differ."""


def possible(names: Iterable[bytes]) -> list[bytes]:
    """Return the names that files of this system can have, all of them in one folder."""
    if not WINDOWS:
        return list(names)
    found: dict[str, bytes] = {}
    for name in names:
        text = name.decode("utf-8", "replace")
        if "\ufffd" not in text and not set(text) & {*map(chr, range(32)), *'<>:"\\|?*'}:
            found.setdefault(text.lower(), name)
    return list(found.values())


def is_private(path: Path | str) -> bool:
    """Whether only its owner may use it. Windows has access lists for that (tests/windows)."""
    return WINDOWS or not os.stat(path).st_mode & 0o077


def _literal(path: Path) -> Path:
    # Otherwise Windows takes some names for devices and drops dots at the end of others.
    return Path(f"\\\\?\\{path}") if WINDOWS else path


def fill(root: Path, files: Mapping[bytes, bytes]) -> Path:
    """Write files below a folder, which is made."""
    root.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        place = _literal(root / os.fsdecode(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return root


def snapshot(root: Path) -> dict[bytes, bytes | str]:
    """Return everything below a folder: bytes of files, words for all else."""
    found: dict[bytes, bytes | str] = {}
    top = os.fsencode(_literal(root))
    for at, folders, files in os.walk(top):
        for name in folders + files:
            full = os.path.join(at, name)
            mode = os.lstat(full).st_mode
            path = full[len(top) + 1 :].replace(os.fsencode(os.sep), b"/")
            if stat.S_ISREG(mode):
                found[path] = Path(os.fsdecode(full)).read_bytes()
            elif stat.S_ISLNK(mode):
                found[path] = "a link to " + os.fsdecode(os.readlink(full))
            else:
                found[path] = FOLDER if stat.S_ISDIR(mode) else "something special"
    return found


def files(root: Path) -> dict[bytes, bytes]:
    """Return path and bytes of the files below a folder."""
    return {path: data for path, data in snapshot(root).items() if isinstance(data, bytes)}


class Log:
    """Follows an operation and cancels it after some events; ``after`` 0 never does."""

    def __init__(self, after: int = 0) -> None:
        """Begin with nothing heard."""
        self.events: list[Event] = []
        self._after = after

    def control(self) -> Control:
        """Return what the operation takes."""
        return Control(self.events.append, self._cancelled if self._after else never)

    def _cancelled(self) -> bool:
        return len(self.events) >= self._after

    def phases(self) -> list[str]:
        """Return the phases in the order in which they came."""
        return [event.phase.value for event in self.events if isinstance(event, PhaseEvent)]

    def items(self) -> list[bytes]:
        """Return the paths of the item events."""
        return [event.path for event in self.events if isinstance(event, ItemEvent)]


def back_up(
    store: Path, output: Path, control: Control | None = None, **more: Any
) -> BackupSummary:
    """Back a folder up."""
    return backup(FolderStore(str(store)), str(output), KEY, control, host="host", **more)


def bring_back(
    archive: Path, target: Path, control: Control | None = None, **more: Any
) -> RestoreSummary:
    """Restore an archive into a folder."""
    with open_archive(str(archive)) as source:
        return restore(source, FolderStore(str(target)), POLICY, control, **more)
