"""The rows of an inventory as texts: for a pipe, in full, and by what is at risk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wmbackup.archive.tag_files import format_time
from wmbackup.cli.render.sanitize import (
    all_utc,
    local_time,
    shown,
    size,
    utc,
    visible,
)
from wmbackup.license import License, is_date
from wmbackup.quoting import elided

if TYPE_CHECKING:
    from wmbackup.archive.columns import Columns
    from wmbackup.engine import (
        Row,
    )

FILE = "file"
"""The kind that is shown of a file in which no license was recognized."""
DRM = "drm"
RUNNING_OUT = ("ExpirationAfterFirstUse", "ExpirationOnStore")
"""The rights that make a license expire without a date."""
AT_RISK_HINT = (
    "ask the shops for other licenses, or for files without protection, while this machine still"
    " works: a backup does not save these titles, or not for long"
)
_LONGEST_NAME = 24
_LONGEST_CELL = 1000  # characters of a field; `--json` has all of them
_PLAIN_COLUMNS = (
    *("path", "size", "modified", "kind", "key ID", "title"),
    *("distributor", "issued", "expires", "backup"),
)
_NO_LICENSE = "\t" * (len(_PLAIN_COLUMNS) - 3)  # path, size and time are of the file


def backup_word(license_: License | None) -> str:
    """Return whether a license may be backed up, in one word."""
    if license_ is None:
        return ""
    if license_.withheld:
        return "withheld"
    return {True: "yes", False: "no", None: "unknown"}[license_.backup_allowed]


def plain_header() -> str:
    """Return the names of the columns of `plain_row`."""
    return "\t".join(_PLAIN_COLUMNS)


def plain_row(row: Row) -> str:
    """Return a row of `list` for programs: tab-separated, times in UTC."""
    item, known = row.item, row.license
    path = "" if row.path is None else shown(row.path)
    where = f"{path}\t{item.size}\t{utc(item.mtime_ns)}" if item is not None else f"{path}\t\t"
    if known is None:
        return where + _NO_LICENSE
    attributes = known.attributes
    cells = (
        known.kind,
        known.kid,
        attributes.get("Title"),
        known.distributor,
        known.issued,
        known.expires,
        backup_word(known),
    )
    return where + "\t" + "\t".join(elided(visible(cell or ""), _LONGEST_CELL) for cell in cells)


def plain_lines(batch: Columns | list[Row]) -> list[str]:
    """Return what `plain_row` says of each row, for many at once."""
    if isinstance(batch, list):
        return [plain_row(row) for row in batch]
    files = zip(batch.paths, batch.numbers, all_utc(batch.numbers), strict=True)
    return [f"{path}\t{size}\t{time}{_NO_LICENSE}" for path, (size, _, _), time in files]


def risk_cells(row: Row, *, local: bool) -> tuple[str, str, str, str, str]:
    """Return shop, address, title, key ID and the risk of a row of ``list --at-risk``."""
    known = row.license
    if known is None:
        return "", "", title_of(row), "", ""
    risks = []
    if known.backup_allowed is False or (known.withheld and known.backup_allowed is None):
        risks.append("its issuer forbids the backup")
    elif known.withheld:
        risks.append("its file has another license, whose issuer forbids the backup")
    if known.expires is not None:
        risks.append(_end(known.expires, local=local))
    risks += [
        f"it expires some time after it is {when} ({name} {visible(str(known.rights[name]))})"
        for name, when in zip(RUNNING_OUT, ("used", "stored"), strict=True)
        if name in known.rights
    ]
    cells = (known.distributor, known.address, known.kid)
    shop, address, kid = (visible(cell or "") for cell in cells)
    return shop, address, title_of(row), kid, ", ".join(risks)


def _end(expires: str, *, local: bool) -> str:
    shown_date = date(expires, long=True, local=local)
    if not is_date(expires):
        return f"its time ends on a date that cannot be read ({shown_date})"
    is_over = expires <= format_time(datetime.now(UTC))
    return f"its time {'ended' if is_over else 'ends'} {shown_date}"


def title_of(row: Row) -> str:
    """Return what a row is best known by: the title, the file, or the key ID."""
    known = row.license
    title = None if known is None else known.attributes.get("Title")
    if title:
        return elided(visible(title), _LONGEST_CELL)
    if row.path is not None:
        return shown(row.path)
    return f"key ID {visible(known.kid)}" if known is not None and known.kid else "(no file)"


def date(text: str | None, *, long: bool = False, local: bool = True) -> str:
    """Return a license's date: local for a terminal, else in UTC; unread ones as they stand.

    On a terminal it is a day with its zone, and with ``long`` the time as well.
    """
    if text is None:
        return ""
    if not local:
        return visible(text)
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").astimezone()
    except (ValueError, OverflowError, OSError):  # or the system's calendar lacks it
        return visible(text)
    return f"{moment:%Y-%m-%d %H:%M %z}" if long else f"{moment:%Y-%m-%d %z}"


def file_date(mtime_ns: int) -> str:
    """Return the time of a file as it is shown on a terminal: local, to the minute."""
    try:
        return local_time(datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC))
    except (ValueError, OverflowError, OSError):
        return utc(mtime_ns)


def long_lines(row: Row, *, local: bool) -> list[str]:
    """Return everything that is known of a row, one fact a line."""
    known, item = row.license, row.item
    facts: list[tuple[str, str]] = []
    if row.path is not None:
        facts.append(("file", shown(row.path)))
    if item is not None:
        stamp = file_date(item.mtime_ns) if local else utc(item.mtime_ns)
        facts.append(("size, time", ", ".join((size(item.size), stamp, *item.attributes))))
        facts.append(("member", os.fsdecode(item.member)))
    if row.sha256 is not None:
        facts.append(("sha256", row.sha256.hex()))
    if known is not None:
        facts += _facts(known, local=local)
    # The names of attributes come from the license, and may be of any length.
    width = min(_LONGEST_NAME, max((len(name) + 1 for name, value in facts if value), default=0))
    return [title_of(row), *(f"  {name + ':':<{width}} {value}" for name, value in facts if value)]


def _facts(known: License, *, local: bool) -> Sequence[tuple[str, str]]:
    rights = ", ".join(
        name if value is True else f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in known.rights.items()
    )
    return (
        ("kind", visible(known.kind)),
        ("key ID", visible(known.kid or "")),
        ("license ID", visible(known.lid or "")),
        ("issued", date(known.issued, long=True, local=local)),
        ("begins", date(known.begins, long=True, local=local)),
        ("expires", date(known.expires, long=True, local=local)),
        ("backup", backup_word(known)),
        ("rights", elided(visible(rights), _LONGEST_CELL)),
        *(
            (elided(visible(name)), elided(visible(value), _LONGEST_CELL))
            for name, value in known.attributes.items()
        ),
    )
