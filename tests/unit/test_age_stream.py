"""The stream in files and pipes: what is read, in which order, and what salvage makes of damage."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from typing import IO, cast

import pytest

from wmbackup.age.envelope import NewEnvelope, SealedEnvelope
from wmbackup.age.keys import Passphrase, X25519Identity
from wmbackup.age.spool import EncryptedSpool, encrypted
from wmbackup.age.stream import CHUNK, DecryptingStream
from wmbackup.errors import (
    ArchiveTruncated,
    EnvelopeDamaged,
    Undecryptable,
    WmbackupError,
)

IDENTITY = X25519Identity.generate()
PLAIN = os.urandom(5 * CHUNK + 100)
SEALED_CHUNK = CHUNK + 16


class Counting(io.BytesIO):
    """A file that notes what was read from it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, int]] = []

    def read(self, size: int | None = -1, /) -> bytes:
        at = self.tell()
        data = super().read(size)
        self.reads.append((at, len(data)))
        return data


def seal(data: bytes = PLAIN) -> bytes:
    output = io.BytesIO()
    stream = NewEnvelope([IDENTITY.recipient]).begin(output)
    stream.write(data)
    stream.finish()
    return output.getvalue()


def header_size(age: bytes) -> int:
    return SealedEnvelope(io.BytesIO(age), len(age))._header.size


def open_file(age: bytes, *, salvage: bool = False) -> DecryptingStream:
    return SealedEnvelope(io.BytesIO(age), len(age)).open([IDENTITY], salvage=salvage).stream


def read_all(stream: DecryptingStream) -> bytes:
    found = b""
    while data := stream.read(300_000):
        found += data
    return found


def test_last_chunk_is_read_before_any_other() -> None:
    age = seal()
    file = Counting(age)
    SealedEnvelope(file, len(age)).open([IDENTITY])
    border = header_size(age) + 16 + 5 * SEALED_CHUNK
    assert [at for at, _ in file.reads] == [0, 4096, border][-len(file.reads) :] or file.reads
    assert file.reads[-1] == (border, 100 + 16)
    assert sum(size for _, size in file.reads) < 4096 + 200 + 4096


def test_head_and_one_file_are_read_with_the_chunks_that_hold_them() -> None:
    age = seal()
    file = Counting(age)
    stream = SealedEnvelope(file, len(age)).open([IDENTITY]).stream
    assert stream.read(512) == PLAIN[:512]
    stream.seek(3 * CHUNK - 10)
    assert stream.read(10) == PLAIN[3 * CHUNK - 10 : 3 * CHUNK]
    assert sum(size for _, size in file.reads) <= 2 * SEALED_CHUNK + 4096 + 200


def test_what_is_decrypted_is_not_read_again() -> None:
    age = seal(PLAIN[: CHUNK - 1])
    file = Counting(age)
    stream = SealedEnvelope(file, len(age)).open([IDENTITY]).stream
    before = len(file.reads)
    assert read_all(stream) == PLAIN[: CHUNK - 1]
    assert len(file.reads) == before


def test_an_envelope_need_not_begin_where_its_file_begins() -> None:
    age = seal()
    file = io.BytesIO(b"before" + age)
    file.seek(6)
    stream = SealedEnvelope(file, len(age), start=6).open([IDENTITY]).stream
    stream.seek(2 * CHUNK + 7)
    assert stream.read(10) == PLAIN[2 * CHUNK + 7 :][:10]


def test_a_pipe_cannot_go_back() -> None:
    stream = SealedEnvelope(io.BytesIO(seal())).open([IDENTITY]).stream
    assert not stream.seekable()
    with pytest.raises(OSError, match="forwards"):
        stream.seek(0)


def test_file_that_becomes_shorter_while_it_is_read_is_truncated() -> None:
    age = seal()
    file = io.BytesIO(age)
    stream = SealedEnvelope(file, len(age)).open([IDENTITY]).stream
    file.truncate(header_size(age) + 16 + SEALED_CHUNK + 50)
    assert stream.read(10) == PLAIN[:10]
    with pytest.raises(ArchiveTruncated):
        read_all(stream)


def test_what_is_written_is_written_in_bounded_pieces() -> None:
    class Writes(io.BytesIO):
        largest = 0

        def write(self, data: bytes, /) -> int:  # type: ignore[override] # the bases differ in how they name a buffer
            self.largest = max(self.largest, len(data))
            return super().write(data)

    output = Writes()
    stream = NewEnvelope([IDENTITY.recipient]).begin(output)
    data = bytes(40 * CHUNK)
    stream.write(data)
    stream.finish()
    assert output.largest <= 4 * SEALED_CHUNK
    assert read_all(open_file(output.getvalue())) == data


def test_nothing_can_be_written_behind_the_last_chunk() -> None:
    stream = NewEnvelope([IDENTITY.recipient]).begin(io.BytesIO())
    stream.finish()
    with pytest.raises(ValueError, match="closed"):
        stream.write(b"more")


def test_every_beginning_draws_another_nonce_and_every_envelope_another_key() -> None:
    envelope = NewEnvelope([IDENTITY.recipient])
    files = []
    for made in (envelope, envelope, NewEnvelope([IDENTITY.recipient])):
        output = io.BytesIO()
        stream = made.begin(output)
        stream.write(PLAIN)
        stream.finish()
        files.append(output.getvalue())
    first, second, third = files
    size = len(envelope.header)
    assert first[:size] == second[:size] != third[:size]
    assert len({file[-len(PLAIN) : -len(PLAIN) + 64] for file in files}) == 3
    for file in files:
        assert read_all(open_file(file)) == PLAIN


def test_writer_reads_back_with_the_key_that_it_kept() -> None:
    envelope, output = NewEnvelope([X25519Identity.generate().recipient]), io.BytesIO()
    stream = envelope.begin(output)
    stream.write(PLAIN)
    stream.finish()
    output.seek(0)
    assert read_all(envelope.read_back(output, len(output.getvalue()))) == PLAIN
    broken = bytearray(output.getvalue())
    broken[len(envelope.header) + 16 + CHUNK] ^= 1
    with pytest.raises(EnvelopeDamaged):
        read_all(envelope.read_back(io.BytesIO(broken), len(broken)))


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_salvage_reads_zeros_where_a_chunk_is_damaged(chunk: int) -> None:
    age = bytearray(seal())
    age[header_size(bytes(age)) + 16 + chunk * SEALED_CHUNK + 20] ^= 1
    wanted = bytearray(PLAIN)
    end = min(len(PLAIN), (chunk + 1) * CHUNK)
    wanted[chunk * CHUNK : end] = bytes(end - chunk * CHUNK)
    assert read_all(open_file(bytes(age), salvage=True)) == wanted
    pipe = SealedEnvelope(io.BytesIO(age)).open([IDENTITY], salvage=True).stream
    assert read_all(pipe) == wanted


@pytest.mark.parametrize(
    ("kept", "whole"),
    [(3 * SEALED_CHUNK, 3), (3 * SEALED_CHUNK + 10, 3), (3 * SEALED_CHUNK + 16, 3)],
)
def test_salvage_reads_what_is_left_of_a_truncated_file(kept: int, whole: int) -> None:
    age = seal()
    age = age[: header_size(age) + 16 + kept]
    assert read_all(open_file(age, salvage=True)) == PLAIN[: whole * CHUNK]
    pipe = SealedEnvelope(io.BytesIO(age)).open([IDENTITY], salvage=True).stream
    assert read_all(pipe) == PLAIN[: whole * CHUNK]


def test_salvage_of_a_chunk_that_ends_early_reads_zeros_and_never_its_bytes() -> None:
    age = seal()
    age = age[: header_size(age) + 16 + 2 * SEALED_CHUNK + 1000]
    assert read_all(open_file(age, salvage=True)) == PLAIN[: 2 * CHUNK] + bytes(984)


@pytest.mark.parametrize("kept", [0, 10, 16, 17, 40, 16 + CHUNK // 2])
def test_salvage_needs_the_first_chunk(kept: int) -> None:
    age = seal()
    age = age[: header_size(age) + kept]
    for length in (len(age), None):
        with pytest.raises(WmbackupError) as caught:
            read_all(SealedEnvelope(io.BytesIO(age), length).open([IDENTITY], salvage=True).stream)
        assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("recipients", "identities", "wanted"),
    [
        (2, 0, "for other recipients (2 X25519); there is no identity here"),
        (1, 1, "for other recipients (1 X25519); the identity here is not one of them"),
        (3, 2, "for other recipients (3 X25519); none of the 2 identities here is one of them"),
    ],
)
def test_who_could_open_it_is_counted(recipients: int, identities: int, wanted: str) -> None:
    output = io.BytesIO()
    keys = [X25519Identity.generate().recipient for _ in range(recipients)]
    NewEnvelope(keys).begin(output).finish()
    envelope = SealedEnvelope(io.BytesIO(output.getvalue()))
    with pytest.raises(Undecryptable) as caught:
        envelope.open([X25519Identity.generate() for _ in range(identities)])
    assert caught.value.message == f"the archive is encrypted {wanted}"
    assert caught.value.recipients == {"X25519": recipients}


def test_passphrase_is_named_where_one_is_needed() -> None:
    output = io.BytesIO()
    NewEnvelope([Passphrase(lambda: b"x", 1)]).begin(output).finish()
    envelope = SealedEnvelope(io.BytesIO(output.getvalue()))
    assert envelope.takes_passphrase
    with pytest.raises(Undecryptable, match=r"with a passphrase \(1 scrypt\), and none was given"):
        envelope.open([IDENTITY])
    with pytest.raises(Undecryptable, match="the passphrase does not open the archive"):
        envelope.open([Passphrase(lambda: b"y", 1)])


def test_types_of_strangers_are_counted_and_cannot_fill_the_message() -> None:
    stanzas = b"".join(b"-> %s\nAAAA\n" % (bytes([65 + at]) * (1 + at * 40)) for at in range(8))
    age = b"age-encryption.org/v1\n" + stanzas + b"--- " + b"A" * 43 + b"\n"
    with pytest.raises(Undecryptable) as caught:
        SealedEnvelope(io.BytesIO(age)).open([])
    assert "(1 A, 7 of other types)" in caught.value.message


def test_spool_on_the_disk_has_no_plaintext_and_no_key_stream_twice() -> None:
    disk = io.BytesIO()
    spool = EncryptedSpool(cast("IO[bytes]", disk))
    spool.write(b"secret" * 100)
    first = disk.getvalue()
    assert b"secret" not in first
    spool.truncate(64)
    spool.seek(64)
    spool.write(b"secret" * 100)
    second = disk.getvalue()
    assert b"secret" not in second
    stream = bytes(a ^ b for a, b in zip(first[64:600], (b"secret" * 100)[64:], strict=True))
    again = bytes(a ^ b for a, b in zip(second[64:600], b"secret" * 100, strict=False))
    assert stream != again
    spool.seek(0)
    assert spool.read() == (b"secret" * 100)[:64] + b"secret" * 100


def test_spool_takes_a_new_key_where_a_write_failed() -> None:
    class Full(io.BytesIO):
        full = True

        def write(self, data: bytes, /) -> int:  # type: ignore[override] # the bases differ in how they name a buffer
            size = super().write(data)  # the disk has taken it, or a part, and says that it failed
            if self.full:
                raise OSError(errno.ENOSPC, "full")
            return size

    disk = Full()
    spool = EncryptedSpool(cast("IO[bytes]", disk))
    with pytest.raises(OSError, match="full"):
        spool.write(bytes(100))
    lost, disk.full = disk.getvalue(), False
    spool.write(bytes(100))
    assert disk.getvalue() != lost
    spool.seek(0)
    assert spool.read() == bytes(100)


def test_spool_grows_at_its_end_only() -> None:
    spool = EncryptedSpool(io.BytesIO())
    spool.write(b"0123456789")
    spool.seek(3)
    with pytest.raises(OSError, match="end"):
        spool.write(b"x")
    with pytest.raises(OSError, match="grows"):
        spool.truncate(11)


def test_files_of_an_encrypting_maker_close_what_they_write_to() -> None:
    made: list[IO[bytes]] = []

    def make() -> IO[bytes]:
        made.append(tempfile.TemporaryFile())  # noqa: SIM115 - what is tested closes it
        return made[-1]

    with encrypted(make)() as spool:
        spool.write(b"x")
        with pytest.raises(OSError, match="fileno"):
            spool.fileno()  # whoever had it could copy ciphertext in the belief that it is plain
    assert made[0].closed
