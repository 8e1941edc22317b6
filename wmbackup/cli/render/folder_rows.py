"""Archives, series and what a prune does: the rows of `list FOLDER`, `status` and `prune`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from wmbackup.archive.tag_files import format_time
from wmbackup.cli.render import json_fields
from wmbackup.cli.render.folder_values import ArchiveRow, FolderRow, PruneRow, SeriesRow
from wmbackup.cli.render.sanitize import size, time_shown, visible

HEADERS = {
    "ArchiveRow": (*("MADE", "HOST", "STORE", "FILES", "SIZE", "NUMBER", "STATE", "ARCHIVE"),),
}


def cells_of(row: FolderRow, *, local: bool) -> tuple[str, ...]:
    """Return the cells of a row; for a terminal, times and sizes as people read them."""
    if isinstance(row, PruneRow):
        return _prune_cells(row, local=local)
    if isinstance(row, SeriesRow):
        return _series_cells(row, local=local)
    return _archive_cells(row, local=local)


def fields_of(row: FolderRow) -> tuple[str, dict[str, Any]]:
    """Return the type of a row in ``--json``, and its fields."""
    if isinstance(row, PruneRow):
        return "prune", _prune_fields(row)
    if isinstance(row, SeriesRow):
        return "series", _series_fields(row)
    return "archive", _archive_fields(row)


def table_of(rows: Sequence[FolderRow], *, local: bool, header: bool) -> list[str]:
    """Return the lines of a table: aligned with a header for a terminal, else with tabs."""
    cells = [cells_of(row, local=local) for row in rows]
    if cells and (local or header):
        cells.insert(0, HEADERS[type(rows[0]).__name__])
    return _aligned(cells) if local else ["\t".join(row) for row in cells]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return lines whose columns stand below each other; the last takes what it needs."""
    if not table:
        return []
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]) - 1)]
    return [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]))
        for row in table
    ]


def amount(number: int, *, local: bool) -> str:
    """Return a number of bytes."""
    return size(number) if local else str(number)


def _archive_cells(row: ArchiveRow, *, local: bool) -> tuple[str, ...]:
    info = row.info
    if info is None:
        made = host = store = files = number = "-"
    else:
        made = time_shown(info.created, local=True) if local else format_time(info.created)
        host, store = visible(info.host), visible(f"{info.store_kind}:{info.store}")
        files, number = str(info.files), str(info.sequence or "-")
    cells = (made, host, store, files, amount(row.size, local=local), number, row.state)
    return (*cells, visible(row.path))


def _archive_fields(row: ArchiveRow) -> dict[str, Any]:
    return {
        "path": json_fields.unicode_text(row.path),
        "kind": row.kind,
        "size": row.size,
        "state": row.state,
        "archive": None if row.info is None else json_fields.info_fields(row.info, row.principals),
        "error": None if row.error is None else json_fields.error_fields(row.error),
    }


def _prune_cells(row: PruneRow, *, local: bool) -> tuple[str, ...]:
    info = row.info
    made = time_shown(info.created, local=True) if local else format_time(info.created)
    return (
        *(row.action, ",".join(row.reasons) or "-", made),
        *(visible(f"{info.store_kind}:{info.store}"), str(info.files)),
        *(amount(row.size, local=local), str(info.sequence or "-"), visible(row.path)),
    )


def _prune_fields(row: PruneRow) -> dict[str, Any]:
    info = row.info
    return {
        "path": json_fields.unicode_text(row.path),
        "action": row.action,
        "reasons": list(row.reasons),
        "size": row.size,
        "created": format_time(info.created),
        "host": json_fields.unicode_text(info.host),
        "store_kind": info.store_kind,
        "store": json_fields.unicode_text(info.store),
        "files": info.files,
        "chain": info.chain,
        "sequence": info.sequence,
    }


def _series_cells(row: SeriesRow, *, local: bool) -> tuple[str, ...]:
    info = row.info
    made = host = store = files = withheld = number = "-"
    if info is not None:
        made = time_shown(info.created, local=True) if local else format_time(info.created)
        host, store = visible(info.host), visible(f"{info.store_kind}:{info.store}")
        files, withheld, number = str(info.files), str(info.withheld), str(info.sequence or "-")
    return (
        *(row.state, _age(row.age, local=local), made, host, store, files),
        *("-" if row.licenses is None else str(row.licenses), withheld, number),
        *(amount(row.size, local=local), str(row.archives), amount(row.total, local=local)),
        *(visible(row.principal) or "-", visible(row.path)),
    )


def _age(age: timedelta | None, *, local: bool) -> str:
    """Return an age in its largest unit for people, and in seconds for programs."""
    if age is None:
        return "-"
    seconds = int(age.total_seconds())
    if not local:
        return str(seconds)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _series_fields(row: SeriesRow) -> dict[str, Any]:
    info = row.info
    return {
        "folder": json_fields.unicode_text(row.folder),
        "path": json_fields.unicode_text(row.path),
        "state": row.state,
        "age": None if row.age is None else int(row.age.total_seconds()),
        "principal": json_fields.unicode_text(row.principal) or None,
        "licenses": row.licenses,
        "size": row.size,
        "archives": row.archives,
        "total_size": row.total,
        "newest": None if info is None else json_fields.info_fields(info),
    }
