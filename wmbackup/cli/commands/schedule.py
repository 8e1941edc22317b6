"""``wmbackup schedule``."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import click

from wmbackup.cli import public_files, settings
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.paths import PREFIXES, WORDS
from wmbackup.cli.render import shell
from wmbackup.cli.render.output import Message
from wmbackup.cli.schedules import At, Job, cron_lines, systemd_units, task_xml
from wmbackup.cli.session import Session, config_folder
from wmbackup.errors import ExitCode, OutputExists, SystemFailure, UsageError
from wmbackup.storage.files import make_folders, read_small_file

_FORMS = ("systemd", "cron", "task-scheduler")
_MARK = "# Written by wmbackup schedule."
_MAX_FILE = 64 * 1024
_BEGIN, _END = "# wmbackup schedule: begin", "# wmbackup schedule: end"


class TimeOfDay(click.ParamType):  # type: ignore[type-arg] # old releases of click know no parameter
    """A time of the day, as ``03:00``."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - whatever click has
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> At:
        """Read it. Raises click.BadParameter."""
        if isinstance(value, At):
            return value
        parts = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", str(value))
        if parts is None:
            self.fail(f"{value} is not a time of the day such as 03:00", param, ctx)
        return At(int(parts[1]), int(parts[2]))


@declare("schedule", example="wmbackup schedule systemd --profile nightly --at 03:00")
@click.argument("form", metavar="systemd|cron|task-scheduler", type=click.Choice(_FORMS))
@option(
    "--at", type=TimeOfDay(), default="03:00", metavar="HH:MM", section="When",
    help="the time of the day at which a backup begins",
)  # fmt: skip
@option(
    "--system/--user", "is_system", default=None, section="For whom", configured=False,
    from_environment=False,
    help="for the whole system (what root gets) or for this user (what others get)",
)  # fmt: skip
@option(
    "--install", is_flag=True, section="What to do", configured=False, from_environment=False,
    help="write the schedule where it belongs, instead of printing it",
)  # fmt: skip
def command(
    session: Session, form: str, at: At, *, is_system: bool | None, install: bool
) -> ExitCode:
    """Print a schedule for a backup every night, made for this installation.

    The store and the output come from the configuration, in the profile that is named. Archives
    in a folder are verified as well, the newest of each series every week.
    """
    if is_system is None:
        is_system = hasattr(os, "geteuid") and os.geteuid() == 0
    job = _job(session, is_system=is_system)
    parts = dict(_parts(form, job, at, is_system=is_system))
    if not install:
        heads = ("" if form == "task-scheduler" else f"# {path}\n" for path in parts)
        text = "\n".join(f"{head}{text}" for head, text in zip(heads, parts.values(), strict=True))
        if session.common.json:
            session.output.result(Message(text))
        else:
            session.stdout.write(text.rstrip("\n"))
        return ExitCode.OK
    for path, text in parts.items():
        _install(form, path, text, job)
    session.output.result(Message(_next(form, parts, is_system=is_system)))
    return ExitCode.OK


def _job(session: Session, *, is_system: bool) -> Job:
    """Return what is to run, by the configuration. Raises UsageError where that is not enough."""
    store, output = (_configured(session, key) for key in ("store", "output"))
    if output is None or (store is None and os.name != "nt"):
        missing = "output" if output is None else "store"
        where = "[backup]" if session.profile is None else f"[profile.{session.profile}.backup]"
        folder = config_folder()
        file = settings.FILE if folder is None else os.path.join(folder, settings.FILE)
        raise UsageError(
            f"a schedule has no command line of yours, and no configuration names the {missing}",
            hint=f"write {missing} into the table {where} of {file}",
        )
    if output == "-":
        raise UsageError(
            "a schedule has no standard output for an archive",
            hint="configure a file or a folder as the output",
        )
    for what, text in (("store", store or "windows"), ("output", output)):
        path = _path_of(text) if what == "store" else text
        if path is not None and not os.path.isabs(path):
            raise UsageError(
                f"a schedule runs in no folder of yours, and the {what} {text} is not absolute",
                hint=f"write the whole path into the configuration: {os.path.abspath(path)}",
            )
    is_folder = output.endswith((os.sep, os.altsep or os.sep)) or os.path.isdir(output)
    folder = os.path.normpath(output) if is_folder else os.path.dirname(output)
    files = [_configured(session, key) for key in ("log-file", "metrics-file")]
    writes = (folder, *(os.path.dirname(file) for file in files if file is not None))
    hooks = [_configured(session, key) for key in ("on-success", "on-failure")]
    read = _path_of(store or "windows")
    return Job(
        _program(),
        session.profile,
        () if read is None else (read,),
        tuple(dict.fromkeys(os.path.abspath(one) for one in writes)),
        folder if is_folder else None,
        any(hook is not None for hook in hooks),
        is_system and any(_is_of_others(one) for one in writes),
    )


def _configured(session: Session, key: str) -> str | None:
    """Return a value of the configuration; of the environment a schedule has nothing."""
    for file in session.configs:
        found = file.find(("backup",), key, session.profile)
        if found is not None:
            return str(found.value)
    return None


def _path_of(store: str) -> str | None:
    """Return the path of a store; None where it has none."""
    if store in WORDS:
        return None
    prefix = next((one for one in PREFIXES if store.startswith(one)), "")
    return store.removeprefix(prefix)


def _is_of_others(folder: str) -> bool:
    try:
        return os.stat(folder).st_uid != 0
    except OSError:
        return False


def _program() -> tuple[str, ...]:
    """Return the words that start this program from anywhere."""
    name = "wmbackup.exe" if os.name == "nt" else "wmbackup"
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), name)
    if os.path.exists(beside):
        return (beside,)
    return (os.path.abspath(sys.executable), "-P", "-m", "wmbackup")


def _parts(form: str, job: Job, at: At, *, is_system: bool) -> Iterator[tuple[str, str]]:
    """Yield where each part of a schedule belongs, and what it says."""
    if form == "systemd":
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        folder = "/etc/systemd/system" if is_system else os.path.join(home, "systemd", "user")
        for name, text in systemd_units(job, at, is_system=is_system).items():
            yield os.path.join(folder, name), f"{_MARK}\n{text}"
    elif form == "cron":
        place = f"/etc/cron.d/{job.name}" if is_system else "crontab"
        lines = cron_lines(job, at, user="root" if is_system else None)
        yield place, f"{_MARK}\n{lines}" if is_system else f"{_BEGIN}\n{lines}{_END}\n"
    else:
        yield f"\\{job.name}", task_xml(job, at, user=None if is_system else _user())


def _user() -> str:
    """Return the name of this user. Raises UsageError where nothing tells it."""
    try:
        return getpass.getuser()
    except (OSError, ImportError, KeyError):
        raise UsageError(
            "nothing here tells the name of this user, as whom the task would run",
            hint="set USERNAME, or make a task of the system: wmbackup schedule task-scheduler"
            " --system",
        ) from None


def _install(form: str, place: str, text: str, job: Job) -> None:
    if form == "task-scheduler":
        _create_task(job.name, text)
    elif place == "crontab":
        _add_to_crontab(text)
    else:
        try:
            make_folders(os.path.dirname(place))
            old = read_small_file(place, _MAX_FILE)
            if old is not None and not old.data.startswith(_MARK.encode()):
                raise OutputExists(
                    f"{place} exists, and was not written by wmbackup",
                    hint=f"look at it, and remove it if it is not needed: {shell.remove(place)}",
                )
            public_files.write(place, text.encode(), place)
        except OSError as error:
            raise SystemFailure.of(error, "write", place) from error


def _add_to_crontab(text: str) -> None:
    """Replace what a crontab has of ours. Raises SystemFailure."""
    program = _found("crontab", "install cron, or use: wmbackup schedule systemd")
    before = subprocess.run([program, "-l"], capture_output=True, check=False)  # noqa: S603 - a program of the system
    lines = before.stdout.decode("utf-8", "surrogateescape") if before.returncode == 0 else ""
    ours = re.compile(rf"^{re.escape(_BEGIN)}\n.*?^{re.escape(_END)}\n", re.MULTILINE | re.DOTALL)
    kept = ours.sub("", lines)
    _run([program, "-"], (kept + text).encode("utf-8", "surrogateescape"))


def _create_task(name: str, text: str) -> None:
    """Hand a task to the Task Scheduler. Raises SystemFailure."""
    program = _found("schtasks", "run this on Windows, or print the task without --install")
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "task.xml")
        with open(file, "wb") as stream:
            stream.write(text.encode("utf-16"))
        _run([program, "/Create", "/F", "/TN", name, "/XML", file], b"")


def _found(program: str, otherwise: str) -> str:
    found = shutil.which(program, path=os.environ.get("PATH") or os.defpath)
    if found is None:
        raise SystemFailure(f"there is no program {program} here", hint=otherwise)
    return found


def _run(command: list[str], text: bytes) -> None:
    done = subprocess.run(command, input=text, capture_output=True, check=False)  # noqa: S603 - as above
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise SystemFailure(
            f"{os.path.basename(command[0])} failed: {said[-1] if said else done.returncode}",
            hint="print the schedule without --install, and install it by hand",
        )


def _next(form: str, parts: dict[str, str], *, is_system: bool) -> str:
    """Say what was done, and what is left to do."""
    if form != "systemd":
        return f"installed {', '.join(parts)}"
    systemctl = "systemctl" if is_system else "systemctl --user"
    timers = [os.path.basename(path) for path in parts if path.endswith(".timer")]
    text = f"wrote {', '.join(parts)}; start it with: {systemctl} daemon-reload &&"
    text += f" {systemctl} enable --now {' '.join(timers)}"
    if not is_system:
        text += " && loginctl enable-linger  # so that it runs when you are not logged in"
    return text
