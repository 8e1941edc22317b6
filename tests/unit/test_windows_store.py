from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from wmbackup.cli import interface as interface_rows
from wmbackup.cli import main, paths, session
from wmbackup.cli.render.next_steps import of_error, of_warning
from wmbackup.engine import BackupSummary, backup, open_archive, plan_backup, restore
from wmbackup.engine._inventory import Selection, inventory_of_archive, inventory_of_store
from wmbackup.errors import (
    Busy,
    Cancelled,
    ExitCode,
    NothingToBackUp,
    StoreUnavailable,
    UsageError,
)
from wmbackup.hresult import InterfaceError
from wmbackup.license import License
from wmbackup.restorer import BackupFlags, Options, RestoreFlags, create_backup_restorer
from wmbackup.status import (
    Control,
    Event,
    Notify,
    SkipEvent,
    Status,
    StatusEvent,
    WarningEvent,
    WithheldEvent,
)
from wmbackup.storage.files import try_lock
from wmbackup.storage.locks import Locks
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.windows import store as windows
from wmbackup.stores.windows.findings import Machine, findings
from wmbackup.stores.windows.following import Outcome
from wmbackup.stores.windows.merging import merge
from wmbackup.stores.windows.store import PRIVACY_POLICY, Binding, PartlyRestored, WindowsStore
from wmbackup.testing import StoreContract
from wmbackup.trust import Policy, keys, read_policy
from wmbackup.trust.keys import SigningKey

XP = Machine(
    product="Microsoft Windows XP",
    edition="Professional",
    build="5.1.2600",
    system_bits=32,
    process_bits=32,
    libraries={"WMVCore.dll": "11.0.5721.5251", "wmdrmsdk.dll": "11.0.5721.5145"},
    administrator=True,
    store="C:\\DRM",
    readable=True,
)
WRITTEN_AT = 1_161_993_600
BAK = {"drmv1key.bak": b"1k", "drmv1lic.bak": b"1l", "drmv2key.bak": b"2k", "drmv2lic.bak": b"2l"}
GUID_KID = "{00112233-4455-6677-8899-AABBCCDDEEFF}"
BASE64_KID = "MyIRAFVEd2aImaq7zN3u/w=="  # the same
URL = "https://licenses.invalid/limit"
E_NOTIMPL, PARTIAL, WANTS_UPGRADE = 0x80004001, 0x000D1136, 0x000D27DE


def nothing() -> None:
    """Do nothing."""


@dataclass
class Fake:
    """The narrow seam: what only Windows has, told what to do and asked what was done."""

    machine: Machine = XP
    writes: Mapping[str, bytes] = field(default_factory=lambda: dict(BAK))
    outcome: Outcome = field(default_factory=Outcome)
    known: Iterable[License] = ()
    probe: Callable[[], object] = nothing
    fails: Exception | None = None
    not_enumerated: Exception | None = None
    ends: bool = True
    folders: list[str] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    restored: list[dict[str, bytes]] = field(default_factory=list)
    consents: list[bool] = field(default_factory=list)

    @property
    def binding(self) -> Binding:
        return Binding(
            machine=lambda: self.machine,
            probe=self.probe,
            enumerate=self._enumerate,
            backup=self._backup,
            restore=self._restore,
            restrict=self.folders.append,
        )

    def _enumerate(self, _control: Control) -> Iterator[License]:
        if self.not_enumerated is not None:
            raise self.not_enumerated
        return iter(self.known)

    def _backup(self, folder: str, control: Control) -> Outcome:
        control.notify(StatusEvent(Status.BACKUPRESTORE_BEGIN))
        self.modes.append(stat.S_IMODE(os.stat(os.path.dirname(folder)).st_mode))
        for name, data in self.writes.items():
            Path(folder, name).write_bytes(data)
            os.utime(Path(folder, name), (WRITTEN_AT, WRITTEN_AT))
        for kid in self.outcome.restricted:
            control.notify(StatusEvent(Status.RESTRICTED_LICENSE, 0, kid))
        return self._end(control)

    def _restore(self, folder: str, control: Control, consent: bool) -> Outcome:  # noqa: FBT001 - the seam's signature
        self.restored.append({path.name: path.read_bytes() for path in Path(folder).iterdir()})
        self.consents.append(consent)
        control.notify(StatusEvent(Status.BACKUPRESTORE_CONNECTING))
        control.notify(StatusEvent(Status.BACKUPRESTORE_DISCONNECTING))
        control.notify(StatusEvent(Status.BACKUPRESTORE_BEGIN))
        return self._end(control)

    def _end(self, control: Control) -> Outcome:
        if self.fails is not None:
            raise self.fails
        if self.ends:
            control.notify(StatusEvent(Status.BACKUPRESTORE_END, self.outcome.hresult))
        return self.outcome


@dataclass
class Bench:
    folder: Path
    key: SigningKey
    events: list[Event] = field(default_factory=list)

    @property
    def control(self) -> Control:
        return Control(self.events.append)

    @property
    def policy(self) -> Policy:
        return read_policy(str(self.folder / "allowed_signers"))

    @property
    def archive(self) -> str:
        return str(self.folder / "a.tar")

    @property
    def work(self) -> Path:
        return self.folder / "private"

    def store(self, fake: Fake) -> WindowsStore:
        return WindowsStore(str(self.work), fake.binding)

    def backup(self, fake: Fake) -> BackupSummary:
        return backup(self.store(fake), self.archive, self.key, self.control)

    def restore(self, fake: Fake, **options: object) -> None:
        with open_archive(self.archive) as archive:
            restore(archive, self.store(fake), self.policy, self.control, **options)  # type: ignore[arg-type] # each test knows its own

    def known(self) -> list[License]:
        with (
            open_archive(self.archive) as archive,
            inventory_of_archive(archive, self.policy) as inventory,
        ):
            return [row.license for row in inventory.rows if row.license is not None]

    def said(self, code: str) -> WarningEvent | None:
        warnings = [event for event in self.events if isinstance(event, WarningEvent)]
        return next((event for event in warnings if event.code == code), None)

    def statuses(self) -> list[Status]:
        return [event.status for event in self.events if isinstance(event, StatusEvent)]

    def check_nothing_is_left(self) -> None:
        assert not self.work.exists() or list(self.work.iterdir()) == []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    files = (str(tmp_path / "key"), str(tmp_path / "allowed_signers"))
    key = keys.create_trusted(*files, "test").key
    one = Bench(tmp_path, key)
    yield one
    one.check_nothing_is_left()


class TestWindowsStore(StoreContract):
    """What every store does. It is no target of the contract: it takes all or nothing."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self) -> WindowsStore:
        return WindowsStore(str(self.folder / "private"), Fake().binding)

    def content(self) -> dict[bytes, bytes]:
        return {name.encode(): data for name, data in BAK.items()}

    def test_says_that_it_takes_nothing_in(self) -> None:
        """Not so: the tests of a restore are below."""


# A backup


def test_whatever_the_interface_wrote_is_the_payload(bench: Bench) -> None:
    fake = Fake(writes={"some.bin": b"x" * 70000, "drmv2lic.bak": b"y", "readme.txt": b"z"})
    done = bench.backup(fake)
    assert (done.info.files, done.info.store_kind) == (3, "windows")
    assert done.info.store == "Windows Media DRM of this machine"
    restore_into = FolderStore(str(bench.folder / "out"))
    with open_archive(bench.archive) as archive:
        restore(archive, restore_into, bench.policy)
    assert {path.name for path in (bench.folder / "out").iterdir()} == set(fake.writes)


def test_the_private_folder_is_the_owners_alone(bench: Bench) -> None:
    fake = Fake()
    bench.backup(fake)
    assert fake.modes == [0o700] or os.name == "nt", "there the access list says it"
    assert [os.path.dirname(folder) for folder in fake.folders] == [str(bench.work)]


def test_the_machine_stands_in_the_signed_label(bench: Bench) -> None:
    machine = bench.backup(Fake()).info.machine
    assert machine == (
        "Microsoft Windows XP (Professional), build 5.1.2600, 32-bit, process 32-bit;"
        " WMVCore.dll 11.0.5721.5251, wmdrmsdk.dll 11.0.5721.5145; DisableOnline 0"
    )


def test_the_statuses_are_those_of_the_interface_and_none_twice(bench: Bench) -> None:
    fake = Fake(outcome=Outcome(restricted=(GUID_KID,)))
    run(bench, fake, bench.events.append)
    assert bench.statuses() == [
        Status.BACKUPRESTORE_BEGIN,
        Status.RESTRICTED_LICENSE,
        Status.BACKUPRESTORE_END,
    ]


def test_what_the_interface_leaves_open_is_ended_with_the_failure(bench: Bench) -> None:
    fake = Fake(fails=InterfaceError(0xC00D2712, doing="back up the licenses"))
    with pytest.raises(InterfaceError):
        run(bench, fake, bench.events.append)
    assert bench.statuses() == [Status.BACKUPRESTORE_BEGIN, Status.BACKUPRESTORE_END]
    assert bench.events[-1] == StatusEvent(Status.BACKUPRESTORE_END, 0xC00D2712)
    assert not os.path.exists(bench.archive)


def run(bench: Bench, fake: Fake, notify: Notify) -> None:
    options = Options(signing_key=bench.key)
    restorer = create_backup_restorer(notify, store=bench.store(fake), options=options)
    restorer.set_prop("BackupPath", bench.archive)
    restorer.backup_licenses(BackupFlags.NONE, notify)
    restorer.wait(20)


def test_enumerated_licenses_are_in_the_inventory(bench: Bench) -> None:
    song = License("wmdrm-v7", kid="a", lid="b", attributes={"Title": "Song"})
    done = bench.backup(Fake(known=[song, License("playready-license")]))
    assert done.licenses == 2 + len(BAK)  # each .bak file is an opaque one
    assert song in bench.known()


def test_licenses_that_are_recognized_in_a_file_are_not_there_twice(bench: Bench) -> None:
    text = (
        b'<LICENSE version="2.0.0.0"><LICENSORINFO><DATA><LID>L</LID><KID>K</KID>'
        b"</DATA></LICENSORINFO></LICENSE>"
    )
    known = [License("wmdrm-v7", kid="K", lid="L"), License("wmdrm-v7", kid="K", lid="M")]
    bench.backup(Fake(writes={"drmv2lic.bak": text}, known=known))
    assert sorted((one.lid or "", one.path) for one in bench.known()) == [
        ("L", b"drmv2lic.bak"),
        ("M", None),
    ]


@pytest.mark.parametrize(
    "error", [StoreUnavailable("no wmdrmsdk.dll"), InterfaceError(E_NOTIMPL, doing="enumerate")]
)
def test_without_an_enumeration_nothing_is_named(bench: Bench, error: Exception) -> None:
    done = bench.backup(Fake(not_enumerated=error))
    assert done.licenses == len(BAK)
    assert bench.said("not-enumerated")


def test_a_restricted_license_is_told_with_its_title(bench: Bench) -> None:
    song = License("wmdrm-v7", kid=BASE64_KID, attributes={"Title": "Song"})
    done = bench.backup(Fake(known=[song], outcome=Outcome(restricted=(GUID_KID, "other"))))
    told = [event.license for event in bench.events if isinstance(event, WithheldEvent)]
    assert [(one.kid, one.attributes.get("Title")) for one in told] == [
        (BASE64_KID, "Song"),
        ("other", None),
    ]
    assert (len(done.withheld), done.info.withheld) == (2, 2)
    assert replace(song, withheld=True) in bench.known()


def test_all_restricted_makes_no_archive(bench: Bench) -> None:
    fake = Fake(writes={}, outcome=Outcome(restricted=(GUID_KID,)))
    with pytest.raises(NothingToBackUp, match="withheld by their issuers"):
        bench.backup(fake)
    with pytest.raises(NothingToBackUp, match="withheld by their issuers"):
        plan_backup(bench.store(fake), None)


def test_a_partial_success_is_no_whole_one(bench: Bench) -> None:
    done = bench.backup(Fake(outcome=Outcome(PARTIAL)))
    assert [one.path for one in done.skipped] == [b"licenses without a name"]
    assert any(isinstance(event, SkipEvent) for event in bench.events)


def test_one_run_at_a_time(bench: Bench) -> None:
    locks = Locks(str(bench.folder / "locks"))
    store = bench.store(Fake())
    with locks.hold("store", store.location, Control()), pytest.raises(Busy):
        backup(store, bench.archive, bench.key, locks=locks)


# What is left behind, and found


def test_nothing_is_left_after_a_cancel(bench: Bench) -> None:
    with pytest.raises(Cancelled):
        bench.backup(Fake(fails=Cancelled()))
    bench.check_nothing_is_left()


def test_a_caller_that_breaks_off_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt), bench.store(Fake()).export(Control()):
        raise KeyboardInterrupt
    bench.check_nothing_is_left()


def test_the_next_run_removes_what_a_crash_left(bench: Bench) -> None:
    dead = bench.work / ".wmbackup-restore-0123456789abcdef"
    (dead / "licenses").mkdir(parents=True)
    (dead / "licenses" / "drmv2lic.bak").write_bytes(b"secret")
    (dead / "lock").touch()
    os.chmod(dead, 0o700)
    bench.backup(Fake())
    assert not dead.exists()


def test_what_another_run_holds_stays(bench: Bench) -> None:
    held = bench.work / ".wmbackup-restore-0123456789abcdef"
    held.mkdir(parents=True, mode=0o700)
    descriptor = os.open(held / "lock", os.O_RDWR | os.O_CREAT)
    try:
        assert try_lock(descriptor)
        bench.backup(Fake())
        assert held.exists()
    finally:
        os.close(descriptor)
    with bench.store(Fake()).export(Control()):
        assert not held.exists()


# A restore


def test_a_restore_hands_over_what_was_written(bench: Bench) -> None:
    bench.backup(Fake())
    bench.events.clear()
    fake = Fake()
    bench.restore(fake)
    assert fake.restored == [BAK]
    assert fake.consents == [False]
    limits = bench.said("restore-limits")
    assert limits is not None
    assert bench.events.index(limits) < bench.events.index(
        StatusEvent(Status.BACKUPRESTORE_CONNECTING)
    )


def test_a_dry_run_hands_nothing_over(bench: Bench) -> None:
    bench.backup(Fake())
    fake = Fake()
    bench.restore(fake, dry_run=True)
    assert fake.restored == []


def test_a_bak_folder_goes_into_windows(bench: Bench) -> None:
    folder = bench.folder / "License Backup"
    folder.mkdir()
    for name, data in BAK.items():
        (folder / name).write_bytes(data)
    backup(FolderStore(str(folder)), bench.archive, bench.key)
    fake = Fake()
    bench.restore(fake)
    assert fake.restored == [BAK]


def test_another_folder_does_not(bench: Bench) -> None:
    folder = bench.folder / "folder"
    folder.mkdir()
    (folder / "a.lic").write_bytes(b"x")
    backup(FolderStore(str(folder)), bench.archive, bench.key)
    fake = Fake()
    with pytest.raises(UsageError, match=r"takes only what it wrote itself.* folder store"):
        bench.restore(fake)
    assert fake.restored == []


@pytest.mark.parametrize(
    "selection", [Selection(kids=("a",)), Selection(titles=("a",)), Selection(paths=(b"a",))]
)
def test_a_selection_does_not(bench: Bench, selection: Selection) -> None:
    bench.backup(Fake())
    fake = Fake()
    with pytest.raises(UsageError, match="all licenses of a backup or none"):
        bench.restore(fake, selection=selection)
    assert fake.restored == []


def test_what_a_salvage_could_not_save_does_not(bench: Bench) -> None:
    bench.backup(Fake(writes={"a.bin": b"a" * 4000, "b.bin": b"b" * 4000}))
    data = Path(bench.archive).read_bytes()
    Path(bench.archive).write_bytes(data.replace(b"b" * 4000, b"c" * 4000))
    fake = Fake()
    with pytest.raises(UsageError, match="all of a backup or nothing"):
        bench.restore(fake, salvage=True)
    assert fake.restored == []


def test_consent_is_given_after_the_policy_was_shown(bench: Bench) -> None:
    bench.backup(Fake())
    fake = Fake()
    options = Options(policy=bench.policy)
    told: list[Event] = []
    restorer = create_backup_restorer(told.append, store=bench.store(fake), options=options)
    restorer.set_prop("RestorePath", bench.archive)
    restorer.restore_licenses(RestoreFlags.INDIVIDUALIZE, told.append)
    restorer.wait(20)
    assert fake.consents == [True]
    shown = next(
        index
        for index, event in enumerate(told)
        if isinstance(event, WarningEvent) and PRIVACY_POLICY in event.message
    )
    assert shown < told.index(StatusEvent(Status.BACKUPRESTORE_CONNECTING))


def test_some_restored_is_not_all(bench: Bench) -> None:
    bench.backup(Fake())
    with pytest.raises(PartlyRestored) as caught:
        bench.restore(Fake(outcome=Outcome(PARTIAL)))
    assert caught.value.exit_code is ExitCode.PARTIAL


def test_a_wanted_upgrade_is_said(bench: Bench) -> None:
    bench.backup(Fake())
    bench.restore(Fake(outcome=Outcome(WANTS_UPGRADE)))
    said = bench.said("upgrade-wanted")
    assert said is not None
    assert "--allow-individualize" in (of_warning(said) or "")


def test_the_address_of_a_refusal_is_in_the_next_step(bench: Bench) -> None:
    bench.backup(Fake())
    error = InterfaceError(0xC00D1133, doing="restore the licenses", url=URL)
    with pytest.raises(InterfaceError) as caught:
        bench.restore(Fake(fails=error))
    assert caught.value.exit_code is ExitCode.REFUSED
    assert URL in (of_error(caught.value) or "")


# Looking


def test_listing_enumerates_and_backs_nothing_up(bench: Bench) -> None:
    fake = Fake(known=[License("wmdrm-v7", kid="a"), License("wmdrm-v7", kid="b", withheld=True)])
    with inventory_of_store(bench.store(fake)) as (inventory, tally):
        assert [row.license.kid for row in inventory.rows if row.license] == ["a", "b"]
        assert (tally.licenses, len(tally.withheld)) == (1, 1)
    assert fake.folders == []


def test_files_of_the_interface_are_not_compared(bench: Bench) -> None:
    with (
        pytest.raises(UsageError, match="cannot be compared"),
        inventory_of_store(bench.store(Fake()), hashes=True),
    ):
        pass


def fail(error: Exception) -> Callable[[], object]:
    def probe() -> None:
        raise error

    return probe


@pytest.mark.parametrize(
    ("edition", "is_n"),
    [
        *((name, True) for name in ("CoreN", "ProfessionalN", "EnterpriseSN", "educationn")),
        *((name, True) for name in ("ProfessionalKN", "HomePremiumN", "EnterpriseNEval")),
        *((name, True) for name in ("ProfessionalWorkstationN", "ProfessionalEducationN")),
        *(
            (name, False)
            for name in ("Core", "Education", "ProfessionalEducation", "CoreSingleLanguage")
        ),
        *(
            (name, False)
            for name in ("ProfessionalWorkstation", "Cloud", "ProfessionalK", "unknown edition")
        ),
    ],
)
def test_n_editions_are_told_by_a_list(edition: str, is_n: bool) -> None:  # noqa: FBT001 - a parameter
    """Education and ProfessionalWorkstation end with that letter, and come with the player."""
    machine = replace(XP, libraries={}, edition=edition)
    [found] = [one for one in findings(machine, nothing) if one.name == "components"]
    assert ("this N edition" in found.message) is is_n
    assert found.exit_code is ExitCode.NOT_FOUND


@pytest.mark.parametrize(
    ("machine", "name", "words"),
    [
        (replace(XP, process_bits=64), "bitness", ("64-bit", "32-bit Python", "Windows 8.1")),
        (replace(XP, libraries={}, edition="ProfessionalN"), "components", ("Media Feature Pack",)),
        (
            replace(XP, libraries={}, edition="ServerStandard"),
            "components",
            ("Server-Media-Foundation",),
        ),
        (replace(XP, libraries={}), "components", ("drm:PATH",)),
        (replace(XP, libraries={"WMVCore.dll": "1"}), "enumeration", ("wmdrmsdk.dll",)),
        (replace(XP, offline=True), "policy", ("DisableOnline", "Internet Access")),
        (replace(XP, readable=False), "rights", ("cannot read C:\\DRM", "administrator")),
        (replace(XP, store=None, readable=None), "rights", ("no license folder",)),
    ],
)
def test_each_finding_names_what_to_do(machine: Machine, name: str, words: tuple[str]) -> None:
    [found] = [one for one in findings(machine, nothing) if one.name == name]
    text = f"{found.message} {of_warning(found.warning)}"
    assert found.trouble
    assert all(word in text for word in words), text


def test_a_machine_in_order_has_no_remedies() -> None:
    assert [one.name for one in findings(XP, nothing) if one.trouble] == []


def test_newer_windows_and_wine_answer_that_there_is_none(bench: Bench) -> None:
    error = InterfaceError(E_NOTIMPL, doing="use the Windows Media license backup")
    [found] = [one for one in findings(XP, fail(error)) if one.name == "interface"]
    assert "E_NOTIMPL" in found.message
    assert "drm:PATH" in (of_warning(found.warning) or "")
    with pytest.raises(InterfaceError) as caught:
        bench.backup(Fake(probe=fail(error)))
    assert caught.value.exit_code is ExitCode.NOT_FOUND


def test_every_run_says_what_stands_in_its_way(bench: Bench) -> None:
    bench.backup(Fake(machine=replace(XP, process_bits=64, offline=True)))
    assert bench.said("windows-bitness")
    assert not bench.said("windows-policy"), "a backup needs no Internet"
    bench.restore(Fake(machine=replace(XP, offline=True, store=None)))
    assert bench.said("windows-policy")
    assert not bench.said("windows-rights"), "a restore may be what fills it"
    with bench.store(Fake(machine=replace(XP, store=None))).export(bench.control):
        assert bench.said("windows-rights")
    with pytest.raises(StoreUnavailable) as caught:
        bench.restore(Fake(machine=replace(XP, libraries={}, edition="CoreN")))
    assert "Media Feature Pack" in (of_error(caught.value) or "")


def test_restricted_without_key_ids_are_counted_once() -> None:
    known = [License("wmdrm-v7", kid="a", withheld=True), License("wmdrm-v7", kid="b")]
    assert [one.kid for one in merge(known, (None,))] == ["a", "b"]
    assert [one.kid for one in merge(known, (None, None))] == ["a", "b", None]
    assert [(one.kid, one.withheld) for one in merge(known, ("b", "b"))] == [
        ("a", True),
        ("b", True),
    ]


# The command line


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(session, "config_folder", lambda: str(tmp_path / "config"))
    monkeypatch.setattr(session, "state_folder", lambda: str(tmp_path / "state"))
    monkeypatch.setattr(paths, "state_folder", lambda: str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    assert main(["key", "create", "--quiet"]) == ExitCode.OK
    return tmp_path


def as_windows(monkeypatch: pytest.MonkeyPatch, fake: Fake) -> None:
    monkeypatch.setattr(windows, "documented_binding", lambda _runner: fake.binding)
    for where in ("wmbackup.cli.paths", "wmbackup.cli.commands.list"):
        monkeypatch.setattr(f"{where}.default_store", lambda: "windows")


def test_a_day_with_the_interface(
    at_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(known=[License("wmdrm-v7", kid="a", attributes={"Title": "Song"})])
    as_windows(monkeypatch, fake)
    assert main(["backup", "-o", "a.tar", "--json"]) == ExitCode.OK
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in lines if line["type"] == "status"] == [
        "WMT_BACKUPRESTORE_BEGIN",
        "WMT_BACKUPRESTORE_END",
    ]
    assert main(["verify", "a.tar", "--quiet"]) == ExitCode.OK
    assert main(["list", "--no-notice"]) == ExitCode.OK
    assert "Song" in capsys.readouterr().out
    assert main(["restore", "a.tar", "--to", "windows", "--yes"]) == ExitCode.OK
    said = capsys.readouterr().err
    assert said.index("four computers") < said.index("plan:")
    assert PRIVACY_POLICY not in said
    arguments = ["restore", "a.tar", "--to", "windows", "--yes", "--allow-individualize"]
    assert main(arguments) == ExitCode.OK
    assert PRIVACY_POLICY in capsys.readouterr().err
    assert (fake.restored, fake.consents) == ([BAK, BAK], [False, True])
    assert list((at_home / "state" / "private").iterdir()) == []


def test_restricted_is_exit_code_3(
    at_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_windows(monkeypatch, Fake(outcome=Outcome(restricted=(GUID_KID,))))
    assert main(["backup", "-o", "a.tar"]) == ExitCode.PARTIAL
    assert f"its issuer forbids the backup (key ID {GUID_KID})" in capsys.readouterr().err
    assert main(["backup", "-o", "b.tar", "--accept-restricted"]) == ExitCode.OK
    assert (at_home / "b.tar").exists()


def test_refused_is_exit_code_9_with_the_address(
    at_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_windows(monkeypatch, Fake())
    assert main(["backup", "-o", str(at_home / "a.tar"), "--quiet"]) == ExitCode.OK
    as_windows(monkeypatch, Fake(fails=InterfaceError(0xC00D2753, doing="restore", url=URL)))
    assert main(["restore", "a.tar", "--to", "windows", "--yes"]) == ExitCode.REFUSED
    assert URL in capsys.readouterr().err


@pytest.mark.usefixtures("at_home")
def test_consent_is_for_windows_alone(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["restore", "a.tar", "--to", "folder:b", "--yes", "--allow-individualize"]
    assert main(arguments) == ExitCode.USAGE
    assert "to leave it out: wmbackup restore" in capsys.readouterr().err


@pytest.mark.usefixtures("at_home")
def test_check_says_what_the_interface_can(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fake = Fake(machine=replace(XP, process_bits=64), known=[License("wmdrm-v7")])
    as_windows(monkeypatch, fake)
    check = ["check", "--store", "windows", "-o", f"{tmp_path}/a.tar"]
    assert main(check) == ExitCode.OK
    rows = {
        line.split(":")[0].split()[-1]: line.split()[0]
        for line in capsys.readouterr().out.splitlines()
        if line[0] != " "
    }
    assert rows["bitness"] == "warning"
    assert rows["interface"] == rows["components"] == rows["store"] == "ok"
    assert fake.folders == [], "a check backs nothing up"
    fake.not_enumerated = StoreUnavailable("no wmdrmsdk.dll")
    assert main(check) == ExitCode.OK
    fake.probe = fail(InterfaceError(E_NOTIMPL, doing="use it"))
    assert main(check) == ExitCode.NOT_FOUND


@pytest.mark.skipif(os.name == "nt", reason="it is there")
def test_off_windows_it_says_what_can_be_done_from_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "--store", "windows"]) == ExitCode.NOT_FOUND
    said = capsys.readouterr().err
    assert "ProgramData/Microsoft/Windows/DRM" in said
    assert "bak:" in said
    assert [row.name for row in interface_rows.interface_rows()] == ["interface"]
