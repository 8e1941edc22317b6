"""``wmbackup list``."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import click

from wmbackup.cli.app import command as declare
from wmbackup.cli.app import option
from wmbackup.cli.output import Listed
from wmbackup.cli.places import is_store, parse_store
from wmbackup.cli.session import Session
from wmbackup.engine import (
    Inventory,
    Row,
    Selection,
    compare,
    inventory_of_archive,
    inventory_of_store,
    open_archive,
)
from wmbackup.engine.reading import Tally
from wmbackup.errors import ExitCode, UsageError
from wmbackup.trust import Policy

_DURATION = re.compile(r"([0-9]{1,6})([hdw])\Z")
_HOURS = {"h": 1, "d": 24, "w": 168}
_SORTS: dict[str, Callable[[Row], object]] = {
    "path": lambda row: row.path or b"",
    "title": lambda row: _attribute(row, "Title").casefold(),
    "kind": lambda row: "" if row.license is None else row.license.kind,
    "kid": lambda row: "" if row.license is None else row.license.kid or "",
    "distributor": lambda row: _attribute(row, "ContentDistributor").casefold(),
    "issued": lambda row: _date(row, "issued"),
    "expires": lambda row: _date(row, "expires"),
    "size": lambda row: 0 if row.item is None else row.item.size,
}


def _attribute(row: Row, name: str) -> str:
    return "" if row.license is None else row.license.attributes.get(name, "")


def _date(row: Row, name: str) -> str:
    # Without a date last: it does not expire.
    text = None if row.license is None else getattr(row.license, name)
    return "~" if text is None else str(text)


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which rows are shown."""

    selection: Selection
    kind: str | None
    restricted: bool
    expires_before: str | None
    expires_after: str | None

    def __call__(self, row: Row) -> bool:
        known = row.license
        if self.kind is not None and (known is None or known.kind != self.kind):
            return False
        if self.restricted and (known is None or known.backup_allowed is not False):
            return False
        if self.expires_before is not None:
            expires = None if known is None else known.expires
            if expires is None or not expires.endswith("Z") or expires > self.expires_before:
                return False
            if self.expires_after is not None and expires <= self.expires_after:
                return False
        return self.selection.matches(row)


@declare("list", example="wmbackup list licenses.wmbackup.tar")
@click.argument("archive", metavar="[ARCHIVE|-]", required=False)
@option(
    "--store",
    metavar="STORE",
    section="What",
    help="a live store instead of an archive: sample, folder:PATH, or a path",
)
@option(
    "--against",
    metavar="ARCHIVE|STORE",
    section="What",
    help="show what differs instead; exit code 11 when anything does",
)
@option("--kid", multiple=True, metavar="K", section="Which rows", help="with this key ID")
@option("--title", multiple=True, metavar="T", section="Which rows", help="with this title")
@option(
    "--path",
    "paths",
    multiple=True,
    metavar="P",
    section="Which rows",
    help="of this file, this folder, or a pattern with * and ?",
)
@option("--kind", metavar="K", section="Which rows", help="of this kind, such as wmdrm-v7")
@option(
    "--restricted", is_flag=True, section="Which rows", help="licenses that may not be backed up"
)
@option("--expired", is_flag=True, section="Which rows", help="licenses that have expired")
@option(
    "--expires-within",
    metavar="30d",
    section="Which rows",
    help="licenses that will expire in so many h(ours), d(ays) or w(eeks)",
)
@option("--long", "long", is_flag=True, section="How", help="all that is known")
@option("--sort", type=click.Choice(list(_SORTS)), section="How", help="sort by this")
@option(
    "--allowed-signers", metavar="F", section="Whom to believe",
    help="an allowed_signers file instead of the one of key trust",
)  # fmt: skip
def command(  # noqa: PLR0913 - one parameter an option
    session: Session,
    archive: str | None,
    store: str | None,
    against: str | None,
    kid: tuple[str, ...],
    title: tuple[str, ...],
    paths: tuple[str, ...],
    kind: str | None,
    expires_within: str | None,
    sort: str | None,
    *,
    allowed_signers: str | None,
    restricted: bool,
    expired: bool,
    long: bool,
) -> ExitCode:
    """Show what is in an archive or in a store.

    Of an archive the head alone is read, and nothing is shown of one whose signer is not
    trusted. Without a terminal the rows are tab-separated: path, size, time, kind, key ID,
    title, distributor, issued, expires, and whether the license may be backed up.
    """
    if archive is not None:
        if store is not None:
            raise UsageError("an archive and --store contradict each other", hint="name one")
        name = archive
    elif store is None:
        raise UsageError("nothing to list was named", hint="name an archive, or add --store STORE")
    else:
        name = store
    after, before = _window(expires_within, expired=expired)
    selection = Selection(kid, title, tuple(os.fsencode(path) for path in paths))
    wanted = _Filter(selection, kind, restricted, before, after)
    if store is not None:
        session.notice()
    opener = _Opener(session, allowed_signers)
    if against is not None:
        return _differences(session, opener, (archive, store, against), wanted)
    with opener.open(archive, store, hashes=False) as (inventory, tally):
        counted = _Counted(name, filter(wanted, inventory.rows))
        rows: Iterable[Row] = counted
        if sort is not None:
            rows = sorted(counted, key=_SORTS[sort])  # type: ignore[arg-type] # each sorts its own
        session.output.rows(inventory, rows, long=long)
        session.output.result(counted.result(inventory, tally))
    return ExitCode.PARTIAL if tally is not None and tally.skipped else ExitCode.OK


def _window(within: str | None, *, expired: bool) -> tuple[str | None, str | None]:
    """Return after and before which a license has to expire to be shown."""
    now = datetime.now(UTC).replace(microsecond=0)
    if expired and within is not None:
        raise UsageError("--expired and --expires-within contradict each other", hint="choose one")
    if expired:
        return None, _stamp(now)
    if within is None:
        return None, None
    match = _DURATION.match(within)
    if match is None:
        raise UsageError(f"{within} is not a duration", hint="write it as 36h, 30d or 8w")
    hours = int(match[1]) * _HOURS[match[2]]
    try:
        return _stamp(now), _stamp(now + timedelta(hours=hours))
    except OverflowError:
        return _stamp(now), "9999-12-31T23:59:59Z"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


class _Counted:
    """Rows, counted while they are taken."""

    def __init__(self, name: str, rows: Iterable[Row]) -> None:
        self._name = "standard input" if name == "-" else name
        self._rows = rows
        self._files = self._licenses = self._octets = 0

    def __iter__(self) -> Iterator[Row]:
        last = None
        for row in self._rows:
            if row.item is not None and row.item is not last:
                last = row.item
                self._files += 1
                self._octets += row.item.size
            self._licenses += row.license is not None
            yield row

    def result(self, inventory: Inventory, tally: Tally | None) -> Listed:
        info = inventory.info
        skipped = withheld = 0
        if tally is not None:
            skipped, withheld = len(tally.skipped), len(tally.withheld)
        elif info is not None:
            skipped, withheld = info.skipped, info.withheld
        return Listed(self._name, self._files, self._licenses, self._octets, skipped, withheld)


class _Opener:
    """Opens the inventory of an archive or a store."""

    def __init__(self, session: Session, allowed_signers: str | None) -> None:
        self._session = session
        self._allowed_signers = allowed_signers
        self._policy: Policy | None = None

    @contextlib.contextmanager
    def open(
        self, archive: str | None, store: str | None, *, hashes: bool
    ) -> Iterator[tuple[Inventory, Tally | None]]:
        control = self._session.control()
        if archive is None:
            with inventory_of_store(parse_store(store), control, hashes=hashes) as opened:
                yield opened
            return
        if self._policy is None:
            self._policy = self._session.policy(self._allowed_signers)
        source = sys.stdin.buffer if archive == "-" else archive
        with (
            open_archive(source) as file,
            inventory_of_archive(file, self._policy, control) as inventory,
        ):
            yield inventory, None


def _differences(
    session: Session,
    opener: _Opener,
    names: tuple[str | None, str | None, str],
    wanted: Callable[[Row], bool],
) -> ExitCode:
    archive, store, against = names
    other = (None, against) if is_store(against) else (against, None)
    with (
        opener.open(*other, hashes=True) as (before, _),
        opener.open(archive, store, hashes=True) as (after, tally),
    ):
        counted = _Counted(archive or store or "", filter(wanted, after.rows))
        differences = compare(filter(wanted, before.rows), counted)
        session.output.differences(differences)
        listed = counted.result(after, tally)
    session.output.result(replace(listed, differences=differences))
    return ExitCode.DIFFERS if differences else ExitCode.OK
