"""The table of `list` on a terminal: which columns fit, and what stands in them."""

from __future__ import annotations

from wmbackup.cli.render.messages import FILE, backup_word, date, title_of
from wmbackup.cli.render.sanitize import visible
from wmbackup.engine import Row

_WIDEST_TITLE = 60  # cells beyond which the eye loses the line on its way to the next column


def columns(width: int) -> list[tuple[str, int]]:
    """Return the columns of a table that fit, with their widths in cells."""
    fixed = [("EXPIRES", 10), ("BACKUP", 8)]
    if width >= 60:  # noqa: PLR2004 - below that a title would vanish
        fixed.insert(0, ("KIND", 19))
    if width >= 110:  # noqa: PLR2004
        fixed[1:1] = [("KEY ID", 24)]
    if width >= 150:  # noqa: PLR2004
        fixed[2:2] = [("DISTRIBUTOR", min(44, 28 + (width - 150) // 2)), ("ISSUED", 10)]
    rest = width - sum(size + 2 for _, size in fixed)
    return [("TITLE OR FILE", min(max(8, rest), _WIDEST_TITLE)), *fixed]


def cells(row: Row) -> dict[str, str]:
    """Return what stands in each column, by its name."""
    known = row.license
    if known is None:
        return {
            **dict.fromkeys(("KEY ID", "DISTRIBUTOR", "ISSUED", "EXPIRES", "BACKUP"), ""),
            "TITLE OR FILE": title_of(row),
            "KIND": FILE,
        }
    return {
        "TITLE OR FILE": title_of(row),
        "KIND": visible(known.kind),
        "KEY ID": visible(known.kid or ""),
        "DISTRIBUTOR": visible(known.distributor or ""),
        "ISSUED": date(known.issued),
        "EXPIRES": date(known.expires),
        "BACKUP": backup_word(known),
    }


def fit(text: str, width: int) -> str:
    """Return the text in exactly so many cells of a terminal."""
    if text.isascii():
        return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"
