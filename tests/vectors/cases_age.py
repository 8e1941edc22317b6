"""Age files that an archive's envelope has to open, or to refuse; see README.md, ENVELOPES.

The kinds are those of the age specification's own vectors; every file here is our own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import forge_age
from forge_age import (
    CHUNK,
    IDENTITY,
    NONCE,
    OTHER_IDENTITY,
    PASSPHRASE,
    SALT,
    Draft,
    b64,
    lines,
    scrypt,
    scrypt_parts,
    stream,
    x25519,
    x25519_parts,
)

TEXT = b"age"
_FULL = bytes(range(256)) * 256  # one chunk
_SHARE, _BODY = x25519_parts()
_KEPT = ("second-missing", "bad-tag-second")
_LOW_ORDER = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """An age file, who tries to open it, and what has to come of it.

    ``released`` is the plaintext before the verdict, from a pipe; ``seekable`` that of a file.
    A variant is tested, and no file of it is kept.
    """

    name: str
    comment: str
    age: bytes
    expect: str = "damaged"
    released: bytes = b""
    seekable: bytes | None = None
    identities: tuple[str, ...] = (IDENTITY,)
    passphrase: bytes | None = None
    variant: bool = False

    def encode(self) -> bytes:
        """The file."""
        seekable = self.released if self.seekable is None else self.seekable
        rows = [
            f"comment: {self.comment}",
            f"expect: {self.expect}",
            f"released: {hashlib.sha256(self.released).hexdigest()}",
            f"seekable-released: {hashlib.sha256(seekable).hexdigest()}",
            *(f"identity: {one}" for one in self.identities),
        ]
        if self.passphrase is not None:
            rows.append(f"passphrase: {self.passphrase.decode()}")
        return "\n".join(rows).encode() + b"\n\n" + self.age


def _ok(
    name: str, comment: str, draft: Draft, identities: tuple[str, ...] = (IDENTITY,)
) -> Envelope:
    return Envelope(
        name=f"ok-{name}",
        comment=comment,
        age=draft.encode(),
        expect="ok",
        released=draft.payload,
        variant=len(draft.payload) > CHUNK // 2,
        identities=identities,
    )


def _bad(name: str, comment: str, age: bytes, expect: str = "damaged") -> Envelope:
    return Envelope(name=name, comment=comment, age=age, expect=expect)


def _locked(name: str, comment: str, stanzas: bytes, expect: str = "damaged") -> Envelope:
    return Envelope(
        name=name,
        comment=comment,
        age=Draft(stanzas=stanzas).encode(),
        expect=expect,
        released=TEXT if expect == "ok" else b"",
        identities=(),
        passphrase=PASSPHRASE,
    )


def _stanza(first: bytes, body: bytes = b"") -> bytes:
    return first + b"\n" + lines(body)


def _header() -> Iterator[Envelope]:
    good = Draft().encode()
    crlf = Draft().header().replace(b"\n", b"\r\n") + good[len(Draft().header()) :]
    yield _bad("header-crlf", "the lines of the header end as those of Windows", crlf)
    yield _bad("header-blank-line", "a blank line before the version", b"\n" + good)
    for version in (b"v2", b"v1234"):
        other = Draft(version=b"age-encryption.org/" + version + b"\n").encode()
        yield _bad(f"version-{version.decode()}", "another version", other, "unsupported")
    for name, version in (
        ("version-space", b"age-encryption.org/v1 \n"),
        ("version-upper-case", b"age-encryption.org/V1\n"),
        ("version-v01", b"age-encryption.org/v01x\n"),
        ("version-none", b"age-encryption.org/\n"),
    ):
        yield _bad(name, "the first line is not the version", Draft(version=version).encode())
    yield _bad("no-stanzas", "no recipient", Draft(stanzas=b"").encode())
    armor = b"-----BEGIN AGE ENCRYPTED FILE-----\n" + base64.encodebytes(good)
    armor += b"-----END AGE ENCRYPTED FILE-----\n"
    yield _bad("armored", "an armored age file", armor, "armored")
    yield _bad("armored-crlf", "the same of Windows", armor.replace(b"\n", b"\r\n"), "armored")
    yield _bad("armored-blank-lines", "blank lines before it", b"\n \r\n" + armor, "armored")
    for at, where in ((10, "version"), (40, "stanza"), (len(Draft().header()) - 3, "mac")):
        yield _bad(f"truncated-in-{where}", f"the end in the {where}", good[:at], "truncated")
    many = b"".join(_stanza(b"-> many", b"x") for _ in range(511))
    most = Draft(stanzas=many + x25519())
    yield Envelope(
        name="ok-most-stanzas", comment="512 stanzas", age=most.encode(), expect="ok",
        released=TEXT, variant=True,
    )  # fmt: skip
    more = Draft(stanzas=many + _stanza(b"-> many") + x25519()).encode()
    yield Envelope(name="stanzas-513", comment="one more than 512", age=more, variant=True)
    long = Draft(stanzas=_stanza(b"-> long " + b"x" * 8185) + x25519()).encode()
    yield Envelope(name="line-8193", comment="a line above 8,192 bytes", age=long, variant=True)
    large = b"".join(_stanza(b"-> large " + b"x" * 8000) for _ in range(17))
    age = Draft(stanzas=large + x25519()).encode()
    yield Envelope(name="header-136-kib", comment="above 128 KiB", age=age, variant=True)


def _mac() -> Iterator[Envelope]:
    def with_mac(name: str, comment: str, draft: Draft) -> Envelope:
        return _bad(f"mac-{name}", comment, draft.encode())

    def flipped(mac: bytes) -> bytes:
        return mac[:5] + (b"A" if mac[5:6] != b"A" else b"B") + mac[6:]

    yield with_mac("wrong", "the MAC is another one", Draft(mac=flipped))
    yield with_mac("missing", "no MAC", Draft(mac=lambda _: b""))
    yield with_mac("empty", "a space and no MAC", Draft(mac=lambda _: b" "))
    yield with_mac("no-space", "no space before it", Draft(mac=lambda mac: mac[1:]))
    yield with_mac("two-spaces", "two spaces before it", Draft(mac=lambda mac: b" " + mac))
    yield with_mac("space-after", "a space after it", Draft(mac=lambda mac: mac + b" "))
    yield with_mac("text-after", "more after it", Draft(mac=lambda mac: mac + b" AAAA"))
    yield with_mac("padded", "padding", Draft(mac=lambda mac: mac + b"="))
    yield with_mac("truncated", "31 bytes", Draft(mac=lambda mac: mac[:-2] + b"A"))
    yield with_mac("longer", "33 bytes", Draft(mac=lambda mac: mac + b"A"))
    yield with_mac("bits", "bits behind its end are set", Draft(mac=_with_stray_bits))
    yield with_mac("cr", "a carriage return after it", Draft(end=b"\r\n"))
    added = Draft().encode().replace(b"\n-> X25519", b"\n" + _stanza(b"-> x") + b"-> X25519", 1)
    yield _bad("mac-stanza-added", "a stanza was added", added)
    good, both = Draft(), Draft(stanzas=x25519() + x25519(OTHER_IDENTITY, seed=b"2"))
    removed = both.encode().replace(both.stanzas, good.stanzas, 1)
    yield _bad("mac-stanza-removed", "a stanza was removed", removed)


def _with_stray_bits(text: bytes) -> bytes:
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:-1] + bytes([letters[letters.index(text[-1]) | 1]])


def _stanzas() -> Iterator[Envelope]:
    def beside(other: bytes) -> Draft:
        return Draft(stanzas=other + x25519())

    yield _ok("stanza-unknown", "a stanza of another type", beside(_stanza(b"-> fruit a b", b"x")))
    yield _ok("stanza-empty-body", "one with an empty body", beside(_stanza(b"-> empty")))
    yield _ok(
        "stanza-full-line", "48 bytes, then an empty line", beside(_stanza(b"-> x", SALT * 3))
    )
    signs = bytes(range(0x21, 0x7F))
    yield _ok("stanza-all-signs", "every sign that may be", beside(_stanza(b"-> " + signs, b"x")))
    yield _ok("stanza-grease", "grease", beside(_stanza(b"-> Q1-grease /(* 1", b"grease" * 20)))

    def bad(name: str, comment: str, other: bytes) -> Envelope:
        return _bad(f"stanza-{name}", comment, beside(other).encode())

    yield bad("no-type", "no type", b"->\n\n")
    yield bad("no-type-space", "no type behind the space", b"-> \n\n")
    yield bad("empty-argument", "an empty argument", b"-> x  y\n\n")
    yield bad("space-after", "a space at the end", b"-> x \n\n")
    yield bad("bad-start", "another arrow", b"-- x\n\n")
    yield bad("no-space", "no space after the arrow", b"->x\n\n")
    yield bad("character", "a character that is not ASCII", b"-> \xc3\xa9\n\n")
    yield bad("control", "a control character", b"-> x\x7f\n\n")
    yield bad("tab", "a tab between arguments", b"-> x\ty\n\n")
    yield bad("cr", "a carriage return", b"-> x\r\n\n")
    yield bad("no-body", "no body", b"-> x\n")
    yield bad("no-last-line", "64 columns and no line after them", b"-> x\n" + b"A" * 64 + b"\n")
    yield bad("long-line", "66 columns", b"-> x\n" + b"A" * 66 + b"\n\n")
    yield bad("short-lines", "two short lines", b"-> x\nAAAA\nAAAA\n")
    yield bad("blank-last-line", "an empty line too many", b"-> x\nAAAA\n\n")
    yield bad("padding", "base64 with padding", b"-> x\nQQ==\n")
    yield bad("bits", "bits behind the end", b"-> x\nQR\n")
    yield bad("one-letter", "one letter of base64", b"-> x\nQ\n")
    yield bad("url-alphabet", "the alphabet of addresses", b"-> x\n-_-_\n")
    yield bad("space-in-body", "a space in the body", b"-> x\nAA AA\n")


def _x25519() -> Iterator[Envelope]:
    yield _ok("x25519", "one recipient", Draft())
    other = x25519(OTHER_IDENTITY, seed=b"2")
    yield _ok("x25519-second", "the second of two recipients", Draft(stanzas=other + x25519()))
    both = OTHER_IDENTITY, IDENTITY
    yield _ok("x25519-second-identity", "the second of two identities", Draft(), identities=both)
    yield _bad("x25519-no-match", "for another", Draft(stanzas=other).encode(), "undecryptable")
    yield Envelope(
        name="x25519-no-identity", comment="nobody to open it", age=Draft().encode(),
        expect="undecryptable", identities=(),
    )  # fmt: skip
    yield Envelope(
        name="x25519-passphrase", comment="a passphrase for what has recipients",
        age=Draft().encode(), expect="undecryptable", identities=(), passphrase=PASSPHRASE,
    )  # fmt: skip

    def stanza(share: bytes, body: bytes, kind: bytes = b"X25519") -> bytes:
        return b"-> " + kind + b" " + share + b"\n" + body

    good, share = lines(_BODY), b64(_SHARE)
    lower = Draft(stanzas=stanza(share, good, b"x25519")).encode()
    yield _bad("x25519-lower-case", "its type is another one", lower, "undecryptable")
    flipped = bytes([_BODY[0] ^ 1]) + _BODY[1:]
    tag = Draft(stanzas=stanza(share, lines(flipped))).encode()
    yield _bad("x25519-bad-tag", "the file key does not authenticate", tag, "undecryptable")

    def bad(name: str, comment: str, stanzas: bytes) -> Envelope:
        return _bad(f"x25519-{name}", comment, Draft(stanzas=stanzas).encode())

    yield bad("no-share", "no share", b"-> X25519\n" + good)
    yield bad("extra-argument", "a second argument", stanza(share + b" x", good))
    yield bad("short-share", "31 bytes", stanza(b64(_SHARE[:31]), good))
    yield bad("long-share", "33 bytes", stanza(b64(_SHARE + b"\0"), good))
    yield bad("share-bits", "bits behind the share", stanza(_with_stray_bits(share), good))
    yield bad("share-padded", "a share with padding", stanza(share + b"=", good))
    yield bad(
        "body-bits", "bits behind the body", stanza(share, _with_stray_bits(b64(_BODY)) + b"\n")
    )
    yield bad("identity-point", "a share of zeros", stanza(b64(bytes(32)), good))
    yield bad("low-order", "a share of low order", stanza(b64(_LOW_ORDER), good))
    yield bad("long-file-key", "a file key of 32 bytes", x25519(file_key=forge_age.FILE_KEY * 2))
    yield bad("short-file-key", "a file key of 15 bytes", x25519(file_key=forge_age.FILE_KEY[:15]))
    malformed = x25519() + stanza(share + b" x", good)
    yield bad("other-malformed", "the stanza of another is malformed", malformed)


def _scrypt() -> Iterator[Envelope]:
    yield _locked("ok-scrypt", "a passphrase", scrypt(), "ok")
    yield Envelope(
        name="scrypt-no-passphrase", comment="nobody gives a passphrase",
        age=Draft(stanzas=scrypt()).encode(), expect="undecryptable",
    )  # fmt: skip
    yield Envelope(
        name="scrypt-other-passphrase", comment="another passphrase", identities=(),
        age=Draft(stanzas=scrypt()).encode(), expect="undecryptable", passphrase=b"wrong",
    )  # fmt: skip
    upper = scrypt().replace(b"scrypt", b"Scrypt", 1)
    yield _locked("scrypt-upper-case", "its type is another one", upper, "undecryptable")
    yield _locked("scrypt-and-x25519", "a recipient beside it", scrypt() + x25519())
    yield _bad("x25519-and-scrypt", "the same", Draft(stanzas=x25519() + scrypt()).encode())
    yield _locked("scrypt-and-unknown", "an unknown one beside it", scrypt() + _stanza(b"-> x"))
    yield _locked("scrypt-twice", "two passphrases", scrypt() + scrypt(salt=NONCE))
    body, salt = lines(scrypt_parts()), b64(SALT)

    def bad(name: str, comment: str, arguments: bytes, body: bytes = body) -> Envelope:
        stanza = b"-> scrypt" + arguments + b"\n" + body
        return _locked(f"scrypt-{name}", comment, stanza)

    yield bad("no-arguments", "no arguments", b"")
    yield bad("no-work", "no work factor", b" " + salt)
    yield bad("no-salt", "no salt", b" 10")
    yield bad("extra-argument", "a third argument", b" " + salt + b" 10 x")
    yield bad("short-salt", "15 bytes", b" " + b64(SALT[:15]) + b" 10")
    yield bad("long-salt", "17 bytes", b" " + b64(SALT + b"\0") + b" 10")
    yield bad("salt-bits", "bits behind the salt", b" " + _with_stray_bits(salt) + b" 10")
    yield bad("body-bits", "bits behind the body", b" " + salt + b" 10",
              _with_stray_bits(b64(scrypt_parts())) + b"\n")  # fmt: skip
    for name, work in (
        *(("21", b"21"), ("23", b"23"), ("64", b"64"), ("99999", b"99999")),
        ("overflow", b"18446744073709551626"),
        *(("0", b"0"), ("leading-zero", b"010"), ("plus", b"+10"), ("minus", b"-10")),
        *(("hex", b"0xa"), ("text-before", b"a10"), ("text-after", b"10a"), ("point", b"10.0")),
    ):
        yield bad(f"work-{name}", f"the work factor is {work.decode()}", b" " + salt + b" " + work)
    wrong = scrypt(said=b"11")
    yield _locked("scrypt-work-other", "another work factor", wrong, "undecryptable")
    long = lines(scrypt_parts(file_key=forge_age.FILE_KEY * 2))
    yield bad("long-file-key", "a file key of 32 bytes", b" " + salt + b" 10", long)


def _stream() -> Iterator[Envelope]:
    yield _ok("empty-payload", "nothing in it", Draft(payload=b""))
    for size, name in (
        *((CHUNK - 1, "chunk-less-1"), (CHUNK, "chunk"), (CHUNK + 1, "chunk-and-1")),
        *((2 * CHUNK, "two-chunks"), (2 * CHUNK + 1, "two-chunks-and-1")),
    ):
        payload = (_FULL * 3)[:size]
        yield _ok(name, f"{size} bytes", Draft(payload=payload))

    def bad(
        name: str, comment: str, sealed: bytes, expect: str = "damaged", released: bytes = b"",
        nonce: bytes = NONCE, seekable: bytes | None = b"",
    ) -> Envelope:  # fmt: skip
        return Envelope(
            name=f"stream-{name}",
            comment=comment,
            age=Draft(sealed=sealed, nonce=nonce).encode(),
            expect=expect,
            released=released,
            seekable=seekable,
            variant=len(sealed) > CHUNK and name not in _KEPT,
        )

    one, two = stream([TEXT]), stream([_FULL, TEXT])
    yield bad("no-nonce", "nothing behind the header", b"", "truncated", nonce=b"")
    yield bad("short-nonce", "15 bytes", b"", "truncated", nonce=NONCE[:15])
    yield bad("no-chunks", "a nonce alone", b"", "truncated")
    yield bad("no-tag", "a tag that is too short", one[:10], "truncated")
    yield bad("short-tag", "the last byte is missing", one[:-1])
    yield bad("bad-tag", "another bit in the tag", one[:-1] + bytes([one[-1] ^ 1]))
    yield bad("bad-byte", "another bit in the data", bytes([one[0] ^ 1]) + one[1:])
    yield bad(
        "not-last", "the only chunk is not marked as the last", stream([TEXT], ()), "truncated"
    )
    yield bad("bytes-after", "bytes after the last chunk", one + b"age")
    yield bad("tag-after", "an empty chunk after the last", stream([TEXT, b""], (0, 1)))
    alone = stream([_FULL], ())
    yield bad("full-not-last", "a full chunk and no last", alone, "truncated", _FULL)
    second = "the first of two", _FULL
    flipped = two[:-1] + bytes([two[-1] ^ 1])
    yield bad("bad-tag-second", second[0], flipped, released=second[1])
    yield bad("second-missing", "the last chunk is missing", two[: CHUNK + 16], "truncated", _FULL)
    cut = two[: CHUNK + 16 + 10]
    yield bad("second-short", "and 10 bytes of it are there", cut, "truncated", released=_FULL)
    yield bad("empty-last", "a last chunk without data", stream([_FULL, b""]), "truncated", _FULL)
    yield bad("two-last", "both are marked", stream([_FULL, TEXT], (0, 1)), released=_FULL)
    no_last = stream([_FULL, TEXT], ())
    yield bad("second-not-last", "none is marked", no_last, "truncated", _FULL)
    short = stream([_FULL[:-1], TEXT])
    yield bad("short-chunk", "a chunk that is not full before another", short)
    three = stream([_FULL, _FULL, TEXT])
    size = CHUNK + 16
    swapped = three[size : 2 * size] + three[:size] + three[2 * size :]
    yield bad("swapped", "two chunks in another order", swapped, seekable=b"")
    twice = three[:size] + three[:size] + three[2 * size :]
    yield bad("repeated", "one chunk twice", twice, released=_FULL, seekable=_FULL)
    first = bytes([three[0] ^ 1]) + three[1:]
    yield bad("bad-first", "the first of three is damaged", first)
    at = size + 5
    middle = three[:at] + bytes([three[at] ^ 1]) + three[at + 1 :]
    yield bad(
        "bad-middle", "the second of three is damaged", middle, released=_FULL, seekable=_FULL
    )
    full = _FULL * 2
    yield bad("two-missing-third", "the border of the third", three[: 2 * size], "truncated", full)
    both_full = stream([_FULL, _FULL], (0, 1))
    yield bad("two-last-full", "two full chunks are marked", both_full, released=_FULL)
    long = stream(forge_age.chunks(full[:70000])) + full[:70000]
    yield bad("long-after", "70,000 bytes behind the last", long, released=_FULL)


def envelopes() -> dict[str, Envelope]:
    """All of them, by name. Raises ValueError where two have one name."""
    found: dict[str, Envelope] = {}
    for group in (_header, _mac, _stanzas, _x25519, _scrypt, _stream):
        for one in group():
            if one.name in found:
                raise ValueError(f"{one.name} is there twice")
            found[one.name] = one
    return found
