from __future__ import annotations

import pathlib
import re

import pytest

import wmbackup
from tests.cli.program import Inside, Process
from wmbackup import hresult
from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.status import Status


def explain(inside: Inside, what: str) -> dict[str, object]:
    result = inside("explain", what, "--json")
    assert result.code == 0, what
    line = result.lines[0]
    assert line["next_step"], what
    assert line["sentence"], what
    return line


def test_every_hresult_is_explained_in_every_spelling(inside: Inside) -> None:
    for known in hresult.TABLE:
        spellings = [known.name, known.name.lower(), f"0x{known.value:08x}", f"0X{known.value:08X}"]
        if known.value > 255:  # smaller ones are exit codes
            spellings += [str(known.value), str(known.signed)]
        for spelling in spellings[:: 1 if known.value == 0xC00D2742 else 3]:
            line = explain(inside, spelling)
            assert (line["kind"], line["name"]) == ("hresult", known.name)
            assert line["exit_code"] == known.category.exit_code
            assert line["category"] == known.category.word


def test_every_status_is_explained(inside: Inside) -> None:
    for status in Status:
        line = explain(inside, status.documented_name)
        assert (line["kind"], line["value"]) == ("status", int(status))


def test_every_exit_code_is_explained(inside: Inside) -> None:
    for code in ExitCode:
        line = explain(inside, str(code.value))
        assert (line["kind"], line["exit_code"]) == ("exit-code", int(code))
        assert line["sentence"] == code.meaning


def errors(root: type[WmbackupError]) -> list[type[WmbackupError]]:
    return [root, *(below for child in root.__subclasses__() for below in errors(child))]


def test_every_error_code_is_explained(inside: Inside) -> None:
    ours = [one for one in errors(WmbackupError) if one.__module__.startswith("wmbackup")]
    for error in ours:
        lines = inside("explain", error.code, "--json").lines[:-1]
        found = [line for line in lines if line["kind"] == "error"]
        assert [line["name"] for line in found] == [error.code]
        assert found[0]["exit_code"] == error.exit_code


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("0x12345678", 7, "the HRESULT 0x12345678 is not known here"),
        ("NS_E_NOTHING_LIKE_IT_AT_ALL", 7, "NS_E_NOTHING_LIKE_IT_AT_ALL is not known here"),
        ("4294967296", 2, "4294967296 is no HRESULT: it has more than 32 bits"),
        ("-2147483649", 2, "-2147483649 is no HRESULT: it has more than 32 bits"),
        ("--nothing", 2, "no such option: --nothing"),
        ("", 7, " is not known here"),
    ],
)
def test_what_is_not_known_is_said(inside: Inside, what: str, code: int, message: str) -> None:
    result = inside("explain", what)
    assert result.code == code
    assert result.errors == [message]
    assert result.hints or code == 2


def test_an_error_object_of_the_program_can_be_asked_for_again(inside: Inside) -> None:
    error = inside("verify", "missing", "--json").lines[-2]
    assert inside("explain", error["code"]).code == 0


def test_every_error_is_known_wherever_it_is_declared(program: Process) -> None:
    root = pathlib.Path(wmbackup.__file__).parent
    codes: set[str] = set()
    for source in root.rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        codes.update(re.findall(r'^    code = "([a-z-]+)"$', text, re.MULTILINE))
    assert len(codes) > 30
    for code in sorted(codes):
        # A process of its own has loaded nothing that another test had to.
        result = program("explain", code)
        assert result.code == 0, code
        assert re.search(rf"^{code}: (?:[a-z\d]|E_)", result.out, re.MULTILINE), result.out
