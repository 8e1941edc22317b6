"""Stores of other packages, registered by entry points of the group ``wmbackup.stores``.

The name of an entry point is the word before the colon, ``zip`` for ``zip:licenses.zip``. Its
object is called with the text after the colon and returns the `wmbackup.stores.base.Store`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from wmbackup.errors import StoreUnavailable, UsageError, WmbackupError
from wmbackup.quoting import quoted
from wmbackup.stores.base import Store

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "wmbackup.stores"

# One letter before a colon is a drive of Windows.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+")
_MEMBERS = ("kind", "location", "root", "gives_statuses", "licenses", "export", "import_")


def schemes() -> list[str]:
    """Return the registered words, sorted. A name that can be no such word is left out."""
    from importlib.metadata import entry_points

    names = {entry.name for entry in entry_points(group=GROUP)}
    return sorted(name for name in names if _SCHEME.fullmatch(name))


def open_registered(text: str) -> Store | None:
    """Return the store that ``SCHEME:REST`` names; None if no such scheme is registered.

    Raises UsageError if two packages register it, StoreUnavailable if it cannot be loaded.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        return None
    from importlib.metadata import entry_points  # 20 ms, which other stores do not pay

    found = list(entry_points(group=GROUP, name=scheme))
    if not found:
        return None
    if len(found) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in found))
        raise UsageError(f"{packages} both register the store {scheme}:; uninstall one of them")
    return _open(found[0], rest)


def _open(entry: EntryPoint, rest: str) -> Store:
    name = f"the store {entry.name}: of the package {_package(entry)}"
    try:
        make = entry.load()
    except Exception as error:
        raise StoreUnavailable(f"{name} cannot be loaded: {_reason(error)}") from error
    try:
        store = make(rest)
    except WmbackupError:
        raise
    except Exception as error:
        raise StoreUnavailable(f"{name} does not take {quoted(rest)}: {_reason(error)}") from error
    missing = [member for member in _MEMBERS if not hasattr(store, member)]
    if missing:
        raise StoreUnavailable(f"{name} is not a store: it has no {', no '.join(missing)}")
    return cast("Store", store)


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value.partition(":")[0]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
