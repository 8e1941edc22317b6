"""``wmbackup verify``."""

from __future__ import annotations

import os

import click

from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.encryption import Identities, identity_options
from wmbackup.cli.folders import (
    is_folder_of_archives,
    read_folder,
    report_lines,
    verify_folder,
)
from wmbackup.cli.paths import parse_store
from wmbackup.cli.proof import Proof
from wmbackup.cli.render.hints import again
from wmbackup.cli.render.output import Verified
from wmbackup.cli.session import Session, worst
from wmbackup.cli.trusting import TrustGiven, trust_options
from wmbackup.cli.wildcards import expanded
from wmbackup.engine._folder import Kind
from wmbackup.errors import ExitCode, UsageError
from wmbackup.status import Phase


@declare("verify", example="wmbackup verify licenses.wmbackup.tar")
@click.argument("archives", metavar="ARCHIVE|FOLDER|-...", nargs=-1, required=True)
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
@option(
    "--latest",
    is_flag=True,
    section="What",
    help="in a folder, verify only the newest archive of each series, and the line of all",
)
@option(
    "--complete",
    is_flag=True,
    section="What",
    help="in a folder, take an archive that is missing in a series as an error",
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
    latest: bool,
    complete: bool,
) -> ExitCode:
    """Verify every byte of archives and who signed them. No archive is changed.

    Of a folder, every archive in it and below it is verified, and the line of each series: what
    was rolled back, forked or contradicts itself is exit code 10. A folder with bagit.txt or
    wmbackup-1/ in it is an unpacked archive. The exit code is that of the worst archive.
    """
    if quick and restore_test:
        raise UsageError(
            "--quick and --restore-test contradict each other",
            hint=f"to check every byte: {again(without=['--quick'])}",
        )
    names = expanded(archives)
    if (latest or complete) and not any(map(is_folder_of_archives, names)):
        name = "--latest" if latest else "--complete"
        raise UsageError(
            f"{name} is for a folder of archives",
            hint=f"to verify what is named: {again(without=[name])}",
        )
    policy = trust.policy(session)
    run = Proof(
        session,
        policy,
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
    results: list[Verified] = []
    codes: list[ExitCode] = []
    for name in names:
        if is_folder_of_archives(name):
            contents = read_folder(session, name, policy, opens)
            found = verify_folder(session, run, contents, latest=latest)
            codes += report_lines(session, run.known, contents, complete=complete)
        else:
            is_unpacked = name != "-" and os.path.isdir(name)
            found = [run.verify(name, Kind.BAG if is_unpacked else Kind.FILE)]
        results += found
        codes += map(_code, found)
    run.known.keep()
    session.output.result(results)
    return worst(codes)


def _code(result: Verified) -> ExitCode:
    if result.error is not None:
        return result.error.exit_code
    return ExitCode.DIFFERS if result.differences else ExitCode.OK
