"""``wmbackup backup``."""

from __future__ import annotations

import sys

from wmbackup.cli.click_ext import Seconds, option
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.encryption import recipients_for
from wmbackup.cli.ledgers import history_of
from wmbackup.cli.monitoring.options import monitoring_options
from wmbackup.cli.operate import operate
from wmbackup.cli.passphrases import PassphraseGiven, passphrase_options
from wmbackup.cli.paths import parse_store, standard_output
from wmbackup.cli.pruning import KeepGiven, keep_options, prune_after
from wmbackup.cli.render.hints import again, did_you_mean
from wmbackup.cli.session import Session, is_terminal, worst
from wmbackup.cli.signing import KeyGiven, signing_key, signing_options
from wmbackup.engine import BackupPlan, BackupSummary, Refuse, RestoreSummary
from wmbackup.errors import ExitCode, UsageError
from wmbackup.quoting import quoted
from wmbackup.restorer import BackupFlags, Options, create_backup_restorer
from wmbackup.status import Phase
from wmbackup.stores.base import Store
from wmbackup.stores.exclusion import Exclusion

_USUAL = "licenses.wmbackup.tar"
_STEPS = (Phase.PLANNING, Phase.READING, Phase.SEALING, Phase.READING_BACK)


@declare("backup", example="wmbackup backup --store sample -o licenses.wmbackup.tar")
@option(
    "-o",
    "--output",
    metavar="FILE|FOLDER|-",
    section="Where to",
    help="the archive; in a folder it gets its usual name, - is standard output",
)
@option("-f", "--force", is_flag=True, section="Where to", help="replace an archive that exists")
@option(
    "--store",
    metavar="STORE",
    section="Where from",
    help="windows (the default there), sample, folder:PATH, drm:PATH, bak:PATH, or a path",
)
@option(
    "--all-files",
    is_flag=True,
    section="Where from",
    help="also back up files of other software in a DRM folder or license backup",
)
@option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    section="Where from",
    help="leave out the files that a pattern matches, as in a .gitignore file",
)
@option(
    "--accept-restricted",
    is_flag=True,
    section="Where from",
    help="do not fail because of licenses that may not be backed up",
)
@option(
    "--accept-skipped",
    is_flag=True,
    section="Where from",
    help="do not fail because of files that cannot be backed up, such as links and pipes",
)
@signing_options("How")
@option(
    "--recipient",
    multiple=True,
    metavar="R",
    section="Encryption",
    help="encrypt for age1... or a file of such lines; see key create --identity",
)
@option("-n", "--dry-run", is_flag=True, section="How", help="read everything, write nothing")
@option(
    "--no-read-back",
    is_flag=True,
    section="How",
    help="do not read the archive back from the disk before it is published",
)
@option(
    "--timeout", type=Seconds(zero=False), metavar="S", section="How",
    help="give up after so many seconds",
)  # fmt: skip
@keep_options("Retention")
@monitoring_options("Monitoring")
@passphrase_options("Encryption", "encrypt with a passphrase")
def command(  # noqa: PLR0913 - one parameter an option
    session: Session,
    output: str | None,
    store: str | None,
    timeout: float | None,
    exclude: tuple[str, ...],
    recipient: tuple[str, ...],
    passphrase: PassphraseGiven,
    key: KeyGiven,
    keep: KeepGiven,
    *,
    force: bool,
    all_files: bool,
    accept_restricted: bool,
    accept_skipped: bool,
    dry_run: bool,
    no_read_back: bool,
) -> ExitCode:
    """Back a license store up into a signed archive.

    The archive appears only when it is complete and has been read back. Licenses are copied as
    they are; those whose issuers forbid a backup are named and left out.
    """
    if output == "" or (output is None and not dry_run):
        what = "is missing" if output is None else "names nothing"
        hint = did_you_mean("", [_USUAL]) if output == "" else f"for example: {again('-o', _USUAL)}"
        raise UsageError(f"--output {what}", hint=hint)
    if output == "-" and session.common.json:
        hint = did_you_mean("-", [_USUAL])
        raise UsageError("--json and -o - both want standard output", hint=hint)
    if output == "-" and not dry_run and is_terminal(sys.stdout):
        raise UsageError(
            "standard output is a terminal, and an archive is not for a screen",
            hint=f"to write to a file: {again()} > {_USUAL}",
        )
    if keep.policy and output == "-":
        raise UsageError(
            "archives are removed from a folder, and -o - has none",
            hint=f"to write to a folder: {again('-o', 'backups', without=['-o'])}",
        )
    exclusion = Exclusion(exclude)
    source = parse_store(
        store, all_files=all_files, exclusion=exclusion, control=session.control(timeout)
    )
    session.accepts_restricted, session.accepts_skipped = accept_restricted, accept_skipped
    for pattern in exclusion.void:
        session.output.warning(
            "void-pattern", f"--exclude {quoted(pattern)} matches nothing", "see gitignore(5)"
        )
    if not dry_run:
        session.steps = _STEPS[: len(_STEPS) - (no_read_back or output == "-")]
    strict = session.common.strict
    recipients = recipients_for(session, recipient, passphrase)
    if output is not None and output.lower().endswith(".age") and not recipients:
        session.output.warning(
            "not-encrypted", f"{output} is named as an encrypted archive, and will be none",
            "add --recipient age1..., or name it .wmbackup.tar",
        )  # fmt: skip
    signer = None if dry_run else signing_key(session, key)
    options = Options(
        signing_key=signer,
        locks=session.locks(),
        items=session.output.follows_items,
        output=standard_output() if output == "-" and not dry_run else None,
        read_back=not no_read_back,
        workers=session.workers(),
        refuse=Refuse(
            skipped=strict and not accept_skipped, withheld=strict and not accept_restricted
        ),
        dry_run=dry_run,
        recipients=recipients,
        history=None if signer is None else history_of(session, signer),
    )
    path = None if output == "-" and dry_run else output
    done = _back_up(session, source, path, options, timeout, force=force)
    session.output.result(done)
    partial = bool(done.skipped) and not accept_skipped
    partial = partial or (bool(done.withheld) and not accept_restricted)
    code = ExitCode.PARTIAL if partial else ExitCode.OK
    if keep.policy and signer is not None and isinstance(done, BackupSummary):
        code = worst([code, prune_after(session, done, signer, keep)])
    return code


def _back_up(
    session: Session,
    store: Store,
    output: str | None,
    options: Options,
    timeout: float | None,
    *,
    force: bool,
) -> BackupSummary | BackupPlan:
    session.data_on_stdout = output == "-"
    notify = session.output.event
    restorer = create_backup_restorer(notify, store=store, options=options)
    if output is not None:
        restorer.set_prop("BackupPath", output)
    flags = BackupFlags.OVERWRITE if force else BackupFlags.NONE
    done = operate(restorer, lambda: restorer.backup_licenses(flags, notify), timeout)
    assert not isinstance(done, RestoreSummary)  # noqa: S101 - a backup was begun
    return done
