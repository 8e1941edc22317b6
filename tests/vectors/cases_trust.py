"""Signatures that do not hold, and signers who are not believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cases_good import one, three
from forge import (
    COSIGNER,
    CREATED,
    MAKER,
    SECOND,
    STRANGER,
    TAGGED,
    Draft,
    Key,
    Sshsig,
    armor,
    find,
    replace_once,
    sha256,
)
from forge import stream as joined
from vector import Vector, Vectors, damaged, keep

Sign = Callable[[Key, bytes], bytes]

# An ECDSA key can sign no archive, and its line is passed over. Its point is the curve's generator.
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5W"
    "OkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="
)


# The vectors of each group that are kept as files.
KEPT_SIGNATURES = """
    signature-namespace-same-length signature-sha256 signature-reserved signature-key-type
    signature-signature-type signature-trailing-bytes signature-armor-width
    signature-armor-crlf signature-s-plus-l signature-flipped signature-other-bytes
    signature-key-replaced signature-by-other-key cosigner-flipped
"""
KEPT_SIGNED_BYTES = """
    tag-manifest-hash-of-README tag-manifest-hash-of-bag-info tag-manifest-hash-of-bagit
    tag-manifest-hash-of-files tag-manifest-hash-of-licenses
    tag-manifest-hash-of-manifest-sha256 changed-bag-info changed-manifest-sha256
    tag-manifest-upper-case bagit-other readme-other
"""
KEPT_TIMES = """
    untrusted-time-expired untrusted-time-before-equal untrusted-time-not-yet-valid
    ok-time-after-equal untrusted-time-cosigner-expired
"""
KEPT_REVOCATIONS = """
    untrusted-revoked-maker untrusted-revoked-maker-cosigned untrusted-revoked-cosigner
    ok-revoked-cosigner-unneeded
"""


def vectors() -> Vectors:
    """All of them."""
    yield from keep(KEPT_SIGNATURES, _signatures())
    yield from keep(KEPT_SIGNED_BYTES, _signed_bytes())
    yield from _believed()
    yield from _not_believed()
    yield from keep(KEPT_TIMES, _times())
    yield from keep(KEPT_REVOCATIONS, _revocations())
    yield from _counts()
    yield from _order()


def cosigned(*cosigners: Key) -> Draft:
    """The smallest archive with cosigners."""
    made = one()
    made.cosigners = cosigners
    return made


def _crlf(key: Key, message: bytes) -> bytes:
    return Sshsig().sign(key, message).replace(b"\n", b"\r\n")


def _altered(old: bytes, new: bytes) -> Sign:
    def sign(key: Key, message: bytes) -> bytes:
        return Sshsig().sign(key, message).replace(old, new)

    return sign


def _flipped(key: Key, message: bytes) -> bytes:
    text = Sshsig().sign(key, message)
    at = text.index(b"\n-----END") - 20
    return text[:at] + (b"A" if text[at : at + 1] != b"A" else b"B") + text[at + 1 :]


def _of_other_bytes(key: Key, message: bytes) -> bytes:
    return Sshsig().sign(key, message.replace(b"  ", b" *", 1))


def _key_replaced(key: Key, message: bytes) -> bytes:
    # The blob says MAKER, and STRANGER has signed: what it says is not what it proves.
    blob = Sshsig().blob(STRANGER, message).replace(STRANGER.public, key.public)
    return armor(blob)


def _signatures() -> Vectors:
    faults: dict[str, tuple[str, Sign]] = {
        "namespace": ("the namespace file", Sshsig(namespace=b"file").sign),
        "namespace-same-length": (
            "another namespace of 16 bytes",
            Sshsig(namespace=b"archive@wmbackuq").sign,
        ),
        "sha256": ("SHA-256 instead of SHA-512", Sshsig(algorithm=b"sha256").sign),
        "reserved": ("four reserved bytes", Sshsig(reserved=b"more").sign),
        "version": ("version 2 of SSHSIG", Sshsig(version=2).sign),
        "key-type": ("a public key of another type", Sshsig(key_type=b"ssh-ed25518").sign),
        "key-type-sk": (
            "a public key of a security key",
            Sshsig(key_type=b"sk-ssh-ed25519@openssh.com").sign,
        ),
        "signature-type": (
            "a signature of another type",
            Sshsig(signature_type=b"ssh-ed25518").sign,
        ),
        "trailing-bytes": ("three bytes behind the blob", Sshsig(trailing=b"abc").sign),
        "armor-width": ("an armor of 76 columns", Sshsig(columns=76).sign),
        "armor-crlf": ("an armor with CR and LF", _crlf),
        "armor-label": ("an armor with another label", _altered(b"SSH SIG", b"SSH-SIG")),
        "armor-no-last-line-feed": (
            "an armor without its last line feed",
            _altered(b"END SSH SIGNATURE-----\n", b"END SSH SIGNATURE-----"),
        ),
        "s-plus-l": ("S is larger by the order of the group", Sshsig(add_order=True).sign),
        "flipped": ("a digit of the signature is another one", _flipped),
        "other-bytes": ("a signature of other bytes", _of_other_bytes),
        "key-replaced": ("a signature by another key than the one in it", _key_replaced),
    }
    for name, (comment, sign) in faults.items():
        yield damaged(f"signature-{name}", comment, joined(one().members(maker=sign)))
    for name in ("namespace-same-length", "sha256", "s-plus-l", "flipped", "other-bytes"):
        comment, sign = faults[name]
        members = cosigned(COSIGNER, SECOND).members(cosigner=sign)
        yield damaged(f"cosigner-{name}", f"of the cosigners: {comment}", joined(members))
    made = Draft(one().files, maker=STRANGER)
    made.set(b"WMBackup-Signer", MAKER.fingerprint.encode())
    yield Vector(
        name="signature-by-other-key",
        comment="signed by another key than bag-info.txt names, and both are trusted",
        archive=made.archive(),
        trusted=(MAKER.trusted(), STRANGER.trusted()),
    )


def _signed_bytes() -> Vectors:
    for name in TAGGED:
        short = name.decode().partition(".")[0]
        made = one()
        made.listed[name] = b"%s  %s\n" % (sha256(b"something else"), name)
        yield damaged(
            f"tag-manifest-hash-of-{short}",
            f"the signed tag manifest has another SHA-256 for {name.decode()}",
            made.archive(),
        )
        changed = three()
        members = changed.members()
        member = members[find(members, name)]
        member.content = member.content[:-2] + b"x" + member.content[-1:]
        yield damaged(f"changed-{short}", f"{name.decode()} was changed", joined(members))
    readme = sha256(one().contents()[b"README.txt"])
    manifest = sha256(one().contents()[b"manifest-sha256.txt"])
    lines = {
        "upper-case": ("upper-case digits", readme.upper() + b"  README.txt\n"),
        "binary-mark": ("a space and an asterisk", readme + b" *README.txt\n"),
        "other-name": ("another name", readme + b"  README.TXT\n"),
        "cr": ("a CR for a line feed", readme + b"  README.txt\r"),
        "no-end": ("a space for the last line feed", manifest + b"  manifest-sha256.txt "),
    }
    for short, (comment, line) in lines.items():
        made = one()
        made.listed[TAGGED[5] if short == "no-end" else TAGGED[0]] = line
        yield damaged(f"tag-manifest-{short}", f"in the tag manifest: {comment}", made.archive())
    made = one()
    made.listed = {
        TAGGED[0]: b"%s  %s\n" % (sha256(made.contents()[TAGGED[1]]), TAGGED[1]),
        TAGGED[1]: b"%s  %s\n" % (sha256(made.contents()[TAGGED[0]]), TAGGED[0]),
    }
    yield damaged("tag-manifest-reordered", "two lines have changed places", made.archive())
    made = one()
    made.tags[b"bagit.txt"] = made.contents()[b"bagit.txt"].replace(b"1.0", b"0.9")
    yield damaged("bagit-other", "BagIt 0.9, signed", made.archive())
    made = one()
    made.tags[b"README.txt"] = made.contents()[b"README.txt"].replace(b"WHAT THIS", b"What This")
    yield damaged("readme-other", "another README.txt, signed", made.archive())


def _believed() -> Vectors:
    made = one()
    both = cosigned(COSIGNER)
    # A key on two lines and a principal with two keys: A has to take the second key for B to have
    # the first.
    pairs = (
        MAKER.trusted(principal="A"),
        COSIGNER.trusted(principal="A"),
        MAKER.trusted(principal="B"),
    )
    for name, comment, archive, trusted, required in (
        (
            "cosigner-alone",
            "the cosigner is trusted, the maker is not",
            both,
            (COSIGNER.trusted(),),
            1,
        ),
        ("no-options", "a line without options", made, (MAKER.trusted(),), 1),
        ("pairs", "two principals, for whom there is one way to take two keys", both, pairs, 2),
        (
            "namespace-pattern",
            "a pattern list that matches",
            made,
            (MAKER.trusted('namespaces="file,arch*@wm?ackup"'),),
            1,
        ),
        (
            "other-lines",
            "lines that are passed over beside one that is not",
            made,
            (f"rest {ECDSA}", STRANGER.trusted("cert-authority"), MAKER.trusted(), "# comment"),
            1,
        ),
    ):
        yield Vector(
            name=f"ok-trust-{name}",
            comment=comment,
            expect="ok",
            archive=archive.archive(),
            released=archive.data(),
            trusted=trusted,
            required=required,
        )


def _untrusted(name: str, comment: str, archive: bytes, *trusted: str) -> Vector:
    return Vector(
        name=f"untrusted-{name}",
        comment=comment,
        expect="untrusted",
        archive=archive,
        trusted=trusted,
    )


def _not_believed() -> Vectors:
    raw = one().archive()
    for name, comment, *trusted in (
        ("signer", "another key is trusted", STRANGER.trusted()),
        ("nobody", "no key is trusted"),
        ("cert-authority", "the line is one of an authority", MAKER.trusted("cert-authority")),
        ("namespace", "the line is for another namespace", MAKER.trusted('namespaces="file"')),
        (
            "namespace-negated",
            "the line's patterns exclude the namespace",
            MAKER.trusted('namespaces="!archive@wmbackup,*"'),
        ),
        ("other-key-type", "the line has a key of another type", f"maker {ECDSA}"),
    ):
        yield _untrusted(name, comment, raw, *trusted)


def _times() -> Vectors:
    made = one()
    if CREATED != "2007-01-30T12:00:00Z":
        raise ValueError("the times below are around another second")
    for name, comment, option, expect in (
        ("expired", "the key was valid until the day before", "before=20070129Z", "untrusted"),
        (
            "before-equal",
            "valid-before is the second of signing",
            "before=20070130120000Z",
            "untrusted",
        ),
        ("before-later", "valid-before is the next second", "before=20070130120001Z", "ok"),
        ("not-yet-valid", "the key is valid from the next day on", "after=20070131Z", "untrusted"),
        ("after-later", "valid-after is the next second", "after=20070130120001Z", "untrusted"),
        ("after-equal", "valid-after is the second of signing", "after=20070130120000Z", "ok"),
        ("after-minute", "valid-after in minutes", "after=200701301200Z", "ok"),
        ("before-minute", "valid-before in minutes", "before=200701301200Z", "untrusted"),
        ("long-ago", "valid long ago, when it was signed", "before=20080101Z", "ok"),
    ):
        word, _, value = option.partition("=")
        yield Vector(
            name=f"{expect}-time-{name}",
            comment=comment,
            expect=expect,
            archive=made.archive(),
            released=made.data() if expect == "ok" else b"",
            trusted=(MAKER.trusted(f'valid-{word}="{value}"'),),
        )
    both = cosigned(COSIGNER)
    old = COSIGNER.trusted('valid-before="20070101Z"')
    for name, comment, trusted, required, believed in (
        (
            "cosigner-expired",
            "two are required and the cosigner expired",
            (MAKER.trusted(), old),
            2,
            False,
        ),
        ("cosigner-expired-one", "one is enough", (MAKER.trusted(), old), 1, True),
        (
            "two-lines",
            "one line of the key expired, the other did not",
            (MAKER.trusted('valid-before="20070101Z"'), MAKER.trusted('valid-after="20070101Z"')),
            1,
            True,
        ),
    ):
        yield Vector(
            name=f"{'ok' if believed else 'untrusted'}-time-{name}",
            comment=comment,
            expect="ok" if believed else "untrusted",
            archive=both.archive(),
            released=both.data() if believed else b"",
            trusted=trusted,
            required=required,
        )


def _revocations() -> Vectors:
    made = cosigned(COSIGNER)
    both = (MAKER.trusted(), COSIGNER.trusted())
    for name, comment, trusted, revoked, required, expect in (
        ("maker", "the maker's key is trusted and revoked", both[:1], MAKER, 1, "untrusted"),
        ("maker-cosigned", "a trusted cosigner does not help", both, MAKER, 1, "untrusted"),
        ("cosigner", "two are required, the cosigner is revoked", both, COSIGNER, 2, "untrusted"),
        ("cosigner-alone", "the one who is trusted is revoked", both[1:], COSIGNER, 1, "untrusted"),
        ("cosigner-unneeded", "the cosigner is revoked, the maker enough", both, COSIGNER, 1, "ok"),
        ("stranger", "a key is revoked that did not sign", both, STRANGER, 2, "ok"),
    ):
        yield Vector(
            name=f"{expect}-revoked-{name}",
            comment=comment,
            expect=expect,
            archive=made.archive(),
            released=made.data() if expect == "ok" else b"",
            trusted=trusted,
            revoked=(revoked.line,),
            required=required,
        )


def _counts() -> Vectors:
    both = cosigned(COSIGNER)
    for name, comment, made, trusted in (
        ("too-few", "two are required, one signed", one(), (MAKER.trusted(), COSIGNER.trusted())),
        ("too-few-trusted", "two signed, one is trusted", both, (MAKER.trusted(),)),
        (
            "one-key-on-two-lines",
            "one key with two principals counts once",
            one(),
            (MAKER.trusted(principal="A"), MAKER.trusted(principal="B")),
        ),
        (
            "same-principals",
            "two keys with the same principals count once",
            both,
            (MAKER.trusted(principal="A"), COSIGNER.trusted(principal="A")),
        ),
        (
            "maker-is-cosigner",
            "the maker signed as a cosigner too",
            cosigned(MAKER),
            (MAKER.trusted(), COSIGNER.trusted()),
        ),
    ):
        yield Vector(
            name=f"untrusted-{name}",
            comment=comment,
            expect="untrusted",
            archive=made.archive(),
            trusted=trusted,
            required=2,
        )


def _order() -> Vectors:
    """Two faults each, because the rule is that the first one decides."""
    unknown = (STRANGER.trusted(),)
    expired = (MAKER.trusted('valid-before="20070101Z"'),)
    late = one()
    late.rows[0] = b"{}\n"
    version = one()
    version.set(b"WMBackup-Format", b"2")
    gap = cosigned(COSIGNER).members()
    gap[3].name = b"tagmanifest-sha256.txt.3.sig"
    cut = one().archive()[:-1024]
    stamped = one()
    stamped.time_stamp = bytes(100)
    in_stamp = joined(stamped.members()[:4], b"")[:-500]
    for name, comment, archive, trusted, expect in (
        (
            "signature-trust",
            "a bad signature by a stranger",
            joined(one().members(maker=_flipped)),
            unknown,
            "damaged",
        ),
        (
            "member-trust",
            "a gap behind the signature of a stranger",
            joined(gap),
            unknown,
            "damaged",
        ),
        (
            "trust-info",
            "a stranger's archive of another format",
            version.archive(),
            unknown,
            "untrusted",
        ),
        (
            "info-times",
            "another format by a key that expired",
            version.archive(),
            expired,
            "unsupported",
        ),
        (
            "times-rows",
            "an impossible row by a key that expired",
            late.archive(),
            expired,
            "untrusted",
        ),
        ("trust-end", "a stranger's archive without an end", cut, unknown, "untrusted"),
        (
            "trust-time-stamp",
            "a stranger's archive that is cut in its time stamp",
            in_stamp,
            unknown,
            "untrusted",
        ),
    ):
        yield Vector(
            name=f"order-{name}",
            comment=f"the first fault decides: {comment}",
            expect=expect,
            archive=archive,
            trusted=trusted,
        )
    members = one().members(maker=_flipped)
    yield Vector(
        name="order-cut-signature",
        comment="a bad signature, and the header behind it is cut: reading comes before judging",
        expect="truncated",
        archive=joined(members[:3], b"") + members[3].encode()[:100],
    )
    loose = one()
    loose.listed[TAGGED[0]] = loose.tag_manifest()[:64].upper() + b"  README.txt\n"
    members = loose.members()
    yield Vector(
        name="order-unsigned-form",
        comment="a tag manifest of another form without a signature: members come before content",
        expect="unsigned",
        archive=joined(members[:2] + members[3:]),
    )
    members = one().members()
    other = bytes(len(members[3].content))
    yield Vector(
        name="order-readme-cut",
        comment="the first fault decides: another README.txt, and bag-info.txt is cut",
        archive=joined([*members[:3], replace(members[3], content=other)], b"")
        + members[4].encode()[:520],
    )
    for name, comment, inner, nanoseconds, expect in (
        ("form", "inner keys out of order below one with !", b'"b":0,"a":0', b"0", "damaged"),
        ("value", "a key with !, and a second of ns", b'"a":0', b"1000000000", "unsupported"),
    ):
        row = one()
        row.rows[0] = replace_once(row.rows[0], b"]}", b'],"!c":{%s}}' % inner)
        row.rows[0] = replace_once(row.rows[0], b'_ns":0', b'_ns":' + nanoseconds)
        yield Vector(
            name=f"order-row-{name}",
            comment=f"the form of a row, then a critical key, then values: {comment}",
            expect=expect,
            archive=row.archive(),
        )
    yield Vector(
        name="order-rows-end",
        comment="the first fault decides: an impossible row in an archive without an end",
        archive=late.archive()[:-1024],
    )
