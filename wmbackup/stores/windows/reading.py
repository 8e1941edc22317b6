"""What the enumeration tells about a license, in the terms of `wmbackup.license`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from wmbackup.formats import detect, playready
from wmbackup.license import License, RightValue

XML, XMR = 1, 2
"""The types of GetLicense."""

ACTIONS: Mapping[str, str] = {
    "LicenseStateData.Backup": "AllowBackupRestore",
    "LicenseStateData.Play": "AllowPlay",
    "LicenseStateData.Copy": "AllowCopy",
    "LicenseStateData.PlaylistBurn": "AllowPlaylistBurn",
    "LicenseStateData.CreateThumbnailImage": "AllowCreateThumbnailImage",
    "LicenseStateData.Print.redbook": "AllowBurnToCD",
    "LicenseStateData.Transfer.SDMI": "AllowTransferToSDMI",
    "LicenseStateData.Transfer.NONSDMI": "AllowTransferToNonSDMI",
    "LicenseStateData.CollaborativePlay": "AllowCollaborativePlay",
}
"""The nine actions of QueryLicenseState (``wmsdkidl.h``) and the right that each answers for. A
version that does not know them all refuses; then the first one alone is asked for."""


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

    def applied_to(self, found: License) -> License:
        """Return the license with these terms: what the system says counts, then its text."""
        return replace(
            found,
            rights={**found.rights, **self.rights},
            begins=self.begins or found.begins,
            expires=self.expires or found.expires,
            withheld=self.withheld,
        )


def license_of(kind: int, data: bytes) -> License:
    """Return what can be read of a license, from what GetLicense gives: its type and its bytes.

    The format of type 2 is not public; what is of another type, or no license, is opaque too.
    """
    if kind == XMR:
        return License(playready.LICENSE_STORE)
    found = detect.recognize(b"", data) if kind == XML else ()
    return found[0] if found else License(detect.OTHER)


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
