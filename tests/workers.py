"""The worker process, watched and disturbed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wmbackup.status import Control
from wmbackup.workers import process as worker_process
from wmbackup.workers.process import Worker, Workers

Disturb = Callable[[subprocess.Popen[bytes]], None]


ALWAYS = Workers(min_files=1)
"""A worker for as few files as one."""


class Processes:
    """The worker processes that were begun, and what they were asked and have answered."""

    def __init__(self) -> None:
        self.begun: list[subprocess.Popen[bytes]] = []
        self.asked = 0
        self.answered = 0
        self.given_back = 0
        self.disturb: dict[int, Disturb] = {}
        """What is done to one as soon as so many questions are about to be asked."""


def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Watch them, on a machine of two processors; check at the end that none is left."""
    seen = Processes()
    begin, ask, answers = worker_process._begin, Worker.ask, Worker.answers

    def begun(*arguments: Any) -> Any:
        process = begin(*arguments)
        if process is not None:
            seen.begun.append(process)
        return process

    def asked(worker: Worker, question: bytes, control: Control) -> None:
        seen.asked += 1
        seen.disturb.get(seen.asked, nothing)(seen.begun[-1])
        ask(worker, question, control)

    def answered(worker: Worker, control: Control, *, wait: bool) -> Iterator[bytes]:
        for answer in answers(worker, control, wait=wait):
            seen.answered += answer != b""
            seen.given_back += answer == b""
            yield answer

    monkeypatch.setattr(worker_process, "_begin", begun)
    monkeypatch.setattr(worker_process, "processors", lambda: 2)
    monkeypatch.setattr(Worker, "ask", asked)
    monkeypatch.setattr(Worker, "answers", answered)
    yield seen
    assert all(process.returncode is not None for process in seen.begun)


def nothing(_process: subprocess.Popen[bytes]) -> None:
    """Leave it in peace."""


def stop(process: subprocess.Popen[bytes]) -> None:
    """Let it hang."""
    process.send_signal(signal.SIGSTOP)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Let it end."""
    process.kill()
    process.wait()
