"""``wmbackup list``."""

from __future__ import annotations

from collections.abc import Iterable

import click

from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import on_command_line, option
from wmbackup.cli.encryption import Identities, identity_options
from wmbackup.cli.folders import is_folder_of_archives, list_folder
from wmbackup.cli.inventories import Opener
from wmbackup.cli.paths import default_store, is_store
from wmbackup.cli.render.hints import again, command_line, without_values
from wmbackup.cli.render.row_texts import FILE
from wmbackup.cli.render.rows import (
    SORTS,
    Chooser,
    Counted,
    Filter,
    by_shop,
    titles_of,
    window,
)
from wmbackup.cli.render.table import COLUMNS, parse_columns
from wmbackup.cli.selecting import selection_of
from wmbackup.cli.session import Session
from wmbackup.cli.trusting import TrustGiven, trust_options
from wmbackup.engine import Row
from wmbackup.errors import ExitCode, UsageError
from wmbackup.license import KINDS
from wmbackup.trust import Policy


@declare("list", example="wmbackup list licenses.wmbackup.tar")
@click.argument("archive", metavar="[ARCHIVE|FOLDER|-]", required=False)
@option(
    "--store", metavar="STORE", section="What",
    help="a live store instead of an archive: windows, sample, folder:, drm:, bak:PATH, or a path",
)  # fmt: skip
@option(
    "--against", metavar="ARCHIVE|STORE", section="What",
    help="show what differs instead; exit code 11 when anything does",
)  # fmt: skip
@option("--kid", multiple=True, metavar="K", section="Which rows", help="with this key ID")
@option("--title", multiple=True, metavar="T", section="Which rows", help="with this in the title")
@option(
    "--path", "paths", multiple=True, metavar="P", section="Which rows",
    help="of this file, this folder, or a pattern with * and ?",
)  # fmt: skip
@option(
    "--kind", metavar="K", known=(*KINDS, FILE), section="Which rows",
    help="of this kind, such as wmdrm-v7, or file",
)  # fmt: skip
@option(
    "--restricted", is_flag=True, section="Which rows", help="licenses that may not be backed up"
)
@option(
    "--at-risk",
    is_flag=True,
    section="Which rows",
    help="restricted and expiring licenses, by shop: what to act on while the machine works",
)
@option("--expired", is_flag=True, section="Which rows", help="licenses that have expired")
@option(
    "--expires-within",
    metavar="30d",
    section="Which rows",
    help="licenses that will expire in so many h(ours), d(ays) or w(eeks)",
)
@option(
    "--match-media",
    metavar="FOLDER",
    section="How",
    help="take missing titles and shops from the protected media files in this folder",
)
@option("--long", "long", is_flag=True, section="How", help="show everything that is known")
@option(
    "--columns", metavar="NAME,...", section="How",
    help=f"show these columns: {', '.join(COLUMNS)}",
)  # fmt: skip
@option(
    "--sort", type=click.Choice(list(SORTS)), section="How",
    help="sort by this field; on a terminal the default is path",
)  # fmt: skip
@trust_options("Trust")
@identity_options
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
    match_media: str | None,
    columns: str | None,
    *,
    opens: Identities,
    trust: TrustGiven,
    restricted: bool,
    at_risk: bool,
    expired: bool,
    long: bool,
) -> ExitCode:
    """Show what is in an archive or in a store.

    Only the head of an archive is read, and nothing is shown unless its signer is trusted. Of a
    folder of archives, the archives themselves are listed. Without a terminal the rows are
    tab-separated: path, size, time, kind, key ID, title, distributor, issued, expires, and whether
    the license may be backed up.
    """
    if archive is not None and store is not None and on_command_line("store"):
        raise UsageError(
            "an archive and --store contradict each other",
            hint=f"to list the archive: {command_line('list', archive)}",
        )
    # A store that the environment or the configuration has is for when nothing is named.
    store = None if archive is not None else store or default_store()
    name = archive or store
    if name is None:
        raise UsageError(
            "nothing to list was named",
            hint=f"name an archive or a store, for example: {again('--store', 'sample')}",
        )
    shown = () if columns is None else parse_columns(columns)
    if shown and (long or at_risk or against or session.common.json):
        other = "--json" if session.common.json else "--against" if against else "--at-risk"
        other = "--long" if long else other
        hint = f"to show what differs: {without_values(['--columns'])}"
        hint = hint if against else f"to show columns: {again(without=[other])}"
        raise UsageError(f"--columns and {other} contradict each other", hint=hint)
    after, before = window(expires_within, expired=expired)
    selection = selection_of(kid, title, paths)
    wanted = Filter(selection, kind, restricted, at_risk, before, after)
    chooser = Chooser(wanted, titles_of(match_media, session.control()))
    if archive is not None and is_folder_of_archives(archive):
        options = bool(shown or wanted or match_media or at_risk or long or sort or against)
        return _of_folder(session, archive, trust.policy(session), opens, options=options)
    opener = Opener(session, trust, opens)
    if against is not None:
        return _differences(session, opener, (archive, store, against), chooser)
    with opener.open(archive, store, hashes=False) as (inventory, tally):
        chooser.resolve(inventory)
        counted = Counted(name, chooser.rows(inventory.rows))
        rows: Iterable[Row] = counted
        if sort is None and not session.output.takes_batches:
            sort = "path"  # a person reads it
        if sort is not None:
            rows = sorted(counted, key=SORTS[sort])  # type: ignore[arg-type] # each sorts its own
        special = wanted or match_media or sort or at_risk or long or shown
        if at_risk:
            session.output.at_risk(sorted(rows, key=by_shop))
        elif inventory.batches and session.output.takes_batches and not special:
            session.output.batches(counted.batches(inventory))
        else:
            session.output.rows(inventory, rows, long=long, columns=shown)
        chooser.check("store" if archive is None else "archive")
        session.output.result(counted.result(inventory, tally))
    return ExitCode.PARTIAL if tally is not None and tally.skipped else ExitCode.OK


def _of_folder(
    session: Session, folder: str, policy: Policy, opens: Identities, *, options: bool
) -> ExitCode:
    if options:
        raise UsageError(
            f"{folder} is a folder of archives, and those options are for what is in one",
            hint=f"to list its archives: {command_line('list', folder)}",
        )
    return list_folder(session, folder, policy, opens)


def _differences(
    session: Session,
    opener: Opener,
    names: tuple[str | None, str | None, str],
    chooser: Chooser,
) -> ExitCode:
    from wmbackup.engine import compare

    archive, store, against = names
    other = (None, against) if is_store(against) else (against, None)
    listed_name, other_name = _shown(archive or store or ""), _shown(against)
    with (
        opener.open(*other, hashes=True) as (theirs, _),
        opener.open(archive, store, hashes=True) as (ours, tally),
    ):
        chooser.resolve(theirs, ours)
        counted = Counted(listed_name, chooser.rows(ours.rows))
        # A plus is always what a store has and an archive lacks, as with verify --against; of two
        # archives it is what the first one has.
        if archive is not None and other[1] is not None:
            first, second = listed_name, other_name
            differences = compare(counted, chooser.rows(theirs.rows))
        else:
            first, second = other_name, listed_name
            differences = compare(chooser.rows(theirs.rows), counted)
        chooser.check("archive or the store" if archive is None else "archives")
        session.output.differences(differences, first, second)
        listed = counted.result(ours, tally)
    session.output.result(listed._replace(differences=differences))
    return ExitCode.DIFFERS if differences else ExitCode.OK


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name
