"""The HRESULTs of the documented interface: name, number, class, and what each means.

The table is data, in ``hresults``: names and numbers are those of the public headers
(``nserror.h``, ``winerror.h`` and others), classes, sentences and next steps this program's own.
It is read when the first failure has to be explained.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from wmbackup.errors import ExitCode, WmbackupError


class Category(Enum):
    """What kind of trouble an HRESULT means, which decides exit code and next step."""

    OK = "ok", ExitCode.OK
    EXISTS = "exists", ExitCode.FAILED
    CORRUPT = "corrupt", ExitCode.DAMAGED
    BUSY = "busy", ExitCode.BUSY
    CONSENT = "consent", ExitCode.REFUSED
    SERVICE = "service", ExitCode.REFUSED
    LIMIT = "limit", ExitCode.REFUSED
    MACHINE = "machine", ExitCode.FAILED
    PARTIAL = "partial", ExitCode.PARTIAL
    ENVIRONMENT = "environment", ExitCode.NOT_FOUND
    CANCELLED = "cancelled", ExitCode.INTERRUPTED
    OTHER = "other", ExitCode.FAILED

    def __init__(self, word: str, exit_code: ExitCode) -> None:
        """Keep the word for the reports, and the exit code."""
        self.word = word
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class HResult:
    """One HRESULT: ``value`` is unsigned, 32 bits; ``aliases`` are other names of the number.

    ``next_step`` is None where it is that of the class. ``windows_error`` is the number that
    Windows has a text for, of one that this program does not know.
    """

    value: int
    name: str
    category: Category
    sentence: str
    next_step: str | None
    aliases: tuple[str, ...] = ()
    windows_error: int | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether the tables do not have it: then its name is its number."""
        return self.name.startswith("0x")

    @property
    def is_explained(self) -> bool:
        """Whether there is more to say than its number: at least whose number it is."""
        known_class = self.category is not Category.OTHER
        return not self.is_unknown or known_class or self.windows_error is not None

    @property
    def signed(self) -> int:
        """The number as tools print it that take an HRESULT for a signed integer."""
        return self.value - 2**32 if self.value >= 2**31 else self.value

    @property
    def failed(self) -> bool:
        """FAILED() of ``winerror.h``."""
        return self.value >= 2**31


def failed(value: int) -> bool:
    """FAILED() of ``winerror.h`` for a signed or unsigned HRESULT."""
    return bool(value & 0x80000000)


def find(value: int) -> HResult:
    """Return what is known of an HRESULT, signed or unsigned; one not known is named so."""
    value &= 0xFFFFFFFF
    if value == S_OK.value:
        return S_OK  # comes along with most statuses, and needs no table
    try:
        rows = table()
    except OSError:  # no descriptor left to read it with: the number itself is reported
        return _unknown(value)
    if value not in rows and (usual := rows.get(_plain(value))) is not None:
        return replace(usual, value=value)
    return rows.get(value) or _unknown(value)


@functools.cache
def table() -> Mapping[int, HResult]:
    """Return every HRESULT that this program knows, by its value. Raises OSError."""
    rows: dict[int, HResult] = {}
    for name in _FILES:
        with open(os.path.join(_FOLDER, name), encoding="ascii") as file:
            rows.update((row.value, row) for row in parse(file.read()))
    return rows


def parse(text: str) -> Iterator[HResult]:
    """Read a table: its files say how it is written."""
    classes = {category.word: category for category in Category}
    group: list[str] = []
    own: list[str] = []
    row: list[str] = []
    for line in [*text.splitlines(), "@"]:
        if line.startswith("  "):
            own.append(line.removeprefix("  "))
            continue
        if row:
            value, word, names = row
            category = classes[word]
            sentence, *step = own or group
            name, *aliases = names.split("=")
            next_step = step[0].removeprefix("> ") if step else None
            yield HResult(int(value, 16), name, category, sentence, next_step, tuple(aliases))
        row, own = [], []
        if line.startswith("@> "):
            group.append(line.removeprefix("@"))
        elif line.startswith("@"):
            group = [line.removeprefix("@ ")]
        elif not line.startswith("#"):
            row = line.split()


_FOLDER = os.path.join(os.path.dirname(__file__), "hresults")
_FILES = ("drm.txt", "media.txt", "windows.txt")
S_OK = HResult(0, "S_OK", Category.OK, "the call succeeded", None)

# Facilities of winerror.h, and what they mean here.
_WIN32, _NS_WIN32, _HTTP, _INTERNET = 0x80070000, 0xC0070000, 0x80190000, 0x800C0000
_SOCKETS_AND_INTERNET = range(10000, 13000)  # Windows Sockets, WinINet and WinHTTP


def _plain(value: int) -> int:
    """Return the usual form of a Win32 error that Windows Media passes on as its own."""
    return _WIN32 | value & 0xFFFF if value & 0xFFFF0000 == _NS_WIN32 else value


def _unknown(value: int) -> HResult:
    name = f"0x{value:08X}"
    facility, code = _plain(value) & 0xFFFF0000, value & 0xFFFF
    category, windows = Category.OTHER, None
    sentence = f"the interface answered {name}, which this program does not know"
    if facility == _WIN32:
        sentence = f"the interface answered {name}, which is error {code} of Windows"
        if code in _SOCKETS_AND_INTERNET:
            category = Category.SERVICE
        else:
            windows = code
    elif facility == _HTTP:
        sentence = f"the license service answered with HTTP status {code} ({name})"
        category = Category.SERVICE
    elif facility == _INTERNET:
        sentence = f"the license service cannot be used: the answer of Windows is {name}"
        category = Category.SERVICE
    return HResult(value, name, category, sentence, None, windows_error=windows)


ACCESS_VIOLATION = 0xC0000005


class InterfaceError(WmbackupError):
    """The documented interface answered with a failure.

    ``url`` is the address of the page that it wants shown, where it gave one.
    """

    code = "interface"

    def __init__(self, hresult: int, *, doing: str, url: str | None = None) -> None:
        """Say what failed while doing what."""
        known = find(hresult)
        number = f"0x{known.value:08X}"
        # The sentence about one that has no name contains its number already.
        named = "" if known.name == number else f" ({known.name}, {number})"
        super().__init__(f"cannot {doing}: {known.sentence}{named}")
        self.doing = doing
        self.hresult = known.value
        # What is no failure elsewhere, such as the end of a list, is one where it stops something.
        self.exit_code = known.category.exit_code or ExitCode.FAILED
        self.url = url


class InterfaceCrashed(InterfaceError):
    """Microsoft's component crashed in a call, and this program goes on.

    ``call`` names it.
    """

    code = "interface-crashed"

    def __init__(self, call: str, reason: object, *, doing: str = "use Windows Media DRM") -> None:
        """Report which call crashed while doing what, and how."""
        super().__init__(ACCESS_VIOLATION, doing=doing)
        reason = str(reason).removeprefix("exception: ")
        self.message = f"cannot {doing}: Microsoft's component crashed in {call} ({reason})"
        self.args = (self.message,)
        self.call = call
