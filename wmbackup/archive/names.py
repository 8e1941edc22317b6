"""Which name a file has in an archive (wmbackup-archive(5), PAYLOAD)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice

from wmbackup.archive._bulk import are_safe, ended_keys, last_in_order
from wmbackup.archive.constants import DATA, MAX_OWN
from wmbackup.true_path import is_path

_RUN = 250_000  # paths that are sorted together
_TOGETHER = 2000  # paths that are checked together

_COMPONENT = (
    rb"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9]) *(?:[./]|\Z))"
    rb"[a-z0-9_-](?:[a-z0-9._ -]*[a-z0-9_-])?"
)
_SAFE = re.compile(rb"(?!item-)" + _COMPONENT + rb"(?:/" + _COMPONENT + rb")*\Z", re.IGNORECASE)


def is_safe(path: bytes) -> bool:
    """Whether every system can keep a file of this path under its own name."""
    return len(path) <= MAX_OWN and _SAFE.match(path) is not None


def own_order(path: bytes) -> bytes:
    """Return the key that orders own names: by lower-cased components, a shorter one first."""
    # No safe path has a zero byte, which sorts before every byte that one has.
    return path.lower().replace(b"/", b"\0")


def item_order(path: bytes) -> tuple[bytes, bytes]:
    """Return the key that orders items: lower-cased, then exact."""
    return path.lower(), path


def collide(earlier: bytes, later: bytes) -> bool:
    """Whether two keys of `own_order`, given in order, cannot stand side by side."""
    return later.startswith(earlier) and later[len(earlier) : len(earlier) + 1] in {b"", b"\0"}


def item_member(number: int) -> bytes:
    """Return the name of item ``number`` (from 1) below the bag."""
    return b"%sitem-%07d" % (DATA, number)


@dataclass(frozen=True, slots=True)
class Naming:
    """Who keeps its name.

    ``own`` and ``items`` are true paths in the order of the archive. ``winners`` are own names
    for the sake of which another safe path became an item: were one of them not carried after
    all, the names would have to be given anew.
    """

    own: list[bytes]
    items: list[bytes]
    winners: frozenset[bytes]


def give_names(paths: Iterable[bytes]) -> Naming:
    """Give names to true paths, each given once."""
    own: list[bytes] = []
    items: list[bytes] = []
    paths = iter(paths)
    while some := list(islice(paths, _TOGETHER)):
        if are_safe(some):
            own += some
            continue
        for path in some:
            (own if is_safe(path) else items).append(path)
    _sort(own)
    winners: frozenset[bytes] = frozenset()
    if _any_collide(own):
        own, losers, winners = _settle(own)
        items += losers
    items.sort(key=item_order)
    return Naming(own, items, winners)


def _sort(paths: list[bytes]) -> None:
    """Sort by `own_order`."""
    if len(paths) <= _RUN:
        paths.sort(key=own_order)
        return
    # In runs: a key for each of a million paths at once would double the memory of a backup.
    runs = [sorted(paths[at : at + _RUN], key=own_order) for at in range(0, len(paths), _RUN)]
    paths[:] = merge(*runs, key=own_order)


def _any_collide(ordered: list[bytes]) -> bool:
    # Whatever collides with a path follows it at once, so neighbors tell all.
    last: list[bytes] = []
    for at in range(0, len(ordered), _TOGETHER):
        keys = last + ended_keys(ordered[at : at + _TOGETHER])
        if any(map(bytes.startswith, keys[1:], keys)):
            return True
        last = keys[-1:]
    return False


def _settle(ordered: list[bytes]) -> tuple[list[bytes], list[bytes], frozenset[bytes]]:
    taken: dict[bytes, bytes] = {}  # lower-cased path and each of its parents -> who took it
    kept: set[bytes] = set()
    losers: list[bytes] = []
    winners: set[bytes] = set()
    for path in sorted(ordered):
        lower = path.lower()
        parents = [lower[: match.start()] for match in re.finditer(rb"/", lower)]
        rival = taken.get(lower) or next((taken[p] for p in parents if p in kept), None)
        if rival is not None:
            losers.append(path)
            winners.add(rival)
            continue
        kept.add(lower)
        for name in (lower, *parents):
            taken.setdefault(name, path)
    lost = set(losers)
    return [path for path in ordered if path not in lost], losers, frozenset(winners)


class NameCheck:
    """Checks the names of an archive one by one, in constant memory.

    ``own_from(key)`` yields the archive's own names whose `own_order` is at least ``key``, in
    order; it is asked only for an item whose path is safe, which is rare.
    """

    def __init__(self, own_from: Callable[[bytes], Iterator[bytes]]) -> None:
        """Begin before the first name."""
        self._own_from = own_from
        self._own: bytes | None = None
        self._item: tuple[bytes, bytes] | None = None
        self._items = 0
        self._lowest: tuple[bytes, bytes | None] = (b"", None)

    def own(self, path: bytes) -> str | None:
        """Check the next own name; return what is wrong with it, or None."""
        if self._items:
            return "an own name follows an item"
        if not is_safe(path):
            return "the name is not safe"
        key = own_order(path)
        if self._own is not None and (key <= self._own or collide(self._own, key)):
            return "the name is out of order or collides with the one before"
        self._own = key
        return None

    def own_all(self, paths: list[bytes]) -> bool:
        """Check the next own names, one or more, all at once (see `_bulk`).

        False says nothing, and changes nothing: `own` finds out which of them is wrong, if any.
        """
        last = None if self._items else last_in_order(self._own, paths)
        if last is None:
            return False
        self._own = last
        return True

    def item(self, member: bytes, path: bytes) -> str | None:
        """Check the next item by its member and true path; return what is wrong, or None."""
        self._items += 1
        if member != item_member(self._items):
            return "the items are not numbered without a gap"
        if not is_path(path):
            return "the true path leaves its store, or is none"
        order = item_order(path)
        if self._item is not None and order <= self._item:
            return "the items are out of order"
        self._item = order
        if is_safe(path) and not self._has_to_be_item(path):
            return "the item could have kept its name"
        return None

    def _has_to_be_item(self, path: bytes) -> bool:
        key = own_order(path)
        parts = key.split(b"\0")
        for depth in range(1, len(parts) + 1):
            wanted = b"\0".join(parts[:depth])
            found = next(self._own_from(wanted), None)
            if found is not None and own_order(found) == wanted and found < path:
                return True
        lowest = self._lowest_below(key, len(path))
        return lowest is not None and lowest < path

    def _lowest_below(self, key: bytes, length: int) -> bytes | None:
        # Items that are twins of each other ask for the same folder in turn: scan it once.
        if self._lowest[0] != key:
            lowest: bytes | None = None
            for own in self._own_from(key + b"\0"):
                if not own_order(own).startswith(key + b"\0"):
                    break
                head = own[:length]
                lowest = head if lowest is None or head < lowest else lowest
            self._lowest = (key, lowest)
        return self._lowest[1]
