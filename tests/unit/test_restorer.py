from __future__ import annotations

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from wmbackup import limits
from wmbackup.engine import BackupSummary, OnConflict, RestorePlan, RestoreSummary, Selection
from wmbackup.errors import (
    ArchiveDamaged,
    Busy,
    Cancelled,
    Declined,
    NotFound,
    NothingToBackUp,
    OutputExists,
    OutputInsideStore,
    RestoreConflict,
    SignerUntrusted,
    TimedOut,
    WmbackupError,
)
from wmbackup.item import Skipped
from wmbackup.license import License
from wmbackup.restorer import (
    BackupFlags,
    BackupRestorer,
    InvalidArgument,
    LicenseBackup,
    LicenseRestore,
    Options,
    RestoreFlags,
    create_backup_restorer,
    operation,
)
from wmbackup.status import Control, Event, PhaseEvent, Status, StatusEvent
from wmbackup.stores.base import Content, Import, ItemUnavailable, ItemWithheld, Store
from wmbackup.stores.folder import FolderStore
from wmbackup.trust import Policy, Signer, keys
from wmbackup.trust.keys import SigningKey

E_INVALIDARG = 0x80070057
E_FAIL = 0x80004005
BACKUP_EXISTS = 0xC00D2742
BACKUP_CORRUPT = 0xC00D2743
BUSY = 0xC00D2744
CANCELED = 0xC00D2768
PATIENCE = 20  # seconds after which a test gives up waiting for another thread


def nothing() -> None:
    """Do nothing."""


class FakeStore:
    """A store in memory that fails, withholds and hangs on command."""

    kind = "fake"
    location = "in memory"
    root: str | None = None

    def __init__(
        self,
        *names: str,
        withheld: Sequence[str] = (),
        before: Callable[[], object] = nothing,
        gives_statuses: bool = False,
        lost: Sequence[str] = (),
    ) -> None:
        self.names = names or ("a", "b", "c")
        self.withheld = withheld
        self.before = before
        self.gives_statuses = gives_statuses
        self.lost = lost

    def licenses(self, control: Control) -> Iterator[License]:
        control.check()
        yield from ()

    @contextmanager
    def export(self, control: Control) -> Iterator[FakeExport]:
        if self.gives_statuses:
            control.notify(StatusEvent(Status.BACKUPRESTORE_BEGIN))
        yield FakeExport(self)
        if self.gives_statuses:
            control.notify(StatusEvent(Status.BACKUPRESTORE_END))

    def import_(self, control: Control, *, replace: bool) -> AbstractContextManager[Import]:
        raise NotImplementedError


@dataclass
class FakeExport:
    store: FakeStore
    skipped: Sequence[Skipped] = ()
    licenses: Sequence[License] = ()
    machine: str | None = None

    @property
    def paths(self) -> Sequence[bytes]:
        return [name.encode() for name in self.store.names]

    def read(self, path: bytes) -> Content:
        self.store.before()
        name = path.decode()
        if name in self.store.lost:
            raise ItemUnavailable("it vanished")
        if name in self.store.withheld:
            raise ItemWithheld((License("fake", kid=f"kid of {name}", withheld=True, path=path),))
        return Content(len(path), 0, (), path)


def _store_is_one() -> Store:
    return FakeStore()


class Gate:
    """Holds the operation's thread until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self._open.wait(PATIENCE)

    def open(self) -> None:
        self._open.set()


@dataclass
class Told:
    """A callback that keeps what it was told, and does something at the n-th event."""

    at: int | None = None
    do: Callable[[], object] = nothing
    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) - 1 == self.at:
            self.do()

    @property
    def statuses(self) -> list[str]:
        return [event.status.name for event in self.events if isinstance(event, StatusEvent)]

    @property
    def last(self) -> StatusEvent:
        found = [event for event in self.events if isinstance(event, StatusEvent)]
        return found[-1]

    def keeps_the_rules(self) -> None:
        statuses = self.statuses
        begun = statuses.count("BACKUPRESTORE_BEGIN")
        assert begun <= 1
        assert statuses.count("BACKUPRESTORE_END") == begun
        if begun:
            assert statuses[-1] == "BACKUPRESTORE_END"


@dataclass(frozen=True)
class Bench:
    """A folder, a key and who is believed."""

    folder: Path
    key: SigningKey

    @property
    def archive(self) -> str:
        return str(self.folder / "archive.tar")

    @property
    def target(self) -> Path:
        return self.folder / "target"

    def options(
        self,
        *,
        source: BinaryIO | None = None,
        output: BinaryIO | None = None,
        selection: Selection | None = None,
        on_conflict: OnConflict = OnConflict.FAIL,
        announce: Callable[[RestorePlan], object] = bool,
        confirm: Callable[[RestorePlan], bool] = lambda _plan: True,
        dry_run: bool = False,
    ) -> Options:
        return Options(
            signing_key=self.key,
            policy=Policy((Signer("me", self.key.public),)),
            source=source,
            output=output,
            selection=selection,
            on_conflict=on_conflict,
            announce=announce,
            confirm=confirm,
            dry_run=dry_run,
        )

    def backup(self, told: Told, store: Store | None = None) -> BackupRestorer:
        store = store or FakeStore()
        restorer = create_backup_restorer(told, store=store, options=self.options())
        restorer.set_prop("BackupPath", self.archive)
        return restorer

    def restore(self, told: Told, options: Options | None = None) -> BackupRestorer:
        store = FolderStore(str(self.target))
        restorer = create_backup_restorer(told, store=store, options=options or self.options())
        restorer.set_prop("RestorePath", self.archive)
        return restorer

    def make_archive(self, *names: str) -> None:
        restorer = self.backup(Told(), FakeStore(*names))
        restorer.backup_licenses(BackupFlags.NONE, Told())
        restorer.wait(PATIENCE)

    def names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if not name.startswith("key"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, keys.create(str(tmp_path / "key"), "host"))


# The order of statuses


def test_a_backup_begins_names_what_is_restricted_and_ends(bench: Bench) -> None:
    told = Told()
    restorer = bench.backup(told, FakeStore("a", "b", "c", withheld=["b"]))
    restorer.backup_licenses(BackupFlags.NONE, told)
    summary = restorer.wait(PATIENCE)
    assert isinstance(summary, BackupSummary)
    assert told.statuses == ["BACKUPRESTORE_BEGIN", "RESTRICTED_LICENSE", "BACKUPRESTORE_END"]
    restricted = next(
        event
        for event in told.events
        if isinstance(event, StatusEvent) and event.status is Status.RESTRICTED_LICENSE
    )
    assert restricted.value == "kid of b"
    assert told.last == StatusEvent(Status.BACKUPRESTORE_END, 0)
    assert told.events[-1] is told.last
    assert os.path.exists(bench.archive)


def test_a_restore_connects_disconnects_begins_and_ends(bench: Bench) -> None:
    bench.make_archive()
    told = Told()
    restorer = bench.restore(told)
    restorer.restore_licenses(RestoreFlags.INDIVIDUALIZE, told)
    assert isinstance(restorer.wait(PATIENCE), RestoreSummary)
    assert told.statuses == [
        "BACKUPRESTORE_CONNECTING",
        "BACKUPRESTORE_DISCONNECTING",
        "BACKUPRESTORE_BEGIN",
        "BACKUPRESTORE_END",
    ]
    assert sorted(os.listdir(bench.target)) == ["a", "b", "c"]


def test_begin_comes_once_also_when_the_store_is_read_again(bench: Bench) -> None:
    # Where a file is lost for whose name others made room, the store is read from the start.
    told = Told()
    restorer = bench.backup(told, FakeStore("A", "a", "b", lost=["A", "a"]))
    restorer.backup_licenses(BackupFlags.NONE, told)
    restorer.wait(PATIENCE)
    phases = [event.phase.value for event in told.events if isinstance(event, PhaseEvent)]
    assert phases.count("reading") > 1
    assert told.statuses == ["BACKUPRESTORE_BEGIN", "BACKUPRESTORE_END"]


def test_statuses_of_a_store_that_has_its_own_are_passed_on_alone(bench: Bench) -> None:
    told = Told()
    restorer = bench.backup(told, FakeStore("a", "b", withheld=["b"], gives_statuses=True))
    restorer.backup_licenses(BackupFlags.NONE, told)
    restorer.wait(PATIENCE)
    assert told.statuses == ["BACKUPRESTORE_BEGIN", "BACKUPRESTORE_END"]


def test_a_dry_run_connects_and_begins_nothing(bench: Bench) -> None:
    bench.make_archive()
    told = Told()
    restorer = bench.restore(told, bench.options(dry_run=True))
    restorer.restore_licenses(RestoreFlags.NONE, told)
    summary = restorer.wait(PATIENCE)
    assert isinstance(summary, RestoreSummary)
    assert not summary.applied
    assert told.statuses == ["BACKUPRESTORE_CONNECTING", "BACKUPRESTORE_DISCONNECTING"]
    assert not bench.target.exists()


def test_a_stranger_is_an_error_after_connecting(bench: Bench) -> None:
    bench.make_archive()
    told = Told()
    restorer = bench.restore(told, Options())
    restorer.restore_licenses(RestoreFlags.NONE, told)
    with pytest.raises(SignerUntrusted):
        restorer.wait(PATIENCE)
    assert told.statuses == ["BACKUPRESTORE_CONNECTING", "ERROR"]
    assert told.last.hresult == E_FAIL


def test_damage_is_told_by_the_end(bench: Bench) -> None:
    bench.make_archive()
    text = bytearray(Path(bench.archive).read_bytes())
    text[-1536 - 512] ^= 1  # in the last file
    Path(bench.archive).write_bytes(text)
    told = Told()
    restorer = bench.restore(told)
    restorer.restore_licenses(RestoreFlags.NONE, told)
    with pytest.raises(ArchiveDamaged):
        restorer.wait(PATIENCE)
    assert told.statuses[-2:] == ["BACKUPRESTORE_BEGIN", "BACKUPRESTORE_END"]
    assert told.last.hresult == BACKUP_CORRUPT
    assert not bench.target.exists()


def test_a_conflict_is_an_error_before_anything_begins(bench: Bench) -> None:
    bench.make_archive()
    bench.target.mkdir()
    (bench.target / "a").write_text("other")
    told = Told()
    restorer = bench.restore(told)
    restorer.restore_licenses(RestoreFlags.NONE, told)
    with pytest.raises(RestoreConflict):
        restorer.wait(PATIENCE)
    assert told.statuses[2:] == ["ERROR"]
    assert os.listdir(bench.target) == ["a"]


def test_a_store_without_anything_makes_no_archive(bench: Bench) -> None:
    told = Told()
    restorer = bench.backup(told, FakeStore("a", withheld=["a"]))
    restorer.backup_licenses(BackupFlags.NONE, told)
    with pytest.raises(NothingToBackUp, match="withheld"):
        restorer.wait(PATIENCE)
    assert told.last.hresult == E_FAIL
    assert bench.names() == []


# Refusals


def test_no_callback_is_an_invalid_argument(bench: Bench) -> None:
    with pytest.raises(InvalidArgument) as caught:
        create_backup_restorer(None, store=FakeStore())
    assert caught.value.hresult == E_INVALIDARG
    restorer = bench.backup(Told())
    restorer.set_prop("RestorePath", bench.archive)
    begin: tuple[Callable[..., None], ...] = (restorer.backup_licenses, restorer.restore_licenses)
    for method in begin:
        with pytest.raises(InvalidArgument) as caught:
            method(0, None)
        assert caught.value.hresult == E_INVALIDARG
    assert bench.names() == []


@pytest.mark.parametrize("flags", [2, 4, -1, 1 << 31])
def test_flags_that_do_not_exist_are_invalid(bench: Bench, flags: int) -> None:
    restorer = bench.backup(Told())
    with pytest.raises(InvalidArgument, match="no such flags"):
        restorer.backup_licenses(flags, Told())
    with pytest.raises(InvalidArgument, match="no such flags"):
        restorer.restore_licenses(1 if flags == 2 else flags, Told())


def test_flags_can_be_numbers_as_in_the_original(bench: Bench) -> None:
    bench.make_archive()
    restorer = bench.backup(Told())
    with pytest.raises(OutputExists):
        restorer.backup_licenses(0, Told())
    restorer.backup_licenses(1, Told())
    restorer.wait(PATIENCE)
    again = bench.restore(Told())
    again.restore_licenses(2, Told())
    again.wait(PATIENCE)


@pytest.mark.parametrize("value", [1, None, b"bytes", "", "a\0b", ["a"]])
def test_a_property_that_is_no_path_is_invalid(bench: Bench, value: object) -> None:
    restorer = bench.backup(Told())
    with pytest.raises(InvalidArgument) as caught:
        restorer.set_prop("BackupPath", value)
    assert caught.value.hresult == E_INVALIDARG
    assert restorer.get_prop_by_name("BackupPath") == bench.archive


def test_properties_are_set_counted_read_and_removed() -> None:
    restorer = create_backup_restorer(Told(), store=FakeStore())
    assert restorer.get_prop_count() == 0
    with pytest.raises(InvalidArgument, match="no property Path"):
        restorer.set_prop("Path", "x")
    restorer.set_prop("RestorePath", "r")
    restorer.set_prop("BackupPath", "b")
    restorer.set_prop("BackupPath", "c")
    assert restorer.get_prop_count() == 2
    assert restorer.get_prop_by_index(0) == ("BackupPath", "c")
    assert restorer.get_prop_by_index(1) == ("RestorePath", "r")
    for index in (-1, 2):
        with pytest.raises(InvalidArgument, match="no property"):
            restorer.get_prop_by_index(index)
    restorer.remove_prop("BackupPath")
    with pytest.raises(InvalidArgument, match="is not set"):
        restorer.remove_prop("BackupPath")
    with pytest.raises(InvalidArgument, match="is not set"):
        restorer.get_prop_by_name("BackupPath")
    restorer.remove_all_props()
    assert restorer.get_prop_count() == 0


def test_a_path_or_a_key_that_is_missing_is_invalid(bench: Bench) -> None:
    restorer = create_backup_restorer(Told(), store=FakeStore(), options=bench.options())
    with pytest.raises(InvalidArgument, match="BackupPath"):
        restorer.backup_licenses(BackupFlags.NONE, Told())
    with pytest.raises(InvalidArgument, match="RestorePath"):
        restorer.restore_licenses(RestoreFlags.NONE, Told())
    keyless = create_backup_restorer(Told(), store=FakeStore())
    keyless.set_prop("BackupPath", bench.archive)
    with pytest.raises(InvalidArgument, match="signing key"):
        keyless.backup_licenses(BackupFlags.NONE, Told())


def test_an_existing_backup_is_refused_at_once_and_not_touched(bench: Bench) -> None:
    Path(bench.archive).write_text("precious")
    told = Told()
    restorer = bench.backup(told)
    with pytest.raises(OutputExists) as caught:
        restorer.backup_licenses(BackupFlags.NONE, told)
    assert caught.value.hresult == BACKUP_EXISTS
    assert told.events == []
    assert Path(bench.archive).read_text() == "precious"
    restorer.backup_licenses(BackupFlags.OVERWRITE, told)
    restorer.wait(PATIENCE)
    assert Path(bench.archive).read_bytes().startswith(b"wmbackup-1/")


def test_an_output_inside_the_store_is_refused_at_once(bench: Bench) -> None:
    restorer = bench.backup(Told(), FolderStore(str(bench.folder)))
    with pytest.raises(OutputInsideStore):
        restorer.backup_licenses(BackupFlags.NONE, Told())


def test_a_missing_archive_ends_a_restore(bench: Bench) -> None:
    restorer = bench.restore(Told())
    restorer.restore_licenses(RestoreFlags.NONE, Told())
    with pytest.raises(NotFound):
        restorer.wait(PATIENCE)


def test_a_second_call_while_one_runs_is_busy(bench: Bench) -> None:
    gate = Gate()
    restorer = bench.backup(Told(), FakeStore(before=gate))
    restorer.set_prop("RestorePath", bench.archive)
    restorer.backup_licenses(BackupFlags.NONE, Told())
    assert gate.reached.wait(PATIENCE)
    begin: tuple[Callable[..., None], ...] = (restorer.backup_licenses, restorer.restore_licenses)
    for method in begin:
        with pytest.raises(Busy) as caught:
            method(0, Told())
        assert caught.value.hresult == BUSY
    gate.open()
    restorer.wait(PATIENCE)
    restorer.restore_licenses(RestoreFlags.NONE, Told())
    with pytest.raises(NotImplementedError):  # that store takes nothing in
        restorer.wait(PATIENCE)


def test_a_second_call_from_the_callback_is_busy(bench: Bench) -> None:
    errors: list[WmbackupError] = []
    restorers: list[BackupRestorer] = []

    def again() -> None:
        with pytest.raises(Busy) as caught:
            restorers[0].backup_licenses(BackupFlags.OVERWRITE, Told())
        errors.append(caught.value)

    told = Told(at=2, do=again)
    restorers.append(bench.backup(told))
    restorers[0].backup_licenses(BackupFlags.NONE, told)
    restorers[0].wait(PATIENCE)
    assert [error.hresult for error in errors] == [BUSY]


# Cancel


def test_a_backup_canceled_at_any_event_leaves_nothing(bench: Bench) -> None:
    number = 0
    while True:
        restorers: list[BackupRestorer] = []
        told = Told(at=number, do=lambda known=restorers: known[0].cancel_license_backup())  # type: ignore[misc] # bound early
        restorers.append(bench.backup(told))
        restorers[0].backup_licenses(BackupFlags.NONE, told)
        try:
            restorers[0].wait(PATIENCE)
        except Cancelled:
            assert told.last.hresult == CANCELED
            told.keeps_the_rules()
            assert bench.names() == []
        else:
            break
        number += 1
    # What is under way when the last file has been read back is published.
    assert number >= len(told.events) - 2
    assert told.last.hresult == 0
    assert bench.names() == ["archive.tar"]


def test_a_restore_canceled_at_any_event_leaves_nothing(bench: Bench) -> None:
    bench.make_archive()
    number = 0
    while True:
        restorers: list[BackupRestorer] = []
        told = Told(at=number, do=lambda known=restorers: known[0].cancel_license_restore())  # type: ignore[misc] # bound early
        restorers.append(bench.restore(told))
        restorers[0].restore_licenses(RestoreFlags.NONE, told)
        try:
            restorers[0].wait(PATIENCE)
        except Cancelled:
            assert told.last.hresult == CANCELED
            told.keeps_the_rules()
            assert bench.names() == ["archive.tar"]
        else:
            break
        number += 1
    assert number >= len(told.events) - 2
    assert bench.names() == ["archive.tar", "target"]


def test_a_cancel_from_another_thread_ends_it(bench: Bench) -> None:
    gate = Gate()
    told = Told()
    restorer = bench.backup(told, FakeStore(before=gate))
    restorer.backup_licenses(BackupFlags.NONE, told)
    assert gate.reached.wait(PATIENCE)
    for _ in range(2):  # twice is as good as once
        thread = threading.Thread(target=restorer.cancel_license_backup)
        thread.start()
        thread.join()
    gate.open()
    with pytest.raises(Cancelled) as caught:
        restorer.wait(PATIENCE)
    assert caught.value.hresult == CANCELED
    assert told.statuses == ["BACKUPRESTORE_BEGIN", "BACKUPRESTORE_END"]
    assert bench.names() == []


def test_a_cancel_before_the_start_and_after_the_end_changes_nothing(bench: Bench) -> None:
    told = Told()
    restorer = bench.backup(told)
    restorer.cancel_license_backup()
    restorer.cancel_license_restore()
    restorer.backup_licenses(BackupFlags.NONE, told)
    restorer.wait(PATIENCE)
    restorer.cancel_license_backup()
    assert isinstance(restorer.wait(0), BackupSummary)
    restorer.backup_licenses(BackupFlags.OVERWRITE, told)
    assert isinstance(restorer.wait(PATIENCE), BackupSummary)


def test_a_restorer_that_is_dropped_while_it_works_cancels(bench: Bench) -> None:
    gate = Gate()
    told = Told()
    restorer = bench.backup(told, FakeStore(before=gate))
    restorer.backup_licenses(BackupFlags.NONE, told)
    gone = weakref.ref(restorer)
    thread = next(one for one in threading.enumerate() if one.name == "wmbackup")
    assert gate.reached.wait(PATIENCE)
    del restorer
    gc.collect()
    assert gone() is None
    gate.open()
    thread.join(PATIENCE)
    assert told.last == StatusEvent(Status.BACKUPRESTORE_END, CANCELED)
    assert bench.names() == []


def test_what_still_works_at_the_end_of_the_program_is_canceled(bench: Bench) -> None:
    told = Told()
    restorer = bench.backup(told, FakeStore(*map(str, range(500)), before=lambda: time.sleep(0.01)))
    restorer.backup_licenses(BackupFlags.NONE, told)
    operation._end_all()
    with pytest.raises(Cancelled):
        restorer.wait(0)
    assert bench.names() == []


HANGS = """
import sys
from wmbackup import create_backup_restorer, Options
from wmbackup.trust import keys
from wmbackup.errors import TimedOut
from wmbackup.testing import FakeStore

store = FakeStore({b"a": b"1"})
store.hang(b"a")
options = Options(signing_key=keys.load(sys.argv[1]))
restorer = create_backup_restorer(print, store=store, options=options)
restorer.set_prop("BackupPath", sys.argv[2])
restorer.backup_licenses(0, lambda event: None)
try:
    restorer.wait(0.1)
except TimedOut as error:
    print(error)
"""


def test_a_store_that_hangs_to_the_end_of_the_program_leaves_nothing(tmp_path: Path) -> None:
    keys.create_trusted(str(tmp_path / "key"), str(tmp_path / "signers"), "host")
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", HANGS, str(tmp_path / "key"), str(tmp_path / "out" / "a.tar")],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the operation did not end within 0.1 s\n"
    assert os.listdir(tmp_path / "out") == []


# Callbacks that raise


class Boom(Exception):
    """What a callback raises."""


def boom() -> None:
    raise Boom


def test_a_callback_that_raises_at_any_event_ends_the_backup(bench: Bench) -> None:
    plain = Told()
    restorer = bench.backup(plain)
    restorer.backup_licenses(BackupFlags.NONE, plain)
    restorer.wait(PATIENCE)
    os.unlink(bench.archive)
    for number in range(len(plain.events)):
        told = Told(at=number, do=boom)
        restorer = bench.backup(told)
        restorer.backup_licenses(BackupFlags.NONE, told)
        with pytest.raises(Boom):
            restorer.wait(PATIENCE)
        # The last event says that it is done, and it is.
        done = number == len(plain.events) - 1
        told.keeps_the_rules()
        assert len(told.events) == number + (1 if done else 2)  # it hears how it ended, no more
        assert done or told.last.hresult != 0
        assert bench.names() == (["archive.tar"] if done else [])


def test_a_callback_that_raises_at_any_event_ends_the_restore(bench: Bench) -> None:
    bench.make_archive()
    number = 0
    while not bench.target.exists():
        told = Told(at=number, do=boom)
        restorer = bench.restore(told)
        restorer.restore_licenses(RestoreFlags.NONE, told)
        with pytest.raises(Boom):
            restorer.wait(PATIENCE)
        told.keeps_the_rules()
        done = bench.target.exists()
        assert len(told.events) == number + (1 if done else 2)
        number += 1
    assert told.statuses[-1] == "BACKUPRESTORE_END"


def test_what_a_callback_raised_wins_over_what_followed(bench: Bench) -> None:
    told = Told(at=0, do=boom)
    restorer = bench.backup(told)
    restorer.backup_licenses(BackupFlags.NONE, told)
    for _ in range(2):
        with pytest.raises(Boom):
            restorer.wait(PATIENCE)


# Waiting


def test_a_store_that_hangs_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "_GRACE", 0.05)
    gate = Gate()
    restorer = bench.backup(Told(), FakeStore(before=gate))
    restorer.backup_licenses(BackupFlags.NONE, Told())
    assert gate.reached.wait(PATIENCE)
    with pytest.raises(TimedOut, match=r"within 0\.05 s"):
        restorer.wait(0.05)
    with pytest.raises(Busy):  # it hangs still
        restorer.backup_licenses(BackupFlags.NONE, Told())
    gate.open()
    with pytest.raises(Cancelled):
        restorer.wait(PATIENCE)
    assert bench.names() == []


def test_an_operation_that_heeds_the_cancel_is_late_as_well(bench: Bench) -> None:
    store = FakeStore(*map(str, range(500)), before=lambda: time.sleep(0.01))
    restorer = bench.backup(Told(), store)
    restorer.backup_licenses(BackupFlags.NONE, Told())
    with pytest.raises(TimedOut):
        restorer.wait(0.05)
    assert bench.names() == []


def test_an_error_that_comes_while_the_cancel_is_heeded_is_told(bench: Bench) -> None:
    def late() -> None:
        time.sleep(0.2)
        raise Boom

    restorer = bench.backup(Told(), FakeStore(before=late))
    restorer.backup_licenses(BackupFlags.NONE, Told())
    with pytest.raises(Boom):
        restorer.wait(0.05)


def test_the_time_goes_on_after_a_question_and_stands_still_while_it_is_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clock for all of it, which nothing winds up again."""
    bench.make_archive()
    made: list[float | None] = []
    real = operation._Clock

    class Clock(real):  # type: ignore[valid-type, misc] # made at run time
        def __init__(self, seconds: float | None) -> None:
            made.append(seconds)
            super().__init__(seconds)

    monkeypatch.setattr(operation, "_Clock", Clock)
    asked: list[float] = []

    def confirm(_plan: RestorePlan) -> bool:
        asked.append(time.monotonic())
        time.sleep(0.3)
        return True

    restorer = bench.restore(Told(), bench.options(confirm=confirm))
    restorer.restore_licenses(RestoreFlags.NONE, Told())
    made.clear()
    restorer.wait(PATIENCE)
    assert (made, len(asked)) == ([PATIENCE], 1)
    clock = real(10.0)
    before = clock.left
    with clock.stopped():
        time.sleep(0.3)
    assert before is not None
    assert clock.left is not None
    assert before - clock.left < 0.3


# Where the system grants no thread


@pytest.fixture
def threadless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grant no thread to an operation."""
    real = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name == "wmbackup":
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("threadless")
def test_without_a_thread_wait_does_the_work(bench: Bench) -> None:
    told, plans = Told(), list[RestorePlan]()
    restorer = bench.backup(Told())
    restorer.backup_licenses(BackupFlags.NONE, told)
    assert told.events == []
    with pytest.raises(Busy):
        restorer.backup_licenses(BackupFlags.NONE, told)
    assert isinstance(restorer.wait(PATIENCE), BackupSummary)
    assert restorer.wait() is restorer.wait(0)
    told.keeps_the_rules()

    def confirm(plan: RestorePlan) -> bool:
        plans.append(plan)
        return True

    restorer = bench.restore(Told(), bench.options(confirm=confirm))
    restorer.restore_licenses(RestoreFlags.NONE, Told())
    assert isinstance(restorer.wait(PATIENCE), RestoreSummary)
    assert len(plans) == 1


@pytest.mark.usefixtures("threadless")
def test_without_a_thread_it_can_be_canceled_and_be_late(bench: Bench) -> None:
    store = FakeStore(*map(str, range(500)), before=lambda: time.sleep(0.01))
    restorer = bench.backup(Told(), store)
    restorer.backup_licenses(BackupFlags.NONE, Told())
    with pytest.raises(TimedOut, match=r"within 0\.05 s"):
        restorer.wait(0.05)
    told = Told(at=2, do=restorer.cancel_license_backup)
    restorer.backup_licenses(BackupFlags.NONE, told)
    with pytest.raises(Cancelled):
        restorer.wait(PATIENCE)
    told = Told(at=1, do=boom)
    restorer.backup_licenses(BackupFlags.NONE, told)
    with pytest.raises(Boom):
        restorer.wait(PATIENCE)
    assert bench.names() == []


@pytest.mark.usefixtures("threadless")
def test_without_a_thread_it_cannot_wait_for_itself_and_others_can(bench: Bench) -> None:
    inner: list[object] = []

    def wait() -> None:
        try:
            inner.append(restorer.wait(0))
        except Busy as error:
            inner.append(error)

    gate = Gate()
    restorer = bench.backup(Told(), FakeStore(before=gate))
    restorer.backup_licenses(BackupFlags.NONE, Told(at=0, do=wait))
    results: list[object] = []
    waiting = threading.Thread(target=lambda: results.append(restorer.wait(PATIENCE)))
    waiting.start()
    assert gate.reached.wait(PATIENCE)
    gate.open()
    assert restorer.wait(PATIENCE) is not None
    waiting.join(PATIENCE)
    assert isinstance(inner[0], Busy)
    assert results == [restorer.wait()]


def test_waiting_twice_gives_the_same(bench: Bench) -> None:
    restorer = bench.backup(Told())
    with pytest.raises(InvalidArgument, match="nothing to wait for"):
        restorer.wait()
    restorer.backup_licenses(BackupFlags.NONE, Told())
    assert restorer.wait() is restorer.wait()
    restorer.set_prop("BackupPath", str(bench.folder / "missing" / "x"))
    with pytest.raises(NotFound):
        restorer.backup_licenses(BackupFlags.NONE, Told())
    assert isinstance(restorer.wait(), BackupSummary)  # that of the one that began


def test_waiting_in_the_callback_is_refused(bench: Bench) -> None:
    restorers: list[BackupRestorer] = []
    refused: list[type[BaseException]] = []

    def wait() -> None:
        with pytest.raises(Busy) as caught:
            restorers[0].wait(1)
        refused.append(caught.type)

    told = Told(at=3, do=wait)
    restorers.append(bench.backup(told))
    restorers[0].backup_licenses(BackupFlags.NONE, told)
    restorers[0].wait(PATIENCE)
    assert refused == [Busy]


def test_the_plan_is_announced_and_the_question_asked_on_the_thread_that_waits(
    bench: Bench,
) -> None:
    bench.make_archive()
    seen: list[tuple[str, threading.Thread, int]] = []

    def announce(plan: RestorePlan) -> None:
        seen.append(("announce", threading.current_thread(), plan.new))

    def confirm(plan: RestorePlan) -> bool:
        seen.append(("confirm", threading.current_thread(), plan.new))
        return True

    restorer = bench.restore(Told(), bench.options(announce=announce, confirm=confirm))
    restorer.restore_licenses(RestoreFlags.NONE, Told())
    restorer.wait(PATIENCE)
    assert [(name, new) for name, _, new in seen] == [("announce", 3), ("confirm", 3)]
    assert seen[0][1] is not threading.main_thread()
    assert seen[1][1] is threading.main_thread()


def test_a_plan_that_is_declined_changes_nothing(bench: Bench) -> None:
    bench.make_archive()
    told = Told()
    restorer = bench.restore(told, bench.options(confirm=lambda _plan: False))
    restorer.restore_licenses(RestoreFlags.NONE, told)
    with pytest.raises(Declined):
        restorer.wait(PATIENCE)
    assert "BACKUPRESTORE_BEGIN" not in told.statuses
    assert bench.names() == ["archive.tar"]


def test_a_question_that_nobody_answers_can_be_canceled(bench: Bench) -> None:
    bench.make_archive()

    def interrupted(_plan: RestorePlan) -> bool:
        raise KeyboardInterrupt

    restorer = bench.restore(Told(), bench.options(confirm=interrupted))
    restorer.restore_licenses(RestoreFlags.NONE, Told())
    with pytest.raises(KeyboardInterrupt):
        restorer.wait(PATIENCE)
    restorer.cancel_license_restore()
    with pytest.raises(Cancelled):
        restorer.wait(PATIENCE)
    assert bench.names() == ["archive.tar"]


def test_the_time_that_a_person_takes_to_answer_does_not_count(bench: Bench) -> None:
    bench.make_archive()

    def slowly(_plan: RestorePlan) -> bool:
        time.sleep(1.2)
        return True

    restorer = bench.restore(Told(), bench.options(confirm=slowly))
    restorer.restore_licenses(RestoreFlags.NONE, Told())
    assert isinstance(restorer.wait(1), RestoreSummary)


# Streams in place of paths, and the rest


def test_streams_take_the_place_of_both_paths(bench: Bench) -> None:
    stream = io.BytesIO()
    options = bench.options(output=stream)
    restorer = create_backup_restorer(Told(), store=FakeStore(), options=options)
    restorer.backup_licenses(BackupFlags.NONE, Told())
    summary = restorer.wait(PATIENCE)
    assert isinstance(summary, BackupSummary)
    assert summary.path is None
    assert not summary.read_back
    stream.seek(0)
    wanted = bench.options(source=stream, selection=Selection(paths=(b"b",)))
    again = bench.restore(Told(), wanted)
    again.restore_licenses(RestoreFlags.NONE, Told())
    again.wait(PATIENCE)
    assert os.listdir(bench.target) == ["b"]


def test_the_roles_of_the_interface_are_protocols_that_it_fulfills(bench: Bench) -> None:
    backup: LicenseBackup = bench.backup(Told())
    restore: LicenseRestore = bench.restore(Told())
    backup.cancel_license_backup()
    restore.cancel_license_restore()


def test_the_call_returns_before_the_work_is_done(bench: Bench) -> None:
    gate = Gate()
    restorer = bench.backup(Told(), FakeStore(before=gate))
    restorer.backup_licenses(BackupFlags.NONE, Told())
    assert not os.path.exists(bench.archive)
    gate.open()
    restorer.wait(PATIENCE)
    assert os.path.exists(bench.archive)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_no_signal_is_given_to_the_thread_of_an_operation() -> None:
    """The main thread, which waits for it, would not wake up."""
    found: list[set[int]] = []
    thread = threading.Thread(
        target=lambda: found.append(
            {int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, ())}
        )
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    limits.start_deaf(thread)
    thread.join()
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= found[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
