"""A complete store: license files in one ZIP file, to back up and to restore into.

ZIP files keep times without a zone and in steps of two seconds; this store reads and writes them
as UTC. It keeps no Windows attributes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import IO, BinaryIO, cast

from wmbackup.errors import Busy, RestoreConflict, StoreUnavailable, SystemFailure
from wmbackup.formats.detect import forbids_backup, recognize_file
from wmbackup.item import Item, Skipped
from wmbackup.license import License
from wmbackup.status import Control, SkipEvent
from wmbackup.stores.base import Content, ItemUnavailable, ItemWithheld, Standing

BLOCK = 1024 * 1024  # bytes: a larger file is handed out in blocks of this size
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What `zipfile` raises for a member that is damaged, encrypted or compressed in another way."""


class ZipStore:
    """A ZIP file of licenses; it need not exist yet when something is restored into it."""

    kind = "zip"
    root = None  # it is no folder
    gives_statuses = False

    def __init__(self, path: str) -> None:
        """Take the path of the ZIP file."""
        self.location = os.path.abspath(path)

    @contextmanager
    def export(self, control: Control) -> Iterator[ZipExport]:
        """List the files in the ZIP file. Raises StoreUnavailable."""
        control.check()
        with _open(self.location) as file:
            yield ZipExport(file, control)

    def licenses(self, control: Control) -> Iterator[License]:
        """Enumerate the licenses in all files."""
        with self.export(control) as export:
            for path in export.paths:
                control.check()
                try:
                    yield from export.licenses_in(path)
                except ItemUnavailable as error:
                    control.notify(SkipEvent(path, str(error)))

    @contextmanager
    def import_(self, control: Control, *, replace: bool) -> Iterator[ZipImport]:
        """Begin a restore. Files are staged in a private folder beside the ZIP file."""
        control.check()
        try:
            staging = tempfile.mkdtemp(prefix=".wmbackup-", dir=os.path.dirname(self.location))
        except OSError as error:
            raise SystemFailure.of(error, "write beside", self.location) from error
        try:
            yield ZipImport(self.location, staging, control, replace=replace)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


class ZipExport:
    """The files of an open ZIP file."""

    licenses: Sequence[License] = ()  # none is known beside those in the files
    machine = None  # nothing here is bound to a machine

    def __init__(self, file: zipfile.ZipFile, control: Control) -> None:
        """Sort the members into files and those that cannot be carried."""
        self._file = file
        self._control = control
        self._members = _index(file)
        self.paths = tuple(path for path in self._members if not _problem(path))
        self.skipped = tuple(
            Skipped(path, problem) for path in self._members if (problem := _problem(path))
        )

    def read(self, path: bytes) -> Content:
        """Read one file. Raises ItemUnavailable and ItemWithheld."""
        member = self._member(path)
        licenses = self.licenses_in(path)
        if any(known.withheld for known in licenses):
            raise ItemWithheld(licenses)
        mtime_ns = _from_zip_time(member)
        blocks = self._blocks(member)
        data = blocks if member.file_size > BLOCK else b"".join(blocks)
        return Content(member.file_size, mtime_ns, (), data, licenses)

    def licenses_in(self, path: bytes) -> tuple[License, ...]:
        """Recognize the licenses in one file. Raises ItemUnavailable."""
        member = self._member(path)
        try:
            with self._file.open(member) as file:
                name = path.rpartition(b"/")[2]
                found = recognize_file(name, cast("BinaryIO", file), member.file_size)
        except UNREADABLE as error:
            raise ItemUnavailable(f"it cannot be unpacked: {error}") from error
        return tuple(replace(one, path=path, withheld=forbids_backup(one)) for one in found)

    def _member(self, path: bytes) -> zipfile.ZipInfo:
        if path not in self._members:
            raise ItemUnavailable("it is not in the ZIP file")
        return self._members[path]

    def _blocks(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            with self._file.open(member) as file:
                while block := file.read(BLOCK):
                    self._control.check()
                    yield block
        except UNREADABLE as error:
            raise ItemUnavailable(f"it cannot be unpacked: {error}") from error


class ZipImport:
    """A restore: a new ZIP file with the old and the new files replaces the old one."""

    def __init__(self, location: str, staging: str, control: Control, *, replace: bool) -> None:
        """Note what is in the ZIP file now."""
        self._location = location
        self._staging = staging
        self._control = control
        self._replace = replace
        self._before = _paths(location)
        self._conflicts: set[bytes] = set()
        self._staged: dict[bytes, str] = {}
        self._taken: dict[bytes, Item] = {}

    def standing(self, item: Item, digest: bytes) -> Standing:
        """Compare a file with what is there. Raises ItemUnavailable for an impossible name."""
        path = item.path
        try:
            path.decode()
        except UnicodeDecodeError:
            raise ItemUnavailable("a ZIP file takes names in UTF-8 alone") from None
        parts = path.split(b"/")
        folders = {b"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if folders & self._before or any(one.startswith(path + b"/") for one in self._before):
            return Standing.BLOCKED  # a file cannot be a folder as well
        if path not in self._before:
            return Standing.NEW
        if _digest(self._location, path) == digest:
            return Standing.SAME
        self._conflicts.add(path)
        return Standing.CONFLICT

    def put(self, item: Item, data: bytes) -> None:
        """Stage a small file; its bytes are verified."""
        try:
            with self.stage(item) as file:
                file.write(data)
        except OSError as error:
            raise SystemFailure.of(error, "write beside", self._location) from error
        self.accept(item)

    def stage(self, item: Item) -> BinaryIO:
        """Open a private file for bytes that are not verified yet; the caller closes it."""
        name = os.path.join(self._staging, str(len(self._staged)))
        self._staged[item.path] = name
        return open(name, "xb")

    def accept(self, item: Item) -> None:
        """Take the staged file, which is closed by now: its bytes are verified."""
        self._taken[item.path] = item

    def commit(self) -> None:
        """Make everything visible with one rename. Raises Busy and RestoreConflict."""
        if not self._taken:
            return
        pending = f"{self._location}.new"
        try:
            with open(pending, "xb") as file:
                self._check_conflicts()
                self._write(file)
                file.flush()
                os.fsync(file.fileno())
            self._control.check()
            os.replace(pending, self._location)
        except FileExistsError:
            raise Busy(
                f"another restore is writing {pending}",
                hint="wait until it ends; if none is running, remove that file",
            ) from None
        except BaseException as error:
            with suppress(OSError):
                os.unlink(pending)
            if isinstance(error, OSError):
                raise SystemFailure.of(error, "write", self._location) from error
            raise

    def _check_conflicts(self) -> None:
        """Refuse what may not be replaced, and what appeared after `standing` was asked."""
        allowed = self._conflicts if self._replace else set()
        for path in self._taken.keys() & _paths(self._location) - allowed:
            raise RestoreConflict(f"{os.fsdecode(path)} is already present in {self._location}")

    def _write(self, file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
            if os.path.exists(self._location):
                self._copy_old(new)
            for path, item in self._taken.items():
                info = zipfile.ZipInfo(path.decode(), _to_zip_time(item.mtime_ns))
                info.compress_type = zipfile.ZIP_DEFLATED
                with open(self._staged[path], "rb") as data:
                    self._copy(data, new, info)

    def _copy_old(self, new: zipfile.ZipFile) -> None:
        with _open(self._location) as old:
            for path, member in _index(old).items():
                if path not in self._taken:
                    try:
                        with old.open(member) as data:
                            self._copy(data, new, member)
                    except UNREADABLE as error:
                        raise StoreUnavailable(
                            f"cannot unpack {os.fsdecode(path)} from {self._location}: {error}",
                            hint="restore into a new ZIP file instead",
                        ) from error

    def _copy(self, data: IO[bytes], new: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        with new.open(info, "w", force_zip64=True) as target:
            while block := data.read(BLOCK):
                self._control.check()
                target.write(block)


@contextmanager
def _open(location: str) -> Iterator[zipfile.ZipFile]:
    try:
        file = zipfile.ZipFile(location)
    except (OSError, zipfile.BadZipFile) as error:
        raise StoreUnavailable(f"cannot read the ZIP file {location}: {error}") from error
    with file:
        yield file


def _index(file: zipfile.ZipFile) -> dict[bytes, zipfile.ZipInfo]:
    """Return the files by path; of two members with one name the later one counts."""
    return {one.filename.encode(): one for one in file.infolist() if not one.is_dir()}


def _paths(location: str) -> set[bytes]:
    if not os.path.exists(location):
        return set()
    with _open(location) as file:
        return set(_index(file))


def _problem(path: bytes) -> str | None:
    """Return why a name cannot be the path of an item, or None."""
    parts = path.split(b"/")
    return "its name is no relative path" if {b"", b".", b".."} & set(parts) else None


def _digest(location: str, path: bytes) -> bytes | None:
    try:
        with _open(location) as file, file.open(_index(file)[path]) as data:
            digest = sha256()
            while block := data.read(BLOCK):
                digest.update(block)
            return digest.digest()
    except UNREADABLE:
        return None  # whatever it is, it is not the same


def _from_zip_time(member: zipfile.ZipInfo) -> int:
    year, month, day, hour, minute, second = member.date_time
    try:
        seconds = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        raise ItemUnavailable("its time is no date") from None
    return int(seconds) * 1_000_000_000


def _to_zip_time(mtime_ns: int) -> tuple[int, int, int, int, int, int]:
    earliest, latest = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC)
    try:
        time = EPOCH + timedelta(seconds=mtime_ns // 1_000_000_000)
    except OverflowError:
        time = latest if mtime_ns > 0 else earliest
    time = min(max(time, earliest), latest)
    return time.year, time.month, time.day, time.hour, time.minute, time.second
