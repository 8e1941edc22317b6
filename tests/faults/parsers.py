"""Every parser of untrusted bytes, with what it may raise and what it is begun with.

This table is the one place that says where they are.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import begin
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

begin.add_tests()

import make  # noqa: E402 - found from here on

from tests.archives import MAKER, File, build, join, public, reseal, split  # noqa: E402
from wmbackup import cli  # noqa: E402
from wmbackup.age.envelope import NewEnvelope, SealedEnvelope  # noqa: E402
from wmbackup.age.key_files import (  # noqa: E402
    identity_file,
    parse_identities,
    parse_recipients,
)
from wmbackup.age.keys import X25519Identity  # noqa: E402
from wmbackup.archive import row_codec, sshsig, tag_files  # noqa: E402
from wmbackup.cli import config  # noqa: E402
from wmbackup.cli.settings import schema  # noqa: E402
from wmbackup.engine import open_archive, restore, verify  # noqa: E402
from wmbackup.errors import WmbackupError  # noqa: E402
from wmbackup.formats import keyid, recognize, recognize_file  # noqa: E402
from wmbackup.formats.media import read_title  # noqa: E402
from wmbackup.stores.folder import FolderStore  # noqa: E402
from wmbackup.stores.journal import Journal  # noqa: E402
from wmbackup.stores.tree import open_tree  # noqa: E402
from wmbackup.trust import Policy, Signer, keys  # noqa: E402
from wmbackup.trust.allowed_signers import (  # noqa: E402
    parse_allowed_signers,
    parse_key_file,
    parse_revoked,
)

POLICY = Policy((Signer("wmbackup@host", public(1)),))
_MESSAGE = b"what is signed"


@dataclass(frozen=True, slots=True)
class Parser:
    """What reads bytes that anybody may have written.

    ``refuses`` are the errors by which it refuses some; ``seeds`` are those that it reads.
    """

    read: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    seeds: Callable[[], Iterable[bytes]]
    longest: int = 4096


def _file(name: bytes) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        found = recognize(name, data)
        if recognize_file(name, io.BytesIO(data), len(data)) != found:
            raise AssertionError("a file that is read in blocks is another one")
        for license_ in found:
            line = row_codec.license_row(license_, b"data/file")
            if row_codec.parse_license_row(line)[0] != license_:
                raise AssertionError("a license does not come back from its row")

    return read


def _private_key(data: bytes) -> None:
    path = Path(_work().name) / "key"
    path.write_bytes(data)
    path.chmod(0o600)  # one that others can read is not used at all
    keys.load(str(path))


@cache
def _work() -> tempfile.TemporaryDirectory[str]:
    """Return the folder for what is read from a file; it is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="parsers-")


def _key_texts() -> list[bytes]:
    path = Path(_work().name) / "new"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    keys.create(str(path), "host")
    return [path.read_bytes(), path.read_bytes().replace(b"OPENSSH", b"RSA")]


def _info(data: bytes) -> None:
    info = tag_files.parse_info(data)
    if tag_files.parse_info(info.encode()) != info:
        raise AssertionError("a bag-info.txt does not come back as it was")


def _archive(data: bytes) -> None:
    with open_archive(io.BytesIO(data)) as source:
        verify(source, POLICY)


def _members() -> Mapping[str, bytes]:
    return split(_one_archive())


@cache
def _one_archive() -> bytes:
    return build(
        [File(b"a.lic", b"first"), File(b"b/c.lic", b"second"), File(b"caf\xc3\xa9", b"x")]
    )


def _sealed(member: str, *, salvage: bool = False) -> Callable[[bytes], object]:
    """Read an archive in which a trusted maker wrote any bytes into a member."""
    change = member.replace(".", "_").replace("-", "_")

    def read(data: bytes) -> None:
        archive = reseal(_members(), MAKER, (), **{change: data})
        if not salvage:
            _archive(archive)
            return
        with tempfile.TemporaryDirectory(dir=_work().name) as folder:
            target = FolderStore(os.path.join(folder, "target"))
            with open_archive(io.BytesIO(archive)) as source:
                restore(source, target, POLICY, salvage=True)

    return read


def _member(name: str) -> Callable[[], list[bytes]]:
    return lambda: [_members()[name]]


def _lines(name: str) -> Callable[[], list[bytes]]:
    return lambda: _members()[name].splitlines(keepends=True)


def _explain(data: bytes) -> None:
    text = data.decode(errors="surrogateescape").replace("\0", "")
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as said,
    ):
        cli.main(["explain", "--", text])
    if "this is a bug" in said.getvalue():
        raise AssertionError(said.getvalue())


def _journal(data: bytes) -> None:
    staging = b".wmbackup-restore-0123456789abcdef"
    folder = Path(_work().name) / "journal"
    (folder / staging.decode()).mkdir(parents=True, exist_ok=True)
    inode = str(os.stat(folder / staging.decode()).st_ino).encode()
    journal = folder / staging.decode() / "journal"
    journal.write_bytes(data.replace(b"INODE", inode))
    journal.chmod(0o600)  # one that others can write is not read at all
    with contextlib.closing(open_tree(str(folder))) as tree:
        Journal.read(tree, staging)


_JOURNAL = (
    b'{"inode": INODE}\n{"number": 0, "path": "YS9i", "inode": 5, "size": 1, "mtime_ns": 1,'
    b' "replaces": true, "made": 1}\nend \n'
)


def _asf() -> list[bytes]:
    descriptions = [make.content_description(), make.extended_description(make.META)]
    protection = [make.content_encryption(), make.extended_encryption(make.wrmheader("2.0.0.0"))]
    return [make.song(), make.asf(*protection), make.asf(*descriptions, *protection)]


def _trust_lines() -> list[bytes]:
    key = sshsig.public_line(public(1)).encode()
    return [
        b"wmbackup@host " + key + b"\n",
        b'a,b valid-after="20250101Z",valid-before="20300101Z",namespaces="archive@wmbackup" '
        + key,
        b'# x\n\n*@host,!no@host cert-authority,namespaces="git,archive@*" ' + key + b" comment\n",
    ]


def _public_line() -> bytes:
    return sshsig.public_line(public(1)).encode() + b" wmbackup@host\n"


_IDENTITY = X25519Identity(X25519PrivateKey.from_private_bytes(b"\7" * 32))


def _envelope(data: bytes, *, salvage: bool = False) -> None:
    stream = SealedEnvelope(io.BytesIO(data), len(data)).open([_IDENTITY], salvage=salvage).stream
    while stream.read(4096):
        pass


def _envelopes() -> Iterable[bytes]:
    output = io.BytesIO()
    plain = NewEnvelope([_IDENTITY.recipient]).begin(output)
    plain.write(b"what is in it")
    plain.finish()
    yield output.getvalue()


_CONFIGURATION = b"""
quiet = true
[backup]
store = "folder:/srv"
output = '/backups/'
force = true
[profile.weekly]
lock-wait = 2.5
[profile.weekly.restore]
on-conflict = "skip"
"""

_REFUSES = (WmbackupError, ValueError)

PARSERS: Mapping[str, Parser] = {
    # Who is trusted, and the keys themselves.
    "allowed-signers": Parser(parse_allowed_signers, (WmbackupError,), _trust_lines),
    "revoked-keys": Parser(
        parse_revoked, (WmbackupError,), lambda: [_public_line(), *_trust_lines()]
    ),
    "public-key": Parser(
        parse_key_file,
        (WmbackupError,),
        lambda: [_public_line(), *_trust_lines()],
    ),
    "private-key": Parser(_private_key, (WmbackupError,), _key_texts),
    "sshsig": Parser(
        lambda data: sshsig.signer(data, _MESSAGE),
        (WmbackupError,),
        lambda: [sshsig.sign(MAKER, _MESSAGE)],
    ),
    # The archive, as anybody may write it, and as a trusted maker may.
    "ustar-header": Parser(_archive, (WmbackupError,), lambda: [_one_archive()], 20_000),
    "tag-manifest": Parser(
        tag_files.parse_tag_manifest, _REFUSES, _member("tagmanifest-sha256.txt")
    ),
    "bag-info": Parser(_info, _REFUSES, _member("bag-info.txt")),
    "file-row": Parser(row_codec.parse_file_row, _REFUSES, _lines("files.jsonl")),
    "license-row": Parser(
        row_codec.parse_license_row,
        _REFUSES,
        lambda: [
            row_codec.license_row(one, b"data/a")
            for data in make.everything().values()
            for one in recognize(b"a.lic", data)
        ],
    ),
    "manifest": Parser(
        _sealed("manifest-sha256.txt"), (WmbackupError,), _member("manifest-sha256.txt")
    ),
    "rows": Parser(_sealed("files.jsonl"), (WmbackupError,), _member("files.jsonl")),
    "licenses": Parser(_sealed("licenses.jsonl"), (WmbackupError,), _member("licenses.jsonl")),
    "sealed-bag-info": Parser(_sealed("bag-info.txt"), (WmbackupError,), _member("bag-info.txt")),
    "salvaged-rows": Parser(
        _sealed("files.jsonl", salvage=True), (WmbackupError,), _member("files.jsonl")
    ),
    "journal": Parser(_journal, (OSError,), lambda: [_JOURNAL]),
    # The envelope around an archive, and its keys.
    "age-envelope": Parser(_envelope, (WmbackupError,), _envelopes),
    "age-salvage": Parser(partial(_envelope, salvage=True), (WmbackupError,), _envelopes),
    "age-identities": Parser(
        lambda data: parse_identities(data.decode(errors="replace")),
        _REFUSES,
        lambda: [identity_file(_IDENTITY, datetime.now(UTC)).encode()],
    ),
    "age-recipients": Parser(
        lambda data: parse_recipients(data.decode(errors="replace")),
        _REFUSES,
        lambda: [f"# of a friend\n{_IDENTITY.recipient}\n".encode()],
    ),
    # What a user configures and asks.
    "configuration": Parser(
        lambda data: config.parse("wmbackup.toml", data, schema()),
        (WmbackupError,),
        lambda: [_CONFIGURATION],
    ),
    "explain": Parser(
        _explain,
        (),
        lambda: [b"0xC00D2742", b"-1072879806", b"NS_E_DRM_BACKUP_EXISTS", b"3", b"wmt_error"],
        200,
    ),
    "key-id": Parser(
        lambda data: keyid.meant(data.decode(errors="replace")),
        _REFUSES,
        lambda: [make.KID.encode(), make.LID.encode()],
        200,
    ),
    # Licenses, and media files with the titles of what they play.
    "license-v1": Parser(_file(b"a.lic"), (), lambda: [make.v1()]),
    "license-v2": Parser(
        _file(b"b.lic"),
        (),
        lambda: [make.v7().encode(), make.response(make.v7()).encode(), make.v7().encode("utf-16")],
    ),
    "license-xml": Parser(_file(b"c.xml"), (), lambda: [make.sealed().encode()]),
    "compound": Parser(
        _file(b"drmv2.lic"), (), lambda: [make.compound({"A": make.v7().encode()})], 16_384
    ),
    "playready": Parser(_file(b"mspr.hds"), (), lambda: [*make.everything().values()]),
    "asf-title": Parser(lambda data: read_title(io.BytesIO(data)), (), _asf),
}


def sample_archive() -> bytes:
    """Return an archive of a few files; `join` and `split` take it apart."""
    return join(_members())
