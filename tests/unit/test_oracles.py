"""Programs that were written elsewhere agree with what is made here.

A program that is missing fails a test: without it nobody has checked.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.archives import COSIGNER, MAKER, File, build, private, public, read, reseal, split
from wmbackup.age.envelope import NewEnvelope
from wmbackup.age.key_files import identity_file
from wmbackup.age.keys import X25519Identity
from wmbackup.archive import sshsig, tag_files
from wmbackup.archive.ustar import BLOCK, END
from wmbackup.cli.render import next_steps
from wmbackup.engine import open_archive, verify
from wmbackup.errors import ArchiveDamaged, NotAnArchive, SignerUntrusted, WmbackupError
from wmbackup.trust import Policy, TrustFileInvalid, parse_allowed_signers

FILES = (
    File(b"drmv2.lic", b"\0\1\2" * 171),  # 513 bytes
    File(b"a b/c-d_e.f", b"x"),
    File(b"A/deep/er/and/deeper", b"y" * 511),
    File(b"empty", b""),
    File(b"block", b"z" * 512),
    File(b"large", bytes(range(256)) * 4100),
    File(b"-rf", b"looks like an option"),
    File(b"n" * 84, b"the longest name"),
    File(b"BLOCK", b"a twin"),
    File("caf\xe9.lic".encode(), b"not ASCII"),
    File(b"\xff\xfe", b"not UTF-8"),
    File(b"con.txt", b"a device"),
    File(b"item-0000001", b"an impostor"),
    File(b"m" * 85, b"too long"),
    File(b"new\nline\\", b"not for a manifest"),
    File(b" leading", b""),
)
ARCHIVE = reseal(split(build(FILES)), cosigners=[COSIGNER])
MEMBERS = split(ARCHIVE)
NAMES = [f"wmbackup-1/{name}" for name in MEMBERS]
PAGE = (Path(__file__).parents[2] / "man" / "wmbackup-archive.5").read_text(encoding="utf-8")
PRINCIPAL = "maker@example.com"
CREATED = "20261123120000Z"


def run(
    *command: str | Path,
    cwd: Path,
    given: bytes | None = None,
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command, cwd=cwd, input=given, capture_output=True, check=False, env=environment
    )


def done(*command: str | Path, cwd: Path, given: bytes | None = None) -> bytes:
    result = run(*command, cwd=cwd, given=given)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "backup.tar").write_bytes(ARCHIVE)
    for name, key in (("maker", MAKER), ("cosigner", COSIGNER)):
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        (tmp_path / name).write_bytes(pem)
        (tmp_path / name).chmod(0o600)
        line = sshsig.public_line(sshsig.public_of(key))
        (tmp_path / f"{name}.pub").write_text(f"{line}\n")
    signer = f'{PRINCIPAL} namespaces="archive@wmbackup" {sshsig.public_line(public(1))}\n'
    (tmp_path / "signers").write_text(signer)
    return tmp_path


@pytest.fixture
def unpacked(folder: Path) -> Path:
    done("tar", "-xf", "backup.tar", cwd=folder)
    return folder / "wmbackup-1"


def below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir()
    }


def test_gnu_tar_lists_what_was_written(folder: Path) -> None:
    listed = done("tar", "--utc", "--full-time", "-tvf", "backup.tar", cwd=folder).decode()
    wanted = [
        ["-rw-------", "0/0", str(len(content)), "1985-10-26", "08:15:00", f"wmbackup-1/{name}"]
        for name, content in MEMBERS.items()
    ]
    assert [line.split(maxsplit=5) for line in listed.splitlines()] == wanted


def test_gnu_tar_unpacks_the_same_bytes(unpacked: Path) -> None:
    assert below(unpacked) == MEMBERS
    assert (unpacked / "bagit.txt").stat().st_mtime == 499162500


def test_bsdtar_unpacks_the_same_bytes(folder: Path) -> None:
    listed = done("bsdtar", "-tf", "backup.tar", cwd=folder).decode()
    assert listed.splitlines() == NAMES
    done("bsdtar", "-xf", "backup.tar", cwd=folder)
    assert below(folder / "wmbackup-1") == MEMBERS


def test_7z_unpacks_the_same_bytes(folder: Path) -> None:
    done("7z", "x", "-bd", "-ooutput", "backup.tar", cwd=folder)
    assert below(folder / "output" / "wmbackup-1") == MEMBERS


def test_python_reads_the_same_bytes() -> None:
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE), format=tarfile.USTAR_FORMAT) as opened:
        found = {}
        for member in opened:
            assert (member.mode, member.uid, member.gid) == (0o600, 0, 0)
            content = opened.extractfile(member)
            assert content is not None
            found[member.name.removeprefix("wmbackup-1/")] = content.read()
            assert not member.pax_headers
    assert list(found.items()) == list(MEMBERS.items())


def test_gnu_tar_packs_the_same_headers(unpacked: Path) -> None:
    # All that tar adds is zeros at the end, up to its record size.
    (unpacked.parent / "names").write_text("".join(f"{name}\n" for name in NAMES))
    packed = done(
        *("tar", "-c", "--format=ustar", "--sort=none", "--owner=0", "--group=0"),
        *("--numeric-owner", "--mode=0600", "--mtime=@499162500", "--blocking-factor=1"),
        *("--verbatim-files-from", "--files-from=names"),
        cwd=unpacked.parent,
    )
    assert packed[: len(ARCHIVE)] == ARCHIVE
    assert not any(packed[len(ARCHIVE) :])
    assert len(packed) % BLOCK == 0
    assert packed.endswith(END)


@pytest.mark.parametrize(
    "command",
    [
        "tar -cf ../again.tar wmbackup-1",
        "tar -cf ../again.tar .",
        "tar --format=pax -cf ../again.tar ./wmbackup-1",
        "tar --format=v7 -cf ../again.tar wmbackup-1",
        "tar --sort=name -cf ../again.tar ../output",
        "tar -cf ../again.tar --files-from=../names",
        "bsdtar -cf ../again.tar wmbackup-1",
        "bsdtar --format=ustar -cf ../again.tar wmbackup-1/bagit.txt wmbackup-1",
        "7z a -ttar -bd ../again.tar wmbackup-1",
    ],
)
def test_bag_that_another_program_has_packed_is_named_as_that_and_packed_as_it_was(
    folder: Path, command: str
) -> None:
    (folder / "output").mkdir()
    (folder / "names").write_text("".join(f"{name}\n" for name in NAMES))
    done("tar", "-xf", "../backup.tar", cwd=folder / "output")
    done(*command.split(), cwd=folder / "output")
    with pytest.raises(WmbackupError) as caught, open_archive(str(folder / "again.tar")) as archive:
        verify(archive, Policy(()))
    assert isinstance(caught.value, (NotAnArchive, ArchiveDamaged))
    assert "another program has packed what was in one" in caught.value.message
    hint = next_steps.of_error(caught.value) or ""
    unpack = hint.partition("inside: ")[2]
    assert unpack == f"mkdir unpacked && tar -xf {folder}/again.tar -C unpacked"
    done("sh", "-c", unpack, cwd=folder)
    (bag,) = (folder / "unpacked").glob("**/wmbackup-1")
    example = PAGE.partition("{ ls ")[2].partition(".Ed")[0].replace("\\e", "\\")
    done("bash", "-c", "{ ls " + example, cwd=bag.parent)
    assert (bag.parent / "backup.wmbackup.tar").read_bytes() == ARCHIVE


@pytest.mark.parametrize("name", ["folder/file", "wmbackup-2/bagit.txt", "my-wmbackup-1.txt"])
def test_tar_file_of_other_things_is_no_archive(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    done("tar", "-cf", "other.tar", name.partition("/")[0], cwd=folder)
    with pytest.raises(NotAnArchive) as caught, open_archive(str(folder / "other.tar")) as archive:
        verify(archive, Policy(()))
    assert caught.value.reason is None


def test_sha256sum_finds_every_file_right(unpacked: Path) -> None:
    for name, count in (("tagmanifest-sha256.txt", 6), ("manifest-sha256.txt", len(FILES))):
        said = done("sha256sum", "--strict", "-c", name, cwd=unpacked).decode().splitlines()
        assert len(said) == count
        assert all(line.endswith(": OK") for line in said)


def test_bagit_of_the_library_of_congress_validates(unpacked: Path) -> None:
    validate = (sys.executable, "-m", "bagit", "--validate", ".")
    done(*validate, cwd=unpacked)
    (unpacked / "data" / "empty").write_bytes(b"x")
    assert run(*validate, cwd=unpacked).returncode != 0
    (unpacked / "data" / "empty").write_bytes(b"")
    done(*validate, cwd=unpacked)
    (unpacked / "data" / "more").write_bytes(b"")
    assert run(*validate, cwd=unpacked).returncode != 0


VERIFY = ("ssh-keygen", "-Y", "verify", "-n", "archive@wmbackup")
TAG_MANIFEST = MEMBERS["tagmanifest-sha256.txt"]


def test_ssh_keygen_accepts_the_signatures(unpacked: Path) -> None:
    signature = "tagmanifest-sha256.txt.sig"
    options = ("-f", "../signers", "-I", PRINCIPAL, "-s", signature)
    said = done(*VERIFY, *options, cwd=unpacked, given=TAG_MANIFEST).decode()
    assert said.startswith(f'Good "archive@wmbackup" signature for {PRINCIPAL} with ED25519 key')
    assert sshsig.fingerprint(public(1)) in said
    refused = run(*VERIFY, *options, cwd=unpacked, given=TAG_MANIFEST + b"\n")
    assert refused.returncode != 0
    for name in (signature, "tagmanifest-sha256.txt.2.sig"):
        novalidate = ("ssh-keygen", "-Y", "check-novalidate", "-n", "archive@wmbackup", "-s", name)
        done(*novalidate, cwd=unpacked, given=TAG_MANIFEST)
        assert run(*novalidate, cwd=unpacked, given=b"x").returncode != 0


@pytest.mark.parametrize(
    ("key", "name"),
    [("maker", "tagmanifest-sha256.txt.sig"), ("cosigner", "tagmanifest-sha256.txt.2.sig")],
)
def test_ssh_keygen_signs_the_same_bytes(folder: Path, key: str, name: str) -> None:
    sign = ("ssh-keygen", "-Y", "sign", "-f", key, "-n", "archive@wmbackup")
    assert done(*sign, cwd=folder, given=TAG_MANIFEST) == MEMBERS[name]


def test_ssh_keygen_prints_the_same_fingerprint_and_key(folder: Path) -> None:
    said = done("ssh-keygen", "-l", "-f", "maker.pub", cwd=folder).decode().split()
    assert said[:2] == ["256", sshsig.fingerprint(public(1))]
    line = done("ssh-keygen", "-y", "-f", "maker", cwd=folder).decode().strip()
    assert line == sshsig.public_line(public(1))


def test_openssl_verifies_the_signature_itself(folder: Path) -> None:
    # PROTOCOL.sshsig: what is signed is made here once more, without our code.
    digest = hashlib.sha512(TAG_MANIFEST).digest()
    strings = (b"archive@wmbackup", b"", b"sha512", digest)
    signed = b"SSHSIG" + b"".join(len(s).to_bytes(4, "big") + s for s in strings)
    pem = (
        private(1)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    armored = MEMBERS["tagmanifest-sha256.txt.sig"].splitlines()
    blob = done("openssl", "base64", "-d", cwd=folder, given=b"\n".join(armored[1:-1]) + b"\n")
    for name, content in (("key.pem", pem), ("signed", signed), ("raw.sig", blob[-64:])):
        (folder / name).write_bytes(content)
    verify = ("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin")
    done(*verify, "-in", "signed", "-sigfile", "raw.sig", cwd=folder)
    (folder / "signed").write_bytes(signed + b"\0")
    refused = run(*verify, "-in", "signed", "-sigfile", "raw.sig", cwd=folder)
    assert refused.returncode != 0


KEY = sshsig.public_line(public(1))
OTHER = sshsig.public_line(public(3))
# Of each file: is the maker believed at CREATED?
VERDICTS = [
    (f"{PRINCIPAL} {KEY}", True),
    (f"{PRINCIPAL} {KEY} and a comment", True),
    (f'"{PRINCIPAL}" {KEY}', True),
    (f"  {PRINCIPAL}\t{KEY}", True),
    (f"{PRINCIPAL} {KEY}\r", True),
    (f"*@example.com {KEY}", True),
    (f'"other,maker@*" {KEY}', True),
    (f"# a comment\n\n{PRINCIPAL} {KEY}", True),
    (f"{PRINCIPAL} {OTHER}\n{PRINCIPAL} {KEY}", True),
    (f"{PRINCIPAL} {OTHER}", False),
    (f"#{PRINCIPAL} {KEY}", False),
    (f"# a comment\r{PRINCIPAL} {KEY}", False),
    (f'"" {KEY}', False),
    ("", False),
    (f"{PRINCIPAL} cert-authority {KEY}", False),
    (f'{PRINCIPAL} cert-authority,namespaces="archive@wmbackup" {KEY}', False),
    (f"{PRINCIPAL} cert-authority {KEY}\n{PRINCIPAL} {KEY}", True),
    (f'{PRINCIPAL} namespaces="archive@wmbackup" {KEY}', True),
    (f'{PRINCIPAL} NAMESPACES="archive@wmbackup" {KEY}', True),
    (f'{PRINCIPAL} namespaces="file,archive@wmbackup,git" {KEY}', True),
    (f'{PRINCIPAL} namespaces="archive@*" {KEY}', True),
    (f'{PRINCIPAL} namespaces="*" {KEY}', True),
    (f'{PRINCIPAL} namespaces="archive?wmbacku?" {KEY}', True),
    (f'{PRINCIPAL} namespaces="file" {KEY}', False),
    (f'{PRINCIPAL} namespaces="" {KEY}', False),
    (f'{PRINCIPAL} namespaces="archive@wmbackup?" {KEY}', False),
    (f'{PRINCIPAL} namespaces="Archive@wmbackup" {KEY}', False),
    (f'{PRINCIPAL} namespaces="archive[@]wmbackup" {KEY}', False),
    (f'{PRINCIPAL} namespaces="archive@wmbackup*,!archive*" {KEY}', False),
    (f'{PRINCIPAL} namespaces="!archive*,*" {KEY}', False),
    (f'{PRINCIPAL} namespaces="!file,*" {KEY}', True),
    (f'{PRINCIPAL} namespaces="!file" {KEY}', False),
    (f'{PRINCIPAL} namespaces="file, archive@wmbackup" {KEY}', False),
    (f'{PRINCIPAL} valid-after="20261123120000Z" {KEY}', True),
    (f'{PRINCIPAL} valid-after="20261123120001Z" {KEY}', False),
    (f'{PRINCIPAL} valid-after="202611231200Z" {KEY}', True),
    (f'{PRINCIPAL} valid-after="202611231201Z" {KEY}', False),
    (f'{PRINCIPAL} valid-after="20261123Z" {KEY}', True),
    (f'{PRINCIPAL} valid-after="20261124Z" {KEY}', False),
    (f'{PRINCIPAL} valid-after="20261123130000" {KEY}', True),
    (f'{PRINCIPAL} valid-after="20261123130001" {KEY}', False),
    (f'{PRINCIPAL} valid-before="20261123120001Z" {KEY}', True),
    (f'{PRINCIPAL} valid-before="20261123115959Z" {KEY}', False),
    (f'{PRINCIPAL} valid-before="20261123125959" {KEY}', False),
    (f'{PRINCIPAL} valid-before="20261123130001" {KEY}', True),
    (f'{PRINCIPAL} valid-after="20260101Z",valid-before="20270101Z" {KEY}', True),
    (f'{PRINCIPAL} namespaces="*",valid-before="20260101Z" {KEY}', False),
    (f'{PRINCIPAL} valid-before="20260101Z" {KEY}\n{PRINCIPAL} {KEY}', True),
    (f'{PRINCIPAL} valid-after="2026" {KEY}', False),
    (f'{PRINCIPAL} valid-after="20261301Z" {KEY}', False),
    (f"{PRINCIPAL} valid-after=20260101Z {KEY}", False),
    (f'{PRINCIPAL} namespaces="*",namespaces="*" {KEY}', False),
    (f'{PRINCIPAL} namespaces="*", {KEY}', False),
    (f"{PRINCIPAL} cert-authority, {KEY}", False),
    (f'{PRINCIPAL} unknown="*" {KEY}', False),
    (f"{PRINCIPAL} namespaces {KEY}", False),
    (f'{PRINCIPAL} namespaces="* {KEY}', False),
    (f"{PRINCIPAL}", False),
    (f"{PRINCIPAL} ssh-ed25519", False),
    (f"{PRINCIPAL} ssh-ed25519 AAAA", False),
    (f"{KEY}", False),
]


def believed(text: str) -> bool:
    try:
        policy = Policy(parse_allowed_signers(f"{text}\n".encode()))
        policy.check(public(1), (), datetime(2026, 11, 23, 12, tzinfo=UTC))
    except (TrustFileInvalid, SignerUntrusted):
        return False
    return True


def accepted(folder: Path, text: str) -> bool:
    (folder / "signers").write_bytes(f"{text}\n".encode())
    (folder / "signature").write_bytes(MEMBERS["tagmanifest-sha256.txt.sig"])
    options = ("-f", "signers", "-I", PRINCIPAL, "-s", "signature", f"-Overify-time={CREATED}")
    result = run(*VERIFY, *options, cwd=folder, given=TAG_MANIFEST)
    return result.returncode == 0


@pytest.fixture
def _one_hour_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XXX-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_one_hour_east")
@pytest.mark.parametrize(("text", "verdict"), VERDICTS)
def test_ssh_keygen_believes_the_same_signers(folder: Path, text: str, *, verdict: bool) -> None:
    assert believed(text) is verdict
    assert accepted(folder, text) is verdict


# Where we are stricter than ssh-keygen, and why.
STRICTER = [
    # A key is valid before that time (wmbackup-archive(5)), not at it.
    f'{PRINCIPAL} valid-before="20261123120000Z" {KEY}',
    # Half a trust file is none: a line that is wrong behind one that is right.
    f"{PRINCIPAL} {KEY}\n{PRINCIPAL} nonsense {KEY}",
    f'{PRINCIPAL} {KEY}\nother valid-after="20261301Z" {KEY}',
    # An option that is not there.
    f'{PRINCIPAL} ,namespaces="*" {KEY}',
    # No blank stands behind the quoted principals.
    f'"{PRINCIPAL}"{KEY}',
]


@pytest.mark.parametrize("text", STRICTER)
def test_where_we_differ_from_ssh_keygen_we_are_stricter(folder: Path, text: str) -> None:
    assert not believed(text)
    assert accepted(folder, text)


@pytest.mark.parametrize(("kind", "size"), [("rsa", ("-b", "1024")), ("ecdsa", ())])
def test_keys_of_other_types_are_passed_over(
    folder: Path, kind: str, size: tuple[str, ...]
) -> None:
    done("ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-f", kind, cwd=folder)
    line = f"{PRINCIPAL} {(folder / f'{kind}.pub').read_text().strip()}"
    for text, verdict in ((line, False), (f"{line}\n{PRINCIPAL} {KEY}", True)):
        assert believed(text) is verdict
        assert accepted(folder, text) is verdict


def commands() -> list[str]:
    """The commands of the README, but for the script at the end, one a line."""
    text, _ = tag_files.README.decode().split("HOW TO GIVE THE FILES")
    indented = re.findall(r"^ {5}(\S.*)$", text, flags=re.MULTILINE)
    decrypt, *more = [command for command in indented if command.startswith("age ")]
    assert not more
    assert decrypt.endswith("| tar -xf -")
    indented.remove(decrypt)  # the archive here is not encrypted
    return indented


def script() -> str:
    """The script at the end of the README, which gives the files their names and times."""
    _, text = tag_files.README.decode().split("HOW TO GIVE THE FILES")
    return "\n".join(re.findall(r"^ {5}(.+)$", text, flags=re.MULTILINE))


def substituted(command: str) -> str:
    words = {"ARCHIVE": "../backup.tar", "SIGNERS": "../../signers", "PRINCIPAL": PRINCIPAL}
    for placeholder, value in words.items():
        command = re.sub(rf"\b{placeholder}\b", value, command)
    return command


def by_hand(
    folder: Path, tamper: str = ":", *, knows_signer: bool = True, unpack_by: str | None = None
) -> list[tuple[int, bytes]]:
    # In one shell, as a person would; of each step behind unpacking: exit code and output.
    # Who knows the signer already has the line, and does not take it from the archive.
    (folder / "new").mkdir()
    unpack, enter, *checks = map(substituted, commands())
    if knows_signer:
        del checks[1:3]
    else:
        (folder / "signers").unlink()
    script = [unpack_by or unpack, enter, f"{{ {tamper}; }} 2> ../../noise"]
    for number, check in enumerate(checks):
        kept = f"../../out.{number}"
        script += [f"{{ {check}", f"}} > {kept} 2>&1", f"echo $? > {kept}.code"]
    done("sh", "-s", cwd=folder / "new", given="\n".join(script).encode())
    outputs = [folder / f"out.{number}" for number in range(len(checks))]
    return [
        (int(output.with_suffix(f"{output.suffix}.code").read_text()), output.read_bytes())
        for output in outputs
    ]


def test_the_readme_has_the_commands_that_are_expected() -> None:
    programs = [command.split()[0] for command in commands()]
    assert programs == [
        *("tar", "cd", "ssh-keygen", "key=$(sed", "echo", "ssh-keygen", "sha256sum", "sha256sum"),
        *("cut", "ls", "LC_ALL=C", "find"),
    ]


def test_the_readme_followed_to_the_letter_succeeds(folder: Path) -> None:
    steps = by_hand(folder)
    assert [code for code, _ in steps] == [0] * 8, steps
    shown, signature, tags, payload, *compared = (output for _, output in steps)
    assert shown.startswith(b'Good "archive@wmbackup" signature with ED25519 key SHA256:')
    assert signature.startswith(b'Good "archive@wmbackup" signature for ')
    assert tags.count(b": OK\n") == tags.count(b"\n") == 6
    assert payload.count(b": OK\n") == payload.count(b"\n") == len(FILES)
    assert compared == [b""] * 4


def test_an_encrypted_archive_is_unpacked_as_the_readme_says_and_checked(folder: Path) -> None:
    recipe = "age -d -i KEYFILE ARCHIVE | tar -xf -"
    assert f"\n     {recipe}\n" in tag_files.README.decode()
    identity = X25519Identity.generate()
    (folder / "identity.txt").write_text(identity_file(identity, datetime.now(UTC)))
    (folder / "backup.tar").rename(folder / "plain.tar")
    with (folder / "backup.tar.age").open("wb") as file:
        stream = NewEnvelope([identity.recipient]).begin(file)
        stream.write((folder / "plain.tar").read_bytes())
        stream.finish()
    (folder / "plain.tar").unlink()
    command = recipe.replace("KEYFILE", "../identity.txt").replace("ARCHIVE", "../backup.tar.age")
    steps = by_hand(folder, unpack_by=command)
    assert [code for code, _ in steps] == [0] * 8, steps
    assert (folder / "new/wmbackup-1/data/a b/c-d_e.f").read_bytes() == b"x"


def test_the_readme_takes_the_line_of_an_unknown_signer_from_the_archive(folder: Path) -> None:
    known = (folder / "signers").read_bytes()
    steps = by_hand(folder, knows_signer=False)
    assert [code for code, _ in steps] == [0] * 10, steps
    assert (folder / "signers").read_bytes() == known
    fingerprint = done("ssh-keygen", "-l", "-f", "maker.pub", cwd=folder).split()[1]
    assert steps[0][1].split()[-1] == fingerprint
    assert steps[3][1].startswith(b'Good "archive@wmbackup" signature for ')


@pytest.mark.parametrize(
    ("tamper", "fails"),
    [
        ("printf x >> data/empty", 3),
        ("printf x | dd of=data/large bs=1 seek=70000 conv=notrunc", 3),
        ("rm data/empty", 3),
        ("touch data/more", 7),
        ("touch fetch.txt", 7),
        ("touch more.sh", 7),
        ("ln -s /etc data/more", 7),
        ("mkdir data/new; touch data/new/more", 7),
        ("printf '\\n' >> files.jsonl", 2),
        ("printf '\\n' >> bag-info.txt", 2),
        ("printf '\\n' >> tagmanifest-sha256.txt", 0),
        ("printf '\\n' >> tagmanifest-sha256.txt", 1),
        ("sed -i s/a/b/ tagmanifest-sha256.txt.sig", 1),
        ("cp tagmanifest-sha256.txt.2.sig tagmanifest-sha256.txt.sig", 1),
    ],
)
def test_the_readme_followed_to_the_letter_sees_what_was_changed(
    folder: Path, tamper: str, fails: int
) -> None:
    codes = [code for code, _ in by_hand(folder, tamper)]
    assert codes[fails] != 0
    if fails == 7:
        assert codes == [0, 0, 0, 0, 0, 0, 0, 1]


A_TIME = 1_161_993_600_000_000_000
NAMED = (
    *(File(file.path, file.data, A_TIME + index) for index, file in enumerate(FILES)),
    File(b'\xfe\xff/\x01\\n"', b"escapes, and not UTF-8"),
    File(b"tab\t\\u0041\x1f\\\\", b"escapes", -A_TIME),
    File(b"it's $HOME `ls` %s\\0101 \"", b"what a shell would expand", 5),
    File(b"ends in a line\n", b"feed", 4_000_000_000 * 10**9),
)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_readme_gives_every_file_its_path_and_time(folder: Path, shell: str) -> None:
    (folder / "backup.tar").write_bytes(build(NAMED))
    done("tar", "-xf", "backup.tar", cwd=folder)
    assert done(shell, "-c", script(), cwd=folder / "wmbackup-1") == b""
    root = os.fsencode(folder / "restored")
    found = {
        os.path.relpath(os.path.join(above, name), root): os.path.join(above, name)
        for above, _, names in os.walk(root)
        for name in names
    }
    assert found.keys() == {file.path for file in NAMED}
    for file in NAMED:
        with open(found[file.path], "rb") as opened:
            assert opened.read() == file.data
            assert os.fstat(opened.fileno()).st_mtime_ns == file.mtime_ns


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "a//x", "./x", "x/"])
def test_the_readme_gives_no_file_a_path_outside_the_folder(folder: Path, path: str) -> None:
    unpacked = folder / "wmbackup-1"
    (unpacked / "data").mkdir(parents=True)
    (unpacked / "data/item-0000001").write_bytes(b"x")
    row = f'{{"size":1,"mtime":0,"mtime_ns":0,"path":"{path}","attributes":[]}}\n'
    (unpacked / "files.jsonl").write_text(row)
    (unpacked / "manifest-sha256.txt").write_text(f"{'0' * 64}  data/item-0000001\n")
    result = run("sh", "-c", script(), cwd=unpacked)
    assert result.stderr == b"no path for data/item-0000001\n"
    assert [one for one in folder.rglob("*") if one.name in {"x", "restored"}] == []


def test_what_the_oracles_accept_the_reader_accepts() -> None:
    found = {item.path: data for item, data in read(ARCHIVE).released}
    assert found == {file.path: file.data for file in FILES}
