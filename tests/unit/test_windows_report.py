from __future__ import annotations

import importlib.resources
import io
import json
import pathlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import validators

from wmbackup.cli import reporting
from wmbackup.cli.render import json_fields
from wmbackup.cli.render.output import CheckRow
from wmbackup.errors import ExitCode, OutputExists, SystemFailure
from wmbackup.status import Control
from wmbackup.stores.windows import report
from wmbackup.stores.windows.child import Answer, End, Runner

KEY = bytes(32)
SCHEMA = json.loads(
    importlib.resources.files("wmbackup.cli").joinpath("schema.json").read_text("utf-8")
)
SECRET = "a license".encode("utf-16-le").hex()


def answers(*told: Answer, code: int | None = 0, words: str = "") -> Runner:
    """Be a process that says the same of every chain."""

    def run(
        _arguments: Sequence[str],
        _control: Control,
        _silence: float,
        take: Callable[[Answer], None],
    ) -> End:
        for answer in told:
            take(answer)
        return End(code, words)

    return run


def lines_of(runner: Runner, *facts: tuple[str, str], **options: Any) -> list[str]:
    return list(report.lines(runner, facts, "private", KEY, **options))


HOW: Mapping[str, Any] = {"ms": 3, "thread": 0}
STATUS: Mapping[str, Any] = {"status": 21, "hresult": 0, "type": 2, **HOW}


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"call": "F", "hresult": 0x80070057, **HOW}, "call F: 0x80070057, 3 ms, thread 0"),
        ({"call": "F", "crash": "bad", **HOW}, "call F: crashed, bad, 3 ms, thread 0"),
        ({"call": "F", "missing": "x", **HOW}, "call F: not there, x, 3 ms, thread 0"),
        ({"call": "F", **HOW}, "call F: no HRESULT, 3 ms, thread 0"),
        (STATUS, "status 21: 0x00000000, 3 ms, thread 0, type 2, no value"),
        (
            {**STATUS, "has_value": True},
            "status 21: 0x00000000, 3 ms, thread 0, type 2, length unknown",
        ),
        ({"license": 1, "length": 2, "data": "zz"}, "license: type 1, not readable"),
        ({"licenses": 7}, "licenses: 7"),
        ({"ended": True}, "END came: yes"),
        ({"ended": False}, "END came: no"),
        ({"note": "caf\u00e9\nmore"}, "note: caf\\xe9 more"),
    ],
)
def test_each_answer_is_a_line(answer: Mapping[str, Any], line: str) -> None:
    lines = lines_of(answers(answer, {"done": True}))
    for chain in report.CHAINS:
        assert f"{chain} {line}" in lines
    assert lines[-1] == "backup not tried"


def test_what_says_nothing_is_no_line() -> None:
    assert len(lines_of(answers({"begin": "F"}, {"else": 1}, {"done": True}))) == 4


def test_contents_are_reduced_under_a_key_of_the_report() -> None:
    runner = answers({"license": 1, "length": 18, "data": SECRET}, {"done": True})
    [line] = {line for line in lines_of(runner) if line.startswith("query license")}
    assert line.startswith("query license: type 1, 18 bytes, HMAC ")
    assert SECRET not in line
    other = list(report.lines(runner, (), "private", b"1" * 32))
    assert line not in other


@pytest.mark.parametrize(
    ("code", "end"),
    [(None, "hung in F"), (0xC0000005, "crashed in F, exit code 0xC0000005")],
)
def test_a_process_that_ends_early_names_its_call(code: int | None, end: str) -> None:
    words = (
        "Windows fatal exception: access violation\n\nThread 0x1 (most recent call first):\n"
        '  File "C:\\Users\\me\\calls.py", line 12 in get\n'
    )
    told = ({"call": "E", "hresult": 0, "ms": 0, "thread": 0}, {"begin": "E"}, {"begin": "F"})
    lines = lines_of(answers(*told, code=code, words=words))
    assert f"query end: {end}" in lines
    assert "query stack: Windows fatal exception: access violation" in lines
    assert "query stack: calls.py, line 12, get" in lines


def test_a_process_that_ends_between_two_calls() -> None:
    lines = lines_of(answers(code=9))
    assert "query end: crashed, exit code 0x00000009" in lines


def test_a_backup_is_made_where_it_is_asked_for() -> None:
    lines = lines_of(answers({"done": True}), ("edition", "Core"), try_backup=True)
    assert lines[0] == "edition: Core"
    assert lines[-1] == "backup end: all that could be called was called"


class Screen:
    """What the report was printed to."""

    def __init__(self) -> None:
        self.rows: list[CheckRow] = []
        self.said: list[object] = []
        self.check, self.result = self.rows.append, self.said.append


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Any:
    monkeypatch.setattr(reporting, "state_folder", lambda: str(tmp_path / "state"))
    monkeypatch.setenv("USERPROFILE", "C:\\Users\\Somebody")
    return SimpleNamespace(output=Screen(), control=Control)


def make(session: Any, path: pathlib.Path) -> None:
    facts = [("profile", "c:\\users\\SOMEBODY\\x")]
    runner = answers({"done": True})
    reporting.make_report(session, str(path), runner, facts, lambda _path: None)


def test_the_file_holds_what_was_printed(session: Any, tmp_path: pathlib.Path) -> None:
    make(session, tmp_path / "r.zip")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "r.zip").read_bytes())) as archive:
        assert archive.namelist() == [report.TEXT]
        text = archive.read(report.TEXT).decode("ascii")
    assert text.splitlines() == [row.message for row in session.output.rows]
    assert "profile: <USERPROFILE>\\x" in text.splitlines()
    assert list((tmp_path / "state" / "private").iterdir()) == []
    [said] = session.output.said
    summary = json_fields.summary_fields("check", ExitCode.OK, None, said, 0.0)
    line = {"schema": 1, "type": "summary", **summary}
    validators.validator_for(SCHEMA)(SCHEMA).validate(line)


def test_a_report_replaces_nothing(session: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"mine")
    with pytest.raises(OutputExists):
        make(session, tmp_path / "r.zip")
    assert session.output.rows == []


def test_a_report_that_cannot_be_written(session: Any, tmp_path: pathlib.Path) -> None:
    with pytest.raises(SystemFailure):
        make(session, tmp_path / "missing" / "r.zip")
