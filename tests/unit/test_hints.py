"""Every next step is made on the command line, and works when it is pasted."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import wmbackup
from wmbackup.cli.click_ext import COMMANDS
from wmbackup.cli.click_ext import program as tree
from wmbackup.cli.render import hint_texts, next_steps, shell
from wmbackup.cli.render.error_texts import SENTENCES
from wmbackup.cli.render.vocabulary import FROM_BELOW, WARNINGS
from wmbackup.errors import NotFound, SignerUntrusted, WmbackupError
from wmbackup.hresult import InterfaceError
from wmbackup.status import WarningEvent
from wmbackup.trust import Signer, trust_files
from wmbackup.trust.allowed_signers import PrincipalTaken

ROOT = Path(wmbackup.__file__).parent
BELOW = sorted(path for path in ROOT.rglob("*.py") if not path.is_relative_to(ROOT / "cli"))
COMMAND = re.compile(rf"\bwmbackup (?:{'|'.join(COMMANDS)})\b")
STORE = re.compile(r"\b(?:drm|folder|bak):[A-Z]")
TABLES = {
    **hint_texts.ERRORS,
    **hint_texts.EXPLAINED,
    **hint_texts.WARNINGS,
    **hint_texts.CATEGORIES,
    **hint_texts.HRESULTS,
}
ODD = 'it\'s a \u202e "file" $HOME `x`\n\\ \udcff'


def classes() -> list[type[WmbackupError]]:
    for module in pkgutil.walk_packages(wmbackup.__path__, "wmbackup."):
        if "__main__" not in module.name:
            try:
                importlib.import_module(module.name)
            except AssertionError:  # what Windows alone can load
                assert sys.platform != "win32"
    found: list[type[WmbackupError]] = [WmbackupError]
    for one in found:
        found += one.__subclasses__()
    return [one for one in found if one.__module__.startswith("wmbackup.")]


def texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")


class TestBelowTheCommandLine:
    """Nothing there knows how the command line is typed."""

    @pytest.mark.parametrize("path", BELOW, ids=lambda path: str(path.relative_to(ROOT)))
    def test_no_text_names_an_option_or_a_command(self, path: Path) -> None:
        named = [text for text in texts(path) if re.search(r"(?<![\w-])--[a-z]", text)]
        named += [text for text in texts(path) if COMMAND.search(text) or STORE.search(text)]
        assert named == []

    def test_no_step_of_an_hresult_names_an_option_or_a_command(self) -> None:
        for path in (ROOT / "hresults").glob("*.txt"):
            text = path.read_text(encoding="ascii")
            assert not COMMAND.search(text)
            assert not STORE.search(text)
            assert "--" not in text

    def test_no_error_and_no_warning_brings_its_own_hint(self) -> None:
        brought = []
        for path in BELOW:
            if path.name in {"errors.py", "status.py"}:
                continue  # which keep the hint that a store of another package gives
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.keyword) and node.arg == "hint":
                    brought.append(f"{path.name}:{node.value.lineno}")
                if isinstance(node, ast.Assign):
                    brought += [
                        f"{path.name}:{node.lineno}"
                        for target in node.targets
                        if isinstance(target, ast.Attribute) and target.attr == "hint"
                    ]
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "WarningEvent":
                    starred = any(isinstance(one, ast.Starred) for one in node.args)
                    if len(node.args) > 2 and not starred:
                        brought.append(f"{path.name}:{node.lineno}")
        assert brought == []

    def test_every_reason_has_a_text_of_its_own(self) -> None:
        known = {key.partition("/")[2] for key in (*TABLES, *next_steps.SPECIAL) if "/" in key}
        given = set()
        for path in BELOW:
            for node in ast.walk(ast.parse(path.read_bytes())):
                value = getattr(node, "value", None)
                if isinstance(node, ast.keyword) and node.arg == "reason":
                    given |= {value.value} if isinstance(value, ast.Constant) else set()
        assert len(given) > 30
        assert given - known == set()


class TestTables:
    """The texts are complete, and name what there is."""

    @pytest.mark.parametrize("error", classes(), ids=lambda error: error.code)
    def test_every_class_has_a_sentence_and_a_step(self, error: type[WmbackupError]) -> None:
        assert SENTENCES[error.code]
        own = error.code in hint_texts.ERRORS
        assert own is not (error.code in hint_texts.EXPLAINED)
        assert next_steps.step_of_class(error)

    def test_every_text_is_of_something(self) -> None:
        codes = {error.code for error in classes()}
        assert codes == set(SENTENCES)
        assert {key.partition("/")[0] for key in hint_texts.ERRORS} <= codes | {"*"}
        assert set(hint_texts.EXPLAINED) <= codes
        assert {key.partition("/")[0] for key in hint_texts.WARNINGS} == FROM_BELOW

    @pytest.mark.parametrize("key", sorted(TABLES))
    def test_every_option_and_command_in_a_text_exists(self, key: str) -> None:
        text = TABLES[key]
        assert text == text.strip()
        assert not text.endswith(".")
        assert_exists(text)


def assert_exists(text: str) -> None:
    """Look up what a text names in the tree of commands."""
    for match in COMMAND.finditer(text):
        after = text[match.start() :].removeprefix("wmbackup ")
        words = re.match(r"[a-z]+(?: [a-z]+)?", after)
        assert words is not None
        command = text[match.start() :].partition(", and wmbackup")[0]
        assert options_in(command) <= options_of(words[0].split()), text
    if not re.search("ulimit|ssh-keygen|age --|wmbackup ", text):
        every = set().union(*(options_of([name]) for name in COMMANDS))
        assert options_in(text) <= every, text


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def options_of(words: list[str]) -> set[str]:
    found = {"--help", "--debug"}
    ctx = click.Context(tree)
    command: click.Command | None = tree
    for word in words:
        if isinstance(command, click.Group) and (below := command.get_command(ctx, word)):
            command = below
    assert command is not None
    group = isinstance(command, click.Group)
    inner = [command.get_command(ctx, name) for name in command.list_commands(ctx)] if group else []  # type: ignore[attr-defined] # a group has them
    for one in (tree, command, *inner):
        if one is not None:
            found |= {name for param in one.params for name in (*param.opts, *param.secondary_opts)}
    return found


class TestFacts:
    """What an error knows is in its hint."""

    def test_a_hint_of_another_package_comes_first(self) -> None:
        assert next_steps.of_error(NotFound("x", hint="look elsewhere", reason="no-file")) == (
            "look elsewhere"
        )
        assert next_steps.of_warning(WarningEvent("of-theirs", "x", "look elsewhere")) == (
            "look elsewhere"
        )
        assert next_steps.of_warning(WarningEvent("of-theirs", "x")) is None

    def test_a_class_of_another_package_has_the_step_of_the_class_above(self) -> None:
        class Theirs(SignerUntrusted):
            code = "theirs"

        hint = next_steps.of_error(Theirs("x", fingerprint="SHA256:y", path="a b.tar"))
        assert str(hint).endswith(": wmbackup key trust 'a b.tar' --fingerprint SHA256:y")

    def test_a_reason_that_nobody_knows_has_the_step_of_the_class(self) -> None:
        known = next_steps.of_error(NotFound("x", reason="no-file"))
        assert (known, next_steps.of_error(NotFound("x", reason="odd"))) == ("check its path", None)

    def test_what_came_of_an_error_has_its_step(self) -> None:
        cause = InterfaceError(0xC00D2742, doing="x", url="https://example.com/")
        told = next_steps.of_warning(WarningEvent("not-enumerated", "x", cause=cause))
        assert told == next_steps.of_error(cause)
        assert "https://example.com/" in str(told)

    def test_nothing_to_do_is_no_hint(self) -> None:
        assert next_steps.of_warning(WarningEvent("rolled-back", "x")) is None
        assert next_steps.step_of_warning("rolled-back") == hint_texts.NOTHING

    def test_braces_in_a_path_stay(self) -> None:
        error = NotFound("x", reason="no-match", path="{path} {0}.tar")
        assert str(next_steps.of_error(error)).endswith("wmbackup list '{path} {0}.tar'")


class TestShell:
    """One function quotes for the shell of the system."""

    @pytest.mark.parametrize(
        "text",
        [
            "plain.tar",
            "a b",
            "",
            "it's",
            'a"b',
            "$HOME",
            "`x`",
            "a\\b",
            "a\nb",
            "é",
            "\udcff\x01",
            ODD,
        ],
    )
    @pytest.mark.parametrize("name", ["bash", "zsh"])
    @pytest.mark.skipif(os.name == "nt", reason="a POSIX shell reads it")
    def test_a_posix_shell_reads_what_was_quoted(self, text: str, name: str) -> None:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"reads it with {name}")
        word = shell.quote(text, windows=False)
        assert word.isprintable()
        done = subprocess.run([found, "-c", f"printf %s {word}"], capture_output=True, check=True)
        assert done.stdout == os.fsencode(text)

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("C:\\a", "C:\\a"),
            ("C:\\a b", '"C:\\a b"'),
            ("C:\\a b\\", '"C:\\a b\\\\"'),
            ("", '""'),
            ("a'b", '"a\'b"'),
            ("a$b", "'a$b'"),
            ("a`'b", "'a`''b'"),
            ("a&b", '"a&b"'),
            ("a,b", '"a,b"'),
        ],
    )
    def test_the_shells_of_windows_have_quotes_of_their_own(self, text: str, word: str) -> None:
        assert shell.quote(text, windows=True) == word

    def test_a_path_is_no_option(self) -> None:
        assert shell.argument("-x.tar", windows=False) == "./-x.tar"
        assert shell.argument("--force", windows=True) == "./--force"
        assert shell.argument("x-y.tar") == "x-y.tar"

    def test_commands_of_windows_run_in_both_of_its_shells(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = "C:\\my keys\\k"
        monkeypatch.setattr(shell, "_who", lambda _path: ("*S-1-5-21-1-2-3-1001", []))
        alone = 'icacls "C:\\my keys\\k" /inheritance:r /grant:r *S-1-5-21-1-2-3-1001:F'
        assert shell.hide(path, windows=True) == alone
        others = ["*S-1-1-0", "*S-1-5-32-545"]
        monkeypatch.setattr(shell, "_who", lambda _path: ("*S-1-5-21-1-2-3-1001", others))
        assert shell.hide(path, windows=True) == f"{alone} /remove *S-1-1-0 *S-1-5-32-545"
        assert shell.remove(path, windows=True) == 'cmd /c rmdir /s "C:\\my keys\\k"'
        assert shell.remove("k", is_folder=False, windows=True) == "cmd /c del k"
        assert shell.rename("k", "k.old", windows=True) == "cmd /c move k k.old"
        assert shell.add_line("k", "a b", ends=True, windows=True) == "add this line to k: a b"

    @pytest.mark.skipif(os.name == "nt", reason="a POSIX shell runs them")
    def test_commands_do_what_they_say(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("-a b", "it's", "a\nb"):
            path = Path(name)
            path.write_text("first")
            run(shell.add_line(name, "a 'b' $c", ends=False))
            assert path.read_text() == "first\na 'b' $c\n"
            run(shell.hide(name))
            assert path.stat().st_mode & 0o777 == 0o600
            run(shell.rename(name, "new name"))
            assert not path.exists()
            run(shell.remove("new name"))
            assert list(tmp_path.iterdir()) == []


def run(command: str) -> None:
    subprocess.run(["bash", "-c", command], check=True)


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell runs it")
def test_a_principal_that_is_taken_is_answered_by_a_command_that_works_in_an_odd_place(
    tmp_path: Path, *, ends: bool
) -> None:
    folder = tmp_path / "Application Support" / "it's"
    folder.mkdir(parents=True)
    path = folder / "allowed_signers"
    trust_files.trust(str(path), Signer("wmbackup@a", bytes([1] * 32)))
    if not ends:
        path.write_bytes(path.read_bytes().rstrip())
    with pytest.raises(PrincipalTaken) as caught:
        trust_files.trust(str(path), Signer("wmbackup@a", bytes([2] * 32)))
    run(str(next_steps.of_error(caught.value)).partition("own: ")[2])
    assert [one.principals for one in trust_files.read_signers(str(path))] == [
        *("wmbackup@a", "wmbackup@a-2")
    ]


def test_explanations_need_no_docstrings() -> None:
    """Docstrings are gone where Python runs with -OO."""
    for code, sentence in (
        ("archive-damaged", SENTENCES["archive-damaged"]),
        ("usage", SENTENCES["usage"]),
        ("rolled-back", WARNINGS["rolled-back"][0]),
        ("0xC00D2742", "backup"),
    ):
        done = subprocess.run(
            [sys.executable, "-OO", "-m", "wmbackup", "explain", code],
            capture_output=True,
            check=True,
            encoding="utf-8",
        )
        assert sentence in done.stdout
        assert "next step: " in done.stdout
