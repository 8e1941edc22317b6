"""``wmbackup verify``."""

from __future__ import annotations

import click

from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.encryption import Identities, identity_options
from wmbackup.cli.paths import parse_store
from wmbackup.cli.proof import Proof
from wmbackup.cli.render.hints import again
from wmbackup.cli.render.output import Verified
from wmbackup.cli.session import Session, worst
from wmbackup.cli.trusting import TrustGiven, trust_options
from wmbackup.cli.wildcards import expanded
from wmbackup.errors import ExitCode, UsageError
from wmbackup.status import Phase


@declare("verify", example="wmbackup verify licenses.wmbackup.tar")
@click.argument("archives", metavar="ARCHIVE|-...", nargs=-1, required=True)
@option(
    "--quick",
    is_flag=True,
    section="What",
    help="check only the signature, the head and the length",
)
@option(
    "--against",
    metavar="STORE",
    section="What",
    help="compare with a store as well; exit code 11 when they differ",
)
@option(
    "--restore-test",
    is_flag=True,
    section="What",
    help="also restore into a private folder, compare, and remove it",
)
@trust_options("Trust")
@identity_options
def command(
    session: Session,
    archives: tuple[str, ...],
    against: str | None,
    trust: TrustGiven,
    opens: Identities,
    *,
    quick: bool,
    restore_test: bool,
) -> ExitCode:
    """Verify every byte of archives and who signed them. Nothing is written.

    The exit code is that of the worst archive.
    """
    if quick and restore_test:
        raise UsageError(
            "--quick and --restore-test contradict each other",
            hint=f"to check every byte: {again(without=['--quick'])}",
        )
    run = Proof(
        session,
        trust.policy(session),
        opens,
        None
        if against is None
        else (
            against,
            parse_store(against, option="--against", control=session.control()),
        ),
        quick=quick,
        restore_test=restore_test,
    )
    if not (quick or restore_test or against):
        session.steps = (Phase.AUTHENTICATING, Phase.VERIFYING)
    results, codes = [], []
    for archive in expanded(archives):
        result = run.verify(archive)
        results.append(result)
        codes.append(_code(result))
    session.output.result(results)
    return worst(codes)


def _code(result: Verified) -> ExitCode:
    if result.error is not None:
        return result.error.exit_code
    return ExitCode.DIFFERS if result.differences else ExitCode.OK
