"""The private folder in which a restore stages files: made, held by a lock, and removed again."""

from __future__ import annotations

import os

from wmbackup.storage import remains
from wmbackup.storage.descriptors import let_go
from wmbackup.storage.files import (
    PRIVATE,
    PRIVATE_FOLDER,
    SYNCS_EACH,
    sync_everything,
    try_lock,
)
from wmbackup.stores.ownership import Owner, is_private
from wmbackup.stores.removal import remove_all
from wmbackup.stores.tree import Tree

STAGING = b".wmbackup-restore-"
"""What the names of staging folders begin with: no archive may bring one."""

LOCK = b"/lock"
JOURNAL = b"/journal"
MARK = b"/owner"
"""The file in a staging folder that tells whose it is, where owners and modes do not."""

FILES = b"/files/"
OLD = b"/old/"
NOBODY = Owner()
"""A user without a secret."""


class Staging:
    """A private folder that belongs to one run, which holds it by a lock."""

    def __init__(self, tree: Tree, owner: Owner = NOBODY) -> None:
        """Make it below the root. Raises OSError."""
        self.tree = tree
        self.name, self._lock = _create_locked(tree)
        try:
            self.is_recognizable = _mark(tree, self.name, owner)
        except BaseException:
            _give_up(tree, self.name, self._lock)
            raise
        """Whether the next run can tell that it is this user's."""
        self.is_needed = False
        """Whether it was closed with a journal in it, which the next run undoes."""

    def make_places(self) -> None:
        """Make the folders for new files and for those that they replace. Raises OSError."""
        for folder in (FILES, OLD):
            self.tree.make_folder(self.name + folder[:-1], PRIVATE_FOLDER)

    def file(self, number: int) -> bytes:
        """Return where a file is staged."""
        return self.name + FILES + b"%d" % number

    def close(self) -> OSError | None:
        """Remove it with all that is in it, unless a journal there has still to be undone.

        Returns what was in the way, None where nothing was.
        """
        try:
            self.is_needed = has_journal(self.tree, self.name)
        except OSError:
            self.is_needed = True  # nobody knows: what it kept may be all that is left of a file
        if self.is_needed:
            let_go(self._lock)
            return None
        return remove_locked(self.tree, self.name, self._lock)


def remove_locked(tree: Tree, staging: bytes, lock: int) -> OSError | None:
    """Remove a staging folder whose lock is held, and give the lock back; -1 where it has none.

    Returns what was in the way, None where nothing was.
    """
    # The lock goes last: as long as there is anything else, nobody is to look at it. It is closed
    # before it is removed, since Windows removes no open file, and FUSE keeps one under another
    # name, in the very folder. The mark goes before it: without one, the next run of this user
    # would take what is left for somebody else's.
    lock_path = staging + LOCK
    try:
        failure = remove_all(tree, staging, keep=(lock_path, staging + MARK))
        failure = failure or remove_all(tree, staging, keep=(lock_path,))
    finally:
        if lock >= 0:
            let_go(lock)
    return failure or remove_all(tree, staging)


def _create_locked(tree: Tree) -> tuple[bytes, int]:
    while True:
        name = STAGING + os.urandom(8).hex().encode()
        tree.make_folder(name, PRIVATE_FOLDER)
        # Another run that removes leftovers may meet it before it is locked.
        lock = -1
        try:
            lock = tree.create(name + LOCK, PRIVATE)
            if try_lock(lock) and (os.name == "nt" or os.fstat(lock).st_nlink):
                return name, lock
        except (FileNotFoundError, FileExistsError):
            pass
        except BaseException:
            _give_up(tree, name, lock)
            raise
        if lock >= 0:
            let_go(lock)


def _give_up(tree: Tree, staging: bytes, lock: int) -> None:
    failure = remove_locked(tree, staging, lock)
    if failure is not None:
        remains.note(os.path.join(tree.where, os.fsdecode(staging)), failure)


def has_journal(tree: Tree, staging: bytes) -> bool:
    """Whether a restore through a staging folder may have changed files. Raises OSError."""
    return tree.stat(staging + JOURNAL) is not None


def _mark(tree: Tree, staging: bytes, owner: Owner) -> bool:
    """Mark a staging folder as this user's where modes do not tell; return whether it is known."""
    status = tree.stat(staging)
    if status is not None and is_private(status):
        return True
    if not owner.has_secret:
        return os.name == "nt"
    with os.fdopen(tree.create(staging + MARK, PRIVATE), "wb") as file:
        file.write(owner.mac(staging, MARK).encode())
    return True


def sync_all(tree: Tree, staging: bytes) -> None:
    """Bring the file system of a staging folder to the disk. Raises OSError."""
    try:
        descriptor = tree.open(staging + LOCK)
    except FileNotFoundError:
        tree.sync(staging)
        return
    try:
        sync_everything(descriptor)
        if SYNCS_EACH:  # the files are on the disk each by itself
            tree.sync(staging)
    finally:
        let_go(descriptor)


def is_staging(path: bytes) -> bool:
    """Whether a path leads through a folder that a restore made, or pretends to."""
    return path.startswith(STAGING) or b"/" + STAGING in path
