"""The files that say who is trusted: ``allowed_signers`` and revoked keys (ssh-keygen(1)).

Bytes in, values out, and lines out: no file is opened here. Wherever this reads a file in another
way than ssh-keygen does, it is stricter; the ways are in wmbackup-key(1), Trust files.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

from wmbackup.archive.sshsig import NAMESPACE, parse_public, public_line
from wmbackup.errors import WmbackupError
from wmbackup.trust.patterns import matches
from wmbackup.trust.policy import Signer

MAX_LINE = 8 * 1024
"""The longest line of a trust file, in bytes."""

_BLANKS = " \t"  # what separates words for OpenSSH; str.split() knows some of Unicode as well
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,(?![ \t]|\Z)|(?=[ \t])|\Z)')
_PRINCIPALS = re.compile(r'(?:"([^"]+)"|([^ \t"]+))[ \t]+')
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,254}\Z")
_TIMES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_OPTIONS = {"cert-authority", "namespaces", "valid-after", "valid-before"}
_ED25519 = "ssh-ed25519"
_CERTIFICATE = "-cert-v01@openssh.com"
_KEY_TYPES = {
    _ED25519,
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
}
_CERTIFICATES = {kind.removesuffix("@openssh.com") + _CERTIFICATE for kind in _KEY_TYPES}
_KEY_PREFIXES = ("ssh-", "sk-", "ecdsa-")
_MARKS = {
    b"\xef\xbb\xbf": "it begins with a byte order mark; save it as UTF-8 without one",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
    b"SSHKRL\n\0": "it is a key revocation list; list the keys as text, one a line",
}
_ENCODINGS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class TrustFileInvalid(WmbackupError):
    """A file that says whom to trust cannot be read as one; nobody is trusted then."""

    code = "trust-file-invalid"


class PrincipalUnfit(WmbackupError):
    """A principal is no plain name, so that a line with it could say something else."""

    code = "principal-unfit"


class PrincipalTaken(WmbackupError):
    """Another key holds the principal already; ``line`` is one under which this key fits."""

    code = "principal-taken"

    def __init__(self, principal: str, line: str) -> None:
        """Keep the line."""
        super().__init__(f"another key is trusted as {principal}")
        self.line = line


def parse_allowed_signers(text: bytes) -> tuple[Signer, ...]:
    """Read an allowed_signers file; keys that can sign no archive are passed over.

    Raises TrustFileInvalid, which names the line: half a trust file is none.
    """
    _check_encoding(text)
    signers = []
    for number, line in _useful_lines(text, "allowed signers"):
        try:
            signer = _parse_signer(line)
        except ValueError as error:
            raise TrustFileInvalid(f"allowed signers, line {number}: {error}") from None
        if signer is not None:
            signers.append(signer)
    return tuple(signers)


def parse_revoked(text: bytes) -> frozenset[bytes]:
    """Read revoked keys: OpenSSH public key lines, or certificates, which revoke their key.

    Raises TrustFileInvalid: what cannot be read might have been a revocation.
    """
    _check_encoding(text)
    keys = set()
    for number, line in _useful_lines(text, "revoked keys"):
        try:
            keys.add(_parse_key(line, certificates=True))
        except ValueError as error:
            raise TrustFileInvalid(f"revoked keys, line {number}: {error}") from None
    return frozenset(key for key in keys if key is not None)


def parse_key_file(text: bytes) -> tuple[str | None, Signer]:
    """Read a file with one key: an OpenSSH public key line, or a line of allowed_signers.

    PowerShell writes UTF-16 or a byte order mark, and such a file is read as well. Returns the
    principal, None where the line names none, and the signer. Raises TrustFileInvalid.
    """
    lines = [line for _, line in _useful_lines(_as_utf8(text), "the key file")]
    if len(lines) != 1:
        raise TrustFileInvalid(f"it has {len(lines)} lines with a key; one is needed")
    try:
        if _is_key_type(lines[0]):
            key = _parse_key(lines[0])
            comment = _words(lines[0], 2)[2:]
            principal = comment[0] if comment and _PLAIN.match(comment[0]) else None
            signer = None if key is None else Signer(principal or "", key)
        else:
            signer = _parse_signer(lines[0], refuse=True)
            principal = None if signer is None else signer.principals
    except ValueError as error:
        raise TrustFileInvalid(str(error)) from None
    if signer is None:
        raise TrustFileInvalid("it has a key of another type; ssh-ed25519 is needed")
    if principal is not None and "@" not in principal and _is_key_type(lines[0]):
        principal = None  # a comment such as "work laptop" names nobody
    return principal, signer


def line_of(signer: Signer) -> str:
    """Return the line that trusts a key for archives and for nothing else.

    The line is read again and compared, so that it says what was checked and nothing else.
    Raises PrincipalUnfit, and ValueError for a time that has no such form.
    """
    name = signer.principals
    if not _PLAIN.match(name) or name.startswith(_KEY_PREFIXES):
        raise PrincipalUnfit(
            "the principal is not a plain name: it needs 1 to 255 of A-Z a-z 0-9 . _ + @ -,"
            " the first a letter or a digit"
        )
    options = [f'namespaces="{NAMESPACE.decode()}"']
    for label, moment in (
        ("valid-after", signer.valid_after),
        ("valid-before", signer.valid_before),
    ):
        if moment is not None:
            options.append(f'{label}="{moment.astimezone(UTC):%Y%m%d%H%M%SZ}"')
    line = f"{name} {','.join(options)} {public_line(signer.key)}"
    if parse_allowed_signers(line.encode()) != (signer,):
        raise ValueError("a line of allowed_signers cannot hold this")
    return line


def with_line(text: bytes, signer: Signer) -> bytes | None:
    """Return a trust file with one more line; None where its key is trusted already.

    What the file has is kept as it is. Raises TrustFileInvalid, PrincipalTaken, PrincipalUnfit.
    """
    before = parse_allowed_signers(text)
    if any(known.key == signer.key for known in before):
        return None
    line = line_of(signer)
    if any(signer.principals in known.principals.split(",") for known in before):
        other = Signer(f"{signer.principals}-2", signer.key)
        raise PrincipalTaken(signer.principals, line_of(other))
    gap = b"" if not text or text.endswith(b"\n") else b"\n"
    after = text + gap + line.encode() + b"\n"
    if parse_allowed_signers(after) != (*before, signer):
        raise TrustFileInvalid("a line cannot be added to it without changing what it says")
    return after


def _check_encoding(text: bytes) -> None:
    for mark, meaning in _MARKS.items():
        if text.startswith(mark):
            raise TrustFileInvalid(meaning)


def _as_utf8(text: bytes) -> bytes:
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if text.startswith(mark):
            try:
                return text.decode(encoding).lstrip("\ufeff").replace("\r\n", "\n").encode()
            except (UnicodeDecodeError, UnicodeEncodeError):
                raise TrustFileInvalid(f"it is not valid {encoding.upper()}") from None
    return text


def _useful_lines(text: bytes, what: str) -> Iterator[tuple[int, str]]:
    # A carriage return ends no line for ssh-keygen(1): what follows it belongs to the comment.
    for number, raw in enumerate(text.split(b"\n"), 1):
        if len(raw) > MAX_LINE:
            limit = f"is {len(raw):,} bytes long; at most {MAX_LINE:,} are read"
            raise TrustFileInvalid(f"{what}, line {number} {limit}")
        if b"\0" in raw:
            raise TrustFileInvalid(f"{what}, line {number} has a zero byte")
        line = raw.decode("utf-8", "backslashreplace").strip(" \t\r")
        if line and not line.startswith("#"):
            yield number, line


def _parse_signer(line: str, *, refuse: bool = False) -> Signer | None:
    """Read a line; return None for a key that can sign no archive, or ``refuse`` it in words."""
    start = _PRINCIPALS.match(line)
    if start is None:
        raise ValueError("a principal and a key are needed")
    principals = start[1] if start[1] is not None else start[2]
    if not principals.isprintable():
        raise ValueError("the principal has a character that cannot be seen")
    options, rest = _parse_options(line[start.end() :])
    key = _parse_key(rest)
    after, before = (_parse_time(options.get(name)) for name in ("valid-after", "valid-before"))
    if after is not None and before is not None and before <= after:
        raise ValueError("valid-before is not later than valid-after")
    namespaces = options.get("namespaces")
    if "cert-authority" in options:
        reason = "certificate authorities sign no archives; trust the key itself"
    elif namespaces is not None and not matches(NAMESPACE.decode(), namespaces):
        reason = f"its namespaces do not include {NAMESPACE.decode()}"
    else:
        return None if key is None else Signer(principals, key, after, before)
    if refuse:
        raise ValueError(reason)
    return None


def _parse_options(text: str) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    if _is_key_type(text):
        return options, text
    at = 0
    while at < len(text) and text[at] not in _BLANKS:
        match = _OPTION.match(text, at)
        if match is None or match[1].lower() not in _OPTIONS or match[1].lower() in options:
            raise ValueError("an option is unknown, malformed, or given twice")
        name = match[1].lower()
        if (match[2] is None) != (name == "cert-authority"):
            needs = "takes no value" if name == "cert-authority" else "needs a value in quotes"
            raise ValueError(f"the option {name} {needs}")
        options[name] = match[2] or ""
        at = match.end()
    return options, text[at:].lstrip(_BLANKS)


def _words(text: str, most: int) -> list[str]:
    return re.split(r"[ \t]+", text.strip(_BLANKS), maxsplit=most)


def _is_key_type(text: str) -> bool:
    return text.startswith(_KEY_PREFIXES)


def _parse_key(text: str, *, certificates: bool = False) -> bytes | None:
    """Read a public key; None where it is a valid one of another type. Raises ValueError."""
    words = _words(text, 2)
    if len(words) < 2:  # noqa: PLR2004 - a type and a key
        raise ValueError("there is no key")
    kind, encoded = words[0], words[1]
    if kind not in _KEY_TYPES and not (certificates and kind in _CERTIFICATES):
        raise ValueError(
            f"{kind[:40]!r} is no type of a key" if kind.isprintable() else "there is no key"
        )
    try:
        if kind == _ED25519:
            return parse_public(kind, encoded)
        strings = _strings(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("the key is damaged or incomplete") from None
    _check_other(kind, strings)
    if kind == _ED25519 + _CERTIFICATE:
        return strings[2]
    return None


def _strings(blob: bytes) -> list[bytes]:
    """Return the leading SSH strings of a key. Raises ValueError."""
    found, at = [], 0
    while at + 4 <= len(blob):
        (size,) = struct.unpack_from(">I", blob, at)
        if at + 4 + size > len(blob):
            break
        found.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    if not found:
        raise ValueError("no key")
    return found


def _check_other(kind: str, strings: list[bytes]) -> None:
    """Check what can be checked of a key that is not Ed25519. Raises ValueError."""
    least = {"ssh-rsa": 3, "ssh-dss": 5}.get(kind, 2)
    if kind.endswith(_CERTIFICATE):
        least = 3
    if strings[0] != kind.encode() or len(strings) < least:
        raise ValueError("the key is damaged or incomplete")
    if kind == _ED25519 + _CERTIFICATE and len(strings[2]) != 32:  # noqa: PLR2004 - bytes of a key
        raise ValueError("the key is damaged or incomplete")


def _parse_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    digits = text.removesuffix("Z")
    form = _TIMES.get(len(digits))
    if form is None or not digits.isdecimal() or not digits.isascii():
        raise ValueError(f"{text[:40]!r} is not a time such as 20261231 or 20261231235959Z")
    try:
        moment = datetime.strptime(digits, form)  # noqa: DTZ007 - its zone follows at once
        # Without Z it is local time, as in ssh-keygen(1).
        zoned = moment.replace(tzinfo=UTC) if text.endswith("Z") else moment.astimezone(UTC)
        seconds = zoned.timestamp()
    except (OSError, OverflowError, ValueError):  # what mktime says of the first and last year
        raise ValueError(f"{text!r} is not a time that exists") from None
    if seconds <= 0:
        raise ValueError(f"{text!r} is before 1970, where ssh-keygen(1) knows no times")
    return zoned
