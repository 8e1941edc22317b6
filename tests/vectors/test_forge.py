"""What forge writes is what stock tools read: the vectors rest on it, and not on wmbackup."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import bagit
import forge
import generate
import pytest
from cases_container import full
from forge import NAMESPACE, Draft, File, draft, license_row


def mixed() -> Draft:
    """Names and items, empty and not, cosigners and a time stamp: a bit of everything."""
    made = draft(
        [
            *(File(b"A.lic", b""), File(b"a b/c.lic", b"x" * 512)),
            *(File("é.lic".encode(), b"y" * 513), File(b"\xff", b"z"), File(b"aux", b"0")),
        ],
        [license_row("data/A.lic"), license_row(None, withheld=b"true")],
    )
    made.cosigners = (forge.COSIGNER, forge.SECOND)
    made.time_stamp = b"opaque"
    return made


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    archive = mixed().archive()
    subprocess.run(["tar", "-xf", "-"], cwd=tmp_path, input=archive, check=True)
    return tmp_path / "wmbackup-1"


def test_tar_lists_the_members() -> None:
    made = mixed()
    listed = subprocess.run(
        ["tar", "-tf", "-", "--quoting-style=literal"],
        input=made.archive(),
        capture_output=True,
        check=True,
    )
    names = [(forge.BAG + member.name).decode() for member in made.members()]
    assert listed.stdout.decode().splitlines() == names
    assert listed.stderr == b""


def test_tar_unpacks_every_byte(unpacked: Path) -> None:
    for member in mixed().members():
        file = unpacked / member.name.decode()
        assert file.read_bytes() == member.content
        assert file.stat().st_mtime == 499162500
        assert file.stat().st_mode & 0o777 == 0o600


def test_python_reads_the_headers() -> None:
    with tarfile.open(fileobj=io.BytesIO(mixed().archive()), mode="r:") as tar:
        assert all(member.isreg() and member.mtime == 499162500 for member in tar.getmembers())
        assert tar.format == tarfile.USTAR_FORMAT or not tar.pax_headers


@pytest.mark.parametrize(("suffix", "key"), [("", 0), (".2", 1), (".3", 2)])
def test_ssh_keygen_accepts_each_signature(unpacked: Path, suffix: str, key: int) -> None:
    signer = (forge.MAKER, forge.COSIGNER, forge.SECOND)[key]
    signers = unpacked / "signers"
    signers.write_text(signer.trusted(f'namespaces="{NAMESPACE.decode()}"') + "\n")
    signed = (unpacked / "tagmanifest-sha256.txt").read_bytes()
    signature = f"tagmanifest-sha256.txt{suffix}.sig"
    principal = f"{signer.name}@vectors.example"
    command = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", principal]
    command += ["-n", NAMESPACE.decode(), "-s", signature]
    subprocess.run(command, cwd=unpacked, input=signed, check=True)
    refused = subprocess.run(command, cwd=unpacked, input=signed + b"\n", check=False)
    assert refused.returncode != 0


def test_ssh_keygen_prints_the_same_fingerprint(tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text(forge.MAKER.line + "\n")
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(key)], capture_output=True, text=True, check=True
    )
    assert forge.MAKER.fingerprint in printed.stdout.split()


@pytest.mark.parametrize("manifest", ["tagmanifest-sha256.txt", "manifest-sha256.txt"])
def test_sha256sum_accepts_the_manifests(unpacked: Path, manifest: str) -> None:
    subprocess.run(["sha256sum", "--strict", "-c", manifest], cwd=unpacked, check=True)


def test_bagit_accepts_the_bag(unpacked: Path) -> None:
    bagit.Bag(str(unpacked)).validate()


def test_bagit_refuses_a_changed_bag(unpacked: Path) -> None:
    (unpacked / "data" / "A.lic").write_bytes(b"changed")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(unpacked)).validate()


def test_the_readme_is_that_of_the_manual() -> None:
    with open(os.path.join(generate.HERE, "..", "..", "man", "wmbackup-archive.5"), "rb") as file:
        manual = file.read()
    assert hashlib.sha256(forge.README).hexdigest().encode() in manual
    assert b"Ta %d\n" % len(forge.README) in manual
    assert b"Ta %d\n" % len(forge.BAGIT) in manual


def test_the_same_calls_make_the_same_bytes() -> None:
    assert mixed().archive() == mixed().archive()
    assert full().archive() == full().archive()


def test_a_signature_can_be_made_again_with_the_order_of_the_group_added() -> None:
    right, other = forge.Sshsig(), forge.Sshsig(add_order=True)
    a, b = (form.blob(forge.MAKER, b"x") for form in (right, other))
    s, t = (int.from_bytes(blob[-32:], "little") for blob in (a, b))
    assert a[:-32] == b[:-32]
    assert t - s == forge.ORDER_OF_THE_GROUP


def test_the_vectors_are_up_to_date() -> None:
    script = os.path.join(generate.HERE, "generate.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_check_names_what_is_not_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "HERE", str(tmp_path))
    monkeypatch.setattr(generate, "kept", lambda: {"a.vec": b"a", "b.vec": b"b"})
    monkeypatch.setattr(generate, "kept_envelopes", dict)
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    (tmp_path / "a.vec").unlink()
    (tmp_path / "b.vec").write_bytes(b"other")
    (tmp_path / "c.vec").write_bytes(b"c")
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    assert capsys.readouterr().out == "a.vec: missing\nb.vec: differs\nc.vec: surplus\n"
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    assert generate.present() == {"a.vec": b"a", "b.vec": b"b"}
