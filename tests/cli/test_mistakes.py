"""What cannot be meant is refused with exit code 2, and the hint is what to write."""

from __future__ import annotations

import os
import shlex
import sys

import pexpect
import pytest

from tests.cli.program import Inside, Process
from tests.cli.test_terminal import screen, terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals and paths")


def pasted(inside: Inside, hint: str, error: str) -> list[str]:
    """Return the words of the command with which a hint ends; it is not refused as before."""
    words = shlex.split(hint.partition(": wmbackup ")[2])
    assert words
    assert not {text for text in inside(*words).errors if text.startswith(error[:60])}
    return words


def refused(inside: Inside, *words: str) -> tuple[str, str]:
    """Return the error and the hint of a command that is a usage error and writes nothing."""
    before = inside.tree()
    result = inside(*words)
    assert (result.code, result.out) == (2, "")
    assert inside.tree() == before
    assert inside("--json", *words).summary["error"] == "usage"
    (error,), (hint,) = result.errors, result.hints
    return error, hint


@pytest.mark.parametrize(
    ("words", "name", "instead"),
    [
        (("backup", "--store", "sample", "-o", "~/a.tar"), "--output", "{}/a.tar"),
        (("backup", "--store", "sample", "-o~/a.tar"), "--output", "-o{}/a.tar"),
        (("backup", "--store=~/lic", "-o", "a.tar"), "--store", "--store={}/lic"),
        (("backup", "--store=folder:~/lic", "-o", "a"), "--store", "--store=folder:{}/lic"),
        (("backup", "--store=drm:~", "-o", "a.tar"), "--store", "--store=drm:{}"),
        (("restore", "a.tar", "--to=folder:~/x", "--yes"), "--to", "--to=folder:{}/x"),
        (("list", "~/a.tar"), "ARCHIVE", "{}/a.tar"),
        (("verify", "a.tar", "~/b.tar"), "ARCHIVE", "{}/b.tar"),
        (("verify", "a", "--allowed-signers=~/f"), "--allowed-signers", "--allowed-signers={}/f"),
        (("key", "trust", "~/other.pub"), "FILE", "{}/other.pub"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_tilde_is_not_expanded_and_the_whole_path_is_named(
    inside: Inside, words: tuple[str, ...], name: str, instead: str
) -> None:
    error, hint = refused(inside, *words)
    assert error.startswith(f"{name}: ")
    assert error.endswith("begins with ~, which only a shell expands")
    assert instead.format(inside.home) in pasted(inside, hint, error)


def test_tilde_in_configuration_and_environment_names_where_it_is(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.makedirs(inside.config)
    with open(f"{inside.config}/wmbackup.toml", "w", encoding="utf-8") as file:
        file.write('[backup]\noutput = "~/backups/"\nstore = "sample"\n')
    error, hint = refused(inside, "backup")
    assert error.startswith("output in the configuration: ~/backups/ begins with ~")
    assert hint == f"did you mean: wmbackup backup --output {inside.home}/backups/"
    monkeypatch.setenv("WMBACKUP_OUTPUT", "~/other.tar")
    assert refused(inside, "backup")[0].startswith("WMBACKUP_OUTPUT: ~/other.tar begins with ~")


def test_folder_that_is_called_as_a_tilde_is_one(inside: Inside) -> None:
    inside.write("~/a.lic", b"x")
    inside("key", "create")
    assert inside("backup", "--store", "~", "-o", "a.tar", "--no-notice").code == 0
    assert inside("backup", "--store", "./~", "-o", "~/../b.tar", "--no-notice").code == 0


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("$HOME/x", "{}/x"),
        ("${HOME}/x", "{}/x"),
        ("%HOME%/x", "{}/x"),
        ("%ProgramData%\\Microsoft\\Windows\\DRM", None),
        ("$NO_SUCH/x", None),
    ],
)
def test_variable_is_not_expanded(inside: Inside, text: str, instead: str | None) -> None:
    error, hint = refused(inside, "backup", "--store", "sample", "-o", text)
    assert error.endswith("begins with a variable, which only a shell expands")
    whole = "write the whole path"
    if instead is None:
        assert hint == whole
    else:
        assert instead.format(inside.home) in pasted(inside, hint, error)


@pytest.mark.parametrize(
    ("words", "below"),
    [
        (("backup", "--store", "sample", "-o", "D:\\x\\a.tar"), "x/a.tar"),
        (("backup", "--store", "sample", "-o", "d:/a.tar"), "a.tar"),
        (("backup", "--store", "C:\\DRM", "-o", "a.tar"), "DRM"),
        (("backup", "--store", "drm:C:\\DRM", "-o", "a.tar"), "DRM"),
        (("backup", "--store", "\\\\?\\C:\\DRM", "-o", "a.tar"), "DRM"),
        (("restore", "D:\\a.tar", "--to", "x", "--yes"), "a.tar"),
        (("restore", "a.tar", "--to", "D:\\new", "--yes"), "new"),
        (("list", "D:\\a.tar"), "a.tar"),
        (("verify", "a.tar", "--against", "D:\\store"), "store"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_path_of_windows_is_refused_elsewhere(
    inside: Inside, words: tuple[str, ...], below: str
) -> None:
    error, hint = refused(inside, *words)
    assert error.endswith("is a path of Windows, and this is another system")
    assert any(word.endswith(f"/{below}") for word in pasted(inside, hint, error))


def test_share_of_windows_is_refused_elsewhere(inside: Inside) -> None:
    error, hint = refused(inside, "backup", "--store", "sample", "-o", "\\\\server\\share\\a.tar")
    assert error.endswith("is a share of Windows, and this is another system")
    assert hint == "mount the share, and name the folder where it is mounted"


def test_file_that_is_called_as_a_path_of_windows_is_one(inside: Inside) -> None:
    inside("key", "create")
    store = inside.store()
    assert inside("backup", "--store", store, "-o", "./D:\\x.tar", "--no-notice").code == 0
    assert inside("list", "D:\\x.tar").code == 0
    assert inside("list", "C:x").code == 7  # a relative path, as people call files


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("backup", "--store", "sample", "-o", "s3://b/a.tar"), "write to a file and upload it"),
        (("backup", "--store", "https://x/y", "-o", "a.tar"), "copy what is there into a folder"),
        (("verify", "sftp://host/a.tar"), "download the archive first"),
        (("list", "a.tar", "--against", "gs://b/a"), "copy what is there into a folder"),
        (("restore", "S3://b/a", "--to", "x", "--yes"), "download the archive first"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_url_without_support_is_refused(inside: Inside, words: tuple[str, ...], hint: str) -> None:
    error, told = refused(inside, *words)
    assert "is a URL, and this installation has no support for" in error
    assert told.startswith(hint)


def test_url_of_a_file_names_the_path(inside: Inside) -> None:
    error, hint = refused(inside, "verify", "file:///srv/a.tar")
    assert error.endswith("is a URL, and a path is wanted")
    assert hint == "did you mean: wmbackup verify /srv/a.tar"


@pytest.mark.parametrize("kind", ["drm", "bak"])
def test_target_of_a_restore_is_a_plain_folder(inside: Inside, kind: str) -> None:
    error, hint = refused(inside, "restore", "a.tar", "--to", f"{kind}:/x y", "--yes")
    assert error == f"--to {kind}: is no target: a restore writes into a plain folder"
    assert hint == "did you mean: wmbackup restore a.tar --to 'folder:/x y' --yes"


@pytest.mark.parametrize(
    ("words", "name", "times"),
    [
        (("backup", "--store", "a", "--store", "b", "-o", "c"), "--store", "twice"),
        (("backup", "--store", "a", "-o", "c", "--output", "d"), "--output", "twice"),
        (("backup", "-oa", "-ob", "-oc"), "--output", "3 times"),
        (("restore", "a", "--to", "b", "--yes", "--to", "b"), "--to", "twice"),
        (("list", "a", "--sort=kid", "--sort=kid"), "--sort", "twice"),
        (("verify", "a", "--against", "b", "--against", "c"), "--against", "twice"),
        (("check", "--store", "a", "--store", "a"), "--store", "twice"),
        (
            ("key", "trust", "a", "--fingerprint", "b", "--fingerprint", "c"),
            "--fingerprint",
            "twice",
        ),
        (("list", "a", "--color", "never", "--color", "always"), "--color", "twice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_option_that_is_given_twice_is_refused(
    inside: Inside, words: tuple[str, ...], name: str, times: str
) -> None:
    error, hint = refused(inside, *words)
    assert error == f"{name} is given {times}"
    assert hint.startswith("give it once: ")
    assert len(" ".join(pasted(inside, hint, error))) < len(" ".join(words))


def test_options_that_can_be_repeated_still_can(inside: Inside) -> None:
    inside("key", "create")
    words = ("--store", "sample", "--no-notice", "--exclude", "a", "--exclude", "b", "-v", "-v")
    assert inside("backup", *words, "-o", "a.tar", "-f", "-f", "--accept-restricted").code == 0
    assert inside("list", "a.tar", "--title", "light", "--title", "rail", "--quiet").code == 0


@pytest.mark.parametrize("number", ["0", "17", "-1"])
def test_bounds_of_a_number_are_named(inside: Inside, number: str) -> None:
    error, _ = refused(inside, "verify", "a.tar", "--require-signers", number)
    bounds = f"{number!r} is not a whole number from 1 to 16"
    assert error == f"invalid value for '--require-signers': {bounds}"


def test_stray_argument_of_a_backup_is_a_store(inside: Inside) -> None:
    _, hint = refused(inside, "backup", "my lic", "-o", "out.tar")
    assert hint == "did you mean: wmbackup backup --store 'my lic' -o out.tar"


def test_archive_does_not_go_to_a_terminal(program: Process) -> None:
    program("key", "create")
    words = ("backup", "--store", "sample", "--no-notice", "-o", "-")
    code, text = screen(program, *words, size=(24, 200), NO_COLOR="1")
    assert code == 2
    command = "wmbackup backup --store sample --no-notice -o - > licenses.wmbackup.tar"
    assert text.splitlines() == [
        "wmbackup: error: standard output is a terminal, and an archive is not for a screen",
        f"hint: to write to a file: {command}",
    ]
    assert screen(program, *words, "--dry-run")[0] == 3


@pytest.mark.parametrize(
    "words", [("verify", "-"), ("list", "-"), ("restore", "-", "--to", "x", "--yes")]
)
def test_waiting_for_a_keyboard_is_reported(program: Process, words: tuple[str, ...]) -> None:
    with terminal(program, *words, "--no-progress", size=(24, 200), NO_COLOR="1") as child:
        child.expect("waiting for an archive on standard input, which is the keyboard")
        child.expect(rf"hint: end this with Ctrl-C, and feed a file in: wmbackup {words[0]} - < F")
        child.sendintr()
        child.expect(pexpect.EOF)
    assert child.exitstatus == 130
    assert "waiting" not in program(*words).err
