"""``wmbackup status``."""

from __future__ import annotations

import click

from wmbackup.cli.ages import Age
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.encryption import Identities, identity_options
from wmbackup.cli.freshness import Freshness
from wmbackup.cli.render.output import Surveyed
from wmbackup.cli.session import Session
from wmbackup.cli.trusting import TrustGiven, trust_options
from wmbackup.errors import ExitCode
from wmbackup.history.retention import Span
from wmbackup.status import Phase


@declare("status", example="wmbackup status backups --max-age 26h")
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True)
@option(
    "--max-age", metavar="26h", type=Age(), section="What",
    help="exit code 10 where the newest archive of a series is older than this",
)  # fmt: skip
@option("--full", is_flag=True, section="What", help="verify every byte of every archive")
@trust_options("Trust")
@identity_options
def command(
    session: Session,
    folders: tuple[str, ...],
    max_age: Span | None,
    trust: TrustGiven,
    opens: Identities,
    *,
    full: bool,
) -> ExitCode:
    """Show how fresh the archives in folders are: one line for each host and store.

    Heads alone are read unless --full asks for every byte. The exit code is that of the worst
    archive or series; 10 is stale, rolled back or inconsistent.
    """
    session.steps = (Phase.AUTHENTICATING, *((Phase.VERIFYING,) if full else ()))
    run = Freshness(session, trust.policy(session), opens, max_age=max_age, full=full)
    rows = [row for folder in folders for row in run.rows(folder)]
    session.output.folder(rows)
    code = run.finish()
    archives, total = sum(row.archives for row in rows), sum(row.total for row in rows)
    session.output.result(Surveyed(sum(row.info is not None for row in rows), archives, total))
    return code
