"""The second process, watched and disturbed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wmbackup.engine import second_process
from wmbackup.engine.second_process import Second
from wmbackup.status import Control

Disturb = Callable[[subprocess.Popen[bytes]], None]


class Processes:
    """The second processes that were begun, and what they were asked and have answered."""

    def __init__(self) -> None:
        self.begun: list[subprocess.Popen[bytes]] = []
        self.asked = 0
        self.answered = 0
        self.given_back = 0
        self.disturb: dict[int, Disturb] = {}
        """What is done to one as soon as so many questions are about to be asked."""


def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Watch them, on a machine of two processors; prove at the end that none is left."""
    seen = Processes()
    begin, ask, answers = second_process._begin, Second.ask, Second.answers

    def begun(*arguments: Any) -> Any:
        process = begin(*arguments)
        if process is not None:
            seen.begun.append(process)
        return process

    def asked(second: Second, question: bytes) -> None:
        seen.asked += 1
        seen.disturb.get(seen.asked, nothing)(seen.begun[-1])
        ask(second, question)

    def answered(second: Second, control: Control, *, wait: bool) -> Iterator[bytes]:
        for answer in answers(second, control, wait=wait):
            seen.answered += answer != b""
            seen.given_back += answer == b""
            yield answer

    monkeypatch.setattr(second_process, "_begin", begun)
    monkeypatch.setattr(second_process, "processors", lambda: 2)
    monkeypatch.setattr(Second, "ask", asked)
    monkeypatch.setattr(Second, "answers", answered)
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
