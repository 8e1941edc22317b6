"""What the envelope makes of every vector: the verdict, and what was released before it."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import cases_age
import pytest

from wmbackup.age.envelope import SealedEnvelope
from wmbackup.age.keys import Identity, Passphrase, X25519Identity
from wmbackup.errors import (
    ArchiveDamaged,
    ArchiveTruncated,
    ArmoredArchive,
    ExitCode,
    Undecryptable,
    UnsupportedArchive,
    WmbackupError,
)

FOLDER = Path(cases_age.__file__).parent / "envelopes"
# The first class that fits decides, so the special ones of a class come before it.
VERDICTS = (
    (ArchiveTruncated, "truncated", ExitCode.DAMAGED),
    (ArchiveDamaged, "damaged", ExitCode.DAMAGED),
    (ArmoredArchive, "armored", ExitCode.NOT_FOUND),
    (UnsupportedArchive, "unsupported", ExitCode.NOT_FOUND),
    (Undecryptable, "undecryptable", ExitCode.UNDECRYPTABLE),
)
EVERY = {name: one.encode() for name, one in cases_age.envelopes().items()}


class Pipe(io.BytesIO):
    """Gives a few bytes at a time, and cannot go back."""

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0
        return super().read(min(size, 997))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        raise io.UnsupportedOperation(f"seek({offset}, {whence})")


def run(header: dict[str, list[str]], age: bytes, *, is_file: bool) -> tuple[str, bytes]:
    """Return the verdict, and the bytes that came before it."""
    identities: list[Identity] = [X25519Identity.parse(text) for text in header.get("identity", [])]
    identities += [Passphrase(text.encode) for text in header.get("passphrase", [])]
    released = b""
    source, length = (io.BytesIO(age), len(age)) if is_file else (Pipe(age), None)
    try:
        stream = SealedEnvelope(source, length).open(identities).stream
        while data := stream.read(100_000):
            released += data
    except WmbackupError as error:
        return verdict_of(error), released
    return "ok", released


def verdict_of(error: WmbackupError) -> str:
    found = ((verdict, code) for kind, verdict, code in VERDICTS if isinstance(error, kind))
    verdict, code = next(found)
    assert error.exit_code is code
    return verdict


def parse(data: bytes) -> tuple[dict[str, list[str]], bytes]:
    head, _, age = data.partition(b"\n\n")
    header: dict[str, list[str]] = {}
    for line in head.decode().split("\n"):
        key, _, value = line.partition(": ")
        header.setdefault(key, []).append(value)
    return header, age


@pytest.mark.parametrize("name", EVERY)
def test_envelope_has_its_verdict_and_releases_no_more(name: str) -> None:
    header, age = parse(EVERY[name])
    for is_file, key in ((False, "released"), (True, "seekable-released")):
        verdict, released = run(header, age, is_file=is_file)
        digest = hashlib.sha256(released).hexdigest()
        assert (verdict, [digest]) == (header["expect"][0], header[key]), f"file: {is_file}"


def test_kept_files_are_those_that_are_tested() -> None:
    kept = {path.stem: path.read_bytes() for path in FOLDER.glob("*.vec")}
    assert kept == {
        name: EVERY[name] for name, one in cases_age.envelopes().items() if not one.variant
    }
