"""Making text fit to be shown: what could steer a terminal or mislead a reader becomes visible."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

# Controls, line and paragraph separators, what changes the direction of text or hides in it, and
# bytes that are not UTF-8 (lone surrogates). `re` compiles it for the first text that has to be
# looked at, and most runs meet none.
_UNSEEN = (
    "[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_MEANINGFUL = str.maketrans({"\\": "\\\\", "*": "\\*", "?": "\\?"})
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - without a zone it is said in half the time
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SECONDS = [f"{second:02d}" for second in range(60)]
_POINT = [f".{'0' * (9 - digits)}" for digits in range(10)]  # before so many digits
_UNITS = ("KiB", "MiB", "GiB", "TiB")


def visible(text: str) -> str:
    """Return the text with everything unseen written as an escape, as Python writes it."""
    if text.isascii() and text.isprintable():
        return text  # as nearly every text is, and is said in a third of the time
    return re.sub(_UNSEEN, _escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - an undecodable byte, as os.fsdecode hides it
        code -= 0xDC00
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x80 or ord(character) != code:  # noqa: PLR2004 - one byte, and not a character
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - four digits


def shown(path: bytes) -> str:
    """Return a true path as it is shown, so that no two of them are shown alike.

    An option takes it back (see `wmbackup.engine._path_patterns`).
    """
    text = path.decode("utf-8", "surrogateescape")
    if "\\" in text or "*" in text or "?" in text:
        text = text.translate(_MEANINGFUL)
    return visible(text)


def size(count: int) -> str:
    """Return a number of bytes as people read it: ``812 B``, ``4.0 KiB``."""
    if count < 1024:  # noqa: PLR2004 - the unit that follows
        return f"{count} B"
    value = float(count)
    for unit in _UNITS:
        value /= 1024
        if value < 999.95 or unit == _UNITS[-1]:  # noqa: PLR2004 - 1000.0 would be too wide
            return f"{value:.1f} {unit}"
    raise AssertionError  # pragma: no cover - the last unit takes everything


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 file``, ``12,000 files``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def local_time(moment: datetime) -> str:
    """Return a time as it is shown on a terminal: local, to the minute, with its zone.

    One that the system's calendar lacks, which on Windows begins in 1970, is shown as it is.
    """
    try:
        return f"{moment.astimezone():%Y-%m-%d %H:%M %z}"
    except (OSError, OverflowError, ValueError):
        return moment.isoformat().replace("+00:00", "Z")


def time_shown(moment: datetime, *, local: bool) -> str:
    """Return a time: local for a terminal, and in UTC with ``Z`` for everything else."""
    if local:
        return local_time(moment)
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def utc(mtime_ns: int) -> str:
    """Return nanoseconds since 1970 as ``2006-10-28T00:00:00.000000001Z``; beyond dates, ``@N``."""
    seconds, rest = divmod(mtime_ns, 1_000_000_000)
    try:
        text = (_EPOCH + timedelta(0, seconds)).isoformat()
    except OverflowError:
        return f"@{seconds}.{rest:09d}"
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"


class _Minutes(dict[int, str]):
    """Minutes since 1970 as ``2006-10-28T00:00:``, each made when it is first met."""

    def __missing__(self, minute: int) -> str:
        moment = _EPOCH + timedelta(0, minute * 60)
        self[minute] = text = f"{moment.isoformat(timespec='minutes')}:"
        return text


def all_utc(numbers: Sequence[tuple[str, str, str]]) -> list[str]:
    """Do as `utc` for the times of many files (see `Columns`), in a fourth of the time."""
    minutes = _Minutes()
    try:
        return [
            f"{minutes[(at := int(seconds)) // 60]}{_SECONDS[at % 60]}Z"
            if rest == "0"
            else f"{minutes[(at := int(seconds)) // 60]}{_SECONDS[at % 60]}"
            f"{_POINT[len(rest)]}{rest}Z"
            for _, seconds, rest in numbers
        ]
    except OverflowError:  # one of them is beyond dates
        return [utc(int(seconds) * 1_000_000_000 + int(rest)) for _, seconds, rest in numbers]


def is_plain_terminal() -> bool:
    """Whether the environment asks for no colors (https://no-color.org/)."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
