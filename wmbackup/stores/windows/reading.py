"""What the enumeration tells about a license, in the terms of `wmbackup.license`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from wmbackup.license import RightValue

_ID = re.compile(r"<(KID|LID)>\s*([^<>]{1,512}?)\s*</\1>")

ACTIONS: Mapping[str, str] = {
    "LicenseStateData.Backup": "AllowBackupRestore",
    "LicenseStateData.Play": "AllowPlay",
    "LicenseStateData.Copy": "AllowCopy",
}
"""Actions of QueryLicenseState and the right that each answers for. Only the first is documented
under this name; the others follow its form and may be refused."""


class Category(IntEnum):
    """``DRM_LICENSE_STATE_CATEGORY``: what a right depends on."""

    NO_RIGHT = 0
    UNLIMITED = 1
    COUNT = 2
    FROM = 3
    UNTIL = 4
    FROM_UNTIL = 5
    COUNT_FROM = 6
    COUNT_UNTIL = 7
    COUNT_FROM_UNTIL = 8
    AFTER_FIRST_USE = 9


_COUNTED = {
    Category.COUNT,
    Category.COUNT_FROM,
    Category.COUNT_UNTIL,
    Category.COUNT_FROM_UNTIL,
}
_BEGIN_FIRST = {
    Category.FROM,
    Category.FROM_UNTIL,
    Category.COUNT_FROM,
    Category.COUNT_FROM_UNTIL,
}
_END_FIRST = {Category.UNTIL, Category.COUNT_UNTIL}
_BOTH = {Category.FROM_UNTIL, Category.COUNT_FROM_UNTIL}


@dataclass(frozen=True, slots=True)
class State:
    """The answer for one action: category, counts, and dates as FILETIME numbers."""

    category: int
    counts: tuple[int, ...] = ()
    dates: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What the states of a key ID say together. Dates are ``YYYY-MM-DDTHH:MM:SSZ``."""

    rights: Mapping[str, RightValue]
    begins: str | None = None
    expires: str | None = None
    withheld: bool = False


def ids(text: bytes) -> tuple[str | None, str | None]:
    """Return key ID and license ID of a version 7 license, None for what is not there.

    The text is UTF-8, or UTF-16LE with or without a mark; the first of each counts. Nothing else
    of it is read, and nothing of it is believed.
    """
    wide = text[:2] == b"\xff\xfe" or text[1:2] == b"\0"
    found: dict[str, str] = {}
    for name, value in _ID.findall(text.decode("utf-16-le" if wide else "utf-8", "replace")):
        found.setdefault(name, value)
    return found.get("KID"), found.get("LID")


def terms(states: Mapping[str, State]) -> Terms:
    """Put the states of one key ID, by action, into words of the license's vocabulary."""
    rights: dict[str, RightValue] = {
        ACTIONS[action]: state.category != Category.NO_RIGHT for action, state in states.items()
    }
    backup = states.get("LicenseStateData.Backup")
    withheld = backup is not None and backup.category == Category.NO_RIGHT
    play = states.get("LicenseStateData.Play")
    if play is None:
        return Terms(rights, withheld=withheld)
    if play.category in _COUNTED and play.counts:
        rights["PlayCount"] = play.counts[0]
    begins = expires = None
    if play.category in _BEGIN_FIRST and play.dates:
        begins = date(play.dates[0])
    if play.category in _END_FIRST and play.dates:
        expires = date(play.dates[0])
    if play.category in _BOTH and len(play.dates) > 1:
        expires = date(play.dates[1])
    return Terms(rights, begins, expires, withheld)


def date(filetime: int) -> str:
    """Return a FILETIME as a date, or as the number that it is where no calendar has it."""
    try:
        moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=filetime // 10)
    except OverflowError:
        return str(filetime)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
