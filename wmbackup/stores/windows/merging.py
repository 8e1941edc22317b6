"""What the enumeration knows of licenses, and what the interface said was restricted, as one."""

from __future__ import annotations

import contextlib
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from wmbackup.formats.detect import OTHER
from wmbackup.license import License

_GUID = 16  # bytes


def merge(
    known: Iterable[License], restricted: Sequence[str | bytes | int | None]
) -> list[License]:
    """Return the enumerated licenses, those with a restricted key ID as withheld.

    ``restricted`` is what came along with each RESTRICTED_LICENSE: a key ID, in whatever form,
    or None. What the enumeration does not know is a license of its own, of which the key ID is
    known at most.
    """
    licenses = list(known)
    named = {key_of(str(value)): str(value) for value in restricted if value is not None}
    withheld = [
        replace(one, withheld=True) if one.kid is not None and key_of(one.kid) in named else one
        for one in licenses
    ]
    found = {key_of(one.kid) for one in licenses if one.kid is not None}
    strangers = [
        License(OTHER, kid=value, withheld=True) for key, value in named.items() if key not in found
    ]
    # A restricted one without a key ID may be any that the enumeration knows to be withheld.
    nameless = sum(value is None for value in restricted)
    unnamed = sum(
        one.withheld and (one.kid is None or key_of(one.kid) not in named) for one in licenses
    )
    strangers += [License(OTHER, withheld=True)] * max(0, nameless - unnamed)
    return withheld + strangers


def key_of(kid: str) -> bytes | str:
    """Return what a key ID names, so that its forms compare: a GUID in text, or its base64."""
    text = kid.strip()
    with contextlib.suppress(ValueError):
        return UUID(text).bytes_le
    with contextlib.suppress(ValueError):
        data = b64decode(text, validate=True)
        if len(data) == _GUID:
            return data
    return text
