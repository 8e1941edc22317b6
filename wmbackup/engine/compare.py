"""What differs between two inventories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wmbackup.engine.inventory import Row


@dataclass(frozen=True, slots=True)
class Differences:
    """True paths, sorted: ``added`` are only in the second, ``gone`` only in the first."""

    added: tuple[bytes, ...]
    gone: tuple[bytes, ...]
    changed: tuple[bytes, ...]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.gone or self.changed)


def compare(first: Iterable[Row], second: Iterable[Row]) -> Differences:
    """Compare two inventories whose rows have hashes.

    Memory grows with the number of files. What is withheld is in neither.
    """
    before, after = _files(first), _files(second)
    return Differences(
        added=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(
            sorted(path for path in before.keys() & after.keys() if before[path] != after[path])
        ),
    )


def _files(rows: Iterable[Row]) -> dict[bytes, bytes | None]:
    return {row.item.path: row.sha256 for row in rows if row.item is not None}
