from __future__ import annotations

import os
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.archives import File, build, private, public
from tests.cli.program import Inside
from tests.workers import ALWAYS, watch
from wmbackup.archive import sshsig
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode
from wmbackup.license import License

BACKUP = ("backup", "--store", "sample", "--accept-restricted", "--no-notice")


@pytest.fixture
def ready(inside: Inside) -> Inside:
    inside("key", "create")
    assert inside(*BACKUP, "-o", "a.tar").code == 0
    return inside


def titles(inside: Inside, *arguments: str) -> list[str]:
    result = inside("list", *arguments)
    assert result.code == 0, result
    return [line.split("\t")[5] for line in result.out.splitlines()]


def craft(inside: Inside, name: str, *files: File, known: tuple[License, ...] = ()) -> None:
    """Make an archive of a stranger whom this user trusts."""
    inside.write(name, build(files, known))
    line = f"stranger {sshsig.public_line(public(1))}\n"
    inside.write("signers", line.encode())


# list


def timeless(text: str) -> str:
    """Return what was printed without how long it took."""
    return re.sub(r'in [\d.]+ s$|"seconds":[\d.]+', "TIME", text, flags=re.MULTILINE)


@pytest.mark.parametrize("how", [(), ("-v",), ("--json",)])
def test_many_rows_at_once_read_as_one_by_one(inside: Inside, how: tuple[str, ...]) -> None:
    times = (0, -1, 5, 1_161_993_600 * 10**9, 10**24)
    plain = [File(b"%05d" % number, b"x" * (number % 7)) for number in range(5000)]
    rare = [
        *(File(b"t%d" % index, mtime_ns=time) for index, time in enumerate(times)),
        *(File(b"attributes", attributes=("hidden", "system")), File(b"\x1b:"), File(b"\xff")),
    ]
    for number, files in enumerate(([*plain, *rare], plain)):
        licensed = File(b"licensed", licenses=(License("k"), License("l")))
        craft(inside, "a.tar", *files, *([licensed] if number else []))
        allowed = ("--allowed-signers", "signers")
        at_once = inside("list", "a.tar", *allowed, *how)
        # A choice that takes everything is made row by row.
        one_by_one = inside("list", "a.tar", *allowed, *how, "--path", "*")
        assert at_once.code == one_by_one.code == 0
        assert timeless(at_once.out) == timeless(one_by_one.out)
        assert timeless(at_once.err) == timeless(one_by_one.err)
        assert len(at_once.out.splitlines()) >= len(files)


@pytest.mark.parametrize("where", [("a.tar",), ("--store", "sample", "--no-notice")])
def test_rows_are_selected(ready: Inside, where: tuple[str, ...]) -> None:
    def found(*selection: str) -> list[str]:
        return titles(ready, *where, *selection)

    assert found("--kid", "iIerfF7ghkuT/0A3swoHUQ==") == ["Winter Garden"]
    assert found("--title", "LIGHT") == ["First Light"]
    assert sorted(found("--title", "light", "--title", "rail")) == ["First Light", "Third Rail"]
    assert found("--path", "lending") == ["The Cartographer", "Winter Garden"]
    assert found("--path", "*/01*") == ["First Light"]
    assert found("--path", "lending", "--title", "winter") == ["Winter Garden"]
    assert found("--kind", "playready-header") == [""]
    assert found("--restricted") == ["Low Tide"]
    assert found("--expired") == ["Evening Ferry (preview)", "The Cartographer"]
    assert found("--expires-within", "36h") == []
    assert found("--expires-within", "8000d") == ["Winter Garden"]
    assert found("--expires-within", "999999w") == ["Winter Garden"]


@pytest.mark.parametrize("selection", [("--kid", "k"), ("--title", "no such"), ("--path", "a")])
def test_selection_that_matches_nothing_is_the_same_for_list_and_restore(
    ready: Inside, selection: tuple[str, str]
) -> None:
    listed = ready("list", "a.tar", *selection, "--json")
    restored = ready("restore", "a.tar", "--to", "new", "--yes", *selection, "--json")
    assert listed.code == restored.code == 7
    (one,), (other,) = (
        [line for line in done.lines if line["type"] == "error"] for done in (listed, restored)
    )
    assert one == other
    assert ready("list", "--store", "sample", "--no-notice", *selection).code == 7
    assert ready("list", "a.tar", "--against", "a.tar", *selection).code == 7
    assert ready("list", "a.tar", "--title", "light", "--expired").code == 0


@pytest.mark.parametrize(
    ("field", "first", "last"),
    [
        ("path", "Low Tide", "Track 7"),
        ("title", "", "Winter Garden"),
        ("kind", "", "Low Tide"),
        ("kid", "", ""),
        ("distributor", "", "Winter Garden"),
        ("issued", "First Light", ""),
        ("expires", "Evening Ferry (preview)", None),
        ("size", "Low Tide", "Café Größenwahn"),
    ],
)
def test_rows_are_sorted(ready: Inside, field: str, first: str, last: str | None) -> None:
    found = titles(ready, "a.tar", "--sort", field)
    assert len(found) == 13
    assert found[0] == first
    assert last is None or found[-1] == last or field == "kid"


def test_the_header_of_the_columns_is_shown_on_demand(ready: Inside) -> None:
    out = ready("list", "a.tar", "-v").out.splitlines()
    assert out[0].split("\t")[:3] == ["path", "size", "modified"]
    assert len(out[0].split("\t")) == len(out[1].split("\t")) == 10


def test_json_lists_items_and_their_licenses(ready: Inside) -> None:
    lines = ready("list", "a.tar", "--json", "--path", "lending").lines
    kinds = [line["type"] for line in lines]
    assert kinds == ["phase", "item", "license", "item", "license", "summary"]
    assert lines[2]["attributes"]["Title"] == "The Cartographer"
    assert lines[1]["member"] == "data/lending/the-cartographer.lic"
    assert lines[-1]["result"]["files"] == 2
    live = ready("list", "--store", "sample", "--json").lines
    assert live[-2]["type"] == "notice"
    assert all(line["sha256"] is None for line in live if line["type"] == "item")


def test_a_store_is_listed_without_telling_anything_twice(inside: Inside) -> None:
    lines = inside("list", "--store", "sample", "--json", "--no-notice").lines
    assert sum(line.get("kid") == "DxwlWmpGl0+tY4ODAE83wQ==" for line in lines) == 1
    selected = inside(
        "list", "--store", "sample", "--kind", "playready-header", "--json", "--no-notice"
    )
    kinds = {line["kind"] for line in selected.lines if line["type"] == "license"}
    assert kinds == {"playready-header"}
    assert "restricted" not in inside("list", "--store", "sample", "--no-notice").err


def test_every_right_and_time_of_an_archive_is_shown(inside: Inside) -> None:
    known = License(
        "wmdrm-v7",
        kid="k" * 24,
        lid="{L}",
        issued="2020-01-01T00:00:00Z",
        begins="sometime",
        expires="2020-02-01T00:00:00Z",
        rights={"AllowPlay": True, "AllowCopy": False, "PlayCount": 3, "Note": "\x1b[31m"},
        attributes={"Title": "T\x1b[31m", "A very long name of an attribute": "x"},
    )
    craft(
        inside,
        "b.tar",
        File(b"a", b"x", 123, ("hidden", "readonly"), (known,)),
        File(b"before", b"", -(10**20)),
        known=(License("wmdrm-v1", kid="alone"),),
    )
    trust = ("--allowed-signers", "signers")
    text = inside("list", "b.tar", "--long", *trust).out
    assert "\x1b" not in text
    assert "AllowCopy=false, AllowPlay, Note=" in text
    assert "hidden, readonly" in text
    assert "begins:" in text
    assert "1970-01-01T00:00:00.000000123Z" in text
    assert "@-100000000000.000000000" in text
    assert "key ID alone" in text
    lines = inside("list", "b.tar", "--json", *trust).lines
    assert {line["mtime"] for line in lines if line["type"] == "item"} == {
        "1970-01-01T00:00:00.000000123Z",
        "@-100000000000.000000000",
    }
    assert inside("list", "b.tar", *trust).code == 0


def test_a_pipe_is_a_usage_error_where_it_would_be_read_twice(ready: Inside) -> None:
    # In this process standard input is no file, and so as good as a pipe.
    archive = ready.read("a.tar")
    for more in (("--restore-test",), ("--against", "sample")):
        result = ready("verify", "-", *more, stdin=archive)
        assert (result.code, result.errors) == (
            2,
            ["what comes through a pipe cannot be read twice"],
        )
    assert ready("verify", "-", stdin=archive).code == 0
    assert ready("list", "-", "--quiet", stdin=archive).code == 0


# backup


@pytest.mark.skipif(sys.platform != "linux", reason="workers run on Linux only")
def test_many_files_are_backed_up_and_restored_by_two_processes(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        inside.write(f"store/{number}", b"x")
    monkeypatch.setattr(Session, "workers", lambda _session: ALWAYS)
    inside("key", "create")
    watched = watch(monkeypatch)
    processes = next(watched)
    assert inside("backup", "--store", "folder:store", "-o", "a.tar").code == 0
    assert (len(processes.begun), processes.answered) == (1, 1)
    assert inside("restore", "a.tar", "--to", "new", "--yes").code == 0
    assert (len(processes.begun), processes.answered) == (2, 2)
    assert next(watched, None) is None


# verify


@pytest.mark.parametrize(
    ("archives", "code"),
    [
        (["a.tar"], ExitCode.OK),
        (["a.tar", "a.tar"], ExitCode.OK),
        (["a.tar", "other"], ExitCode.NOT_FOUND),
        (["other", "cut"], ExitCode.DAMAGED),
        (["cut", "a.tar", "other"], ExitCode.DAMAGED),
        (["stranger", "a.tar"], ExitCode.UNTRUSTED),
    ],
)
def test_the_worst_archive_decides(ready: Inside, archives: list[str], code: ExitCode) -> None:
    ready.write("other", b"no archive")
    ready.write("cut", ready.read("a.tar")[:-100])
    ready.write("stranger", build([File(b"a", b"x")], maker=private(9)))
    result = ready("verify", *archives, "--json")
    assert result.code == code
    told = result.summary["result"]["archives"]
    assert [one["name"] for one in told] == archives
    assert [one["ok"] for one in told] == [name == "a.tar" for name in archives]
    assert ready("verify", *archives).code == code


def test_a_restore_test_leaves_nothing(ready: Inside) -> None:
    result = ready("verify", "a.tar", "--restore-test", "--json")
    assert result.code == 0
    assert result.summary["result"]["archives"][0]["restore_tested"]
    assert ready.tree() == ["a.tar"]


def test_verify_against_a_store_tells_what_differs(ready: Inside) -> None:
    assert ready("verify", "a.tar", "--against", "sample", "--quiet").code == 0
    ready.write("store/new")
    result = ready("verify", "a.tar", "--against", "store")
    assert result.code == ExitCode.DIFFERS
    assert "+ new" in result.out
    assert ready("verify", "a.tar", "--quick", "--against", "store").code == ExitCode.DIFFERS


def test_an_unsigned_archive_is_damaged(ready: Inside) -> None:
    text = ready.read("a.tar")
    at = text.index(b"wmbackup-1/tagmanifest-sha256.txt.sig")
    end = text.index(b"wmbackup-1/README.txt")
    ready.write("unsigned", text[:at] + text[end:])
    result = ready("verify", "unsigned")
    assert (result.code, result.errors) == (4, ["unsigned: the archive is not signed"])


# exit codes and their severity


def test_accept_skipped_and_exclude(inside: Inside) -> None:
    """A pipe in the store is no reason for exit code 3 every night."""
    inside("key", "create")
    store = inside.store(**{"a.lic": b"a", "b.tmp": b"b"})
    os.mkfifo(f"{store}/pipe")
    backup = ("backup", "--store", "store", "-o", "a.tar", "--force", "--no-notice")
    done = inside(*backup)
    assert (done.code, "skipped: pipe" in done.err) == (3, True)
    done = inside(*backup, "--accept-skipped")
    assert (done.code, "skipped: pipe" in done.err, "1 file skipped" in done.out) == (0, True, True)
    assert inside(*backup, "--accept-skipped", "--quiet").err == ""
    assert inside(*backup, "--strict").code == 1
    assert inside(*backup, "--strict", "--accept-skipped").code == 0
    done = inside(*backup, "--exclude", "pipe", "--exclude", "*.tmp")
    assert (done.code, done.err) == (0, "")
    assert [line.split("\t")[0] for line in inside("list", "a.tar").out.splitlines()] == ["a.lic"]
    done = inside(*backup, "--exclude", "*", "--json")
    assert done.code == 7
    left = [line for line in done.lines if line.get("code") == "left-out"]
    assert [line["path"] for line in left] == ["a.lic", "b.tmp", "pipe"]
    assert "matches nothing" in inside(*backup, "--exclude", "[a").err
    assert inside("backup", "--store", "windows", "--exclude", "a", "-o", "b.tar").code == 2
    os.unlink(f"{store}/a.lic")
    os.unlink(f"{store}/b.tmp")
    assert inside(*backup, "--accept-skipped").code == 7


def test_strict_and_accept_restricted(inside: Inside) -> None:
    inside("key", "create")
    backup = ("backup", "--store", "sample", "-o", "a.tar", "--force", "--quiet")
    assert inside(*backup).code == 3
    old = inside.read("a.tar")
    strict = inside(*backup, "--strict")
    assert strict.code == 1
    assert strict.errors == ["no archive was written: 1 license is withheld"]
    assert inside.read("a.tar") == old
    assert inside(*backup, "--accept-restricted").code == 0
    assert inside(*backup, "--accept-restricted", "--strict").code == 0
    summary = inside(*backup, "--strict", "--json").summary
    assert (summary["exit"], summary["error"]) == ("failed", "incomplete")
    inside.store()
    os.symlink("x", inside.path("store/link"))
    skipped = ("backup", "--store", "store", "-o", "b.tar", "--force", "--quiet")
    assert inside(*skipped, "--accept-restricted").code == 3  # a file is no license
    old = inside.read("b.tar")
    assert inside(*skipped, "--accept-restricted", "--strict").code == 1
    assert inside.read("b.tar") == old
    dry = ("backup", "--store", "store", "--dry-run")
    plan = inside(*dry)
    assert (plan.code, plan.out.count("\n")) == (3, 1)
    refused = inside(*dry, "--strict")
    assert (refused.code, refused.out) == (1, "")
    assert refused.errors == ["no archive would be written: 1 file is skipped"]
    restricted = ("backup", "--store", "sample", "--dry-run", "--strict")
    assert (inside(*restricted).code, inside(*restricted).out) == (1, "")
    assert inside(*restricted, "--accept-restricted").code == 0


def test_a_common_option_stands_before_or_behind_the_command(inside: Inside) -> None:
    before, behind = inside("--json", "explain", "4"), inside("explain", "4", "--json")
    assert timeless(before.out) == timeless(behind.out)
    assert inside("--no-notice", "check", "--quiet").err == ""
    assert inside("--color", "always", "check", "--color", "never").out.count("\x1b") == 0


def test_quiet_and_verbose_overrule_each_other(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearer one counts, and of two on the command line the last."""
    inside("key", "create")
    backup = ("backup", "--store", "sample", "-o", "a.tar", "--force", "--no-notice")

    def loudness(*before: str, behind: tuple[str, ...] = ()) -> tuple[bool, bool]:
        done = inside(*before, *backup, *behind)
        return "phase: reading" in done.err, done.out.startswith("backed up")

    loud, quiet = (True, True), (False, False)
    assert loudness(behind=("--quiet", "-v")) == loudness("--quiet", behind=("-v",)) == loud
    assert loudness(behind=("-v", "--quiet")) == loudness("-v", behind=("--quiet",)) == quiet
    monkeypatch.setenv("WMBACKUP_QUIET", "1")
    assert loudness() == quiet
    assert loudness(behind=("-v",)) == loudness("-v") == loud
    monkeypatch.setenv("WMBACKUP_VERBOSE", "1")
    assert loudness() == loud
    assert loudness(behind=("--quiet",)) == quiet
    monkeypatch.delenv("WMBACKUP_QUIET")
    assert loudness(behind=("--quiet",)) == quiet


def test_a_withheld_license_is_where_it_was_found(inside: Inside) -> None:
    """The summary knows as much as the event on the way."""
    inside("key", "create")
    lines = inside("backup", "--store", "sample", "-o", "a.tar", "--json", "--no-notice").lines
    told = next(line for line in lines if line["type"] == "license")
    (kept,) = lines[-1]["result"]["withheld"]
    assert kept["path"] == told["path"] == "harbour/low-tide.lic"
    (planned,) = inside("backup", "--store", "sample", "-n", "--json").summary["result"]["withheld"]
    assert planned["path"] == kept["path"]


@pytest.mark.parametrize("variable", ["WMBACKUP_NO_NOTICE", "WMBACKUP_QUIET"])
@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_the_environment_silences_the_notice(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    assert "notice" in inside("check").err
    monkeypatch.setenv(variable, value)
    assert inside("check").err == ""
    monkeypatch.setenv(variable, "0")
    assert "notice" in inside("check").err


def test_a_timeout_ends_the_search_of_a_disk(inside: Inside) -> None:
    os.makedirs("disk/ProgramData")
    result = inside("backup", "--store", "disk", "-o", "a.tar", "--timeout", "1e-9")
    assert result.code == 1
    assert "error: the operation did not end within 1e-09 s" in result.err


def test_an_option_wins_over_the_environment(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WMBACKUP_STORE", "missing")
    assert inside("backup", "--dry-run", "--quiet").code == 7
    assert inside("backup", "--dry-run", "--quiet", "--store", "sample").code == 3
    monkeypatch.setenv("WMBACKUP_JSON", "1")
    assert inside("bakcup").lines[-1]["exit"] == "usage"
    monkeypatch.setenv("WMBACKUP_LOCK_WAIT", "soon")
    result = inside("check")
    assert result.code == 2
    assert "soon is not a number of seconds" in result.lines[0]["message"]


# errors that nobody foresaw


def test_a_bug_is_told_as_one(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("wmbackup.cli.commands.check.shutil.disk_usage", broken)
    result = inside("check", "--no-notice")
    assert result.code == 1
    assert result.errors == ["this is a bug: KeyError: 'surprise'"]
    assert result.hints[-1].startswith("to see where it comes from: wmbackup ")
    assert result.hints[-1].endswith(" --debug")
    assert inside("check", "--json").summary["error"] == "failed"


def test_an_error_of_the_system_names_the_file(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr("wmbackup.cli.commands.check.platform.platform", broken)
    result = inside("check", "--no-notice")
    assert (result.code, result.errors) == (1, ["cannot use /some/file: permission denied"])


# progress in a log


def test_progress_in_a_log_is_a_plain_line_now_and_then(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmbackup.cli.render.terminal._LOG_EVERY", 0.0)
    err = ready(*BACKUP, "-o", "b.tar", "--progress").err
    lines = [line for line in err.splitlines() if line.startswith("wmbackup: step")]
    last = "wmbackup: step 4 of 4: reading back, 100%, 12 of 12 files, 7.5 KiB of 7.5 KiB, "
    assert lines[-1].startswith(last)
    sealing = [line for line in lines if "step 3 of 4: sealing" in line]
    assert sealing
    assert not any("file" in line for line in sealing)  # no single one of them is done
    assert lines[-1].endswith("WMT_BACKUPRESTORE_END")
    assert "\x1b" not in err
    assert "\r" not in err
    monkeypatch.setattr("wmbackup.cli.render.terminal._LOG_EVERY", 3600.0)
    assert "reading" not in ready(*BACKUP, "-o", "c.tar", "--progress").err


# keys


def test_a_trusted_key_has_its_times(inside: Inside) -> None:
    after = datetime.now(UTC) - timedelta(days=1)
    key = sshsig.public_line(public(1))
    inside.write("signers", f'me valid-after="{after:%Y%m%d%H%M%SZ}" {key}\n'.encode())
    (line, _) = inside("key", "list", "--json", "--allowed-signers", "signers").lines
    assert line["valid_after"] == f"{after:%Y-%m-%dT%H:%M:%SZ}"
    assert line["valid_before"] is None


def test_a_key_that_is_too_large_to_be_one_is_no_key(inside: Inside) -> None:
    inside.write("huge", b"x" * 2_000_000)
    assert inside("verify", "huge", "--allowed-signers", "huge").code == 2
    assert inside("key", "trust", "huge").code == 7


def test_check_says_what_is_not_trusted_and_what_is_revoked(ready: Inside) -> None:
    fine = {line["name"]: line for line in ready("check", "--json").lines if "state" in line}
    assert fine["signing key"]["state"] == fine["trust"]["state"] == "ok"
    os.rename(f"{ready.config}/allowed_signers", f"{ready.config}/old")
    ready.write("other", f"other {sshsig.public_line(public(1))}\n".encode())
    ready("key", "trust", "other")
    with open(f"{ready.config}/revoked_keys", "w", encoding="utf-8") as file:
        file.write(sshsig.public_line(public(2)) + "\n")
    out = ready("check", "--no-notice").out
    assert "the own signing key is not trusted" in out
    public_half = os.path.join(ready.config, "signing_key.pub")
    assert f"wmbackup key trust {public_half}" in out
    ready("key", "trust", f"{ready.config}/signing_key.pub")
    assert "2 trusted, 1 revoked" in ready("check", "--no-notice").out
    with open(f"{ready.config}/allowed_signers", "w", encoding="utf-8") as file:
        file.write("nonsense\n")
    failed = ready("check", "--no-notice")
    assert failed.code == 2
    assert "failed  trust:" in failed.out
    assert failed.out.endswith("not ready: 3 problems\n")  # no store and no output are two


def test_a_changing_store_is_told_by_name(ready: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.store()
    real = os.fstat
    seen: list[int] = []

    def touched(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("store/a.lic"):
            seen.append(descriptor)
            os.utime(ready.path("store/a.lic"), ns=(len(seen), len(seen)))
        return status

    monkeypatch.setattr("wmbackup.stores.folder.os.fstat", touched)
    result = ready("backup", "--store", "store", "-o", "b.tar", "--no-notice")
    assert result.code == 3
    assert result.err == "wmbackup: skipped: a.lic: it changed while it was read\n"
    assert time.time() > 0


def test_restricted_licenses_alone_make_no_archive(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside("key", "create")
    monkeypatch.setattr("wmbackup.stores.sample.SampleStore.export", _only_withheld, raising=True)
    result = inside("backup", "--store", "sample", "-o", "a.tar", "--no-notice", "--json")
    assert result.code == 7
    assert result.lines[-3]["code"] == "nothing-to-back-up"
    assert inside.tree() == []


def _only_withheld(_store: Any, _control: Any) -> Any:
    from contextlib import nullcontext

    from tests.unit.test_restorer import FakeExport, FakeStore

    return nullcontext(FakeExport(FakeStore("a", withheld=["a"])))
