"""A second process, which proves and stages files of an archive while this one stages others.

It is asked for sections of the payload and answers that each file in one is proven and staged. Of
a section in which anything is wrong it says nothing: that is found again, and told, by this
process. What it leaves behind is staged and no more; only this process makes anything visible.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO

from wmbackup.archive import tables
from wmbackup.archive.judging import ITEM, NAME
from wmbackup.archive.names import DATA
from wmbackup.archive.payload import Receiver, prove
from wmbackup.archive.reader import ArchiveReader
from wmbackup.archive.section import Section, cut
from wmbackup.archive.stream import CHUNK, ExactReader
from wmbackup.engine.own_place import OwnPlace
from wmbackup.errors import ArchiveDamaged, WmbackupError
from wmbackup.item import Item
from wmbackup.status import Control
from wmbackup.stores.base import SharedImport
from wmbackup.stores.tree import HandleTree, Tree
from wmbackup.stores.writing import write_file
from wmbackup.workers.process import Worker, Workers, serve, share

_SECTION = 1024 * 1024
"""Bytes of a section. Fewer cost more to hand on; many would keep one process waiting."""

_DONE = b"done"
_PLACE = struct.Struct("=3Q")  # where a section begins, and the lengths of its rows and lines


@contextlib.contextmanager
def second_writer(
    workers: Workers,
    reader: ArchiveReader,
    descriptor: int,
    receiver: Receiver | None,
    files: int,
) -> Iterator[SecondWriter | None]:
    """Begin a second process where that is possible and pays for so many files.

    ``descriptor`` is the open archive, a regular file.
    """
    root = receiver.root if isinstance(receiver, SharedImport) else None
    if not isinstance(receiver, SharedImport) or root is None or files < workers.min_files:
        yield None
        return
    with workers.start(__name__, descriptor, root, opened=(descriptor, root)) as process:
        yield None if process is None else SecondWriter(process, reader, receiver)


class SecondWriter:
    """Both processes, proving and staging in turn."""

    def __init__(self, process: Worker, reader: ArchiveReader, receiver: SharedImport) -> None:
        """Take the process, and what this one does the same with."""
        self._process = process
        self._reader = reader
        self._receiver = receiver

    def release(self, wanted: bytearray, control: Control) -> Iterator[Section]:
        """Prove all of the payload and release what is wanted, as `ArchiveReader.payload` does."""

        def do(section: Section) -> list[Section] | ArchiveDamaged:
            # Told when its turn comes: something that comes before may be damaged as well.
            try:
                return self._do(section, wanted, control)
            except ArchiveDamaged as error:
                return error

        def take(section: Section, answer: bytes) -> list[Section] | ArchiveDamaged:
            if answer == _DONE:
                for path in _paths(section):
                    self._receiver.keep(path)
                return [section]
            for path in _paths(section):
                self._receiver.take_back(path)
            return do(section)

        sections = self._reader.sections(_SECTION)
        behind: list[Section] = []
        for found in share(
            self._process,
            _without_items(sections, behind),
            control,
            do=do,
            ask=lambda section: self._question(section, wanted),
            take=take,
        ):
            if isinstance(found, ArchiveDamaged):
                raise found
            yield from found
        # To some file systems an item and an own name are one file. Staged ahead of the own name,
        # it would be taken for what the other process left there, and be removed.
        for section in chain(behind, sections):
            yield from self._do(section, wanted, control)
        self._reader.end()

    def _do(self, section: Section, wanted: bytearray, control: Control) -> list[Section]:
        found = []
        for proven in self._reader.section(section, self._receiver, wanted.__getitem__):
            control.check()
            found.append(proven)
        return found

    def _question(self, section: Section, wanted: bytearray) -> bytes | None:
        """Return the question for a section of small files, all wanted."""
        files = len(section.lines)
        if (
            max(section.sizes) > CHUNK
            or wanted.count(1, section.first, section.first + files) < files
        ):
            return None
        rows, lines = b"".join(section.rows), b"".join(section.lines)
        where = _PLACE.pack(self._reader.place(section), len(rows), len(lines))
        return where + rows + lines + b"\0".join(map(self._receiver.place, _paths(section)))


def _without_items(sections: Iterator[Section], behind: list[Section]) -> Iterator[Section]:
    """Yield the sections before the first item; put the one that it is in into ``behind``."""
    for section in sections:
        if section.lines[-1].startswith(ITEM, NAME):  # items follow all own names
            behind.append(section)
            return
        yield section


def _paths(section: Section) -> list[bytes]:
    begin = section.lines[0].index(DATA) + len(DATA)
    return [line[begin:-1] for line in section.lines]


def main() -> None:
    """Be the second process."""
    archive, root = map(int, sys.argv[3:])
    tree = HandleTree(root)
    serve(lambda question: _answer(archive, tree, question))


def _answer(archive: int, tree: Tree, question: bytes) -> bytes:
    """Prove and stage a section; answer nothing where that is not as simple as it should be."""
    offset, rows, lines = _PLACE.unpack_from(question)
    at = _PLACE.size
    files = question[at : at + rows]
    manifest = tables.split(question[at + rows : at + rows + lines])
    places = question[at + rows + lines :].split(b"\0")
    stream = OwnPlace(archive)
    stream.seek(offset)
    source, stage = ExactReader(stream), _Stage(tree, places)
    try:
        for section in cut(0, 0, files, manifest, _SECTION):
            for _ in prove(source, section, stage):
                pass
    except (WmbackupError, OSError):
        return b""
    return _DONE


class _Stage:
    """Takes the files of a section, in order."""

    def __init__(self, tree: Tree, places: Sequence[bytes]) -> None:
        """Take the places where they are staged."""
        self._tree = tree
        self._places = iter(places)

    def put(self, item: Item, data: bytes) -> None:
        write_file(self._tree, next(self._places), data, item)

    def stage(self, item: Item) -> BinaryIO:
        raise OSError(f"{os.fsdecode(item.path)} is large, and none such was asked for")

    def accept(self, item: Item) -> None:
        """What is not staged is not accepted either."""
