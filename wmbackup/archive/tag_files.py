"""The small files of the bag: bagit.txt, the tag manifest, README.txt, bag-info.txt."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from wmbackup.errors import ArchiveDamaged, UnsupportedArchive

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
with open(os.path.join(os.path.dirname(__file__), "README.txt"), "rb") as _file:
    README = _file.read()  # importlib.resources would take a twentieth of the start
MAX_INFO = 64 * 1024
MAX_NUMBER = 2**53 - 1
TAGGED: tuple[str, ...] = (
    *("README.txt", "bag-info.txt", "bagit.txt"),
    *("files.jsonl", "licenses.jsonl", "manifest-sha256.txt"),
)
TAG_MANIFEST_SIZE = 477

_CRITICAL = re.compile(rb"^(WMBackup-Critical-[A-Za-z0-9-]*): ", re.MULTILINE)
_TAG_LINE = re.compile(rb"([0-9a-f]{64})  ([^\n]+)\n")
_LABEL = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_ESCAPED = re.compile(r"%([0-9A-F]{2})")
# Controls, what ends a line somewhere, and what changes the direction of text.
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069%\udc80-\udcff]")


def tag_manifest(hashes: Mapping[str, str]) -> bytes:
    """Return the bytes that are signed, from the SHA-256 (hexadecimal) of the tag files."""
    return "".join(f"{hashes[name]}  {name}\n" for name in TAGGED).encode()


def parse_tag_manifest(text: bytes) -> dict[str, str]:
    """Return the SHA-256 (hexadecimal) of each tag file. Raises ArchiveDamaged."""
    hashes = {name.decode("latin-1"): digest.decode() for digest, name in _TAG_LINE.findall(text)}
    if tuple(hashes) != TAGGED or tag_manifest(hashes) != text:
        raise ArchiveDamaged("tagmanifest-sha256.txt is malformed")
    return hashes


def sha256(text: bytes) -> str:
    """Return the SHA-256 as it stands in a manifest: 64 lower-case hexadecimal digits."""
    return hashlib.sha256(text).hexdigest()


def escape(value: str) -> str:
    """Return a value as it stands on a line of bag-info.txt (see wmbackup-archive(5)).

    Undecodable bytes are given as the surrogates of ``os.fsdecode``.
    """

    def percent(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))

    body = value.strip(" ")
    start = len(value) - len(value.lstrip(" "))
    end = len(value) - start - len(body)
    return "%20" * start + _UNSEEN.sub(percent, body) + "%20" * end


def unescape(text: str) -> str:
    """Return the value that stands on a line; bytes that are not UTF-8 become surrogates."""
    raw = _ESCAPED.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text)
    # Bytes below 0x80 have no surrogate of their own, so the detour goes over bytes.
    data = b"".join(
        bytes([ord(c) - 0xDC00]) if "\udc00" <= c <= "\udcff" else c.encode() for c in raw
    )
    return data.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class BagInfo:
    """What bag-info.txt says. Texts are unescaped; `created` is UTC, in whole seconds.

    ``withheld`` and ``skipped`` count licenses and files, ``octets`` are the bytes of the
    payload and ``files`` the number of its files. ``chain`` and ``sequence`` come together, and
    ``previous``, the hash of the previous archive's tag manifest, only with them. ``other`` keeps
    labels that are not known.
    """

    archive_id: str
    created: datetime
    host: str
    store_kind: str
    store: str
    signer: str
    withheld: int
    skipped: int
    octets: int
    files: int
    agent: str
    machine: str | None = None
    recipients: str | None = None
    chain: str | None = None
    sequence: int | None = None
    previous: str | None = None
    other: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Return the file. Raises ValueError where a value cannot stand in it."""
        optional = {
            "WMBackup-Machine": self.machine,
            "WMBackup-Recipients": self.recipients,
            "WMBackup-Chain": self.chain,
            "WMBackup-Sequence": None if self.sequence is None else str(self.sequence),
            "WMBackup-Previous": self.previous,
        }
        rows = [
            ("WMBackup-Format", "1"),
            ("WMBackup-Archive-Id", self.archive_id),
            ("WMBackup-Created", format_time(self.created)),
            ("WMBackup-Host", self.host),
            ("WMBackup-Store-Kind", self.store_kind),
            ("WMBackup-Store", self.store),
            ("WMBackup-Signer", self.signer),
            ("WMBackup-Withheld", str(self.withheld)),
            ("WMBackup-Skipped", str(self.skipped)),
            ("Payload-Oxum", f"{self.octets}.{self.files}"),
            ("Bag-Software-Agent", self.agent),
            *((label, value) for label, value in optional.items() if value is not None),
            *self.other,
        ]
        text = "".join(f"{label}: {escape(value)}\n" for label, value in rows).encode()
        try:
            same = parse_info(text) == self
        except (ArchiveDamaged, UnsupportedArchive):
            same = False
        if not same or len(text) > MAX_INFO:
            raise ValueError("these values cannot be written into bag-info.txt")
        return text


def format_time(moment: datetime) -> str:
    """Return ``YYYY-MM-DDTHH:MM:SSZ`` of a time that knows its zone."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


_TEXT = re.compile(r".+\Z", re.DOTALL)
_HEX_ID = re.compile(r"[0-9a-f]{32}\Z")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")
_GRAMMAR = {
    "WMBackup-Format": re.compile(r"1\Z"),
    "WMBackup-Archive-Id": _HEX_ID,
    "WMBackup-Created": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z"),
    "WMBackup-Host": _TEXT,
    "WMBackup-Store-Kind": re.compile(r"[a-z][a-z0-9-]{0,31}\Z"),
    "WMBackup-Store": _TEXT,
    "WMBackup-Signer": re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z"),
    "WMBackup-Withheld": _NUMBER,
    "WMBackup-Skipped": _NUMBER,
    "Payload-Oxum": re.compile(r"(?:0|[1-9][0-9]{0,15})\.(?:0|[1-9][0-9]{0,15})\Z"),
    "Bag-Software-Agent": _TEXT,
    "WMBackup-Machine": _TEXT,
    "WMBackup-Recipients": _TEXT,
    "WMBackup-Chain": _HEX_ID,
    "WMBackup-Sequence": re.compile(r"[1-9][0-9]{0,15}\Z"),
    "WMBackup-Previous": re.compile(r"[0-9a-f]{64}\Z"),
}
_REQUIRED = tuple(_GRAMMAR)[:11]
_OPTIONAL = tuple(_GRAMMAR)[11:]
assert len(fields(BagInfo)) == len(_GRAMMAR) + 1  # noqa: S101 - the two lists grow together


def parse_info(text: bytes) -> BagInfo:
    """Read bag-info.txt. Raises ArchiveDamaged or UnsupportedArchive."""
    _judge_version(text)
    return _info(_lines(text))


def _judge_version(text: bytes) -> None:
    # By the bytes alone, before anything else is looked at: the rest of another format, or of one
    # with something critical in it, may follow another grammar.
    label, _, value = text.partition(b"\n")[0].partition(b": ")
    if label != b"WMBackup-Format" or not value:
        raise ArchiveDamaged("bag-info.txt does not begin with WMBackup-Format")
    if value != b"1":
        said = value[:32].decode("ascii", "backslashreplace")
        raise UnsupportedArchive(
            f"the archive says that it is of format {said}, and this program knows 1",
        )
    critical = _CRITICAL.search(text)
    if critical is not None:
        raise UnsupportedArchive(
            f"the archive needs {critical[1].decode()}, which this program does not know",
        )


def _lines(text: bytes) -> list[tuple[str, str]]:
    try:
        body = text.decode("utf-8")
    except UnicodeDecodeError:
        raise ArchiveDamaged("bag-info.txt is not UTF-8") from None
    if not body.endswith("\n"):
        raise ArchiveDamaged("bag-info.txt does not end with a line feed")
    lines = []
    for line in body[:-1].split("\n"):
        label, colon, value = line.partition(": ")
        if not colon or not _LABEL.match(label) or not value:
            raise ArchiveDamaged("bag-info.txt has a line without a label or a value")
        lines.append((label, value))
    return lines


def _info(lines: list[tuple[str, str]]) -> BagInfo:
    labels = [label for label, _ in lines]
    other = sorted(set(labels).difference(_GRAMMAR))
    if labels != [*_REQUIRED, *(label for label in _OPTIONAL if label in labels), *other]:
        raise ArchiveDamaged("the labels of bag-info.txt are missing, repeated or out of order")
    values: dict[str, str] = {}
    for label, text in lines:
        values[label] = value = unescape(text)
        grammar = _GRAMMAR.get(label, _TEXT)
        if escape(value) != text or not grammar.match(value):
            raise ArchiveDamaged(f"{label} of bag-info.txt has a value that is not valid")
    octets, files = values["Payload-Oxum"].split(".")
    chain, sequence = values.get("WMBackup-Chain"), values.get("WMBackup-Sequence")
    previous = values.get("WMBackup-Previous")
    if (chain is None) != (sequence is None) or (chain is None and previous is not None):
        raise ArchiveDamaged("bag-info.txt has a part of WMBackup-Chain, -Sequence and -Previous")
    return BagInfo(
        archive_id=values["WMBackup-Archive-Id"],
        created=_time(values["WMBackup-Created"]),
        host=values["WMBackup-Host"],
        store_kind=values["WMBackup-Store-Kind"],
        store=values["WMBackup-Store"],
        signer=values["WMBackup-Signer"],
        withheld=_number(values["WMBackup-Withheld"]),
        skipped=_number(values["WMBackup-Skipped"]),
        octets=_number(octets),
        files=_number(files),
        agent=values["Bag-Software-Agent"],
        machine=values.get("WMBackup-Machine"),
        recipients=values.get("WMBackup-Recipients"),
        chain=chain,
        sequence=None if sequence is None else _number(sequence),
        previous=previous,
        other=tuple((label, values[label]) for label in other),
    )


def _number(digits: str) -> int:
    number = int(digits)
    if number > MAX_NUMBER:
        raise ArchiveDamaged("a number of bag-info.txt is too large")
    return number


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    # Newer Pythons know an hour 24, and say it otherwise.
    if moment is None or format_time(moment) != text:
        raise ArchiveDamaged("WMBackup-Created of bag-info.txt is not a date")
    return moment
