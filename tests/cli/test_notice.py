"""When the deprecation notice is shown, and when not."""

from __future__ import annotations

import pytest

from tests.cli.program import Inside
from wmbackup.errors import ExitCode

NOTICE = "wmbackup: notice: "


@pytest.fixture
def keyed(inside: Inside) -> Inside:
    assert inside("key", "create").code == 0
    return inside


def disk(place: Inside) -> str:
    """A disk with a license folder."""
    place.write("disk/ProgramData/Microsoft/Windows/DRM/drmv2.lic", b"x" * 64)
    return "drm:disk/ProgramData/Microsoft/Windows/DRM"


def test_after_what_concerns_licenses_of_windows_media_it_comes_once(keyed: Inside) -> None:
    drm = disk(keyed)
    for arguments in (
        ("backup", "--store", "sample", "-o", "a.tar"),
        ("backup", "--store", drm, "-o", "drm.tar"),
        ("backup", "--store", "sample", "-n"),
        ("restore", "a.tar", "--to", "new", "--yes"),
        ("restore", "drm.tar", "--to", "other", "-n"),
        ("list", "--store", "sample"),
        ("list", "--store", drm),
        ("check",),
        ("check", "--store", "sample"),
    ):
        done = keyed(*arguments)
        assert done.err.count(NOTICE) == 1, (arguments, done)


def test_it_never_comes_with_what_is_not_about_them(keyed: Inside) -> None:
    keyed.write("plain/a")
    for arguments in (
        ("backup", "--store", "folder:plain", "-o", "a.tar"),
        ("backup", "--store", "folder:plain", "-n"),
        ("restore", "a.tar", "--to", "new", "--yes"),
        ("list", "--store", "folder:plain"),
        ("list", "a.tar"),
        ("verify", "a.tar"),
        ("check", "--store", "folder:plain"),
        ("key", "list"),
        ("explain", "9"),
    ):
        done = keyed(*arguments)
        assert NOTICE not in done.err, (arguments, done)


def test_an_error_is_never_told_after_a_notice(keyed: Inside) -> None:
    drm = disk(keyed)
    assert keyed("backup", "--store", "sample", "-o", "a.tar").code == ExitCode.PARTIAL
    for arguments in (
        ("backup", "--store", "sample", "-o", "a.tar"),
        ("backup", "--store", drm, "-o", "none/a.tar"),
        ("backup", "--store", "drm:nowhere", "-o", "b.tar"),
        ("backup", "--store", "sample"),
        ("restore", "a.tar", "--to", drm.removeprefix("drm:") + "/drmv2.lic", "--yes"),
        ("list", "--store", "drm:nowhere"),
        ("check", "--no-such-option"),
    ):
        done = keyed(*arguments)
        assert done.errors, (arguments, done)
        assert NOTICE not in done.err, (arguments, done)


def test_it_does_not_follow_the_error_of_a_command_that_failed(keyed: Inside) -> None:
    done = keyed("backup", "--store", "sample", "-o", "a.tar", "--on-failure", "no-such-program")
    assert done.errors
    assert NOTICE not in done.err


@pytest.mark.parametrize("silence", ["--no-notice", "--quiet"])
def test_it_can_be_silenced(keyed: Inside, silence: str) -> None:
    assert NOTICE in keyed("check").err
    assert NOTICE not in keyed("check", silence).err


def test_programs_always_get_it_and_before_the_summary(keyed: Inside) -> None:
    keyed.write("plain/a")
    for arguments, times in (
        (("backup", "--store", "folder:plain", "-o", "a.tar", "--no-notice"), 1),
        (("restore", "a.tar", "--to", "new", "--yes", "--quiet"), 1),
        (("list", "--store", "folder:plain"), 1),
        (("list", "a.tar"), 0),
        (("check",), 1),
        (("verify", "a.tar"), 0),
        (("backup", "--store", "sample"), 0),
        (("backup", "--no-such-option"), 0),
        (("backup", "--store", "sample", "-o", "a.tar"), 1),
    ):
        lines = keyed(*arguments, "--json").lines
        kinds = [line["type"] for line in lines]
        assert kinds.count("notice") == times, (arguments, kinds)
        assert not times or kinds[-2] == "notice"
