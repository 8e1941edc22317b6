"""Schedules for this installation, as texts: units of systemd, lines of cron, a task of Windows.

Each runs one command line with absolute paths, which needs no environment, no terminal and no
current folder. Sources: systemd.exec(5), systemd.timer(5), crontab(5), and the task schema of
Windows (MS-TSCH, 2.5).
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

_WEEKLY = 6  # hours between the backup of a Sunday and the check of what is there


class Job(NamedTuple):
    """What is to run: the words that start the program, the profile, and what a backup needs.

    ``paths`` are absolute: ``reads`` is what it has to reach, ``writes`` are the folders in which
    it makes files. ``folder`` is where the archives are, None where they go to a single file.
    ``is_online`` says that commands run after it, which may need the network; ``overrides`` that
    the system's user does not own what is written.
    """

    program: tuple[str, ...]
    profile: str | None
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    folder: str | None
    is_online: bool = False
    overrides: bool = False

    @property
    def name(self) -> str:
        """The name of its units and tasks."""
        return "wmbackup" if self.profile is None else f"wmbackup-{self.profile}"

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a command line of the program, in the profile."""
        profile = () if self.profile is None else ("--profile", self.profile)
        return (*self.program, *words, *profile, "--no-input", "--quiet")


class At(NamedTuple):
    """A time of the day: hour and minute."""

    hour: int
    minute: int

    def __str__(self) -> str:
        """Return it as ``03:00``."""
        return f"{self.hour:02}:{self.minute:02}"

    def later(self, hours: int) -> At:
        """Return the time so many hours later on the same day, or at its end."""
        return At(min(self.hour + hours, 23), self.minute)


# systemd

_HARDENED = """\
NoNewPrivileges=yes
UMask=0077
ProtectSystem=strict
ProtectHome=read-only
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""
_OFFLINE = """\
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
"""
_ONLINE = """\
# A command of yours may run after the backup, and need the network.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
"""


def systemd_units(job: Job, at: At, *, is_system: bool) -> dict[str, str]:
    """Return the units by their file names: a service and a timer of the backup and of a check.

    Those of the system are confined to what the backup needs.
    """
    units = {
        f"{job.name}.service": _service(
            job, "Back up Windows Media licenses", job.command("backup"), is_system=is_system
        ),
        f"{job.name}.timer": _timer(
            "Back up Windows Media licenses every night", f"*-*-* {at}:00", "15min"
        ),
    }
    if job.folder is not None:
        verify = job.command("verify", job.folder, "--latest")
        units[f"{job.name}-verify.service"] = _service(
            job, "Verify the newest Windows Media license backups", verify, is_system=is_system
        )
        units[f"{job.name}-verify.timer"] = _timer(
            "Verify the newest Windows Media license backups every week",
            f"Sun *-*-* {at.later(_WEEKLY)}:00",
            "1h",
        )
    return units


def _service(job: Job, description: str, command: Sequence[str], *, is_system: bool) -> str:
    mounts = dict.fromkeys((*job.reads, *job.writes))
    lines = [
        "[Unit]",
        f"Description={description}",
        *(f"RequiresMountsFor={_unit_word(path)}" for path in mounts if is_system),
        "# Name a unit of yours that tells you of a failure:",
        "# OnFailure=tell-me@%n.service",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart={' '.join(_unit_word(word) for word in command)}",
        "Nice=10",
        "IOSchedulingClass=idle",
        "TimeoutStartSec=6h",
    ]
    if not is_system:
        return "\n".join([*lines, "NoNewPrivileges=yes", "UMask=0077", ""])
    lines += [
        "# Locks and memory are in /var/lib/wmbackup.",
        "StateDirectory=wmbackup",
        "StateDirectoryMode=0700",
        "Environment=XDG_STATE_HOME=/var/lib",
        *(f"ReadWritePaths={_unit_word(path)}" for path in job.writes),
        f"CapabilityBoundingSet=CAP_DAC_READ_SEARCH{' CAP_DAC_OVERRIDE' if job.overrides else ''}",
    ]
    network = _ONLINE if job.is_online else _OFFLINE
    return "\n".join(lines) + "\n" + _HARDENED + network


def _timer(description: str, calendar: str, spread: str) -> str:
    return "\n".join(
        [
            "[Unit]",
            f"Description={description}",
            "",
            "[Timer]",
            f"OnCalendar={calendar}",
            f"RandomizedDelaySec={spread}",
            "Persistent=yes",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _unit_word(word: str) -> str:
    """Return a word as systemd reads it: quoted, with its specifiers and variables taken back."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return word if word and not set(word) & set(" \t'\";#") else f'"{word}"'


# cron


def cron_lines(job: Job, at: At, *, user: str | None) -> str:
    """Return the lines of a crontab; those of the system name a ``user``."""
    who = "" if user is None else f"{user} "
    lines = [f"{at.minute} {at.hour} * * * {who}{_cron_command(job.command('backup'))}"]
    if job.folder is not None:
        verify = job.command("verify", job.folder, "--latest")
        later = at.later(_WEEKLY)
        lines.append(f"{later.minute} {later.hour} * * 0 {who}{_cron_command(verify)}")
    return "".join(f"{line}\n" for line in lines)


def _cron_command(words: Sequence[str]) -> str:
    """Return a command for cron, to which a per cent sign is the end of a line."""
    return shlex.join(words).replace("%", r"\%")


# Task Scheduler

_SYSTEM = "S-1-5-18"  # the account of the system


def task_xml(job: Job, at: At, *, user: str | None) -> str:
    """Return a task for Windows, which runs as ``user``, or as the system where it is None."""
    who = (
        f"<UserId>{_SYSTEM}</UserId>\n      <RunLevel>HighestAvailable</RunLevel>"
        if user is None
        # S4U: whether or not the user is logged on, without a password that is kept.
        else f"<UserId>{escape(user)}</UserId>\n      <LogonType>S4U</LogonType>\n"
        "      <RunLevel>LeastPrivilege</RunLevel>"
    )
    command, *arguments = job.command("backup")
    return f"""\
<?xml version="1.0"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Back up Windows Media licenses every night</Description>
    <URI>\\{escape(job.name)}</URI>
  </RegistrationInfo>
  <Triggers>
    <CalendarTrigger>
      <StartBoundary>2026-01-01T{at}:00</StartBoundary>
      <Enabled>true</Enabled>
      <RandomDelay>PT15M</RandomDelay>
      <ScheduleByDay>
        <DaysInterval>1</DaysInterval>
      </ScheduleByDay>
    </CalendarTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      {who}
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <Enabled>true</Enabled>
    <ExecutionTimeLimit>PT6H</ExecutionTimeLimit>
    <Priority>7</Priority>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(command)}</Command>
      <Arguments>{escape(subprocess.list2cmdline(arguments))}</Arguments>
      <WorkingDirectory>{escape(os.path.dirname(command))}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""
