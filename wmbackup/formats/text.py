"""Text and dates out of licenses, made fit for a row of an archive and bounded.

A row of licenses.jsonl has at most 64 KiB and refuses lone surrogates. A character takes at most
four bytes there, so that the sums below stay under it with room to spare.
"""

from __future__ import annotations

import re
from datetime import datetime

from wmbackup.license import License, RightValue

MAX_IDENTIFIER = 256
"""Characters of a key ID or license ID; a longer one is no identifier."""

MAX_DATE = 64
MAX_TEXT = 1024
"""Characters of one attribute; a longer one is cut and ends in an ellipsis."""

MAX_NAME = 64
_MAX_ATTRIBUTES = 8192  # characters in all, names included: 32 KiB
_MAX_RIGHTS = 4096  # likewise: 16 KiB
_MAX_ENTRIES = 64
_MAX_DIGITS = 15  # a row's numbers are below 2**53

# Controls but for tab, line feed and carriage return, and surrogates, which no encoding takes.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

# [MS-DRM]: #yyyymmdd hh[:mm[:ss]]Z# and yyyymmddZ, in GMT.
_DATE = re.compile(r"(#?)(\d{4})(\d\d)(\d\d)(?: (\d\d)(?::(\d\d)(?::(\d\d))?)?)?Z\1", re.ASCII)

_TRUE = frozenset({"true", "1", "-1", "yes"})
_FALSE = frozenset({"false", "0", "no"})


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Return text without surrounding space, without controls and surrogates, and bounded.

    What may not stand in it becomes U+FFFD; what is longer than ``limit`` characters is cut and
    ends in an ellipsis.
    """
    text = text.strip()
    if len(text) > limit:
        text = text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text if text.isprintable() else _UNFIT.sub("\ufffd", text)


def identifier(text: str) -> str | None:
    """Return a key ID or license ID as it stands; None where it is empty or too long for one."""
    text = text.strip()
    return clean(text, MAX_IDENTIFIER) if 0 < len(text) <= MAX_IDENTIFIER else None


def date(text: str) -> str | None:
    """Return ``YYYY-MM-DDTHH:MM:SSZ``, or the text as it stands; None where there is none.

    The forms are those of [MS-DRM]: ``#yyyymmdd hh[:mm[:ss]]Z#`` and ``yyyymmddZ``.
    """
    text = text.strip()
    match = _DATE.fullmatch(text)
    if match is None:
        return clean(text, MAX_DATE) or None
    _sign, year, month, day, hour, minute, second = match.groups("00")
    moment = f"{year}-{month}-{day}T{hour}:{minute}:{second}"
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return text
    return moment + "Z"


def truth(text: str) -> RightValue:
    """Return what a right says; the text as it stands where it is neither true nor false."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return clean(text, MAX_IDENTIFIER)


def number(text: str) -> RightValue:
    """Return a decimal number; the text as it stands where it is none."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)
    return clean(text, MAX_IDENTIFIER)


class Draft:
    """A license while it is read: what comes first stays, and the sum is bounded."""

    __slots__ = ("attributes", "begins", "expires", "issued", "kid", "lid", "rights", "room")

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.kid: str | None = None
        self.lid: str | None = None
        self.issued: str | None = None
        self.begins: str | None = None
        self.expires: str | None = None
        self.rights: dict[str, RightValue] = {}
        self.attributes: dict[str, str] = {}
        self.room = [_MAX_RIGHTS, _MAX_ATTRIBUTES]

    def right(self, name: str, value: RightValue) -> None:
        """Note a right. Of two that contradict each other, the one that forbids is kept."""
        name = clean(name, MAX_NAME)
        size = len(name) + (len(value) if isinstance(value, str) else _MAX_DIGITS)
        if name in self.rights:
            if value is False:
                self.rights[name] = False
        elif name and size <= self.room[0] and len(self.rights) < _MAX_ENTRIES:
            self.room[0] -= size
            self.rights[name] = value

    def attribute(self, name: str, text: str) -> None:
        """Note a free-form attribute; empty ones and what goes beyond the bounds are dropped."""
        name, text = clean(name, MAX_NAME), clean(text)
        size = len(name) + len(text)
        if not name or not text or name in self.attributes or size > self.room[1]:
            return
        if len(self.attributes) < _MAX_ENTRIES:
            self.room[1] -= size
            self.attributes[name] = text

    def license(self, kind: str) -> License:
        """Return what was noted."""
        return License(
            kind=kind,
            kid=self.kid,
            lid=self.lid,
            issued=self.issued,
            begins=self.begins,
            expires=self.expires,
            rights=self.rights,
            attributes=self.attributes,
        )
