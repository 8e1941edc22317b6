"""What differs between two inventories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from wmbackup.archive.inventory import Row
from wmbackup.archive.tag_files import format_time
from wmbackup.license import is_date


@dataclass(frozen=True, slots=True)
class Differences:
    """True paths, sorted: ``added`` are only in the second, ``gone`` only in the first.

    ``expired`` are those of the gone in which every license had expired: such licenses delete
    themselves, which is no damage.
    """

    added: tuple[bytes, ...]
    gone: tuple[bytes, ...]
    changed: tuple[bytes, ...]
    expired: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.gone or self.changed)


@dataclass(slots=True)
class _File:
    """What is kept of a file: its hash, and whether nothing in it is valid any more."""

    sha256: bytes | None
    expired: bool


def compare(
    first: Iterable[Row], second: Iterable[Row], now: datetime | None = None
) -> Differences:
    """Compare two inventories whose rows have hashes.

    Memory grows with the number of files. What is withheld is in neither.
    """
    stamp = format_time(now or datetime.now(UTC))
    before, after = _files(first, stamp), _files(second, stamp)
    gone = before.keys() - after.keys()
    both = before.keys() & after.keys()
    return Differences(
        added=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(gone)),
        changed=tuple(sorted(p for p in both if before[p].sha256 != after[p].sha256)),
        expired=frozenset(path for path in gone if before[path].expired),
    )


def _files(rows: Iterable[Row], stamp: str) -> dict[bytes, _File]:
    files: dict[bytes, _File] = {}
    for row in rows:
        if row.item is None:
            continue
        expired = row.license is not None and _has_expired(row.license.expires, stamp)
        known = files.setdefault(row.item.path, _File(row.sha256, expired))
        known.expired = known.expired and expired
    return files


def _has_expired(expires: str | None, stamp: str) -> bool:
    # Dates that could not be read stand as they are, and say nothing.
    return is_date(expires) and expires < stamp
