"""What the engine keeps on the disk of an encrypted archive, and how much of one it reads."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.folders import KEY, POLICY
from tests.workers import ALWAYS, Processes, watch
from wmbackup.age.envelope import SealedEnvelope
from wmbackup.age.keys import Identity, X25519Identity
from wmbackup.age.stream import CHUNK
from wmbackup.engine import (
    Selection,
    backup,
    inventory_of_archive,
    open_archive,
    restore,
    verify,
)
from wmbackup.engine._read_back import ReadBackFailed
from wmbackup.errors import EnvelopeDamaged, Undecryptable
from wmbackup.status import Control, Event, WarningEvent
from wmbackup.storage import spool_file
from wmbackup.storage.publish import Draft
from wmbackup.stores.folder import FolderStore
from wmbackup.workers.process import Workers

IDENTITY = X25519Identity.generate()
RECIPIENTS = [IDENTITY.recipient]
MARK = b"not for the disk"
"""What stands in every file of the store and in its name, and so in every table."""

FILES = 300


def identities(_envelope: SealedEnvelope) -> Sequence[Identity]:
    return [IDENTITY]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    folder = tmp_path / "store"
    folder.mkdir()
    for number in range(FILES):
        name = f"{MARK.decode()} {number:04}.lic"
        (folder / name).write_bytes(MARK * 500 + b"%d" % number)
    (folder / "large").write_bytes(MARK * 200_000)
    return FolderStore(str(folder))


class Disk:
    """Every private file as it was on the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[bytes] = []
        kept, close = self.files, spool_file.Spool.close

        def closing(spool: spool_file.Spool) -> None:
            if not spool.closed:
                spool.rollover()
                spool.seek(0)
                kept.append(spool.read())
            close(spool)

        monkeypatch.setattr(spool_file.Spool, "close", closing)

    @property
    def has_plaintext(self) -> bool:
        assert sum(map(len, self.files)) > FILES * 100  # it was used at all
        return any(MARK in file for file in self.files)


@pytest.mark.parametrize("workers", [None, ALWAYS], ids=["alone", "worker"])
@pytest.mark.parametrize("is_encrypted", [True, False], ids=["encrypted", "plain"])
def test_no_plaintext_of_an_encrypted_archive_is_ever_on_the_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store: FolderStore,
    workers: Workers | None,
    is_encrypted: bool,  # noqa: FBT001 - given by name
) -> None:
    disk = Disk(monkeypatch)
    path = tmp_path / "archive"
    recipients = RECIPIENTS if is_encrypted else []
    backup(store, str(path), KEY, workers=workers, recipients=recipients)
    assert (MARK in path.read_bytes()) is not is_encrypted
    output = io.BytesIO()
    backup(store, output, KEY, workers=workers, recipients=recipients)
    assert (MARK in output.getvalue()) is not is_encrypted
    for salvage in (False, True):
        output.seek(0)
        with open_archive(output, identities, salvage=salvage) as archive:
            restore(archive, FolderStore(str(tmp_path / f"{salvage}")), POLICY, salvage=salvage)
    with open_archive(str(path), identities) as archive:
        verify(archive, POLICY, workers=workers)
        with inventory_of_archive(archive, POLICY, Control()) as inventory:
            assert sum(1 for _ in inventory.rows) == FILES + 1
    assert disk.has_plaintext is not is_encrypted


def test_a_worker_makes_the_same_archive(tmp_path: Path, store: FolderStore) -> None:
    found = []
    for number, workers in enumerate((None, ALWAYS)):
        path = str(tmp_path / f"{number}")
        backup(store, path, KEY, workers=workers, recipients=RECIPIENTS)
        with (
            open_archive(path, identities) as archive,
            inventory_of_archive(archive, POLICY, Control()) as inventory,
        ):
            found.append([(row.item, row.sha256) for row in inventory.rows])
            verify(archive, POLICY, workers=workers)
    assert found[0] == found[1]


class Counting(io.FileIO):
    """A file that counts what is read from it."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self.read_bytes += len(data)
        return data


def sizes(path: Path) -> tuple[int, int]:
    """Return the bytes of the envelope's header, and of the head of the archive."""
    with open_archive(str(path), identities) as archive:
        trusted = archive.authenticate(POLICY)
        inventory = trusted.read_head(io.BytesIO)
        head = inventory.payload_offset
    return path.read_bytes().index(b"\n", path.read_bytes().index(b"---")), head


def test_list_and_the_restore_of_one_file_read_no_more_than_they_need(
    tmp_path: Path, store: FolderStore
) -> None:
    path = tmp_path / "archive"
    backup(store, str(path), KEY, recipients=RECIPIENTS)
    header, head = sizes(path)
    most = header + 4096 + head + 3 * (CHUNK + 16)
    assert most < path.stat().st_size / 2
    with Counting(path) as file, open_archive(file, identities) as archive:
        with inventory_of_archive(archive, POLICY, Control()) as inventory:
            assert sum(1 for _ in inventory.rows) == FILES + 1
        assert file.read_bytes <= most
    with Counting(path) as file, open_archive(file, identities) as archive:
        one = Selection(paths=(MARK + b" 0123.lic",))
        done = restore(archive, FolderStore(str(tmp_path / "one")), POLICY, selection=one)
        assert done.restored == 1
        assert file.read_bytes <= most + 2 * (CHUNK + 16)


@pytest.mark.parametrize("place", [5, 100, 1000, 500_000, -1])
def test_what_the_disk_changed_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: FolderStore, place: int
) -> None:
    sync = Draft.sync

    def damage(draft: Draft) -> None:
        sync(draft)
        size = os.fstat(draft.file.fileno()).st_size
        draft.file.seek(place if place >= 0 else size + place)
        byte = draft.file.read(1)
        draft.file.seek(-1, os.SEEK_CUR)
        draft.file.write(bytes([byte[0] ^ 1]))
        draft.file.flush()
        draft.file.seek(0)

    monkeypatch.setattr(Draft, "sync", damage)
    with pytest.raises(ReadBackFailed):
        backup(store, str(tmp_path / "archive"), KEY, recipients=RECIPIENTS)
    assert os.listdir(tmp_path) == ["store"]


def test_without_an_identity_nothing_is_read(tmp_path: Path, store: FolderStore) -> None:
    path = str(tmp_path / "archive")
    backup(store, path, KEY, recipients=RECIPIENTS)
    with pytest.raises(Undecryptable) as caught, open_archive(path):
        pass
    assert caught.value.recipients == {"X25519": 1}


def test_recipients_are_in_the_signed_label(tmp_path: Path, store: FolderStore) -> None:
    path = str(tmp_path / "archive")
    other = X25519Identity.generate().recipient
    done = backup(store, path, KEY, recipients=[*RECIPIENTS, other])
    assert done.info.recipients == f"{IDENTITY.recipient} {other}"
    assert done.size == os.stat(path).st_size
    events: list[Event] = []
    with open_archive(path, identities) as archive:
        assert archive.recipient == str(IDENTITY.recipient)
        summary = verify(archive, POLICY, Control(events.append))
    assert summary.info == done.info
    assert not [event for event in events if isinstance(event, WarningEvent)]


def test_two_archives_of_one_store_have_nothing_in_common(
    tmp_path: Path, store: FolderStore
) -> None:
    files: list[bytes] = []
    for name in ("a", "b"):
        backup(store, str(tmp_path / name), KEY, recipients=RECIPIENTS)
        files.append((tmp_path / name).read_bytes())
    blocks: list[set[Any]] = [
        {file[at : at + 32] for at in range(300, len(file) - 32, 32)} for file in files
    ]
    assert not blocks[0] & blocks[1]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    yield from watch(monkeypatch)


@pytest.mark.skipif(sys.platform != "linux", reason="workers run on Linux")
def test_workers_read_store_and_envelope_by_themselves(
    tmp_path: Path, store: FolderStore, processes: Processes
) -> None:
    path, workers = str(tmp_path / "archive"), Workers(min_files=1, min_bytes=1)
    backup(store, path, KEY, workers=workers, recipients=RECIPIENTS)
    answered = [processes.answered]
    given_back = processes.given_back  # the batch with a large file
    with open_archive(path, identities) as archive:
        verify(archive, POLICY, workers=workers)
        answered.append(processes.answered)
        target = FolderStore(str(tmp_path / "back"))
        restore(archive, target, POLICY, workers=workers)
        answered.append(processes.answered)
    assert 0 < answered[0] < answered[1] < answered[2]
    assert processes.given_back == given_back
    assert len(processes.begun) == 3
    for process in processes.begun:
        assert isinstance(process.args, list)
        assert all(len(str(word)) < 20 for word in process.args[6:])  # numbers, and no key
    with (
        open_archive(path, identities) as archive,
        inventory_of_archive(archive, POLICY, Control()) as ours,
    ):
        for row in ours.rows:
            assert row.item is not None
            data = (tmp_path / "back" / os.fsdecode(row.item.path)).read_bytes()
            assert hashlib.sha256(data).digest() == row.sha256


@pytest.mark.skipif(sys.platform != "linux", reason="workers run on Linux")
def test_what_a_worker_finds_damaged_is_reported_as_without_it(
    tmp_path: Path, store: FolderStore, processes: Processes
) -> None:
    path = tmp_path / "archive"
    backup(store, str(path), KEY, recipients=RECIPIENTS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    messages = []
    for workers in (None, Workers(min_files=1, min_bytes=1)):
        with (
            pytest.raises(EnvelopeDamaged) as caught,
            open_archive(str(path), identities) as archive,
        ):
            verify(archive, POLICY, workers=workers)
        messages.append(caught.value.message)
        assert bool(processes.begun) is bool(workers)
    assert messages[0] == messages[1]
