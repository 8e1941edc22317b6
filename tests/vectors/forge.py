"""A second writer of the archive format, made from wmbackup-archive(5) alone.

It shares nothing with wmbackup, so that a misreading by one is seen by the other, and it writes
what no writer should. An archive takes three shapes, and each can be changed before the next is
made of it: a `Draft` (rows, lines and labels, not signed yet), its members (signed), the stream.
What is changed in the draft was changed by the signer; what is changed later, by somebody else.

All keys, ids and times are fixed: the same calls make the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BAG = b"wmbackup-1/"
NAMESPACE = b"archive@wmbackup"
BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
BLOCK = 512
END = bytes(1024)
ID = bytes(range(16)).hex()
CREATED = "2007-01-30T12:00:00Z"
ORDER_OF_THE_GROUP = 2**252 + 27742317777372353535851937790883648493  # RFC 8032, L

_MANUAL = os.path.join(os.path.dirname(__file__), "..", "..", "man", "wmbackup-archive.5")


def readme() -> bytes:
    """The text of README.txt as the manual prints it, without the marks of mdoc."""
    with open(_MANUAL, "rb") as manual:
        text = manual.read()
    start = b".Sh THE README\n.Bd -literal\n"
    body = text[text.index(start) + len(start) :]
    marks = {b"&": b"", b"-": b"-", b"e": b"\\", b"(aq": b"'", b"(ha": b"^"}
    shown = body[: body.index(b".Ed\n")]
    return re.sub(rb"\\(&|-|e|\(aq|\(ha)", lambda mark: marks[mark[1]], shown)


README = readme()


# Keys and signatures


def string(value: bytes) -> bytes:
    """A string of the SSH protocols: its length in 32 bits, and its bytes."""
    return struct.pack(">I", len(value)) + value


@dataclass(frozen=True)
class Key:
    """An Ed25519 key whose seed is the SHA-256 of its name: synthetic, and always the same."""

    name: str

    @property
    def private(self) -> Ed25519PrivateKey:
        seed = hashlib.sha256(b"wmbackup test vectors: " + self.name.encode()).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def blob(self) -> bytes:
        return string(b"ssh-ed25519") + string(self.public)

    @property
    def line(self) -> str:
        """The key as it stands in a file of OpenSSH."""
        return "ssh-ed25519 " + base64.b64encode(self.blob).decode()

    @property
    def fingerprint(self) -> str:
        digest = base64.b64encode(hashlib.sha256(self.blob).digest())
        return "SHA256:" + digest.decode().rstrip("=")

    def trusted(self, options: str = "", principal: str = "") -> str:
        """The line of allowed_signers that believes this key."""
        words = (principal or f"{self.name}@vectors.example", options, self.line)
        return " ".join(word for word in words if word)


MAKER, COSIGNER, SECOND, STRANGER = map(Key, ("maker", "cosigner", "second", "stranger"))


@dataclass(frozen=True)
class Sshsig:
    """An SSHSIG; what is not given is as the format wants it."""

    namespace: bytes = NAMESPACE
    reserved: bytes = b""
    algorithm: bytes = b"sha512"
    version: int = 1
    key_type: bytes = b"ssh-ed25519"
    signature_type: bytes = b"ssh-ed25519"
    trailing: bytes = b""
    columns: int = 70
    add_order: bool = False

    def blob(self, key: Key, message: bytes) -> bytes:
        digest = hashlib.new(self.algorithm.decode(), message).digest()
        common = string(self.namespace) + string(self.reserved) + string(self.algorithm)
        signature = key.private.sign(b"SSHSIG" + common + string(digest))
        if self.add_order:
            scalar = int.from_bytes(signature[32:], "little") + ORDER_OF_THE_GROUP
            signature = signature[:32] + scalar.to_bytes(32, "little")
        return (
            b"SSHSIG"
            + struct.pack(">I", self.version)
            + string(string(self.key_type) + string(key.public))
            + common
            + string(string(self.signature_type) + string(signature))
            + self.trailing
        )

    def sign(self, key: Key, message: bytes) -> bytes:
        return armor(self.blob(key, message), self.columns)


def armor(blob: bytes, columns: int = 70) -> bytes:
    """The text around the base64, in lines of so many columns."""
    text = base64.b64encode(blob)
    lines = [text[at : at + columns] + b"\n" for at in range(0, len(text), columns)]
    begin, end = b"-----BEGIN SSH SIGNATURE-----\n", b"-----END SSH SIGNATURE-----\n"
    return begin + b"".join(lines) + end


# The container


def header(name: bytes, size: int, /, **other: bytes) -> bytes:
    """The 512 bytes for a name and a size; a field that is given replaces the right one.

    The checksum fits whatever is in the other fields, unless ``chksum`` is given too.
    """
    fields = {
        "name": name.ljust(100, b"\0"),
        "mode": b"0000600\0",
        "uid": b"0000000\0",
        "gid": b"0000000\0",
        "size": b"%011o\0" % size,
        "mtime": b"03560116604\0",
        "chksum": b" " * 8,
        "typeflag": b"0",
        "linkname": bytes(100),
        "magic": b"ustar\0",
        "version": b"00",
        "uname": bytes(32),
        "gname": bytes(32),
        "devmajor": b"0000000\0",
        "devminor": b"0000000\0",
        "prefix": bytes(155),
        "rest": bytes(12),
    }
    lengths = {field_name: len(value) for field_name, value in fields.items()}
    fields |= {field_name: value for field_name, value in other.items() if field_name != "chksum"}
    fields["chksum"] = other.get("chksum", b"%06o\0 " % sum(b"".join(fields.values())))
    wrong = [
        field_name for field_name, value in fields.items() if len(value) != lengths[field_name]
    ]
    if wrong:
        raise ValueError(f"fields of another length: {wrong}")
    return b"".join(fields.values())


@dataclass
class Member:
    """A member of the stream. A header or padding that is given replaces the right one."""

    name: bytes
    content: bytes
    head: bytes | None = None
    padding: bytes | None = None

    def encode(self) -> bytes:
        head = header(BAG + self.name, len(self.content)) if self.head is None else self.head
        zeros = bytes(-len(self.content) % BLOCK)
        return head + self.content + (zeros if self.padding is None else self.padding)


def stream(members: Iterable[Member], end: bytes = END) -> bytes:
    """The archive."""
    return b"".join(member.encode() for member in members) + end


# Text


_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str) -> bytes:
    """A JSON string in the one form that the format allows."""
    return b'"%s"' % "".join(
        _SHORT.get(c, f"\\u{ord(c):04x}" if c < " " else c) for c in text
    ).encode("utf-8")


def base64_text(raw: bytes) -> bytes:
    """Bytes as a JSON string of base64."""
    return b'"%s"' % base64.b64encode(raw)


def sha256(data: bytes) -> bytes:
    """The SHA-256 as it stands in text."""
    return hashlib.sha256(data).hexdigest().encode()


# Names


_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_DEVICES = {b"con", b"prn", b"aux", b"nul"} | {
    b"%s%d" % (port, number) for port in (b"com", b"lpt") for number in range(10)
}


def is_safe(path: bytes) -> bool:
    """Whether a path can be a file's own name, whatever the other files are."""
    allowed = _LETTERS + _LETTERS.upper() + b"0123456789._- "
    parts = path.split(b"/")
    return (
        len(path) <= 84
        and not parts[0].lower().startswith(b"item-")
        and all(
            part
            and all(byte in allowed for byte in part)
            and part[0] not in b" ."
            and part[-1] not in b" ."
            and part.split(b".")[0].rstrip(b" ").lower() not in _DEVICES
            for part in parts
        )
    )


def collide(one: bytes, other: bytes) -> bool:
    """Whether two safe paths cannot stand in one folder everywhere."""
    a, b = one.lower(), other.lower()
    return a == b or a.startswith(b + b"/") or b.startswith(a + b"/")


def name_files(files: Iterable[File]) -> list[File]:
    """The files in the order of the archive, each with its member."""
    own: list[File] = []
    items: list[File] = []
    for file in sorted(files, key=lambda file: file.path):
        free = is_safe(file.path) and not any(collide(file.path, kept.path) for kept in own)
        (own if free else items).append(file)
    own.sort(key=lambda file: file.path.lower().split(b"/"))
    items.sort(key=lambda file: (file.path.lower(), file.path))
    placed = [file.at(b"data/" + file.path) for file in own]
    placed += [file.at(b"data/item-%07d" % n, file.path) for n, file in enumerate(items, 1)]
    return placed


@dataclass(frozen=True)
class File:
    """A payload file.

    ``member`` is its name below the bag, ``true_path`` what its row says, None where it says
    nothing; `name_files` gives both.
    """

    path: bytes
    data: bytes
    mtime: int = 1161234567
    mtime_ns: int = 0
    attributes: tuple[str, ...] = ("archive",)
    member: bytes = b""
    true_path: bytes | None = None

    def at(self, member: bytes, true_path: bytes | None = None) -> File:
        """The same file under this name, right or wrong."""
        return File(
            *(self.path, self.data, self.mtime, self.mtime_ns, self.attributes),
            *(member, true_path),
        )

    def row(self) -> bytes:
        """Its line of files.jsonl."""
        where = b""
        if self.true_path is not None:
            try:
                where = b'"path":%s,' % quote(self.true_path.decode("utf-8"))
            except UnicodeDecodeError:
                where = b'"path_base64":%s,' % base64_text(self.true_path)
        names = b",".join(quote(name) for name in self.attributes)
        numbers = (len(self.data), self.mtime, self.mtime_ns)
        return (
            b'{"size":%d,"mtime":%d,"mtime_ns":%d,' % numbers
            + where
            + (b'"attributes":[%s]}\n' % names)
        )

    def manifest_line(self) -> bytes:
        """Its line of manifest-sha256.txt."""
        return b"%s  %s\n" % (sha256(self.data), self.member)


def license_row(file: str | None, /, **other: bytes) -> bytes:
    """A line of licenses.jsonl; a value that is given, as JSON, replaces the right one."""
    values = {
        "kind": b'"wmdrm-response"',
        **dict.fromkeys(("kid", "lid", "issued", "begins", "expires"), b"null"),
        **dict.fromkeys(("rights", "attributes"), b"null"),
        "withheld": b"false",
        "file": b"null" if file is None else quote(file),
    }
    pairs = [b"%s:%s" % (quote(key), value) for key, value in (values | other).items()]
    return b"{%s}\n" % b",".join(pairs)


# The archive before it is signed, and the signing


TAGGED = (
    *(b"README.txt", b"bag-info.txt", b"bagit.txt"),
    *(b"files.jsonl", b"licenses.jsonl", b"manifest-sha256.txt"),
)


@dataclass
class Draft:
    """What the signer is about to sign. Everything is right until it is changed.

    ``files`` stand under the names that they have; `draft` gives the right ones. ``tags``
    replaces the content of a file of the head, ``listed`` a line of the tag manifest.
    """

    files: list[File]
    licenses: list[bytes] = field(default_factory=list)
    maker: Key = MAKER
    cosigners: Sequence[Key] = ()
    time_stamp: bytes | None = None
    rows: list[bytes] = field(default_factory=list)
    manifest: list[bytes] = field(default_factory=list)
    info: list[bytes] = field(default_factory=list)
    tags: dict[bytes, bytes] = field(default_factory=dict)
    listed: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = [file.row() for file in self.files]
        self.manifest = [file.manifest_line() for file in self.files]
        withheld = sum(b'"withheld":true' in row for row in self.licenses)
        octets = sum(len(file.data) for file in self.files)
        self.info = [
            b"WMBackup-Format: 1\n",
            b"WMBackup-Archive-Id: %s\n" % ID.encode(),
            b"WMBackup-Created: %s\n" % CREATED.encode(),
            b"WMBackup-Host: VECTOR\n",
            b"WMBackup-Store-Kind: folder\n",
            b"WMBackup-Store: synthetic\n",
            b"WMBackup-Signer: %s\n" % self.maker.fingerprint.encode(),
            b"WMBackup-Withheld: %d\n" % withheld,
            b"WMBackup-Skipped: 0\n",
            b"Payload-Oxum: %d.%d\n" % (octets, len(self.files)),
            b"Bag-Software-Agent: forge\n",
        ]

    def set(self, label: bytes, value: bytes) -> None:
        """Give a label another value, as it stands on its line."""
        at = self.line_of(label)
        self.info[at] = b"%s: %s\n" % (label, value)

    def line_of(self, label: bytes) -> int:
        """Where the line of a label is."""
        (at,) = (i for i, line in enumerate(self.info) if line.startswith(label + b": "))
        return at

    def contents(self) -> dict[bytes, bytes]:
        """The files of the head that the tag manifest lists."""
        made = {
            b"README.txt": README,
            b"bag-info.txt": b"".join(self.info),
            b"bagit.txt": BAGIT,
            b"files.jsonl": b"".join(self.rows),
            b"licenses.jsonl": b"".join(self.licenses),
            b"manifest-sha256.txt": b"".join(self.manifest),
        }
        return made | self.tags

    def tag_manifest(self) -> bytes:
        """The bytes that are signed."""
        contents = self.contents()
        lines = {name: b"%s  %s\n" % (sha256(contents[name]), name) for name in TAGGED}
        return b"".join((lines | self.listed).values())

    def members(self, **signatures: Callable[[Key, bytes], bytes]) -> list[Member]:
        """The members, signed; ``maker`` and ``cosigner`` sign in another way where given."""
        signed, contents = self.tag_manifest(), self.contents()
        right = Sshsig().sign
        signature = b"tagmanifest-sha256.txt"
        made = [
            Member(b"bagit.txt", contents[b"bagit.txt"]),
            Member(signature, signed),
            Member(signature + b".sig", signatures.get("maker", right)(self.maker, signed)),
        ]
        for number, key in enumerate(self.cosigners, 2):
            text = signatures.get("cosigner", right)(key, signed)
            made.append(Member(signature + b".%d.sig" % number, text))
        if self.time_stamp is not None:
            made.append(Member(signature + b".tsr", self.time_stamp))
        head = (b"README.txt", b"bag-info.txt", *TAGGED[3:])
        made += [Member(name, contents[name]) for name in head]
        made += [Member(file.member, file.data) for file in self.files]
        return made

    def archive(self) -> bytes:
        """The archive as it is when nobody else has touched it."""
        return stream(self.members())

    def data(self, count: int | None = None) -> bytes:
        """The bytes of the first so many payload files, or of all: what a reader releases."""
        return b"".join(file.data for file in self.files[:count])


def draft(files: Iterable[File], licenses: Sequence[bytes] = ()) -> Draft:
    """A draft of these files under their right names, in their right order."""
    return Draft(name_files(files), list(licenses))


def find(members: Sequence[Member], name: bytes) -> int:
    """Where the member of this name is."""
    (at,) = (i for i, member in enumerate(members) if member.name == name)
    return at


def replace_once(text: bytes, old: bytes, new: bytes) -> bytes:
    """The text with its one occurrence of ``old`` replaced; anything else is a mistake here."""
    if len(re.findall(re.escape(old), text)) != 1:
        raise ValueError(f"{old!r} does not stand exactly once in {text!r}")
    return text.replace(old, new)
