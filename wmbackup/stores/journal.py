"""The journal of a restore into a folder that is there, and how it is undone.

It is on disk before the first change. Whoever finds it later, and that is the next restore into
the folder, puts back what stood there before.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wmbackup.archive.names import is_path
from wmbackup.files import PRIVATE, PRIVATE_FOLDER, try_lock
from wmbackup.stores.tree import Tree, remove_all

STAGING = b".wmbackup-restore-"
LOCK = b"/lock"
_JOURNAL = b"/journal"
_FILES = b"/files/"
_OLD = b"/old/"


class Staging:
    """A private folder that belongs to one run, which holds it by a lock."""

    def __init__(self, tree: Tree) -> None:
        """Make it below the root. Raises OSError."""
        self.tree = tree
        self.name = STAGING + secrets.token_hex(8).encode()
        tree.make_folder(self.name, PRIVATE_FOLDER)
        self._lock = tree.create(self.name + LOCK, PRIVATE)
        try_lock(self._lock)

    def make_places(self) -> None:
        """Make the folders for new files and for those that they replace. Raises OSError."""
        for folder in (_FILES, _OLD):
            self.tree.make_folder(self.name + folder[:-1], PRIVATE_FOLDER)

    def file(self, number: int) -> bytes:
        """Return where a file is staged."""
        return self.name + _FILES + b"%d" % number

    def close(self) -> None:
        """Remove it with all that is in it."""
        os.close(self._lock)
        remove_all(self.tree, self.name)


@dataclass(frozen=True, slots=True)
class Move:
    """One file on its way: from ``staged`` to ``path``, what stood there to ``old``.

    ``inode`` tells the staged file from any other that may come to stand there.
    """

    staged: bytes
    old: bytes
    path: bytes
    inode: int
    replaces: bool


def _move(staging: bytes, number: int, path: bytes, inode: int, *, replaces: bool) -> Move:
    digits = b"%d" % number
    return Move(staging + _FILES + digits, staging + _OLD + digits, path, inode, replaces)


class Journal:
    """What a commit is about to do: the moves, and the folders that it makes on the way."""

    def __init__(self, tree: Tree, staging: bytes, moves: list[Move], made: list[bytes]) -> None:
        """Keep what was planned or read."""
        self._tree = tree
        self._staging = staging
        self.moves = moves
        self._made = made

    @classmethod
    def write(cls, tree: Tree, staging: bytes, places: Mapping[bytes, int]) -> Journal:
        """Look at the place of each staged file and write the journal. Raises OSError."""
        moves = []
        for path, number in places.items():
            staged = tree.stat(staging + _FILES + b"%d" % number)
            inode = 0 if staged is None else staged.st_ino
            replaces = tree.stat(path) is not None
            moves.append(_move(staging, number, path, inode, replaces=replaces))
        made = _missing_folders(tree, places)
        rows = [
            {"number": number, "path": _text(m.path), "inode": m.inode, "replaces": m.replaces}
            for m, number in zip(moves, places.values(), strict=True)
        ]
        text = json.dumps({"moves": rows, "made": [_text(path) for path in made]}).encode()
        _write(tree, staging, text)
        return cls(tree, staging, moves, made)

    @classmethod
    def read(cls, tree: Tree, staging: bytes) -> Journal | None:
        """Read the journal of a run that ended; None where there is none, or none that is whole."""
        try:
            with os.fdopen(tree.open(staging + _JOURNAL), "rb") as file:
                content = json.load(file)
            moves = [
                _move(
                    staging,
                    int(row["number"]),
                    _path(row["path"]),
                    int(row["inode"]),
                    replaces=bool(row["replaces"]),
                )
                for row in content["moves"]
            ]
            return cls(tree, staging, moves, [_path(text) for text in content["made"]])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def done(self) -> None:
        """Forget it: from now on nothing undoes what was done. Raises OSError."""
        self._tree.unlink(self._staging + _JOURNAL)
        self._tree.sync(self._staging)

    def undo(self) -> None:
        """Put everything back, as far as what stands there is what was put there."""
        for move in reversed(self.moves):
            with contextlib.suppress(OSError):
                self._undo(move)
        for folder in self._made:
            with contextlib.suppress(OSError):
                self._tree.remove_folder(folder)

    def _undo(self, move: Move) -> None:
        tree = self._tree
        there = tree.stat(move.path)
        if tree.stat(move.old) is not None:
            if there is None or there.st_ino == move.inode:
                tree.rename(move.old, move.path)
        elif there is not None and there.st_ino == move.inode and not move.replaces:
            tree.unlink(move.path)


def _missing_folders(tree: Tree, paths: Iterable[bytes]) -> list[bytes]:
    seen: set[bytes] = set()
    missing = []
    for path in paths:
        folder = path.rpartition(b"/")[0]
        while folder and folder not in seen:
            seen.add(folder)
            if tree.stat(folder) is None:
                missing.append(folder)
            folder = folder.rpartition(b"/")[0]
    # The deepest first, which is the order in which they can be removed again.
    return sorted(missing, key=lambda path: -path.count(b"/"))


def _write(tree: Tree, staging: bytes, text: bytes) -> None:
    # Under another name until it is whole: half a journal must not look like one.
    draft = staging + b"/journal.new"
    with os.fdopen(tree.create(draft, PRIVATE), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    tree.rename(draft, staging + _JOURNAL)
    tree.sync(staging)


def _text(path: bytes) -> str:
    return b64encode(path).decode()


def _path(text: str) -> bytes:
    path = b64decode(text, validate=True)
    if not is_path(path):
        raise ValueError("a path that leaves the folder")
    return path


def undo_leftovers(tree: Tree) -> None:
    """Undo what runs left that ended before they could. Raises OSError."""
    for name, _ in list(tree.entries(b"")):
        if name.startswith(STAGING) and _is_ours_and_dead(tree, name):
            journal = Journal.read(tree, name)
            if journal is not None:
                journal.undo()
            remove_all(tree, name)


def _is_ours_and_dead(tree: Tree, name: bytes) -> bool:
    status = tree.stat(name)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return False
    if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
        return False  # a journal that this user did not write is not carried out
    try:
        descriptor = tree.open(name + LOCK)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        return try_lock(descriptor)
    finally:
        os.close(descriptor)
