from __future__ import annotations

import errno

import pytest

from wmbackup import limits
from wmbackup.cli.render import limit_hints
from wmbackup.cli.surroundings import failure_of
from wmbackup.errors import REASONS

MIB = 1024 * 1024


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The limits of this process, of which there are none unless they are set here."""
    found: dict[str, int] = {}
    monkeypatch.setattr(limits, "_limit", found.get)
    return found


def test_a_limit_is_named_with_the_command_that_raises_it(allowed: dict[str, int]) -> None:
    assert limit_hints.of_reason(REASONS[errno.EMFILE]) == "let the program open more files"
    allowed["RLIMIT_NOFILE"] = 12
    told = "this process may have 12 files open; allow more with: ulimit -n 256"
    assert limit_hints.of_reason(REASONS[errno.EMFILE]) == limit_hints.loading() == told
    assert "more memory" in limit_hints.memory()
    allowed["RLIMIT_AS"] = 64 * MIB
    told = "this process may use 64 MiB; allow more with: ulimit -v unlimited"
    assert limit_hints.memory() == limit_hints.of_reason(REASONS[errno.ENOMEM]) == told
    allowed["RLIMIT_DATA"] = 32 * MIB
    assert limit_hints.memory().endswith("ulimit -d unlimited")
    assert "end other programs" in limit_hints.threads()
    allowed["RLIMIT_NPROC"] = 1
    assert limit_hints.threads().endswith("allow more with: ulimit -u 4096")


def test_a_library_that_is_not_there_is_no_matter_of_limits(allowed: dict[str, int]) -> None:
    assert limit_hints.loading() == "install the program anew"
    allowed["RLIMIT_AS"] = 64 * MIB
    assert "ulimit -v" in limit_hints.loading()


def test_other_errors_have_no_limit() -> None:
    assert errno.EIO not in REASONS
    for reason in (None, "no-space", "unknown"):
        assert limit_hints.of_reason(reason) is None


@pytest.mark.parametrize(
    ("files", "kept"), [(None, 32), (4, 2), (16, 2), (64, 8), (256, 32), (10**6, 32)]
)
def test_few_files_are_kept_open_where_few_may_be(
    allowed: dict[str, int], files: int | None, kept: int
) -> None:
    if files is not None:
        allowed["RLIMIT_NOFILE"] = files
    assert limits.part_of_files(8, at_least=2, at_most=32) == kept


@pytest.mark.parametrize(
    ("mib", "small", "room"), [(79, True, False), (80, False, False), (256, False, True)]
)
def test_threads_want_room(allowed: dict[str, int], mib: int, *, small: bool, room: bool) -> None:
    assert (limits.is_too_small(), limits.has_room_for_threads()) == (False, True)
    allowed["RLIMIT_AS"] = mib * MIB
    assert (limits.is_too_small(), limits.has_room_for_threads()) == (small, room)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "there is not enough memory"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (RuntimeError("can't start new thread"), "no thread can be started"),
        (RuntimeError("can't create new thread at interpreter shutdown"), "no thread"),
        (ImportError("x.so: failed to map segment"), "cannot be loaded: x.so: failed to map"),
        (OverflowError("int too large"), "beyond what this system can hold: int too large"),
    ],
)
def test_what_the_surroundings_lack_is_no_bug(error: Exception, message: str) -> None:
    found = failure_of(error)
    assert message in found.message
    assert (found.code, found.exit_code) == ("system", 1)
    assert found.hint


@pytest.mark.parametrize("error", [RuntimeError("dictionary changed"), ValueError("x"), KeyError()])
def test_everything_else_is_one(error: Exception) -> None:
    assert failure_of(error).message.startswith("this is a bug: ")
