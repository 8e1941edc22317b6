"""Start one worker process, ask it questions through a pipe, and take its answers.

Where the kernel and Python take turns for each of many small files, one processor is busy and the
other is not. Threads would wait for each other here, and a process with threads must not fork, so
this starts Python anew. Whatever the worker does not answer, or not in time, is done in this
process in the plain way: results and errors are the same with a worker and without.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar

import wmbackup
from wmbackup.status import Control

if TYPE_CHECKING:
    from selectors import BaseSelector
    from subprocess import Popen

_AHEAD = 2  # questions that wait for the worker, so that it need not wait for them
_WAITING = 16  # results that wait in memory for one that comes before them
_POLL = 0.1  # seconds between two looks whether to stop waiting
_END = 2.0  # seconds that a killed worker gets to end; only a hung disk can keep it longer
_MOMENT = 0.001  # seconds between two looks whether it has ended
# Bytes that a pipe holds. As a rule questions and answers fit, and neither side waits.
_PIPE = 1024 * 1024
_STANDARD_ERROR = 2  # the highest descriptor of a standard stream
_LENGTH = struct.Struct("=Q")  # of the question or the answer that follows

# The environment has no say in what runs there: no variables, no site, no other folders than those
# of Python itself and, behind them, the one that this package is in.
_BEGIN = "import sys; sys.path.append(sys.argv[2]); __import__(sys.argv[1], fromlist=['']).main()"

_Work = TypeVar("_Work")
_Result = TypeVar("_Result")


def processors() -> int:
    """Return how many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


class Workers(NamedTuple):
    """Permission to start a worker process where one pays, and how to deal with it.

    A worker takes 50 ms to start, so work on fewer than ``min_files`` files, or the verification of
    fewer than ``min_bytes`` bytes, gets none. A worker that gives no answer for ``patience``
    seconds while there is nothing else to do is killed, and its work is done here.
    """

    min_files: int = 4000
    min_bytes: int = 64 * 1024 * 1024
    patience: float = 10.0

    @contextlib.contextmanager
    def start(self, module: str, *numbers: int, opened: Sequence[int]) -> Iterator[Worker | None]:
        """Start a worker, which calls ``main`` of a module; None where that is not possible.

        ``numbers`` become its arguments, and the ``opened`` descriptors are open there as well.
        Workers run on Linux only.
        """
        process = None
        # The descriptor of a standard stream, as of an archive that is read from standard input,
        # would be something else in the worker.
        if processors() > 1 and _can_start_python() and min(opened) > _STANDARD_ERROR:
            process = _begin(module, numbers, opened)
        if process is None:
            yield None
            return
        with contextlib.closing(Worker(process, self.patience)) as worker:
            yield worker


def _can_start_python() -> bool:
    """Whether the program that runs is a Python that can be started again."""
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
            start_new_session=True,  # a Ctrl-C is for the first process, which ends the worker
        )
    except OSError:
        return None


class Worker:
    """A worker process, seen from the one that started it."""

    def __init__(self, process: Popen[bytes], patience: float) -> None:
        """Take the process, and the seconds to wait for each sign of life."""
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        self._process = process
        self._patience = patience
        self._questions = process.stdin
        self._answers = process.stdout
        self._asked = 0
        self._lives = True
        # A worker that stops in the middle of a message must not stop this process.
        if sys.platform != "win32":
            os.set_blocking(self._questions.fileno(), False)
            os.set_blocking(self._answers.fileno(), False)
        self._writable = _selector(self._questions, is_read=False)
        self._readable = _selector(self._answers, is_read=True)

    @property
    def has_room(self) -> bool:
        """Whether it should be asked something more."""
        return self._lives and self._asked < _AHEAD

    def ask(self, question: bytes, control: Control) -> None:
        """Ask it something. Raises Cancelled."""
        self._asked += 1
        left = memoryview(_LENGTH.pack(len(question)) + question)
        with contextlib.suppress(BrokenPipeError):  # its answer will be missing
            while left and self._wait_for(self._writable, control):
                left = left[self._questions.write(left) or 0 :]

    def answers(self, control: Control, *, wait: bool) -> Iterator[bytes]:
        """Yield what it has answered, in order; with ``wait``, at least one answer.

        An empty answer means that it has none, as after its end. Raises Cancelled.
        """
        while self._asked:
            if self._lives and not wait and not self._readable.select(0):
                return
            wait = False
            answer = self._receive(control) if self._lives else b""
            self._asked -= 1
            yield answer

    def _receive(self, control: Control) -> bytes:
        length = self._read(_LENGTH.size, control)
        return self._read(int.from_bytes(length, sys.byteorder), control) if length else b""

    def _read(self, size: int, control: Control) -> bytes:
        """Return so many bytes, or none where the worker has ended or hangs."""
        parts = []
        while size:
            part = self._answers.read(size) if self._wait_for(self._readable, control) else b""
            if part == b"":
                self._lives = False  # whatever it was still asked comes back the same way
                return b""
            if part is not None:
                parts.append(part)
                size -= len(part)
        return b"".join(parts)

    def _wait_for(self, pipe: BaseSelector, control: Control) -> bool:
        """Wait until a pipe is ready; kill the worker and return False when that takes too long."""
        until = time.monotonic() + self._patience
        while self._lives and not pipe.select(_POLL):
            control.check()
            if time.monotonic() > until:
                self._kill()
        return self._lives

    def _kill(self) -> None:
        self._lives = False
        self._process.kill()
        # A hung disk can keep even a killed process, and this one must not hang with it.
        until = time.monotonic() + _END
        while self._process.poll() is None and time.monotonic() < until:
            time.sleep(_MOMENT)

    def close(self) -> None:
        """End it."""
        self._writable.close()
        self._readable.close()
        self._kill()
        self._questions.close()
        self._answers.close()


def _selector(pipe: IO[bytes], *, is_read: bool) -> BaseSelector:
    import selectors

    # One that takes no descriptor where there is one, so that none can be lacking.
    selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)()
    selector.register(pipe, selectors.EVENT_READ if is_read else selectors.EVENT_WRITE)
    return selector


def share(
    worker: Worker,
    works: Iterator[_Work],
    control: Control,
    *,
    do: Callable[[_Work], _Result],
    ask: Callable[[_Work], bytes | None],
    take: Callable[[_Work, bytes], _Result],
) -> Iterator[_Result]:
    """Do pieces of work here and in the worker; yield what they become, in order.

    ``ask`` turns one into a question, or into None where it must be done here; ``take`` gets the
    answer, which is empty where there is none. Raises Cancelled, and what these raise.
    """
    coming = enumerate(works)
    ready: dict[int, _Result] = {}
    asked: deque[tuple[int, _Work]] = deque()
    for number in count():
        while number not in ready:
            while worker.has_room and (theirs := next(coming, None)):
                question = ask(theirs[1])
                if question is None:
                    ready[theirs[0]] = do(theirs[1])
                    break
                asked.append(theirs)
                worker.ask(question, control)
            mine = next(coming, None) if len(ready) < _WAITING else None
            if mine is not None:
                ready[mine[0]] = do(mine[1])
            for answer in worker.answers(control, wait=mine is None):
                index, work = asked.popleft()
                ready[index] = take(work, answer)
            if mine is None and not asked and number not in ready:
                return
        yield ready.pop(number)


def serve(answer: Callable[[bytes], bytes]) -> None:
    """Be the worker: answer questions until there are no more."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(length := questions.read(_LENGTH.size)) == _LENGTH.size:
        (size,) = _LENGTH.unpack(length)
        question = questions.read(size)
        if len(question) < size:
            return
        found = answer(question)
        answers.write(_LENGTH.pack(len(found)) + found)
        answers.flush()
