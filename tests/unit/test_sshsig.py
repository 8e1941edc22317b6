from __future__ import annotations

import base64
import hashlib
import struct

import pytest

from tests.archives import MAKER, private, public
from wmbackup.archive import sshsig
from wmbackup.errors import ArchiveDamaged

MESSAGE = b"what is signed\n"
L = 2**252 + 27742317777372353535851937790883648493  # the order of the group, RFC 8032


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def blob(
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    key_type: bytes = b"ssh-ed25519",
    key: bytes = public(1),
    namespace: bytes = b"archive@wmbackup",
    reserved: bytes = b"",
    hashed: bytes = b"sha512",
    signature_type: bytes = b"ssh-ed25519",
    signature: bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    # PROTOCOL.sshsig typed in once more; every argument is one thing to get wrong.
    if signature is None:
        digest = hashlib.new(hashed.decode(), MESSAGE).digest()
        rest = string(namespace) + string(reserved) + string(hashed) + string(digest)
        signature = MAKER.sign(b"SSHSIG" + rest)
    return b"".join(
        (
            magic + struct.pack(">I", version),
            string(string(key_type) + string(key)),
            string(namespace) + string(reserved) + string(hashed),
            string(string(signature_type) + string(signature)) + tail,
        )
    )


def armor(content: bytes, columns: int = 70) -> bytes:
    text = base64.b64encode(content).decode()
    lines = [text[at : at + columns] for at in range(0, len(text), columns)]
    frame = ("-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----")
    return "".join(f"{line}\n" for line in frame).encode()


def test_a_signature_has_the_bytes_of_the_specification() -> None:
    armored = sshsig.sign(MAKER, MESSAGE)
    assert armored == armor(blob())
    assert len(armored) == sshsig.ARMORED_SIZE == 310
    assert [len(line) for line in armored.split(b"\n")] == [29, 70, 70, 70, 38, 27, 0]
    assert len(blob()) == 186


def test_the_signer_is_the_key_that_signed() -> None:
    assert sshsig.signer(sshsig.sign(MAKER, MESSAGE), MESSAGE) == public(1)
    assert sshsig.public_of(MAKER) == public(1)


@pytest.mark.parametrize(
    "content",
    [
        blob(magic=b"SSHSIH"),
        blob(version=2),
        blob(key_type=b"ssh-ed448"),
        blob(key=public(2)),
        blob(key=public(1)[:-1]),
        blob(key=bytes(32)),
        blob(namespace=b"file"),
        blob(namespace=b"archive@wmbackuq"),
        blob(namespace=b""),
        blob(reserved=b"x"),
        blob(hashed=b"sha256"),
        blob(signature_type=b"ssh-ed448"),
        blob(signature=bytes(64)),
        blob(signature=bytes(63)),
        blob(signature=bytes(65)),
        blob(tail=b"\0"),
        blob()[:-1],
        b"",
    ],
)
def test_any_other_blob_is_refused(content: bytes) -> None:
    with pytest.raises(ArchiveDamaged):
        sshsig.signer(armor(content), MESSAGE)


@pytest.mark.parametrize(
    "armored",
    [
        armor(blob(), columns=76),
        armor(blob(), columns=64),
        armor(blob(), columns=1000),
        armor(blob())[:-1],
        armor(blob()) + b"\n",
        b"\n" + armor(blob()),
        armor(blob()).replace(b"\n", b"\r\n"),
        armor(blob()).replace(b" SSH ", b" PGP "),
        armor(blob()).replace(b"END", b"end"),
        armor(blob()).replace(b"U1NI", b"U1N*"),
        armor(blob()).replace(b"U1NI", b"U1N\xff"),
        armor(blob()).replace(b"U1NI", b" U1NI"),
        armor(blob())[:100],
        b"",
        bytes(310),
    ],
)
def test_any_other_armor_is_refused(armored: bytes) -> None:
    with pytest.raises(ArchiveDamaged):
        sshsig.signer(armored, MESSAGE)


def test_another_message_is_refused() -> None:
    with pytest.raises(ArchiveDamaged, match="does not fit"):
        sshsig.signer(sshsig.sign(MAKER, MESSAGE), MESSAGE + b"\n")


def test_s_plus_the_order_of_the_group_is_refused() -> None:
    good = blob()
    s = int.from_bytes(good[-32:], "little") + L
    with pytest.raises(ArchiveDamaged, match="does not fit"):
        sshsig.signer(armor(good[:-32] + s.to_bytes(32, "little")), MESSAGE)


def test_every_flipped_bit_of_a_signature_is_refused() -> None:
    armored = sshsig.sign(MAKER, MESSAGE)
    for at in range(len(armored)):
        for bit in range(8):
            flipped = bytearray(armored)
            flipped[at] ^= 1 << bit
            with pytest.raises(ArchiveDamaged):
                sshsig.signer(bytes(flipped), MESSAGE)


def test_a_public_line_reads_back() -> None:
    line = sshsig.public_line(public(1))
    key_type, encoded = line.split()
    assert line.startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")
    assert base64.b64decode(encoded) == sshsig.public_blob(public(1))
    assert sshsig.parse_public(key_type, encoded) == public(1)


def test_keys_of_other_types_are_passed_over() -> None:
    assert sshsig.parse_public("ssh-rsa", "anything at all") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        string(b"ssh-ed25519") + string(bytes(31)),
        string(b"ssh-ed25519") + string(bytes(33)),
        string(b"ssh-ed25519") + string(bytes(32)) + b"\0",
        string(b"ssh-rsa") + string(bytes(32)),
        string(b"ssh-ed25519") + struct.pack(">I", 33) + bytes(32),
    ],
)
def test_what_says_that_it_is_ed25519_has_to_be(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        sshsig.parse_public("ssh-ed25519", base64.b64encode(content).decode())


@pytest.mark.parametrize("encoded", ["", "AAAA*", "é", "AAA", " "])
def test_a_key_that_is_not_base64_is_refused(encoded: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        sshsig.parse_public("ssh-ed25519", encoded)


def test_a_fingerprint_is_the_hash_of_the_blob_without_padding() -> None:
    digest = hashlib.sha256(sshsig.public_blob(public(3))).digest()
    wanted = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    assert sshsig.fingerprint(sshsig.public_of(private(3))) == wanted
    assert len(wanted) == 50
