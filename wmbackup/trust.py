"""Who is believed: a pure policy over an ``allowed_signers`` file (ssh-keygen(1)).

Bytes in, verdict out: no file is read here and no clock is asked.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from wmbackup.archive.sshsig import NAMESPACE, fingerprint, parse_public
from wmbackup.errors import (
    SignerExpired,
    SignerRevoked,
    SignerUntrusted,
    TooFewSigners,
    WmbackupError,
)


class TrustFileInvalid(WmbackupError):
    """A file that says whom to believe cannot be read as one; nobody is believed then."""

    code = "trust-file-invalid"


class Signer(NamedTuple):
    """One line of allowed_signers: a key (32 raw bytes) and the principals that use it.

    The key is valid from ``valid_after`` on and before ``valid_before``, where they are given.
    """

    principals: str
    key: bytes
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    def valid_at(self, moment: datetime) -> bool:
        """Whether the key was valid at that time."""
        return (self.valid_after is None or self.valid_after <= moment) and (
            self.valid_before is None or moment < self.valid_before
        )


class Policy(NamedTuple):
    """Who is believed, who never, and how many principals have to sign."""

    signers: tuple[Signer, ...] = ()
    revoked: frozenset[bytes] = frozenset()
    required: int = 1

    def judge(
        self, maker: bytes, witnesses: Sequence[bytes] = (), signed_at: datetime | None = None
    ) -> tuple[str, ...]:
        """Return the principals that are believed for these keys, each once.

        Without ``signed_at`` validity times are not judged yet. Raises SignerRevoked,
        SignerUntrusted, SignerExpired or TooFewSigners.
        """
        mark = fingerprint(maker)
        if maker in self.revoked:
            raise SignerRevoked(f"the key that signed, {mark}, is revoked", fingerprint=mark)
        keys = {key for key in (maker, *witnesses) if key not in self.revoked}
        known = [signer for signer in self.signers if signer.key in keys]
        valid = [s for s in known if signed_at is None or s.valid_at(signed_at)]
        if not known:
            raise SignerUntrusted(f"the key that signed, {mark}, is not trusted", fingerprint=mark)
        if not valid:
            raise SignerExpired(
                f"the key that signed, {mark}, was not valid at the time of signing",
                fingerprint=mark,
            )
        principals = _distinct(valid)
        if len(principals) < self.required:
            raise TooFewSigners(
                f"{len(principals)} trusted of {self.required} required principals signed",
                fingerprint=mark,
            )
        return principals


def _distinct(signers: Iterable[Signer]) -> tuple[str, ...]:
    # One key counts once and one principal counts once, whichever lines they stand on: the
    # largest set of pairs, or a key on two lines would be two signers.
    by_key: dict[bytes, list[str]] = {}
    for signer in signers:
        by_key.setdefault(signer.key, []).append(signer.principals)
    holder: dict[str, bytes] = {}

    def place(key: bytes, tried: set[str]) -> bool:
        for principals in by_key[key]:
            if principals not in tried:
                tried.add(principals)
                if principals not in holder or place(holder[principals], tried):
                    holder[principals] = key
                    return True
        return False

    for key in by_key:
        place(key, set())
    return tuple(holder)


_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,(?![ \t]|\Z)|(?=[ \t])|\Z)')
_PRINCIPALS = re.compile(r'[ \t]*(?:"([^"]+)"|([^ \t"]+))[ \t]+')
_TIMES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_PRINCIPAL = re.compile(r"wmbackup@[A-Za-z0-9._-]+\Z")
_OPTIONS = {"cert-authority", "namespaces", "valid-after", "valid-before"}


def parse_allowed_signers(text: bytes) -> tuple[Signer, ...]:
    """Read an allowed_signers file; keys that can sign no archive are passed over.

    Raises TrustFileInvalid, which names the line: half a trust file is none.
    """
    signers = []
    for number, line in _useful_lines(text):
        try:
            signer = _parse_signer(line)
        except ValueError as error:
            raise TrustFileInvalid(f"allowed signers, line {number}: {error}") from None
        if signer is not None:
            signers.append(signer)
    return tuple(signers)


def parse_revoked(text: bytes) -> frozenset[bytes]:
    """Read revoked keys: OpenSSH public key lines. Raises TrustFileInvalid."""
    keys = set()
    for number, line in _useful_lines(text):
        try:
            key = _parse_key(line)
        except ValueError as error:
            raise TrustFileInvalid(f"revoked keys, line {number}: {error}") from None
        if key is not None:
            keys.add(key)
    return frozenset(keys)


def parse_key_file(text: bytes) -> tuple[str | None, bytes]:
    """Read a file with one key: an OpenSSH public key line, or a line of allowed_signers.

    Returns the principal, None where the line names none, and the key (32 raw bytes). Raises
    TrustFileInvalid.
    """
    lines = [line for _, line in _useful_lines(text)]
    if len(lines) != 1:
        raise TrustFileInvalid("one line with one key is wanted")
    words = lines[0].split(None, 2)
    if len(words) > 1 and _is_key_type(words[0]):
        try:
            key = _parse_key(lines[0])
        except ValueError as error:
            raise TrustFileInvalid(str(error)) from None
        principal = words[2] if len(words) > 2 and _PRINCIPAL.match(words[2]) else None  # noqa: PLR2004 - the comment
    else:
        signers = parse_allowed_signers(text)
        key = signers[0].key if signers else None
        principal = signers[0].principals if signers else None
    if key is None:
        raise TrustFileInvalid("an ssh-ed25519 key is wanted")
    return principal, key


def _useful_lines(text: bytes) -> Iterable[tuple[int, str]]:
    # A carriage return ends no line for ssh-keygen(1): what follows it belongs to the comment.
    for number, raw in enumerate(text.split(b"\n"), 1):
        line = raw.decode("utf-8", "backslashreplace").strip(" \t\r")
        if line and not line.startswith("#"):
            yield number, line


def _parse_signer(line: str) -> Signer | None:
    start = _PRINCIPALS.match(line)
    if start is None:
        raise ValueError("a principal and a key are wanted")
    principals = start[1] if start[1] is not None else start[2]
    options, rest = _parse_options(line[start.end() :])
    key = _parse_key(rest)
    namespaces = options.get("namespaces")
    if key is None or "cert-authority" in options:
        return None
    if namespaces is not None and not _matches(NAMESPACE.decode(), namespaces):
        return None
    after, before = (_parse_time(options.get(name)) for name in ("valid-after", "valid-before"))
    return Signer(principals, key, after, before)


def _parse_options(text: str) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    if _is_key_type(text):
        return options, text
    at = 0
    while at < len(text) and text[at] not in " \t":
        match = _OPTION.match(text, at)
        if match is None or match[1].lower() not in _OPTIONS or match[1].lower() in options:
            raise ValueError("an option that is not known, or twice")
        name = match[1].lower()
        if (match[2] is None) != (name == "cert-authority"):
            raise ValueError(f"the option {name} has no value, or one too many")
        options[name] = match[2] or ""
        at = match.end()
    return options, text[at:]


def _is_key_type(word: str) -> bool:
    return word.startswith(("ssh-", "sk-", "ecdsa-"))


def _parse_key(text: str) -> bytes | None:
    words = text.split()
    if len(words) < 2 or not _is_key_type(words[0]):  # noqa: PLR2004 - a type and a key
        raise ValueError("there is no key")
    try:
        return parse_public(words[0], words[1])
    except (binascii.Error, ValueError):
        raise ValueError("the key is not one") from None


def _matches(name: str, patterns: str) -> bool:
    found = False
    for pattern in patterns.split(","):
        wanted = pattern.removeprefix("!")
        # ssh's patterns know * and ? alone; fnmatch knows brackets as well.
        if fnmatchcase(name, wanted.replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _parse_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    digits = text.removesuffix("Z")
    form = _TIMES.get(len(digits))
    if form is None or not digits.isdecimal() or not digits.isascii():
        raise ValueError(f"{text} is not a time")
    try:
        moment = datetime.strptime(digits, form)  # noqa: DTZ007 - its zone follows at once
        # Without Z it is local time, as in ssh-keygen(1).
        return moment.replace(tzinfo=UTC) if text.endswith("Z") else moment.astimezone(UTC)
    except (OSError, OverflowError, ValueError):  # what mktime says of the first and last year
        raise ValueError(f"{text} is not a time") from None
