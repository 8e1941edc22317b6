from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from tests.cli.program import Inside, Process
from wmbackup import __version__
from wmbackup.cli.click_ext import COMMANDS, program
from wmbackup.errors import ExitCode


def commands(
    command: click.Command = program, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


ALL = list(commands())
PATHS = [path for path, _ in ALL]


def test_every_command_of_the_contract_is_there() -> None:
    assert list(COMMANDS) == [
        "backup",
        "restore",
        "list",
        "verify",
        "status",
        "prune",
        "check",
        "key",
        "schedule",
        "explain",
        "help",
    ]
    assert {path for path in PATHS if path[:1] == ("key",)} == {
        ("key",),
        *(("key", name) for name in ("create", "show", "list", "trust")),
        *(("key", name) for name in ("untrust", "revoke", "rotate", "sign")),
    }


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_begins_with_an_example(inside: Inside, path: tuple[str, ...], flag: str) -> None:
    result = inside(*path, flag)
    assert (result.code, result.err) == (0, "")
    first = result.out.splitlines()[0]
    assert first.startswith(" ".join(("Example: wmbackup", *path)))
    assert all(len(line) <= 80 for line in result.out.splitlines())
    assert ("Common options:" in result.out) is (path == ())
    assert not any(line.endswith("...") for line in result.out.splitlines()[3:])


def _is_not_read(path: tuple[str, ...], name: str) -> bool:
    """Whether the environment has no say in an option."""
    # A version is that of something else; to ask on a terminal, an open file and what a command
    # makes belong to one command line; and no variable may name a command that is run.
    alone = {"version", "passphrase", "passphrase_fd", "passphrase_command"}
    alone |= {"key_passphrase_fd", "key_passphrase_command", "on_success", "on_failure"}
    of_keys = {"create": {"identity"}, "show": {"sheet"}, "trust": {"name", "valid_before"}}
    if path == ("schedule",) and name in {"is_system", "install"}:
        return True
    return name in alone or (path[:1] == ("key",) and name in of_keys.get(path[-1], ()))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path in PATHS])
def test_no_option_is_without_help_and_an_environment_variable(
    path: tuple[str, ...], command: click.Command
) -> None:
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, (path, param.name)
            variable = param.envvar or ("WMBACKUP_" if _is_not_read(path, param.name or "") else "")
            assert str(variable).startswith("WMBACKUP_"), (path, param.name)


def test_the_help_has_the_exit_codes_and_the_deprecation(inside: Inside) -> None:
    text = " ".join(inside("--help").out.split())
    for code in ExitCode:
        assert f"{code.value} {code.meaning}" in text
    assert "https://www.microsoft.com/PlayReady/" in text
    assert "deprecated" in text


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_the_version_names_the_archive_formats(inside: Inside, path: tuple[str, ...]) -> None:
    result = inside(*path, "--version")
    assert (result.code, result.out) == (0, f"wmbackup {__version__}, archive format 1\n")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("bakcup", "x"), "did you mean: wmbackup backup x"),
        (("verfy",), "did you mean: wmbackup verify"),
        (("zzz",), "for help: wmbackup --help"),
        (("help", "verfy"), "did you mean: wmbackup help verify"),
        (("key", "crate"), "did you mean: wmbackup key create"),
        (("key", "zzz"), "for help: wmbackup key --help"),
        (("backup", "--froce"), "did you mean: wmbackup backup --force"),
        (("backup", "--ouput=a b"), "did you mean: wmbackup backup '--output=a b'"),
        (("list", "--titel", "x"), "did you mean: wmbackup list --title x"),
        (("list", "--sort", "titel"), "did you mean: wmbackup list --sort title"),
        (("list", "--sort=titel"), "did you mean: wmbackup list --sort=title"),
        (("restore", "a", "--zzz"), "for help: wmbackup restore --help"),
        (("backup", "-x"), "for help: wmbackup backup --help"),
        (("backup", "--store"), "for help: wmbackup backup --help"),
        (("verify",), "for help: wmbackup verify --help"),
        (("backup", "l c", "-o", "x"), "did you mean: wmbackup backup --store 'l c' -o x"),
        (("restore", "a", "b"), "did you mean: wmbackup restore a --to b"),
        (("check", "lic"), "did you mean: wmbackup check --store lic"),
        (("backup", "--store", "a", "b"), "for help: wmbackup backup --help"),
        (
            ("--store", "x y", "list"),
            "it belongs behind the command: wmbackup list --store 'x y'",
        ),
        (("--long", "list"), "it belongs behind the command: wmbackup list --long"),
        (("--kid=x", "list"), "it belongs behind the command: wmbackup list --kid=x"),
        (("list", "--fingerprint", "x"), "it is an option of key trust"),
        (("key", "show", "--timeout", "1"), "it is an option of backup and of restore"),
        (
            ("list", "--store", "foldr:x"),
            "a path of that name is ./foldr:x; did you mean: wmbackup list --store folder:x",
        ),
        (
            ("list", "--store=Drm:/x"),
            "a path of that name is ./Drm:/x; did you mean: wmbackup list --store=drm:/x",
        ),
        (
            ("restore", "a", "--yes", "--to", "bka:x"),
            "a path of that name is ./bka:x; did you mean: wmbackup restore a --yes --to folder:x",
        ),
        (
            ("list", "--store=sample", "--expires-within=x"),
            "did you mean: wmbackup list --store=sample --expires-within=30d",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_was_mistyped_is_named_with_what_was_meant(
    inside: Inside, words: tuple[str, ...], hint: str
) -> None:
    result = inside(*words)
    assert result.code == 2
    assert len(result.errors) == 1
    assert result.hints == [hint]
    assert inside("--json", *words).summary["error"] == "usage"


@pytest.mark.parametrize(
    ("store", "meant"),
    [("sampel", "sample"), ("Sample", "sample"), ("windws", "windows"), ("drm", "drm:PATH")],
)
def test_a_mistyped_store_is_answered_with_the_right_one(
    inside: Inside, store: str, meant: str
) -> None:
    result = inside("list", "--store", store)
    assert result.code == 7
    assert result.errors[0].endswith(store)
    assert result.hints == [f"did you mean: wmbackup list --store {meant}"]


@pytest.mark.parametrize("store", ["xyz", "./sampel", "a/b:c", "c:x", "foldr/x"])
def test_a_path_is_no_mistyped_store(inside: Inside, store: str) -> None:
    assert inside("list", "--store", store).hints == ["check its path"]


def test_a_folder_that_is_there_is_no_mistyped_store(inside: Inside) -> None:
    for name in ("sampel", "foldr:x"):
        inside.write(f"{name}/a.lic")
        assert inside("list", "--store", name).code == 0


def test_a_mistyped_kind_is_answered_with_the_right_one(inside: Inside) -> None:
    result = inside("list", "--store", "sample", "--kind", "wmdrm-7")
    assert "--kind is wmdrm-7, which nothing here is known to be" in result.err
    assert result.hints[0] == "did you mean: wmbackup list --store sample --kind wmdrm-v7"
    assert "known to be" not in inside("list", "--store", "sample", "--kind", "wmdrm-v7").err


def test_errors_are_lower_case_without_a_full_stop(inside: Inside) -> None:
    for arguments in (("bakcup",), ("verify", "missing"), ("explain", "zzz"), ("backup",)):
        (error,) = inside(*arguments).errors
        assert error[:1] == error[:1].lower()
        assert not error.endswith(".")


def modules_of(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_the_version_is_said_without_what_it_does_not_need() -> None:
    loaded = modules_of("from wmbackup.cli import main; main(['--version'])")
    assert "click" in loaded
    assert loaded.isdisjoint({"rich", "cryptography", "platformdirs"})


def test_the_engine_needs_no_terminal() -> None:
    loaded = modules_of("import wmbackup.engine, wmbackup.restorer")
    assert "wmbackup" in loaded
    assert loaded.isdisjoint({"click", "rich", "comtypes", "platformdirs"})


def test_the_commands_without_a_bar_do_without_rich() -> None:
    code = "from wmbackup.cli import main; main(['backup', '--store', 'sample', '--dry-run'])"
    assert "rich" not in modules_of(code)


def test_python_runs_it_as_a_module(program: Process) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wmbackup", "--version"],
        env=program.environment(),
        cwd=program.here,
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"wmbackup ")


def test_the_program_alone_prints_its_help(inside: Inside) -> None:
    wanted = inside("--help").out
    for words in ("", "--quiet", "--no-notice", "help"):
        result = inside(*words.split())
        assert (result.code, result.out, result.err) == (0, wanted, "")
    assert inside("key").out == inside("key", "--help").out
    for words in ("--json", "key --json", "help --json"):
        assert inside(*words.split()).summary["exit"] == "usage"


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_the_command_help_prints_the_help_of_any_command(
    inside: Inside, path: tuple[str, ...]
) -> None:
    result = inside("help", *path)
    assert (result.code, result.out, result.err) == (0, inside(*path, "--help").out, "")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("zzz",), "no such command: zzz"),
        (("key", "zzz"), "no such command: zzz"),
        (("backup", "x"), "wmbackup backup has no commands below it"),
        (("key", "list", "x"), "wmbackup key list has no commands below it"),
    ],
)
def test_help_of_what_is_no_command_is_refused(
    inside: Inside, words: tuple[str, ...], error: str
) -> None:
    result = inside("help", *words)
    assert (result.code, result.out, result.errors) == (2, "", [error])


@pytest.mark.parametrize("columns", [20, 33, 40, 59, 80, 120, 10**9])
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_is_broken_between_words_alone(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...], columns: int
) -> None:
    wide = inside(*path, "--help").out
    monkeypatch.setenv("COLUMNS", str(columns))
    text = inside(*path, "--help").out
    for line in text.splitlines():
        longest = max((len(word) for word in line.split()), default=0)
        assert len(line) <= min(columns, 100) or len(line.split()) == 1, line
        assert columns < 40 or longest <= columns, line
    # Alternatives may be broken behind a bar.
    assert "".join(text.split()) == "".join(wide.split())
    words = {word for line in text.splitlines() for word in line.split()}
    parts = {part for word in wide.split() for part in (word, *word.replace("|", "| ").split())}
    joined = {word for word in words if word not in parts}
    assert all(word.strip("|") in wide and "|" in word for word in joined), joined
