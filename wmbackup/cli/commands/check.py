"""``wmbackup check``."""

from __future__ import annotations

import os
import platform
import shutil
import struct
from collections.abc import Callable, Iterator

import click

from wmbackup import __version__
from wmbackup.cli import settings
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.interface import interface_rows
from wmbackup.cli.openable import encryption_row
from wmbackup.cli.preflight import Preflight, clock_row, ledger_row
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.output import Checked, CheckRow, State
from wmbackup.cli.reporting import write_report
from wmbackup.cli.session import (
    Session,
    config_folder,
    site_config_folder,
    state_folder,
    worst,
)
from wmbackup.errors import ExitCode, UsageError, WmbackupError
from wmbackup.storage.spool import temporary_folder


@declare("check", example="wmbackup check --store folder:licenses -o backups/")
@option("--store", metavar="STORE", section="What", help="the store that would be backed up")
@option(
    "-o",
    "--output",
    metavar="FILE|FOLDER",
    section="What",
    help="where the archive would go",
)
@option(
    "--report",
    metavar="FILE.zip",
    section="What",
    help="write what Microsoft's components answer here, for a developer (Windows)",
)
@option(
    "--try-backup",
    is_flag=True,
    section="What",
    help="with --report, let the interface make a backup too, and remove it",
)
def command(
    session: Session,
    store: str | None,
    output: str | None,
    report: str | None,
    try_backup: bool,  # noqa: FBT001 (click passes it by name)
) -> ExitCode:
    """Say whether a backup would succeed now, and could be restored.

    It reads the store, writes a trial file at the output, and opens the signing key. What is not
    given comes from the environment and the configuration, as for backup. Each problem is shown
    with its remedy, and nothing is changed.
    """
    if report is not None:
        write_report(session, report, try_backup=try_backup)
        return ExitCode.OK
    if try_backup:
        raise UsageError(
            "--try-backup is for a report", hint="to make one: wmbackup check --report report.zip"
        )
    preflight = Preflight(session, store, output)
    rows = []
    for row in _checks(session, preflight):
        rows.append(row)
        session.output.check(row)
    session.output.result(Checked(tuple(rows), preflight.store_kind or "windows"))
    return worst([row.exit_code for row in rows])


def _checks(session: Session, preflight: Preflight) -> Iterator[CheckRow]:
    yield CheckRow("program", State.OK, f"wmbackup {__version__}, archive format 1")
    bits = struct.calcsize("P") * 8
    yield CheckRow("python", State.OK, f"{platform.python_version()}, {bits} bits")
    yield CheckRow("system", State.OK, platform.platform())
    yield clock_row()
    yield from _configuration(session)
    yield from interface_rows()
    yield _try("signing key", preflight.key_row)
    yield _try("trust", preflight.trust_row)
    yield _try("encryption", lambda: encryption_row(session))
    yield _try("locks", _locks)
    yield _try("ledger", lambda: ledger_row(session))
    yield _try("store", preflight.store_row)
    yield _try("output", preflight.output_row)
    yield _try("space", lambda: _space(preflight))


def _try(name: str, look: Callable[[], CheckRow]) -> CheckRow:
    try:
        return look()
    except WmbackupError as error:
        step = next_steps.of_error(error)
        return CheckRow(name, State.FAILED, error.message, step, error.exit_code)
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        return CheckRow(name, State.FAILED, text, None, ExitCode.FAILED)


def _configuration(session: Session) -> Iterator[CheckRow]:
    if session.config_error is not None:
        error = session.config_error
        step = next_steps.of_error(error)
        yield CheckRow("configuration", State.FAILED, error.message, step, error.exit_code)
        return
    for file in session.configs:
        yield CheckRow("configuration", State.OK, file.file)
    folder, site = config_folder(), site_config_folder()
    if not session.configs:
        places = [os.path.join(one, settings.FILE) for one in (folder, site) if one is not None]
        usual = f"; it would be {' or '.join(places)}" if places else ""
        yield CheckRow("configuration", State.OK, f"there is no file{usual}")
    for setting in settings.in_force(session, click.get_current_context()):
        whose = f" for {', '.join(setting.commands)}" if setting.commands else ""
        message = f"{setting.key} = {setting.value}{whose}, from {setting.origin}"
        if setting.wrong is None:
            yield CheckRow("setting", State.OK, message)
        else:
            message = f"{message}: {setting.wrong}"
            yield CheckRow("setting", State.FAILED, message, "correct it", ExitCode.USAGE)
    for name, meant in settings.strange_variables(sorted(os.environ)):
        remedy = "unset it" if meant is None else f"did you mean {meant}?"
        yield CheckRow("setting", State.WARNING, f"no option reads {name}", remedy)


def _locks() -> CheckRow:
    folder = state_folder()
    if folder is None:
        remedy = "set HOME, so that runs of one user see each other"
        return CheckRow("locks", State.WARNING, "there is no home for the locks", remedy)
    at = folder
    while not os.path.isdir(at):
        at = os.path.dirname(at)
    if not os.access(at, os.W_OK):
        message = f"cannot write to {at}; locks are kept among the temporary files"
        return CheckRow("locks", State.WARNING, message, "check its permissions")
    return CheckRow("locks", State.OK, folder)


def _space(preflight: Preflight) -> CheckRow:
    folder = temporary_folder()
    return preflight.space_row(folder, shutil.disk_usage(folder).free)
