"""The life of a key: trusted, limited, rotated, revoked, untrusted. ssh-keygen agrees."""

from __future__ import annotations

import html
import os
import re
import subprocess
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest

from tests.agents import keygen
from tests.archives import public
from tests.cli.program import Inside
from wmbackup.archive.sshsig import fingerprint, public_line
from wmbackup.errors import SystemFailure
from wmbackup.trust import keys, parse_allowed_signers, rotation, trust_files

GOOD, EVIL = public_line(public(1)), public_line(public(2))
MARK = fingerprint(public(1))
BACKUP = ("backup", "--store", "sample", "--accept-restricted", "-o")


def file(inside: Inside, name: str = "allowed_signers") -> Path:
    return Path(inside.config, name)


def text(inside: Inside, name: str = "allowed_signers") -> str:
    path = file(inside, name)
    return path.read_text() if path.exists() else ""


def machine(inside: Inside, name: str, content: str) -> None:
    os.makedirs(inside.site, exist_ok=True)
    Path(inside.site, name).write_text(content)


@pytest.fixture
def ready(inside: Inside) -> Inside:
    """Return a program with a key of its own and an archive that it signed."""
    assert inside("key", "create").code == 0
    assert inside(*BACKUP, "a.tar").code == 0
    return inside


def keygen_trusts(inside: Inside, archive: str, principal: str) -> bool:
    """Ask ssh-keygen, with the same files, about an archive."""
    folder = Path(inside.here, f"unpacked-{archive}")
    folder.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    signed = folder / "wmbackup-1" / "tagmanifest-sha256.txt"
    info = (signed.parent / "bag-info.txt").read_text()
    created = re.search("WMBackup-Created: (.*)", info)
    assert created is not None
    stamp = re.sub("[-:T]", "", created[1])
    revoked = file(inside, "revoked_keys")
    done = subprocess.run(
        [
            *("ssh-keygen", "-Y", "verify", "-f", file(inside), "-I", principal),
            *("-n", "archive@wmbackup", "-s", f"{signed}.sig", f"-Overify-time={stamp}"),
            *(("-r", revoked) if revoked.exists() else ()),
        ],
        input=signed.read_bytes(),
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


FILE = f"""# who we trust
wmbackup@one {GOOD} old comment

\twmbackup@two namespaces="archive@wmbackup" {EVIL}\tsecond
other cert-authority {GOOD}
file@us namespaces="file" {GOOD}
"""


@pytest.mark.parametrize("who", ["wmbackup@one", MARK, MARK.removeprefix("SHA256:")])
@pytest.mark.parametrize("end", ["\n", ""])
def test_untrust_removes_the_line_and_keeps_all_others_and_a_copy(
    inside: Inside, who: str, end: str
) -> None:
    before = FILE.rstrip("\n") + end
    os.makedirs(inside.config, 0o700)
    file(inside).write_text(before)
    result = inside("key", "untrust", who)
    assert result.code == 0, result.err
    assert f"no longer trusting {MARK} as wmbackup@one" in result.out
    assert text(inside) == before.replace(f"wmbackup@one {GOOD} old comment\n", "")
    assert text(inside, "allowed_signers.old") == before
    again = inside("key", "untrust", who)
    assert again.code == 7
    assert text(inside, "allowed_signers.old") == before


def test_untrust_by_fingerprint_removes_every_line_of_the_key(inside: Inside) -> None:
    os.makedirs(inside.config, 0o700)
    file(inside).write_text(f"a {GOOD}\nb,c {GOOD}\n*@x {GOOD}\nd {EVIL}\n")
    assert inside("key", "untrust", MARK).code == 0
    assert text(inside) == f"d {EVIL}\n"


def test_untrust_takes_one_name_of_several_and_the_last_line_without_an_end(inside: Inside) -> None:
    os.makedirs(inside.config, 0o700)
    file(inside).write_text(f"d {EVIL}\na,b {GOOD}")
    result = inside("key", "untrust", "b")
    assert result.code == 0
    assert "a,b" in result.out
    assert parse_allowed_signers(file(inside).read_bytes())[0].principals == "d"


def test_untrust_of_a_name_that_only_patterns_match_names_the_line(inside: Inside) -> None:
    os.makedirs(inside.config, 0o700)
    file(inside).write_text(f"wmbackup@* {GOOD}\n")
    result = inside("key", "untrust", "wmbackup@one")
    assert result.code == 7
    assert result.hints == ["a line with patterns trusts it: wmbackup key untrust 'wmbackup@*'"]
    assert inside("key", "untrust", "wmbackup@*").code == 0
    assert text(inside) == ""


def test_untrust_of_what_the_machine_trusts_names_the_file(inside: Inside) -> None:
    machine(inside, "allowed_signers", f"wmbackup@one {GOOD}\n")
    result = inside("key", "untrust", "wmbackup@one")
    assert result.code == 7
    command = result.hints[0].partition("all users: wmbackup ")[2].split()
    assert inside(*command).code == 0
    assert Path(inside.site, "allowed_signers").read_text() == ""


def test_untrust_warns_of_another_file_that_trusts_the_key_still(inside: Inside) -> None:
    machine(inside, "allowed_signers", f"wmbackup@all {GOOD}\n")
    os.makedirs(inside.config, 0o700)
    file(inside).write_text(f"wmbackup@one {GOOD}\n")
    result = inside("key", "untrust", "wmbackup@one")
    assert result.code == 0
    assert f"is still trusted as wmbackup@all in {inside.site}/allowed_signers" in result.err


def test_archives_of_an_untrusted_key_are_not_trusted(ready: Inside) -> None:
    (signer,) = parse_allowed_signers(file(ready).read_bytes())
    assert keygen_trusts(ready, "a.tar", signer.principals)
    assert ready("key", "untrust", signer.principals).code == 0
    assert ready("verify", "a.tar").code == 5
    assert not keygen_trusts(ready, "a.tar", signer.principals)


def test_revoke_names_the_archives_of_a_folder_and_ends_trust_in_them(ready: Inside) -> None:
    (signer,) = parse_allowed_signers(file(ready).read_bytes())
    os.mkdir("folder")
    for name in ("one.tar", "two.tar"):
        assert ready(*BACKUP, f"folder/{name}").code == 0
    Path("folder/broken.tar").write_bytes(b"wmbackup-1/bagit.txt" + bytes(100))
    Path("folder/note.txt").write_text("not an archive")
    keygen(Path("other"))
    Path("other.trust").write_text("wmbackup@other " + Path("other.pub").read_text())
    assert ready(*BACKUP, "folder/other.tar", "--signing-key", "other").code == 0
    result = ready("key", "revoke", signer.principals, "folder")
    assert result.code == 0, result.err
    assert [line for line in result.out.splitlines() if line.startswith("folder/")] == [
        "folder/one.tar: made by this key, not trusted any more",
        "folder/two.tar: made by this key, not trusted any more",
        "folder/broken.tar: not known, it cannot be read here",
    ]
    assert "2 archives in folder are affected" in result.out
    assert "wmbackup key rotate" in result.hints
    verified = ready("verify", "folder/one.tar")
    assert verified.code == 5
    assert "is revoked" in verified.err
    assert not keygen_trusts(ready, "a.tar", signer.principals)
    assert signer.principals in text(ready, "revoked_keys")
    again = ready("key", "revoke", signer.principals)
    assert again.code == 0
    assert "is revoked already" in again.out
    assert text(ready, "revoked_keys").count("ssh-ed25519") == 1


def test_revoke_looks_into_folders_and_names_those_that_cannot_be_read(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    (signer,) = parse_allowed_signers(file(ready).read_bytes())
    os.makedirs("folder/2026/11")
    os.makedirs("folder/closed")
    assert ready(*BACKUP, "folder/2026/11/deep.tar").code == 0
    assert ready(*BACKUP, "folder/2026/above.tar").code == 0
    if os.name == "posix":
        os.symlink("..", "folder/2026/circle")
        os.symlink("itself", "folder/itself")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = ready("key", "revoke", signer.principals, "folder")
    assert result.code == 0, result.err
    lines = [line for line in result.out.splitlines() if line.startswith("folder")]
    assert [line.replace(os.sep, "/") for line in lines] == [
        "folder/2026/above.tar: made by this key, not trusted any more",
        "folder/2026/11/deep.tar: made by this key, not trusted any more",
        "folder/closed: not known, it cannot be read here",
    ]


def test_revoke_as_json_has_the_archives(ready: Inside) -> None:
    (signer,) = parse_allowed_signers(file(ready).read_bytes())
    result = ready("key", "revoke", fingerprint(signer.key), ".", "--json").summary["result"]
    assert result["affected"] == [{"name": "./a.tar", "role": "maker"}]
    assert result["unread"] == []


def test_revoke_of_a_key_that_is_trusted_nowhere_finds_it_in_an_archive(ready: Inside) -> None:
    keygen(Path("other"))
    assert ready(*BACKUP, "b.tar", "--signing-key", "other").code == 0
    shown = ready("key", "show", "--signing-key", "other", "--json").lines
    mark = next(line["fingerprint"] for line in shown if line["type"] == "key")
    missing = ready("key", "revoke", mark)
    assert missing.code == 7
    assert f"wmbackup key revoke {mark} FOLDER" in missing.hints[0]
    assert ready("key", "revoke", mark, ".").code == 0
    assert ready("key", "trust", "b.tar", "--fingerprint", mark).code == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("nobody",), 7), (("a", "b", "c"), 2), (("nobody", "missing"), 7), (("",), 7)],
)
def test_revoke_of_nobody_changes_nothing(
    ready: Inside, arguments: tuple[str, ...], code: int
) -> None:
    assert ready("key", "revoke", *arguments).code == code
    assert text(ready, "revoked_keys") == ""


def test_revoke_of_a_name_that_two_keys_have_asks_for_the_fingerprint(inside: Inside) -> None:
    os.makedirs(inside.config, 0o700)
    file(inside).write_text(f"one {GOOD}\none {EVIL}\n")
    result = inside("key", "revoke", "one")
    assert result.code == 2
    assert MARK in result.err
    assert inside("key", "revoke", MARK.removeprefix("SHA256:")).code == 0
    assert GOOD in text(inside, "revoked_keys")


def test_revoke_keeps_what_is_in_the_file(inside: Inside) -> None:
    os.makedirs(inside.config, 0o700)
    file(inside).write_text(f"one {GOOD}\n")
    file(inside, "revoked_keys").write_text(f"# stolen\n{EVIL} a comment")
    assert inside("key", "revoke", "one").code == 0
    assert text(inside, "revoked_keys").startswith(f"# stolen\n{EVIL} a comment\n{GOOD} one rev")


@pytest.mark.parametrize("where", ["user", "machine"])
@pytest.mark.parametrize("option", [(), ("--allowed-signers", "mine")])
def test_revoked_keys_of_user_and_machine_apply_always(
    ready: Inside, where: str, option: tuple[str, ...]
) -> None:
    Path("mine").write_bytes(file(ready).read_bytes())
    (signer,) = parse_allowed_signers(file(ready).read_bytes())
    line = public_line(signer.key) + "\n"
    if where == "user":
        file(ready, "revoked_keys").write_text(line)
    else:
        machine(ready, "revoked_keys", line)
    for command in (
        ("verify", "a.tar"),
        ("list", "a.tar"),
        ("restore", "a.tar", "--to", "x", "-y"),
    ):
        result = ready(*command, *option)
        assert result.code == 5, command
        assert "is revoked" in result.err
    assert ready("key", "trust", "mine", *option).code == 1


def test_file_of_the_machine_trusts_for_all_users(ready: Inside) -> None:
    machine(ready, "allowed_signers", text(ready))
    os.unlink(file(ready))
    assert ready("verify", "a.tar").code == 0
    (row,) = [one for one in ready("key", "list", "--json").lines if one["type"] == "key"]
    assert row["file"] == f"{ready.site}/allowed_signers"
    Path("empty").write_text("")
    assert ready("verify", "a.tar", "--allowed-signers", "empty").code == 5


def test_list_says_since_when_until_when_and_which_file(inside: Inside) -> None:
    os.makedirs(inside.config, 0o700)
    lines = [public_line(public(number)) for number in range(1, 6)]
    file(inside).write_text(
        f'past valid-after="20200101Z",valid-before="20210101Z" {lines[0]}\n'
        f'later valid-after="29990101Z" {lines[1]}\nrevoked {lines[2]}\nplain {lines[3]}\n'
    )
    file(inside, "revoked_keys").write_text(f"{lines[2]}\n")
    machine(inside, "revoked_keys", f"{lines[4]}\n")
    rows = [one for one in inside("key", "list", "--json").lines if one["type"] == "key"]
    own, site = str(file(inside)), f"{inside.site}/revoked_keys"
    assert [(r["principal"], r["role"], r["state"], r["file"], r["revoked_in"]) for r in rows] == [
        ("past", "trusted", "expired", own, None),
        ("later", "trusted", "not-yet", own, None),
        ("revoked", "revoked", "revoked", own, str(file(inside, "revoked_keys"))),
        ("plain", "trusted", "valid", own, None),
        (None, "revoked", "revoked", site, site),
    ]
    assert rows[0]["valid_after"] == "2020-01-01T00:00:00Z"
    assert rows[0]["valid_before"] == "2021-01-01T00:00:00Z"


def test_trust_as_another_name_and_until_a_date(inside: Inside) -> None:
    Path("peer").write_text(f"{GOOD}\n")
    nameless = inside("key", "trust", "peer")
    assert nameless.code == 2
    assert nameless.hints == ["name it: wmbackup key trust peer --as wmbackup@HOST"]
    result = inside("key", "trust", "peer", "--as", "backup@office", "--valid-before", "2030-01-31")
    assert result.code == 0, result.err
    assert "as backup@office until 2030-01-31T00:00:00Z" in result.out
    (signer,) = parse_allowed_signers(file(inside).read_bytes())
    assert signer.principals == "backup@office"
    assert signer.valid_before == datetime(2030, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("date", ["", "soon", "2030", "2030-02-30", "1969-01-01", "20300101x"])
def test_trust_until_what_is_no_date_is_refused(inside: Inside, date: str) -> None:
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    result = inside("key", "trust", "peer", "--valid-before", date)
    assert result.code == 2
    assert "is no date" in result.err
    assert text(inside) == ""


@pytest.mark.parametrize("name", ["", "a b", "a*", "!a", "a,b", "ssh-x", "-a"])
def test_trust_as_what_is_no_plain_name_is_refused(inside: Inside, name: str) -> None:
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    assert inside("key", "trust", "peer", f"--as={name}").code in {1, 2}
    assert text(inside) == ""


def test_trust_gives_a_trusted_key_an_earlier_end_and_never_a_later_one(inside: Inside) -> None:
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    os.makedirs(inside.config, 0o700)
    before = (
        f'# mine\nwmbackup@peer namespaces="archive@wmbackup",valid-after="20200101Z" {GOOD} x\n'
    )
    file(inside).write_text(before)
    assert inside("key", "trust", "peer", "--valid-before", "2031-01-01").code == 0
    assert inside("key", "trust", "peer", "--valid-before", "2030-01-01").code == 0
    assert text(inside) == before.replace(
        "namespaces=", 'valid-before="20300101000000Z",namespaces='
    )
    later = inside("key", "trust", "peer", "--valid-before", "2032-01-01")
    assert later.code == 1
    assert "until 2030-01-01T00:00:00Z only" in later.err
    other = inside("key", "trust", "peer", "--as", "other")
    assert other.code == 1
    assert other.hints == [f"take that line out first: wmbackup key untrust {MARK}"]
    assert inside("key", "trust", "peer").code == 0


def test_principal_whose_other_keys_are_past_is_free_for_a_new_key(inside: Inside) -> None:
    os.makedirs(inside.config, 0o700)
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    for options, code in (
        ('valid-before="29990101Z" ', 1),
        ("", 1),
        ('valid-before="20200101Z" ', 0),
    ):
        file(inside).write_text(f"wmbackup@peer {options}{EVIL}\n")
        assert inside("key", "trust", "peer").code == code
    file(inside).write_text(f"wmbackup@peer {EVIL}\n")
    file(inside, "revoked_keys").write_text(f"{EVIL}\n")
    assert inside("key", "trust", "peer").code == 0


def test_rotate_keeps_old_archives_trusted_and_other_machines_follow(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = parse_allowed_signers(file(ready).read_bytes())
    private = file(ready, "signing_key").read_bytes()
    done = ready("key", "rotate")
    assert done.code == 0, done.err
    rows = parse_allowed_signers(file(ready).read_bytes())
    assert [one.principals for one in rows] == [old.principals] * 2
    assert rows[0].key == old.key
    assert rows[0].valid_before is not None
    assert rows[1].valid_before is None
    assert done.out == f"{public_line(rows[1].key)} {old.principals}\n"
    assert file(ready, "signing_key.pub").read_text() == done.out
    (kept,) = [
        name for name in os.listdir(ready.config) if re.fullmatch("signing_key-[0-9TZ]+", name)
    ]
    assert file(ready, kept).read_bytes() == private
    assert file(ready, f"{kept}.pub").exists()
    assert ready(*BACKUP, "b.tar").code == 0
    for archive in ("a.tar", "b.tar"):
        assert ready("verify", archive).code == 0
        assert keygen_trusts(ready, archive, old.principals)
    # What the old key signs from now on is not trusted.
    later = datetime.fromtimestamp(rows[0].valid_before.timestamp() + 60, UTC)
    from wmbackup.engine import _destination

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # see Later
            return later.astimezone(tz)

    with monkeypatch.context() as patched:
        patched.setattr(_destination, "datetime", Later)
        assert ready(*BACKUP, "c.tar", "--signing-key", str(file(ready, kept))).code == 0
    result = ready("verify", "c.tar")
    assert result.code == 5
    assert "was not valid at the time of signing" in result.err
    # Another machine, which trusted the old key, learns of the end and trusts the new one.
    Path("new.pub").write_text(done.out)
    Path("theirs").write_text(f"{old.principals} {public_line(old.key)}\n")
    theirs = ("--allowed-signers", "theirs")
    assert ready("key", "trust", "new.pub", *theirs).code == 1
    end = f"{rows[0].valid_before:%Y-%m-%dT%H:%M:%SZ}"
    limit = ("key", "trust", "a.tar", "--fingerprint", fingerprint(old.key), "--valid-before", end)
    assert ready(*limit, *theirs).code == 0
    while datetime.now(UTC) < rows[0].valid_before:
        pass
    assert ready("key", "trust", "new.pub", *theirs).code == 0
    for archive, code in (("a.tar", 0), ("b.tar", 0), ("c.tar", 5)):
        assert ready("verify", archive, *theirs).code == code


def test_rotate_twice_in_a_second_keeps_both_old_keys(ready: Inside) -> None:
    for _ in range(2):
        assert ready("key", "rotate").code == 0
    kept = [name for name in os.listdir(ready.config) if name.startswith("signing_key-")]
    assert len(kept) == 4
    assert ready("verify", "a.tar").code == 0


def test_rotate_without_a_key_is_2(inside: Inside) -> None:
    result = inside("key", "rotate")
    assert result.code == 2
    assert result.hints == ["to make one: wmbackup key create"]
    assert not os.path.exists(f"{inside.config}/signing_key.next")


def test_rotate_of_a_revoked_key_frees_its_principal(ready: Inside) -> None:
    (old,) = parse_allowed_signers(file(ready).read_bytes())
    assert ready("key", "revoke", old.principals).code == 0
    assert "the own signing key is revoked" in ready("check").out
    refused = ready(*BACKUP, "b.tar")
    assert refused.code == 2
    assert "is revoked" in refused.err
    assert ready("key", "rotate").code == 0
    assert ready(*BACKUP, "b.tar").code == 0
    assert ready("verify", "b.tar").code == 0
    assert ready("verify", "a.tar").code == 5


STEPS = ("write", "rename pub", "rename key", "trust", "rename next", "pub")


@pytest.mark.parametrize("step", range(6), ids=STEPS)
def test_rotate_that_was_cut_off_is_completed_by_the_next(
    ready: Inside, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    calls: list[str] = []

    class Stopped(BaseException):
        pass

    def counted(name: str, real: object) -> object:
        def called(*given: object, **more: object) -> object:
            if len(calls) == step:
                raise Stopped
            calls.append(name)
            return real(*given, **more)  # type: ignore[operator] # what stood there

        return called

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", counted("rename", os.rename))
        patched.setattr(rotation, "write_text", counted("trust", trust_files.write_text))
        patched.setattr(keys, "write_public", counted("pub", keys.write_public))
        create = keys.create_private_key
        patched.setattr(keys, "create_private_key", counted("key", create))
        with pytest.raises(Stopped):
            ready("key", "rotate")
    ready.forget_locks()
    if not file(ready, "signing_key").exists():
        for command in ((*BACKUP, "b.tar"), ("key", "create")):
            refused = ready(*command)
            assert refused.code == 2
            assert refused.hints == ["complete the rotation: wmbackup key rotate"]
    finish = "create" if step == 5 else "rotate"
    assert ready("key", finish).code == 0
    names = os.listdir(ready.config)
    assert "signing_key.next" not in names
    assert {"signing_key", "signing_key.pub"} <= set(names)
    assert ready(*BACKUP, "b.tar").code == 0
    for archive in ("a.tar", "b.tar"):
        assert ready("verify", archive).code == 0
    assert "cut off" not in ready(*BACKUP, "c.tar").err


def test_rotate_that_cannot_write_the_trust_file_names_the_next_step(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SystemFailure("cannot write: no space", hint="free some space")

    with monkeypatch.context() as patched:
        patched.setattr(rotation, "write_text", full)
        result = ready("key", "rotate")
    assert result.code == 1
    assert result.hints == ["free some space; then complete the rotation with: wmbackup key rotate"]
    assert ready("key", "rotate").code == 0


def test_rotate_of_a_key_with_a_passphrase_warns_that_the_new_one_has_none(ready: Inside) -> None:
    path = file(ready, "signing_key")
    command = ("ssh-keygen", "-q", "-p", "-a", "1", "-P", "", "-N", "secret phrase", "-f", path)
    subprocess.run(command, check=True, capture_output=True)
    result = ready("key", "rotate")
    assert result.code == 0
    assert f"{path} has none" in result.err


def test_rotate_of_a_key_that_only_the_agent_holds_is_2(ready: Inside) -> None:
    os.unlink(file(ready, "signing_key"))
    result = ready("key", "rotate")
    assert result.code == 2
    assert "is not on the disk" in result.err
    assert not os.path.exists(f"{ready.config}/signing_key.next")


@pytest.mark.parametrize("mask", [0o002, 0o000, 0o077])
def test_every_file_of_trust_is_private_whatever_the_mask(inside: Inside, mask: int) -> None:
    before = os.umask(mask)
    try:
        assert inside("key", "create").code == 0
        (signer,) = parse_allowed_signers(file(inside).read_bytes())
        assert inside("key", "rotate").code == 0
        assert inside("key", "revoke", fingerprint(signer.key)).code == 0
        assert inside("key", "untrust", fingerprint(signer.key)).code == 0
    finally:
        os.umask(before)
    for name in os.listdir(inside.config):
        assert os.stat(file(inside, name)).st_mode & 0o777 == 0o600, name


@pytest.mark.parametrize("name", ["sheet.txt", "sheet.html", "SHEET.HTM"])
def test_commands_of_the_sheet_restore_by_hand(ready: Inside, name: str) -> None:
    result = ready("key", "show", "--sheet", name)
    assert result.code == 0, result.err
    page = Path(name).read_text()
    if name != "sheet.txt":
        assert page.startswith("<!DOCTYPE html>")
        blocks = re.findall("<pre>(.*?)</pre>", page, re.DOTALL)
        lines = html.unescape("\n".join(blocks)).splitlines()
    else:
        lines = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    (signer,) = parse_allowed_signers(file(ready).read_bytes())
    assert lines[0] == fingerprint(signer.key)
    assert parse_allowed_signers(lines[1].encode()) == (signer,)
    commands = lines[lines.index("mkdir restored") :]
    script = "\n".join(["set -e", *commands]).replace("ARCHIVE", "a.tar")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert "Good " in done.stdout
    assert "PRIVATE KEY" not in page
    again = ready("key", "show", "--sheet", name)
    assert again.code == 1
    assert Path(name).read_text() == page


def test_sheet_has_the_recipient_of_an_identity(ready: Inside) -> None:
    assert ready("key", "create", "--identity").code == 0
    assert ready("key", "show", "--sheet", "sheet").code == 0
    page = Path("sheet").read_text()
    assert re.search("    age1[02-9ac-hj-np-z]{58}\n", page)
    assert "AGE-SECRET-KEY" not in page


def test_sheet_without_a_signing_key_is_2(inside: Inside) -> None:
    assert inside("key", "show", "--sheet", "sheet").code == 2
    assert not os.path.exists("sheet")
