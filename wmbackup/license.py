"""What is known: a license, as far as it can be read without any key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

RightValue = bool | int | str

KINDS = (
    *("wmdrm-v7", "wmdrm-v1", "wmdrm-response", "wmdrm-header"),
    *("playready-header", "playready-license", "playready-store"),
    *("wmdrm-v7-store", "wmdrm-v7-state", "wmdrm-v1-store", "wmdrm-v1-key", "wmdrm-data-store"),
    *("wmdrm-v7-backup", "wmdrm-v7-key-backup", "wmdrm-v1-backup", "wmdrm-v1-key-backup"),
    "wmdrm-other",
)
"""Every kind that is recognized; an archive can have others, from later releases."""

UPLINK = "UplinkID"
"""The attribute of a leaf of a license chain that has the key ID of its root."""

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def is_date(text: str | None) -> TypeGuard[str]:
    """Whether a license's date could be read, so that it can be compared with others."""
    return text is not None and _DATE.fullmatch(text) is not None


def plain_name(name: str) -> str:
    """Return the name of an attribute as it is compared: ``Content_Distributor`` is a spelling.

    It is ``contentdistributor``, as is ``WM/ContentDistributor``.
    """
    return name.removeprefix("WM/").replace("_", "").lower()


@dataclass(frozen=True, slots=True)
class License:
    """Something known about rights. Everything but ``kind`` may be unknown, which is None.

    ``kind`` is a stable word, one of ``KINDS``. ``kid`` and ``lid`` are the key ID and the
    license ID as they stand in the license. Dates are ``YYYY-MM-DDTHH:MM:SSZ``, or as they stand
    where they cannot be read. ``rights`` maps the vocabulary of the license (``AllowPlay``,
    ``AllowBackupRestore``, ``PlayCount``) to its values, ``attributes`` the free-form ones
    (``Title``, ``Author``, ``ContentDistributor``, ``LicenseAcquisitionURL``).
    ``withheld`` says that its issuer forbids its backup, so that it is known and not carried.
    ``path`` is the true path of the item it was found in; None where it is in no single file.
    """

    kind: str
    kid: str | None = None
    lid: str | None = None
    issued: str | None = None
    begins: str | None = None
    expires: str | None = None
    rights: Mapping[str, RightValue] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    withheld: bool = False
    path: bytes | None = None

    @property
    def backup_allowed(self) -> bool | None:
        """Whether its issuer allows its backup; None where that cannot be read."""
        allowed = self.rights.get("AllowBackupRestore")
        return allowed if isinstance(allowed, bool) else None

    @property
    def distributor(self) -> str | None:
        """The shop: who distributes the content, else who distributes the license."""
        return self._first("ContentDistributor", "LicenseDistributor")

    @property
    def address(self) -> str | None:
        """Where a license was to be had, else the address of who distributes it."""
        return self._first("LicenseAcquisitionURL", "LicenseDistributorURL")

    @property
    def root(self) -> str | None:
        """The key ID of the license without which this one, a leaf, is of no use; None for others.

        Windows Media Rights Manager 10 calls it the uplink.
        """
        root = self._first(UPLINK)
        return None if root == self.kid else root

    def _first(self, *names: str) -> str | None:
        found = next((self.attributes[name] for name in names if name in self.attributes), None)
        if found is not None or not self.attributes:
            return found
        others = {plain_name(name): value for name, value in self.attributes.items()}
        return next((others[name.lower()] for name in names if name.lower() in others), None)
