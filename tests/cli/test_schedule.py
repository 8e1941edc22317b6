"""Schedules, and the command lines in them, run as a scheduler runs them."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cli.program import IS_ROOT, STRANGER, Inside, Process
from wmbackup.cli.schedules import At, Job, cron_lines, systemd_units, task_xml
from wmbackup.errors import ExitCode

if sys.platform == "win32":
    pytest.skip("runs systemd-analyze and shells", allow_module_level=True)

TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
JOB = Job(("/usr/bin/true",), "a", ("/srv",), ("/var/backups",), "/var/backups")


def configure(place: Inside | Process, profile: str = "", **more: str) -> None:
    """Name a store and an output, as a schedule needs them."""
    values = {"store": f"folder:{place.path('store')}", "output": f"{place.path('backups')}/"}
    table = f"profile.{profile}.backup" if profile else "backup"
    lines = [f"[{table}]", *(f"{key} = '{text}'" for key, text in (values | more).items())]
    os.makedirs(place.config, exist_ok=True)
    Path(place.config, "wmbackup.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def units(text: str) -> dict[str, configparser.ConfigParser]:
    """Return the units that were printed, by their file names."""
    found = {}
    for part in re.split(r"^(?=# /)", text, flags=re.MULTILINE)[1:]:
        place, _, body = part.partition("\n")
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign] # as the manual has it
        parser.read_string(body)
        found[os.path.basename(place)] = parser
    return found


@pytest.fixture
def ready(program: Process) -> Process:
    assert program("key", "create").code == 0
    program.store()
    os.mkdir(program.path("backups"))
    configure(program)
    return program


def commands(place: Process, form: str, *options: str) -> list[list[str]]:
    """Return the command lines of a schedule, split as its scheduler splits them."""
    done = place("schedule", form, *options)
    assert done.code == 0, done
    if form == "systemd":
        found = [
            one["Service"]["ExecStart"] for one in units(done.out).values() if "Service" in one
        ]
        return [shlex.split(line.replace("%%", "%").replace("$$", "$")) for line in found]
    lines = [line for line in done.out.splitlines() if not line.startswith("#")]
    fields = 6 if "--system" in options else 5
    return [shlex.split(line.replace(r"\%", "%").split(" ", fields)[fields]) for line in lines]


@pytest.mark.parametrize("form", ["systemd", "cron"])
@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_the_very_command_line_runs_where_there_is_nothing(
    ready: Process, form: str, mask: int
) -> None:
    backup, verify = commands(ready, form, "--user")
    surroundings = {"HOME": ready.home, "PATH": ""} | {
        name: text for name, text in ready.environment().items() if name.startswith("COVERAGE_")
    }
    for command in (backup, verify):
        done = subprocess.run(
            command, env=surroundings, cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
            preexec_fn=lambda: os.umask(mask) and None, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), command
    (name,) = os.listdir(ready.path("backups"))
    assert name.endswith(".wmbackup.tar")


def test_without_a_home_the_reason_is_named(ready: Process) -> None:
    backup, _ = commands(ready, "systemd", "--user")
    done = subprocess.run(
        backup, env={"PATH": "", "HOME": "/nonexistent"}, cwd="/", stdin=subprocess.DEVNULL,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == ExitCode.USAGE
    assert b"hint:" in done.stderr
    assert b"Traceback" not in done.stderr


def test_no_home_is_needed_where_the_folders_are_named(ready: Process) -> None:
    backup, _ = commands(ready, "systemd", "--user")
    surroundings = {
        "XDG_CONFIG_HOME": os.path.dirname(ready.config),
        "XDG_STATE_HOME": os.path.dirname(ready.state),  # as the units of the system name it
    } | {name: text for name, text in ready.environment().items() if name.startswith("COVERAGE_")}
    done = subprocess.run(
        backup, env=surroundings, cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(not IS_ROOT, reason="becomes another user")
def test_another_user_runs_it_with_his_own_key(ready: Process) -> None:
    backup, verify = commands(ready, "cron", "--user")
    # All that is his is his, and what another has written there is not.
    for folder, _, names in os.walk(ready.root):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, 54321, 54321)
    os.chmod(ready.root, 0o700)
    for command in (backup, verify):
        done = subprocess.run(
            [*STRANGER, *command], env=ready.environment(PATH="/usr/bin:/bin"), cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), command
    (name,) = os.listdir(ready.path("backups"))
    assert os.stat(ready.path(f"backups/{name}")).st_uid == 54321


def test_a_profile_is_part_of_the_command_line_and_the_names(ready: Process) -> None:
    configure(ready, "nightly")
    backup, _ = commands(ready, "cron", "--user", "--profile", "nightly")
    assert backup[1:] == ["backup", "--profile", "nightly", "--no-input", "--quiet"]
    names = units(ready("schedule", "systemd", "--profile", "nightly").out)
    assert sorted(names) == [
        f"wmbackup-nightly{part}.{kind}"
        for part in ("-verify", "")
        for kind in ("service", "timer")
    ]


def test_one_file_as_the_output_is_not_verified_by_folder(ready: Process) -> None:
    configure(ready, output=ready.path("backups/one.tar"))
    assert sorted(units(ready("schedule", "systemd").out)) == ["wmbackup.service", "wmbackup.timer"]


@pytest.mark.parametrize("is_online", [False, True])
@pytest.mark.parametrize("overrides", [False, True])
def test_units_of_the_system_are_confined(
    tmp_path: Path, *, is_online: bool, overrides: bool
) -> None:
    job = JOB._replace(is_online=is_online, overrides=overrides)
    for name, text in systemd_units(job, At(3, 0), is_system=True).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for service in sorted(tmp_path.glob("*.service")):
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager", service],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        level = re.search(r"Overall exposure level .*: ([0-9.]+)", done.stdout)
        assert level is not None, done
        assert float(level[1]) <= 2.5
    assert judge(tmp_path) == ""


@pytest.mark.parametrize("folder", ["/srv/a b", "/srv/100%", '/srv/q"q', "/srv/$HOME", "/srv/b\\n"])
def test_systemd_reads_any_path(tmp_path: Path, folder: str) -> None:
    job = JOB._replace(reads=(folder,), writes=(folder,), folder=folder)
    for is_system in (True, False):
        for name, text in systemd_units(job, At(23, 59), is_system=is_system).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
            # A lone per cent sign begins a specifier, and a lone dollar a variable.
            assert not re.search(r"(?<!%)%(?:%%)*(?!%)[^n]", text.replace("@%n", ""))
            assert not re.search(r"(?<!\$)\$(?:\$\$)*(?!\$)", text)
        assert judge(tmp_path) == ""


def judge(folder: Path) -> str:
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(folder.iterdir())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout + done.stderr


def test_a_timer_makes_up_for_what_was_slept_through(ready: Process) -> None:
    timer = units(ready("schedule", "systemd", "--at", "2:05").out)["wmbackup.timer"]["Timer"]
    assert timer["OnCalendar"] == "*-*-* 02:05:00"
    assert timer["Persistent"] == "yes"
    calendar = ["systemd-analyze", "calendar", timer["OnCalendar"]]
    assert subprocess.run(calendar, capture_output=True, check=False).returncode == 0


def test_the_units_show_where_a_failure_is_told(ready: Process) -> None:
    assert "# OnFailure=" in ready("schedule", "systemd").out


def test_cron_takes_a_per_cent_sign_as_it_is() -> None:
    job = JOB._replace(program=("/opt/100% w/wmbackup",), folder="/b 1%")
    text = cron_lines(job, At(3, 7), user=None)
    program = r"'/opt/100\% w/wmbackup'"
    assert text.splitlines() == [
        rf"7 3 * * * {program} backup --profile a --no-input --quiet",
        rf"7 9 * * 0 {program} verify '/b 1\%' --latest --profile a --no-input --quiet",
    ]
    assert cron_lines(job, At(3, 7), user="root").startswith("7 3 * * * root ")


@pytest.mark.parametrize("user", [None, r"DOMAIN\me & co"])
def test_a_task_is_what_its_schema_wants(user: str | None) -> None:
    job = JOB._replace(program=(r"C:\Program Files\wm & co\wmbackup.exe",), profile="n")
    task = ET.fromstring(task_xml(job, At(3, 0), user=user))  # noqa: S314 - our own text
    assert task.tag == f"{TASK}Task"
    assert [part.tag.removeprefix(TASK) for part in task] == [
        *("RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"),
    ]

    def value(path: str) -> str | None:
        return task.findtext(path.replace("/", f"/{TASK}").join((TASK, "")))

    assert value("Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert value("Settings/StartWhenAvailable") == "true"
    assert value("Settings/ExecutionTimeLimit") == "PT6H"
    assert value("Triggers/CalendarTrigger/StartBoundary") == "2026-01-01T03:00:00"
    if user is None:
        assert value("Principals/Principal/UserId") == "S-1-5-18"
    else:
        assert value("Principals/Principal/UserId") == user
        assert value("Principals/Principal/LogonType") == "S4U"  # logged on or not
    assert value("Actions/Exec/Command") == job.program[0]
    assert value("Actions/Exec/Arguments") == "backup --profile n --no-input --quiet"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"output": "backups/"}, "is not absolute"),
        ({"store": "folder:store"}, "is not absolute"),
        ({"output": "-"}, "no standard output"),
    ],
)
def test_what_a_schedule_cannot_run_is_refused(
    ready: Process, more: dict[str, str], reason: str
) -> None:
    configure(ready, **more)
    done = ready("schedule", "systemd")
    assert done.code == ExitCode.USAGE
    assert reason in done.errors[0]
    assert done.hints


def test_programs_get_the_schedule_as_a_text(ready: Process) -> None:
    (summary,) = ready("schedule", "cron", "--json").lines
    assert summary["result"]["message"] == ready("schedule", "cron").out
    assert summary["command"] == "schedule"


def test_without_a_configuration_nothing_can_be_scheduled(program: Process) -> None:
    done = program("schedule", "cron")
    assert done.code == ExitCode.USAGE
    assert "wmbackup.toml" in done.hints[0]
    assert program("schedule", "cron", "--at", "25:00").code == ExitCode.USAGE
    assert program("schedule", "launchd").code == ExitCode.USAGE


def test_units_are_installed_and_never_in_place_of_others(ready: Process) -> None:
    done = ready("schedule", "systemd", "--user", "--install")
    assert done.code == 0
    folder = f"{ready.home}/.config/systemd/user"
    assert sorted(os.listdir(folder)) == [
        f"wmbackup{part}.{kind}" for part in ("-verify", "") for kind in ("service", "timer")
    ]
    assert judge(Path(folder)) == ""
    assert "systemctl --user enable --now wmbackup.timer wmbackup-verify.timer" in done.out
    assert ready("schedule", "systemd", "--user", "--install", "--at", "4:00").code == 0
    timer = Path(folder, "wmbackup.timer")
    assert "04:00" in timer.read_text(encoding="utf-8")
    timer.write_text("[Timer]\n", encoding="utf-8")
    done = ready("schedule", "systemd", "--user", "--install")
    assert done.code == ExitCode.FAILED
    assert "was not written by wmbackup" in done.errors[0]
    assert timer.read_text(encoding="utf-8") == "[Timer]\n"


def test_a_crontab_keeps_the_lines_of_others(ready: Process) -> None:
    crontab = ready.write(
        "bin/crontab",
        b'#!/bin/sh\nif [ "$1" = -l ]; then cat tab; else cat > new; mv new tab; fi\n',
    )
    os.chmod(crontab, 0o755)  # noqa: S103 - a program
    ready.write("tab", b"MAILTO=me\n1 2 * * * other\n")
    path = f"{os.path.dirname(crontab)}:/usr/bin:/bin"
    for at in ("3:00", "4:00"):
        done = ready("schedule", "cron", "--user", "--install", "--at", at, env={"PATH": path})
        assert done.code == 0
    lines = ready.read("tab").decode().splitlines()
    assert lines[:2] == ["MAILTO=me", "1 2 * * * other"]
    assert len([line for line in lines if "wmbackup" in line and line[0] != "#"]) == 2
    assert lines[3].startswith("0 4 * * * ")
    done = ready("schedule", "cron", "--user", "--install", env={"PATH": "/nowhere"})
    assert (done.code, done.errors) == (1, ["there is no program crontab here"])


def test_a_task_is_not_installed_where_there_is_no_task_scheduler(ready: Process) -> None:
    done = ready("schedule", "task-scheduler", "--install")
    assert done.code == ExitCode.FAILED
    assert "schtasks" in done.errors[0]
