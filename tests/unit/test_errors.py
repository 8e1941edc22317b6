from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from wmbackup import errors
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import ExitCode, SystemFailure, WmbackupError, os_error_name
from wmbackup.hresult import InterfaceError
from wmbackup.trust import TrustFileInvalid


def tree(root: type[WmbackupError]) -> Iterator[type[WmbackupError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


CLASSES: set[type[WmbackupError]] = {InterfaceError, TrustFileInvalid, *tree(WmbackupError)}


def test_every_class_has_a_code_of_its_own() -> None:
    codes = [found.code for found in CLASSES if found.__module__.startswith("wmbackup")]
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code for code in codes)


@pytest.mark.parametrize(
    ("found", "code", "exit_code"),
    [
        (errors.ArchiveDamaged, "archive-damaged", 4),
        (errors.ArchiveTruncated, "archive-truncated", 4),
        (errors.ArchiveUnsigned, "archive-unsigned", 4),
        (errors.UnsupportedArchive, "archive-unsupported", 7),
        (errors.NotAnArchive, "not-an-archive", 7),
        (errors.UsageError, "usage", 2),
        (errors.NotFound, "not-found", 7),
        (errors.Busy, "busy", 8),
        (errors.Cancelled, "cancelled", 130),
        (errors.SetupUnusable, "setup-unusable", 2),
        (errors.ArchiveUnavailable, "archive-unavailable", 7),
        (TrustFileInvalid, "trust-file-invalid", 2),
    ],
)
def test_codes_and_exit_codes_are_stable(
    found: type[WmbackupError], code: str, exit_code: int
) -> None:
    assert (found.code, found.exit_code) == (code, exit_code)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (errors.SignerUntrusted, "signer-untrusted"),
        (errors.SignerRevoked, "signer-revoked"),
        (errors.SignerExpired, "signer-expired"),
        (errors.TooFewSigners, "too-few-signers"),
    ],
)
def test_errors_about_signers_know_the_fingerprint(
    found: type[errors.SignerUntrusted], code: str
) -> None:
    error = found("m", fingerprint="SHA256:x", hint="h")
    assert (error.fingerprint, error.message, error.hint) == ("SHA256:x", "m", "h")
    assert (error.code, error.exit_code) == (code, ExitCode.UNTRUSTED)
    assert isinstance(error, errors.SignerUntrusted)


def test_a_message_and_a_hint_are_kept() -> None:
    assert str(WmbackupError("what")) == "what"
    assert WmbackupError("what").hint is None
    assert WmbackupError("what", hint="next").hint == "next"
    assert errors.Cancelled().message == "canceled"


def test_exit_codes_say_what_they_mean() -> None:
    assert [int(code) for code in ExitCode] == [*range(12), 130, 143]
    assert all(code.meaning for code in ExitCode)
    assert len({code.meaning for code in ExitCode}) == len(ExitCode)


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (OSError(errno.ENOSPC, "No space left"), "cannot write x: no space left", "free"),
        (OSError(errno.EACCES, "Denied"), "cannot write x: denied", "permissions"),
        (OSError(errno.EROFS, "Read-only"), "cannot write x: read-only", "can be written"),
        (OSError(errno.EIO, "I/O"), "cannot write x: i/o", None),
        (OSError("odd"), "cannot write x: odd", None),
        (OSError(), "cannot write x: oserror", None),
    ],
)
def test_a_failure_of_the_system_says_what_failed(
    error: OSError, message: str, hint: str | None
) -> None:
    found = SystemFailure.of(error, "write", "x")
    assert found.message == message
    assert found.exit_code == ExitCode.FAILED
    told = of_error(found)
    assert told is None if hint is None else hint in str(told)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a", "a"), (b"\xff", "\udcff"), (None, ""), (3, "3")],
)
def test_the_file_that_an_error_names(name: object, text: str) -> None:
    assert os_error_name(OSError(errno.EIO, "x", name)) == text
