"""The table of `list`: which columns there are, which fit, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from wmbackup.archive.tag_files import format_time
from wmbackup.cli.render.row_texts import FILE, backup_word, date, file_date, title_of
from wmbackup.cli.render.sanitize import count, shown, size, utc, visible
from wmbackup.engine import Row
from wmbackup.errors import UsageError
from wmbackup.license import License, is_date
from wmbackup.quoting import elided, quoted

_WIDEST_TITLE = 60  # cells beyond which the eye loses the line on its way to the next column
_NARROWEST = 8  # cells of a column that takes what is left
_LONGEST_CELL = 1000  # characters of a field; `--json` has all of them
_SOON = timedelta(days=30)
_WITHHELD, _EXPIRED, _EXPIRING = "withheld", "expired (!)", "expiring within 30 days (*)"


class Column(NamedTuple):
    """A column: its title, its width in cells, and what is in it.

    A width of 0 takes a share of what is left. ``people`` returns a cell for a terminal, and
    ``programs`` one for anything else.
    """

    title: str
    width: int
    people: Callable[[Row], str]
    programs: Callable[[Row], str]


def _license(read: Callable[[License], str | None]) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        text = None if row.license is None else read(row.license)
        return elided(visible(text), _LONGEST_CELL) if text else ""

    return cell


def _date(name: str) -> tuple[Callable[[Row], str], Callable[[Row], str]]:
    def people(row: Row) -> str:
        return "" if row.license is None else date(getattr(row.license, name))

    return people, _license(lambda known: str(getattr(known, name) or ""))


def _both(cell: Callable[[Row], str]) -> tuple[Callable[[Row], str], Callable[[Row], str]]:
    return cell, cell


COLUMNS = {
    "path": Column("PATH", 0, *_both(lambda row: "" if row.path is None else shown(row.path))),
    "size": Column(
        "SIZE",
        9,
        lambda row: "" if row.item is None else size(row.item.size),
        lambda row: "" if row.item is None else str(row.item.size),
    ),
    "modified": Column(
        "MODIFIED",
        22,
        lambda row: "" if row.item is None else file_date(row.item.mtime_ns),
        lambda row: "" if row.item is None else utc(row.item.mtime_ns),
    ),
    "kind": Column(
        "KIND", 19, *_both(lambda row: FILE if row.license is None else visible(row.license.kind))
    ),
    "kid": Column("KEY ID", 24, *_both(_license(lambda known: known.kid))),
    "lid": Column("LICENSE ID", 24, *_both(_license(lambda known: known.lid))),
    "title": Column(
        "TITLE OR FILE", 0, title_of, _license(lambda known: known.attributes.get("Title"))
    ),
    "distributor": Column("DISTRIBUTOR", 0, *_both(_license(lambda known: known.distributor))),
    "issued": Column("ISSUED", 16, *_date("issued")),
    "begins": Column("BEGINS", 16, *_date("begins")),
    "expires": Column("EXPIRES", 18, *_date("expires")),
    "backup": Column("BACKUP", 8, *_both(lambda row: backup_word(row.license))),
}
"""The columns that can be asked for, by their names."""


def parse_columns(text: str) -> tuple[str, ...]:
    """Return the names of columns in a list with commas. Raises UsageError."""
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in COLUMNS:
            import difflib

            close = difflib.get_close_matches(name, COLUMNS, n=2)
            hint = f"there are {', '.join(COLUMNS)}"
            if close:
                hint = f"did you mean {' or '.join(close)}?"
            raise UsageError(f"--columns: there is no column {quoted(name)}", hint=hint)
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"--columns has {repeated} twice", hint="name each column once")
    return tuple(names)


def _usual(width: int) -> list[str]:
    names = ["title", "expires", "backup"]
    if width >= 60:  # noqa: PLR2004 - below that a title would vanish
        names.insert(1, "kind")
    if width >= 110:  # noqa: PLR2004
        names.insert(2, "kid")
    if width >= 150:  # noqa: PLR2004
        names[3:3] = ["distributor", "issued"]
    return names


class Table:
    """The rows of a table on a terminal of some width."""

    def __init__(self, width: int, names: Sequence[str], now: datetime | None = None) -> None:
        """Take the names of the columns; none stands for those that fit."""
        moment = now or datetime.now(UTC)
        self._now, self._soon = format_time(moment), format_time(moment + _SOON)
        self._shape = _shape(width, [COLUMNS[name] for name in names or _usual(width)], names)
        self._counts = dict.fromkeys((_WITHHELD, _EXPIRED, _EXPIRING), 0)

    @property
    def header(self) -> str:
        """The titles of the columns."""
        return self._line([column.title for column, _ in self._shape])

    def line(self, row: Row) -> tuple[str, str | None]:
        """Return the line of a row, and the style that makes it stand out.

        Without colors a mark before the date does that, which `legend` explains, and the word
        in the last column.
        """
        mark, style = self._mark(row.license)
        cells = [
            f"{mark} {cell}" if mark and column.title == "EXPIRES" else cell
            for column, cell in ((column, column.people(row)) for column, _ in self._shape)
        ]
        return self._line(cells), style

    def _line(self, cells: list[str]) -> str:
        widths = (width for _, width in self._shape)
        return "  ".join(map(fit, cells, widths)).rstrip()

    def _mark(self, known: License | None) -> tuple[str, str | None]:
        if known is None:
            return "", None
        expires, mark, style = known.expires, "", None
        if is_date(expires) and expires <= self._soon:
            is_over = expires <= self._now
            mark, style = ("!", "error") if is_over else ("*", "warning")
            self._counts[_EXPIRED if is_over else _EXPIRING] += 1
        if known.withheld:
            self._counts[_WITHHELD] += 1
            style = "error"
        return mark, style

    @property
    def legend(self) -> str | None:
        """What stands out, with how much of it; None where nothing does."""
        found = [
            f"{count(number, 'license')} {what}" for what, number in self._counts.items() if number
        ]
        return ", ".join(found) or None


def _shape(width: int, columns: list[Column], names: Sequence[str]) -> list[tuple[Column, int]]:
    """Return the columns with their widths in cells: some take what the others leave."""
    rest = width + 2 - sum(column.width + 2 for column in columns)
    flexible = [column for column in columns if not column.width]
    share = max(_NARROWEST, rest // max(len(flexible), 1))
    if not names and len(flexible) > 1:  # a title is what most rows are looked for by
        share = max(_NARROWEST, min(_WIDEST_TITLE, rest * 3 // 5))
        second = max(_NARROWEST, min(44, rest - share))
        widths = {column.title: second for column in flexible[1:]}
    else:
        share = min(share, _WIDEST_TITLE) if not names else share
        widths = {}
    return [(column, column.width or widths.get(column.title, share)) for column in columns]


def plain_columns(names: Sequence[str]) -> Callable[[Row], str]:
    """Return what makes a line of columns for programs: tab-separated, times in UTC."""
    cells = [COLUMNS[name].programs for name in names]
    return lambda row: "\t".join(cell(row) for cell in cells)


def fit(text: str, width: int) -> str:
    """Return the text in exactly so many cells of a terminal."""
    if text.isascii():
        return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"
