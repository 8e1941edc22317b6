"""The ledger: its text, its file, and the place that it gives a new archive in a series."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.archives import private, public
from tests.folders import KEY, POLICY, Log, fill
from wmbackup.engine import BackupSummary, History, _destination, backup
from wmbackup.errors import Busy, SystemFailure
from wmbackup.history import ledger as ledgers
from wmbackup.history import machine
from wmbackup.history.ledger import Ledger
from wmbackup.history.records import Entry, Memory, Place, Series, encode, parse
from wmbackup.status import Control, Event, WarningEvent
from wmbackup.storage.locks import Locks
from wmbackup.storage.publish import Draft
from wmbackup.stores.folder import FolderStore
from wmbackup.trust import Policy, Signer
from wmbackup.trust.keys import SigningKey
from wmbackup.trust.rotation import rotated_from

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
ID = st.text("0123456789abcdef", min_size=32, max_size=32)
NUMBER = st.integers(0, 2**53 - 1)
TEXT = st.text(st.characters(codec=None), max_size=20)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1)).map(  # noqa: DTZ001 - UTC is meant
    lambda moment: moment.replace(microsecond=0).isoformat() + "Z"
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


ENTRIES = st.builds(
    Entry, ID, TIMES, TEXT, HEX, NUMBER, NUMBER, NUMBER, NUMBER,
    maybe(ID), maybe(NUMBER), maybe(HEX), maybe(HEX), maybe(NUMBER), maybe(TEXT), maybe(TEXT),
)  # fmt: skip
SERIES = st.builds(
    Series, st.builds(Place, TEXT, TEXT, TEXT, maybe(TEXT)), TEXT, maybe(ID), NUMBER,
    maybe(ENTRIES), maybe(ENTRIES), maybe(ENTRIES), maybe(TIMES), NUMBER,
    st.lists(ENTRIES, max_size=2), st.lists(TEXT, max_size=2),
)  # fmt: skip
ENTRY = Entry("0" * 32, "2026-01-02T03:04:05Z", "SHA256:x", "1" * 64, 1, 2, 3, 4)


class TestText:
    """The text of the ledger is checked field by field, and nothing in it ends in a traceback."""

    @given(st.builds(Memory, TEXT, st.lists(SERIES, max_size=3)))
    def test_what_was_written_is_read(self, memory: Memory) -> None:
        assert parse(encode(memory)) == memory

    @given(st.binary(max_size=60))
    def test_other_bytes_are_refused(self, text: bytes) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - by the class alone
            parse(text)

    @given(st.data())
    def test_a_field_of_another_kind_is_refused(self, data: st.DataObject) -> None:
        place = Place("h", "folder", "/s", "/d")
        series = Series(place, "SHA256:x", "0" * 32, 1, ENTRY, ENTRY, ENTRY, archives=[ENTRY])
        found: Any = json.loads(encode(Memory("m", [series])))
        where: Any = found
        key: Any = "series"
        while isinstance(inner := where[key], (dict, list)) and inner and data.draw(st.booleans()):
            keys = sorted(inner) if isinstance(inner, dict) else [*range(len(inner))]
            where, key = inner, data.draw(st.sampled_from(keys))
        where[key] = {"other": "kind"}
        with pytest.raises(ValueError):  # noqa: PT011 - by the class alone
            parse(json.dumps(found).encode())

    def test_deep_nesting_is_refused(self) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - by the class alone
            parse(b"[" * 100_000)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def ledger_in(state: Path) -> Ledger:
    return Ledger(str(state), Locks(str(state / "locks")))


class TestFile:
    """The file is private, locked and replaced at once."""

    def test_a_change_is_kept(self, state: Path) -> None:
        ledger = ledger_in(state)
        assert ledger.read().state == "missing"
        with ledger.change(Control()) as (memory, _):
            memory.series.append(Series(Place("h", "k", "s", None), "x"))
        found = ledger.read()
        assert found.state == "here"
        assert [one.signer for one in found.memory.series] == ["x"]

    def test_a_change_that_fails_is_not_kept(self, state: Path) -> None:
        ledger = ledger_in(state)
        with pytest.raises(ZeroDivisionError), ledger.change(Control()) as (memory, _):
            memory.series.append(Series(Place("h", "k", "s", None), "x", sequence=1 // 0))
        assert ledger.read().state == "missing"

    def test_two_runs_do_not_change_it_at_once(self, state: Path) -> None:
        with (
            ledger_in(state).change(Control()),
            pytest.raises(Busy),
            ledger_in(state).change(Control()),
        ):
            pass

    @pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b'{"version": 2}'])
    def test_a_damaged_one_is_as_none(self, state: Path, text: bytes) -> None:
        fill(state, {b"ledger.json": text})
        found = ledger_in(state).read()
        assert (found.state, found.memory.series) == ("damaged", [])

    def test_one_that_is_too_large_is_damaged(
        self, state: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(state, {b"ledger.json": encode(Memory(machine.fingerprint()))})
        assert ledger_in(state).read().state == "here"
        monkeypatch.setattr(ledgers, "MAX_SIZE", 10)
        assert ledger_in(state).read().state == "damaged"

    def test_one_of_another_machine_keeps_what_was_accepted(self, state: Path) -> None:
        series = Series(Place("h", "k", "s", None), "x", "0" * 32, 3, ENTRY, ENTRY, ENTRY)
        series.archives, series.seen = [ENTRY], ["a"]
        fill(state, {b"ledger.json": encode(Memory("another", [series]))})
        found = ledger_in(state).read()
        assert found.state == "foreign"
        assert found.memory.series == [Series(Place("h", "k", "s", None), "x", accepted=ENTRY)]

    def test_a_folder_in_its_place_is_a_failure(self, state: Path) -> None:
        (state / "ledger.json").mkdir(parents=True)
        with pytest.raises(SystemFailure):
            ledger_in(state).read()

    def test_a_file_in_the_place_of_the_folder_is_a_failure(self, state: Path) -> None:
        state.write_bytes(b"")
        assert ledger_in(state).read().state == "missing"
        with pytest.raises(SystemFailure), ledger_in(state).change(Control()):
            pass

    def test_the_machine_is_the_same_each_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first = machine.fingerprint()
        assert first == machine.fingerprint()
        monkeypatch.setattr("platform.node", lambda: "another")
        assert machine.fingerprint() != first
        monkeypatch.setattr(machine, "_FILES", ("/missing",), raising=False)
        assert machine.fingerprint()


class Night:
    """Backups of one store into one folder, with a clock that goes as it is told."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.store = fill(root / "store", {b"a.lic": b"1"})
        self.archives = root / "archives"
        self.archives.mkdir()
        self.state = root / "state"
        self.key, self.policy = KEY, POLICY
        self.own: tuple[bytes, ...] = (KEY.public,)
        self.events: list[Event] = []
        self._monkeypatch = monkeypatch
        self._day = 0
        self.machine("this")

    def machine(self, name: str) -> None:
        self._monkeypatch.setattr(machine, "fingerprint", lambda: name)

    def back_up(self, day: int | None = None, **more: Any) -> BackupSummary:
        self._day = self._day + 1 if day is None else day
        moment = datetime(2026, 1, self._day, 3, tzinfo=UTC)
        store = FolderStore(str(self.store))
        chosen = _destination.choose_destination(
            store, str(self.archives), more.pop("host", "host")
        )
        path = chosen.path and chosen.path.replace(
            f"{chosen.moment:%Y%m%dT%H%M%SZ}", f"{moment:%Y%m%dT%H%M%SZ}"
        )
        ledger = ledger_in(self.state)
        history = History(ledger, self.own, self.policy)
        log = Log()
        done = backup(
            store, chosen._replace(moment=moment, path=path), self.key, log.control(),
            history=history, **more,
        )  # fmt: skip
        self.events = log.events
        return done

    @property
    def warnings(self) -> list[str | None]:
        return [one.reason for one in self.events if isinstance(one, WarningEvent)]

    def series(self) -> Series:
        (found,) = ledger_in(self.state).read().memory.series
        return found


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    return Night(tmp_path, monkeypatch)


def links(*done: BackupSummary) -> list[int | None]:
    """Return the numbers, of one chain in which no two have the same predecessor."""
    assert len({one.info.chain for one in done}) == 1
    assert len({one.info.previous for one in done}) == len(done)
    return [one.info.sequence for one in done]


class TestLine:
    """Each archive of a series names its chain, its number and the archive before it."""

    def test_the_next_one_follows_the_last(self, night: Night) -> None:
        made = [night.back_up() for _ in range(3)]
        assert links(*made) == [1, 2, 3]
        assert made[0].info.previous is None
        assert night.warnings == []
        series = night.series()
        assert series.pending is None
        assert series.made is not None
        assert series.made.archive_id == made[2].info.archive_id
        assert [one.sequence for one in series.archives] == [1, 2, 3]

    def test_the_hash_of_the_file_is_that_of_the_disk(self, night: Night) -> None:
        import hashlib

        for read_back in (True, False):
            path = night.back_up(read_back=read_back).path
            made = night.series().made
            assert path is not None
            assert made is not None
            assert made.file == hashlib.sha256(Path(path).read_bytes()).hexdigest()
            assert made.size == os.path.getsize(path)

    def test_a_clock_that_jumps_back_changes_nothing(self, night: Night) -> None:
        assert links(night.back_up(20), night.back_up(10), night.back_up(15)) == [1, 2, 3]
        assert night.warnings == []

    def test_two_hosts_in_one_folder_have_two_lines(self, night: Night) -> None:
        one, other = night.back_up(host="one"), night.back_up(host="other")
        assert one.info.chain != other.info.chain
        assert night.back_up(host="one").info.sequence == 2
        assert night.warnings == []

    def test_two_destinations_have_two_lines(self, night: Night, tmp_path: Path) -> None:
        first = night.back_up()
        night.archives = tmp_path / "elsewhere"
        night.archives.mkdir()
        assert night.back_up().info.chain != first.info.chain
        assert night.warnings == []

    def test_a_lost_ledger_begins_a_chain_after_the_newest(self, night: Night) -> None:
        night.back_up()
        second = night.back_up()
        signed = night.series().made
        (night.state / "ledger.json").unlink()
        third = night.back_up()
        assert third.info.chain != second.info.chain
        assert third.info.sequence == 1
        assert signed is not None
        assert third.info.previous == signed.signed
        assert night.warnings == ["lost"]
        assert links(third, night.back_up()) == [1, 2]
        assert night.warnings == []

    def test_an_older_ledger_gives_no_number_twice(self, night: Night) -> None:
        night.back_up()
        before = (night.state / "ledger.json").read_bytes()
        second = night.back_up()
        (night.state / "ledger.json").write_bytes(before)
        third = night.back_up()
        assert third.info.chain != second.info.chain
        assert night.warnings == ["older"]
        assert links(third, night.back_up()) == [1, 2]
        assert night.warnings == []

    def test_an_older_ledger_gives_no_number_twice_where_the_newer_are_gone(
        self, night: Night
    ) -> None:
        night.back_up()
        before = (night.state / "ledger.json").read_bytes()
        second = night.back_up()
        for path in night.archives.iterdir():
            path.unlink()
        (night.state / "ledger.json").write_bytes(before)
        assert night.back_up().info.chain != second.info.chain
        assert night.warnings == ["moved"]

    def test_a_cloned_machine_begins_a_chain(self, night: Night) -> None:
        first = night.back_up()
        night.machine("clone")
        clone = night.back_up()
        assert clone.info.chain != first.info.chain
        assert night.warnings == ["foreign"]
        assert links(clone, night.back_up()) == [1, 2]

    def test_a_damaged_ledger_begins_a_chain(self, night: Night) -> None:
        first = night.back_up()
        (night.state / "ledger.json").write_bytes(b"{")
        assert night.back_up().info.chain != first.info.chain
        assert night.warnings == ["damaged"]

    def test_an_archive_of_a_future_clock_is_reported_once(self, night: Night) -> None:
        night.back_up(28)
        (night.state / "ledger.json").unlink()
        night.back_up(1)
        assert night.warnings == ["lost"]
        night.back_up(2)
        assert night.warnings == []

    def test_a_rotated_key_goes_on_with_the_line(self, night: Night) -> None:
        first = night.back_up()
        night.key = SigningKey("/key", public(2), exposed=False, private=private(2))
        night.own = (KEY.public,)
        assert links(first, night.back_up()) == [1, 2]
        assert night.warnings == []

    def test_another_key_begins_a_line(self, night: Night) -> None:
        first = night.back_up()
        night.key = SigningKey("/key", public(2), exposed=False, private=private(2))
        night.own = ()
        assert night.back_up().info.chain != first.info.chain

    def test_an_untrusted_archive_is_no_predecessor(self, night: Night) -> None:
        night.key = SigningKey("/key", public(2), exposed=False, private=private(2))
        night.back_up()
        night.key = KEY
        (night.state / "ledger.json").unlink()
        assert night.back_up().info.previous is None
        night.policy = Policy((*POLICY.signers, Signer("other", public(2))))
        (night.state / "ledger.json").unlink()
        (night.archives / sorted(os.listdir(night.archives))[1]).unlink()
        assert night.back_up().info.previous is not None

    def test_without_a_state_folder_each_archive_has_its_own_chain(self, night: Night) -> None:
        night.state.write_bytes(b"")
        first = night.back_up()
        codes = [one.code for one in night.events if isinstance(one, WarningEvent)]
        assert codes == ["ledger-unusable"]
        second = night.back_up()
        assert first.info.chain != second.info.chain
        assert second.info.previous is not None

    def test_an_archive_without_history_names_no_chain(self, night: Night) -> None:
        done = backup(FolderStore(str(night.store)), str(night.archives), KEY, host="host")
        assert (done.info.chain, done.info.sequence, done.info.previous) == (None, None, None)

    def test_a_stream_follows_the_last_one_by_the_ledger(self, night: Night) -> None:
        import io

        previous = []
        for _ in range(2):
            history = History(ledger_in(night.state), night.own, night.policy)
            store = FolderStore(str(night.store))
            previous.append(backup(store, io.BytesIO(), KEY, host="host", history=history).info)
        made = night.series().made
        assert previous[0].previous is None
        assert previous[1].previous is not None
        assert previous[0].chain != previous[1].chain
        assert made is not None
        assert made.file is None


class TestCrash:
    """A crash costs a number and nothing else."""

    @pytest.mark.parametrize("published", [False, True])
    def test_a_run_that_is_cut_off_around_publishing(
        self, night: Night, monkeypatch: pytest.MonkeyPatch, *, published: bool
    ) -> None:
        first = night.back_up()
        publish = Draft.publish

        def cut_off(draft: Draft, *, replace: bool) -> None:
            if draft.path.endswith(".tar"):
                if published:
                    publish(draft, replace=replace)
                raise KeyboardInterrupt
            publish(draft, replace=replace)

        with monkeypatch.context() as patched:
            patched.setattr(Draft, "publish", cut_off)
            with pytest.raises(KeyboardInterrupt):
                night.back_up()
        pending = night.series().pending
        assert pending is not None
        assert pending.sequence == 2
        third = night.back_up()
        assert third.info.chain == first.info.chain
        assert third.info.sequence == 3
        assert (third.info.previous == pending.signed) is published
        assert night.warnings == []
        assert night.series().pending is None


class TestRotatedFrom:
    """The keys that a signing key was rotated from are found beside it."""

    def test_rotated_keys_are_found(self, tmp_path: Path) -> None:
        from wmbackup.trust import keys
        from wmbackup.trust.rotation import rotate

        path, signers = str(tmp_path / "signing_key"), str(tmp_path / "allowed_signers")
        old = keys.create_trusted(path, signers, "host").key
        assert rotated_from(path) == ()
        rotate(path, signers, "host")
        rotate(path, signers, "host")
        found = rotated_from(path)
        assert len(found) == 2
        assert old.public in found
        (tmp_path / "signing_key-20260101T000000Z").write_bytes(b"no key")
        assert rotated_from(path) == found
        assert rotated_from(str(tmp_path / "missing" / "key")) == ()
