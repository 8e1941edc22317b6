"""Shell sessions with the program, told as they go.

A transcript is a file in ``transcripts``: what it shows, then commands after ``$``, what they say
(``!`` before what goes to standard error), and the exit code after ``?`` where it is not 0.
What differs from run to run is written as ``<…>``, and how long a run took is left out. To write
the answers down anew after a change, run the tests with ``WRITE_TRANSCRIPTS=1`` and read what
version control says of the difference.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.program import Process, judge, judge_line

FOLDER = Path(__file__).parent / "transcripts"
_KEY = re.compile(r"SHA256:[A-Za-z0-9+/]{43}|AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}")
_TIMES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=(?:\.\d{9})?Z)"), "%Y-%m-%dT%H:%M:%S"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "%Y-%m-%d %H:%M"),
    (re.compile(r"\d{8}T\d{6}(?=Z)"), "%Y%m%dT%H%M%S"),
)
_FRACTION = re.compile(r"<now>(?:\.\d{9})?Z")
_DURATION = re.compile(r', in \d+\.\d s|,"seconds":[\d.]+')
_ID = re.compile(r'"archive_id":"[0-9a-f]{32}"')
_CHAIN = re.compile(r'"(chain|previous)":"[0-9a-f]{32,64}"')
_NAME_ID = re.compile(r"(?<=Z-)[0-9a-f]{8}(?=\.wmbackup\.tar)")


class Plain:
    """Writes what differs from run to run as something that does not."""

    def __init__(self, program: Process) -> None:
        self._program = program
        self._keys: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        host = platform.node()
        text = text.replace(self._program.here, "/here").replace(self._program.home, "/home/me")
        text = text.replace(self._program.tmp, "/tmp")
        text = text.replace(os.path.dirname(self._program.site), "/etc/xdg")
        for form in ("wmbackup@{}", "on {}", '"host":"{}"', "{}-"):
            text = text.replace(form.format(host), form.format("<host>"))
        text = _DURATION.sub("", text)
        text = _ID.sub('"archive_id":"<id>"', text)
        text = _CHAIN.sub(r'"\1":"<\1>"', text)
        text = _NAME_ID.sub("<id>", text)
        for pattern, form in _TIMES:
            text = pattern.sub(_Recent(form), text)
        text = _FRACTION.sub("<now>", text)
        return _KEY.sub(lambda match: self._key(match[0]), text)

    def _key(self, mark: str) -> str:
        kind = "fingerprint" if mark.startswith("SHA256:") else "key"
        known = sum(name.startswith(f"<{kind}") for name in self._keys.values())
        return self._keys.setdefault(mark, f"<{kind} {known + 1}>")


class _Recent:
    """Replaces a time of this run, and no other."""

    def __init__(self, form: str) -> None:
        self._form = form

    def __call__(self, match: re.Match[str]) -> str:
        moment = datetime.strptime(match[0], self._form).replace(tzinfo=UTC)
        return "<now>" if abs(datetime.now(UTC) - moment) < timedelta(hours=1) else match[0]


def steps(text: str) -> Iterator[str]:
    """Yield the commands and the comments, without the answers."""
    for line in text.splitlines():
        if line.startswith(("$ ", "# ")):
            yield line


def answer(program: Process, plain: Plain, command: str) -> Iterator[str]:
    result = program.shell(command)
    if "--json" in command and not re.search(r"[|>]", command):
        judge(result.out, result.code)
    for line in result.out.splitlines():
        if line.startswith('{"schema"'):
            judge_line(line)
        yield plain(line)
    for line in result.err.splitlines():
        yield f"! {plain(line)}"
    if result.code:
        yield f"? {result.code}"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_the_session_goes_as_it_is_told(program: Process, name: str) -> None:
    told = (FOLDER / name).read_text(encoding="utf-8", errors="surrogateescape")
    plain = Plain(program)
    lines: list[str] = []
    for step in steps(told):
        if step.startswith("# "):
            lines += ["", step]
        else:
            lines += ["", step, *answer(program, plain, step.removeprefix("$ "))]
    found = "\n".join(lines[1:]) + "\n"
    if os.environ.get("WRITE_TRANSCRIPTS"):
        (FOLDER / name).write_text(found, encoding="utf-8", errors="surrogateescape")
    assert found == told
