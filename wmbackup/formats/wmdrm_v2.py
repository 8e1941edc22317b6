"""Version 7 and later licenses of Windows Media DRM: the XML element LICENSE.

Source: [MS-DRM] 2.2.3.2.4.2. The element is read generically: known names wherever they stand,
META as it stands, conditions reported and never evaluated. Keys, signatures and certificates are
opaque and never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from wmbackup.formats import wmdrm_v1
from wmbackup.formats.text import Draft, clean, date, identifier, number, truth
from wmbackup.formats.xml import Element, NotWellFormed, elements
from wmbackup.license import UPLINK, License, RightValue, plain_name

KIND = "wmdrm-v7"
RESPONSE = "wmdrm-response"
"""The kind of a license that is encrypted to a machine, as responses carry it."""

OPAQUE = frozenset(
    {"ENABLINGBITS", "SIGNATURE", "CERTIFICATECHAIN", "CONTENTPUBKEY", "RevocationList"}
)

_UPLINKS = {"uplink", "uplinks", "uplinkid", "uplinkkid"}
"""Names of elements, without regard to case, with the key ID of the root of a license chain."""

_MAX_CONDITION = 512
_HEAD = 4096
_VERSIONED = re.compile(r"<LICENSE\s[^>]{0,512}?version\s*=\s*[\"']\d+\.\d+\.\d+\.\d+[\"']")

# The rights vocabulary, and how each of its values is read.
RIGHTS: Mapping[str, Callable[[str], RightValue | None]] = {
    "AllowPlay": truth,
    "AllowCopy": truth,
    "AllowBackupRestore": truth,
    "AllowCollaborativePlay": truth,
    "AllowPlaylistBurn": truth,
    "DisableOnClockRollback": truth,
    "PlayCount": number,
    "ExpirationAfterFirstUse": number,
    "ExpirationOnStore": number,
    "BeginDate": date,
    "ExpirationDate": date,
}

# Names under which the address for a new license, and the rest that a person may use, stand.
ATTRIBUTES: Mapping[str, str] = {
    "LicenseAcquisitionURL": "LicenseAcquisitionURL",
    "LicenseAcqURL": "LicenseAcquisitionURL",
    "LAINFO": "LicenseAcquisitionURL",
    "LA_URL": "LicenseAcquisitionURL",
    "PRIORITY": "Priority",
    "RevInfoVersion": "RevInfoVersion",
}


def read(text: str, *, in_response: bool = False) -> License | None:
    """Read the text of one LICENSE element, its tags included; None where it is not of this DRM.

    An element that is one and cannot be parsed is returned with its kind alone. One without child
    elements is encrypted to a machine, or is version 1 in its base64 form. ``in_response`` says
    that it stands in a LICENSERESPONSE, where every LICENSE is one.
    """
    if not in_response and not is_ours(text):
        return None
    try:
        parts = elements(text, OPAQUE)
    except NotWellFormed:
        return License(kind=KIND)
    if len(parts) == 1 and not parts[0][2].strip():
        return None  # an empty element, or opaque ones alone
    if len(parts) == 1:
        return _read_sealed(parts[0])
    return _read_open(parts)


def is_ours(text: str) -> bool:
    """Say whether a LICENSE is one of this DRM, from its beginning alone."""
    head = text[:_HEAD]
    return "LICENSORINFO" in head or _VERSIONED.match(head) is not None


def _read_sealed(element: Element) -> License:
    sealed = wmdrm_v1.read(element[2].encode("utf-8"))
    return License(kind=RESPONSE) if sealed is None else sealed


def _read_open(parts: list[Element]) -> License:
    draft = Draft()
    event: dict[str, str] = {}
    for path, attributes, text in parts:
        name = path[-1]
        if is_uplink(path):
            _note_uplink(draft, attributes, text)
        elif "META" in path:
            draft.attribute(name, text)
        elif name in {"CONDITION", "ACTION"}:
            event.setdefault(name, text)
        elif name.startswith("ON"):
            _note_event(draft, name, attributes, event)
            event = {}
        elif text or attributes:
            _note(draft, name, attributes, text)
    return draft.license(KIND)


def is_uplink(path: Sequence[str]) -> bool:
    """Whether an element is about the root of a license chain, and not about the license."""
    return not _UPLINKS.isdisjoint(map(plain_name, path))


def _note_uplink(draft: Draft, attributes: Mapping[str, str], text: str) -> None:
    found = (attributes.get("KID"), attributes.get("VALUE"), attributes.get("value"), text)
    root = next((kid for one in found if one and (kid := identifier(one))), None)
    if root is not None:
        draft.attribute(UPLINK, root)


def _note(draft: Draft, name: str, attributes: Mapping[str, str], text: str) -> None:
    if name == "KID":
        draft.kid = draft.kid or identifier(text)
    elif name == "LID":
        draft.lid = draft.lid or identifier(text)
    elif name == "ISSUEDATE":
        draft.issued = draft.issued or date(text)
    elif name in ATTRIBUTES:
        draft.attribute(ATTRIBUTES[name], text)
    elif name in RIGHTS:
        _note_right(draft, name, attributes.get("value", text))
    elif attributes:
        _note_named(draft, attributes, text)


def _note_named(draft: Draft, attributes: Mapping[str, str], text: str) -> None:
    """Note rights that attributes name: ``name="PlayCount" value="3"`` or ``PlayCount="3"``."""
    for key in ("name", "type"):
        name = attributes.get(key, "")
        if name in RIGHTS:
            _note_right(draft, name, attributes.get("value", text))
    for name in RIGHTS.keys() & attributes.keys():
        _note_right(draft, name, attributes[name])


def _note_right(draft: Draft, name: str, text: str) -> None:
    value = RIGHTS[name](text)
    if value is None or value == "":
        return
    draft.right(name, value)
    if name == "BeginDate":
        draft.begins = draft.begins or str(value)
    elif name == "ExpirationDate":
        draft.expires = draft.expires or str(value)


def _note_event(
    draft: Draft, name: str, attributes: Mapping[str, str], event: Mapping[str, str]
) -> None:
    """Note an ONACTION, ONSTORE and the like by its condition, which is not evaluated.

    An action without a condition is simply allowed.
    """
    condition = clean(event.get("CONDITION", ""), _MAX_CONDITION)
    said = condition or clean(event.get("ACTION", ""), _MAX_CONDITION)
    action = attributes.get("type", "")
    if action:
        draft.right(action, condition or True)
    elif said:
        draft.right(name, said)
