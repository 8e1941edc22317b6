"""Changes to trust files: bytes in, bytes out.

Lines that are not meant, comments, and what is not understood stay as they are. What comes out is
read again and compared, so that a file says what was meant and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

from wmbackup.archive.sshsig import fingerprint, public_line
from wmbackup.trust.allowed_signers import (
    TrustFileInvalid,
    option_at,
    parse_allowed_signers,
    parse_lines,
    parse_revoked,
    with_line,
)
from wmbackup.trust.policy import Signer

_VALID_BEFORE = re.compile(rb'valid-before="[^"]*"', re.IGNORECASE)
_PREFIX = "SHA256:"


def is_meant(who: str, signer: Signer) -> bool:
    """Whether a name or a fingerprint means a line: one of its principals, or its key."""
    return names_key(who, signer.key) or who in {signer.principals, *signer.principals.split(",")}


def names_key(who: str, key: bytes) -> bool:
    """Whether a text is the fingerprint of a key, with or without ``SHA256:``."""
    return who.strip().removeprefix(_PREFIX).rstrip("=") == fingerprint(key).removeprefix(_PREFIX)


def without(text: bytes, meant: Callable[[Signer], bool]) -> tuple[bytes, tuple[Signer, ...]]:
    """Return a trust file without the lines that are meant, and what stood on those.

    Raises TrustFileInvalid.
    """
    gone = {number: signer for number, signer in parse_lines(text) if meant(signer)}
    lines = text.split(b"\n")
    after = b"\n".join(line for number, line in enumerate(lines, 1) if number not in gone)
    kept = tuple(signer for signer in parse_allowed_signers(text) if not meant(signer))
    return _checked(after, kept), tuple(gone.values())


def limited(text: bytes, key: bytes, until: datetime) -> bytes:
    """Return a trust file in which a key is valid before ``until`` at most.

    A line that limits it to an earlier time already stays. Raises TrustFileInvalid.
    """
    lines = text.split(b"\n")
    wanted = []
    for number, signer in parse_lines(text):
        if signer.key != key or (signer.valid_before is not None and signer.valid_before <= until):
            wanted.append(signer)
            continue
        if signer.valid_after is not None and signer.valid_after >= until:
            raise TrustFileInvalid(
                f"the key {fingerprint(key)} is not valid before {signer.valid_after:%Y-%m-%d}",
                reason="valid-later",
            )
        lines[number - 1] = _limit_line(lines[number - 1], until)
        wanted.append(replace(signer, valid_before=until))
    return _checked(b"\n".join(lines), tuple(wanted))


def replaced(
    text: bytes, old: bytes, new: Signer, until: datetime, revoked: Collection[bytes]
) -> bytes:
    """Return a trust file in which one key is limited and another trusted.

    What is so already stays. Raises TrustFileInvalid, PrincipalTaken, PrincipalUnfit.
    """
    after = limited(text, old, until)
    added = with_line(after, new, until, revoked)
    return after if added is None else added


def with_revoked(text: bytes, key: bytes, comment: str) -> bytes | None:
    """Return a file of revoked keys with one more key; None where it has it already.

    Raises TrustFileInvalid.
    """
    before = parse_revoked(text)
    if key in before:
        return None
    after = _appended(text, f"{public_line(key)} {comment}".rstrip())
    if parse_revoked(after) != before | {key}:
        raise TrustFileInvalid("a line cannot be added to it without changing what it says")
    return after


def _appended(text: bytes, line: str) -> bytes:
    gap = b"" if not text or text.endswith(b"\n") else b"\n"
    return text + gap + line.encode() + b"\n"


def _limit_line(line: bytes, until: datetime) -> bytes:
    option = f'valid-before="{until.astimezone(UTC):%Y%m%d%H%M%SZ}"'.encode()
    at = option_at(line)
    rest = line[at:]
    if rest.lstrip(b" \t").startswith(b"ssh-"):
        return line[:at] + option + b" " + rest
    options = rest.split(b" ssh-", 1)[0].split(b"\tssh-", 1)[0]
    if _VALID_BEFORE.search(options):
        return line[:at] + _VALID_BEFORE.sub(option, options, count=1) + rest[len(options) :]
    return line[:at] + option + b"," + rest


def _checked(after: bytes, wanted: tuple[Signer, ...]) -> bytes:
    if parse_allowed_signers(after) != wanted:
        raise TrustFileInvalid("it cannot be changed without changing what its other lines say")
    return after
