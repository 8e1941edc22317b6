"""``wmbackup restore``."""

from __future__ import annotations

import sys

import click

from wmbackup.cli.click_ext import Seconds, option
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.encryption import Identities, identity_options
from wmbackup.cli.folders import Ages
from wmbackup.cli.operate import operate
from wmbackup.cli.paths import archive_on_standard_input, parse_store
from wmbackup.cli.render.hints import again
from wmbackup.cli.render.sanitize import count
from wmbackup.cli.selecting import selection_of
from wmbackup.cli.session import Session, is_terminal
from wmbackup.cli.trusting import TrustGiven, trust_options
from wmbackup.engine import OnConflict, RestorePlan, RestoreSummary
from wmbackup.errors import ConfirmationNeeded, ExitCode, UsageError
from wmbackup.restorer import Options, RestoreFlags, create_backup_restorer
from wmbackup.status import Phase
from wmbackup.stores.base import TakesConsent

_STEPS = (Phase.AUTHENTICATING, Phase.PLANNING, Phase.VERIFYING, Phase.APPLYING)


@declare("restore", example="wmbackup restore licenses.wmbackup.tar --to folder:restored")
@click.argument("archive", metavar="ARCHIVE|-")
@option(
    "--to",
    "target",
    metavar="STORE",
    section="Where to",
    help="folder:PATH or a path; a folder that is missing is created; windows: its interface",
)
@option(
    "--on-conflict",
    type=click.Choice([one.value for one in OnConflict]),
    default="fail",
    section="Where to",
    help="what to do where a different file exists",
)
@option("--kid", multiple=True, metavar="K", section="What", help="licenses with this key ID")
@option(
    "--title", multiple=True, metavar="T", section="What", help="licenses with this in the title"
)
@option(
    "--path",
    "paths",
    multiple=True,
    metavar="P",
    section="What",
    help="this file, this folder, or a pattern with * and ?",
)
@trust_options("Trust")
@option(
    "--salvage",
    is_flag=True,
    section="What",
    help="restore what is still valid in a damaged or truncated archive, and name what is lost",
)
@option(
    "--allow-individualize",
    is_flag=True,
    section="Where to",
    help="allow Microsoft's security upgrade when restoring into windows",
)
@option(
    "-n", "--dry-run", is_flag=True, section="How", help="verify, show the plan, change nothing"
)
@option(
    "--allow-older",
    is_flag=True,
    section="How",
    help="restore an archive although a newer one of its series is known here",
)
@option("-y", "--yes", is_flag=True, section="How", help="do not ask")
@option(
    "--timeout", type=Seconds(zero=False), metavar="S", section="How",
    help="give up after so many seconds",
)  # fmt: skip
@identity_options
def command(  # noqa: PLR0913 - one parameter an option
    session: Session,
    archive: str,
    target: str | None,
    on_conflict: str,
    kid: tuple[str, ...],
    title: tuple[str, ...],
    paths: tuple[str, ...],
    trust: TrustGiven,
    timeout: float | None,
    opens: Identities,
    *,
    salvage: bool,
    allow_older: bool,
    allow_individualize: bool,
    dry_run: bool,
    yes: bool,
) -> ExitCode:
    """Restore an archive, or a selection of it, into a store.

    What is restored is verified before anything is changed, and either all of it is restored or
    nothing. The plan is shown first.
    """
    store = parse_store(target, option="--to", target=True)
    if allow_individualize and not isinstance(store, TakesConsent):
        raise UsageError(
            "--allow-individualize is for a restore into windows",
            hint=f"to leave it out: {again(without=['--allow-individualize'])}",
        )
    if not archive:
        raise UsageError("the name of the archive is empty", hint="name a file, or - for a pipe")
    from_pipe = archive == "-"
    asks = session.interactive and not from_pipe
    if not (yes or dry_run or asks):
        why = "a restore without a terminal needs consent"
        if from_pipe and is_terminal(sys.stderr):
            why = "a restore needs consent, and standard input, which is the archive, gives none"
        raise ConfirmationNeeded(why, hint=f"to restore without a question: {again('--yes')}")
    session.steps = _STEPS[: len(_STEPS) - dry_run]
    policy = trust.policy(session)
    ages = Ages(session, policy, archive, allow_older=allow_older)
    options = Options(
        policy=policy,
        admit=ages.admit,
        locks=session.locks(),
        items=session.output.follows_items,
        workers=session.workers(),
        source=archive_on_standard_input(session) if from_pipe else None,
        selection=selection_of(kid, title, paths),
        on_conflict=OnConflict(on_conflict),
        announce=session.output.plan,
        confirm=lambda plan: (
            yes or _ask(session, plan, replace=on_conflict == OnConflict.REPLACE.value)
        ),
        dry_run=dry_run,
        salvage=salvage,
        identities=opens,
    )
    restorer = create_backup_restorer(session.output.event, store=store, options=options)
    restorer.set_prop("RestorePath", archive)
    notify = session.output.event
    flags = RestoreFlags.INDIVIDUALIZE if allow_individualize else RestoreFlags.NONE
    done = operate(restorer, lambda: restorer.restore_licenses(flags, notify), timeout)
    if not (dry_run or salvage or options.selection):
        ages.keep()
    session.output.result(done)
    assert isinstance(done, RestoreSummary)  # noqa: S101 - a restore was begun
    if done.plan.lost or done.plan.nameless or done.plan.licenses_lost:
        return ExitCode.DAMAGED
    return ExitCode.PARTIAL if done.skipped else ExitCode.OK


def _ask(session: Session, plan: RestorePlan, *, replace: bool) -> bool:
    replaced = len(plan.conflicts) if replace else 0
    which = f", {replaced:,} of them in place of others" if replaced else ""
    files = plan.new + replaced
    if not files:
        return True  # nothing would change
    return session.output.ask(f"Restore {count(files, 'file')} to {plan.target}{which}?")
