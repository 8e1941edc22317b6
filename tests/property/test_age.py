"""What holds for every input of the envelope."""

from __future__ import annotations

import io
import os
from typing import IO, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wmbackup.age import bech32
from wmbackup.age.envelope import NewEnvelope, SealedEnvelope
from wmbackup.age.header import Header, Stanza, encode, parse
from wmbackup.age.key_files import parse_identities, parse_recipients
from wmbackup.age.keys import X25519Identity, check_stanzas
from wmbackup.age.magic import MAGIC
from wmbackup.age.spool import EncryptedSpool
from wmbackup.age.stream import CHUNK, plain_size, sealed_size
from wmbackup.errors import ExitCode, WmbackupError

IDENTITY = X25519Identity.generate()
KEY = bytes(16)
words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
stanzas = st.builds(Stanza, words, st.lists(words, max_size=3).map(tuple), st.binary(max_size=200))
headers = st.lists(stanzas, min_size=1, max_size=5).map(lambda some: encode(some, KEY))
SEALED = io.BytesIO()
PLAIN = os.urandom(3 * CHUNK + 1000)
_STREAM = NewEnvelope([IDENTITY.recipient]).begin(SEALED)
_STREAM.write(PLAIN)
_STREAM.finish()


def read_all(sealed: bytes, length: int | None) -> tuple[bytes, WmbackupError | None]:
    """Return what was released, and the error that ended it."""
    found = b""
    try:
        stream = SealedEnvelope(io.BytesIO(sealed), length).open([IDENTITY]).stream
        while data := stream.read(CHUNK):
            found += data
    except WmbackupError as error:
        return found, error
    return found, None


@given(headers, st.binary(max_size=40))
def test_header_that_was_written_is_read(text: bytes, rest: bytes) -> None:
    found = parse(io.BytesIO(text + rest).read)
    found.verify(KEY)
    assert found.size == len(text)
    assert found.rest == rest


@given(headers, st.data())
def test_header_that_parses_is_the_one_that_would_be_written(
    text: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    text = text[:at] + data.draw(st.binary(max_size=3)) + text[at + data.draw(st.integers(0, 2)) :]
    try:
        found: Header = parse(io.BytesIO(text).read)
        check_stanzas(found.stanzas)
    except WmbackupError:
        return
    written = MAGIC + b"".join(stanza.encode() for stanza in found.stanzas) + b"---"
    assert text[: found.size].startswith(written + b" ")
    assert found.signed == written


@given(st.binary(max_size=300))
@example(MAGIC)
@example(MAGIC + b"-> X25519\n\n--- \n")
def test_any_bytes_are_a_header_or_an_error_of_ours(text: bytes) -> None:
    for beginning in (b"", MAGIC, MAGIC + b"-> X25519 "):
        _, error = read_all(beginning + text, len(beginning + text))
        assert error is not None
        assert error.exit_code in {4, 6, 7}


@given(st.text(max_size=80))
def test_any_text_is_a_key_file_or_a_value_error_without_it(text: str) -> None:
    for read in (parse_identities, parse_recipients):
        with pytest.raises(ValueError, match=r"^line|^there is no"):
            read(text)


@given(st.sampled_from(["age", "age-secret-key-", "a1b"]), st.binary(max_size=60))
def test_bech32_returns_what_was_encoded(prefix: str, data: bytes) -> None:
    text = bech32.encode(prefix, data)
    assert bech32.decode(text) == (prefix, data)
    assert bech32.decode(text.upper()) == (prefix.upper(), data)


@given(st.binary(min_size=32, max_size=32), st.data())
def test_bech32_with_up_to_four_wrong_letters_is_refused(raw: bytes, data: st.DataObject) -> None:
    text = bech32.encode("age", raw)
    letters = list(text)
    wrong = data.draw(st.sets(st.integers(4, len(text) - 1), min_size=1, max_size=4))
    for at in wrong:
        others = [letter for letter in "qpzry9x8gf2tvdw0s3jn54khce6mua7l" if letter != text[at]]
        letters[at] = data.draw(st.sampled_from(others))
    with pytest.raises(ValueError, match="not Bech32"):
        bech32.decode("".join(letters))


@given(st.integers(0, 5 * CHUNK))
def test_sizes_are_each_others_inverse(size: int) -> None:
    assert plain_size(sealed_size(size)) == size


steps = st.lists(
    st.tuples(st.integers(0, len(PLAIN) + CHUNK), st.integers(0, 3 * CHUNK)), max_size=6
)


@given(steps)
def test_reading_to_and_fro_is_reading_the_plain_bytes(moves: list[tuple[int, int]]) -> None:
    sealed = SEALED.getvalue()
    stream = SealedEnvelope(io.BytesIO(sealed), len(sealed)).open([IDENTITY]).stream
    for offset, size in moves:
        assert stream.seek(offset) == offset
        found = b""
        while len(found) < size and (data := stream.read(size - len(found))):
            found += data
        assert found == PLAIN[offset : offset + size]
        assert stream.tell() == offset + len(found)


@given(st.lists(st.integers(1, 2 * CHUNK), min_size=1, max_size=5))
def test_a_pipe_gives_the_plain_bytes_in_order(sizes: list[int]) -> None:
    stream = SealedEnvelope(io.BytesIO(SEALED.getvalue())).open([IDENTITY]).stream
    found, at = b"", 0
    while data := stream.read(sizes[at % len(sizes)]):
        found += data
        at += 1
    assert found == PLAIN


@given(st.integers(0, len(SEALED.getvalue()) - 1))
def test_truncated_anywhere_it_is_refused(size: int) -> None:
    sealed = SEALED.getvalue()[:size]
    for length in (None, size):
        found, error = read_all(sealed, length)
        assert error is not None
        assert error.exit_code is ExitCode.DAMAGED
        assert PLAIN.startswith(found)
        assert length is None or not found


@given(st.integers(0, len(SEALED.getvalue()) - 1), st.integers(1, 255))
def test_no_changed_byte_gets_through(at: int, difference: int) -> None:
    sealed = bytearray(SEALED.getvalue())
    sealed[at] ^= difference
    for length in (None, len(sealed)):
        found, error = read_all(bytes(sealed), length)
        assert error is not None
        assert PLAIN.startswith(found)


spool_steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.binary(max_size=200)),
        st.tuples(st.just("truncate"), st.integers(0, 600)),
        st.tuples(st.just("read"), st.integers(0, 600)),
    ),
    max_size=20,
)


@given(spool_steps)
def test_encrypted_spool_is_a_file_that_grows_at_its_end(
    moves: list[tuple[str, int | bytes]],
) -> None:
    disk, model = io.BytesIO(), io.BytesIO()
    spool = EncryptedSpool(cast("IO[bytes]", disk))
    for move, value in moves:
        if isinstance(value, bytes):
            for file in (spool, model):
                file.seek(0, os.SEEK_END)
                file.write(value)
        elif move == "truncate":
            for file in (spool, model):
                file.truncate(min(value, len(model.getvalue())))
        else:
            for file in (spool, model):
                file.seek(value)
            assert spool.read(100) == model.read(100)
    for file in (spool, model):
        file.seek(0)
    assert spool.read() == model.read()
    assert len(disk.getvalue()) == len(model.getvalue())
