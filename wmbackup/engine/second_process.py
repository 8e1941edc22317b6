"""Another Python that does a part of many like pieces of work, while this one does the others.

Where the kernel and Python take turns for each of many small files, one processor is busy and the
other is not. Threads would wait for each other here, and a process with threads cannot fork: this
begins Python anew, asks it questions through a pipe and takes its answers. Whatever it cannot
answer is left to this process, in the plain way.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from selectors import EVENT_READ
from typing import IO, TYPE_CHECKING, TypeVar

import wmbackup
from wmbackup.status import Control

if TYPE_CHECKING:
    from subprocess import Popen

if sys.platform == "linux":
    from selectors import PollSelector as Selector  # takes no descriptor, so that none can lack
else:
    from selectors import DefaultSelector as Selector

_AHEAD = 2  # questions that wait for the other process, so that it need not wait for them
_WAITING = 16  # results that wait in memory for one that comes before them
_POLL = 0.1  # seconds between two looks whether to stop waiting
# Bytes that a pipe holds. As a rule questions and answers fit in, and nobody waits for the other
# side. Both may be larger, but never both of one kind of work, so that both sides never wait.
_PIPE = 1024 * 1024
_STANDARD_ERROR = 2  # the highest descriptor of a standard stream
_LENGTH = struct.Struct("=Q")  # of the question or the answer that follows

# Nothing of the surroundings has a say in what runs there: no variables, no site, no other folders
# than those of Python itself and, behind them, the one that this package is in.
_BEGIN = "import sys; sys.path.append(sys.argv[2]); __import__(sys.argv[1], fromlist=['']).main()"

_Work = TypeVar("_Work")
_Result = TypeVar("_Result")


def processors() -> int:
    """Return how many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


@contextlib.contextmanager
def second_process(module: str, *numbers: int, opened: Sequence[int]) -> Iterator[Second | None]:
    """Begin another process, which calls ``main`` of a module; None where that is not possible.

    ``numbers`` become its arguments, and the ``opened`` descriptors are open there as well. It
    runs on Linux alone.
    """
    process = None
    # A descriptor of a standard stream, as of an archive that comes from a file through standard
    # input, would be something else there.
    if processors() > 1 and _knows_itself() and min(opened) > _STANDARD_ERROR:
        process = _begin(module, numbers, opened)
    if process is None:
        yield None
        return
    with contextlib.closing(Second(process)) as second:
        yield second


def _knows_itself() -> bool:
    """Whether the program that runs is a Python that can be begun again."""
    return bool(sys.platform == "linux" and sys.executable and not hasattr(sys, "frozen"))


def _begin(module: str, numbers: Sequence[int], opened: Sequence[int]) -> Popen[bytes] | None:
    import subprocess

    package = os.path.dirname(os.path.dirname(wmbackup.__file__))
    try:
        return subprocess.Popen(  # noqa: S603 - this Python, a module of ours, and numbers
            [sys.executable, "-ISB", "-c", _BEGIN, module, package, *map(str, numbers)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=opened,
            pipesize=_PIPE,
            start_new_session=True,  # a Ctrl-C is for the first process, which ends it
        )
    except OSError:
        return None


class Second:
    """The other process, seen from this one."""

    def __init__(self, process: Popen[bytes]) -> None:
        """Take the process."""
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        self._process = process
        self._questions = process.stdin
        self._answers = process.stdout
        self._asked = 0
        self._lives = True
        self._coming = Selector()
        self._coming.register(self._answers, EVENT_READ)

    @property
    def has_room(self) -> bool:
        """Whether it should be asked something more."""
        return self._lives and self._asked < _AHEAD

    def ask(self, question: bytes) -> None:
        """Ask it something, without waiting."""
        self._asked += 1
        with contextlib.suppress(BrokenPipeError):
            for part in (_LENGTH.pack(len(question)), question):
                _write(self._questions, part)

    def answers(self, control: Control, *, wait: bool) -> Iterator[bytes]:
        """Yield what it has answered, in order; with ``wait``, at least one answer.

        An empty answer says that it has none, as after its end. Raises Cancelled.
        """
        while self._asked:
            while not self._coming.select(_POLL if wait else 0):
                if not wait:
                    return
                control.check()
            wait = False
            answer = _receive(self._answers)
            if answer is None:
                self._lives = False  # whatever it was still asked comes back the same way
            self._asked -= 1
            yield answer or b""

    def close(self) -> None:
        """End it."""
        self._coming.close()
        self._process.kill()
        with self._process:
            pass  # which waits for it, and closes its pipes


def share(
    second: Second,
    works: Iterator[_Work],
    control: Control,
    *,
    do: Callable[[_Work], _Result],
    ask: Callable[[_Work], bytes | None],
    take: Callable[[_Work, bytes], _Result],
) -> Iterator[_Result]:
    """Do pieces of work here and in the other process; yield what they become, in order.

    ``ask`` turns one into a question, or says that it is to be done here; ``take`` gets the
    answer, which is empty where there is none. Raises Cancelled, and what these raise.
    """
    coming = enumerate(works)
    ready: dict[int, _Result] = {}
    asked: deque[tuple[int, _Work]] = deque()
    for number in count():
        while number not in ready:
            while second.has_room and (theirs := next(coming, None)):
                question = ask(theirs[1])
                if question is None:
                    ready[theirs[0]] = do(theirs[1])
                    break
                second.ask(question)
                asked.append(theirs)
            mine = next(coming, None) if len(ready) < _WAITING else None
            if mine is not None:
                ready[mine[0]] = do(mine[1])
            for answer in second.answers(control, wait=mine is None):
                place, work = asked.popleft()
                ready[place] = take(work, answer)
            if mine is None and not asked and number not in ready:
                return
        yield ready.pop(number)


def serve(answer: Callable[[bytes], bytes]) -> None:
    """Be the other process: answer questions until there are no more."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while (question := _receive(questions)) is not None:
        found = answer(question)
        answers.write(_LENGTH.pack(len(found)) + found)
        answers.flush()


def _write(pipe: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) :]


def _receive(pipe: IO[bytes]) -> bytes | None:
    """Return what was said, or None where the other side has ended."""
    length = _exactly(pipe, _LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(length)
    found = _exactly(pipe, size)
    return found if len(found) == size else None


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    """Return so many bytes, or fewer where the other side has ended."""
    parts = []
    while size and (part := pipe.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
