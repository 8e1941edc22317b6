"""The journal of a restore into a folder that is there, and how it is undone.

It is on disk before the first change. Whoever finds it later, and that is the next restore into
the folder, puts back what stood there before.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from wmbackup.archive.names import is_path
from wmbackup.files import PRIVATE, PRIVATE_FOLDER, try_lock
from wmbackup.status import Control, WarningEvent
from wmbackup.stores.tree import Tree, open_tree, remove_all

STAGING = b".wmbackup-restore-"
"""What the names of staging folders begin with: no archive may bring one."""

LOCK = b"/lock"
_JOURNAL = b"/journal"
_FILES = b"/files/"
_OLD = b"/old/"


class Staging:
    """A private folder that belongs to one run, which holds it by a lock."""

    def __init__(self, tree: Tree) -> None:
        """Make it below the root. Raises OSError."""
        self.tree = tree
        self.name, self._lock = _create_locked(tree)

    def make_places(self) -> None:
        """Make the folders for new files and for those that they replace. Raises OSError."""
        for folder in (_FILES, _OLD):
            self.tree.make_folder(self.name + folder[:-1], PRIVATE_FOLDER)

    def file(self, number: int) -> bytes:
        """Return where a file is staged."""
        return self.name + _FILES + b"%d" % number

    def close(self) -> None:
        """Remove it with all that is in it, unless a journal there has still to be undone."""
        try:
            # Locked as long as there is anything in it: nobody else is to look at it meanwhile.
            if os.name != "nt" and not _has_journal(self.tree, self.name):
                remove_all(self.tree, self.name)
        finally:
            os.close(self._lock)
        if os.name == "nt" and not _has_journal(self.tree, self.name):
            remove_all(self.tree, self.name)


def _create_locked(tree: Tree) -> tuple[bytes, int]:
    while True:
        name = STAGING + os.urandom(8).hex().encode()
        tree.make_folder(name, PRIVATE_FOLDER)
        # Another run that removes leftovers may meet it before it is locked.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            lock = tree.create(name + LOCK, PRIVATE)
            if try_lock(lock) and (os.name == "nt" or os.fstat(lock).st_nlink):
                return name, lock
            os.close(lock)


def _has_journal(tree: Tree, staging: bytes) -> bool:
    return tree.stat(staging + _JOURNAL) is not None


class Move(NamedTuple):
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
        content = {
            "inode": _inode(tree, staging),
            "moves": rows,
            "made": [_text(path) for path in made],
        }
        text = json.dumps(content).encode()
        journal = cls(tree, staging, moves, made)
        try:
            _write(tree, staging, text)
        except BaseException:
            with contextlib.suppress(OSError):
                journal.done()
            raise
        return journal

    @classmethod
    def read(cls, tree: Tree, staging: bytes) -> Journal | None:
        """Read the journal of a run that ended; None where it is not whole. Raises OSError."""
        with os.fdopen(tree.open(staging + _JOURNAL), "rb") as file:
            text = file.read()
        try:
            content = json.loads(text)
            # A journal that came along in some other way, unpacked or copied, is not carried out.
            if content["inode"] != _inode(tree, staging):
                return None
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
        except (ValueError, KeyError, TypeError):
            return None

    def done(self) -> None:
        """Forget it: from now on nothing undoes what was done. Raises OSError."""
        self._tree.unlink(self._staging + _JOURNAL)
        self._tree.sync(self._staging)

    def undo(self) -> None:
        """Put everything back, as far as what stands there is what was put there.

        Raises OSError where that is not possible; the journal stays then, for another try.
        """
        failure: OSError | None = None
        for move in reversed(self.moves):
            try:
                self._undo(move)
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure
        for folder in self._made:
            with contextlib.suppress(OSError):
                self._tree.remove_folder(folder)
        with contextlib.suppress(FileNotFoundError):
            self.done()

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


def _inode(tree: Tree, folder: bytes) -> int:
    status = tree.stat(folder)
    return 0 if status is None else status.st_ino


def is_staging(path: bytes) -> bool:
    """Whether a path leads through a folder that a restore made, or pretends to."""
    return path.startswith(STAGING) or b"/" + STAGING in path


def is_half_restored(tree: Tree, staging: bytes) -> bool:
    """Whether a restore through this staging folder has begun to change files. Raises OSError."""
    return _has_journal(tree, staging)


@contextlib.contextmanager
def private_folder(folder: str) -> Iterator[str]:
    """Make a folder that goes away, at the latest when the next one is made. Raises OSError."""
    with contextlib.closing(open_tree(folder)) as tree:
        undo_leftovers(tree)
        staging = Staging(tree)
        try:
            yield os.path.join(folder, os.fsdecode(staging.name))
        finally:
            staging.close()


def undo_leftovers(tree: Tree, control: Control | None = None) -> None:
    """Undo what runs left that ended before they could, and say so. Raises OSError."""
    for name, _ in list(tree.entries(b"")):
        if name.startswith(STAGING) and _is_ours(tree, name):
            lock = _lock_of_the_dead(tree, name)
            if lock is None:
                continue
            try:
                undone = _undo(tree, name, control or Control())
                if undone and os.name != "nt":
                    remove_all(tree, name)
            finally:
                os.close(lock)
            if undone and os.name == "nt":  # which removes no open file
                remove_all(tree, name)


def _undo(tree: Tree, name: bytes, control: Control) -> bool:
    """Undo a dead run; return whether nothing in its staging is needed any more."""
    if not _has_journal(tree, name):
        return True
    journal = Journal.read(tree, name)
    if journal is None:
        return False  # whoever finds it needs what it kept, and nothing else does
    journal.undo()
    control.notify(
        WarningEvent(
            "rolled-back",
            "an earlier restore into this folder was cut off; what it had changed was put back:"
            f" {len(journal.moves)} files",
        )
    )
    return True


def _is_ours(tree: Tree, name: bytes) -> bool:
    status = tree.stat(name)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return False
    # A journal that this user did not write is not carried out.
    return not hasattr(os, "geteuid") or (
        status.st_uid == os.geteuid() and not status.st_mode & 0o077
    )


def _lock_of_the_dead(tree: Tree, name: bytes) -> int | None:
    """Return the lock of a staging folder whose run has ended, and hold it; None otherwise."""
    try:
        lock = tree.open(name + LOCK)
    except FileNotFoundError:
        # Not locked yet, or half removed. An empty one is made anew by whoever needs it.
        with contextlib.suppress(OSError):
            tree.remove_folder(name)
            return None
        try:
            lock = tree.create(name + LOCK, PRIVATE)
        except OSError:
            return None
    except OSError:
        return None
    if try_lock(lock) and (os.name == "nt" or os.fstat(lock).st_nlink):
        return lock
    os.close(lock)
    return None
