"""The log of a run: one line an event, appended whole to a file that many runs may share.

A line is ``TIME wmbackup[PID] LEVEL EVENT KEY=VALUE …``. The time is UTC. A value stands as it is
where it is one plain word, otherwise as a JSON string. The file is opened anew for each line, so
that it can be rotated while a run writes to it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import threading
from datetime import UTC, datetime

from wmbackup.cli.render import next_steps
from wmbackup.cli.render.sanitize import shown, visible
from wmbackup.errors import WmbackupError
from wmbackup.quoting import elided
from wmbackup.status import (
    Event,
    PhaseEvent,
    SkipEvent,
    WarningEvent,
    WithheldEvent,
)

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,~-]+")
_LONGEST = 2000  # characters of a value
_MODE = 0o640
_FLAGS = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT
    | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)  # fmt: skip


class Log:
    """A log file. It keeps the first error that a line met, and goes on with the next line."""

    def __init__(self, path: str) -> None:
        """Write to the file at ``path``, which is made when the first line comes."""
        self._path = path
        self._writing = threading.Lock()
        self.failure: OSError | None = None

    def line(self, level: str, event: str, **fields: str | float | None) -> None:
        """Append a line; fields that are None are left out. An error is kept in ``failure``."""
        text = line_of(datetime.now(UTC), os.getpid(), level, event, fields)
        try:
            with self._writing:
                _append(self._path, text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            self.failure = self.failure or error

    def event(self, event: Event) -> None:
        """See `Follower.event`. Single files and what is left out on purpose are not logged."""
        match event:
            case PhaseEvent(phase, items, octets):
                self.line("info", "phase", phase=phase.value, items=items, bytes=octets)
            case SkipEvent(path, reason):
                self.line("warning", "skipped", path=shown(path), reason=reason)
            case WithheldEvent(license_):
                where = None if license_.path is None else shown(license_.path)
                title = license_.attributes.get("Title")
                self.line("warning", "restricted", path=where, kid=license_.kid, title=title)
            case WarningEvent():
                self.warning(event.code, event.message, next_steps.of_warning(event))
            case _:  # of these there can be a million
                pass

    def warning(self, code: str, message: str, hint: str | None) -> None:
        """See `Follower.warning`."""
        self.line("warning", "warning", code=code, message=message, hint=hint)

    def error(self, error: WmbackupError, hint: str | None) -> None:
        """See `Follower.error`."""
        self.line("error", "error", code=error.code, message=error.message, hint=hint)


def line_of(
    moment: datetime, pid: int, level: str, event: str, fields: dict[str, str | float | None]
) -> str:
    """Return a line, with its line feed."""
    told = "".join(
        f" {name}={_value(value)}" for name, value in fields.items() if value is not None
    )
    return f"{moment:%Y-%m-%dT%H:%M:%SZ} wmbackup[{pid}] {level} {event}{told}\n"


def _value(value: str | float) -> str:
    if not isinstance(value, str):
        return f"{round(value, 3)}"
    text = elided(visible(value), _LONGEST)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _append(path: str, line: bytes) -> None:
    descriptor = os.open(path, _FLAGS, _MODE)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe", path)
        written = os.write(descriptor, line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(descriptor)
