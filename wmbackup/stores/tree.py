"""A folder and what is below it, reached without ever following a link.

Paths are relative, slash-separated bytes (see `wmbackup.item.Item`). On POSIX systems every step
goes through a folder handle, so that nobody can put a link in the way between two steps; where
there are no folder handles (Windows) the same is done with full paths and a look at each part.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Collection, Iterator
from enum import Enum
from typing import Protocol

from wmbackup import limits
from wmbackup.storage.descriptors import let_go
from wmbackup.storage.files import extended, resolved, sync_folder
from wmbackup.stores.attributes import is_elsewhere, leads_elsewhere, make_writable, set_attributes

_NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_CLOSE: int = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
_BINARY: int = getattr(os, "O_BINARY", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_FOLLOW | _CLOSE
# Without O_NONBLOCK a named pipe that takes a file's place would hang the reader.
_READ = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | _CLOSE | _BINARY
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _CLOSE | _BINARY
_HANDLES = 32  # folders kept open at once, of the files that a process may open an eighth
_GONE = {errno.ENOENT, errno.ENOTDIR}
_NO_NAME = re.compile(rb'[\0-\x1f<>:"\\|?*]')
"""What Windows has in no name. A colon would lead to another drive or to a stream of another file,
a backslash out of the folder or into one below it."""


class EntryKind(Enum):
    """What stands in a folder."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "a symbolic link, which is never followed"
    SPECIAL = "a special file, such as a device or a pipe"
    PLACEHOLDER = "a placeholder whose content is not on this disk, as OneDrive makes them"


class Tree(Protocol):
    """What both ways can do. Everything raises OSError."""

    where: str
    """The path of the root, for messages."""

    def close(self) -> None:
        """Give the handles back."""

    def handle(self) -> int | None:
        """Return the descriptor of the open root; None on systems that have none."""

    def entries(self, folder: bytes) -> Iterator[tuple[bytes, EntryKind]]:
        """Yield names and kinds in a folder; ``b""`` is the root."""

    def stat(self, path: bytes) -> os.stat_result | None:
        """Return what stands there, links not followed; None where nothing does."""

    def open(self, path: bytes) -> int:
        """Open a file for reading; return a descriptor."""

    def create(self, path: bytes, mode: int = 0o666) -> int:
        """Create a file that must not exist, for writing and reading; return a descriptor."""

    def make_folder(self, folder: bytes, mode: int = 0o777) -> None:
        """Make a folder; its parent exists."""

    def rename(self, source: bytes, target: bytes) -> None:
        """Rename; what stands at the target is replaced."""

    def link(self, source: bytes, target: bytes) -> None:
        """Give a file a second name, which must not exist."""

    def unlink(self, path: bytes) -> None:
        """Remove a file."""

    def remove_folder(self, folder: bytes) -> None:
        """Remove an empty folder."""

    def sync(self, folder: bytes) -> None:
        """Bring the names of a folder to the disk."""

    def set_time(self, path: bytes, mtime_ns: int) -> None:
        """Set the time of a file, in nanoseconds since 1970-01-01T00:00:00Z."""

    def set_attributes(self, path: bytes, attributes: Collection[str]) -> None:
        """Give a file Windows attributes, where the system has them; see ATTRIBUTES."""

    def longest_name(self) -> int:
        """Return how long one name can be (see `name_length`)."""


def open_tree(root: str) -> Tree:
    """Open a folder, following links as far as to it. Raises OSError."""
    if {os.open, os.stat, os.rename, os.link, os.unlink, os.mkdir} <= os.supports_dir_fd:
        return HandleTree(root)
    return PathTree(root)


def _kind(entry: os.DirEntry[str]) -> EntryKind:
    # Most are files, which a symbolic link is not here.
    if os.name == "nt":
        return _windows_kind(entry, entry.stat(follow_symlinks=False))
    if entry.is_file(follow_symlinks=False):
        return EntryKind.FILE
    if entry.is_symlink():
        return EntryKind.LINK
    return EntryKind.FOLDER if entry.is_dir(follow_symlinks=False) else EntryKind.SPECIAL


def _windows_kind(entry: os.DirEntry[str], status: os.stat_result) -> EntryKind:
    """Tell links, such as junctions, from files that OneDrive or compression keeps."""
    if leads_elsewhere(status):
        return EntryKind.LINK
    if entry.is_dir(follow_symlinks=False):
        return EntryKind.FOLDER
    if is_elsewhere(status):
        return EntryKind.PLACEHOLDER
    return EntryKind.FILE if stat.S_ISREG(status.st_mode) else EntryKind.SPECIAL


class HandleTree:
    """By folder handles: ``openat(2)`` and its kin."""

    def __init__(self, root: str | int) -> None:
        """Open the root, or take a descriptor of it, which is closed with the tree.

        Raises OSError.
        """
        self.where = "" if isinstance(root, int) else root
        self._root = root if isinstance(root, int) else os.open(root, _FOLDER & ~_NO_FOLLOW)
        self._open: dict[bytes, int] = {}
        # Two at least: the last folder on a way leads to the next.
        self._most = limits.part_of_files(8, at_least=2, at_most=_HANDLES)

    def close(self) -> None:
        """Give the handles back."""
        self._forget()
        let_go(self._root)

    def handle(self) -> int:
        """See `Tree.handle`."""
        return self._root

    def _forget(self) -> None:
        while self._open:
            let_go(self._open.popitem()[1])

    def _at(self, folder: bytes) -> int:
        if not folder:
            return self._root
        found = self._open.get(folder)
        if found is not None:
            return found
        at = folder.rpartition(b"/")[0]
        while at and at not in self._open:
            at = at.rpartition(b"/")[0]
        handle = self._open[at] if at else self._root
        # Each on the way is kept: whoever goes up again, step by step, begins there.
        for name in folder[len(at) :].strip(b"/").split(b"/"):
            handle = os.open(name, _FOLDER, dir_fd=handle)
            at = at + b"/" + name if at else name
            if len(self._open) >= self._most:
                let_go(self._open.pop(next(iter(self._open))))
            self._open[at] = handle
        return handle

    def _split(self, path: bytes) -> tuple[int, bytes]:
        folder, _, name = path.rpartition(b"/")
        return self._at(folder), name

    @contextlib.contextmanager
    def _at_both(self, source: bytes, target: bytes) -> Iterator[tuple[int, bytes, int, bytes]]:
        """Give the folders and the names of two paths."""
        to, new = self._split(target)
        to = os.dup(to)  # looking for the other one may close it
        try:
            yield *self._split(source), to, new
        finally:
            let_go(to)

    def entries(self, folder: bytes) -> Iterator[tuple[bytes, EntryKind]]:
        """See `Tree.entries`."""
        # Through a handle of its own: one that was opened earlier lists on btrfs what was there
        # then.
        handle = os.open(b".", _FOLDER, dir_fd=self._at(folder))
        try:
            with os.scandir(handle) as scan:
                for entry in scan:
                    yield os.fsencode(entry.name), _kind(entry)
        finally:
            let_go(handle)

    def stat(self, path: bytes) -> os.stat_result | None:
        """See `Tree.stat`."""
        try:
            handle, name = self._split(path)
            return os.stat(name, dir_fd=handle, follow_symlinks=False)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise

    def open(self, path: bytes) -> int:
        """See `Tree.open`."""
        handle, name = self._split(path)
        return os.open(name, _READ, dir_fd=handle)

    def create(self, path: bytes, mode: int = 0o666) -> int:
        """See `Tree.create`."""
        handle, name = self._split(path)
        return os.open(name, _CREATE, mode, dir_fd=handle)

    def make_folder(self, folder: bytes, mode: int = 0o777) -> None:
        """See `Tree.make_folder`."""
        handle, name = self._split(folder)
        os.mkdir(name, mode, dir_fd=handle)

    def rename(self, source: bytes, target: bytes) -> None:
        """See `Tree.rename`."""
        with self._at_both(source, target) as (at, old, to, new):
            os.rename(old, new, src_dir_fd=at, dst_dir_fd=to)

    def link(self, source: bytes, target: bytes) -> None:
        """See `Tree.link`."""
        with self._at_both(source, target) as (at, old, to, new):
            os.link(old, new, src_dir_fd=at, dst_dir_fd=to, follow_symlinks=False)

    def unlink(self, path: bytes) -> None:
        """See `Tree.unlink`."""
        handle, name = self._split(path)
        os.unlink(name, dir_fd=handle)

    def remove_folder(self, folder: bytes) -> None:
        """See `Tree.remove_folder`."""
        for known in [*self._open]:
            if known == folder or known.startswith(folder + b"/"):
                let_go(self._open.pop(known))
        handle, name = self._split(folder)
        os.rmdir(name, dir_fd=handle)

    def sync(self, folder: bytes) -> None:
        """See `Tree.sync`."""
        os.fsync(self._at(folder))

    def set_time(self, path: bytes, mtime_ns: int) -> None:
        """See `Tree.set_time`."""
        handle, name = self._split(path)
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=handle, follow_symlinks=False)

    def set_attributes(self, path: bytes, attributes: Collection[str]) -> None:
        """See `Tree.set_attributes`: systems with folder handles have none."""

    def longest_name(self) -> int:
        """See `Tree.longest_name`."""
        length = 255
        if sys.platform != "win32":
            length = os.fpathconf(self._root, "PC_NAME_MAX")
        return length


class PathTree:
    """By full paths, for systems without folder handles."""

    def __init__(self, root: str) -> None:
        """Look at the root. Raises OSError."""
        self.where = root
        self._root = extended(resolved(root))
        if not stat.S_ISDIR(os.stat(self._root).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), root)

    def close(self) -> None:
        """There is nothing to give back."""

    def handle(self) -> None:
        """See `Tree.handle`: there is none."""

    def _full(self, path: bytes) -> str:
        """Return the full path, every folder on the way being one and no link."""
        if not is_possible(path):
            raise OSError(errno.EINVAL, "Windows takes no such name", os.fsdecode(self._root))
        full = self._root
        parts = decode(path).split("/") if path else []
        for depth, part in enumerate(parts, 1):
            full = os.path.join(full, part)
            if depth < len(parts):
                status = os.lstat(full)
                if not stat.S_ISDIR(status.st_mode) or leads_elsewhere(status):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), full)
        return full

    def entries(self, folder: bytes) -> Iterator[tuple[bytes, EntryKind]]:
        """See `Tree.entries`."""
        # The folder itself is looked at as one on the way is: it may have become a link.
        full = os.path.dirname(self._full(folder + b"/any")) if folder else self._root
        with os.scandir(full) as scan:
            for entry in scan:
                yield encode(entry.name), _kind(entry)

    def stat(self, path: bytes) -> os.stat_result | None:
        """See `Tree.stat`."""
        try:
            return os.lstat(self._full(path))
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise

    def open(self, path: bytes) -> int:
        """See `Tree.open`."""
        full = self._full(path)
        if not stat.S_ISREG(os.lstat(full).st_mode):
            raise OSError(errno.ELOOP, "not a file", full)
        return os.open(full, _READ)

    def create(self, path: bytes, mode: int = 0o666) -> int:
        """See `Tree.create`."""
        return os.open(self._full(path), _CREATE, mode)

    def make_folder(self, folder: bytes, mode: int = 0o777) -> None:
        """See `Tree.make_folder`."""
        os.mkdir(self._full(folder), mode)

    def rename(self, source: bytes, target: bytes) -> None:
        """See `Tree.rename`."""
        to = self._full(target)
        try:
            os.replace(self._full(source), to)
        except PermissionError:
            make_writable(to)
            os.replace(self._full(source), to)

    def link(self, source: bytes, target: bytes) -> None:
        """See `Tree.link`."""
        os.link(self._full(source), self._full(target))

    def unlink(self, path: bytes) -> None:
        """See `Tree.unlink`."""
        full = self._full(path)
        try:
            os.unlink(full)
        except PermissionError:
            make_writable(full)
            os.unlink(full)

    def remove_folder(self, folder: bytes) -> None:
        """See `Tree.remove_folder`."""
        os.rmdir(self._full(folder))

    def sync(self, folder: bytes) -> None:
        """See `Tree.sync`."""
        sync_folder(self._full(folder) if folder else self._root)

    def set_time(self, path: bytes, mtime_ns: int) -> None:
        """See `Tree.set_time`."""
        os.utime(self._full(path), ns=(mtime_ns, mtime_ns))

    def set_attributes(self, path: bytes, attributes: Collection[str]) -> None:
        """See `Tree.set_attributes`."""
        set_attributes(self._full(path), attributes)

    def longest_name(self) -> int:
        """See `Tree.longest_name`."""
        return 255


def decode(path: bytes) -> str:
    """Return a true path as this system's functions take it."""
    return path.decode("utf-8", "surrogatepass") if os.name == "nt" else os.fsdecode(path)


def encode(name: str) -> bytes:
    """Return a name of this system as part of a true path."""
    return name.encode("utf-8", "surrogatepass") if os.name == "nt" else os.fsencode(name)


def is_possible(path: bytes) -> bool:
    """Whether a file of this system can have such a true path: on Windows not each one can."""
    if os.name != "nt":
        return True
    try:
        decode(path)
    except UnicodeDecodeError:
        return False
    return _NO_NAME.search(path) is None


def name_length(name: bytes) -> int:
    """Return how long a name is for this system: in bytes, or on Windows in UTF-16 units."""
    if os.name != "nt":
        return len(name)
    return len(decode(name).encode("utf-16-le", "surrogatepass")) // 2
