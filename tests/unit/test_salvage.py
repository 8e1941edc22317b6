from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path

import pytest

from tests.archives import Anyone, Dribble, File, build, spool, trusted
from tests.folders import KEY, POLICY, Log, files, fill
from wmbackup.archive.ustar import BLOCK, record_length
from wmbackup.engine import RestoreSummary, Selection, backup, open_archive, restore
from wmbackup.errors import ArchiveDamaged, SignerUntrusted
from wmbackup.status import Control
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.sample import SampleStore
from wmbackup.trust import Policy

STORE = {
    b"a.lic": b"first",
    b"big.bin": b"0123456789abcdef" * 100_000,  # staged in blocks
    b"caf\xc3\xa9.lic": b"an item",
    b"z.lic": b"last of those with a name of their own",
}


@pytest.fixture(name="archive")
def an_archive(tmp_path: Path) -> bytes:
    store = FolderStore(str(fill(tmp_path / "store", STORE)))
    backup(store, str(tmp_path / "a.tar"), KEY)
    return (tmp_path / "a.tar").read_bytes()


@pytest.fixture(name="pipe", params=[False, True], ids=["file", "pipe"])
def through_a_pipe(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def salvage(
    data: bytes, tmp_path: Path, *, pipe: bool = False, selection: Selection | None = None
) -> RestoreSummary:
    target = FolderStore(str(tmp_path / "target"))
    (tmp_path / "damaged.tar").write_bytes(data)
    source = Dribble(data, 70_000) if pipe else str(tmp_path / "damaged.tar")
    with open_archive(source) as file:  # type: ignore[arg-type] # it reads, as a pipe does
        return restore(file, target, POLICY, salvage=True, selection=selection)


def place(data: bytes, member: str) -> int:
    """Return where the header of a member begins."""
    return data.index(b"wmbackup-1/" + member.encode() + b"\0")


def broken(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def restored(tmp_path: Path) -> dict[bytes, bytes]:
    return files(tmp_path / "target")


def test_a_whole_archive_loses_nothing(archive: bytes, tmp_path: Path, *, pipe: bool) -> None:
    done = salvage(archive, tmp_path, pipe=pipe)
    assert (done.restored, done.plan.lost, done.plan.nameless) == (4, (), 0)
    assert restored(tmp_path) == STORE


def test_a_salvage_can_be_stopped_while_it_looks_behind_damage(
    archive: bytes, tmp_path: Path
) -> None:
    at = place(archive, "data/z.lic")

    def checks(blocks: int) -> int:
        asked = 0

        def count() -> bool:
            nonlocal asked
            asked += 1
            return False

        damaged = archive[:at] + b"\xff" * BLOCK * blocks + archive[at:]
        target = FolderStore(str(tmp_path / str(blocks)))
        with open_archive(io.BytesIO(damaged)) as file:
            restore(file, target, POLICY, Control(cancelled=count), salvage=True)
        return asked

    assert checks(2000) - checks(1000) >= 1000


@pytest.mark.parametrize(("lost", "passes"), [(None, 1), ("manifest-sha256.txt", 2)])
def test_a_salvage_can_be_stopped_at_each_file(lost: str | None, passes: int) -> None:
    def ticks(count: int) -> int:
        data = build([File(b"%03d" % number, b"x") for number in range(count)])
        if lost is not None:
            data = broken(data, place(data, lost) + BLOCK)
        asked: list[None] = []
        with contextlib.closing(trusted(data, len(data), Anyone()).salvage(spool)) as rest:
            found = rest.files(lambda: asked.append(None))
        assert len(found) == count
        return len(asked)

    assert ticks(30) - ticks(10) >= 20 * passes


def test_a_large_file_is_salvaged_into_a_folder_that_is_there(
    archive: bytes, tmp_path: Path
) -> None:
    fill(tmp_path / "target", {b"own": b"stays"})
    salvage(archive, tmp_path)
    assert restored(tmp_path) == {**STORE, b"own": b"stays"}


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "moved"])
def test_a_salvage_can_be_stopped_inside_one_large_file(
    tmp_path: Path, *, cut: bool, pipe: bool
) -> None:
    def checks(blocks: int) -> int:
        asked = 0

        def count() -> bool:
            nonlocal asked
            asked += 1
            return False

        data = build([File(b"large", bytes(blocks * 1024 * 1024))])
        if cut:  # a block too many, so that the file is looked for
            at = place(data, "data/large")
            data = data[:at] + bytes(BLOCK) + data[at:]
        source = Dribble(data, 1 << 20) if pipe else io.BytesIO(data)
        target = FolderStore(str(tmp_path / str(blocks)))
        with open_archive(source) as file:  # type: ignore[arg-type] # it reads, as a pipe does
            restore(file, target, POLICY, Control(cancelled=count), salvage=True)
        return asked

    # Looked at when the plan is made, and read once more when it is written; a pipe is copied.
    assert checks(12) - checks(4) >= 8 * (3 if pipe else 2)


def test_a_salvage_plans_once(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive)
    log = Log()
    with open_archive(str(tmp_path / "a.tar")) as file:
        target = FolderStore(str(tmp_path / "target"))
        restore(file, target, POLICY, log.control(), salvage=True)
    assert log.phases() == ["authenticating", "planning", "verifying", "applying"]


def test_of_a_cut_archive_what_is_whole_comes_back_and_the_rest_is_named(
    archive: bytes, tmp_path: Path, *, pipe: bool
) -> None:
    cut = archive[: place(archive, "data/z.lic") + BLOCK + 5]
    done = salvage(cut, tmp_path, pipe=pipe)
    assert [lost.path for lost in done.plan.lost] == [b"z.lic", b"caf\xc3\xa9.lic"]
    assert restored(tmp_path) == {path: STORE[path] for path in (b"a.lic", b"big.bin")}


@pytest.mark.parametrize("path", [b"a.lic", b"big.bin", b"z.lic"])
@pytest.mark.parametrize("inside", [0, 124, BLOCK])
def test_damage_costs_the_damaged_file_alone(
    archive: bytes, tmp_path: Path, path: bytes, inside: int
) -> None:
    done = salvage(broken(archive, place(archive, f"data/{path.decode()}") + inside), tmp_path)
    # A header says nothing that the rows do not say: the bytes behind it are proven all the same.
    lost = {path} if inside == BLOCK else set()
    assert {one.path for one in done.plan.lost} == lost
    assert restored(tmp_path) == {name: STORE[name] for name in STORE.keys() - lost}


def test_a_lost_manifest_is_made_anew(archive: bytes, tmp_path: Path, *, pipe: bool) -> None:
    damaged = broken(archive, place(archive, "manifest-sha256.txt") + BLOCK + 3)
    done = salvage(damaged, tmp_path, pipe=pipe)
    assert (done.plan.lost, done.plan.nameless) == ((), 0)
    assert restored(tmp_path) == STORE


def test_lost_rows_cost_names_and_times(archive: bytes, tmp_path: Path, *, pipe: bool) -> None:
    damaged = broken(archive, place(archive, "files.jsonl") + BLOCK + 3)
    done = salvage(damaged, tmp_path, pipe=pipe)
    assert (done.plan.lost, done.plan.nameless) == ((), 4)
    expected = dict(STORE)
    expected[b"item-0000001"] = expected.pop(b"caf\xc3\xa9.lic")
    assert restored(tmp_path) == expected
    made = int(done.plan.info.created.timestamp())
    assert int((tmp_path / "target/a.lic").stat().st_mtime) == made


def test_lost_rows_and_manifest_leave_the_names_of_the_archive(
    archive: bytes, tmp_path: Path
) -> None:
    for table in ("files.jsonl", "manifest-sha256.txt"):
        archive = broken(archive, place(archive, table) + BLOCK)
    done = salvage(archive, tmp_path)
    assert (done.restored, done.plan.nameless) == (4, 4)


@pytest.mark.parametrize("table", ["files.jsonl", "licenses.jsonl", "manifest-sha256.txt"])
def test_a_damaged_header_of_a_table_costs_the_table(
    archive: bytes, tmp_path: Path, table: str
) -> None:
    done = salvage(broken(archive, place(archive, table) + 130), tmp_path)
    assert done.restored == 4
    assert set(restored(tmp_path).values()) == set(STORE.values())


def test_without_a_manifest_one_damaged_file_costs_everything(
    archive: bytes, tmp_path: Path
) -> None:
    damaged = broken(archive, place(archive, "manifest-sha256.txt") + BLOCK)
    damaged = broken(damaged, place(damaged, "data/z.lic") + BLOCK)
    with pytest.raises(ArchiveDamaged, match="too much of the payload"):
        salvage(damaged, tmp_path)
    assert not (tmp_path / "target").exists()


def test_nothing_is_salvaged_of_what_nobody_believed_has_signed(
    archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / "cut.tar").write_bytes(archive[:-2000])
    with (
        open_archive(str(tmp_path / "cut.tar")) as file,
        pytest.raises(SignerUntrusted),
    ):
        restore(file, FolderStore(str(tmp_path / "target")), Policy(), salvage=True)


@pytest.mark.parametrize("member", ["README.txt", "bag-info.txt", "tagmanifest-sha256.txt"])
def test_what_comes_before_the_tables_has_to_be_whole(
    archive: bytes, tmp_path: Path, member: str
) -> None:
    with pytest.raises(ArchiveDamaged):
        salvage(broken(archive, place(archive, member) + BLOCK), tmp_path)


def test_a_file_that_was_swapped_for_another_of_the_archive_is_lost(
    archive: bytes, tmp_path: Path
) -> None:
    first, last = place(archive, "data/a.lic"), place(archive, "data/z.lic")
    size = record_length(len(STORE[b"a.lic"]))
    swapped = archive[:first] + archive[last : last + size] + archive[first + size :]
    done = salvage(swapped, tmp_path)
    assert [lost.path for lost in done.plan.lost] == [b"a.lic"]


def test_a_selection_of_what_is_left_can_be_restored(archive: bytes, tmp_path: Path) -> None:
    cut = archive[: place(archive, "data/z.lic") + BLOCK + 5]
    done = salvage(cut, tmp_path, selection=Selection(paths=(b"a.lic",)))
    assert (done.restored, len(done.plan.lost)) == (1, 2)
    assert restored(tmp_path) == {b"a.lic": b"first"}


def test_what_is_lost_is_named_by_its_title(tmp_path: Path) -> None:
    backup(SampleStore(), str(tmp_path / "a.tar"), KEY)
    data = (tmp_path / "a.tar").read_bytes()
    done = salvage(broken(data, place(data, "data/harbour/preview.lic") + BLOCK), tmp_path)
    assert [(lost.path, lost.title) for lost in done.plan.lost] == [
        (b"harbour/preview.lic", "Evening Ferry (preview)")
    ]


def test_no_damage_makes_a_salvage_release_what_was_not_signed(tmp_path: Path) -> None:
    store = FolderStore(str(fill(tmp_path / "store", {b"a": b"1", b"b/c": b"22", b"d": b"3"})))
    backup(store, str(tmp_path / "a.tar"), KEY)
    data = (tmp_path / "a.tar").read_bytes()
    signed = {hashlib.sha256(text).digest() for text in (b"1", b"22", b"3")}
    begin = place(data, "files.jsonl")
    for at in range(begin, len(data), 37):
        for damaged in (broken(data, at), data[:at]):
            folder = tmp_path / f"{at}-{len(damaged)}"
            folder.mkdir()
            try:
                salvage(damaged, folder)
            except ArchiveDamaged:
                continue
            found = restored(folder).values()
            assert {hashlib.sha256(text).digest() for text in found} <= signed
