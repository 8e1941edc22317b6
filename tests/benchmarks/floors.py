"""What each part costs in one process that does nothing else: the floors."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence

from trees import Tree

_BLOCK = 256 * 1024
_DATA = os.urandom(4200)


def floors(tree: Tree, cache: str) -> dict[str, float]:
    """Return microseconds a file of scanning, reading, hashing and writing a store.

    All is in memory by then, as it is when whole processes are measured.
    """
    folders = sorted(os.listdir(tree.path))
    parts: dict[str, Callable[[], None]] = {
        "scan": lambda: _scan(tree.path, folders),
        "scan, open, read, close": lambda: _read(tree.path, folders),
        "hash 4.2 kB": lambda: _hash(tree.files),
        "write 4.2 kB, one fsync for all": lambda: _write(tree.files, cache),
    }
    return {name: _time(part) / tree.files * 1e6 for name, part in parts.items()}


def _scan(root: str, folders: Sequence[str]) -> None:
    for folder in folders:
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                entry.is_file()


def _read(root: str, folders: Sequence[str]) -> None:
    for folder in folders:
        handle = os.open(os.path.join(root, folder), os.O_RDONLY | os.O_DIRECTORY)
        for name in os.listdir(handle):
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=handle)
            os.read(file, os.fstat(file).st_size + 1)
            os.close(file)
        os.close(handle)


def _hash(files: int) -> None:
    for _ in range(files):
        hashlib.sha256(_DATA).digest()


def _write(files: int, cache: str) -> None:
    together = _BLOCK // len(_DATA)
    with tempfile.TemporaryFile(dir=cache, buffering=0) as file:
        for _ in range(files // together):
            file.write(_DATA * together)
        os.fsync(file.fileno())


def _time(part: Callable[[], None]) -> float:
    part()
    begin = time.perf_counter()
    part()
    return time.perf_counter() - begin
