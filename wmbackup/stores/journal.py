"""The journal of a restore into a folder that is there, and how it is undone.

It is on disk before the first change. Whoever finds it later, and that is the next restore into
the folder, puts back what stood there before.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from wmbackup.storage.descriptors import reading
from wmbackup.storage.files import PRIVATE
from wmbackup.stores.ownership import Owner, is_private_file
from wmbackup.stores.staging import FILES, JOURNAL, NOBODY, OLD, sync_all
from wmbackup.stores.tree import Tree
from wmbackup.stores.ways import made_folders, new_folders
from wmbackup.true_path import is_path

_END = b"end "
"""What the last line of a whole journal begins with; the MAC of the others follows."""

_MAX_LINE = 64 * 1024
_STAYS = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""What the system answers where a folder that a restore made is not removed: somebody put a file
into it, or took it away."""


class Move(NamedTuple):
    """One file on its way: from ``staged`` to ``path``, the existing file there to ``old``.

    ``inode`` tells the staged file from any other that may come to be there. File systems without
    inodes of their own give them anew when they are mounted; ``size`` (bytes) and ``mtime_ns``
    tell there.
    """

    staged: bytes
    old: bytes
    path: bytes
    inode: int
    size: int
    mtime_ns: int
    replaces: bool

    def moved(self, there: os.stat_result, *, exactly: bool) -> bool:
        """Whether what is there is the staged file; ``exactly`` by its inode."""
        if there.st_ino == self.inode:
            return True
        return not exactly and (there.st_size, there.st_mtime_ns) == (self.size, self.mtime_ns)


def _move(staging: bytes, number: int, path: bytes, *rest: int, replaces: bool) -> Move:
    digits = b"%d" % number
    inode, size, mtime_ns = rest
    return Move(
        staging + FILES + digits,
        staging + OLD + digits,
        path,
        inode,
        size,
        mtime_ns,
        replaces,
    )


class Journal:
    """What a commit is about to do: the moves, and the folders that it makes on the way.

    It is read from its file each time, for there can be ten million moves.
    """

    def __init__(self, tree: Tree, staging: bytes, *, exactly: bool = True) -> None:
        """Take a journal that is written; ``exactly`` says that inodes tell files apart."""
        self._tree = tree
        self._staging = staging
        self._exactly = exactly
        self.count = 0
        """How many files it moves, where it was read or written here."""
        self.is_undone = False
        """Whether `undo` has put everything back, be it on the disk or not yet."""

    @classmethod
    def write(
        cls,
        tree: Tree,
        staging: bytes,
        places: Iterable[tuple[bytes, int]],
        owner: Owner = NOBODY,
    ) -> Journal:
        """Look at the place of each staged file and write the journal.

        ``places`` are the paths and the numbers of the staged files. Raises OSError.
        """
        journal = cls(tree, staging)
        try:
            _write(tree, staging, journal._lines(places), owner)
        except BaseException:
            with contextlib.suppress(OSError):
                journal.done()
            raise
        return journal

    def _lines(self, places: Iterable[tuple[bytes, int]]) -> Iterator[bytes]:
        yield _line({"inode": _inode(self._tree, self._staging)})
        way: list[bytes] = []
        for path, number in places:
            made = 0
            for folder in new_folders(path, way):
                if made or self._tree.stat(folder) is None:  # and so is all that is below it
                    made += 1
            staged = self._tree.stat(self._staging + FILES + b"%d" % number)
            row = {
                "number": number,
                "path": _text(path),
                "inode": 0 if staged is None else staged.st_ino,
                "size": 0 if staged is None else staged.st_size,
                "mtime_ns": 0 if staged is None else staged.st_mtime_ns,
                "replaces": self._tree.stat(path) is not None,
                "made": made,
            }
            self.count += 1
            yield _line(row)

    @classmethod
    def read(cls, tree: Tree, staging: bytes, owner: Owner = NOBODY) -> Journal | None:
        """Read the journal of a run that ended; None where it is not this user's, or not whole.

        Raises OSError.
        """
        authentic = _is_authentic(tree, staging, owner)
        if not (authentic or os.name == "nt" or is_private_file(tree, staging + JOURNAL)):
            return None
        journal = cls(tree, staging, exactly=not authentic)
        try:
            rows = journal._rows()
            # A journal that came along in some other way, unpacked or copied, is carried out only
            # where it is authenticated.
            if next(rows)["inode"] != _inode(tree, staging) and not authentic:
                return None
            for row in rows:
                journal._move(row)
                int(row["made"])
                journal.count += 1
        except (ValueError, KeyError, TypeError, RecursionError, StopIteration):
            return None
        return journal

    def moves(self) -> Iterator[Move]:
        """Yield the moves. Raises OSError."""
        return (self._move(row) for row in self._rows() if "path" in row)

    def _made(self) -> Iterator[bytes]:
        """Yield the folders that were made (see `made_folders`). Raises OSError."""
        rows = (row for row in self._rows() if "path" in row)
        return made_folders((_path(row["path"]), int(row["made"])) for row in rows)

    def _move(self, row: Mapping[str, Any]) -> Move:
        return _move(
            self._staging,
            int(row["number"]),
            _path(row["path"]),
            *(int(row[key]) for key in ("inode", "size", "mtime_ns")),
            replaces=bool(row["replaces"]),
        )

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        with reading(self._tree.open(self._staging + JOURNAL)) as file:
            while (line := file.readline(_MAX_LINE)) and not line.startswith(_END):
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise TypeError("a row of a journal is no object")
                yield row
            if not line:
                raise ValueError("the journal ends too early")

    def done(self) -> None:
        """Forget it for good, on the disk as well. Raises OSError."""
        self.forget()
        self._tree.sync(self._staging)

    def forget(self) -> None:
        """Remove it: from now on nothing undoes what was done. Raises OSError."""
        self._tree.unlink(self._staging + JOURNAL)

    def undo(self) -> None:
        """Put everything back, as far as what is there now is what was put there.

        Raises OSError where that is not possible; the journal stays then, for another try.
        """
        failure: OSError | None = None
        for move in self.moves():
            try:
                self._undo(move)
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure
        for folder in self._made():
            try:
                self._tree.remove_folder(folder)
            except OSError as error:
                if error.errno not in _STAYS:
                    raise
        self.is_undone = True
        # Without this, a crash could keep the removal of the journal and lose what was put back.
        sync_all(self._tree, self._staging)
        with contextlib.suppress(FileNotFoundError):
            self.done()

    def _undo(self, move: Move) -> None:
        tree = self._tree
        there = tree.stat(move.path)
        if tree.stat(move.old) is not None:
            if there is None or move.moved(there, exactly=self._exactly):
                tree.rename(move.old, move.path)
        elif there is not None and not move.replaces and move.moved(there, exactly=self._exactly):
            staged = tree.stat(move.staged)
            # Where files have one name only, one that is staged still was not moved.
            if self._exactly or staged is None or staged.st_ino == there.st_ino:
                tree.unlink(move.path)


def _write(tree: Tree, staging: bytes, lines: Iterable[bytes], owner: Owner) -> None:
    # Under another name until it is whole: half a journal must not look like one.
    draft = staging + b"/journal.new"
    with os.fdopen(tree.create(draft, PRIVATE), "wb") as file:
        mac = owner.begin_mac(staging)
        for line in lines:
            file.write(line)
            if mac is not None:
                mac.update(line)
        file.write(_END + (b"" if mac is None else mac.hexdigest().encode()) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    tree.rename(draft, staging + JOURNAL)
    tree.sync(staging)


def _is_authentic(tree: Tree, staging: bytes, owner: Owner) -> bool:
    mac = owner.begin_mac(staging)
    if mac is None:
        return False
    with reading(tree.open(staging + JOURNAL)) as file:
        while (line := file.readline(_MAX_LINE)) and not line.startswith(_END):
            mac.update(line)
    return hmac.compare_digest(line[len(_END) :].strip(), mac.hexdigest().encode())


def _line(row: Mapping[str, object]) -> bytes:
    return json.dumps(row).encode() + b"\n"


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
