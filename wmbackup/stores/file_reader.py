"""Reading the files of a folder: metadata and bytes of one moment, or a reason why not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace

from wmbackup.errors import IN_USE, SystemFailure
from wmbackup.formats.detect import forbids_backup, recognize, recognize_file
from wmbackup.item import MAX_SIZE
from wmbackup.license import License
from wmbackup.storage.descriptors import let_go, reading
from wmbackup.storage.holders import in_use
from wmbackup.storage.trouble import is_of_file
from wmbackup.stores.attributes import attributes_of
from wmbackup.stores.base import Content, ItemUnavailable, ItemWithheld, WorkerFolder
from wmbackup.stores.tree import HandleTree, Tree, decode

_AT_ONCE = 1024 * 1024  # bytes; larger files come in blocks of this size
_SYSTEM_REASONS = {
    PermissionError: "permission denied",
    FileNotFoundError: "it vanished",
    NotADirectoryError: "its folder is not a folder any more",
}


class FileReader:
    """Reads files of a tree, and recognizes the licenses in them."""

    def __init__(self, tree: Tree, *, withholds: bool, root: str = "") -> None:
        """Take the tree; ``withholds`` says that what forbids its backup stays where it is.

        ``root`` is the path of the tree, for messages.
        """
        self._tree = tree
        self._withholds = withholds
        self._root = root

    def read(self, path: bytes) -> Content:
        """Read a file, by its true path. Raises ItemUnavailable, ItemWithheld, SystemFailure."""
        try:
            descriptor = self._tree.open(path)
            try:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise ItemUnavailable("it is not a file any more")
                if before.st_size > _AT_ONCE:
                    return self._large(path, before, descriptor)
                data = _read_up_to(descriptor, before.st_size)
                after = os.fstat(descriptor)
            finally:
                let_go(descriptor)
        except OSError as error:
            raise self._refused(path, error) from error
        # It is the same open file, so that nothing but these can differ.
        if not len(data) == before.st_size == after.st_size or (
            before.st_mtime_ns != after.st_mtime_ns
        ):
            raise _changed()
        licenses = recognize(path.rpartition(b"/")[2], data)
        if licenses:
            licenses = self._let_go(path, licenses)
        return Content(before.st_size, before.st_mtime_ns, attributes_of(before), data, licenses)

    def _large(self, path: bytes, status: os.stat_result, descriptor: int) -> Content:
        if status.st_size > MAX_SIZE:
            raise ItemUnavailable("it has 8 GiB or more, which no archive takes")
        with reading(os.dup(descriptor)) as file:
            licenses = recognize_file(path.rpartition(b"/")[2], file, status.st_size)
        if _differs(status, os.fstat(descriptor)):
            raise _changed()
        licenses = self._let_go(path, licenses)
        blocks = self._blocks(path, status)
        return Content(status.st_size, status.st_mtime_ns, attributes_of(status), blocks, licenses)

    def _let_go(self, path: bytes, licenses: tuple[License, ...]) -> tuple[License, ...]:
        """Return the licenses with their place. Raises ItemWithheld where one forbids it."""
        held = self._withholds and any(map(forbids_backup, licenses))
        placed = tuple(
            replace(license_, path=path, withheld=held and forbids_backup(license_))
            for license_ in licenses
        )
        if held:
            raise ItemWithheld(placed)
        return placed

    def _blocks(self, path: bytes, expected: os.stat_result) -> Iterator[bytes]:
        # Opened only when the first block is wanted: content that nobody takes holds no handle.
        try:
            descriptor = self._tree.open(path)
            try:
                if _differs(expected, os.fstat(descriptor)):
                    raise _changed()
                while block := os.read(descriptor, _AT_ONCE):
                    yield block
                if _differs(expected, os.fstat(descriptor)):
                    raise _changed()
            finally:
                let_go(descriptor)
        except OSError as error:
            raise self._refused(path, error) from error

    def _refused(self, path: bytes, error: OSError) -> ItemUnavailable | SystemFailure:
        if is_of_file(error):
            return ItemUnavailable(f"it cannot be read: {reason(error)}")
        name = os.path.join(self._root, decode(path))
        held = in_use(error, name)
        if held is not None:
            return SystemFailure(f"cannot read {name}: {held}", reason=IN_USE, path=name)
        return SystemFailure.of(error, "read", name)


def reader_in_worker(folder: WorkerFolder) -> FileReader:
    """Return what reads, in a worker process, as the export that shares the folder does."""
    return FileReader(HandleTree(folder.root), withholds=folder.withholds)


def reason(error: OSError) -> str:
    """Return why the system refused, in words that fit into a sentence."""
    known = _SYSTEM_REASONS.get(type(error))
    return known or (error.strerror or type(error).__name__).lower()


def _read_up_to(descriptor: int, size: int) -> bytes:
    # One byte more than there should be: as a rule nothing is read a second time, nor copied.
    data = os.read(descriptor, size + 1)
    while len(data) < size:
        more = os.read(descriptor, size + 1 - len(data))
        if not more:
            break
        data += more
    return data


def _differs(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ino, before.st_dev) != (
        after.st_size,
        after.st_mtime_ns,
        after.st_ino,
        after.st_dev,
    )


def _changed() -> ItemUnavailable:
    return ItemUnavailable("it changed while it was read")
