"""``wmbackup backup``."""

from __future__ import annotations

from wmbackup.cli.app import Seconds, option
from wmbackup.cli.app import command as declare
from wmbackup.cli.hints import again, did_you_mean
from wmbackup.cli.operate import operate
from wmbackup.cli.places import parse_store, standard_output
from wmbackup.cli.session import Session
from wmbackup.engine import BackupPlan, BackupSummary, RestoreSummary, plan_backup
from wmbackup.errors import ExitCode, UsageError
from wmbackup.restorer import BackupFlags, Options, create_backup_restorer
from wmbackup.status import Phase
from wmbackup.stores.base import Store

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
    help="from a DRM folder, the files of other software as well",
)
@option(
    "--accept-restricted",
    is_flag=True,
    section="Where from",
    help="take licenses that may not be backed up for no failure",
)
@option(
    "--signing-key",
    metavar="F",
    section="How",
    help="sign with this OpenSSH Ed25519 key instead of the one of key create",
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
def command(
    session: Session,
    output: str | None,
    store: str | None,
    signing_key: str | None,
    timeout: float | None,
    *,
    force: bool,
    all_files: bool,
    accept_restricted: bool,
    dry_run: bool,
    no_read_back: bool,
) -> ExitCode:
    """Back a license store up into a signed archive.

    The archive appears whole and read back, or not at all. Licenses are copied as they are;
    what their issuers do not let go is named and left where it is.
    """
    if output == "" or (output is None and not dry_run):
        what = "is missing" if output is None else "names nothing"
        hint = did_you_mean("", [_USUAL]) if output == "" else f"for example: {again('-o', _USUAL)}"
        raise UsageError(f"--output {what}", hint=hint)
    if output == "-" and session.common.json:
        hint = did_you_mean("-", [_USUAL])
        raise UsageError("--json and -o - both want standard output", hint=hint)
    source = parse_store(store, all_files=all_files)
    session.accepts_restricted = accept_restricted
    session.notice()
    if not dry_run:
        session.steps = _STEPS[: len(_STEPS) - (no_read_back or output == "-")]
    done: BackupSummary | BackupPlan
    if dry_run:
        path = None if output == "-" else output
        done = plan_backup(source, path, session.control(), replace_output=force)
    else:
        assert output is not None  # noqa: S101 - said above
        options = Options(
            signing_key=session.signing_key(signing_key),
            locks=session.locks(),
            items=session.output.follows_items,
            output=standard_output() if output == "-" else None,
            read_back=not no_read_back,
            workers=session.workers(),
            refuse_skipped=session.common.strict,
            refuse_withheld=session.common.strict and not accept_restricted,
        )
        done = _back_up(session, source, output, options, timeout, force=force)
    session.output.result(done)
    partial = bool(done.skipped) or (bool(done.withheld) and not accept_restricted)
    return ExitCode.PARTIAL if partial else ExitCode.OK


def _back_up(
    session: Session,
    store: Store,
    output: str,
    options: Options,
    timeout: float | None,
    *,
    force: bool,
) -> BackupSummary:
    session.data_on_stdout = output == "-"
    notify = session.output.event
    restorer = create_backup_restorer(notify, store=store, options=options)
    restorer.set_prop("BackupPath", output)
    flags = BackupFlags.OVERWRITE if force else BackupFlags.NONE
    done = operate(restorer, lambda: restorer.backup_licenses(flags, notify), timeout)
    assert not isinstance(done, RestoreSummary)  # noqa: S101 - a backup was begun
    return done
