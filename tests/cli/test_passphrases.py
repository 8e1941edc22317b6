"""Where passphrases come from, and that none is shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from wmbackup.cli.passphrases import MAX_PASSPHRASE, PassphraseGiven, asker
from wmbackup.cli.session import Session
from wmbackup.errors import SetupUnusable, SystemFailure, UsageError

SECRET = b"correct horse"


class Silent:
    """A renderer that keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, code: str, message: str, hint: str | None = None) -> None:
        self.warnings.append(f"{code}: {message} ({hint})")


def session() -> Session:
    made = Session()
    made._output = Silent()  # type: ignore[assignment] # all that is asked of it
    return made


def given(
    *, file: str | None = None, descriptor: int | None = None, command: str | None = None
) -> PassphraseGiven:
    asked = file is None and descriptor is None and command is None
    return PassphraseGiven(asked, file, descriptor, command)


@pytest.mark.parametrize(
    "content", [SECRET, SECRET + b"\n", SECRET + b"\r\n", b"\xef\xbb\xbf" + SECRET + b"\n"]
)
def test_file_has_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    file.chmod(0o600)
    assert asker(session(), given(file=str(file)), "?")() == SECRET


def test_blanks_belong_to_a_passphrase(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(b" a \t\n")
    assert asker(session(), given(file=str(file)), "?")() == b" a \t"


BAD = [
    (b"", "is empty"),
    (b"\n", "is empty"),
    (b"one\ntwo\n", "has more than one line"),
    (b"one\n\n", "has more than one line"),
    (b"a\0b\n", "has a zero byte"),
    ("secret".encode("utf-16"), "is UTF-16"),
    (b"x" * (MAX_PASSPHRASE + 1), "is longer than 64 KiB"),
]


@pytest.mark.parametrize(("content", "what"), BAD)
def test_what_is_no_passphrase_is_refused_and_not_shown(
    tmp_path: Path, content: bytes, what: str
) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=what) as caught:
        asker(session(), given(file=str(file)), "?")()
    shown = f"{caught.value.message} {caught.value.hint}"
    assert "one" not in shown.replace("one line", "")
    assert "xxx" not in shown


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupUnusable, match="there is no file"):
        asker(session(), given(file=str(tmp_path / "none")), "?")()
    with pytest.raises(SetupUnusable, match="cannot read the passphrase"):
        asker(session(), given(file=str(tmp_path)), "?")()


@pytest.mark.skipif(os.name == "nt", reason="its modes are access lists")
def test_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(SECRET)
    file.chmod(0o644)
    run = session()
    assert asker(run, given(file=str(file)), "?")() == SECRET
    (warning,) = run.output.warnings  # type: ignore[attr-defined] # see Silent
    assert warning.startswith("passphrase-exposed: other users can read")
    assert "correct" not in warning


def test_descriptor_is_read_up_to_the_end_of_the_line_and_not_waited_for() -> None:
    reader, writer = os.pipe()
    os.write(writer, SECRET + b"\n")  # and it stays open
    assert asker(session(), given(descriptor=reader), "?")() == SECRET
    os.close(writer)
    os.close(reader)


def test_descriptor_that_is_not_open_is_named() -> None:
    with pytest.raises(UsageError, match="file descriptor 987") as caught:
        asker(session(), given(descriptor=987), "?")()
    assert caught.value.exit_code == 2


def python(script: str) -> str:
    return f'"{sys.executable}" -c "{script}"'


def test_command_prints_it() -> None:
    command = python("print('correct horse')")
    assert asker(session(), given(command=command), "?")() == SECRET


def test_command_has_no_shell_and_no_standard_input() -> None:
    script = "import sys; print(sys.argv[1:], repr(sys.stdin.read()))"
    found = asker(session(), given(command=f"{python(script)} $HOME ; x"), "?")()
    assert found == b"['$HOME', ';', 'x'] ''"


@pytest.mark.parametrize(
    ("command", "kind", "what"),
    [
        (python("print('secret'); raise SystemExit(3)"), SetupUnusable, "exit code 3"),
        ("/nowhere/at/all", SystemFailure, "cannot run the command"),
        ("", UsageError, "is empty"),
        ("  ", UsageError, "is empty"),
        (python("print('secret'); print('two')"), UsageError, "more than one line"),
        (python("pass"), UsageError, "is empty"),
    ],
)
def test_command_that_fails_is_named_without_what_it_printed(
    command: str, kind: type[UsageError], what: str
) -> None:
    with pytest.raises(kind, match=what) as caught:
        asker(session(), given(command=command), "?")()
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.skipif(os.name == "nt", reason="it takes a command as it is")
def test_command_with_an_open_quote_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        asker(session(), given(command="echo 'x"), "?")()


def test_without_a_terminal_the_options_are_named() -> None:
    with pytest.raises(UsageError, match="no terminal") as caught:
        asker(session(), given(), "?")()
    assert "--passphrase-file" in (caught.value.hint or "")
