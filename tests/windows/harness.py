"""What the tests share: the double's script and log, and the proof that nothing was left behind."""

from __future__ import annotations

import os
import pathlib
import re
import time
from collections import Counter

from wmbackup.status import Control, Event

BEGIN, END = 21, 27
CANCELED = 0xC00D2768


class Double:
    """The double of both DLLs: told what to do, asked what was done."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder / "backup"
        self.folder.mkdir()
        self._script = folder / "script.txt"
        self._log = folder / "log.txt"
        self.environment = {"WMBACKUP_DOUBLE_SCRIPT": str(self._script)}
        self.script()

    def script(self, *lines: str) -> None:
        """Say what happens from the next object on."""
        text = "\n".join([f"log {self._log}", *lines, ""])
        self._script.write_text(text, encoding="utf-8", newline="\n")

    def log(self) -> list[str]:
        """Return everything that was called so far."""
        if not self._log.exists():
            return []
        return self._log.read_text(encoding="utf-8").splitlines()

    def said(self, pattern: str) -> bool:
        """Whether a line of the log matches."""
        return any(re.search(pattern, line) for line in self.log())

    def wait_for(self, pattern: str, *, count: int = 1, seconds: float = 10) -> None:
        """Wait until that many lines of the log match."""
        until = time.monotonic() + seconds
        while sum(re.search(pattern, line) is not None for line in self.log()) < count:
            assert time.monotonic() < until, f"never said: {pattern}\n" + "\n".join(self.log())
            time.sleep(0.005)

    def forget(self) -> None:
        """Drop the log: what it tells of ended with its process."""
        self._log.unlink()

    def files(self) -> list[str]:
        """Return the names of the files in the backup folder."""
        return sorted(os.listdir(self.folder))

    def unbalanced(self) -> list[str]:
        """Return what was taken and not given back, as of now."""
        lines = self.log()
        counts = Counter(line.split()[0] for line in lines if line)
        pairs = [
            ("created", "destroyed"),
            ("callback-taken", "callback-dropped"),
            ("started", "stopped"),
        ]
        return [
            f"{taken} {counts[taken]}, {given} {counts[given]}"
            for taken, given in pairs
            if counts[taken] != counts[given]
        ]

    def check(self) -> None:
        """Fail where the contract was broken or a reference was leaked."""
        until = time.monotonic() + 5  # late threads give their references back late
        while self.unbalanced() and time.monotonic() < until:
            time.sleep(0.01)
        violations = [line for line in self.log() if line.startswith("VIOLATION")]
        assert not violations, "\n".join([*violations, "--", *self.log()])
        assert not self.unbalanced(), "\n".join([*self.unbalanced(), "--", *self.log()])


class Follower:
    """A caller that keeps every event, and asks to stop when told to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.stop = False
        self.control = Control(notify=self.events.append, cancelled=lambda: self.stop)
