"""Which rows `list` shows, in which order, and what it counted on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from wmbackup.cli.render.hints import again, did_you_mean
from wmbackup.cli.render.order import by_path, natural
from wmbackup.cli.render.output import Listed
from wmbackup.cli.render.row_texts import FILE, RUNNING_OUT
from wmbackup.engine import Listing, Row, Selection
from wmbackup.engine._tally import Tally
from wmbackup.errors import NotFound, UsageError
from wmbackup.license import License, is_date
from wmbackup.status import Control

if TYPE_CHECKING:
    from wmbackup.archive.columns import Columns
    from wmbackup.formats.media import Title

_DURATION = re.compile(r"([0-9]{1,6})([hdw])\Z")
_HOURS = {"h": 1, "d": 24, "w": 168}
SORTS: dict[str, Callable[[Row], object]] = {
    "path": by_path,
    "title": lambda row: natural(_attribute(row, "Title")),
    "kind": lambda row: "" if row.license is None else row.license.kind,
    "kid": lambda row: "" if row.license is None else row.license.kid or "",
    "distributor": lambda row: () if row.license is None else natural(_shop(row.license)),
    "issued": lambda row: _date(row, "issued"),
    "expires": lambda row: _date(row, "expires"),
    "size": lambda row: 0 if row.item is None else row.item.size,
}


def _attribute(row: Row, name: str) -> str:
    return "" if row.license is None else row.license.attributes.get(name, "")


def _shop(known: License) -> str:
    return (known.distributor or "").casefold()


def _date(row: Row, name: str) -> tuple[int, str]:
    # What cannot be read after what can, and last what has none: it does not expire.
    text: str | None = None if row.license is None else getattr(row.license, name)
    return (0 if is_date(text) else 2 if text is None else 1), text or ""


def by_shop(row: Row) -> tuple[bool, str, str]:
    """Return what brings together what was sold by the same shop; the nameless come last."""
    known = row.license
    if known is None:
        return True, "", ""
    return not (known.distributor or known.address), _shop(known), known.address or ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are shown."""

    selection: Selection
    kind: str | None
    restricted: bool
    at_risk: bool
    expires_before: str | None
    expires_after: str | None

    def __bool__(self) -> bool:
        """Whether anything is asked for at all."""
        asked = self.kind, self.restricted, self.at_risk, self.expires_before
        return any(asked) or bool(self.selection)

    def __call__(self, row: Row) -> bool:
        """Whether a row is shown that the selection matches."""
        known = row.license
        if self.kind is not None and self.kind != (FILE if known is None else known.kind):
            return False
        if self.restricted and not is_restricted(known):
            return False
        if self.at_risk and not is_at_risk(row):
            return False
        if self.expires_before is not None:
            expires = None if known is None else known.expires
            if not is_date(expires) or expires > self.expires_before:
                return False
            if self.expires_after is not None and expires <= self.expires_after:
                return False
        return True


def is_restricted(known: License | None) -> bool:
    """Whether a license may not be backed up: it says so, or whoever backed it up was told so."""
    return known is not None and (known.withheld or known.backup_allowed is False)


def is_at_risk(row: Row) -> bool:
    """Whether a row is of a license that a backup does not save, or not for long."""
    known = row.license
    return known is not None and (
        is_restricted(known)
        or known.expires is not None
        or not known.rights.keys().isdisjoint(RUNNING_OUT)
    )


class Titles:
    """Gives licenses what they do not say themselves, from the media file that they are for."""

    def __init__(self, titles: Mapping[str, Title]) -> None:
        """Take titles by key ID."""
        from wmbackup.formats.keyid import canonical

        self._canonical = canonical
        self._titles = {canonical(kid): title for kid, title in titles.items()}

    def __call__(self, row: Row) -> Row:
        """Return the row, with what the media file says and the license does not."""
        known = row.license
        if known is None or known.kid is None:
            return row
        title = self._titles.get(self._canonical(known.kid))
        if title is None:
            return row
        found = {
            "Title": title.title,
            "Author": title.artist,
            "ContentDistributor": title.distributor,
            "LicenseAcquisitionURL": title.acquisition_url,
        }
        said = {name: value for name, value in found.items() if value is not None}
        return row._replace(license=replace(known, attributes=said | dict(known.attributes)))


def titles_of(folder: str | None, control: Control) -> Titles | None:
    """Read the titles of the media files in a folder, where one is given. Raises NotFound."""
    if folder is None:
        return None
    from wmbackup.formats.media import titles_in

    try:
        return Titles(titles_in(folder, control.check))
    except OSError as error:
        raise NotFound(
            f"cannot read the folder {folder}: {(error.strerror or str(error)).lower()}",
            hint="check the path after --match-media",
        ) from error


class Chooser:
    """Takes the rows that are shown, with the titles that were found."""

    def __init__(self, wanted: Filter, titles: Titles | None) -> None:
        """Take what is wanted, and where titles come from."""
        self._wanted = wanted
        self._titles = titles
        self._is_met = False

    def resolve(self, *listings: Listing) -> None:
        """See which files there are, where what the selection means depends on that."""
        selection = self._wanted.selection
        if selection.is_open:
            paths = (path for listing in listings for path in listing.paths())
            self._wanted = replace(self._wanted, selection=selection.resolved(paths))

    def rows(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield those of some rows that are shown."""
        found = rows if self._titles is None else map(self._titles, rows)
        return filter(self._is_shown, found) if self._wanted else found

    def _is_shown(self, row: Row) -> bool:
        is_met = self._wanted.selection.matches(row)
        self._is_met = self._is_met or is_met
        return is_met and self._wanted(row)

    def check(self, where: str) -> None:
        """Raise NotFound where nothing matched the selection, whatever else was asked for."""
        if self._wanted.selection and not self._is_met:
            text = f"nothing in the {where} matches the selection"
            raise NotFound(text, reason="no-match")


def window(within: str | None, *, expired: bool) -> tuple[str | None, str | None]:
    """Return after and before which a license has to expire to be shown."""
    now = datetime.now(UTC).replace(microsecond=0)
    if expired and within is not None:
        raise UsageError(
            "--expired and --expires-within contradict each other",
            hint=f"to list what has expired or will expire: {again(without=['--expired'])}",
        )
    if expired:
        return None, _stamp(now)
    if within is None:
        return None, None
    match = _DURATION.match(within)
    if match is None:
        raise UsageError(f"{within} is not a duration", hint=did_you_mean(within, ["30d"]))
    hours = int(match[1]) * _HOURS[match[2]]
    try:
        return _stamp(now), _stamp(now + timedelta(hours=hours))
    except OverflowError:
        return _stamp(now), "9999-12-31T23:59:59Z"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


class Counted:
    """Rows, counted while they are taken."""

    def __init__(self, name: str, rows: Iterable[Row]) -> None:
        """Take the name of where they come from, and the rows."""
        self._name = "standard input" if name == "-" else name
        self._rows = rows
        self._files = self._licenses = self._octets = self._withheld = 0

    def __iter__(self) -> Iterator[Row]:
        """Yield them."""
        last = None
        for row in self._rows:
            if row.item is not None and row.item is not last:
                last = row.item
                self._files += 1
                self._octets += row.item.size
            self._count(row.license)
            yield row

    def _count(self, known: License | None) -> None:
        if known is not None:
            self._withheld += known.withheld
            self._licenses += not known.withheld

    def batches(self, inventory: Listing) -> Iterator[Columns | list[Row]]:
        """Yield all of an archive, whose files are counted already."""
        if inventory.info is not None:
            self._files, self._octets = inventory.info.files, inventory.info.octets
        for batch in inventory.batches or ():
            if isinstance(batch, list):
                for row in batch:
                    self._count(row.license)
            yield batch

    def result(self, inventory: Listing, tally: Tally | None) -> Listed:
        """Return the counts, with what the archive or the tally says of the rest."""
        info = inventory.info
        skipped = 0
        if tally is not None:
            skipped = len(tally.skipped)
        elif info is not None:
            skipped = info.skipped
        counts = (self._files, self._licenses, self._octets, skipped, self._withheld)
        return Listed(self._name, inventory.store_kind, *counts, live=info is None)
