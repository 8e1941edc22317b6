from __future__ import annotations

import re

import pytest

from wmbackup import errors, hresult
from wmbackup.errors import ExitCode
from wmbackup.hresult import TABLE, Category, InterfaceError


def test_values_and_names_are_there_once() -> None:
    assert len({row.value for row in TABLE}) == len(TABLE)
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert all(0 <= row.value < 2**32 for row in TABLE)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", row.name) for row in TABLE)


def test_names_say_whether_they_are_failures() -> None:
    for row in TABLE:
        success = row.name == "S_OK" or row.name.startswith("NS_S_")
        assert row.failed is not success
        assert hresult.failed(row.value) is row.failed
        assert hresult.failed(row.signed) is row.failed
        assert (row.signed < 0) is row.failed
        assert row.signed & 0xFFFFFFFF == row.value


def test_sentences_are_clauses() -> None:
    for row in TABLE:
        assert row.sentence == row.sentence.strip()
        assert not row.sentence.endswith(".")
        assert row.next_step == row.next_step.strip()
        assert not row.next_step.startswith(">")
    for category in Category:
        assert category.next_step
        assert category.word


def test_a_step_of_its_own_comes_before_that_of_the_class() -> None:
    policy = hresult.by_name("NS_E_DRM_POLICY_DISABLE_ONLINE")
    assert policy is not None
    assert policy.next_step.startswith("ask whoever sets the group policy")
    cancelled = hresult.by_name("NS_E_DRM_OPERATION_CANCELED")
    assert cancelled is not None
    assert cancelled.next_step == Category.CANCELLED.next_step


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
    assert hresult.by_name(name.lower()) is hresult.find(value)


def test_a_number_that_is_not_known_is_named_so() -> None:
    for value in (0x8000BEEF, 0x8000BEEF - 2**32):
        found = hresult.find(value)
        assert (found.value, found.name) == (0x8000BEEF, "0x8000BEEF")
        assert found.category is Category.OTHER
        assert "0x8000BEEF" in found.sentence
    assert hresult.by_name("NS_E_NO_SUCH_THING") is None


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_failure_of_the_interface_has_the_exit_code_of_its_class(row: hresult.HResult) -> None:
    error = InterfaceError(row.signed, doing="back up", url="https://example.com/")
    assert error.message == f"cannot back up: {row.sentence} ({row.name}, 0x{row.value:08X})"
    expected = row.category.exit_code or ExitCode.FAILED
    assert (error.hresult, error.exit_code) == (row.value, expected)
    step = f"the page that says why is https://example.com/; {row.next_step}"
    assert (error.hint, error.url) == (step, "https://example.com/")
    assert InterfaceError(row.value, doing="back up").hint == row.next_step


def test_the_numbers_of_the_errors_are_in_the_table_under_their_names() -> None:
    names = {
        errors.OutputExists: "NS_E_DRM_BACKUP_EXISTS",
        errors.ArchiveDamaged: "NS_E_DRM_BACKUP_CORRUPT",
        errors.Busy: "NS_E_DRM_BACKUPRESTORE_BUSY",
        errors.Cancelled: "NS_E_DRM_OPERATION_CANCELED",
    }
    for error, name in names.items():
        found = hresult.by_name(name)
        assert found is not None
        assert error.hresult == found.value


def test_what_microsoft_refuses_ends_with_refused() -> None:
    assert hresult.find(0xC00D2766).category.exit_code == ExitCode.REFUSED
    assert hresult.find(0xC00D2728).category is Category.CONSENT


def test_a_failure_that_nobody_knows_says_its_number_once() -> None:
    error = InterfaceError(0x8000BEEF, doing="back up")
    assert error.message.count("0x8000BEEF") == 1
    assert error.exit_code is ExitCode.FAILED


@pytest.mark.parametrize(
    "value", [*(row.value for row in TABLE), 0x80070103, 0x8007054F, 0x80000000, 0xFFFFFFFF]
)
def test_no_failure_of_the_interface_ends_in_success(value: int) -> None:
    assert InterfaceError(value, doing="back up").exit_code is not ExitCode.OK
