from __future__ import annotations

import errno
import os
import sys

import pytest

from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import SystemFailure
from wmbackup.storage.trouble import is_of_file

if sys.platform != "win32":
    import resource

OF_FILE = (
    *("ENOENT", "ENOTDIR", "EISDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG", "EILSEQ"),
    *("EINVAL", "ENXIO", "ENODEV", "EOPNOTSUPP", "EFBIG", "EOVERFLOW"),
)
OF_MACHINE = (
    *("EIO", "EMFILE", "ENFILE", "ENOMEM", "ESTALE", "EBUSY", "ENOSPC", "EDQUOT", "EAGAIN"),
    *("EINTR", "EBADF", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN", "EROFS", "ENOSYS", "ETXTBSY"),
)


def of(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("name", OF_FILE)
def test_what_is_wrong_with_a_file_skips_it(name: str) -> None:
    assert is_of_file(of(getattr(errno, name)))


@pytest.mark.parametrize("name", OF_MACHINE)
def test_trouble_of_the_machine_is_not_of_a_file(name: str) -> None:
    assert not is_of_file(of(getattr(errno, name)))


def test_an_error_without_a_number_is_not_of_a_file() -> None:
    assert not is_of_file(OSError("who knows"))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        *((2, True), (3, True), (5, True), (123, True), (206, True), (1920, True)),
        # Too many open files, no memory, a bad sector, not ready, in use, locked, no resources.
        *((4, False), (8, False), (23, False), (21, False), (32, False), (33, False)),
        *((1117, False), (1450, False), (1453, False), (64, False), (121, False)),
    ],
)
def test_on_windows_its_own_number_decides(number: int, *, expected: bool) -> None:
    # All of them are EACCES or EINVAL to the C library.
    error = of(errno.EACCES)
    error.winerror = number  # type: ignore[attr-defined] # as on Windows
    assert is_of_file(error) is expected


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_system_error_names_the_limit_that_was_met() -> None:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    hint = of_error(SystemFailure.of(of(errno.EMFILE), "read", "x"))
    assert hint == f"this process may have {files:,} files open; allow more with: ulimit -n 256"
    assert "fs.file-max" in str(of_error(SystemFailure.of(of(errno.ENFILE), "read", "x")))
    assert "no other program" in str(of_error(SystemFailure.of(of(errno.EBUSY), "read", "x")))
    assert of_error(SystemFailure.of(of(errno.ENOMEM), "read", "x"))
