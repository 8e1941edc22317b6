"""What we seal `age` and `rage` open, and what they seal we open."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pexpect
import pyrage
import pytest

from wmbackup.age.envelope import NewEnvelope, SealedEnvelope
from wmbackup.age.key_files import identity_file, parse_identities, parse_recipients
from wmbackup.age.keys import WORK_FACTOR, Identity, Passphrase, Recipient, X25519Identity
from wmbackup.age.stream import CHUNK

BORDERS = [border * CHUNK + more for border in (1, 2, 3) for more in (-1, 0, 1)]
SIZES = (0, 1, *BORDERS)
CREATED = datetime(2026, 11, 23, 12, tzinfo=UTC)
OWN = [X25519Identity.generate() for _ in range(20)]


def data_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def seal(data: bytes, recipients: Sequence[Recipient]) -> bytes:
    output = io.BytesIO()
    stream = NewEnvelope(recipients).begin(output)
    for at in range(0, len(data), 50_021):  # pieces that fit no chunk
        stream.write(data[at : at + 50_021])
    stream.finish()
    return output.getvalue()


def unseal(age: bytes, identities: Sequence[Identity], *, is_file: bool = True) -> bytes:
    length = len(age) if is_file else None
    stream = SealedEnvelope(io.BytesIO(age), length).open(identities).stream
    found = b""
    while data := stream.read(70_001):
        found += data
    return found


def age(*arguments: str | Path, data: bytes) -> bytes:
    return subprocess.run(["age", *arguments], input=data, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with identities of ours and of age-keygen, and a file that has them all."""
    folder = tmp_path_factory.mktemp("age")
    for number, identity in enumerate(OWN):
        (folder / f"own-{number}").write_text(identity_file(identity, CREATED))
    for number in range(2):
        subprocess.run(["age-keygen", "-o", folder / f"age-{number}"], check=True)
    several = [folder / name for name in ("age-0", "own-0", "age-1")]
    (folder / "several").write_text("\n".join(path.read_text() for path in several))
    return folder


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_was_sealed_here(files: Path, size: int, count: int) -> None:
    data = data_of(size)
    sealed = seal(data, [identity.recipient for identity in OWN[:count]])
    for number in {0, count - 1}:
        assert age("-d", "-i", files / f"own-{number}", data=sealed) == data
    assert age("-d", "-i", files / "several", data=sealed) == data


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("size", SIZES)
def test_what_age_sealed_is_opened_here(size: int, count: int) -> None:
    data = data_of(size)
    arguments = [word for one in OWN[:count] for word in ("-r", str(one.recipient))]
    sealed = age(*arguments, data=data)
    for number in {0, count - 1}:
        assert unseal(sealed, [OWN[number]]) == data
        assert unseal(sealed, [OWN[number]], is_file=False) == data
    assert unseal(sealed, [X25519Identity.generate(), OWN[count - 1]]) == data


def test_identities_of_age_keygen_are_read_and_open(files: Path) -> None:
    several = parse_identities((files / "several").read_text())
    assert several[1].recipient == OWN[0].recipient
    public = subprocess.run(
        ["age-keygen", "-y", files / "several"], check=True, capture_output=True, text=True
    ).stdout
    assert parse_recipients(public) == [identity.recipient for identity in several]
    for identity in several:
        sealed = age("-r", str(identity.recipient), data=b"x")
        assert unseal(sealed, several) == b"x"


def test_age_takes_a_file_of_recipients_and_one_of_identities(files: Path, tmp_path: Path) -> None:
    recipients = tmp_path / "recipients.txt"
    recipients.write_text("# ours\n" + "\n".join(str(one.recipient) for one in OWN) + "\n")
    assert unseal(age("-R", recipients, data=b"x"), OWN[7:8]) == b"x"
    assert unseal(age("-e", "-i", files / "own-3", data=b"x"), OWN[3:4]) == b"x"


def with_passphrase(command: str, passphrase: str, times: int) -> None:
    """Run age, which asks on a terminal only."""
    child = pexpect.spawn("sh", ["-c", command], timeout=60)
    for _ in range(times):
        child.expect(": ")
        child.sendline(passphrase)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_was_sealed_here_with_a_passphrase(tmp_path: Path, size: int) -> None:
    data, sealed = data_of(size), tmp_path / "x.age"
    work = WORK_FACTOR if size == CHUNK else 10
    sealed.write_bytes(seal(data, [Passphrase("a bé".encode, work)]))
    with_passphrase(f"age -d {sealed} > {tmp_path}/x", "a bé", 1)
    assert (tmp_path / "x").read_bytes() == data


@pytest.mark.parametrize("size", [0, CHUNK, 3 * CHUNK + 1])  # each takes seconds of work
def test_what_age_sealed_with_a_passphrase_is_opened_here(tmp_path: Path, size: int) -> None:
    plain = tmp_path / "x"
    plain.write_bytes(data_of(size))
    with_passphrase(f"age -p {plain} > {tmp_path}/x.age", "a bé", 2)
    sealed = (tmp_path / "x.age").read_bytes()
    assert unseal(sealed, [Passphrase("a bé".encode)]) == data_of(size)


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("size", SIZES)
def test_rage_and_we_open_each_other(size: int, count: int) -> None:
    data = data_of(size)
    theirs = pyrage.x25519.Identity.generate()
    ours = OWN[: count - 1]
    recipients = [X25519Identity.parse(str(theirs)).recipient, *(one.recipient for one in ours)]
    assert pyrage.decrypt(seal(data, recipients), [theirs]) == data
    known = [pyrage.x25519.Recipient.from_str(str(recipient)) for recipient in recipients]
    sealed = pyrage.encrypt(data, known)
    for identity in (X25519Identity.parse(str(theirs)), *ours[-1:]):
        assert unseal(sealed, [identity]) == data
        assert unseal(sealed, [identity], is_file=False) == data


def test_rage_and_we_open_each_other_with_a_passphrase() -> None:
    assert pyrage.passphrase.decrypt(seal(b"data", [Passphrase(lambda: b"ab")]), "ab") == b"data"
    assert unseal(pyrage.passphrase.encrypt(b"data", "ab"), [Passphrase(lambda: b"ab")]) == b"data"
