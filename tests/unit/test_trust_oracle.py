"""allowed_signers and revoked keys as ssh-keygen(1) reads them: whatever we trust, it trusts too.

Every file is given to both. Where they differ we must be the stricter one, and the ways are named
in the table, as they are in wmbackup-key(1).
"""

from __future__ import annotations

import base64
import struct
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.archives import private, public
from wmbackup.archive.sshsig import public_line, sign
from wmbackup.errors import SignerUntrusted, WmbackupError
from wmbackup.trust import Policy, TrustFileInvalid, parse_allowed_signers, parse_revoked

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WHO = "wmbackup@host"
GOOD = public_line(public(1))
EVIL = public_line(public(2))
MESSAGE = b"what is signed\n"


def _line_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()


def _strings(*values: bytes) -> str:
    return base64.b64encode(b"".join(struct.pack(">I", len(v)) + v for v in values)).decode()


RSA = _line_of(rsa.generate_private_key(65537, 2048))
ECDSA = _line_of(ec.generate_private_key(ec.SECP256R1()))
SK = "sk-ssh-ed25519@openssh.com " + _strings(b"sk-ssh-ed25519@openssh.com", public(3), b"ssh:")
ONE = b"\x01"
DAMAGED_RSA = "ssh-rsa " + _strings(b"ssh-rsa")
COMPRESSED = _strings(b"ecdsa-sha2-nistp256", b"nistp256", b"\x02" * 33)
COMPRESSED_ECDSA = f"ecdsa-sha2-nistp256 {COMPRESSED}"
CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com"
ECDSA_TYPE = "ecdsa-sha2-nistp256 "
SK_TYPE = "sk-ssh-ed25519@openssh.com "
OTHER_TYPE = f"ssh-rsa {GOOD.split()[1]}"
_BLOB = GOOD.split()[1]


def _parts(line: str) -> list[bytes]:
    blob, found = base64.b64decode(line.split()[1]), []
    while blob:
        end = 4 + int.from_bytes(blob[:4])
        found.append(blob[4:end])
        blob = blob[end:]
    return found


# The last character of the key has bits that its last byte does not take.
RSA_WITH_SLACK = "ssh-rsa " + _strings(b"ssh-rsa", b"\x03", b"\x7f" * 128)
RSA_WITH_SLACK = RSA_WITH_SLACK.removesuffix("fw==") + "fx=="

ACCEPTED = [
    f"{WHO} {GOOD}",
    f"{WHO}\t{GOOD}",
    f"  {WHO}   {GOOD}  ",
    f"{WHO} {GOOD} a comment",
    f"{WHO} {GOOD}\r",
    f"\t{WHO} {GOOD}",
    f"# a comment\n\n{WHO} {GOOD}",
    f"#\n{WHO} {GOOD}",
    f"   # indented\n{WHO} {GOOD}",
    f"\r\n{WHO} {GOOD}\r\n",
    f"{WHO},other {GOOD}",
    f"other,{WHO} {GOOD}",
    f'"{WHO}" {GOOD}',
    f'"{WHO},other" {GOOD}',
    f'"{WHO}"\t{GOOD}',
    f"other {EVIL}\n{WHO} {GOOD}",
    f"{WHO} {EVIL}\n{WHO} {GOOD}",
    f"{WHO} {RSA}\n{WHO} {GOOD}",
    f"{WHO} {ECDSA}\n{WHO} {GOOD}",
    f"{WHO} {SK}\n{WHO} {GOOD}",
    f'{WHO} namespaces="archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="file,archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="archive@*" {GOOD}',
    f'{WHO} namespaces="*" {GOOD}',
    f'{WHO} namespaces="archive?wmbackup" {GOOD}',
    f'{WHO} namespaces="**" {GOOD}',
    f'{WHO} namespaces="*,!file" {GOOD}',
    f'{WHO} namespaces="!file,*" {GOOD}',
    f'{WHO} NAMESPACES="archive@wmbackup" {GOOD}',
    f'{WHO} valid-after="20200101" {GOOD}',
    f'{WHO} valid-after="20200101Z" {GOOD}',
    f'{WHO} valid-before="20300101" {GOOD}',
    f'{WHO} valid-before="203001011200" {GOOD}',
    f'{WHO} valid-before="20300101120000" {GOOD}',
    f'{WHO} valid-before="20300101120000Z" {GOOD}',
    f'{WHO} valid-after="19700102Z",valid-before="20300101Z" {GOOD}',
    f'{WHO} valid-after="20200101",namespaces="archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="archive@wmbackup",valid-before="20300101" {GOOD}',
    f'{WHO} namespaces="a{"x" * 900},archive@wmbackup" {GOOD}',
    f"wmbackup@* {GOOD}",
    f"* {GOOD}",
    f"wmbackup@hos? {GOOD}",
    f"*,!wmbackup@other {GOOD}",
    f"!wmbackup@other,* {GOOD}",
    f"{WHO},!nobody {GOOD}",
    f"{WHO} {GOOD}\n{WHO} {EVIL}",
    f"{WHO} {EVIL}\n*{WHO[3:]} {GOOD}",
    f'{WHO} valid-before="20200101" {GOOD}\n{WHO} {GOOD}',
    f"{WHO} {GOOD} # trailing",
    f'{WHO} {GOOD} "quoted comment"',
    f"alice@example.com {GOOD}",
    f"alice {GOOD}",
    f"A {GOOD}",
]
"""Both accept."""

REFUSED = [
    "",
    "#",
    f"#{WHO} {GOOD}",
    f" # {WHO} {GOOD}",
    f"{WHO} {EVIL}",
    f"{WHO} {RSA}",
    f"{WHO} {ECDSA}",
    f"{WHO} {SK}",
    f"{WHO}",
    f"{WHO} ssh-ed25519",
    f"{GOOD}",
    f"{WHO} {_BLOB}",
    f"{WHO} ssh-ed25519 {_BLOB[:-4]}",
    f"{WHO} ssh-ed25519 {_BLOB}AAAA",
    f"{WHO} ssh-ed25519 !{_BLOB}",
    f"{WHO} ssh-ed25519 {_strings(b'ssh-ed25519', b'x' * 31)}",
    f"{WHO} ssh-ed25519 {_strings(b'ssh-rsa', public(1))}",
    f"{WHO} {OTHER_TYPE}",
    f"{WHO} ssh-foo {_BLOB}",
    f"{WHO} SSH-ED25519 {_BLOB}",
    f"\ufeff{WHO} {GOOD}",
    f'{WHO} namespaces="file" {GOOD}',
    f'{WHO} namespaces="" {GOOD}',
    f'{WHO} namespaces="archive" {GOOD}',
    f'{WHO} namespaces="ARCHIVE@wmbackup" {GOOD}',
    f'{WHO} namespaces="!archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="*,!archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="!archive@wmbackup,*" {GOOD}',
    f'{WHO} namespaces="archive[@]wmbackup" {GOOD}',
    f'{WHO} namespaces=" archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="archive@wmbackup " {GOOD}',
    f'{WHO} namespaces="a\\"rchive@wmbackup" {GOOD}',
    f'{WHO} namespaces="{"x" * 1100},archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="{"x" * 1023},archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="{"*" * 1100}" {GOOD}',
    f"{WHO} namespaces=archive@wmbackup {GOOD}",
    f'{WHO} namespaces="archive@wmbackup {GOOD}',
    f"{WHO} namespaces {GOOD}",
    f'{WHO} namespaces="*"namespaces="*" {GOOD}',
    f'{WHO} namespaces="*",namespaces="*" {GOOD}',
    f'{WHO} namespaces="*", {GOOD}',
    f'{WHO} unknown="x" {GOOD}',
    f"{WHO} unknown {GOOD}",
    f'{WHO} namespaces="*",unknown {GOOD}',
    f"{WHO} cert-authority {GOOD}",
    f'{WHO} cert-authority,namespaces="archive@wmbackup" {GOOD}',
    f'{WHO} cert-authority="x" {GOOD}',
    f'{WHO} valid-after="20300101" {GOOD}',
    f'{WHO} valid-before="20200101" {GOOD}',
    f'{WHO} valid-after="20300101",valid-before="20200101" {GOOD}',
    f'{WHO} valid-after="20200101",valid-before="20200101" {GOOD}',
    f'{WHO} valid-after="20200101" {GOOD[:30]}',
    f'{WHO} valid-after="" {GOOD}',
    f'{WHO} valid-after="x" {GOOD}',
    f'{WHO} valid-after="2020" {GOOD}',
    f'{WHO} valid-after="2020010" {GOOD}',
    f'{WHO} valid-after="20201301" {GOOD}',
    f'{WHO} valid-after="20200132" {GOOD}',
    f'{WHO} valid-after="202001012460" {GOOD}',
    f'{WHO} valid-after="19691231Z" {GOOD}',
    f'{WHO} valid-after="19000101" {GOOD}',
    f'{WHO} valid-after="00010101" {GOOD}',
    f'{WHO} valid-after="19700101Z" {GOOD}',
    f'{WHO} valid-after="2020-01-01" {GOOD}',
    f'{WHO} valid-after="20200101ZZ" {GOOD}',
    f"{WHO} valid-after=20200101 {GOOD}",
    f'{WHO} valid-after="20200101",valid-after="20200102" {GOOD}',
    f'{WHO} valid-before="20300101",valid-before="20300102" {GOOD}',
    f"!{WHO} {GOOD}",
    f"!wmbackup@other {GOOD}",
    f"*,!{WHO} {GOOD}",
    f"!{WHO},* {GOOD}",
    f"wmbackup@*,!*host {GOOD}",
    f"wmbackup@other* {GOOD}",
    f"wmbackup@h?t {GOOD}",
    f"? {GOOD}",
    f'"{WHO} {GOOD}',
    f'"" {GOOD}',
    f"{'*' * 1100} {GOOD}",
    f"*,{'x' * 1100} {GOOD}",
    f"{WHO} {GOOD[:-2]}",
    f"{WHO} options {GOOD}",
    f'{WHO} namespaces="*" {EVIL}',
    f"{WHO}\u00a0{GOOD}",
    f"{WHO}\u2003ssh-ed25519\u2003{_BLOB}",
    f"{WHO} ssh-ed25519\u00a0{_BLOB}",
    f"{WHO}\x0b{GOOD}",
    f"{WHO} ssh-ed25519\x0c{_BLOB}",
    f"{WHO}\x1c{GOOD}",
    f"{WHO}\u2028{GOOD}",
    f"{WHO}\x85{GOOD}",
    f"{WHO} ssh-ed25519\x1f{_BLOB}",
    "\ufeff",
    f"\r{WHO} {GOOD}",
    f'\r"{WHO}" {GOOD}',
    f"{WHO} {GOOD}=",
    f"{WHO} {GOOD}==",
    f'{WHO} namespaces="archive@wmbackup,\\\\" {GOOD}',
    f'{WHO} namespaces="\\"archive@wmbackup" {GOOD}',
    f'{WHO} namespaces="archive@wmbackup\\" {GOOD}',
    f'"\\"{WHO}" {GOOD}',
    f"{WHO}\r{EVIL}",
]
"""Both refuse."""

STRICTER = {
    "a line that is damaged, or of an unknown type, beside a good one": [
        f"{WHO} ssh-foo {_BLOB}\n{WHO} {GOOD}",
        f"{WHO} {DAMAGED_RSA}\n{WHO} {GOOD}",
        f"{WHO} {OTHER_TYPE}\n{WHO} {GOOD}",
        f"{WHO} ssh-rsa !!!\n{WHO} {GOOD}",
        f"{WHO} nonsense\n{WHO} {GOOD}",
        f"{WHO} ssh-dss {_strings(b'ssh-dss')}\n{WHO} {GOOD}",
        f"{WHO} ssh-ed25519-cert-v01@openssh.com {_BLOB}\n{WHO} {GOOD}",
        f"other ssh-foo {_BLOB}\n{WHO} {GOOD}",
        f"other nonsense\n{WHO} {GOOD}",
        f'other valid-after="x" {GOOD}\n{WHO} {GOOD}',
        f"{WHO} {GOOD}\nnonsense",
        f"{WHO} {GOOD}\nother ssh-ed25519 AAAA",
        f"{WHO} {COMPRESSED_ECDSA}\n{WHO} {GOOD}",
        f"{WHO} ssh-dss {_strings(b'ssh-dss', *[ONE] * 4)}\n{WHO} {GOOD}",
    ],
    "a principal that has nothing beside a comma, or what cannot be seen": [
        f",{WHO} {GOOD}",
        f"{WHO}, {GOOD}",
        f"{WHO},, {GOOD}",
        f"{WHO},a\u3164b {GOOD}",
        f"{WHO},a\u200bb {GOOD}",
        f"{WHO},a\u202eb {GOOD}",
        f"{WHO},a\ufe0fb {GOOD}",
        f"{WHO},a\U000e0041b {GOOD}",
        f"{WHO},\ufeff {GOOD}",
        f'"{WHO}\r" {EVIL}\n{WHO} {GOOD}',
        f'"{WHO}",other {GOOD}',
    ],
    "a backslash in an option": [
        f'{WHO} namespaces="*,\\x" {GOOD}',
        f'{WHO} namespaces="*,\\"" {GOOD}',
    ],
    "days and seconds that do not exist": [
        f'{WHO} valid-after="20210229" {GOOD}',
        f'{WHO} valid-after="20200101235960" {GOOD}',
    ],
    "a flag given twice": [f"{WHO} cert-authority,cert-authority {EVIL}\n{WHO} {GOOD}"],
    "a name and a key without a blank between them": [f'"{WHO}"{GOOD}'],
    "a line of more than 8,192 bytes": [f"{WHO} {GOOD} {'c' * 9000}"],
    "times in lower case or with a zone that is written out": [
        f'{WHO} valid-after="20200101z" {GOOD}',
        f'{WHO} valid-after="20200101UTC" {GOOD}',
    ],
    "a comma too many between options": [
        f'{WHO} namespaces="*",,valid-before="20300101" {GOOD}',
        f'{WHO} ,namespaces="*" {GOOD}',
    ],
    "zero bytes": [f"{WHO} {GOOD}\0rest"],
    "blanks inside of a key": [f"{WHO} ssh-ed25519 {_BLOB}\x0b"],
}
"""ssh-keygen may accept these; we refuse, for the reason given."""


@dataclass(frozen=True)
class Oracle:
    folder: Path

    def accepts(
        self, text: bytes, principal: str, revoked: bytes | None = None, moment: datetime = NOW
    ) -> bool:
        (self.folder / "signers").write_bytes(text)
        options: list[str | Path] = []
        if revoked is not None:
            (self.folder / "revoked").write_bytes(revoked)
            options = ["-r", self.folder / "revoked"]
        done = subprocess.run(
            [
                *("ssh-keygen", "-Y", "verify", "-f", self.folder / "signers", "-I", principal),
                *("-n", "archive@wmbackup", "-s", self.folder / "sig", *options),
                f"-Overify-time={moment:%Y%m%d%H%M%SZ}",
            ],
            input=MESSAGE,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    folder = tmp_path_factory.mktemp("oracle")
    (folder / "sig").write_bytes(sign(private(1), MESSAGE))
    return Oracle(folder)


def _trusted(text: bytes, revoked: frozenset[bytes] = frozenset()) -> tuple[str, ...]:
    try:
        signers = parse_allowed_signers(text)
        return Policy(signers, revoked).check(public(1), (), NOW, "host")
    except (SignerUntrusted, WmbackupError):
        return ()


def _encoded(texts: list[str]) -> list[bytes]:
    return [text.encode() for text in texts]


@pytest.mark.parametrize("text", _encoded(ACCEPTED))
def test_what_ssh_keygen_accepts_is_trusted(oracle: Oracle, text: bytes) -> None:
    (principals,) = _trusted(text)
    for principal in principals.split(","):
        if not principal.startswith("!"):
            assert oracle.accepts(text, principal)


@pytest.mark.parametrize("text", _encoded(REFUSED))
def test_what_ssh_keygen_refuses_is_not_trusted(oracle: Oracle, text: bytes) -> None:
    assert not oracle.accepts(text, WHO)
    assert _trusted(text) == ()


@pytest.mark.parametrize(("reason", "texts"), STRICTER.items())
def test_where_both_differ_we_are_the_stricter(
    oracle: Oracle, reason: str, texts: list[str]
) -> None:
    assert reason
    for text in _encoded(texts):
        assert _trusted(text) == (), text
    assert any(oracle.accepts(text, WHO) for text in _encoded(texts))


def test_the_table_is_as_large_as_it_says() -> None:
    assert len(ACCEPTED) + len(REFUSED) + sum(map(len, STRICTER.values())) >= 150


def _certificate(*key: bytes, kind: int = 1, valid: bool = True, name: str = CERTIFICATE) -> str:
    authority = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    signer = authority.public_key().public_bytes_raw()

    def string(value: bytes) -> bytes:
        return struct.pack(">I", len(value)) + value

    body = b"".join(map(string, (name.encode(), b"n" * 32, *key)))
    body += struct.pack(">QI", 1, kind)
    body += string(b"id") + string(string(b"wmbackup@host")) + struct.pack(">QQ", 0, 2**63)
    body += string(b"") * 3 + string(string(b"ssh-ed25519") + string(signer))
    body += string(string(b"ssh-ed25519") + string(authority.sign(body if valid else b"")))
    return f"{name} {base64.b64encode(body).decode()}"


def _rsa_certificate(bits: int) -> str:
    number = (1 << bits - 1 | 1).to_bytes(bits // 8 + 1, "big").lstrip(b"\0")
    number = b"\0" * (bits % 8 == 0) + number
    return _certificate(b"\1\0\1", number, name="ssh-rsa-cert-v01@openssh.com")


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"{GOOD} comment",
        f"# gone\n{EVIL}\n{GOOD}\n",
        f"{GOOD}\r\n",
        f"  {GOOD}",
        f"\t{GOOD}",
        f"{RSA}\n{GOOD}",
        _certificate(public(1)),
        f"{_certificate(public(1))} comment",
        f"{EVIL}\n{_certificate(public(1))}",
    ],
)
def test_a_key_that_ssh_keygen_takes_for_revoked_is_revoked(oracle: Oracle, text: str) -> None:
    line = f"{WHO} {GOOD}".encode()
    assert not oracle.accepts(line, WHO, text.encode())
    assert _trusted(line, parse_revoked(text.encode())) == ()


@pytest.mark.parametrize(
    "text", ["", "# none\n", EVIL, _certificate(public(2)), f"{RSA}\n{ECDSA}\n{SK}"]
)
def test_a_key_that_is_not_revoked_stays_trusted(oracle: Oracle, text: str) -> None:
    line = f"{WHO} {GOOD}".encode()
    assert oracle.accepts(line, WHO, text.encode())
    assert _trusted(line, parse_revoked(text.encode())) == (WHO,)


_NOT_REVOKED = {
    "nonsense": "nonsense",
    "a principal": f"{WHO} {GOOD}",
    "a type alone": "ssh-ed25519",
    "a short key": "ssh-ed25519 AAAA",
    "more behind a key": f"ssh-ed25519 {_strings(b'ssh-ed25519', public(2), b'')}",
    "padding": f"{EVIL}=",
    "a byte order mark": f"\ufeff{GOOD}",
    "an unknown type": f"ssh-foo {_BLOB}",
    "a blank of Unicode": f"ssh-ed25519\u00a0{_BLOB}",
    "a carriage return": f"{EVIL}\n\r\n{RSA}",
    "a carriage return and blanks": f" \r \n{EVIL}",
    "a carriage return before a key": f"\r{EVIL}",
    "a zero byte": f"ssh-ed25519\0{_BLOB}",
    "options": f'command="x" {EVIL}',
    "a certificate without its parts": f"{CERTIFICATE} {_strings(CERTIFICATE.encode())}",
    "a certificate cut off": _certificate(public(2))[:-8],
    "a certificate of no one": _certificate(public(2), kind=3),
    "a certificate with a signature of something else": _certificate(public(2), valid=False),
    "a certificate of a short key": _certificate(public(2)[:31]),
    "RSA without numbers": DAMAGED_RSA,
    "RSA with more behind it": "ssh-rsa " + _strings(*_parts(RSA), b""),
    "RSA with a negative number": "ssh-rsa " + _strings(b"ssh-rsa", b"\x03", b"\xff" * 256),
    "RSA with bits behind its end": RSA_WITH_SLACK,
    "a compressed point": COMPRESSED_ECDSA,
    "a point off its curve": ECDSA_TYPE + _strings(*_parts(ECDSA)[:2], b"\x04" + ONE * 64),
    "another curve": ECDSA_TYPE + _strings(b"ecdsa-sha2-nistp256", b"nistp384", *_parts(ECDSA)[2:]),
    "a short key on a token": SK_TYPE + _strings(SK_TYPE[:-1].encode(), b"x" * 31, b"ssh:"),
    "a key on a token without an application": SK_TYPE + _strings(SK_TYPE[:-1].encode(), b"x" * 32),
}


@pytest.mark.parametrize("text", _NOT_REVOKED.values(), ids=_NOT_REVOKED)
def test_a_revocation_file_that_is_not_understood_trusts_nobody(oracle: Oracle, text: str) -> None:
    assert not oracle.accepts(f"{WHO} {GOOD}".encode(), WHO, text.encode())
    with pytest.raises(TrustFileInvalid):
        parse_revoked(text.encode())


@pytest.mark.parametrize("bits", [1024, 2048, 16384])
def test_a_certificate_of_an_rsa_key_revokes_no_other_key(oracle: Oracle, bits: int) -> None:
    line = f"{WHO} {GOOD}".encode()
    text = _rsa_certificate(bits).encode()
    assert parse_revoked(text) == frozenset()
    assert oracle.accepts(line, WHO, text)


@pytest.mark.parametrize("bits", [1023, 16385])
def test_a_certificate_of_an_rsa_key_of_too_few_or_too_many_bits_is_refused(bits: int) -> None:
    with pytest.raises(TrustFileInvalid, match=r"too few or too many bits|damaged"):
        parse_revoked(_rsa_certificate(bits).encode())


@pytest.mark.parametrize(
    "text",
    [
        "SSHKRL\n\0 and more",
        f"{GOOD}\0",
        f"{EVIL}\0",
        f"{GOOD} {'x' * 9000}",
        f"ssh-ed25519 {EVIL.split()[1]}\x0b",
        f"ssh-dss {_strings(b'ssh-dss', *[ONE] * 4)}",
        "ssh-rsa " + _strings(b"ssh-rsa", b"\x03", b"\x7f" * 64),
    ],
)
def test_a_revocation_file_is_read_more_strictly_than_by_ssh_keygen(text: str) -> None:
    with pytest.raises(TrustFileInvalid):
        parse_revoked(text.encode())


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"])
@pytest.mark.parametrize(
    "local",
    [
        *("202603290130", "202603290230", "202603290330", "20261025", "202610250130"),
        *("202610250200", "202610250230", "202610250300", "202611010130", "202603080230"),
    ],
)
def test_a_local_time_is_never_taken_for_a_wider_one_than_ssh_keygen_takes_it_for(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch, zone: str, local: str
) -> None:
    """Local times that the clock skips or shows twice mean what is the stricter of the two."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for option in ("valid-after", "valid-before"):
            text = f'{WHO} {option}="{local}" {GOOD}'.encode()
            (signer,) = parse_allowed_signers(text)
            edge = signer.valid_after or signer.valid_before
            assert edge is not None
            for hours in (-1, 0, 1):
                for seconds in (-1, 0, 1):
                    moment = edge + timedelta(hours=hours, seconds=seconds)
                    if signer.valid_at(moment):
                        assert oracle.accepts(text, WHO, moment=moment)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_utf_16_file_is_named_as_that() -> None:
    for parse in (parse_allowed_signers, parse_revoked):
        with pytest.raises(WmbackupError, match="UTF-16"):
            parse(f"{WHO} {GOOD}".encode("utf-16"))
