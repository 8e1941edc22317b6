"""A second process, which reads files of a store while this one reads others.

Reading many small files keeps one processor busy, and this gives half of them to another. It gets
batches of paths and gives back portions of the archive. A batch in which anything is unusual it
gives back as it came, and this process reads that in the plain way: what is said, skipped and
carried is the same with a second process and without.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple

import wmbackup
from wmbackup.archive.portion import ContentMismatch, Portion, PortionWriter
from wmbackup.archive.rows import FileRow
from wmbackup.engine.here import processors
from wmbackup.status import Control
from wmbackup.stores.base import (
    Export,
    ItemUnavailable,
    ItemWithheld,
    SharedExport,
    SharedFolder,
)
from wmbackup.stores.file_reader import FileReader
from wmbackup.stores.tree import HandleTree

if TYPE_CHECKING:
    from subprocess import Popen

_PAYS = 4000  # files from which on it is worth a process, which takes 50 ms to begin
_AHEAD = 2  # batches that wait for it, so that it need not wait for them
_POLL = 0.1  # seconds between two looks whether to stop waiting
_PIPE = 1024 * 1024  # bytes of answers that it can leave behind without waiting

# Nothing of the surroundings has a say in what it runs: no variables, no site, no other folders
# than those of Python itself and, behind them, the one that this package is in.
_BEGIN = (
    "import sys; sys.path.append(sys.argv[1]);"
    " from wmbackup.engine.second_reader import main; main()"
)

_LENGTH = struct.Struct("=I")  # of the paths of a batch, which zero bytes separate
_ANSWER = struct.Struct("=8Q")  # of a portion; then come its lines. No files: see the batch again


class Batch(NamedTuple):
    """Paths that are read by one process, and how many batches came before."""

    number: int
    paths: Sequence[bytes]


class Answer(NamedTuple):
    """A batch that was given, and what it became; None where it has to be read again."""

    batch: Batch
    portion: Portion | None


@contextlib.contextmanager
def second_reader(
    export: Export, files: int, spool: Callable[[], IO[bytes]]
) -> Iterator[SecondReader | None]:
    """Begin a second process where that is possible and pays for so many files.

    Its records go into a private file that ``spool`` makes.
    """
    folder = export.shared if isinstance(export, SharedExport) else None
    process = None
    if folder is not None and files >= _PAYS and processors() > 1 and _knows_itself():
        place = spool()
        process = _begin(folder, place)
    if process is None:
        yield None
        return
    with contextlib.closing(SecondReader(process, place)) as reader:
        yield reader


def _knows_itself() -> bool:
    """Whether the program that runs is a Python that can be begun again."""
    return bool(sys.platform == "linux" and sys.executable and not hasattr(sys, "frozen"))


def _begin(folder: SharedFolder, spool: IO[bytes]) -> Popen[bytes] | None:
    import subprocess

    package = os.path.dirname(os.path.dirname(wmbackup.__file__))
    numbers = (folder.root, spool.fileno(), folder.withholds)
    try:
        return subprocess.Popen(  # noqa: S603 - this Python, and numbers
            [sys.executable, "-ISB", "-c", _BEGIN, package, *(str(int(one)) for one in numbers)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=numbers[:2],
            pipesize=_PIPE,
            start_new_session=True,  # a Ctrl-C is for the first process, which ends it
        )
    except OSError:
        return None


class SecondReader:
    """The second process, seen from the first."""

    def __init__(self, process: Popen[bytes], spool: IO[bytes]) -> None:
        """Take the process, and the private file that its records are in."""
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        self._process = process
        self._questions = process.stdin
        self._answers = process.stdout
        self._spool = spool
        self._given: deque[Batch] = deque()
        self._lives = True
        self._coming = selectors.DefaultSelector()
        self._coming.register(self._answers, selectors.EVENT_READ)

    @property
    def has_room(self) -> bool:
        """Whether it should be given another batch."""
        return self._lives and len(self._given) < _AHEAD

    def give(self, batch: Batch) -> None:
        """Give it a batch to read."""
        self._given.append(batch)
        paths = b"\0".join(batch.paths)
        # A few batches fit into the pipe: nothing waits here, whatever holds the other side up.
        with contextlib.suppress(BrokenPipeError):
            self._questions.write(_LENGTH.pack(len(paths)) + paths)

    def answers(self, control: Control, *, wait: bool) -> Iterator[Answer]:
        """Yield what it has answered; with ``wait``, at least one answer. Raises Cancelled."""
        while self._given:
            while not self._coming.select(_POLL if wait else 0):
                if not wait:
                    return
                control.check()
            wait = False
            portion = self._receive()
            yield Answer(self._given.popleft(), portion)

    def _receive(self) -> Portion | None:
        numbers = _exactly(self._answers, _ANSWER.size)
        if len(numbers) < _ANSWER.size:
            self._lives = False  # each batch that it still has comes back the same way
            return None
        files, octets, licenses, begin, length, *sizes = _ANSWER.unpack(numbers)
        rows, manifest, license_rows = (_exactly(self._answers, size) for size in sizes)
        if not files or len(rows) + len(manifest) + len(license_rows) < sum(sizes):
            return None
        where = self._spool, begin, length
        return Portion(files, octets, licenses, rows, manifest, license_rows, *where)

    def close(self) -> None:
        """End it."""
        self._coming.close()
        self._process.kill()
        with self._process:
            pass  # which waits for it, and closes its pipes


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    """Return so many bytes, or fewer where the other side has ended."""
    parts = []
    while size and (part := pipe.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def main() -> None:
    """Be the second process: answer batches until there are no more."""
    root, spool, withholds = map(int, sys.argv[2:])
    reader = FileReader(HandleTree(root), withholds=bool(withholds))
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    with os.fdopen(spool, "r+b", buffering=0) as file:
        writer = PortionWriter(file)
        while length := questions.read(_LENGTH.size):
            paths = questions.read(*_LENGTH.unpack(length)).split(b"\0")
            _answer(answers, _portion(reader, writer, paths))


def _portion(reader: FileReader, writer: PortionWriter, paths: Sequence[bytes]) -> Portion | None:
    """Read files that keep their names; None where that is not as simple as it should be."""
    try:
        if all(_add(reader, writer, path) for path in paths):
            return writer.end()
    except (ItemUnavailable, ItemWithheld, ContentMismatch, ValueError, OSError):
        pass
    writer.drop()
    return None


def _add(reader: FileReader, writer: PortionWriter, path: bytes) -> bool:
    content = reader.read(path)
    if not isinstance(content.data, bytes):
        return False  # it is large, and who follows the backup wants to see every part of it
    row = FileRow(content.size, content.mtime_ns, None, content.attributes)
    writer.add(row, path, content.data, content.licenses)
    return True


def _answer(pipe: BinaryIO, portion: Portion | None) -> None:
    if portion is None:
        pipe.write(_ANSWER.pack(*[0] * 8))
    else:
        tables = portion.rows, portion.manifest, portion.license_rows
        numbers = (*portion[:3], portion.begin, portion.length, *map(len, tables))
        pipe.write(_ANSWER.pack(*numbers) + b"".join(tables))
    pipe.flush()
