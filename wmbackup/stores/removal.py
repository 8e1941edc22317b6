"""Removing a folder with all that is in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator

from wmbackup.stores.tree import EntryKind, Tree

_PASSES = 64
"""How often a folder is listed. Each time half of what is there goes, at the least."""


def remove_all(tree: Tree, folder: bytes, keep: Collection[bytes] = ()) -> OSError | None:
    """Remove a folder and all below it; links are removed, not followed.

    ``keep`` are files in it that stay, and the folder with them. Returns what was in the way, None
    where nothing was. The work is linear however deep the folders are: each is moved up before it
    is looked into.
    """
    removal = _Removal(tree, folder, keep)
    while removal.waiting:
        removal.empty(removal.waiting.pop())
    return removal.end()


class _Removal:
    """One removal under way: folders to look into, and those that are empty."""

    def __init__(self, tree: Tree, folder: bytes, keep: Collection[bytes]) -> None:
        self._tree = tree
        self._folder = folder
        self._keep = keep
        self._failures: list[OSError] = []
        self._moved = 0
        # A removal that was cut off left folders, and a name is never given twice: what a folder
        # is known by must not become another one.
        self._up = folder + b"/.up-%s-" % os.urandom(4).hex().encode()
        self._emptied: list[bytes] = []
        self.waiting = [folder]

    def empty(self, folder: bytes) -> None:
        """Remove the files in a folder, and let those below it wait."""
        self._emptied.append(folder)
        stays: set[bytes] = set()
        with _collecting(self._failures):
            # Removed while it is listed: a folder can have millions, and listing it again for some
            # of them at a time would be quadratic. Some systems leave names out that way.
            for _ in range(_PASSES):
                if not self._take_away(folder, stays):
                    break

    def _take_away(self, folder: bytes, stays: set[bytes]) -> int:
        """Take out of a folder what it lists, once; return how many entries were."""
        taken = 0
        for name, kind in self._tree.entries(folder):
            if name in stays:
                continue
            if self._takes_away(folder, name, kind):
                taken += 1
            else:
                stays.add(name)
        return taken

    def _takes_away(self, folder: bytes, name: bytes, kind: EntryKind) -> bool:
        """Take an entry out of a folder; return False where it is still there."""
        path = folder + b"/" + name
        if path in self._keep:
            return False
        if kind is EntryKind.FOLDER:
            if folder != self._folder:
                self._moved += 1
                path = _moved(self._tree, path, self._up + b"%d" % self._moved)
            self.waiting.append(path)
            return not path.startswith(folder + b"/")
        count = len(self._failures)
        with _collecting(self._failures):
            self._tree.unlink(path)
        return len(self._failures) == count

    def end(self) -> OSError | None:
        """Remove the emptied folders; return what was in the way of anything."""
        for folder in reversed(self._emptied[1:] if self._keep else self._emptied):
            with _collecting(self._failures):
                self._tree.remove_folder(folder)
        return self._failures[0] if self._failures else None


@contextlib.contextmanager
def _collecting(failures: list[OSError]) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        pass  # another run that removes it was faster
    except OSError as error:
        failures.append(error)


def _moved(tree: Tree, path: bytes, to: bytes) -> bytes:
    """Move a folder and return where it is now."""
    try:
        tree.rename(path, to)
    except OSError:
        return path
    return to
