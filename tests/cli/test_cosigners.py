"""Several signatures: ``key sign``, ``--require-signers``, ``--signer``; ssh-keygen agrees."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.agents import add, agent, keygen
from tests.cli.program import Inside
from wmbackup.archive import sshsig
from wmbackup.errors import WmbackupError
from wmbackup.storage.publish import Draft
from wmbackup.trust.unlock import read_public

BACKUP = ("backup", "--store", "sample", "--accept-restricted", "-o")


def key(name: str) -> Path:
    path = Path(name)
    return path if path.exists() else keygen(path)


def line(name: str, principal: str | None = None) -> str:
    return f"{principal or name} {sshsig.public_line(read_public(str(key(name))))}\n"


def mark(name: str) -> str:
    return sshsig.fingerprint(read_public(name))


def trust(inside: Inside, *lines: str) -> None:
    os.makedirs(inside.config, 0o700, exist_ok=True)
    Path(inside.config, "allowed_signers").write_text("".join(lines))


def revoke(inside: Inside, *names: str) -> None:
    text = "".join(sshsig.public_line(read_public(name)) + "\n" for name in names)
    Path(inside.config, "revoked_keys").write_text(text)


def sign(inside: Inside, name: str, archive: str = "a.tar") -> None:
    """Countersign, as somebody who trusts the maker."""
    own = Path("signer-trusts")
    own.write_text(line("maker"))
    command = ("key", "sign", archive, "--signing-key", name, "--allowed-signers", str(own))
    result = inside(*command)
    assert result.code == 0, result.err


@pytest.fixture
def ready(inside: Inside) -> Inside:
    """Return a program that trusts maker, one and two, and an archive of maker."""
    trust(inside, line("maker"), line("one"), line("two"))
    assert inside(*BACKUP, "a.tar", "--signing-key", "maker").code == 0
    return inside


def unpacked(archive: str) -> Path:
    folder = Path(f"{archive}.d")
    folder.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return folder / "wmbackup-1"


def test_sign_adds_one_member_and_changes_no_other_byte(ready: Inside) -> None:
    before = Path("a.tar").read_bytes()
    os.chmod("a.tar", 0o640)
    for number, name in ((2, "one"), (3, "two")):
        sign(ready, name)
        after = Path("a.tar").read_bytes()
        begin = after.index(f"wmbackup-1/tagmanifest-sha256.txt.{number}.sig".encode())
        assert begin % 512 == 0
        assert after[:begin] + after[begin + 1024 :] == before
        before = after
    assert os.stat("a.tar").st_mode & 0o777 == 0o640
    assert ready("verify", "a.tar", "--require-signers", "3").code == 0
    bag = unpacked("a.tar")
    (bag.parent / "trusted").write_text(line("maker") + line("one") + line("two"))
    for name, end in (("maker", "sig"), ("one", "2.sig"), ("two", "3.sig")):
        signed = bag / "tagmanifest-sha256.txt"
        options = ("-f", bag.parent / "trusted", "-I", name, "-n", "archive@wmbackup")
        command = ("ssh-keygen", "-Y", "verify", *options, "-s", f"{signed}.{end}")
        subprocess.run(command, input=signed.read_bytes(), check=True, capture_output=True)
    sums = ("sha256sum", "--strict", "-c")
    for manifest in ("tagmanifest-sha256.txt", "manifest-sha256.txt"):
        subprocess.run([*sums, manifest], cwd=bag, check=True, capture_output=True)


def test_signature_is_the_one_that_ssh_keygen_makes(ready: Inside) -> None:
    sign(ready, "one")
    bag = unpacked("a.tar")
    command = ("ssh-keygen", "-Y", "sign", "-f", "one", "-n", "archive@wmbackup", "-q")
    signed = bag / "tagmanifest-sha256.txt"
    made = subprocess.run(command, input=signed.read_bytes(), check=True, capture_output=True)
    assert made.stdout == Path(f"{signed}.2.sig").read_bytes()


@pytest.mark.parametrize("name", ["one", "one.pub"])
def test_sign_with_a_key_in_the_agent(
    ready: Inside, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with agent() as address:
        add(address, key("one"))
        os.unlink("one")
        monkeypatch.setenv("SSH_AUTH_SOCK", address)
        assert ready("key", "sign", "a.tar", "--signing-key", name).code == 0
    assert ready("verify", "a.tar", "--signer", "one").code == 0


def test_sign_twice_by_one_key_is_refused(ready: Inside) -> None:
    sign(ready, "one")
    before = Path("a.tar").read_bytes()
    for name in ("maker", "one"):
        result = ready("key", "sign", "a.tar", "--signing-key", name)
        assert result.code == 1
        assert f"is signed by {mark(name)} already" in result.err
    assert Path("a.tar").read_bytes() == before


def test_sixteen_keys_sign_and_no_more(ready: Inside) -> None:
    names = [f"k{number}" for number in range(16)]
    for name in names[:15]:
        key(name)
        sign(ready, name)
    result = ready("key", "sign", "a.tar", "--signing-key", str(key(names[15])))
    assert result.code == 1
    assert "no more fit in" in result.err
    assert ready("verify", "a.tar").code == 0


def flip(offset: int) -> None:
    data = bytearray(Path("a.tar").read_bytes())
    data[offset] ^= 1
    Path("a.tar").write_bytes(data)


@pytest.mark.parametrize("where", ["payload", "signature", "end", "head"])
def test_sign_refuses_what_does_not_verify(ready: Inside, where: str) -> None:
    size = os.path.getsize("a.tar")
    if where == "end":
        os.truncate("a.tar", size - 512)
    else:
        data = Path("a.tar").read_bytes()
        needle = {"payload": b"/data/", "signature": b"BEGIN SSH", "head": b'{"size"'}[where]
        at = data.rindex(needle) if where == "payload" else data.index(needle)
        flip(at + 600 if where == "payload" else at + 80)
    before = Path("a.tar").read_bytes()
    assert ready("key", "sign", "a.tar", "--signing-key", "one").code == 4
    assert Path("a.tar").read_bytes() == before


def test_sign_refuses_a_maker_who_is_not_trusted_or_revoked(ready: Inside) -> None:
    before = Path("a.tar").read_bytes()
    trust(ready, line("one"))
    assert ready("key", "sign", "a.tar", "--signing-key", "one").code == 5
    trust(ready, line("maker"))
    revoke(ready, "maker")
    assert ready("key", "sign", "a.tar", "--signing-key", "one").code == 5
    assert Path("a.tar").read_bytes() == before


def test_sign_with_a_revoked_key_is_refused(ready: Inside) -> None:
    revoke(ready, "one")
    result = ready("key", "sign", "a.tar", "--signing-key", "one")
    assert result.code == 2
    assert "is revoked" in result.err


@pytest.mark.parametrize(
    ("name", "code"), [("-", 2), ("missing", 7), (".", 2), ("maker.pub", 7), ("", 2)]
)
def test_sign_of_what_is_no_archive(ready: Inside, name: str, code: int) -> None:
    assert ready("key", "sign", name, "--signing-key", "one").code == code


def test_sign_follows_a_link_and_leaves_it(ready: Inside) -> None:
    os.mkdir("elsewhere")
    os.rename("a.tar", "elsewhere/a.tar")
    os.symlink("elsewhere/a.tar", "a.tar")
    sign(ready, "one")
    assert os.path.islink("a.tar")
    assert ready("verify", "elsewhere/a.tar", "--signer", "one").code == 0


def test_sign_that_is_cut_off_leaves_the_archive_as_it_was(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Path("a.tar").read_bytes()

    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "no space left on device")

    for step in ("sync", "publish"):
        with monkeypatch.context() as patched:
            patched.setattr(Draft, step, fails)
            result = ready("key", "sign", "a.tar", "--signing-key", "one")
        assert result.code == 1
        assert "no space left" in result.err
        assert Path("a.tar").read_bytes() == before
    assert [name for name in os.listdir() if ".part" in name] == []


def test_sign_reads_back_what_the_disk_has(ready: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path("a.tar").read_bytes()
    real = Draft.sync

    def damaging(draft: Draft) -> None:
        real(draft)
        draft.file.seek(-2000, os.SEEK_END)
        byte = draft.file.read(1)
        draft.file.seek(-2000, os.SEEK_END)
        draft.file.write(bytes([byte[0] ^ 1]))
        draft.file.flush()
        draft.file.seek(0)

    with monkeypatch.context() as patched:
        patched.setattr(Draft, "sync", damaging)
        result = ready("key", "sign", "a.tar", "--signing-key", "one")
    assert result.code == 1
    assert "the disk gave back other bytes" in result.err
    assert Path("a.tar").read_bytes() == before


def commands(archive: str = "a.tar") -> list[tuple[str, ...]]:
    restore = ("restore", archive, "--to", "out", "--yes", "--on-conflict", "replace")
    return [("verify", archive), ("list", archive), restore]


@pytest.mark.parametrize(
    ("signers", "options", "code"),
    [
        ((), (), 0),
        ((), ("--require-signers", "1"), 0),
        ((), ("--require-signers", "2"), 5),
        (("one",), ("--require-signers", "2"), 0),
        (("one",), ("--require-signers", "3"), 5),
        (("one", "two"), ("--require-signers", "3"), 0),
        (("stranger",), ("--require-signers", "2"), 5),
        (("one",), ("--signer", "one"), 0),
        (("one",), ("--signer", "maker", "--signer", "one"), 0),
        (("one",), ("--signer", "two"), 5),
        (("one",), ("--signer", "one", "--signer", "two"), 5),
        ((), ("--signer", "maker"), 0),
        (("stranger",), ("--signer", "stranger"), 5),
        (("one",), ("--signer", "one", "--require-signers", "2"), 0),
        (("one",), ("--signer", "one", "--require-signers", "3"), 5),
        (("one",), ("--signer", "nobody"), 5),
    ],
)
def test_required_signers_are_asked_for_by_every_command(
    ready: Inside, signers: tuple[str, ...], options: tuple[str, ...], code: int
) -> None:
    for name in signers:
        key(name)
        sign(ready, name)
    for command in commands():
        result = ready(*command, *options)
        assert result.code == code, result.err
        if code:
            who = "that" if "let that" in result.hints[0] else "another trusted"
            assert result.hints == [f"let {who} signer countersign it: wmbackup key sign a.tar"]


@pytest.mark.parametrize("value", ["0", "17", "-1", "x", ""])
def test_number_of_signers_that_cannot_be_is_2(ready: Inside, value: str) -> None:
    assert ready("verify", "a.tar", f"--require-signers={value}").code == 2


def test_empty_signer_is_2(ready: Inside) -> None:
    assert ready("verify", "a.tar", "--signer", "").code == 2


def test_both_stand_in_the_configuration_and_the_command_line_goes_before(ready: Inside) -> None:
    file = Path(ready.config, "wmbackup.toml")
    file.write_text('require-signers = 2\nsigner = ["one"]\n')
    for command in commands():
        assert ready(*command).code == 5
    assert ready("verify", "a.tar", "--require-signers", "1", "--signer", "maker").code == 0
    sign(ready, "two")
    assert ready("verify", "a.tar").code == 5
    sign(ready, "one")
    for command in commands():
        assert ready(*command).code == 0
    for wrong in ("2.5", "0", "17", '"two"', "true", "[2]"):
        file.write_text(f"require-signers = {wrong}\n")
        assert ready("verify", "a.tar").code == 2
    file.write_text("[verify]\nrequire-signers = 4\n")
    assert ready("verify", "a.tar").code == 5
    assert ready("list", "a.tar").code == 0


def test_one_key_under_two_names_counts_once(ready: Inside) -> None:
    trust(ready, line("maker"), line("maker", "also"), line("one"), line("one", "me"))
    sign(ready, "one")
    assert ready("verify", "a.tar", "--require-signers", "2").code == 0
    assert ready("verify", "a.tar", "--require-signers", "3").code == 5
    assert ready("verify", "a.tar", "--signer", "one", "--signer", "me").code == 5
    assert ready("verify", "a.tar", "--signer", "also", "--signer", "me").code == 0


def test_two_keys_of_one_principal_count_once(ready: Inside) -> None:
    trust(ready, line("maker", "us"), line("one", "us"))
    sign(ready, "one")
    assert ready("verify", "a.tar", "--require-signers", "2").code == 5
    assert ready("verify", "a.tar", "--signer", "us").code == 0


def test_line_of_several_names_is_any_of_them_and_one_at_a_time(ready: Inside) -> None:
    trust(ready, line("maker", "a,b"), line("one", "b,c"))
    sign(ready, "one")
    assert ready("verify", "a.tar", "--signer", "a", "--signer", "b").code == 0
    assert ready("verify", "a.tar", "--signer", "b", "--signer", "c").code == 0
    assert ready("verify", "a.tar", "--signer", "a", "--signer", "c").code == 0
    assert ready("verify", "a.tar", "--signer", "a", "--signer", "b", "--signer", "c").code == 5


def test_pattern_is_named_by_the_principal_of_the_host(ready: Inside) -> None:
    info = (unpacked("a.tar") / "bag-info.txt").read_text()
    host = re.search("WMBackup-Host: (.*)", info)
    assert host is not None
    trust(ready, line("maker", "wmbackup@*"))
    assert ready("verify", "a.tar", "--signer", f"wmbackup@{host[1]}").code == 0
    assert ready("verify", "a.tar", "--signer", "wmbackup@other").code == 5
    assert ready("verify", "a.tar", "--signer", "wmbackup@*").code == 5


def test_bad_signature_beside_good_ones_is_an_error(ready: Inside) -> None:
    for name in ("one", "two"):
        sign(ready, name)
    data = Path("a.tar").read_bytes()
    begin = data.index(b"tagmanifest-sha256.txt.2.sig")
    flip(data.index(b"\n", data.index(b"BEGIN SSH", begin)) + 250)
    for command in commands():
        assert ready(*command).code == 4


@pytest.mark.parametrize("kind", ["stranger", "revoked", "expired"])
def test_countersignature_that_does_not_count_is_ignored_with_a_warning(
    ready: Inside, kind: str
) -> None:
    key(kind)
    sign(ready, kind)
    sign(ready, "one")
    if kind == "revoked":
        trust(ready, line("maker"), line("one"), line("revoked"))
        revoke(ready, "revoked")
    if kind == "expired":
        expired = line("expired").replace(" ssh", ' valid-before="20200101Z" ssh')
        trust(ready, line("maker"), line("one"), expired)
    word = "is revoked" if kind == "revoked" else "is not trusted"
    for command in commands():
        result = ready(*command, "--require-signers", "2")
        assert result.code == 0, result.err
        text = f"a.tar: the countersignature by {mark(kind)}, which {word}, is ignored"
        assert f"wmbackup: warning: {text}" in result.err
        assert ready(*command, "--require-signers", "3").code == 5
    codes = [one["code"] for one in ready("verify", "a.tar", "--json").lines if "code" in one]
    assert ("cosigner-revoked" if kind == "revoked" else "cosigner-untrusted") in codes


def test_revoked_maker_is_5_however_many_have_countersigned(ready: Inside) -> None:
    for name in ("one", "two"):
        sign(ready, name)
    revoke(ready, "maker")
    for command in commands():
        result = ready(*command)
        assert result.code == 5
        assert "is revoked" in result.err


def test_no_warning_where_all_count(ready: Inside) -> None:
    sign(ready, "one")
    assert "ignored" not in ready("verify", "a.tar").err


def test_revoke_says_of_which_archives_the_key_was_a_cosigner(ready: Inside) -> None:
    sign(ready, "one")
    assert ready(*BACKUP, "b.tar", "--signing-key", "one").code == 0
    result = ready("key", "revoke", "one", ".", "--json").summary["result"]
    roles = {one["name"]: one["role"] for one in result["affected"]}
    assert roles == {"./a.tar": "cosigner", "./b.tar": "maker"}


@pytest.fixture
def encrypted(ready: Inside) -> Inside:
    made = ready("key", "create", "--identity")
    assert made.code == 0
    recipient = re.search("age1[a-z0-9]+", made.out)
    assert recipient is not None
    options = ("--signing-key", "maker", "--recipient", recipient[0])
    result = ready(*BACKUP, "e.tar.age", *options)
    assert result.code == 0, result.err
    return ready


def test_sign_of_an_encrypted_archive_keeps_it_encrypted_for_the_same(encrypted: Inside) -> None:
    identity = f"{encrypted.config}/identity.txt"
    decrypt = ("age", "-d", "-i", identity, "e.tar.age")
    before = subprocess.run(decrypt, check=True, capture_output=True).stdout
    sealed = Path("e.tar.age").read_bytes()
    sign(encrypted, "one", "e.tar.age")
    assert encrypted("verify", "e.tar.age", "--signer", "one").code == 0
    after = subprocess.run(decrypt, check=True, capture_output=True).stdout
    begin = after.index(b"wmbackup-1/tagmanifest-sha256.txt.2.sig")
    assert after[:begin] + after[begin + 1024 :] == before
    header = sealed[: sealed.index(b"\n---") + 48]
    again = Path("e.tar.age").read_bytes()
    assert again.startswith(header)
    nonce = sealed.index(b"\n", sealed.index(b"\n---") + 1) + 1
    assert again[nonce : nonce + 16] != sealed[nonce : nonce + 16]  # one nonce is for one text


def test_sign_of_an_encrypted_archive_without_an_identity_is_6(encrypted: Inside) -> None:
    os.rename(f"{encrypted.config}/identity.txt", "identity.txt")
    before = Path("e.tar.age").read_bytes()
    assert encrypted("key", "sign", "e.tar.age", "--signing-key", "one").code == 6
    assert Path("e.tar.age").read_bytes() == before
    named = ("--signing-key", "one", "--identity", "identity.txt")
    assert encrypted("key", "sign", "e.tar.age", *named).code == 0


def test_error_of_a_second_signature_is_one_of_the_tree() -> None:
    from wmbackup.engine._countersign import SignedAlready

    assert issubclass(SignedAlready, WmbackupError)
