from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

import wmbackup
from tests.cli.program import Inside, Process
from wmbackup import hresult
from wmbackup.cli.render.vocabulary import KINDS, WARNINGS
from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.status import Status
from wmbackup.stores import layouts


def explain(inside: Inside, what: str) -> dict[str, object]:
    result = inside("explain", what, "--json")
    assert result.code == 0, what
    line = result.lines[0]
    assert line["next_step"], what
    assert line["sentence"], what
    return line


def spellings(known: hresult.HResult) -> list[str]:
    number = f"{known.value:08X}"
    found = [
        known.name,
        known.name.lower(),
        f"({known.name})",
        f"0x{number.lower()}",
        f"0X{number}",
    ]
    found += [number, number.lower(), f"{number}.", f"({number})", f"0x{number}L", f"{number}L"]
    found += [f"(0x{number}).", f"0x{number}UL", f"Error code 0x{number}", f"hr=0x{number},"]
    found += [f"&H{number}", f"${number}", f"#{number}", f"{number}h", f"'{number}'"]
    found += [f"(Error code 0x{number})", f"0xFFFFFFFF{number}"] if known.failed else []
    if known.value > 65535:  # smaller ones are exit codes or errors of Windows
        found += [str(known.value), str(known.signed), f"{known.signed}L", f"({known.signed})."]
        found += [f"-0x{-known.signed:X}"] if known.failed else []
    return found


def test_every_hresult_is_explained_in_every_spelling(inside: Inside) -> None:
    for index, known in enumerate(hresult.table().values()):
        if index % 7 and known.value not in {0xC00D277F, 0x80070005, 0x80010106}:
            continue
        texts = spellings(known)
        every = known.value in {0xC00D277F, 0x80070005, 0x80010106}
        for spelling in texts if every else (texts[0], texts[index % len(texts)]):
            line = explain(inside, spelling)
            assert (line["kind"], line["name"]) == ("hresult", known.name)
            assert line["exit_code"] == known.category.exit_code
            assert line["category"] == known.category.word


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("12007", "ERROR_INTERNET_NAME_NOT_RESOLVED"),  # as HRESULT_FROM_WIN32 has it
        ("0x2EE7", "ERROR_INTERNET_NAME_NOT_RESOLVED"),
        ("259", "ERROR_NO_MORE_ITEMS"),
        ("ERROR_WINHTTP_NAME_NOT_RESOLVED", "ERROR_INTERNET_NAME_NOT_RESOLVED"),
        ("C00D277F - Secure storage protection error.", "NS_E_DRM_CHECKPOINT_FAILED"),
        ("The licenses are corrupted. (Error code 0xC00D2754)", "NS_E_DRM_HARDWARE_INCONSISTENT"),
        ("0x8007270F", "0x8007270F"),
    ],
)
def test_numbers_of_windows_and_whole_messages(inside: Inside, what: str, name: str) -> None:
    assert explain(inside, what)["name"] == name


@pytest.mark.parametrize("code", [0, 1, 7, 130])
def test_a_decimal_that_is_an_exit_code_is_one(inside: Inside, code: int) -> None:
    for spelling in (str(code), f"{code}.", f"({code})", f"exit code {code}"):
        assert explain(inside, spelling)["kind"] == "exit-code"


def test_every_kind_of_license_and_store_is_explained(inside: Inside) -> None:
    for kind in KINDS:
        lines = inside("explain", kind, "--json").lines[:-1]
        assert ("kind", kind) in [(line["kind"], line["name"]) for line in lines]


def test_the_kinds_that_the_program_makes_are_those_that_are_explained() -> None:
    root = pathlib.Path(wmbackup.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py"))
    made = set(re.findall(r"\"((?:wmdrm|playready)-[a-z0-9-]+)\"", text))
    stores = {layout.kind for layout in (*layouts.LAYOUTS, layouts.WRITTEN)} | {"sample"}
    assert made | stores == set(KINDS)


def codes_of_warnings() -> Iterator[str]:
    """Yield the code of each warning that is written in the source.

    A call whose first argument is no string hands on a code that is written elsewhere.
    """
    root = pathlib.Path(wmbackup.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Call(args=[ast.Constant(value=str(code)), *_], func=called):
                    name = ast.unparse(called).rpartition(".")[2]
                    if name in {"WarningEvent", "warning", "_warning", "_warn", "_report"}:
                        yield code.replace(" ", "-")
                    elif name == "Finding" and code != "windows":  # which is never a warning
                        yield f"windows-{code}"


def test_every_warning_of_the_program_is_explained(inside: Inside) -> None:
    codes = {*codes_of_warnings(), "deprecated"} - {"error", "warning"}  # words before all others
    assert codes == set(WARNINGS)
    for code in codes:
        lines = inside("explain", code, "--json").lines[:-1]
        found = [line for line in lines if (line["kind"], line["name"]) == ("warning", code)]
        assert len(found) == 1
        assert found[0]["next_step"]


@pytest.mark.parametrize(
    "name",
    [
        *("drmv1.key", "DRMV2.LIC", "drmv2.sst", "drmstore.hds", "drmv1key.bak", "drmv1lic.bak"),
        *("drmv2key.bak", "drmv2lic.bak", "mspr.hds", "x.bla", "IndivBox.key"),
        *("bagit.txt", "README.txt", "bag-info.txt", "files.jsonl", "licenses.jsonl"),
        *("manifest-sha256.txt", "tagmanifest-sha256.txt", "tagmanifest-sha256.txt.sig"),
        *("tagmanifest-sha256.txt.2.sig", "tagmanifest-sha256.txt.tsr", "data/item-0000001"),
        *("wmbackup.toml", "allowed_signers", "signing_key", "signing_key.pub"),
        *("pc-sample-20260101T000000Z-0a1b2c3d.wmbackup.tar", ".wmbackup-restore-0a1b"),
        *("WMVCore.dll", "wmdrmsdk.dll", r"C:\ProgramData\Microsoft\Windows\DRM\drmv2.lic"),
        "/mnt/disk/DRM/drmv2.lic",
    ],
)
def test_file_names_are_explained(inside: Inside, name: str) -> None:
    line = explain(inside, name)
    assert line["kind"] == "file"
    assert line["name"] == re.split(r"[/\\]", name)[-1]


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
        ("", 7, '"" is not known here'),
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
