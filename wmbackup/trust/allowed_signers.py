"""The files that say who is trusted: ``allowed_signers`` and revoked keys (ssh-keygen(1)).

Bytes in, values out, and lines out: no file is opened here. Wherever this reads a file in another
way than ssh-keygen does, it is stricter; the ways are in wmbackup-key(1), Trust files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from wmbackup.archive.sshsig import NAMESPACE, public_line
from wmbackup.errors import UsageError, WmbackupError
from wmbackup.trust.patterns import matches
from wmbackup.trust.policy import Signer
from wmbackup.trust.public_keys import is_key_type, parse_key, parse_revoked_key, words

MAX_LINE = 8 * 1024
"""The longest line of a trust file, in bytes."""

_BLANKS = " \t"  # what separates words for OpenSSH; str.split() knows some of Unicode as well
# No backslash: ssh-keygen(1) lets one escape a quote, and in its own way where there are two.
_OPTION = re.compile(r'([A-Za-z-]+)(?:="([^"\\]*)")?(?:,(?![ \t]|\Z)|(?=[ \t])|\Z)')
_PRINCIPALS = re.compile(r'(?:"([^"]+)"|([^ \t"]+))[ \t]+')
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,254}\Z")
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)
"""What str.isprintable() takes for printable, and nobody sees (Default_Ignorable_Code_Point)."""

_MAX_STEM = 240  # characters of a principal to which a number is added
_TIMES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_OPTIONS = {"cert-authority", "namespaces", "valid-after", "valid-before"}
_MARKS = {
    b"\xef\xbb\xbf": "it begins with a byte order mark; save it as UTF-8 without one",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
    b"SSHKRL\n\0": "it is a key revocation list; list the keys as text, one a line",
}
_ENCODINGS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class TrustFileInvalid(UsageError):
    """A file that says whom to trust cannot be read as one; nobody is trusted then."""

    code = "trust-file-invalid"


class PrincipalUnfit(WmbackupError):
    """A principal is no plain name, so that a line with it could say something else."""

    code = "principal-unfit"


class PrincipalTaken(WmbackupError):
    """Another key holds the principal already; ``line`` is one under which this key fits.

    ``path`` is the trust file, and ``ends`` says that it is empty or its last line is complete.
    """

    code = "principal-taken"

    def __init__(self, principal: str, line: str) -> None:
        """Keep the line."""
        super().__init__(f"another key is trusted as {principal}")
        self.line = line
        self.ends = True


def parse_allowed_signers(text: bytes) -> tuple[Signer, ...]:
    """Read an allowed_signers file; keys that can sign no archive are passed over.

    Raises TrustFileInvalid, which names the line: half a trust file is none.
    """
    return tuple(signer for _, signer in parse_lines(text))


def parse_lines(text: bytes) -> list[tuple[int, Signer]]:
    """Do as `parse_allowed_signers`, and number each line, from 1."""
    _check_encoding(text)
    signers = []
    for number, line in _useful_lines(text, "allowed signers"):
        try:
            signer = _parse_signer(line) if line else None
        except ValueError as error:
            raise TrustFileInvalid(f"allowed signers, line {number}: {error}") from None
        if signer is not None:
            signers.append((number, signer))
    return signers


def option_at(line: bytes) -> int:
    """Return where the options of a valid line begin, or its key where it has none."""
    text = line.decode("utf-8", "surrogateescape")
    start = _PRINCIPALS.match(text.lstrip(_BLANKS))
    end = 0 if start is None else start.end()
    before = text[: len(text) - len(text.lstrip(_BLANKS)) + end]
    return len(before.encode("utf-8", "surrogateescape"))


def parse_revoked(text: bytes) -> frozenset[bytes]:
    """Read revoked keys: OpenSSH public key lines, or certificates, which revoke their key.

    Raises TrustFileInvalid: what cannot be read might have been a revocation.
    """
    _check_encoding(text)
    keys: set[bytes] = set()
    for number, line in _useful_lines(text, "revoked keys"):
        try:
            keys |= parse_revoked_key(line)
        except ValueError as error:
            raise TrustFileInvalid(f"revoked keys, line {number}: {error}") from None
    return frozenset(keys)


def parse_key_file(text: bytes) -> tuple[str | None, Signer]:
    """Read a file with one key: an OpenSSH public key line, or a line of allowed_signers.

    PowerShell writes UTF-16 or a byte order mark, and such a file is read as well. Returns the
    principal, None where the line names none, and the signer. Raises TrustFileInvalid.
    """
    lines = [line for _, line in _useful_lines(_as_utf8(text), "the key file") if line]
    if len(lines) != 1:
        raise TrustFileInvalid(f"it has {len(lines)} lines with a key; one is needed")
    try:
        if is_key_type(lines[0]):
            key = parse_key(lines[0])
            comment = words(lines[0], 2)[2:]
            principal = comment[0] if comment and _PLAIN.match(comment[0]) else None
            signer = None if key is None else Signer(principal or "", key)
        else:
            signer = _parse_signer(lines[0], refuse=True)
            principal = None if signer is None else signer.principals
    except ValueError as error:
        raise TrustFileInvalid(str(error)) from None
    if signer is None:
        raise TrustFileInvalid("it has a key of another type; ssh-ed25519 is needed")
    if principal is not None and "@" not in principal and is_key_type(lines[0]):
        principal = None  # a comment such as "work laptop" names nobody
    return principal, signer


def line_of(signer: Signer) -> str:
    """Return the line that trusts a key for archives and for nothing else.

    The line is read again and compared, so that it says what was checked and nothing else.
    Raises PrincipalUnfit, and ValueError for a time that has no such form.
    """
    name = signer.principals
    if not _PLAIN.match(name) or is_key_type(name):
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


def with_line(
    text: bytes,
    signer: Signer,
    now: datetime | None = None,
    revoked: Collection[bytes] = (),
) -> bytes | None:
    """Return a trust file with one more line; None where its key is trusted already.

    What the file has is kept as it is. A principal is free for a new key where its other keys are
    ``revoked`` or, by ``now``, past their time. Raises TrustFileInvalid, PrincipalTaken,
    PrincipalUnfit.
    """
    before = parse_allowed_signers(text)
    if any(known.key == signer.key for known in before):
        return None
    line = line_of(signer)
    taken = {
        principal
        for known in before
        if not (known.key in revoked or _is_past(known, now))
        for principal in known.principals.split(",")
    }
    if signer.principals in taken:
        free = (f"{signer.principals[:_MAX_STEM]}-{number}" for number in count(2))
        other = next(principal for principal in free if principal not in taken)
        raise PrincipalTaken(signer.principals, line_of(replace(signer, principals=other)))
    gap = b"" if not text or text.endswith(b"\n") else b"\n"
    after = text + gap + line.encode() + b"\n"
    if parse_allowed_signers(after) != (*before, signer):
        raise TrustFileInvalid("a line cannot be added to it without changing what it says")
    return after


def _is_past(signer: Signer, now: datetime | None) -> bool:
    return now is not None and signer.valid_before is not None and signer.valid_before <= now


def _check_encoding(text: bytes) -> None:
    for mark, meaning in _MARKS.items():
        if text.startswith(mark):
            raise TrustFileInvalid(meaning)


def _as_utf8(text: bytes) -> bytes:
    for mark, encoding in _ENCODINGS.items():
        if text.startswith(mark):
            try:
                return text.decode(encoding).lstrip("\ufeff").replace("\r\n", "\n").encode()
            except (UnicodeDecodeError, UnicodeEncodeError):
                raise TrustFileInvalid(f"it is not valid {encoding.upper()}") from None
    return text


def _useful_lines(text: bytes, what: str) -> Iterator[tuple[int, str]]:
    """Yield what is neither empty nor a comment; "" for a line of carriage returns.

    A carriage return ends no line for ssh-keygen(1): what follows it belongs to the comment.
    """
    for number, raw in enumerate(text.split(b"\n"), 1):
        if len(raw) > MAX_LINE:
            limit = f"is {len(raw):,} bytes long; at most {MAX_LINE:,} are read"
            raise TrustFileInvalid(f"{what}, line {number} {limit}")
        if b"\0" in raw:
            raise TrustFileInvalid(f"{what}, line {number} has a zero byte, as UTF-16 has many")
        line = raw.decode("utf-8", "surrogateescape").strip(_BLANKS)
        if line and not line.startswith("#"):
            yield number, line.rstrip(_BLANKS + "\r")


def _parse_signer(line: str, *, refuse: bool = False) -> Signer | None:
    """Read a line; return None for a key that can sign no archive, or ``refuse`` it in words."""
    start = _PRINCIPALS.match(line)
    if start is None:
        raise ValueError("a principal and a key are needed")
    principals = start[1] if start[1] is not None else start[2]
    if not principals.isprintable() or _INVISIBLE.search(principals):
        raise ValueError("the principal has a character that cannot be seen")
    if not all(principals.split(",")):
        raise ValueError("there is an empty principal beside a comma")
    options, rest = _parse_options(line[start.end() :])
    key = parse_key(rest)
    after = _parse_time(options.get("valid-after"), max)
    before = _parse_time(options.get("valid-before"), min)
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
    if is_key_type(text):
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


def _parse_time(text: str | None, choose: Callable[..., datetime]) -> datetime | None:
    """Read a time. Where a local time can mean several, ``choose`` one of them."""
    if text is None:
        return None
    digits = text.removesuffix("Z")
    form = _TIMES.get(len(digits))
    if form is None or not digits.isdecimal() or not digits.isascii():
        raise ValueError(f"{text[:40]!r} is not a time such as 20261231 or 20261231235959Z")
    try:
        moment = datetime.strptime(digits, form)  # noqa: DTZ007 - its zone follows at once
        moment = moment.replace(tzinfo=UTC) if text.endswith("Z") else choose(*_local(moment))
        seconds = moment.timestamp()
    except (OSError, OverflowError, ValueError):  # what mktime says of the first and last year
        raise ValueError(f"{text!r} is not a time that exists") from None
    if seconds <= 0:
        raise ValueError(f"{text!r} is before 1970, where ssh-keygen(1) knows no times")
    return moment


def _local(moment: datetime) -> Iterator[datetime]:
    """Yield all that a local time can mean. Raises OSError, OverflowError, ValueError."""
    for fold in (0, 1):  # an hour that the clock skips or shows twice
        yield moment.replace(fold=fold).astimezone(UTC)
    # ssh-keygen(1) adds no daylight saving: in summer its times are an hour later.
    standard = time.mktime((*moment.timetuple()[:8], 0))
    yield datetime.fromtimestamp(standard, UTC)
