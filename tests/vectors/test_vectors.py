"""The reader finds what every vector says, from a pipe and from a file."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import generate
import pytest

from wmbackup.archive.reader import SealedArchive
from wmbackup.errors import (
    ArchiveDamaged,
    ArchiveTruncated,
    ArchiveUnsigned,
    SignerUntrusted,
    UnsupportedArchive,
    WmbackupError,
)
from wmbackup.item import Item
from wmbackup.trust import Policy, parse_allowed_signers, parse_revoked

# The first class that fits decides, so the special ones of a class come before it.
VERDICTS = (
    (ArchiveTruncated, "truncated"),
    (ArchiveUnsigned, "unsigned"),
    (ArchiveDamaged, "damaged"),
    (UnsupportedArchive, "unsupported"),
    (SignerUntrusted, "untrusted"),
)


@dataclass
class Parsed:
    """A vector's file, taken apart."""

    archive: bytes
    header: dict[str, list[str]] = field(default_factory=dict)

    def value(self, key: str, default: str = "") -> str:
        (value,) = self.header.get(key, [default])
        return value

    def policy(self) -> Policy:
        return Policy(
            parse_allowed_signers("\n".join(self.header.get("trusted", [])).encode()),
            parse_revoked("\n".join(self.header.get("revoked", [])).encode()),
            int(self.value("required", "1")),
        )


def parse(data: bytes) -> Parsed:
    header, _, archive = data.partition(b"\n\n")
    parsed = Parsed(archive)
    for line in header.decode().split("\n"):
        key, _, value = line.partition(": ")
        parsed.header.setdefault(key, []).append(value)
    return parsed


class Pipe(io.RawIOBase):
    """A stream that cannot seek and gives less than it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            raise AssertionError("an archive is never read to its end at once")
        # 997 is prime: pieces begin and end anywhere in a block.
        piece = self._data[self._at : self._at + min(size, 997)]
        self._at += len(piece)
        return piece


class Staging(io.BytesIO):
    """Keeps what was written after it is closed."""

    written = b""

    def close(self) -> None:
        if not self.closed:
            self.written = self.getvalue()
        super().close()


class Collector:
    """Collects what is released, in order."""

    def __init__(self) -> None:
        self.released = b""
        self._staging = Staging()

    def put(self, item: Item, data: bytes) -> None:
        assert len(data) == item.size
        self.released += data

    def stage(self, item: Item) -> BinaryIO:
        assert item.size
        self._staging = Staging()
        return self._staging

    def accept(self, item: Item) -> None:
        assert len(self._staging.written) == item.size
        self.released += self._staging.written


def run(parsed: Parsed, stream: BinaryIO, length: int | None) -> tuple[str, bytes]:
    """The verdict and what was released before it."""
    collector = Collector()
    policy = parsed.policy()
    try:
        trusted = SealedArchive(stream, length=length).authenticate(policy)
        inventory = trusted.read_head(io.BytesIO)
        inventory.check(lambda: None)
        inventory.check_length()
        for _verified in inventory.verify_payload(collector):
            pass
    except WmbackupError as error:
        verdicts = [verdict for kind, verdict in VERDICTS if isinstance(error, kind)]
        return verdicts[0], collector.released
    return "ok", collector.released


def everything() -> Iterator[tuple[str, bytes]]:
    yield from sorted(generate.present().items())
    for vector in generate.every().values():
        if vector.variant:
            yield vector.name, vector.encode()


CASES = dict(everything())


@pytest.mark.parametrize("name", CASES)
def test_from_a_pipe(name: str) -> None:
    parsed = parse(CASES[name])
    verdict, released = run(parsed, Pipe(parsed.archive), None)  # type: ignore[arg-type]
    assert verdict == parsed.value("expect")
    assert hashlib.sha256(released).hexdigest() == parsed.value("released")


@pytest.mark.parametrize("name", CASES)
def test_from_a_file(name: str) -> None:
    parsed = parse(CASES[name])
    stream = io.BytesIO(parsed.archive)
    verdict, released = run(parsed, stream, len(parsed.archive))
    assert verdict == parsed.value("seekable-expect", parsed.value("expect"))
    assert hashlib.sha256(released).hexdigest() == parsed.value("seekable-released")


def test_there_is_a_vector_of_each_verdict() -> None:
    found = {parse(data).value("expect") for data in generate.present().values()}
    assert found == {"ok", *(verdict for _, verdict in VERDICTS)}


def test_the_files_are_few_enough() -> None:
    sizes = [os.path.getsize(os.path.join(generate.HERE, name)) for name in generate.present()]
    assert sum(sizes) < 5 * 1024 * 1024
