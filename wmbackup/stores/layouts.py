"""The kinds of folders that license stores are kept in, and what each takes.

One walker reads them all; a layout says which files are meant, whether what a license forbids is
withheld, and what to say of a set that is not complete.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from wmbackup.status import WarningEvent
from wmbackup.stores.foreign import foreign_to_backup, foreign_to_drm

_BACKUP_SET = (b"drmv1key.bak", b"drmv1lic.bak", b"drmv2key.bak", b"drmv2lic.bak")
_STORE_FILES = {b"drmv1.key", b"drmv1.lic", b"drmv2.lic", b"drmv2.sst", b"drmstore.hds"}
# What is of no use without its partner.
_PAIRS = ((b"drmv1.lic", b"drmv1.key"), (b"drmv2.lic", b"drmv2.sst"))


class Layout(NamedTuple):
    """How a folder is read.

    ``foreign`` returns why the file at a true path is known not to belong to the store, and None
    for what is carried. ``withholds`` says that a file in which a license forbids its backup stays
    behind; a store that is one opaque whole is carried whole. ``bound`` says that a raw copy serves
    one machine alone. ``remarks`` are what to report about a set, given those names in the folder
    itself, in lower case, that are among ``parts``.
    """

    kind: str
    foreign: Callable[[bytes], str | None]
    remarks: Callable[[Collection[bytes]], list[WarningEvent]]
    withholds: bool = False
    bound: bool = False
    parts: frozenset[bytes] = frozenset()


def _none(_path: bytes) -> str | None:
    return None


def _nothing(_names: Collection[bytes]) -> list[WarningEvent]:
    return []


def _lone_halves(names: Collection[bytes]) -> list[WarningEvent]:
    return [
        WarningEvent(
            "incomplete-set",
            f"{there.decode()} is there, and {missing.decode()}, which belongs to it, is not",
        )
        for pair in _PAIRS
        for there, missing in (pair, pair[::-1])
        if there in names and missing not in names
    ]


def _missing_backups(names: Collection[bytes]) -> list[WarningEvent]:
    missing = [name.decode() for name in _BACKUP_SET if name not in names]
    if not missing:
        return []
    return [
        WarningEvent(
            "incomplete-set",
            f"of the files of a license backup these are not there: {', '.join(missing)}",
            reason="backup",
        )
    ]


def _incomplete_backup(names: Collection[bytes]) -> list[WarningEvent]:
    # Whatever the files are called; only where they are the known ones can one be missed.
    return [] if _nothing_known(names) else _missing_backups(names)


def _nothing_known(names: Collection[bytes]) -> bool:
    return not any(name in names for name in _BACKUP_SET)


FOLDER = Layout("folder", _none, _nothing, withholds=True)
DRM = Layout(
    "drm",
    foreign_to_drm,
    _lone_halves,
    bound=True,
    parts=frozenset(name for pair in _PAIRS for name in pair),
)
BAK = Layout("bak", foreign_to_backup, _missing_backups, parts=frozenset(_BACKUP_SET))
WRITTEN = Layout("windows", _none, _incomplete_backup, parts=frozenset(_BACKUP_SET))
"""What the Windows Media interface wrote into a folder of our own: all of it, as it is."""
LAYOUTS: Sequence[Layout] = (FOLDER, DRM, BAK)


def find_layout(names: Iterable[bytes]) -> Layout:
    """Tell what kind of folder it is by the names in it."""
    lower = {name.lower() for name in names}
    if not lower.isdisjoint(_STORE_FILES):
        return DRM
    return FOLDER if lower.isdisjoint(_BACKUP_SET) else BAK
