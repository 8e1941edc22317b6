"""The report that `check` writes for those who mend what a real Windows answers differently."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping

from wmbackup import __version__
from wmbackup.cli.part import runner
from wmbackup.cli.render.output import CheckRow, Message, State
from wmbackup.cli.session import Session, state_folder
from wmbackup.errors import SystemFailure, UsageError
from wmbackup.storage.files import PRIVATE_FOLDER
from wmbackup.storage.publish import exists
from wmbackup.storage.spool import temporary_folder
from wmbackup.stores.windows import report
from wmbackup.stores.windows.child import Runner
from wmbackup.stores.windows.private import private_folder

SECONDS = 120.0  # which a call may take
_PLACES = ("USERPROFILE", "HOME", "USERNAME", "USER", "COMPUTERNAME", "USERDOMAIN")


def write_report(session: Session, path: str, *, try_backup: bool) -> None:
    """Ask the components of this Windows, print what they answer, and write it to a zip file.

    Raises UsageError on another system, OutputExists, SystemFailure, Cancelled.
    """
    if sys.platform != "win32":
        raise UsageError(
            "a report is about the components of Windows, and this is another system",
            hint="on a computer with Windows: wmbackup check --report report.zip",
        )
    else:  # noqa: RET506 (mypy reads it so)
        from wmbackup.stores.windows.components import facts
        from wmbackup.trust.owner import restrict

        make_report(session, path, runner(), facts(), restrict, try_backup=try_backup)


def make_report(
    session: Session,
    path: str,
    start: Runner,
    facts: Iterable[tuple[str, str]],
    restrict: Callable[[str], object],
    *,
    try_backup: bool = False,
    seconds: float = SECONDS,
) -> None:
    """Do so with what asks the components: ``start``, the machine's ``facts``, ``restrict``."""
    from wmbackup.trust import small_files

    if os.path.lexists(path):
        raise exists(path)
    state = state_folder()
    base = os.path.join(state or os.path.join(temporary_folder(), "wmbackup-private"), "private")
    kept = [f"wmbackup {__version__}"]
    places = hidden_places(os.environ)
    session.output.check(CheckRow("report", State.OK, kept[0]))
    with private_folder(base, restrict) as folder:
        try:
            os.mkdir(folder, PRIVATE_FOLDER)
        except OSError as error:
            raise SystemFailure.of(error, "make the folder", folder) from error
        for line in report.lines(
            start,
            facts,
            folder,
            secrets.token_bytes(32),  # kept nowhere
            try_backup=try_backup,
            seconds=seconds,
            control=session.control(),
        ):
            kept.append(report.hidden(line, places))
            session.output.check(CheckRow("report", State.OK, kept[-1]))
    text = "".join(f"{line}\r\n" for line in kept)
    try:
        small_files.write(path, report.zipped(text), "the report", replace=False)
    except OSError as error:
        raise SystemFailure.of(error, "write the report", path) from error
    session.output.result(Message(f"{path} holds the lines above, as {report.TEXT}"))


def hidden_places(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what tells whose machine it is, and what stands in a report instead."""
    return [
        (environment[name], f"<{name}>") for name in _PLACES if len(environment.get(name, "")) > 1
    ]
