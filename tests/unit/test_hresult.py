from __future__ import annotations

import pathlib
import re

import pytest

from wmbackup import errors, hresult
from wmbackup.cli.render.hint_texts import CATEGORIES, HRESULTS
from wmbackup.cli.render.next_steps import of_error, of_hresult
from wmbackup.errors import ExitCode
from wmbackup.hresult import Category, InterfaceError

TABLE = tuple(hresult.table().values())
FILES = sorted((pathlib.Path(hresult.__file__).parent / "hresults").glob("*.txt"))
CATATONIC = {"NS_I_CATATONIC_FAILURE", "NS_I_CATATONIC_AUTO_UNFAIL"}  # failures by their number
NAMES = {name: row for row in TABLE for name in (row.name, *row.aliases)}


def test_values_and_names_are_there_once() -> None:
    rows = [row for file in FILES for row in hresult.parse(file.read_text(encoding="ascii"))]
    assert len({row.value for row in rows}) == len(rows) == len(TABLE)
    assert len(NAMES) == sum(1 + len(row.aliases) for row in rows)
    assert all(0 <= row.value < 2**32 for row in TABLE)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", row.name) for row in TABLE)


def test_names_say_whether_they_are_failures() -> None:
    for row in TABLE:
        success = row.name == "S_OK" or row.name.startswith(("NS_S_", "NS_I_", "MCMADM_I_"))
        if row.name not in CATATONIC:
            assert row.failed is not success
        assert hresult.failed(row.value) is row.failed
        assert hresult.failed(row.signed) is row.failed
        assert (row.signed < 0) is row.failed
        assert row.signed & 0xFFFFFFFF == row.value


def test_sentences_are_clauses() -> None:
    for row in TABLE:
        assert row.sentence == row.sentence.strip()
        assert not row.sentence.endswith(".")
        step = of_hresult(row)
        assert step == step.strip()
        assert not step.startswith(">")
    assert set(CATEGORIES) == {category.word for category in Category}


def test_the_steps_that_are_commands_are_of_hresults_of_the_table() -> None:
    assert set(HRESULTS) <= set(NAMES)
    assert all(NAMES[name].next_step is None or name.startswith("STATUS_") for name in HRESULTS)


def test_a_step_of_its_own_comes_before_that_of_the_class() -> None:
    policy = NAMES["NS_E_DRM_POLICY_DISABLE_ONLINE"]
    assert of_hresult(policy).startswith("ask whoever sets the group policy")
    cancelled = NAMES["NS_E_DRM_OPERATION_CANCELED"]
    assert of_hresult(cancelled) == CATEGORIES["cancelled"]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (0xC00D2743, "NS_E_DRM_BACKUP_CORRUPT"),
        (0xC00D2743 - 2**32, "NS_E_DRM_BACKUP_CORRUPT"),
        (0, "S_OK"),
        (0x80004005, "E_FAIL"),
        (-2147467259, "E_FAIL"),
    ],
)
def test_numbers_are_found_signed_and_unsigned(value: int, name: str) -> None:
    assert hresult.find(value).name == name


def test_a_number_that_is_not_known_is_named_so() -> None:
    for value in (0x8000BEEF, 0x8000BEEF - 2**32):
        found = hresult.find(value)
        assert (found.value, found.name) == (0x8000BEEF, "0x8000BEEF")
        assert found.category is Category.OTHER
        assert "0x8000BEEF" in found.sentence


def test_a_failure_of_the_interface_has_the_exit_code_of_its_class() -> None:
    for row in TABLE:
        explained_by_its_class(row)


def explained_by_its_class(row: hresult.HResult) -> None:
    error = InterfaceError(row.signed, doing="back up", url="https://example.com/")
    assert error.message == f"cannot back up: {row.sentence} ({row.name}, 0x{row.value:08X})"
    expected = row.category.exit_code or ExitCode.FAILED
    assert (error.hresult, error.exit_code) == (row.value, expected)
    step = f"the page that says why is https://example.com/; {of_hresult(row)}"
    assert (of_error(error), error.url) == (step, "https://example.com/")
    assert of_error(InterfaceError(row.value, doing="back up")) == of_hresult(row)


def test_the_numbers_of_the_errors_are_in_the_table_under_their_names() -> None:
    names: dict[type[errors.WmbackupError], str] = {
        errors.OutputExists: "NS_E_DRM_BACKUP_EXISTS",
        errors.ArchiveDamaged: "NS_E_DRM_BACKUP_CORRUPT",
        errors.Busy: "NS_E_DRM_BACKUPRESTORE_BUSY",
        errors.Cancelled: "NS_E_DRM_OPERATION_CANCELED",
    }
    for error, name in names.items():
        assert error.hresult == NAMES[name].value


def test_what_microsoft_refuses_ends_with_refused() -> None:
    assert hresult.find(0xC00D2766).category.exit_code == ExitCode.REFUSED
    assert hresult.find(0xC00D2728).category is Category.CONSENT


def test_a_failure_that_nobody_knows_says_its_number_once() -> None:
    error = InterfaceError(0x8000BEEF, doing="back up")
    assert error.message.count("0x8000BEEF") == 1
    assert error.exit_code is ExitCode.FAILED


def test_no_failure_of_the_interface_ends_in_success() -> None:
    unknown = [base | low for base in range(0x80000000, 2**32, 0x10000) for low in (0, 1, 0xFFFF)]
    for value in [*(row.value for row in TABLE), *unknown]:
        assert InterfaceError(value, doing="back up").exit_code is not ExitCode.OK
        assert not hresult.failed(value) or hresult.find(value).category is not Category.OK


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0xC00D2846, "service"),  # the service that restores is gone
        (0xC00D2845, "service"),
        (0xC00D2844, "service"),
        (0xC00D2843, "limit"),
        (0xC00D2841, "busy"),
        (0xC00D11B5, "service"),
        (0xC00D11B4, "environment"),  # no backed-up licenses were found; nothing is damaged
        (0xC00D11D8, "limit"),  # that of the day
        (0xC00D1134, "exists"),
        (0xC00D1137, "environment"),
        (0xC00D1138, "other"),
        (0xC00D2714, "machine"),
        (0xC00D2715, "machine"),
        (0xC00D271B, "machine"),
        (0xC00D274A, "machine"),
        (0xC00D28B7, "environment"),
        (0xC00D0BDE, "environment"),  # Windows Media DRM is no longer supported
        (0x80072EE7, "service"),
        (0x80072EFD, "service"),
        (0x80072F8F, "service"),
        (0xC0072EE7, "service"),  # as Windows Media passes it on
        (0x80072FFF, "service"),  # no name, and of WinINet by its number
        (0x8007274C, "service"),
        (0x80190194, "service"),
        (0x801901F7, "service"),
        (0x800C0008, "service"),
        (0x800B0109, "service"),
        (0x80070020, "busy"),
        (0x800706BA, "busy"),
        (0x80070005, "environment"),
        (0x80070070, "other"),
        (0x80030109, "machine"),
        (0x80040154, "environment"),
        (0x80004004, "cancelled"),
        (0x800704C7, "cancelled"),
    ],
)
def test_classes(value: int, word: str) -> None:
    assert hresult.find(value).category.word == word
    assert InterfaceError(value, doing="restore").hresult == value


def test_the_limit_of_the_day_is_not_called_a_limit_for_good() -> None:
    assert "tomorrow" in of_hresult(hresult.find(0xC00D11D8))
    assert "no backed-up licenses" in hresult.find(0xC00D11B4).sentence


def test_after_a_change_of_hardware_nothing_is_repaired_first() -> None:
    changed = [row for row in TABLE if row.category is Category.MACHINE]
    assert len(changed) > 20
    for row in changed:
        step = of_hresult(row)
        if step == CATEGORIES["machine"]:
            order = ["copy the DRM folder", "put the old one back", "back up", "reset", "restore"]
            places = [step.index(word) for word in order]
            assert places == sorted(places)
        assert not re.match(r"repair|reset|let Windows Media Player repair", step)


def test_a_win32_error_without_a_name_leads_to_what_windows_says() -> None:
    found = hresult.find(0x8007270F)
    assert "error 9999 of Windows" in found.sentence
    assert of_hresult(found).endswith("net helpmsg 9999")


def test_a_table_that_cannot_be_read_leaves_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hresult, "_FOLDER", "missing")
    hresult.table.cache_clear()
    try:
        assert hresult.find(0xC00D2742).name == "0xC00D2742"
        assert hresult.find(0).name == "S_OK"
    finally:
        hresult.table.cache_clear()
