"""Who holds what, and what it is good for: a test for each line of the table in SECURITY.md."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest

from tests.agents import keygen
from tests.cli.program import Inside
from wmbackup.archive import sshsig
from wmbackup.engine import _destination
from wmbackup.trust.unlock import read_public

ROOT = Path(__file__).resolve().parents[2]
BACKUP = ("backup", "--store", "sample", "--accept-restricted", "-o")


def line(name: str) -> str:
    return f"{name} {sshsig.public_line(read_public(name))}\n"


@pytest.fixture
def ready(inside: Inside) -> Inside:
    """Return a program that trusts two keys, which are in the current folder with an archive."""
    os.makedirs(inside.config, 0o700)
    for name in ("maker", "second", "stranger"):
        keygen(Path(name))
    Path(inside.config, "allowed_signers").write_text(line("maker") + line("second"))
    assert inside(*BACKUP, "a.tar", "--signing-key", "maker").code == 0
    return inside


@pytest.fixture
def recipient(ready: Inside) -> str:
    """Return the recipient of the identity of this user, and encrypt an archive for it."""
    found = re.search("age1[a-z0-9]+", ready("key", "create", "--identity").out)
    assert found is not None
    made = ready(*BACKUP, "e.tar.age", "--signing-key", "maker", "--recipient", found[0])
    assert made.code == 0, made.err
    return found[0]


def members(archive: str) -> list[tuple[int, str]]:
    with tarfile.open(archive) as tar:
        return [(one.offset_data, one.name) for one in tar.getmembers() if one.size]


def test_share_changes_no_byte_unseen(ready: Inside) -> None:
    good = Path("a.tar").read_bytes()
    for at, name in members("a.tar"):
        bad = bytearray(good)
        bad[at] ^= 1
        Path("a.tar").write_bytes(bad)
        assert ready("verify", "a.tar").code == 4, name
        assert ready("restore", "a.tar", "--to", "out", "--yes").code == 4, name
        assert not os.path.exists("out")
    for changed in (good + bytes(512), good[:-512], good[:-1024] + good[-1536:]):
        Path("a.tar").write_bytes(changed)
        assert ready("verify", "a.tar").code == 4


def test_share_takes_countersignatures_off_and_adds_none_that_counts(ready: Inside) -> None:
    assert ready("key", "sign", "a.tar", "--signing-key", "second").code == 0
    two = ("verify", "a.tar", "--require-signers", "2")
    assert ready(*two).code == 0
    data = Path("a.tar").read_bytes()
    begin = data.index(b"wmbackup-1/tagmanifest-sha256.txt.2.sig")
    without = data[:begin] + data[begin + 1024 :]
    Path("a.tar").write_bytes(without)
    assert ready("verify", "a.tar").code == 0
    assert ready(*two).code == 5
    Path("mine").write_text(line("maker"))
    forged = ("key", "sign", "a.tar", "--signing-key", "stranger", "--allowed-signers", "mine")
    assert ready(*forged).code == 0
    assert ready(*two).code == 5
    # A signature of the second key over other bytes does not fit.
    assert ready(*BACKUP, "b.tar", "--signing-key", "second").code == 0
    other = Path("b.tar").read_bytes()
    start = other.index(b"-----BEGIN SSH SIGNATURE-----")
    moved = bytearray(data)
    at = data.index(b"-----BEGIN SSH SIGNATURE-----", begin)
    moved[at : at + 310] = other[start : start + 310]
    Path("a.tar").write_bytes(moved)
    assert ready(*two).code == 4


def test_share_reads_nothing_of_an_encrypted_archive(ready: Inside, recipient: str) -> None:
    data = Path("e.tar.age").read_bytes()
    assert data.count(b"-> X25519 ") == 1
    for secret in (b"wmbackup-1", b"bag-info", b"sample", b".lic", recipient.encode()):
        assert secret not in data
    os.unlink(f"{ready.config}/identity.txt")
    for command in (("verify", "e.tar.age"), ("list", "e.tar.age")):
        assert ready(*command).code == 6


def test_identity_reads_and_signs_nothing(ready: Inside, recipient: str) -> None:
    identity = f"{ready.config}/identity.txt"
    plain = subprocess.run(
        ["age", "-d", "-i", identity, "e.tar.age"], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        assert any("/data/" in name for name in tar.getnames())
    changed = bytearray(plain)
    changed[-2000] ^= 1
    for data in (bytes(changed), plain.replace(b"WMBackup-Host: ", b"WMBackup-Host: x", 1)):
        made = subprocess.run(["age", "-r", recipient], input=data, check=True, capture_output=True)
        Path("e.tar.age").write_bytes(made.stdout)
        assert ready("verify", "e.tar.age").code == 4


@pytest.mark.usefixtures("recipient")
def test_identity_that_encrypts_anew_is_warned_of(ready: Inside) -> None:
    identity = f"{ready.config}/identity.txt"
    decrypt = ["age", "-d", "-i", identity, "e.tar.age"]
    plain = subprocess.run(decrypt, check=True, capture_output=True).stdout
    Path("plain.tar").write_bytes(plain)
    assert "the maker encrypted this archive" in ready("verify", "plain.tar").err
    subprocess.run(["age-keygen", "-o", "other.txt"], check=True, capture_output=True)
    other = subprocess.run(["age-keygen", "-y", "other.txt"], check=True, capture_output=True)
    again = ["age", "-r", other.stdout.decode().strip()]
    made = subprocess.run(again, input=plain, check=True, capture_output=True)
    Path("again.tar.age").write_bytes(made.stdout)
    result = ready("verify", "again.tar.age", "--identity", "other.txt")
    assert result.code == 0
    assert "did not encrypt this archive for what opens it here" in result.err


def dated(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Let archives be made at another time, as whoever has the key can."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # see Then
            return moment.astimezone(tz)

    monkeypatch.setattr(_destination, "datetime", Then)


def test_signing_key_signs_any_date_until_it_is_revoked(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        dated(patched, datetime(2001, 1, 1, tzinfo=UTC))
        assert ready(*BACKUP, "old.tar", "--signing-key", "maker").code == 0
    assert ready("verify", "old.tar").code == 0
    assert ready("key", "revoke", "maker").code == 0
    for archive in ("old.tar", "a.tar"):
        assert ready("verify", archive).code == 5
    assert ready(*BACKUP, "new.tar", "--signing-key", "maker").code == 2


def test_signing_key_is_one_signer_under_its_own_name(ready: Inside) -> None:
    assert ready("key", "sign", "a.tar", "--signing-key", "maker").code == 1
    assert ready("verify", "a.tar", "--signer", "maker").code == 0
    assert ready("verify", "a.tar", "--signer", "second").code == 5
    assert ready("verify", "a.tar", "--require-signers", "2").code == 5


@pytest.mark.usefixtures("recipient")
def test_signing_key_opens_no_encrypted_archive(ready: Inside) -> None:
    os.unlink(f"{ready.config}/identity.txt")
    assert ready("list", "e.tar.age", "--identity", "maker").code == 2
    opened = subprocess.run(
        ["age", "-d", "-i", "maker", "e.tar.age"], capture_output=True, check=False
    )
    assert opened.returncode != 0


def test_old_archive_has_its_old_date_under_any_name(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        dated(patched, datetime(2001, 1, 1, tzinfo=UTC))
        assert ready(*BACKUP, "old.tar", "--signing-key", "maker").code == 0
    os.replace("old.tar", "a.tar")
    (one,) = ready("verify", "a.tar", "--json").summary["result"]["archives"]
    assert one["archive"]["created"] == "2001-01-01T00:00:00Z"
    data = Path("a.tar").read_bytes()
    Path("a.tar").write_bytes(data.replace(b"Created: 2001-", b"Created: 2031-", 1))
    assert ready("verify", "a.tar").code == 4


def test_old_archive_stays_valid_and_its_retired_key_does_not(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ready("key", "create").code == 0
    assert ready(*BACKUP, "own.tar").code == 0
    assert ready("key", "rotate").code == 0
    names = os.listdir(ready.config)
    (old,) = [name for name in names if re.fullmatch("signing_key-[0-9TZ]+", name)]
    with monkeypatch.context() as patched:
        dated(patched, datetime(2099, 1, 1, tzinfo=UTC))
        made = ready(*BACKUP, "new.tar", "--signing-key", f"{ready.config}/{old}")
        assert made.code == 0
    assert ready("verify", "own.tar").code == 0
    assert ready("verify", "new.tar").code == 5


def test_machine_changes_its_own_trust_and_no_other(ready: Inside) -> None:
    Path("elsewhere").write_text(line("maker"))
    assert ready(*BACKUP, "b.tar", "--signing-key", "stranger").code == 0
    Path("pub").write_text(line("stranger"))
    assert ready("verify", "b.tar").code == 5
    assert ready("key", "trust", "pub").code == 0
    assert ready("verify", "b.tar").code == 0
    assert ready("verify", "b.tar", "--allowed-signers", "elsewhere").code == 5


def test_table_of_the_manual_names_these_tests_and_all_of_them() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = page.partition("## Who holds what\n")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    named = [found[1] for row in rows if (found := re.search(r"`(test_\w+)` \|$", row))]
    assert len(named) == len(rows)
    here = [name for name in globals() if name.startswith("test_") and "table" not in name]
    assert sorted(named) == sorted(here)
