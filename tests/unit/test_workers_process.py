from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from wmbackup.errors import Cancelled
from wmbackup.status import Control
from wmbackup.workers.process import Worker, share

if sys.platform != "linux":
    pytest.skip("workers run on Linux only", allow_module_level=True)

CONTROL = Control()
LENGTH = struct.Struct("=Q")
ECHO = """
import sys
from wmbackup.workers.process import serve
serve(lambda question: question * 2)
"""
DEAF = "import time; time.sleep(600)"
HALF = """
import struct, sys, time
sys.stdout.buffer.write({})
sys.stdout.flush()
time.sleep(600)
"""
NO_LENGTH = HALF.format("b'123'")
NO_ANSWER = HALF.format("struct.pack('=Q', 9) + b'12345678'")

Start = Callable[..., Worker]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start workers of any program; end them at the end."""
    workers: list[Worker] = []

    def started(program: str, patience: float = 60.0) -> Worker:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        workers.append(Worker(process, patience))
        return workers[-1]

    yield started
    for worker in workers:
        worker.close()
        assert worker._process.returncode is not None


def shared(worker: Worker, works: int, question: bytes = b"") -> list[str]:
    """Do works with a worker; return who did each, in order."""
    return list(
        share(
            worker,
            iter(range(works)),
            CONTROL,
            do=lambda work: f"{work} here",
            ask=lambda work: question + b"%d" % work,
            take=lambda work, answer: f"{work} {'worker' if answer else 'here'}",
        )
    )


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_messages_of_every_size_arrive_whole(start: Start, size: int) -> None:
    worker = start(ECHO)
    question = bytes(range(251)) * (size // 251) + b"x" * (size % 251)
    worker.ask(question, CONTROL)
    assert next(worker.answers(CONTROL, wait=True)) == question * 2


def test_share_keeps_order(start: Start) -> None:
    found = shared(start(ECHO), 100)
    assert [one.partition(" ")[0] for one in found] == [str(number) for number in range(100)]
    assert {one.partition(" ")[2] for one in found} == {"here", "worker"}


@pytest.mark.parametrize("program", [DEAF, NO_LENGTH, NO_ANSWER])
def test_worker_without_whole_answer_is_killed_and_work_is_done_here(
    start: Start, program: str
) -> None:
    worker = start(program, patience=0.3)
    assert shared(worker, 50) == [f"{number} here" for number in range(50)]
    assert not worker.has_room


def test_worker_that_reads_no_question_is_killed(start: Start) -> None:
    """A question that no pipe holds would wait for ever."""
    worker = start(DEAF, patience=0.3)
    assert shared(worker, 5, b"x" * 3_000_000) == [f"{number} here" for number in range(5)]


@pytest.mark.parametrize("question", [b"", b"x" * 3_000_000])
def test_waiting_for_hung_worker_can_be_cancelled(start: Start, question: bytes) -> None:
    worker = start(DEAF)
    asked = iter([False, False, True])
    control = Control(cancelled=lambda: next(asked))

    def ask() -> bytes:
        worker.ask(question, control)
        return next(worker.answers(control, wait=True))

    with pytest.raises(Cancelled):
        ask()
