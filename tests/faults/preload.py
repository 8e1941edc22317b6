"""The preloaded library: how it is built, loaded and armed."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")
_BUILD = SOURCE.parent.parent.parent / "build" / "faults"


class Kind(IntEnum):
    """What happens at a call. The numbers are those of the library."""

    COUNT = 0
    FAIL = 1
    SHORT = 2
    KILL_BEFORE = 3
    KILL_AFTER = 4


class Calls(IntFlag):
    """Classes of calls, as the library has them."""

    LOOKS = 1
    OPENS = 2
    SPACE = 4
    REMOVES = 8
    SYNCS = 16
    OTHER = 32


EVERYTHING = Calls(63)
NEVER = Calls(0)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was counted. ``path`` is below the folder that is watched."""

    number: int
    name: str
    path: str

    @property
    def plain_name(self) -> str:
        """Its name without what tells 64 bits from 32."""
        return self.name.removesuffix("64")


def build() -> Path:
    """Compile the library where it is older than its source; return its path."""
    library = _BUILD / "faults.so"
    if not library.exists() or library.stat().st_mtime_ns < SOURCE.stat().st_mtime_ns:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise SystemExit("a C compiler is needed; on Debian: apt-get install gcc libc6-dev")
        _BUILD.mkdir(parents=True, exist_ok=True)
        draft = _BUILD / f"faults.{os.getpid()}.so"
        flags = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror")
        subprocess.run([compiler, *flags, "-o", draft, SOURCE, "-ldl"], check=True)
        draft.replace(library)
    return library


def begin_again_preloaded() -> None:
    """Begin this program again with the library loaded, unless it is loaded already."""
    library = str(build())
    if library not in os.environ.get("LD_PRELOAD", "").split(":"):
        os.environ["LD_PRELOAD"] = library
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - this very program


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def arm(
    below: str,
    at: int = 0,
    kind: Kind = Kind.COUNT,
    error: int = 0,
    lasting: int = 0,
    *,
    report: int,
) -> None:
    """Count the calls of this process below a folder, and have the one with a number fail.

    ``report`` is a descriptor that gets a line for each call, or for the one that failed.
    """
    _library().faults_arm(os.fsencode(below), ctypes.c_long(at), kind, error, lasting, report)


def disarm() -> int:
    """Stop; return how many calls were counted."""
    function = _library().faults_disarm
    function.restype = ctypes.c_long
    return int(function())


def parse_report(text: bytes, below: str) -> list[Call]:
    """Read what the library reported."""
    calls = []
    for line in text.decode(errors="surrogateescape").splitlines():
        number, name, path = line.split("\t", 2)
        calls.append(Call(int(number), name, path.removeprefix(below).lstrip("/") or "."))
    return calls
