"""Writing files whose bytes are verified, with the times and attributes that they had."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from wmbackup.item import Item
from wmbackup.storage.files import is_unsupported, sync_file
from wmbackup.stores.tree import Tree

_T = TypeVar("_T")
# Without looking the name up again, where the system can.
_BY_DESCRIPTOR = os.utime in os.supports_fd


def write_file(tree: Tree, path: bytes, data: bytes, item: Item) -> None:
    """Create a file, which must not exist, with what is known of the item. Raises OSError."""
    descriptor = tree.create(path)
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
        sync_file(descriptor)
        if _BY_DESCRIPTOR:
            _set_time(_set_time_of, descriptor, item.mtime_ns)
    finally:
        os.close(descriptor)
    if not _BY_DESCRIPTOR or item.attributes:
        finish_file(tree, path, item)


def open_synced(descriptor: int) -> BinaryIO:
    """Open a new file for a caller, whose bytes are on the disk when it closes it.

    Where one call brings all files to the disk, that is left to it.
    """
    return _Synced(io.FileIO(descriptor, "w+b"))


class _Synced(io.BufferedRandom):
    def close(self) -> None:
        if not self.closed:
            try:
                self.flush()
                sync_file(self.fileno())
            finally:
                super().close()


def finish_file(tree: Tree, path: bytes, item: Item) -> None:
    """Give a file whose bytes are written its time and attributes. Raises OSError."""
    _set_time(tree.set_time, path, item.mtime_ns)
    if item.attributes:
        try:
            tree.set_attributes(path, item.attributes)
        except OSError as error:
            if not is_unsupported(error):  # some network disks have none
                raise


def _set_time_of(descriptor: int, mtime_ns: int) -> None:
    os.utime(descriptor, ns=(mtime_ns, mtime_ns))


def _set_time(setter: Callable[[_T, int], None], file: _T, mtime_ns: int) -> None:
    try:
        setter(file, mtime_ns)
    except OverflowError:
        return  # a time that this system cannot say
    except OSError as error:
        if error.errno != errno.EINVAL:  # the same, in the words of Windows
            raise
