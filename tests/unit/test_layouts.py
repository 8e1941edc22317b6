from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import make  # the synthetic fixtures
import pytest

from tests.folders import KEY, POLICY, Log, files, fill
from wmbackup.archive.inventory import Row
from wmbackup.cli.paths import parse_store
from wmbackup.engine import backup, compare, inventory_of_archive, open_archive, restore
from wmbackup.engine._inventory import inventory_of_store
from wmbackup.errors import (
    Cancelled,
    NothingToBackUp,
    StoreUnavailable,
    SystemFailure,
    UsageError,
)
from wmbackup.item import Item
from wmbackup.license import License
from wmbackup.status import (
    Control,
    Event,
    ItemEvent,
    LeftOutEvent,
    Phase,
    PhaseEvent,
    WarningEvent,
    WithheldEvent,
)
from wmbackup.stores.base import ItemWithheld
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.layouts import BAK, DRM, FOLDER, Layout, find_layout
from wmbackup.stores.tree import EntryKind, Tree, open_tree

OPEN = make.v7(data=make.right("AllowBackupRestore", "1")).encode()
CLOSED = make.v7(make.OTHER_KID, data=make.right("AllowBackupRestore", "0")).encode()
SILENT = make.v7().encode()
LARGE = {b"open.xml": OPEN, b"closed.xml": CLOSED}
BAK_SET = dict.fromkeys(
    [b"drmv1key.bak", b"drmv1lic.bak", b"drmv2key.bak", b"drmv2lic.bak"], b"opaque"
)


def warnings(store: FolderStore) -> list[str]:
    told: list[Event] = []
    with store.export(Control(told.append)):
        pass
    return [event.code for event in told if isinstance(event, WarningEvent)]


def paths(store: FolderStore) -> set[bytes]:
    with store.export(Control()) as export:
        return set(export.paths)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ([b"song.lic", b"notes.txt"], FOLDER),
        ([], FOLDER),
        ([b"DRMv2.LIC"], DRM),
        ([b"drmstore.hds", b"drmv2lic.bak"], DRM),
        ([b"drmv2lic.bak"], BAK),
        ([b"mspr.hds"], FOLDER),
    ],
)
def test_the_kind_of_a_folder_is_found_by_what_is_in_it(names: list[bytes], kind: object) -> None:
    assert find_layout(names) is kind


def left_out(store: FolderStore) -> dict[bytes, str]:
    told: list[Event] = []
    with store.export(Control(told.append)):
        pass
    return {event.path: event.reason for event in told if isinstance(event, LeftOutEvent)}


RIGHTS = "it belongs to rights management of Windows Server or Office"
DESKTOP = "it belongs to the desktop of Windows or macOS"


class TestForeign:
    """What may be a license is carried; what is known to be foreign is left out and named."""

    def test_drm_folder_is_carried_whole_but_for_what_is_foreign(self, tmp_path: Path) -> None:
        ours = [
            *(b"drmv2.lic", b"drmv2.sst", b"Indiv01.key", b"v3ks.bla", b"blackbox.bin", b"unknown"),
            *(b"Cache/drmv2.lic", b"Cache/Indiv_SID_S-1-5-20/Indiv01.key", b"deep/er/license"),
            *(b"Copy of drmv2.lic", b"DRMv1.lic.2009-01-01", b"Server/drmv2.lic", b"note.txt"),
        ]
        foreign = {
            b"Server/S.xml": RIGHTS,
            b"TEMPLATES/t.xml": RIGHTS,
            b"CERT-Machine-2048.drm": RIGHTS,
            b"desktop.ini": DESKTOP,
            b"Cache/Thumbs.db": DESKTOP,
        }
        fill(tmp_path, dict.fromkeys([*ours, *foreign], b"x"))
        store = FolderStore(str(tmp_path))
        assert store.kind == "drm"
        assert paths(store) == set(ours)
        assert left_out(store) == foreign
        assert warnings(store) == ["files-left-out"]
        everything = FolderStore(str(tmp_path), all_files=True)
        assert paths(everything) == {*ours, *foreign}
        assert warnings(everything) == []

    def test_license_backup_has_copies_under_any_name_and_in_folders(self, tmp_path: Path) -> None:
        ours = [
            *(b"2009-03-01/drmv2lic.bak", b"old/er/drmv1key.bak", b"Copy of drmv2lic.bak"),
            *(b"Kopie von drmv2lic.bak", b"drmv2lic (2).bak", b"drmv2lic.bak.old", b"drmv2lic.zip"),
            *(b"licenses.dat", b"a.xml", b"without", b"drmv2lic.exe", b"drmv2lic.jpg"),
        ]
        foreign = [b"song.WMA", b"a/cover.jpg", b"Folder.jpg", b"setup.exe", b"list.wpl"]
        fill(tmp_path, BAK_SET | dict.fromkeys([*ours, *foreign], b"x"))
        store = FolderStore(str(tmp_path))
        assert (store.kind, paths(store)) == ("bak", {*ours, *BAK_SET})
        assert set(left_out(store)) == set(foreign)

    @pytest.mark.parametrize(("layout", "name"), [(DRM, b"drmv2.lic"), (BAK, b"x.bak")])
    def test_link_that_may_be_a_license_is_skipped(
        self, tmp_path: Path, layout: Layout, name: bytes
    ) -> None:
        fill(tmp_path / "else", {b"file": b"x"})
        fill(tmp_path / "store", {b"drmv2lic.bak": b"x"})
        os.symlink(tmp_path / "else/file", os.fsencode(tmp_path / "store") + b"/" + name)
        with FolderStore(str(tmp_path / "store"), layout).export(Control()) as export:
            assert [one.path for one in export.skipped] == [name]

    @pytest.mark.parametrize(
        ("folder", "skipped"), [(b"Server", []), (b"Cache", [b"Cache"]), (b"x", [b"x"])]
    )
    def test_closed_folder_is_skipped_where_it_may_have_licenses(
        self, tmp_path: Path, folder: bytes, skipped: list[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(tmp_path, {b"drmv2.lic": b"a", folder + b"/file": b"c"})
        kind = type(open_tree(str(tmp_path)))
        original = kind.entries

        def entries(self: Tree, path: bytes) -> Iterator[tuple[bytes, EntryKind]]:
            if path == folder:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return original(self, path)

        monkeypatch.setattr(kind, "entries", entries)
        store = FolderStore(str(tmp_path))
        with store.export(Control()) as export:
            assert [one.path for one in export.skipped] == skipped
        assert list(left_out(store)) == ([] if skipped else [folder])

    @pytest.mark.parametrize("kind", [DRM, BAK])
    def test_folder_with_nothing_of_its_kind_says_so(self, tmp_path: Path, kind: Layout) -> None:
        fill(tmp_path, {b"desktop.ini": b"a", b"b/Thumbs.db": b"b"})
        told: list[Event] = []
        with FolderStore(str(tmp_path), kind).export(Control(told.append)):
            pass
        *_, last = told
        assert isinstance(last, WarningEvent)
        assert f"nothing here is of a {kind.kind} store" in last.message

    def test_copy_in_a_folder_does_not_complete_a_set(self, tmp_path: Path) -> None:
        fill(tmp_path, {b"drmv2.lic": b"a", b"Cache/drmv2.sst": b"b"})
        assert warnings(FolderStore(str(tmp_path))) == ["incomplete-set"]


VISTA, XP = "ProgramData/Microsoft/Windows/DRM", "Documents and Settings/All Users/DRM"
PLACES = [
    VISTA,
    XP,
    "ProgramData/microsoft/WINDOWS/drm",
    "Windows.old/ProgramData/Microsoft/Windows/DRM",
    "Windows.old.000/Documents and Settings/All Users/DRM",
    "Dokumente und Einstellungen/All Users/DRM",
    "Documents and Settings/All Users.WINDOWS/DRM",
    "Documents and Settings/All Users.WINDOWS.000/DRM",
    "Dokumenty i ustawienia/Wszyscy/DRM",
    "\u0414\u043e\u043a/\u0412\u0441\u0435/DRM",
    "WINDOWS/All Users/DRM",
    "WINNT/Profiles/All Users/DRM",
    "Users/me/AppData/Local/Microsoft/Windows/DRM",
    "disk image/c/Dokumente und Einstellungen/All Users/DRM",
]


class TestDisk:
    """A path that has DRM folders below it means one of them, or is refused."""

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("prefix", ["", "drm:"])
    def test_only_drm_folder_is_taken(self, tmp_path: Path, prefix: str, place: str) -> None:
        fill(tmp_path, {os.fsencode(f"{place}/drmv2.lic"): b"a", b"Program/notes.txt": b"b"})
        store = parse_store(f"{prefix}{tmp_path}")
        assert (store.kind, store.location) == ("drm", str(tmp_path / place))
        assert parse_store(f"folder:{tmp_path}").location == str(tmp_path)
        assert parse_store(str(tmp_path), target=True).location == str(tmp_path)

    @pytest.mark.parametrize("other", [*PLACES[1:], "Users/me/copy of licenses", "DRM.old"])
    @pytest.mark.parametrize("prefix", ["", "drm:"])
    def test_several_drm_folders_are_all_named_and_none_is_taken(
        self, tmp_path: Path, prefix: str, other: str
    ) -> None:
        if other.lower() == VISTA.lower():
            other = "Old/" + other
        names = [os.fsencode(f"{place}/drmv2.lic") for place in (VISTA, other)]
        fill(tmp_path, dict.fromkeys(names, b"a"))
        with pytest.raises(UsageError, match="has 2 DRM folders") as caught:
            parse_store(f"{prefix}{tmp_path}")
        for place in (VISTA, other):
            assert str(tmp_path / place) in caught.value.message
        assert any(
            shlex.quote(f"drm:{tmp_path / place}") in (caught.value.hint or "")
            for place in (VISTA, other)
        )
        (tmp_path / other / "drmv2.lic").unlink()
        assert parse_store(f"{prefix}{tmp_path}").location == str(tmp_path / VISTA)

    @pytest.mark.parametrize("name", [b"drmstore.hds", b"v3ks.bla", b"Indiv01.key", b"DRMV1.KEY"])
    def test_drm_folder_is_found_by_any_file_of_one(self, tmp_path: Path, name: bytes) -> None:
        fill(tmp_path, {b"%b/%b" % (VISTA.encode(), name): b"a"})
        store = parse_store(str(tmp_path))
        assert (store.kind, store.location) == ("drm", str(tmp_path / VISTA))

    @pytest.mark.parametrize(
        ("name", "is_store"), [("unknown.bin", True), ("CERT-Machine.drm", False), (None, False)]
    )
    def test_drm_folder_of_windows_with_unknown_files_counts(
        self, tmp_path: Path, name: str | None, *, is_store: bool
    ) -> None:
        (tmp_path / VISTA).mkdir(parents=True)
        if name is not None:
            (tmp_path / VISTA / name).write_bytes(b"x")
        fill(tmp_path, {b"Program Files/Game/DRM/drm.dll": b"x", b"ProgramData/x/DRM/y": b""})
        if is_store:
            store = parse_store(str(tmp_path))
            assert (store.kind, store.location) == ("drm", str(tmp_path / VISTA))
            return
        with pytest.raises(StoreUnavailable, match="this one has none") as caught:
            parse_store(str(tmp_path))
        assert caught.value.message.endswith(str(tmp_path / VISTA))

    def test_fresh_store_without_files_does_not_hide_the_old_one(self, tmp_path: Path) -> None:
        fill(tmp_path, {f"Windows.old/{VISTA}/drmv2.lic".encode(): b"a"})
        (tmp_path / VISTA).mkdir(parents=True)
        assert parse_store(str(tmp_path)).location == str(tmp_path / "Windows.old" / VISTA)

    @pytest.mark.parametrize(
        "names",
        [
            [b"ProgramData/x"],
            [b"Windows/explorer.exe", b"Users/me/song.lic"],
            [b"WINNT/x", b"Programme/y"],
            [b"bootmgr"],
            [b"Windows.old/x"],
        ],
    )
    def test_windows_disk_without_drm_folder_is_not_the_whole_disk(
        self, tmp_path: Path, names: list[bytes]
    ) -> None:
        fill(tmp_path, dict.fromkeys([*names, b"Users/me/License Backup/drmv2lic.bak"], b"a"))
        with pytest.raises(StoreUnavailable, match="no DRM folder with licenses") as caught:
            parse_store(str(tmp_path))
        hint = caught.value.hint or ""
        assert f"--store folder:{tmp_path}" in hint
        assert shlex.quote(f"bak:{tmp_path}/Users/me/License Backup") in hint
        assert parse_store(f"folder:{tmp_path}").kind == "folder"
        assert parse_store(f"drm:{tmp_path}").location == str(tmp_path)

    def test_folder_with_a_copied_drm_folder_and_other_files_is_refused(
        self, tmp_path: Path
    ) -> None:
        fill(tmp_path, {b"2009/pcs/old/DRM/drmv2.lic": b"a", b"song.lic": b"b"})
        with pytest.raises(UsageError, match="has a DRM folder below it") as caught:
            parse_store(str(tmp_path))
        for store in (f"drm:{tmp_path}/2009/pcs/old/DRM", f"folder:{tmp_path}"):
            assert f"--store {store}" in (caught.value.hint or "")
        (tmp_path / "song.lic").unlink()
        assert parse_store(str(tmp_path)).location == str(tmp_path / "2009/pcs/old/DRM")

    def test_copies_of_license_files_under_other_names_stay_a_plain_folder(
        self, tmp_path: Path
    ) -> None:
        fill(tmp_path, {b"one/drmv2.lic": b"a", b"two/drmv2.lic": b"b"})
        assert parse_store(str(tmp_path)).kind == "folder"

    def test_disk_with_licenses_in_its_root_names_both(self, tmp_path: Path) -> None:
        fill(tmp_path, {b"drmv2.lic": b"a", f"{VISTA}/drmv2.lic".encode(): b"a"})
        with pytest.raises(UsageError, match="is a store, and has a DRM folder") as caught:
            parse_store(str(tmp_path))
        assert f"--store drm:{tmp_path}" in (caught.value.hint or "")
        assert parse_store(f"drm:{tmp_path}").location == str(tmp_path)

    def test_drm_folder_itself_is_not_searched(self, tmp_path: Path) -> None:
        fill(tmp_path, {b"drmv2.lic": b"a", b"Cache/DRM/drmv2.lic": b"b"})
        assert parse_store(str(tmp_path)).location == str(tmp_path)

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        fill(tmp_path, {f"disk/{VISTA}/drmv2.lic".encode(): b"a", b"linked/a.lic": b"a"})
        os.symlink(tmp_path / "disk/ProgramData", tmp_path / "linked/ProgramData")
        assert parse_store(f"{tmp_path}/linked").kind == "folder"

    def test_folder_that_was_seen_under_another_name_is_not_searched_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As where a disk is mounted below itself, or a system shows a link as a folder."""
        fill(tmp_path, {f"{place}{VISTA}/drmv2.lic".encode(): b"a" for place in ("", "again/")})
        again, root = ((p.stat().st_dev, p.stat().st_ino) for p in (tmp_path / "again", tmp_path))

        def identity(status: os.stat_result) -> tuple[int, int]:
            found = status.st_dev, status.st_ino
            return root if found == again else found

        monkeypatch.setattr("wmbackup.stores.disk._identity", identity)
        assert parse_store(str(tmp_path)).location == str(tmp_path / VISTA)

    def test_search_ends_at_a_depth_and_says_so(self, tmp_path: Path) -> None:
        deep = "/".join(["d"] * 31)
        fill(tmp_path, {f"{deep}/DRM/drmv2.lic".encode(): b"a"})
        log = Log()
        assert parse_store(str(tmp_path), control=log.control()).location.endswith("DRM")
        assert not log.events
        fill(tmp_path, {f"{deep}/d/DRM/drmv2.lic".encode(): b"a"})
        assert parse_store(str(tmp_path), control=log.control()).location.endswith("DRM")
        (event,) = log.events
        assert isinstance(event, WarningEvent)
        assert event.code == "search-depth"
        assert event.message.startswith(f"{tmp_path / deep / 'd'} is 32 folders deep")

    def test_search_can_be_stopped_at_each_folder_and_counts_them(self, tmp_path: Path) -> None:
        fill(tmp_path, {f"{n}/x".encode(): b"" for n in range(300)})
        asked = 0

        def cancelled() -> bool:
            nonlocal asked
            asked += 1
            return False

        log = Log()
        parse_store(str(tmp_path), control=Control(log.control().notify, cancelled))
        assert asked == 300
        first, *others = log.events
        assert first == PhaseEvent(Phase.SEARCHING)
        assert [event.index for event in others if isinstance(event, ItemEvent)] == [
            *range(256, 301)
        ]
        with pytest.raises(Cancelled):
            parse_store(str(tmp_path), control=Control(cancelled=lambda: True))

    def test_disk_that_does_not_answer_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def entries(_self: Tree, _path: bytes) -> Iterator[tuple[bytes, EntryKind]]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(type(open_tree(str(tmp_path))), "entries", entries)
        with pytest.raises(SystemFailure, match=re.escape(f"cannot list the folder {tmp_path}:")):
            parse_store(str(tmp_path))

    def test_drm_folder_that_cannot_be_listed_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(tmp_path, {f"Windows.old/{VISTA}/drmv2.lic".encode(): b"a"})
        (tmp_path / VISTA).mkdir(parents=True)
        kind = type(open_tree(str(tmp_path)))
        original = kind.entries

        def entries(self: Tree, path: bytes) -> Iterator[tuple[bytes, EntryKind]]:
            if path == VISTA.encode():
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return original(self, path)

        monkeypatch.setattr(kind, "entries", entries)
        with pytest.raises(UsageError, match="has 2 DRM folders"):
            parse_store(str(tmp_path))


def test_a_forced_kind_wins_over_what_is_found(tmp_path: Path) -> None:
    fill(tmp_path, {b"drmv2.lic": b"a", b"note": b"b"})
    assert paths(FolderStore(str(tmp_path), FOLDER)) == {b"drmv2.lic", b"note"}
    assert paths(FolderStore(str(tmp_path), BAK)) == {b"drmv2.lic", b"note"}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([b"drmv2.lic", b"drmv2.sst"], []),
        ([b"drmv2.lic"], ["incomplete-set"]),
        ([b"drmv2.sst", b"drmv1.key"], ["incomplete-set", "incomplete-set"]),
    ],
)
def test_half_of_a_pair_is_remarked(tmp_path: Path, names: list[bytes], told: list[str]) -> None:
    fill(tmp_path, dict.fromkeys(names, b"x"))
    assert warnings(FolderStore(str(tmp_path), DRM)) == told


def test_a_license_backup_is_four_files_and_a_missing_one_is_remarked(tmp_path: Path) -> None:
    fill(tmp_path, BAK_SET | {b"other.mp3": b"x"})
    store = FolderStore(str(tmp_path))
    assert (store.kind, paths(store)) == ("bak", set(BAK_SET))
    (tmp_path / "drmv1key.bak").unlink()
    assert warnings(FolderStore(str(tmp_path))) == ["files-left-out", "incomplete-set"]


def test_what_a_license_forbids_stays_behind_with_all_that_is_in_the_file(tmp_path: Path) -> None:
    root = fill(tmp_path / "store", {b"open": OPEN, b"both": OPEN + CLOSED, b"silent": SILENT})
    told: list[Event] = []
    done = backup(FolderStore(str(root)), f"{tmp_path}/a.tar", KEY, Control(told.append))
    withheld = [event.license for event in told if isinstance(event, WithheldEvent)]
    assert [(known.kid, known.path) for known in withheld] == [(make.OTHER_KID, b"both")]
    assert [one.path for one in done.skipped] == [b"both"]
    assert {known.kid for known in done.withheld} == {make.KID, make.OTHER_KID}
    with (
        open_archive(f"{tmp_path}/a.tar") as file,
        inventory_of_archive(file, POLICY) as inventory,
    ):
        rows = list(inventory.rows)
    carried = [(row.path, row.license.backup_allowed) for row in rows if row.item and row.license]
    assert carried == [(b"open", True), (b"silent", None)]
    assert [row.license.withheld for row in rows if row.item is None and row.license] == [True] * 2


def test_all_withheld_is_nothing_to_back_up(tmp_path: Path) -> None:
    root = fill(tmp_path / "store", {b"closed": CLOSED})
    with pytest.raises(NothingToBackUp, match="withheld by their issuers"):
        backup(FolderStore(str(root)), f"{tmp_path}/a.tar", KEY)
    assert not (tmp_path / "a.tar").exists()


def test_a_large_file_is_recognized_and_withheld_like_a_small_one(tmp_path: Path) -> None:
    filler = b"<!--" + b"x" * (2 * 1024 * 1024) + b"-->"
    large = {name: b"<A>" + filler + text + b"</A>" for name, text in LARGE.items()}
    root = fill(tmp_path, large)
    with FolderStore(str(root)).export(Control()) as export:
        content = export.read(b"open.xml")
        assert [known.kid for known in content.licenses] == [make.KID]
        assert sum(map(len, content.data)) == content.size  # type: ignore[arg-type] # blocks
        with pytest.raises(ItemWithheld):
            export.read(b"closed.xml")


def test_a_drm_folder_is_one_whole_and_nothing_of_it_is_withheld(tmp_path: Path) -> None:
    root = fill(tmp_path / "DRM", {b"drmv2.lic": make.compound({"one": CLOSED}), b"drmv2.sst": b""})
    done = backup(FolderStore(str(root)), f"{tmp_path}/a.tar", KEY)
    assert (done.info.store_kind, done.withheld, done.info.files) == ("drm", (), 2)


def test_names_times_and_bytes_of_a_drm_folder_come_back(tmp_path: Path) -> None:
    root = fill(tmp_path / "DRM", {b"drmv2.lic": b"a", b"drmv2.sst": b"b"})
    os.utime(root / "drmv2.lic", ns=(5, 1_161_993_600_123_456_789))
    backup(FolderStore(str(root)), f"{tmp_path}/a.tar", KEY)
    with open_archive(f"{tmp_path}/a.tar") as file:
        restore(file, FolderStore(f"{tmp_path}/new"), POLICY)
    assert files(tmp_path / "new") == {b"drmv2.lic": b"a", b"drmv2.sst": b"b"}
    assert (tmp_path / "new/drmv2.lic").stat().st_mtime_ns == 1_161_993_600_123_456_789


@pytest.mark.parametrize(("kind", "told"), [(DRM, ["other-machine"]), (FOLDER, [])])
def test_a_raw_copy_of_another_machine_is_remarked_at_restore(
    tmp_path: Path, kind: object, told: list[str]
) -> None:
    root = fill(tmp_path / "DRM", {b"drmv2.lic": b"a", b"drmv2.sst": b"b"})
    store = FolderStore(str(root), kind)  # type: ignore[arg-type] # a layout
    backup(store, f"{tmp_path}/a.tar", KEY, host="elsewhere")
    events: list[Event] = []
    with open_archive(f"{tmp_path}/a.tar") as file:
        restore(file, FolderStore(f"{tmp_path}/new"), POLICY, Control(events.append))
    assert [event.code for event in events if isinstance(event, WarningEvent)] == told


def test_gone_because_expired_is_told_apart_from_lost() -> None:
    def row(path: bytes, *expires: str | None) -> list[Row]:
        item = Item(path, 1, 0)
        return [Row(item, License("wmdrm-v7", expires=when), b"x") for when in expires]

    before = [
        *row(b"over", "2001-01-01T00:00:00Z"),
        *row(b"valid", "2999-01-01T00:00:00Z"),
        *row(b"mixed", "2001-01-01T00:00:00Z", None),
        *row(b"odd", "some day"),
        Row(Item(b"plain", 1, 0), None, b"x"),
    ]
    found = compare(before, [])
    assert found.gone == (b"mixed", b"odd", b"over", b"plain", b"valid")
    assert found.expired == {b"over"}


def test_a_store_and_its_archive_list_the_same_licenses(tmp_path: Path) -> None:
    root = fill(tmp_path / "store", {b"a": OPEN, b"b": SILENT, b"c": b"nothing", b"d": CLOSED})
    store = FolderStore(str(root))
    backup(store, f"{tmp_path}/a.tar", KEY)

    def facts(rows: object) -> list[tuple[str, str | None, object]]:
        found = [row.license for row in rows if row.license is not None]  # type: ignore[attr-defined] # rows
        return sorted((one.kind, one.kid or "", dict(one.attributes)) for one in found)

    with inventory_of_store(store) as (live, _):
        before = facts(live.rows)
    with (
        open_archive(f"{tmp_path}/a.tar") as file,
        inventory_of_archive(file, POLICY) as inventory,
    ):
        assert facts(inventory.rows) == before
