"""The folders on the way to paths that come in order, without a memory of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def new_folders(path: bytes, way: list[bytes]) -> Iterator[bytes]:
    """Yield the folders on the way to a path that were not on the way to the one before.

    ``way`` has the components of the last way, and then those of this one. Paths come in order, so
    that no more has to be remembered.
    """
    parts = path.split(b"/")[:-1]
    same = _count_same(parts, way)
    way[same:] = parts[same:]
    for depth in range(same + 1, len(parts) + 1):
        yield b"/".join(parts[:depth])


def made_folders(paths: Iterable[tuple[bytes, int]]) -> Iterator[bytes]:
    """Yield the folders that were made, each behind all that are in it.

    Each path comes with the number of folders that were made for it: the last ones on the way.
    A folder that is left and entered again is yielded each time, at the latest when it is empty.
    """
    way: list[bytes] = []
    made: list[bool] = []  # of each folder on the way
    for path, count in paths:
        parts = path.split(b"/")[:-1]
        same = _count_same(parts, way)
        yield from _left(way, made, same)
        first = len(parts) - count
        way[same:] = parts[same:]
        made[same:] = [at >= first for at in range(same, len(parts))]
    yield from _left(way, made, 0)


def _left(way: list[bytes], made: list[bool], same: int) -> Iterator[bytes]:
    for depth in range(len(way), same, -1):
        if made[depth - 1]:
            yield b"/".join(way[:depth])


def _count_same(parts: list[bytes], others: list[bytes]) -> int:
    """Return how many components two ways have in common, from the first on."""
    same = 0
    while same < min(len(parts), len(others)) and others[same] == parts[same]:
        same += 1
    return same
